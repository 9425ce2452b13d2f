//! Root-mean-square normalisation over the last axis.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::checkpoint::LoadError;
use crate::ops;
use crate::weights::{Init, Weights};

/// y = w x / sqrt(mean(x²) + eps).
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[width]`
    pub weight: Param<Tensor<1>>,
    /// Added to the mean square; comes from the model's config.
    pub eps: f64,
}

impl RmsNorm {
    /// Loads `weight` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with the tensor.
    pub fn load(weights: &Weights, width: usize, eps: f64) -> Result<Self, LoadError> {
        Ok(Self { weight: weights.param("weight", [width], Init::Ones)?, eps })
    }

    /// # Shapes
    /// x: `[rows, width]` → `[rows, width]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::rms_norm(x, self.weight.val(), self.eps)
    }
}
