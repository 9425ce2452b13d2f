//! Everything of the cluster that waits for the world outside: files that other programs read, children, clocks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ffmpeg`] | one run of `ffmpeg` or `ffprobe`: its output as a stream, its complaint when it fails |
//! | [`video`] | video files: how many pictures, how fast, the pictures themselves, the sound track |

pub mod ffmpeg;
pub mod video;

pub use video::{VideoError, VideoFile};
