//! Where the answer is heard: one trait for files and pipes, and for devices.

use std::path::PathBuf;

/// Something that plays samples.
pub trait Sink: Send {
    /// Samples a second that it takes.
    fn sample_rate(&self) -> u32;

    /// Plays `samples` right after those before. Silence is played too: time at the speaker is counted in samples.
    ///
    /// # Errors
    /// [`SinkError`]. After [`SinkError::Io`] nothing more can be played.
    fn play(&mut self, samples: &[f32]) -> Result<(), SinkError>;

    /// Ends the sound: all that was played is heard, or in the file. May be called again.
    ///
    /// # Errors
    /// [`SinkError::Io`].
    fn stop(&mut self) -> Result<(), SinkError>;
}

/// Nobody listens; takes so many samples a second.
#[derive(Clone, Copy, Debug)]
pub struct NoSpeaker(pub u32);

impl Sink for NoSpeaker {
    fn sample_rate(&self) -> u32 {
        self.0
    }

    fn play(&mut self, _: &[f32]) -> Result<(), SinkError> {
        Ok(())
    }

    fn stop(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A sink failed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file or pipe cannot be written. Make room, or name another one.
    #[error("{}: cannot be written: {source}. Check the path, its permissions and the space on the disk; for a pipe, that its reader still runs.", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// It was stopped before.
    #[error("a piece was played after the sink was stopped. Open a new one.")]
    Stopped,
}
