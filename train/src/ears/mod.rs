//! Hearing: training of the audio encoder with CTC, and its evaluation.
//!
//! | file | what it holds |
//! |---|---|
//! | [`sentences`] | what is said in training, and what only in the evaluation |
//! | [`units`] | the words that the CTC head tells apart |
//! | [`sounds`] | the sounds of these words, a second lesson |
//! | [`layout`] | the files of `audio/` beside the weights: both configs and the statistics |
//! | [`corpus`] | spoken training sentences and their surroundings, as batches |
//! | [`training`] | the loop |
//! | [`evaluation`] | word error rates through the streaming path |
//! | [`features`] | what the trained encoder hears |
//! | [`heard`] | sentences as it hears them, kept in memory for the language model |

pub mod corpus;
pub mod evaluation;
pub mod features;
pub mod heard;
pub mod layout;
pub mod sentences;
pub mod sounds;
pub mod training;
pub mod units;

use std::path::PathBuf;

use anyhow::Result;

use crate::stage::Folders;

/// What to do in this part of the training.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Only measure the encoder that is there.
    #[arg(long)]
    evaluate: bool,
    /// Only render the spoken sentences.
    #[arg(long, conflicts_with = "evaluate")]
    render: bool,
    /// Train nothing; publish the mean of the trained encoder and of the one in this file, where the same training ended before.
    /// The state that training goes on from stays as it is.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["evaluate", "render"])]
    mean_with: Option<PathBuf>,
    /// Rendered sentences to learn from, in shards of 500.
    #[arg(long, default_value_t = corpus::SHARDS)]
    shards: usize,
    /// Steps of training.
    #[arg(long, default_value_t = training::STEPS)]
    steps: usize,
}

/// Runs the part's stages, or goes on with them.
///
/// # Errors
/// When data cannot be made, or a file not be read or written.
pub fn run(options: &Options, folders: &Folders) -> Result<()> {
    crate::voices::voice::check_synthesisers()?;
    let corpus = corpus::Corpus::open(folders, options.shards)?;
    if options.render {
        return Ok(());
    }
    match &options.mean_with {
        Some(file) => training::publish_mean(folders, file)?,
        None if options.evaluate => {}
        None => training::run(folders, &corpus, options.steps)?,
    }
    evaluation::print(folders, &corpus.listening)
}
