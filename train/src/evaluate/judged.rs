//! Speech as an outside judge understands it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use caracal_cluster::generate::outcome::Sound;

use super::report::Measured;

/// Wanted word error rate of replies, in percent.
const REPLIES_MAX: f64 = 10.0;

/// Word error rate of spoken replies.
///
/// # Errors
/// When the judge cannot be run.
pub fn replies(judge: &Path, folder: &Path, spoken: &[(String, Sound)]) -> Result<Measured> {
    std::fs::create_dir_all(folder)?;
    let mut table = String::new();
    for (index, (text, sound)) in spoken.iter().enumerate() {
        let name = format!("{index:03}.wav");
        sound.write(&folder.join(&name))?;
        table += &format!("{name}\t{text}\n");
    }
    let file = folder.join("cases.tsv");
    std::fs::write(&file, table)?;
    Ok(Measured::at_most("reply speech understood by the judge: word error rate, %", word_error_rate(judge, &file)?, REPLIES_MAX))
}

/// Runs the judge on a table of WAV files and words; its last line says `WER x %`.
///
/// # Errors
/// When it cannot be run, or says no figure.
pub fn word_error_rate(judge: &Path, table: &Path) -> Result<f64> {
    let output = Command::new("python3").arg(judge).arg(table).output().with_context(|| format!("{}: cannot be run", judge.display()))?;
    ensure!(output.status.success(), "{}: {}", judge.display(), String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text.lines().rev().find_map(|line| line.strip_prefix("WER ")?.split('%').next()?.parse().ok());
    figure.with_context(|| format!("{}: said no word error rate", judge.display()))
}
