//! What was received on a session's streams, and when to say so.

use crate::limits::{ACK_AFTER, ACK_EVERY};
use crate::machine::Micros;

/// Counts of received messages: after [`ACK_EVERY`] of them, or [`ACK_AFTER`] the first one, the sender is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledge {
    /// On the control stream, or downwards.
    pub control: u64,
    /// On the vision stream.
    pub vision: u64,
    unsaid: u64,
    due: Option<Micros>,
}

impl Acknowledge {
    /// So many came down in an earlier life.
    pub fn after(control: u64) -> Self {
        Self { control, ..Self::default() }
    }

    /// Counts a message; says whether to acknowledge at once.
    pub fn received(&mut self, now: Micros, vision: bool) -> bool {
        *if vision { &mut self.vision } else { &mut self.control } += 1;
        self.unsaid += 1;
        self.due.get_or_insert(now.after(ACK_AFTER));
        self.unsaid >= ACK_EVERY
    }

    /// It was said.
    pub fn said(&mut self) {
        (self.unsaid, self.due) = (0, None);
    }

    /// When to say it at the latest.
    pub fn due(&self) -> Option<Micros> {
        self.due
    }
}
