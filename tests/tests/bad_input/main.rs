//! Files and inputs that are wrong: an error that names what is wrong and what to do, never a panic.

mod audio;
mod backbone;
mod codec;
mod prompt;
mod session;
mod vision;
