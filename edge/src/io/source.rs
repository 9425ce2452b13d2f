//! What the edge perceives: one trait for files and pipes, and for devices.

use std::path::PathBuf;
use std::sync::Arc;

use caracal_shared::machine::Micros;
use caracal_shared::rates::{HEARING_HZ, HOP_SAMPLES};

use super::VideoError;
use crate::audio::{AudioFileError, NotFinite, ResampleError};
use crate::vision::{Picture, PictureError};

/// Microseconds of one hop.
const HOP_MICROS: u64 = 1_000_000 * HOP_SAMPLES as u64 / HEARING_HZ as u64;

/// Something that delivers what it perceives, in order.
pub trait Source: Send {
    /// One piece of it.
    type Item: Timed;

    /// The next piece; `None` when nothing more will come. May wait for the world.
    ///
    /// # Errors
    /// [`SourceError`]; the source has ended then.
    fn next(&mut self) -> Result<Option<Self::Item>, SourceError>;
}

/// A source whose kind does not matter is one too.
impl<S: Source + ?Sized> Source for Box<S> {
    type Item = S::Item;

    fn next(&mut self) -> Result<Option<S::Item>, SourceError> {
        (**self).next()
    }
}

/// Something that is there from a moment on.
pub trait Timed {
    /// The moment, counted from the start of the source: when a device would hand it over at the earliest.
    fn ready_at(&self) -> Micros;
}

/// 10 ms of sound at 16 kHz.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Its first sample, counted from the start of the source; a multiple of 160.
    pub position: u64,
    /// The samples, every one a finite number.
    pub samples: [f32; HOP_SAMPLES as usize],
}

impl Timed for Hop {
    /// When its last sample was recorded.
    fn ready_at(&self) -> Micros {
        Micros((self.position / u64::from(HOP_SAMPLES) + 1) * HOP_MICROS)
    }
}

/// A picture as a camera sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    /// When it was taken.
    pub at: Micros,
    /// What is on it; shared, because a still scene gives the same one again and again.
    pub picture: Arc<Picture>,
}

impl Timed for Shot {
    fn ready_at(&self) -> Micros {
        self.at
    }
}

/// A source ended early.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The sound file.
    #[error(transparent)]
    Sound(#[from] AudioFileError),
    /// The sound cannot be brought to 16 kHz.
    #[error("{}: {source}", file.display())]
    Resample {
        /// The file.
        file: PathBuf,
        /// Why.
        source: ResampleError,
    },
    /// A picture file.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A video file.
    #[error(transparent)]
    Video(#[from] VideoError),
}

impl SourceError {
    /// For a sample of `file` that is no number.
    pub(super) fn not_finite(file: &std::path::Path, source: NotFinite) -> Self {
        Self::Sound(AudioFileError::NotFinite { file: file.to_path_buf(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_there_when_its_last_sample_was_recorded() {
        let ready = |position| Hop { position, samples: [0.0; 160] }.ready_at();
        assert_eq!((ready(0), ready(160), ready(16_000)), (Micros(10_000), Micros(20_000), Micros(1_010_000)));
    }
}
