//! The answer on the cluster: started on a guess, taken back or heard, broken off or ended.
//!
//! Hop 7 and 11. Rules R10 to R19.

use alloc::string::String;

use super::cluster::{Phase, Session, SessionEvent};
use super::cluster_turn::{Mark, OpenTurn};
use super::engine::{Choose, EngineOp, Part};
use super::reply::Reply;
use super::transcript::{Ending, Exchange};
use crate::machine::Micros;
use crate::reply::CODEBOOKS;
use crate::truncate::Closing;
use crate::turn::{AttemptId, TurnId};
use crate::wire::{ClusterMessage, Reason};

/// Positions that closing an answer may need beyond its steps.
const CLOSING_ROWS: u32 = 8;

/// An answer that is being made or heard.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) open: OpenTurn,
    pub(super) attempt: AttemptId,
    started: Micros,
    /// Positions before its first step.
    base: u32,
    /// Steps that the model has read.
    fed: u32,
    pub(super) reply: Reply,
    /// A step was asked for and has not come.
    asked: bool,
    /// Since when the turn is over: the user hears it.
    pub(super) heard: Option<Micros>,
    /// Frames that the user has heard, as far as was told.
    pub(super) played: u32,
}

impl Session {
    pub(super) fn start_answer(&mut self, turn: TurnId, attempt: AttemptId) {
        if attempt.0 < self.next_attempt {
            return self.event(SessionEvent::Stale);
        }
        let Phase::Turn(open) = &self.phase else { return self.event(SessionEvent::Stale) };
        if open.turn != turn || open.mark.as_ref().is_some_and(|mark| mark.attempt != attempt) {
            return self.refuse(Reason::Protocol, "an answer was asked for that does not belong to the open turn");
        }
        let mut open = open.clone();
        open.mark.get_or_insert_with(|| Mark { attempt, length: self.length, brought: open.brought.clone() });
        self.next_attempt = attempt.0 + 1;
        let mut rows = self.settings.template.close_input(open.brought.audio > 0);
        rows.extend_from_slice(self.settings.template.answer());
        let choose = Some(Choose { attempt, step: 0 });
        self.work(EngineOp::Extend { parts: alloc::vec![Part::Rows(rows)], choose });
        let reply = Reply::new(&self.settings.template, self.settings.code_sizes);
        self.phase = Phase::Answer(Answer {
            open,
            attempt,
            started: self.now,
            base: self.length,
            fed: 0,
            reply,
            asked: true,
            heard: None,
            played: 0,
        });
        self.event(SessionEvent::AnswerStarted(attempt));
    }

    /// The living answer, if it is this one.
    fn answer(&mut self, attempt: AttemptId) -> Option<&mut Answer> {
        match &mut self.phase {
            Phase::Answer(answer) if answer.attempt == attempt => Some(answer),
            _ => None,
        }
    }

    pub(super) fn take_back(&mut self, attempt: AttemptId) {
        let open = match &self.phase {
            Phase::Answer(answer) if answer.attempt == attempt && answer.heard.is_none() => answer.open.clone(),
            // The tail was sent, the end was not.
            Phase::Turn(open) if open.mark.as_ref().is_some_and(|mark| mark.attempt == attempt) => open.clone(),
            _ => return self.event(SessionEvent::Stale),
        };
        let mark = open.mark.clone().expect("an answer begins with a mark");
        self.next_attempt = self.next_attempt.max(attempt.0 + 1);
        self.truncate(mark.length);
        self.phase = Phase::Turn(OpenTurn { brought: mark.brought, mark: None, ..open });
        self.event(SessionEvent::RolledBack(attempt));
    }

    pub(super) fn let_be_heard(&mut self, turn: TurnId, attempt: AttemptId) {
        let now = self.now;
        let Some(answer) = self.answer(attempt) else { return self.event(SessionEvent::Stale) };
        if answer.heard.is_some() || answer.open.turn != turn {
            return self.event(SessionEvent::Stale);
        }
        answer.heard = Some(now);
        let (frames, sent) = (answer.reply.frames(), answer.reply.is_sent());
        let brought = answer.open.brought.clone();
        brought.used.iter().for_each(|picture| _ = self.pictures.remove(picture));
        let (audio, pictures, digest) = (brought.audio, brought.pictures, brought.digest);
        self.transcript.open(Exchange { turn, attempt, audio, pictures, digest, ending: Ending::Open });
        self.event(SessionEvent::Endpoint(attempt, frames));
        if sent {
            self.event(SessionEvent::FirstSpeech(attempt, Micros(0)));
        }
    }

    pub(super) fn take_step(&mut self, attempt: AttemptId, step: u32, text: u32, codes: [u32; CODEBOOKS]) {
        let (context, steps, now) = (self.settings.context, self.settings.reply_steps, self.now);
        let length = self.length;
        let Some(answer) = self.answer(attempt).filter(|answer| answer.asked && answer.reply.steps() == step) else {
            return self.event(SessionEvent::Stale);
        };
        answer.asked = false;
        let last = step + 1 >= steps || length + CLOSING_ROWS >= context;
        answer.reply.step(text, codes, last);
        let waited = Micros(now.0 - answer.started.0);
        if step == 0 {
            self.event(SessionEvent::FirstStep(attempt, waited));
        }
        self.tell_step(attempt);
        self.go_on();
    }

    /// Says what the last step added.
    fn tell_step(&mut self, attempt: AttemptId) {
        let template = self.settings.template.clone();
        let now = self.now;
        let Some(answer) = self.answer(attempt) else { return };
        // Speech that was sent before the turn's end was counted when it ended.
        let waited = answer.heard.filter(|_| !answer.reply.is_sent()).map(|since| Micros(now.0 - since.0));
        let frames = answer.reply.frames_to_send();
        let generated = answer.reply.is_generated().then(|| answer.reply.frames());
        let text = if answer.reply.has_new_text() || generated.is_some() { answer.reply.caption(&template) } else { None };
        if let Some(frames) = frames {
            for frames in frames.chunks(crate::limits::SPEECH_FRAMES_MAX) {
                self.say(ClusterMessage::Speech { attempt, frames: frames.to_vec() });
            }
            if let Some(waited) = waited {
                self.event(SessionEvent::FirstSpeech(attempt, waited));
            }
        }
        if let Some(text) = text {
            self.say(ClusterMessage::Caption { attempt, text });
        }
        if let Some(frames) = generated {
            self.say(ClusterMessage::ReplyGenerated { attempt, frames });
        }
    }

    /// Asks for the next step, unless one is on its way, none is to come, or the edge cannot take more.
    pub(super) fn go_on(&mut self) {
        let may = self.may_decode();
        let Phase::Answer(answer) = &mut self.phase else { return };
        if answer.asked || answer.reply.is_generated() || !may {
            return;
        }
        let step = answer.reply.steps();
        let parts = alloc::vec![Part::Steps(alloc::vec![answer.reply.input(step - 1)])];
        (answer.asked, answer.fed) = (true, step);
        let choose = Some(Choose { attempt: answer.attempt, step });
        self.work(EngineOp::Extend { parts, choose });
    }

    pub(super) fn barge_in(&mut self, attempt: AttemptId, frames: u32) {
        if self.answer(attempt).is_none_or(|answer| answer.heard.is_none()) {
            return self.event(SessionEvent::Stale);
        }
        self.interrupt(frames);
        self.event(SessionEvent::BargedIn(attempt));
    }

    pub(super) fn note_played(&mut self, attempt: AttemptId, frames: u32) {
        match self.answer(attempt) {
            Some(answer) => answer.played = answer.played.max(frames),
            None => self.event(SessionEvent::Stale),
        }
    }

    pub(super) fn end_reply(&mut self, attempt: AttemptId) {
        let template = self.settings.template.clone();
        let Some(answer) = self.answer(attempt).filter(|answer| answer.heard.is_some()) else { return self.event(SessionEvent::Stale) };
        match answer.reply.end(answer.fed) {
            Some(closing) => {
                let text = answer.reply.text(&template);
                self.close_reply(attempt, closing, text, true);
            }
            None => {
                let frames = answer.reply.frames();
                self.interrupt(frames);
            }
        }
        self.event(SessionEvent::ReplyEnded(attempt));
    }

    /// Cuts the answer at the nearest break before what was heard, and closes it.
    pub(super) fn interrupt(&mut self, frames: u32) {
        let Phase::Answer(answer) = &self.phase else { return };
        let (closing, text) = answer.reply.cut(frames, &self.settings.template);
        let attempt = answer.attempt;
        self.close_reply(attempt, closing, text, false);
    }

    /// Brings the cache to what remains of the answer, and says what that is.
    fn close_reply(&mut self, attempt: AttemptId, closing: Closing, text: String, whole: bool) {
        let Phase::Answer(answer) = core::mem::replace(&mut self.phase, Phase::Idle) else { return };
        let keep = closing.keep_rows as u32;
        self.truncate(answer.base + keep.min(answer.fed));
        let mut parts = alloc::vec::Vec::new();
        if keep > answer.fed {
            parts.push(Part::Steps(answer.reply.inputs(answer.fed, keep)));
        }
        let mut rows = closing.feed;
        rows.extend_from_slice(self.settings.template.newline());
        parts.push(Part::Rows(rows));
        self.work(EngineOp::Extend { parts, choose: None });
        if answer.heard.is_some() {
            let ending = if whole { Ending::Whole(text.clone()) } else { Ending::Cut(text.clone()) };
            self.transcript.close(attempt, ending);
            self.say(ClusterMessage::ReplyClosed { attempt, text, whole });
        }
    }
}
