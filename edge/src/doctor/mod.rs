//! What works on this device and what does not: `caracal doctor`.
//!
//! Each check tries the real thing (it loads the networks, runs the voice model, shakes hands with the cluster) and says what
//! it found and, where something is wrong, what to do.
//!
//! | file | what it holds |
//! |---|---|
//! | [`report`] | the outcome of checks; as text and as JSON |
//! | [`device`] | voice activity, video reader, clock, and the sound card and camera |
//! | [`model`] | ears, eyes and mouth of the model folder |
//! | [`link`] | device token, and the cluster at the other end |

pub mod device;
pub mod link;
pub mod model;
pub mod report;

pub use report::{Check, Report, Verdict};

use crate::config::EdgeConfig;

/// A check by its name.
type Named = (&'static str, fn(&EdgeConfig) -> Check);

/// Runs every check; `progress` is told the name of each before it begins.
pub fn examine(config: &EdgeConfig, progress: &mut dyn FnMut(&'static str)) -> Report {
    const HERE: &[Named] = &[("clock", device::clock), ("compute", model::compute)];
    // Without a folder its parts need not be named one by one.
    const MODEL: &[Named] = &[("ears", model::ears), ("eyes", model::eyes), ("mouth", model::mouth)];
    const NO_MODEL: &[Named] = &[("model", model::missing)];
    const AROUND: &[Named] = &[
        ("voice activity", device::voice_activity),
        ("video reader", device::video_reader),
        ("devices", device::sound_card_and_camera),
        ("token", link::token),
        ("link", link::cluster),
    ];
    let model = if config.model.is_dir() { MODEL } else { NO_MODEL };
    let mut report = Report::default();
    for (name, check) in [HERE, model, AROUND].into_iter().flatten() {
        progress(name);
        report.checks.push(Check { name, ..check(config) });
    }
    report
}
