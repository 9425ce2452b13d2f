//! Plans → the engine: rows from parts, and a step chosen from each hidden state that was asked for.
//!
//! Hop 10 and 11. The only place of a live session that touches weights. A session that cannot go on says why; the
//! others of the plan do not notice.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData};
use caracal_edge::audio::{AudioEncoder, AudioProjector};
use caracal_kernels::layers::Embedding;
use caracal_shared::prompt::Row;
use caracal_shared::reply::CODEBOOKS;
use caracal_shared::session::engine::{Choose, Part};
use caracal_shared::turn::AttemptId;
use caracal_shared::wire::{AudioCut, Embeddings, Reason, Refusal};

use crate::backbone::block_pool::PoolUsage;
use crate::backbone::repetition_penalty::{RecentIds, RepetitionPenalty};
use crate::backbone::{CodecEmbedding, CodecHead};
use crate::engine::{Engine, EngineError, Read, SessionId, Work};
use crate::sampler::{Sampler, Sampling};
use crate::scheduler::{PlannedWork, Sampled, SessionKey, StepPlan, WorkResult};

/// Whatever runs plans. The simulator has one whose answers are scripted.
pub trait Execute {
    /// Runs a plan: a result for each work, in order.
    fn run(&mut self, plan: &StepPlan) -> Vec<WorkResult>;

    /// Blocks in use and free.
    fn usage(&self) -> PoolUsage;
}

/// What one answer's choices depend on.
struct Chooser {
    attempt: AttemptId,
    text: Sampler,
    codes: Vec<RecentIds>,
}

struct Open {
    id: SessionId,
    chooser: Option<Chooser>,
}

/// The parts of a model that answer.
pub struct Executor<E> {
    /// The language model and its cache.
    pub engine: E,
    /// Rows of text ids.
    pub text: Embedding,
    /// Rows of codes.
    pub codec: CodecEmbedding,
    /// The audio heads.
    pub head: CodecHead,
    /// What is left of the ears when they are cut before the post-FFN.
    pub ears: Option<(AudioEncoder, AudioProjector)>,
    /// How text is chosen.
    pub sampling: Sampling,
    /// Seed of that choice.
    pub seed: u64,
    sessions: BTreeMap<SessionKey, Open>,
}

impl<E: Engine> Executor<E> {
    /// Without sessions.
    pub fn new(engine: E, text: Embedding, codec: CodecEmbedding, head: CodecHead, ears: Option<(AudioEncoder, AudioProjector)>) -> Self {
        Self { engine, text, codec, head, ears, sampling: Sampling::GREEDY, seed: 0, sessions: BTreeMap::new() }
    }

    /// The engine's session of this one, for tests that compare checksums.
    pub fn session(&self, key: SessionKey) -> Option<SessionId> {
        self.sessions.get(&key).map(|open| open.id)
    }

    /// Opens or cuts the session, and makes its rows.
    fn prepare(&mut self, work: &PlannedWork) -> Result<Work, Refusal> {
        let session = match self.sessions.get(&work.session) {
            Some(open) => open.id,
            None => {
                let id = self.engine.open().map_err(|error| refusal(&error))?;
                self.sessions.insert(work.session, Open { id, chooser: None });
                id
            }
        };
        if let Some(length) = work.truncate {
            self.engine.truncate(session, length as usize).map_err(|error| refusal(&error))?;
        }
        let mut rows = Vec::new();
        for part in &work.parts {
            rows.extend(self.rows(part)?);
        }
        Ok(Work { session, rows, read: if work.choose.is_some() { Read::Last } else { Read::Nothing } })
    }

    fn rows(&self, part: &Part) -> Result<Vec<f32>, Refusal> {
        let embedded = match part {
            Part::Rows(rows) => {
                let ids: Vec<u32> = rows.iter().map(|row| row.text).collect();
                let codes: Vec<u32> = rows.iter().flat_map(|row: &Row| row.codes).collect();
                self.codec.prompt(&self.text, &ids, &codes, &[])
            }
            Part::Steps(steps) => {
                let ids: Vec<Option<u32>> = steps.iter().map(|step| step.text).collect();
                let codes: Vec<Option<u32>> = steps.iter().flat_map(|step| step.codes).collect();
                self.codec.decode(&self.text, &ids, &codes)
            }
            Part::Picture(embeddings) | Part::Audio(embeddings, AudioCut::Projected) => return Ok(embeddings.unpack()),
            Part::Audio(embeddings, AudioCut::Hidden) => return self.finish_hearing(embeddings),
        };
        let rows = embedded.map_err(|error| Refusal::new(Reason::Model, error.to_string()))?;
        Ok(rows.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for"))
    }

    /// Post-FFN and projector, for ears that are cut before them.
    fn finish_hearing(&self, embeddings: &Embeddings) -> Result<Vec<f32>, Refusal> {
        let Some((encoder, projector)) = &self.ears else {
            return Err(Refusal::new(Reason::Settings, "this cluster does not serve the cut `hidden`."));
        };
        let shape = [embeddings.count() as usize, embeddings.width() as usize];
        let device = self.text.weight.val().device();
        let x = Tensor::<2>::from_data(TensorData::new(embeddings.unpack(), shape), (&device, DType::F32));
        let x = projector.forward(encoder.post_ffn(x));
        Ok(x.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for"))
    }

    /// Chooses a step from each hidden state: all text at once, then all codes.
    fn choose(&mut self, wanted: &[(SessionKey, Choose, Vec<f32>)]) -> Vec<Sampled> {
        if wanted.is_empty() {
            return Vec::new();
        }
        for (key, choose, _) in wanted {
            let (sampling, seed) = (self.sampling, self.seed ^ choose.attempt.0);
            let open = self.sessions.get_mut(key).expect("a session that was stepped is open");
            if choose.step == 0 || open.chooser.as_ref().is_none_or(|chooser| chooser.attempt != choose.attempt) {
                let codes = vec![RecentIds::default(); CODEBOOKS];
                open.chooser = Some(Chooser { attempt: choose.attempt, text: Sampler::new(sampling, seed), codes });
            }
        }
        let hidden: Vec<f32> = wanted.iter().flat_map(|(_, _, hidden)| hidden).copied().collect();
        let logits = self.engine.text_logits(&hidden);
        let vocabulary = logits.len() / wanted.len();
        let device = self.text.weight.val().device();
        let x = Tensor::<2>::from_data(TensorData::new(hidden, [wanted.len(), self.engine.width()]), (&device, DType::F32));
        let past: Vec<Vec<RecentIds>> = wanted.iter().map(|(key, _, _)| chooser(&mut self.sessions, *key).codes.clone()).collect();
        let past: Vec<&[RecentIds]> = past.iter().map(Vec::as_slice).collect();
        let codes = self.head.choose(x, &past, RepetitionPenalty::AUDIO, |_| {});
        let rows = wanted.iter().zip(logits.chunks_exact(vocabulary)).zip(codes);
        let sampled = rows.map(|(((key, choose, _), logits), codes)| {
            let chooser = chooser(&mut self.sessions, *key);
            let text = chooser.text.choose(logits);
            Sampled { choose: *choose, text, codes: std::array::from_fn(|book| codes[book]) }
        });
        sampled.collect()
    }

    /// What a step's choice was: the next one is penalised for it. The recorded codes are those that the next step reads.
    fn record(&mut self, work: &PlannedWork) {
        let (Some(choose), [Part::Steps(steps)]) = (work.choose, work.parts.as_slice()) else { return };
        let Some(chooser) = self.sessions.get_mut(&work.session).and_then(|open| open.chooser.as_mut()) else { return };
        if chooser.attempt != choose.attempt {
            return;
        }
        for step in steps {
            chooser.text.record(step.text);
            chooser.codes.iter_mut().zip(step.codes).for_each(|(past, code)| past.push(code, RepetitionPenalty::AUDIO.window));
        }
    }
}

fn chooser(sessions: &mut BTreeMap<SessionKey, Open>, key: SessionKey) -> &mut Chooser {
    sessions.get_mut(&key).and_then(|open| open.chooser.as_mut()).expect("a chooser was made before the choice")
}

impl<E: Engine> Execute for Executor<E> {
    fn run(&mut self, plan: &StepPlan) -> Vec<WorkResult> {
        for key in &plan.close {
            if let Some(open) = self.sessions.remove(key) {
                // A session that is open here is open there.
                let _ = self.engine.close(open.id);
            }
        }
        let mut results: Vec<WorkResult> = Vec::with_capacity(plan.work.len());
        let (mut works, mut places) = (Vec::new(), Vec::new());
        for (place, work) in plan.work.iter().enumerate() {
            self.record(work);
            results.push(match self.prepare(work) {
                Ok(prepared) if !prepared.rows.is_empty() => {
                    works.push(prepared);
                    places.push(place);
                    Ok(None)
                }
                Ok(_) => Ok(None),
                Err(refusal) => Err(refusal),
            });
        }
        let (mut wanted, mut wanted_places) = (Vec::new(), Vec::new());
        for (place, answer) in places.into_iter().zip(self.engine.step(&works)) {
            let work = &plan.work[place];
            match (answer, work.choose) {
                (Ok(hidden), Some(choose)) => {
                    wanted.push((work.session, choose, hidden.rows));
                    wanted_places.push(place);
                }
                (Ok(_), None) => {}
                (Err(error), _) => results[place] = Err(refusal(&error)),
            }
        }
        for (place, sampled) in wanted_places.into_iter().zip(self.choose(&wanted)) {
            results[place] = Ok(Some(sampled));
        }
        results
    }

    fn usage(&self) -> PoolUsage {
        self.engine.usage()
    }
}

/// What an edge is told of an engine's refusal.
fn refusal(error: &EngineError) -> Refusal {
    let reason = match error {
        EngineError::KvFull { .. } | EngineError::Sessions { .. } => Reason::Busy,
        EngineError::Context { .. } => Reason::Context,
        EngineError::WrongWidth { .. } | EngineError::NotFinite { .. } | EngineError::Overflow { .. } => Reason::Embeddings,
        EngineError::Unknown { .. } | EngineError::Repeated { .. } | EngineError::Beyond { .. } | EngineError::Stale { .. } => {
            Reason::Protocol
        }
    };
    Refusal::new(reason, error.to_string())
}
