//! The language model of kitten: its tokenizer, its curriculum.
//!
//! | module | what it holds |
//! |---|---|
//! | [`shape`] | sizes, and the `config.json` that says them |
//! | [`tokenizer_file`] | `tokenizer.json` with the released layout of ids |
//! | [`model`] | everything that is trained together, and its files |
//! | [`sample`] | a conversation as rows and what each row should predict |
//! | [`batch`] | samples of like length side by side |
//! | [`loss`] | the weighted cross entropies of text and codes |
//! | [`balance`] | the router's bias, moved by the load |
//! | [`text`] | first stage: conversations in writing |
//! | [`ask`] | greedy answers in writing, for measuring on the way |

pub mod ask;
pub mod balance;
pub mod batch;
pub mod loss;
pub mod model;
pub mod sample;
pub mod shape;
pub mod text;
pub mod tokenizer_file;

use anyhow::Result;

use crate::stage::Folders;

/// What to do in this part of the training.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Write the tokenizer and the configuration, and stop.
    #[arg(long)]
    prepare: bool,
    /// Steps of the first stage, conversations in writing.
    #[arg(long, default_value_t = 6000)]
    text_steps: usize,
}

/// Runs the part's stages, or goes on with them.
///
/// # Errors
/// When data cannot be made, or a file not be read or written.
pub fn run(options: &Options, folders: &Folders) -> Result<()> {
    if !folders.model.join("tokenizer.json").exists() {
        tokenizer_file::write(&folders.model, shape::SEED)?;
        shape::write(&folders.model)?;
    }
    if options.prepare {
        return Ok(());
    }
    text::run(folders, options.text_steps)
}

/// Width of the audio encoder's output: from its config if that is there.
///
/// # Errors
/// When the config is there and wrong.
pub fn heard_width(folders: &Folders) -> Result<usize> {
    let file = folders.model.join("audio/config.json");
    Ok(if file.exists() { caracal_edge::audio::AudioEncoderConfig::read(&file)?.output_size() } else { HEARD })
}

/// Width of the audio encoder's output while there is none.
const HEARD: usize = 512;
