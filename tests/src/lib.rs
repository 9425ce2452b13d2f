//! Goldens, laws and scenarios across the crates of Caracal.
//!
//! | where | what it proves |
//! |---|---|
//! | [`golden`] | every module computes what the published implementation computed, on every device |
//! | [`streaming`] | step and flush equal offline, for any cutting of the input |
//! | [`machine_laws`] | pure state machines are deterministic, bounded, and indifferent to late ticks |
//! | [`live`] | real edges and a real cluster over real QUIC |
//! | [`simulation`] | edges and a cluster talk in virtual time, through every fault |
//! | [`fuzz`] | what fuzzers feed with bytes |
//! | [`random_backbone`] | backbones of any shape with made-up weights |
//! | [`small_model`] | a whole made-up model in the published layout |
//! | [`pt_file`] | PyTorch archives written by hand |
//! | [`bench`] | how fast, beside what the machine can do |
//! | `tests/` | the same as test cases, and behaviour that spans crates |

#[allow(clippy::disallowed_methods, reason = "benchmarks read the clock")]
pub mod bench;
pub mod fuzz;
pub mod golden;
#[allow(clippy::disallowed_methods, reason = "real edges live in real time")]
pub mod live;
pub mod machine_laws;
pub mod pt_file;
pub mod random_backbone;
pub mod simulation;
pub mod small_model;
pub mod streaming;
