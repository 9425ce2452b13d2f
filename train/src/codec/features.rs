//! Log-mel vectors of the semantic tokenizer's own front end.

use anyhow::Result;
use caracal_edge::audio::{Fbank, Waveform};
use caracal_edge::codec::SemanticConfig;
use rayon::prelude::*;

use super::clips::Clip;

/// Natural logarithms of energy below the loudest that still count: 43 dB. The voice is rendered without noise, so its
/// silences are digital zeros, and their depth says nothing.
const RANGE: f32 = 10.0;

/// Log-mel vectors of clips, flat `[hops, bands]` each.
pub struct Features {
    /// One for each clip.
    pub clips: Vec<Vec<f32>>,
    /// Bands.
    pub bands: usize,
}

impl Features {
    /// Computes them.
    ///
    /// # Errors
    /// When the config describes no filter bank.
    pub fn of(clips: &[Clip], config: &SemanticConfig) -> Result<Self> {
        let fbank = Fbank::new(&config.fbank.fbank())?;
        let bands = fbank.bins();
        let vectors = |clip: &Clip| Ok(fbank.offline(&Waveform::new(clip.low.clone())?));
        Ok(Self { clips: clips.par_iter().map(vectors).collect::<Result<_>>()?, bands })
    }

    /// Mean and inverse standard deviation of each band.
    pub fn statistics(&self) -> (Vec<f32>, Vec<f32>) {
        let (mut sums, mut squares, mut count) = (vec![0.0f64; self.bands], vec![0.0f64; self.bands], 0.0);
        for vector in self.clips.iter().flat_map(|clip| clip.chunks_exact(self.bands)) {
            count += 1.0;
            for (band, value) in vector.iter().enumerate() {
                sums[band] += f64::from(*value);
                squares[band] += f64::from(*value) * f64::from(*value);
            }
        }
        let mean: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
        let scale = squares.iter().zip(&mean).map(|(square, mean)| (square / count - mean * mean).max(1e-6).powf(-0.5) as f32).collect();
        (mean.into_iter().map(|m| m as f32).collect(), scale)
    }

    /// The vectors of each codec frame side by side, flat `[frames, hops x bands]`, with the silences lifted to one
    /// level; `hops` vectors a frame, the first one a hop early so that their windows are centred on the frame.
    pub fn patches(&self, clip: usize, frames: usize, hops: usize, floor: f32) -> Vec<f32> {
        let vectors = &self.clips[clip];
        let last = vectors.len() / self.bands - 1;
        let vector = |hop: usize| &vectors[hop.min(last) * self.bands..][..self.bands];
        let places = (0..frames * hops).map(|hop| vector(hop.saturating_sub(1)));
        places.flatten().map(|value| value.max(floor)).collect()
    }

    /// What [`Features::patches`] lifts silences to.
    pub fn floor(&self) -> f32 {
        let mut values: Vec<f32> = self.clips.iter().flatten().step_by(17).copied().collect();
        values.sort_by(f32::total_cmp);
        values[values.len() * 999 / 1000] - RANGE
    }
}
