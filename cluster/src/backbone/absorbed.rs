//! The absorbed form of latent attention, over the cache.
//!
//! With `kv_b_proj` seen as WK and WV per head: the query is taken into the latent space, ql = q WK, attends to the
//! cached latents and rope keys as one key of `latent + rope` values, and the weighted latent is taken back, o = ol WVᵀ.

use burn::tensor::{Bool, Tensor, TensorData, activation};
use caracal_kernels::ops::{HostView, LatentBlocks, QueryContext, from_host, head_linear, mla_attention_rows, rms_norm_row};

use super::latent_store::{AttentionStore, Segment};
use super::mla::{Mla, MlaShape};
use super::rope::Rope;

/// `kv_b_proj` of one attention, cut and turned for the absorbed form. Made from the loaded module once.
#[derive(Clone, Debug)]
pub struct Absorbed {
    /// `[heads, latent, nope]`
    key: Tensor<3>,
    /// `[heads, value, latent]`
    value: Tensor<3>,
}

impl Absorbed {
    /// Cuts the matrix of `mla`.
    pub fn new(mla: &Mla) -> Self {
        let MlaShape { heads, nope, value, latent, .. } = mla.shape;
        let weight = mla.kv_b_proj.weight.val();
        let (device, dtype) = (weight.device(), mla.kv_a_layernorm.weight.val().dtype());
        let weight = mla.kv_b_proj.host_weight();
        let (mut key, mut back) = (Vec::with_capacity(heads * latent * nope), Vec::with_capacity(heads * value * latent));
        for head in weight.chunks_exact((nope + value) * latent) {
            let (to_key, to_value) = head.split_at(nope * latent);
            key.extend((0..latent).flat_map(|l| (0..nope).map(move |n| to_key[n * latent + l])));
            back.extend_from_slice(to_value);
        }
        Self { key: from_host(key, [heads, latent, nope], &device, dtype), value: from_host(back, [heads, value, latent], &device, dtype) }
    }
}

/// On the CPU: every row by itself, in one order.
///
/// # Shapes
/// q: `[rows, heads * (nope + rope)]`, kv: `[rows, latent + rope]` → `[rows, heads * value]`
pub(super) fn attend_on_cpu(
    mla: &Mla,
    absorbed: &Absorbed,
    q: Tensor<2>,
    kv: Tensor<2>,
    rope: &Rope,
    segments: &[Segment],
    store: &mut AttentionStore,
) -> Tensor<2> {
    let MlaShape { heads, nope, rope: rope_width, value, latent, query_factor, latent_factor } = mla.shape;
    let (device, dtype, rows, width) = (q.device(), q.dtype(), q.dims()[0], latent + rope_width);

    let (kv, norm) = (HostView::new(kv), HostView::new(mla.kv_a_layernorm.weight.val()));
    let mut latents = kv.values().to_vec();
    for (row, (kv, cached)) in kv.values().chunks_exact(width).zip(latents.chunks_exact_mut(width)).enumerate() {
        let (cached, key) = cached.split_at_mut(latent);
        rms_norm_row(&kv[..latent], norm.values(), mla.kv_a_layernorm.eps as f32, cached);
        cached.iter_mut().for_each(|v| *v *= latent_factor as f32);
        rope.rotate(row, key);
    }
    store.write_host(segments, &latents);

    let mut q = HostView::new(q).values().to_vec();
    q.iter_mut().for_each(|v| *v *= query_factor as f32);
    let mut queries = vec![0.0; rows * heads * width];
    head_linear(&q, nope + rope_width, HostView::new(absorbed.key.clone()).values(), [heads, latent, nope], &mut queries, width);
    for (index, (query, q)) in queries.chunks_exact_mut(width).zip(q.chunks_exact(nope + rope_width)).enumerate() {
        query[latent..].copy_from_slice(&q[nope..]);
        rope.rotate(index / heads, &mut query[latent..]);
    }

    let contexts: Vec<QueryContext> =
        segments.iter().flat_map(|s| (0..s.rows.len()).map(|i| QueryContext { blocks: &s.blocks, tokens: s.start + i + 1 })).collect();
    let cache = LatentBlocks { values: store.host(), block_tokens: store.block_tokens(), latent, width };
    let mut attended = vec![0.0; rows * heads * latent];
    mla_attention_rows(&queries, &contexts, heads, cache, mla.shape.score_factor() as f32, &mut attended);
    let mut o = vec![0.0; rows * heads * value];
    head_linear(&attended, latent, HostView::new(absorbed.value.clone()).values(), [heads, value, latent], &mut o, value);
    from_host(o, [rows, heads * value], &device, dtype)
}

/// In tensor operations, session by session: for every device.
///
/// # Shapes
/// As [`attend_on_cpu`].
pub(super) fn attend_portable(
    mla: &Mla,
    absorbed: &Absorbed,
    q: Tensor<2>,
    kv: Tensor<2>,
    rope: &Rope,
    segments: &[Segment],
    store: &mut AttentionStore,
) -> Tensor<2> {
    let MlaShape { heads, rope: rope_width, value, latent, .. } = mla.shape;
    let (device, width) = (q.device(), latent + rope_width);
    let (latents, keys) = mla.latents(kv, rope);
    store.write_device(segments, Tensor::cat(vec![latents, keys], 1));
    let (q_nope, q_rope) = mla.queries(q, rope);
    let in_latent_space = q_nope.swap_dims(0, 1).matmul(absorbed.key.clone().swap_dims(1, 2)).swap_dims(0, 1);
    let queries = Tensor::cat(vec![in_latent_space, q_rope], 2);
    let attended = segments.iter().map(|segment| {
        let (rows, tokens) = (segment.rows.len(), segment.start + segment.rows.len());
        let context = store.gather(&segment.blocks, tokens);
        let queries = queries.clone().narrow(0, segment.rows.start, rows).reshape([rows * heads, width]);
        let scores = queries.matmul(context.clone().transpose()) * mla.shape.score_factor();
        let later: Vec<bool> = (0..rows).flat_map(|row| (0..tokens).map(move |token| token > segment.start + row)).collect();
        let later = Tensor::<3, Bool>::from_data(TensorData::new(later, [rows, 1, tokens]), &device).expand([rows, heads, tokens]);
        let weights = activation::softmax(scores.reshape([rows, heads, tokens]).mask_fill(later, f32::NEG_INFINITY), 2);
        weights.reshape([rows * heads, tokens]).matmul(context.narrow(1, 0, latent)).reshape([rows, heads, latent])
    });
    let attended = Tensor::cat(attended.collect(), 0);
    let rows = attended.dims()[0];
    attended.swap_dims(0, 1).matmul(absorbed.value.clone().swap_dims(1, 2)).swap_dims(0, 1).reshape([rows, heads * value])
}
