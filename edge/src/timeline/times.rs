//! The moments of every turn, and how long the user waited between them.
//!
//! Source: LongCat-Flash-Omni technical report §6.2 and figure 11: t1 speech begins, t2 it ends, t3 speculative point, t4 end
//! of turn, t5 the user speaks into the answer.

use caracal_shared::machine::Micros;
use caracal_shared::turn::{AttemptId, TurnId, TurnOutput};

use super::event::{Timeline, TimelineEvent};

/// One turn and its answer. What did not happen is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnTimes {
    /// Which.
    pub turn: TurnId,
    /// The answer that was heard, else the last that was tried.
    pub attempt: Option<AttemptId>,
    /// Speech begins.
    pub t1: Micros,
    /// Speech ends; the last time before the answer.
    pub t2: Option<Micros>,
    /// The last guess.
    pub t3: Option<Micros>,
    /// The turn ends.
    pub t4: Option<Micros>,
    /// The user speaks into the answer.
    pub t5: Option<Micros>,
    /// The first step of the answer arrives.
    pub first_token: Option<Micros>,
    /// The first sample of the answer leaves for the speaker.
    pub first_sound: Option<Micros>,
    /// The speaker is silent after t5.
    pub silenced: Option<Micros>,
    /// The answer was heard to its end.
    pub reply_end: Option<Micros>,
    /// Guesses that were taken back.
    pub rollbacks: u32,
    /// What the answer says.
    pub text: String,
}

impl TurnTimes {
    fn new(turn: TurnId, t1: Micros) -> Self {
        Self {
            turn,
            attempt: None,
            t1,
            t2: None,
            t3: None,
            t4: None,
            t5: None,
            first_token: None,
            first_sound: None,
            silenced: None,
            reply_end: None,
            rollbacks: 0,
            text: String::new(),
        }
    }

    /// What the user waits for, as rows of a table: a name, and the time if both ends happened.
    pub fn latencies(&self) -> [(&'static str, Option<Micros>); 6] {
        let since = |from: Option<Micros>, to: Option<Micros>| Some(Micros(to?.0.checked_sub(from?.0)?));
        [
            ("silence to end of turn (t2 to t4)", since(self.t2, self.t4)),
            ("guess to first token (t3)", since(self.t3, self.first_token)),
            ("end of turn to first sound (t4)", since(self.t4, self.first_sound)),
            ("end of speech to first sound (t2)", since(self.t2, self.first_sound)),
            ("interruption to silence (t5)", since(self.t5, self.silenced)),
            ("length of the answer", since(self.first_sound, self.silenced.or(self.reply_end))),
        ]
    }

    /// When the last thing of it happened.
    pub fn end(&self) -> Micros {
        let ends = [self.t2, self.t3, self.t4, self.t5, self.first_token, self.first_sound, self.silenced, self.reply_end];
        ends.into_iter().flatten().max().unwrap_or(self.t1)
    }
}

/// The turns of a session, without those that were withdrawn.
pub fn turn_times(timeline: &Timeline) -> Vec<TurnTimes> {
    let mut turns: Vec<TurnTimes> = Vec::new();
    for (at, event) in timeline.events() {
        match event {
            TimelineEvent::Turn(TurnOutput::TurnStart(turn)) => turns.push(TurnTimes::new(*turn, *at)),
            TimelineEvent::Turn(TurnOutput::TurnCancel(turn)) => turns.retain(|times| times.turn != *turn),
            TimelineEvent::Turn(output) => {
                if let Some(times) = owner(&mut turns, *output) {
                    take(times, *at, *output);
                }
            }
            TimelineEvent::SpeechStopped => {
                if let Some(times) = turns.last_mut().filter(|times| times.t4.is_none()) {
                    times.t2 = Some(*at);
                }
            }
            TimelineEvent::Token(attempt) => of_attempt(&mut turns, *attempt, |times| {
                times.first_token.get_or_insert(*at);
            }),
            TimelineEvent::Played { attempt, .. } => of_attempt(&mut turns, *attempt, |times| {
                times.first_sound.get_or_insert(*at);
            }),
            TimelineEvent::Said { attempt, text } => of_attempt(&mut turns, *attempt, |times| times.text.push_str(text)),
            TimelineEvent::Silenced => {
                if let Some(times) = turns.iter_mut().rev().find(|times| times.t5.is_some()) {
                    times.silenced.get_or_insert(*at);
                }
            }
            _ => {}
        }
    }
    turns
}

/// The turn that an output is about.
fn owner(turns: &mut [TurnTimes], output: TurnOutput) -> Option<&mut TurnTimes> {
    match output {
        TurnOutput::BargeIn(attempt) | TurnOutput::ReplyEnd(attempt) | TurnOutput::Resume(attempt) => {
            turns.iter_mut().rev().find(|times| times.attempt == Some(attempt))
        }
        _ => turns.last_mut(),
    }
}

fn take(times: &mut TurnTimes, at: Micros, output: TurnOutput) {
    match output {
        TurnOutput::SpeculativeEndpoint(attempt) => {
            (times.attempt, times.t3, times.first_token) = (Some(attempt), Some(at), None);
            times.text.clear();
        }
        TurnOutput::Resume(_) => {
            times.rollbacks += 1;
            (times.t3, times.first_token) = (None, None);
            times.text.clear();
        }
        TurnOutput::Endpoint { attempt, .. } => (times.attempt, times.t4) = (Some(attempt), Some(at)),
        TurnOutput::BargeIn(_) => times.t5 = Some(at),
        TurnOutput::ReplyEnd(_) => times.reply_end = Some(at),
        TurnOutput::TurnStart(_) | TurnOutput::TurnCancel(_) => {}
    }
}

fn of_attempt(turns: &mut [TurnTimes], attempt: AttemptId, change: impl FnOnce(&mut TurnTimes)) {
    if let Some(times) = turns.iter_mut().rev().find(|times| times.attempt == Some(attempt)) {
        change(times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimelineEvent::{Played, Said, Silenced, SpeechStarted, SpeechStopped, Token};

    fn log(events: Vec<(u64, TimelineEvent)>) -> Vec<TurnTimes> {
        let mut timeline = Timeline::default();
        for (ms, event) in events {
            timeline.record(Micros(ms * 1000), event);
        }
        turn_times(&timeline)
    }

    fn turn(output: TurnOutput) -> TimelineEvent {
        TimelineEvent::Turn(output)
    }

    #[test]
    fn a_rollback_and_an_interruption_leave_the_right_moments() {
        let (first, second) = (AttemptId(0), AttemptId(1));
        let played = |attempt| Played { attempt, length: Micros(10_000) };
        let said = |attempt, text: &str| Said { attempt, text: text.into() };
        let turns = log(vec![
            (100, SpeechStarted),
            (100, turn(TurnOutput::TurnStart(TurnId(0)))),
            (900, SpeechStopped),
            (1200, turn(TurnOutput::SpeculativeEndpoint(first))),
            (1210, Token(first)),
            (1220, said(first, "no")),
            (1300, SpeechStarted),
            (1300, turn(TurnOutput::Resume(first))),
            (1310, Token(first)),
            (2000, SpeechStopped),
            (2300, turn(TurnOutput::SpeculativeEndpoint(second))),
            (2330, Token(second)),
            (2340, said(second, "ye")),
            (2350, said(second, "s")),
            (2650, turn(TurnOutput::Endpoint { attempt: second, speculated: true })),
            (2655, played(second)),
            (2665, played(second)),
            (4000, turn(TurnOutput::BargeIn(second))),
            (4000, turn(TurnOutput::TurnStart(TurnId(1)))),
            (4008, Silenced),
            (4100, turn(TurnOutput::TurnCancel(TurnId(1)))),
        ]);
        let at = |ms: u64| Some(Micros(ms * 1000));
        let want = TurnTimes {
            attempt: Some(second),
            t2: at(2000),
            t3: at(2300),
            t4: at(2650),
            t5: at(4000),
            first_token: at(2330),
            first_sound: at(2655),
            silenced: at(4008),
            rollbacks: 1,
            text: "yes".into(),
            ..TurnTimes::new(TurnId(0), Micros(100_000))
        };
        assert_eq!(turns, std::slice::from_ref(&want), "the second turn was withdrawn");
        let latencies = want.latencies().map(|(_, time)| time.map(|t| t.0 / 1000));
        assert_eq!(latencies, [Some(650), Some(30), Some(5), Some(655), Some(8), Some(1353)]);
        assert_eq!(want.end(), Micros(4_008_000));
    }

    #[test]
    fn what_did_not_happen_has_no_time() {
        let turns = log(vec![(5, turn(TurnOutput::TurnStart(TurnId(0))))]);
        assert_eq!(turns.len(), 1);
        assert!(turns[0].latencies().iter().all(|(_, time)| time.is_none()));
        assert_eq!(turns[0].end(), Micros(5000));
        assert!(log(vec![(1, SpeechStopped), (2, Token(AttemptId(9))), (3, Silenced)]).is_empty());
    }
}
