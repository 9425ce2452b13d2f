//! Checks of the model folder: what the edge computes with it. Each part is really loaded.

use std::path::Path;

use burn::tensor::{DType, Device};
use caracal_kernels::choose_device;
use caracal_kernels::device::ChosenDevice;

use super::{Check, Verdict};
use crate::audio::{AudioPerception, Waveform};
use crate::codec::AudioDecoder;
use crate::config::EdgeConfig;
use crate::io::Clock;
use crate::vision::{RopeTable, VisionEncoder};

/// Finds the device that `config` asks for.
pub fn device(config: &EdgeConfig) -> ChosenDevice {
    choose_device(config.compute.into())
}

/// Says what computes.
pub fn compute(config: &EdgeConfig) -> Check {
    let chosen = device(config);
    match chosen.fallback {
        None => Check::ok(chosen.name),
        Some(why) => Check { verdict: Verdict::Note, ..Check::ok(why) },
    }
}

/// For a model folder that is not there.
pub fn missing(config: &EdgeConfig) -> Check {
    Check::problem(
        format!("{}: no such folder", config.model.display()),
        "Name the model folder with `model` in the configuration, or with `--model DIR`.",
    )
}

/// Loads the audio encoder and lets it hear a second.
pub fn ears(config: &EdgeConfig) -> Check {
    match AudioPerception::open(&config.model.join("audio"), &device(config).device, DType::F32) {
        Err(error) => Check::error(error),
        Ok(ears) => {
            let hz = ears.front_end.sample_rate() as usize;
            let hum = (0..hz).map(|i| (i as f32 * 0.1).sin() * 0.1).collect();
            let clock = Clock::start();
            let heard = ears.offline(&Waveform::new(hum).expect("sines are numbers"));
            let tokens = heard.map_or(0, |x| x.dims()[0]);
            let factor = clock.now().0 as f64 / 1e6;
            let found = format!("audio encoder: {tokens} embeddings for 1 s of sound in {:.0} ms", factor * 1e3);
            match factor < 1.0 {
                true => Check::ok(found),
                false => Check::problem(found, "Slower than speech: use a smaller model or a faster device (`compute`)."),
            }
        }
    }
}

/// Loads the picture encoder.
pub fn eyes(config: &EdgeConfig) -> Check {
    let load = |folder: &Path, device: &Device| -> Result<String, String> {
        let file = folder.join("config.json");
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: cannot be read: {e}", file.display()))?;
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("{}: no JSON: {e}", file.display()))?;
        let width = json["hidden_size"].as_u64().ok_or_else(|| format!("{}: `hidden_size` is missing", file.display()))?;
        VisionEncoder::open(folder, width as usize, device, DType::F32, RopeTable::Demo).map_err(|e| e.to_string())?;
        Ok(format!("picture encoder: embeddings of {width} values"))
    };
    load(&config.model, &device(config).device).map_or_else(Check::error, Check::ok)
}

/// Loads the codec's decoder.
pub fn mouth(config: &EdgeConfig) -> Check {
    match AudioDecoder::open(&config.model.join("audio_codec"), &device(config).device, DType::F32) {
        Err(error) => Check::error(error),
        Ok((_, codec)) => Check::ok(format!("codec decoder: speech at {} Hz", codec.decoder_type.sample_rate())),
    }
}
