//! The brain of Caracal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`backbone`] | LongCat-Flash: layers, cache, heads |
//! | [`engine`] | sessions that prefill, decode, check-point and roll back |
//! | [`sampler`] | logits to text tokens |
//! | [`tokenizer`] | the tokenizer file of a checkpoint |
//! | [`model`] | a model folder, of which each run loads what it needs |
//! | [`generate`] | a conversation file in; reply text, codes and sound out |
//! | [`node`] | the cluster as one machine: connections, sessions, scheduler |
//! | [`admission`] | who may have a session |
//! | [`scheduler`] | actions of sessions and free blocks → plans |
//! | [`executor`] | plans → the engine |
//! | [`plan`] | whether a checkpoint fits on given GPUs, and how fast it can be |
//! | [`serve`] | a model folder as a cluster that edges connect to |
//! | [`rate_limit`] | how many connections an address may make |
//! | [`io`] | what waits for the world outside |

pub mod admission;
pub mod backbone;
pub mod engine;
pub mod executor;
pub mod generate;
pub mod io;
pub mod model;
pub mod node;
pub mod plan;
pub mod rate_limit;
pub mod sampler;
pub mod scheduler;
pub mod serve;
pub mod tokenizer;
