//! The wire, the laws of every machine of a conversation, and live prompts against assembled ones.

mod laws;
mod live_prompt;
mod privacy;
mod wire;
