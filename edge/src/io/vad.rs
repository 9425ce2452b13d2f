//! Voice activity: the Silero network through ONNX Runtime (hop 4).
//!
//! It is I/O because the runtime is a shared library that is loaded when the program runs. What its numbers mean is decided
//! in [`crate::audio::voice_activity`].
//!
//! Source: Silero VAD 6.2.3 (MIT), 16 kHz network: 64 samples of context before 512 new ones, and a recurrent state.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use caracal_shared::rates::HEARING_HZ;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

use super::vad_files::{FIX, VadFiles, VadFilesError};
use crate::audio::{SpeechProbability, VAD_WINDOW_SAMPLES};

/// Samples of the window before that the network sees again.
const CONTEXT: usize = 64;
/// Values of the recurrent state: two vectors of 128.
const STATE: usize = 2 * 128;

/// Voice activity cannot be used, or failed.
#[derive(Debug, thiserror::Error)]
pub enum VadError {
    /// A file is missing. Run what it says.
    #[error(transparent)]
    Files(#[from] VadFilesError),
    /// The library is no usable ONNX Runtime for this program. Fetch the right one.
    #[error("{}: cannot be used as ONNX Runtime: {problem}. Run `{FIX}` to fetch the version that fits.", file.display())]
    Library {
        /// The library.
        file: PathBuf,
        /// Why.
        problem: String,
    },
    /// The model file is damaged or another network. Fetch it again.
    #[error("{}: cannot be used as the voice model: {problem}. Run `{FIX}` to fetch it again.", file.display())]
    Model {
        /// The model.
        file: PathBuf,
        /// Why.
        problem: String,
    },
    /// The runtime failed on a window. Start the stream anew.
    #[error("voice activity failed on the window at sample {start}: {problem}. Start the session again; if it happens again, run `{FIX}`.")]
    Run {
        /// First sample of the window.
        start: u64,
        /// Why.
        problem: String,
    },
}

/// The network, shared by any number of streams one after the other.
#[derive(Debug)]
pub struct SileroVad {
    session: Session,
}

/// What the network has heard of one stream.
///
/// # State
/// the samples of the window that is being filled with its context, a recurrent state of 256 values, a position
#[derive(Clone, Debug, PartialEq)]
pub struct SileroState {
    window: [f32; CONTEXT + VAD_WINDOW_SAMPLES],
    filled: usize,
    recurrent: [f32; STATE],
    start: u64,
}

impl Default for SileroState {
    /// A stream of which nothing was heard.
    fn default() -> Self {
        Self { window: [0.0; _], filled: 0, recurrent: [0.0; _], start: 0 }
    }
}

/// ONNX Runtime allows one environment in a process, and drops what no one holds.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

fn environment(files: &VadFiles) -> Result<Environment, VadError> {
    let mut slot = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*slot {
        return Ok(environment.clone());
    }
    let refuse = |problem: String| VadError::Library { file: files.library.clone(), problem };
    let builder = ort::init_from(&files.library).map_err(|e| refuse(e.to_string()))?;
    let environment = builder.with_name("caracal").with_telemetry(false).build().map_err(|e| refuse(e.to_string()))?;
    Ok(slot.insert(environment).clone())
}

impl SileroVad {
    /// Loads library and network. The library of the first call serves the whole process.
    ///
    /// # Errors
    /// [`VadError::Library`] or [`VadError::Model`].
    pub fn load(files: &VadFiles) -> Result<Self, VadError> {
        let environment = environment(files)?;
        let refuse = |problem: String| VadError::Model { file: files.model.clone(), problem };
        let open = || -> ort::Result<Session> {
            // One thread: the network takes a tenth of a millisecond, waking another takes as long.
            Session::builder(&environment)?.with_intra_threads(1)?.with_inter_threads(1)?.commit_from_file(&files.model)
        };
        let session = open().map_err(|e| refuse(e.to_string()))?;
        let inputs: Vec<&str> = session.inputs().iter().map(|input| input.name()).collect();
        if inputs != ["input", "state", "sr"] || session.outputs().len() != 2 {
            return Err(refuse(format!("its inputs are {inputs:?}, expected `input`, `state` and `sr`")));
        }
        let mut vad = Self { session };
        // A first run shows a wrong shape inside, and leaves its memory ready for the sound.
        vad.probability(&mut SileroState::default()).map_err(refuse)?;
        Ok(vad)
    }

    /// Takes samples at 16 kHz, in pieces of any length (a hop is 160), and appends one probability to `out` for every
    /// 512 that are complete.
    ///
    /// # Errors
    /// [`VadError::Run`]; the stream is then lost and must begin with a new state.
    pub fn push(&mut self, state: &mut SileroState, mut samples: &[f32], out: &mut Vec<SpeechProbability>) -> Result<(), VadError> {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(VAD_WINDOW_SAMPLES - state.filled));
            let at = CONTEXT + state.filled;
            state.window[at..at + now.len()].copy_from_slice(now);
            state.filled += now.len();
            samples = later;
            if state.filled == VAD_WINDOW_SAMPLES {
                let start = state.start;
                let probability = self.probability(state).map_err(|problem| VadError::Run { start, problem })?;
                out.push(SpeechProbability { start, probability });
                state.window.copy_within(VAD_WINDOW_SAMPLES.., 0);
                state.filled = 0;
                state.start += VAD_WINDOW_SAMPLES as u64;
            }
        }
        Ok(())
    }

    /// Runs the network on a full window and moves the recurrent state on.
    fn probability(&mut self, state: &mut SileroState) -> Result<f32, String> {
        let mut run = || -> ort::Result<f32> {
            let outputs = self.session.run(ort::inputs![
                TensorRef::from_array_view(([1, state.window.len()], &state.window[..]))?,
                TensorRef::from_array_view(([2, 1, STATE / 2], &state.recurrent[..]))?,
                TensorRef::from_array_view(([0usize; 0], &[i64::from(HEARING_HZ)][..]))?,
            ])?;
            let recurrent = outputs[1].try_extract_tensor::<f32>()?.1;
            let probability = outputs[0].try_extract_tensor::<f32>()?.1.first().copied();
            match (probability, <[f32; STATE]>::try_from(recurrent)) {
                (Some(probability), Ok(next)) => {
                    state.recurrent = next;
                    Ok(probability)
                }
                _ => Err(ort::Error::new(format!("a state of {} values, expected {STATE}", recurrent.len()))),
            }
        };
        run().map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_none_is_named_with_the_command_that_fixes_it() {
        let text = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let error = SileroVad::load(&VadFiles { library: text.clone(), model: text }).expect_err("text is no library");
        assert!(matches!(&error, VadError::Library { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.contains("Cargo.toml") && error.contains("ONNX Runtime") && error.contains(FIX), "{error}");
    }
}
