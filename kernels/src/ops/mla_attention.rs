//! Latent attention over a paged cache, on the CPU: the core of decoding and of chunked prefill.
//!
//! Each query row attends alone to its own context, token by token in order of position, so its result is the same bit
//! for bit whatever else is in the batch, however the prompt was cut, and wherever the blocks lie. All heads share one
//! key of `latent + rope` values a token (the absorbed form of MLA), so a tile of heads reads each token once. Cost: a
//! token of context is read once per row and group of heads; `2 heads (2 latent + rope)` flops a token and row.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::exponential::exponentials;

/// Heads that share one pass over the context.
const HEADS: usize = 4;
/// Tokens of one tile of scores.
const TOKENS: usize = 4;
/// Vectors of the latent that one pass of the weighted sum keeps in registers, per head.
const VECTORS: usize = 4;
/// Below this many multiply-adds the calling thread does all: waking the pool costs about as much.
const PARALLEL_MACS_MIN: usize = 1 << 17;

/// The cached tokens of one attention: what every session shares.
#[derive(Clone, Copy)]
pub struct LatentBlocks<'a> {
    /// `[blocks, block_tokens, width]`; per token the latent, then the shared rope key.
    pub values: &'a [f32],
    /// Tokens of one block.
    pub block_tokens: usize,
    /// Width of the latent.
    pub latent: usize,
    /// Width of the latent and the rope key together.
    pub width: usize,
}

/// Where one query row finds its context.
#[derive(Clone, Copy)]
pub struct QueryContext<'a> {
    /// Blocks of its session, in order of position.
    pub blocks: &'a [u32],
    /// Tokens that it sees, itself included.
    pub tokens: usize,
}

/// softmax(scale q·k) times the latents, for each row and head.
///
/// # Shapes
/// queries: `[rows, heads, width]` → out: `[rows, heads, latent]`
///
/// # Panics
/// When the lengths do not fit, a context is empty, or a block lies outside the cache.
pub fn mla_attention_rows(queries: &[f32], rows: &[QueryContext], heads: usize, cache: LatentBlocks, scale: f32, out: &mut [f32]) {
    let LatentBlocks { latent, width, block_tokens, .. } = cache;
    assert!(
        0 < latent && latent <= width && 0 < block_tokens,
        "mla_attention: a latent of {latent} in a width of {width}, blocks of {block_tokens}"
    );
    assert_eq!(queries.len(), rows.len() * heads * width, "mla_attention: queries");
    assert_eq!(out.len(), rows.len() * heads * latent, "mla_attention: out");
    let blocks = cache.values.len() / (block_tokens * width);
    for row in rows {
        let needed = row.tokens.div_ceil(block_tokens);
        assert!(row.tokens > 0 && needed <= row.blocks.len(), "mla_attention: {} tokens in {} blocks", row.tokens, row.blocks.len());
        assert!(row.blocks[..needed].iter().all(|b| (*b as usize) < blocks), "mla_attention: a block lies outside the cache");
    }
    let arch = Arch::new();
    let row = |((out, queries), context): ((&mut [f32], &[f32]), &QueryContext), parallel: bool| {
        let group = |(out, queries): (&mut [f32], &[f32])| arch.dispatch(Group { queries, context: *context, cache, scale, out });
        if parallel {
            out.par_chunks_mut(HEADS * latent).zip(queries.par_chunks(HEADS * width)).for_each(group);
        } else {
            out.chunks_mut(HEADS * latent).zip(queries.chunks(HEADS * width)).for_each(group);
        }
    };
    let macs: usize = rows.iter().map(|r| r.tokens * heads * (width + latent)).sum();
    if macs < PARALLEL_MACS_MIN {
        out.chunks_mut(heads * latent).zip(queries.chunks(heads * width)).zip(rows).for_each(|task| row(task, false));
    } else {
        out.par_chunks_mut(heads * latent).zip(queries.par_chunks(heads * width)).zip(rows).for_each(|task| row(task, true));
    }
}

/// Up to [`HEADS`] heads of one row.
struct Group<'a> {
    queries: &'a [f32],
    context: QueryContext<'a>,
    cache: LatentBlocks<'a>,
    scale: f32,
    out: &'a mut [f32],
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.queries.len() / self.cache.width {
            4 => self.attend::<S, 4>(simd),
            3 => self.attend::<S, 3>(simd),
            2 => self.attend::<S, 2>(simd),
            _ => self.attend::<S, 1>(simd),
        }
    }
}

impl Group<'_> {
    #[inline(always)]
    fn attend<S: Simd, const H: usize>(mut self, simd: S) {
        let tokens = self.context.tokens;
        let mut weights = vec![0.0; H * tokens];
        self.scores::<S, H>(simd, &mut weights);
        let mut norms = [0.0; H];
        for (weights, norm) in weights.chunks_exact_mut(tokens).zip(&mut norms) {
            *norm = 1.0 / exponentials(weights);
        }
        let (latent, lanes) = (self.cache.latent, S::F32_LANES);
        let mut from = 0;
        while from + VECTORS * lanes <= latent {
            self.weigh::<S, H, VECTORS>(simd, &weights, norms, from, VECTORS * lanes);
            from += VECTORS * lanes;
        }
        while from < latent {
            let count = lanes.min(latent - from);
            self.weigh::<S, H, 1>(simd, &weights, norms, from, count);
            from += count;
        }
    }

    #[inline(always)]
    fn scores<S: Simd, const H: usize>(&self, simd: S, scores: &mut [f32]) {
        let width = self.cache.width;
        for (first, rows) in blocks(self.context, self.cache) {
            let count = rows.len() / width;
            let mut token = 0;
            while token < count {
                let rows = &rows[token * width..];
                if token + TOKENS <= count {
                    self.score_tile::<S, H, TOKENS>(simd, rows, first + token, scores);
                    token += TOKENS;
                } else {
                    self.score_tile::<S, H, 1>(simd, rows, first + token, scores);
                    token += 1;
                }
            }
        }
    }

    /// H x T dot products at once; each sums in the same order as it would alone.
    #[inline(always)]
    fn score_tile<S: Simd, const H: usize, const T: usize>(&self, simd: S, rows: &[f32], token: usize, scores: &mut [f32]) {
        let width = self.cache.width;
        let q: [_; H] = std::array::from_fn(|h| S::as_simd_f32s(&self.queries[h * width..(h + 1) * width]));
        let k: [_; T] = std::array::from_fn(|t| S::as_simd_f32s(&rows[t * width..(t + 1) * width]));
        let mut sums = [[simd.splat_f32s(0.0); T]; H];
        for l in 0..q[0].0.len() {
            for (h, sums) in sums.iter_mut().enumerate() {
                for (t, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.mul_add_f32s(q[h].0[l], k[t].0[l], *sum);
                }
            }
        }
        if !q[0].1.is_empty() {
            for (h, sums) in sums.iter_mut().enumerate() {
                for (t, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.mul_add_f32s(simd.partial_load_f32s(q[h].1), simd.partial_load_f32s(k[t].1), *sum);
                }
            }
        }
        for (h, sums) in sums.iter().enumerate() {
            for (t, sum) in sums.iter().enumerate() {
                scores[h * self.context.tokens + token + t] = self.scale * simd.reduce_sum_f32s(*sum);
            }
        }
    }

    /// The `count` values of the latent from `from` on (`V` vectors, the last perhaps partial), for all heads: one
    /// accumulator a value, tokens in order.
    #[inline(always)]
    fn weigh<S: Simd, const H: usize, const V: usize>(&mut self, simd: S, weights: &[f32], norms: [f32; H], from: usize, count: usize) {
        let (LatentBlocks { width, latent, .. }, tokens, lanes) = (self.cache, self.context.tokens, S::F32_LANES);
        let mut sums = [[simd.splat_f32s(0.0); V]; H];
        for (first, rows) in blocks(self.context, self.cache) {
            for (t, row) in rows.chunks_exact(width).enumerate() {
                let (whole, part) = S::as_simd_f32s(&row[from..from + count]);
                let values: [S::f32s; V] = std::array::from_fn(|v| if v < whole.len() { whole[v] } else { simd.partial_load_f32s(part) });
                for (h, sums) in sums.iter_mut().enumerate() {
                    let weight = simd.splat_f32s(weights[h * tokens + first + t]);
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.mul_add_f32s(weight, values[v], *sum);
                    }
                }
            }
        }
        for (h, sums) in sums.iter().enumerate() {
            let out = &mut self.out[h * latent + from..h * latent + from + count];
            for (sum, out) in sums.iter().zip(out.chunks_mut(lanes)) {
                simd.partial_store_f32s(out, simd.mul_f32s(*sum, simd.splat_f32s(norms[h])));
            }
        }
    }
}

/// The tokens of a context, block by block: the number of its first token, and its rows.
#[inline(always)]
fn blocks<'a>(context: QueryContext<'a>, cache: LatentBlocks<'a>) -> impl Iterator<Item = (usize, &'a [f32])> {
    let LatentBlocks { values, block_tokens, width, .. } = cache;
    context.blocks[..context.tokens.div_ceil(block_tokens)].iter().enumerate().map(move |(index, block)| {
        let first = index * block_tokens;
        let start = *block as usize * block_tokens * width;
        (first, &values[start..start + (context.tokens - first).min(block_tokens) * width])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    fn values(rng: &mut StdRng, count: usize) -> Vec<f32> {
        (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    proptest! {
        #[test]
        fn equals_the_exact_attention_and_depends_on_nothing_else(
            heads in 1usize..10, latent in 1usize..90, rope in 0usize..20, block_tokens in 1usize..9,
            contexts in prop::collection::vec(1usize..60, 1..6), seed: u64,
        ) {
            let (rng, width, scale) = (&mut StdRng::seed_from_u64(seed), latent + rope, 0.7);
            let blocks_each = 60usize.div_ceil(block_tokens);
            let mut order: Vec<u32> = (0..(blocks_each * contexts.len()) as u32).collect();
            (1..order.len()).for_each(|i| order.swap(i, rng.random_range(0..=i)));
            let pool = values(rng, order.len() * block_tokens * width);
            let cache = LatentBlocks { values: &pool, block_tokens, latent, width };
            let rows: Vec<QueryContext> = order.chunks(blocks_each).zip(&contexts).map(|(blocks, tokens)| QueryContext { blocks, tokens: *tokens }).collect();
            let queries = values(rng, rows.len() * heads * width);
            let mut out = vec![0.0; rows.len() * heads * latent];
            mla_attention_rows(&queries, &rows, heads, cache, scale, &mut out);

            for (r, row) in rows.iter().enumerate() {
                // The same tokens in one block of their own, alone.
                let tokens: Vec<f32> = (0..row.tokens).flat_map(|t| {
                    let at = (row.blocks[t / block_tokens] as usize * block_tokens + t % block_tokens) * width;
                    pool[at..at + width].to_vec()
                }).collect();
                let q = &queries[r * heads * width..(r + 1) * heads * width];
                let got = &out[r * heads * latent..(r + 1) * heads * latent];
                let mut alone = vec![0.0; heads * latent];
                let cache = LatentBlocks { values: &tokens, block_tokens: row.tokens, latent, width };
                mla_attention_rows(q, &[QueryContext { blocks: &[0], tokens: row.tokens }], heads, cache, scale, &mut alone);
                prop_assert_eq!(got, &alone[..]);

                for (q, got) in q.chunks(width).zip(got.chunks(latent)) {
                    let scores: Vec<f64> = tokens.chunks(width).map(|k| f64::from(scale) * q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>()).collect();
                    let largest = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
                    let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
                    for (l, got) in got.iter().enumerate() {
                        let want = weights.iter().zip(tokens.chunks(width)).map(|(w, k)| w * f64::from(k[l])).sum::<f64>() / weights.iter().sum::<f64>();
                        prop_assert!((f64::from(*got) - want).abs() < 1e-5, "{} {}", got, want);
                    }
                }
            }
        }
    }
}
