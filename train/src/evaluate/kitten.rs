//! The shipped checkpoint at work: every part from its file, sound in pieces as a microphone gives it.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use caracal_cluster::backbone::embedding::Features;
use caracal_cluster::backbone::watcher::Watcher;
use caracal_cluster::backbone::{CodecEmbedding, CodecHead, LongCatFlash};
use caracal_cluster::engine::{BurnEngine, CacheLimits};
use caracal_cluster::generate::outcome::{Outcome, Sound};
use caracal_cluster::generate::reply::{Replier, ReplyOptions};
use caracal_cluster::model::ModelFolder;
use caracal_cluster::sampler::Sampling;
use caracal_edge::Streaming;
use caracal_edge::audio::{AudioPerception, Waveform};
use caracal_edge::codec::{AudioDecoder, DecoderConfig};
use caracal_kernels::layers::Embedding;
use caracal_shared::ids::{CODE_END, TEXT_END};
use caracal_shared::post_process::spoken_turn;
use caracal_shared::prompt::{Item, Message, PromptOptions, Role, assemble};
use caracal_shared::reply::ReplyIds;

/// Samples that the streaming path is given at once: 100 ms.
const PIECE: usize = 1600;
/// Steps of a reply at most: 12 s of speech.
const STEPS_MAX: usize = 200;
/// Positions of one cache block.
const BLOCK_TOKENS: usize = 64;

/// What the user does in a turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Items as the prompt orders them. The count of an audio item is filled in once it was heard.
    pub items: Vec<Item>,
    /// What was said, at 16 kHz; none for a typed turn.
    pub sound: Option<Vec<f32>>,
    /// Rows of what is seen.
    pub image: Vec<f32>,
}

/// What kitten answers to the last turn.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Clean text.
    pub text: String,
    /// What is heard.
    pub sound: Option<Sound>,
    /// Steps until the end.
    pub steps: usize,
}

/// A loaded checkpoint.
pub struct Kitten {
    folder: ModelFolder,
    hearing: AudioPerception,
    text: Embedding,
    codec: CodecEmbedding,
    head: CodecHead,
    decoder: AudioDecoder,
    decoder_config: DecoderConfig,
    language: LongCatFlash,
}

impl Kitten {
    /// Loads all parts.
    ///
    /// # Errors
    /// When one is missing or does not fit.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = ModelFolder::open(folder, &Device::flex())?;
        let (text, codec) = folder.input_embedding()?;
        let head = folder.codec_head(codec.audio_embeddings[0].weight.dims()[0])?;
        let (decoder, decoder_config) = folder.codec()?;
        Ok(Self { hearing: folder.hearing()?, text, codec, head, decoder, decoder_config, language: folder.language_model()?, folder })
    }

    /// Experts with weights.
    pub fn real_experts(&self) -> usize {
        self.folder.config.n_routed_experts
    }

    /// What the parts are, for the clock.
    pub(super) fn hearing(&self) -> &AudioPerception {
        &self.hearing
    }

    pub(super) fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// Holds a conversation in speech, every answer of kitten's own becoming part of what it reads next.
    ///
    /// # Errors
    /// When a turn cannot be assembled.
    pub fn converse(&self, turns: &[Turn]) -> Result<Answer> {
        let (mut messages, mut audio, mut image) = (Vec::new(), Vec::new(), Vec::new());
        let mut answer = None;
        for turn in turns {
            let heard = turn.sound.as_ref().map(|sound| self.hear(sound)).transpose()?.unwrap_or_default();
            let tokens = (heard.len() / self.width()) as u32;
            audio.extend(heard);
            image.extend(&turn.image);
            let items = turn.items.iter().cloned().map(|item| counted(item, tokens)).collect();
            messages.push(Message { role: Role::User, items });
            let outcome = self.reply(&messages, &audio, &image)?;
            let turn = spoken_turn(&self.folder.tokenizer, &outcome.reply.text, &outcome.reply.codes)?;
            messages.push(match turn {
                Some((text, segments)) => Message { role: Role::VoiceAssistant, items: vec![Item::Spoken { text, segments }] },
                // What was cut off, or has more words than sound, cannot be told as it was spoken.
                None => Message { role: Role::Assistant, items: vec![Item::Text(outcome.text.clone())] },
            });
            answer = Some(outcome);
        }
        let outcome = answer.context("a conversation has a turn")?;
        let steps = outcome.reply.text.len();
        Ok(Answer { text: outcome.text, sound: outcome.sound, steps })
    }

    fn width(&self) -> usize {
        self.folder.config.hidden_size
    }

    fn hear(&self, sound: &[f32]) -> Result<Vec<f32>> {
        let mut state = self.hearing.start();
        let mut rows = Vec::new();
        for piece in sound.chunks(PIECE) {
            rows.extend(self.hearing.step(&mut state, Waveform::new(piece.to_vec())?));
        }
        rows.extend(self.hearing.flush(&mut state));
        Ok(rows.into_iter().flat_map(|rows| rows.into_data().try_into_vec::<f32>().expect("the ears compute in f32")).collect())
    }

    fn reply(&self, messages: &[Message], audio: &[f32], image: &[f32]) -> Result<Outcome> {
        let prompt = assemble(&self.folder.tokenizer, &self.folder.markers, messages, &PromptOptions::default())?;
        let ids: Vec<u32> = prompt.rows.iter().map(|row| row.text).collect();
        let codes: Vec<u32> = prompt.rows.iter().flat_map(|row| row.codes).collect();
        let width = self.width();
        let features = |placeholder, rows: &[f32]| {
            let rows = TensorData::new(rows.to_vec(), [rows.len() / width, width]);
            Features { placeholder, rows: Tensor::from_data(rows, &Device::flex()) }
        };
        let markers = &self.folder.markers;
        let sources: Vec<_> = [(markers.audio_pad, audio), (markers.image_pad, image)]
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(placeholder, rows)| features(placeholder, rows))
            .collect();
        let rows = self.codec.prompt(&self.text, &ids, &codes, &sources)?;
        let blocks = (ids.len() + STEPS_MAX).div_ceil(BLOCK_TOKENS);
        let limits = CacheLimits { block_tokens: BLOCK_TOKENS, blocks, sessions: 1 };
        let mut engine = BurnEngine::new(&self.folder.config, self.language.clone(), limits);
        let ids = ReplyIds { pause: markers.pause, end: TEXT_END, semantic_end: CODE_END };
        let mut replier = Replier { engine: &mut engine, text: &self.text, codec: &self.codec, head: Some(&self.head), ids };
        let options = ReplyOptions { steps_max: STEPS_MAX, sampling: Sampling::GREEDY, seed: 0 };
        let reply = replier.reply(rows, &options, &mut |_| {})?;
        let mut outcome = Outcome::of(reply, &self.folder.tokenizer, markers.pause)?;
        outcome.speak(&self.decoder, &self.decoder_config);
        Ok(outcome)
    }

    /// Runs typed questions past `watcher`.
    ///
    /// # Errors
    /// When a question cannot be assembled.
    pub fn route(&self, questions: &[String], watcher: &mut dyn Watcher) -> Result<()> {
        for question in questions {
            let message = Message { role: Role::User, items: vec![Item::Text(question.clone())] };
            let prompt = assemble(&self.folder.tokenizer, &self.folder.markers, &[message], &PromptOptions::default())?;
            let ids: Vec<u32> = prompt.rows.iter().map(|row| row.text).collect();
            let codes: Vec<u32> = prompt.rows.iter().flat_map(|row| row.codes).collect();
            let rows = self.codec.prompt(&self.text, &ids, &codes, &[])?;
            self.language.offline(rows, 1, watcher);
        }
        Ok(())
    }

    /// One step of a session after a prompt of `rows` rows, for the clock.
    ///
    /// # Errors
    /// When the engine refuses.
    pub(super) fn decoder_of(&self, rows: usize) -> Result<impl FnMut() -> Result<()> + '_> {
        use caracal_cluster::engine::{Engine, Read, Work};
        let limits = CacheLimits { block_tokens: BLOCK_TOKENS, blocks: 64, sessions: 1 };
        let mut engine = BurnEngine::new(&self.folder.config, self.language.clone(), limits);
        let session = engine.open()?;
        let width = self.width();
        let input = move |rows: usize| (0..rows * width).map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0).collect::<Vec<f32>>();
        engine.step(&[Work { session, rows: input(rows), read: Read::Nothing }]).remove(0)?;
        Ok(move || {
            let hidden = engine.step(&[Work { session, rows: input(1), read: Read::Last }]).remove(0)?.rows;
            engine.text_logits(&hidden);
            let hidden = Tensor::<2>::from_data(TensorData::new(hidden, [1, width]), &Device::flex());
            let past = vec![Default::default(); 4];
            self.head.choose(hidden, &[&past], caracal_cluster::backbone::repetition_penalty::RepetitionPenalty::AUDIO, |_| {});
            Ok(())
        })
    }
}

/// An item with the count of what was heard.
fn counted(item: Item, heard: u32) -> Item {
    match item {
        Item::Audio { .. } => Item::Audio { tokens: heard },
        Item::Interleaved { units, strategy, .. } => Item::Interleaved { units, audio: heard, strategy },
        item => item,
    }
}
