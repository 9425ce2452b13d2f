//! What a session asks of an engine, and what it hears back.
//!
//! Hop 7 to 10. Work is done in the order in which it was asked for. A session knows how long it is in the cache, so
//! going back is cutting to a length.

use alloc::vec::Vec;

use crate::prompt::Row;
use crate::reply::NextInput;
use crate::turn::AttemptId;
use crate::wire::{AudioCut, Embeddings};

/// A run of input rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text ids and codes, embedded as a prompt.
    Rows(Vec<Row>),
    /// Generated steps, embedded as generation does.
    Steps(Vec<NextInput>),
    /// The ears' vectors, cut there.
    Audio(Embeddings, AudioCut),
    /// A picture's vectors.
    Picture(Embeddings),
}

impl Part {
    /// Positions that it takes.
    pub fn rows(&self) -> u32 {
        match self {
            Part::Rows(rows) => rows.len() as u32,
            Part::Steps(steps) => steps.len() as u32,
            Part::Audio(embeddings, _) | Part::Picture(embeddings) => embeddings.count(),
        }
    }

    /// The positions `from..to` of it.
    ///
    /// # Panics
    /// When it has fewer, or there are none in between.
    pub fn slice(&self, from: u32, to: u32) -> Part {
        let range = from as usize..to as usize;
        match self {
            Part::Rows(rows) => Part::Rows(rows[range].to_vec()),
            Part::Steps(steps) => Part::Steps(steps[range].to_vec()),
            Part::Audio(embeddings, cut) => Part::Audio(embeddings.slice(from, to), *cut),
            Part::Picture(embeddings) => Part::Picture(embeddings.slice(from, to)),
        }
    }
}

/// Which step to choose from a row's hidden state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choose {
    /// The answer. Its first step starts a chooser that has seen nothing.
    pub attempt: AttemptId,
    /// Which step, from 0.
    pub step: u32,
}

/// Work for one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineOp {
    /// Lengthens the session; then chooses a step from the last row.
    Extend {
        /// At least one row.
        parts: Vec<Part>,
        /// What to choose.
        choose: Option<Choose>,
    },
    /// Keeps so many positions.
    Truncate(u32),
}

impl EngineOp {
    /// Positions that it adds.
    pub fn rows(&self) -> u32 {
        match self {
            EngineOp::Extend { parts, .. } => parts.iter().map(Part::rows).sum(),
            EngineOp::Truncate(_) => 0,
        }
    }
}
