//! Everything of the edge that waits for the world outside: files, pipes, children, clocks, shared libraries.
//!
//! | module | what it holds |
//! |---|---|
//! | [`vad_files`], [`vad`] | where ONNX Runtime and the voice model lie; speech probabilities |
//! | [`ffmpeg`] | one run of `ffmpeg` or `ffprobe`: its output as a stream, its complaint when it fails |
//! | [`video`] | video files: how many pictures, how fast, the pictures themselves, the sound track |

pub mod ffmpeg;
pub mod vad;
pub mod vad_files;
pub mod video;

pub use vad::{SileroState, SileroVad, VadError};
pub use vad_files::{VadFiles, VadFilesError};
pub use video::{VideoError, VideoFile};
