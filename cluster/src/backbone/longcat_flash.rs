//! LongCat-Flash: embeddings in, hidden states and text logits out.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use caracal_kernels::layers::{Embedding, Linear, RmsNorm};
use caracal_kernels::{Checkpoint, LoadError, Weights};

use super::absorbed::Absorbed;
use super::config::BackboneConfig;
use super::decoder_layer::DecoderLayer;
use super::latent_store::{LatentStore, Segment};
use super::mla::Context;
use super::projection::Stored;
use super::rope::Rope;
use super::watcher::{Part, Seen, Watcher};

/// The language model.
#[derive(Module, Debug)]
pub struct LongCatFlash {
    /// `[vocab, hidden]`
    pub embed_tokens: Embedding,
    /// The ScMoE layers.
    pub layers: Vec<DecoderLayer>,
    /// After the last layer.
    pub norm: RmsNorm,
    /// `[vocab, hidden]`
    pub lm_head: Linear,
    #[module(skip)]
    rope_width: usize,
    #[module(skip)]
    rope_theta: f64,
}

impl LongCatFlash {
    /// Opens the checkpoint in `folder` (`config.json` and safetensors, one file or shards) and loads it in f32.
    ///
    /// `round_activations` computes with FP8 inputs where the weights are FP8 (W8A8), else only weights are rounded.
    ///
    /// # Errors
    /// Whatever is wrong with the config or a tensor; tensors that have no place here, those of the MTP head and the
    /// matrices that some writers store for experts without weights excepted.
    pub fn open(folder: &Path, device: &Device, round_activations: bool) -> Result<(BackboneConfig, Self), LoadError> {
        let config = BackboneConfig::read(folder)?;
        let file = Checkpoint::open(folder)?;
        let weights = Weights::from_checkpoint(&file, device, DType::F32).keep_narrow();
        let model = Self::load(&weights, &config, &Stored::new(config.quantization_config.as_ref(), round_activations))?;
        file.refuse_unread(|name| name.starts_with("model.mtp.") || is_zero_expert(name, &config))?;
        Ok((config, model))
    }

    /// Loads `model.*` and `lm_head` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &BackboneConfig, stored: &Stored) -> Result<Self, LoadError> {
        let model = weights.at("model");
        Ok(Self {
            embed_tokens: Embedding::load(&model.at("embed_tokens"), config.vocab_size, config.hidden_size)?,
            layers: (0..config.num_layers)
                .map(|l| DecoderLayer::load(&model.at("layers").at(l), config, stored))
                .collect::<Result<_, _>>()?,
            norm: RmsNorm::load(&model.at("norm"), config.hidden_size, config.rms_norm_eps)?,
            lm_head: Linear::load(&weights.at("lm_head"), config.hidden_size, config.vocab_size, false)?,
            rope_width: config.qk_rope_head_dim,
            rope_theta: config.rope_theta,
        })
    }

    /// Hidden states of whole sequences, each seeing itself: `sequences` of equal length, one after the other. For
    /// training and for checks; positions start at 0.
    ///
    /// # Shapes
    /// x: `[sequences * time, hidden]` → the same, after the last norm
    ///
    /// # Panics
    /// When the rows are no such sequences.
    pub fn offline(&self, x: Tensor<2>, sequences: usize, watcher: &mut dyn Watcher) -> Tensor<2> {
        let time = x.dims()[0] / sequences;
        let rope = Rope::new((0..sequences).flat_map(|_| 0..time), self.rope_width, self.rope_theta);
        let x = self.run_layers(x, &rope, &mut Context::Offline { sequences }, watcher);
        self.final_norm(x, watcher)
    }

    /// Rows that continue sessions in the cache, to which their latents are written. Without the last norm, which only
    /// the rows that are read need.
    ///
    /// # Shapes
    /// x: `[rows, hidden]` → `[rows, hidden]`
    ///
    /// # Panics
    /// When the segments do not cover the rows in order.
    pub fn step(
        &self,
        x: Tensor<2>,
        segments: &[Segment],
        store: &mut LatentStore,
        absorbed: &[Absorbed],
        watcher: &mut dyn Watcher,
    ) -> Tensor<2> {
        let covered = segments.iter().fold(0, |at, s| if s.rows.start == at { s.rows.end } else { usize::MAX });
        assert_eq!(covered, x.dims()[0], "longcat flash: the segments do not cover the rows");
        let positions = segments.iter().flat_map(|s| s.start..s.start + s.rows.len());
        let rope = Rope::new(positions, self.rope_width, self.rope_theta);
        self.run_layers(x, &rope, &mut Context::Cached { segments, store, absorbed }, watcher)
    }

    /// The last norm.
    ///
    /// # Shapes
    /// x: `[rows, hidden]` → `[rows, hidden]`
    pub fn final_norm(&self, x: Tensor<2>, watcher: &mut dyn Watcher) -> Tensor<2> {
        let hidden = self.norm.forward(x);
        watcher.saw(self.layers.len(), Part::FinalNorm, Seen::Rows(&hidden));
        hidden
    }

    /// Logits of the text head from hidden states after the last norm.
    ///
    /// # Shapes
    /// hidden: `[rows, hidden]` → `[rows, vocab]`
    pub fn text_logits(&self, hidden: Tensor<2>, watcher: &mut dyn Watcher) -> Tensor<2> {
        let logits = self.lm_head.forward(hidden);
        watcher.saw(self.layers.len(), Part::TextHead, Seen::Rows(&logits));
        logits
    }

    /// What [`LongCatFlash::step`] needs of each attention.
    pub fn absorb(&self) -> Vec<Absorbed> {
        self.layers.iter().flat_map(|layer| &layer.self_attn).map(Absorbed::new).collect()
    }

    fn run_layers(&self, x: Tensor<2>, rope: &Rope, context: &mut Context, watcher: &mut dyn Watcher) -> Tensor<2> {
        self.layers.iter().enumerate().fold(x, |x, (index, layer)| layer.forward(x, rope, index, context, watcher))
    }
}

/// The published class writes unused rows for experts without weights.
fn is_zero_expert(name: &str, config: &BackboneConfig) -> bool {
    let expert = name.split_once(".mlp.experts.").and_then(|(_, rest)| rest.split('.').next()).and_then(|e| e.parse::<usize>().ok());
    expert.is_some_and(|e| (config.n_routed_experts..config.experts()).contains(&e))
}
