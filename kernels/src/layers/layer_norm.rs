//! Layer normalisation over the last axis: biased variance, weight and bias.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::checkpoint::LoadError;
use crate::ops;
use crate::weights::{Init, Weights};

/// The eps of every LayerNorm in the published networks.
pub const LAYER_NORM_EPS: f64 = 1e-5;

/// y = (x - mean) / sqrt(var + 1e-5) w + b.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[width]`
    pub weight: Param<Tensor<1>>,
    /// `[width]`
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// Loads `weight` and `bias` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, width: usize) -> Result<Self, LoadError> {
        Ok(Self { weight: weights.param("weight", [width], Init::Ones)?, bias: weights.param("bias", [width], Init::Zeros)? })
    }

    /// Statistics in f32 whatever the format of x.
    ///
    /// # Shapes
    /// x: `[rows, width]` → `[rows, width]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::layer_norm(x, self.weight.val(), self.bias.val(), LAYER_NORM_EPS)
    }
}
