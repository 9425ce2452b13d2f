//! Which pictures of a recorded video are shown to the model, and the second that is written before each pair.
//!
//! Two published code paths that differ: the offline `video` item, and the `multimodal_interleaved` item that goes with
//! sound. Both yield two pictures a unit. Quirks are kept, since the model was used with them: the offline path clamps
//! indices after it has made the timestamps, and the interleaved path spreads its pictures over both ends.
//!
//! Source: vision.md section 5.

use super::PictureError;

/// Most pairs of a video in the offline path (the demo's `max_frame_num`); twice as many pictures.
pub const UNITS_MAX: u64 = 128;
/// The last frames of a clip are never asked for: decoders often fail there (`abandon_size`).
const FRAMES_ABANDONED: f64 = 5.0;
/// Clips get denser so that at least this many pictures exist (`frames_downbound`) ...
const PICTURES_MIN: f64 = 16.0;
/// ... but no denser than this many a second (`fps_upbound`).
const PICTURES_A_SECOND_MAX: f64 = 4.0;
/// Clips up to this many seconds start from half a picture a second.
const SHORT_CLIP_SECONDS: f64 = 8.0;
/// Most pictures that a plan may have: an hour at 4 a second fits. The low-rate branch of the published rule has no cap
/// of its own.
const PLAN_PICTURES_MAX: f64 = 16_384.0;

/// What a decoder says about a video file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// Number of frames.
    pub frames: u64,
    /// Average frames a second.
    pub fps: f64,
}

/// Settings of an offline `video` item.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VideoOptions {
    /// Start and end in seconds; absent: the whole clip.
    pub bound: Option<[f64; 2]>,
    /// First frame that may be used.
    pub first_frame: u64,
    /// Length in seconds and frames a second of the part that is loaded, where the item's meta gives both.
    pub prefetched: Option<[f64; 2]>,
    /// Seconds to add to every timestamp.
    pub time_offset: f64,
}

/// The pictures of a video item.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingPlan {
    /// Frame number of every picture in order, two a unit. The published clamp makes them negative for clips of fewer
    /// than six frames: see [`SamplingPlan::frames`].
    pub indices: Vec<i64>,
    /// Second that is written before each unit, one a pair.
    pub seconds: Vec<f64>,
    /// Length that the prompt states: the largest second before the offset, or the rounded-up length of the range.
    pub duration: f64,
}

impl SamplingPlan {
    /// The frame numbers to decode.
    ///
    /// # Errors
    /// [`PictureError::Clip`] when the clip is so short that the published rule asks for a frame before its first.
    pub fn frames(&self, clip: Clip) -> Result<Vec<u64>, PictureError> {
        let frame = |index: &i64| {
            u64::try_from(*index).map_err(|_| {
                clip.refuse(
                    "the published sampling rule asks for a frame before the first; expected at least 6 frames. Send it as pictures",
                )
            })
        };
        self.indices.iter().map(frame).collect()
    }
}

/// The text that stands before a unit: `second{1.2}:`, the braces being part of it.
pub fn timestamp_text(second: f64) -> String {
    format!("second{{{second:.1}}}:")
}

impl Clip {
    fn refuse(self, problem: impl Into<String>) -> PictureError {
        PictureError::Clip { frames: self.frames, fps: self.fps, problem: format!("{}.", problem.into()) }
    }

    fn check(self) -> Result<(), PictureError> {
        if self.frames == 0 {
            return Err(self.refuse("the clip is empty, expected at least one frame. Check that the file holds video"));
        }
        if !(self.fps.is_finite() && self.fps > 0.0) {
            return Err(self.refuse("expected a frame rate above 0. Write the file again with a constant frame rate"));
        }
        Ok(())
    }

    fn check_bound(self, bound: Option<[f64; 2]>) -> Result<(), PictureError> {
        match bound {
            Some([start, end]) if !(start.is_finite() && end.is_finite() && start < end) => Err(self
                .refuse(format!("`bound` is {start} to {end} seconds, expected finite numbers, the start first. Correct the item's meta"))),
            _ => Ok(()),
        }
    }
}

/// The offline path: about 4 pictures a second below 4 s, at least 16 pictures to 16 s, one a second to 256 s, and 256
/// pictures spread uniformly above.
///
/// # Errors
/// [`PictureError::Clip`].
///
/// # Source
/// vision.md 5.1.
pub fn sample_video(clip: Clip, options: &VideoOptions) -> Result<SamplingPlan, PictureError> {
    clip.check()?;
    clip.check_bound(options.bound)?;
    let fps = clip.fps;
    let max = match options.prefetched {
        Some([seconds, fps]) => (seconds * fps).trunc() - 1.0,
        None => clip.frames as f64 - 1.0,
    };
    let length = options.bound.map_or(max / fps, |[start, end]| end - start);
    let cap = 2.0 * UNITS_MAX as f64;
    let base_rate = if length <= SHORT_CLIP_SECONDS { 0.5 } else { (length / cap).ceil() };
    let first = options.first_frame as f64;
    let [start, end] = options.bound.map_or([first, max], |[start, end]| [first.max((start * fps).round()), (end * fps).round().min(max)]);
    let too_many = || {
        clip.refuse(format!("the sampling rule asks for more than {PLAN_PICTURES_MAX} pictures. Cut the clip or correct its frame rate"))
    };

    let mut picked: Vec<f64> = if fps <= base_rate {
        progression(start, end, 1.0 / base_rate).ok_or_else(too_many)?.into_iter().map(f64::floor).collect()
    } else {
        let every = |rate: f64| -> Result<Vec<f64>, PictureError> {
            let step = (fps / rate).round();
            if step < 1.0 {
                return Err(clip
                    .refuse("the frame rate is too low for the published sampling rule, which would divide by zero. Send it as pictures"));
            }
            let centres = progression(start + step / 2.0, end, step).ok_or_else(too_many)?;
            Ok(centres.into_iter().map(|index| index.round().min(end - 1.0)).collect())
        };
        if end == start {
            return Err(clip.refuse("the part to sample has no length. Send it as a picture"));
        }
        let dense_rate = (PICTURES_MIN / ((end - start) / fps)).min(PICTURES_A_SECOND_MAX);
        let picked = every(if dense_rate > base_rate { dense_rate } else { base_rate })?;
        if picked.len() as f64 > cap { spread(start, end - 1.0, cap as usize) } else { picked }
    };
    picked.sort_by(f64::total_cmp);
    let Some(last) = picked.last().copied() else {
        return Err(clip.refuse("the sampling rule picks no frame from so short a clip. Send it as pictures"));
    };
    if !picked.len().is_multiple_of(2) {
        picked.push(last);
    }
    let tenths: Vec<f64> = picked.iter().step_by(2).map(|index| half_up_tenth(index / fps)).collect();
    let duration = tenths.iter().copied().fold(f64::MIN, f64::max);
    let offset = if options.time_offset > 0.0 { options.time_offset } else { 0.0 };
    Ok(SamplingPlan {
        indices: picked.iter().map(|index| index.min(max - FRAMES_ABANDONED) as i64).collect(),
        seconds: tenths.iter().map(|second| second + offset).collect(),
        duration,
    })
}

/// start, start + step, ... below end; `None` when there would be more than [`PLAN_PICTURES_MAX`].
fn progression(start: f64, end: f64, step: f64) -> Option<Vec<f64>> {
    let count = ((end - start) / step).ceil().max(0.0);
    (count <= PLAN_PICTURES_MAX).then(|| (0..count as u64).map(|k| start + k as f64 * step).collect())
}

/// `count` whole numbers, rounded down, spread evenly from `start` to `end`, both included.
fn spread(start: f64, end: f64, count: usize) -> Vec<f64> {
    let step = (end - start) / (count - 1) as f64;
    (0..count).map(|k| if k + 1 == count { end.trunc() } else { (start + k as f64 * step).trunc() }).collect()
}

/// Rounds to one decimal, a half away from zero. Only x.25 and x.75 are exact halves of a tenth in binary, and of those
/// only x.25 differs from rounding to even.
fn half_up_tenth(x: f64) -> f64 {
    let x = if x.fract() == 0.25 { x + 0.05 } else { x };
    format!("{x:.1}").parse().expect("a printed number")
}

/// Settings of a `multimodal_interleaved` item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InterleavedOptions {
    /// Start and end in seconds; absent: the whole clip.
    pub bound: Option<[f64; 2]>,
    /// Units a second (`sequential_sample_num_frame_per_sec`).
    pub units_a_second: f64,
    /// Units above which they are spread over the clip instead (`sequential_max_num_sample_frame`); absent: no cap.
    pub units_max: Option<u32>,
    /// How many frames the item's meta names, where it does: their numbers change nothing, only how sound is interleaved.
    pub frame_indices: Option<u32>,
    /// Seconds to add to every timestamp.
    pub time_offset: f64,
}

impl Default for InterleavedOptions {
    /// The settings of the published demo.
    fn default() -> Self {
        Self { bound: None, units_a_second: 1.0, units_max: None, frame_indices: None, time_offset: 0.0 }
    }
}

/// How the sound of an interleaved item is laid between its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interleaving {
    /// Chunk by chunk, in step with time.
    Sequential,
    /// In equal shares after each of this many units.
    Average(u32),
}

/// The interleaved path: pictures spread evenly over the range, both ends included.
///
/// # Errors
/// [`PictureError::Clip`].
///
/// # Source
/// vision.md 5.2.
pub fn sample_interleaved(clip: Clip, options: &InterleavedOptions) -> Result<(SamplingPlan, Interleaving), PictureError> {
    clip.check()?;
    clip.check_bound(options.bound)?;
    let (fps, rate) = (clip.fps, options.units_a_second);
    if !(rate.is_finite() && rate > 0.0) {
        return Err(
            clip.refuse(format!("`sequential_sample_num_frame_per_sec` is {rate}, expected a number above 0. Correct the item's meta"))
        );
    }
    let last_frame = clip.frames as f64 - 1.0;
    let seconds = clip.frames as f64 / fps;
    let [start, end] = options.bound.map_or([0.0, last_frame], |[start, end]| {
        [(start.clamp(0.0, seconds) * fps).ceil(), (end.clamp(0.0, seconds) * fps).floor().min(last_frame)]
    });
    if start > end {
        return Err(clip.refuse("`bound` holds no frame. Correct the item's meta"));
    }
    let duration = ((end - start + 1.0) / fps).ceil();
    let units = (rate * duration).ceil();
    if 2.0 * units > PLAN_PICTURES_MAX {
        return Err(clip
            .refuse(format!("the sampling rule asks for more than {PLAN_PICTURES_MAX} pictures. Cut the clip or correct its frame rate")));
    }
    let capped = options.units_max.filter(|max| *max > 0 && units > f64::from(*max));
    let picked = match capped {
        Some(max) => spread_f32(start, end, 2 * max as usize),
        None => spread_f32(start, (units / rate).floor() * fps + start, 2 * units as usize),
    };
    let indices: Vec<i64> = picked.into_iter().map(|index| f64::from(index).min(end) as i64).collect();
    let interleaving = match (capped, options.frame_indices) {
        (Some(max), _) => Interleaving::Average(max),
        (None, Some(count)) => Interleaving::Average(count / 2),
        (None, None) => Interleaving::Sequential,
    };
    let tenth = |index: &i64| format!("{:.1}", *index as f64 / fps + options.time_offset).parse().expect("a printed number");
    Ok((SamplingPlan { seconds: indices.iter().step_by(2).map(tenth).collect(), indices, duration }, interleaving))
}

/// `count` values from `start` to `end`, both included, in f32 and rounded half to even. The second half is counted from
/// the end, as the published library does it.
fn spread_f32(start: f64, end: f64, count: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / (count - 1) as f32;
    let value = |k: usize| if k < count / 2 { start + step * k as f32 } else { end - step * (count - 1 - k) as f32 };
    (0..count).map(|k| value(k).round_ties_even()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_halves_of_a_tenth_round_up() {
        for (x, want) in [(2.25, 2.3), (2.75, 2.8), (0.25, 0.3), (0.35, 0.3), (0.45, 0.5), (1.0, 1.0), (0.05, 0.1)] {
            assert_eq!(half_up_tenth(x), want, "{x}");
        }
    }

    #[test]
    fn a_clip_of_an_impossible_rate_is_refused_without_allocating() {
        for fps in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 1e-9] {
            let clip = Clip { frames: 1_000_000, fps };
            assert!(sample_video(clip, &VideoOptions::default()).is_err(), "{fps}");
            assert!(sample_interleaved(clip, &InterleavedOptions::default()).is_err(), "{fps}");
        }
    }

    #[test]
    fn clips_too_short_for_the_published_rule_say_so() {
        for frames in [0, 1, 2, 4] {
            let error = sample_video(Clip { frames, fps: 25.0 }, &VideoOptions::default()).unwrap_err().to_string();
            assert!(error.contains(&format!("{frames} frames at 25 fps")), "{error}");
        }
        let clip = Clip { frames: 5, fps: 25.0 };
        assert!(sample_video(clip, &VideoOptions::default()).unwrap().frames(clip).is_err());
    }
}
