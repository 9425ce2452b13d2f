//! The wire, the laws of every machine of a conversation, live prompts against assembled ones, and the real cache.

mod laws;
mod live_prompt;
mod privacy;
mod rollback;
mod wire;
