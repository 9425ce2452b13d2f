//! The rules of Caracal that need no tensor, no socket, no clock and no file.
#![no_std]

extern crate alloc;

pub mod reply;
