//! softmax(q kᵀ / sqrt(d)) v for each head, every row seeing every row.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Tensor, activation, module};

use super::is_plain_cpu;

/// Scores that the portable version holds at once: 256 MB, since those of a large picture do not fit in memory together.
const SCORES_MAX: usize = 1 << 26;

/// Bidirectional multi-head attention over all rows, scaled by 1 / sqrt(head width), computed in f32 and rounded once to
/// the format of `q`.
///
/// The CPU version is the tensor library's fused one, which never holds all scores of many rows. Its result for a row
/// depends on the other rows by definition, so the rule that rows do not depend on the batch has no meaning here; rows
/// that must not see each other go into separate calls.
///
/// # Shapes
/// q, k, v: `[rows, heads * head width]` → the same
///
/// # Panics
/// When the shapes differ or the width is no multiple of `heads`.
pub fn attention(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, heads: usize) -> Tensor<2> {
    attention_in_parts(q, k, v, heads, 1)
}

/// As [`attention`], the rows being `parts` of equal length that do not see each other: one call for many costs less than
/// many calls, most of all when gradients are wanted.
///
/// # Shapes
/// q, k, v: `[parts * rows, heads * head width]` → the same
///
/// # Panics
/// As [`attention`]; when the rows are no multiple of `parts`.
pub fn attention_in_parts(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, heads: usize, parts: usize) -> Tensor<2> {
    let ([all, width], dtype, device) = (q.dims(), q.dtype(), q.device());
    assert!(q.dims() == k.dims() && q.dims() == v.dims(), "attention: q {:?}, k {:?}, v {:?}", q.dims(), k.dims(), v.dims());
    assert!(parts > 0 && all.is_multiple_of(parts), "attention: {all} rows in {parts} parts");
    let rows = all / parts;
    assert!(width.is_multiple_of(heads), "attention: {width} channels in {heads} heads");
    let head_width = width / heads;
    let split = |t: Tensor<2>| {
        let t = if dtype == DType::F32 { t } else { t.cast(DType::F32) };
        t.reshape([parts, rows, heads, head_width]).swap_dims(1, 2)
    };
    let (q, k, v) = (split(q), split(k), split(v));
    let y = if is_plain_cpu(&device) {
        module::attention(q, k, v, None, None, AttentionModuleOptions::default())
    } else {
        let q = q / (head_width as f64).sqrt();
        let block = (SCORES_MAX / (parts * heads * rows).max(1)).max(1);
        let of_block = |first: usize| {
            let scores = q.clone().narrow(2, first, block.min(rows - first)).matmul(k.clone().transpose());
            activation::softmax(scores, 3).matmul(v.clone())
        };
        Tensor::cat((0..rows).step_by(block).map(of_block).collect(), 2)
    };
    let y = y.swap_dims(1, 2).reshape([all, width]);
    if dtype == DType::F32 { y } else { y.cast(dtype) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;

    /// Straight from the definition, in f64.
    fn exactly(q: &[f32], k: &[f32], v: &[f32], rows: usize, heads: usize) -> Vec<f64> {
        let width = q.len() / rows;
        let d = width / heads;
        let at = |t: &[f32], row: usize, head: usize, i: usize| f64::from(t[row * width + head * d + i]);
        let mut out = vec![0.0; q.len()];
        for (row, head) in (0..rows).flat_map(|row| (0..heads).map(move |head| (row, head))) {
            let weights: Vec<f64> = (0..rows)
                .map(|other| ((0..d).map(|i| at(q, row, head, i) * at(k, other, head, i)).sum::<f64>() / (d as f64).sqrt()).exp())
                .collect();
            let sum: f64 = weights.iter().sum();
            for i in 0..d {
                out[row * width + head * d + i] = (0..rows).map(|other| weights[other] * at(v, other, head, i)).sum::<f64>() / sum;
            }
        }
        out
    }

    #[test]
    fn both_versions_equal_the_definition() {
        // One size on each side of the fused version's switch of methods.
        for (rows, heads, width) in [(1, 1, 4), (7, 3, 12), (600, 2, 16)] {
            let random = || {
                Tensor::<2>::random([rows, width], Distribution::Uniform(-2.0, 2.0), &Device::flex())
                    .into_data()
                    .try_to_vec::<f32>()
                    .unwrap()
            };
            let (q, k, v) = (random(), random(), random());
            let want = exactly(&q, &k, &v, rows, heads);
            for device in [Device::flex(), Device::flex().autodiff()] {
                let tensor = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, width]), &device);
                let got = attention(tensor(&q), tensor(&k), tensor(&v), heads).into_data().try_to_vec::<f32>().unwrap();
                for (got, want) in got.iter().zip(&want) {
                    assert!((f64::from(*got) - want).abs() < 1e-5, "{rows} rows: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn parts_equal_themselves_alone() {
        let (rows, parts, heads, width) = (5, 3, 2, 8);
        for device in [Device::flex(), Device::flex().autodiff()] {
            let random = || Tensor::<2>::random([parts * rows, width], Distribution::Uniform(-2.0, 2.0), &device);
            let (q, k, v) = (random(), random(), random());
            let part = |t: &Tensor<2>, index: usize| t.clone().narrow(0, index * rows, rows);
            let alone = (0..parts).map(|i| attention(part(&q, i), part(&k, i), part(&v, i), heads)).collect();
            let together = attention_in_parts(q.clone(), k.clone(), v.clone(), heads, parts);
            let off = (together - Tensor::cat(alone, 0)).abs().max().into_scalar::<f32>();
            assert!(off < 1e-6, "{off}");
        }
    }

    #[test]
    fn gradients_flow() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::random([5, 8], Distribution::Uniform(-1.0, 1.0), &device).require_grad();
        let y = attention(x.clone(), x.clone(), x.clone(), 2);
        assert_eq!(x.grad(&y.sum().backward()).unwrap().dims(), [5, 8]);
    }
}
