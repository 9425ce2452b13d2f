//! The whole front end as one streaming value: samples in, spliced features out (hop 3).
//!
//! Source: LongCat-Flash-Omni §2.2 and its published front end: log-mel, delta, normalisation, splicing, in this order.

use std::path::Path;

use caracal_kernels::LoadError;

use super::{Cmvn, Delta, DeltaState, Fbank, FbankState, PreprocessorConfig, Splice, SpliceState, Waveform};
use crate::Streaming;

/// Turns samples into the audio encoder's input.
///
/// # Shapes
/// samples → flat `[tokens, width]`
///
/// # Units
/// one output every `stride` hops (80 ms in the released model); needs the splice's right context beyond its own slot
///
/// # State
/// less than one window of samples, and the vectors that splicing still needs
#[derive(Clone, Debug)]
pub struct FrontEnd {
    fbank: Fbank,
    delta: Option<Delta>,
    cmvn: Option<Cmvn>,
    splice: Splice,
    sample_rate: u32,
}

/// What one stream has seen.
#[derive(Clone, Debug)]
pub struct FrontEndState {
    fbank: FbankState,
    delta: DeltaState,
    splice: SpliceState,
    /// Log-mel vectors of the current piece, and the same with slopes: kept so that a step allocates nothing.
    mel: Vec<f32>,
    slopes: Vec<f32>,
}

impl FrontEnd {
    /// Reads `preprocessor_config.json` in `folder` and the statistics file beside it.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let config = PreprocessorConfig::read(&folder.join("preprocessor_config.json"))?;
        let cmvn = config.cmvn.as_deref().map(Cmvn::read).transpose()?;
        Self::new(&config, cmvn)
    }

    /// Builds the front end; `cmvn` replaces the statistics file that the config names.
    ///
    /// # Errors
    /// [`LoadError::Config`] when the filter bank cannot be built or the statistics have another width.
    pub fn new(config: &PreprocessorConfig, cmvn: Option<Cmvn>) -> Result<Self, LoadError> {
        let fbank = Fbank::new(&config.fbank).map_err(|e| {
            let problem = format!("{}. Take the file from the same release as the weights.", e.problem);
            LoadError::config(&config.file, &format!("fbank.{}", e.field), problem)
        })?;
        let delta = (config.delta.order > 0).then(|| Delta::new(&config.delta, fbank.bins()));
        let width = delta.as_ref().map_or(fbank.bins(), Delta::output_width);
        if let Some(found) = cmvn.as_ref().map(Cmvn::width).filter(|found| *found != width) {
            let problem = format!(
                "the statistics have {found} features, expected {width} (mel bands x (delta order + 1)). Take both files from the same release."
            );
            return Err(LoadError::config(&config.file, "cmvn.global_cmvn", problem));
        }
        let splice = Splice::new(&config.splice, width);
        Ok(Self { fbank, delta, cmvn, splice, sample_rate: config.fbank.freq })
    }

    /// Samples a second that it expects.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Values in one output.
    pub fn output_width(&self) -> usize {
        self.splice.output_width()
    }

    /// The filter bank inside.
    pub fn fbank(&self) -> &Fbank {
        &self.fbank
    }

    /// Outputs (audio tokens) that a whole signal of `samples` samples gives.
    pub fn count(&self, samples: u64) -> u64 {
        self.splice.count(self.fbank.frames(samples))
    }

    /// Outputs that are final after `samples` samples of a signal that goes on.
    pub fn final_count(&self, samples: u64) -> u64 {
        let waiting = self.delta.as_ref().map_or(0, Delta::look_ahead) as u64;
        self.splice.final_count(self.fbank.frames(samples).saturating_sub(waiting))
    }

    /// All outputs of a whole signal, flat `[count, width]`.
    pub fn offline(&self, waveform: &Waveform) -> Vec<f32> {
        let (mut state, mut out) = (self.start(), Vec::new());
        self.push(&mut state, waveform, &mut out);
        self.finish(&mut state, &mut out);
        out
    }

    /// Takes samples and appends the outputs that they complete to `out`. Allocates nothing once `state` and `out` have
    /// grown to the size of a piece.
    pub fn push(&self, state: &mut FrontEndState, samples: &Waveform, out: &mut Vec<f32>) {
        state.mel.clear();
        self.fbank.push(&mut state.fbank, samples, &mut state.mel);
        let features = match &self.delta {
            None => &mut state.mel,
            Some(delta) => {
                state.slopes.clear();
                delta.push(&mut state.delta, &state.mel, &mut state.slopes);
                &mut state.slopes
            }
        };
        if let Some(cmvn) = &self.cmvn {
            cmvn.apply(features);
        }
        self.splice.push(&mut state.splice, features, out);
    }

    /// Ends the signal and appends the outputs that were held back. Samples that fill no window are dropped, as offline.
    pub fn finish(&self, state: &mut FrontEndState, out: &mut Vec<f32>) {
        if let Some(delta) = &self.delta {
            state.slopes.clear();
            delta.finish(&mut state.delta, &mut state.slopes);
            if let Some(cmvn) = &self.cmvn {
                cmvn.apply(&mut state.slopes);
            }
            self.splice.push(&mut state.splice, &state.slopes, out);
        }
        self.splice.finish(&mut state.splice, out);
        self.fbank.flush(&mut state.fbank);
    }
}

impl FrontEndState {
    /// Memory that this stream holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.fbank.bytes() + self.delta.bytes() + self.splice.bytes() + 4 * (self.mel.capacity() + self.slopes.capacity())
    }
}

impl Streaming for FrontEnd {
    type State = FrontEndState;
    type In = Waveform;
    type Out = Vec<f32>;

    fn start(&self) -> FrontEndState {
        FrontEndState {
            fbank: self.fbank.start(),
            delta: DeltaState::default(),
            splice: SpliceState::default(),
            mel: Vec::new(),
            slopes: Vec::new(),
        }
    }

    fn step(&self, state: &mut FrontEndState, samples: Waveform) -> Option<Vec<f32>> {
        let mut out = Vec::new();
        self.push(state, &samples, &mut out);
        (!out.is_empty()).then_some(out)
    }

    fn flush(&self, state: &mut FrontEndState) -> Option<Vec<f32>> {
        let mut out = Vec::new();
        self.finish(state, &mut out);
        (!out.is_empty()).then_some(out)
    }
}
