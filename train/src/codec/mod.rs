//! Speech ⇄ codes: training of the codec.
//!
//! | module | what it holds |
//! |---|---|
//! | [`shape`] | sizes, and the config files that say them |
//! | [`sentences`] | what the voice says for training, and what is held out |
//! | [`clips`], [`features`] | spoken sentences, and what they look like |
//! | [`kmeans`], [`principal`] | centres and main directions of many rows |
//! | [`semantic`] | first stage: what is said, by CTC, and its codes |
//! | [`acoustic`] | second stage: how it sounds, and its codes |
//! | [`codes`] | sentences as codes, for the decoder and for the language model |
//! | [`decoder`], [`spectral`], [`hearing`] | third stage: codes to sound, by spectra and by what a listener hears |
//! | [`publish`] | the files of the checkpoint |
//! | [`evaluate`] | what is understood behind the codec |

pub mod acoustic;
pub mod clips;
pub mod codes;
pub mod decoder;
pub mod evaluate;
pub mod features;
pub mod hearing;
pub mod kmeans;
pub mod principal;
pub mod publish;
pub mod semantic;
pub mod sentences;
pub mod shape;
pub mod spectral;

use std::path::PathBuf;

use anyhow::Result;

use crate::stage::{Folders, LearningRate};
use crate::voices::piper;

/// What to do in this part of the training.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Sentences to learn from, one a line, instead of drawn ones.
    #[arg(long)]
    sentences: Option<PathBuf>,
    /// Steps of the semantic tokenizer.
    #[arg(long, default_value_t = 2200)]
    semantic_steps: usize,
    /// Steps of the acoustic encoder.
    #[arg(long, default_value_t = 800)]
    acoustic_steps: usize,
    /// Learning rate of the acoustic encoder at its highest; above 2e-3 it does not hold together.
    #[arg(long, default_value_t = 1e-3)]
    acoustic_rate: f64,
    /// Steps of the decoder.
    #[arg(long, default_value_t = 22_500)]
    decoder_steps: usize,
    /// Learning rate of the decoder at its highest.
    #[arg(long, default_value_t = 1.2e-3)]
    decoder_rate: f64,
    /// Weight of what a listener for words hears, beside the spectral distance.
    #[arg(long, default_value_t = 1.0)]
    hearing_weight: f64,
    /// Run this stage only.
    #[arg(long, value_enum)]
    only: Option<Step>,
    /// Train nothing; ask this judge what is lost on the way through the codec: a program that takes a table of WAV files
    /// and what they say.
    #[arg(long, value_name = "JUDGE")]
    evaluate: Option<PathBuf>,
}

/// A stage of the codec's training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// Semantic tokenizer.
    Semantic,
    /// Acoustic encoder and its codebooks.
    Acoustic,
    /// Join both into the published tokenizer.
    Tokenizer,
    /// Decoder.
    Decoder,
}

/// Runs the part's stages, or goes on with them.
///
/// # Errors
/// When data cannot be made, or a file not be read or written.
pub fn run(options: &Options, folders: &Folders) -> Result<()> {
    let folder = publish::folder(folders);
    shape::write(&folder)?;
    let shapes = shape::Shapes::read(&folder)?;
    let sentences = sentences::choose(options.sentences.as_deref())?;
    if let Some(judge) = &options.evaluate {
        let held_out = piper::speak(folders, &sentences.held_out)?;
        let evaluate::RoundTrip { before, after } = evaluate::round_trip(folders, &held_out, judge)?;
        println!("codec: word error rate of {} recordings {before:.2} %, behind the codec {after:.2} %", held_out.len());
        let phrased = evaluate::phrase_by_phrase(folders, &sentences.held_out, judge)?;
        println!("codec: the same sentences phrase by phrase, behind the codec {phrased:.2} %");
        return Ok(());
    }
    let (spoken, held_out) = (piper::speak(folders, &sentences.training)?, piper::speak(folders, &sentences.held_out)?);
    let (training, held_out) = (clips::read_all(&spoken)?, clips::read_all(&held_out)?);
    eprintln!("codec: {} sentences, {} frames", training.len(), training.iter().map(clips::Clip::frames).sum::<usize>());
    let wanted = |stage| options.only.is_none_or(|only| only == stage);
    if wanted(Step::Semantic) {
        semantic::train(folders, &shapes, &training, &held_out, options.semantic_steps)?;
    }
    if wanted(Step::Acoustic) {
        let rate = LearningRate { peak: options.acoustic_rate, floor: 0.02, warmup: 100, steps: options.acoustic_steps };
        acoustic::train(folders, &shapes, &training, rate)?;
    }
    if wanted(Step::Tokenizer) {
        publish::tokenizer(folders, &shapes)?;
    }
    if wanted(Step::Decoder) {
        let coded = codes::of(folders, &spoken)?;
        for (book, (single, pair)) in codes::entropies(&coded).iter().enumerate() {
            println!("codec: codebook {book}: {single:.2} bits a code, {pair:.2} given the one before");
        }
        let coded: Vec<_> = coded.into_iter().map(|(_, codes)| codes).collect();
        let rate = LearningRate { peak: options.decoder_rate, floor: 0.03, warmup: 100, steps: options.decoder_steps };
        decoder::train(folders, &shapes, &training, &sentences.phrases, &coded, rate, options.hearing_weight)?;
    }
    Ok(())
}
