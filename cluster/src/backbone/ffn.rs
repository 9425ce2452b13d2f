//! down( silu(gate(x)) * up(x) ): the dense feed-forward network, and the inside of an expert.

use burn::module::Module;
use burn::tensor::Tensor;
use caracal_kernels::ops;
use caracal_kernels::{LoadError, Weights};

use super::projection::{Projection, Stored};

/// A gated feed-forward network without biases.
#[derive(Module, Debug)]
pub struct Ffn {
    /// `[inner, hidden]`
    pub gate_proj: Projection,
    /// `[inner, hidden]`
    pub up_proj: Projection,
    /// `[hidden, inner]`
    pub down_proj: Projection,
}

impl Ffn {
    /// Loads the three matrices below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, hidden: usize, inner: usize, stored: &Stored) -> Result<Self, LoadError> {
        Ok(Self {
            gate_proj: Projection::load(&weights.at("gate_proj"), hidden, inner, stored)?,
            up_proj: Projection::load(&weights.at("up_proj"), hidden, inner, stored)?,
            down_proj: Projection::load(&weights.at("down_proj"), inner, hidden, stored)?,
        })
    }

    /// # Shapes
    /// x: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let gate = self.gate_proj.forward(x.clone());
        self.down_proj.forward(ops::swiglu(gate, self.up_proj.forward(x)))
    }
}
