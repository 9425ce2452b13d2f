//! Spans and marks to draw, from the log.

use caracal_shared::machine::Micros;
use caracal_shared::turn::{AttemptId, TurnOutput};

use super::event::{Cargo, Timeline, TimelineEvent, Work};

/// Pieces of sound or work that are less than this apart are drawn as one: two hops.
const JOIN: Micros = Micros(20_000);

/// What the turn machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody speaks.
    Idle,
    /// The user speaks.
    Listen,
    /// The user has just fallen silent.
    Hold,
    /// An answer is made that nobody hears yet.
    Speculate,
    /// The answer is heard.
    Speak,
}

impl Phase {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Listen => "listen",
            Self::Hold => "hold",
            Self::Speculate => "speculate",
            Self::Speak => "speak",
        }
    }
}

/// Something that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<T> {
    /// Its begin.
    pub from: Micros,
    /// Its end.
    pub to: Micros,
    /// What it is.
    pub what: T,
}

/// A moment worth a line across the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Micros,
    /// Its short name.
    pub name: String,
    /// Its meaning.
    pub meaning: &'static str,
}

/// Sound that waited and was heard, or was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It waits behind the gate: from its first piece to the end of the wait.
    Held(AttemptId),
    /// It waited and was thrown away.
    Discarded(AttemptId),
    /// It was played.
    Played(AttemptId),
}

/// How full one queue was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Its name.
    pub queue: &'static str,
    /// When it changed, and to what.
    pub steps: Vec<(Micros, u32)>,
}

/// Everything to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lanes {
    /// How loud the microphone was.
    pub levels: Vec<(Micros, f32)>,
    /// Speech.
    pub speech: Vec<Span<()>>,
    /// The turn machine.
    pub phases: Vec<Span<Phase>>,
    /// Messages that went up.
    pub sent: Vec<(Micros, Cargo, u32)>,
    /// Frames of answers that came down, and their bytes.
    pub received: Vec<(Micros, u32, u32)>,
    /// What the accelerator computed.
    pub work: Vec<Span<Work>>,
    /// What became of the answers' sound.
    pub heard: Vec<Span<Heard>>,
    /// Queues in order of their first entry.
    pub queues: Vec<QueueDepth>,
    /// Moments.
    pub marks: Vec<Mark>,
}

impl Lanes {
    /// Lays out the whole log.
    pub fn new(timeline: &Timeline) -> Self {
        let mut layout = Layout::default();
        for (at, event) in timeline.events() {
            layout.take(*at, event);
        }
        layout.finish(timeline.end())
    }
}

/// What is still open while the log is read.
#[derive(Default)]
struct Layout {
    lanes: Lanes,
    speech: Option<Micros>,
    /// When the user fell silent, until it is known whether that means anything.
    silent_since: Option<Micros>,
    phase: Option<(Micros, Phase)>,
    held: Option<(Micros, AttemptId)>,
    token_of: Option<AttemptId>,
    sound_of: Option<AttemptId>,
}

impl Layout {
    fn take(&mut self, at: Micros, event: &TimelineEvent) {
        match event {
            TimelineEvent::Level(level) => self.lanes.levels.push((at, *level)),
            TimelineEvent::SpeechStarted => {
                self.speech.get_or_insert(at);
                if self.phase_is(Phase::Hold) {
                    self.enter(at, Phase::Listen);
                }
            }
            TimelineEvent::SpeechStopped => {
                self.close_speech(at);
                if self.phase_is(Phase::Listen) {
                    self.enter(at, Phase::Hold);
                    self.silent_since = Some(at);
                }
            }
            TimelineEvent::Turn(output) => self.turn(at, *output),
            TimelineEvent::Sent { cargo, bytes } => self.lanes.sent.push((at, *cargo, *bytes)),
            TimelineEvent::Received { frames, bytes, .. } => self.lanes.received.push((at, *frames, *bytes)),
            TimelineEvent::Worked { work, length } => join(&mut self.lanes.work, at, *length, *work),
            TimelineEvent::Token(attempt) => {
                if self.token_of.replace(*attempt) != Some(*attempt) {
                    self.mark(at, "first token", "the first step of the answer arrives");
                }
            }
            TimelineEvent::Held { attempt, .. } => {
                if self.held.is_none_or(|(_, of)| of != *attempt) {
                    self.held = Some((at, *attempt));
                }
            }
            TimelineEvent::Played { attempt, length } => {
                self.close_held(at, Heard::Held);
                join(&mut self.lanes.heard, at, *length, Heard::Played(*attempt));
                if self.sound_of.replace(*attempt) != Some(*attempt) {
                    self.mark(at, "first sound", "the first sample of the answer leaves for the speaker");
                }
            }
            TimelineEvent::Silenced => self.mark(at, "silent", "the speaker is silent"),
            TimelineEvent::Depth { queue, entries } => self.depth(at, queue, *entries),
            TimelineEvent::Said { .. } => {}
        }
    }

    fn turn(&mut self, at: Micros, output: TurnOutput) {
        match output {
            TurnOutput::TurnStart(_) => {
                self.enter(at, Phase::Listen);
                self.mark(at, "t1", "speech begins");
            }
            TurnOutput::TurnCancel(_) => self.enter(at, Phase::Idle),
            TurnOutput::SpeculativeEndpoint(_) => {
                self.mark_silence();
                self.enter(at, Phase::Speculate);
                self.mark(at, "t3", "an answer is started on a guess");
            }
            TurnOutput::Resume(_) => {
                self.enter(at, Phase::Listen);
                self.close_held(at, Heard::Discarded);
                self.mark(at, "rollback", "the user goes on: the guess is taken back");
            }
            TurnOutput::Endpoint { .. } => {
                self.mark_silence();
                self.enter(at, Phase::Speak);
                self.mark(at, "t4", "the turn ends: the answer may be heard");
            }
            TurnOutput::BargeIn(_) => {
                self.close_held(at, Heard::Discarded);
                self.mark(at, "t5", "the user speaks into the answer");
            }
            TurnOutput::ReplyEnd(_) => self.enter(at, Phase::Idle),
        }
    }

    /// A breath inside a turn is no moment worth a line; the silence that an answer follows is.
    fn mark_silence(&mut self) {
        if let Some(at) = self.silent_since.take() {
            self.mark(at, "t2", "speech ends");
        }
    }

    fn phase_is(&self, phase: Phase) -> bool {
        self.phase.is_some_and(|(_, now)| now == phase)
    }

    fn enter(&mut self, at: Micros, phase: Phase) {
        if let Some((from, what)) = self.phase.replace((at, phase)) {
            self.lanes.phases.push(Span { from, to: at, what });
        }
    }

    fn close_speech(&mut self, at: Micros) {
        if let Some(from) = self.speech.take() {
            self.lanes.speech.push(Span { from, to: at, what: () });
        }
    }

    fn close_held(&mut self, at: Micros, fate: fn(AttemptId) -> Heard) {
        if let Some((from, attempt)) = self.held.take() {
            self.lanes.heard.push(Span { from, to: at, what: fate(attempt) });
        }
    }

    fn depth(&mut self, at: Micros, queue: &'static str, entries: u32) {
        match self.lanes.queues.iter_mut().find(|q| q.queue == queue) {
            Some(depth) => depth.steps.push((at, entries)),
            None => self.lanes.queues.push(QueueDepth { queue, steps: vec![(at, entries)] }),
        }
    }

    fn mark(&mut self, at: Micros, name: &str, meaning: &'static str) {
        self.lanes.marks.push(Mark { at, name: name.into(), meaning });
    }

    fn finish(mut self, end: Micros) -> Lanes {
        self.close_speech(end);
        self.close_held(end, Heard::Held);
        if let Some((from, what)) = self.phase.take() {
            self.lanes.phases.push(Span { from, to: end, what });
        }
        self.lanes.marks.sort_by_key(|mark| mark.at);
        self.lanes
    }
}

/// Adds a piece to the last span of its kind, or begins a new one.
fn join<T: Copy + PartialEq>(spans: &mut Vec<Span<T>>, at: Micros, length: Micros, what: T) {
    match spans.last_mut() {
        Some(last) if last.what == what && at <= last.to.after(JOIN) => last.to = last.to.max(at.after(length)),
        _ => spans.push(Span { from: at, to: at.after(length), what }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caracal_shared::turn::TurnId;

    fn lay_out(events: Vec<(u64, TimelineEvent)>) -> Lanes {
        let mut timeline = Timeline::default();
        for (ms, event) in events {
            timeline.record(Micros(ms * 1000), event);
        }
        Lanes::new(&timeline)
    }

    fn ms<T: Copy>(spans: &[Span<T>]) -> Vec<(u64, u64, T)> {
        spans.iter().map(|s| (s.from.0 / 1000, s.to.0 / 1000, s.what)).collect()
    }

    #[test]
    fn phases_and_the_fate_of_sound_follow_from_the_turn_machine() {
        let attempts = [AttemptId(0), AttemptId(1)];
        let turn = TimelineEvent::Turn;
        let length = Micros(10_000);
        let lanes = lay_out(vec![
            (0, TimelineEvent::SpeechStarted),
            (0, turn(TurnOutput::TurnStart(TurnId(0)))),
            (500, TimelineEvent::SpeechStopped),
            (800, turn(TurnOutput::SpeculativeEndpoint(attempts[0]))),
            (850, TimelineEvent::Held { attempt: attempts[0], length }),
            (860, TimelineEvent::Held { attempt: attempts[0], length }),
            (900, TimelineEvent::SpeechStarted),
            (900, turn(TurnOutput::Resume(attempts[0]))),
            (1000, TimelineEvent::SpeechStopped),
            (1300, turn(TurnOutput::SpeculativeEndpoint(attempts[1]))),
            (1340, TimelineEvent::Held { attempt: attempts[1], length }),
            (1650, turn(TurnOutput::Endpoint { attempt: attempts[1], speculated: true })),
            (1651, TimelineEvent::Played { attempt: attempts[1], length }),
            (1661, TimelineEvent::Played { attempt: attempts[1], length }),
            (2000, TimelineEvent::Played { attempt: attempts[1], length }),
            (2100, turn(TurnOutput::ReplyEnd(attempts[1]))),
        ]);
        assert_eq!(ms(&lanes.speech), [(0, 500, ()), (900, 1000, ())]);
        let phases = [
            (0, 500, Phase::Listen),
            (500, 800, Phase::Hold),
            (800, 900, Phase::Speculate),
            (900, 1000, Phase::Listen),
            (1000, 1300, Phase::Hold),
            (1300, 1650, Phase::Speculate),
            (1650, 2100, Phase::Speak),
            (2100, 2100, Phase::Idle),
        ];
        assert_eq!(ms(&lanes.phases), phases);
        let heard = [
            (850, 900, Heard::Discarded(attempts[0])),
            (1340, 1651, Heard::Held(attempts[1])),
            (1651, 1671, Heard::Played(attempts[1])),
            (2000, 2010, Heard::Played(attempts[1])),
        ];
        assert_eq!(ms(&lanes.heard), heard);
        let names: Vec<&str> = lanes.marks.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["t1", "t2", "t3", "rollback", "t2", "t3", "t4", "first sound"]);
    }

    #[test]
    fn what_is_open_at_the_end_is_closed_there_and_work_is_joined() {
        let work = |work, ms: u64| TimelineEvent::Worked { work, length: Micros(ms * 1000) };
        let lanes = lay_out(vec![
            (0, TimelineEvent::SpeechStarted),
            (10, work(Work::Hear, 5)),
            (30, work(Work::Hear, 5)),
            (36, work(Work::Speak, 4)),
            (90, work(Work::Speak, 10)),
            (50, TimelineEvent::Depth { queue: "uplink", entries: 3 }),
            (60, TimelineEvent::Depth { queue: "uplink", entries: 0 }),
        ]);
        assert_eq!(ms(&lanes.speech), [(0, 100, ())]);
        assert_eq!(ms(&lanes.work), [(10, 35, Work::Hear), (36, 40, Work::Speak), (90, 100, Work::Speak)]);
        assert_eq!(lanes.queues.len(), 1);
        assert_eq!(lanes.queues[0].steps, [(Micros(50_000), 3), (Micros(60_000), 0)]);
    }
}
