//! Delta features: how the log-mel vectors change, beside the vectors themselves (hop 3, before CMVN).
//!
//! Source: published front end of LongCat-Flash-Omni; both edges repeat the first or last vector.

use super::frame_window::{FrameWindow, FrameWindowState, Neighbours};
use crate::Streaming;

/// Shape of the delta features, from the model's own config file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaConfig {
    /// How often the slope is taken; 0 leaves the features as they are.
    pub order: usize,
    /// Vectors on each side that one slope is taken over.
    pub window_size: usize,
}

/// Appends slopes of order 1 to `order` to each vector.
///
/// # Shapes
/// flat `[frames, width]` → flat `[frames, (order + 1) width]`, static values first
///
/// # Units
/// one output each vector; needs `order window_size` later vectors
///
/// # State
/// at most `2 order window_size + 1` vectors
#[derive(Clone, Debug)]
pub struct Delta {
    window: FrameWindow,
    /// One for each order from 0, each centred.
    kernels: Vec<Vec<f32>>,
}

/// The vectors that later outputs still need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeltaState(FrameWindowState);

impl Delta {
    /// Slopes of vectors of `width` values.
    ///
    /// # Panics
    /// When `width` is 0, or the window is 0 with a positive order; [`super::PreprocessorConfig`] refuses such files.
    pub fn new(config: &DeltaConfig, width: usize) -> Self {
        assert!(width > 0 && (config.order == 0 || config.window_size > 0), "delta: width {width} and {config:?} must be positive");
        let w = config.window_size as i64;
        let norm = (w * (w + 1) * (2 * w + 1)) as f64 / 3.0;
        let slope: Vec<f64> = (-w..=w).map(|k| k as f64 / norm).collect();
        let mut kernels = vec![vec![1.0]];
        for _ in 0..config.order {
            kernels.push(convolve(kernels.last().expect("the first kernel is there"), &slope));
        }
        let reach = config.order * config.window_size;
        Self {
            window: FrameWindow { left: reach, right: reach, stride: 1, width },
            kernels: kernels.into_iter().map(|kernel| kernel.into_iter().map(|k| k as f32).collect()).collect(),
        }
    }

    /// Values in one output.
    pub fn output_width(&self) -> usize {
        self.kernels.len() * self.window.width
    }

    /// Later vectors that an output needs.
    pub fn look_ahead(&self) -> usize {
        self.window.right
    }

    /// The kernel of each order from 0.
    pub fn kernels(&self) -> &[Vec<f32>] {
        &self.kernels
    }

    /// All outputs of a whole signal.
    pub fn offline(&self, features: &[f32]) -> Vec<f32> {
        let (mut state, mut out) = (self.start(), Vec::new());
        self.push(&mut state, features, &mut out);
        self.finish(&mut state, &mut out);
        out
    }

    /// Takes vectors and appends the outputs that they complete to `out`.
    ///
    /// # Panics
    /// When `features` holds no whole number of vectors.
    pub fn push(&self, state: &mut DeltaState, features: &[f32], out: &mut Vec<f32>) {
        self.window.push(&mut state.0, features, |near| self.slopes(&near, out));
    }

    /// Ends the signal and appends the outputs that were held back.
    pub fn finish(&self, state: &mut DeltaState, out: &mut Vec<f32>) {
        self.window.flush(&mut state.0, |near| self.slopes(&near, out));
    }

    fn slopes(&self, near: &Neighbours, out: &mut Vec<f32>) {
        for kernel in &self.kernels {
            let start = out.len();
            out.resize(start + self.window.width, 0.0);
            let reach = (kernel.len() / 2) as i64;
            for (weight, vector) in kernel.iter().zip(near.range(-reach..=reach)) {
                out[start..].iter_mut().zip(vector).for_each(|(y, x)| *y += weight * x);
            }
        }
    }
}

/// The full convolution of two kernels.
fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; a.len() + b.len() - 1];
    for (i, a) in a.iter().enumerate() {
        b.iter().zip(&mut out[i..]).for_each(|(b, y)| *y += a * b);
    }
    out
}

impl DeltaState {
    /// Memory that this stream holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl Streaming for Delta {
    type State = DeltaState;
    type In = Vec<f32>;
    type Out = Vec<f32>;

    fn start(&self) -> DeltaState {
        DeltaState::default()
    }

    fn step(&self, state: &mut DeltaState, features: Vec<f32>) -> Option<Vec<f32>> {
        let mut out = Vec::new();
        self.push(state, &features, &mut out);
        (!out.is_empty()).then_some(out)
    }

    fn flush(&self, state: &mut DeltaState) -> Option<Vec<f32>> {
        let mut out = Vec::new();
        self.finish(state, &mut out);
        (!out.is_empty()).then_some(out)
    }
}
