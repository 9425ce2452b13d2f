//! How kitten is made: data, curriculum, losses and evaluation.
//!
//! | module | what it holds |
//! |---|---|
//! | [`domain`] | what kitten can talk about: conversations as text and scenes, training and held-out ones apart |
//! | [`voices`] | spoken sentences: synthesisers, and what rooms and microphones do to them |
//! | [`ears`] | audio encoder with CTC, and its projector |
//! | [`eyes`] | drawn pictures and clips, ViT and its projector |
//! | [`codec`] | semantic tokenizer, quantizer, decoder: speech ⇄ codes |
//! | [`ctc`] | the loss that aligns sounds with what they say |
//! | [`phones`] | the labels of what is heard, sound by sound |
//! | [`brain`] | the language model: text, codes, what is heard and seen |
//! | [`evaluate`] | what kitten can and cannot do, along the whole path |
//! | [`word_vectors`] | the language model's vectors of words, which ears and eyes aim at |
//! | [`adamw`] | the optimiser of every stage |
//! | [`shares`] | the batches of a step, side by side |
//! | [`transplant`] | values of one network in another |
//! | [`stage`] | what every stage of the training shares: where files lie, learning rate, progress, stopping and going on |

#![allow(
    clippy::disallowed_methods,
    reason = "a training shows its progress by the clock and starts synthesisers; nothing of it is a machine that is simulated"
)]

pub mod adamw;
pub mod brain;
pub mod codec;
pub mod ctc;
pub mod domain;
pub mod ears;
pub mod evaluate;
pub mod eyes;
pub mod phones;
pub mod shares;
pub mod stage;
pub mod transplant;
pub mod voices;
pub mod word_vectors;
