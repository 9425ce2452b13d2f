//! Real QUIC on one machine: loss, cuts, restarts, a moving address, refusals, strangers.
//!
//! These take real time, so each is one conversation.

#![allow(clippy::disallowed_methods, reason = "real time is waited for and measured, and threads stop what runs")]

mod conversation;
mod kitten;
mod refusals;
mod shutdown;
mod strangers;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use caracal_tests::live::Cluster;
use caracal_tests::small_model;
use tempfile::TempDir;

/// One conversation at a time: they are measured against the clock, on as few as two cores.
static ONE: Mutex<()> = Mutex::new(());

struct Place {
    model: TempDir,
    state: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Place {
    fn new() -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let model = tempfile::tempdir().expect("a temporary folder");
        small_model::write(model.path(), small_model::SEED).expect("the small model can be written");
        Self { model, state: tempfile::tempdir().expect("a temporary folder"), _one: one }
    }

    fn model(&self) -> &Path {
        self.model.path()
    }

    fn cluster(&self) -> Cluster {
        Cluster::start(self.model(), self.state.path(), "127.0.0.1:0")
    }
}

/// Blocks are those that the sessions believe to have, and nothing waits.
fn settled(cluster: &Cluster) {
    let (used, waiting, wanted) = cluster.blocks();
    assert_eq!((used, waiting), (wanted, 0), "blocks, works that wait");
}
