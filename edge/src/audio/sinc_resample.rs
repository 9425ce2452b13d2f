//! Resampling of a whole clip exactly as the published tokenizer does it: windowed sinc, Hann, 6 zero crossings,
//! roll-off 0.99 (torchaudio's default).
//!
//! Used for clips that go into the codec's tokenizer and for sound tracks of videos, where parity with the published
//! code matters. Live sound goes through [`super::Resampler`].

use std::f64::consts::PI;

use super::Waveform;
use super::resampler::{ResampleError, check_rates};

const ZERO_CROSSINGS: f64 = 6.0;
const ROLL_OFF: f64 = 0.99;

/// Converts `waveform` from `from` to `to` samples a second.
///
/// # Shapes
/// n samples → ceil(n to / from)
///
/// # Errors
/// [`ResampleError`] for a rate that no sound has, or when loud samples leave the range of numbers.
pub fn sinc_resample(waveform: &Waveform, from: u32, to: u32) -> Result<Waveform, ResampleError> {
    check_rates(from, to)?;
    if from == to {
        return Ok(waveform.clone());
    }
    let common = gcd(from, to);
    let (from, to) = ((from / common) as usize, (to / common) as usize);
    let samples = waveform.samples();
    let phases: Vec<Phase> = (0..to).map(|q| Phase::new(q, from, to)).collect();
    let count = (samples.len() as u64 * to as u64).div_ceil(from as u64) as usize;
    let resampled = (0..count).map(|i| phases[i % to].apply(samples, (i / to * from) as i64)).collect();
    Ok(Waveform::new(resampled)?)
}

/// The taps of one of the `to` outputs that `from` inputs give, without the zeros.
struct Phase {
    /// Input of the first tap, relative to the group of `from` inputs.
    first: i64,
    taps: Vec<f32>,
}

impl Phase {
    fn new(phase: usize, from: usize, to: usize) -> Self {
        let base = from.min(to) as f64 * ROLL_OFF;
        let at = |i: i64| base * (i as f64 / from as f64 - phase as f64 / to as f64);
        let centre = (phase * from / to) as i64;
        let width = (ZERO_CROSSINGS * from as f64 / base).ceil() as i64 + 1;
        let inside = (centre - width..=centre + width).filter(|i| at(*i).abs() < ZERO_CROSSINGS);
        let mut inside = inside.peekable();
        let first = inside.peek().copied().unwrap_or(centre);
        Self { first, taps: inside.map(|i| (windowed_sinc(at(i)) * base / from as f64) as f32).collect() }
    }

    fn apply(&self, samples: &[f32], group: i64) -> f32 {
        let start = group + self.first;
        let skipped = (-start).max(0) as usize;
        let samples = samples.get(start.max(0) as usize..).unwrap_or_default();
        self.taps.iter().skip(skipped).zip(samples).map(|(tap, sample)| f64::from(*tap) * f64::from(*sample)).sum::<f64>() as f32
    }
}

fn windowed_sinc(t: f64) -> f64 {
    let sinc = if t == 0.0 { 1.0 } else { (PI * t).sin() / (PI * t) };
    sinc * (PI * t / (2.0 * ZERO_CROSSINGS)).cos().powi(2)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
