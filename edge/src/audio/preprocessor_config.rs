//! The front end's own config file, `preprocessor_config.json`, beside the audio encoder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use caracal_kernels::LoadError;
use caracal_kernels::checkpoint::{parse_config, refuse_unknown_keys};
use serde::Deserialize;
use serde_json::Value;

use super::{DeltaConfig, FbankConfig, SpliceConfig};

/// What the audio encoder's front end multiplies samples by (the codec's tokenizer uses 32767).
pub const ENCODER_SCALE: f32 = 32768.0;
/// Name of the statistics file. The path inside the config is ignored, as in the published code.
const CMVN_FILE: &str = "global_cmvn";
/// Most vectors that one splice may join or skip: about 10 s of sound.
const SPLICE_FRAMES_MAX: usize = 1000;
/// Longest reach of delta features on each side, in vectors.
const DELTA_REACH_MAX: usize = 1000;
/// Largest config text that is parsed: far above any real one.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Shape of the whole front end.
#[derive(Clone, Debug, PartialEq)]
pub struct PreprocessorConfig {
    /// Where it was read from, for errors.
    pub file: PathBuf,
    /// Log-mel filter bank.
    pub fbank: FbankConfig,
    /// Delta features.
    pub delta: DeltaConfig,
    /// The statistics file; `None` where the config switches normalisation off.
    pub cmvn: Option<PathBuf>,
    /// Splicing.
    pub splice: SpliceConfig,
}

#[derive(Deserialize)]
struct FileFields {
    fbank: FbankFields,
    delta: DeltaFields,
    cmvn: CmvnFields,
    splice: SpliceFields,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct FbankFields {
    freq: u32,
    frame_length: f64,
    frame_shift: f64,
    preemphasis: f64,
    num_mel_bins: usize,
    low_freq: f64,
    high_freq: f64,
    padded_num_mel_bins: Option<usize>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct DeltaFields {
    delta_order: usize,
    window_size: Option<usize>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct CmvnFields {
    global_cmvn: String,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct SpliceFields {
    left: usize,
    right: usize,
    stride: usize,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl PreprocessorConfig {
    /// Reads `preprocessor_config.json` for the audio encoder.
    ///
    /// # Errors
    /// [`LoadError::Io`], or [`LoadError::Config`] naming the field.
    pub fn read(file: &Path) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { file: file.to_path_buf(), source };
        let bytes = std::fs::metadata(file).map_err(io)?.len();
        if bytes > TEXT_BYTES_MAX {
            return Err(LoadError::config(
                file,
                "(top level)",
                format!("{bytes} bytes, at most {TEXT_BYTES_MAX} expected. Point to the config file of the model."),
            ));
        }
        Self::parse(file, &std::fs::read_to_string(file).map_err(io)?)
    }

    /// Parses the text of the file; `file` is named in errors, and the statistics file is looked for beside it.
    ///
    /// Noise (`dither`) and shifted splicing (`random_start`, `seed`) are for training and are ignored.
    ///
    /// # Errors
    /// [`LoadError::Config`] naming the field.
    pub fn parse(file: &Path, text: &str) -> Result<Self, LoadError> {
        let FileFields { fbank, delta, cmvn, splice, rest } = parse_config(file, text)?;
        refuse_unknown_keys(file, &rest, &["feature_extractor_type", "processor_class"])?;
        refuse_unknown_keys(file, &fbank.rest, &["dither"])?;
        refuse_unknown_keys(file, &delta.rest, &[])?;
        refuse_unknown_keys(file, &cmvn.rest, &[])?;
        refuse_unknown_keys(file, &splice.rest, &["random_start", "seed"])?;
        let order = delta.delta_order;
        let window_size = match (order, delta.window_size) {
            (0, window) => window.unwrap_or(0),
            (_, Some(window)) if window > 0 && order.saturating_mul(window) <= DELTA_REACH_MAX => window,
            (_, window) => {
                let problem = format!(
                    "{window:?} with delta_order {order}, expected a positive size with order x size up to {DELTA_REACH_MAX}. Take the file from the same release as the weights."
                );
                return Err(LoadError::config(file, "delta.window_size", problem));
            }
        };
        for (field, value, least) in [("left", splice.left, 0), ("right", splice.right, 0), ("stride", splice.stride, 1)] {
            if !(least..=SPLICE_FRAMES_MAX).contains(&value) {
                let problem =
                    format!("{value}, expected {least} to {SPLICE_FRAMES_MAX}. Take the file from the same release as the weights.");
                return Err(LoadError::config(file, &format!("splice.{field}"), problem));
            }
        }
        Ok(Self {
            file: file.to_path_buf(),
            fbank: FbankConfig {
                freq: fbank.freq,
                frame_length: fbank.frame_length,
                frame_shift: fbank.frame_shift,
                preemphasis: fbank.preemphasis,
                low_freq: fbank.low_freq,
                high_freq: fbank.high_freq,
                num_mel_bins: fbank.num_mel_bins,
                padded_num_mel_bins: fbank.padded_num_mel_bins,
                scale: ENCODER_SCALE,
            },
            delta: DeltaConfig { order, window_size },
            cmvn: (!cmvn.global_cmvn.is_empty()).then(|| file.with_file_name(CMVN_FILE)),
            splice: SpliceConfig { left: splice.left, right: splice.right, stride: splice.stride },
        })
    }
}
