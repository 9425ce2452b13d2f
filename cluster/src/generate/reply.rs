//! One reply: the prompt goes into the cache in chunks, then step after step a text id and four codes come out.
//!
//! Source: LongCat-Flash-Omni, the serving branch its README names; the demo's settings.

use burn::tensor::{DType, Tensor, TensorData};
use caracal_kernels::layers::Embedding;
use caracal_shared::reply::{CODEBOOKS, NextInput, ReplyIds, ReplyMachine};

use super::progress::{Progress, Stage};
use crate::backbone::embedding::EmbeddingError;
use crate::backbone::repetition_penalty::{RecentIds, RepetitionPenalty};
use crate::backbone::{CodecEmbedding, CodecHead};
use crate::engine::{Engine, EngineError, Read, SessionId, Work};
use crate::sampler::{Sampler, Sampling};

/// Rows of a prompt that go to the engine at a time: progress shows, and results do not depend on it.
const PREFILL_ROWS: usize = 256;

/// How a reply is generated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplyOptions {
    /// Steps at most, those of audio alone included.
    pub steps_max: usize,
    /// How text ids are chosen. Codes are always chosen greedily.
    pub sampling: Sampling,
    /// Seed of that choice.
    pub seed: u64,
}

/// Everything that one reply runs on.
pub struct Replier<'m> {
    /// The language model, with a session for the reply.
    pub engine: &'m mut dyn Engine,
    /// Rows of text ids.
    pub text: &'m Embedding,
    /// Rows of codes.
    pub codec: &'m CodecEmbedding,
    /// The audio heads; none for a reply in writing.
    pub head: Option<&'m CodecHead>,
    /// Ids that steer a reply.
    pub ids: ReplyIds,
}

/// What a reply was, step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Text id of each step; none where the step was audio alone.
    pub text: Vec<Option<u32>>,
    /// Codes of each step as recorded, offset still in; empty for a reply in writing.
    pub codes: Vec<[Option<u32>; CODEBOOKS]>,
    /// Whether the model ended it, else the step limit did.
    pub finished: bool,
}

impl Reply {
    /// Spoken segments that were begun: one more than pauses.
    pub fn segments(&self, pause: u32) -> usize {
        1 + self.text.iter().filter(|id| **id == Some(pause)).count()
    }
}

/// Why a reply broke off.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// The engine refused rows.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A generated id has no row.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
}

impl Replier<'_> {
    /// Reads `prompt` (`[rows, hidden]`) and replies, in a session of its own.
    ///
    /// # Errors
    /// [`ReplyError`]; the session is closed whatever happens.
    pub fn reply(&mut self, prompt: Tensor<2>, options: &ReplyOptions, progress: &mut dyn FnMut(Progress)) -> Result<Reply, ReplyError> {
        let session = self.engine.open()?;
        let reply = self.prefill(session, prompt, progress).and_then(|hidden| match self.head {
            Some(head) => self.speak(session, hidden, head, options, progress),
            None => self.write(session, hidden, options, progress),
        });
        self.engine.close(session)?;
        reply
    }

    /// The hidden state of the prompt's last row.
    fn prefill(&mut self, session: SessionId, prompt: Tensor<2>, progress: &mut dyn FnMut(Progress)) -> Result<Vec<f32>, ReplyError> {
        let [total, _] = prompt.dims();
        let mut hidden = Vec::new();
        for start in (0..total).step_by(PREFILL_ROWS) {
            let count = PREFILL_ROWS.min(total - start);
            let read = if start + count == total { Read::Last } else { Read::Nothing };
            hidden = self.step(session, prompt.clone().narrow(0, start, count), read)?;
            progress(Progress { stage: Stage::Prefill, done: start + count, total });
        }
        Ok(hidden)
    }

    /// Text and codes, by the two stages of a spoken reply.
    fn speak(
        &mut self,
        session: SessionId,
        mut hidden: Vec<f32>,
        head: &CodecHead,
        options: &ReplyOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Reply, ReplyError> {
        let mut machine = ReplyMachine::new(self.ids);
        let mut sampler = Sampler::new(options.sampling, options.seed);
        let mut past: Vec<RecentIds> = vec![RecentIds::default(); CODEBOOKS];
        let penalty = RepetitionPenalty::AUDIO;
        let mut reply = Reply::default();
        while reply.text.len() < options.steps_max {
            let text = sampler.choose(&self.engine.text_logits(&hidden));
            let codes = head.choose(self.tensor(&hidden), &[&past], penalty, |_| {}).remove(0);
            let step = machine.step(text, std::array::from_fn(|book| codes[book]));
            sampler.record(step.text);
            past.iter_mut().zip(step.codes).for_each(|(past, code)| past.push(code, penalty.window));
            reply.text.push(step.text);
            reply.codes.push(step.codes);
            progress(Progress { stage: Stage::Reply, done: reply.text.len(), total: options.steps_max });
            if step.finished {
                reply.finished = true;
                break;
            }
            if reply.text.len() < options.steps_max {
                hidden = self.feed(session, step.next)?;
            }
        }
        Ok(reply)
    }

    /// Text alone, until the end id.
    fn write(
        &mut self,
        session: SessionId,
        mut hidden: Vec<f32>,
        options: &ReplyOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Reply, ReplyError> {
        let mut sampler = Sampler::new(options.sampling, options.seed);
        let mut reply = Reply::default();
        while reply.text.len() < options.steps_max {
            let id = sampler.choose(&self.engine.text_logits(&hidden));
            sampler.record(Some(id));
            reply.text.push(Some(id));
            progress(Progress { stage: Stage::Reply, done: reply.text.len(), total: options.steps_max });
            if id == self.ids.end {
                reply.finished = true;
                break;
            }
            if reply.text.len() < options.steps_max {
                hidden = self.feed(session, NextInput { text: Some(id), codes: [None; CODEBOOKS] })?;
            }
        }
        Ok(reply)
    }

    fn feed(&mut self, session: SessionId, next: NextInput) -> Result<Vec<f32>, ReplyError> {
        let row = self.codec.decode(self.text, &[next.text], &next.codes)?;
        self.step(session, row, Read::Last)
    }

    fn step(&mut self, session: SessionId, rows: Tensor<2>, read: Read) -> Result<Vec<f32>, ReplyError> {
        let rows = rows.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for");
        let answer = self.engine.step(&[Work { session, rows, read }]).remove(0)?;
        Ok(answer.rows)
    }

    fn tensor(&self, hidden: &[f32]) -> Tensor<2> {
        let table = self.text.weight.val();
        Tensor::from_data(TensorData::new(hidden.to_vec(), [1, self.engine.width()]), (&table.device(), DType::F32))
    }
}
