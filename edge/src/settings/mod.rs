//! Configuration files of both programs: one TOML, checked units, no key that means nothing.
//!
//! A program describes each key once, in [`Settings::describe`]: its name, where the value lives, its range with the reason,
//! and its comment. The same description reads a file, refuses what it does not know with the nearest name, and prints every
//! default with its comment.
//!
//! | file | what it holds |
//! |---|---|
//! | [`quantity`] | `650 ms`, `16 kHz`, `2 MB` |
//! | [`setting`] | what a key's value can be |
//! | [`keys`] | describing keys; reading and printing them |
//! | [`problem`] | what is wrong with a file, with line and suggestion |

pub mod keys;
pub mod problem;
pub mod quantity;
pub mod setting;

pub use keys::{Keys, Range, Settings, print, read, read_file};
pub use problem::{ConfigError, Problem, nearest};
pub use quantity::{ByteSize, Hertz};
pub use setting::{Choice, Setting};
