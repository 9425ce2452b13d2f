//! The subcommands of `caracal`: arguments, what is printed, exit codes.
//!
//! | file | command |
//! |---|---|
//! | [`options`] | what all of them take: the configuration file and what wins over it |
//! | [`run`] | `run`: hear, see and speak with a cluster |
//! | [`talk`] | one conversation at a terminal, through any door |
//! | [`listen`] | `listen`: when speech and turns are heard in a sound |
//! | [`doctor`] | `doctor`: what works and what does not |
//! | [`config`] | `config`: check a configuration file, or print every default |
//! | [`media`] | the sources and the sink of a conversation, opened |
//! | [`screen`], [`paint`] | where a person reads; colours, on a terminal only |

pub mod config;
pub mod doctor;
pub mod listen;
pub mod media;
pub mod options;
pub mod paint;
pub mod run;
pub mod screen;
pub mod talk;
