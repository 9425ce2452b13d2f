//! Sizes of kitten's codec, and the published config files that say them.

use std::path::Path;

use anyhow::{Context, Result};
use caracal_edge::codec::{DecoderConfig, EncoderConfig, SemanticConfig};
use serde_json::json;

/// Everything random in the codec's training starts here.
pub const SEED: u64 = 20_25;
/// Semantic codes.
pub const SEMANTIC_CODES: usize = 256;
/// Channels of the semantic tokenizer.
pub const SEMANTIC_WIDTH: usize = 128;
/// Acoustic codebooks.
pub const CODEBOOKS: usize = 3;
/// Rows of each group's table: 16 x 16 = 256 codes a codebook.
pub const GROUP_CODES: usize = 16;
/// Channels of the acoustic latent, two groups of half of them.
pub const LATENT: usize = 30;
/// Columns of a group's table: its half of the latent, and a constant that makes the search by cosine one by distance.
pub const SEARCH: usize = LATENT / 2 + 1;
/// Channels of a semantic code in the decoder: with the latent they make the LSTMs 256 wide.
const SEMANTIC_DIM: usize = 256 - LATENT;

/// Name of the decoder's config, fixed by the release.
pub const DECODER_FILE: &str = "config.yaml";
/// Name of the tokenizer's config.
pub const TOKENIZER_FILE: &str = "encoder.yaml";
/// Names of the checkpoints, without their ending.
pub const DECODER: &str = "decoder";
/// See [`DECODER`].
pub const ENCODER: &str = "encoder";

/// The three configs.
pub struct Shapes {
    /// Codes to sound.
    pub decoder: DecoderConfig,
    /// Sound to acoustic codes.
    pub encoder: EncoderConfig,
    /// Sound to semantic codes.
    pub semantic: SemanticConfig,
}

impl Shapes {
    /// Reads the config files of `folder`, which [`write()`] made.
    ///
    /// # Errors
    /// When one of them is missing or wrong.
    pub fn read(folder: &Path) -> Result<Self> {
        let encoder = EncoderConfig::read(&folder.join(TOKENIZER_FILE))?;
        let semantic = SemanticConfig::read(folder, &encoder.semantic_tokenizer_type)?;
        Ok(Self { decoder: DecoderConfig::read(&folder.join(DECODER_FILE))?, encoder, semantic })
    }
}

/// Writes the config files into `folder`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    // JSON is YAML too.
    let write = |name: &str, value: serde_json::Value| {
        let file = folder.join(name);
        std::fs::write(&file, format!("{value:#}\n")).with_context(|| format!("{}: cannot be written", file.display()))
    };
    write(
        DECODER_FILE,
        json!({"codec_config": {
            "codec_dimension": LATENT, "semantic_dim": SEMANTIC_DIM, "decoder_dim": 192, "codec_dec_ratios": [8, 6, 6, 5],
            "decoder_type": "24k", "codec_codebooks": CODEBOOKS, "codec_codebook_size": GROUP_CODES,
            "codec_codebook_search_dim": SEARCH, "semantic_token_nums": SEMANTIC_CODES, "ckpt_path": format!("ckpts/{DECODER}.pt"),
        }}),
    )?;
    write(
        TOKENIZER_FILE,
        json!({"codec_config": {
            "encoder_dim": 8, "codec_enc_ratios": [4, 5, 6, 8], "codec_dimension": LATENT, "codec_codebooks": CODEBOOKS,
            "codec_codebook_size": GROUP_CODES, "codec_codebook_search_dim": SEARCH, "input_sample_rate": 16000,
            "semantic_tokenizer_type": "semantic", "ckpt_path": format!("ckpts/{ENCODER}.pt"),
        }}),
    )?;
    write(
        "semantic.yaml",
        json!({"semantic_tokenizer_config": {
            "select_layer": 4, "codebook_dim": SEMANTIC_WIDTH, "codebook_size": SEMANTIC_CODES, "model_config": "configs/semantic_model.yaml",
        }}),
    )?;
    write(
        "semantic_model.yaml",
        json!({
            "feature": {"fbank": {
                "freq": 16000, "frame_length": 25, "frame_shift": 10, "preemphasis": 0.97, "dither": 0.0, "low_freq": 40,
                "high_freq": 7800, "num_mel_bins": 80,
            }},
            "encoder": {"type": "VGGtf_encoder", "VGGtf_encoder": {
                "d_model": SEMANTIC_WIDTH, "nhead": 4, "num_encoder_layers": 4, "dim_feedforward": 384, "feat_dim": 80,
                "conv2d_stride": "2,3", "num_conv_layers": 2,
            }},
        }),
    )
}
