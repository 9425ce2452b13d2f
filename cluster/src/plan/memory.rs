//! Bytes per GPU, and the cache that fits beside them.

use serde::Serialize;

use super::fleet::{Fleet, Layout};
use super::inventory::{Component, Inventory};
use crate::backbone::BackboneConfig;

/// Bytes of one bf16 value, in which the cache and the absorbed matrices are kept.
pub(super) const BF16_BYTES: u64 = 2;

/// Cached bytes of one token: latent and rope key of every attention, in bf16.
pub fn cache_bytes_per_token(config: &BackboneConfig) -> u64 {
    config.attentions() as u64 * (config.kv_lora_rank + config.qk_rope_head_dim) as u64 * BF16_BYTES
}

/// What one GPU holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GpuMemory {
    /// Bytes per component.
    pub components: Vec<(Component, u64)>,
    /// Bytes of the absorbed form of the latent expansion, made at load time beside the stored one.
    pub absorbed: u64,
    /// All of it.
    pub weights: u64,
}

/// Room for the cache on one GPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CacheRoom {
    /// Share of the memory that may be used.
    pub fraction: f64,
    /// Bytes that may be used.
    pub budget: u64,
    /// Bytes that remain for the cache, activations and buffers; negative when the weights do not fit.
    pub left: i64,
    /// Tokens whose cache fits, on one tensor-parallel group.
    pub tokens: u64,
    /// The same for all groups together.
    pub tokens_of_all_groups: u64,
    /// Whole contexts among them.
    pub contexts: u64,
}

impl GpuMemory {
    /// Lays a model over GPUs.
    pub fn new(inventory: &Inventory, layout: Layout) -> Self {
        let components: Vec<_> =
            inventory.components.keys().map(|component| (*component, per_gpu(inventory, *component, layout))).collect();
        let absorbed = (inventory.of(Component::LatentExpansion).parameters * BF16_BYTES).div_ceil(layout.tensor_parallel as u64);
        let weights = absorbed + components.iter().map(|(_, bytes)| bytes).sum::<u64>();
        Self { components, absorbed, weights }
    }

    /// Bytes of one component.
    pub fn of(&self, component: Component) -> u64 {
        self.components.iter().find(|(c, _)| *c == component).map_or(0, |(_, bytes)| *bytes)
    }

    /// Room for the cache where `fraction` of the memory may be used.
    pub fn cache_room(&self, fraction: f64, fleet: &Fleet, layout: Layout, config: &BackboneConfig, context: u64) -> CacheRoom {
        let budget = (fleet.gpu.memory_bytes as f64 * fraction) as u64;
        let left = budget as i64 - self.weights as i64;
        let tokens = u64::try_from(left).map_or(0, |left| left / cache_bytes_per_token(config));
        let groups = layout.data_parallel() as u64;
        CacheRoom { fraction, budget, left, tokens, tokens_of_all_groups: tokens * groups, contexts: tokens / context * groups }
    }
}

/// Bytes of one component on one GPU.
fn per_gpu(inventory: &Inventory, component: Component, layout: Layout) -> u64 {
    let bytes = inventory.of(component).bytes;
    match component {
        Component::Experts => bytes.div_ceil(layout.expert_parallel as u64),
        Component::DenseFfn | Component::AttentionSharded | Component::LatentExpansion | Component::TextEmbedding | Component::TextHead => {
            bytes.div_ceil(layout.tensor_parallel as u64)
        }
        Component::LatentProjections
        | Component::Routers
        | Component::Norms
        | Component::AudioTables
        | Component::AudioHeads
        | Component::Unknown => bytes,
        Component::MultiToken => 0,
    }
}
