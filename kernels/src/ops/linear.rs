//! y = x Wᵀ + b, the matrix product that nearly all time goes into.
//!
//! W is stored `[out, in]` as checkpoints have it, so each output is one dot product of two contiguous rows. The CPU
//! version keeps a tile of those dot products in registers and walks `in` once; no packing, which for the few rows of
//! a streamed step costs more than the product itself. Cost: out x in x bytes of a weight read once per block of rows,
//! 2 x rows x out x in flops; bound by memory below about 30 rows, by arithmetic above.

use burn::tensor::{DType, Tensor};
use half::bf16;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{HostView, from_host, is_plain_cpu};

/// Products below this many multiply-adds run on the calling thread: waking the pool costs about as much.
const PARALLEL_MACS_MIN: usize = 1 << 18;
/// Rows of x are taken in blocks of at most this many bytes, half of a 2 MiB second-level cache.
const ROW_BLOCK_BYTES: usize = 1 << 20;
/// Outputs that one task computes: enough work to hide its start, few enough to share out evenly.
const TASK_OUTPUTS: usize = 64;
/// Rows and outputs of one register tile.
const TILE: usize = 4;

/// Multiplies rows by a weight matrix and adds the bias.
///
/// # Shapes
/// x: `[rows, in]`, weight: `[out, in]`, bias: `[out]` → `[rows, out]`
///
/// The weight may be bf16 while x is f32 (see [`crate::Weights::keep_narrow`]); sums are f32 whatever the format of x,
/// and are rounded to it once.
///
/// # Panics
/// When the shapes do not fit.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let (device, dtype) = (x.device(), x.dtype());
    if !is_plain_cpu(&device) {
        let weight = if weight.dtype() == dtype { weight } else { weight.cast(dtype) };
        let y = x.matmul(weight.transpose());
        return match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        };
    }
    let ([rows, inner], [outer, weight_inner]) = (x.dims(), weight.dims());
    assert_eq!(inner, weight_inner, "linear: x is [{rows}, {inner}], the weight [{outer}, {weight_inner}]");
    let (x, bias) = (HostView::new(x), bias.map(HostView::new));
    let bias = bias.as_ref().map(HostView::values);
    let mut y = vec![0.0; rows * outer];
    let narrow = weight.dtype() == DType::BF16;
    let weight = if narrow { HostView::as_stored(weight) } else { HostView::new(weight) };
    if narrow {
        multiply(x.values(), Matrix::Narrow(weight.0.as_slice().expect("contiguous bf16")), bias, inner, outer, &mut y);
    } else {
        multiply(x.values(), Matrix::Wide(weight.values()), bias, inner, outer, &mut y);
    }
    from_host(y, [rows, outer], &device, dtype)
}

/// The CPU version on plain slices: `x` `[rows, inner]`, `weight` `[outer, inner]`, into `y` `[rows, outer]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn linear_rows(x: &[f32], weight: &[f32], bias: Option<&[f32]>, inner: usize, y: &mut [f32]) {
    let outer = weight.len() / inner;
    multiply(x, Matrix::Wide(weight), bias, inner, outer, y);
}

#[derive(Clone, Copy)]
enum Matrix<'a> {
    Wide(&'a [f32]),
    Narrow(&'a [bf16]),
}

impl<'a> Matrix<'a> {
    /// Rows `from..to`, widened into `scratch` if need be.
    fn rows<'s>(self, from: usize, to: usize, inner: usize, scratch: &'s mut Vec<f32>) -> &'s [f32]
    where
        'a: 's,
    {
        match self {
            Matrix::Wide(values) => &values[from * inner..to * inner],
            Matrix::Narrow(values) => {
                scratch.clear();
                scratch.extend(values[from * inner..to * inner].iter().map(|v| f32::from_bits(u32::from(v.to_bits()) << 16)));
                scratch
            }
        }
    }
}

/// One writer per output column block; blocks never overlap, so the tasks may share `y` through this pointer.
struct Columns(*mut f32);
// SAFETY: every task writes only the columns of its own block (see `Product::with_simd`), and nobody reads `y` meanwhile.
unsafe impl Send for Columns {}
// SAFETY: as above.
unsafe impl Sync for Columns {}

fn multiply(x: &[f32], weight: Matrix, bias: Option<&[f32]>, inner: usize, outer: usize, y: &mut [f32]) {
    let rows = if outer == 0 { 0 } else { y.len() / outer };
    assert_eq!(x.len(), rows * inner, "linear: x does not hold {rows} rows of {inner}");
    assert!(bias.is_none_or(|b| b.len() == outer), "linear: the bias does not hold {outer} values");
    let weight_len = match weight {
        Matrix::Wide(w) => w.len(),
        Matrix::Narrow(w) => w.len(),
    };
    assert_eq!(weight_len, outer * inner, "linear: the weight does not hold {outer} rows of {inner}");
    let arch = Arch::new();
    let columns = Columns(y.as_mut_ptr());
    let row_block = (ROW_BLOCK_BYTES / (4 * inner.max(1))).max(TILE);
    let task = |block: usize| {
        let from = block * TASK_OUTPUTS;
        let to = (from + TASK_OUTPUTS).min(outer);
        let mut scratch = Vec::new();
        for first_row in (0..rows).step_by(row_block) {
            let last_row = (first_row + row_block).min(rows);
            for tile_from in (from..to).step_by(TILE) {
                let tile_to = (tile_from + TILE).min(to);
                let w = weight.rows(tile_from, tile_to, inner, &mut scratch);
                let x = &x[first_row * inner..last_row * inner];
                arch.dispatch(Product { x, w, bias: bias.map(|b| &b[tile_from..tile_to]), inner, y: &columns, first_row, tile_from, outer });
            }
        }
    };
    let blocks = outer.div_ceil(TASK_OUTPUTS);
    if rows * inner * outer < PARALLEL_MACS_MIN { (0..blocks).for_each(task) } else { (0..blocks).into_par_iter().for_each(task) }
}

/// Rows of x times up to [`TILE`] rows of w.
struct Product<'a> {
    x: &'a [f32],
    w: &'a [f32],
    bias: Option<&'a [f32]>,
    inner: usize,
    y: &'a Columns,
    first_row: usize,
    tile_from: usize,
    outer: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.x.len() / self.inner.max(1);
        let outputs = self.w.len() / self.inner.max(1);
        for row in (0..rows).step_by(TILE) {
            match ((rows - row).min(TILE), outputs) {
                (4, 4) => self.tile::<S, 4, 4>(simd, row),
                (3, 4) => self.tile::<S, 3, 4>(simd, row),
                (2, 4) => self.tile::<S, 2, 4>(simd, row),
                (1, 4) => self.tile::<S, 1, 4>(simd, row),
                (height, _) => (row..row + height).for_each(|row| self.tile_narrow(simd, row, outputs)),
            }
        }
    }
}

impl Product<'_> {
    /// H x W dot products at once; each sums in the same order as it would alone.
    #[inline(always)]
    fn tile<S: Simd, const H: usize, const W: usize>(&self, simd: S, row: usize) {
        let k = self.inner;
        let x: [_; H] = std::array::from_fn(|i| S::as_simd_f32s(&self.x[(row + i) * k..(row + i + 1) * k]));
        let w: [_; W] = std::array::from_fn(|j| S::as_simd_f32s(&self.w[j * k..(j + 1) * k]));
        let mut sums = [[simd.splat_f32s(0.0); W]; H];
        for l in 0..x[0].0.len() {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.mul_add_f32s(x[i].0[l], w[j].0[l], *sum);
                }
            }
        }
        if !x[0].1.is_empty() {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.mul_add_f32s(simd.partial_load_f32s(x[i].1), simd.partial_load_f32s(w[j].1), *sum);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (j, sum) in sums.iter().enumerate() {
                self.store(row + i, j, simd.reduce_sum_f32s(*sum));
            }
        }
    }

    #[inline(always)]
    fn tile_narrow<S: Simd>(&self, simd: S, row: usize, outputs: usize) {
        for j in 0..outputs {
            let one = Product { w: &self.w[j * self.inner..(j + 1) * self.inner], bias: self.bias.map(|b| &b[j..=j]), tile_from: self.tile_from + j, ..*self };
            one.tile::<S, 1, 1>(simd, row);
        }
    }

    #[inline(always)]
    fn store(&self, row: usize, j: usize, sum: f32) {
        let value = self.bias.map_or(sum, |bias| sum + bias[j]);
        // SAFETY: `first_row + row` and `tile_from + j` are below the row and column counts that `multiply` checked
        // against y's length, and no other task has this column.
        unsafe { *self.y.0.add((self.first_row + row) * self.outer + self.tile_from + j) = value };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use proptest::prelude::*;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32).map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 8_388_608.0) - 1.0).collect()
    }

    fn exact(x: &[f32], w: &[f32], b: &[f32], inner: usize) -> Vec<f64> {
        x.chunks(inner).flat_map(|x| w.chunks(inner).zip(b).map(|(w, b)| f64::from(*b) + x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>()).collect::<Vec<_>>()).collect()
    }

    proptest! {
        #[test]
        fn equals_the_exact_product(rows in 1usize..20, inner in 1usize..150, outer in 1usize..140, seed: u32) {
            let (x, w, b) = (values(rows * inner, seed), values(outer * inner, !seed), values(outer, seed / 3));
            let mut y = vec![0.0; rows * outer];
            linear_rows(&x, &w, Some(&b), inner, &mut y);
            for (got, want) in y.iter().zip(exact(&x, &w, &b, inner)) {
                prop_assert!((f64::from(*got) - want).abs() < 1e-5 * inner as f64, "{got} {want}");
            }
        }

        #[test]
        fn a_row_does_not_depend_on_the_batch(rows in 2usize..40, inner in 1usize..700, outer in 1usize..600, seed: u32) {
            let (x, w) = (values(rows * inner, seed), values(outer * inner, !seed));
            let mut together = vec![0.0; rows * outer];
            linear_rows(&x, &w, None, inner, &mut together);
            for row in 0..rows {
                let mut alone = vec![0.0; outer];
                linear_rows(&x[row * inner..(row + 1) * inner], &w, None, inner, &mut alone);
                prop_assert_eq!(&alone, &together[row * outer..(row + 1) * outer]);
            }
        }
    }

    #[test]
    fn a_bf16_weight_gives_the_bits_of_its_widened_copy() {
        let device = Device::flex();
        let w = Tensor::<2>::from_data(burn::tensor::TensorData::new(values(67 * 130, 3), [67, 130]), (&device, DType::F32)).cast(DType::BF16);
        let x = Tensor::<2>::from_data(burn::tensor::TensorData::new(values(5 * 130, 4), [5, 130]), (&device, DType::F32));
        let wide = linear(x.clone(), w.clone().cast(DType::F32), None).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(linear(x, w, None).into_data().try_to_vec::<f32>().unwrap(), wide);
    }

    #[test]
    fn gradients_flow_through_the_portable_version_with_the_same_values() {
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        let make = |device: &Device| {
            let x = Tensor::<2>::from_data(burn::tensor::TensorData::new(values(3 * 10, 1), [3, 10]), device);
            (x, Tensor::<2>::from_data(burn::tensor::TensorData::new(values(7 * 10, 2), [7, 10]), device))
        };
        let (x, w) = make(&device);
        let w = w.require_grad();
        let y = linear(x, w.clone(), None);
        let grads = y.clone().sum().backward();
        assert_eq!(w.grad(&grads).unwrap().dims(), [7, 10]);
        let (x, w) = make(&plain);
        let cpu = linear(x, w, None).into_data().try_to_vec::<f32>().unwrap();
        for (a, b) in y.into_data().try_to_vec::<f32>().unwrap().iter().zip(cpu) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
