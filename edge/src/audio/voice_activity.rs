//! From speech probabilities to spans of speech (hop 4, pure part).
//!
//! A network says for every [`VAD_WINDOW_SAMPLES`] how likely they hold speech. Two thresholds with a gap between them, and
//! a span that each must hold for, make beginnings and ends of it. How long a silence ends a *turn* is not decided here but
//! by `caracal_shared::turn`.
//!
//! | state | window | next | event |
//! |---|---|---|---|
//! | Silent | at or above `onset` | Rising | |
//! | Rising | below `offset` | Silent | |
//! | Rising | at or above `onset`, `onset_span` reached | Speaking | `Started` |
//! | Speaking | below `offset` | Falling | |
//! | Falling | at or above `onset` | Speaking | |
//! | Falling | below `offset`, `offset_span` reached | Silent | `Stopped` |
//!
//! A window may take two of these steps. Everything else changes nothing. Invariants: events alternate, beginning with
//! `Started`; positions never go back; spans of speech do not overlap.
//!
//! Source: LongCat-Flash-Omni technical report §6.2 (a VAD on the device); thresholds as in Silero's own iterator.

use caracal_shared::machine::Micros;
use caracal_shared::rates::HEARING_HZ;
use caracal_shared::turn::TurnInput;

/// New samples of one probability: 32 ms at 16 kHz, fixed by the network.
pub const VAD_WINDOW_SAMPLES: usize = 512;

/// Probability from which a window counts as speech: Silero's own default.
pub const ONSET: f32 = 0.5;
/// Probability below which a window counts as silence: Silero's own default, 0.15 under the onset.
pub const OFFSET: f32 = 0.35;
/// Speech for this long is believed: two windows, so that a single click opens no turn and breaks off no answer, and an
/// interruption is still noticed within 100 ms.
pub const ONSET_SPAN: Micros = Micros(64_000);
/// Silence for this long is believed: one window. A short dip costs nothing, since the turn waits much longer.
pub const OFFSET_SPAN: Micros = Micros(32_000);
/// Speech shorter than this is no word: three windows.
pub const SHORTEST_SPEECH: Micros = Micros(96_000);
/// Sound before the first loud window that belongs to speech: soft consonants, and the network's own rise time.
pub const LEAD_IN: Micros = Micros(160_000);
/// Sound after the last loud window that belongs to speech: a consonant that dies away.
pub const LEAD_OUT: Micros = Micros(64_000);

/// How probabilities become spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceActivityConfig {
    /// Probability from which a window counts as speech, 0 to 1.
    pub onset: f32,
    /// Probability below which a window counts as silence, at most `onset`.
    pub offset: f32,
    /// How long speech must last before it is reported.
    pub onset_span: Micros,
    /// How long silence must last before it is reported.
    pub offset_span: Micros,
    /// Speech below this is reported as brief.
    pub shortest_speech: Micros,
    /// Sound before speech that is counted to it.
    pub lead_in: Micros,
    /// Sound after speech that is counted to it.
    pub lead_out: Micros,
}

impl Default for VoiceActivityConfig {
    fn default() -> Self {
        Self {
            onset: ONSET,
            offset: OFFSET,
            onset_span: ONSET_SPAN,
            offset_span: OFFSET_SPAN,
            shortest_speech: SHORTEST_SPEECH,
            lead_in: LEAD_IN,
            lead_out: LEAD_OUT,
        }
    }
}

/// What the network said about one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeechProbability {
    /// Its first sample, counted from the start of the stream. It covers [`VAD_WINDOW_SAMPLES`].
    pub start: u64,
    /// 0 to 1.
    pub probability: f32,
}

impl SpeechProbability {
    /// The first sample after the window: the moment at which it could be known.
    pub fn end(self) -> u64 {
        self.start + VAD_WINDOW_SAMPLES as u64
    }
}

/// Speech began or ended. Positions are samples at 16 kHz from the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceEvent {
    /// The user speaks.
    Started {
        /// First sample that belongs to the speech, lead-in included; never before the end of the speech before.
        at: u64,
        /// When it was believed.
        decided_at: u64,
    },
    /// The user has fallen silent.
    Stopped {
        /// First sample that no longer belongs to the speech, lead-out included; may lie after `decided_at`.
        at: u64,
        /// When it was believed.
        decided_at: u64,
        /// Shorter than any word.
        brief: bool,
    },
}

impl VoiceEvent {
    /// What the turn machine is told. `spoken_before` says whether the turn holds speech from before this span: only a
    /// turn that consists of nothing but a brief noise is withdrawn, so that no word is lost to a click after it.
    pub fn turn_input(self, spoken_before: bool) -> TurnInput {
        match self {
            Self::Started { .. } => TurnInput::SpeechStart,
            Self::Stopped { brief: true, .. } if !spoken_before => TurnInput::SpeechWithdrawn,
            Self::Stopped { .. } => TurnInput::SpeechStop,
        }
    }

    /// When it was believed.
    pub fn decided_at(self) -> u64 {
        let (Self::Started { decided_at, .. } | Self::Stopped { decided_at, .. }) = self;
        decided_at
    }
}

/// Positions are the first samples of windows, without lead-in and lead-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Silent,
    Rising { since: u64 },
    Speaking { since: u64 },
    Falling { since: u64, silent_since: u64 },
}

/// Makes beginnings and ends of speech from probabilities.
///
/// # State
/// one enum and the end of the last speech; equal inputs give equal events
#[derive(Clone, Debug, PartialEq)]
pub struct VoiceActivity {
    config: VoiceActivityConfig,
    state: State,
    last_stop: u64,
}

impl VoiceActivity {
    /// A stream in which nobody has spoken.
    ///
    /// # Panics
    /// When `config.offset` is above `config.onset`, or either is no number: the gap between them must not be negative.
    pub fn new(config: VoiceActivityConfig) -> Self {
        assert!(config.offset <= config.onset, "offset {} is above onset {}", config.offset, config.onset);
        Self { config, state: State::Silent, last_stop: 0 }
    }

    /// Whether the user is believed to speak.
    pub fn speaking(&self) -> bool {
        matches!(self.state, State::Speaking { .. } | State::Falling { .. })
    }

    /// Takes the next window; windows come in order.
    pub fn handle(&mut self, window: SpeechProbability) -> Option<VoiceEvent> {
        let loud = window.probability >= self.config.onset;
        // A probability that is no number is neither loud nor quiet: it decides nothing.
        let quiet = window.probability < self.config.offset;
        let (state, event) = match self.state {
            State::Silent if loud => self.rise(window.start, window),
            State::Rising { since } if loud => self.rise(since, window),
            State::Rising { .. } if quiet => (State::Silent, None),
            State::Speaking { since } if quiet => self.fall(since, window.start, window),
            State::Falling { since, .. } if loud => (State::Speaking { since }, None),
            State::Falling { since, silent_since } if quiet => self.fall(since, silent_since, window),
            state => (state, None),
        };
        self.state = state;
        if let Some(VoiceEvent::Stopped { at, .. }) = event {
            self.last_stop = at;
        }
        event
    }

    fn rise(&self, since: u64, window: SpeechProbability) -> (State, Option<VoiceEvent>) {
        if window.end() - since < samples(self.config.onset_span) {
            return (State::Rising { since }, None);
        }
        let at = since.saturating_sub(samples(self.config.lead_in)).max(self.last_stop);
        (State::Speaking { since }, Some(VoiceEvent::Started { at, decided_at: window.end() }))
    }

    fn fall(&self, since: u64, silent_since: u64, window: SpeechProbability) -> (State, Option<VoiceEvent>) {
        if window.end() - silent_since < samples(self.config.offset_span) {
            return (State::Falling { since, silent_since }, None);
        }
        let at = (silent_since + samples(self.config.lead_out)).max(self.last_stop);
        let brief = silent_since - since < samples(self.config.shortest_speech);
        (State::Silent, Some(VoiceEvent::Stopped { at, decided_at: window.end(), brief }))
    }
}

/// How many samples a time holds.
fn samples(time: Micros) -> u64 {
    (u128::from(time.0) * u128::from(HEARING_HZ) / 1_000_000).try_into().unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
