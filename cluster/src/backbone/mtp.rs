//! The MTP head: one dense layer that drafts the token after the next.

use burn::module::Module;
use burn::tensor::Tensor;
use caracal_kernels::layers::{Embedding, RmsNorm};
use caracal_kernels::{LoadError, Weights};

use super::config::BackboneConfig;
use super::ffn::Ffn;
use super::mla::{Context, Mla};
use super::projection::{Projection, Stored};
use super::rope::Rope;

/// Reads the hidden state of token t and the embedding of token t + 1; its hidden state, through the text head of the
/// main model, gives logits for token t + 2.
#[derive(Module, Debug)]
pub struct Mtp {
    /// `[vocab, hidden]`, its own.
    pub embed_tokens: Embedding,
    /// Of the embedding.
    pub enorm: RmsNorm,
    /// Of the hidden state.
    pub hnorm: RmsNorm,
    /// `[hidden, 2 hidden]`, embedding half first.
    pub eh_proj: Projection,
    /// Before the attention.
    pub input_layernorm: RmsNorm,
    /// The attention.
    pub self_attn: Mla,
    /// Before the FFN.
    pub post_attention_layernorm: RmsNorm,
    /// The dense FFN.
    pub mlp: Ffn,
    /// After the layer.
    pub norm: RmsNorm,
    #[module(skip)]
    rope_width: usize,
    #[module(skip)]
    rope_theta: f64,
}

impl Mtp {
    /// Loads `model.mtp.*` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &BackboneConfig, stored: &Stored) -> Result<Self, LoadError> {
        let (mtp, hidden) = (weights.at("model.mtp"), config.hidden_size);
        let layer = mtp.at("layers.0");
        let norm = |weights: &Weights, name: &str| RmsNorm::load(&weights.at(name), hidden, config.rms_norm_eps);
        Ok(Self {
            embed_tokens: Embedding::load(&mtp.at("embed_tokens"), config.vocab_size, hidden)?,
            enorm: norm(&layer, "enorm.m")?,
            hnorm: norm(&layer, "hnorm.m")?,
            eh_proj: Projection::load(&layer.at("eh_proj"), 2 * hidden, hidden, stored)?,
            input_layernorm: norm(&layer, "input_layernorm")?,
            self_attn: Mla::load(&layer.at("self_attn"), config, stored)?,
            post_attention_layernorm: norm(&layer, "post_attention_layernorm")?,
            mlp: Ffn::load(&layer.at("transformer_layer.mlp"), hidden, config.ffn_hidden_size, stored)?,
            norm: norm(&mtp, "norm")?,
            rope_width: config.qk_rope_head_dim,
            rope_theta: config.rope_theta,
        })
    }

    /// A whole sequence: row t of `hidden` (after the main model's last norm) with the id of token t + 1.
    ///
    /// # Shapes
    /// hidden: `[time, hidden]` → `[time, hidden]`, after this head's norm
    pub fn offline(&self, hidden: Tensor<2>, next_ids: &[u32]) -> Tensor<2> {
        let rope = Rope::new(0..next_ids.len(), self.rope_width, self.rope_theta);
        let embedded = self.enorm.forward(self.embed_tokens.forward(next_ids));
        let x = self.eh_proj.forward(Tensor::cat(vec![embedded, self.hnorm.forward(hidden)], 1));
        let attended = self.self_attn.forward(self.input_layernorm.forward(x.clone()), &rope, 0, &mut Context::Offline { sequences: 1 });
        let x = x + attended;
        let x = x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x));
        self.norm.forward(x)
    }
}
