//! From codes to sound of the living answer: which frames the codec decodes, and when the sound is complete.
//!
//! Hop 12. The decoder looks three frames ahead, so the first job waits for four. One job is on its way at a time; what
//! comes meanwhile goes with the next. Invariant: sound of a dead attempt leaves this machine never.

use std::collections::VecDeque;

use caracal_shared::limits::REPLY_FRAMES_MAX;
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::rates::CODEC_LOOK_AHEAD;
use caracal_shared::turn::AttemptId;
use caracal_shared::wire::SpeechFrame;

use crate::job::{Job, JobResult};

/// Frames before the first sound.
const FIRST_FRAMES: usize = CODEC_LOOK_AHEAD as usize + 1;
/// Frames of one job: half a second, so that hearing never waits long behind speaking.
const JOB_FRAMES: usize = 8;

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum DownlinkInput {
    /// This attempt is the living one.
    Expect(AttemptId),
    /// No attempt is.
    Drop,
    /// More frames.
    Speech(AttemptId, Vec<SpeechFrame>),
    /// No more will come.
    Generated(AttemptId),
    /// The accelerator is done with a job.
    Done(JobResult),
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum DownlinkOutput {
    /// Of the accelerator.
    Job(Job),
    /// Sound of the living attempt.
    Sound(AttemptId, Vec<f32>),
    /// All of it has come.
    Complete(AttemptId),
}

#[derive(Clone, Debug, PartialEq)]
struct Living {
    attempt: AttemptId,
    frames: VecDeque<SpeechFrame>,
    /// A job was asked for.
    begun: bool,
    busy: bool,
    generated: bool,
    complete: bool,
}

/// The machine.
///
/// # State
/// At most the frames of one reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Downlink {
    living: Option<Living>,
    outputs: VecDeque<DownlinkOutput>,
}

impl Downlink {
    fn drop_living(&mut self) {
        if let Some(Living { attempt, begun: true, .. }) = self.living.take() {
            self.outputs.push_back(DownlinkOutput::Job(Job::SpeakEnd(attempt)));
        }
    }

    fn living(&mut self, attempt: AttemptId) -> Option<&mut Living> {
        self.living.as_mut().filter(|living| living.attempt == attempt)
    }

    fn go_on(&mut self) {
        let Some(living) = &mut self.living else { return };
        let enough = living.begun || living.frames.len() >= FIRST_FRAMES || living.generated;
        if living.busy || living.complete || !enough || (living.frames.is_empty() && !living.generated) {
            return;
        }
        let attempt = living.attempt;
        if living.frames.is_empty() && !living.begun {
            living.complete = true;
            return self.outputs.push_back(DownlinkOutput::Complete(attempt));
        }
        let count = living.frames.len().min(JOB_FRAMES);
        let frames = living.frames.drain(..count).collect();
        let last = living.generated && living.frames.is_empty();
        (living.begun, living.busy) = (true, true);
        self.outputs.push_back(DownlinkOutput::Job(Job::Speak { attempt, frames, last }));
    }
}

impl Machine for Downlink {
    type Input = DownlinkInput;
    type Output = DownlinkOutput;

    fn handle(&mut self, _: Micros, input: DownlinkInput) {
        assert!(self.outputs.is_empty(), "outputs of the downlink were not drained");
        match input {
            DownlinkInput::Expect(attempt) => {
                self.drop_living();
                let frames = VecDeque::new();
                self.living = Some(Living { attempt, frames, begun: false, busy: false, generated: false, complete: false });
            }
            DownlinkInput::Drop => self.drop_living(),
            DownlinkInput::Speech(attempt, frames) => {
                if let Some(living) = self.living(attempt) {
                    let room = (REPLY_FRAMES_MAX as usize).saturating_sub(living.frames.len());
                    living.frames.extend(frames.into_iter().take(room));
                }
                self.go_on();
            }
            DownlinkInput::Generated(attempt) => {
                if let Some(living) = self.living(attempt) {
                    living.generated = true;
                }
                self.go_on();
            }
            DownlinkInput::Done(JobResult::Spoken { attempt, samples, last }) => {
                if let Some(living) = self.living(attempt).filter(|living| living.busy) {
                    living.busy = false;
                    living.complete |= last;
                    self.outputs.push_back(DownlinkOutput::Sound(attempt, samples));
                    if last {
                        self.outputs.push_back(DownlinkOutput::Complete(attempt));
                    }
                    self.go_on();
                }
            }
            DownlinkInput::Done(_) => {}
        }
    }

    fn poll(&mut self) -> Option<DownlinkOutput> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        None
    }
}
