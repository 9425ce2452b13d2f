//! What was said and answered, as both sides tell it: a test of the session, and what a person reads.

use alloc::collections::VecDeque;
use alloc::string::String;

use crate::turn::{AttemptId, TurnId};

/// Exchanges that are kept; older ones are forgotten.
const EXCHANGES_MAX: usize = 1024;

/// A number that depends on every byte that the user's turn brought, in order (FNV-1a).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Goes on with these bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has not ended.
    Open,
    /// Heard to its end.
    Whole(String),
    /// Broken off; what remains of it.
    Cut(String),
}

/// A turn of the user and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The turn.
    pub turn: TurnId,
    /// Its answer.
    pub attempt: AttemptId,
    /// Audio embeddings of the turn.
    pub audio: u32,
    /// Pictures of the turn.
    pub pictures: u32,
    /// Everything that the turn brought.
    pub digest: Digest,
    /// The answer.
    pub ending: Ending,
}

/// The latest exchanges, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    exchanges: VecDeque<Exchange>,
}

impl Transcript {
    /// A turn is over.
    pub fn open(&mut self, exchange: Exchange) {
        self.exchanges.push_back(exchange);
        if self.exchanges.len() > EXCHANGES_MAX {
            self.exchanges.pop_front();
        }
    }

    /// An answer has ended; says whether there is such an open one.
    pub fn close(&mut self, attempt: AttemptId, ending: Ending) -> bool {
        let open = self.exchanges.iter_mut().rev().find(|exchange| exchange.attempt == attempt && exchange.ending == Ending::Open);
        open.map(|exchange| exchange.ending = ending).is_some()
    }

    /// The session is lost: no open answer but that of `living` will be closed any more, and nothing remains of them.
    pub fn lose(&mut self, living: Option<AttemptId>) {
        let open = |exchange: &&mut Exchange| exchange.ending == Ending::Open && Some(exchange.attempt) != living;
        self.exchanges.iter_mut().filter(open).for_each(|exchange| exchange.ending = Ending::Cut(String::new()));
    }

    /// The exchanges, oldest first.
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> + ExactSizeIterator {
        self.exchanges.iter()
    }
}
