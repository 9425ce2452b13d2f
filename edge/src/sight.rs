//! Which pictures of the camera become units, and where they stand: a live session around the frame sampler.
//!
//! Time is cut into seconds that are counted anew from the beginning of each turn, so that a second of pictures goes with
//! a second of sound. In a turn every second gives a unit or says that it has none; else one picture in two seconds waits
//! for the next turn.
//!
//! Source: rules R1 to R4; that seconds are counted from the turn's beginning is ours (R5 needs them in step with sound).

use std::sync::Arc;
use std::time::Duration;

use caracal_shared::machine::Micros;

use crate::Streaming;
use crate::vision::{CameraEvent, FrameSampler, LiveUnit, Picture, SamplerState};

/// Microseconds of one packet of the sampler.
const PACKET: u64 = 1_000_000;

/// A picture and when it was taken.
pub type Shot = (Micros, Arc<Picture>);

/// A unit that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// For the next turn.
    Sparse(Shot),
    /// The next second of the open turn; none if the camera gave nothing.
    Second(Option<[Shot; 2]>),
}

/// The camera of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    sampler: SamplerState<Shot>,
    /// What is added to the session's time to get the sampler's.
    shift: u64,
    /// Start of the next packet, in the sampler's time.
    next: u64,
    turn: bool,
}

impl Default for Sight {
    fn default() -> Self {
        Self { sampler: FrameSampler::new().start(), shift: 0, next: PACKET, turn: false }
    }
}

impl Sight {
    /// The camera delivered a picture.
    pub fn picture(&mut self, now: Micros, picture: Arc<Picture>) -> Vec<Seen> {
        let mut seen = self.pass(now);
        let at = now.0 + self.shift;
        seen.extend(self.take(CameraEvent::Picture(Duration::from_micros(at), (now, picture))));
        seen
    }

    /// Time passed.
    pub fn pass(&mut self, now: Micros) -> Vec<Seen> {
        let mut seen = Vec::new();
        while self.next <= now.0 + self.shift {
            let at = Duration::from_micros(self.next);
            self.next += PACKET;
            let units = self.take(if self.turn { CameraEvent::SpeechStarted(at) } else { CameraEvent::SpeechStopped(at) });
            let silent = !units.iter().any(|unit| matches!(unit, Seen::Second(_)));
            seen.extend(units);
            if self.turn && silent {
                seen.push(Seen::Second(None));
            }
        }
        seen
    }

    /// A turn begins: a new second begins with it.
    pub fn start_turn(&mut self, now: Micros) -> Vec<Seen> {
        let mut seen = self.pass(now);
        self.shift = self.next - now.0;
        let at = Duration::from_micros(self.next);
        self.next += PACKET;
        let before = self.take(CameraEvent::SpeechStarted(at));
        seen.extend(before.into_iter().filter(|unit| matches!(unit, Seen::Sparse(_))));
        self.turn = true;
        seen
    }

    /// The unit of the second that has begun, as if it ended here.
    pub fn tail(&self) -> Option<[Shot; 2]> {
        let mut state = self.sampler.clone();
        let units = FrameSampler::new().flush(&mut state).unwrap_or_default();
        units.into_iter().find_map(|unit| match unit {
            LiveUnit::Dense { pictures, .. } => Some(pictures),
            LiveUnit::Sparse { .. } => None,
        })
    }

    /// The turn is over, or never was.
    pub fn end_turn(&mut self, now: Micros) -> Vec<Seen> {
        let seen = self.pass(now);
        self.turn = false;
        let _ = self.take(CameraEvent::SpeechStopped(Duration::from_micros(now.0 + self.shift)));
        seen
    }

    /// Seconds count only while a turn is open: the one in which it ended was told by [`Sight::tail`].
    fn take(&mut self, event: CameraEvent<Shot>) -> Vec<Seen> {
        let units = FrameSampler::new().step(&mut self.sampler, vec![event]).unwrap_or_default();
        let turn = self.turn;
        let seen = |unit| match unit {
            LiveUnit::Sparse { picture, .. } => Some(Seen::Sparse(picture)),
            LiveUnit::Dense { pictures, .. } => turn.then_some(Seen::Second(Some(pictures))),
        };
        units.into_iter().filter_map(seen).collect()
    }
}
