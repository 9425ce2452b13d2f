//! The semantic tokenizer's config files.
//!
//! Two, beside the tokenizer's own: `{semantic_tokenizer_type}.yaml` says which layer and which table, and names the
//! other, which describes front end and transformer.
//!
//! Source: LongCat-Audio-Codec, `semantic_tokenizer_general/configs/` and the code that reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use caracal_kernels::LoadError;
use caracal_kernels::checkpoint::refuse_unknown_keys;
use serde::Deserialize;
use serde_json::Value;

use super::config::{Checker, DEPTH_MAX, parse_fields, read_yaml};
use crate::audio::FbankConfig;

/// What the codec's front end multiplies samples by (the audio encoder's uses 32768).
const TOKENIZER_SCALE: f32 = 32767.0;

/// Shape of the semantic half of the tokenizer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SemanticConfig {
    /// Channels of the transformer.
    pub d_model: usize,
    /// Attention heads.
    pub nhead: usize,
    /// Layers that the checkpoint has.
    pub num_encoder_layers: usize,
    /// Width of the feed-forward networks.
    pub dim_feedforward: usize,
    /// Layers that run: codes are read after this one.
    pub select_layer: usize,
    /// Rows of the code table.
    pub codebook_size: usize,
    /// Mel bins that go in.
    pub feat_dim: usize,
    /// Stride in time of each subsampling convolution.
    #[serde(deserialize_with = "comma_separated")]
    pub conv2d_stride: Vec<usize>,
    /// Subsampling convolutions.
    pub num_conv_layers: usize,
    /// The log-mel front end.
    pub fbank: FbankFields,
    /// Name of the CMVN statistics, as published; only its last part is used, beside the config. Not needed where the
    /// checkpoint holds them.
    #[serde(alias = "cmvn")]
    pub cmvn_file: Option<PathBuf>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// The front end's `fbank` section. The codec has no dither when it runs, whatever the field says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FbankFields {
    freq: u32,
    frame_length: f64,
    frame_shift: f64,
    preemphasis: f64,
    low_freq: f64,
    high_freq: f64,
    num_mel_bins: usize,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl FbankFields {
    /// The filter bank of the codec's tokenizer: these fields, and samples multiplied by 32767.
    pub fn fbank(&self) -> FbankConfig {
        let Self { freq, frame_length, frame_shift, preemphasis, low_freq, high_freq, num_mel_bins, .. } = *self;
        FbankConfig {
            freq,
            frame_length,
            frame_shift,
            preemphasis,
            low_freq,
            high_freq,
            num_mel_bins,
            padded_num_mel_bins: None,
            scale: TOKENIZER_SCALE,
        }
    }
}

#[derive(Deserialize)]
struct SemanticSelection {
    semantic_tokenizer_config: SelectionFields,
}

#[derive(Deserialize)]
struct SelectionFields {
    select_layer: usize,
    codebook_dim: usize,
    codebook_size: usize,
    model_config: PathBuf,
}

#[derive(Deserialize)]
struct SemanticModel {
    feature: FeatureFields,
    encoder: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct FeatureFields {
    fbank: Value,
    #[serde(alias = "cmvn")]
    cmvn_file: Option<String>,
}

/// The only semantic architecture there is.
const SEMANTIC_ENCODER: &str = "VGGtf_encoder";
/// Fields of the published architecture section that change nothing when a network only runs, or that this front end
/// fixes (checked in [`SemanticConfig::read`]).
const SEMANTIC_UNUSED: &[&str] = &["dropout", "layer_drop", "activation", "subsampling", "delta_order", "left", "right", "stride"];

impl SemanticConfig {
    /// Reads the two published files beside the tokenizer's config: `{semantic_tokenizer_type}.yaml` (which layer,
    /// which table, and the name of the other file) and that other file (front end and transformer).
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field.
    pub fn read(folder: &Path, semantic_tokenizer_type: &str) -> Result<Self, LoadError> {
        let selection_file = folder.join(format!("{}.yaml", plain_name(folder, semantic_tokenizer_type)?));
        let selection: SemanticSelection = parse_fields(&selection_file, &read_yaml(&selection_file)?)?;
        let selection = selection.semantic_tokenizer_config;
        let model_name = selection.model_config.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = folder.join(plain_name(&selection_file, &model_name)?);
        let mut model: SemanticModel = parse_fields(&file, &read_yaml(&file)?)?;
        if model.encoder.get("type").and_then(Value::as_str) != Some(SEMANTIC_ENCODER) {
            return Err(LoadError::config(
                &file,
                "encoder.type",
                format!("expected {SEMANTIC_ENCODER}, found {:?}", model.encoder.get("type")),
            ));
        }
        let mut fields = model.encoder.remove(SEMANTIC_ENCODER).unwrap_or_default();
        for (field, fixed) in [("delta_order", 0), ("left", 0), ("right", 0), ("stride", 1)] {
            if fields.get(field).is_some_and(|v| v.as_u64() != Some(fixed)) {
                return Err(LoadError::config(
                    &file,
                    field,
                    format!("{} is not supported, expected {fixed}: the semantic tokenizer takes plain log-mel frames", fields[field]),
                ));
            }
        }
        for (field, fixed) in [("activation", "gelu"), ("subsampling", "conv2d")] {
            if fields.get(field).is_some_and(|v| v.as_str() != Some(fixed)) {
                return Err(LoadError::config(&file, field, format!("{} is not supported, expected `{fixed}`", fields[field])));
            }
        }
        if let Value::Object(fields) = &mut fields {
            fields.insert("select_layer".into(), selection.select_layer.into());
            fields.insert("codebook_size".into(), selection.codebook_size.into());
            fields.insert("fbank".into(), model.feature.fbank);
            fields.insert("cmvn_file".into(), model.feature.cmvn_file.into());
        }
        let config = Self::from_value(&file, fields)?;
        if config.d_model != selection.codebook_dim {
            let problem = format!(
                "{} differs from d_model {} of {}: the files do not belong together",
                selection.codebook_dim,
                config.d_model,
                file.display()
            );
            return Err(LoadError::config(&selection_file, "semantic_tokenizer_config.codebook_dim", problem));
        }
        Ok(config)
    }

    /// From the fields alone; `file` is named in errors.
    ///
    /// # Errors
    /// [`LoadError::Config`].
    pub fn from_value(file: &Path, fields: Value) -> Result<Self, LoadError> {
        let config: Self = parse_fields(file, &fields)?;
        refuse_unknown_keys(file, &config.rest, SEMANTIC_UNUSED)?;
        refuse_unknown_keys(file, &config.fbank.rest, &["dither"])?;
        let check = Checker { file };
        check.sizes(&[
            ("d_model", config.d_model),
            ("nhead", config.nhead),
            ("dim_feedforward", config.dim_feedforward),
            ("codebook_size", config.codebook_size),
            ("feat_dim", config.feat_dim),
        ])?;
        check.rates("conv2d_stride", &config.conv2d_stride)?;
        check.even("d_model", config.d_model)?;
        check.holds("nhead", config.d_model.is_multiple_of(config.nhead), || {
            format!("{} heads do not divide d_model {}", config.nhead, config.d_model)
        })?;
        check.holds("feat_dim", config.feat_dim == config.fbank.num_mel_bins, || {
            format!("{}, but fbank.num_mel_bins is {}", config.feat_dim, config.fbank.num_mel_bins)
        })?;
        check.holds("num_conv_layers", config.num_conv_layers == config.conv2d_stride.len(), || {
            format!("{}, but conv2d_stride has {} entries", config.num_conv_layers, config.conv2d_stride.len())
        })?;
        check.holds("feat_dim", config.feat_dim > 2 * config.num_conv_layers, || {
            format!("{} bins vanish in {} convolutions that take 2 each", config.feat_dim, config.num_conv_layers)
        })?;
        check.holds(
            "select_layer",
            (1..=config.num_encoder_layers).contains(&config.select_layer) && config.num_encoder_layers <= DEPTH_MAX,
            || format!("{}, expected 1 to num_encoder_layers = {}, at most {DEPTH_MAX}", config.select_layer, config.num_encoder_layers),
        )?;
        Ok(config)
    }
}

fn comma_separated<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.split(',')
        .map(|part| part.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is no list of whole numbers like \"2,3\"")))
}

fn plain_name<'n>(file: &Path, name: &'n str) -> Result<&'n str, LoadError> {
    if !name.is_empty() && Path::new(name).file_name().is_some_and(|n| n == name) {
        return Ok(name);
    }
    Err(LoadError::config(
        file,
        "semantic_tokenizer_type",
        format!("`{name}` is no plain file name; expected the name of a file in the same folder"),
    ))
}
