//! The streaming law, for every streaming module.

mod audio;
mod codec;
mod vision;
