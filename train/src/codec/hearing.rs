//! How differently two recordings sound to somebody who listens for words: distance between the semantic tokenizer's
//! features.
//!
//! Spectral distances weigh a vowel's long harmonics far above a consonant's short burst; the tokenizer was trained to
//! tell consonants apart. Its front end runs here at the decoder's sample rate as a matrix product, at the very
//! frequencies that it uses at its own, so that gradients reach the waveform.

use std::f64::consts::PI;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use caracal_edge::audio::Fbank;
use caracal_edge::codec::semantic_tokenizer::SemanticEncoder;
use caracal_edge::codec::{SemanticConfig, Trace};

use super::clips::{HIGH_RATE, LOW_RATE};

/// Share of the previous sample that the front end subtracts.
const PREEMPHASIS: f64 = 0.97;
/// What the front end multiplies samples by.
const SCALE: f64 = 32767.0;
/// Power of the Hann window.
const WINDOW_POWER: f64 = 0.85;

/// A listener that does not learn.
pub struct Hearing {
    encoder: SemanticEncoder,
    /// Windowed cosines, then sines: `[window, 2 x bins]`.
    fourier: Tensor<2>,
    /// `[bins, bands]`
    mel: Tensor<2>,
    bins: usize,
    hop: usize,
    floor: f64,
}

impl Hearing {
    /// A listener with this tokenizer; energies whose logarithm is below `floor` are not told apart.
    ///
    /// # Errors
    /// When the config describes no filter bank.
    pub fn new(encoder: SemanticEncoder, config: &SemanticConfig, floor: f32, device: &Device) -> Result<Self> {
        let fbank = Fbank::new(&config.fbank.fbank())?;
        let banks = fbank.mel_banks();
        let bands = fbank.bins();
        let bins = banks.len() / bands;
        let up = |samples: usize| samples * HIGH_RATE as usize / LOW_RATE as usize;
        let (low, window, hop) = (fbank.window().len(), up(fbank.window().len()), up(fbank.hop()));
        // The front end's transform is twice as long as its bins, at its own rate.
        let period = up(2 * (bins - 1));
        let gain = SCALE * low as f64 / window as f64;
        let hann = |n: usize| (0.5 - 0.5 * (2.0 * PI * n as f64 / (window - 1) as f64).cos()).powf(WINDOW_POWER);
        let wave = |n: usize, column: usize| {
            let angle = 2.0 * PI * (n * (column % bins) % period) as f64 / period as f64;
            (hann(n) * gain * if column < bins { angle.cos() } else { angle.sin() }) as f32
        };
        let fourier: Vec<f32> = (0..window).flat_map(|n| (0..2 * bins).map(move |column| wave(n, column))).collect();
        let emphasis = |bin: usize| 1.0 + PREEMPHASIS * PREEMPHASIS - 2.0 * PREEMPHASIS * (PI * bin as f64 / (bins - 1) as f64).cos();
        let mel: Vec<f32> = banks.iter().enumerate().map(|(i, weight)| weight * emphasis(i / bands) as f32).collect();
        Ok(Self {
            encoder: encoder.no_grad(),
            fourier: Tensor::from_data(TensorData::new(fourier, [window, 2 * bins]), device),
            mel: Tensor::from_data(TensorData::new(mel, [bins, bands]), device),
            bins,
            hop,
            floor: f64::from(floor).exp(),
        })
    }

    /// Mean absolute difference of features of one sentence.
    ///
    /// # Shapes
    /// `[samples, 1]` each, whole codec frames → `[1]`
    pub fn between(&self, got: &Tensor<2>, want: &Tensor<2>) -> Tensor<1> {
        (self.features(got) - self.features(want)).abs().mean()
    }

    fn features(&self, wave: &Tensor<2>) -> Tensor<2> {
        self.encoder.hidden(self.vectors(wave), &mut Trace::off())
    }

    /// Log-mel vectors, as many as the front end gives.
    fn vectors(&self, wave: &Tensor<2>) -> Tensor<2> {
        let [samples, _] = wave.dims();
        let [window, _] = self.fourier.dims();
        let hops = samples / self.hop;
        let rows = wave.clone().reshape([hops, self.hop]);
        let count = hops + 1 - window.div_ceil(self.hop);
        let width = |part: usize| (window - part * self.hop).min(self.hop);
        let parts = (0..window.div_ceil(self.hop)).map(|part| rows.clone().narrow(0, part, count).narrow(1, 0, width(part)));
        let x = Tensor::cat(parts.collect(), 1).matmul(self.fourier.clone());
        let power = x.clone().narrow(1, 0, self.bins).square() + x.narrow(1, self.bins, self.bins).square();
        (power.matmul(self.mel.clone()) + self.floor).log()
    }
}

#[cfg(test)]
mod tests {
    use caracal_edge::audio::Waveform;
    use caracal_edge::codec::SemanticTokenizer;
    use caracal_kernels::Weights;

    use super::*;
    use crate::codec::shape;

    #[test]
    fn vectors_are_those_of_the_front_end() {
        let folder = std::env::temp_dir().join(format!("caracal-hearing-{}", std::process::id()));
        shape::write(&folder).unwrap();
        let shapes = shape::Shapes::read(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let device = Device::flex();
        let encoder = SemanticTokenizer::load(&Weights::random(1, &device), &shapes.semantic, &folder).unwrap().encoder;
        let hearing = Hearing::new(encoder, &shapes.semantic, -10.0, &device).unwrap();
        let sound = |rate: u32| -> Vec<f32> {
            let wave = |t: f64| 0.3 * (2.0 * PI * 220.0 * t).sin() + 0.1 * (2.0 * PI * 3100.0 * t + 1.0).sin() * (1.0 + (9.0 * t).cos());
            (0..rate * 12 / 25).map(|n| wave(f64::from(n) / f64::from(rate)) as f32).collect()
        };
        let low = Fbank::new(&shapes.semantic.fbank.fbank()).unwrap().offline(&Waveform::new(sound(LOW_RATE)).unwrap());
        let high = sound(HIGH_RATE);
        let count = high.len();
        let got = hearing.vectors(&Tensor::from_data(TensorData::new(high, [count, 1]), &device)).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(got.len(), low.len());
        // Within 40 dB of the loudest band: below that the windows leak differently, since the front end emphasises before
        // the window and the product here after it.
        let loudest = low.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let loud: Vec<(f32, f32)> = got.iter().copied().zip(low).filter(|(_, want)| *want > loudest - 9.2).collect();
        assert!(loud.len() > 100, "{}", loud.len());
        for (got, want) in loud {
            assert!((got - want).abs() < 0.3, "{got}, not {want}");
        }
    }
}
