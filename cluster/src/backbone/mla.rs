//! Multi-head latent attention.
//!
//! Keys and values of all heads come from one latent per token, which with a shared rope key is all that is cached. The
//! plain form expands it to keys and values per head: it trains, and checks the other. The absorbed form moves that
//! expansion to the query and the output and attends over the cached latents themselves; the engine uses it for every
//! row, so prefill and decode are one computation.

use burn::module::Module;
use burn::tensor::Tensor;
use caracal_kernels::layers::RmsNorm;
use caracal_kernels::ops;
use caracal_kernels::{LoadError, Weights};

use super::absorbed::{Absorbed, attend_on_cpu, attend_portable};
use super::config::BackboneConfig;
use super::latent_store::{LatentStore, Segment};
use super::projection::{Projection, Stored};
use super::rope::Rope;

/// One attention block.
#[derive(Module, Debug)]
pub struct Mla {
    /// `[q_lora_rank, hidden]`
    pub q_a_proj: Projection,
    /// `[q_lora_rank]`
    pub q_a_layernorm: RmsNorm,
    /// `[heads * (nope + rope), q_lora_rank]`, per head first the part without position.
    pub q_b_proj: Projection,
    /// `[latent + rope, hidden]`
    pub kv_a_proj_with_mqa: Projection,
    /// `[latent]`
    pub kv_a_layernorm: RmsNorm,
    /// `[heads * (nope + value), latent]`, per head first the key.
    pub kv_b_proj: Projection,
    /// `[hidden, heads * value]`
    pub o_proj: Projection,
    /// Widths and factors.
    #[module(skip)]
    pub shape: MlaShape,
}

/// Widths and factors of an attention block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MlaShape {
    /// Query heads.
    pub heads: usize,
    /// Width per head of queries and keys without position.
    pub nope: usize,
    /// Width of queries and keys with position.
    pub rope: usize,
    /// Width of a value.
    pub value: usize,
    /// Width of the latent.
    pub latent: usize,
    /// Factor of queries, both parts.
    pub query_factor: f64,
    /// Factor of the latent, not of the rope key.
    pub latent_factor: f64,
}

impl MlaShape {
    /// As the config says.
    pub fn new(config: &BackboneConfig) -> Self {
        Self {
            heads: config.num_attention_heads,
            nope: config.qk_nope_head_dim,
            rope: config.qk_rope_head_dim,
            value: config.v_head_dim,
            latent: config.kv_lora_rank,
            query_factor: config.query_factor(),
            latent_factor: config.latent_factor(),
        }
    }

    /// Factor of scores, in the absorbed form too.
    pub fn score_factor(&self) -> f64 {
        ((self.nope + self.rope) as f64).powf(-0.5)
    }
}

/// What the rows of a forward pass attend to.
pub enum Context<'a> {
    /// The rows are this many whole sequences of equal length, one after the other, each seeing itself: plain form.
    Offline {
        /// How many.
        sequences: usize,
    },
    /// The rows continue sessions whose earlier tokens are cached: absorbed form.
    Cached {
        /// Whose rows they are, in order, covering all rows.
        segments: &'a [Segment],
        /// Latents of all sessions; the rows' own are written to it.
        store: &'a mut LatentStore,
        /// One per attention.
        absorbed: &'a [Absorbed],
    },
}

impl Mla {
    /// Loads the block below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &BackboneConfig, stored: &Stored) -> Result<Self, LoadError> {
        let (shape, hidden, eps) = (MlaShape::new(config), config.hidden_size, config.latent_norm_eps);
        let MlaShape { heads, nope, rope, value, latent, .. } = shape;
        let projection = |name: &str, inner, outer, stored: &Stored| Projection::load(&weights.at(name), inner, outer, stored);
        Ok(Self {
            q_a_proj: projection("q_a_proj", hidden, config.q_lora_rank, stored)?,
            q_a_layernorm: RmsNorm::load(&weights.at("q_a_layernorm"), config.q_lora_rank, eps)?,
            q_b_proj: projection("q_b_proj", config.q_lora_rank, heads * (nope + rope), stored)?,
            kv_a_proj_with_mqa: projection("kv_a_proj_with_mqa", hidden, latent + rope, stored)?,
            kv_a_layernorm: RmsNorm::load(&weights.at("kv_a_layernorm"), latent, eps)?,
            // The absorbed form has no product with this matrix whose input could be rounded.
            kv_b_proj: projection("kv_b_proj", latent, heads * (nope + value), &stored.weights_only())?,
            o_proj: projection("o_proj", heads * value, hidden, stored)?,
            shape,
        })
    }

    /// `attention` is this block's number in the cache; `rope` holds the position of each row.
    ///
    /// # Shapes
    /// h: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, h: Tensor<2>, rope: &Rope, attention: usize, context: &mut Context) -> Tensor<2> {
        let q = self.q_b_proj.forward(self.q_a_layernorm.forward(self.q_a_proj.forward(h.clone())));
        let kv = self.kv_a_proj_with_mqa.forward(h);
        let o = match context {
            Context::Offline { sequences } => self.attend_plain(q, kv, rope, *sequences),
            Context::Cached { segments, store, absorbed } => {
                let cpu = ops::is_plain_cpu(&q.device());
                let attend = if cpu { attend_on_cpu } else { attend_portable };
                attend(self, &absorbed[attention], q, kv, rope, segments, &mut store.attention(attention))
            }
        };
        self.o_proj.forward(o)
    }

    /// Scaled queries: `[rows, heads, nope]` and, turned, `[rows, heads, rope]`.
    pub(super) fn queries(&self, q: Tensor<2>, rope: &Rope) -> (Tensor<3>, Tensor<3>) {
        let MlaShape { heads, nope, rope: rope_width, query_factor, .. } = self.shape;
        let (rows, device) = (q.dims()[0], q.device());
        let q = (q * query_factor).reshape([rows, heads, nope + rope_width]);
        (q.clone().narrow(2, 0, nope), rope.rotate_tensor(q.narrow(2, nope, rope_width), &device))
    }

    /// Normed and scaled latents `[rows, latent]`, and turned rope keys `[rows, rope]`.
    pub(super) fn latents(&self, kv: Tensor<2>, rope: &Rope) -> (Tensor<2>, Tensor<2>) {
        let MlaShape { latent, rope: rope_width, latent_factor, .. } = self.shape;
        let (rows, device) = (kv.dims()[0], kv.device());
        let key = rope.rotate_tensor(kv.clone().narrow(1, latent, rope_width).reshape([rows, 1, rope_width]), &device);
        (self.kv_a_layernorm.forward(kv.narrow(1, 0, latent)) * latent_factor, key.reshape([rows, rope_width]))
    }

    fn attend_plain(&self, q: Tensor<2>, kv: Tensor<2>, rope: &Rope, sequences: usize) -> Tensor<2> {
        let MlaShape { heads, nope, rope: rope_width, value, .. } = self.shape;
        let rows = q.dims()[0];
        let (q_nope, q_rope) = self.queries(q, rope);
        let (latents, rope_key) = self.latents(kv, rope);
        let expanded = self.kv_b_proj.forward(latents).reshape([rows, heads, nope + value]);
        let rope_keys = rope_key.reshape([rows, 1, rope_width]).expand([rows, heads, rope_width]);
        let flat = |t: Tensor<3>| {
            let width = heads * t.dims()[2];
            t.reshape([rows, width])
        };
        let queries = flat(Tensor::cat(vec![q_nope, q_rope], 2));
        let keys = flat(Tensor::cat(vec![expanded.clone().narrow(2, 0, nope), rope_keys], 2));
        let values = flat(expanded.narrow(2, nope, value));
        ops::causal_attention(queries, keys, values, heads, sequences, self.shape.score_factor())
    }
}
