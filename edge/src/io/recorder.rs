//! What a driver sees pass, as a timeline to draw.

use std::collections::VecDeque;

use caracal_shared::machine::Micros;
use caracal_shared::turn::AttemptId;
use caracal_shared::wire::{ClusterMessage, EdgeMessage, VisionMessage, Wire, write_unit};

use super::source::Hop;
use crate::conversation::Story;
use crate::job::{Job, JobResult};
use crate::timeline::{Cargo, Timeline, TimelineEvent, Work};

/// Hops of one loudness value: 50 ms.
const LEVEL_HOPS: usize = 5;
/// Length of a block for the speaker.
const BLOCK: Micros = Micros(10_000);

/// Keeps the log.
#[derive(Debug, Default)]
pub struct Recorder {
    timeline: Timeline,
    powers: Vec<f32>,
    /// Jobs on their way: results come in their order.
    jobs: VecDeque<(Micros, Work)>,
    last_result: Micros,
    /// When the last sound of an answer ends at the speaker.
    sound_ends: Micros,
    /// The answer that may be heard: its sound waits no more.
    open: Option<AttemptId>,
    depths: [u32; 3],
}

impl Recorder {
    /// The microphone delivered this.
    pub fn hop(&mut self, now: Micros, hop: &Hop) {
        self.powers.push(hop.samples.iter().map(|s| s * s).sum::<f32>() / hop.samples.len() as f32);
        if self.powers.len() == LEVEL_HOPS {
            let mean = self.powers.drain(..).sum::<f32>() / LEVEL_HOPS as f32;
            self.timeline.record(now, TimelineEvent::Level(mean.sqrt()));
        }
    }

    /// The accelerator is asked.
    pub fn job(&mut self, now: Micros, job: &Job) {
        let work = match job {
            Job::Hear { .. } | Job::HearTail { .. } => Work::Hear,
            Job::See { .. } => Work::See,
            Job::Speak { .. } => Work::Speak,
            Job::HearEnd(_) | Job::SpeakEnd(_) => return,
        };
        self.jobs.push_back((now, work));
    }

    /// The accelerator answers; `rate` is that of its sound.
    pub fn done(&mut self, now: Micros, result: &JobResult, rate: u32) {
        if let Some((asked, work)) = self.jobs.pop_front() {
            let from = asked.max(self.last_result);
            self.timeline.record(from, TimelineEvent::Worked { work, length: Micros(now.0.saturating_sub(from.0)) });
        }
        self.last_result = now;
        if let JobResult::Spoken { attempt, samples, .. } = result
            && !samples.is_empty()
            && self.open != Some(*attempt)
        {
            let length = Micros(samples.len() as u64 * 1_000_000 / u64::from(rate.max(1)));
            self.timeline.record(now, TimelineEvent::Held { attempt: *attempt, length });
        }
    }

    /// Something goes up on the control stream.
    pub fn control(&mut self, now: Micros, message: &EdgeMessage) {
        self.sent(now, if matches!(message, EdgeMessage::Audio { .. }) { Cargo::Sound } else { Cargo::Control }, message);
    }

    /// Something goes up on the vision stream.
    pub fn vision(&mut self, now: Micros, message: &VisionMessage) {
        self.sent(now, Cargo::Picture, message);
    }

    /// Something came down.
    pub fn received(&mut self, now: Micros, message: &ClusterMessage) {
        if let ClusterMessage::Speech { attempt, frames } = message {
            let (mut unit, frames) = (Vec::new(), frames.len() as u32);
            write_unit(message, &mut unit);
            self.timeline.record(now, TimelineEvent::Received { attempt: *attempt, frames, bytes: unit.len() as u32 });
        }
    }

    fn sent(&mut self, now: Micros, cargo: Cargo, message: &impl Wire) {
        let mut unit = Vec::new();
        write_unit(message, &mut unit);
        self.timeline.record(now, TimelineEvent::Sent { cargo, bytes: unit.len() as u32 });
    }

    /// The speaker got this.
    pub fn block(&mut self, now: Micros, attempt: AttemptId) {
        self.sound_ends = now.after(BLOCK);
        self.timeline.record(now, TimelineEvent::Played { attempt, length: BLOCK });
    }

    /// Something happened that a person may want to know.
    pub fn story(&mut self, now: Micros, story: &Story) {
        if let Some(event) = story.timeline_event() {
            self.timeline.record(now, event);
        }
        match story {
            Story::Endpoint { attempt, .. } => self.open = Some(*attempt),
            Story::BargedIn(..) => self.timeline.record(now.max(self.sound_ends), TimelineEvent::Silenced),
            _ => {}
        }
    }

    /// How full the queues are: jobs, blocks for the speaker, bytes that the cluster has not acknowledged.
    pub fn depths(&mut self, now: Micros, samples: usize, rate: u32, bytes: usize) {
        let blocks = samples as u64 * 1_000_000 / u64::from(rate.max(1)) / BLOCK.0;
        let depths = [self.jobs.len() as u32, blocks as u32, bytes as u32];
        for ((queue, entries), last) in ["jobs", "speaker, 10 ms", "link, bytes"].into_iter().zip(depths).zip(&mut self.depths) {
            if std::mem::replace(last, entries) != entries {
                self.timeline.record(now, TimelineEvent::Depth { queue, entries });
            }
        }
    }

    /// The log.
    pub fn finish(self) -> Timeline {
        self.timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::HearingId;

    #[test]
    fn work_is_as_long_as_the_accelerator_had_it_and_not_as_it_waited() {
        let mut recorder = Recorder::default();
        let stream = HearingId(0);
        let heard = JobResult::Heard { stream, embeddings: None };
        recorder.job(Micros(1_000), &Job::Hear { stream, samples: Vec::new() });
        recorder.job(Micros(2_000), &Job::HearEnd(stream));
        recorder.job(Micros(2_000), &Job::Speak { attempt: AttemptId(3), frames: Vec::new(), last: true });
        recorder.depths(Micros(2_000), 480, 24_000, 7);
        recorder.done(Micros(5_000), &heard, 24_000);
        recorder.done(Micros(9_000), &JobResult::Spoken { attempt: AttemptId(3), samples: vec![0.0; 1_440], last: true }, 24_000);
        recorder.depths(Micros(9_000), 480, 24_000, 7);
        recorder.block(Micros(10_000), AttemptId(3));
        recorder.story(Micros(12_000), &Story::BargedIn(AttemptId(3), 1));
        let want = [
            (1_000, TimelineEvent::Worked { work: Work::Hear, length: Micros(4_000) }),
            (2_000, TimelineEvent::Depth { queue: "jobs", entries: 2 }),
            (2_000, TimelineEvent::Depth { queue: "speaker, 10 ms", entries: 2 }),
            (2_000, TimelineEvent::Depth { queue: "link, bytes", entries: 7 }),
            (5_000, TimelineEvent::Worked { work: Work::Speak, length: Micros(4_000) }),
            (9_000, TimelineEvent::Held { attempt: AttemptId(3), length: Micros(60_000) }),
            (9_000, TimelineEvent::Depth { queue: "jobs", entries: 0 }),
            (10_000, TimelineEvent::Played { attempt: AttemptId(3), length: BLOCK }),
            (12_000, TimelineEvent::Turn(caracal_shared::turn::TurnOutput::BargeIn(AttemptId(3)))),
            (20_000, TimelineEvent::Silenced),
        ];
        assert_eq!(recorder.finish().events(), want.map(|(at, event)| (Micros(at), event)));
    }
}
