//! Benchmarks of codec.

use std::path::Path;

use burn::tensor::Device;
use caracal_edge::Streaming;
use caracal_edge::codec::{AudioDecoder, CodecFrame, CodecIds, DecoderConfig};
use caracal_kernels::Weights;
use serde_json::json;

use super::{Measured, Options, median_seconds, peak_memory_bytes, reset_peak_memory};

/// Runs of each measurement.
const RUNS: usize = 5;

/// Runs them, printing nothing.
///
/// # Errors
/// When a module cannot be built.
pub fn run(options: &Options) -> anyhow::Result<Vec<Measured>> {
    decoder(&options.device, options.full_size)
}

/// The released 24k decoder with four codebooks, or one of an eighth of its widths.
fn decoder_config(full_size: bool) -> anyhow::Result<DecoderConfig> {
    let share = if full_size { 1 } else { 8 };
    let fields = json!({
        "codec_dimension": 1024 / share, "semantic_dim": 1280 / share, "decoder_dim": 1536 / share, "codec_dec_ratios": [8, 6, 6, 5],
        "decoder_type": "24k", "codec_codebooks": 3, "codec_codebook_size": 90, "codec_codebook_search_dim": 8, "semantic_token_nums": 8192,
    });
    Ok(DecoderConfig::from_value(Path::new("benchmark"), fields)?)
}

fn decoder(device: &Device, full_size: bool) -> anyhow::Result<Vec<Measured>> {
    let config = decoder_config(full_size)?;
    let decoder = AudioDecoder::load(&Weights::random(1, device), &config)?;
    let ids = CodecIds::new(&config);
    let frames = (0..100).map(|t| ids.frame(t * 79 % 8192, &[t * 81 % 8100, t * 7, 8099 - t])).collect::<Result<Vec<CodecFrame>, _>>()?;
    let seconds_of = |frames: usize| (frames * config.samples_per_frame()) as f64 / f64::from(decoder.sample_rate);
    // Whole frames nearest to one second.
    let second = (1.0 / seconds_of(1)).round() as usize;
    let macs = multiply_adds_per_frame(&config);
    // Each step reads the weights of everything but the table rows that it does not use.
    let weights = weight_bytes(&config);
    let mut measured = Vec::new();
    let mut measure = |what: &str, count: usize, steps: usize, work: &mut dyn FnMut()| {
        reset_peak_memory();
        let seconds = median_seconds(RUNS, work);
        let what = format!("audio decoder 24k, {what}");
        let (flop, bytes) = (2.0 * macs * count as f64, weights * steps as f64);
        measured.push(Measured { what, seconds, media_seconds: Some(seconds_of(count)), flop, bytes, peak_memory_bytes: peak_memory_bytes() });
    };

    // In the middle of a reply, where every step gives as many frames of sound as it takes frames of codes.
    let mut state = decoder.start();
    decoder.step(&mut state, frames[..decoder.frames_to_first_sample()].to_vec());
    measure(&format!("{second} frames (1 s) in one step"), second, 1, &mut || {
        drop(decoder.step(&mut state.clone(), frames[..second].to_vec()));
    });
    measure(&format!("{second} frames (1 s) one by one"), second, second, &mut || {
        let mut state = state.clone();
        frames[..second].iter().for_each(|frame| drop(decoder.step(&mut state, vec![frame.clone()])));
    });
    let first = decoder.frames_to_first_sample();
    measure(&format!("first samples, after {first} frames"), 1, first, &mut || {
        let mut state = decoder.start();
        let sound = frames[..first].iter().filter_map(|frame| decoder.step(&mut state, vec![frame.clone()])).count();
        assert_eq!(sound, 1, "the last of these frames gives the first samples");
    });
    Ok(measured)
}

/// Rows of codec frame rate, multiplied by each block's rate, times what a row costs.
fn multiply_adds_per_frame(config: &DecoderConfig) -> f64 {
    let (mut rows, mut channels) = (1, config.decoder_dim);
    let mut macs = 16 * config.memory_dim().pow(2) + 7 * config.memory_dim() * channels;
    for rate in &config.rates {
        macs += rows * channels * channels / 2 * rate;
        (rows, channels) = (rows * rate, channels / 2);
        macs += rows * 3 * 8 * channels * channels;
    }
    (macs + rows * 7 * channels) as f64
}

fn weight_bytes(config: &DecoderConfig) -> f64 {
    let mut channels = config.decoder_dim;
    let mut weights = 16 * config.memory_dim().pow(2) + 7 * config.memory_dim() * channels;
    for rate in &config.rates {
        weights += channels * channels / 2 * rate;
        channels /= 2;
        weights += 3 * 8 * channels * channels;
    }
    4.0 * (weights + 7 * channels) as f64
}
