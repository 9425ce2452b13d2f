//! Convolution over time of `[time, channel]` rows: causal, symmetric, dilated, strided and (as a plain one with more
//! outputs) transposed.
//!
//! With time outermost every window is a few runs of neighbouring numbers. The CPU version multiplies up to eight rows
//! by a panel of outputs ([`ConvLayout`](super::ConvLayout)): each weight read serves eight rows, each input serves a
//! whole panel, and sums stay in registers. An output sums its taps in one fixed order whatever rows are beside it, so
//! a stream gives the bits of the whole utterance. Cost: 2 x rows x taps x in x out in flops; bound by memory (each
//! weight read once a call) below about eight rows, by arithmetic above.

use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::conv_gradient::ConvGradient;
use super::conv_layout::panel_width;
use super::gradient::{record, tracked, view};
use super::{HostView, from_host, is_plain_cpu};

/// Products below this many multiply-adds run on the calling thread: waking the pool costs about as much.
const PARALLEL_MACS_MIN: usize = 1 << 18;
/// Rows that one task computes: their sums (64 x 48 x 4 bytes) stay in the first-level cache.
const TASK_ROWS: usize = 64;
/// Rows of a panel walked before the next rows of x: at 48 x 4 bytes each a quarter of a 1 MiB second-level cache.
const PANEL_ROWS: usize = 1024;
/// Vectors side by side in a register tile.
const TILE_VECTORS: usize = 3;

/// What a convolution is, apart from its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dShape {
    /// Channels out.
    pub outputs: usize,
    /// Width of the kernel.
    pub taps: usize,
    /// Rows between taps.
    pub dilation: usize,
    /// Rows between windows.
    pub stride: usize,
}

impl Conv1dShape {
    /// Rows that one output sees.
    pub fn span(&self) -> usize {
        (self.taps - 1) * self.dilation + 1
    }

    /// Outputs of `rows` rows: as many as whole windows fit.
    pub fn rows_out(&self, rows: usize) -> usize {
        if rows < self.span() { 0 } else { (rows - self.span()) / self.stride + 1 }
    }
}

/// y[t, o] = b[o] + Σ w[o, c, j] x[t stride + j dilation, c], without padding: the caller pads x as its topology says.
///
/// # Shapes
/// x: `[rows, in]`, weight: panels of [`ConvLayout`](super::ConvLayout), bias: `[out]` → `[rows_out(rows), out]`
///
/// # Panics
/// When the shapes do not fit, or x is shorter than one window.
pub fn conv1d(x: Tensor<2>, weight: Tensor<3>, bias: Tensor<1>, shape: Conv1dShape) -> Tensor<2> {
    let (device, dtype) = (x.device(), x.dtype());
    let ([rows, inputs], [panels, depth, width]) = (x.dims(), weight.dims());
    let rows_out = shape.rows_out(rows);
    assert!(rows_out > 0, "conv1d: {rows} rows, one window needs {}", shape.span());
    assert_eq!(depth, shape.taps * inputs, "conv1d: x has {inputs} channels, the weight {depth} rows for {} taps", shape.taps);
    assert!(
        width == panel_width(shape.outputs) && panels == shape.outputs.div_ceil(width),
        "conv1d: {panels} panels of {width} for {shape:?}"
    );
    if is_plain_cpu(&device) {
        let (x, weight, bias) = (HostView::new(x), HostView::new(weight), HostView::new(bias));
        let mut y = vec![0.0; rows_out * shape.outputs];
        convolve(x.values(), weight.values(), bias.values(), inputs, shape, &mut y);
        return from_host(y, [rows_out, shape.outputs], &device, dtype);
    }
    tracked_conv1d(&x, &weight, &bias, shape).unwrap_or_else(|| composed(x, weight, bias, shape))
}

/// The CPU version with gradients; `None` where the tensors are elsewhere.
fn tracked_conv1d(x: &Tensor<2>, weight: &Tensor<3>, bias: &Tensor<1>, shape: Conv1dShape) -> Option<Tensor<2>> {
    let [rows, inputs] = x.dims();
    let tensors = [tracked(x)?, tracked(weight)?, tracked(bias)?];
    let views = tensors.each_ref().map(view);
    let rows_out = shape.rows_out(rows);
    let mut y = vec![0.0; rows_out * shape.outputs];
    convolve(views[0].values(), views[1].values(), views[2].values(), inputs, shape, &mut y);
    Some(record(&tensors, views, y, [rows_out, shape.outputs], ConvGradient { shape, inputs }))
}

/// What every device can run: all windows side by side, times the weight.
pub(super) fn composed(x: Tensor<2>, weight: Tensor<3>, bias: Tensor<1>, shape: Conv1dShape) -> Tensor<2> {
    let [panels, depth, width] = weight.dims();
    let last = (shape.rows_out(x.dims()[0]) - 1) * shape.stride + 1;
    let windows = (0..shape.taps).map(|tap| {
        let from = tap * shape.dilation;
        x.clone().slice_dim(0, burn::tensor::Slice::new(from as isize, Some((from + last) as isize), shape.stride as isize))
    });
    let windows = Tensor::cat(windows.collect(), 1);
    let weight = weight.swap_dims(0, 1).reshape([depth, panels * width]).slice_dim(1, 0..shape.outputs);
    windows.matmul(weight) + bias.unsqueeze()
}

/// One writer for each block of rows and columns; blocks never overlap, so tasks may share `y` through this pointer.
struct Blocks(*mut f32);
// SAFETY: every task writes only the rows and columns of its own block (see `convolve`), and nobody reads `y` meanwhile.
unsafe impl Send for Blocks {}
// SAFETY: as above.
unsafe impl Sync for Blocks {}

impl Blocks {
    /// # Safety
    /// `start..start + len` lies in `y`, and no other task has a part of it.
    #[allow(clippy::mut_from_ref, reason = "the tasks' blocks never overlap")]
    unsafe fn columns(&self, start: usize, len: usize) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

pub(super) fn convolve(x: &[f32], weight: &[f32], bias: &[f32], inputs: usize, shape: Conv1dShape, y: &mut [f32]) {
    let Conv1dShape { outputs, taps, dilation, stride } = shape;
    let (width, depth) = (panel_width(outputs), taps * inputs);
    let rows = shape.rows_out(x.len() / inputs);
    assert!(
        y.len() == rows * outputs && bias.len() == outputs,
        "conv1d: y has {} and the bias {} values for {rows} rows of {outputs}",
        y.len(),
        bias.len()
    );
    // Runs of neighbouring numbers in a window: without dilation the whole window is one.
    let (runs, run) = if dilation == 1 { (1, depth) } else { (taps, inputs) };
    let arch = Arch::new();
    let blocks = Blocks(y.as_mut_ptr());
    let row_tasks = rows.div_ceil(TASK_ROWS);
    let task = |task: usize| {
        let (panel, first_row) = (task / row_tasks, task % row_tasks * TASK_ROWS);
        let task_rows = TASK_ROWS.min(rows - first_row);
        let columns = panel * width..((panel + 1) * width).min(outputs);
        let mut sums = vec![0.0; task_rows * width];
        sums.chunks_exact_mut(width).for_each(|sums| sums[..columns.len()].copy_from_slice(&bias[columns.clone()]));
        let weight = &weight[panel * depth * width..(panel + 1) * depth * width];
        for (index, weight) in weight.chunks_exact(run * width).take(runs).enumerate() {
            for (part, weight) in weight.chunks(PANEL_ROWS * width).enumerate() {
                let x = &x[first_row * stride * inputs + index * dilation * inputs + part * PANEL_ROWS..];
                arch.dispatch(Product { x, step: stride * inputs, weight, width, sums: &mut sums });
            }
        }
        for (row, sums) in sums.chunks_exact(width).enumerate() {
            let start = (first_row + row) * outputs + columns.start;
            // SAFETY: first_row + row < rows and columns end at `outputs`, so the range lies in y, whose length was
            // checked above; no other task has these rows and columns.
            unsafe { blocks.columns(start, columns.len()) }.copy_from_slice(&sums[..columns.len()]);
        }
    };
    let tasks = outputs.div_ceil(width) * row_tasks;
    if rows * depth * outputs < PARALLEL_MACS_MIN { (0..tasks).for_each(task) } else { (0..tasks).into_par_iter().for_each(task) }
}

/// Adds rows of x, `step` numbers apart, times a part of a panel to the sums.
pub(super) struct Product<'a> {
    pub(super) x: &'a [f32],
    pub(super) step: usize,
    pub(super) weight: &'a [f32],
    pub(super) width: usize,
    pub(super) sums: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let depth = self.weight.len() / self.width;
        let (weight, vectors) = (S::as_simd_f32s(self.weight).0, self.width / S::F32_LANES);
        let sums = S::as_mut_simd_f32s(self.sums).0;
        let rows = sums.len() / vectors;
        let mut row = 0;
        while row < rows {
            // 8 x 3 sums, 3 weights and an input fill 32 registers; 4 x 3 fill 16.
            let height = match rows - row {
                8.. if S::REGISTER_COUNT >= 32 => 8,
                4.. => 4,
                left => left.min(2),
            };
            let tile = Tile {
                x: &self.x[row * self.step..],
                step: self.step,
                depth,
                weight,
                vectors,
                sums: &mut sums[row * vectors..(row + height) * vectors],
            };
            match height {
                8 => tile.all::<S, 8>(simd),
                4 => tile.all::<S, 4>(simd),
                2 => tile.all::<S, 2>(simd),
                _ => tile.all::<S, 1>(simd),
            }
            row += height;
        }
    }
}

struct Tile<'a, V> {
    x: &'a [f32],
    step: usize,
    depth: usize,
    weight: &'a [V],
    vectors: usize,
    sums: &'a mut [V],
}

impl<V: Copy> Tile<'_, V> {
    /// H rows times all columns of the panel.
    #[inline(always)]
    fn all<S: Simd<f32s = V>, const H: usize>(mut self, simd: S) {
        for first in (0..self.vectors).step_by(TILE_VECTORS) {
            match self.vectors - first {
                1 => self.some::<S, H, 1>(simd, first),
                2 => self.some::<S, H, 2>(simd, first),
                _ => self.some::<S, H, TILE_VECTORS>(simd, first),
            }
        }
    }

    /// H rows times W vectors of columns; every sum adds in the order of the panel's rows.
    #[inline(always)]
    fn some<S: Simd<f32s = V>, const H: usize, const W: usize>(&mut self, simd: S, first: usize) {
        let x: [&[f32]; H] = std::array::from_fn(|h| &self.x[h * self.step..h * self.step + self.depth]);
        let mut sums: [[V; W]; H] = std::array::from_fn(|h| std::array::from_fn(|w| self.sums[h * self.vectors + first + w]));
        for (k, weight) in self.weight.chunks_exact(self.vectors).take(self.depth).enumerate() {
            let weight: &[V; W] = weight[first..].first_chunk().expect("a tile lies inside its panel");
            for (x, sums) in x.iter().zip(&mut sums) {
                // SAFETY: k < depth, the length that every one of these slices was cut to. Eight checks for each 24
                // multiplications would cost a third of the time.
                let x = simd.splat_f32s(unsafe { *x.get_unchecked(k) });
                for (weight, sum) in weight.iter().zip(sums) {
                    *sum = simd.mul_add_f32s(x, *weight, *sum);
                }
            }
        }
        for (h, sums) in sums.iter().enumerate() {
            self.sums[h * self.vectors + first..h * self.vectors + first + W].copy_from_slice(sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConvLayout;
    use super::*;
    use burn::tensor::{Device, TensorData};
    use proptest::prelude::*;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32).map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 8_388_608.0) - 1.0).collect()
    }

    /// The definition, in f64, from the published weight `[outputs, inputs, taps]`.
    fn exact(x: &[f32], w: &[f32], b: &[f32], inputs: usize, s: Conv1dShape) -> Vec<f64> {
        let rows = s.rows_out(x.len() / inputs);
        let term = |t: usize, o: usize, c: usize, j: usize| {
            f64::from(x[(t * s.stride + j * s.dilation) * inputs + c]) * f64::from(w[(o * inputs + c) * s.taps + j])
        };
        let sum =
            |t: usize, o: usize| (0..inputs).flat_map(|c| (0..s.taps).map(move |j| (c, j))).map(|(c, j)| term(t, o, c, j)).sum::<f64>();
        (0..rows).flat_map(|t| (0..s.outputs).map(move |o| (t, o))).map(|(t, o)| f64::from(b[o]) + sum(t, o)).collect()
    }

    fn run(device: &Device, x: &[f32], w: &[f32], b: &[f32], inputs: usize, shape: Conv1dShape) -> Vec<f32> {
        let layout = ConvLayout::Plain { outputs: shape.outputs, inputs, taps: shape.taps };
        let x = Tensor::<2>::from_data(TensorData::new(x.to_vec(), [x.len() / inputs, inputs]), device);
        let w = Tensor::<3>::from_data(TensorData::new(layout.to_panels(w), layout.panels()), device);
        let b = Tensor::<1>::from_data(TensorData::new(b.to_vec(), [shape.outputs]), device);
        conv1d(x, w, b, shape).into_data().try_to_vec().unwrap()
    }

    fn shapes() -> impl Strategy<Value = (usize, Conv1dShape, usize)> {
        let parts = (1usize..20, 1usize..110, 1usize..8, 1usize..5, 1usize..4, 0usize..150);
        parts.prop_map(|(inputs, outputs, taps, dilation, stride, extra)| {
            let shape = Conv1dShape { outputs, taps, dilation, stride };
            (inputs, shape, shape.span() + extra)
        })
    }

    proptest! {
        #[test]
        fn both_versions_equal_the_definition((inputs, shape, rows) in shapes(), seed: u32) {
            let (x, w, b) = (values(rows * inputs, seed), values(shape.outputs * inputs * shape.taps, !seed), values(shape.outputs, seed / 3));
            let want = exact(&x, &w, &b, inputs, shape);
            for device in [Device::flex(), Device::flex().autodiff()] {
                let got = run(&device, &x, &w, &b, inputs, shape);
                prop_assert_eq!(got.len(), want.len());
                for (got, want) in got.iter().zip(&want) {
                    prop_assert!((f64::from(*got) - want).abs() < 1e-5 * (shape.taps * inputs) as f64, "{got} {want}");
                }
            }
        }

        #[test]
        fn a_row_does_not_depend_on_the_rows_beside_it((inputs, shape, rows) in shapes(), seed: u32) {
            let (x, w, b) = (values(rows * inputs, seed), values(shape.outputs * inputs * shape.taps, !seed), values(shape.outputs, seed / 3));
            let together = run(&Device::flex(), &x, &w, &b, inputs, shape);
            for (row, together) in together.chunks(shape.outputs).enumerate().step_by(5) {
                let x = &x[row * shape.stride * inputs..(row * shape.stride + shape.span()) * inputs];
                prop_assert_eq!(run(&Device::flex(), x, &w, &b, inputs, shape), together);
            }
        }
    }

    #[test]
    fn long_windows_and_many_rows_are_cut_into_blocks_that_fit_together() {
        let (inputs, shape) = (300, Conv1dShape { outputs: 100, taps: 7, dilation: 1, stride: 1 });
        let (x, w, b) = (values(140 * inputs, 1), values(100 * inputs * 7, 2), values(100, 3));
        let got = run(&Device::flex(), &x, &w, &b, inputs, shape);
        for (got, want) in got.iter().zip(exact(&x, &w, &b, inputs, shape)) {
            assert!((f64::from(*got) - want).abs() < 1e-3, "{got} {want}");
        }
    }

    #[test]
    fn gradients_reach_the_published_elements_only() {
        let device = Device::flex().autodiff();
        let layout = ConvLayout::Plain { outputs: 3, inputs: 2, taps: 2 };
        let w = Tensor::<3>::from_data(TensorData::new(layout.to_panels(&values(12, 1)), layout.panels()), &device).require_grad();
        let x = Tensor::<2>::from_data(TensorData::new(values(10, 2), [5, 2]), &device);
        let y = conv1d(x, w.clone(), Tensor::zeros([3], &device), Conv1dShape { outputs: 3, taps: 2, dilation: 1, stride: 1 });
        let grads = w.grad(&y.sum().backward()).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(grads.iter().filter(|g| **g != 0.0).count(), 12);
    }
}
