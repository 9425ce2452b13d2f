//! Samples of like length side by side, filled up to the longest.

use burn::tensor::{Device, Tensor, TensorData};
use caracal_cluster::backbone::embedding::Features;
use caracal_shared::ids::{CODE_END, CODE_PAD, NO_CODES};
use caracal_shared::prompt::Row;
use caracal_shared::reply::CODEBOOKS;
use caracal_shared::tokenize::Markers;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::model::Brain;
use super::sample::{Sample, Target};
use crate::eyes::network::PAIR;

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

    /// Puts other frames in the places of some of those that are read, not of those that are predicted; of further ones,
    /// `sounds` of all, the acoustic codes alone. An answer that is spoken freely has read frames that no recording has:
    /// whoever has only ever read right ones loses the thread there, and may predict frames from frames without looking at
    /// the words. Acoustic codes go wrong first, at the start of a phrase, and nothing that follows may hang on them. The end
    /// of a segment is always read right: decoding goes by it.
    pub fn misread(&mut self, share: f64, sounds: f64, rng: &mut StdRng) {
        let spoken: Vec<usize> =
            (0..self.rows.len()).filter(|row| !self.rows[*row].codes.contains(&CODE_PAD) && self.rows[*row].codes[0] != CODE_END).collect();
        let frames: Vec<[u32; CODEBOOKS]> = spoken.iter().map(|row| self.rows[*row].codes).collect();
        for row in spoken {
            let other = *frames.choose(rng).expect("this row has a frame");
            let drawn: f64 = rng.random();
            if drawn < share {
                self.rows[row].codes = other;
            } else if drawn < share + sounds {
                self.rows[row].codes[1..].copy_from_slice(&other[1..]);
            }
        }
    }

    /// Input rows: tables, and the projectors of what is heard and seen.
    ///
    /// # Shapes
    /// `[samples * length, width]`
    ///
    /// # Panics
    /// When the perceived rows do not fit, which [`super::sample::Sampler`] has checked, or something is seen without eyes.
    pub fn embed(&self, brain: &Brain, markers: &Markers, heard: usize, device: &Device) -> Tensor<2> {
        let tensor =
            |values: &[f32], width: usize| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), device);
        let mut features = Vec::new();
        if !self.audio.is_empty() {
            features.push(Features { placeholder: markers.audio_pad, rows: brain.ears.forward(tensor(&self.audio, heard)) });
        }
        if !self.image.is_empty() {
            let eyes = brain.eyes.as_ref().expect("what is seen was seen by eyes");
            features.push(Features { placeholder: markers.image_pad, rows: eyes.forward(tensor(&self.image, PAIR / 2)) });
        }
        let ids: Vec<u32> = self.rows.iter().map(|row| row.text).collect();
        let codes: Vec<u32> = self.rows.iter().flat_map(|row| row.codes).collect();
        brain.codec.prompt(&brain.language.embed_tokens, &ids, &codes, &features).expect("the rows fit the tables")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caracal_shared::ids::{CODE_OFFSET, TEXT_PAD};
    use rand::SeedableRng;

    #[test]
    fn misread_frames_are_others_of_the_batch_and_what_is_predicted_stays() {
        // The codes of a frame say where it is from.
        let frame = |n: u32| Row { text: TEXT_PAD, codes: [n + CODE_OFFSET; CODEBOOKS] };
        let end = Row { text: TEXT_PAD, codes: [CODE_END, 40, 40, 40] };
        let rows: Vec<Row> = [Row::text(300)].into_iter().chain((0..400).map(frame)).chain([end; 20]).collect();
        let targets = vec![Target { codes: [Some(40); CODEBOOKS], ..Target::default() }; rows.len()];
        let mut batch = Batch::new(vec![Sample { rows: rows.clone(), targets: targets.clone(), perceived: Default::default() }]);
        batch.misread(0.25, 0.5, &mut StdRng::seed_from_u64(1));
        let others = |book: usize| batch.rows.iter().zip(&rows).filter(|(new, old)| new.codes[book] != old.codes[book]).count();
        assert!((70..130).contains(&others(0)), "{} of 400", others(0));
        assert!((260..340).contains(&others(1)), "{} of 400", others(1));
        assert!(batch.rows.iter().all(|row| row.codes[1] == row.codes[2] && row.codes[2] == row.codes[3]), "acoustic codes stay together");
        assert!(batch.rows[1..401].iter().all(|row| row.codes.iter().all(|code| (CODE_OFFSET..CODE_OFFSET + 400).contains(code))));
        assert_eq!((batch.rows[0], &batch.targets), (rows[0], &targets));
        assert_eq!(batch.rows.iter().filter(|row| **row == end).count(), 20, "ends stay, and nothing else becomes one");
    }
}
