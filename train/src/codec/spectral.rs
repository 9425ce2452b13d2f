//! How far two waveforms are apart for the ear: short-time spectra of several window lengths, compared in logarithms.
//!
//! Phase is left free. The Fourier transform is a matrix product, so that gradients flow and one fast operation does it.

use std::f64::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};

use super::clips::HIGH_RATE;

/// Window lengths, and mel bands of each; windows advance by a quarter of their length.
const WINDOWS: [(usize, usize); 3] = [(240, 24), (480, 48), (960, 80)];
/// Magnitudes below this count as this: 80 dB below a full-scale sine.
const FLOOR: f64 = 1e-4;
/// Weight of single magnitudes beside mel bands.
const MAGNITUDE_WEIGHT: f64 = 0.3;
/// Windows that one hop is a part of.
const OVERLAP: usize = 4;

/// Compares waveforms at [`HIGH_RATE`].
pub struct SpectralLoss {
    scales: Vec<Scale>,
}

struct Scale {
    hop: usize,
    bins: usize,
    /// Windowed cosines, then sines: `[window, 2 x bins]`. A full-scale sine has magnitude 1.
    fourier: Tensor<2>,
    /// `[bins, bands]`, each band's weights sum to 1.
    mel: Tensor<2>,
}

impl SpectralLoss {
    /// Prepares the matrices.
    pub fn new(device: &Device) -> Self {
        Self { scales: WINDOWS.iter().map(|(window, bands)| Scale::new(*window, *bands, device)).collect() }
    }

    /// Mean absolute difference of logarithms over all scales.
    ///
    /// # Shapes
    /// `[samples, 1]` each, a multiple of 480 samples → `[1]`
    pub fn between(&self, got: &Tensor<2>, want: &Tensor<2>) -> Tensor<1> {
        let terms = self.scales.iter().map(|scale| {
            let ((got_magnitudes, got_bands), (magnitudes, bands)) = (scale.spectra(got), scale.spectra(want));
            (got_bands - bands).abs().mean() + (got_magnitudes - magnitudes).abs().mean() * MAGNITUDE_WEIGHT
        });
        terms.reduce(|sum, term| sum + term).expect("there are scales") / WINDOWS.len() as f64
    }
}

impl Scale {
    fn new(window: usize, bands: usize, device: &Device) -> Self {
        let bins = window / 2 + 1;
        let hann = |n: usize| 0.5 - 0.5 * (2.0 * PI * n as f64 / window as f64).cos();
        let gain = 4.0 / window as f64;
        let wave = |n: usize, column: usize| {
            let angle = 2.0 * PI * (n * (column % bins) % window) as f64 / window as f64;
            (hann(n) * gain * if column < bins { angle.cos() } else { angle.sin() }) as f32
        };
        let fourier: Vec<f32> = (0..window).flat_map(|n| (0..2 * bins).map(move |column| wave(n, column))).collect();
        let fourier = Tensor::from_data(TensorData::new(fourier, [window, 2 * bins]), device);
        let mel = Tensor::from_data(TensorData::new(triangles(bins, bands), [bins, bands]), device);
        Self { hop: window / OVERLAP, bins, fourier, mel }
    }

    /// Logarithms of magnitudes and of their mel bands.
    fn spectra(&self, wave: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let [samples, _] = wave.dims();
        let hops = samples / self.hop;
        let rows = wave.clone().narrow(0, 0, hops * self.hop).reshape([hops, self.hop]);
        let parts = (0..OVERLAP).map(|part| rows.clone().narrow(0, part, hops + 1 - OVERLAP)).collect();
        let x = Tensor::cat(parts, 1).matmul(self.fourier.clone());
        let (cosines, sines) = (x.clone().narrow(1, 0, self.bins), x.narrow(1, self.bins, self.bins));
        let magnitudes = (cosines.square() + sines.square() + FLOOR * FLOOR).sqrt();
        let bands = magnitudes.clone().matmul(self.mel.clone());
        (magnitudes.log(), bands.log())
    }
}

/// Triangles that are evenly spaced on the mel scale up to half the sample rate, at least one bin wide.
fn triangles(bins: usize, bands: usize) -> Vec<f32> {
    let nyquist = f64::from(HIGH_RATE) / 2.0;
    let mel = |hertz: f64| (1.0 + hertz / 700.0).ln();
    let edge = |index: usize| ((mel(nyquist) * index as f64 / (bands + 1) as f64).exp() - 1.0) * 700.0 / nyquist * (bins - 1) as f64;
    let mut weights = vec![0.0; bins * bands];
    for band in 0..bands {
        let (low, middle, high) = (edge(band), edge(band + 1), edge(band + 2));
        let (low, high) = (low.min(middle - 1.0), high.max(middle + 1.0));
        let weight = |bin: usize| {
            let bin = bin as f64;
            (if bin < middle { (bin - low) / (middle - low) } else { (high - bin) / (high - middle) }).max(0.0)
        };
        let sum: f64 = (0..bins).map(weight).sum();
        (0..bins).for_each(|bin| weights[bin * bands + band] = (weight(bin) / sum) as f32);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, level: f64, phase: f64) -> Tensor<2> {
        let samples: Vec<f32> =
            (0..9600).map(|n| (level * (2.0 * PI * hertz * n as f64 / f64::from(HIGH_RATE) + phase).sin()) as f32).collect();
        Tensor::from_data(TensorData::new(samples, [9600, 1]), &Device::flex())
    }

    #[test]
    fn phase_is_free_and_pitch_and_level_are_not() {
        let loss = SpectralLoss::new(&Device::flex());
        let between = |a, b| loss.between(&a, &b).into_scalar::<f32>();
        let same = between(sine(1000.0, 0.5, 0.0), sine(1000.0, 0.5, 1.0));
        let softer = between(sine(1000.0, 0.5, 0.0), sine(1000.0, 0.25, 0.0));
        let higher = between(sine(1000.0, 0.5, 0.0), sine(1300.0, 0.5, 0.0));
        assert!(same < 0.2 * softer && softer < higher, "{same} {softer} {higher}");
    }

    #[test]
    fn a_full_scale_sine_has_magnitude_one() {
        let scale = Scale::new(960, 80, &Device::flex());
        let (magnitudes, _) = scale.spectra(&sine(1000.0, 1.0, 0.0));
        let most = magnitudes.max().into_scalar::<f32>();
        assert!(most.abs() < 0.02, "{most}");
    }

    #[test]
    fn every_band_has_weight_one() {
        let weights = triangles(121, 24);
        (0..24).for_each(|band| assert!(((0..121).map(|bin| weights[bin * 24 + band]).sum::<f32>() - 1.0).abs() < 1e-5));
    }
}
