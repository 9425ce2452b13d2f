//! Describing keys once; reading and printing by that description.

use std::cmp::Ordering;
use std::fmt::Display;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Problem, nearest};
use super::setting::Setting;

/// Width of printed comments.
const COMMENT_COLUMNS: usize = 100;

/// The configuration of a program.
pub trait Settings: Default {
    /// Names every key once, in the order in which they are printed.
    fn describe(&mut self, keys: &mut Keys);

    /// What is wrong between keys that are right each alone.
    fn contradictions(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Both ends of what a value may be, and why.
pub struct Range<S> {
    /// Smallest.
    pub min: S,
    /// Largest.
    pub max: S,
    /// Completes the sentence "at most MAX, because …".
    pub because: &'static str,
}

/// What walks over the keys: it reads or prints.
pub struct Keys<'k> {
    section: Option<&'static str>,
    walk: Walk<'k>,
}

enum Walk<'k> {
    Read { text: &'k str, root: &'k DeTable<'k>, names: Vec<String>, problems: Vec<Problem> },
    Print { out: String },
}

impl Keys<'_> {
    /// A table `[name]`.
    pub fn section(&mut self, name: &'static str, comment: &str, keys: impl FnOnce(&mut Self)) {
        match &mut self.walk {
            Walk::Read { text, root, names, problems } => {
                names.push(name.to_string());
                if let Some((value, line)) = find(root, name, text).filter(|(value, _)| value.as_table().is_none()) {
                    let kind = value.type_str();
                    problems.push(Problem { line: Some(line), text: format!("`{name}` is a {kind}, expected a table: write `[{name}]`") });
                }
            }
            Walk::Print { out } => {
                let space = if out.is_empty() { "" } else { "\n" };
                out.push_str(&format!("{space}{}[{name}]\n", commented(comment)));
            }
        }
        self.section = Some(name);
        keys(self);
        self.section = None;
    }

    /// A key whose every readable value is allowed.
    pub fn key<S: Setting>(&mut self, name: &'static str, place: &mut S, comment: &str) {
        self.checked(name, place, comment, |_| Ok(()));
    }

    /// A key whose value must lie in a range.
    pub fn ranged<S: Setting + PartialOrd>(&mut self, name: &'static str, place: &mut S, range: Range<S>, comment: &str) {
        let Range { min, max, because } = range;
        let bounds = format!("{comment} From {} to {}.", unquoted(&min), unquoted(&max));
        self.checked(name, place, &bounds, |value| {
            // What cannot be compared is no number, and lies outside too.
            if value.partial_cmp(&max).is_none_or(Ordering::is_gt) {
                return Err(format!("at most {}, because {because}", unquoted(&max)));
            }
            if *value < min {
                return Err(format!("at least {}, because {because}", unquoted(&min)));
            }
            Ok(())
        });
    }

    /// A key whose value is checked by `check`, which says what is wrong.
    pub fn checked<S: Setting>(&mut self, name: &'static str, place: &mut S, comment: &str, check: impl Fn(&S) -> Result<(), String>) {
        let full = self.section.map_or(name.to_string(), |section| format!("{section}.{name}"));
        match &mut self.walk {
            Walk::Read { text, root, names, problems } => {
                names.push(full.clone());
                let table = match self.section {
                    None => Some(*root),
                    Some(section) => find(root, section, text).and_then(|(value, _)| value.as_table()),
                };
                let Some((value, line)) = table.and_then(|table| find(table, name, text)) else { return };
                match S::read(value).and_then(|value| check(&value).map(|()| value)) {
                    Ok(value) => *place = value,
                    Err(wrong) => problems.push(Problem { line: Some(line), text: format!("{full} = {}: {wrong}", shown(value)) }),
                }
            }
            Walk::Print { out } => out.push_str(&format!("{}{name} = {}\n", commented(comment), place.write())),
        }
    }
}

fn unquoted<S: Setting>(value: &S) -> String {
    value.write().trim_matches('"').to_string()
}

fn find<'t>(table: &'t DeTable<'t>, name: &str, text: &str) -> Option<(&'t DeValue<'t>, usize)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((value.get_ref(), line(text, key.span().start)))
}

fn line(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// A value as the user wrote it, near enough.
fn shown(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "[…]".into(),
        DeValue::Table(_) => "{…}".into(),
    }
}

fn commented(comment: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in comment.split_whitespace() {
        let last = lines.last_mut().expect("one line at least");
        if last.len() + 1 + word.len() > COMMENT_COLUMNS {
            lines.push(format!("# {word}"));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// Every key with its value and comment, as a file that [`read`] takes.
pub fn print<S: Settings>(settings: &mut S, introduction: impl Display) -> String {
    let mut keys = Keys { section: None, walk: Walk::Print { out: String::new() } };
    settings.describe(&mut keys);
    let Walk::Print { out } = keys.walk else { unreachable!("a print stays a print") };
    format!("{}\n{out}", commented(&introduction.to_string()))
}

/// Reads `text`; keys that it leaves out keep their defaults. `file` is named in errors.
///
/// # Errors
/// [`ConfigError::Problems`] with everything that is wrong.
pub fn read<S: Settings>(file: &Path, text: &str) -> Result<S, ConfigError> {
    let refuse = |problems| Err(ConfigError::Problems { file: file.to_path_buf(), problems });
    let root = match DeTable::parse(text) {
        Ok(root) => root.into_inner(),
        Err(error) => {
            let at = error.span().map(|span| line(text, span.start));
            return refuse(vec![Problem { line: at, text: format!("no TOML: {}", error.message().trim()) }]);
        }
    };
    let mut settings = S::default();
    let mut keys = Keys { section: None, walk: Walk::Read { text, root: &root, names: Vec::new(), problems: Vec::new() } };
    settings.describe(&mut keys);
    let Walk::Read { names, mut problems, .. } = keys.walk else { unreachable!("a read stays a read") };
    problems.extend(unknown(&root, text, &names));
    if problems.is_empty() {
        problems.extend(settings.contradictions().into_iter().map(|text| Problem { line: None, text }));
    }
    problems.sort_by_key(|problem| problem.line);
    if problems.is_empty() { Ok(settings) } else { refuse(problems) }
}

/// As [`read`] for a file.
///
/// # Errors
/// [`ConfigError`].
pub fn read_file<S: Settings>(file: &Path) -> Result<S, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Io { file: file.to_path_buf(), source })?;
    read(file, &text)
}

/// The keys of a file that no one described.
fn unknown(root: &DeTable, text: &str, names: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |full: String, at: usize| {
        if names.contains(&full) {
            return;
        }
        let last = full.rsplit('.').next().unwrap_or_default();
        // The right key in the wrong table, or near as a whole.
        let elsewhere = || names.iter().map(String::as_str).find(|name| name.rsplit('.').next() == Some(last) && name.contains('.'));
        let meant = match elsewhere().or_else(|| nearest(&full, names.iter().map(String::as_str))) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "remove it, or see `config --print` for all keys".into(),
        };
        problems.push(Problem { line: Some(line(text, at)), text: format!("unknown key `{full}`: {meant}") });
    };
    for (key, value) in root.iter() {
        match value.get_ref().as_table().filter(|_| names.iter().any(|n| n == key.get_ref())) {
            Some(table) => table.iter().for_each(|(inner, _)| refuse(format!("{}.{}", key.get_ref(), inner.get_ref()), inner.span().start)),
            None => refuse(key.get_ref().to_string(), key.span().start),
        }
    }
    problems
}

#[cfg(test)]
mod tests;
