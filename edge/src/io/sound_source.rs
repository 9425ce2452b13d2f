//! Sound from files and pipes, as hops of 10 ms at 16 kHz (hops 1 and 2).

use std::fs::File;
use std::path::{Path, PathBuf};

use caracal_shared::rates::{HEARING_HZ, HOP_SAMPLES};
use symphonia::core::io::{MediaSource, ReadOnlySource};

use super::source::{Hop, Source, SourceError};
use crate::audio::{AudioFileError, ResampleError, Resampler, SoundDecoder, Waveform};

/// Name that stands for standard input and output.
pub const PIPE: &str = "-";
const HOP: usize = HOP_SAMPLES as usize;

/// Resamples what comes and cuts it into hops.
struct Hops {
    resampler: Option<Resampler>,
    ready: Vec<f32>,
    /// How much of `ready` was given away.
    taken: usize,
    position: u64,
}

impl Hops {
    fn new() -> Self {
        Self { resampler: None, ready: Vec::new(), taken: 0, position: 0 }
    }

    fn push(&mut self, samples: &Waveform, rate: u32) -> Result<(), ResampleError> {
        self.ready.drain(..self.taken);
        self.taken = 0;
        let resampler = match &mut self.resampler {
            Some(resampler) => resampler,
            empty => empty.insert(Resampler::new(rate, HEARING_HZ)?),
        };
        let before = self.ready.len();
        resampler.push(samples, &mut self.ready);
        self.check(before)
    }

    /// Takes what the resampler held back and fills the last hop with silence.
    fn finish(&mut self) -> Result<(), ResampleError> {
        let before = self.ready.len();
        if let Some(mut resampler) = self.resampler.take() {
            resampler.finish(&mut self.ready);
        }
        let left = self.ready.len() - self.taken;
        self.ready.resize(self.taken + left.next_multiple_of(HOP), 0.0);
        self.check(before)
    }

    /// The loudest samples may leave the range of numbers in the filter.
    fn check(&self, from: usize) -> Result<(), ResampleError> {
        Waveform::new(self.ready[from..].to_vec()).map(drop).map_err(ResampleError::NotFinite)
    }

    fn next(&mut self) -> Option<Hop> {
        let samples = self.ready[self.taken..].first_chunk::<HOP>()?;
        let hop = Hop { position: self.position, samples: *samples };
        self.taken += HOP;
        self.position += HOP as u64;
        Some(hop)
    }
}

/// A WAV, FLAC or MP3 file, or a pipe that carries one.
pub struct SoundFile {
    file: PathBuf,
    decoder: Option<SoundDecoder>,
    hops: Hops,
    seen: usize,
}

impl SoundFile {
    /// Opens `file`; `-` is standard input. Sound of any length may come: nothing is read ahead but one packet.
    ///
    /// # Errors
    /// [`SourceError::Sound`].
    pub fn open(file: &Path) -> Result<Self, SourceError> {
        if file == Path::new(PIPE) {
            return Self::from_media(Path::new("standard input"), Box::new(ReadOnlySource::new(std::io::stdin())));
        }
        let io = |source| AudioFileError::Io { file: file.to_path_buf(), source };
        let opened = File::open(file).map_err(io)?;
        // A named pipe can only be read forwards.
        match opened.metadata().map_err(io)?.is_file() {
            true => Self::from_media(file, Box::new(opened)),
            false => Self::from_media(file, Box::new(ReadOnlySource::new(opened))),
        }
    }

    /// As [`SoundFile::open`] for anything that can be read; `name` is named in errors.
    ///
    /// # Errors
    /// [`SourceError::Sound`].
    pub fn from_reader(name: &Path, reader: impl std::io::Read + Send + Sync + 'static) -> Result<Self, SourceError> {
        Self::from_media(name, Box::new(ReadOnlySource::new(reader)))
    }

    fn from_media(file: &Path, media: Box<dyn MediaSource>) -> Result<Self, SourceError> {
        let decoder = Some(SoundDecoder::open(file, media)?);
        Ok(Self { file: file.to_path_buf(), decoder, hops: Hops::new(), seen: 0 })
    }
}

impl SoundFile {
    /// The next hop, decoding as much as it takes.
    fn advance(&mut self) -> Result<Option<Hop>, SourceError> {
        loop {
            if let Some(hop) = self.hops.next() {
                return Ok(Some(hop));
            }
            let Some(decoder) = &mut self.decoder else { return Ok(None) };
            let resample = |source| SourceError::Resample { file: self.file.clone(), source };
            match decoder.next_piece()? {
                Some((piece, rate)) => {
                    let piece = Waveform::new(piece.to_vec()).map_err(|mut wrong| {
                        wrong.index += self.seen;
                        SourceError::not_finite(&self.file, wrong)
                    })?;
                    self.seen += piece.samples().len();
                    self.hops.push(&piece, rate).map_err(resample)?;
                }
                None => {
                    self.decoder = None;
                    self.hops.finish().map_err(resample)?;
                }
            }
        }
    }
}

impl Source for SoundFile {
    type Item = Hop;

    fn next(&mut self) -> Result<Option<Hop>, SourceError> {
        // After an error nothing comes, not even what the resampler still holds: it would follow a hole.
        self.advance().inspect_err(|_| (self.decoder, self.hops) = (None, Hops::new()))
    }
}

/// Samples in memory: the sound track of a video, or a made-up signal.
pub struct SoundClip(Hops);

impl SoundClip {
    /// Brings `waveform` of `rate` samples a second to 16 kHz.
    ///
    /// # Errors
    /// [`ResampleError`].
    pub fn new(waveform: Waveform, rate: u32) -> Result<Self, ResampleError> {
        let mut hops = Hops::new();
        hops.push(&waveform, rate)?;
        hops.finish()?;
        Ok(Self(hops))
    }
}

impl Source for SoundClip {
    type Item = Hop;

    fn next(&mut self) -> Result<Option<Hop>, SourceError> {
        Ok(self.0.next())
    }
}

/// A source of sound that falls silent instead of ending: a microphone in a quiet room, so that the end of a turn is heard.
pub struct ThenSilence<S> {
    source: Option<S>,
    position: u64,
    /// Hops of silence that are still to come; `None` is for ever.
    left: Option<u64>,
}

impl<S: Source<Item = Hop>> ThenSilence<S> {
    /// Follows `source` with `hops` hops of silence, or with silence for ever.
    pub fn new(source: S, hops: Option<u64>) -> Self {
        Self { source: Some(source), position: 0, left: hops }
    }

    /// Whether the source itself has ended.
    pub fn ended(&self) -> bool {
        self.source.is_none()
    }
}

impl<S: Source<Item = Hop>> Source for ThenSilence<S> {
    type Item = Hop;

    fn next(&mut self) -> Result<Option<Hop>, SourceError> {
        if let Some(source) = &mut self.source {
            if let Some(hop) = source.next()? {
                self.position = hop.position + HOP as u64;
                return Ok(Some(hop));
            }
            self.source = None;
        }
        match &mut self.left {
            Some(0) => return Ok(None),
            Some(left) => *left -= 1,
            None => {}
        }
        let hop = Hop { position: self.position, samples: [0.0; HOP] };
        self.position += HOP as u64;
        Ok(Some(hop))
    }
}

#[cfg(test)]
mod tests;
