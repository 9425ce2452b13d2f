//! Rooms: a made-up impulse response (the direct sound, a few early reflections, a tail that dies away) on an utterance.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::noise::gaussian;
use super::synthesiser_process::SPEECH_HZ;

/// Samples of one transform.
const BLOCK: usize = 16384;
/// Longest response: half a block, so that a block carries as many new samples.
const RESPONSE_MAX: usize = BLOCK / 2;
/// Seconds in which the tail falls by 60 dB, from a furnished room to a bare hall.
const DECAY_SECONDS: std::ops::Range<f32> = 0.12..0.6;
/// Power of the direct sound over the tail, in dB.
const DIRECT_DB: std::ops::Range<f32> = 2.0..18.0;
/// Early reflections and the latest of them, in seconds.
const REFLECTIONS: usize = 6;
const REFLECTION_SECONDS: f32 = 0.03;

/// Puts utterances into rooms.
#[derive(Clone)]
pub struct Rooms {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl Default for Rooms {
    fn default() -> Self {
        let mut planner = RealFftPlanner::new();
        Self { forward: planner.plan_fft_forward(BLOCK), inverse: planner.plan_fft_inverse(BLOCK) }
    }
}

impl Rooms {
    /// `samples` as heard in a room drawn by `rng`: of the same length, so the last of the tail is cut off.
    pub fn echo(&self, samples: &[f32], rng: &mut StdRng) -> Vec<f32> {
        self.convolve(samples, &response(rng))
    }

    fn convolve(&self, samples: &[f32], response: &[f32]) -> Vec<f32> {
        let response = self.spectrum(response);
        let hop = BLOCK - RESPONSE_MAX;
        let mut out = vec![0.0; samples.len() + BLOCK];
        for start in (0..samples.len()).step_by(hop) {
            let mut spectrum = self.spectrum(&samples[start..samples.len().min(start + hop)]);
            spectrum.iter_mut().zip(&response).for_each(|(x, h)| *x *= h / BLOCK as f32);
            let mut block = self.inverse.make_output_vec();
            // The transform of real samples has no imaginary part at both ends, and rounding may have left one.
            spectrum[0].im = 0.0;
            spectrum[BLOCK / 2].im = 0.0;
            self.inverse.process(&mut spectrum, &mut block).expect("the buffers were made for this transform");
            out[start..start + BLOCK].iter_mut().zip(block).for_each(|(y, x)| *y += x);
        }
        out.truncate(samples.len());
        out
    }

    fn spectrum(&self, samples: &[f32]) -> Vec<Complex<f32>> {
        let (mut input, mut output) = (self.forward.make_input_vec(), self.forward.make_output_vec());
        input[..samples.len()].copy_from_slice(samples);
        self.forward.process(&mut input, &mut output).expect("the buffers were made for this transform");
        output
    }
}

fn response(rng: &mut StdRng) -> Vec<f32> {
    let decay = rng.random_range(DECAY_SECONDS);
    let length = ((decay * SPEECH_HZ as f32) as usize).min(RESPONSE_MAX);
    // 60 dB in `decay` seconds.
    let fall = (-6.908 / (decay * SPEECH_HZ as f32)).exp();
    let mut loudness = 1.0;
    let mut tail: Vec<f32> = (0..length)
        .map(|_| {
            loudness *= fall;
            loudness * gaussian(rng)
        })
        .collect();
    let power: f32 = tail.iter().map(|t| t * t).sum();
    let gain = (10f32.powf(-rng.random_range(DIRECT_DB) / 10.0) / power).sqrt();
    tail.iter_mut().for_each(|t| *t *= gain);
    for _ in 0..REFLECTIONS {
        let at = (rng.random_range(0.001..REFLECTION_SECONDS) * SPEECH_HZ as f32) as usize;
        tail[at] += rng.random_range(-0.25..0.25);
    }
    tail[0] = 1.0;
    tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn convolution_is_exact_across_blocks() {
        let mut rng = StdRng::seed_from_u64(5);
        let samples: Vec<f32> = (0..20_000).map(|_| gaussian(&mut rng)).collect();
        let mut response = vec![0.0; 5000];
        (response[0], response[7], response[4999]) = (1.0, 0.5, -0.25);
        let heard = Rooms::default().convolve(&samples, &response);
        assert_eq!(heard.len(), samples.len());
        for i in [0usize, 6, 7, 5000, 8191, 8192, 19_999] {
            let at = |back: usize| i.checked_sub(back).map_or(0.0, |j| samples[j]);
            let want = at(0) + 0.5 * at(7) - 0.25 * at(4999);
            assert!((heard[i] - want).abs() < 1e-4, "{i}: {} {want}", heard[i]);
        }
    }

    #[test]
    fn a_room_rings_after_the_sound() {
        let mut rng = StdRng::seed_from_u64(6);
        let mut click = vec![0.0; 8000];
        click[0] = 1.0;
        let heard = Rooms::default().echo(&click, &mut rng);
        assert!((heard[0] - 1.0).abs() < 1e-3);
        assert!(heard[200..1000].iter().any(|s| s.abs() > 1e-3));
    }
}
