//! Who speaks when: the turn machine.
//!
//! Hop 4. It hears only the beginnings and ends of speech and of the answer, and says when to open a turn, when to answer
//! on a guess, when to take the guess back, when to let the answer be heard, and when to break it off.
//!
//! | state | event | next | output |
//! |---|---|---|---|
//! | Idle | speech starts | Listen | `TurnStart` |
//! | Listen | speech stops | Hold | |
//! | Listen, Hold | onset withdrawn | Idle | `TurnCancel` |
//! | Hold | speech starts | Listen | |
//! | Hold | silence reaches the speculative point | Speculate | `SpeculativeEndpoint` |
//! | Hold | silence reaches the endpoint | Speak | `Endpoint`, not speculated |
//! | Speculate | speech starts | Listen | `Resume` |
//! | Speculate | silence reaches the endpoint | Speak | `Endpoint`, speculated |
//! | Speak | reply generated and all of it played | Idle | `ReplyEnd` |
//! | Speak | speech starts | Listen | `BargeIn`, `TurnStart` |
//!
//! Everything else changes nothing. Invariants: at most one attempt is alive; the gate opens only by `Endpoint`; a number
//! of a turn or an attempt is never used twice.
//!
//! Source: LongCat-Flash-Omni technical report §6.2 and figure 11, rules R7 to R20 of our specification.

use alloc::collections::VecDeque;

use crate::limits::{ENDPOINT_AFTER, SPECULATE_AFTER};
use crate::machine::{Machine, Micros};

/// Number of a turn within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(pub u64);

/// Number of an attempt to answer within its session. Whatever carries the number of another attempt is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// How long a silence must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnTiming {
    /// Silence after which an answer is started on a guess. At or above `endpoint_after` there is no guess.
    pub speculate_after: Micros,
    /// Silence that ends the turn.
    pub endpoint_after: Micros,
}

impl Default for TurnTiming {
    fn default() -> Self {
        Self { speculate_after: SPECULATE_AFTER, endpoint_after: ENDPOINT_AFTER }
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnInput {
    /// Time passes.
    Tick,
    /// The user begins to speak.
    SpeechStart,
    /// The user falls silent.
    SpeechStop,
    /// What began as speech was none. Only counts while the user is heard or has just fallen silent.
    SpeechWithdrawn,
    /// The attempt's reply is complete, or will not become more.
    ReplyGenerated(AttemptId),
    /// Whether all audio of the attempt that has arrived was played. Told on every change after the endpoint.
    Playback {
        /// Whose audio.
        attempt: AttemptId,
        /// Nothing is left to play.
        empty: bool,
    },
}

/// What the machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnOutput {
    /// Mark the state to come back to, sample densely, prefill chunks as they come.
    TurnStart(TurnId),
    /// The turn never was: return to the state before its start.
    TurnCancel(TurnId),
    /// Mark the state, close the input provisionally, start the answer and hold its audio.
    SpeculativeEndpoint(AttemptId),
    /// The guess was wrong: stop, discard the held audio, return to the mark; the turn goes on.
    Resume(AttemptId),
    /// The turn is over: let the audio be heard. Without speculation: close the input and start the answer first.
    Endpoint {
        /// The attempt whose audio may be heard.
        attempt: AttemptId,
        /// Whether it was started before, and its audio held.
        speculated: bool,
    },
    /// Stop the answer and its sound at once, cut the history at a natural break, close the reply.
    BargeIn(AttemptId),
    /// The answer was heard to its end: close the reply.
    ReplyEnd(AttemptId),
}

/// Where the conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnState {
    /// Nobody speaks.
    Idle,
    /// The user speaks.
    Listen {
        /// Their turn.
        turn: TurnId,
    },
    /// The user has just fallen silent.
    Hold {
        /// Their turn.
        turn: TurnId,
        /// Since when.
        since: Micros,
    },
    /// An answer is being made that nobody hears yet.
    Speculate {
        /// The turn that it answers.
        turn: TurnId,
        /// Silent since when.
        since: Micros,
        /// The answer.
        attempt: AttemptId,
        /// Whether it is complete.
        generated: bool,
    },
    /// The answer is heard.
    Speak {
        /// The answer.
        attempt: AttemptId,
        /// Whether it is complete.
        generated: bool,
        /// Whether all that arrived was played.
        played: bool,
    },
}

/// The turn machine of one session.
///
/// # Units
/// Times are those of the driver; nothing here waits.
///
/// # State
/// One [`TurnState`], two counters and the outputs of the last input (at most four).
///
/// # Source
/// See the module. Golden `prompt/streaming_trace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    timing: TurnTiming,
    now: Micros,
    state: TurnState,
    turns: u64,
    attempts: u64,
    outputs: VecDeque<TurnOutput>,
}

impl Turn {
    /// A session in which nobody has spoken.
    pub fn new(timing: TurnTiming) -> Self {
        Self { timing, now: Micros(0), state: TurnState::Idle, turns: 0, attempts: 0, outputs: VecDeque::new() }
    }

    /// Where the conversation is.
    pub fn state(&self) -> TurnState {
        self.state
    }

    fn start_turn(&mut self) -> TurnState {
        let turn = TurnId(self.turns);
        self.turns += 1;
        self.outputs.push_back(TurnOutput::TurnStart(turn));
        TurnState::Listen { turn }
    }

    fn start_attempt(&mut self) -> AttemptId {
        let attempt = AttemptId(self.attempts);
        self.attempts += 1;
        attempt
    }

    fn close_when_heard(&mut self, attempt: AttemptId, generated: bool, played: bool) -> TurnState {
        if generated && played {
            self.outputs.push_back(TurnOutput::ReplyEnd(attempt));
            return TurnState::Idle;
        }
        TurnState::Speak { attempt, generated, played }
    }

    /// What the silence has led to by `self.now`. A late tick makes every step that a timely one would have made.
    fn pass_time(&mut self) {
        while self.deadline().is_some_and(|at| at <= self.now) {
            self.state = match self.state {
                TurnState::Hold { turn, since } if self.timing.speculate_after < self.timing.endpoint_after => {
                    let attempt = self.start_attempt();
                    self.outputs.push_back(TurnOutput::SpeculativeEndpoint(attempt));
                    TurnState::Speculate { turn, since, attempt, generated: false }
                }
                TurnState::Hold { .. } => {
                    let attempt = self.start_attempt();
                    self.outputs.push_back(TurnOutput::Endpoint { attempt, speculated: false });
                    TurnState::Speak { attempt, generated: false, played: false }
                }
                TurnState::Speculate { attempt, generated, .. } => {
                    self.outputs.push_back(TurnOutput::Endpoint { attempt, speculated: true });
                    TurnState::Speak { attempt, generated, played: false }
                }
                state => state,
            };
        }
    }
}

impl Machine for Turn {
    type Input = TurnInput;
    type Output = TurnOutput;

    fn handle(&mut self, now: Micros, input: TurnInput) {
        assert!(self.outputs.is_empty(), "outputs of the turn machine were not drained");
        self.now = self.now.max(now);
        self.pass_time();
        self.state = match (self.state, input) {
            (TurnState::Idle, TurnInput::SpeechStart) => self.start_turn(),
            (TurnState::Listen { turn }, TurnInput::SpeechStop) => TurnState::Hold { turn, since: self.now },
            (TurnState::Listen { turn } | TurnState::Hold { turn, .. }, TurnInput::SpeechWithdrawn) => {
                self.outputs.push_back(TurnOutput::TurnCancel(turn));
                TurnState::Idle
            }
            (TurnState::Hold { turn, .. }, TurnInput::SpeechStart) => TurnState::Listen { turn },
            (TurnState::Speculate { turn, attempt, .. }, TurnInput::SpeechStart) => {
                self.outputs.push_back(TurnOutput::Resume(attempt));
                TurnState::Listen { turn }
            }
            (TurnState::Speculate { turn, since, attempt, .. }, TurnInput::ReplyGenerated(of)) if of == attempt => {
                TurnState::Speculate { turn, since, attempt, generated: true }
            }
            (TurnState::Speak { attempt, .. }, TurnInput::SpeechStart) => {
                self.outputs.push_back(TurnOutput::BargeIn(attempt));
                self.start_turn()
            }
            (TurnState::Speak { attempt, played, .. }, TurnInput::ReplyGenerated(of)) if of == attempt => {
                self.close_when_heard(attempt, true, played)
            }
            (TurnState::Speak { attempt, generated, .. }, TurnInput::Playback { attempt: of, empty }) if of == attempt => {
                self.close_when_heard(attempt, generated, empty)
            }
            // Stale numbers, repeated edges and ticks: the world may say the same thing twice, or too late.
            (state, _) => state,
        };
        self.pass_time();
    }

    fn poll(&mut self) -> Option<TurnOutput> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        let TurnTiming { speculate_after, endpoint_after } = self.timing;
        match self.state {
            TurnState::Hold { since, .. } => Some(since.after(speculate_after.min(endpoint_after))),
            TurnState::Speculate { since, .. } => Some(since.after(endpoint_after)),
            TurnState::Idle | TurnState::Listen { .. } | TurnState::Speak { .. } => None,
        }
    }
}
