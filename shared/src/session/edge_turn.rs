//! The user's turn on the edge: its order, its provisional tail, and its end.
//!
//! Hop 6. Rules R3, R5, R8 to R13 and R20.

use alloc::vec::Vec;

use super::edge::{Phase, Session};
use super::order::{Content, TurnOrder};
use super::transcript::{Digest, Ending, Exchange};
use crate::turn::{AttemptId, TurnId, TurnOutput};
use crate::wire::{EdgeMessage, Embeddings, PictureId, SeenAs};

/// A turn on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listening {
    pub(super) turn: TurnId,
    pub(super) order: TurnOrder,
    pub(super) brought: Brought,
    /// Pictures that stand in front of it.
    pub(super) front: Vec<(PictureId, SeenAs)>,
    /// Pictures that were told, those in front first.
    pub(super) used: Vec<PictureId>,
    pub(super) closing: Option<Closing>,
}

/// A turn that may be over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closing {
    pub(super) attempt: AttemptId,
    /// Once the tail was told: what was before it.
    pub(super) told: Option<Told>,
    /// The turn is over.
    pub(super) over: bool,
}

/// A turn before its provisional tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) brought: Brought,
    /// Length of the log.
    pub(super) logged: usize,
    /// Pictures that were used.
    pub(super) used: usize,
    /// The picture that only the tail has; the others of the tail wait for their place again.
    pub(super) own: Option<PictureId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Brought {
    pub(super) audio: u32,
    pub(super) pictures: u32,
    pub(super) digest: Digest,
}

impl Session {
    pub(super) fn turn(&mut self, output: TurnOutput) {
        if self.is_behind() {
            return self.backlog.push_back(output);
        }
        match output {
            TurnOutput::TurnStart(turn) => {
                self.log.clear();
                // The cluster forgot them by itself when their turn was over.
                core::mem::take(&mut self.spent).iter().for_each(|picture| _ = self.pictures.remove(picture));
                self.phase = Phase::Listening(Listening {
                    turn,
                    order: TurnOrder::new(self.camera),
                    brought: Brought::default(),
                    front: Vec::new(),
                    used: Vec::new(),
                    closing: None,
                });
                self.say(EdgeMessage::TurnStart(turn));
            }
            TurnOutput::TurnCancel(turn) => self.cancel(turn),
            TurnOutput::SpeculativeEndpoint(attempt) => self.close(attempt, false),
            TurnOutput::Endpoint { attempt, .. } => self.close(attempt, true),
            TurnOutput::Resume(attempt) => self.take_back(attempt),
            TurnOutput::BargeIn(attempt) => {
                if let Phase::Answered { attempt: of, played, .. } = self.phase
                    && of == attempt
                {
                    self.phase = Phase::Quiet;
                    self.say(EdgeMessage::BargeIn { attempt, frames: played });
                }
            }
            TurnOutput::ReplyEnd(attempt) => {
                if matches!(self.phase, Phase::Answered { attempt: of, .. } if of == attempt) {
                    self.phase = Phase::Quiet;
                    self.say(EdgeMessage::ReplyEnd(attempt));
                }
            }
        }
    }

    /// Whether the turn machine is ahead: the turn is over for it, and its tail is not there.
    fn is_behind(&self) -> bool {
        matches!(&self.phase, Phase::Listening(Listening { closing: Some(Closing { over: true, .. }), .. }))
    }

    pub(super) fn cancel(&mut self, turn: TurnId) {
        let Phase::Listening(open) = &mut self.phase else { return };
        if open.turn != turn {
            return;
        }
        // Those in front stand in front of the next turn again; those of its seconds are nobody's.
        let front = core::mem::take(&mut open.front);
        let mut nobodys = open.order.unplaced();
        nobodys.extend(open.used.drain(front.len().min(open.used.len())..));
        front.into_iter().rev().for_each(|unit| self.buffered.push_front(unit));
        self.phase = Phase::Quiet;
        self.log.clear();
        self.say(EdgeMessage::TurnCancel(turn));
        nobodys.into_iter().for_each(|picture| self.forget(picture));
    }

    pub(super) fn close(&mut self, attempt: AttemptId, over: bool) {
        let Phase::Listening(open) = &mut self.phase else { return };
        if open.closing.is_none() && self.dropped == Some(attempt) {
            // Its tail went with the session that was lost. A turn of which nothing follows is none to the new one.
            let turn = open.turn;
            return if over {
                self.cancel(turn)
            };
        }
        let closing = open.closing.get_or_insert(Closing { attempt, told: None, over: false });
        if closing.attempt == attempt {
            closing.over |= over;
            self.finish_turn();
        }
    }

    pub(super) fn take_back(&mut self, attempt: AttemptId) {
        let Phase::Listening(open) = &mut self.phase else { return };
        if let Some(closing) = open.closing.take_if(|closing| closing.attempt == attempt)
            && let Some(told) = closing.told
        {
            open.brought = told.brought;
            open.used.truncate(told.used);
            self.log.truncate(told.logged);
            self.say_once(EdgeMessage::Resume(attempt));
            told.own.into_iter().for_each(|picture| self.forget(picture));
        }
        self.advance();
    }

    pub(super) fn tail(&mut self, attempt: AttemptId, audio: Option<Embeddings>, unit: Option<(PictureId, SeenAs)>) {
        let expected = |closing: &Closing| closing.attempt == attempt && closing.told.is_none();
        if !matches!(&self.phase, Phase::Listening(Listening { closing: Some(closing), .. }) if expected(closing)) {
            return unit.into_iter().for_each(|(picture, _)| self.forget(picture));
        }
        self.tell_front();
        let Phase::Listening(open) = &mut self.phase else { return };
        let (turn, used) = (open.turn, open.used.len());
        let Some(closing) = &mut open.closing else { return };
        closing.told = Some(Told { brought: open.brought, logged: self.log.len(), used, own: unit.map(|(picture, _)| picture) });
        let mut order = open.order.clone();
        audio.into_iter().for_each(|embeddings| order.push_audio(embeddings));
        unit.into_iter().for_each(|unit| order.push_unit(Some(unit)));
        for content in order.close() {
            self.tell(turn, Some(attempt), content);
        }
        if let (Some((picture, _)), Phase::Listening(open)) = (unit, &self.phase)
            && !open.used.contains(&picture)
        {
            self.forget(picture);
        }
        // The session may have been given up in the middle of it.
        if !matches!(&self.phase, Phase::Listening(Listening { closing: Some(closing), .. }) if closing.attempt == attempt) {
            return;
        }
        self.say(EdgeMessage::SpeculativeEndpoint { turn, attempt });
        self.finish_turn();
    }

    /// Ends the turn when its tail was told and it is over; then goes on with what came meanwhile.
    fn finish_turn(&mut self) {
        let Phase::Listening(Listening { turn, brought, closing: Some(Closing { attempt, told: Some(_), over: true }), .. }) = self.phase
        else {
            return;
        };
        let Phase::Listening(open) = core::mem::replace(&mut self.phase, Phase::Answered { turn, attempt, played: 0, told: 0 }) else {
            return;
        };
        let unplaced: Vec<_> = open.order.unplaced().into_iter().filter(|picture| !open.used.contains(picture)).collect();
        self.spent = open.used;
        let Brought { audio, pictures, digest } = brought;
        // The cluster has said that it will not answer this one.
        let ending = if self.dropped == Some(attempt) { Ending::Cut(Default::default()) } else { Ending::Open };
        self.transcript.open(Exchange { turn, attempt, audio, pictures, digest, ending });
        self.say(EdgeMessage::Endpoint { turn, attempt });
        unplaced.into_iter().for_each(|picture| self.forget(picture));
        while !self.is_behind()
            && let Some(output) = self.backlog.pop_front()
        {
            self.turn(output);
        }
    }

    /// Says what has become ready of the open turn. Nothing while a tail is told: it would stand behind its own copy.
    pub(super) fn advance(&mut self) {
        let Phase::Listening(open) = &mut self.phase else { return };
        if open.closing.as_ref().is_some_and(|closing| closing.told.is_some()) {
            return;
        }
        let (turn, contents) = (open.turn, open.order.take());
        if !contents.is_empty() {
            self.tell_front();
        }
        for content in contents {
            self.tell(turn, None, content);
        }
    }

    /// Says the pictures that waited for the turn, if it has brought nothing yet.
    fn tell_front(&mut self) {
        let Phase::Listening(open) = &mut self.phase else { return };
        if open.brought.audio > 0 || !open.used.is_empty() || self.buffered.is_empty() {
            return;
        }
        let turn = open.turn;
        open.front = core::mem::take(&mut self.buffered).into();
        open.front.retain(|(picture, _)| self.pictures.contains_key(picture));
        for (picture, seen) in open.front.clone() {
            self.tell(turn, None, Content::Unit(picture, seen));
        }
    }

    /// Says one piece of the turn.
    fn tell(&mut self, turn: TurnId, provisional: Option<AttemptId>, content: Content) {
        let Phase::Listening(open) = &mut self.phase else { return };
        let message = match content {
            Content::Audio(embeddings) => {
                open.brought.audio += embeddings.count();
                open.brought.digest.add(embeddings.values());
                EdgeMessage::Audio { turn, provisional, embeddings }
            }
            Content::Unit(picture, seen) => {
                let Some(embeddings) = self.pictures.get(&picture) else { return };
                open.used.push(picture);
                open.brought.pictures += 1;
                open.brought.digest.add(embeddings.values());
                EdgeMessage::Unit { turn, provisional, picture, seen }
            }
        };
        self.say(message);
    }
}
