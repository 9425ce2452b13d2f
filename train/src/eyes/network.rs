//! The networks of this stage: the ViT and the projector that are shipped, and the auxiliary heads that are not.

use std::path::Path;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use caracal_edge::vision::{
    CONFIG_FILE, Grid, LongCatVit, PostSqueezeConfig, PreprocessConfig, RopeTable, VisionConfig, VisionProjector, VisualUnit, VitConfig,
};
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::layers::Linear;
use caracal_kernels::{Checkpoint, Weights};
use serde_json::Value;

use super::sample::Sample;
use super::targets::{Names, PATCH_GROUPS, TOKEN_GROUPS, Targets, width};

/// Width of the language model, and so of what the projector gives.
pub const OUTPUT: usize = crate::brain::shape::WIDTH;
/// Width of the ViT.
const HIDDEN: usize = 96;
/// Width of what becomes one row: two neighbouring patches.
pub const PAIR: usize = 2 * HIDDEN;
/// Patches of a picture: 8 x 8 of a square one, 32 rows for the language model. It also bounds a live unit.
pub const PATCHES_MAX: u64 = 64;
/// Fewest patches: smaller pictures are enlarged to at least 6 x 6.
const PATCHES_MIN: u64 = 36;
/// A grid of eight columns needs short waves only.
const ROPE_THETA: f64 = 30.0;
/// Units of a video that get [`PATCHES_MAX`] each; longer ones get smaller pictures.
const FULL_UNITS: u64 = 64;
/// Rows of a conversation above which its pictures are pooled: half of the context.
const ROWS_MAX: u64 = 2048;
/// Weight of the distance of the rows from what they should say, in lengths of a word's vector.
const ROW_WEIGHT: f32 = 1.0;
/// Rows are as small as vectors of words; a head reads them this much larger.
const READ_GAIN: f32 = 16.0;
/// The parts by the names of their files.
const PARTS: [&str; 3] = ["vision_model", "vision_projector", "heads"];

/// The shape of kitten's eyes.
pub fn config() -> VisionConfig {
    let patch_size = 14;
    VisionConfig {
        vit: VitConfig {
            hidden_size: HIDDEN,
            num_hidden_layers: 6,
            num_attention_heads: 4,
            intermediate_size: 384,
            patch_size,
            temporal_patch_size: 2,
            patch_embedding_bias: true,
            qkv_bias: true,
            qk_normalization: true,
            rope_theta: ROPE_THETA,
            spatial_merge_size: 1,
            layer_norm_eps: 1e-6,
            initializer_factor: 0.5,
            adaptor_dim: 256,
            hidden_act: "SwiGLU".to_string(),
        },
        preprocess: PreprocessConfig {
            resolution_mode: "native".to_string(),
            image_mean: [0.485, 0.456, 0.406],
            image_std: [0.229, 0.224, 0.225],
            patch_size,
            spatial_merge_size: 1,
            resize_factor: 2,
            relarge_ratio: 1.0,
            min_tokens: PATCHES_MIN,
            max_tokens: PATCHES_MAX,
            min_tokens_video_vit: Some(PATCHES_MIN),
            max_tokens_video_vit: Some(PATCHES_MAX * FULL_UNITS),
        },
        post_squeeze: PostSqueezeConfig { patch_size, max_tokens: PATCHES_MAX, min_tokens_video: 8, max_tokens_video: ROWS_MAX },
    }
}

/// Linear readings of the ViT's patches and of the projector's tokens.
#[derive(Module, Debug)]
pub struct Heads {
    patches: Linear,
    tokens: Linear,
}

/// All three networks.
#[derive(Module, Debug)]
pub struct Networks {
    vit: LongCatVit,
    projector: VisionProjector,
    heads: Heads,
}

impl Heads {
    fn load(weights: &Weights) -> Result<Self> {
        Ok(Self {
            patches: Linear::load(&weights.at("patches"), config().vit.hidden_size, width(&PATCH_GROUPS), true)?,
            tokens: Linear::load(&weights.at("tokens"), OUTPUT, width(&TOKEN_GROUPS), true)?,
        })
    }

    /// What the rows for the language model say.
    ///
    /// # Shapes
    /// rows: `[tokens, OUTPUT]` → `[tokens, classes of TOKEN_GROUPS]`
    fn read_tokens(&self, rows: Tensor<2>) -> Tensor<2> {
        self.tokens.forward(rows * READ_GAIN)
    }
}

/// The networks with their names.
pub struct Named {
    /// What is trained.
    pub networks: Networks,
    names: [Weights<'static>; 3],
}

impl Named {
    /// Networks that know nothing yet.
    ///
    /// # Errors
    /// When the config contradicts itself.
    pub fn random(seed: u64, device: &Device) -> Result<Self> {
        let names = std::array::from_fn(|part| Weights::random(seed * 16 + part as u64, device));
        Ok(Self { networks: load(&names)?, names })
    }

    /// Networks from `folder`, as [`Named::save`] or [`Named::ship`] wrote them. They can be saved again.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let mut files = Vec::new();
        for part in PARTS {
            // The heads are not shipped: from a checkpoint alone they begin anew.
            let there = part != PARTS[2] || folder.join(format!("{part}.safetensors")).exists();
            files.push(if there { Some(Checkpoint::open_part(folder, part)?) } else { None });
        }
        let places: [Weights; 3] = std::array::from_fn(|part| match &files[part] {
            Some(file) => Weights::from_checkpoint(file, device, DType::F32),
            None => Weights::random(part as u64, device),
        });
        let networks = load(&places)?;
        let names = std::array::from_fn(|part| places[part].without_file(part as u64));
        Ok(Self { networks, names })
    }

    /// Writes what is trained to `folder`, in full precision.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        let file = |part: usize| folder.join(format!("{}.safetensors", PARTS[part]));
        self.names[0].save(&self.networks.vit, &file(0), StoredDtype::F32)?;
        self.names[1].save(&self.networks.projector, &file(1), StoredDtype::F32)?;
        Ok(self.names[2].save(&self.networks.heads, &file(2), StoredDtype::F32)?)
    }

    /// Writes what is shipped to `model/vision`, in bf16, with its config.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn ship(&self, model: &Path) -> Result<()> {
        let folder = model.join("vision");
        std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        let file = |part: usize| folder.join(format!("{}.safetensors", PARTS[part]));
        self.names[0].save(&self.networks.vit, &file(0), StoredDtype::Bf16)?;
        self.names[1].save(&self.networks.projector, &file(1), StoredDtype::Bf16)?;
        let text = format!("{:#}\n", Value::from(config().to_json()));
        let config = folder.join(CONFIG_FILE);
        std::fs::write(&config, text).with_context(|| format!("{}: cannot be written", config.display()))
    }
}

fn load(weights: &[Weights<'_>; 3]) -> Result<Networks> {
    let config = config().vit;
    Ok(Networks {
        vit: LongCatVit::load(&weights[0], &config, RopeTable::Demo)?,
        projector: VisionProjector::load(&weights[1], &config, OUTPUT)?,
        heads: Heads::load(&weights[2])?,
    })
}

/// What the networks say about a batch.
pub struct Readings {
    /// `[patches, classes of PATCH_GROUPS]`
    pub patches: Tensor<2>,
    /// `[tokens, classes of TOKEN_GROUPS]`
    pub tokens: Tensor<2>,
    /// What the language model gets, `[tokens, OUTPUT]`
    pub rows: Tensor<2>,
}

impl Networks {
    /// Everything that is said about some units.
    pub fn read(&self, units: &[&VisualUnit], device: &Device) -> Readings {
        let grids: Vec<Grid> = units.iter().map(|unit| unit.grid).collect();
        let values: Vec<f32> = units.iter().flat_map(|unit| unit.rows.iter().copied()).collect();
        let width = config().vit.patch_values();
        let pixels = Tensor::from_data(TensorData::new(values, [grids.iter().map(|grid| grid.count()).sum(), width]), device);
        let seen = self.vit.forward(pixels, &grids);
        let rows = self.projector.forward(seen.clone());
        Readings { patches: self.heads.patches.forward(seen), tokens: self.heads.read_tokens(rows.clone()), rows }
    }

    /// The loss of a batch.
    pub fn loss(&self, samples: &[Sample], names: &Names, device: &Device) -> Tensor<1> {
        let targets = Targets::of(samples, names);
        let units: Vec<&VisualUnit> = samples.iter().map(|sample| &sample.unit).collect();
        let readings = self.read(&units, device);
        let [rows, width] = readings.rows.dims();
        let said = Tensor::<2>::from_data(TensorData::new(targets.rows, [rows, width]), device);
        let weights = Tensor::<2>::from_data(TensorData::new(targets.row_weights, [rows, 1]), device);
        let away = (readings.rows - said).square().sum_dim(1) * weights;
        cross_entropy(readings.patches, targets.patches, &PATCH_GROUPS)
            + cross_entropy(readings.tokens, targets.tokens, &TOKEN_GROUPS)
            + away.sum() * (ROW_WEIGHT / names.mean_square)
    }
}

/// The weighted sum over all groups and rows.
fn cross_entropy(outputs: Tensor<2>, targets: Vec<f32>, groups: &[std::ops::Range<usize>]) -> Tensor<1> {
    let targets = Tensor::<2>::from_data(TensorData::new(targets, outputs.dims()), &outputs.device());
    let of_group = |group: &std::ops::Range<usize>| {
        let part = |tensor: &Tensor<2>| tensor.clone().narrow(1, group.start, group.len());
        (activation::log_softmax(part(&outputs), 1) * part(&targets)).sum()
    };
    -Tensor::cat(groups.iter().map(of_group).collect(), 0).sum()
}

#[cfg(test)]
mod tests {
    use caracal_edge::vision::{Picture, Preprocessor, VisionEncoder};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::eyes::scene::Split;

    fn samples(count: usize) -> Vec<Sample> {
        let mut rng = StdRng::seed_from_u64(1);
        let preprocessor = Preprocessor::new(&config().preprocess);
        (0..count).map(|_| Sample::draw(&mut rng, Split::Train, &preprocessor)).collect()
    }

    #[test]
    fn a_square_picture_costs_32_rows_as_a_still_live_and_in_any_short_video() {
        let preprocessor = Preprocessor::new(&config().preprocess);
        let picture = |height, width| Picture::new("grey", height, width, vec![99; 3 * (height * width) as usize]).unwrap();
        let (square, wide) = (picture(224, 224), picture(480, 640));
        let rows = |unit: VisualUnit| unit.grid.tokens().count();
        assert_eq!(rows(preprocessor.still(&square).unwrap()), 32);
        assert_eq!(rows(preprocessor.live(&[&square, &square], PATCHES_MAX).unwrap()), 32);
        for units in [1, 6, FULL_UNITS as usize] {
            assert_eq!(rows(preprocessor.pair(&square, &square, 2 * units).unwrap()), 32);
        }
        assert_eq!(rows(preprocessor.still(&wide).unwrap()), 24);
    }

    #[test]
    fn what_is_shipped_is_read_by_the_loader_of_the_release_and_sees_the_same() {
        let folder = std::env::temp_dir().join(format!("caracal-eyes-{}", std::process::id()));
        let device = Device::flex();
        let named = Named::random(3, &device).unwrap();
        named.save(&folder.join("work")).unwrap();
        named.ship(&folder).unwrap();
        let again = Named::open(&folder.join("work"), &device).unwrap();
        let (shipped, read) = VisionEncoder::open(&folder, OUTPUT, &device, DType::F32, RopeTable::Demo).unwrap();
        assert_eq!(read, config());
        let values = |tensor: Tensor<2>| tensor.into_data().try_into_vec::<f32>().unwrap();
        for sample in samples(3) {
            let trained = values(named.networks.read(&[&sample.unit], &device).rows);
            assert_eq!(trained, values(again.networks.read(&[&sample.unit], &device).rows));
            let seen = values(shipped.embed(&[(&sample.unit, sample.unit.grid.tokens())]).remove(0));
            let off = trained.iter().zip(&seen).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 0.05, "bf16 moves a row by {off}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_parameter_learns() {
        use crate::adamw::{AdamW, Settings};
        use burn::optim::GradientsParams;
        let device = Device::flex().autodiff();
        let mut networks = Named::random(3, &device).unwrap().networks;
        let samples = samples(4);
        let mut random = StdRng::seed_from_u64(2);
        let vectors: Vec<Vec<f32>> =
            (0..100).map(|_| (0..OUTPUT).map(|_| rand::Rng::random_range(&mut random, -0.1..0.1)).collect()).collect();
        let names = Names::new(|said| vectors[said[0].len()].clone(), |index| vectors[20 + index].clone(), 0.6);
        let mut optimizer = AdamW::new(Settings::default());
        let mut losses = Vec::new();
        for _ in 0..12 {
            let loss = networks.loss(&samples, &names, &device);
            losses.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &networks);
            // Patch embedding 2, 17 in each layer, projector 8, heads 4.
            assert_eq!(gradients.len(), 2 + 17 * 6 + 8 + 4);
            networks = optimizer.step(2e-3, networks, gradients);
        }
        assert!(losses[11] < 0.8 * losses[0], "{losses:?}");
    }
}
