//! Ears, eyes and mouth that can be read back.
//!
//! A sample is the number of its hop. An embedding of 80 ms holds the numbers of its first and last hop and of the hop
//! that lies six embeddings later, 0 if the sound ended before: like the real encoder it depends on its look-ahead. A
//! frame's samples are its attempt and its number.

use std::collections::BTreeMap;

use caracal_edge::job::{HearingId, Job, JobResult};
use caracal_shared::turn::AttemptId;
use caracal_shared::wire::{Embeddings, Precision, SpeechFrame};

/// Width of the made-up embeddings.
pub const WIDTH: usize = 8;
/// Samples under one embedding.
const WINDOW: usize = 1280;
/// Embeddings of look-ahead.
const LOOK_AHEAD: usize = 6;
/// Vectors of a picture.
pub const PICTURE_VECTORS: usize = 3;
/// Samples of a frame at 24 kHz, and the codec's look-ahead.
const FRAME_SAMPLES: usize = 1440;
const CODEC_AHEAD: usize = 3;

/// A number up to 2^21 as three values that every precision keeps exactly.
pub fn digits(number: u32) -> [f32; 3] {
    [(number % 128) as f32, (number / 128 % 128) as f32, (number / 16384) as f32]
}

/// The number again.
pub fn number(digits: &[f32]) -> u32 {
    digits[0] as u32 + 128 * digits[1] as u32 + 16384 * digits[2] as u32
}

#[derive(Clone, Debug, Default)]
struct Heard {
    samples: Vec<f32>,
    given: usize,
}

#[derive(Clone, Debug, Default)]
struct Spoken {
    frames: Vec<SpeechFrame>,
    given: usize,
}

/// The accelerator of one edge.
#[derive(Clone, Debug, Default)]
pub struct Accelerator {
    heard: BTreeMap<HearingId, Heard>,
    spoken: BTreeMap<AttemptId, Spoken>,
}

impl Accelerator {
    /// Does a job; also says how many microseconds a usual device would take.
    pub fn run(&mut self, job: Job) -> (Option<JobResult>, u64) {
        match job {
            Job::Hear { stream, samples } => {
                let heard = self.heard.entry(stream).or_default();
                heard.samples.extend(samples);
                let last = (heard.samples.len() / WINDOW).saturating_sub(LOOK_AHEAD).max(heard.given);
                let embeddings = embed(&heard.samples, heard.given, last);
                heard.given = last;
                (Some(JobResult::Heard { stream, embeddings }), 4_000)
            }
            Job::HearTail { stream, attempt } => {
                let heard = self.heard.get(&stream).cloned().unwrap_or_default();
                let embeddings = embed(&heard.samples, heard.given, heard.samples.len().div_ceil(WINDOW));
                (Some(JobResult::HeardTail { stream, attempt, embeddings }), 8_000)
            }
            Job::HearEnd(stream) => {
                self.heard.remove(&stream);
                (None, 0)
            }
            Job::See { picture, pictures } => {
                let values: Vec<f32> =
                    (0..PICTURE_VECTORS * WIDTH).map(|i| ((picture.0 as usize + i * pictures.len()) % 100) as f32).collect();
                (Some(JobResult::Seen { picture, embeddings: Some(Embeddings::pack(&values, WIDTH, Precision::Bf16)) }), 30_000)
            }
            Job::Speak { attempt, frames, last } => {
                let spoken = self.spoken.entry(attempt).or_default();
                let count = frames.len() as u64;
                spoken.frames.extend(frames);
                let to = if last { spoken.frames.len() } else { spoken.frames.len().saturating_sub(CODEC_AHEAD).max(spoken.given) };
                let samples =
                    spoken.frames[spoken.given..to].iter().flat_map(|frame| std::iter::repeat_n(sound_of(frame), FRAME_SAMPLES)).collect();
                spoken.given = to;
                (Some(JobResult::Spoken { attempt, samples, last }), 2_000 + 2_000 * count)
            }
            Job::SpeakEnd(attempt) => {
                self.spoken.remove(&attempt);
                (None, 0)
            }
        }
    }
}

fn embed(samples: &[f32], from: usize, to: usize) -> Option<Embeddings> {
    if from >= to {
        return None;
    }
    let hop = |sample: usize| samples.get(sample).map_or(0, |hop| *hop as u32);
    let vector = |index: usize| {
        let end = ((index + 1) * WINDOW).min(samples.len());
        let [first, last] = [digits(hop(index * WINDOW)), digits(hop(end - 1))];
        let ahead = hop((index + LOOK_AHEAD) * WINDOW);
        [first[0], first[1], first[2], last[0], last[1], last[2], (ahead % 128) as f32, (ahead / 128 % 128) as f32]
    };
    let values: Vec<f32> = (from..to).flat_map(vector).collect();
    Some(Embeddings::pack(&values, WIDTH, Precision::Bf16))
}

/// First and last hop that an embedding is of.
pub fn hops_of(vector: &[f32]) -> (u32, u32) {
    (number(&vector[0..3]), number(&vector[3..6]))
}

/// What every sample of a frame is: its attempt times 4096, and its number.
fn sound_of(frame: &SpeechFrame) -> f32 {
    f32::from(frame[0]) * 4096.0 + f32::from(frame[1])
}

/// The attempt on the wire, and the number of the frame, that a sample is of.
pub fn sample_of(sample: f32) -> (u64, u32) {
    let sample = sample as u64;
    (sample / 4096, (sample % 4096) as u32)
}
