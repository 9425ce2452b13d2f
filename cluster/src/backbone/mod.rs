//! LongCat-Flash: the language model, its cache and its audio heads.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | `config.json` |
//! | [`longcat_flash`], [`decoder_layer`] | the network, one ScMoE layer of it |
//! | [`mla`], [`absorbed`], [`rope`] | latent attention in its plain and its absorbed form, rotary positions |
//! | [`router`], [`scmoe`], [`ffn`] | choosing experts, summing them, the network inside one |
//! | [`projection`], [`fp8`] | a matrix product with a weight of any stored format; 8-bit floats in blocks |
//! | [`kv_cache`], [`block_pool`], [`latent_store`] | sessions and checkpoints, free blocks, the memory |
//! | [`embedding`], [`codec_head`], [`repetition_penalty`] | input rows from text ids and codes; codes from hidden states |
//! | [`mtp`] | the head that drafts the token after the next |
//! | [`watcher`] | looking at it all while it runs |

pub mod config;
pub mod longcat_flash;
pub mod decoder_layer;
pub mod mla;
pub mod absorbed;
pub mod rope;
pub mod router;
pub mod scmoe;
pub mod ffn;
pub mod projection;
pub mod fp8;
pub mod kv_cache;
pub mod block_pool;
pub mod latent_store;
pub mod embedding;
pub mod codec_head;
pub mod repetition_penalty;
pub mod mtp;
pub mod watcher;

pub use codec_head::CodecHead;
pub use config::BackboneConfig;
pub use embedding::CodecEmbedding;
pub use longcat_flash::LongCatFlash;
pub use mla::Mla;
pub use router::Router;
pub use scmoe::ScMoe;
