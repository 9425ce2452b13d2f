//! When to dial again: at once after a connection that stood, and less and less often where none stands for long.
//!
//! A door waits by itself while nobody answers; this is about a cluster that answers and refuses, or hangs up.

use caracal_shared::machine::Micros;

/// First pause; it doubles. Whoever is full, or not yet up, says the same a moment later.
const FIRST_PAUSE: Micros = Micros(500_000);
/// Longest pause: room is found before a person gives up, and a full cluster is asked four times a minute by each device.
const LONGEST_PAUSE: Micros = Micros(16_000_000);
/// A connection that stood for so long was none that the cluster could not take: what it refuses of an open turn, told
/// again, it refuses sooner.
const STEADY: Micros = Micros(10_000_000);

/// Counts the connections that did not stand.
#[derive(Clone, Debug, Default)]
pub struct Redial {
    /// In a row.
    failures: u32,
    linked: Option<Micros>,
    due: Option<Micros>,
}

impl Redial {
    /// A connection stands.
    pub fn linked(&mut self, now: Micros) {
        self.linked = Some(now);
    }

    /// None stands, or it is of no use; `must_wait` where nothing else can help. A second loss before the next dial is
    /// the same one.
    pub fn lost(&mut self, now: Micros, must_wait: bool) {
        if self.due.is_some() {
            return;
        }
        if self.linked.take().is_some_and(|since| now.0.saturating_sub(since.0) >= STEADY.0) {
            self.failures = 0;
        }
        self.failures = self.failures.max(u32::from(must_wait));
        let pause = self.failures.checked_sub(1).map_or(0, |times| FIRST_PAUSE.0.saturating_mul(1 << times.min(u32::BITS)));
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now.after(Micros(pause.min(LONGEST_PAUSE.0))));
    }

    /// When to dial, if nothing was dialled since the loss.
    pub fn due(&self) -> Option<Micros> {
        self.due
    }

    /// Whether to dial now; the loss is dealt with then.
    pub fn take_due(&mut self, now: Micros) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses a connection at `now` and says how long it is until the next dial.
    fn pause(redial: &mut Redial, now: Micros, must_wait: bool) -> u64 {
        redial.lost(now, must_wait);
        let due = redial.due().expect("a loss is followed by a dial");
        assert!(!redial.take_due(Micros(due.0 - 1)) && redial.take_due(due), "neither early nor late");
        assert_eq!(redial.due(), None);
        (due.0 - now.0) / 1000
    }

    #[test]
    fn pauses_double_to_the_longest_and_begin_anew_after_a_connection_that_stood() {
        let mut redial = Redial::default();
        let mut now = Micros(1_000_000);
        for wanted in [0, 500, 1000, 2000, 4000, 8000, 16_000, 16_000] {
            now = now.after(Micros(60_000_000));
            // Short connections are no success.
            redial.linked(Micros(now.0 - 3_000_000));
            assert_eq!(pause(&mut redial, now, false), wanted);
        }
        for _ in 0..100 {
            assert_eq!(pause(&mut redial, now, true), 16_000, "for ever");
        }
        redial.linked(now);
        assert_eq!(pause(&mut redial, now.after(STEADY), false), 0);
    }

    #[test]
    fn a_cluster_that_is_full_is_never_dialled_at_once() {
        let mut redial = Redial::default();
        for wanted in [500, 1000, 2000] {
            assert_eq!(pause(&mut redial, Micros(5), true), wanted);
        }
    }

    #[test]
    fn one_loss_that_is_told_twice_counts_once() {
        let mut redial = Redial::default();
        redial.lost(Micros(7), true);
        redial.lost(Micros(8), false);
        assert_eq!((redial.due(), redial.failures), (Some(Micros(500_007)), 2));
    }
}
