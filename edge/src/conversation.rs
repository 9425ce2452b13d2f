//! The edge as one machine: voice activity → turn → uplink, session, downlink, playout.
//!
//! It holds no rule of its own but who hears what, in which order. The driver feeds it and does what it asks; so does the
//! simulator.

use std::collections::VecDeque;
use std::sync::Arc;

use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::edge::{EdgeInput, EdgeOutput, Session};
use caracal_shared::session::{Ending, Transcript};
use caracal_shared::turn::{AttemptId, Turn, TurnId, TurnInput, TurnOutput, TurnState, TurnTiming};
use caracal_shared::wire::{ClusterMessage, Continue, EdgeMessage, Reason, Refusal, Ticket, VisionMessage, Welcome};

use crate::audio::voice_activity::VoiceEvent;
use crate::downlink::{Downlink, DownlinkInput, DownlinkOutput};
use crate::job::{Job, JobResult};
use crate::playout::{Block, Playout, PlayoutInput, PlayoutOutput};
use crate::timeline::TimelineEvent;
use crate::uplink::{Hop, Uplink, UplinkInput, UplinkOutput};
use crate::vision::Picture;

/// What a conversation is made with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long silences must be.
    pub timing: TurnTiming,
    /// Whether there is a camera.
    pub camera: bool,
    /// Samples a second of the codec.
    pub speaker_rate: u32,
    /// Of a session that an earlier process had.
    pub ticket: Option<Ticket>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Time passes.
    Tick,
    /// The microphone delivered 10 ms.
    Hop(Box<Hop>),
    /// Speech began or ended.
    Voice(VoiceEvent),
    /// The camera delivered a picture.
    Camera(Arc<Picture>),
    /// The user shows a picture.
    Show(Arc<Picture>),
    /// The accelerator is done with a job.
    Done(JobResult),
    /// The speaker wants 10 ms.
    Pull,
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
pub enum Output {
    /// Of the accelerator.
    Job(Job),
    /// Say this on the control stream.
    Control(EdgeMessage),
    /// Say this on the vision stream.
    Vision(VisionMessage),
    /// For the speaker.
    Block(Block),
    /// Keep this ticket, or none.
    Ticket(Option<Ticket>),
    /// Connect anew.
    Reconnect,
    /// Something that a person may want to know.
    Story(Story),
}

/// What happened, for people, logs and timelines.
#[derive(Clone, Debug, PartialEq)]
pub enum Story {
    /// The user speaks.
    TurnStarted(TurnId),
    /// It was no speech.
    TurnCancelled(TurnId),
    /// Speech was believed to begin, in a turn or as its beginning.
    SpeechStarted,
    /// The user fell silent.
    SpeechStopped,
    /// An answer is being made on a guess.
    Speculated(AttemptId),
    /// The guess was wrong.
    RolledBack(AttemptId),
    /// The turn is over.
    Endpoint {
        /// Its answer.
        attempt: AttemptId,
        /// Whether it was begun on a guess.
        speculated: bool,
        /// Samples of it that were ready.
        ready: u32,
    },
    /// The first codes came.
    FirstCodes(AttemptId),
    /// The first sound went to the speaker.
    FirstSound(AttemptId),
    /// The user interrupted; so many frames were heard.
    BargedIn(AttemptId, u32),
    /// The answer was heard to its end.
    ReplyEnded(AttemptId),
    /// More of the answer's text.
    Caption(AttemptId, String),
    /// What remains of the answer.
    Closed(AttemptId, Ending),
    /// The answer's sound did not come in time.
    Underrun(AttemptId),
    /// Samples of speech were lost.
    Overrun(u64),
    /// A picture was left out: the accelerator is too slow for it, or the turn has as many as it may.
    Unseen,
    /// The cluster has something to say.
    Notice(Reason, String),
}

impl Story {
    /// What the timeline draws of it.
    pub fn timeline_event(&self) -> Option<TimelineEvent> {
        let turn = |output| Some(TimelineEvent::Turn(output));
        match self {
            Story::TurnStarted(id) => turn(TurnOutput::TurnStart(*id)),
            Story::TurnCancelled(id) => turn(TurnOutput::TurnCancel(*id)),
            Story::SpeechStopped => Some(TimelineEvent::SpeechStopped),
            Story::Speculated(attempt) => turn(TurnOutput::SpeculativeEndpoint(*attempt)),
            Story::RolledBack(attempt) => turn(TurnOutput::Resume(*attempt)),
            Story::Endpoint { attempt, speculated, .. } => turn(TurnOutput::Endpoint { attempt: *attempt, speculated: *speculated }),
            Story::FirstCodes(attempt) => Some(TimelineEvent::Token(*attempt)),
            Story::BargedIn(attempt, _) => turn(TurnOutput::BargeIn(*attempt)),
            Story::ReplyEnded(attempt) => turn(TurnOutput::ReplyEnd(*attempt)),
            Story::Caption(attempt, text) => Some(TimelineEvent::Said { attempt: *attempt, text: text.clone() }),
            Story::SpeechStarted => Some(TimelineEvent::SpeechStarted),
            Story::FirstSound(_) | Story::Closed(..) | Story::Underrun(_) | Story::Overrun(_) | Story::Unseen | Story::Notice(..) => None,
        }
    }
}

/// The machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    now: Micros,
    turn: Turn,
    uplink: Uplink,
    session: Session,
    downlink: Downlink,
    playout: Playout,
    /// Attempts that will not come, though the turn machine may still wait for them.
    abandoned: Option<AttemptId>,
    /// Whose first codes came, and whose first sound was played.
    first_codes: Option<AttemptId>,
    first_sound: Option<AttemptId>,
    outputs: VecDeque<Output>,
}

impl Conversation {
    /// In which nobody has spoken, and which is not connected.
    pub fn new(settings: &Settings) -> Self {
        Self {
            now: Micros(0),
            turn: Turn::new(settings.timing),
            uplink: Uplink::new(settings.camera),
            session: Session::new(settings.camera, settings.ticket),
            downlink: Downlink::default(),
            playout: Playout::new(settings.speaker_rate),
            abandoned: None,
            first_codes: None,
            first_sound: None,
            outputs: VecDeque::new(),
        }
    }

    /// What a Hello says about the session to go on with.
    pub fn resume(&self) -> Option<Continue> {
        self.session.resume()
    }

    /// Where the conversation is.
    pub fn state(&self) -> TurnState {
        self.turn.state()
    }

    /// What was said and answered.
    pub fn transcript(&self) -> &Transcript {
        self.session.transcript()
    }

    /// Whether a connection stands.
    pub fn is_linked(&self) -> bool {
        self.session.is_linked()
    }

    /// Samples that wait to be played, and bytes that wait to be acknowledged.
    pub fn depths(&self) -> (usize, usize) {
        (self.playout.waiting(), self.session.unacknowledged_bytes())
    }

    /// Whether all that it keeps is within its limits: what tests of long conversations ask.
    pub fn is_within_limits(&self) -> bool {
        self.session.is_within_limits() && self.uplink.is_within_limits()
    }

    fn story(&mut self, story: Story) {
        self.outputs.push_back(Output::Story(story));
    }

    fn turn(&mut self, input: TurnInput) {
        self.turn.handle(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.turn.poll()).collect();
        outputs.into_iter().for_each(|output| self.turn_says(output));
    }

    fn turn_says(&mut self, output: TurnOutput) {
        match output {
            TurnOutput::TurnStart(turn) => self.story(Story::TurnStarted(turn)),
            TurnOutput::TurnCancel(turn) => self.story(Story::TurnCancelled(turn)),
            TurnOutput::SpeculativeEndpoint(attempt) => {
                self.expect(attempt);
                self.story(Story::Speculated(attempt));
            }
            TurnOutput::Resume(attempt) => {
                self.silence();
                self.story(Story::RolledBack(attempt));
            }
            TurnOutput::Endpoint { attempt, speculated } => {
                if !speculated {
                    self.expect(attempt);
                }
                let ready = self.playout.waiting() as u32;
                self.story(Story::Endpoint { attempt, speculated, ready });
                self.playout(PlayoutInput::Open(attempt));
            }
            TurnOutput::BargeIn(attempt) => {
                self.silence();
                let frames = self.session.played(attempt);
                self.story(Story::BargedIn(attempt, frames));
            }
            TurnOutput::ReplyEnd(attempt) => {
                self.silence();
                self.story(Story::ReplyEnded(attempt));
            }
        }
        // The session knows of a closing before its tail can come.
        self.session(EdgeInput::Turn(output));
        self.uplink(UplinkInput::Turn(output));
        if let TurnOutput::Endpoint { attempt, .. } = output
            && self.abandoned == Some(attempt)
        {
            self.end_abandoned(attempt);
        }
    }

    fn expect(&mut self, attempt: AttemptId) {
        self.downlink(DownlinkInput::Expect(attempt));
        self.playout(PlayoutInput::Expect(attempt));
    }

    fn silence(&mut self) {
        self.playout(PlayoutInput::Stop);
        self.downlink(DownlinkInput::Drop);
    }

    /// Brings the turn machine to an end with an answer that will not come.
    fn end_abandoned(&mut self, attempt: AttemptId) {
        self.silence();
        self.turn(TurnInput::ReplyGenerated(attempt));
        self.turn(TurnInput::Playback { attempt, empty: true });
    }

    fn uplink(&mut self, input: UplinkInput) {
        self.uplink.handle(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.uplink.poll()).collect();
        for output in outputs {
            match output {
                UplinkOutput::Job(job) => self.outputs.push_back(Output::Job(job)),
                UplinkOutput::Session(input) => self.session(input),
                UplinkOutput::Overrun(samples) => self.story(Story::Overrun(samples)),
                UplinkOutput::Unseen => self.story(Story::Unseen),
            }
        }
    }

    fn session(&mut self, input: EdgeInput) {
        self.session.handle(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.session.poll()).collect();
        for output in outputs {
            match output {
                EdgeOutput::Control(message) => self.outputs.push_back(Output::Control(message)),
                EdgeOutput::Vision(message) => self.outputs.push_back(Output::Vision(message)),
                EdgeOutput::Speech(attempt, frames) => {
                    if self.first_codes.replace(attempt) != Some(attempt) {
                        self.story(Story::FirstCodes(attempt));
                    }
                    self.downlink(DownlinkInput::Speech(attempt, frames));
                }
                EdgeOutput::Caption(attempt, text) => self.story(Story::Caption(attempt, text)),
                EdgeOutput::ReplyGenerated(attempt) => self.downlink(DownlinkInput::Generated(attempt)),
                EdgeOutput::Closed(attempt, ending) => self.story(Story::Closed(attempt, ending)),
                EdgeOutput::Restart(attempt) => {
                    self.expect(attempt);
                    if matches!(self.turn.state(), TurnState::Speak { attempt: heard, .. } if heard == attempt) {
                        self.playout(PlayoutInput::Open(attempt));
                    }
                }
                EdgeOutput::Abandon(attempt) => {
                    self.abandoned = Some(attempt);
                    self.end_abandoned(attempt);
                }
                EdgeOutput::Notice(reason, text) => self.story(Story::Notice(reason, text)),
                EdgeOutput::Ticket(ticket) => self.outputs.push_back(Output::Ticket(ticket)),
                EdgeOutput::Reconnect => self.outputs.push_back(Output::Reconnect),
            }
        }
    }

    fn downlink(&mut self, input: DownlinkInput) {
        self.downlink.handle(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.downlink.poll()).collect();
        for output in outputs {
            match output {
                DownlinkOutput::Job(job) => self.outputs.push_back(Output::Job(job)),
                DownlinkOutput::Sound(attempt, samples) => self.playout(PlayoutInput::Sound(attempt, samples)),
                DownlinkOutput::Complete(attempt) => {
                    self.playout(PlayoutInput::Complete(attempt));
                    self.turn(TurnInput::ReplyGenerated(attempt));
                }
            }
        }
    }

    fn playout(&mut self, input: PlayoutInput) {
        self.playout.handle(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.playout.poll()).collect();
        for output in outputs {
            match output {
                PlayoutOutput::Block(block) => {
                    if let Some(attempt) = block.attempt
                        && self.first_sound.replace(attempt) != Some(attempt)
                    {
                        self.story(Story::FirstSound(attempt));
                    }
                    self.outputs.push_back(Output::Block(block));
                }
                PlayoutOutput::Playback { attempt, empty } => self.turn(TurnInput::Playback { attempt, empty }),
                PlayoutOutput::Played(attempt, frames) => self.session(EdgeInput::Played { attempt, frames }),
                PlayoutOutput::Underrun(attempt) => self.story(Story::Underrun(attempt)),
            }
        }
    }

    /// Ticks each machine at the moment that it asked for, in order.
    fn pass_time(&mut self, now: Micros) {
        while let Some(due) = self.deadline().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            if self.turn.deadline().is_some_and(|at| at <= due) {
                self.turn(TurnInput::Tick);
            } else {
                self.session(EdgeInput::Tick);
            }
        }
        self.now = self.now.max(now);
    }
}

impl Machine for Conversation {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Micros, input: Input) {
        assert!(self.outputs.is_empty(), "outputs of the conversation were not drained");
        let now = self.now.max(now);
        self.pass_time(now);
        match input {
            Input::Tick => {}
            Input::Hop(hop) => self.uplink(UplinkInput::Hop(hop)),
            Input::Voice(event) => {
                self.uplink(UplinkInput::Voice(event));
                let input = event.turn_input(self.uplink.spoke_before());
                self.story(if input == TurnInput::SpeechStart { Story::SpeechStarted } else { Story::SpeechStopped });
                self.turn(input);
            }
            Input::Camera(picture) => self.uplink(UplinkInput::Camera(picture)),
            Input::Show(picture) => self.uplink(UplinkInput::Show(picture)),
            Input::Done(result @ JobResult::Spoken { .. }) => self.downlink(DownlinkInput::Done(result)),
            Input::Done(result) => self.uplink(UplinkInput::Done(result)),
            Input::Pull => self.playout(PlayoutInput::Pull),
            Input::Linked(welcome) => self.session(EdgeInput::Linked(welcome)),
            Input::Unlinked => self.session(EdgeInput::Unlinked),
            Input::Refused(refusal) => self.session(EdgeInput::Refused(refusal)),
            Input::Received(message) => self.session(EdgeInput::Received(message)),
            Input::Leave => self.session(EdgeInput::Leave),
        }
        self.pass_time(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        [self.turn.deadline(), self.session.deadline()].into_iter().flatten().min()
    }
}
