//! Vectors made with the published implementations, found by their sidecars and compared with ours.
//!
//! A golden is a JSON sidecar, alone or with `.safetensors` files. [`ALL`] names every sidecar there is and the
//! function that checks it; a sidecar that [`ALL`] does not know, or one of [`ALL`] that is not there, is a failure.
//! Nothing here knows a dimension: they come from the sidecars, so another set with the same layout runs unchanged
//! (`CARACAL_GOLDEN_DIR`).

mod audio;
mod backbone;
mod codec;
mod compare;
mod prompt;
mod set;
mod vision;

pub use compare::{Check, Report, Tolerance};
pub use set::{Golden, discover, golden_root};

use burn::tensor::Device;

/// One golden: its sidecar below the root, without `.json`; and what checks it.
pub struct Entry {
    /// e.g. `audio/fsmn_encoder`
    pub name: &'static str,
    /// Whether the check runs tensors, so that it is worth running on every device.
    pub on_device: bool,
    /// Loads the golden, runs our code on `device`, compares.
    pub check: fn(&Golden, &Device) -> anyhow::Result<Report>,
}

/// Every golden, in the order of the specification.
pub fn all() -> Vec<Entry> {
    [audio::ENTRIES, codec::ENTRIES, vision::ENTRIES, backbone::ENTRIES, prompt::ENTRIES]
        .into_iter()
        .flatten()
        .map(|e| Entry { ..*e })
        .collect()
}

/// Sidecars that only index other files and have nothing to check.
pub const INDEXES: &[&str] = &["prompt/index", "vision/index"];

/// Runs one golden by name.
///
/// # Errors
/// When the golden or its entry is missing, or our code refuses its input.
pub fn run(name: &str, device: &Device) -> anyhow::Result<Report> {
    let entry = all().into_iter().find(|e| e.name == name).ok_or_else(|| anyhow::anyhow!("no check is written for the golden `{name}`"))?;
    (entry.check)(&Golden::open(&golden_root(), name)?, device)
}
