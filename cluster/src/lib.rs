//! The brain of Caracal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`backbone`] | LongCat-Flash: layers, cache, heads |
//! | [`engine`] | sessions that prefill, decode, check-point and roll back |
//! | [`sampler`] | choosing the next text token |
//! | [`tokenizer`] | the tokenizer file of a checkpoint |
//! | [`plan`] | whether a checkpoint fits on given GPUs, and how fast it can be |

pub mod backbone;
pub mod engine;
pub mod sampler;
pub mod tokenizer;
pub mod plan;
