//! Sessions that prefill, decode, mark a state and go back to it.
//!
//! An engine runs the language model for many sessions at once. One step takes any number of rows of any of them, a
//! prompt chunk or a decoded token alike, so a scheduler mixes both freely (continuous batching, chunked prefill).
//! What a session computes does not depend on what else is in the step; with [`BurnEngine`] on the CPU not in a bit.

mod burn_engine;
mod error;

pub use crate::backbone::block_pool::PoolUsage;
pub use crate::backbone::kv_cache::{CacheLimits, KvCheckpoint, SessionId};
pub use burn_engine::BurnEngine;
pub use error::EngineError;

/// Rows to run for one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Whose.
    pub session: SessionId,
    /// Input embeddings, `[rows, width]`, following on what the session has.
    pub rows: Vec<f32>,
    /// Which hidden states to give back.
    pub read: Read,
}

/// Which hidden states to give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// None: a chunk of a prompt that goes on.
    Nothing,
    /// That of the last row, from which the next token is chosen.
    Last,
    /// Those of all rows.
    All,
}

/// Hidden states after the last norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Hidden {
    /// `[rows, width]`
    pub rows: Vec<f32>,
}

/// A language model with its sessions.
pub trait Engine {
    /// Width of a row.
    fn width(&self) -> usize;

    /// Opens an empty session.
    ///
    /// # Errors
    /// [`EngineError::Sessions`].
    fn open(&mut self) -> Result<SessionId, EngineError>;

    /// Runs a plan, one answer per work. Works are admitted in order, so put the oldest first: when the cache is full, the
    /// newest are refused. A refused work changes nothing and disturbs no other.
    fn step(&mut self, plan: &[Work]) -> Vec<Result<Hidden, EngineError>>;

    /// Logits of the text head, `[rows, vocabulary]`, from hidden states `[rows, width]`.
    ///
    /// # Panics
    /// When `hidden` holds no whole rows.
    fn text_logits(&self, hidden: &[f32]) -> Vec<f32>;

    /// Tokens of a session.
    ///
    /// # Errors
    /// [`EngineError::Unknown`].
    fn length(&self, session: SessionId) -> Result<usize, EngineError>;

    /// Marks a session's state, at no cost.
    ///
    /// # Errors
    /// [`EngineError::Unknown`].
    fn checkpoint(&self, session: SessionId) -> Result<KvCheckpoint, EngineError>;

    /// Returns a session to a marked state, as if what came since had never been.
    ///
    /// # Errors
    /// [`EngineError::Unknown`]; [`EngineError::Stale`] when the session was cut below the mark since.
    fn roll_back(&mut self, checkpoint: KvCheckpoint) -> Result<(), EngineError>;

    /// Keeps a session's first `length` tokens.
    ///
    /// # Errors
    /// [`EngineError::Unknown`], [`EngineError::Beyond`].
    fn truncate(&mut self, session: SessionId, length: usize) -> Result<(), EngineError>;

    /// Forgets a session.
    ///
    /// # Errors
    /// [`EngineError::Unknown`].
    fn close(&mut self, session: SessionId) -> Result<(), EngineError>;

    /// Cache blocks in use and free.
    fn usage(&self) -> PoolUsage;

    /// A number that depends on every bit of a session's state: equal states have equal ones.
    ///
    /// # Errors
    /// [`EngineError::Unknown`].
    fn checksum(&self, session: SessionId) -> Result<u64, EngineError>;
}
