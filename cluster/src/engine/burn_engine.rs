//! The engine on burn: the CPU's own kernels, or any device through tensor operations.

use std::collections::BTreeSet;
use std::ops::Range;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use caracal_kernels::ops::from_host;

use super::{Engine, EngineError, Hidden, Read, Work};
use crate::backbone::absorbed::Absorbed;
use crate::backbone::block_pool::PoolUsage;
use crate::backbone::kv_cache::{CacheLimits, CacheRefusal, KvCache, KvCheckpoint, SessionId};
use crate::backbone::latent_store::Segment;
use crate::backbone::watcher::{Unwatched, Watcher};
use crate::backbone::{BackboneConfig, LongCatFlash};

/// Rows that go through the network at once. A longer plan is cut; results do not depend on it, the memory for
/// intermediate values does.
const ROWS_AT_ONCE: usize = 512;

/// A loaded language model and its cache.
pub struct BurnEngine {
    model: LongCatFlash,
    absorbed: Vec<Absorbed>,
    cache: KvCache,
    device: Device,
    dtype: DType,
    width: usize,
    context_max: usize,
}

/// A work that was admitted.
struct Admitted {
    index: usize,
    before: KvCheckpoint,
    /// Its rows among all rows of the plan.
    rows: Range<usize>,
    segment: Segment,
}

impl BurnEngine {
    /// Takes a model and makes an empty cache beside it.
    pub fn new(config: &BackboneConfig, model: LongCatFlash, limits: CacheLimits) -> Self {
        let norm = model.norm.weight.val();
        let (device, dtype) = (norm.device(), norm.dtype());
        let absorbed = model.absorb();
        let cache = KvCache::new(limits, config, &device, dtype);
        Self { model, absorbed, cache, device, dtype, width: config.hidden_size, context_max: config.max_position_embeddings }
    }

    /// The model.
    pub fn model(&self) -> &LongCatFlash {
        &self.model
    }

    /// The cache.
    pub fn cache(&self) -> &KvCache {
        &self.cache
    }

    /// [`Engine::step`] with someone looking on.
    pub fn step_watched(&mut self, plan: &[Work], watcher: &mut dyn Watcher) -> Vec<Result<Hidden, EngineError>> {
        let (admitted, mut answers) = self.admit(plan);
        let values: Vec<f32> = admitted.iter().flat_map(|a| &plan[a.index].rows).copied().collect();
        let rows = values.len() / self.width;
        let mut hidden = Vec::new();
        for from in (0..rows).step_by(ROWS_AT_ONCE) {
            let part = from..(from + ROWS_AT_ONCE).min(rows);
            let segments: Vec<Segment> = admitted.iter().filter_map(|a| cut(a, &part)).collect();
            let x = from_host(
                values[part.start * self.width..part.end * self.width].to_vec(),
                [part.len(), self.width],
                &self.device,
                self.dtype,
            );
            let x = self.model.step(x, &segments, &mut self.cache.store, &self.absorbed, watcher);
            let read: Vec<usize> =
                admitted.iter().flat_map(|a| read_rows(a, plan[a.index].read)).filter(|row| part.contains(row)).collect();
            if !read.is_empty() {
                hidden.extend(self.hidden(x, read.iter().map(|row| row - part.start), watcher));
            }
        }
        let mut hidden = hidden.chunks_exact(self.width);
        for admitted in admitted {
            let count = read_rows(&admitted, plan[admitted.index].read).count();
            let rows: Vec<f32> = hidden.by_ref().take(count).flatten().copied().collect();
            answers[admitted.index] = self.answer(&admitted, plan, rows);
        }
        answers
    }

    /// Checks each work and takes its cache blocks, in order.
    fn admit(&mut self, plan: &[Work]) -> (Vec<Admitted>, Vec<Result<Hidden, EngineError>>) {
        let (mut admitted, mut answers, mut seen, mut next) = (Vec::new(), Vec::new(), BTreeSet::new(), 0);
        for (index, work) in plan.iter().enumerate() {
            let repeated = !seen.insert(work.session);
            let admission = if repeated { Err(EngineError::Repeated { session: work.session }) } else { self.admit_one(work) };
            answers.push(match admission {
                Ok((before, segment)) => {
                    let rows = next..next + segment.rows.len();
                    next = rows.end;
                    admitted.push(Admitted { index, before, rows, segment });
                    Ok(Hidden { rows: Vec::new() })
                }
                Err(error) => Err(error),
            });
        }
        (admitted, answers)
    }

    fn admit_one(&mut self, work: &Work) -> Result<(KvCheckpoint, Segment), EngineError> {
        let (session, width) = (work.session, self.width);
        let length = self.length(session)?;
        if work.rows.is_empty() || !work.rows.len().is_multiple_of(width) {
            return Err(EngineError::WrongWidth { session, found: work.rows.len(), width });
        }
        if let Some(at) = work.rows.iter().position(|v| !v.is_finite()) {
            return Err(EngineError::NotFinite { session, row: at / width, column: at % width, found: work.rows[at] });
        }
        let rows = work.rows.len() / width;
        if length + rows > self.context_max {
            return Err(EngineError::Context { session, length, rows, max: self.context_max });
        }
        let before = self.checkpoint(session)?;
        let segment = self.cache.extend(session, 0..rows).map_err(|refusal| self.refused(session, refusal, length + rows))?;
        Ok((before, segment))
    }

    /// Hidden states of some rows of `x`, on the host.
    fn hidden(&self, x: Tensor<2>, rows: impl Iterator<Item = usize>, watcher: &mut dyn Watcher) -> Vec<f32> {
        let rows: Vec<i32> = rows.map(|row| row as i32).collect();
        let count = rows.len();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &self.device);
        self.model.final_norm(x.select(0, rows), watcher).into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
    }

    /// What came of a work. Every row attends to all before it, so a NaN or infinity in the cache shows in the last.
    fn answer(&mut self, admitted: &Admitted, plan: &[Work], rows: Vec<f32>) -> Result<Hidden, EngineError> {
        let work = &plan[admitted.index];
        if rows.iter().any(|v| !v.is_finite()) {
            self.roll_back(admitted.before)?;
            return Err(EngineError::Overflow { session: work.session });
        }
        Ok(Hidden { rows: if work.read == Read::Nothing { Vec::new() } else { rows } })
    }

    fn refused(&self, session: SessionId, refusal: CacheRefusal, asked: usize) -> EngineError {
        let limits = self.cache.limits();
        EngineError::refused(session, refusal, asked, (limits.blocks, limits.sessions))
    }
}

/// The last row is always read, to see whether the network's numbers overflowed.
fn read_rows(admitted: &Admitted, read: Read) -> Range<usize> {
    match read {
        Read::All => admitted.rows.clone(),
        Read::Last | Read::Nothing => admitted.rows.end - 1..admitted.rows.end,
    }
}

/// The part of a work's rows that lies in `part`, its rows counted from the part's start.
fn cut(admitted: &Admitted, part: &Range<usize>) -> Option<Segment> {
    let (from, to) = (admitted.rows.start.max(part.start), admitted.rows.end.min(part.end));
    (from < to).then(|| Segment {
        rows: from - part.start..to - part.start,
        start: admitted.segment.start + from - admitted.rows.start,
        blocks: admitted.segment.blocks.clone(),
    })
}

impl Engine for BurnEngine {
    fn width(&self) -> usize {
        self.width
    }

    fn open(&mut self) -> Result<SessionId, EngineError> {
        let max = self.cache.limits().sessions;
        self.cache.open().map_err(|_| EngineError::Sessions { max })
    }

    fn step(&mut self, plan: &[Work]) -> Vec<Result<Hidden, EngineError>> {
        self.step_watched(plan, &mut Unwatched)
    }

    fn text_logits(&self, hidden: &[f32]) -> Vec<f32> {
        assert!(hidden.len().is_multiple_of(self.width), "text_logits: {} values are no rows of {}", hidden.len(), self.width);
        let x = from_host(hidden.to_vec(), [hidden.len() / self.width, self.width], &self.device, self.dtype);
        self.model.text_logits(x, &mut Unwatched).into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
    }

    fn length(&self, session: SessionId) -> Result<usize, EngineError> {
        self.cache.length(session).map_err(|refusal| self.refused(session, refusal, 0))
    }

    fn checkpoint(&self, session: SessionId) -> Result<KvCheckpoint, EngineError> {
        self.cache.checkpoint(session).map_err(|refusal| self.refused(session, refusal, 0))
    }

    fn roll_back(&mut self, checkpoint: KvCheckpoint) -> Result<(), EngineError> {
        self.cache.roll_back(checkpoint).map_err(|refusal| self.refused(checkpoint.session(), refusal, checkpoint.length()))
    }

    fn truncate(&mut self, session: SessionId, length: usize) -> Result<(), EngineError> {
        self.cache.truncate(session, length).map_err(|refusal| self.refused(session, refusal, length))
    }

    fn close(&mut self, session: SessionId) -> Result<(), EngineError> {
        self.cache.close(session).map_err(|refusal| self.refused(session, refusal, 0))
    }

    fn usage(&self) -> PoolUsage {
        self.cache.usage()
    }

    fn checksum(&self, session: SessionId) -> Result<u64, EngineError> {
        self.cache.checksum(session).map_err(|refusal| self.refused(session, refusal, 0))
    }
}
