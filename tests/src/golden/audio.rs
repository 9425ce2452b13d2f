//! Goldens of audio.

use super::Entry;

/// Checks of this family.
pub(super) const ENTRIES: &[Entry] = &[];
