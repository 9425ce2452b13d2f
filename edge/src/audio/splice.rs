//! Frame splicing: neighbouring log-mel vectors side by side, every eighth one (hop 3).
//!
//! Source: LongCat-Flash-Omni §2.2 (downsampling by frame splicing) and its published front end: both edges repeat the
//! first or last vector.

use super::frame_window::{FrameWindow, FrameWindowState};
use crate::Streaming;

/// Shape of the splicing, from the model's own config file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpliceConfig {
    /// Vectors before the centre.
    pub left: usize,
    /// Vectors after the centre.
    pub right: usize,
    /// Distance between centres.
    pub stride: usize,
}

/// Joins `left + 1 + right` vectors, oldest first, around every `stride`-th one.
///
/// # Shapes
/// flat `[frames, width]` → flat `[ceil(frames / stride), (left + 1 + right) width]`
///
/// # Units
/// one output each `stride` vectors; needs `right` later vectors
///
/// # State
/// at most `left + right + stride` vectors
#[derive(Clone, Debug)]
pub struct Splice {
    window: FrameWindow,
}

/// The vectors that later outputs still need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpliceState(FrameWindowState);

impl Splice {
    /// Splices vectors of `width` values.
    ///
    /// # Panics
    /// When `width` or the stride is 0; [`super::PreprocessorConfig`] refuses such files.
    pub fn new(config: &SpliceConfig, width: usize) -> Self {
        assert!(width > 0 && config.stride > 0, "splice: width {width} and stride {} must be positive", config.stride);
        Self { window: FrameWindow { left: config.left, right: config.right, stride: config.stride, width } }
    }

    /// Values in one output.
    pub fn output_width(&self) -> usize {
        (self.window.left + 1 + self.window.right) * self.window.width
    }

    /// Outputs that a whole signal of `frames` vectors gives.
    pub fn count(&self, frames: u64) -> u64 {
        self.window.count(frames)
    }

    /// Outputs that are final after `frames` vectors of a signal that goes on.
    pub fn final_count(&self, frames: u64) -> u64 {
        self.window.final_count(frames)
    }

    /// All outputs of a whole signal.
    pub fn offline(&self, features: &[f32]) -> Vec<f32> {
        let (mut state, mut spliced) = (self.start(), Vec::new());
        self.push(&mut state, features, &mut spliced);
        self.finish(&mut state, &mut spliced);
        spliced
    }

    /// Takes vectors and appends the outputs that they complete to `spliced`.
    ///
    /// # Panics
    /// When `features` holds no whole number of vectors.
    pub fn push(&self, state: &mut SpliceState, features: &[f32], spliced: &mut Vec<f32>) {
        let (left, right) = (self.window.left as i64, self.window.right as i64);
        self.window.push(&mut state.0, features, |near| near.range(-left..=right).for_each(|v| spliced.extend_from_slice(v)));
    }

    /// Ends the signal and appends the outputs that were held back.
    pub fn finish(&self, state: &mut SpliceState, spliced: &mut Vec<f32>) {
        let (left, right) = (self.window.left as i64, self.window.right as i64);
        self.window.flush(&mut state.0, |near| near.range(-left..=right).for_each(|v| spliced.extend_from_slice(v)));
    }
}

impl SpliceState {
    /// Memory that this stream holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl Streaming for Splice {
    type State = SpliceState;
    type In = Vec<f32>;
    type Out = Vec<f32>;

    fn start(&self) -> SpliceState {
        SpliceState::default()
    }

    fn step(&self, state: &mut SpliceState, features: Vec<f32>) -> Option<Vec<f32>> {
        let mut spliced = Vec::new();
        self.push(state, &features, &mut spliced);
        (!spliced.is_empty()).then_some(spliced)
    }

    fn flush(&self, state: &mut SpliceState) -> Option<Vec<f32>> {
        let mut spliced = Vec::new();
        self.finish(state, &mut spliced);
        (!spliced.is_empty()).then_some(spliced)
    }
}
