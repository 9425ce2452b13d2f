//! softmax(q kᵀ / sqrt(d)) v for each head, every row seeing every row.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Tensor, module};

/// Bidirectional multi-head attention over all rows, scaled by 1 / sqrt(head width), computed in f32 and rounded once to
/// the format of `q`.
///
/// # Shapes
/// q, k, v: `[rows, heads * head width]` → the same
///
/// # Panics
/// When the shapes differ or the width is no multiple of `heads`.
pub fn attention(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, heads: usize) -> Tensor<2> {
    let ([rows, width], dtype) = (q.dims(), q.dtype());
    assert!(width.is_multiple_of(heads), "attention: {width} channels in {heads} heads");
    let split = |t: Tensor<2>| {
        let t = if dtype == DType::F32 { t } else { t.cast(DType::F32) };
        t.reshape([1, rows, heads, width / heads]).swap_dims(1, 2)
    };
    let y = module::attention(split(q), split(k), split(v), None, None, AttentionModuleOptions::default());
    let y = y.swap_dims(1, 2).reshape([rows, width]);
    if dtype == DType::F32 { y } else { y.cast(dtype) }
}
