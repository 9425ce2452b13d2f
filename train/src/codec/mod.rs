//! Speech ⇄ codes: training of the codec.

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
