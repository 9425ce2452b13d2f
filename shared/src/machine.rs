//! The contract of every pure state machine.

/// A moment, in microseconds since the session began. Machines get it as an argument and never read a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// The moment `later` after this one; the end of time when there is none.
    pub const fn after(self, later: Micros) -> Micros {
        Micros(self.0.saturating_add(later.0))
    }
}

/// A state machine whose inputs and outputs are values.
///
/// Laws, checked for every machine by one property test: equal inputs give equal outputs; [`Machine::poll`] drains in
/// bounded steps; late ticks are legal and a time that goes back counts as the latest one seen; no input panics; a
/// cloned state continues equally.
pub trait Machine: Clone + PartialEq {
    /// All that can happen.
    type Input;
    /// All it can ask for.
    type Output;

    /// Takes what happened at `now`.
    ///
    /// # Panics
    /// When outputs of the call before were not drained.
    fn handle(&mut self, now: Micros, input: Self::Input);

    /// The next thing it asks for. Drain to `None` before the next [`Machine::handle`].
    fn poll(&mut self) -> Option<Self::Output>;

    /// When it wants to be handled again if nothing else comes.
    fn deadline(&self) -> Option<Micros>;
}
