//! The streaming law, for every streaming module.

mod allocations;
mod audio;
mod codec;
mod vision;
