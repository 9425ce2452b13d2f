//! Ears, eyes and mouth of one edge behind their jobs: the only place of a live edge that touches weights.
//!
//! Hop 5 and 12. One value on one thread; states of streams lie here, by number, so that the pipeline holds none.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use caracal_shared::turn::AttemptId;
use caracal_shared::wire::{AudioCut, Embeddings, Precision, SpeechFrame};

use crate::Streaming;
use crate::audio::{AudioPerception, AudioPerceptionState, Waveform};
use crate::codec::ids::ID_OFFSET;
use crate::codec::{AudioDecoder, AudioDecoderState, CodecFrame, CodecIds, DecoderConfig};
use crate::job::{HearingId, Job, JobResult};
use crate::vision::{Picture, Preprocessor, VisionConfig, VisionEncoder};

/// Patches of a live unit at most: 16 by 16 patches, a picture of 224 by 224, which is 128 tokens.
pub const LIVE_PATCHES_MAX: u64 = 256;

/// Eyes of a live session.
#[derive(Debug)]
pub struct Eyes {
    encoder: VisionEncoder,
    preprocessor: Preprocessor,
}

impl Eyes {
    /// Of a model.
    pub fn new(encoder: VisionEncoder, config: &VisionConfig) -> Self {
        Self { encoder, preprocessor: Preprocessor::new(&config.preprocess) }
    }

    fn see(&self, pictures: &[&Picture]) -> Option<Tensor<2>> {
        // A picture that cannot be used is a picture that was not seen: the camera's next one comes soon.
        let unit = self.preprocessor.live(pictures, LIVE_PATCHES_MAX).ok()?;
        let grid = unit.grid.tokens();
        self.encoder.embed(&[(&unit, grid)]).pop()
    }
}

struct Speaking {
    state: AudioDecoderState,
    last: Option<CodecFrame>,
}

/// All networks of an edge.
pub struct Accelerator {
    ears: AudioPerception,
    eyes: Option<Eyes>,
    mouth: AudioDecoder,
    ids: CodecIds,
    cut: AudioCut,
    precision: Precision,
    hearing: BTreeMap<HearingId, AudioPerceptionState>,
    speaking: BTreeMap<AttemptId, Speaking>,
}

impl Accelerator {
    /// Of one model's parts.
    pub fn new(
        ears: AudioPerception,
        eyes: Option<Eyes>,
        mouth: (AudioDecoder, DecoderConfig),
        cut: AudioCut,
        precision: Precision,
    ) -> Self {
        let (mouth, config) = mouth;
        let ids = CodecIds::new(&config);
        Self { ears, eyes, mouth, ids, cut, precision, hearing: BTreeMap::new(), speaking: BTreeMap::new() }
    }

    /// Samples a second of the sound it makes.
    pub fn speaker_rate(&self) -> u32 {
        self.mouth.sample_rate
    }

    /// Width of an audio embedding at the cut.
    pub fn audio_width(&self) -> usize {
        match self.cut {
            AudioCut::Projected => self.ears.projector.output_size(),
            AudioCut::Hidden => self.ears.encoder.hidden_width(),
        }
    }

    /// Does one job. Jobs that only forget have no result.
    pub fn run(&mut self, job: Job) -> Option<JobResult> {
        match job {
            Job::Hear { stream, samples } => {
                let ears = &self.ears;
                let state = self.hearing.entry(stream).or_insert_with(|| ears.start());
                // The uplink lets only numbers through.
                let samples = Waveform::new(samples).ok()?;
                let rows = match self.cut {
                    AudioCut::Projected => ears.step(state, samples),
                    AudioCut::Hidden => ears.step_hidden(state, samples),
                };
                Some(JobResult::Heard { stream, embeddings: rows.and_then(|rows| pack(rows, self.precision)) })
            }
            Job::HearTail { stream, attempt } => {
                let state = self.hearing.get(&stream).cloned();
                let rows = state.and_then(|mut state| match self.cut {
                    AudioCut::Projected => self.ears.flush(&mut state),
                    AudioCut::Hidden => self.ears.flush_hidden(&mut state),
                });
                Some(JobResult::HeardTail { stream, attempt, embeddings: rows.and_then(|rows| pack(rows, self.precision)) })
            }
            Job::HearEnd(stream) => {
                self.hearing.remove(&stream);
                None
            }
            Job::See { picture, pictures } => {
                let pictures: Vec<&Picture> = pictures.iter().map(|picture| &**picture).collect();
                let rows = self.eyes.as_ref().and_then(|eyes| eyes.see(&pictures));
                Some(JobResult::Seen { picture, embeddings: rows.and_then(|rows| pack(rows, self.precision)) })
            }
            Job::Speak { attempt, frames, last } => Some(self.speak(attempt, &frames, last)),
            Job::SpeakEnd(attempt) => {
                self.speaking.remove(&attempt);
                None
            }
        }
    }

    fn speak(&mut self, attempt: AttemptId, frames: &[SpeechFrame], last: bool) -> JobResult {
        let mouth = &self.mouth;
        let speaking = self.speaking.entry(attempt).or_insert_with(|| Speaking { state: mouth.start(), last: None });
        let mut codec_frames = Vec::with_capacity(frames.len());
        for frame in frames {
            // A code that this codec has no row for keeps the sound of the one before.
            let read = self.ids.read(speaking.last.as_ref(), &frame.map(|code| i64::from(code) + ID_OFFSET));
            speaking.last = Some(read.frame.clone());
            codec_frames.push(read.frame);
        }
        let mut samples =
            if codec_frames.is_empty() { Vec::new() } else { mouth.step(&mut speaking.state, codec_frames).unwrap_or_default() };
        if last {
            samples.extend(mouth.flush(&mut speaking.state).unwrap_or_default());
            self.speaking.remove(&attempt);
        }
        JobResult::Spoken { attempt, samples, last }
    }
}

fn pack(rows: Tensor<2>, precision: Precision) -> Option<Embeddings> {
    let [count, width] = rows.dims();
    let values: Vec<f32> = rows.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for");
    (count > 0).then(|| Embeddings::pack(&values, width, precision))
}
