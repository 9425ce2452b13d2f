//! Gradients of [`super::conv1d`]: by the input it is a convolution again, by the weight a product of all windows with
//! all output gradients. Both run on the convolution's own register tiles.

use pulp::Arch;
use rayon::prelude::*;

use super::conv_layout::panel_width;
use super::conv1d::{Conv1dShape, Product, convolve};
use super::gradient::HostGradient;

/// Rows of output gradients multiplied at once: at 48 x 4 bytes each they stay in the second-level cache.
const ROWS: usize = 1024;

/// What the gradients of a convolution hang on, beside its inputs x, weight and bias.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvGradient {
    pub(super) shape: Conv1dShape,
    pub(super) inputs: usize,
}

impl HostGradient<3> for ConvGradient {
    fn gradients(&self, [x, weight, _]: [&[f32]; 3], dy: &[f32], wanted: [bool; 3]) -> [Option<Vec<f32>>; 3] {
        let bias = || {
            let mut sums = vec![0.0; self.shape.outputs];
            dy.chunks_exact(self.shape.outputs).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v));
            sums
        };
        [wanted[0].then(|| self.by_input(x, weight, dy)), wanted[1].then(|| self.by_weight(x, dy)), wanted[2].then(bias)]
    }
}

impl ConvGradient {
    /// Row q stride + p of x was read by tap p + m stride of output q - m dilation: a convolution over the output
    /// gradients with taps turned round, whose outputs are the `stride` phases p.
    fn by_input(&self, x: &[f32], weight: &[f32], dy: &[f32]) -> Vec<f32> {
        let Conv1dShape { outputs, taps, dilation, stride } = self.shape;
        let inputs = self.inputs;
        assert!(stride == 1 || dilation == 1, "conv1d: no gradient for {:?}", self.shape);
        let turned = Conv1dShape { outputs: stride * inputs, taps: taps.div_ceil(stride), dilation, stride: 1 };
        let (width, depth) = (panel_width(outputs), taps * inputs);
        let (turned_width, turned_depth) = (panel_width(turned.outputs), turned.taps * outputs);
        let mut panels = vec![0.0; turned.outputs.div_ceil(turned_width) * turned_depth * turned_width];
        for tap in 0..taps {
            let (m, phase) = (tap / stride, tap % stride);
            for c in 0..inputs {
                let column = phase * inputs + c;
                let target =
                    (column / turned_width * turned_depth + (turned.taps - 1 - m) * outputs) * turned_width + column % turned_width;
                for o in 0..outputs {
                    let from = (o / width * depth + tap * inputs + c) * width + o % width;
                    panels[target + o * turned_width] = weight[from];
                }
            }
        }
        let margin = turned.span() - 1;
        let mut padded = vec![0.0; dy.len() + 2 * margin * outputs];
        padded[margin * outputs..margin * outputs + dy.len()].copy_from_slice(dy);
        let rows = dy.len() / outputs + margin;
        let mut dx = vec![0.0; rows * turned.outputs];
        convolve(&padded, &panels, &vec![0.0; turned.outputs], outputs, turned, &mut dx);
        // Rows after the last window have no gradient; places after the last row are none.
        dx.resize(x.len(), 0.0);
        dx
    }

    /// In the panels of the weight. With x turned channel-major, a tap's part of a panel is the product of runs of x
    /// with the panel's columns of the output gradients.
    fn by_weight(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let Conv1dShape { outputs, taps, dilation, stride } = self.shape;
        let inputs = self.inputs;
        let (width, depth, rows) = (panel_width(outputs), taps * inputs, dy.len() / outputs);
        let x_rows = x.len() / inputs;
        // For each phase of the stride: channels of rows phase, phase + stride, …
        let length = x_rows.div_ceil(stride);
        let mut turned = vec![0.0; stride * inputs * length];
        for (row, values) in x.chunks_exact(inputs).enumerate() {
            let place = row % stride * inputs * length + row / stride;
            values.iter().enumerate().for_each(|(c, value)| turned[place + c * length] = *value);
        }
        let arch = Arch::new();
        let mut panels = vec![0.0; outputs.div_ceil(width) * depth * width];
        panels.par_chunks_exact_mut(depth * width).enumerate().for_each(|(panel, sums)| {
            let columns = panel * width..((panel + 1) * width).min(outputs);
            let mut part = vec![0.0; ROWS.min(rows) * width];
            for first in (0..rows).step_by(ROWS) {
                let count = ROWS.min(rows - first);
                for (row, part) in part.chunks_exact_mut(width).take(count).enumerate() {
                    let start = (first + row) * outputs;
                    part[..columns.len()].copy_from_slice(&dy[start + columns.start..start + columns.end]);
                }
                for (tap, sums) in sums.chunks_exact_mut(inputs * width).enumerate() {
                    let offset = tap * dilation;
                    let x = &turned[offset % stride * inputs * length + offset / stride + first..];
                    arch.dispatch(Product { x, step: length, weight: &part[..count * width], width, sums });
                }
            }
        });
        panels
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor, TensorData};

    use super::super::conv1d::{composed, conv1d};
    use super::super::{Conv1dShape, ConvLayout};

    #[test]
    fn equal_those_of_the_composition() {
        let device = Device::flex().autodiff();
        let shapes = [
            (16, 16, 7, 9, 1, 90),
            (3, 50, 7, 1, 1, 1100),
            (20, 33, 1, 1, 1, 40),
            (5, 12, 8, 1, 4, 47),
            (4, 6, 10, 1, 5, 64),
            (70, 1, 7, 1, 1, 30),
        ];
        for (inputs, outputs, taps, dilation, stride, rows) in shapes {
            let shape = Conv1dShape { outputs, taps, dilation, stride };
            let layout = ConvLayout::Plain { outputs, inputs, taps };
            let published: Vec<f32> = (0..outputs * inputs * taps).map(|i| (i as f32 * 0.7).sin()).collect();
            let weight = TensorData::new(layout.to_panels(&published), layout.panels());
            let x = Tensor::<2>::random([rows, inputs], Distribution::Default, &Device::flex()).into_data();
            let results = [true, false].map(|fast| {
                let x = Tensor::<2>::from_data(x.clone(), &device).require_grad();
                let weight = Tensor::<3>::from_data(weight.clone(), &device).require_grad();
                let bias = Tensor::<1>::ones([outputs], &device).require_grad();
                let y = if fast {
                    conv1d(x.clone(), weight.clone(), bias.clone(), shape)
                } else {
                    composed(x.clone(), weight.clone(), bias.clone(), shape)
                };
                let gradients = (y.clone() * y.clone().sin()).sum().backward();
                let values = |data: TensorData| data.try_to_vec::<f32>().unwrap();
                let y = values(y.into_data());
                [
                    y,
                    values(x.grad(&gradients).unwrap().into_data()),
                    values(weight.grad(&gradients).unwrap().into_data()),
                    values(bias.grad(&gradients).unwrap().into_data()),
                ]
            });
            for (part, (fast, composed)) in results[0].iter().zip(&results[1]).enumerate() {
                let most = composed.iter().fold(1.0f32, |most, v| most.max(v.abs()));
                assert_eq!(fast.len(), composed.len());
                for (fast, composed) in fast.iter().zip(composed) {
                    assert!((fast - composed).abs() < 1e-3 * most, "{shape:?}, part {part}: {fast}, not {composed}");
                }
            }
        }
    }
}
