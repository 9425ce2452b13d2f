//! One ScMoE layer: two attentions, two dense FFNs, and a mixture of experts on a shortcut.
//!
//! The experts read what the first FFN reads; their sum is added at the very end, so nothing waits for them.

use burn::module::Module;
use burn::tensor::Tensor;
use caracal_kernels::layers::RmsNorm;
use caracal_kernels::{LoadError, Weights};

use super::config::BackboneConfig;
use super::ffn::Ffn;
use super::mla::{Context, Mla};
use super::projection::Stored;
use super::rope::Rope;
use super::scmoe::ScMoe;
use super::watcher::{Part, Seen, Watcher};

/// One layer.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Before each attention.
    pub input_layernorm: [RmsNorm; 2],
    /// The attentions.
    pub self_attn: [Mla; 2],
    /// Before each FFN.
    pub post_attention_layernorm: [RmsNorm; 2],
    /// The dense FFNs.
    pub mlps: [Ffn; 2],
    /// The experts.
    pub mlp: ScMoe,
}

impl DecoderLayer {
    /// Loads the layer below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &BackboneConfig, stored: &Stored) -> Result<Self, LoadError> {
        let norm = |name: &str, i: usize| RmsNorm::load(&weights.at(name).at(i), config.hidden_size, config.rms_norm_eps);
        let attention = |i: usize| Mla::load(&weights.at("self_attn").at(i), config, stored);
        let ffn = |i: usize| Ffn::load(&weights.at("mlps").at(i), config.hidden_size, config.ffn_hidden_size, stored);
        Ok(Self {
            input_layernorm: [norm("input_layernorm", 0)?, norm("input_layernorm", 1)?],
            self_attn: [attention(0)?, attention(1)?],
            post_attention_layernorm: [norm("post_attention_layernorm", 0)?, norm("post_attention_layernorm", 1)?],
            mlps: [ffn(0)?, ffn(1)?],
            mlp: ScMoe::load(&weights.at("mlp"), config, stored)?,
        })
    }

    /// `layer` is this layer's number.
    ///
    /// # Shapes
    /// x: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, x: Tensor<2>, rope: &Rope, layer: usize, context: &mut Context, watcher: &mut dyn Watcher) -> Tensor<2> {
        let a = self.attend(x, 0, rope, layer, context, watcher);
        let u = self.post_attention_layernorm[0].forward(a.clone());
        watcher.saw(layer, Part::PostNorm(0), Seen::Rows(&u));
        let m = self.mlp.forward(u.clone(), layer, watcher);
        let f = self.mlps[0].forward(u);
        watcher.saw(layer, Part::DenseFfn(0), Seen::Rows(&f));

        let a = self.attend(a + f, 1, rope, layer, context, watcher);
        let v = self.post_attention_layernorm[1].forward(a.clone());
        watcher.saw(layer, Part::PostNorm(1), Seen::Rows(&v));
        let f = self.mlps[1].forward(v);
        watcher.saw(layer, Part::DenseFfn(1), Seen::Rows(&f));

        let x = a + f + m;
        watcher.saw(layer, Part::Layer, Seen::Rows(&x));
        x
    }

    /// x + Attn(norm(x)) with the `i`-th of both.
    fn attend(&self, x: Tensor<2>, i: usize, rope: &Rope, layer: usize, context: &mut Context, watcher: &mut dyn Watcher) -> Tensor<2> {
        let h = self.input_layernorm[i].forward(x.clone());
        watcher.saw(layer, Part::InputNorm(i), Seen::Rows(&h));
        let o = self.self_attn[i].forward(h, rope, 2 * layer + i, context);
        watcher.saw(layer, Part::Attention(i), Seen::Rows(&o));
        x + o
    }
}
