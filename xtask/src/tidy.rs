//! Rules about the tree that no compiler checks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::root;

/// A source file above this many lines, its tests aside, no longer holds one idea.
const LINES_MAX: usize = 600;
/// File names that say nothing about what is inside.
const REFUSED_NAMES: &[&str] = &["base.rs", "utils.rs", "util.rs", "common.rs", "helpers.rs", "helper.rs", "types.rs", "misc.rs"];
/// Marks of unfinished work, spelt in halves so that this file passes.
const REFUSED_MARKS: &[&str] =
    &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ig", "nore")];

/// Checks every tracked file.
///
/// # Errors
/// With one line per broken rule.
pub fn run() -> Result<()> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("git ls-files")?;
    let mut broken = Vec::new();
    let files = String::from_utf8_lossy(&listing.stdout);
    for name in files.lines().filter(|name| name.ends_with(".rs") && root().join(name).exists()) {
        let text = std::fs::read_to_string(root().join(name)).with_context(|| name.to_string())?;
        broken.extend(check_source(name, &text));
    }
    let readme = std::fs::read_to_string(root().join("README.md")).context("README.md")?;
    for command in ["cargo xtask demo", "cargo xtask test"] {
        if !readme.contains(command) {
            broken.push(format!("README.md does not show `{command}`"));
        }
    }
    let architecture = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).context("docs/ARCHITECTURE.md")?;
    for folder in ["edge", "cluster", "shared", "kernels", "tests", "xtask"] {
        if !architecture.contains(&format!("`{folder}/`")) {
            broken.push(format!("docs/ARCHITECTURE.md does not name `{folder}/`"));
        }
    }
    ensure!(broken.is_empty(), "the tree is not tidy:\n{}", broken.join("\n"));
    eprintln!("tidy: {} files hold to the rules", files.lines().count());
    Ok(())
}

fn check_source(name: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let file = Path::new(name).file_name().unwrap_or_default().to_string_lossy();
    if !text.starts_with("//!") && !text.starts_with("#![") {
        broken.push(format!("{name}: begins without a `//!` line that says what it is"));
    }
    if REFUSED_NAMES.contains(&file.as_ref()) {
        broken.push(format!("{name}: the file name says nothing; name it after the idea inside"));
    }
    let lines = text.lines().take_while(|line| *line != "mod tests {").count();
    if lines > LINES_MAX {
        broken.push(format!("{name}: {lines} lines, at most {LINES_MAX}; does one idea still live there?"));
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(mark) = REFUSED_MARKS.iter().find(|mark| line.contains(**mark)) {
            broken.push(format!("{name}:{}: `{mark}` marks unfinished work", number + 1));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_catches_what_it_forbids() {
        let long = format!("//! x\n{}", "\n".repeat(LINES_MAX + 1));
        for (name, text) in [("a.rs", "fn main() {}"), ("b/utils.rs", "//! x"), ("c.rs", long.as_str()), ("d.rs", concat!("//! FIX", "ME"))]
        {
            assert_eq!(check_source(name, text).len(), 1, "{name}");
        }
        assert!(check_source("e.rs", "//! x\nfn f() {}").is_empty());
    }
}
