//! The edge's session and its connections: greeting, acknowledging, coming back, and beginning anew.

use alloc::vec::Vec;

use super::acknowledge::Acknowledge;
use super::edge::{EdgeOutput, Phase, Session, Shift};
use super::edge_turn::{Brought, Closing, Listening};
use super::resend::Resend;
use super::transcript::Ending;
use crate::limits::RESEND_BYTES_MAX;
use crate::machine::{Machine, Micros};
use crate::turn::{AttemptId, TurnId};
use crate::wire::{ClusterMessage, Continue, EdgeMessage, Embeddings, PictureId, Reason, Refusal, SeenAs, VisionMessage, Welcome, Wire};

/// Microseconds of a tenth of a second.
const TENTH: u64 = 100_000;

impl Session {
    /// What a Hello says about the session to go on with; `None` begins one.
    pub fn resume(&self) -> Option<Continue> {
        let ticket = self.ticket?;
        Some(Continue { ticket, received: self.acknowledge.control, restarted: self.restarted })
    }

    pub(super) fn link(&mut self, welcome: Welcome) {
        let same = self.ticket == Some(welcome.ticket);
        if self.restarted && same {
            // What was said before this connection was never sent: it follows on what the earlier process said.
            self.shift = Shift {
                turn: welcome.next_turn,
                attempt: welcome.next_attempt,
                picture: welcome.next_picture,
                tenths: (welcome.now / TENTH).saturating_sub(self.now.0 / TENTH),
            };
            self.control.renumber(welcome.control);
            self.vision.renumber(welcome.vision);
            self.acknowledge = Acknowledge::after(welcome.sent);
        } else if !(self.control.acknowledge(welcome.control) && self.vision.acknowledge(welcome.vision)) {
            return self.give_up(Refusal::new(Reason::Protocol, "the cluster does not remember what it acknowledged."), true);
        }
        self.restarted = false;
        self.linked = true;
        if !same {
            self.ticket = Some(welcome.ticket);
            self.outputs.push_back(EdgeOutput::Ticket(self.ticket));
        }
        let control: Vec<_> = self.control.waiting().map(|message| EdgeOutput::Control(self.shift.control(message.clone()))).collect();
        let vision: Vec<_> = self.vision.waiting().map(|message| EdgeOutput::Vision(self.shift.vision(message.clone()))).collect();
        self.outputs.extend(vision);
        self.outputs.extend(control);
    }

    /// The session is lost. What is open is told again in a new one, if `again`, if nothing of its answer
    /// was heard, and if it is no longer than is kept.
    pub(super) fn give_up(&mut self, refusal: Refusal, again: bool) {
        self.linked = false;
        if core::mem::take(&mut self.restarted) && again {
            // Nothing of this memory was ever sent: it is all there for a new session.
            self.ticket = None;
            let notice = EdgeOutput::Notice(refusal.reason, refusal.text);
            return self.outputs.extend([EdgeOutput::Ticket(None), notice, EdgeOutput::Reconnect]);
        }
        self.ticket = None;
        self.shift = Shift::default();
        self.acknowledge = Acknowledge::default();
        (self.control, self.vision) = (Resend::default(), Resend::default());
        self.outputs.push_back(EdgeOutput::Ticket(None));
        self.outputs.push_back(EdgeOutput::Notice(refusal.reason, refusal.text));
        let (log, living) = (self.log.take(), self.living());
        let open = match self.phase {
            Phase::Quiet => false,
            Phase::Listening(_) => true,
            Phase::Answered { played, .. } => played == 0,
        };
        let told_again = log.filter(|_| again && open && self.picture_bytes() <= RESEND_BYTES_MAX);
        self.transcript.lose(living.filter(|_| told_again.is_some()));
        if told_again.is_none() {
            if again && open {
                let text = "What was said last is too long to be told to it again. Please say it again.".into();
                self.outputs.push_back(EdgeOutput::Notice(Reason::TurnTooLong, text));
            }
            self.lose_turn();
        }
        // The new session has seen nothing: not what waits for the next turn either.
        if self.picture_bytes() > RESEND_BYTES_MAX {
            self.pictures.clear();
        }
        let pictures: Vec<_> = self.pictures.iter().map(|(id, e)| (*id, e.clone())).collect();
        pictures.into_iter().for_each(|(picture, embeddings)| self.show(VisionMessage::Picture { picture, embeddings }));
        if let Some(log) = told_again {
            log.into_iter().for_each(|message| self.say(message));
            self.outputs.extend(living.map(EdgeOutput::Restart));
        } else {
            if let Phase::Listening(Listening { turn, .. }) = self.phase {
                self.say(EdgeMessage::TurnStart(turn));
            }
            self.outputs.extend(living.map(EdgeOutput::Abandon));
        }
        self.outputs.push_back(EdgeOutput::Reconnect);
    }

    /// Bytes of the pictures that a turn may still need.
    fn picture_bytes(&self) -> usize {
        let bytes = |(picture, embeddings): (&PictureId, &Embeddings)| {
            VisionMessage::Picture { picture: *picture, embeddings: embeddings.clone() }.bytes()
        };
        self.pictures.iter().map(bytes).sum()
    }

    /// What is open goes with its session: the answer will not come, and a turn begins anew with what follows.
    fn lose_turn(&mut self) {
        let mut used = core::mem::take(&mut self.spent);
        if let Phase::Listening(open) = &mut self.phase {
            used.append(&mut open.used);
            open.front.clear();
            open.brought = Brought::default();
            // To the new session there was no guess: its end would close a turn that it does not know to be over.
            if let Some(Closing { attempt, .. }) = open.closing.take_if(|closing| closing.told.is_some()) {
                self.dropped = Some(attempt);
            }
        } else {
            // Its place in the turn machine is ended by what follows from this; to the new session it is nothing.
            self.phase = Phase::Quiet;
        }
        used.iter().for_each(|picture| _ = self.pictures.remove(picture));
    }

    pub(super) fn receive(&mut self, message: ClusterMessage) {
        if message.is_counted() && self.acknowledge.received(self.now, false) {
            self.say_received();
        }
        let Some(message) = self.shift.received(message) else { return };
        match message {
            ClusterMessage::Welcome(_) => {}
            ClusterMessage::Refusal(refusal) => self.give_up(refusal, true),
            ClusterMessage::Ack { control, vision } => {
                if !(self.control.acknowledge(control) && self.vision.acknowledge(vision)) {
                    self.give_up(Refusal::new(Reason::Protocol, "the cluster acknowledged what was never sent."), true);
                }
            }
            ClusterMessage::Speech { attempt, frames } if self.living() == Some(attempt) => {
                self.outputs.push_back(EdgeOutput::Speech(attempt, frames));
            }
            ClusterMessage::Caption { attempt, text } if self.living() == Some(attempt) => {
                self.outputs.push_back(EdgeOutput::Caption(attempt, text));
            }
            ClusterMessage::ReplyGenerated { attempt, .. } if self.living() == Some(attempt) => {
                self.outputs.push_back(EdgeOutput::ReplyGenerated(attempt));
            }
            ClusterMessage::ReplyClosed { attempt, text, whole } => {
                let ending = if whole { Ending::Whole(text) } else { Ending::Cut(text) };
                if self.transcript.close(attempt, ending.clone()) {
                    self.outputs.push_back(EdgeOutput::Closed(attempt, ending));
                }
            }
            ClusterMessage::Notice { reason, text, turn } => {
                self.outputs.push_back(EdgeOutput::Notice(reason, text));
                self.drop_turn(turn);
            }
            // Of a dead attempt.
            ClusterMessage::Speech { .. } | ClusterMessage::Caption { .. } | ClusterMessage::ReplyGenerated { .. } => {}
        }
    }

    /// The cluster will not answer this turn.
    fn drop_turn(&mut self, turn: Option<TurnId>) {
        let lost = match &self.phase {
            Phase::Answered { turn: of, attempt, .. } if turn == Some(*of) => Some(*attempt),
            Phase::Listening(Listening { turn: of, closing: Some(Closing { attempt, .. }), .. }) if turn == Some(*of) => Some(*attempt),
            _ => None,
        };
        self.dropped = lost.or(self.dropped);
        self.outputs.extend(lost.map(EdgeOutput::Abandon));
    }

    fn say_received(&mut self) {
        self.acknowledge.said();
        if self.linked {
            self.outputs.push_back(EdgeOutput::Control(EdgeMessage::Ack(self.acknowledge.control)));
        }
    }

    pub(super) fn leave(&mut self) {
        self.say_once(EdgeMessage::Bye);
        self.ticket = None;
        self.outputs.push_back(EdgeOutput::Ticket(None));
    }

    pub(super) fn pass_time(&mut self) {
        while self.deadline().is_some_and(|due| due <= self.now) {
            self.say_received();
        }
    }

    /// Session time now, in tenths of a second: what a picture's time is counted in.
    pub fn tenths(at: Micros) -> u64 {
        at.0 / TENTH
    }
}

impl Shift {
    pub(super) fn control(self, message: EdgeMessage) -> EdgeMessage {
        let turn = |id: TurnId| TurnId(id.0 + self.turn);
        let attempt = |id: AttemptId| AttemptId(id.0 + self.attempt);
        match message {
            EdgeMessage::TurnStart(id) => EdgeMessage::TurnStart(turn(id)),
            EdgeMessage::TurnCancel(id) => EdgeMessage::TurnCancel(turn(id)),
            EdgeMessage::Audio { turn: id, provisional, embeddings } => {
                EdgeMessage::Audio { turn: turn(id), provisional: provisional.map(attempt), embeddings }
            }
            EdgeMessage::Unit { turn: id, provisional, picture, seen } => EdgeMessage::Unit {
                turn: turn(id),
                provisional: provisional.map(attempt),
                picture: PictureId(picture.0 + self.picture),
                seen: match seen {
                    SeenAs::Sparse { tenths } => SeenAs::Sparse { tenths: tenths + self.tenths },
                    SeenAs::Dense { tenths } => SeenAs::Dense { tenths: tenths + self.tenths },
                    SeenAs::Still => SeenAs::Still,
                },
            },
            EdgeMessage::SpeculativeEndpoint { turn: id, attempt: of } => {
                EdgeMessage::SpeculativeEndpoint { turn: turn(id), attempt: attempt(of) }
            }
            EdgeMessage::Resume(of) => EdgeMessage::Resume(attempt(of)),
            EdgeMessage::Endpoint { turn: id, attempt: of } => EdgeMessage::Endpoint { turn: turn(id), attempt: attempt(of) },
            EdgeMessage::BargeIn { attempt: of, frames } => EdgeMessage::BargeIn { attempt: attempt(of), frames },
            EdgeMessage::ReplyEnd(of) => EdgeMessage::ReplyEnd(attempt(of)),
            EdgeMessage::Played { attempt: of, frames } => EdgeMessage::Played { attempt: attempt(of), frames },
            EdgeMessage::Forget(picture) => EdgeMessage::Forget(PictureId(picture.0 + self.picture)),
            message @ (EdgeMessage::Hello(_) | EdgeMessage::Ack(_) | EdgeMessage::Bye) => message,
        }
    }

    pub(super) fn vision(self, message: VisionMessage) -> VisionMessage {
        match message {
            VisionMessage::Picture { picture, embeddings } => {
                VisionMessage::Picture { picture: PictureId(picture.0 + self.picture), embeddings }
            }
        }
    }

    /// `None` for what an earlier process asked for.
    fn received(self, message: ClusterMessage) -> Option<ClusterMessage> {
        let attempt = |id: AttemptId| id.0.checked_sub(self.attempt).map(AttemptId);
        Some(match message {
            ClusterMessage::Speech { attempt: of, frames } => ClusterMessage::Speech { attempt: attempt(of)?, frames },
            ClusterMessage::Caption { attempt: of, text } => ClusterMessage::Caption { attempt: attempt(of)?, text },
            ClusterMessage::ReplyGenerated { attempt: of, frames } => ClusterMessage::ReplyGenerated { attempt: attempt(of)?, frames },
            ClusterMessage::ReplyClosed { attempt: of, text, whole } => ClusterMessage::ReplyClosed { attempt: attempt(of)?, text, whole },
            ClusterMessage::Notice { reason, text, turn } => {
                let turn = turn.and_then(|id| id.0.checked_sub(self.turn)).map(TurnId);
                ClusterMessage::Notice { reason, text, turn }
            }
            message => message,
        })
    }
}
