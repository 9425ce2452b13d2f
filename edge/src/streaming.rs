//! The contract of every streaming neural module.

/// A network that takes its input piece by piece.
///
/// Weights are `&self` and never change; what a stream has seen so far is a [`Streaming::State`], a plain value that is
/// cloned to speculate, moved to migrate, and made anew to reset. One set of weights serves every session.
///
/// Law, tested for every module: for any cutting of the input, the outputs of `step…` followed by `flush` equal those of
/// the module's `offline` on the whole input. The look-ahead is a documented constant of the module.
pub trait Streaming {
    /// What a stream has seen so far.
    type State: Clone;
    /// One piece of input, of any length, empty included.
    type In;
    /// The outputs that a piece made final.
    type Out;

    /// The state of a stream that has seen nothing.
    fn start(&self) -> Self::State;

    /// Takes one piece; returns what is now final, `None` when nothing is.
    fn step(&self, state: &mut Self::State, x: Self::In) -> Option<Self::Out>;

    /// Ends the input; returns what was held back for the look-ahead. The state is spent: to flush and go on listening,
    /// flush a clone.
    fn flush(&self, state: &mut Self::State) -> Option<Self::Out>;
}
