//! One transformer layer of the semantic tokenizer, bidirectional, with a norm on the residual stream at its end.
//!
//! Source: LongCat-Audio-Codec, `semantic_tokenizer_general/encoder.py`.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};
use caracal_kernels::layers::{LayerNorm, Linear};
use caracal_kernels::weights::Init;
use caracal_kernels::{LoadError, Weights, ops};

use super::semantic_config::SemanticConfig;

/// x + MHA(norm1 x), then x + FFN(norm2 x), then norm3.
#[derive(Module, Debug)]
pub struct SemanticLayer {
    /// Before attention.
    pub norm1: LayerNorm,
    /// Rows q, k, v: `[3 x width, width]`.
    pub in_proj: Param<Tensor<2>>,
    /// `[3 x width]`
    pub in_proj_bias: Param<Tensor<1>>,
    /// After attention.
    pub out_proj: Linear,
    /// Before the feed-forward network.
    pub norm2: LayerNorm,
    /// Widens.
    pub linear1: Linear,
    /// Narrows.
    pub linear2: Linear,
    /// On the residual stream.
    pub norm3: LayerNorm,
    /// Attention heads.
    pub heads: usize,
}

impl SemanticLayer {
    /// Loads the layer below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &SemanticConfig) -> Result<Self, LoadError> {
        let (width, inner) = (config.d_model, config.dim_feedforward);
        let attention = weights.at("self_attn");
        let init = Init::Uniform(1.0 / (width as f32).sqrt());
        Ok(Self {
            norm1: LayerNorm::load(&weights.at("norm1"), width)?,
            in_proj: attention.matrix("in_proj_weight", [3 * width, width], init)?,
            in_proj_bias: attention.param("in_proj_bias", [3 * width], Init::Zeros)?,
            out_proj: Linear::load(&attention.at("out_proj"), width, width, true)?,
            norm2: LayerNorm::load(&weights.at("norm2"), width)?,
            linear1: Linear::load(&weights.at("linear1"), width, inner, true)?,
            linear2: Linear::load(&weights.at("linear2"), inner, width, true)?,
            norm3: LayerNorm::load(&weights.at("norm3"), width)?,
            heads: config.nhead,
        })
    }

    /// # Shapes
    /// x: `[frames, width]` → `[frames, width]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = x.clone() + self.attend(self.norm1.forward(x));
        let inner = activation::gelu(self.linear1.forward(self.norm2.forward(x.clone())));
        self.norm3.forward(x + self.linear2.forward(inner))
    }

    fn attend(&self, x: Tensor<2>) -> Tensor<2> {
        let [frames, width] = x.dims();
        let head = width / self.heads;
        let qkv = ops::linear(x, self.in_proj.val(), Some(self.in_proj_bias.val()));
        let part = |index: usize| {
            let part = qkv.clone().slice_dim(1, index * width..(index + 1) * width);
            part.reshape([frames, self.heads, head]).swap_dims(0, 1)
        };
        let (q, k, v) = (part(0), part(1), part(2));
        let scores = q.matmul(k.swap_dims(1, 2)) / (head as f64).sqrt();
        let mixed: Tensor<3> = activation::softmax(scores, 2).matmul(v);
        self.out_proj.forward(mixed.swap_dims(0, 1).reshape([frames, width]))
    }
}
