//! Samples of like length side by side, filled up to the longest.

use burn::tensor::{Device, Tensor, TensorData};
use caracal_cluster::backbone::embedding::Features;
use caracal_shared::ids::NO_CODES;
use caracal_shared::prompt::Row;
use caracal_shared::tokenize::Markers;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::model::Brain;
use super::sample::{Sample, Target};

/// Samples of equal length.
#[derive(Clone, Debug)]
pub struct Batch {
    /// How many.
    pub samples: usize,
    /// Rows of all, one sample after the other.
    pub rows: Vec<Row>,
    /// What each predicts.
    pub targets: Vec<Target>,
    audio: Vec<f32>,
    image: Vec<f32>,
}

/// Cuts samples into batches of about `rows` rows, each of samples of like length, in random order.
pub fn batches(mut samples: Vec<Sample>, rows: usize, rng: &mut StdRng) -> Vec<Batch> {
    samples.sort_by_key(|sample| sample.rows.len());
    let mut batches = Vec::new();
    while let Some(longest) = samples.last().map(|sample| sample.rows.len()) {
        let count = (rows / longest.max(1)).clamp(1, samples.len());
        batches.push(Batch::new(samples.split_off(samples.len() - count)));
    }
    batches.shuffle(rng);
    batches
}

impl Batch {
    /// Fills shorter samples up with rows that nobody predicts and, standing last, nobody sees.
    pub fn new(samples: Vec<Sample>) -> Self {
        let length = samples.iter().map(|sample| sample.rows.len()).max().unwrap_or(0);
        let mut batch = Self { samples: samples.len(), rows: Vec::new(), targets: Vec::new(), audio: Vec::new(), image: Vec::new() };
        let filler = Row { text: caracal_shared::ids::TEXT_PAD, codes: NO_CODES };
        for sample in samples {
            let missing = length - sample.rows.len();
            batch.rows.extend(sample.rows.into_iter().chain(std::iter::repeat_n(filler, missing)));
            batch.targets.extend(sample.targets.into_iter().chain(std::iter::repeat_n(Target::default(), missing)));
            batch.audio.extend(sample.perceived.audio);
            batch.image.extend(sample.perceived.image);
        }
        batch
    }

    /// Input rows: tables, and the projector of what is heard.
    ///
    /// # Shapes
    /// `[samples * length, width]`
    ///
    /// # Panics
    /// When the perceived rows do not fit, which [`super::sample::Sampler`] has checked.
    pub fn embed(&self, brain: &Brain, markers: &Markers, heard: usize, device: &Device) -> Tensor<2> {
        let tensor =
            |values: &[f32], width: usize| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), device);
        let mut features = Vec::new();
        if !self.audio.is_empty() {
            features.push(Features { placeholder: markers.audio_pad, rows: brain.ears.forward(tensor(&self.audio, heard)) });
        }
        if !self.image.is_empty() {
            let width = brain.ears.output_size();
            features.push(Features { placeholder: markers.image_pad, rows: tensor(&self.image, width) });
        }
        let ids: Vec<u32> = self.rows.iter().map(|row| row.text).collect();
        let codes: Vec<u32> = self.rows.iter().flat_map(|row| row.codes).collect();
        brain.codec.prompt(&brain.language.embed_tokens, &ids, &codes, &features).expect("the rows fit the tables")
    }
}
