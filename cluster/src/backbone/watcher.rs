//! Looking at a network while it runs: goldens compare what passes by, benchmarks time it, training collects it.
//!
//! Each part reports once, right after it was computed, so the time between two reports belongs to the later one.

use burn::tensor::Tensor;

use super::router::Routing;

/// A part of the network. The number tells the first attention, norm or FFN of a layer from the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Input of an attention.
    InputNorm(usize),
    /// Output of an attention, before it is added.
    Attention(usize),
    /// Input of a dense FFN; the first one also of the router and the experts.
    PostNorm(usize),
    /// The chosen experts.
    Router,
    /// Sum over the chosen experts, those without weights included.
    Experts,
    /// Output of a dense FFN, before it is added.
    DenseFfn(usize),
    /// The residual stream after a layer.
    Layer,
    /// The hidden state after the last norm.
    FinalNorm,
    /// Logits of the text head.
    TextHead,
}

/// What a part computed.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// `[rows, width]`
    Rows(&'a Tensor<2>),
    /// Of [`Part::Router`].
    Routing(&'a Routing),
}

/// Is told what each part computed.
pub trait Watcher {
    /// `layer` counts ScMoE layers; it is the number of layers for the parts after them.
    fn saw(&mut self, layer: usize, part: Part, value: Seen);
}

/// Looks at nothing and costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn saw(&mut self, _: usize, _: Part, _: Seen) {}
}
