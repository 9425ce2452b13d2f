//! A cluster that serves: its parts from a model folder, and the command.
//!
//! | module | what it holds |
//! |---|---|
//! | [`brain`] | a model folder as node and executor |
//! | [`command`] | `caracal-cluster serve` |

pub mod brain;
pub mod command;
