//! Why an engine refuses a session's work.

use crate::backbone::kv_cache::{CacheRefusal, SessionId};

/// A refusal. The session is as it was, and so are all others.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// No such session is open.
    #[error("{session} is not open. Open one, or drop what refers to it.")]
    Unknown {
        /// Which.
        session: SessionId,
    },
    /// The plan names a session twice.
    #[error("{session} appears twice in one plan. Put its rows into one work.")]
    Repeated {
        /// Which.
        session: SessionId,
    },
    /// The rows are no whole number of rows, or none.
    #[error("{session}: {found} input values, expected one or more rows of {width}. The embeddings are of another model.")]
    WrongWidth {
        /// Which.
        session: SessionId,
        /// Values given.
        found: usize,
        /// Width of a row.
        width: usize,
    },
    /// An input value is NaN or infinite.
    #[error("{session}: input row {row} holds {found} at column {column}, expected finite numbers. The encoder or the sender is broken.")]
    NotFinite {
        /// Which.
        session: SessionId,
        /// Row within the work.
        row: usize,
        /// Column.
        column: usize,
        /// The value.
        found: f32,
    },
    /// Finite input gave NaN or infinity inside the network; the session is back where it was before this work.
    #[error(
        "{session}: the network's numbers overflowed on this input. Its embeddings are far outside the range that the model was trained on."
    )]
    Overflow {
        /// Which.
        session: SessionId,
    },
    /// The conversation is longer than the model's context.
    #[error("{session}: {length} tokens and {rows} more exceed the model's context of {max}. Truncate or summarise the conversation.")]
    Context {
        /// Which.
        session: SessionId,
        /// Tokens that it has.
        length: usize,
        /// Rows of the work.
        rows: usize,
        /// Context of the model.
        max: usize,
    },
    /// The cache is full.
    #[error(
        "{session}: needs {needed} cache blocks, {free} of {total} are free. Try again when another session has ended, or configure a larger cache."
    )]
    KvFull {
        /// Which.
        session: SessionId,
        /// Blocks that it needs more.
        needed: usize,
        /// Blocks that are free.
        free: usize,
        /// Blocks in all.
        total: usize,
    },
    /// As many sessions as configured are open.
    #[error("{max} sessions are open, the most that are configured. Close one first.")]
    Sessions {
        /// How many may be open.
        max: usize,
    },
    /// A length beyond the session's was asked for.
    #[error("{session}: cannot keep {asked} tokens of {length}")]
    Beyond {
        /// Which.
        session: SessionId,
        /// Length asked for.
        asked: usize,
        /// Length there is.
        length: usize,
    },
    /// The tokens of a checkpoint were dropped since it was taken.
    #[error(
        "{session}: the checkpoint at {length} tokens holds no longer, its tokens were dropped since. Take checkpoints anew after truncating."
    )]
    Stale {
        /// Which.
        session: SessionId,
        /// Length of the checkpoint.
        length: usize,
    },
}

impl EngineError {
    /// The cache's refusal of something that a session asked; `asked` is the length that it wanted.
    pub(super) fn refused(session: SessionId, refusal: CacheRefusal, asked: usize, (total, sessions): (usize, usize)) -> Self {
        match refusal {
            CacheRefusal::Unknown => Self::Unknown { session },
            CacheRefusal::Full { needed, free } => Self::KvFull { session, needed, free, total },
            CacheRefusal::Sessions => Self::Sessions { max: sessions },
            CacheRefusal::Beyond { length } => Self::Beyond { session, asked, length },
            CacheRefusal::Stale => Self::Stale { session, length: asked },
        }
    }
}
