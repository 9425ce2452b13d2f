//! Files that hold weights and configs: what is in them, and what is wrong with them.
//!
//! [`Checkpoint`] opens one tensor file or a sharded set; [`LoadError`] is everything that can be wrong, in words that
//! name the file, the tensor or the field, what was expected, what was found and what to do.

mod config_file;
mod error;
mod file;
mod pytorch;
mod safetensors;

pub use self::safetensors::write_safetensors;
pub use config_file::{parse_config, read_config, read_config_text, refuse_unknown_keys};
pub use error::LoadError;
pub use file::{Checkpoint, StoredDtype, StoredTensor};
