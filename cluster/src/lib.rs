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
//! | [`plan`] | whether a checkpoint fits on given GPUs, and how fast it can be |
//! | [`io`] | what waits for the world outside |

pub mod backbone;
pub mod engine;
pub mod generate;
pub mod io;
pub mod model;
pub mod plan;
pub mod sampler;
pub mod tokenizer;
