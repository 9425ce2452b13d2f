//! Config files of a checkpoint, read into a struct without defaults of ours.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::LoadError;

/// Keys that published config files carry for other software and that change nothing in a network.
const HOUSEKEEPING: &[&str] = &[
    "_name_or_path",
    "architectures",
    "auto_map",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "model_type",
    "pad_token_id",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// Largest config file that is read: far above any real one, far below what could exhaust memory.
const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// Reads a JSON config file.
///
/// # Errors
/// [`LoadError::Io`] when it cannot be read; [`LoadError::Config`] naming the field and the position otherwise.
pub fn read_config<T: DeserializeOwned>(file: &Path) -> Result<T, LoadError> {
    parse_config(file, &read_config_text(file)?)
}

/// The text of a config file of any format.
///
/// # Errors
/// [`LoadError::Io`] when it cannot be read, [`LoadError::Damaged`] when it is too large to be one.
pub fn read_config_text(file: &Path) -> Result<String, LoadError> {
    let bytes = std::fs::metadata(file).map_err(|e| LoadError::io(file, e))?.len();
    if bytes > CONFIG_BYTES_MAX {
        return Err(LoadError::damaged(file, "config file", format!("{bytes} bytes, at most {CONFIG_BYTES_MAX} expected")));
    }
    std::fs::read_to_string(file).map_err(|e| LoadError::io(file, e))
}

/// Parses the text of a JSON config file; `file` is named in errors.
///
/// # Errors
/// [`LoadError::Config`].
pub fn parse_config<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, LoadError> {
    let deserializer = &mut serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let problem = format!("{}. Take the file from the same release as the weights.", error.inner());
        LoadError::config(file, if path == "." { "(top level)" } else { &path }, problem)
    })
}

/// Refuses keys that nobody read, because an unknown key may change what the network computes.
///
/// `rest` is the `#[serde(flatten)]` remainder of a config struct; `known_unused` are keys that the published code
/// has and does not use.
///
/// # Errors
/// [`LoadError::Config`] naming the first such key.
pub fn refuse_unknown_keys(file: &Path, rest: &BTreeMap<String, Value>, known_unused: &[&str]) -> Result<(), LoadError> {
    match rest.keys().find(|key| !known_unused.contains(&key.as_str()) && !HOUSEKEEPING.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(LoadError::config(
            file,
            key,
            format!(
                "unknown key with value {}; it may change what the network computes, so it is not ignored. Remove it if it is a note, else update Caracal.",
                rest[key]
            ),
        )),
    }
}
