//! Log-mel filter bank: one vector of band energies every 10 ms (hop 3).
//!
//! Source: published front end of LongCat-Flash-Omni and of LongCat-Audio-Codec. It is neither Kaldi's nor torchaudio's
//! default: the first sample of each window is pre-emphasised with itself, no mean is removed, the window is
//! Hann^0.85, and the triangles are linear on the mel scale.

use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::Waveform;
use crate::Streaming;

/// Power that the Hann window is raised to.
const WINDOW_POWER: f64 = 0.85;
/// Energies below this are lifted to it before the logarithm: 2^-23.
const ENERGY_FLOOR: f64 = f32::EPSILON as f64;
/// Longest window that is accepted, in samples: 1 s at 192 kHz, far above any speech front end.
const WINDOW_SAMPLES_MAX: usize = 192_000;
/// Most mel bands that are accepted, far above any speech front end.
const BINS_MAX: usize = 4096;

/// Shape of a filter bank, from the model's own config file.
#[derive(Clone, Debug, PartialEq)]
pub struct FbankConfig {
    /// Samples a second.
    pub freq: u32,
    /// Window, in ms.
    pub frame_length: f64,
    /// Distance between windows (hop), in ms.
    pub frame_shift: f64,
    /// Share of the previous sample that is subtracted.
    pub preemphasis: f64,
    /// Lower edge of the first band, in Hz.
    pub low_freq: f64,
    /// Upper edge of the last band, in Hz; when negative, counted down from half the sample rate.
    pub high_freq: f64,
    /// Number of bands.
    pub num_mel_bins: usize,
    /// Width that bands are padded to with zeros on the right.
    pub padded_num_mel_bins: Option<usize>,
    /// What samples are multiplied by first: 32768 for the audio encoder, 32767 for the codec tokenizer.
    pub scale: f32,
}

/// A filter bank cannot be built from its config.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("fbank.{field}: {problem}")]
pub struct FbankError {
    /// The field.
    pub field: &'static str,
    /// What was found and what was expected.
    pub problem: String,
}

/// Turns samples into log-mel vectors.
///
/// # Shapes
/// samples → flat `[hops, bins]`, `hops` = [`Fbank::frames`]
///
/// # Units
/// one vector each hop; no look-ahead beyond its own window
///
/// # State
/// fewer samples than one window
#[derive(Clone)]
pub struct Fbank {
    window: Vec<f32>,
    hop: usize,
    preemphasis: f64,
    scale: f64,
    bands: Vec<Band>,
    bins: usize,
    fft: Arc<dyn RealToComplex<f64>>,
}

/// One triangle: its weights over neighbouring bins of the spectrum.
#[derive(Clone, Debug)]
struct Band {
    first: usize,
    weights: Vec<f32>,
}

/// Samples that no window has used up yet, and room to compute in.
#[derive(Clone, Debug)]
pub struct FbankState {
    pending: Vec<f32>,
    scratch: Scratch,
}

#[derive(Clone, Debug)]
struct Scratch {
    windowed: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    fft: Vec<Complex<f64>>,
}

impl Fbank {
    /// Builds the window and the triangles.
    ///
    /// # Errors
    /// [`FbankError`] naming the field that no filter bank can have.
    pub fn new(config: &FbankConfig) -> Result<Self, FbankError> {
        let refuse = |field, problem: String| Err(FbankError { field, problem });
        let samples = |ms: f64| (f64::from(config.freq) * ms / 1000.0) as usize;
        let (window, hop) = (samples(config.frame_length), samples(config.frame_shift));
        if !(2..=WINDOW_SAMPLES_MAX).contains(&window) {
            return refuse(
                "frame_length",
                format!("{} ms at {} Hz is {window} samples, expected 2 to {WINDOW_SAMPLES_MAX}", config.frame_length, config.freq),
            );
        }
        if !(1..=window).contains(&hop) {
            return refuse(
                "frame_shift",
                format!("{} ms at {} Hz is {hop} samples, expected 1 to the window of {window}", config.frame_shift, config.freq),
            );
        }
        if !config.preemphasis.is_finite() {
            return refuse("preemphasis", format!("{}, expected a finite number", config.preemphasis));
        }
        if !config.scale.is_finite() || config.scale <= 0.0 {
            return refuse("scale", format!("{}, expected a positive number", config.scale));
        }
        if !(1..=BINS_MAX).contains(&config.num_mel_bins) {
            return refuse("num_mel_bins", format!("{}, expected 1 to {BINS_MAX}", config.num_mel_bins));
        }
        let bins = config.padded_num_mel_bins.unwrap_or(config.num_mel_bins);
        if !(config.num_mel_bins..=BINS_MAX).contains(&bins) {
            return refuse("padded_num_mel_bins", format!("{bins}, expected num_mel_bins ({}) to {BINS_MAX}", config.num_mel_bins));
        }
        let nyquist = f64::from(config.freq) / 2.0;
        let high = if config.high_freq < 0.0 { nyquist + config.high_freq } else { config.high_freq };
        if !(0.0..nyquist).contains(&config.low_freq) {
            return refuse("low_freq", format!("{} Hz, expected 0 to below {nyquist}", config.low_freq));
        }
        if !(high > config.low_freq && high <= nyquist) {
            return refuse(
                "high_freq",
                format!(
                    "{} means {high} Hz, expected above low_freq ({}) and at most {nyquist}; a negative value counts down from there",
                    config.high_freq, config.low_freq
                ),
            );
        }
        let fft_samples = window.next_power_of_two();
        Ok(Self {
            window: (0..window)
                .map(|n| (0.5 - 0.5 * (2.0 * PI * n as f64 / (window - 1) as f64).cos()).powf(WINDOW_POWER) as f32)
                .collect(),
            hop,
            preemphasis: config.preemphasis,
            scale: f64::from(config.scale),
            bands: bands(config.num_mel_bins, config.low_freq, high, f64::from(config.freq) / fft_samples as f64, fft_samples / 2),
            bins,
            fft: RealFftPlanner::new().plan_fft_forward(fft_samples),
        })
    }

    /// Values in one vector.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// Samples between two vectors.
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// The analysis window.
    pub fn window(&self) -> &[f32] {
        &self.window
    }

    /// The triangles as a dense matrix, flat `[spectrum bins, bands]`; the bin at half the sample rate is never used.
    pub fn mel_banks(&self) -> Vec<f32> {
        let spectrum = self.fft.len() / 2 + 1;
        let mut dense = vec![0.0; spectrum * self.bands.len()];
        for (j, band) in self.bands.iter().enumerate() {
            for (i, weight) in band.weights.iter().enumerate() {
                dense[(band.first + i) * self.bands.len() + j] = *weight;
            }
        }
        dense
    }

    /// Vectors that `samples` samples give: only windows fully inside count.
    pub fn frames(&self, samples: u64) -> u64 {
        let window = self.window.len() as u64;
        if samples < window { 0 } else { (samples - window) / self.hop as u64 + 1 }
    }

    /// All vectors of a whole signal, flat `[frames, bins]`.
    pub fn offline(&self, waveform: &Waveform) -> Vec<f32> {
        let mut features = Vec::with_capacity(self.frames(waveform.samples().len() as u64) as usize * self.bins);
        self.windows(waveform.samples(), &mut self.start().scratch, &mut features);
        features
    }

    /// Takes `samples` and appends the vectors that they complete to `features`. Allocates nothing once `state` and
    /// `features` have grown to the size of a piece.
    pub fn push(&self, state: &mut FbankState, samples: &Waveform, features: &mut Vec<f32>) {
        state.pending.extend_from_slice(samples.samples());
        let used = self.windows(&state.pending, &mut state.scratch, features);
        state.pending.drain(..used);
    }

    /// Computes every window inside `samples`; returns where the next one starts.
    fn windows(&self, samples: &[f32], scratch: &mut Scratch, features: &mut Vec<f32>) -> usize {
        let count = self.frames(samples.len() as u64) as usize;
        for i in 0..count {
            self.window_features(&samples[i * self.hop..i * self.hop + self.window.len()], scratch, features);
        }
        count * self.hop
    }

    fn window_features(&self, samples: &[f32], scratch: &mut Scratch, features: &mut Vec<f32>) {
        let mut previous = f64::from(samples[0]);
        for ((y, x), w) in scratch.windowed.iter_mut().zip(samples).zip(&self.window) {
            let x = f64::from(*x);
            *y = (x - self.preemphasis * previous) * self.scale * f64::from(*w);
            previous = x;
        }
        // The transform destroys its input, so the padding has to be written again each time.
        scratch.windowed[samples.len()..].fill(0.0);
        self.fft
            .process_with_scratch(&mut scratch.windowed, &mut scratch.spectrum, &mut scratch.fft)
            .expect("the buffers were made for this transform");
        let energy =
            |band: &Band| scratch.spectrum[band.first..].iter().zip(&band.weights).map(|(y, w)| y.norm_sqr() * f64::from(*w)).sum::<f64>();
        features.extend(self.bands.iter().map(|band| energy(band).max(ENERGY_FLOOR).ln() as f32));
        features.resize(features.len() + self.bins - self.bands.len(), 0.0);
    }
}

/// Triangles with equal spacing on the mel scale, over `spectrum_bins` bins of `bin_hz` each.
fn bands(count: usize, low: f64, high: f64, bin_hz: f64, spectrum_bins: usize) -> Vec<Band> {
    let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let spacing = (mel(high) - mel(low)) / (count + 1) as f64;
    (0..count)
        .map(|j| {
            let left = mel(low) + j as f64 * spacing;
            let weight = |k: usize| {
                let x = (mel(bin_hz * k as f64) - left) / spacing;
                x.min(2.0 - x).max(0.0) as f32
            };
            let first = (0..spectrum_bins).find(|k| weight(*k) > 0.0).unwrap_or(0);
            Band { first, weights: (first..spectrum_bins).map(weight).take_while(|w| *w > 0.0).collect() }
        })
        .collect()
}

impl Streaming for Fbank {
    type State = FbankState;
    type In = Waveform;
    type Out = Vec<f32>;

    fn start(&self) -> FbankState {
        let scratch =
            Scratch { windowed: self.fft.make_input_vec(), spectrum: self.fft.make_output_vec(), fft: self.fft.make_scratch_vec() };
        FbankState { pending: Vec::with_capacity(2 * self.window.len()), scratch }
    }

    fn step(&self, state: &mut FbankState, samples: Waveform) -> Option<Vec<f32>> {
        let mut features = Vec::new();
        self.push(state, &samples, &mut features);
        (!features.is_empty()).then_some(features)
    }

    /// Samples that do not fill a window are dropped, as offline.
    fn flush(&self, state: &mut FbankState) -> Option<Vec<f32>> {
        state.pending.clear();
        None
    }
}

impl FbankState {
    /// Memory that this stream holds, in bytes.
    pub fn bytes(&self) -> usize {
        let complex = self.scratch.spectrum.capacity() + self.scratch.fft.capacity();
        4 * self.pending.capacity() + 8 * self.scratch.windowed.capacity() + 16 * complex
    }
}

impl fmt::Debug for Fbank {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Fbank {{ window: {}, hop: {}, bins: {} }}", self.window.len(), self.hop, self.bins)
    }
}
