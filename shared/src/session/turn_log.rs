//! The open turn as it was told, for a session that must be begun anew.
//!
//! Hop 6, edge. A turn that does not end must not fill the memory: beyond a limit nothing of it is kept, and it cannot
//! be told again.

use alloc::vec::Vec;

use crate::limits::TURN_LOG_BYTES_MAX;
use crate::wire::{EdgeMessage, Wire};

/// What was told of one turn, its end included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TurnLog {
    messages: Vec<EdgeMessage>,
    bytes: usize,
    /// It became longer than is kept.
    full: bool,
}

impl TurnLog {
    /// Another turn, or none.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Another message of the turn.
    pub(super) fn push(&mut self, message: EdgeMessage) {
        let bytes = self.bytes + message.bytes();
        if self.full || bytes > TURN_LOG_BYTES_MAX {
            *self = Self { full: true, ..Self::default() };
        } else {
            self.bytes = bytes;
            self.messages.push(message);
        }
    }

    /// Messages that are kept.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Goes back to so many messages. What was too long before a guess stays so after it.
    pub(super) fn truncate(&mut self, len: usize) {
        let taken = self.messages.drain(len.min(self.messages.len())..);
        self.bytes -= taken.map(|message| message.bytes()).sum::<usize>();
    }

    /// All of it, leaving none; nothing if it became too long.
    pub(super) fn take(&mut self) -> Option<Vec<EdgeMessage>> {
        let Self { messages, full, .. } = core::mem::take(self);
        (!full).then_some(messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::TurnId;
    use crate::wire::{Embeddings, Precision};

    fn sound() -> EdgeMessage {
        let embeddings = Embeddings::pack(&alloc::vec![1.0; 1 << 20], 1 << 10, Precision::Bf16);
        EdgeMessage::Audio { turn: TurnId(0), provisional: None, embeddings }
    }

    #[test]
    fn a_turn_that_is_longer_than_is_kept_is_not_told_again() {
        let mut log = TurnLog::default();
        let fits = TURN_LOG_BYTES_MAX / sound().bytes();
        (0..fits).for_each(|_| log.push(sound()));
        assert_eq!((log.len(), log.bytes()), (fits, fits * sound().bytes()));
        let mut longer = log.clone();
        longer.push(sound());
        longer.truncate(1);
        assert_eq!((longer.bytes(), longer.take()), (0, None));
        assert_eq!(longer.take(), Some(Vec::new()), "the next turn is kept");
        log.truncate(1);
        assert_eq!(log.bytes(), sound().bytes());
        assert_eq!(log.take(), Some(alloc::vec![sound()]));
    }
}
