//! y = x Wᵀ + b, the matrix product that nearly all time goes into.
//!
//! W is stored `[out, in]` as checkpoints have it, so each output is one dot product of two contiguous rows. The CPU
//! version keeps a tile of those dot products in registers and walks `in` once; no packing, which for the few rows of
//! a streamed step costs more than the product itself. Cost: out x in x bytes of a weight read once per block of rows,
//! 2 x rows x out x in flops; bound by memory below about 30 rows, by arithmetic above.

use std::ops::Range;

use burn::tensor::{DType, Tensor};
use half::bf16;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{HostView, from_host, is_plain_cpu};

/// Products below this many multiply-adds run on the calling thread: waking the pool costs about as much.
const PARALLEL_MACS_MIN: usize = 1 << 18;
/// `in` is walked in chunks of this many values, so that a tile of the weight stays in the first-level cache while the
/// rows go by. Fixed, because it is part of the summation order.
const CHUNK: usize = 1536;
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
    /// Columns `columns` of the `outputs` rows from `first`, and their stride; widened into `scratch` if need be.
    fn tile<'s>(self, first: usize, outputs: usize, columns: Range<usize>, inner: usize, scratch: &'s mut Vec<f32>) -> (&'s [f32], usize)
    where
        'a: 's,
    {
        let rows = first..first + outputs;
        match self {
            Matrix::Wide(values) => (&values[rows.start * inner + columns.start..(rows.end - 1) * inner + columns.end], inner),
            Matrix::Narrow(values) => {
                scratch.clear();
                for row in rows {
                    let part = &values[row * inner + columns.start..row * inner + columns.end];
                    scratch.extend(part.iter().map(|v| f32::from_bits(u32::from(v.to_bits()) << 16)));
                }
                (scratch, columns.len())
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
    let rows = y.len().checked_div(outer).unwrap_or(0);
    assert_eq!(x.len(), rows * inner, "linear: x does not hold {rows} rows of {inner}");
    assert!(bias.is_none_or(|b| b.len() == outer), "linear: the bias does not hold {outer} values");
    let weight_len = match weight {
        Matrix::Wide(w) => w.len(),
        Matrix::Narrow(w) => w.len(),
    };
    assert_eq!(weight_len, outer * inner, "linear: the weight does not hold {outer} rows of {inner}");
    if inner == 0 {
        y.chunks_mut(outer.max(1)).for_each(|row| row.iter_mut().enumerate().for_each(|(j, y)| *y = bias.map_or(0.0, |b| b[j])));
        return;
    }
    let arch = Arch::new();
    let y = Columns(y.as_mut_ptr());
    let chunk = inner.min(CHUNK);
    let row_block = (ROW_BLOCK_BYTES / (4 * chunk)).max(TILE);
    let task = |block: usize| {
        let outputs = block * TASK_OUTPUTS..((block + 1) * TASK_OUTPUTS).min(outer);
        let mut scratch = Vec::new();
        for first_row in (0..rows).step_by(row_block) {
            let rows = first_row..(first_row + row_block).min(rows);
            for start in (0..inner).step_by(CHUNK) {
                let columns = start..(start + CHUNK).min(inner);
                for first in outputs.clone().step_by(TILE) {
                    let count = (outputs.end - first).min(TILE);
                    let (w, w_stride) = weight.tile(first, count, columns.clone(), inner, &mut scratch);
                    let bias = bias.filter(|_| columns.end == inner).map(|b| &b[first..first + count]);
                    arch.dispatch(Product {
                        x,
                        inner,
                        rows: rows.clone(),
                        columns: columns.clone(),
                        w,
                        w_stride,
                        bias,
                        y: &y,
                        first,
                        count,
                        outer,
                    });
                }
            }
        }
    };
    let blocks = outer.div_ceil(TASK_OUTPUTS);
    if rows * inner * outer < PARALLEL_MACS_MIN { (0..blocks).for_each(task) } else { (0..blocks).into_par_iter().for_each(task) }
}

/// Some columns of some rows of x times the same columns of up to [`TILE`] rows of w, added to y.
struct Product<'a> {
    x: &'a [f32],
    inner: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    w: &'a [f32],
    w_stride: usize,
    /// Added with the last columns.
    bias: Option<&'a [f32]>,
    y: &'a Columns,
    first: usize,
    count: usize,
    outer: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut row = self.rows.start;
        while row < self.rows.end {
            let height = if self.count == TILE { (self.rows.end - row).min(TILE) } else { 1 };
            match (height, self.count) {
                (4, 4) => self.tile::<S, 4, 4>(simd, row, 0),
                (3, 4) => self.tile::<S, 3, 4>(simd, row, 0),
                (2, 4) => self.tile::<S, 2, 4>(simd, row, 0),
                (_, 4) => self.tile::<S, 1, 4>(simd, row, 0),
                (_, count) => (0..count).for_each(|j| self.tile::<S, 1, 1>(simd, row, j)),
            }
            row += height;
        }
    }
}

impl Product<'_> {
    /// H x W dot products at once, from `row` and the tile's output `j`; each sums in the same order as it would alone.
    #[inline(always)]
    fn tile<S: Simd, const H: usize, const W: usize>(&self, simd: S, row: usize, j: usize) {
        let width = self.columns.len();
        let x: [_; H] = std::array::from_fn(|i| {
            let start = (row + i) * self.inner + self.columns.start;
            S::as_simd_f32s(&self.x[start..start + width])
        });
        let w: [_; W] = std::array::from_fn(|k| S::as_simd_f32s(&self.w[(j + k) * self.w_stride..(j + k) * self.w_stride + width]));
        let mut sums = [[simd.splat_f32s(0.0); W]; H];
        for l in 0..x[0].0.len() {
            for (x, sums) in x.iter().zip(&mut sums) {
                for (w, sum) in w.iter().zip(sums) {
                    *sum = simd.mul_add_f32s(x.0[l], w.0[l], *sum);
                }
            }
        }
        if !x[0].1.is_empty() {
            for (x, sums) in x.iter().zip(&mut sums) {
                for (w, sum) in w.iter().zip(sums) {
                    *sum = simd.mul_add_f32s(simd.partial_load_f32s(x.1), simd.partial_load_f32s(w.1), *sum);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (k, sum) in sums.iter().enumerate() {
                self.add(row + i, j + k, simd.reduce_sum_f32s(*sum));
            }
        }
    }

    #[inline(always)]
    fn add(&self, row: usize, j: usize, sum: f32) {
        // SAFETY: `row` and `first + j` are below the row and column counts that `multiply` checked against y's length,
        // and no other task has this column.
        let y = unsafe { &mut *self.y.0.add(row * self.outer + self.first + j) };
        let sum = if self.columns.start == 0 { sum } else { *y + sum };
        *y = self.bias.map_or(sum, |bias| sum + bias[j]);
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
        x.chunks(inner)
            .flat_map(|x| {
                w.chunks(inner)
                    .zip(b)
                    .map(|(w, b)| f64::from(*b) + x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn equals_the_exact_product(rows in 1usize..20, inner in (0usize..3, 1usize..150).prop_map(|(chunks, rest)| chunks * CHUNK + rest), outer in 1usize..140, seed: u32) {
            let (x, w, b) = (values(rows * inner, seed), values(outer * inner, !seed), values(outer, seed / 3));
            let mut y = vec![0.0; rows * outer];
            linear_rows(&x, &w, Some(&b), inner, &mut y);
            for (got, want) in y.iter().zip(exact(&x, &w, &b, inner)) {
                prop_assert!((f64::from(*got) - want).abs() < 2e-6 * inner as f64 + 1e-6, "{got} {want}");
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
        let w =
            Tensor::<2>::from_data(burn::tensor::TensorData::new(values(67 * 130, 3), [67, 130]), (&device, DType::F32)).cast(DType::BF16);
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
