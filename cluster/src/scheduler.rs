//! Actions of sessions + free blocks → plans for the engine: continuous batching, chunked prefill, fair turns.
//!
//! Hop 9. A plan holds one work at most of each session: first every session whose next row is a generated step, then
//! prefill, shared out evenly from where the last plan left off. A work whose blocks are not free waits; the others do
//! not. Invariants: a session's work is done in the order in which it was asked for; blocks of planned work never exceed
//! those that there are; what a cut makes useless is never run.
//!
//! Source: ours; the engine's row invariance makes any batching give the same results.

use std::collections::{BTreeMap, VecDeque};

use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::engine::{Choose, EngineOp, Part};
use caracal_shared::wire::{Reason, Refusal};

/// Rows of prefill in one plan: with kitten a few milliseconds, so that no answer waits long behind a question.
pub const PREFILL_ROWS: u32 = 256;
/// How long a session's work may wait for free blocks before it is refused: longer than most answers take.
pub const BLOCKS_AFTER: Micros = Micros(10_000_000);

/// Number of a session in this process. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u64);

/// Memory of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Positions of a block.
    pub tokens: u32,
    /// Blocks in all.
    pub total: u32,
}

impl Blocks {
    fn of(self, positions: u32) -> u32 {
        positions.div_ceil(self.tokens)
    }
}

/// One session's share of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedWork {
    /// Whose.
    pub session: SessionKey,
    /// First cut the session to so many positions.
    pub truncate: Option<u32>,
    /// Then add these rows; none when only a cut is planned.
    pub parts: Vec<Part>,
    /// Then choose from the last.
    pub choose: Option<Choose>,
}

/// What the engine is to do in one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepPlan {
    /// Sessions that are gone.
    pub close: Vec<SessionKey>,
    /// Oldest first.
    pub work: Vec<PlannedWork>,
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// For what.
    pub choose: Choose,
    /// Text id.
    pub text: u32,
    /// Code ids with offset.
    pub codes: [u32; 4],
}

/// What came of a work.
pub type WorkResult = Result<Option<Sampled>, Refusal>;

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum SchedulerInput {
    /// Time passes.
    Tick,
    /// A session begins.
    Open(SessionKey),
    /// It asks for this.
    Op(SessionKey, EngineOp),
    /// It is over.
    Close(SessionKey),
    /// The engine is done with the plan: a result for each work, in order.
    Stepped(Vec<WorkResult>),
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum SchedulerOutput {
    /// Of the engine. The next plan comes after its results.
    Step(StepPlan),
    /// A session's step.
    Sampled(SessionKey, Sampled),
    /// A session's work cannot be done, and all of it was dropped; so many positions are in the cache.
    Failed(SessionKey, Refusal, u32),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Queue {
    ops: VecDeque<EngineOp>,
    /// Positions in the cache, the running work included.
    length: u32,
    /// Positions once all that waits is done.
    wanted: u32,
    /// Rows of the running work.
    running: u32,
    /// Since when the front waits for blocks.
    starved: Option<Micros>,
    /// The session is over; its blocks go with the next plan.
    closed: bool,
}

/// The machine.
///
/// # State
/// The work of all sessions that was not planned; each session bounds its own by the limits of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    blocks: Blocks,
    now: Micros,
    queues: BTreeMap<SessionKey, Queue>,
    /// Works of the running plan; `None` when the engine is idle.
    running: Option<Vec<SessionKey>>,
    /// Whose prefill is next.
    next: SessionKey,
    outputs: VecDeque<SchedulerOutput>,
}

impl Scheduler {
    /// Of an engine without sessions.
    ///
    /// # Panics
    /// When blocks hold no position.
    pub fn new(blocks: Blocks) -> Self {
        assert!(blocks.tokens > 0, "scheduler: blocks of no position");
        Self { blocks, now: Micros(0), queues: BTreeMap::new(), running: None, next: SessionKey(0), outputs: VecDeque::new() }
    }

    /// Blocks that sessions hold, the running plan included.
    pub fn used(&self) -> u32 {
        self.queues.values().map(|queue| self.blocks.of(queue.length)).sum()
    }

    /// The engine's memory.
    pub fn blocks(&self) -> Blocks {
        self.blocks
    }

    /// Works that wait.
    pub fn waiting(&self) -> usize {
        self.queues.values().map(|queue| queue.ops.len()).sum()
    }

    fn op(&mut self, key: SessionKey, op: EngineOp) {
        let Some(queue) = self.queues.get_mut(&key).filter(|queue| !queue.closed) else { return };
        match op {
            EngineOp::Truncate(length) => queue.truncate(length),
            EngineOp::Extend { .. } if op.rows() == 0 => {}
            EngineOp::Extend { .. } => {
                queue.wanted += op.rows();
                queue.ops.push_back(op);
            }
        }
    }

    fn stepped(&mut self, results: Vec<WorkResult>) {
        let Some(running) = self.running.take() else { return };
        assert_eq!(running.len(), results.len(), "one result for each work");
        for (key, result) in running.into_iter().zip(results) {
            let Some(queue) = self.queues.get_mut(&key) else { continue };
            let rows = std::mem::take(&mut queue.running);
            match result {
                Ok(Some(sampled)) if !queue.closed => self.outputs.push_back(SchedulerOutput::Sampled(key, sampled)),
                Ok(_) => {}
                Err(refusal) => {
                    queue.length -= rows;
                    self.fail(key, refusal);
                }
            }
        }
    }

    fn fail(&mut self, key: SessionKey, refusal: Refusal) {
        let Some(queue) = self.queues.get_mut(&key).filter(|queue| !queue.closed) else { return };
        queue.ops.clear();
        (queue.wanted, queue.starved) = (queue.length, None);
        self.outputs.push_back(SchedulerOutput::Failed(key, refusal, queue.length));
    }

    /// Makes the next plan, if the engine is idle and there is something to do.
    fn plan(&mut self) {
        if self.running.is_some() {
            return;
        }
        let mut plan = StepPlan::default();
        plan.close.extend(self.queues.iter().filter(|(_, queue)| queue.closed).map(|(key, _)| *key));
        self.queues.retain(|_, queue| !queue.closed);
        let mut free = self.blocks.total.saturating_sub(self.used());
        let mut prefill = PREFILL_ROWS;
        let decoding = self.queues.iter().filter(|(_, queue)| queue.decodes()).map(|(key, _)| *key);
        let rest = |queue: &Queue| !queue.ops.is_empty() && !queue.decodes();
        let later = self.queues.range(self.next..).filter(|(_, queue)| rest(queue));
        let earlier = self.queues.range(..self.next).filter(|(_, queue)| rest(queue));
        let order: Vec<SessionKey> = decoding.chain(later.chain(earlier).map(|(key, _)| *key)).collect();
        let prefilling = order.iter().filter(|key| !self.queues[key].decodes()).count() as u32;
        let share = PREFILL_ROWS.div_ceil(prefilling.max(1)).max(1);
        for key in order {
            let queue = self.queues.get_mut(&key).expect("it was just listed");
            let decodes = queue.decodes();
            let most = if decodes { u32::MAX } else { share.min(prefill) };
            let work = queue.take(key, most, self.blocks, &mut free, self.now);
            let Some(work) = work else { continue };
            if !decodes {
                prefill -= queue.running.min(prefill);
                self.next = SessionKey(key.0 + 1);
            }
            plan.work.push(work);
        }
        if !plan.work.is_empty() || !plan.close.is_empty() {
            self.running = Some(plan.work.iter().map(|work| work.session).collect());
            self.outputs.push_back(SchedulerOutput::Step(plan));
        }
    }

    fn pass_time(&mut self) {
        while let Some(due) = self.deadline().filter(|due| *due <= self.now) {
            let late: Vec<SessionKey> =
                self.queues.iter().filter(|(_, q)| q.starved.is_some_and(|s| s.after(BLOCKS_AFTER) <= due)).map(|(key, _)| *key).collect();
            for key in late {
                self.fail(
                    key,
                    Refusal::new(Reason::Busy, "the cluster's memory is full of other conversations. Please say that again later."),
                );
            }
        }
    }
}

impl Queue {
    /// Whether the next row is a generated step.
    fn decodes(&self) -> bool {
        match self.ops.front() {
            Some(EngineOp::Extend { parts, choose: Some(_) }) => matches!(parts.as_slice(), [Part::Steps(steps)] if steps.len() == 1),
            _ => false,
        }
    }

    /// Takes back what waits beyond `length`, and asks the engine for the rest of the cut.
    fn truncate(&mut self, length: u32) {
        while self.wanted > length {
            let Some(EngineOp::Extend { .. }) = self.ops.back() else { break };
            let Some(EngineOp::Extend { parts, .. }) = self.ops.pop_back() else { break };
            let rows: u32 = parts.iter().map(Part::rows).sum();
            let before = self.wanted - rows;
            self.wanted = before;
            if before < length {
                let (kept, _) = split(parts, length - before);
                self.wanted = length;
                self.ops.push_back(EngineOp::Extend { parts: kept, choose: None });
            }
        }
        if self.wanted > length {
            match self.ops.back_mut() {
                Some(EngineOp::Truncate(to)) => *to = length,
                _ => self.ops.push_back(EngineOp::Truncate(length)),
            }
            self.wanted = length;
        }
    }

    /// The next work of at most `most` rows; `None` when there is none, or its blocks are not free.
    fn take(&mut self, session: SessionKey, most: u32, blocks: Blocks, free: &mut u32, now: Micros) -> Option<PlannedWork> {
        let mut work = PlannedWork { session, truncate: None, parts: Vec::new(), choose: None };
        if let Some(EngineOp::Truncate(length)) = self.ops.front() {
            let length = (*length).min(self.length);
            *free += blocks.of(self.length) - blocks.of(length);
            self.length = length;
            work.truncate = Some(length);
            self.ops.pop_front();
        }
        let mut rows = 0;
        while work.choose.is_none() && rows < most && matches!(self.ops.front(), Some(EngineOp::Extend { .. })) {
            let Some(EngineOp::Extend { parts, choose }) = self.ops.pop_front() else { break };
            let op_rows: u32 = parts.iter().map(Part::rows).sum();
            // As many rows as fit into the session's last block and the free ones.
            let room = (blocks.of(self.length + rows) * blocks.tokens - self.length - rows).saturating_add(
                (*free - (blocks.of(self.length + rows) - blocks.of(self.length)).min(*free)).saturating_mul(blocks.tokens),
            );
            let count = op_rows.min(most - rows).min(room);
            if count == 0 {
                self.ops.push_front(EngineOp::Extend { parts, choose });
                break;
            }
            let (now_parts, later) = split(parts, count);
            rows += count;
            work.parts.extend(now_parts);
            if later.is_empty() {
                work.choose = choose;
            } else {
                self.ops.push_front(EngineOp::Extend { parts: later, choose });
            }
        }
        *free -= blocks.of(self.length + rows) - blocks.of(self.length);
        self.length += rows;
        self.running = rows;
        let waits = rows == 0 && matches!(self.ops.front(), Some(EngineOp::Extend { .. }));
        self.starved = waits.then(|| self.starved.unwrap_or(now));
        (rows > 0 || work.truncate.is_some()).then_some(work)
    }
}

/// The first `count` rows, and the others.
fn split(parts: Vec<Part>, count: u32) -> (Vec<Part>, Vec<Part>) {
    let (mut first, mut rest, mut left) = (Vec::new(), Vec::new(), count);
    for part in parts {
        let rows = part.rows();
        if rows <= left {
            left -= rows;
            first.push(part);
        } else if left > 0 {
            first.push(part.slice(0, left));
            rest.push(part.slice(left, rows));
            left = 0;
        } else {
            rest.push(part);
        }
    }
    (first, rest)
}

impl Machine for Scheduler {
    type Input = SchedulerInput;
    type Output = SchedulerOutput;

    fn handle(&mut self, now: Micros, input: SchedulerInput) {
        assert!(self.outputs.is_empty(), "outputs of the scheduler were not drained");
        self.now = self.now.max(now);
        self.pass_time();
        match input {
            SchedulerInput::Tick => {}
            SchedulerInput::Open(key) => {
                self.queues.entry(key).or_default();
            }
            SchedulerInput::Op(key, op) => self.op(key, op),
            SchedulerInput::Close(key) => {
                if let Some(queue) = self.queues.get_mut(&key) {
                    queue.closed = true;
                    queue.ops.clear();
                    queue.starved = None;
                }
            }
            SchedulerInput::Stepped(results) => self.stepped(results),
        }
        self.plan();
    }

    fn poll(&mut self) -> Option<SchedulerOutput> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        self.queues.values().filter_map(|queue| queue.starved).map(|since| since.after(BLOCKS_AFTER)).min()
    }
}
