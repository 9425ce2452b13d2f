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
    let nothing = vec![0.0; WIDTH];
    let table: Vec<f32> = nothing.into_iter().chain(units.words().iter().flat_map(|word| vectors.of(word))).collect();
    let table = Tensor::<2>::from_data(TensorData::new(table, [units.count(), WIDTH]), (&Device::flex(), DType::F32));
    let rate = LearningRate { peak: lessons.rate, floor: lessons.floor, warmup: WARMUP, steps: lessons.steps };
    let mut optimiser = optimiser();
    while let Some(step) = stage.next_step() {
        let heard = teacher.perception.ears();
        let rows: Vec<f32> = heard.any_of_training(UTTERANCES, &mut stage.rng(step))?.concat();
        let count = rows.len() / teacher.heard;
        let scores = Tensor::<2>::from_data(TensorData::new(heard.ears().scores(rows.clone()), [count, units.count()]), &table.device());
        let likely = activation::softmax(scores, 1);
        let blank = likely.clone().narrow(1, 0, 1);
        let weights = (blank.neg() + 1.0).clamp_min(BLANK_WEIGHT);
        let on = |tensor: Tensor<2>| Tensor::<2>::from_data(tensor.into_data(), &device);
        let (said, weights) = (on(likely.matmul(table.clone())), on(weights.clone() / weights.sum().unsqueeze()));
        let rows = Tensor::<2>::from_data(TensorData::new(rows, [count, teacher.heard]), &device);
        let away = (brain.ears.forward(rows) - said).square().sum_dim(1) * weights;
        let loss = away.sum() / vectors.mean_square();
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
