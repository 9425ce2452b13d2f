//! Snake activation with its learned frequencies.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use caracal_kernels::weights::{Init, Weights};
use caracal_kernels::{LoadError, ops};

/// x + sin²(αx) / (α + 1e-9). Zero stays zero, so padding before it equals padding after it.
#[derive(Module, Debug)]
pub struct Snake {
    /// `[1, channels, 1]`
    pub alpha: Param<Tensor<3>>,
}

impl Snake {
    /// Loads `alpha` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with the tensor.
    pub fn load(weights: &Weights, channels: usize) -> Result<Self, LoadError> {
        Ok(Self { alpha: weights.param("alpha", [1, channels, 1], Init::Ones)? })
    }

    /// # Shapes
    /// x: `[rows, channels]` → `[rows, channels]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let alpha = self.alpha.val();
        let [_, channels, _] = alpha.dims();
        ops::snake(x, alpha.reshape([channels]))
    }
}
