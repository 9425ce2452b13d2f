//! What is lost on the way through the codec: held-out sentences before and after, understood by a judge that knows
//! neither.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Device};
use caracal_edge::codec::{AudioDecoder, AudioTokenizer, CodecIds, DecoderConfig};

use super::clips::{Clip, HIGH_RATE};
use super::codes::encode;
use super::shape::{DECODER_FILE, TOKENIZER_FILE};
use super::{decoder, publish};
use crate::stage::Folders;

/// Writes the recordings and their round trips with a table of what they say, and asks the judge, if there is one.
///
/// # Errors
/// When the codec is not complete, a file cannot be written, or the judge fails.
pub fn round_trip(folders: &Folders, clips: &[Clip], judge: Option<&Path>) -> Result<()> {
    let folder = publish::folder(folders);
    let device = Device::flex();
    let (tokenizer, _) = AudioTokenizer::open(&folder.join(TOKENIZER_FILE), &device, DType::F32)?;
    let config = DecoderConfig::read(&folder.join(DECODER_FILE))?;
    let (speaker, _) = AudioDecoder::open(&folder, &device, DType::F32)?;
    let ids = CodecIds::new(&config);
    let out = folders.work.join("round_trip");
    std::fs::create_dir_all(&out).with_context(|| format!("{}: cannot be made", out.display()))?;
    let (mut before, mut after) = (String::new(), String::new());
    for (index, clip) in clips.iter().enumerate() {
        let codes = encode(&tokenizer, clip)?;
        let spoken = speaker.offline(&decoder::frames(&ids, &codes)?);
        for (name, samples, table) in [("before", &clip.high, &mut before), ("after", &spoken, &mut after)] {
            let name = format!("{name}_{index:03}.wav");
            write_wav(&out.join(&name), samples)?;
            table.push_str(&format!("{name}\t{}\n", clip.text));
        }
    }
    for (name, table) in [("before", before), ("after", after)] {
        let cases = out.join(format!("{name}.tsv"));
        std::fs::write(&cases, table)?;
        match judge {
            Some(judge) => println!("codec: {name} the codec: {}", ask(judge, &cases)?),
            None => println!("codec: {} sentences {name} the codec in {}", clips.len(), cases.display()),
        }
    }
    Ok(())
}

/// The judge's last line.
fn ask(judge: &Path, cases: &PathBuf) -> Result<String> {
    let output = Command::new("python3").arg(judge).arg(cases).output().with_context(|| format!("{}: cannot be run", judge.display()))?;
    ensure!(output.status.success(), "the judge ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    std::fs::write(cases.with_extension("judged"), &said)?;
    Ok(said.lines().last().unwrap_or_default().to_string())
}

fn write_wav(file: &Path, samples: &[f32]) -> Result<()> {
    let spec = hound::WavSpec { channels: 1, sample_rate: HIGH_RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(file, spec).with_context(|| format!("{}: cannot be written", file.display()))?;
    for sample in samples {
        writer.write_sample((sample * 32767.0).clamp(-32768.0, 32767.0) as i16)?;
    }
    Ok(writer.finalize()?)
}
