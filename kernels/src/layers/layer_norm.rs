//! Layer normalisation over the last axis: biased variance, weight and bias.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use crate::checkpoint::LoadError;
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
        let dtype = x.dtype();
        let wide = |t: Tensor<2>| if dtype == DType::F32 { t } else { t.cast(DType::F32) };
        let x = wide(x);
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().powi_scalar(2).mean_dim(1);
        let y = centred / (variance + LAYER_NORM_EPS).sqrt() * wide(self.weight.val().unsqueeze()) + wide(self.bias.val().unsqueeze());
        if dtype == DType::F32 { y } else { y.cast(dtype) }
    }
}
