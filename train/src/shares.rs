//! The batches that a step learns from side by side, each on a thread of its own: one network on one core each is nearly
//! twice as fast as every small operation on two.

use anyhow::Result;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Batches of a step. The same on every machine, so that what is learnt is the same.
pub const SHARES: usize = 2;

/// A thread for each share.
pub struct Workers(Vec<ThreadPool>);

impl Workers {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start() -> Result<Self> {
        Ok(Self((0..SHARES).map(|_| ThreadPoolBuilder::new().num_threads(1).build()).collect::<Result<_, _>>()?))
    }

    /// What `learn` gives for each share, in their order.
    ///
    /// # Panics
    /// When `learn` does, or there are more shares than threads.
    pub fn learn<S: Sync, L: Send>(&self, shares: &[S], learn: impl Fn(&S) -> L + Sync) -> Vec<L> {
        assert!(shares.len() <= self.0.len(), "{} shares for {} threads", shares.len(), self.0.len());
        let learn = &learn;
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                shares.iter().zip(&self.0).map(|(share, worker)| scope.spawn(move || worker.install(|| learn(share)))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a share of a step panicked")).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_learnt_at_once_on_one_core_each_and_come_back_in_order() {
        // Each waits for the other: one after the other would never end.
        let barrier = std::sync::Barrier::new(SHARES);
        let learnt = Workers::start().unwrap().learn(&[3, 4], |share| {
            barrier.wait();
            (share * 2, rayon::current_num_threads())
        });
        assert_eq!(learnt, [(6, 1), (8, 1)]);
    }
}
