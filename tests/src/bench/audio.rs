//! Benchmarks of audio: front end, audio encoder, projector.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::{DType, Tensor, TensorData};
use caracal_edge::Streaming;
use caracal_edge::audio::{AudioEncoder, AudioEncoderConfig, AudioProjector, FrontEnd, PreprocessorConfig, Waveform};
use caracal_kernels::checkpoint::{Checkpoint, StoredDtype};
use caracal_kernels::{Init, Weights};

use super::{Measured, Options, median_seconds, peak_memory_bytes, reset_peak_memory};

/// Published shapes; hidden size, projection and layers are smaller in the quick run.
fn config(full_size: bool) -> Result<AudioEncoderConfig> {
    let (hidden, width, vocabulary, layers) = if full_size { (6144, 1536, 5252, 22) } else { (768, 192, 500, 8) };
    let text = serde_json::json!({
        "input_size": 1200, "hidden_size": hidden, "proj_size": width, "vocab_size": vocabulary, "nlayer": layers,
        "num_right_layers": 6, "left_order": 10, "right_order": 1, "left_stride": 1, "ndnn": 2, "activation": "relu6",
    });
    Ok(AudioEncoderConfig::parse(Path::new("config.json"), &text.to_string())?)
}

fn front_end() -> Result<FrontEnd> {
    let text = serde_json::json!({
        "fbank": { "freq": 16000, "frame_length": 25, "frame_shift": 10, "preemphasis": 0.97, "num_mel_bins": 80, "low_freq": 40, "high_freq": -200 },
        "delta": { "delta_order": 0 }, "cmvn": { "global_cmvn": "" }, "splice": { "left": 7, "right": 7, "stride": 8 },
    });
    Ok(FrontEnd::new(&PreprocessorConfig::parse(Path::new("preprocessor_config.json"), &text.to_string())?, None)?)
}

/// Multiply-adds that one row takes in the encoder, without the CTC head.
fn macs_per_row(config: &AudioEncoderConfig) -> f64 {
    let (hidden, width, input) = (config.hidden_size as f64, config.proj_size as f64, config.input_size as f64);
    let taps = (0..config.nlayer).map(|i| config.left_order + 1 + if config.looks_ahead(i) { config.right_order } else { 0 }).sum::<usize>()
        as f64;
    let post = if config.ndnn == 0 { 0.0 } else { width * hidden + (config.ndnn - 1) as f64 * hidden * hidden };
    input * hidden + hidden * width + config.nlayer as f64 * 2.0 * width * hidden + taps * width + post
}

/// Runs them, printing nothing.
///
/// # Errors
/// When a module cannot be built.
pub fn run(options: &Options) -> Result<Vec<Measured>> {
    let config = config(options.full_size)?;
    let mut results = vec![front_end_second()?];
    {
        let encoder = AudioEncoder::load(&Weights::random(1, &options.device), &config)?;
        results.extend(encoder_seconds("audio encoder", options, &config, &encoder, 4.0));
    }
    if let Some(encoder) = stored_in_bf16(options, &config)? {
        results.extend(encoder_seconds("audio encoder, weights in bf16", options, &config, &encoder, 2.0));
    }
    results.push(projector_second(options, &config)?);
    Ok(results)
}

fn front_end_second() -> Result<Measured> {
    let front_end = front_end()?;
    let rate = front_end.sample_rate() as usize;
    let second = Waveform::new((0..rate).map(|i| (i as f32 * 0.05).sin() * 0.3).collect())?;
    let (mut state, mut out) = (front_end.start(), Vec::new());
    reset_peak_memory();
    let seconds = median_seconds(9, || {
        out.clear();
        front_end.push(&mut state, &second, &mut out);
    });
    // 100 transforms of 512 points at 2.5 n log2 n, and 257 x 80 filter weights of which few are not zero.
    let flop = 100.0 * (2.5 * 512.0 * 9.0 + 2.0 * 512.0);
    Ok(Measured {
        what: "audio front end, 1 s".into(),
        seconds,
        media_seconds: Some(1.0),
        flop,
        bytes: 4.0 * rate as f64,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// One second in one step and in steps of one row, each in a stream that is already running.
fn encoder_seconds(name: &str, options: &Options, config: &AudioEncoderConfig, encoder: &AudioEncoder, weight_bytes: f64) -> Vec<Measured> {
    // One second is 12.5 rows: every other second has 13.
    let media = 13.0 * 0.08;
    let row = |rows: usize| {
        let values: Vec<f32> = (0..rows * config.input_size).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, config.input_size]), (&options.device, DType::F32))
    };
    let (whole, single) = (row(13), row(1));
    let macs = macs_per_row(config);
    let measure = |what: String, pieces: Vec<Tensor<2>>| {
        let mut state = encoder.start();
        encoder.step(&mut state, whole.clone());
        reset_peak_memory();
        let seconds = median_seconds(5, || {
            for piece in &pieces {
                if let Some(output) = encoder.step(&mut state, piece.clone()) {
                    drop(output.into_data());
                }
            }
        });
        let bytes = macs * weight_bytes * pieces.len() as f64;
        Measured { what, seconds, media_seconds: Some(media), flop: 2.0 * 13.0 * macs, bytes, peak_memory_bytes: peak_memory_bytes() }
    };
    vec![
        measure(format!("{name}, 13 rows in one step"), vec![whole.clone()]),
        measure(format!("{name}, 13 rows in steps of 80 ms"), vec![single; 13]),
    ]
}

/// The encoder as it runs from a bf16 checkpoint, which keeps its matrices narrow on the CPU; nothing elsewhere.
fn stored_in_bf16(options: &Options, config: &AudioEncoderConfig) -> Result<Option<AudioEncoder>> {
    if !caracal_kernels::ops::is_plain_cpu(&options.device) {
        return Ok(None);
    }
    let folder = tempfile::tempdir().context("a folder for the checkpoint")?;
    let file = folder.path().join("audio_encoder.safetensors");
    {
        let weights = Weights::random(1, &options.device);
        let encoder = AudioEncoder::load(&weights, config)?;
        weights.save(&encoder, &file, StoredDtype::Bf16)?;
    }
    let checkpoint = Checkpoint::open(&file)?;
    Ok(Some(AudioEncoder::load(&Weights::from_checkpoint(&checkpoint, &options.device, DType::F32).keep_narrow(), config)?))
}

fn projector_second(options: &Options, config: &AudioEncoderConfig) -> Result<Measured> {
    let (input, output) = (config.output_size(), config.hidden_size);
    let projector = AudioProjector::load(&Weights::random(2, &options.device), input, output)?;
    let x = Weights::random(3, &options.device).param("x", [13, input], Init::Uniform(1.0))?.val();
    reset_peak_memory();
    let seconds = median_seconds(5, || drop(projector.forward(x.clone()).into_data()));
    let macs = (input * output + output * output) as f64;
    Ok(Measured {
        what: "audio projector, 13 rows".into(),
        seconds,
        media_seconds: Some(13.0 * 0.08),
        flop: 26.0 * macs,
        bytes: 4.0 * macs,
        peak_memory_bytes: peak_memory_bytes(),
    })
}
