//! Offline generation: a conversation file in; reply text, codes and sound out.
//!
//! Reading order, which is the order of a run:
//!
//! | module | what it holds |
//! |---|---|
//! | [`case`] | the published conversation format, and where exactly a file departs from it |
//! | [`media`] | its files, opened: patch rows and samples |
//! | [`perceive`] | through the encoders: the prompt's items and the rows that fill them |
//! | [`reply`] | prefill and the generation steps |
//! | [`outcome`] | from steps to text, codec frames, sound, and the files they are written to |
//! | [`run`] | all of it, with the weights that it needs |
//! | [`progress`] | how far it has come |
//! | [`command`] | the command line |

pub mod case;
pub mod command;
pub mod media;
pub mod outcome;
pub mod perceive;
pub mod progress;
pub mod reply;
pub mod run;

pub use case::{Case, CaseError, CaseItem, CaseMessage, InterleavedMeta};
pub use outcome::Outcome;
pub use progress::{Progress, Stage};
pub use reply::{Reply, ReplyOptions};
pub use run::{GenerateError, Options, generate, read_prompt};
