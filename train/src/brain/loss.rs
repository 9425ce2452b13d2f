//! The weighted cross entropies of text and codes.
//!
//! Source: LongCat-Flash-Omni technical report, loss of its stage 1: L = a text + b audio + c text beside audio + d first
//! audio. The report leaves open whether the audio term is a mean or a sum over heads; here it is a sum.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use caracal_cluster::backbone::repetition_penalty::RepetitionPenalty;
use caracal_cluster::backbone::watcher::Unwatched;
use caracal_shared::ids::CODE_PAD;
use caracal_shared::reply::CODEBOOKS;

use super::batch::Batch;
use super::model::Brain;

/// Weight of written text.
const TEXT: f64 = 1.75;
/// Weight of each codebook's codes.
const AUDIO: f64 = 0.25;
/// Weight of text with speech beside it.
const AUDIO_TEXT: f64 = 1.5;
/// Further weight of the semantic codes.
const FIRST_AUDIO: f64 = 0.1;

/// The loss and its parts, each a mean over its targets.
pub struct Losses {
    /// What is differentiated.
    pub total: Tensor<1>,
    /// Written text.
    pub text: Option<f64>,
    /// Text beside speech.
    pub audio_text: Option<f64>,
    /// Each codebook.
    pub codes: Option<[f64; CODEBOOKS]>,
}

/// Losses of a batch from the hidden states of its rows.
///
/// # Shapes
/// hidden: `[rows, width]`
pub fn losses(brain: &Brain, batch: &Batch, hidden: Tensor<2>) -> Losses {
    let device = hidden.device();
    let mut total = Tensor::<1>::zeros([1], &device);
    let of_text = |spoken: bool| -> (Vec<usize>, Vec<u32>) {
        let rows = batch.targets.iter().enumerate().filter(|(_, t)| t.spoken == spoken);
        rows.filter_map(|(row, t)| t.text.map(|id| (row, id))).unzip()
    };
    let mut text_loss = |spoken: bool, weight: f64| {
        let (rows, ids) = of_text(spoken);
        (!rows.is_empty()).then(|| {
            let logits = brain.language.text_logits(hidden.clone().select(0, index(&rows, &device)), &mut Unwatched);
            let loss = cross_entropy(logits, &ids);
            total = total.clone() + loss.clone() * weight;
            scalar(loss)
        })
    };
    let (text, audio_text) = (text_loss(false, TEXT), text_loss(true, AUDIO_TEXT));
    let spoken: Vec<usize> = (0..batch.targets.len()).filter(|row| batch.targets[*row].codes[0].is_some()).collect();
    let codes = (!spoken.is_empty()).then(|| {
        let gold: Vec<Vec<u32>> =
            spoken.iter().map(|row| batch.targets[*row].codes.iter().map(|code| code.unwrap_or(0)).collect()).collect();
        let heads = brain.head.forward(hidden.clone().select(0, index(&spoken, &device)), &gold);
        let mut parts = [0.0; CODEBOOKS];
        for (book, logits) in heads.into_iter().enumerate() {
            // Acoustic codes of a segment's first row belong to no frame.
            let (rows, ids): (Vec<usize>, Vec<u32>) =
                spoken.iter().enumerate().filter_map(|(at, row)| batch.targets[*row].codes[book].map(|id| (at, id))).unzip();
            if rows.is_empty() {
                continue;
            }
            let predicting: Vec<usize> = rows.iter().map(|at| spoken[*at]).collect();
            let loss = cross_entropy(penalised(logits.select(0, index(&rows, &device)), batch, &predicting, book), &ids);
            let weight = AUDIO + if book == 0 { FIRST_AUDIO } else { 0.0 };
            total = total.clone() + loss.clone() * weight;
            parts[book] = scalar(loss);
        }
        parts
    });
    Losses { total, text, audio_text, codes }
}

/// Logits of a codebook after the penalty that decoding will put on what was said lately: the model learns to choose
/// right under it. `rows` are those of the batch that predict.
fn penalised(logits: Tensor<2>, batch: &Batch, rows: &[usize], book: usize) -> Tensor<2> {
    let [count, codes] = logits.dims();
    let mut factors = vec![1f32; count * codes];
    for (factors, row) in factors.chunks_exact_mut(codes).zip(rows) {
        // An answer's rows are those in one run that have a semantic code.
        let answer = batch.rows[..=*row].iter().rev().take_while(|row| row.codes[0] != CODE_PAD);
        let past = answer.take(RepetitionPenalty::AUDIO.window).map(|row| row.codes[book]);
        past.filter(|code| *code != CODE_PAD).for_each(|code| factors[code as usize] *= RepetitionPenalty::AUDIO.factor);
    }
    let factors = Tensor::<2>::from_data(TensorData::new(factors, [count, codes]), &logits.device());
    activation::relu(logits.clone()) / factors.clone() - activation::relu(logits.neg()) * factors
}

fn index(rows: &[usize], device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

/// Mean over rows of -log softmax at the given ids.
///
/// # Shapes
/// logits: `[rows, classes]`, ids: `[rows]` → `[1]`
pub fn cross_entropy(logits: Tensor<2>, ids: &[u32]) -> Tensor<1> {
    let device = logits.device();
    let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    let count = ids.len();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [count, 1]), &device);
    activation::log_softmax(logits, 1).gather(1, ids).mean().neg()
}

fn scalar(loss: Tensor<1>) -> f64 {
    f64::from(loss.into_scalar::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::sample::Sample;
    use caracal_shared::ids::TEXT_PAD;
    use caracal_shared::prompt::Row;

    #[test]
    fn the_penalty_of_a_lesson_is_that_of_decoding() {
        let said = |code| Row { text: TEXT_PAD, codes: [code; CODEBOOKS] };
        // A first answer, a word, a second answer longer than the window.
        let mut rows = vec![said(4), said(4), Row::text(9)];
        rows.extend([5, 6, 5].map(said));
        rows.extend((0..RepetitionPenalty::AUDIO.window).map(|_| said(7)));
        let batch =
            Batch::new(vec![Sample { targets: vec![Default::default(); rows.len()], rows: rows.clone(), perceived: Default::default() }]);
        let raw = [1.0, -2.0, 0.5, -0.25, 3.0, -4.0, 5.0, -6.0];
        for row in [1, 3, 5, 20, rows.len() - 1] {
            let logits = Tensor::<2>::from_floats([raw], &Device::flex());
            let found: Vec<f32> = penalised(logits, &batch, &[row], 1).into_data().try_into_vec().unwrap();
            let first = if row < 2 { 0 } else { 3 };
            let mut wanted = raw;
            RepetitionPenalty::AUDIO.apply(rows[first..=row].iter().map(|row| Some(row.codes[1])), &mut wanted);
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5 * b.abs()), "row {row}: {found:?} {wanted:?}");
        }
    }
}
