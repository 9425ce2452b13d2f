//! What is wrong with a configuration file: every problem at once, each with its line and what to write instead.

use std::fmt;
use std::path::PathBuf;

/// Similarity from which a name is suggested, 0 to 1: one wrong letter in three of a short word.
const SIMILAR: f64 = 0.6;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; `None` for what no single line holds.
    pub line: Option<usize>,
    /// What is wrong, where, and what to write instead.
    pub text: String,
}

/// A configuration cannot be used. Correct the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}. Check the path, or leave the option out to use the defaults.", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file says what cannot be.
    #[error("{}", Listing(file, problems))]
    Problems {
        /// The file.
        file: PathBuf,
        /// At least one.
        problems: Vec<Problem>,
    },
}

/// One problem a line, as `file:line: text`, so that editors can jump there.
struct Listing<'e>(&'e PathBuf, &'e [Problem]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, problem) in self.1.iter().enumerate() {
            let end = if i + 1 < self.1.len() { "\n" } else { "" };
            match problem.line {
                Some(line) => write!(f, "{}:{line}: {}{end}", self.0.display(), problem.text)?,
                None => write!(f, "{}: {}{end}", self.0.display(), problem.text)?,
            }
        }
        Ok(())
    }
}

/// The name nearest to `word`, if any is near enough to be meant. Of equally near ones the first.
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = |name: &str| strsim::normalized_damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase());
    let mut best: Option<(f64, &str)> = None;
    for name in names {
        let similar = near(name);
        if similar >= SIMILAR && best.is_none_or(|(most, _)| similar > most) {
            best = Some((similar, name));
        }
    }
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let names = ["onset", "offset", "onset_span", "library"];
        assert_eq!(nearest("onsett", names), Some("onset"));
        assert_eq!(nearest("Offset", names), Some("offset"));
        assert_eq!(nearest("librayr", names), Some("library"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
    }
}
