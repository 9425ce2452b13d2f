//! Goldens of backbone.

use super::Entry;

/// Checks of this family.
pub(super) const ENTRIES: &[Entry] = &[];
