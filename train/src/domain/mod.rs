//! What kitten can talk about: conversations as text, training and held-out ones apart.
//!
//! | module | what it holds |
//! |---|---|
//! | [`conversation`] | exchanges, conversations, and which sentences are held out |
//! | [`mind`] | what has been said so far, on which later answers rest |
//! | [`phrasing`], [`numbers`] | ways of addressing kitten; numbers and times in words |
//! | [`social`], [`people`], [`sums`], [`home`], [`repeat`], [`reminders`] | one skill each |
//! | [`refusal`] | everything else, which is refused politely |

pub mod conversation;
pub mod home;
pub mod mind;
pub mod numbers;
pub mod people;
pub mod phrasing;
pub mod refusal;
pub mod reminders;
pub mod repeat;
pub mod social;
pub mod sums;

pub use conversation::{Conversation, Exchange, Skill, Split};
pub use mind::Mind;
