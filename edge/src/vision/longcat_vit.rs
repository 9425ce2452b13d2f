//! LongCat-ViT: patches of pictures and video pairs to vectors, at any size and proportion.
//!
//! No class token, no absolute positions, no final norm. Units never see each other.
//!
//! Source: LongCat-Flash-Omni §2.1; vision.md section 2.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use caracal_kernels::{Init, LoadError, Weights, ops};

use super::config::VitConfig;
use super::patches::Grid;
use super::rope::{Rope2d, RopeTable};
use super::vit_layer::{Trace, VitLayer};

/// The vision encoder.
#[derive(Module, Debug)]
pub struct LongCatVit {
    /// `[hidden, channels 3, pictures 2, patch, patch]`
    patch_weight: Param<Tensor<5>>,
    /// `[hidden]`
    patch_bias: Option<Param<Tensor<1>>>,
    layers: Vec<VitLayer>,
    #[module(skip)]
    rope: Rope2d,
    merge: u32,
}

impl LongCatVit {
    /// Loads the tensors of `vision_model` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors; [`LoadError::Config`] where the config and the checkpoint disagree on a
    /// bias.
    pub fn load(weights: &Weights, config: &VitConfig, rope: RopeTable) -> Result<Self, LoadError> {
        let embedding = weights.at("embeddings").at("patch_embedding");
        check_bias(&embedding, "patch_embedding_bias", config.patch_embedding_bias)?;
        check_bias(&weights.at("encoder.layers.0.attn.qkv"), "qkv_bias", config.qkv_bias)?;
        let (hidden, patch) = (config.hidden_size, config.patch_size as usize);
        let shape = [hidden, 3, config.temporal_patch_size as usize, patch, patch];
        let bound = 1.0 / (config.patch_values() as f32).sqrt();
        let layers = weights.at("encoder").at("layers");
        Ok(Self {
            patch_weight: embedding.param("weight", shape, Init::Uniform(bound))?,
            patch_bias: if config.patch_embedding_bias { Some(embedding.param("bias", [hidden], Init::Zeros)?) } else { None },
            layers: (0..config.num_hidden_layers).map(|i| VitLayer::load(&layers.at(i), config)).collect::<Result<_, _>>()?,
            rope: Rope2d::new(config.head_size(), config.rope_theta, rope),
            merge: config.spatial_merge_size,
        })
    }

    /// # Shapes
    /// rows: `[patches of all grids, patch values]` → `[patches of all grids, hidden]`
    ///
    /// # Panics
    /// When `rows` are not those of `grids`.
    pub fn forward(&self, rows: Tensor<2>, grids: &[Grid]) -> Tensor<2> {
        self.forward_traced(rows, grids, &mut |_, _| {})
    }

    /// As [`LongCatVit::forward`]; `trace` sees `embed` and, for every layer, `layer{i}.{name}`.
    ///
    /// # Panics
    /// When `rows` are not those of `grids`.
    pub fn forward_traced(&self, rows: Tensor<2>, grids: &[Grid], trace: &mut Trace) -> Tensor<2> {
        let patches: usize = grids.iter().map(|grid| grid.count()).sum();
        assert_eq!(rows.dims()[0], patches, "patch rows of other grids");
        let weight = self.patch_weight.val();
        let hidden = weight.dims()[0];
        let values = rows.dims()[1];
        let rotation = self.rope.rotation(grids, self.merge, &rows.device());
        let mut x = ops::linear(rows, weight.reshape([hidden, values]), self.patch_bias.as_ref().map(Param::val));
        trace("embed", &x);
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, grids, &rotation, &mut |name, value| trace(&format!("layer{index}.{name}"), value));
        }
        x
    }
}

/// Refuses a checkpoint whose bias tensor contradicts the config's `key`: both make a network, and only one is right.
fn check_bias(weights: &Weights, key: &str, wanted: bool) -> Result<(), LoadError> {
    let Some((checkpoint, name)) = weights.entry("bias") else { return Ok(()) };
    let held = checkpoint.get(&name).is_some();
    if held == wanted {
        return Ok(());
    }
    let verb = if held { "holds" } else { "does not hold" };
    let problem = format!(
        "is {wanted} in {}, but this checkpoint {verb} `{name}`. Correct the key, or take both files from one release.",
        super::CONFIG_FILE
    );
    Err(LoadError::config(checkpoint.path(), key, problem))
}
