//! softmax(factor q kᵀ) v of whole sequences in which no row sees a later one: what a language model learns with.
//!
//! Composed of tensor operations, scores of all rows against all others go through memory again and again, forward and
//! back, half of them only to be hidden. Here a block of rows sees what it may see, in the cache, and its weights are
//! computed a second time for the gradients rather than kept. Cost: `heads (width + value)` multiply-adds for each pair of
//! rows that see each other, and two and a half times as many for the gradients.

use burn::tensor::{Bool, DType, Tensor, activation};
use pulp::Arch;
use rayon::prelude::*;

use super::exponential::{SUMS, exponentials};
use super::gradient::{HostGradient, record, tracked, view};
use super::product::{Part, product};
use super::{HostView, from_host, is_plain_cpu};

/// Rows whose scores are held at once: with a thousand rows before them they stay in the second-level cache.
const BLOCK: usize = 64;

/// Attention of `sequences` sequences of equal length, one after the other; each row sees itself and the rows before it
/// in its own sequence. A row's last bits may depend on the length of its sequence: sessions use
/// [`super::mla_attention_rows`], where nothing else matters.
///
/// # Shapes
/// q, k: `[rows, heads * width]`, v: `[rows, heads * value]` → `[rows, heads * value]`
///
/// # Panics
/// When the shapes do not fit each other, the heads or the sequences.
pub fn causal_attention(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, heads: usize, sequences: usize, factor: f64) -> Tensor<2> {
    let ([rows, width], [_, value], device) = (q.dims(), v.dims(), q.device());
    assert!(k.dims() == q.dims() && v.dims()[0] == rows, "causal attention: q {:?}, k {:?}, v {:?}", q.dims(), k.dims(), v.dims());
    assert!(
        heads > 0 && width > 0 && width.is_multiple_of(heads) && value.is_multiple_of(heads),
        "causal attention: {width} and {value} in {heads} heads"
    );
    assert!(sequences > 0 && rows.is_multiple_of(sequences), "causal attention: {rows} rows are no {sequences} sequences of equal length");
    let shape = Causal { heads, time: rows / sequences, width: width / heads, value: value / heads, factor: factor as f32 };
    if let (Some(q), Some(k), Some(v)) = (tracked(&q), tracked(&k), tracked(&v)) {
        let inputs = [q, k, v];
        let views = inputs.each_ref().map(view);
        let y = shape.attend(views.each_ref().map(HostView::values));
        return record(&inputs, views, y, [rows, value], shape);
    }
    if q.dtype() == DType::F32 && is_plain_cpu(&device) {
        let views = [q, k, v].map(HostView::new);
        return from_host(shape.attend(views.each_ref().map(HostView::values)), [rows, value], &device, DType::F32);
    }
    shape.composed(q, k, v, sequences)
}

/// Widths, of one head, and the length of a sequence.
#[derive(Clone, Copy, Debug)]
struct Causal {
    heads: usize,
    time: usize,
    width: usize,
    value: usize,
    factor: f32,
}

impl Causal {
    /// What every device computes.
    fn composed(self, q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, sequences: usize) -> Tensor<2> {
        let Self { heads, time, value, .. } = self;
        let device = q.device();
        let by_head = |t: Tensor<2>| {
            let width = t.dims()[1] / heads;
            t.reshape([sequences, time, heads, width]).swap_dims(1, 2)
        };
        let scores = by_head(q).matmul(by_head(k).swap_dims(2, 3)) * f64::from(self.factor);
        let later = Tensor::<2, Bool>::tril_mask([time, time], 0, &device).unsqueeze::<4>().expand([sequences, heads, time, time]);
        let weights = activation::softmax(scores.mask_fill(later, f32::NEG_INFINITY), 3);
        weights.matmul(by_head(v)).swap_dims(1, 2).reshape([sequences * time, heads * value])
    }

    fn attend(self, [q, k, v]: [&[f32]; 3]) -> Vec<f32> {
        let (row, value_row) = (self.heads * self.width, self.heads * self.value);
        let mut y = vec![0.0; v.len()];
        let sequences = y.par_chunks_mut((self.time * value_row).max(1));
        sequences
            .zip(q.par_chunks((self.time * row).max(1)))
            .zip(k.par_chunks((self.time * row).max(1)))
            .zip(v.par_chunks((self.time * value_row).max(1)))
            .for_each(|(((y, q), k), v)| {
                let mut weights = vec![0.0; BLOCK * self.time];
                for block in self.blocks() {
                    self.weigh(q, k, block, &mut weights);
                    let Block { head, first, count, seen } = block;
                    let v = Part::new(&v[head * self.value..], value_row, seen, self.value);
                    product(
                        Part::new(&weights, seen, count, seen),
                        v,
                        1.0,
                        false,
                        &mut y[first * value_row + head * self.value..],
                        value_row,
                    );
                }
            });
        y
    }

    fn blocks(self) -> impl Iterator<Item = Block> {
        (0..self.heads).flat_map(move |head| {
            (0..self.time).step_by(BLOCK).map(move |first| {
                let count = BLOCK.min(self.time - first);
                Block { head, first, count, seen: first + count }
            })
        })
    }

    /// Weights of a block's rows on the rows that its last one sees, 0 for those that are later.
    ///
    /// # Shapes
    /// q, k: one sequence → weights: `[count, seen]`
    fn weigh(self, q: &[f32], k: &[f32], Block { head, first, count, seen }: Block, weights: &mut [f32]) {
        let (row, start) = (self.heads * self.width, head * self.width);
        let q = Part::new(&q[first * row + start..], row, count, self.width);
        let k = Part::new(&k[start..], row, seen, self.width);
        product(q, k.turned(), self.factor, false, weights, seen);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (place, weights) in weights[..count * seen].chunks_exact_mut(seen).enumerate() {
                    let (weights, later) = weights.split_at_mut(first + place + 1);
                    let norm = 1.0 / exponentials(weights);
                    weights.iter_mut().for_each(|weight| *weight *= norm);
                    later.fill(0.0);
                }
            },
        );
    }
}

/// Some rows of one head of a sequence.
#[derive(Clone, Copy)]
struct Block {
    head: usize,
    first: usize,
    count: usize,
    /// Rows up to and with its last.
    seen: usize,
}

impl HostGradient<3> for Causal {
    fn gradients(&self, [q, k, v]: [&[f32]; 3], dy: &[f32], _: [bool; 3]) -> [Option<Vec<f32>>; 3] {
        let (row, value_row) = (self.heads * self.width, self.heads * self.value);
        let (long, short) = ((self.time * row).max(1), (self.time * value_row).max(1));
        let [mut dq, mut dk, mut dv] = [q, k, v].map(|of| vec![0.0; of.len()]);
        let outputs = dq.par_chunks_mut(long).zip(dk.par_chunks_mut(long)).zip(dv.par_chunks_mut(short));
        let inputs = q.par_chunks(long).zip(k.par_chunks(long)).zip(v.par_chunks(short)).zip(dy.par_chunks(short));
        outputs.zip(inputs).for_each(|(((dq, dk), dv), (((q, k), v), dy))| {
            let mut weights = vec![0.0; BLOCK * self.time];
            let mut by_weights = weights.clone();
            for block in self.blocks() {
                let Block { head, first, count, seen } = block;
                let (start, value_start) = (head * self.width, head * self.value);
                let (here, value_here) = (first * row + start, first * value_row + value_start);
                self.weigh(q, k, block, &mut weights);
                let dy = Part::new(&dy[value_here..], value_row, count, self.value);
                product(Part::new(&weights, seen, count, seen).turned(), dy, 1.0, true, &mut dv[value_start..], value_row);
                let v = Part::new(&v[value_start..], value_row, seen, self.value);
                product(dy, v.turned(), 1.0, false, &mut by_weights, seen);
                softmax_gradient(&weights[..count * seen], &mut by_weights[..count * seen], seen);
                let by_scores = Part::new(&by_weights, seen, count, seen);
                let k = Part::new(&k[start..], row, seen, self.width);
                product(by_scores, k, self.factor, false, &mut dq[here..], row);
                let q = Part::new(&q[here..], row, count, self.width);
                product(by_scores.turned(), q, self.factor, true, &mut dk[start..], row);
            }
        });
        [Some(dq), Some(dk), Some(dv)]
    }
}

/// Gradients by the scores in place of those by the weights: w (dw - Σ w dw), row by row.
fn softmax_gradient(weights: &[f32], by_weights: &mut [f32], seen: usize) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (weights, by_weights) in weights.chunks_exact(seen).zip(by_weights.chunks_exact_mut(seen)) {
                let mut sums = [0.0; SUMS];
                for (weights, by_weights) in weights.chunks(SUMS).zip(by_weights.chunks(SUMS)) {
                    for ((sum, weight), by_weight) in sums.iter_mut().zip(weights).zip(by_weights) {
                        *sum += weight * by_weight;
                    }
                }
                let mean = sums.iter().sum::<f32>();
                for (by_weight, weight) in by_weights.iter_mut().zip(weights) {
                    *by_weight = weight * (*by_weight - mean);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    const HEADS: usize = 3;

    fn values(rng: &mut StdRng, count: usize) -> Vec<f32> {
        (0..count).map(|_| rng.random_range(-1.5..1.5)).collect()
    }

    /// Result and gradients by q, k and v of a weighted sum of all outputs.
    fn run(parts: &[Vec<f32>; 4], shape: Causal, sequences: usize, composed: bool) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let rows = sequences * shape.time;
        let tensor = |values: &Vec<f32>| Tensor::<2>::from_data(TensorData::new(values.clone(), [rows, values.len() / rows]), &device);
        let [q, k, v] = [0, 1, 2].map(|i| tensor(&parts[i]).require_grad());
        let (a, b, c) = (q.clone(), k.clone(), v.clone());
        let y = if composed {
            shape.composed(a, b, c, sequences)
        } else {
            causal_attention(a, b, c, HEADS, sequences, f64::from(shape.factor))
        };
        let gradients = (y.clone() * tensor(&parts[3])).sum().backward();
        let mut found = vec![y.into_data().try_to_vec().unwrap()];
        found.extend([q, k, v].map(|input| input.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap()));
        found
    }

    #[test]
    fn result_and_gradients_equal_those_of_the_composition() {
        let mut rng = StdRng::seed_from_u64(3);
        for (sequences, time, width, value) in [(1, 1, 4, 2), (3, 17, 6, 5), (2, BLOCK, 8, 8), (2, 2 * BLOCK + 9, 12, 7)] {
            let rows = sequences * time;
            let parts = [width, width, value, value].map(|width| values(&mut rng, rows * HEADS * width));
            let shape = Causal { heads: HEADS, time, width, value, factor: 0.7 };
            let (fused, composed) = (run(&parts, shape, sequences, false), run(&parts, shape, sequences, true));
            for (name, (fused, composed)) in ["y", "dq", "dk", "dv"].into_iter().zip(fused.iter().zip(&composed)) {
                assert_eq!(fused.len(), composed.len(), "{name}");
                for (fused, composed) in fused.iter().zip(composed) {
                    assert!((fused - composed).abs() < 2e-4, "{sequences} of {time} rows, {name}: {fused} for {composed}");
                }
            }
        }
    }

    #[test]
    fn no_row_hears_of_a_later_one_or_of_another_sequence() {
        let (mut rng, device) = (StdRng::seed_from_u64(4), Device::flex());
        let (time, width) = (BLOCK + 6, 4);
        let run = |values: &[f32]| -> Vec<f32> {
            let x = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2 * time, HEADS * width]), &device);
            causal_attention(x.clone(), x.clone(), x, HEADS, 2, 0.5).into_data().try_to_vec().unwrap()
        };
        let mut input = values(&mut rng, 2 * time * HEADS * width);
        let before = run(&input);
        let changed = BLOCK + 2;
        input[changed * HEADS * width..time * HEADS * width].fill(9.0);
        let after = run(&input);
        let row = |of: &[f32], row: usize| of[row * HEADS * width..(row + 1) * HEADS * width].to_vec();
        for index in (0..changed).chain(time..2 * time) {
            assert_eq!(row(&before, index), row(&after, index), "row {index}");
        }
        assert_ne!(row(&before, changed), row(&after, changed));
    }
}
