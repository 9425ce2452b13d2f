//! One conversation from file to outcome, with the parts of the model that it needs and no others.
//!
//! What is cheap is checked first: the file, the config, the tokenizer, the media. The language model comes last.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use caracal_edge::audio::FrontEnd;
use caracal_edge::vision::{PictureError, Preprocessor, VisionConfig};
use caracal_kernels::LoadError;
use caracal_kernels::layers::Embedding;
use caracal_shared::ids::{CODE_END, TEXT_END};
use caracal_shared::prompt::{Prompt, PromptError, PromptOptions, assemble};
use caracal_shared::reply::ReplyIds;
use caracal_shared::tokenize::TokenizeError;

use super::case::{Case, CaseError};
use super::media::{Media, MediaError, Senses};
use super::outcome::Outcome;
use super::perceive::{Encoders, Perceived, perceive};
use super::progress::{Progress, Stage};
use super::reply::{Replier, ReplyError, ReplyOptions};
use crate::backbone::CodecEmbedding;
use crate::backbone::embedding::{EmbeddingError, Features};
use crate::engine::{BurnEngine, CacheLimits};
use crate::model::{ModelError, ModelFolder};

/// Tokens of one cache block: one session needs no finer grain.
const BLOCK_TOKENS: usize = 64;

/// How to generate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Whether the reply is spoken, else it is written only.
    pub voice: bool,
    /// The generation itself.
    pub reply: ReplyOptions,
}

/// Why a conversation has no outcome.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the error of the module that it names, and says what to do")]
pub enum GenerateError {
    #[error(transparent)]
    Case(#[from] CaseError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    Prompt(#[from] PromptError),
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
}

/// A conversation that was read, heard and seen.
#[derive(Debug)]
pub struct ReadPrompt {
    /// Text ids, codes and placeholders.
    pub prompt: Prompt,
    /// What fills the placeholders.
    pub perceived: Perceived,
    /// What was left out and why, for the user.
    pub notices: Vec<String>,
}

/// Runs the conversation of `case_file` on the model in `folder`.
///
/// # Errors
/// [`GenerateError`]; nothing is written.
pub fn generate(
    folder: &Path,
    case_file: &Path,
    device: &Device,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, GenerateError> {
    let case = Case::read(case_file)?;
    let model = ModelFolder::open(folder, device)?;
    let (text, codec_embedding) = model.input_embedding()?;
    let voice = match options.voice {
        true => Some((model.codec_head(codec_embedding.audio_embeddings[0].weight.dims()[0])?, model.codec()?)),
        false => None,
    };
    let read = read_prompt(&model, &case, options.voice, progress)?;
    let context = model.config.max_position_embeddings;
    read.prompt.check_context(1, context)?;
    let positions = read.prompt.rows.len();
    let rows = embed(&model, &read, &text, &codec_embedding)?;
    let steps_max = options.reply.steps_max.min(context - positions);
    let limits = CacheLimits { block_tokens: BLOCK_TOKENS, blocks: (positions + steps_max).div_ceil(BLOCK_TOKENS), sessions: 1 };
    progress(Progress { stage: Stage::Load, done: 0, total: 1 });
    let mut engine = BurnEngine::new(&model.config, model.language_model()?, limits);
    progress(Progress { stage: Stage::Load, done: 1, total: 1 });
    let ids = ReplyIds { pause: model.markers.pause, end: TEXT_END, semantic_end: CODE_END };
    let mut replier =
        Replier { engine: &mut engine, text: &text, codec: &codec_embedding, head: voice.as_ref().map(|(head, _)| head), ids };
    let reply = replier.reply(rows, &ReplyOptions { steps_max, ..options.reply }, progress)?;
    let steps = reply.text.len();
    let mut outcome =
        Outcome { prompt_rows: positions, notices: read.notices, ..Outcome::of(reply, &model.tokenizer, model.markers.pause)? };
    if !outcome.reply.finished {
        outcome.notices.push(match steps < options.reply.steps_max {
            true => format!("the reply was cut after {steps} steps, where the context of {context} positions is full"),
            false => format!("the reply was cut at the limit of {steps} steps; a higher `--max-steps` lets it go on"),
        });
    }
    if let Some((_, (decoder, config))) = &voice {
        progress(Progress { stage: Stage::Speak, done: 0, total: 1 });
        outcome.speak(decoder, config);
        progress(Progress { stage: Stage::Speak, done: 1, total: 1 });
    }
    Ok(outcome)
}

/// Opens the media of a conversation, encodes them and assembles the prompt. The encoders are loaded for this and let go
/// at its end, before the language model takes the memory.
///
/// # Errors
/// [`GenerateError`].
pub fn read_prompt(model: &ModelFolder, case: &Case, voice: bool, progress: &mut dyn FnMut(Progress)) -> Result<ReadPrompt, GenerateError> {
    let (heard, seen) = case.senses();
    // The front ends need no weights: files that cannot be used are found before anything large is loaded.
    let front_end = if heard { Some(FrontEnd::open(&model.folder().join("audio"))?) } else { None };
    let vision = if seen { Some(VisionConfig::read(&model.folder().join("vision"))?) } else { None };
    let senses = Senses {
        sample_rate: front_end.as_ref().map(FrontEnd::sample_rate),
        preprocessor: vision.as_ref().map(|config| Preprocessor::new(&config.preprocess)),
    };
    let mut media = Media::read(case, &senses, progress)?;
    let notices = std::mem::take(&mut media.notices);
    let encoders = Encoders {
        audio: if heard { Some(model.hearing()?) } else { None },
        vision: if seen { Some(model.sight()?).map(|(encoder, config)| (encoder, config.post_squeeze)) } else { None },
    };
    let perceived = perceive(media, &encoders, progress)?;
    let options = PromptOptions { voice_chat: voice, ..PromptOptions::default() };
    let prompt = assemble(&model.tokenizer, &model.markers, &perceived.messages, &options)?;
    Ok(ReadPrompt { prompt, perceived, notices })
}

/// The rows of the prompt, those of sound and pictures in their places.
fn embed(model: &ModelFolder, read: &ReadPrompt, text: &Embedding, codec: &CodecEmbedding) -> Result<Tensor<2>, EmbeddingError> {
    let ids: Vec<u32> = read.prompt.rows.iter().map(|row| row.text).collect();
    let codes: Vec<u32> = read.prompt.rows.iter().flat_map(|row| row.codes).collect();
    let of = |placeholder: u32, rows: &Option<Tensor<2>>| rows.clone().map(|rows| Features { placeholder, rows });
    let sources = [of(model.markers.audio_pad, &read.perceived.audio), of(model.markers.image_pad, &read.perceived.image)];
    codec.prompt(text, &ids, &codes, &sources.into_iter().flatten().collect::<Vec<_>>())
}
