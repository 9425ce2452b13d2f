//! `vision/config.json`: the shape of the encoder, the limits of the preprocessing, the limits of the pooling.
//!
//! A key that the published class has a default for may be absent and then has that default; every other key is
//! required. A key that nobody knows is refused, because it may change what the network computes.
//!
//! Source: configuration class of the published code (vision.md section 0).

use std::collections::BTreeMap;
use std::path::Path;

use caracal_kernels::LoadError;
use caracal_kernels::checkpoint::{read_config, refuse_unknown_keys};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PixelLimits, SizeRule};

/// Name of the file in a model's `vision` folder.
pub const CONFIG_FILE: &str = "config.json";

/// Keys that the published class has and that change nothing: never read there, or overridden by the published
/// preprocessor (`v_post_squeeze` and `video_vit` are always true), or a choice of GPU kernel (`use_flash_attn`).
const KNOWN_UNUSED: &[&str] = &[
    "attention_dropout",
    "drop_path_rate",
    "dropout",
    "image_size",
    "init_method",
    "initializer_range",
    "norm_type",
    "patch_dropout",
    "use_flash_attn",
    "use_pre_norm",
    "v_post_squeeze",
    "video_vit",
];

/// Largest patch grid of one picture that is accepted from a config: 64 times the released limit's order, and far below
/// what would exhaust memory unnoticed.
const TOKENS_MAX: u64 = 1 << 20;
/// Widest layer that is accepted: 50 times the released one.
const WIDTH_MAX: usize = 1 << 16;
/// Most layers that are accepted: 32 times the released number.
const LAYERS_MAX: usize = 1 << 10;
/// Largest patch side and largest granularity of sizes, in pixels: what a picture's longest side may be.
const FACTOR_MAX: u64 = super::PICTURE_SIDE_MAX as u64;

/// Everything that `vision/config.json` says.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// The encoder and the projector.
    pub vit: VitConfig,
    /// From pixels to patch rows.
    pub preprocess: PreprocessConfig,
    /// From projected tokens to the tokens that the language model gets.
    pub post_squeeze: PostSqueezeConfig,
}

/// Shape of the encoder and of the projector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default = "VitConfig::class_defaults")]
pub struct VitConfig {
    /// Width of a patch's vector.
    pub hidden_size: usize,
    /// Layers of the encoder.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Two thirds of it, rounded down, are the inner width of the feed-forward network.
    pub intermediate_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: u32,
    /// Pictures that are fused into one unit.
    pub temporal_patch_size: u32,
    /// Whether the patch embedding has a bias.
    pub patch_embedding_bias: bool,
    /// Whether the query, key and value product has a bias.
    pub qkv_bias: bool,
    /// Whether queries and keys are normalised after the rotation.
    pub qk_normalization: bool,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Patches are enumerated in squares of this side.
    pub spatial_merge_size: u32,
    /// Added to the mean square in every RMSNorm of the encoder.
    pub layer_norm_eps: f64,
    /// Start of the layer scales in training.
    pub initializer_factor: f64,
    /// Inner width of the projector.
    pub adaptor_dim: usize,
    /// Activation of the feed-forward network.
    pub hidden_act: String,
}

impl VitConfig {
    /// What the published class assumes where a key is absent. The released model differs from it.
    fn class_defaults() -> Self {
        Self {
            hidden_size: 1024,
            num_hidden_layers: 24,
            num_attention_heads: 16,
            intermediate_size: 4224,
            patch_size: 14,
            temporal_patch_size: 2,
            patch_embedding_bias: true,
            qkv_bias: false,
            qk_normalization: true,
            rope_theta: 10_000.0,
            spatial_merge_size: 1,
            layer_norm_eps: 1e-6,
            initializer_factor: 0.1,
            adaptor_dim: 7168,
            hidden_act: SWIGLU.to_string(),
        }
    }

    /// Values of one patch: channels x pictures x pixels.
    pub fn patch_values(&self) -> usize {
        3 * self.temporal_patch_size as usize * (self.patch_size as usize).pow(2)
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Inner width of the feed-forward network.
    pub fn inner_size(&self) -> usize {
        self.intermediate_size * 2 / 3
    }
}

const SWIGLU: &str = "SwiGLU";

/// From pixels to patch rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreprocessConfig {
    /// Only `native`: every picture keeps its proportions.
    #[serde(default = "native")]
    pub resolution_mode: String,
    /// Subtracted from each channel, after scaling to 0..1.
    #[serde(default = "class_mean")]
    pub image_mean: [f64; 3],
    /// What each channel is then divided by.
    #[serde(default = "class_std")]
    pub image_std: [f64; 3],
    /// Side of a patch in pixels.
    #[serde(default = "class_patch_size")]
    pub patch_size: u32,
    /// Part of the size granularity.
    #[serde(default = "class_merge_size")]
    pub spatial_merge_size: u32,
    /// Sides are rounded to this many patches (times the merge size).
    pub resize_factor: u32,
    /// Must be 1.
    pub relarge_ratio: f64,
    /// Fewest patches of a still picture.
    #[serde(default = "class_min_tokens")]
    pub min_tokens: u64,
    /// Most patches of a picture.
    #[serde(default = "class_max_tokens")]
    pub max_tokens: u64,
    /// Fewest patches of a picture of a video; absent: as `min_tokens`.
    pub min_tokens_video_vit: Option<u64>,
    /// Most patches of all units of a video together; absent: as `max_tokens`.
    pub max_tokens_video_vit: Option<u64>,
}

fn native() -> String {
    "native".to_string()
}

fn class_mean() -> [f64; 3] {
    [0.485, 0.456, 0.406]
}

fn class_std() -> [f64; 3] {
    [0.229, 0.224, 0.225]
}

fn class_patch_size() -> u32 {
    VitConfig::class_defaults().patch_size
}

fn class_merge_size() -> u32 {
    VitConfig::class_defaults().spatial_merge_size
}

fn class_min_tokens() -> u64 {
    576
}

fn class_max_tokens() -> u64 {
    16_384
}

impl PreprocessConfig {
    /// The size rule of this model.
    pub fn size_rule(&self) -> SizeRule {
        SizeRule { patch: self.patch_size, factor: self.patch_size * self.spatial_merge_size * self.resize_factor }
    }

    /// Limits of each picture of an item of `pictures` pictures (one: a still, or a one-picture video).
    pub fn pixel_limits(&self, pictures: usize) -> PixelLimits {
        let token = u64::from(self.patch_size).pow(2);
        let picture_max = self.max_tokens * token;
        if pictures <= 1 {
            return PixelLimits { min: self.min_tokens * token, max: picture_max };
        }
        let units = pictures as u64 / 2;
        let video_max = self.max_tokens_video_vit.unwrap_or(self.max_tokens) * token / units;
        PixelLimits { min: self.min_tokens_video_vit.unwrap_or(self.min_tokens) * token, max: video_max.min(picture_max) }
    }
}

/// How far the tokens of a conversation are pooled after the projector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostSqueezeConfig {
    /// Side of a patch in pixels: the size rule counts in pixels here too.
    #[serde(default = "class_patch_size")]
    pub patch_size: u32,
    /// Most tokens of one unit.
    #[serde(default = "class_max_tokens")]
    pub max_tokens: u64,
    /// Fewest tokens of a unit that is pooled.
    pub min_tokens_video: u64,
    /// Tokens of a whole conversation above which all its units are pooled.
    pub max_tokens_video: u64,
}

impl VisionConfig {
    /// Reads and checks `folder/config.json`, `folder` being the model's `vision` folder.
    ///
    /// # Errors
    /// [`LoadError`]: a missing file, a missing required key, a value of the wrong kind or out of range, an unknown key.
    pub fn read(folder: &Path) -> Result<Self, LoadError> {
        let file = &folder.join(CONFIG_FILE);
        let config = Self { vit: read_config(file)?, preprocess: read_config(file)?, post_squeeze: read_config(file)? };
        let mut rest: BTreeMap<String, Value> = read_config(file)?;
        let known = config.to_json();
        rest.retain(|key, _| !known.contains_key(key));
        refuse_unknown_keys(file, &rest, KNOWN_UNUSED)?;
        config.check(file)?;
        Ok(config)
    }

    /// The file that [`VisionConfig::read`] reads as this config.
    pub fn to_json(&self) -> Map<String, Value> {
        let parts = [serde_json::to_value(&self.vit), serde_json::to_value(&self.preprocess), serde_json::to_value(&self.post_squeeze)];
        let keys = |part: serde_json::Result<Value>| match part {
            Ok(Value::Object(keys)) => keys,
            other => unreachable!("a struct of plain values is an object: {other:?}"),
        };
        parts.into_iter().flat_map(keys).collect()
    }

    /// Refuses values that no network can have, or that the published pipeline does not work with.
    fn check(&self, file: &Path) -> Result<(), LoadError> {
        let (vit, pre, post) = (&self.vit, &self.preprocess, &self.post_squeeze);
        let must = |holds: bool, field: &str, found: String, expected: &str| {
            if holds {
                Ok(())
            } else {
                Err(LoadError::config(
                    file,
                    field,
                    format!("found {found}, expected {expected}. Take the file from the same release as the weights."),
                ))
            }
        };
        let size =
            |value: usize, field: &str, max: usize| must((1..=max).contains(&value), field, value.to_string(), &format!("1 to {max}"));
        let tokens =
            |value: u64, field: &str| must((1..=TOKENS_MAX).contains(&value), field, value.to_string(), &format!("1 to {TOKENS_MAX}"));
        let above_zero = |value: f64, field: &str| must(value.is_finite() && value > 0.0, field, value.to_string(), "a number above 0");
        size(vit.hidden_size, "hidden_size", WIDTH_MAX)?;
        size(vit.intermediate_size, "intermediate_size", WIDTH_MAX)?;
        must(vit.inner_size() > 0, "intermediate_size", vit.intermediate_size.to_string(), "at least 2, of which two thirds are used")?;
        size(vit.adaptor_dim, "adaptor_dim", WIDTH_MAX)?;
        size(vit.num_hidden_layers, "num_hidden_layers", LAYERS_MAX)?;
        size(vit.num_attention_heads, "num_attention_heads", vit.hidden_size)?;
        must(
            vit.hidden_size.is_multiple_of(4 * vit.num_attention_heads),
            "num_attention_heads",
            format!("{} heads for hidden_size {}", vit.num_attention_heads, vit.hidden_size),
            "heads of one width that is a multiple of 4, for rotation by rows and columns",
        )?;
        must(
            vit.hidden_act == SWIGLU,
            "hidden_act",
            format!("`{}`", vit.hidden_act),
            "`SwiGLU`, the only activation of the published network",
        )?;
        must(vit.temporal_patch_size == 2, "temporal_patch_size", vit.temporal_patch_size.to_string(), "2: pictures are paired")?;
        must(
            vit.spatial_merge_size == 1,
            "spatial_merge_size",
            vit.spatial_merge_size.to_string(),
            "1: the published order of patch rows has no other",
        )?;
        above_zero(vit.rope_theta, "rope_theta")?;
        above_zero(vit.layer_norm_eps, "layer_norm_eps")?;
        must(vit.initializer_factor.is_finite(), "initializer_factor", vit.initializer_factor.to_string(), "a finite number")?;
        must(
            pre.resolution_mode == "native",
            "resolution_mode",
            format!("`{}`", pre.resolution_mode),
            "`native`, the mode of the released model",
        )?;
        for (mean, std) in pre.image_mean.iter().zip(pre.image_std) {
            must(mean.is_finite(), "image_mean", mean.to_string(), "finite numbers")?;
            above_zero(std, "image_std")?;
        }
        must(pre.relarge_ratio == 1.0, "relarge_ratio", pre.relarge_ratio.to_string(), "1, which the published code asserts")?;
        must(pre.patch_size > 0, "patch_size", pre.patch_size.to_string(), "at least 1")?;
        let factor = u64::from(pre.patch_size) * u64::from(pre.resize_factor);
        must(
            (1..=FACTOR_MAX).contains(&factor),
            "resize_factor",
            format!("{} patches of {} pixels", pre.resize_factor, pre.patch_size),
            &format!("1 to {FACTOR_MAX} pixels"),
        )?;
        tokens(pre.min_tokens, "min_tokens")?;
        tokens(pre.max_tokens, "max_tokens")?;
        tokens(pre.min_tokens_video_vit.unwrap_or(1), "min_tokens_video_vit")?;
        tokens(pre.max_tokens_video_vit.unwrap_or(1), "max_tokens_video_vit")?;
        tokens(post.min_tokens_video, "min_tokens_video")?;
        tokens(post.max_tokens_video, "max_tokens_video")
    }
}
