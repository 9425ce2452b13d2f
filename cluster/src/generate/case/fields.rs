//! One JSON object of a conversation file that is emptied key by key, so that what remains is what nobody knows.

use std::path::Path;

use serde_json::{Map, Value};

use super::CaseError;

/// The keys of one object that were not taken yet, and where the object stands.
pub(super) struct Fields<'f> {
    file: &'f Path,
    place: String,
    /// `meta.` inside the object of that name, else empty.
    prefix: String,
    map: Map<String, Value>,
}

impl<'f> Fields<'f> {
    pub(super) fn open(file: &'f Path, place: String, value: Value) -> Result<Self, CaseError> {
        match value {
            Value::Object(map) => Ok(Self { file, place, prefix: String::new(), map }),
            other => {
                let problem = format!("found {}, expected an object `{{...}}`", brief(&other));
                Err(CaseError::Field { file: file.to_path_buf(), place, problem })
            }
        }
    }

    /// The object that is the value of `key`.
    pub(super) fn inside(&self, key: &str, value: Value) -> Result<Self, CaseError> {
        match value {
            Value::Object(map) => Ok(Self { file: self.file, place: self.place.clone(), prefix: format!("{}{key}.", self.prefix), map }),
            other => Err(self.wrong(key, &format!("found {}, expected an object `{{...}}`", brief(&other)))),
        }
    }

    /// The object under `meta`; an empty one when there is none.
    pub(super) fn meta(&mut self) -> Result<Self, CaseError> {
        let value = self.optional("meta").unwrap_or_else(|| Value::Object(Map::new()));
        self.inside("meta", value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// The value of `key`; none when it is absent or null, which the published format treats alike.
    pub(super) fn optional(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn take(&mut self, key: &str) -> Result<Value, CaseError> {
        self.optional(key).ok_or_else(|| self.wrong(key, "it is missing"))
    }

    pub(super) fn string(&mut self, key: &str) -> Result<String, CaseError> {
        match self.take(key)? {
            Value::String(text) => Ok(text),
            other => Err(self.wrong(key, &format!("found {}, expected text", brief(&other)))),
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool, CaseError> {
        match self.optional(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(self.wrong(key, &format!("found {}, expected true or false", brief(&other)))),
        }
    }

    /// A number of at least `least`.
    pub(super) fn number(&mut self, key: &str, least: f64) -> Result<Option<f64>, CaseError> {
        match self.optional(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) if number >= least && number.is_finite() => Ok(Some(number)),
                _ => Err(self.wrong(key, &format!("found {}, expected a number of at least {least}", brief(&value)))),
            },
        }
    }

    /// A whole number of at least `least`.
    pub(super) fn integer(&mut self, key: &str, least: i64) -> Result<Option<i64>, CaseError> {
        match self.optional(key) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) if number >= least => Ok(Some(number)),
                _ => Err(self.wrong(key, &format!("found {}, expected a whole number of at least {least}", brief(&value)))),
            },
        }
    }

    pub(super) fn wrong(&self, key: &str, problem: &str) -> CaseError {
        CaseError::Field {
            file: self.file.to_path_buf(),
            place: format!("{}, field {}{key}", self.place, self.prefix),
            problem: problem.into(),
        }
    }

    /// Refuses what nobody took, except the keys in `unused`.
    pub(super) fn close(&self, unused: &[&str]) -> Result<(), CaseError> {
        match self.map.keys().find(|key| !unused.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                Err(self.wrong(key, "unknown key; it may change what is meant, so it is not ignored. Remove it, or check its spelling"))
            }
        }
    }
}

/// A value as far as it fits into one line of an error.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
