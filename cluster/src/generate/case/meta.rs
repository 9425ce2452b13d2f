//! What `meta` says about how a clip is sampled and interleaved.

use caracal_edge::vision::{InterleavedOptions, VideoOptions};

use super::CaseError;
use super::fields::Fields;

/// Keys that the published code carries in `meta` and does not use, or that only restate its defaults.
pub(super) const UNUSED: &[&str] = &["average_sample_num_frame_per_video", "read_image_fps", "video_max_resolution"];

/// How an interleaved item is sampled and mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InterleavedMeta {
    /// Which pictures are shown.
    pub sampling: InterleavedOptions,
    /// Whether the sound is spread evenly over the units, else it comes in chunks of a second.
    pub average: bool,
    /// Whether the sound track of the clip is heard.
    pub use_audio_track: bool,
}

pub(super) fn video(meta: &mut Fields) -> Result<VideoOptions, CaseError> {
    refuse_chosen_pictures(meta)?;
    // The settings of the interleaved form stand in published `video` items too, without effect.
    for key in ["frame_sample_strategy", "sequential_sample_num_frame_per_sec", "sequential_max_num_sample_frame"] {
        meta.optional(key);
    }
    // One of the two alone has no effect, as published.
    let prefetched = meta.number("prefetch_duration", 0.0)?.zip(meta.number("fps", 0.0)?);
    Ok(VideoOptions {
        bound: bound(meta)?,
        first_frame: meta.integer("first_idx", 0)?.unwrap_or(0) as u64,
        prefetched: prefetched.map(<[f64; 2]>::from),
        time_offset: meta.number("time_offset", 0.0)?.unwrap_or(0.0),
    })
}

pub(super) fn interleaved(meta: &mut Fields) -> Result<InterleavedMeta, CaseError> {
    refuse_chosen_pictures(meta)?;
    if meta.flag("video_frame_pre_resize")? {
        return Err(meta.wrong("video_frame_pre_resize", "resizing before the size rule is not supported; set it to false"));
    }
    let average = match meta.optional("frame_sample_strategy") {
        None => false,
        Some(name) => match name.as_str() {
            Some("sequential") => false,
            Some("average") => true,
            _ => return Err(meta.wrong("frame_sample_strategy", &format!("found {name}, expected \"sequential\" or \"average\""))),
        },
    };
    let units_a_second = meta.number("sequential_sample_num_frame_per_sec", 0.0)?.unwrap_or(1.0);
    if units_a_second == 0.0 {
        return Err(meta.wrong("sequential_sample_num_frame_per_sec", "found 0, expected more"));
    }
    let sampling = InterleavedOptions {
        bound: bound(meta)?,
        units_a_second,
        // -1 is how the published files write "no limit".
        units_max: meta.integer("sequential_max_num_sample_frame", -1)?.and_then(|most| u32::try_from(most).ok()).filter(|most| *most > 0),
        frame_indices: None,
        time_offset: meta.number("time_offset", 0.0)?.unwrap_or(0.0),
    };
    Ok(InterleavedMeta { sampling, average, use_audio_track: meta.flag("use_audio_track")? })
}

fn refuse_chosen_pictures(meta: &mut Fields) -> Result<(), CaseError> {
    match meta.optional("frame_indices") {
        None => Ok(()),
        Some(_) => Err(meta.wrong("frame_indices", "pictures cannot be chosen one by one in this format; cut the clip with `bound`")),
    }
}

/// `[start, end]` in seconds.
fn bound(meta: &mut Fields) -> Result<Option<[f64; 2]>, CaseError> {
    let Some(value) = meta.optional("bound") else { return Ok(None) };
    match serde_json::from_value::<[f64; 2]>(value.clone()) {
        Ok([start, end]) if 0.0 <= start && start < end => Ok(Some([start, end])),
        _ => Err(meta.wrong("bound", &format!("found {value}, expected [start, end] in seconds, 0 <= start < end"))),
    }
}
