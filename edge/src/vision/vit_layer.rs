//! One layer of LongCat-ViT: attention inside each unit, then a gated feed-forward network with a norm inside.
//!
//! Queries and keys are normalised after the rotation and over all channels at once, not per head: the usual order gives
//! other numbers.
//!
//! Source: LongCat-Flash-Omni §2.1; UniViTAR; vision.md 2.3.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use caracal_kernels::layers::{Linear, RmsNorm};
use caracal_kernels::{Init, LoadError, Weights, ops};

use super::config::VitConfig;
use super::patches::Grid;
use super::rope::Rotation;

/// Sees each intermediate result by its name, as the goldens name them: for tests, without a second network.
pub type Trace<'a> = dyn FnMut(&str, &Tensor<2>) + 'a;

/// One encoder layer.
#[derive(Module, Debug)]
pub struct VitLayer {
    norm1: RmsNorm,
    /// `[3 hidden, hidden]`: queries, keys, values, each head after head.
    qkv: Linear,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    proj: Linear,
    /// Scale of the attention branch, `[hidden]`.
    ls1: Param<Tensor<1>>,
    norm2: RmsNorm,
    /// Gate, `[inner, hidden]`.
    fc1: Linear,
    /// Up, `[inner, hidden]`.
    fc3: Linear,
    mlp_norm: RmsNorm,
    /// Down, `[hidden, inner]`.
    fc2: Linear,
    /// Scale of the feed-forward branch, `[hidden]`.
    ls2: Param<Tensor<1>>,
    heads: usize,
}

impl VitLayer {
    /// Loads the tensors below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &VitConfig) -> Result<Self, LoadError> {
        let (hidden, inner, eps) = (config.hidden_size, config.inner_size(), config.layer_norm_eps);
        let (attn, mlp) = (weights.at("attn"), weights.at("mlp"));
        let scale = |name| weights.param(name, [hidden], Init::Constant(config.initializer_factor as f32));
        let qk_norm = |name| if config.qk_normalization { RmsNorm::load(&attn.at(name), hidden, eps).map(Some) } else { Ok(None) };
        Ok(Self {
            norm1: RmsNorm::load(&weights.at("norm1"), hidden, eps)?,
            qkv: Linear::load(&attn.at("qkv"), hidden, 3 * hidden, config.qkv_bias)?,
            q_norm: qk_norm("q_norm")?,
            k_norm: qk_norm("k_norm")?,
            proj: Linear::load(&attn.at("proj"), hidden, hidden, true)?,
            ls1: scale("ls1")?,
            norm2: RmsNorm::load(&weights.at("norm2"), hidden, eps)?,
            fc1: Linear::load(&mlp.at("fc1"), hidden, inner, true)?,
            fc3: Linear::load(&mlp.at("fc3"), hidden, inner, true)?,
            mlp_norm: RmsNorm::load(&mlp.at("norm"), inner, eps)?,
            fc2: Linear::load(&mlp.at("fc2"), inner, hidden, true)?,
            ls2: scale("ls2")?,
            heads: config.num_attention_heads,
        })
    }

    /// # Shapes
    /// x: `[patches of all grids, hidden]` → the same
    pub fn forward(&self, x: Tensor<2>, grids: &[Grid], rotation: &Rotation, trace: &mut Trace) -> Tensor<2> {
        let x = x.clone() + self.attend(x, grids, rotation, trace) * self.ls1.val().unsqueeze();
        let out = x.clone() + self.feed_forward(x, trace) * self.ls2.val().unsqueeze();
        trace("out", &out);
        out
    }

    fn attend(&self, x: Tensor<2>, grids: &[Grid], rotation: &Rotation, trace: &mut Trace) -> Tensor<2> {
        let n = self.norm1.forward(x);
        trace("norm1", &n);
        let qkv = self.qkv.forward(n);
        trace("qkv", &qkv);
        let hidden = qkv.dims()[1] / 3;
        let part = |index: usize| qkv.clone().narrow(1, index * hidden, hidden);
        let (q, k, v) = (rotation.apply(part(0)), rotation.apply(part(1)), part(2));
        trace("q_rope", &q);
        trace("k_rope", &k);
        let norm = |norm: &Option<RmsNorm>, x| if let Some(norm) = norm { norm.forward(x) } else { x };
        let (q, k) = (norm(&self.q_norm, q), norm(&self.k_norm, k));
        trace("q_norm", &q);
        trace("k_norm", &k);
        let context = if grids.iter().all(|grid| grid.count() == grids[0].count()) {
            ops::attention_in_parts(q, k, v, self.heads, grids.len())
        } else {
            let mut first = 0;
            let units = grids.iter().map(|grid| {
                let rows = |t: &Tensor<2>| t.clone().narrow(0, first, grid.count());
                let context = ops::attention(rows(&q), rows(&k), rows(&v), self.heads);
                first += grid.count();
                context
            });
            Tensor::cat(units.collect(), 0)
        };
        trace("attn_ctx", &context);
        let y = self.proj.forward(context);
        trace("attn_proj", &y);
        y
    }

    fn feed_forward(&self, x: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let n = self.norm2.forward(x);
        trace("norm2", &n);
        let (gate, up) = (self.fc1.forward(n.clone()), self.fc3.forward(n));
        trace("fc1", &gate);
        trace("fc3", &up);
        let n = self.mlp_norm.forward(ops::swiglu(gate, up));
        trace("mlp_norm", &n);
        let y = self.fc2.forward(n);
        trace("mlp_out", &y);
        y
    }
}
