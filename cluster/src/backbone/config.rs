//! `config.json` of a LongCat-Flash checkpoint.
//!
//! Nothing of the model's shape has a default here. A field may be absent only where the published files leave it out
//! and the published class fills it in; each such field says so. A key that nobody knows is refused, because it may
//! change what the network computes.

use std::collections::BTreeMap;
use std::path::Path;

use caracal_kernels::LoadError;
use caracal_kernels::checkpoint::{parse_config, read_config, refuse_unknown_keys};
use serde::Deserialize;
use serde_json::Value;

/// Keys of the published files that change nothing in this network: initial values of training, counts that follow from
/// other fields and groups of modules that were not quantised (which each tensor says itself).
const KNOWN_UNUSED: &[&str] =
    &["attention_dropout", "disable_quant_module", "initializer_range", "num_nextn_predict_layers", "pretraining_tp"];

/// The eps of the two latent norms that the published class uses whatever `rms_norm_eps` says.
const LATENT_NORM_EPS: f64 = 1e-6;

/// Shape of the backbone.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct BackboneConfig {
    /// Rows of the embedding table and of the text head.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// ScMoE layers; each holds two attentions, two dense FFNs and one MoE.
    pub num_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Width of the query latent.
    pub q_lora_rank: usize,
    /// Width of the cached latent.
    pub kv_lora_rank: usize,
    /// Width per head of the part of queries and keys without position.
    pub qk_nope_head_dim: usize,
    /// Width of the part with position; one key for all heads.
    pub qk_rope_head_dim: usize,
    /// Width of a value per head.
    pub v_head_dim: usize,
    /// Inner width of the dense FFNs.
    pub ffn_hidden_size: usize,
    /// Inner width of an expert.
    pub expert_ffn_hidden_size: usize,
    /// Experts with weights.
    pub n_routed_experts: usize,
    /// Experts that return their input.
    pub zero_expert_num: usize,
    /// Experts chosen per token.
    pub moe_topk: usize,
    /// Factor of every chosen gate.
    pub routed_scaling_factor: f64,
    /// Eps of all norms but the two latent ones.
    pub rms_norm_eps: f64,
    /// Eps of the two latent norms. The published class takes 1e-6 whatever `rms_norm_eps` says, and published files do
    /// not hold this key; serving engines use `rms_norm_eps`, and a checkpoint trained so can say so here.
    #[serde(default = "latent_norm_eps")]
    pub latent_norm_eps: f64,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Largest context in tokens.
    pub max_position_embeddings: usize,
    /// Whether queries are multiplied by sqrt(hidden / q_lora_rank); absent means yes, as in the published class.
    #[serde(default = "yes")]
    pub mla_scale_q_lora: bool,
    /// Whether the latent is multiplied by sqrt(hidden / kv_lora_rank); absent means yes, as in the published class.
    #[serde(default = "yes")]
    pub mla_scale_kv_lora: bool,
    /// How weights are stored in 8 bits; absent in a bf16 or f32 checkpoint.
    #[serde(default)]
    pub quantization_config: Option<QuantizationConfig>,
    #[serde(flatten)]
    fixed: Fixed,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Fields that may say only one thing, the one this network computes.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Fixed {
    attention_bias: Option<bool>,
    attention_method: Option<String>,
    head_dim: Option<usize>,
    hidden_act: Option<String>,
    norm_topk_prob: Option<bool>,
    num_hidden_layers: Option<usize>,
    num_key_value_heads: Option<usize>,
    rope_scaling: Option<Value>,
    router_bias: Option<bool>,
    tie_word_embeddings: Option<bool>,
    zero_expert_type: Option<String>,
}

/// Block-FP8 storage of weights.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct QuantizationConfig {
    /// Must be `fp8`.
    pub quant_method: String,
    /// Rows and columns of a block with one scale.
    pub weight_block_size: [usize; 2],
    /// Must be `dynamic` where present: activation scales are not stored.
    #[serde(default)]
    pub activation_scheme: Option<String>,
    /// Must be `e4m3` where present.
    #[serde(default)]
    pub fmt: Option<String>,
    /// `ignored_layers` and `modules_to_not_convert`: not read, each tensor says itself how it is stored.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn latent_norm_eps() -> f64 {
    LATENT_NORM_EPS
}

fn yes() -> bool {
    true
}

impl BackboneConfig {
    /// Reads and checks `config.json` in `folder`.
    ///
    /// # Errors
    /// [`LoadError::Io`]; [`LoadError::Config`] naming the field.
    pub fn read(folder: &Path) -> Result<Self, LoadError> {
        let file = folder.join("config.json");
        let config: Self = read_config(&file)?;
        config.check(&file)?;
        Ok(config)
    }

    /// Checks the text of a `config.json`; `file` is named in errors.
    ///
    /// # Errors
    /// As [`BackboneConfig::read`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, LoadError> {
        let config: Self = parse_config(file, text)?;
        config.check(file)?;
        Ok(config)
    }

    /// Attention blocks, each with its own part of the cache: two per layer.
    pub fn attentions(&self) -> usize {
        2 * self.num_layers
    }

    /// Experts that the router chooses from, those without weights included.
    pub fn experts(&self) -> usize {
        self.n_routed_experts + self.zero_expert_num
    }

    /// Factor of the queries.
    pub fn query_factor(&self) -> f64 {
        if self.mla_scale_q_lora { (self.hidden_size as f64 / self.q_lora_rank as f64).sqrt() } else { 1.0 }
    }

    /// Factor of the latent; the shared rope key has none.
    pub fn latent_factor(&self) -> f64 {
        if self.mla_scale_kv_lora { (self.hidden_size as f64 / self.kv_lora_rank as f64).sqrt() } else { 1.0 }
    }

    fn check(&self, file: &Path) -> Result<(), LoadError> {
        let refuse = |field: &str, problem: String| Err(LoadError::config(file, field, problem));
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_layers", self.num_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("q_lora_rank", self.q_lora_rank),
            ("kv_lora_rank", self.kv_lora_rank),
            ("qk_nope_head_dim", self.qk_nope_head_dim),
            ("qk_rope_head_dim", self.qk_rope_head_dim),
            ("v_head_dim", self.v_head_dim),
            ("ffn_hidden_size", self.ffn_hidden_size),
            ("expert_ffn_hidden_size", self.expert_ffn_hidden_size),
            ("n_routed_experts", self.n_routed_experts),
            ("moe_topk", self.moe_topk),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        for (field, size) in sizes {
            if size == 0 || size > i32::MAX as usize {
                return refuse(field, format!("{size}, expected 1 to {}", i32::MAX));
            }
        }
        if !self.qk_rope_head_dim.is_multiple_of(2) {
            return refuse(
                "qk_rope_head_dim",
                format!("{}, expected an even number: components are rotated in pairs", self.qk_rope_head_dim),
            );
        }
        if self.moe_topk > self.experts() {
            return refuse(
                "moe_topk",
                format!("{}, expected at most n_routed_experts + zero_expert_num = {}", self.moe_topk, self.experts()),
            );
        }
        for (field, value) in [
            ("rms_norm_eps", self.rms_norm_eps),
            ("latent_norm_eps", self.latent_norm_eps),
            ("rope_theta", self.rope_theta),
            ("routed_scaling_factor", self.routed_scaling_factor),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return refuse(field, format!("{value}, expected a positive number"));
            }
        }
        self.fixed.check(self, file)?;
        if let Some(quantization) = &self.quantization_config {
            quantization.check(file)?;
        }
        refuse_unknown_keys(file, &self.rest, KNOWN_UNUSED)
    }
}

impl Fixed {
    fn check(&self, config: &BackboneConfig, file: &Path) -> Result<(), LoadError> {
        let only = |field: &str, found: Option<String>, expected: &str| match found {
            Some(found) if found != expected => Err(LoadError::config(
                file,
                field,
                format!("{found}, but only {expected} is computed here. This is a checkpoint of another model."),
            )),
            _ => Ok(()),
        };
        let text = |value: &Option<bool>| value.map(|v| v.to_string());
        only("attention_bias", text(&self.attention_bias), "false")?;
        only("attention_method", self.attention_method.clone(), "MLA")?;
        only("head_dim", self.head_dim.map(|v| v.to_string()), &config.qk_rope_head_dim.to_string())?;
        only("hidden_act", self.hidden_act.clone(), "silu")?;
        only("norm_topk_prob", text(&self.norm_topk_prob), "false")?;
        only("num_hidden_layers", self.num_hidden_layers.map(|v| v.to_string()), &config.attentions().to_string())?;
        only("num_key_value_heads", self.num_key_value_heads.map(|v| v.to_string()), &config.num_attention_heads.to_string())?;
        only("rope_scaling", self.rope_scaling.as_ref().map(Value::to_string), "null")?;
        only("router_bias", text(&self.router_bias), "false")?;
        only("tie_word_embeddings", text(&self.tie_word_embeddings), "false")?;
        only("zero_expert_type", self.zero_expert_type.clone(), "identity")
    }
}

impl QuantizationConfig {
    fn check(&self, file: &Path) -> Result<(), LoadError> {
        let refuse = |field: &str, problem: String| Err(LoadError::config(file, &format!("quantization_config.{field}"), problem));
        if self.quant_method != "fp8" {
            return refuse(
                "quant_method",
                format!("`{}`, only `fp8` is supported. Use the bf16 release or the -FP8 one.", self.quant_method),
            );
        }
        if self.fmt.as_ref().is_some_and(|f| f != "e4m3") {
            return refuse("fmt", format!("{:?}, only `e4m3` is supported", self.fmt));
        }
        if self.activation_scheme.as_ref().is_some_and(|s| s != "dynamic") {
            return refuse("activation_scheme", format!("{:?}, only `dynamic` is supported", self.activation_scheme));
        }
        if self.weight_block_size.contains(&0) {
            return refuse("weight_block_size", format!("{:?}, expected two positive numbers", self.weight_block_size));
        }
        refuse_unknown_keys(file, &self.rest, &["ignored_layers", "modules_to_not_convert"])
    }
}
