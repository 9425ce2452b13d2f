//! Spoken sentences at the two sample rates of the codec.

use anyhow::{Context, Result};
use caracal_edge::audio::{Waveform, sinc_resample};

use crate::voices::piper::Spoken;

/// What the tokenizer hears, samples a second.
pub const LOW_RATE: u32 = 16_000;
/// What the decoder speaks, samples a second.
pub const HIGH_RATE: u32 = 24_000;
/// Samples of a codec frame at [`LOW_RATE`].
pub const LOW_SAMPLES: usize = 960;
/// Samples of a codec frame at [`HIGH_RATE`].
pub const HIGH_SAMPLES: usize = 1440;

/// Codec frames of silence before a recording. The first codes of a phrase are chosen in the same steps as its first
/// words; with silence there, what is spoken is chosen when the words are known (docs/decisions/0012).
pub const LEAD_FRAMES: usize = 2;

/// One sentence.
pub struct Clip {
    /// What is said.
    pub text: String,
    /// How, one character a phoneme.
    pub phonemes: String,
    /// At [`LOW_RATE`], after [`LEAD_FRAMES`] of silence, padded with silence to whole codec frames.
    pub low: Vec<f32>,
    /// At [`HIGH_RATE`], as many codec frames.
    pub high: Vec<f32>,
}

impl Clip {
    /// Reads a recording and converts it to both rates.
    ///
    /// # Errors
    /// When the file is no 16-bit WAV.
    pub fn read(spoken: &Spoken) -> Result<Self> {
        let file = || format!("{}: no 16-bit WAV file", spoken.wav.display());
        let mut reader = hound::WavReader::open(&spoken.wav).with_context(file)?;
        let rate = reader.spec().sample_rate;
        let samples =
            reader.samples::<i16>().map(|s| s.map(|s| f32::from(s) / 32768.0)).collect::<Result<Vec<_>, _>>().with_context(file)?;
        let waveform = Waveform::new(samples)?;
        let after_silence = |samples: usize, sound: Waveform| [vec![0.0; LEAD_FRAMES * samples], sound.into_samples()].concat();
        let mut low = after_silence(LOW_SAMPLES, sinc_resample(&waveform, rate, LOW_RATE)?);
        let mut high = after_silence(HIGH_SAMPLES, sinc_resample(&waveform, rate, HIGH_RATE)?);
        let frames = low.len().div_ceil(LOW_SAMPLES);
        low.resize(frames * LOW_SAMPLES, 0.0);
        high.resize(frames * HIGH_SAMPLES, 0.0);
        Ok(Self { text: spoken.text.clone(), phonemes: spoken.phonemes.clone(), low, high })
    }

    /// Nothing at all, long enough that what begins it does not look ahead to its end.
    pub fn silence() -> Self {
        let samples = |of_frame: usize| vec![0.0; 8 * LEAD_FRAMES * of_frame];
        Self { text: String::new(), phonemes: String::new(), low: samples(LOW_SAMPLES), high: samples(HIGH_SAMPLES) }
    }

    /// Codec frames.
    pub fn frames(&self) -> usize {
        self.low.len() / LOW_SAMPLES
    }
}

/// Reads all, in their order.
///
/// # Errors
/// As [`Clip::read`].
pub fn read_all(spoken: &[Spoken]) -> Result<Vec<Clip>> {
    use rayon::prelude::*;
    spoken.par_iter().map(Clip::read).collect()
}
