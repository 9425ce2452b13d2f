//! A WAV file or pipe that the answer is written to, 16 bits, mono.
//!
//! The header states an unknown length until the file is stopped, as ffmpeg does in a pipe: what a program that was killed
//! leaves behind is still readable to its last second.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::sink::{Sink, SinkError};
use super::sound_source::PIPE;

/// Length that stands for an unknown one.
const UNKNOWN: u32 = u32::MAX;
/// Bytes from the start of the file to its samples, and from the length field at 4 to them.
const HEADER_BYTES: usize = 44;
const RIFF_BYTES_BEFORE_DATA: u32 = 36;

/// Where the bytes go.
enum Output {
    /// Its header can be completed.
    File(BufWriter<File>),
    /// It can only be written forwards.
    Pipe(Box<dyn Write + Send>),
}

/// Writes what is played. Dropping it stops it.
pub struct WavSink {
    name: PathBuf,
    output: Option<Output>,
    rate: u32,
    /// Samples written.
    written: u64,
    /// Samples since the last flush.
    unflushed: u64,
}

impl WavSink {
    /// Creates `file`, replacing what was there; `-` is standard output.
    ///
    /// # Errors
    /// [`SinkError::Io`].
    pub fn create(file: &Path, rate: u32) -> Result<Self, SinkError> {
        if file == Path::new(PIPE) {
            return Self::to_pipe("standard output", Box::new(std::io::stdout()), rate);
        }
        let io = |source| SinkError::Io { file: file.to_path_buf(), source };
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let created = File::create(file).map_err(io)?;
        // A named pipe or a terminal cannot be wound back.
        let output = match created.metadata().map_err(io)?.is_file() {
            true => Output::File(BufWriter::new(created)),
            false => Output::Pipe(Box::new(BufWriter::new(created))),
        };
        Self::begin(file.to_path_buf(), output, rate)
    }

    /// Writes to anything that can only be written forwards; `name` is named in errors.
    ///
    /// # Errors
    /// [`SinkError::Io`].
    pub fn to_pipe(name: &str, pipe: Box<dyn Write + Send>, rate: u32) -> Result<Self, SinkError> {
        Self::begin(name.into(), Output::Pipe(pipe), rate)
    }

    fn begin(name: PathBuf, output: Output, rate: u32) -> Result<Self, SinkError> {
        let mut sink = Self { name, output: Some(output), rate, written: 0, unflushed: 0 };
        sink.write(&header(rate, None))?;
        sink.flush()?;
        Ok(sink)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let written = match &mut self.output {
            None => return Err(SinkError::Stopped),
            Some(Output::File(file)) => file.write_all(bytes),
            Some(Output::Pipe(pipe)) => pipe.write_all(bytes),
        };
        written.map_err(|source| self.failed(source))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.unflushed = 0;
        let flushed = match &mut self.output {
            None => return Ok(()),
            Some(Output::File(file)) => file.flush(),
            Some(Output::Pipe(pipe)) => pipe.flush(),
        };
        flushed.map_err(|source| self.failed(source))
    }

    /// Nothing more is written after a failure: samples after a hole would stand at the wrong place.
    fn failed(&mut self, source: std::io::Error) -> SinkError {
        self.output = None;
        SinkError::Io { file: self.name.clone(), source }
    }
}

impl Sink for WavSink {
    fn sample_rate(&self) -> u32 {
        self.rate
    }

    fn play(&mut self, samples: &[f32]) -> Result<(), SinkError> {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| integer(*sample).to_le_bytes()).collect();
        self.write(&bytes)?;
        self.written += samples.len() as u64;
        self.unflushed += samples.len() as u64;
        // Once a second for a file; at once for a pipe, whose reader waits for it.
        if matches!(self.output, Some(Output::Pipe(_))) || self.unflushed >= u64::from(self.rate) {
            self.flush()?;
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), SinkError> {
        let Some(output) = self.output.take() else { return Ok(()) };
        let complete = match output {
            Output::Pipe(mut pipe) => pipe.flush(),
            Output::File(mut file) => {
                let header = header(self.rate, Some(self.written));
                file.flush().and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| file.write_all(&header)).and_then(|()| file.flush())
            }
        };
        complete.map_err(|source| SinkError::Io { file: self.name.clone(), source })
    }
}

impl Drop for WavSink {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!("{error}");
        }
    }
}

/// The nearest of the 65536 steps; what is too loud is clipped, what is no number is silence.
fn integer(sample: f32) -> i16 {
    (sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16
}

/// The header for `samples` samples, or for an unknown number; beyond 4 GB the length cannot be stated either.
fn header(rate: u32, samples: Option<u64>) -> [u8; HEADER_BYTES] {
    let bytes = samples.and_then(|samples| u32::try_from(2 * samples).ok()).filter(|bytes| *bytes < UNKNOWN - RIFF_BYTES_BEFORE_DATA);
    let mut out = [0; HEADER_BYTES];
    let mut at = 0;
    let mut put = |field: &[u8]| {
        out[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    };
    put(b"RIFF");
    put(&bytes.map_or(UNKNOWN, |bytes| bytes + RIFF_BYTES_BEFORE_DATA).to_le_bytes());
    put(b"WAVEfmt ");
    // 16 bytes of format: PCM, one channel, rate, bytes a second, bytes a sample, bits a sample.
    put(&16u32.to_le_bytes());
    put(&1u16.to_le_bytes());
    put(&1u16.to_le_bytes());
    put(&rate.to_le_bytes());
    put(&(2 * rate).to_le_bytes());
    put(&2u16.to_le_bytes());
    put(&16u16.to_le_bytes());
    put(b"data");
    put(&bytes.unwrap_or(UNKNOWN).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::audio::read::decode_audio;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Fails like a pipe whose reader has gone, after some bytes.
    struct Broken(usize);

    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn samples(file: &Path) -> Vec<f32> {
        let bytes = std::fs::read(file).expect("the file");
        decode_audio(file, bytes, 600).unwrap_or_else(|e| panic!("{e}")).waveform.into_samples()
    }

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("caracal-wav-sink-{}", std::process::id())).join(name)
    }

    #[test]
    fn a_file_is_whole_after_stop_and_after_drop_and_readable_before() {
        let file = scratch("whole/answer.wav");
        let mut sink = WavSink::create(&file, 24_000).expect("a folder to write to");
        sink.play(&[0.5; 24_000]).expect("room");
        let got = samples(&file);
        assert!(got.len() == 24_000 && got.iter().all(|s| *s == 0.5), "a killed program leaves every whole second: {}", got.len());
        sink.play(&[-0.25; 240]).expect("room");
        sink.stop().expect("room");
        sink.stop().expect("again is no error");
        assert!(matches!(sink.play(&[0.0]), Err(SinkError::Stopped)));
        let got = samples(&file);
        assert_eq!(got.len(), 24_240);
        assert!(got[..24_000].iter().all(|s| *s == 0.5) && got[24_000..].iter().all(|s| *s == -0.25));
        let reader = hound::WavReader::open(&file).expect("another reader takes it");
        assert_eq!((reader.duration(), reader.spec().sample_rate, reader.spec().channels), (24_240, 24_000, 1));

        drop(sink);
        let mut sink = WavSink::create(&file, 24_000).expect("replaced");
        sink.play(&[0.1; 100]).expect("room");
        drop(sink);
        assert_eq!(hound::WavReader::open(&file).expect("whole").duration(), 100);
        std::fs::remove_dir_all(file.parent().and_then(Path::parent).expect("two folders")).expect("ours");
    }

    #[test]
    fn a_pipe_is_readable_to_its_end() {
        let pipe = Shared::default();
        let mut sink = WavSink::to_pipe("pipe", Box::new(pipe.clone()), 24_000).expect("memory");
        sink.play(&[1.0, -1.0, 2.0, -2.0, f32::NAN]).expect("memory");
        sink.stop().expect("memory");
        let bytes = pipe.0.lock().expect("no panic").clone();
        assert_eq!(&bytes[40..44], &[0xff; 4]);
        let got = decode_audio(Path::new("pipe"), bytes, 600).expect("a WAV of unknown length");
        let loudest = 32767.0 / 32768.0;
        assert_eq!(got.waveform.samples(), [loudest, -1.0, loudest, -1.0, 0.0]);
    }

    #[test]
    fn a_reader_that_has_gone_is_named_once_and_then_it_is_over() {
        let mut sink = WavSink::to_pipe("pipe", Box::new(Broken(60)), 24_000).expect("the header fits");
        let error = sink.play(&[0.0; 240]).expect_err("broken").to_string();
        assert!(error.starts_with("pipe: cannot be written") && error.contains("its reader still runs"), "{error}");
        assert!(matches!(sink.play(&[0.0]), Err(SinkError::Stopped)));
        let error = WavSink::create(Path::new("/proc/no/such.wav"), 24_000).err().expect("no such folder").to_string();
        assert!(error.contains("/proc/no/such.wav: cannot be written"), "{error}");
    }
}
