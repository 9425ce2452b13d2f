//! A matrix product with an optional bias.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::checkpoint::LoadError;
use crate::ops;
use crate::weights::{Init, Weights};

/// y = x Wᵀ + b.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Loads `weight` and, if `bias`, `bias` below `weights`. Random weights are uniform within 1 / sqrt(in).
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, inner: usize, outer: usize, bias: bool) -> Result<Self, LoadError> {
        let bound = 1.0 / (inner as f32).sqrt();
        Ok(Self {
            weight: weights.matrix("weight", [outer, inner], Init::Uniform(bound))?,
            bias: if bias { Some(weights.param("bias", [outer], Init::Uniform(bound))?) } else { None },
        })
    }

    /// # Shapes
    /// x: `[rows, in]` → `[rows, out]`
    ///
    /// # Panics
    /// When the width of x is not `in`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}
