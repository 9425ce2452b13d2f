//! What has been said so far, on which later answers rest.

use std::collections::BTreeMap;

/// Facts of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mind {
    /// The user's name.
    pub name: Option<String>,
    /// Where the user lives.
    pub place: Option<String>,
    /// Names of relatives, friends and animals.
    pub others: BTreeMap<String, String>,
    /// What is switched on or off at home, by room and thing; everything starts off.
    pub home: BTreeMap<String, bool>,
    /// When to remind of what, the newest last.
    pub reminders: Vec<(String, String)>,
}
