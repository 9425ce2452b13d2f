//! Parameters and bytes of every component, from tables of contents or from the config alone.
//!
//! Source: names of the published checkpoint (`backbone`), files of the model folder.

use std::collections::BTreeMap;
use std::path::Path;

use caracal_kernels::LoadError;
use caracal_kernels::checkpoint::{Checkpoint, StoredDtype};
use serde::Serialize;

use crate::backbone::BackboneConfig;

/// Codes per audio table of the released model. Only used, and said so, where the folder holds no audio tables: the
/// backbone's config does not tell.
const RELEASED_AUDIO_CODES: usize = 8224;

/// Codebooks of the released model; used as the constant above.
const RELEASED_CODEBOOKS: usize = 4;

/// A part of the model that is laid over the GPUs in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Routed experts: split among the expert-parallel GPUs.
    Experts,
    /// Dense FFNs: split among the tensor-parallel GPUs.
    DenseFfn,
    /// Query and output projections of attention: split by heads.
    AttentionSharded,
    /// Expansion of the latent as it is stored: split by heads. Decode reads the absorbed form instead.
    LatentExpansion,
    /// Down-projections to the query and cache latents: on every GPU.
    LatentProjections,
    /// Routers with their biases: on every GPU, in f32.
    Routers,
    /// Norms: on every GPU.
    Norms,
    /// Text embedding: split by rows.
    TextEmbedding,
    /// Text head: split by rows.
    TextHead,
    /// Input tables and residual tables of the codes: on every GPU.
    AudioTables,
    /// The four audio heads: on every GPU.
    AudioHeads,
    /// Multi-token prediction: not loaded.
    MultiToken,
    /// Tensors that this program does not know: taken to be on every GPU.
    Unknown,
}

/// How much there is of a component in the whole model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Weights, without scales.
    pub parameters: u64,
    /// Bytes in use: as stored with their scales, routers as f32.
    pub bytes: u64,
}

/// What a model consists of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inventory {
    /// Where the numbers come from, for people.
    pub source: String,
    /// Amounts; components that the model lacks are absent.
    pub components: BTreeMap<Component, Amount>,
}

impl Inventory {
    /// Reads the tables of contents in `folder`, or predicts them from `config` where there are no weights.
    ///
    /// # Errors
    /// [`LoadError`] of a damaged or incomplete checkpoint.
    pub fn read(folder: &Path, config: &BackboneConfig) -> Result<Self, LoadError> {
        let stored = ["model.safetensors", "model.safetensors.index.json"].iter().any(|name| folder.join(name).exists());
        let mut inventory = if stored {
            let checkpoint = Checkpoint::open(folder)?;
            Self::of_tensors(format!("the tensors of {}", checkpoint.path().display()), contents(&checkpoint))
        } else {
            Self::of_config(config)
        };
        let audio = folder.join("audio");
        let parts = ["audio_embeddings", "audio_output_layers"];
        let there = |stem: &str| ["safetensors", "pt"].iter().any(|end| audio.join(format!("{stem}.{end}")).exists());
        if parts.into_iter().any(there) {
            for part in parts {
                let checkpoint = Checkpoint::open_part(&audio, part)?;
                contents(&checkpoint).for_each(|(name, shape, dtype)| inventory.add(&name, &shape, dtype));
            }
        } else {
            inventory.source += &format!(", and audio tables of {RELEASED_AUDIO_CODES} codes as released");
            inventory.add_released_audio(config);
        }
        Ok(inventory)
    }

    /// What a checkpoint with this config holds, without audio tables.
    pub fn of_config(config: &BackboneConfig) -> Self {
        let stored = config
            .quantization_config
            .as_ref()
            .map_or("bf16".to_string(), |q| format!("{} in blocks of {:?}", q.quant_method, q.weight_block_size));
        Self::of_tensors(format!("config.json alone, weights as {stored}"), predicted(config).into_iter())
    }

    fn of_tensors(source: String, tensors: impl Iterator<Item = (String, Vec<usize>, StoredDtype)>) -> Self {
        let mut inventory = Self { source, components: BTreeMap::new() };
        tensors.for_each(|(name, shape, dtype)| inventory.add(&name, &shape, dtype));
        inventory
    }

    /// Adds the audio tables and heads of the released model.
    pub fn add_released_audio(&mut self, config: &BackboneConfig) {
        let shape = [RELEASED_AUDIO_CODES, config.hidden_size];
        for book in 0..RELEASED_CODEBOOKS {
            self.add(&format!("audio_embeddings.{book}.weight"), &shape, StoredDtype::Bf16);
            self.add(&format!("audio_output_layers.{book}.weight"), &shape, StoredDtype::Bf16);
            if book > 0 {
                self.add(&format!("embedding.{}.weight", book - 1), &shape, StoredDtype::Bf16);
            }
        }
    }

    /// The amount of one component, zero where there is none.
    pub fn of(&self, component: Component) -> Amount {
        self.components.get(&component).copied().unwrap_or_default()
    }

    /// All parameters that are loaded.
    pub fn parameters(&self) -> u64 {
        self.components.iter().filter(|(component, _)| **component != Component::MultiToken).map(|(_, amount)| amount.parameters).sum()
    }

    fn add(&mut self, name: &str, shape: &[usize], dtype: StoredDtype) {
        let values = shape.iter().map(|axis| *axis as u64).product::<u64>();
        let component = component(name);
        let amount = self.components.entry(component).or_default();
        // The router runs in f32 whatever the file holds: bf16 logits flip experts.
        let size = if component == Component::Routers { StoredDtype::F32.size() } else { dtype.size() };
        amount.bytes += values * size as u64;
        if !name.ends_with("_scale_inv") {
            amount.parameters += values;
        }
    }
}

fn contents(checkpoint: &Checkpoint) -> impl Iterator<Item = (String, Vec<usize>, StoredDtype)> {
    checkpoint.names().filter_map(|name| checkpoint.get(name).map(|tensor| (name.to_string(), tensor.shape.clone(), tensor.dtype)))
}

/// Which component a tensor belongs to, by its published name.
fn component(name: &str) -> Component {
    let has = |part: &str| name.contains(part);
    match name {
        _ if has(".mtp.") => Component::MultiToken,
        _ if has(".mlp.experts.") => Component::Experts,
        _ if has(".mlp.router.") => Component::Routers,
        _ if has("norm") => Component::Norms,
        _ if has(".mlps.") => Component::DenseFfn,
        _ if has(".q_a_proj.") || has(".kv_a_proj_with_mqa.") => Component::LatentProjections,
        _ if has(".q_b_proj.") || has(".o_proj.") => Component::AttentionSharded,
        _ if has(".kv_b_proj.") => Component::LatentExpansion,
        "model.embed_tokens.weight" => Component::TextEmbedding,
        "lm_head.weight" => Component::TextHead,
        _ if name.starts_with("audio_output_layers.") => Component::AudioHeads,
        _ if name.starts_with("audio_embeddings.") || name.starts_with("embedding.") => Component::AudioTables,
        _ => Component::Unknown,
    }
}

/// The tensors that a checkpoint with this config holds, in the published layout.
fn predicted(config: &BackboneConfig) -> Vec<(String, Vec<usize>, StoredDtype)> {
    let hidden = config.hidden_size;
    let heads = config.num_attention_heads;
    let mut tensors = Vec::new();
    let plain = |tensors: &mut Vec<_>, name: String, shape: &[usize]| tensors.push((name, shape.to_vec(), StoredDtype::Bf16));
    let linear = |tensors: &mut Vec<_>, name: String, rows: usize, columns: usize| match &config.quantization_config {
        None => tensors.push((format!("{name}.weight"), vec![rows, columns], StoredDtype::Bf16)),
        Some(quantization) => {
            let [block_rows, block_columns] = quantization.weight_block_size;
            tensors.push((format!("{name}.weight"), vec![rows, columns], StoredDtype::F8E4m3));
            let scales = vec![rows.div_ceil(block_rows), columns.div_ceil(block_columns)];
            tensors.push((format!("{name}.weight_scale_inv"), scales, StoredDtype::F32));
        }
    };
    let swiglu = |tensors: &mut Vec<_>, name: &str, inner: usize| {
        linear(tensors, format!("{name}.gate_proj"), inner, hidden);
        linear(tensors, format!("{name}.up_proj"), inner, hidden);
        linear(tensors, format!("{name}.down_proj"), hidden, inner);
    };
    for layer in 0..config.num_layers {
        let layer = format!("model.layers.{layer}");
        for half in 0..2 {
            let attention = format!("{layer}.self_attn.{half}");
            plain(&mut tensors, format!("{layer}.input_layernorm.{half}.weight"), &[hidden]);
            plain(&mut tensors, format!("{layer}.post_attention_layernorm.{half}.weight"), &[hidden]);
            plain(&mut tensors, format!("{attention}.q_a_layernorm.weight"), &[config.q_lora_rank]);
            plain(&mut tensors, format!("{attention}.kv_a_layernorm.weight"), &[config.kv_lora_rank]);
            linear(&mut tensors, format!("{attention}.q_a_proj"), config.q_lora_rank, hidden);
            linear(
                &mut tensors,
                format!("{attention}.q_b_proj"),
                heads * (config.qk_nope_head_dim + config.qk_rope_head_dim),
                config.q_lora_rank,
            );
            linear(&mut tensors, format!("{attention}.kv_a_proj_with_mqa"), config.kv_lora_rank + config.qk_rope_head_dim, hidden);
            linear(
                &mut tensors,
                format!("{attention}.kv_b_proj"),
                heads * (config.qk_nope_head_dim + config.v_head_dim),
                config.kv_lora_rank,
            );
            linear(&mut tensors, format!("{attention}.o_proj"), hidden, heads * config.v_head_dim);
            swiglu(&mut tensors, &format!("{layer}.mlps.{half}"), config.ffn_hidden_size);
        }
        plain(&mut tensors, format!("{layer}.mlp.router.classifier.weight"), &[config.experts(), hidden]);
        plain(&mut tensors, format!("{layer}.mlp.router.e_score_correction_bias"), &[config.experts()]);
        for expert in 0..config.n_routed_experts {
            swiglu(&mut tensors, &format!("{layer}.mlp.experts.{expert}"), config.expert_ffn_hidden_size);
        }
    }
    plain(&mut tensors, "model.embed_tokens.weight".into(), &[config.vocab_size, hidden]);
    plain(&mut tensors, "model.norm.weight".into(), &[hidden]);
    plain(&mut tensors, "lm_head.weight".into(), &[config.vocab_size, hidden]);
    tensors
}
