//! Seeing: drawn pictures and clips, training of the ViT and its projector.
//!
//! | file | what it holds |
//! |---|---|
//! | `scene`, `clip` | what a picture or a short video shows, and the wall between training and evaluation |
//! | `words`, `questions` | what is asked about them, and the answers |

pub mod clip;
pub mod questions;
pub mod scene;
mod words;

use anyhow::Result;

use crate::stage::Folders;

/// What to do in this part of the training.
#[derive(clap::Args, Debug)]
pub struct Options {}

/// Runs the part's stages, or goes on with them.
///
/// # Errors
/// When data cannot be made, or a file not be read or written.
pub fn run(_options: &Options, _folders: &Folders) -> Result<()> {
    Ok(())
}
