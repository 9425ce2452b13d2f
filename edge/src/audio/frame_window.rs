//! The moving window under delta features and splicing: some vectors to the left, some to the right, every so many
//! vectors, both ends repeated beyond the edges of the signal.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// Where a window lies around its centre, and how far it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameWindow {
    pub left: usize,
    pub right: usize,
    pub stride: usize,
    /// Values in one vector.
    pub width: usize,
}

/// The vectors that later windows still need.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FrameWindowState {
    kept: VecDeque<f32>,
    /// Index in the signal of the first kept vector.
    first: u64,
    /// Vectors seen so far.
    seen: u64,
    /// Windows given out so far.
    given: u64,
}

impl FrameWindow {
    /// Windows that a signal of `frames` vectors has.
    pub fn count(&self, frames: u64) -> u64 {
        frames.div_ceil(self.stride as u64)
    }

    /// Windows that need no vector beyond the first `frames` of a longer signal.
    pub fn final_count(&self, frames: u64) -> u64 {
        let right = self.right as u64;
        if frames <= right { 0 } else { self.count(frames).min((frames - 1 - right) / self.stride as u64 + 1) }
    }

    /// Takes vectors and calls `each` for every window that is complete; [`Neighbours`] gives its vectors.
    pub fn push(&self, state: &mut FrameWindowState, features: &[f32], each: impl FnMut(Neighbours)) {
        assert!(features.len().is_multiple_of(self.width), "{} values are no vectors of {}", features.len(), self.width);
        state.kept.extend(features);
        state.seen += (features.len() / self.width) as u64;
        self.give(state, self.final_count(state.seen), each);
    }

    /// Ends the signal: calls `each` for the windows that were held back, with the last vector repeated.
    pub fn flush(&self, state: &mut FrameWindowState, each: impl FnMut(Neighbours)) {
        self.give(state, self.count(state.seen), each);
        *state = FrameWindowState::default();
    }

    fn give(&self, state: &mut FrameWindowState, until: u64, mut each: impl FnMut(Neighbours)) {
        if until > state.given {
            let (kept, first, last) = (&*state.kept.make_contiguous(), state.first, state.seen - 1);
            for t in state.given..until {
                each(Neighbours { kept, first, last, centre: t * self.stride as u64, width: self.width });
            }
            state.given = until;
        }
        let needed = (state.given * self.stride as u64).saturating_sub(self.left as u64);
        let unneeded = needed.min(state.seen).saturating_sub(state.first);
        state.kept.drain(..unneeded as usize * self.width);
        state.first += unneeded;
    }
}

impl FrameWindowState {
    /// Memory that this stream holds, in bytes.
    pub fn bytes(&self) -> usize {
        4 * self.kept.capacity()
    }
}

/// The vectors around the centre of one window.
pub(super) struct Neighbours<'a> {
    kept: &'a [f32],
    first: u64,
    last: u64,
    centre: u64,
    width: usize,
}

impl<'a> Neighbours<'a> {
    /// The vector `offset` places from the centre; beyond an edge, the one at the edge.
    pub fn at(&self, offset: i64) -> &'a [f32] {
        let index = self.centre.saturating_add_signed(offset).min(self.last);
        let start = (index - self.first) as usize * self.width;
        &self.kept[start..start + self.width]
    }

    /// The vectors of a range of offsets, oldest first.
    pub fn range(&self, offsets: RangeInclusive<i64>) -> impl Iterator<Item = &'a [f32]> {
        offsets.map(|offset| self.at(offset))
    }
}
