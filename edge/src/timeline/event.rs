//! What happened and when.

use caracal_shared::machine::Micros;
use caracal_shared::turn::{AttemptId, TurnOutput};

/// Most events that one log keeps: several hours of conversation, below 100 MB. What comes after is counted, not kept.
pub const EVENTS_MAX: usize = 1 << 20;

/// What a message to the cluster carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cargo {
    /// Audio embeddings.
    Sound,
    /// Picture embeddings.
    Picture,
    /// Anything else.
    Control,
}

/// What the accelerator computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Sound to embeddings.
    Hear,
    /// Pictures to embeddings.
    See,
    /// Codes to sound.
    Speak,
}

/// One thing that happened. Times of what lasts are its length from the moment it is logged for.
#[derive(Clone, Debug, PartialEq)]
pub enum TimelineEvent {
    /// How loud the microphone is: root mean square, 0 to 1. Optional; a few a second are enough.
    Level(f32),
    /// Speech was believed to begin.
    SpeechStarted,
    /// Speech was believed to end.
    SpeechStopped,
    /// What the turn machine asked for.
    Turn(TurnOutput),
    /// A message went up.
    Sent {
        /// What it carried.
        cargo: Cargo,
        /// Its size on the wire.
        bytes: u32,
    },
    /// Codes of an answer came down.
    Received {
        /// Whose.
        attempt: AttemptId,
        /// How many frames.
        frames: u32,
        /// Their size on the wire.
        bytes: u32,
    },
    /// The accelerator computed.
    Worked {
        /// What.
        work: Work,
        /// For how long.
        length: Micros,
    },
    /// A step of an answer arrived.
    Token(AttemptId),
    /// Sound of an answer was decoded and waits behind the gate.
    Held {
        /// Whose.
        attempt: AttemptId,
        /// How much sound.
        length: Micros,
    },
    /// Sound of an answer left for the speaker.
    Played {
        /// Whose.
        attempt: AttemptId,
        /// How much sound.
        length: Micros,
    },
    /// The speaker fell silent after an interruption.
    Silenced,
    /// How many entries a queue has.
    Depth {
        /// Its name.
        queue: &'static str,
        /// Entries.
        entries: u32,
    },
    /// What the answer says.
    Said {
        /// Which answer.
        attempt: AttemptId,
        /// A piece of its text.
        text: String,
    },
}

/// The log of one session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    events: Vec<(Micros, TimelineEvent)>,
    left_out: u64,
}

impl Timeline {
    /// Logs `event` at `at`. Events of one driver come in order; those of several may be mixed, and are put in order.
    pub fn record(&mut self, at: Micros, event: TimelineEvent) {
        if self.events.len() >= EVENTS_MAX {
            self.left_out += 1;
            return;
        }
        let place = self.events.iter().rposition(|(earlier, _)| *earlier <= at).map_or(0, |before| before + 1);
        self.events.insert(place, (at, event));
    }

    /// In order of time.
    pub fn events(&self) -> &[(Micros, TimelineEvent)] {
        &self.events
    }

    /// How many events found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// When the last event ends.
    pub fn end(&self) -> Micros {
        let ends = self.events.iter().map(|(at, event)| match event {
            TimelineEvent::Worked { length, .. } | TimelineEvent::Played { length, .. } => at.after(*length),
            _ => *at,
        });
        ends.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_event_stands_at_its_time_and_equal_times_keep_their_order() {
        let mut timeline = Timeline::default();
        for (at, event) in [
            (20, TimelineEvent::SpeechStopped),
            (10, TimelineEvent::SpeechStarted),
            (20, TimelineEvent::Silenced),
            (0, TimelineEvent::Level(0.5)),
        ] {
            timeline.record(Micros(at), event);
        }
        let order: Vec<u64> = timeline.events().iter().map(|(at, _)| at.0).collect();
        assert_eq!(order, [0, 10, 20, 20]);
        assert_eq!((&timeline.events()[3].1, timeline.end()), (&TimelineEvent::Silenced, Micros(20)));
    }
}
