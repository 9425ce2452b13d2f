//! A synthesiser as a child process that writes one WAV to its standard output.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use caracal_edge::audio::{Waveform, sinc_resample};

/// Samples a second of all speech that is trained on.
pub const SPEECH_HZ: u32 = 16_000;
/// Longest utterance that is accepted, in seconds: far above any sentence that kitten knows.
const UTTERANCE_SECONDS_MAX: usize = 30;

/// Runs `command` and returns the sound that it writes, at [`SPEECH_HZ`].
///
/// # Errors
/// When the program is not installed or fails, or writes no 16-bit mono WAV.
pub fn render(command: &mut Command) -> Result<Vec<i16>> {
    let output = run(command)?;
    let (rate, samples) = parse_wav(&output).with_context(|| format!("{}: no usable sound", command.get_program().display()))?;
    to_speech_rate(rate, samples)
}

/// Runs `command` and returns what it writes.
///
/// # Errors
/// When the program is not installed or fails, or writes no text.
pub fn said(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(run(command)?)?)
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_owned();
    let name = Path::new(&program).display();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{name}: cannot be run. Install it (Debian: apt install espeak-ng flite)"))?;
    if !output.status.success() {
        bail!("{name}: ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// Brings 16-bit samples to [`SPEECH_HZ`].
///
/// # Errors
/// For a rate that no sound has, or a sound that is too long.
pub fn to_speech_rate(rate: u32, samples: Vec<i16>) -> Result<Vec<i16>> {
    ensure!(samples.len() <= UTTERANCE_SECONDS_MAX * rate as usize, "{} samples at {rate} Hz are no sentence", samples.len());
    if rate == SPEECH_HZ {
        return Ok(samples);
    }
    let wave = Waveform::new(samples.iter().map(|s| f32::from(*s)).collect())?;
    Ok(sinc_resample(&wave, rate, SPEECH_HZ)?.samples().iter().map(|s| s.round().clamp(-32768.0, 32767.0) as i16).collect())
}

/// Reads a 16-bit mono WAV file, at [`SPEECH_HZ`].
///
/// # Errors
/// When the file cannot be read or is of another kind.
pub fn read_wav(file: &Path) -> Result<Vec<i16>> {
    let bytes = std::fs::read(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    let (rate, samples) = parse_wav(&bytes).with_context(|| format!("{}: no usable sound", file.display()))?;
    to_speech_rate(rate, samples)
}

/// Rate and samples of a 16-bit mono WAV. Sizes in the headers are not believed: a synthesiser that writes to a pipe
/// does not know them in advance.
fn parse_wav(bytes: &[u8]) -> Result<(u32, Vec<i16>)> {
    ensure!(bytes.len() > 44 && bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WAVE", "{} bytes are no WAV", bytes.len());
    let field = |at: usize, count: usize| {
        let bytes = bytes.get(at..at + count).context("the header ends early")?;
        Ok::<_, anyhow::Error>(bytes.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte)))
    };
    let mut at = 12;
    let mut rate = None;
    while at + 8 <= bytes.len() {
        match &bytes[at..at + 4] {
            b"fmt " => {
                let (format, channels, bits) = (field(at + 8, 2)?, field(at + 10, 2)?, field(at + 22, 2)?);
                ensure!((format, channels, bits) == (1, 1, 16), "format {format}, {channels} channels, {bits} bits, expected 1, 1, 16");
                rate = Some(field(at + 12, 4)?);
            }
            b"data" => {
                let rate = rate.context("samples come before their format")?;
                let samples = bytes[at + 8..].as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
                return Ok((rate, samples));
            }
            _ => {}
        }
        at += 8 + field(at + 4, 4)? as usize;
    }
    bail!("it holds no samples")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(rate: u32, samples: &[i16]) -> Vec<u8> {
        let mut bytes = b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        bytes.extend(rate.to_le_bytes());
        bytes.extend((2 * rate).to_le_bytes());
        bytes.extend(b"\x02\0\x10\0data\0\xf0\xff\x7f");
        bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
        bytes
    }

    #[test]
    fn a_wav_from_a_pipe_is_read_whatever_size_it_claims() {
        assert_eq!(parse_wav(&wav(22050, &[1, -2, 300])).unwrap(), (22050, vec![1, -2, 300]));
        assert!(parse_wav(b"no wav").is_err());
        assert!(parse_wav(&wav(16000, &[])[..40]).is_err());
    }

    #[test]
    fn other_rates_become_sixteen_kilohertz() {
        let tone: Vec<i16> = (0..22050).map(|i| (8000.0 * (f64::from(i) * 0.1).sin()) as i16).collect();
        assert_eq!(to_speech_rate(22050, tone).unwrap().len(), 16000);
        assert!(to_speech_rate(16000, vec![0; 31 * 16000]).is_err());
    }
}
