//! One conversation from file to outcome, with the parts of the model that it needs and no others.
//!
//! What is cheap is checked first: the file, the config, the tokenizer, the media. The language model comes last.

use std::path::Path;

use burn::tensor::Device;
use caracal_edge::audio::FrontEnd;
use caracal_edge::vision::{PictureError, Preprocessor, VisionConfig};
use caracal_kernels::LoadError;
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

/// Runs the conversation of `case_file` on the model in `folder`.
///
/// # Errors
/// [`GenerateError`]; nothing is written.
pub fn generate(folder: &Path, case_file: &Path, device: &Device, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, GenerateError> {
    let case = Case::read(case_file)?;
    let model = ModelFolder::open(folder, device)?;
    let (media, vision) = read_media(folder, &case, progress)?;
    let notices = media.notices.clone();
    let mut loaded = 0;
    let mut load = |progress: &mut dyn FnMut(Progress)| {
        loaded += 1;
        progress(Progress { stage: Stage::Load, done: loaded, total: 5 });
    };
    let (text, codec_embedding) = model.input_embedding()?;
    load(progress);
    let voice = match options.voice {
        true => Some((model.codec_head(codec_embedding.audio_embeddings[0].weight.dims()[0])?, model.codec()?)),
        false => None,
    };
    load(progress);
    let perceived = look_and_listen(&model, &case, media, vision, progress)?;
    load(progress);
    let prompt = assemble(&model.tokenizer, &model.markers, &perceived.messages, &PromptOptions { voice_chat: options.voice, ..PromptOptions::default() })?;
    let context = model.config.max_position_embeddings;
    prompt.check_context(1, context)?;
    let rows = embed(&model, &prompt, &perceived, &text, &codec_embedding)?;
    let steps_max = options.reply.steps_max.min(context - prompt.rows.len());
    let limits = CacheLimits { block_tokens: BLOCK_TOKENS, blocks: (prompt.rows.len() + steps_max).div_ceil(BLOCK_TOKENS), sessions: 1 };
    let mut engine = BurnEngine::new(&model.config, model.language_model()?, limits);
    load(progress);
    let ids = ReplyIds { pause: model.markers.pause, end: TEXT_END, semantic_end: CODE_END };
    let mut replier = Replier { engine: &mut engine, text: &text, codec: &codec_embedding, head: voice.as_ref().map(|(head, _)| head), ids };
    let reply = replier.reply(rows, &ReplyOptions { steps_max, ..options.reply }, progress)?;
    let steps = reply.text.len();
    let mut outcome = Outcome { prompt_rows: prompt.rows.len(), notices, ..Outcome::of(reply, &model.tokenizer, model.markers.pause)? };
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

/// Opens the media with the front ends of the model; no weights are needed for that.
fn read_media(folder: &Path, case: &Case, progress: &mut dyn FnMut(Progress)) -> Result<(Media, Option<VisionConfig>), GenerateError> {
    let (heard, seen) = case.senses();
    let front_end = if heard { Some(FrontEnd::open(&folder.join("audio"))?) } else { None };
    let vision = if seen { Some(VisionConfig::read(&folder.join("vision"))?) } else { None };
    let senses = Senses {
        sample_rate: front_end.as_ref().map(FrontEnd::sample_rate),
        preprocessor: vision.as_ref().map(|config| Preprocessor::new(&config.preprocess)),
    };
    Ok((Media::read(case, &senses, progress)?, vision))
}

/// Loads the encoders, uses them and lets them go, before the language model takes the memory.
fn look_and_listen(
    model: &ModelFolder, case: &Case, media: Media, vision: Option<VisionConfig>, progress: &mut dyn FnMut(Progress),
) -> Result<Perceived, GenerateError> {
    let encoders = Encoders {
        audio: if case.senses().0 { Some(model.hearing()?) } else { None },
        vision: match vision {
            Some(config) => Some((model.sight()?.0, config.post_squeeze)),
            None => None,
        },
    };
    Ok(perceive(media, &encoders, progress)?)
}

fn embed(
    model: &ModelFolder, prompt: &Prompt, perceived: &Perceived, text: &caracal_kernels::layers::Embedding, codec: &crate::backbone::CodecEmbedding,
) -> Result<burn::tensor::Tensor<2>, EmbeddingError> {
    let ids: Vec<u32> = prompt.rows.iter().map(|row| row.text).collect();
    let codes: Vec<u32> = prompt.rows.iter().flat_map(|row| row.codes).collect();
    let of = |placeholder: u32, rows: &Option<burn::tensor::Tensor<2>>| rows.clone().map(|rows| Features { placeholder, rows });
    let features: Vec<Features> = of(model.markers.audio_pad, &perceived.audio).into_iter().chain(of(model.markers.image_pad, &perceived.image)).collect();
    codec.prompt(text, &ids, &codes, &features)
}
