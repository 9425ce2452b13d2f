//! The codec's tokenizer: a clip of speech into semantic and acoustic codes.
//!
//! Source: LongCat-Audio-Codec, `LongCatAudioCodecEncoder`; its limits from its README.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_kernels::{Checkpoint, LoadError, Weights};

use super::acoustic_encoder::AcousticEncoder;
use super::config::{EncoderConfig, checkpoint_beside};
use super::ids::{CodecFrame, CodecIds, InvalidCodes};
use super::quantizer::GroupedResidualQuantizer;
use super::semantic_config::SemanticConfig;
use super::semantic_tokenizer::SemanticTokenizer;
use super::trace::Trace;
use crate::audio::{ResampleError, Waveform, sinc_resample};

/// Longest clip in seconds: what the published model was made for.
const CLIP_SECONDS_MAX: usize = 30;

/// Both halves of the tokenizer.
pub struct AudioTokenizer {
    /// What is said.
    pub semantic: SemanticTokenizer,
    /// How it sounds.
    pub acoustic: AcousticEncoder,
    /// Codes of how it sounds.
    pub quantizer: GroupedResidualQuantizer,
    sample_rate: u32,
    samples_per_frame: usize,
}

/// The codes of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipCodes {
    /// One each 60 ms.
    pub semantic: Vec<u32>,
    /// Packed, `[codebooks][frames]`.
    pub acoustic: Vec<Vec<u32>>,
}

impl ClipCodes {
    /// The frames that a decoder can speak, as many as both halves have.
    ///
    /// # Errors
    /// [`InvalidCodes`] when the decoder's tables are not the tokenizer's.
    pub fn frames(&self, ids: &CodecIds) -> Result<Vec<CodecFrame>, InvalidCodes> {
        let count = self.acoustic.iter().map(Vec::len).chain([self.semantic.len()]).min().unwrap_or(0);
        let frame = |t: usize| {
            let acoustic: Vec<i64> = self.acoustic.iter().map(|book| i64::from(book[t])).collect();
            ids.frame(i64::from(self.semantic[t]), &acoustic)
        };
        (0..count).map(frame).collect()
    }
}

/// A clip cannot be turned into codes.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum TokenizeError {
    /// There is nothing in it.
    #[error("the clip is empty, expected at least one sample. Leave it out.")]
    Empty,
    /// It is longer than the model was made for.
    #[error("the clip has {found} samples, expected at most {expected} ({CLIP_SECONDS_MAX} s). Cut it into shorter clips.")]
    TooLong {
        /// Its samples at the tokenizer's rate.
        found: u64,
        /// What is accepted.
        expected: u64,
    },
    /// Its sample rate cannot be converted.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

impl AudioTokenizer {
    /// Opens a tokenizer's config file, the semantic tokenizer's files beside it, and the checkpoint that it names.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field or tensor. Tensors that nothing here needs are allowed, as published
    /// checkpoints carry some.
    pub fn open(file: &Path, device: &Device, dtype: DType) -> Result<(Self, EncoderConfig), LoadError> {
        let config = EncoderConfig::read(file)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let semantic = SemanticConfig::read(folder, &config.semantic_tokenizer_type)?;
        let checkpoint = Checkpoint::open(&checkpoint_beside(file, config.ckpt_path.as_deref())?)?;
        let weights = Weights::from_checkpoint(&checkpoint, device, dtype).keep_narrow();
        Ok((Self::load(&weights, &config, &semantic, folder)?, config))
    }

    /// Loads all parameters by their published names; `folder` is where the semantic front end's statistics are.
    ///
    /// # Errors
    /// [`LoadError`] naming the tensor, the field or the file.
    pub fn load(weights: &Weights, config: &EncoderConfig, semantic: &SemanticConfig, folder: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            semantic: SemanticTokenizer::load(&weights.at("semantic_tokenizer"), semantic, folder)?,
            acoustic: AcousticEncoder::load(&weights.at("encoder"), config)?,
            quantizer: GroupedResidualQuantizer::load(&weights.at("acoustic_quantizer"), &config.quantizer())?,
            sample_rate: config.input_sample_rate,
            samples_per_frame: config.samples_per_frame(),
        })
    }

    /// Codes of one clip at any sample rate, padded with silence to whole frames: both halves give as many.
    ///
    /// # Errors
    /// [`TokenizeError`]; nothing was computed.
    pub fn clip(&self, waveform: &Waveform, sample_rate: u32) -> Result<ClipCodes, TokenizeError> {
        self.clip_traced(waveform, sample_rate, &mut Trace::off())
    }

    /// As [`AudioTokenizer::clip`], with every stage shown under its published name.
    ///
    /// # Errors
    /// As [`AudioTokenizer::clip`].
    pub fn clip_traced(&self, waveform: &Waveform, sample_rate: u32, trace: &mut Trace) -> Result<ClipCodes, TokenizeError> {
        // Checked before the conversion too, whose time and memory grow with the clip.
        self.check(waveform.samples().len(), sample_rate)?;
        let waveform = sinc_resample(waveform, sample_rate, self.sample_rate)?;
        let mut samples = waveform.into_samples();
        samples.resize(samples.len().next_multiple_of(self.samples_per_frame), 0.0);
        let waveform = Waveform::new(samples).expect("silence is finite");
        Ok(self.codes_traced(&waveform, trace))
    }

    /// Codes of clips at the tokenizer's rate, each as the published batch call with lengths gives them: nothing is
    /// padded, so the two halves may differ by a frame, and a clip shorter than a frame gives none.
    ///
    /// # Errors
    /// [`TokenizeError`]; nothing was computed.
    pub fn batch(&self, clips: &[Waveform]) -> Result<Vec<ClipCodes>, TokenizeError> {
        clips.iter().try_for_each(|clip| self.check(clip.samples().len(), self.sample_rate))?;
        Ok(clips.iter().map(|clip| self.codes_traced(clip, &mut Trace::off())).collect())
    }

    fn check(&self, samples: usize, sample_rate: u32) -> Result<(), TokenizeError> {
        let (found, expected) = (samples as u64, CLIP_SECONDS_MAX as u64 * u64::from(sample_rate));
        match found {
            0 => Err(TokenizeError::Empty),
            found if found > expected => Err(TokenizeError::TooLong { found, expected }),
            _ => Ok(()),
        }
    }

    /// Codes of samples as they are, at the tokenizer's rate, with every stage shown: what both ways of calling come to.
    pub fn codes_traced(&self, waveform: &Waveform, trace: &mut Trace) -> ClipCodes {
        let semantic = self.semantic.offline(waveform, trace);
        let samples = waveform.samples();
        let bias = self.acoustic.first.conv.bias.val();
        let x = Tensor::from_data(TensorData::new(samples.to_vec(), [samples.len(), 1]), (&bias.device(), bias.dtype()));
        let Some(z) = self.acoustic.offline(x, trace) else {
            return ClipCodes { semantic, acoustic: vec![Vec::new(); self.quantizer.quantizers.len()] };
        };
        trace.show(|| "z".into(), &z);
        let quantized = self.quantizer.encode(z);
        trace.show(|| "quantized_sum".into(), &quantized.sum);
        for (book, groups) in quantized.projected.chunks(2).enumerate() {
            trace.show(|| format!("projected.{book}"), &Tensor::cat(groups.to_vec(), 1));
        }
        ClipCodes { semantic, acoustic: quantized.codes }
    }
}
