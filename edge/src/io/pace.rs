//! Playing files in at the speed of the world.

use std::time::{Duration, Instant};

use caracal_shared::machine::Micros;

use super::source::{Source, SourceError, Timed};

/// The session's clock: microseconds since it was started. Copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at zero.
    #[allow(clippy::disallowed_methods, reason = "io may read the clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Time since the start.
    #[allow(clippy::disallowed_methods, reason = "io may read the clock")]
    pub fn now(&self) -> Micros {
        Micros(Instant::now().saturating_duration_since(self.start).as_micros().try_into().unwrap_or(u64::MAX))
    }

    /// Returns at `at`, or at once when that has passed.
    #[allow(clippy::disallowed_methods, reason = "io may wait")]
    pub fn wait_until(&self, at: Micros) {
        let now = self.now();
        if at > now {
            std::thread::sleep(Duration::from_micros(at.0 - now.0));
        }
    }
}

/// A source whose pieces come no earlier than a device would deliver them. Without it a file comes as fast as it is read.
///
/// A piece that is late is delivered at once and moves no later one: positions stay those of the clock.
#[derive(Debug)]
pub struct Paced<S> {
    source: S,
    clock: Clock,
}

impl<S> Paced<S> {
    /// Ties `source` to `clock`; sound and pictures of one session share it.
    pub fn new(source: S, clock: Clock) -> Self {
        Self { source, clock }
    }
}

impl<S: Source> Source for Paced<S> {
    type Item = S::Item;

    fn next(&mut self) -> Result<Option<S::Item>, SourceError> {
        let item = self.source.next()?;
        if let Some(item) = &item {
            self.clock.wait_until(item.ready_at());
        }
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sound_source::SoundClip;
    use super::*;
    use crate::audio::Waveform;

    fn clip(hops: usize) -> SoundClip {
        SoundClip::new(Waveform::new(vec![0.1; 160 * hops]).expect("numbers"), 16_000).expect("a rate")
    }

    /// Reads to the end and returns how many pieces came; none may come early.
    fn read(mut source: impl Source, clock: Clock, paced: bool) -> usize {
        let mut pieces = 0;
        while let Some(piece) = source.next().expect("a clip in memory") {
            assert!(!paced || clock.now() >= piece.ready_at(), "{:?} at {:?}", piece.ready_at(), clock.now());
            pieces += 1;
        }
        pieces
    }

    // The bounds leave a busy machine half a second: what they rule out takes twice that.
    #[test]
    fn a_paced_source_is_never_early() {
        let clock = Clock::start();
        assert_eq!(read(Paced::new(clip(10), clock), clock, true), 10);
        assert!(clock.now() < Micros(600_000));
    }

    #[test]
    fn a_late_reader_catches_up_at_once() {
        let clock = Clock::start();
        clock.wait_until(Micros(1_000_000));
        assert_eq!(read(Paced::new(clip(100), clock), clock, true), 100);
        assert!(clock.now() < Micros(1_500_000), "a hundred late hops come at once, not 10 ms apart: {:?}", clock.now());
    }

    #[test]
    fn without_pace_a_file_comes_as_fast_as_it_is_read() {
        let clock = Clock::start();
        assert_eq!(read(clip(100), clock, false), 100);
        assert!(clock.now() < Micros(500_000), "{:?}", clock.now());
    }
}
