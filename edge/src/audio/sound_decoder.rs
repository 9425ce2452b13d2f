//! WAV, FLAC and MP3 piece by piece, from a file or a pipe.
//!
//! A program that writes WAV into a pipe cannot know its length and states one that cannot be; such a stream ends where it
//! ends. Every other file that ends before its header says so is damaged.

use std::path::{Path, PathBuf};

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType, probe::Hint};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

use super::AudioFileError;
use super::resampler::check_rates;

/// Bytes of sound from which a stated length is a placeholder: programs that write into pipes state 2 GiB or 4 GiB, some
/// less the length of the header.
const PLACEHOLDER_BYTES: u64 = 0x7fff_0000;
/// Bytes of a sample where the header does not say.
const SAMPLE_BYTES_DEFAULT: u32 = 2;

/// A sound file that is being decoded.
///
/// # State
/// the decoder's, one packet of samples (72 ms of WAV at 16 kHz) and its mean over the channels
pub struct SoundDecoder {
    file: PathBuf,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    length: Length,
    rate: Option<u32>,
    count: u64,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    ended: bool,
}

/// What the header says about the number of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// So many.
    Promised(u64),
    /// Nothing that can be relied on: an estimate.
    Estimated,
    /// The sound comes from a pipe and ends where it ends.
    Open,
}

impl SoundDecoder {
    /// Reads the header. `file` is named in errors.
    ///
    /// # Errors
    /// [`AudioFileError::Damaged`].
    pub fn open(file: &Path, source: Box<dyn MediaSource>) -> Result<Self, AudioFileError> {
        let damaged = |found: String| AudioFileError::Damaged { file: file.to_path_buf(), found };
        let stream = MediaSourceStream::new(source, Default::default());
        let probe = symphonia::default::get_probe();
        let format =
            probe.probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default()).map_err(|e| damaged(describe(&e)))?;
        let track = format.default_track(TrackType::Audio).ok_or_else(|| damaged("it has no sound track".into()))?;
        let parameters =
            track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(|| damaged("the codec of its sound track is unknown".into()))?;
        let bytes = u64::from(parameters.bits_per_sample.map_or(SAMPLE_BYTES_DEFAULT, |bits| bits.div_ceil(8)))
            * parameters.channels.as_ref().map_or(1, |channels| channels.count() as u64);
        // WAV and FLAC say exactly how long they are; MP3 only estimates it.
        let length = match (format.format_info().short_name, track.num_frames) {
            ("wave", None) => Length::Open,
            ("wave", Some(count)) if count.saturating_mul(bytes) >= PLACEHOLDER_BYTES => Length::Open,
            ("wave" | "flac", Some(count)) => Length::Promised(count),
            _ => Length::Estimated,
        };
        let options = AudioDecoderOptions::default().verify(true);
        let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options).map_err(|e| damaged(describe(&e)))?;
        let track = track.id;
        Ok(Self {
            file: file.to_path_buf(),
            format,
            decoder,
            track,
            length,
            rate: None,
            count: 0,
            interleaved: Vec::new(),
            mono: Vec::new(),
            ended: false,
        })
    }

    /// Samples a second, once the first piece was decoded.
    pub fn sample_rate(&self) -> Option<u32> {
        self.rate
    }

    /// The next samples, as the mean of all channels, never empty, and their rate; `None` at the end.
    ///
    /// # Errors
    /// [`AudioFileError::Damaged`], also at the end when the file is shorter than it says or its checksum is wrong.
    pub fn next_piece(&mut self) -> Result<Option<(&[f32], u32)>, AudioFileError> {
        self.mono.clear();
        while self.mono.is_empty() && !self.ended {
            if let Err(found) = self.decode_packet() {
                self.ended = true;
                return Err(AudioFileError::Damaged { file: self.file.clone(), found });
            }
        }
        self.count += self.mono.len() as u64;
        Ok(self.rate.filter(|_| !self.mono.is_empty()).map(|rate| (&self.mono[..], rate)))
    }

    fn decode_packet(&mut self) -> Result<(), String> {
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Err(Error::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof && self.length == Length::Open => return self.end(),
            Ok(None) => return self.end(),
            Err(error) => return Err(describe(&error)),
        };
        if packet.track_id != self.track {
            return Ok(());
        }
        let decoded = self.decoder.decode(&packet).map_err(|e| format!("after {} samples: {}", self.count, describe(&e)))?;
        let rate = decoded.spec().rate();
        check_rates(rate, rate).map_err(|e| e.to_string())?;
        if *self.rate.get_or_insert(rate) != rate {
            return Err(format!("its sample rate changes to {rate} Hz after {} samples", self.count));
        }
        mix(&decoded, &mut self.interleaved, &mut self.mono);
        Ok(())
    }

    /// Checks what can only be known at the end. A file without any sound is the caller's to judge.
    fn end(&mut self) -> Result<(), String> {
        self.ended = true;
        match self.length {
            Length::Promised(promised) if promised != self.count && self.count > 0 => {
                Err(format!("{} samples, its header promises {promised}", self.count))
            }
            _ if self.decoder.finalize().verify_ok == Some(false) => Err("its checksum does not fit its sound".into()),
            _ => Ok(()),
        }
    }
}

/// The mean of all channels.
fn mix(decoded: &GenericAudioBufferRef, interleaved: &mut Vec<f32>, mono: &mut Vec<f32>) {
    let channels = decoded.num_planes();
    if channels > 0 {
        decoded.copy_to_vec_interleaved(interleaved);
        mono.extend(interleaved.chunks_exact(channels).map(|c| c.iter().sum::<f32>() / channels as f32));
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "it ends early".into(),
        other => other.to_string(),
    }
}
