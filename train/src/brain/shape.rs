//! Sizes of kitten's language model, and the `config.json` that says them.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Width of the residual stream, and so of what the projectors give.
pub const WIDTH: usize = 192;
/// Codes of a head: 512 of the largest codebook and 32 reserved ids.
pub const CODES: usize = 32 + 512;
/// Seed of everything that the language model draws.
pub const SEED: u64 = 20;

/// Writes `config.json` for the tokenizer beside it.
///
/// # Errors
/// When the tokenizer cannot be read or the config not be written.
pub fn write(folder: &Path) -> Result<()> {
    let tokenizer = caracal_cluster::tokenizer::Tokenizer::load(folder)?;
    let file = folder.join("config.json");
    std::fs::write(&file, format!("{:#}\n", config(tokenizer.vocabulary())))
        .with_context(|| format!("{}: cannot be written", file.display()))
}

/// The config for a vocabulary of this size.
pub fn config(vocabulary: usize) -> Value {
    json!({
        "architectures": ["LongcatFlashForCausalLM"], "model_type": "longcat_flash", "torch_dtype": "bfloat16",
        "vocab_size": vocabulary, "hidden_size": WIDTH, "num_layers": 3, "num_attention_heads": 8, "q_lora_rank": 96, "kv_lora_rank": 96,
        "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32, "ffn_hidden_size": 512, "expert_ffn_hidden_size": 128,
        "n_routed_experts": 8, "zero_expert_num": 4, "zero_expert_type": "identity", "moe_topk": 3, "routed_scaling_factor": 3.0,
        "rms_norm_eps": 1e-5, "rope_theta": 1e5, "max_position_embeddings": 8192, "attention_method": "MLA", "attention_bias": false,
        "mla_scale_q_lora": true, "mla_scale_kv_lora": true, "tie_word_embeddings": false,
    })
}
