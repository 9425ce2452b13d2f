//! Speech as an outside judge understands it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use caracal_cluster::generate::outcome::Sound;

use super::report::Measured;
use crate::codec::evaluate::{RoundTrip, round_trip};
use crate::codec::sentences;
use crate::stage::Folders;
use crate::voices::piper;

/// Wanted word error rate of replies, in percent.
const REPLIES_MAX: f64 = 10.0;
/// Wanted word errors that the codec adds, in points.
const ROUND_TRIP_MAX: f64 = 4.0;

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

/// What the codec adds to the word error rate of recordings that it was never trained on.
///
/// # Errors
/// When the voice or the codec cannot be had, or the judge not be run.
pub fn codec(judge: &Path, folders: &Folders) -> Result<Measured> {
    let held_out = sentences::choose(None)?.held_out;
    let RoundTrip { before, after } = round_trip(folders, &piper::speak(folders, &held_out)?, judge)?;
    let name = format!("codec round trip of {} sentences: word error rate above the recordings' own {before:.1} %, points", held_out.len());
    Ok(Measured::at_most(&name, after - before, ROUND_TRIP_MAX))
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
