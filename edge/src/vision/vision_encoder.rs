//! Eyes: the encoder, the projector and the pooling of one model, from its files.
//!
//! On the road: pictures → [`super::Preprocessor`] → this → rows that replace the picture placeholders of the prompt.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_kernels::{Checkpoint, LoadError, Weights};

use super::config::{VisionConfig, VitConfig};
use super::patches::Grid;
use super::rope::RopeTable;
use super::{LongCatVit, VisionProjector, VisualUnit, pool};

/// Patches that go through the encoder at once, if one unit does not have more: bounds memory (a row of the widest
/// activation of the released model is 14 kB) and loses no speed.
const PATCHES_AT_ONCE: usize = 2048;

/// Encoder and projector.
#[derive(Debug)]
pub struct VisionEncoder {
    vit: LongCatVit,
    projector: VisionProjector,
    patch_values: usize,
    dtype: DType,
    device: Device,
}

impl VisionEncoder {
    /// Loads `vision/config.json`, `vision/vision_model` and `vision/vision_projector` (`.safetensors` or `.pt`) of the
    /// model in `folder`; `output` is the width of its language model.
    ///
    /// # Errors
    /// [`LoadError`]: whatever is wrong with one of the files.
    pub fn open(folder: &Path, output: usize, device: &Device, dtype: DType, rope: RopeTable) -> Result<(Self, VisionConfig), LoadError> {
        let folder = folder.join("vision");
        let config = VisionConfig::read(&folder)?;
        let model = Checkpoint::open_part(&folder, "vision_model")?;
        let projector = Checkpoint::open_part(&folder, "vision_projector")?;
        let weights = |file| Weights::from_checkpoint(file, device, dtype).keep_narrow();
        let encoder = Self::load(&weights(&model), &weights(&projector), &config.vit, output, rope)?;
        model.refuse_unread(|_| false)?;
        projector.refuse_unread(|_| false)?;
        Ok((encoder, config))
    }

    /// Loads the two networks from the places of their tensors.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(model: &Weights, projector: &Weights, config: &VitConfig, output: usize, rope: RopeTable) -> Result<Self, LoadError> {
        Ok(Self {
            vit: LongCatVit::load(model, config, rope)?,
            projector: VisionProjector::load(projector, config, output)?,
            patch_values: config.patch_values(),
            dtype: model.dtype(),
            device: model.device().clone(),
        })
    }

    /// The tokens of every unit, pooled to the grid beside it (as [`super::target_grid`] gives it).
    ///
    /// # Shapes
    /// → `[tokens of the unit, output]` each
    ///
    /// # Panics
    /// When a unit's rows are not those of its grid.
    pub fn embed(&self, units: &[(&VisualUnit, Grid)]) -> Vec<Tensor<2>> {
        let mut tokens = Vec::with_capacity(units.len());
        let mut rest = units;
        while !rest.is_empty() {
            let mut patches = 0;
            let fitting = rest.iter().take_while(|(unit, _)| {
                patches += unit.grid.count();
                patches <= PATCHES_AT_ONCE
            });
            let (batch, later) = rest.split_at(fitting.count().max(1));
            tokens.extend(self.embed_batch(batch));
            rest = later;
        }
        tokens
    }

    /// What the ViT gives for some units, before the projector.
    ///
    /// # Shapes
    /// → `[patches of all units, hidden]`
    ///
    /// # Panics
    /// When a unit's rows are not those of its grid.
    pub fn patches(&self, units: &[&VisualUnit]) -> Tensor<2> {
        let grids: Vec<Grid> = units.iter().map(|unit| unit.grid).collect();
        let patches: usize = grids.iter().map(|grid| grid.count()).sum();
        let rows: Vec<f32> = units.iter().flat_map(|unit| unit.rows.iter().copied()).collect();
        self.vit.forward(Tensor::from_data(TensorData::new(rows, [patches, self.patch_values]), (&self.device, self.dtype)), &grids)
    }

    /// The tokens of such patches.
    ///
    /// # Shapes
    /// `[patches, hidden]` → `[patches / 2, output]`
    ///
    /// # Panics
    /// When the number of patches is odd.
    pub fn project(&self, patches: Tensor<2>) -> Tensor<2> {
        self.projector.forward(patches)
    }

    fn embed_batch(&self, units: &[(&VisualUnit, Grid)]) -> Vec<Tensor<2>> {
        let projected = self.project(self.patches(&units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>()));
        let mut first = 0;
        let one = |(unit, target): &(&VisualUnit, Grid)| {
            let from = unit.grid.tokens();
            let tokens = projected.clone().narrow(0, first, from.count());
            first += from.count();
            pool(tokens, from, *target)
        };
        units.iter().map(one).collect()
    }
}
