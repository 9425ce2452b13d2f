//! The projector: two neighbouring patches become one token of the language model's width.
//!
//! The published "2x pixel unshuffle" joins patches along the width only; as rows are row-major this is a plain reshape.
//!
//! Source: LongCat-Flash-Omni §2.1; vision.md section 3.

use burn::module::Module;
use burn::tensor::{Tensor, activation};
use caracal_kernels::layers::{LayerNorm, Linear};
use caracal_kernels::{LoadError, Weights};

use super::config::VitConfig;

/// LayerNorm, then three linear layers with GELU between them.
#[derive(Module, Debug)]
pub struct VisionProjector {
    norm: LayerNorm,
    /// `[adaptor, 2 hidden]`
    widen: Linear,
    /// `[adaptor, adaptor]`
    mix: Linear,
    /// `[output, adaptor]`
    proj: Linear,
}

impl VisionProjector {
    /// Loads the tensors of `vision_projector` below `weights`; `output` is the width of the language model.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &VitConfig, output: usize) -> Result<Self, LoadError> {
        let (pair, adaptor) = (2 * config.hidden_size, config.adaptor_dim);
        let first = weights.at("p0");
        Ok(Self {
            norm: LayerNorm::load(&first.at(0), pair)?,
            widen: Linear::load(&first.at(1), pair, adaptor, true)?,
            mix: Linear::load(&first.at(3), adaptor, adaptor, true)?,
            proj: Linear::load(&weights.at("proj"), adaptor, output, true)?,
        })
    }

    /// # Shapes
    /// x: `[patches, hidden]`, units of an even number of columns one after the other → `[patches / 2, output]`
    ///
    /// # Panics
    /// When the number of patches is odd.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [patches, hidden] = x.dims();
        assert!(patches.is_multiple_of(2), "a grid has an odd number of columns");
        let x = self.norm.forward(x.reshape([patches / 2, 2 * hidden]));
        let x = activation::gelu(self.widen.forward(x));
        let x = activation::gelu(self.mix.forward(x));
        self.proj.forward(x)
    }
}
