//! The gate: sound is held until the turn is over, played hop by hop, and stops within one hop.
//!
//! Hop 13. The speaker pulls 10 ms at a time and always gets them. Invariants: not one sample of an attempt is given out
//! before its endpoint, or after it was stopped; samples of one attempt are given out in order and once.
//!
//! | state | input | next | gives out |
//! |---|---|---|---|
//! | Shut | sound | Shut, more held | |
//! | Shut | `Open` | Open | |
//! | Open | `Pull`, enough held | Open | a hop of the answer |
//! | Open | `Pull`, too little and more to come | Open, underrun | silence |
//! | Open | `Pull`, the last and incomplete hop | Open | it, and silence after it |
//! | any | `Stop` | Empty | |

use std::collections::VecDeque;

use caracal_shared::machine::{Machine, Micros};
use caracal_shared::rates::{CODEC_FRAME_MS, SECOND_MS};
use caracal_shared::turn::AttemptId;

/// Hops of a second.
const HOPS: u32 = 100;

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum PlayoutInput {
    /// This attempt is the living one; its sound will be held.
    Expect(AttemptId),
    /// The turn is over: it may be heard.
    Open(AttemptId),
    /// No attempt is alive: silence from the next hop on.
    Stop,
    /// More sound.
    Sound(AttemptId, Vec<f32>),
    /// No more will come.
    Complete(AttemptId),
    /// The speaker wants a hop.
    Pull,
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum PlayoutOutput {
    /// A hop for the speaker.
    Block(Block),
    /// Whether all that has come was given out; told on every change while open.
    Playback {
        /// Whose.
        attempt: AttemptId,
        /// Nothing is left.
        empty: bool,
    },
    /// Frames that were given out in full.
    Played(AttemptId, u32),
    /// The answer paused because its sound did not come in time.
    Underrun(AttemptId),
}

/// 10 ms for the speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Whose sound is in it; none: silence.
    pub attempt: Option<AttemptId>,
    /// At the codec's rate.
    pub samples: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq)]
struct Held {
    attempt: AttemptId,
    open: bool,
    samples: VecDeque<f32>,
    complete: bool,
    given: u64,
    frames: u32,
    /// What was last told.
    empty: Option<bool>,
    /// A hop of silence stands in the middle of the answer.
    starved: bool,
}

/// The machine.
///
/// # Units
/// Samples are at the codec's rate; a hop is a hundredth of it.
///
/// # State
/// The sound of one answer that was not given out.
#[derive(Clone, Debug, PartialEq)]
pub struct Playout {
    hop: usize,
    frame: u64,
    held: Option<Held>,
    outputs: VecDeque<PlayoutOutput>,
}

impl Playout {
    /// For sound of `rate` samples a second.
    ///
    /// # Panics
    /// When a hop would be no whole number of samples: no codec has such a rate.
    pub fn new(rate: u32) -> Self {
        assert!(rate > 0 && rate.is_multiple_of(HOPS), "playout: {rate} samples a second");
        let frame = u64::from(rate) * u64::from(CODEC_FRAME_MS) / u64::from(SECOND_MS);
        Self { hop: (rate / HOPS) as usize, frame, held: None, outputs: VecDeque::new() }
    }

    /// Samples that are held or wait to be played.
    pub fn waiting(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.samples.len())
    }

    fn held(&mut self, attempt: AttemptId) -> Option<&mut Held> {
        self.held.as_mut().filter(|held| held.attempt == attempt)
    }

    fn pull(&mut self) {
        let mut block = Block { attempt: None, samples: Vec::with_capacity(self.hop) };
        if let Some(held) = self.held.as_mut().filter(|held| held.open) {
            if held.samples.len() >= self.hop || (held.complete && !held.samples.is_empty()) {
                let count = held.samples.len().min(self.hop);
                block.samples.extend(held.samples.drain(..count));
                block.attempt = Some(held.attempt);
                held.given += count as u64;
                held.starved = false;
                let frames = (held.given / self.frame) as u32;
                if frames > held.frames {
                    held.frames = frames;
                    self.outputs.push_back(PlayoutOutput::Played(held.attempt, frames));
                }
            } else if held.given > 0 && !held.complete && !std::mem::replace(&mut held.starved, true) {
                self.outputs.push_back(PlayoutOutput::Underrun(held.attempt));
            }
        }
        block.samples.resize(self.hop, 0.0);
        self.outputs.push_back(PlayoutOutput::Block(block));
        self.tell();
    }

    fn tell(&mut self) {
        if let Some(held) = self.held.as_mut().filter(|held| held.open) {
            let empty = held.samples.is_empty();
            if held.empty.replace(empty) != Some(empty) {
                self.outputs.push_back(PlayoutOutput::Playback { attempt: held.attempt, empty });
            }
        }
    }
}

impl Machine for Playout {
    type Input = PlayoutInput;
    type Output = PlayoutOutput;

    fn handle(&mut self, _: Micros, input: PlayoutInput) {
        assert!(self.outputs.is_empty(), "outputs of the playout were not drained");
        match input {
            PlayoutInput::Expect(attempt) => {
                let samples = VecDeque::new();
                self.held = Some(Held { attempt, open: false, samples, complete: false, given: 0, frames: 0, empty: None, starved: false });
            }
            PlayoutInput::Open(attempt) => {
                if let Some(held) = self.held(attempt) {
                    held.open = true;
                }
                self.tell();
            }
            PlayoutInput::Stop => self.held = None,
            PlayoutInput::Sound(attempt, samples) => {
                if let Some(held) = self.held(attempt) {
                    held.samples.extend(samples);
                }
                self.tell();
            }
            PlayoutInput::Complete(attempt) => {
                if let Some(held) = self.held(attempt) {
                    held.complete = true;
                }
                self.tell();
            }
            PlayoutInput::Pull => self.pull(),
        }
    }

    fn poll(&mut self) -> Option<PlayoutOutput> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        None
    }
}
