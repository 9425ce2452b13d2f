//! A virtual world in which edges and a cluster talk: the machines are the real ones, time is a number.
//!
//! | file | what it holds |
//! |---|---|
//! | [`world`] | events in order of time; edges, links, the cluster, faults |
//! | [`edge_host`] | one edge: its conversation, microphone, speaker, accelerator, and what it remembers across a restart |
//! | [`link`] | two lanes up and one down: delay, jitter, outage, cut |
//! | [`accelerator`] | ears, eyes and mouth that can be read back: an embedding says which sound it is of |
//! | [`brain`] | an engine whose answers are made up, and whose cache can be read back |
//! | [`check`] | what must hold after every scenario |

pub mod accelerator;
pub mod brain;
pub mod check;
pub mod edge_host;
pub mod link;
pub mod world;

pub use world::{EdgeSetup, Fault, Setup, World};
