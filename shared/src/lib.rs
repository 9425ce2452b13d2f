//! The rules of Caracal that need no tensor, no socket, no clock and no file.
//!
//! `no_std` with `alloc`, so the compiler proves it. Everything here is a plain function or a plain value.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rates`], [`ids`], [`limits`] | every rate, reserved id and limit, named once |
//! | [`tokenize`] | what the rules need of a tokenizer, and the markers found in it |
//! | [`prompt`] | from a conversation to the rows that the model reads |
//! | [`reply`], [`post_process`] | from sampled ids to the next input, to text and to codec frames |
//! | [`machine`], [`turn`], [`truncate`] | who speaks when, and what remains of an answer that was interrupted |
//! | [`wire`] | what edge and cluster say to each other, as values and as bytes |
//! | [`session`] | one conversation: the edge's half and the cluster's half |
#![no_std]

extern crate alloc;

pub mod rates;
pub mod ids;
pub mod limits;
pub mod tokenize;
pub mod prompt;
pub mod reply;
pub mod post_process;
pub mod machine;
pub mod turn;
pub mod truncate;
pub mod wire;
pub mod session;
