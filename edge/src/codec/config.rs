//! The codec's config files: YAML with the key `codec_config`.
//!
//! The decoder's is `audio_codec/config.yaml` of a released model. The tokenizer has one of its own in the same schema,
//! which names a semantic tokenizer with files of its own ([`SemanticConfig`](super::SemanticConfig)). Every field also
//! answers to the name of the published constructor's argument.
//!
//! Source: LongCat-Audio-Codec, `configs/*.yaml` and the loader that reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use caracal_kernels::LoadError;
use caracal_kernels::checkpoint::{parse_config, read_config_text, refuse_unknown_keys};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Largest width, count or table size in a codec config: 100 times the released ones, small enough that their products
/// fit in 64 bits.
const SIZE_MAX: usize = 1 << 20;
/// Most upsampling or downsampling blocks, and most layers.
pub(super) const DEPTH_MAX: usize = 256;

/// How the decoder's convolutions are padded. The config's `decoder_type` chooses it together with the output rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DecoderType {
    /// Causal above the first convolution, 24,000 samples a second.
    #[serde(rename = "24k")]
    Causal24k,
    /// Symmetric throughout, 16,000 samples a second.
    #[serde(rename = "16k")]
    Symmetric16k,
}

impl DecoderType {
    /// Samples a second that come out.
    pub fn sample_rate(self) -> u32 {
        match self {
            Self::Causal24k => 24_000,
            Self::Symmetric16k => 16_000,
        }
    }
}

/// Shape of the acoustic quantizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantizerConfig {
    /// Channels of the latent, both groups together.
    pub latent_dim: usize,
    /// Quantizers after one another.
    pub codebooks: usize,
    /// Rows of each group's table.
    pub codebook_size: usize,
    /// Columns of each group's table.
    pub codebook_dim: usize,
}

/// Shape of the audio decoder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DecoderConfig {
    /// Channels of the acoustic latent.
    #[serde(rename = "codec_dimension", alias = "latent_dim")]
    pub latent_dim: usize,
    /// Channels of the semantic latent.
    pub semantic_dim: usize,
    /// Channels of the first convolution; halved by every block.
    pub decoder_dim: usize,
    /// Upsampling of each block; their product is the samples of one codec frame.
    #[serde(rename = "codec_dec_ratios", alias = "decoder_rates")]
    pub rates: Vec<usize>,
    /// Topology and output rate.
    pub decoder_type: DecoderType,
    /// Acoustic codebooks.
    #[serde(rename = "codec_codebooks", alias = "n_codebooks")]
    pub codebooks: usize,
    /// Rows of each acoustic table.
    #[serde(rename = "codec_codebook_size", alias = "codebook_size")]
    pub codebook_size: usize,
    /// Columns of each acoustic table.
    #[serde(rename = "codec_codebook_search_dim", alias = "codebook_dim", alias = "search_dim")]
    pub codebook_dim: usize,
    /// Rows of the semantic table.
    #[serde(rename = "semantic_token_nums")]
    pub semantic_codes: usize,
    /// Name of the checkpoint, as published; only its last part is used, beside the config.
    pub ckpt_path: Option<PathBuf>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Keys of the tokenizer's config that a decoder's may carry and does not use.
const TOKENIZER_KEYS: &[&str] = &["encoder_dim", "codec_enc_ratios", "encoder_rates", "input_sample_rate", "semantic_tokenizer_type"];
/// Keys of the decoder's config that a tokenizer's may carry and does not use.
const DECODER_KEYS: &[&str] =
    &["semantic_dim", "decoder_dim", "codec_dec_ratios", "decoder_rates", "decoder_type", "semantic_token_nums", "output_sample_rate"];

impl DecoderConfig {
    /// Reads `config.yaml`.
    ///
    /// # Errors
    /// [`LoadError`] naming the field.
    pub fn read(file: &Path) -> Result<Self, LoadError> {
        Self::from_value(file, codec_section(file)?)
    }

    /// From the fields alone; `file` is named in errors.
    ///
    /// # Errors
    /// As [`DecoderConfig::read`].
    pub fn from_value(file: &Path, fields: Value) -> Result<Self, LoadError> {
        let config: Self = parse_fields(file, &fields)?;
        refuse_unknown_keys(file, &config.rest, TOKENIZER_KEYS)?;
        let check = Checker { file };
        check.sizes(&[
            ("codec_dimension", config.latent_dim),
            ("semantic_dim", config.semantic_dim),
            ("decoder_dim", config.decoder_dim),
            ("codec_codebooks", config.codebooks),
            ("codec_codebook_size", config.codebook_size),
            ("codec_codebook_search_dim", config.codebook_dim),
            ("semantic_token_nums", config.semantic_codes),
        ])?;
        check.rates("codec_dec_ratios", &config.rates)?;
        check.even("codec_dimension", config.latent_dim)?;
        let halved = 1usize.checked_shl(config.rates.len() as u32).unwrap_or(usize::MAX);
        check.holds("decoder_dim", config.decoder_dim.is_multiple_of(halved), || {
            format!("{} cannot be halved by each of {} blocks; expected a multiple of {halved}", config.decoder_dim, config.rates.len())
        })?;
        Ok(config)
    }

    /// Shape of its quantizer.
    pub fn quantizer(&self) -> QuantizerConfig {
        let Self { latent_dim, codebooks, codebook_size, codebook_dim, .. } = *self;
        QuantizerConfig { latent_dim, codebooks, codebook_size, codebook_dim }
    }

    /// Channels of the latents and of the LSTMs.
    pub fn memory_dim(&self) -> usize {
        self.semantic_dim + self.latent_dim
    }

    /// Samples that one codec frame becomes.
    pub fn samples_per_frame(&self) -> usize {
        self.rates.iter().product()
    }
}

/// Shape of the acoustic half of the tokenizer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EncoderConfig {
    /// Channels of the first convolution; doubled by every block.
    pub encoder_dim: usize,
    /// Downsampling of each block; their product is the samples of one codec frame.
    #[serde(rename = "codec_enc_ratios", alias = "encoder_rates")]
    pub rates: Vec<usize>,
    /// Channels of the acoustic latent.
    #[serde(rename = "codec_dimension", alias = "latent_dim")]
    pub latent_dim: usize,
    /// Acoustic codebooks.
    #[serde(rename = "codec_codebooks", alias = "n_codebooks")]
    pub codebooks: usize,
    /// Rows of each acoustic table.
    #[serde(rename = "codec_codebook_size", alias = "codebook_size")]
    pub codebook_size: usize,
    /// Columns of each acoustic table.
    #[serde(rename = "codec_codebook_search_dim", alias = "codebook_dim", alias = "search_dim")]
    pub codebook_dim: usize,
    /// Samples a second that go in.
    pub input_sample_rate: u32,
    /// Which semantic tokenizer; names its config file.
    pub semantic_tokenizer_type: String,
    /// Name of the checkpoint, as published; only its last part is used, beside the config.
    pub ckpt_path: Option<PathBuf>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl EncoderConfig {
    /// Reads the tokenizer's YAML file.
    ///
    /// # Errors
    /// [`LoadError`] naming the field.
    pub fn read(file: &Path) -> Result<Self, LoadError> {
        Self::from_value(file, codec_section(file)?)
    }

    /// From the fields alone; `file` is named in errors.
    ///
    /// # Errors
    /// As [`EncoderConfig::read`].
    pub fn from_value(file: &Path, fields: Value) -> Result<Self, LoadError> {
        let config: Self = parse_fields(file, &fields)?;
        refuse_unknown_keys(file, &config.rest, DECODER_KEYS)?;
        let check = Checker { file };
        check.sizes(&[
            ("encoder_dim", config.encoder_dim),
            ("codec_dimension", config.latent_dim),
            ("codec_codebooks", config.codebooks),
            ("codec_codebook_size", config.codebook_size),
            ("codec_codebook_search_dim", config.codebook_dim),
            ("input_sample_rate", config.input_sample_rate as usize),
        ])?;
        check.rates("codec_enc_ratios", &config.rates)?;
        check.even("codec_dimension", config.latent_dim)?;
        let widest = 1usize.checked_shl(config.rates.len() as u32).and_then(|double| double.checked_mul(config.encoder_dim));
        check.holds("encoder_dim", widest.is_some_and(|w| w <= SIZE_MAX), || {
            format!("{} doubled {} times; expected at most {SIZE_MAX} channels", config.encoder_dim, config.rates.len())
        })?;
        Ok(config)
    }

    /// Shape of its quantizer.
    pub fn quantizer(&self) -> QuantizerConfig {
        let Self { latent_dim, codebooks, codebook_size, codebook_dim, .. } = *self;
        QuantizerConfig { latent_dim, codebooks, codebook_size, codebook_dim }
    }

    /// Samples of one codec frame.
    pub fn samples_per_frame(&self) -> usize {
        self.rates.iter().product()
    }
}

/// The path of the checkpoint that a config names: its last part, in the config's folder; a `.safetensors` of that name
/// is preferred.
///
/// # Errors
/// [`LoadError::Config`] when it names none.
pub fn checkpoint_beside(file: &Path, ckpt_path: Option<&Path>) -> Result<PathBuf, LoadError> {
    let name = ckpt_path.and_then(Path::file_name).ok_or_else(|| {
        LoadError::config(
            file,
            "codec_config.ckpt_path",
            "missing, expected the name of the checkpoint. Add it, with the checkpoint in the same folder.",
        )
    })?;
    let stored = file.with_file_name(name);
    let converted = stored.with_extension("safetensors");
    Ok(if converted.exists() { converted } else { stored })
}

pub(super) fn read_yaml(file: &Path) -> Result<Value, LoadError> {
    let text = read_config_text(file)?;
    serde_yaml_ng::from_str(&text)
        .map_err(|e| LoadError::config(file, "(top level)", format!("no YAML: {e}. Take the file from the same release as the weights.")))
}

fn codec_section(file: &Path) -> Result<Value, LoadError> {
    match read_yaml(file)? {
        Value::Object(mut top) if top.contains_key("codec_config") => Ok(top.remove("codec_config").unwrap_or_default()),
        found => {
            let found = match &found {
                Value::Object(top) => format!("the keys {:?}", top.keys().collect::<Vec<_>>()),
                other => format!("{other}").chars().take(80).collect(),
            };
            Err(LoadError::config(
                file,
                "codec_config",
                format!("missing: expected a map below this key, found {found}. This is no codec config."),
            ))
        }
    }
}

pub(super) fn parse_fields<T: DeserializeOwned>(file: &Path, fields: &Value) -> Result<T, LoadError> {
    parse_config(file, &fields.to_string())
}

/// Checks the fields of one file.
pub(super) struct Checker<'f> {
    pub(super) file: &'f Path,
}

impl Checker<'_> {
    pub(super) fn holds(&self, field: &str, condition: bool, problem: impl FnOnce() -> String) -> Result<(), LoadError> {
        if condition { Ok(()) } else { Err(LoadError::config(self.file, field, problem())) }
    }

    pub(super) fn sizes(&self, fields: &[(&str, usize)]) -> Result<(), LoadError> {
        fields.iter().try_for_each(|(field, value)| {
            self.holds(field, (1..=SIZE_MAX).contains(value), || format!("{value} is out of range, expected 1 to {SIZE_MAX}"))
        })
    }

    pub(super) fn even(&self, field: &str, value: usize) -> Result<(), LoadError> {
        self.holds(field, value.is_multiple_of(2), || format!("{value} is odd; it is split into two halves"))
    }

    pub(super) fn rates(&self, field: &str, rates: &[usize]) -> Result<(), LoadError> {
        self.holds(field, !rates.is_empty() && rates.len() <= DEPTH_MAX, || format!("{} entries, expected 1 to {DEPTH_MAX}", rates.len()))?;
        let product = rates.iter().try_fold(1usize, |product, rate| product.checked_mul(*rate)).unwrap_or(usize::MAX);
        self.holds(field, (1..=SIZE_MAX).contains(&product), || format!("{rates:?} multiply to {product}, expected 1 to {SIZE_MAX}"))
    }
}
