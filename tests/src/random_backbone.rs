//! Backbones of any shape with made-up weights, for laws and benchmarks.

use std::path::Path;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use caracal_cluster::backbone::projection::Stored;
use caracal_cluster::backbone::{BackboneConfig, LongCatFlash};
use caracal_cluster::engine::{BurnEngine, CacheLimits};
use caracal_kernels::burn::module::{Module, ModuleMapper, Param};
use caracal_kernels::checkpoint::{StoredDtype, write_safetensors};
use caracal_kernels::{Checkpoint, Weights};
use serde_json::{Value, json};

/// A config with `changes` over small sizes that no vector width divides.
pub fn small_config(changes: Value) -> Value {
    let mut config = json!({
        "vocab_size": 37, "hidden_size": 42, "num_layers": 2, "num_attention_heads": 3, "q_lora_rank": 21, "kv_lora_rank": 19,
        "qk_nope_head_dim": 7, "qk_rope_head_dim": 6, "v_head_dim": 9, "ffn_hidden_size": 50, "expert_ffn_hidden_size": 23,
        "n_routed_experts": 6, "zero_expert_num": 3, "moe_topk": 3, "routed_scaling_factor": 3.0, "rms_norm_eps": 1e-5,
        "rope_theta": 1e4, "max_position_embeddings": 2048, "mla_scale_q_lora": true, "mla_scale_kv_lora": true,
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    config
}

/// The config that kitten's size is modelled on.
pub fn kitten_config() -> Value {
    small_config(json!({
        "vocab_size": 4096, "hidden_size": 256, "num_layers": 6, "num_attention_heads": 4, "q_lora_rank": 128, "kv_lora_rank": 64,
        "qk_nope_head_dim": 48, "qk_rope_head_dim": 16, "v_head_dim": 48, "ffn_hidden_size": 512, "expert_ffn_hidden_size": 128,
        "n_routed_experts": 8, "zero_expert_num": 4, "moe_topk": 3, "max_position_embeddings": 8192,
    }))
}

/// The config as the model takes it.
///
/// # Errors
/// When it is no valid config.
pub fn parse(config: &Value) -> Result<BackboneConfig> {
    Ok(BackboneConfig::parse(Path::new("config.json"), &config.to_string())?)
}

/// A model of this shape from `seed`, with biases that change which experts are chosen.
///
/// # Errors
/// Never for a valid config.
pub fn model(config: &BackboneConfig, seed: u64, device: &Device) -> Result<LongCatFlash> {
    let model = LongCatFlash::load(&Weights::random(seed, device), config, &Stored::default())?;
    Ok(model.map(&mut Bias { experts: config.experts() }))
}

/// An engine with a model of this shape.
///
/// # Errors
/// Never for a valid config.
pub fn engine(config: &Value, seed: u64, device: &Device, limits: CacheLimits) -> Result<BurnEngine> {
    let config = parse(config)?;
    Ok(BurnEngine::new(&config, model(&config, seed, device)?, limits))
}

/// Fills the correction biases, the only vectors as long as there are experts (sizes of the configs here see to that).
struct Bias {
    experts: usize,
}

impl ModuleMapper for Bias {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 1 || param.dims()[0] != self.experts {
            return param;
        }
        let experts = self.experts;
        param.map(|old| {
            let bias: Vec<f32> = (0..experts).map(|e| 0.05 * ((e * 7 % 5) as f32 - 2.0)).collect();
            Tensor::<1>::from_data(bias.as_slice(), &old.device()).reshape([experts as i32; D].map(|v| if D == 1 { v } else { 1 }))
        })
    }
}

/// Tensors as `write_safetensors` takes them.
pub type Tensors = Vec<(String, StoredDtype, Vec<usize>, Vec<u8>)>;

/// Writes `config.json` and `model.safetensors` of a random model into `folder`, after `change` had its way with them.
///
/// # Errors
/// When a file cannot be written.
pub fn write_checkpoint(folder: &Path, config: &Value, change: impl FnOnce(&mut Value, &mut Tensors)) -> Result<()> {
    let weights = Weights::random(17, &Device::flex());
    let model = LongCatFlash::load(&weights, &parse(config)?, &Stored::default())?;
    let path = folder.join("model.safetensors");
    weights.save(&model, &path, StoredDtype::F32)?;
    let file = Checkpoint::open(&path)?;
    let mut tensors = Tensors::new();
    for name in file.names() {
        let stored = file.get(name).expect("its own name");
        tensors.push((name.to_string(), stored.dtype, stored.shape.clone(), file.bytes(name, &stored.shape)?.1.into_owned()));
    }
    let mut config = config.clone();
    change(&mut config, &mut tensors);
    // Another file, because the first one is mapped.
    std::fs::remove_file(&path)?;
    write_safetensors(&path, &tensors)?;
    std::fs::write(folder.join("config.json"), config.to_string())?;
    Ok(())
}
