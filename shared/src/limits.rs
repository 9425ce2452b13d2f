//! Every limit of the pure rules, with its reason.

use crate::machine::Micros;

/// Bytes of one text item. A context of 131072 positions holds about half a megabyte of text; twice that is refused
/// before any time is spent on it.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Items and turns of one conversation together: far above any dialogue that fits a context.
pub const ITEMS_MAX: usize = 1 << 16;

/// Rows of one prompt: eight of the longest published context, so that a wrong count is refused before it is stored.
pub const ROWS_MAX: usize = 1 << 20;

/// Steps of one reply, audio-only ones included: 245 s of speech. The published demo stops there.
pub const REPLY_STEPS_MAX: u32 = 4096;

/// Silence after which an answer is started on a guess. The report does not publish it; half of the endpoint's leaves
/// as much time to prefill and decode as it takes to rule out a breath.
pub const SPECULATE_AFTER: Micros = Micros(300_000);

/// Silence that ends a turn: the middle of the published 600 to 700 ms.
pub const ENDPOINT_AFTER: Micros = Micros(650_000);
