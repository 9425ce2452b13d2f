//! Everything of the edge that waits for the world outside: files, pipes, children, clocks, shared libraries.
//!
//! | module | what it holds |
//! |---|---|
//! | [`source`], [`pace`] | the trait of everything that is perceived; playing files in at the speed of the world |
//! | [`sound_source`], [`picture_source`] | sound and pictures from files and pipes |
//! | [`sink`], [`wav_sink`] | the trait of everything that plays; WAV files and pipes |
//! | [`driver`], [`recorder`] | feeds the conversation, and does what it asks; keeps a timeline of it |
//! | [`redial`] | when a driver dials again |
//! | [`script`] | a conversation that is played in turn by turn |
//! | [`door`], [`quic`], [`trust`] | the way to a cluster; over QUIC; whom the edge believes |
//! | [`address`] | which of the addresses behind a name answers |
//! | [`link_probe`] | a handshake with the cluster and nothing more |
//! | [`vad_files`], [`vad`] | where ONNX Runtime and the voice model lie; speech probabilities |
//! | [`signals`] | Ctrl-C, and being asked to end |
//! | [`ffmpeg`] | one run of `ffmpeg` or `ffprobe`: its output as a stream, its complaint when it fails |
//! | [`video`] | video files: how many pictures, how fast, the pictures themselves, the sound track |

pub mod address;
pub mod door;
pub mod driver;
pub mod ffmpeg;
pub mod link_probe;
pub mod pace;
pub mod picture_source;
pub mod quic;
pub mod recorder;
pub mod redial;
pub mod script;
pub mod signals;
pub mod sink;
pub mod sound_source;
pub mod source;
pub mod trust;
pub mod vad;
pub mod vad_files;
pub mod video;
pub mod wav_sink;

pub use pace::{Clock, Paced};
pub use picture_source::{SHOT_INTERVAL, Slides, VideoShots};
pub use sink::{NoSpeaker, Sink, SinkError};
pub use sound_source::{PIPE, SoundClip, SoundFile, ThenSilence};
pub use source::{Hop, Shot, Source, SourceError, Timed};
pub use vad::{SileroState, SileroVad, VadError};
pub use vad_files::{VadFiles, VadFilesError};
pub use video::{VideoError, VideoFile};
pub use wav_sink::WavSink;
