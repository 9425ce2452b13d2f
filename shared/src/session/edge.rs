//! The edge's half of a session: turn outputs and embeddings → messages; messages → speech, captions, news.
//!
//! Hop 6. It puts sound and pictures of a turn in order, sends the provisional tail and its endpoint as one, and keeps
//! what was sent until it is acknowledged. Invariants:
//!
//! - what an attempt says reaches nobody after the attempt is dead;
//! - an endpoint is never sent before the tail that it closes, nor the next turn before that endpoint;
//! - a turn that the cluster has lost is told again in a new session, unless its answer was already heard in part or it
//!   is longer than is kept.
//!
//! | phase | input | next | says |
//! |---|---|---|---|
//! | Quiet | `TurnStart` | Listening | `TurnStart` |
//! | Listening | audio, units | Listening | `Audio`, `Unit` in the prompt's order |
//! | Listening | `SpeculativeEndpoint`, `Endpoint` | Closing | |
//! | Closing | tail | Closing, told | provisional `Audio`, `Unit`, then `SpeculativeEndpoint` |
//! | Closing | `Resume` | Listening | `Resume`, if the tail was told |
//! | Closing, told | `Endpoint` | Answered | `Endpoint` |
//! | Closing, not told | `Endpoint`, then the tail | Answered | all of them |
//! | Answered | `BargeIn`, `ReplyEnd` | Quiet | the same |

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::acknowledge::Acknowledge;
use super::edge_turn::Listening;
use super::resend::Resend;
use super::transcript::{Ending, Transcript};
use super::turn_log::TurnLog;
use crate::limits::{PICTURES_KEPT_MAX, PLAYED_EVERY, RESEND_BYTES_MAX, SPARSE_PICTURES_MAX, TURN_LOG_BYTES_MAX};
use crate::machine::{Machine, Micros};
use crate::turn::{AttemptId, TurnId, TurnOutput};
use crate::wire::{
    ClusterMessage, EdgeMessage, Embeddings, PictureId, Reason, Refusal, SeenAs, SpeechFrame, Ticket, VisionMessage, Welcome,
};

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum EdgeInput {
    /// Time passes.
    Tick,
    /// The turn machine asks for this.
    Turn(TurnOutput),
    /// Final embeddings of the turn's sound.
    Audio {
        /// Which turn.
        turn: TurnId,
        /// One vector each 80 ms, following on those before.
        embeddings: Embeddings,
    },
    /// A picture was encoded.
    Picture {
        /// Which.
        picture: PictureId,
        /// Its vectors.
        embeddings: Embeddings,
    },
    /// A picture that was encoded is to stand in front of the next turn.
    Buffer {
        /// Which.
        picture: PictureId,
        /// Sparse or still.
        seen: SeenAs,
    },
    /// The next second of the turn is over; its picture, which was encoded, or none.
    Unit {
        /// Which turn.
        turn: TurnId,
        /// The second's picture.
        unit: Option<(PictureId, SeenAs)>,
    },
    /// What the turn's end would be if it were here.
    Tail {
        /// Whose.
        attempt: AttemptId,
        /// Embeddings that the look-ahead held back.
        audio: Option<Embeddings>,
        /// The picture of the second that has begun.
        unit: Option<(PictureId, SeenAs)>,
    },
    /// Frames of the answer that were heard in full.
    Played {
        /// Which answer.
        attempt: AttemptId,
        /// How many.
        frames: u32,
    },
    /// A connection stands.
    Linked(Welcome),
    /// The connection is gone, for now.
    Unlinked,
    /// The cluster refuses this session.
    Refused(Refusal),
    /// The cluster said this.
    Received(ClusterMessage),
    /// The user leaves.
    Leave,
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum EdgeOutput {
    /// Say this on the control stream of the connection that stands.
    Control(EdgeMessage),
    /// Say this on its vision stream.
    Vision(VisionMessage),
    /// More of the living answer's sound.
    Speech(AttemptId, Vec<SpeechFrame>),
    /// More of its text.
    Caption(AttemptId, String),
    /// It is complete.
    ReplyGenerated(AttemptId),
    /// An answer was closed: what remains of it.
    Closed(AttemptId, Ending),
    /// Forget the sound of this attempt: it will come anew.
    Restart(AttemptId),
    /// This answer will not come, or no more of it.
    Abandon(AttemptId),
    /// The user should know.
    Notice(Reason, String),
    /// The ticket for the next connection; keep it where a restart finds it.
    Ticket(Option<Ticket>),
    /// Connect anew, without a ticket.
    Reconnect,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    Quiet,
    Listening(Listening),
    Answered {
        turn: TurnId,
        attempt: AttemptId,
        /// Frames that were heard.
        played: u32,
        /// Of which the cluster was told.
        told: u32,
    },
}

/// Numbers of an edge that lost its memory begin anew; those on the wire go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    pub(super) turn: u64,
    pub(super) attempt: u64,
    pub(super) picture: u64,
    pub(super) tenths: u64,
}

/// The edge's half of one session.
///
/// # State
/// Besides the conversation: messages that were not acknowledged, the open turn as it was told, pictures that a turn may
/// still need. Each is bounded in `limits.rs`.
///
/// # Source
/// Rules R3 to R16; ours where they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub(super) camera: bool,
    pub(super) now: Micros,
    pub(super) linked: bool,
    pub(super) ticket: Option<Ticket>,
    /// This memory has not yet spoken to the session of its ticket.
    pub(super) restarted: bool,
    pub(super) shift: Shift,
    pub(super) acknowledge: Acknowledge,
    pub(super) control: Resend<EdgeMessage>,
    pub(super) vision: Resend<VisionMessage>,
    /// The open turn as it was told, for a session that must be begun anew.
    pub(super) log: TurnLog,
    /// Pictures that no turn that is over has used.
    pub(super) pictures: BTreeMap<PictureId, Embeddings>,
    /// Pictures for the next turn.
    pub(super) buffered: VecDeque<(PictureId, SeenAs)>,
    /// Pictures of the last turn, which only a session begun anew would need.
    pub(super) spent: Vec<PictureId>,
    /// Turn outputs behind an endpoint whose tail is not ready.
    pub(super) backlog: VecDeque<TurnOutput>,
    /// An attempt that the cluster refused before its turn was over.
    pub(super) dropped: Option<AttemptId>,
    pub(super) phase: Phase,
    pub(super) transcript: Transcript,
    pub(super) outputs: VecDeque<EdgeOutput>,
}

impl Session {
    /// A session that is not connected. `ticket` is that of a session which an earlier process had.
    pub fn new(camera: bool, ticket: Option<Ticket>) -> Self {
        Self {
            camera,
            now: Micros(0),
            linked: false,
            ticket,
            restarted: ticket.is_some(),
            shift: Shift::default(),
            acknowledge: Acknowledge::default(),
            control: Resend::default(),
            vision: Resend::default(),
            log: TurnLog::default(),
            pictures: BTreeMap::new(),
            buffered: VecDeque::new(),
            spent: Vec::new(),
            backlog: VecDeque::new(),
            dropped: None,
            phase: Phase::Quiet,
            transcript: Transcript::default(),
            outputs: VecDeque::new(),
        }
    }

    /// What was said and answered.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Whether a connection stands.
    pub fn is_linked(&self) -> bool {
        self.linked
    }

    /// Bytes that wait to be acknowledged.
    pub fn unacknowledged_bytes(&self) -> usize {
        self.control.bytes() + self.vision.bytes()
    }

    /// Whether all that it keeps is within `limits.rs`: what tests of long conversations ask.
    pub fn is_within_limits(&self) -> bool {
        self.control.bytes() <= RESEND_BYTES_MAX
            && self.vision.bytes() <= RESEND_BYTES_MAX
            && self.log.bytes() <= TURN_LOG_BYTES_MAX
            && self.pictures.len() <= PICTURES_KEPT_MAX
            && self.buffered.len() <= SPARSE_PICTURES_MAX
    }

    /// Says something that counts, and that a lost turn is told from.
    pub(super) fn say(&mut self, message: EdgeMessage) {
        if !matches!(self.phase, Phase::Quiet) {
            self.log.push(message.clone());
        }
        self.say_once(message);
    }

    pub(super) fn say_once(&mut self, message: EdgeMessage) {
        match self.control.push(message.clone()) {
            Err(_) => {
                self.give_up(Refusal::new(Reason::Busy, "the cluster was away for too long; what was said meanwhile is lost."), false)
            }
            Ok(()) if self.linked => self.outputs.push_back(EdgeOutput::Control(self.shift.control(message))),
            Ok(()) => {}
        }
    }

    pub(super) fn show(&mut self, message: VisionMessage) {
        match self.vision.push(message.clone()) {
            Err(_) => {
                self.give_up(Refusal::new(Reason::Busy, "the cluster was away for too long; what was seen meanwhile is lost."), false)
            }
            Ok(()) if self.linked => self.outputs.push_back(EdgeOutput::Vision(self.shift.vision(message))),
            Ok(()) => {}
        }
    }

    fn buffer(&mut self, picture: PictureId, seen: SeenAs) {
        self.buffered.push_back((picture, seen));
        if self.buffered.len() > SPARSE_PICTURES_MAX
            && let Some((oldest, _)) = self.buffered.pop_front()
        {
            self.forget(oldest);
        }
    }

    pub(super) fn forget(&mut self, picture: PictureId) {
        if self.pictures.remove(&picture).is_some() {
            self.say_once(EdgeMessage::Forget(picture));
        }
    }

    fn note_played(&mut self, attempt: AttemptId, frames: u32) {
        let Phase::Answered { attempt: of, played, told, .. } = &mut self.phase else { return };
        if *of != attempt || frames <= *played {
            return;
        }
        *played = frames;
        let tell = frames >= *told + PLAYED_EVERY;
        if tell {
            *told = frames;
            self.say_once(EdgeMessage::Played { attempt, frames });
        }
    }

    /// Frames of an answer that were heard, as far as the session was told and the answer is open.
    pub fn played(&self, attempt: AttemptId) -> u32 {
        match self.phase {
            Phase::Answered { attempt: of, played, .. } if of == attempt => played,
            _ => 0,
        }
    }

    /// The attempt whose sound is held or heard.
    pub(super) fn living(&self) -> Option<AttemptId> {
        match &self.phase {
            Phase::Quiet => None,
            Phase::Listening(open) => open.closing.as_ref().map(|closing| closing.attempt),
            Phase::Answered { attempt, .. } => Some(*attempt),
        }
    }
}

impl Machine for Session {
    type Input = EdgeInput;
    type Output = EdgeOutput;

    fn handle(&mut self, now: Micros, input: EdgeInput) {
        assert!(self.outputs.is_empty(), "outputs of the session were not drained");
        self.now = self.now.max(now);
        self.pass_time();
        match input {
            EdgeInput::Tick => {}
            EdgeInput::Turn(output) => self.turn(output),
            EdgeInput::Audio { turn, embeddings } => {
                if let Phase::Listening(open) = &mut self.phase
                    && open.turn == turn
                {
                    open.order.push_audio(embeddings);
                    self.advance();
                }
            }
            EdgeInput::Picture { picture, embeddings } => {
                self.pictures.insert(picture, embeddings.clone());
                self.show(VisionMessage::Picture { picture, embeddings });
            }
            EdgeInput::Buffer { picture, seen } => self.buffer(picture, seen),
            EdgeInput::Unit { turn, unit } => {
                if let Phase::Listening(open) = &mut self.phase
                    && open.turn == turn
                {
                    open.order.push_unit(unit);
                    self.advance();
                } else if let Some((picture, _)) = unit {
                    self.forget(picture);
                }
            }
            EdgeInput::Tail { attempt, audio, unit } => self.tail(attempt, audio, unit),
            EdgeInput::Played { attempt, frames } => self.note_played(attempt, frames),
            EdgeInput::Linked(welcome) => self.link(welcome),
            EdgeInput::Unlinked => self.linked = false,
            EdgeInput::Refused(refusal) => self.give_up(refusal, true),
            EdgeInput::Received(message) => self.receive(message),
            EdgeInput::Leave => self.leave(),
        }
        self.pass_time();
    }

    fn poll(&mut self) -> Option<EdgeOutput> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        self.acknowledge.due().filter(|_| self.linked)
    }
}
