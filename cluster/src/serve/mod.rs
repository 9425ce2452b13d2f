//! A cluster that serves: its parts from a model folder, and the command.
//!
//! | module | what it holds |
//! |---|---|
//! | [`brain`] | a model folder as node and executor |
//! | [`config`] | the keys of its configuration file |
//! | [`command`] | `caracal-cluster serve` |
//! | [`local`] | `caracal-cluster local`: with an edge in the same process |

pub mod brain;
pub mod command;
pub mod config;
pub mod local;
