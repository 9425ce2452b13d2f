//! One small matrix product for each attention head, on the CPU.

use rayon::prelude::*;

use super::linear_rows;

/// Below this many multiply-adds the calling thread does all: waking the pool costs about as much.
const PARALLEL_MACS_MIN: usize = 1 << 18;

/// y[row, head] = W[head] x[row, head], reading the first `inner` of each head's `x_stride` values and writing the first
/// `outer` of its `y_stride`. A row's result does not depend on the other rows.
///
/// # Shapes
/// x: `[rows, heads, x_stride]`, weight: `[heads, outer, inner]` → y: `[rows, heads, y_stride]`
///
/// # Panics
/// When the lengths do not fit.
pub fn head_linear(x: &[f32], x_stride: usize, weight: &[f32], [heads, outer, inner]: [usize; 3], y: &mut [f32], y_stride: usize) {
    let rows = x.len() / (heads * x_stride);
    assert!(inner <= x_stride && outer <= y_stride, "head_linear: {inner} of {x_stride} to {outer} of {y_stride}");
    assert_eq!((x.len(), y.len()), (rows * heads * x_stride, rows * heads * y_stride), "head_linear: x and y for {rows} rows");
    assert_eq!(weight.len(), heads * outer * inner, "head_linear: weight");
    let product = |head: usize| {
        let x: Vec<f32> =
            x.chunks_exact(heads * x_stride).flat_map(|row| &row[head * x_stride..head * x_stride + inner]).copied().collect();
        let mut y = vec![0.0; rows * outer];
        linear_rows(&x, &weight[head * outer * inner..(head + 1) * outer * inner], None, inner, &mut y);
        y
    };
    let parallel = rows * weight.len() >= PARALLEL_MACS_MIN;
    let products: Vec<Vec<f32>> =
        if parallel { (0..heads).into_par_iter().map(product).collect() } else { (0..heads).map(product).collect() };
    for (row, y) in y.chunks_exact_mut(heads * y_stride).enumerate() {
        for (y, product) in y.chunks_exact_mut(y_stride).zip(&products) {
            y[..outer].copy_from_slice(&product[row * outer..(row + 1) * outer]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_head_has_its_own_matrix_and_the_rest_of_y_is_left_alone() {
        let x = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0, 5.0, 6.0, 9.0, 7.0, 8.0, 9.0];
        let weight = [1.0, 0.0, 1.0, 1.0];
        let mut y = [-1.0; 8];
        head_linear(&x, 3, &weight, [2, 1, 2], &mut y, 2);
        assert_eq!(y, [1.0, -1.0, 7.0, -1.0, 5.0, -1.0, 15.0, -1.0]);
    }
}
