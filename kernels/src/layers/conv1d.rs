//! A convolution over time, stored under weight normalisation.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::checkpoint::LoadError;
use crate::ops::{self, Conv1dShape, ConvLayout};
use crate::weights::{Init, Weights};

/// y[t, o] = b[o] + Σ w[o, c, j] x[t stride + j dilation, c]; the caller pads.
#[derive(Module, Debug)]
pub struct Conv1d {
    /// Panels of [`ConvLayout::Plain`].
    pub weight: Param<Tensor<3>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
    /// Channels in.
    pub inputs: usize,
    /// Width of the kernel.
    pub taps: usize,
    /// Rows between taps.
    pub dilation: usize,
    /// Rows between windows.
    pub stride: usize,
}

impl Conv1d {
    /// Loads `weight_g`, `weight_v` and `bias` below `weights`. Random weights are uniform within
    /// 1 / sqrt(in x taps).
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, inputs: usize, shape: Conv1dShape) -> Result<Self, LoadError> {
        let Conv1dShape { outputs, taps, dilation, stride } = shape;
        let init = Init::Uniform(1.0 / ((inputs * taps) as f32).sqrt());
        let weight = weights.convolution("weight", ConvLayout::Plain { outputs, inputs, taps }, init)?;
        Ok(Self { weight, bias: weights.param("bias", [outputs], init)?, inputs, taps, dilation, stride })
    }

    /// What it is, apart from its numbers.
    pub fn shape(&self) -> Conv1dShape {
        let [outputs] = self.bias.val().dims();
        Conv1dShape { outputs, taps: self.taps, dilation: self.dilation, stride: self.stride }
    }

    /// # Shapes
    /// x: `[rows, in]`, at least one window → `[(rows - span) / stride + 1, out]`
    ///
    /// # Panics
    /// When x is shorter than one window or has other channels.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::conv1d(x, self.weight.val(), self.bias.val(), self.shape())
    }
}
