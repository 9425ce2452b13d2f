//! The brain of Caracal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`backbone`] | LongCat-Flash: layers, cache, heads |
//! | [`engine`] | sessions that prefill, decode, check-point and roll back |
//! | [`tokenizer`] | the tokenizer file of a checkpoint |
//! | [`generate`] | a conversation file in, reply text, codes and sound out |
//! | [`io`] | what waits for the world outside |

pub mod backbone;
pub mod engine;
pub mod tokenizer;
pub mod generate;
pub mod io;
