//! The brain of Caracal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`backbone`] | LongCat-Flash: layers, cache, heads |
//! | [`engine`] | sessions that prefill, decode, check-point and roll back |
//! | [`plan`] | whether a checkpoint fits on given GPUs, and how fast it can be |
//! | [`tokenizer`] | the tokenizer file of a checkpoint |

pub mod backbone;
pub mod engine;
pub mod plan;
pub mod tokenizer;
