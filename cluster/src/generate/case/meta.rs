//! What `meta` says about how a clip is sampled and interleaved.

use super::CaseError;
use super::fields::Fields;

/// Keys that the published code carries in `meta` and does not use, or that only restate its defaults.
pub(super) const UNUSED: &[&str] = &["average_sample_num_frame_per_video", "read_image_fps", "video_max_resolution"];

/// How a `video` item is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VideoMeta {
    /// Start and end in seconds; the whole clip without it.
    pub bound: Option<[f64; 2]>,
    /// First picture that may be used, where there is no `bound`.
    pub first_idx: u64,
    /// Pictures a second of the part that was fetched; counts only together with `prefetch_duration`.
    pub fps: Option<f64>,
    /// Seconds of the clip that were fetched.
    pub prefetch_duration: Option<f64>,
    /// Seconds added to every timestamp.
    pub time_offset: f64,
}

/// How pictures and sound of an interleaved item alternate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleStrategy {
    /// Chunks of a second.
    Sequential,
    /// The sound spread evenly over the units.
    Average,
}

/// How a `multimodal_interleaved` item is sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InterleavedMeta {
    /// Sequential unless it says `average`.
    pub strategy: SampleStrategy,
    /// Units a second.
    pub units_per_second: f64,
    /// Most units; no limit without it.
    pub units_max: Option<u64>,
    /// Whether the sound track of the clip is heard.
    pub use_audio_track: bool,
    /// Seconds added to every timestamp.
    pub time_offset: f64,
    /// Start and end in seconds of the pictures (the sound is not cut); the whole clip without it.
    pub bound: Option<[f64; 2]>,
}

impl VideoMeta {
    pub(super) fn read(meta: &mut Fields) -> Result<Self, CaseError> {
        refuse_chosen_pictures(meta)?;
        // The settings of the interleaved form stand in published `video` items too, without effect.
        for key in ["frame_sample_strategy", "sequential_sample_num_frame_per_sec", "sequential_max_num_sample_frame"] {
            meta.optional(key);
        }
        Ok(Self {
            bound: bound(meta)?,
            first_idx: meta.integer("first_idx", 0)?.unwrap_or(0) as u64,
            fps: meta.number("fps", 0.0)?,
            prefetch_duration: meta.number("prefetch_duration", 0.0)?,
            time_offset: meta.number("time_offset", 0.0)?.unwrap_or(0.0),
        })
    }
}

impl InterleavedMeta {
    pub(super) fn read(meta: &mut Fields) -> Result<Self, CaseError> {
        refuse_chosen_pictures(meta)?;
        if meta.flag("video_frame_pre_resize")? {
            return Err(meta.wrong("video_frame_pre_resize", "resizing before the size rule is not supported; set it to false"));
        }
        let strategy = match meta.optional("frame_sample_strategy") {
            None => SampleStrategy::Sequential,
            Some(name) => match name.as_str() {
                Some("sequential") => SampleStrategy::Sequential,
                Some("average") => SampleStrategy::Average,
                _ => return Err(meta.wrong("frame_sample_strategy", &format!("found {name}, expected \"sequential\" or \"average\""))),
            },
        };
        let units_per_second = meta.number("sequential_sample_num_frame_per_sec", 0.0)?.unwrap_or(1.0);
        if units_per_second == 0.0 {
            return Err(meta.wrong("sequential_sample_num_frame_per_sec", "found 0, expected more"));
        }
        Ok(Self {
            strategy,
            units_per_second,
            // -1 is how the published files write "no limit".
            units_max: meta
                .integer("sequential_max_num_sample_frame", -1)?
                .and_then(|most| u64::try_from(most).ok())
                .filter(|most| *most > 0),
            use_audio_track: meta.flag("use_audio_track")?,
            time_offset: meta.number("time_offset", 0.0)?.unwrap_or(0.0),
            bound: bound(meta)?,
        })
    }
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
