//! An engine whose answers are made up, and whose cache can be read back.
//!
//! What it answers depends on every row of the cache, so a trace that a rollback left behind changes the answer. Codes
//! name their attempt and frame, so that a listener can tell whose sound it hears.

use std::collections::BTreeMap;

use caracal_cluster::backbone::block_pool::PoolUsage;
use caracal_cluster::executor::Execute;
use caracal_cluster::scheduler::{Blocks, Sampled, SessionKey, StepPlan, WorkResult};
use caracal_shared::ids::{CODE_END, CODE_OFFSET, TEXT_END, TEXT_PAUSE};
use caracal_shared::prompt::Row;
use caracal_shared::reply::NextInput;
use caracal_shared::session::engine::{Choose, Part};
use caracal_shared::turn::AttemptId;
use caracal_shared::wire::{Reason, Refusal};

use super::accelerator::WIDTH;

/// What lies at one position.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text and codes.
    Row(Row),
    /// A generated step.
    Step(NextInput),
    /// Sound.
    Audio(Vec<u32>),
    /// A picture's vector.
    Picture(Vec<u32>),
}

/// Text and codes of one answer, step by step.
type Script = Vec<(u32, [u32; 4])>;

#[derive(Debug, Default)]
struct Memory {
    cells: Vec<Cell>,
    script: Option<(AttemptId, Script)>,
}

/// The engine.
#[derive(Debug)]
pub struct Brain {
    blocks: Blocks,
    sessions: BTreeMap<SessionKey, Memory>,
    /// Text ids that answers are made of.
    words: Vec<u32>,
    /// Frames of an answer at least.
    pub frames: u32,
}

impl Brain {
    /// With answers made of `words`, of at least `frames` frames.
    pub fn new(blocks: Blocks, words: Vec<u32>, frames: u32) -> Self {
        Self { blocks, sessions: BTreeMap::new(), words, frames }
    }

    /// A session's cache.
    pub fn cells(&self, key: SessionKey) -> &[Cell] {
        self.sessions.get(&key).map_or(&[], |memory| &memory.cells)
    }

    /// An answer of some segments: words, then sound until it is longer than its words.
    fn script(&self, attempt: AttemptId, cells: &[Cell]) -> Script {
        let mut seed = hash(cells);
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let segments = 1 + random(3);
        let (mut script, mut frame) = (Vec::new(), 0);
        for segment in 0..segments {
            let words = 2 + random(5) as u32;
            let frames = words + 2 + self.frames / segments as u32 + random(12) as u32;
            for step in 0..=frames {
                let last_text = if segment + 1 == segments { TEXT_END } else { TEXT_PAUSE };
                let text = match step {
                    step if step < words => self.words[random(self.words.len() as u64) as usize],
                    step if step == words => last_text,
                    _ => TEXT_END,
                };
                let semantic = if step == frames { CODE_END } else { CODE_OFFSET + (attempt.0 % 2048) as u32 };
                let acoustic = CODE_OFFSET + if step == 0 { 0 } else { frame + step - 1 };
                script.push((text, [semantic, acoustic, CODE_OFFSET, CODE_OFFSET]));
            }
            frame += frames;
        }
        script
    }

    fn choose(&mut self, key: SessionKey, choose: Choose) -> Sampled {
        if choose.step == 0 {
            let script = self.script(choose.attempt, &self.sessions[&key].cells);
            self.sessions.get_mut(&key).expect("it is open").script = Some((choose.attempt, script));
        }
        let memory = &self.sessions[&key];
        let (attempt, script) = memory.script.as_ref().expect("an answer begins with step 0");
        assert_eq!(*attempt, choose.attempt, "a step of an answer that was not begun");
        let (text, codes) = script[choose.step as usize];
        Sampled { choose, text, codes }
    }
}

fn hash(cells: &[Cell]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in format!("{cells:?}").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    hash
}

fn cells(part: &Part) -> Vec<Cell> {
    let vectors = |values: Vec<f32>| values.chunks_exact(WIDTH).map(|v| v.iter().map(|x| *x as u32).collect()).collect::<Vec<Vec<u32>>>();
    match part {
        Part::Rows(rows) => rows.iter().map(|row| Cell::Row(*row)).collect(),
        Part::Steps(steps) => steps.iter().map(|step| Cell::Step(*step)).collect(),
        Part::Audio(embeddings, _) => vectors(embeddings.unpack()).into_iter().map(Cell::Audio).collect(),
        Part::Picture(embeddings) => vectors(embeddings.unpack()).into_iter().map(Cell::Picture).collect(),
    }
}

impl Execute for Brain {
    fn run(&mut self, plan: &StepPlan) -> Vec<WorkResult> {
        plan.close.iter().for_each(|key| _ = self.sessions.remove(key));
        let run = |brain: &mut Self, work: &caracal_cluster::scheduler::PlannedWork| {
            let memory = brain.sessions.entry(work.session).or_default();
            if let Some(length) = work.truncate {
                assert!(length as usize <= memory.cells.len(), "a cut to {length} of {}", memory.cells.len());
                memory.cells.truncate(length as usize);
            }
            memory.cells.extend(work.parts.iter().flat_map(cells));
            let PoolUsage { used, .. } = brain.usage();
            if used > brain.blocks.total as usize {
                return Err(Refusal::new(Reason::Busy, "the plan holds more blocks than there are"));
            }
            Ok(work.choose.map(|choose| brain.choose(work.session, choose)))
        };
        plan.work.iter().map(|work| run(self, work)).collect()
    }

    fn usage(&self) -> PoolUsage {
        let of = |memory: &Memory| memory.cells.len().div_ceil(self.blocks.tokens as usize);
        let used: usize = self.sessions.values().map(of).sum();
        PoolUsage { used, free: (self.blocks.total as usize).saturating_sub(used) }
    }
}
