//! Figures beside their bars: as a table, as JSON, on the model card.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::brain::balance::Load;

/// Bytes of the whole checkpoint at most.
const BYTES_MAX: f64 = 48e6;
/// Load, relative to an even share, below which an expert counts as dead.
const DEAD: f64 = 0.01;
/// Lines between which the card's figures stand.
const CARD_MARKS: [&str; 2] = ["<!-- figures -->", "<!-- end of figures -->"];

/// One figure and its bar.
#[derive(Clone, Debug)]
pub struct Measured {
    name: String,
    found: f64,
    bar: Option<f64>,
    at_least: bool,
    cases: Option<(usize, usize)>,
}

impl Measured {
    /// A share of right answers, in percent.
    pub fn share(name: &str, right: usize, of: usize, bar: f64) -> Self {
        let found = 100.0 * right as f64 / of.max(1) as f64;
        Self { name: name.to_string(), found, bar: Some(bar), at_least: true, cases: Some((right, of)) }
    }

    /// A figure that should be small.
    pub fn at_most(name: &str, found: f64, bar: f64) -> Self {
        Self { name: name.to_string(), found, bar: Some(bar), at_least: false, cases: None }
    }

    /// A figure without a bar, beside which others are read.
    pub fn reported(name: &str, found: f64) -> Self {
        Self { name: name.to_string(), found, bar: None, at_least: false, cases: None }
    }

    fn holds(&self) -> Option<bool> {
        self.bar.map(|bar| if self.at_least { self.found >= bar } else { self.found <= bar })
    }
}

/// All figures.
#[derive(Clone, Debug, Default)]
pub struct Report {
    measured: Vec<Measured>,
    router: Option<(f64, Vec<(f64, f64)>)>,
}

impl Report {
    /// Adds a figure.
    pub fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    /// Adds what the routers chose.
    pub fn router(&mut self, load: &Load, real: usize) {
        self.router = Some(load.report(real));
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let figures: Vec<Value> = self
            .measured
            .iter()
            .map(|m| json!({"name": m.name, "found": m.found, "bar": m.bar, "at_least": m.at_least, "holds": m.holds(), "right_of": m.cases}))
            .collect();
        json!({"figures": figures, "router": self.router})
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "| measure | found | bar | |\n|---|---|---|---|")?;
        for m in &self.measured {
            let cases = m.cases.map_or(String::new(), |(right, of)| format!(" % ({right} of {of})"));
            let sign = if m.at_least { "≥" } else { "≤" };
            let bar = m.bar.map_or("reported".to_string(), |bar| format!("{sign} {bar}"));
            let holds = m.holds().map_or("", |holds| if holds { "holds" } else { "below" });
            writeln!(f, "| {} | {:.*}{cases} | {bar} | {holds} |", m.name, digits(m.found), m.found)?;
        }
        if let Some((identity, spread)) = &self.router {
            let spread: Vec<String> = spread.iter().map(|(least, most)| format!("{least:.2} to {most:.2}")).collect();
            writeln!(f, "| router: share of choices that fall on identity experts | {:.0} % | reported | |", identity * 100.0)?;
            let dead = self.router.iter().flat_map(|(_, layers)| layers).filter(|(least, _)| *least < DEAD).count();
            writeln!(
                f,
                "| router: load of real experts by layer, relative to an even share | {} | none below {DEAD} | {} |",
                spread.join(", "),
                if dead == 0 { "holds" } else { "below" }
            )?;
        }
        Ok(())
    }
}

fn digits(value: f64) -> usize {
    if value.abs() < 1.0 { 3 } else { 1 }
}

/// Size of all files of the checkpoint.
///
/// # Errors
/// When the folder cannot be read.
pub fn size(folder: &Path) -> Result<Measured> {
    fn bytes(folder: &Path) -> Result<u64> {
        std::fs::read_dir(folder)?.try_fold(0, |sum, entry| {
            let entry = entry?;
            Ok(sum + if entry.file_type()?.is_dir() { bytes(&entry.path())? } else { entry.metadata()?.len() })
        })
    }
    Ok(Measured::at_most("whole checkpoint, MB", bytes(folder)? as f64 / 1e6, BYTES_MAX / 1e6))
}

/// Puts the figures on the model card.
///
/// # Errors
/// When there is no card, or no place for figures on it.
pub fn write_card(folder: &Path, report: &Report) -> Result<()> {
    let file = folder.join("README.md");
    let card = std::fs::read_to_string(&file).with_context(|| format!("{}: cannot be read", file.display()))?;
    let [from, to] = CARD_MARKS.map(|mark| card.find(mark));
    let (from, to) = from.zip(to).with_context(|| format!("{}: has no place for figures between {CARD_MARKS:?}", file.display()))?;
    let card = format!("{}\n{report}{}", &card[..from + CARD_MARKS[0].len()], &card[to..]);
    std::fs::write(&file, card).with_context(|| format!("{}: cannot be written", file.display()))
}
