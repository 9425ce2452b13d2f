//! Reading WAV, FLAC and MP3 files.

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use symphonia::core::io::MediaSource;

use super::{NotFinite, SoundDecoder, Waveform};

/// Longest clip that one audio item may have, in seconds: 1500 audio tokens of the released model.
pub const CLIP_SECONDS_MAX: u32 = 120;

/// A file's sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The mean of all channels, at the file's own rate.
    pub waveform: Waveform,
    /// Samples a second.
    pub sample_rate: u32,
    /// Whether the file goes on after what was read.
    pub cut: bool,
}

/// A sound file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AudioFileError {
    /// It cannot be opened or read.
    #[error("{}: cannot be read: {source}. Check the path and its permissions.", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// It is of no known format, or damaged.
    #[error("{}: no usable WAV, FLAC or MP3 file: {found}. Convert the file to WAV, or get an undamaged copy.", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// It holds no sample.
    #[error("{}: holds no sound. Record it again, or leave it out.", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A sample is no number.
    #[error("{}: {source}", file.display())]
    NotFinite {
        /// The file.
        file: PathBuf,
        /// Which one.
        source: NotFinite,
    },
}

/// Reads the first `seconds_max` seconds of a sound file.
///
/// # Errors
/// [`AudioFileError`].
pub fn read_audio(file: &Path, seconds_max: u32) -> Result<Recording, AudioFileError> {
    let opened = File::open(file).map_err(|source| AudioFileError::Io { file: file.to_path_buf(), source })?;
    decode(file, Box::new(opened), seconds_max)
}

/// As [`read_audio`] for a file that is in memory; `file` is named in errors.
///
/// # Errors
/// [`AudioFileError`].
pub fn decode_audio(file: &Path, bytes: Vec<u8>, seconds_max: u32) -> Result<Recording, AudioFileError> {
    decode(file, Box::new(Cursor::new(bytes)), seconds_max)
}

fn decode(file: &Path, source: Box<dyn MediaSource>, seconds_max: u32) -> Result<Recording, AudioFileError> {
    let mut decoder = SoundDecoder::open(file, source)?;
    let (mut samples, mut cut) = (Vec::new(), false);
    while let Some((piece, rate)) = decoder.next_piece()? {
        let room = (seconds_max as usize * rate as usize).saturating_sub(samples.len());
        samples.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            cut = true;
            break;
        }
    }
    let (Some(sample_rate), false) = (decoder.sample_rate(), samples.is_empty()) else {
        return Err(AudioFileError::Empty { file: file.to_path_buf() });
    };
    let waveform = Waveform::new(samples).map_err(|source| AudioFileError::NotFinite { file: file.to_path_buf(), source })?;
    Ok(Recording { waveform, sample_rate, cut })
}
