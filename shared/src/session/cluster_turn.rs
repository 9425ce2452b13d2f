//! The user's turn on the cluster: rows as they come, the mark before a guess, and the way back to it.
//!
//! Hop 7 and 8. Rules R5, R10, R11, R20 and R23.

use alloc::vec::Vec;

use super::cluster::{Phase, Session, SessionEvent};
use super::engine::{EngineOp, Part};
use super::transcript::Digest;
use crate::limits::TURN_ROWS_MAX;
use crate::turn::{AttemptId, TurnId};
use crate::wire::{ClusterMessage, Embeddings, PictureId, Reason, Refusal, SeenAs};

/// Share of the context that must be free when a turn begins, and that is kept free for its answer.
const TURN_SHARE: u32 = 4;
const ANSWER_SHARE: u32 = 8;

/// What a turn has brought so far.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Brought {
    pub(super) audio: u32,
    pub(super) pictures: u32,
    pub(super) digest: Digest,
    /// Pictures that it used.
    pub(super) used: Vec<PictureId>,
}

/// The state before a provisional tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) attempt: AttemptId,
    pub(super) length: u32,
    pub(super) brought: Brought,
}

/// A turn of the user that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenTurn {
    pub(super) turn: TurnId,
    /// Positions before it.
    pub(super) begin: u32,
    pub(super) brought: Brought,
    pub(super) mark: Option<Mark>,
    /// It became too long, and the user was told.
    pub(super) full: bool,
}

impl Session {
    pub(super) fn start_turn(&mut self, turn: TurnId) {
        if turn.0 < self.next_turn {
            return self.event(SessionEvent::Stale);
        }
        if self.phase != Phase::Idle {
            return self.refuse(Reason::Protocol, "a turn began before the one before it was closed");
        }
        self.next_turn = turn.0 + 1;
        if self.settings.context.saturating_sub(self.length) < self.settings.context / TURN_SHARE {
            self.truncate(0);
            let text = "The conversation has become longer than I can remember, so I begin anew.".into();
            self.say(ClusterMessage::Notice { reason: Reason::Context, text, turn: None });
        }
        let begin = self.length;
        let rows = self.settings.template.user().to_vec();
        self.work(EngineOp::Extend { parts: alloc::vec![Part::Rows(rows)], choose: None });
        self.phase = Phase::Turn(OpenTurn { turn, begin, brought: Brought::default(), mark: None, full: false });
        self.event(SessionEvent::TurnStarted);
    }

    pub(super) fn cancel_turn(&mut self, turn: TurnId) {
        match &self.phase {
            Phase::Turn(open) if open.turn == turn => {
                let begin = open.begin;
                self.phase = Phase::Idle;
                self.truncate(begin);
                self.event(SessionEvent::TurnCancelled);
            }
            _ => self.event(SessionEvent::Stale),
        }
    }

    pub(super) fn take_audio(&mut self, turn: TurnId, provisional: Option<AttemptId>, embeddings: Embeddings) {
        let (rows, cut) = (embeddings.count() + 1, self.settings.model.audio_cut);
        let audio_start = self.settings.template.audio_start();
        let Some(open) = self.open_for(turn, provisional, rows) else { return };
        let mut parts = Vec::new();
        if open.brought.audio == 0 {
            parts.push(Part::Rows(alloc::vec![audio_start]));
        }
        open.brought.audio += embeddings.count();
        open.brought.digest.add(embeddings.values());
        parts.push(Part::Audio(embeddings, cut));
        self.work(EngineOp::Extend { parts, choose: None });
    }

    pub(super) fn take_unit(&mut self, turn: TurnId, provisional: Option<AttemptId>, picture: PictureId, seen: SeenAs) {
        let Some(embeddings) = self.pictures.get(&picture).cloned() else { return self.event(SessionEvent::Stale) };
        let mut parts = Vec::new();
        let before = self.settings.template.before_picture(seen);
        let after = self.settings.template.after_picture(seen).to_vec();
        let rows = (before.len() + after.len()) as u32 + embeddings.count();
        let Some(open) = self.open_for(turn, provisional, rows) else { return };
        open.brought.pictures += 1;
        open.brought.digest.add(embeddings.values());
        open.brought.used.push(picture);
        let rows = [before, after].map(Part::Rows);
        let [before, after] = rows;
        parts.extend([before, Part::Picture(embeddings), after].into_iter().filter(|part| part.rows() > 0));
        self.work(EngineOp::Extend { parts, choose: None });
    }

    /// The open turn, marked when the content is provisional; `None` when it takes no content.
    fn open_for(&mut self, turn: TurnId, provisional: Option<AttemptId>, rows: u32) -> Option<&mut OpenTurn> {
        let (length, context) = (self.length, self.settings.context);
        let next_attempt = self.next_attempt;
        let Phase::Turn(open) = &mut self.phase else {
            self.event(SessionEvent::Stale);
            return None;
        };
        if open.turn != turn {
            self.event(SessionEvent::Stale);
            return None;
        }
        let marked = open.mark.as_ref().map(|mark| mark.attempt);
        match (marked, provisional) {
            (None, Some(attempt)) if attempt.0 >= next_attempt => {
                open.mark = Some(Mark { attempt, length, brought: open.brought.clone() });
            }
            (None, None) => {}
            (Some(marked), Some(attempt)) if marked == attempt => {}
            _ => {
                self.refuse(Reason::Protocol, "a turn went on behind a provisional end that was not taken back");
                return None;
            }
        }
        let room = TURN_ROWS_MAX.min(context.saturating_sub(context / ANSWER_SHARE).saturating_sub(open.begin));
        if length + rows - open.begin > room {
            if !core::mem::replace(&mut open.full, true) {
                let turn = open.turn;
                let text = alloc::format!("turn {} is longer than {room} positions; I did not take in the rest.", turn.0);
                self.say(ClusterMessage::Notice { reason: Reason::TurnTooLong, text, turn: None });
                self.event(SessionEvent::Refused(Reason::TurnTooLong));
            }
            return None;
        }
        match &mut self.phase {
            Phase::Turn(open) => Some(open),
            _ => None,
        }
    }

    /// The edge lost its memory in the middle: what was heard stays, and what is open is closed.
    pub(super) fn close_what_is_open(&mut self) {
        match &self.phase {
            Phase::Idle => {}
            Phase::Turn(open) => {
                let rows = self.settings.template.close_input(open.brought.audio > 0);
                self.phase = Phase::Idle;
                self.work(EngineOp::Extend { parts: alloc::vec![Part::Rows(rows)], choose: None });
            }
            Phase::Answer(answer) => {
                let played = answer.played;
                self.interrupt(played);
            }
        }
    }

    /// The engine cannot do the work of this turn: it never was, and the user is told.
    pub(super) fn fail(&mut self, refusal: Refusal, length: u32) {
        self.length = length;
        let (turn, begin, answered) = match &self.phase {
            Phase::Idle => return self.refuse(refusal.reason, refusal.text),
            Phase::Turn(open) => (open.turn, open.begin, None),
            Phase::Answer(answer) => (answer.open.turn, answer.open.begin, answer.heard.map(|_| answer.attempt)),
        };
        // What was lost belongs to an earlier turn: the model's memory is not what both sides believe.
        if length < begin {
            return self.refuse(refusal.reason, refusal.text);
        }
        self.phase = Phase::Idle;
        self.truncate(begin);
        self.event(SessionEvent::Refused(refusal.reason));
        if let Some(attempt) = answered {
            self.transcript.close(attempt, super::transcript::Ending::Cut(Default::default()));
            self.say(ClusterMessage::ReplyClosed { attempt, text: Default::default(), whole: false });
        }
        self.say(ClusterMessage::Notice { reason: refusal.reason, text: refusal.text, turn: Some(turn) });
    }
}
