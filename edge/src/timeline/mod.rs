//! The picture of a conversation: when who spoke, what was computed meanwhile, and how long the user waited.
//!
//! | file | what it holds |
//! |---|---|
//! | [`event`] | what happened and when: the log that a driver writes |
//! | [`times`] | t1 to t5, first token and first sound of every turn, and the latencies between them |
//! | [`lanes`] | spans and marks to draw, from the log |
//! | [`svg`] | shapes and text as SVG |
//! | [`draw`] | the whole picture |
//!
//! Everything here is a function of the log: the same log gives the same bytes.

pub mod draw;
pub mod event;
pub mod lanes;
pub mod svg;
pub mod times;

pub use draw::{draw, draw_turn};
pub use event::{Cargo, Timeline, TimelineEvent, Work};
pub use times::{TurnTimes, turn_times};
