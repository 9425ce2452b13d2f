//! The audio projector (hop 5): from the audio encoder's width to the language model's.
//!
//! Source: LongCat-Flash-Omni §2.2 and its published audio projector.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, activation};
use caracal_kernels::layers::Linear;
use caracal_kernels::{Checkpoint, LoadError, Weights};

/// P2 gelu(P1 x + p1) + p2, row by row: it needs no state.
#[derive(Module, Debug)]
pub struct AudioProjector {
    first: Linear,
    second: Linear,
}

impl AudioProjector {
    /// Reads `audio_projector.safetensors` or `.pt` in `folder`. The output width is that of the file, since the audio
    /// encoder's config need not say it. On the CPU, matrices that the file stores in bf16 stay so.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the tensor; foreign and left-over tensors are refused.
    pub fn open(folder: &Path, input: usize, output: Option<usize>, device: &Device, dtype: DType) -> Result<Self, LoadError> {
        let checkpoint = Checkpoint::open_part(folder, "audio_projector")?;
        let stored = checkpoint.get("2.weight").and_then(|t| t.shape.first().copied());
        // Without the tensor any width leads to the error that names it.
        let output = output.or(stored).unwrap_or(input);
        let projector = Self::load(&Weights::from_checkpoint(&checkpoint, device, dtype).keep_narrow(), input, output)?;
        checkpoint.refuse_unread(|_| false)?;
        Ok(projector)
    }

    /// Loads both layers below `weights`: `input` is the audio encoder's output width, `output` the language model's.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, LoadError> {
        Ok(Self {
            first: Linear::load(&weights.at("0"), input, output, true)?,
            second: Linear::load(&weights.at("2"), output, output, true)?,
        })
    }

    /// Width of an embedding.
    pub fn output_size(&self) -> usize {
        self.second.weight.dims()[0]
    }

    /// # Shapes
    /// x: `[n, input]` → `[n, output]`
    ///
    /// # Panics
    /// When x has another width.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.second.forward(activation::gelu(self.first.forward(x)))
    }
}
