//! The cluster's half of a session: messages → work for the engine; samples → messages.
//!
//! Hop 7. It decides nothing about who speaks: it follows the edge's messages in their order, and waits with all that
//! stands behind a picture until the picture is there. Invariants:
//!
//! - at most one attempt is alive, and samples of any other are dropped by a comparison;
//! - after `Resume`, `TurnCancel` and a cut, the cache is exactly as long as it was, or as the rules say;
//! - what was received is never processed twice, and what was sent is kept until it is acknowledged;
//! - a message that makes no sense ends this session and no other.
//!
//! | phase | message | next | work |
//! |---|---|---|---|
//! | Idle | `TurnStart` | Turn | `USER:` |
//! | Turn | `Audio`, `Unit` | Turn | rows, after a mark when provisional |
//! | Turn | `TurnCancel` | Idle | cut to before `USER:` |
//! | Turn | `SpeculativeEndpoint` | Answer | close the input, `VOICE ASSISTANT:`, choose step 0 |
//! | Answer | `Resume` | Turn | cut to the mark |
//! | Answer | `Endpoint` | Answer, heard | |
//! | Answer, heard | `BargeIn` | Idle | cut at the nearest break, close the answer |
//! | Answer, heard | `ReplyEnd` | Idle | close the answer |

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};

use super::acknowledge::Acknowledge;
use super::cluster_answer::Answer;
use super::cluster_turn::OpenTurn;
use super::engine::EngineOp;
use super::live_template::LiveTemplate;
use super::resend::Resend;
use super::transcript::Transcript;
use crate::limits::{EGRESS_BYTES_MAX, PICTURES_KEPT_MAX, RESEND_BYTES_MAX, SESSION_KEPT, WAITING_MESSAGES_MAX};
use crate::machine::{Machine, Micros};
use crate::reply::CODEBOOKS;
use crate::turn::{AttemptId, TurnId};
use crate::wire::{ClusterMessage, EdgeMessage, Embeddings, Model, PictureId, Reason, Refusal, Ticket, VisionMessage, Welcome, Wire};

/// What a session is made with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Strings of a turn.
    pub template: LiveTemplate,
    /// What the edge runs, as agreed.
    pub model: Model,
    /// Sizes of the codec's codebooks.
    pub code_sizes: [u32; CODEBOOKS],
    /// Positions of the model's context.
    pub context: u32,
    /// Steps that a reply may take.
    pub reply_steps: u32,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterInput {
    /// Time passes.
    Tick,
    /// An edge has connected.
    Attached {
        /// Messages that it has.
        received: u64,
        /// It lost its memory.
        restarted: bool,
    },
    /// It is gone, for now.
    Detached,
    /// It said this.
    Control(EdgeMessage),
    /// It saw this.
    Vision(VisionMessage),
    /// The queue to it has become full, or empty.
    Egress {
        /// Whether to pause.
        full: bool,
    },
    /// The engine chose a step.
    Sampled {
        /// Whose.
        attempt: AttemptId,
        /// Which.
        step: u32,
        /// Text id.
        text: u32,
        /// Code ids with offset.
        codes: [u32; CODEBOOKS],
    },
    /// The engine cannot do this session's work, and dropped all that it was asked for.
    Failed {
        /// Why.
        refusal: Refusal,
        /// Positions that are in the cache.
        length: u32,
    },
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterOutput {
    /// Say this to the edge, which is connected.
    Send(ClusterMessage),
    /// Do this, after what was asked for before.
    Engine(EngineOp),
    /// Something worth counting.
    Event(SessionEvent),
    /// The session is over. Forget it, and say this before.
    End(Option<Refusal>),
}

/// What operators count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// A turn began.
    TurnStarted,
    /// It was no speech.
    TurnCancelled,
    /// An answer was begun on a guess or for good.
    AnswerStarted(AttemptId),
    /// Its first step was made, so long after.
    FirstStep(AttemptId, Micros),
    /// The guess was wrong.
    RolledBack(AttemptId),
    /// The turn was over; so many frames were ready.
    Endpoint(AttemptId, u32),
    /// Speech that the user may hear was sent, so long after the turn was over: at once where the guess was right.
    FirstSpeech(AttemptId, Micros),
    /// The user interrupted.
    BargedIn(AttemptId),
    /// The answer was heard to its end.
    ReplyEnded(AttemptId),
    /// A message was of a dead attempt or turn.
    Stale,
    /// Something was refused.
    Refused(Reason),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    Idle,
    Turn(OpenTurn),
    Answer(Answer),
}

/// The cluster's half of one session.
///
/// # State
/// Besides the conversation: pictures that no closed turn has used, messages behind a missing picture, messages that
/// were not acknowledged. Each is bounded in `limits.rs`.
///
/// # Source
/// Rules R5 to R23; ours where they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub(super) settings: Settings,
    ticket: Ticket,
    pub(super) now: Micros,
    /// Since when nobody is connected.
    detached: Option<Micros>,
    acknowledge: Acknowledge,
    down: Resend<ClusterMessage>,
    pub(super) pictures: BTreeMap<PictureId, Embeddings>,
    /// Pictures that were forgotten before they came.
    doomed: BTreeSet<PictureId>,
    /// Messages behind a missing picture, and their bytes.
    waiting: VecDeque<EdgeMessage>,
    waiting_bytes: usize,
    /// Positions in the cache once all work is done.
    pub(super) length: u32,
    pub(super) next_turn: u64,
    pub(super) next_attempt: u64,
    next_picture: u64,
    pub(super) phase: Phase,
    pub(super) transcript: Transcript,
    egress_full: bool,
    pub(super) outputs: VecDeque<ClusterOutput>,
    ended: bool,
}

impl Session {
    /// A session that begins `now`, in which nobody has spoken and to which nobody is connected yet.
    pub fn new(settings: Settings, ticket: Ticket, now: Micros) -> Self {
        Self {
            settings,
            ticket,
            now,
            detached: Some(now),
            acknowledge: Acknowledge::default(),
            down: Resend::default(),
            pictures: BTreeMap::new(),
            doomed: BTreeSet::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            length: 0,
            next_turn: 0,
            next_attempt: 0,
            next_picture: 0,
            phase: Phase::Idle,
            transcript: Transcript::default(),
            egress_full: false,
            outputs: VecDeque::new(),
            ended: false,
        }
    }

    /// What was said and answered.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Positions in the cache once all work is done.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// What the session was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a user's turn or an answer is open.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether all that it keeps is within `limits.rs`: what tests of long conversations ask.
    pub fn is_within_limits(&self) -> bool {
        self.pictures.len() <= PICTURES_KEPT_MAX
            && self.doomed.len() <= PICTURES_KEPT_MAX
            && self.waiting.len() <= WAITING_MESSAGES_MAX
            && self.waiting_bytes <= RESEND_BYTES_MAX
            && self.down.bytes() <= RESEND_BYTES_MAX
    }

    /// Whether more steps may be asked for.
    pub(super) fn may_decode(&self) -> bool {
        !self.egress_full && self.down.bytes() < EGRESS_BYTES_MAX
    }

    pub(super) fn event(&mut self, event: SessionEvent) {
        self.outputs.push_back(ClusterOutput::Event(event));
    }

    pub(super) fn work(&mut self, op: EngineOp) {
        match &op {
            EngineOp::Truncate(length) => self.length = *length,
            EngineOp::Extend { .. } => self.length += op.rows(),
        }
        self.outputs.push_back(ClusterOutput::Engine(op));
    }

    /// Cuts the cache unless it is that short.
    pub(super) fn truncate(&mut self, length: u32) {
        if length < self.length {
            self.work(EngineOp::Truncate(length));
        }
    }

    /// Says something that counts.
    pub(super) fn say(&mut self, message: ClusterMessage) {
        if self.down.push(message.clone()).is_err() {
            self.end(Some(Refusal::new(Reason::Busy, "too much waits for an edge that does not come back. Begin a new session.")));
        } else if self.detached.is_none() {
            self.outputs.push_back(ClusterOutput::Send(message));
        }
    }

    /// A message that makes no sense: the session cannot be trusted any more.
    pub(super) fn refuse(&mut self, reason: Reason, text: impl ToString) {
        let text: String = text.to_string();
        self.event(SessionEvent::Refused(reason));
        self.end(Some(Refusal { reason, text }));
    }

    fn end(&mut self, refusal: Option<Refusal>) {
        if !self.ended {
            self.ended = true;
            self.outputs.push_back(ClusterOutput::End(refusal));
        }
    }

    fn attach(&mut self, received: u64, restarted: bool) {
        self.detached = None;
        self.egress_full = false;
        self.acknowledge.said();
        if restarted {
            self.close_what_is_open();
            self.waiting.clear();
            self.waiting_bytes = 0;
            self.pictures.clear();
            self.doomed.clear();
            self.down = Resend::after(self.down.sent());
        } else if !self.down.acknowledge(received) {
            return self.refuse(Reason::Protocol, "the edge says that it has messages which were never sent. Begin a new session.");
        }
        let welcome = Welcome {
            ticket: self.ticket,
            control: self.acknowledge.control,
            vision: self.acknowledge.vision,
            next_turn: self.next_turn,
            next_attempt: self.next_attempt,
            next_picture: self.next_picture,
            sent: self.down.sent() - self.down.waiting().count() as u64,
            now: self.now.0,
        };
        self.outputs.push_back(ClusterOutput::Send(ClusterMessage::Welcome(welcome)));
        let again: VecDeque<_> = self.down.waiting().cloned().map(ClusterOutput::Send).collect();
        self.outputs.extend(again);
        self.go_on();
    }

    fn control(&mut self, message: EdgeMessage) {
        if self.detached.is_some() {
            return;
        }
        if message.is_counted() && self.acknowledge.received(self.now, false) {
            self.say_received();
        }
        // Judged before it may wait: what is kept is kept only if it can be used.
        if let EdgeMessage::Audio { embeddings, .. } = &message
            && (embeddings.width() != self.settings.model.audio_width || embeddings.precision() != self.settings.model.precision)
        {
            return self.refuse(Reason::Embeddings, "vectors of sound are not as wide or precise as agreed. Update the edge's model.");
        }
        match message {
            EdgeMessage::Hello(_) => self.refuse(Reason::Protocol, "a second Hello on one connection"),
            EdgeMessage::Ack(received) if self.down.acknowledge(received) => self.go_on(),
            EdgeMessage::Ack(_) => self.refuse(Reason::Protocol, "an acknowledgement of messages that were never sent"),
            message if self.waiting.len() < WAITING_MESSAGES_MAX && self.waiting_bytes + message.bytes() <= RESEND_BYTES_MAX => {
                self.waiting_bytes += message.bytes();
                self.waiting.push_back(message);
                self.follow();
            }
            _ => self.refuse(Reason::Protocol, "a picture that was named has not come, and too much waits behind it"),
        }
    }

    fn vision(&mut self, message: VisionMessage) {
        if self.detached.is_some() {
            return;
        }
        if self.acknowledge.received(self.now, true) {
            self.say_received();
        }
        let VisionMessage::Picture { picture, embeddings } = message;
        let model = &self.settings.model;
        if embeddings.width() != model.vision_width || embeddings.precision() != model.precision {
            return self.refuse(Reason::Embeddings, "a picture's vectors are not as wide or precise as agreed. Update the edge's model.");
        }
        if picture.0 < self.next_picture || self.pictures.len() >= PICTURES_KEPT_MAX {
            return self.refuse(Reason::Protocol, "a picture came twice, or more came than a session keeps");
        }
        self.next_picture = picture.0 + 1;
        if !self.doomed.remove(&picture) {
            self.pictures.insert(picture, embeddings);
        }
        self.follow();
    }

    fn forget(&mut self, picture: PictureId) {
        if self.pictures.remove(&picture).is_none() && picture.0 >= self.next_picture {
            self.doomed.insert(picture);
            if self.doomed.len() > PICTURES_KEPT_MAX {
                self.refuse(Reason::Protocol, "more pictures were forgotten before they came than a session keeps");
            }
        }
    }

    /// Follows messages up to one that names a picture which is not there.
    fn follow(&mut self) {
        while !self.ended {
            match self.waiting.front() {
                Some(EdgeMessage::Unit { turn, picture, .. }) if self.takes(*turn) && !self.pictures.contains_key(picture) => {
                    if picture.0 < self.next_picture {
                        self.refuse(Reason::Protocol, "a turn names a picture that was forgotten");
                    }
                    return;
                }
                Some(_) => {}
                None => return,
            }
            let message = self.waiting.pop_front().expect("it was just looked at");
            self.waiting_bytes -= message.bytes();
            self.apply(message);
        }
    }

    /// Whether a turn of this number takes content.
    fn takes(&self, turn: TurnId) -> bool {
        matches!(&self.phase, Phase::Turn(open) if open.turn == turn)
    }

    fn apply(&mut self, message: EdgeMessage) {
        match message {
            EdgeMessage::TurnStart(turn) => self.start_turn(turn),
            EdgeMessage::TurnCancel(turn) => self.cancel_turn(turn),
            EdgeMessage::Audio { turn, provisional, embeddings } => self.take_audio(turn, provisional, embeddings),
            EdgeMessage::Unit { turn, provisional, picture, seen } => self.take_unit(turn, provisional, picture, seen),
            EdgeMessage::SpeculativeEndpoint { turn, attempt } => self.start_answer(turn, attempt),
            EdgeMessage::Resume(attempt) => self.take_back(attempt),
            EdgeMessage::Endpoint { turn, attempt } => self.let_be_heard(turn, attempt),
            EdgeMessage::BargeIn { attempt, frames } => self.barge_in(attempt, frames),
            EdgeMessage::ReplyEnd(attempt) => self.end_reply(attempt),
            EdgeMessage::Played { attempt, frames } => self.note_played(attempt, frames),
            EdgeMessage::Forget(picture) => self.forget(picture),
            EdgeMessage::Bye => self.end(None),
            EdgeMessage::Hello(_) | EdgeMessage::Ack(_) => {}
        }
    }

    fn say_received(&mut self) {
        self.acknowledge.said();
        if self.detached.is_none() {
            let Acknowledge { control, vision, .. } = self.acknowledge;
            self.outputs.push_back(ClusterOutput::Send(ClusterMessage::Ack { control, vision }));
        }
    }

    /// When to act if nothing else comes, and nothing when the session is over.
    fn next_due(&self) -> Option<Micros> {
        let ack = self.acknowledge.due().filter(|_| self.detached.is_none());
        let expiry = self.detached.map(|since| since.after(SESSION_KEPT));
        [ack, expiry].into_iter().flatten().min().filter(|_| !self.ended)
    }

    fn pass_time(&mut self) {
        while self.next_due().is_some_and(|due| due <= self.now) {
            if self.detached.is_some() {
                self.end(None);
            } else {
                self.say_received();
            }
        }
    }
}

impl Machine for Session {
    type Input = ClusterInput;
    type Output = ClusterOutput;

    fn handle(&mut self, now: Micros, input: ClusterInput) {
        assert!(self.outputs.is_empty(), "outputs of the session were not drained");
        self.now = self.now.max(now);
        self.pass_time();
        if self.ended {
            return;
        }
        match input {
            ClusterInput::Tick => {}
            ClusterInput::Attached { received, restarted } => self.attach(received, restarted),
            ClusterInput::Detached => {
                self.detached.get_or_insert(self.now);
            }
            ClusterInput::Control(message) => self.control(message),
            ClusterInput::Vision(message) => self.vision(message),
            ClusterInput::Egress { full } => {
                self.egress_full = full;
                self.go_on();
            }
            ClusterInput::Sampled { attempt, step, text, codes } => self.take_step(attempt, step, text, codes),
            ClusterInput::Failed { refusal, length } => self.fail(refusal, length),
        }
        self.pass_time();
    }

    fn poll(&mut self) -> Option<ClusterOutput> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        self.next_due()
    }
}
