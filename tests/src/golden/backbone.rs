//! Goldens of the language model, its input rows and its audio heads.

mod codec_loop;
mod embedding;
mod fp8;
mod recorder;
mod tiny;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Entry, Golden, Tolerance};

/// Checks of this family.
pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "audio/audio_embedding", on_device: true, check: embedding::audio_embedding },
    Entry { name: "prompt/embed_merge", on_device: false, check: embedding::embed_merge },
    Entry { name: "prompt/audio_heads", on_device: true, check: codec_loop::audio_heads },
    Entry { name: "audio/audio_heads_loop", on_device: true, check: codec_loop::audio_heads_loop },
    Entry { name: "backbone/omni_head/omni_head", on_device: true, check: codec_loop::omni_head },
    Entry { name: "backbone/tiny/tiny", on_device: true, check: tiny::tiny },
    Entry { name: "backbone/fp8/fp8", on_device: true, check: fp8::fp8 },
    Entry { name: "backbone/mtp/mtp", on_device: true, check: tiny::mtp },
];

/// `{atol, rtol}` of the sidecar; a missing part is 0.
fn tolerance(golden: &Golden, name: &str) -> Result<Tolerance> {
    let entry = golden.json["tolerance"].get(name).with_context(|| format!("golden {}: no tolerance `{name}`", golden.name))?;
    mixed(entry).with_context(|| format!("golden {}: tolerance `{name}` holds no number", golden.name))
}

fn mixed(entry: &Value) -> Option<Tolerance> {
    let (atol, rtol) = (entry["atol"].as_f64(), entry["rtol"].as_f64());
    (atol.is_some() || rtol.is_some()).then(|| Tolerance::Mixed { atol: atol.unwrap_or(0.0), rtol: rtol.unwrap_or(0.0) })
}

/// A whole number of the sidecar.
fn number(golden: &Golden, pointer: &str) -> Result<u32> {
    let value = golden.field(pointer)?;
    value.as_u64().and_then(|v| u32::try_from(v).ok()).with_context(|| format!("golden {}: {pointer} is {value}, no id", golden.name))
}

/// Ids of a tensor as the model takes them.
fn ids(values: &[i64]) -> Vec<u32> {
    values.iter().map(|v| u32::try_from(*v).expect("ids are not negative")).collect()
}
