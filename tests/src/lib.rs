//! Goldens, laws and scenarios across the crates of Caracal.
//!
//! | where | what it proves |
//! |---|---|
//! | [`golden`] | every module computes what the published implementation computed, on every device |
//! | [`streaming`] | step and flush equal offline, for any cutting of the input |
//! | [`fuzz`] | what fuzzers feed with bytes |
//! | [`pt_file`] | `.pt` archives for tests that need one |
//! | [`bench`] | how fast, beside what the machine can do |
//! | `tests/` | the same as test cases, and behaviour that spans crates |

#[allow(clippy::disallowed_methods, reason = "benchmarks read the clock")]
pub mod bench;
pub mod fuzz;
pub mod golden;
pub mod pt_file;
pub mod streaming;
