//! Will it fit, and how fast can it be: memory and roofline of a checkpoint on given GPUs.
//!
//! Nothing is loaded: only tables of contents are read, or the config alone.
//!
//! | file | what it holds |
//! |---|---|
//! | `fleet` | the GPUs and how the model is laid over them |
//! | `inventory` | parameters and bytes of every component |
//! | `memory` | bytes per GPU, and the cache that fits beside them |
//! | `distinct_experts` | how many experts a step touches, also on the busiest rank |
//! | `roofline` | the least time of one decode step |
//! | `report` | all of it, as text and as JSON |
//! | [`command`] | `caracal-cluster plan` |

pub mod command;
mod fleet;
mod inventory;
mod memory;
mod distinct_experts;
mod roofline;
mod report;

pub use distinct_experts::{DistinctExperts, distinct_experts};
pub use fleet::{Fleet, GPUS, Gpu, Layout, PlanError};
pub use inventory::{Amount, Component, Inventory};
pub use memory::{CacheRoom, GpuMemory, cache_bytes_per_token};
pub use report::{Plan, PlanRequest};
pub use roofline::{Roofline, Step};
