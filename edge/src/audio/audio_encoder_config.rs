//! The audio encoder's own config file, `audio/config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use caracal_kernels::LoadError;
use caracal_kernels::checkpoint::{parse_config, read_config, refuse_unknown_keys};
use serde::Deserialize;
use serde_json::Value;

/// Most past or future vectors that one memory may reach over: 87 minutes at 80 ms, so that a damaged stride cannot ask
/// for all memory.
const MEMORY_REACH_MAX: usize = 1 << 16;

/// Shape of the audio encoder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AudioEncoderConfig {
    /// Width of a spliced vector.
    pub input_size: usize,
    /// Width of every feed-forward layer and, with `ndnn` > 0, of the output.
    pub hidden_size: usize,
    /// Width of the residual stream.
    pub proj_size: usize,
    /// Outputs of the CTC head.
    pub vocab_size: usize,
    /// FSMN layers.
    pub nlayer: usize,
    /// How many of the last layers look ahead.
    pub num_right_layers: usize,
    /// Past vectors in a memory.
    pub left_order: usize,
    /// Future vectors in the memory of a layer that looks ahead.
    pub right_order: usize,
    /// Distance between the vectors of a memory, on both sides.
    pub left_stride: usize,
    /// Linear layers after the FSMN layers.
    pub ndnn: usize,
    /// `relu6`, `relu2`, or anything else for an unbounded rectifier.
    pub activation: String,
    /// Width of the projector's output, where the file says it.
    pub proj_output_dim: Option<usize>,
    /// Share of layers left out at random, which must be 0.
    #[serde(default)]
    layer_drop: f64,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl AudioEncoderConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// [`LoadError::Io`], or [`LoadError::Config`] naming the field.
    pub fn read(file: &Path) -> Result<Self, LoadError> {
        read_config::<Self>(file)?.checked(file)
    }

    /// Parses the text of the file; `file` is named in errors.
    ///
    /// # Errors
    /// [`LoadError::Config`] naming the field.
    pub fn parse(file: &Path, text: &str) -> Result<Self, LoadError> {
        parse_config::<Self>(file, text)?.checked(file)
    }

    fn checked(self, file: &Path) -> Result<Self, LoadError> {
        // `right_stride` is read by nobody and `dropout` only by training, in the published code too.
        refuse_unknown_keys(file, &self.rest, &["right_stride", "dropout"])?;
        let refuse = |field: &str, found: String, expected: &str| {
            Err(LoadError::config(
                file,
                field,
                format!("{found}, expected {expected}. Take the file from the same release as the weights."),
            ))
        };
        let sizes = [
            ("input_size", self.input_size),
            ("hidden_size", self.hidden_size),
            ("proj_size", self.proj_size),
            ("vocab_size", self.vocab_size),
        ];
        for (field, value) in sizes.into_iter().chain([("left_stride", self.left_stride)]) {
            if value == 0 {
                return refuse(field, value.to_string(), "a positive number");
            }
        }
        if self.num_right_layers > self.nlayer {
            return refuse("num_right_layers", self.num_right_layers.to_string(), &format!("at most nlayer ({})", self.nlayer));
        }
        for (field, order) in [("left_order", self.left_order), ("right_order", self.right_order)] {
            if order.saturating_mul(self.left_stride) > MEMORY_REACH_MAX {
                return refuse(
                    field,
                    format!("{order} x left_stride {}", self.left_stride),
                    &format!("a reach of at most {MEMORY_REACH_MAX} vectors"),
                );
            }
        }
        if self.layer_drop != 0.0 {
            return refuse("layer_drop", self.layer_drop.to_string(), "0");
        }
        Ok(self)
    }

    /// Whether layer `index` looks ahead.
    pub fn looks_ahead(&self, index: usize) -> bool {
        index + self.num_right_layers >= self.nlayer
    }

    /// Width of the encoder's output.
    pub fn output_size(&self) -> usize {
        if self.ndnn == 0 { self.proj_size } else { self.hidden_size }
    }
}
