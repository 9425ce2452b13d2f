//! What was sent on one stream and not acknowledged: sent again after a reconnect.

use alloc::collections::VecDeque;

use crate::limits::RESEND_BYTES_MAX;
use crate::wire::Wire;

/// More waits than is kept: the other side has been away for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// Messages of one direction of one stream. They are numbered by counting from the session's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resend<M> {
    /// Messages that were acknowledged and forgotten.
    acknowledged: u64,
    waiting: VecDeque<M>,
    bytes: usize,
}

impl<M> Default for Resend<M> {
    fn default() -> Self {
        Self { acknowledged: 0, waiting: VecDeque::new(), bytes: 0 }
    }
}

impl<M: Wire> Resend<M> {
    /// A stream on which so many messages were sent in an earlier life.
    pub fn after(sent: u64) -> Self {
        Self { acknowledged: sent, ..Self::default() }
    }

    /// What waits follows on so many messages of an earlier life.
    pub fn renumber(&mut self, sent: u64) {
        self.acknowledged = sent;
    }

    /// Keeps a message that is being sent.
    ///
    /// # Errors
    /// [`Overflow`]; the message is not kept.
    ///
    /// # Panics
    /// When the message is not counted.
    pub fn push(&mut self, message: M) -> Result<(), Overflow> {
        assert!(message.is_counted(), "resend: a message that is not counted");
        let bytes = self.bytes + message.bytes();
        if bytes > RESEND_BYTES_MAX {
            return Err(Overflow);
        }
        self.bytes = bytes;
        self.waiting.push_back(message);
        Ok(())
    }

    /// The other side has so many. Says whether that can be: it cannot have more than were sent, nor fewer than it said.
    pub fn acknowledge(&mut self, received: u64) -> bool {
        if received < self.acknowledged || received > self.sent() {
            return false;
        }
        while self.acknowledged < received {
            self.bytes -= self.waiting.pop_front().map_or(0, |message| message.bytes());
            self.acknowledged += 1;
        }
        true
    }

    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        self.acknowledged + self.waiting.len() as u64
    }

    /// What was not acknowledged, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &M> {
        self.waiting.iter()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
