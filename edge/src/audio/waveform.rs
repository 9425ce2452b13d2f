//! Samples that are fit to be computed with: the one door through which sound enters the networks.

use std::fmt;

/// Mono samples in about -1 to 1, every one a finite number.
#[derive(Clone, Default, PartialEq)]
pub struct Waveform(Vec<f32>);

/// A sample is no number. Nothing was taken in: repair or drop the piece that holds it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "sample {index} is {found}, expected a finite number. The recording or the driver that delivered it is damaged: drop this piece, or repair it."
)]
pub struct NotFinite {
    /// Position of the first such sample.
    pub index: usize,
    /// Its value.
    pub found: f32,
}

impl Waveform {
    /// Checks `samples`.
    ///
    /// # Errors
    /// [`NotFinite`] for the first sample that is NaN or infinite.
    pub fn new(samples: Vec<f32>) -> Result<Self, NotFinite> {
        match samples.iter().position(|s| !s.is_finite()) {
            None => Ok(Self(samples)),
            Some(index) => Err(NotFinite { index, found: samples[index] }),
        }
    }

    /// The samples.
    pub fn samples(&self) -> &[f32] {
        &self.0
    }

    /// The samples, owned.
    pub fn into_samples(self) -> Vec<f32> {
        self.0
    }
}

/// The length only: a recording's samples would bury the rest of a message.
impl fmt::Debug for Waveform {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Waveform({} samples)", self.0.len())
    }
}
