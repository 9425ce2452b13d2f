//! Benchmarks of codec.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use caracal_edge::Streaming;
use caracal_edge::audio::Waveform;
use caracal_edge::codec::{AudioDecoder, AudioTokenizer, CodecFrame, CodecIds, DecoderConfig, EncoderConfig, SemanticConfig, Trace};
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
    let mut measured = decoder(&options.device, options.full_size)?;
    measured.extend(tokenizer(&options.device, options.full_size)?);
    Ok(measured)
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
    let mut measure = |what: &str, macs: f64, steps: usize, media_seconds: Option<f64>, work: &mut dyn FnMut()| {
        reset_peak_memory();
        let seconds = median_seconds(RUNS, work);
        let what = format!("audio decoder 24k, {what}");
        measured.push(Measured {
            what,
            seconds,
            media_seconds,
            flop: 2.0 * macs,
            bytes: weights * steps as f64,
            peak_memory_bytes: peak_memory_bytes(),
        });
    };

    // In the middle of a reply, where every step gives as many frames of sound as it takes frames of codes.
    let mut state = decoder.start();
    decoder.step(&mut state, frames[..decoder.frames_to_first_sample()].to_vec());
    measure(&format!("{second} frames (1 s) in one step"), macs * second as f64, 1, Some(seconds_of(second)), &mut || {
        drop(decoder.step(&mut state.clone(), frames[..second].to_vec()));
    });
    measure(&format!("{second} frames (1 s) one by one"), macs * second as f64, second, Some(seconds_of(second)), &mut || {
        let mut state = state.clone();
        frames[..second].iter().for_each(|frame| drop(decoder.step(&mut state, vec![frame.clone()])));
    });
    let first = decoder.frames_to_first_sample();
    // All four pass the LSTMs, one passes what comes behind them.
    let before = (first - 1) as f64 * 16.0 * (config.memory_dim() as f64).powi(2);
    measure(&format!("first samples, after {first} frames"), macs + before, first, None, &mut || {
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

/// Samples of the clip that the tokenizer is timed with: one second, whole frames.
const CLIP_SAMPLES: usize = 16 * 960 + 960;

/// The released tokenizer, or one of an eighth of its widths.
fn tokenizer(device: &Device, full_size: bool) -> anyhow::Result<Vec<Measured>> {
    let share = if full_size { 1 } else { 8 };
    let here = Path::new("benchmark");
    let acoustic = EncoderConfig::from_value(
        here,
        json!({
            "encoder_dim": 64 / share, "codec_enc_ratios": [4, 5, 6, 8], "codec_dimension": 1024 / share, "codec_codebooks": 3,
            "codec_codebook_size": 90, "codec_codebook_search_dim": 8, "input_sample_rate": 16000, "semantic_tokenizer_type": "released",
        }),
    )?;
    let semantic = SemanticConfig::from_value(
        here,
        json!({
            "d_model": 1280 / share, "nhead": 20 / share.min(4), "num_encoder_layers": 26, "dim_feedforward": 5120 / share, "select_layer": 26,
            "codebook_size": 8192, "feat_dim": 80, "conv2d_stride": "2,3", "num_conv_layers": 2,
            "fbank": { "freq": 16000, "frame_length": 25, "frame_shift": 10, "preemphasis": 0.97, "low_freq": 40, "high_freq": -200, "num_mel_bins": 80 },
        }),
    )?;
    let tokenizer = AudioTokenizer::load(&Weights::random(2, device), &acoustic, &semantic, here)?;
    let clip = Waveform::new((0..CLIP_SAMPLES).map(|i| 0.3 * (i as f32 * 0.07).sin() * (i as f32 * 0.0011).cos()).collect())?;
    let frames = (CLIP_SAMPLES / acoustic.samples_per_frame()) as f64;
    let mut measured = Vec::new();
    let mut measure = |what: &str, (macs, bytes): (f64, f64), work: &mut dyn FnMut()| {
        reset_peak_memory();
        let seconds = median_seconds(RUNS, work);
        let media_seconds = Some(CLIP_SAMPLES as f64 / 16_000.0);
        let what = format!("{what}, {:.2} s", CLIP_SAMPLES as f64 / 16_000.0);
        measured.push(Measured { what, seconds, media_seconds, flop: 2.0 * macs, bytes, peak_memory_bytes: peak_memory_bytes() });
    };

    let samples = || Tensor::from_data(TensorData::new(clip.samples().to_vec(), [CLIP_SAMPLES, 1]), device);
    measure("codec acoustic encoder", acoustic_cost(&acoustic), &mut || {
        let z = tokenizer.acoustic.offline(samples(), &mut Trace::off()).expect("a second is many frames");
        drop(tokenizer.quantizer.encode(z));
    });
    measure("codec semantic tokenizer", semantic_cost(&semantic, frames), &mut || {
        assert_eq!(tokenizer.semantic.offline(&clip, &mut Trace::off()).len(), frames as usize);
    });
    Ok(measured)
}

/// Multiply-adds for the clip, and bytes of weights read once.
fn acoustic_cost(config: &EncoderConfig) -> (f64, f64) {
    let (mut rows, mut channels) = (CLIP_SAMPLES, config.encoder_dim);
    let (mut macs, mut weights) = (rows * 7 * channels, 7 * channels);
    for rate in &config.rates {
        let (units, down) = (3 * 8 * channels * channels, 2 * rate * 2 * channels * channels);
        macs += rows * units + rows / rate * down;
        weights += units + down;
        (rows, channels) = (rows / rate, 2 * channels);
    }
    let last = 3 * channels * config.latent_dim;
    ((macs + rows * last) as f64, 4.0 * (weights + last) as f64)
}

fn semantic_cost(config: &SemanticConfig, frames: f64) -> (f64, f64) {
    let (width, inner, layers) = (config.d_model as f64, config.dim_feedforward as f64, config.select_layer as f64);
    let layer = 4.0 * width * width + 2.0 * width * inner;
    let affine = 32.0 * (config.feat_dim - 2 * config.num_conv_layers) as f64 * width;
    let table = width * config.codebook_size as f64;
    // The two convolutions are 9 x 32 numbers, 78 wide at three times the frame rate, and 9 x 32 x 32, 76 wide.
    let convolutions = 9.0 * 32.0 * (3.0 * 78.0 + 32.0 * 76.0);
    let attention = 2.0 * frames * width * layers;
    (frames * (layers * layer + affine + table + convolutions + attention), 4.0 * (layers * layer + affine + table))
}
