//! The least time of one decode step: what memory and arithmetic allow, links between GPUs and launches aside.
//!
//! Source: our specification of the backbone, sections 4.3 to 4.5.

use serde::Serialize;

use super::distinct_experts::{DistinctExperts, distinct_experts};
use super::fleet::{Fleet, Layout};
use super::inventory::{Component, Inventory};
use super::memory::{BF16_BYTES, GpuMemory, cache_bytes_per_token};
use crate::backbone::BackboneConfig;

/// One decode step of a whole batch on the slowest GPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Requests in the batch.
    pub batch: usize,
    /// Cached tokens of each.
    pub context: u64,
    /// Whether experts are spread evenly, or the busiest rank counts.
    pub balanced: bool,
    /// Bytes that do not depend on the batch.
    pub fixed_bytes: f64,
    /// Bytes of the experts that the batch touches.
    pub expert_bytes: f64,
    /// Bytes of the cache.
    pub cache_bytes: f64,
    /// Time of the memory.
    pub memory_ms: f64,
    /// Time of the arithmetic.
    pub compute_ms: f64,
    /// The larger of both: milliseconds per token of each request.
    pub ms: f64,
    /// Tokens per second of the batch together.
    pub tokens_per_second: f64,
}

/// Everything needed to time steps.
pub struct Roofline<'a> {
    config: &'a BackboneConfig,
    inventory: &'a Inventory,
    memory: &'a GpuMemory,
    fleet: Fleet,
    layout: Layout,
}

impl<'a> Roofline<'a> {
    /// For a model laid over GPUs.
    pub fn new(config: &'a BackboneConfig, inventory: &'a Inventory, memory: &'a GpuMemory, fleet: Fleet, layout: Layout) -> Self {
        Self { config, inventory, memory, fleet, layout }
    }

    /// Time of the four audio heads, which every GPU reads in every step of speech; not part of [`Roofline::steps`].
    pub fn audio_heads_ms(&self) -> f64 {
        1e3 * self.memory.of(Component::AudioHeads) as f64 / self.fleet.gpu.bytes_per_second
    }

    /// Steps of one batch size for each context, evenly spread and on the busiest rank.
    pub fn steps(&self, batch: usize, contexts: &[u64]) -> Vec<Step> {
        let ranks = self.layout.expert_parallel;
        let DistinctExperts { total, busiest } = distinct_experts(self.config, self.layout.tokens_per_expert_set(batch), ranks);
        let even = total / ranks as f64;
        let spreads = [(true, even), (false, busiest)];
        contexts
            .iter()
            .flat_map(|context| spreads.map(|(balanced, distinct)| self.step(batch, *context, balanced, distinct, distinct / even)))
            .collect()
    }

    fn step(&self, batch: usize, context: u64, balanced: bool, distinct: f64, load: f64) -> Step {
        let read = [
            Component::DenseFfn,
            Component::AttentionSharded,
            Component::LatentProjections,
            Component::Routers,
            Component::Norms,
            Component::TextHead,
        ];
        let fixed_bytes = (self.memory.absorbed + read.iter().map(|component| self.memory.of(*component)).sum::<u64>()) as f64;
        let experts = self.inventory.of(Component::Experts);
        let expert_bytes = distinct * experts.bytes as f64 / self.config.n_routed_experts as f64;
        let requests = self.layout.requests_per_group(batch) as f64;
        let cache_bytes = requests * context as f64 * cache_bytes_per_token(self.config) as f64;
        let memory_ms = 1e3 * (fixed_bytes + expert_bytes + cache_bytes) / self.fleet.gpu.bytes_per_second;
        let compute_ms = 1e3 * self.compute_seconds(batch, context, load);
        let ms = memory_ms.max(compute_ms);
        Step {
            batch,
            context,
            balanced,
            fixed_bytes,
            expert_bytes,
            cache_bytes,
            memory_ms,
            compute_ms,
            ms,
            tokens_per_second: 1e3 * batch as f64 / ms,
        }
    }

    /// Two operations per weight and token, those of stored 8-bit weights at the fp8 rate; attention at the bf16 rate.
    /// `load` is how much more than its share the busiest expert rank has.
    fn compute_seconds(&self, batch: usize, context: u64, load: f64) -> f64 {
        let gpu = self.fleet.gpu;
        let tensor_parallel = self.layout.tensor_parallel as f64;
        let seconds = |component: Component, share: f64| {
            let amount = self.inventory.of(component);
            let flops = if amount.bytes < amount.parameters * BF16_BYTES { gpu.fp8_flops } else { gpu.bf16_flops };
            2.0 * amount.parameters as f64 * share / flops
        };
        let requests = self.layout.requests_per_group(batch) as f64;
        let split = [Component::DenseFfn, Component::AttentionSharded, Component::LatentExpansion, Component::TextHead];
        let whole = [Component::LatentProjections, Component::Routers];
        let dense = split.map(|c| seconds(c, requests / tensor_parallel)).iter().sum::<f64>()
            + whole.map(|c| seconds(c, requests)).iter().sum::<f64>();
        let chosen = self.config.moe_topk as f64 / self.config.experts() as f64;
        let tokens = self.layout.tokens_per_expert_set(batch) as f64;
        let experts = seconds(Component::Experts, chosen * tokens * load / self.layout.expert_parallel as f64);
        let scores = 2 * self.config.kv_lora_rank + self.config.qk_rope_head_dim;
        let attention = 2.0 * (self.config.attentions() * self.config.num_attention_heads * scores) as f64 * context as f64 * requests
            / tensor_parallel
            / gpu.bf16_flops;
        dense + experts + attention
    }
}
