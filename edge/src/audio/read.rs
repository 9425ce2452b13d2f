//! Reading WAV, FLAC and MP3 files.

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType, probe::Hint};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

use super::resampler::check_rates;
use super::{NotFinite, Waveform};

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
    let damaged = |found: String| AudioFileError::Damaged { file: file.to_path_buf(), found };
    let stream = MediaSourceStream::new(source, Default::default());
    let probe = symphonia::default::get_probe();
    let mut format =
        probe.probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default()).map_err(|e| damaged(describe(&e)))?;
    let track = format.default_track(TrackType::Audio).ok_or_else(|| damaged("it has no sound track".into()))?;
    let track_id = track.id;
    // WAV and FLAC say exactly how long they are; MP3 only estimates it.
    let promised = track.num_frames.filter(|_| ["wave", "flac"].contains(&format.format_info().short_name));
    let parameters =
        track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(|| damaged("the codec of its sound track is unknown".into()))?;
    let options = AudioDecoderOptions::default().verify(true);
    let mut decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options).map_err(|e| damaged(describe(&e)))?;
    let mut mixed = Mixed { samples: Vec::new(), interleaved: Vec::new(), rate: None, seconds_max };
    let cut = read_packets(format.as_mut(), decoder.as_mut(), track_id, &mut mixed).map_err(damaged)?;
    let count = mixed.samples.len() as u64;
    if let Some(promised) = promised.filter(|promised| !cut && *promised != count && count > 0) {
        return Err(damaged(format!("{count} samples, its header promises {promised}")));
    }
    if !cut && decoder.finalize().verify_ok == Some(false) {
        return Err(damaged("its checksum does not fit its sound".into()));
    }
    let (Some(sample_rate), false) = (mixed.rate, mixed.samples.is_empty()) else {
        return Err(AudioFileError::Empty { file: file.to_path_buf() });
    };
    let waveform = Waveform::new(mixed.samples).map_err(|source| AudioFileError::NotFinite { file: file.to_path_buf(), source })?;
    Ok(Recording { waveform, sample_rate, cut })
}

/// Decodes until the end or the limit; tells whether the limit came first.
fn read_packets(format: &mut dyn FormatReader, decoder: &mut dyn AudioDecoder, track: u32, mixed: &mut Mixed) -> Result<bool, String> {
    while let Some(packet) = format.next_packet().map_err(|e| describe(&e))? {
        if packet.track_id == track {
            let decoded = decoder.decode(&packet).map_err(|e| format!("after {} samples: {}", mixed.samples.len(), describe(&e)))?;
            if mixed.add(decoded)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn describe(error: &Error) -> String {
    match error {
        Error::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "it ends early".into(),
        other => other.to_string(),
    }
}

/// The mean of all channels so far.
struct Mixed {
    samples: Vec<f32>,
    interleaved: Vec<f32>,
    rate: Option<u32>,
    seconds_max: u32,
}

impl Mixed {
    /// Adds a packet; tells whether the limit is reached and sound was left out.
    fn add(&mut self, decoded: GenericAudioBufferRef) -> Result<bool, String> {
        let (rate, channels) = (decoded.spec().rate(), decoded.num_planes());
        check_rates(rate, rate).map_err(|e| e.to_string())?;
        if *self.rate.get_or_insert(rate) != rate {
            return Err(format!("its sample rate changes to {rate} Hz after {} samples", self.samples.len()));
        }
        if channels == 0 {
            return Ok(false);
        }
        decoded.copy_to_vec_interleaved(&mut self.interleaved);
        let room = (self.seconds_max as usize * rate as usize).saturating_sub(self.samples.len());
        self.samples.extend(self.interleaved.chunks_exact(channels).take(room).map(|c| c.iter().sum::<f32>() / channels as f32));
        Ok(self.interleaved.len() / channels > room)
    }
}
