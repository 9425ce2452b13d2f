//! Offline generation: a conversation file in; reply text, codes and sound out.
//!
//! | module | what it holds |
//! |---|---|
//! | [`case`] | the published conversation format, and where exactly a file departs from it |

pub mod case;

pub use case::{Case, CaseError, CaseItem, CaseMessage, InterleavedMeta};
