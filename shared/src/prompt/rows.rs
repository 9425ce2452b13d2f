//! The result of prompt assembly: rows, and the places that embeddings will fill.

use alloc::vec::Vec;
use core::ops::Range;

use super::error::PromptError;
use crate::ids::NO_CODES;
use crate::reply::CODEBOOKS;

/// What the model reads at one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Text id.
    pub text: u32,
    /// Code ids with offset: semantic, then three acoustic; pads where nothing is spoken.
    pub codes: [u32; CODEBOOKS],
}

impl Row {
    /// A row without speech.
    pub const fn text(text: u32) -> Self {
        Self { text, codes: NO_CODES }
    }
}

/// Which encoder fills a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embeddings {
    /// Audio encoder: one embedding every 80 ms.
    Audio,
    /// Vision encoder.
    Image,
}

/// A run of rows whose embeddings are replaced by an encoder's, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// Which encoder.
    pub embeddings: Embeddings,
    /// Which rows.
    pub rows: Range<usize>,
}

/// A conversation as the model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// One per position.
    pub rows: Vec<Row>,
    /// Runs to fill, in order. A run never spans two units, so there is one per picture.
    pub placeholders: Vec<Placeholder>,
    /// Rows of each turn, in order; an automatic system prompt and the generation prefix are turns of their own.
    pub turns: Vec<Range<usize>>,
    /// Role id of each row: 0 template, 1 system or function, 2 user or tool, 3 assistant. Not a model input.
    pub roles: Vec<u8>,
}

impl Prompt {
    /// Embeddings that one encoder has to supply.
    pub fn wanted(&self, embeddings: Embeddings) -> usize {
        self.placeholders.iter().filter(|p| p.embeddings == embeddings).map(|p| p.rows.len()).sum()
    }

    /// Checks that the prompt and a reply of `reply` steps fit in `context` positions.
    ///
    /// # Errors
    /// [`PromptError::ContextExceeded`].
    pub fn check_context(&self, reply: usize, context: usize) -> Result<(), PromptError> {
        match self.rows.len().checked_add(reply) {
            Some(total) if total <= context => Ok(()),
            _ => Err(PromptError::ContextExceeded { rows: self.rows.len(), reply, context }),
        }
    }
}
