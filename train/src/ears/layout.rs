//! The files of `audio/` beside the weights: the encoder's and the front end's config, and the statistics.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use caracal_edge::audio::{AudioEncoderConfig, Fbank, FrontEnd, PreprocessorConfig, Waveform};
use serde_json::json;

use crate::stage::Folders;

/// Mel bands, as in the released model.
const BANDS: usize = 80;
/// Rows to either side of a spliced one; together with itself 15 x 80 values, as in the released model.
const SPLICE_REACH: usize = 7;

/// Width of the feed-forward layers and of the output, and of the residual stream. With 512 and 128 the encoder did not
/// learn its own lessons (half a nat a word at the end), whatever the number of steps.
pub const HIDDEN: usize = 768;
const STREAM: usize = 256;

/// The `audio` folder of the checkpoint.
pub fn folder(folders: &Folders) -> PathBuf {
    folders.model.join("audio")
}

/// Writes `config.json` for a CTC head of `units` outputs, and reads it back.
///
/// # Errors
/// When the file cannot be written.
pub fn write_encoder_config(folder: &Path, units: usize) -> Result<AudioEncoderConfig> {
    // The report's shape with small widths: memories of half a second, six last layers that look ahead, a CTC head.
    let config = json!({
        "input_size": BANDS * (2 * SPLICE_REACH + 1), "hidden_size": HIDDEN, "proj_size": STREAM, "vocab_size": units, "nlayer": 14,
        "num_right_layers": 6, "left_order": 6, "right_order": 1, "left_stride": 1, "right_stride": 1, "ndnn": 2, "activation": "relu6",
        "dropout": 0.0,
    });
    let file = folder.join("config.json");
    write(&file, &serde_json::to_vec_pretty(&config)?)?;
    Ok(AudioEncoderConfig::read(&file)?)
}

/// Writes `preprocessor_config.json` and reads it back.
///
/// # Errors
/// When the file cannot be written.
pub fn write_front_end_config(folder: &Path) -> Result<PreprocessorConfig> {
    let config = json!({
        "fbank": {"freq": 16000, "frame_length": 25, "frame_shift": 10, "preemphasis": 0.97, "dither": 0.0, "num_mel_bins": BANDS,
                  "low_freq": 40, "high_freq": -200},
        "delta": {"delta_order": 0, "window_size": 2},
        "cmvn": {"global_cmvn": "audio/global_cmvn"},
        "splice": {"left": SPLICE_REACH, "right": SPLICE_REACH, "stride": 8, "random_start": false, "seed": 0},
    });
    let file = folder.join("preprocessor_config.json");
    write(&file, &serde_json::to_vec_pretty(&config)?)?;
    Ok(PreprocessorConfig::read(&file)?)
}

/// Computes the statistics of `heard`, writes them as the Kaldi matrix `global_cmvn`, and opens the whole front end.
///
/// # Errors
/// When the file cannot be written, or `heard` holds no sound.
pub fn write_statistics(folder: &Path, config: &PreprocessorConfig, heard: impl Iterator<Item = Waveform>) -> Result<FrontEnd> {
    let fbank = Fbank::new(&config.fbank)?;
    let width = fbank.bins();
    let (mut sums, mut squares, mut count) = (vec![0.0; width], vec![0.0; width], 0.0);
    for waveform in heard {
        for row in fbank.offline(&waveform).chunks_exact(width) {
            for ((value, sum), square) in row.iter().zip(&mut sums).zip(&mut squares) {
                *sum += f64::from(*value);
                *square += f64::from(*value) * f64::from(*value);
            }
            count += 1.0;
        }
    }
    sums.push(count);
    squares.push(0.0);
    write(&folder.join("global_cmvn"), &kaldi_matrix(&[sums, squares]))?;
    Ok(FrontEnd::open(folder)?)
}

/// A Kaldi binary matrix in double precision.
fn kaldi_matrix(rows: &[Vec<f64>]) -> Vec<u8> {
    let mut bytes = b"\0BDM ".to_vec();
    for size in [rows.len(), rows[0].len()] {
        bytes.push(4);
        bytes.extend((size as i32).to_le_bytes());
    }
    bytes.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).with_context(|| format!("{}: cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_the_loader_reads_and_normalises_its_own_data() {
        let folder = std::env::temp_dir().join(format!("caracal-layout-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let encoder = write_encoder_config(&folder, 300).unwrap();
        assert_eq!((encoder.vocab_size, encoder.num_right_layers), (300, 6));
        let config = write_front_end_config(&folder).unwrap();
        let noise: Vec<f32> = (0..32_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5).collect();
        let heard = Waveform::new(noise).unwrap();
        let front_end = write_statistics(&folder, &config, std::iter::once(heard.clone())).unwrap();
        assert_eq!(front_end.output_width(), encoder.input_size);
        let features = front_end.offline(&heard);
        let mean = features.iter().sum::<f32>() / features.len() as f32;
        let power = features.iter().map(|f| f * f).sum::<f32>() / features.len() as f32;
        assert!(mean.abs() < 0.1 && (power - 1.0).abs() < 0.2, "mean {mean}, power {power}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
