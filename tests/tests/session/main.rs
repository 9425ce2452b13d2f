//! The wire, the laws of every machine of a conversation, live prompts against assembled ones, and the real cache.

mod begun_anew;
mod laws;
mod live_prompt;
mod privacy;
mod queues;
mod rollback;
mod wire;
