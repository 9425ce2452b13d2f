//! The projector of what is heard, with everything else frozen: it learns to say the words that the audio encoder heard,
//! as the language model's own vectors.
//!
//! The encoder was trained with CTC, so each of its rows holds how likely each word ends there. A row is aligned when the
//! projector gives the sum of the words' vectors, each as often as it is likely, and nothing where there is no word: a
//! spoken question then lies where the language model finds a typed one.

use anyhow::Result;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use caracal_edge::audio::AudioProjector;

use super::curriculum::Lessons;
use super::lesson::Teacher;
use super::measure::measure;
use super::model::BrainFiles;
use super::shape::{SEED, WIDTH};
use super::training::optimiser;
use crate::ears::evaluation::UNITS_FILE;
use crate::ears::layout;
use crate::ears::units::Units;
use crate::stage::{Folders, LearningRate, Stage};
use crate::word_vectors::WordVectors;

/// Utterances of a step.
const UTTERANCES: usize = 48;
/// Steps until the learning rate is at its highest.
const WARMUP: usize = 20;
/// Weight of a row in which no word ends, against one in which one surely does: there are many more of them.
const BLANK_WEIGHT: f32 = 0.2;

/// Where rows should lie.
struct Aim {
    /// The vector of each unit of the CTC head: none for the blank, then the words' `[units, WIDTH]`.
    table: Tensor<2>,
    mean_square: f32,
}

impl Aim {
    /// From the vectors of the words in the order of their labels, one after the other.
    fn new(words: Vec<f32>, mean_square: f32) -> Self {
        let units = 1 + words.len() / WIDTH;
        let table: Vec<f32> = std::iter::repeat_n(0.0, WIDTH).chain(words).collect();
        Self { table: Tensor::from_data(TensorData::new(table, [units, WIDTH]), (&Device::flex(), DType::F32)), mean_square }
    }

    /// Weighted mean of the squared distances between what the projector gives and what was heard, in lengths of a word.
    ///
    /// # Shapes
    /// rows: flat `[n, heard]`, scores of the CTC head: flat `[n, units]` → `[1]`
    fn distance(&self, projector: &AudioProjector, rows: Vec<f32>, scores: Vec<f32>, device: &Device) -> Tensor<1> {
        let [units, _] = self.table.dims();
        let count = scores.len() / units;
        let likely = activation::softmax(Tensor::<2>::from_data(TensorData::new(scores, [count, units]), &self.table.device()), 1);
        let weights = (likely.clone().narrow(1, 0, 1).neg() + 1.0).clamp_min(BLANK_WEIGHT);
        // What is aimed at has no gradient.
        let on = |tensor: Tensor<2>| Tensor::<2>::from_data(tensor.into_data(), device);
        let (said, weights) = (on(likely.matmul(self.table.clone())), on(weights.clone() / weights.sum().unsqueeze()));
        let width = rows.len() / count;
        let given = projector.forward(Tensor::from_data(TensorData::new(rows, [count, width]), device));
        ((given - said).square().sum_dim(1) * weights).sum() / self.mean_square
    }
}

/// Runs the stage, or goes on with it.
///
/// # Errors
/// When a file cannot be read or written.
///
/// # Panics
/// Without ears.
pub fn run(folders: &Folders, teacher: &mut Teacher, lessons: &Lessons) -> Result<()> {
    let device = Device::flex().autodiff();
    let mut stage = Stage::begin(folders, lessons.name, lessons.steps, SEED)?;
    let (files, mut brain) = BrainFiles::open(&folders.model, teacher.heard, &device)?;
    let vectors = WordVectors::open(&folders.model)?;
    let units = Units::read(&layout::folder(folders).join(UNITS_FILE))?;
    let words = units.words().iter().flat_map(|word| vectors.of(word));
    let aim = Aim::new(words.collect(), vectors.mean_square());
    let rate = LearningRate { peak: lessons.rate, floor: lessons.floor, warmup: WARMUP, steps: lessons.steps };
    let mut optimiser = optimiser();
    while let Some(step) = stage.next_step() {
        let heard = teacher.perception.ears();
        let rows: Vec<f32> = heard.any_of_training(UTTERANCES, &mut stage.rng(step))?.concat();
        let scores = heard.ears().scores(rows.clone());
        let loss = aim.distance(&brain.ears, rows, scores, &device);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &brain.ears);
        brain.ears = optimiser.step(rate.at(step), brain.ears, gradients);
        if stage.end_step(value, "of a word's length, squared") {
            files.save(&brain, &folders.model)?;
            stage.saved()?;
            eprintln!("{}", measure(&brain.valid(), teacher, &lessons.mix)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use caracal_kernels::Weights;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::adamw::{AdamW, Settings};

    const HEARD: usize = 24;

    #[test]
    fn a_projector_learns_to_say_the_word_that_is_likely_and_nothing_where_there_is_none() {
        let device = Device::flex().autodiff();
        let mut rng = StdRng::seed_from_u64(1);
        let words: Vec<f32> = (0..5 * WIDTH).map(|_| rng.random_range(-0.1..0.1)).collect();
        let aim = Aim::new(words.clone(), 0.64);
        // Six kinds of rows, each of which tells its unit.
        let kinds: Vec<f32> = (0..6 * HEARD).map(|_| rng.random_range(-1.0..1.0)).collect();
        let scores: Vec<f32> = (0..6).flat_map(|kind| (0..6).map(move |unit| if unit == kind { 9.0 } else { 0.0 })).collect();
        let mut projector = AudioProjector::load(&Weights::random(2, &device), HEARD, WIDTH).expect("random weights fit");
        let mut optimiser = AdamW::new(Settings::default());
        for _ in 0..150 {
            let loss = aim.distance(&projector, kinds.clone(), scores.clone(), &device);
            let gradients = GradientsParams::from_grads(loss.backward(), &projector);
            projector = optimiser.step(1e-2, projector, gradients);
        }
        let plain = projector.valid();
        let rows = plain.forward(Tensor::from_data(TensorData::new(kinds, [6, HEARD]), &Device::flex()));
        let rows: Vec<f32> = rows.into_data().try_into_vec().expect("f32");
        let length = |row: &[f32]| row.iter().map(|v| v * v).sum::<f32>();
        assert!(length(&rows[..WIDTH]) < 0.02, "the blank says nothing: {}", length(&rows[..WIDTH]));
        for (said, word) in rows[WIDTH..].chunks(WIDTH).zip(words.chunks(WIDTH)) {
            let away: Vec<f32> = said.iter().zip(word).map(|(a, b)| a - b).collect();
            assert!(length(&away) < 0.05 * length(word), "{} of {}", length(&away), length(word));
        }
    }
}
