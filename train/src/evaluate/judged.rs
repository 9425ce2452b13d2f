//! Speech as an outside judge understands it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::report::Measured;

/// Wanted word error rate of replies, in percent.
const REPLIES_MAX: f64 = 10.0;
/// Samples a second of the codec.
const RATE: u32 = 24_000;

/// Word error rate of spoken replies.
///
/// # Errors
/// When the judge cannot be run.
pub fn replies(judge: &Path, folder: &Path, spoken: &[(String, Vec<f32>)]) -> Result<Measured> {
    std::fs::create_dir_all(folder)?;
    let mut table = String::new();
    for (index, (text, sound)) in spoken.iter().enumerate() {
        let name = format!("{index:03}.wav");
        write(&folder.join(&name), sound)?;
        table += &format!("{name}\t{text}\n");
    }
    let file = folder.join("cases.tsv");
    std::fs::write(&file, table)?;
    Ok(Measured::at_most("reply speech understood by the judge: word error rate, %", word_error_rate(judge, &file)?, REPLIES_MAX))
}

fn write(file: &Path, sound: &[f32]) -> Result<()> {
    let spec = hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(file, spec).with_context(|| format!("{}: cannot be written", file.display()))?;
    for sample in sound {
        writer.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16)?;
    }
    Ok(writer.finalize()?)
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
