//! Connectionist temporal classification: learns what was said from recordings that are not aligned with their text.
//!
//! The loss is the negative logarithm of the summed probability of all ways to spread the labels over the frames, with
//! blanks (label 0) between. Its gradient by the logits has a closed form, softmax minus how often each label is
//! expected at each frame, so forward and backward sums run in f64 on the host, and the tensor that gradients flow
//! through is a sum of logits times that constant.
//!
//! Source: Graves et al., "Connectionist Temporal Classification", ICML 2006.

use burn::tensor::{DType, Tensor, TensorData};

/// Label of the blank.
pub const BLANK: u32 = 0;

/// The loss of a batch.
pub struct CtcLoss {
    /// Mean over the labels of the batch, in nats.
    pub value: f64,
    /// Its gradient is that of `value`; its own number means nothing. `None` where nothing could be aligned.
    pub surrogate: Option<Tensor<1>>,
    /// Utterances whose labels do not fit into their frames; they are left out.
    pub skipped: usize,
}

/// The loss of utterances, each `[frames, vocabulary]` logits with its labels (none of them [`BLANK`]).
///
/// # Panics
/// On a label outside the vocabulary or a blank among the labels.
pub fn ctc_loss(batch: &[(Tensor<2>, &[u32])]) -> CtcLoss {
    let mut terms = Vec::new();
    let (mut nats, mut labels, mut skipped) = (0.0, 0, 0);
    for (logits, target) in batch {
        let [frames, vocabulary] = logits.dims();
        let values = logits.clone().detach().into_data_dtype(DType::F32).try_into_vec::<f32>().expect("f32 was asked for");
        let Some((loss, gradient)) = loss_and_gradient(&values, vocabulary, target) else {
            skipped += 1;
            continue;
        };
        nats += loss;
        labels += target.len().max(1);
        let gradient = Tensor::<2>::from_data(TensorData::new(gradient, [frames, vocabulary]), &logits.device());
        terms.push((logits.clone() * gradient).sum());
    }
    let surrogate = terms.into_iter().reduce(|sum, term| sum + term).map(|sum| sum / labels as f64);
    CtcLoss { value: nats / labels.max(1) as f64, surrogate, skipped }
}

/// What the best label of every frame says: repetitions once, blanks left out.
///
/// # Panics
/// When `vocabulary` is 0.
pub fn greedy(logits: &[f32], vocabulary: usize) -> Vec<u32> {
    let best = |row: &[f32]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(BLANK, |(label, _)| label as u32);
    let mut labels: Vec<u32> = logits.chunks_exact(vocabulary).map(best).collect();
    labels.dedup();
    labels.retain(|label| *label != BLANK);
    labels
}

/// Substitutions, insertions and deletions that turn one sequence into the other.
pub fn edits<T: PartialEq>(want: &[T], got: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=got.len()).collect();
    for (i, want) in want.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, got) in got.iter().enumerate() {
            let replaced = diagonal + usize::from(want != got);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[got.len()]
}

/// The loss in nats and its gradient by the logits; `None` where the labels do not fit into the frames.
fn loss_and_gradient(logits: &[f32], vocabulary: usize, target: &[u32]) -> Option<(f64, Vec<f32>)> {
    assert!(target.iter().all(|l| *l != BLANK && (*l as usize) < vocabulary), "ctc: labels {target:?} are not 1 to {}", vocabulary - 1);
    let frames = logits.len() / vocabulary;
    let repeats = target.windows(2).filter(|pair| pair[0] == pair[1]).count();
    if frames < (target.len() + repeats).max(1) {
        return None;
    }
    let log_probabilities: Vec<f64> = logits.chunks_exact(vocabulary).flat_map(log_softmax).collect();
    // Blank, label, blank, label, …, blank.
    let states: Vec<u32> = (0..2 * target.len() + 1).map(|s| if s % 2 == 0 { BLANK } else { target[s / 2] }).collect();
    // Two states ahead in one frame: only from a label to a different label.
    let skips = |to: usize| to >= 2 && states[to] != BLANK && states[to] != states[to - 2];
    let at = |frame: usize, state: usize| log_probabilities[frame * vocabulary + states[state] as usize];
    let count = states.len();

    let mut forward = vec![f64::NEG_INFINITY; frames * count];
    (0..count.min(2)).for_each(|state| forward[state] = at(0, state));
    for frame in 1..frames {
        let (before, now) = forward[(frame - 1) * count..].split_at_mut(count);
        for state in 0..count {
            let stay = before[state];
            let next = if state >= 1 { before[state - 1] } else { f64::NEG_INFINITY };
            let skip = if skips(state) { before[state - 2] } else { f64::NEG_INFINITY };
            now[state] = log_sum(&[stay, next, skip]) + at(frame, state);
        }
    }
    // Without the probability of the frame itself, so that forward + backward counts it once.
    let mut backward = vec![f64::NEG_INFINITY; frames * count];
    (count.saturating_sub(2)..count).for_each(|state| backward[(frames - 1) * count + state] = 0.0);
    for frame in (0..frames - 1).rev() {
        for state in 0..count {
            let after = |to: usize| backward[(frame + 1) * count + to] + at(frame + 1, to);
            let next = if state + 1 < count { after(state + 1) } else { f64::NEG_INFINITY };
            let skip = if state + 2 < count && skips(state + 2) { after(state + 2) } else { f64::NEG_INFINITY };
            let stay = after(state);
            backward[frame * count + state] = log_sum(&[stay, next, skip]);
        }
    }
    let last = &forward[(frames - 1) * count..];
    let total = log_sum(&last[count.saturating_sub(2)..]);
    let mut gradient: Vec<f64> = log_probabilities.iter().map(|p| p.exp()).collect();
    for frame in 0..frames {
        for (state, label) in states.iter().enumerate() {
            let occupied = (forward[frame * count + state] + backward[frame * count + state] - total).exp();
            gradient[frame * vocabulary + *label as usize] -= occupied;
        }
    }
    Some((-total, gradient.into_iter().map(|g| g as f32).collect()))
}

fn log_softmax(row: &[f32]) -> impl Iterator<Item = f64> + '_ {
    let most = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum = most + row.iter().map(|v| (f64::from(*v) - most).exp()).sum::<f64>().ln();
    row.iter().map(move |v| f64::from(*v) - sum)
}

fn log_sum(terms: &[f64]) -> f64 {
    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY { most } else { most + terms.iter().map(|t| (t - most).exp()).sum::<f64>().ln() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    const VOCABULARY: usize = 3;

    fn logits(frames: usize, seed: u32) -> Vec<f32> {
        (0..(frames * VOCABULARY) as u32).map(|i| ((i * 7 + seed).wrapping_mul(2_654_435_761) >> 16) as f32 / 16_384.0 - 2.0).collect()
    }

    /// Sums over every sequence of labels there is.
    fn exact(logits: &[f32], target: &[u32]) -> Option<f64> {
        let frames = logits.len() / VOCABULARY;
        let rows: Vec<Vec<f64>> = logits.chunks_exact(VOCABULARY).map(|row| log_softmax(row).collect()).collect();
        let mut total = 0.0;
        for path in 0..VOCABULARY.pow(frames as u32) {
            let path: Vec<u32> = (0..frames).map(|t| (path / VOCABULARY.pow(t as u32) % VOCABULARY) as u32).collect();
            let mut said = path.clone();
            said.dedup();
            said.retain(|label| *label != BLANK);
            if said == target {
                total += path.iter().zip(&rows).map(|(label, row)| row[*label as usize]).sum::<f64>().exp();
            }
        }
        (total > 0.0).then(|| -total.ln())
    }

    #[test]
    fn the_loss_sums_over_all_alignments() {
        let targets: [&[u32]; 8] = [&[], &[1], &[2, 1], &[1, 1], &[2, 2, 1], &[1, 2, 1, 2], &[1, 1, 1], &[2, 2, 2, 2]];
        for frames in 1..=6 {
            for (seed, target) in targets.iter().enumerate() {
                let logits = logits(frames, seed as u32);
                let got = loss_and_gradient(&logits, VOCABULARY, target).map(|(loss, _)| loss);
                match (got, exact(&logits, target)) {
                    (Some(got), Some(want)) => assert!((got - want).abs() < 1e-9, "{frames} frames, {target:?}: {got}, not {want}"),
                    (got, want) => assert_eq!(got, want, "{frames} frames, {target:?}"),
                }
            }
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let target = [2, 2, 1];
        let values = logits(6, 5);
        let device = Device::flex().autodiff();
        let tensor = Tensor::<2>::from_data(TensorData::new(values.clone(), [6, VOCABULARY]), &device).require_grad();
        let loss = ctc_loss(&[(tensor.clone(), &target)]);
        let gradient = tensor.grad(&loss.surrogate.unwrap().backward()).unwrap().into_data().try_to_vec::<f32>().unwrap();
        for (index, gradient) in gradient.iter().enumerate() {
            let moved = |by: f32| {
                let mut values = values.clone();
                values[index] += by;
                exact(&values, &target).unwrap() / target.len() as f64
            };
            let want = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((f64::from(*gradient) - want).abs() < 1e-4, "logit {index}: {gradient}, not {want}");
        }
    }

    #[test]
    fn labels_that_do_not_fit_are_left_out_and_counted() {
        let device = Device::flex();
        let utterance = |frames: usize| Tensor::<2>::from_data(TensorData::new(logits(frames, 1), [frames, VOCABULARY]), &device);
        let both = ctc_loss(&[(utterance(2), &[1, 1]), (utterance(5), &[1, 2])]);
        let one = ctc_loss(&[(utterance(5), &[1, 2])]);
        assert_eq!((both.skipped, one.skipped), (1, 0));
        assert_eq!(both.value, one.value);
    }

    #[test]
    fn the_best_path_drops_repetitions_and_blanks() {
        let row = |label: usize| (0..3).map(move |l| if l == label { 1.0f32 } else { 0.0 });
        let logits: Vec<f32> = [0, 1, 1, 0, 1, 2, 2, 0].into_iter().flat_map(row).collect();
        assert_eq!(greedy(&logits, 3), [1, 1, 2]);
        assert_eq!(edits(&[1, 1, 2], &[1, 2, 2, 3]), 2);
        assert_eq!(edits::<u32>(&[], &[4]), 1);
    }
}
