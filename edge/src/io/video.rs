//! Video files, read by the `ffmpeg` program: the pictures that were asked for come through a pipe one at a time, so
//! memory does not grow with the length or the resolution of the clip.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::vision::{PICTURE_PIXELS_MAX, Picture};
use serde::Deserialize;

use super::ffmpeg::{self, Running};

/// Different pictures read from one clip. The rules take 256 of a `video` item and two a second of an interleaved one:
/// this is eight and a half minutes, more than a context of 128 K tokens holds.
pub const PICTURES_MAX: usize = 1024;
/// Channels of a sound track that are averaged: 22.2 surround has the most.
const CHANNELS_MAX: usize = 24;

/// Why a video file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// `ffmpeg` or `ffprobe` cannot be started.
    #[error(
        "`{program}` cannot be started ({source}): it reads video files. Install it (Debian, Ubuntu: `apt-get install ffmpeg`; macOS: `brew install ffmpeg`; Windows: `winget install ffmpeg`) and see that it is in PATH."
    )]
    ProgramMissing {
        /// Which of the two.
        program: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// There is no such file, or it may not be read.
    #[error("{}: cannot be read: {source}. Check the path and its permissions.", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file is no video, or a damaged one.
    #[error("{}: not a usable video file: {found}. Play it in another program to check it, or convert it: `ffmpeg -i IN OUT.mp4`.", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// The file holds no pictures, or no sound, where they are needed.
    #[error("{}: the file has no {track}. {advice}", file.display())]
    NoTrack {
        /// The file.
        file: PathBuf,
        /// `pictures` or `sound track`.
        track: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// More was asked for than is read at once, or a picture that the clip does not have.
    #[error("{}: {problem}", file.display())]
    Request {
        /// The file.
        file: PathBuf,
        /// What was asked for and what is possible.
        problem: String,
    },
}

/// A video file that was looked at once.
#[derive(Clone, Debug)]
pub struct VideoFile {
    file: PathBuf,
    input: OsString,
    picture_count: usize,
    fps: f64,
    sound: Option<Sound>,
}

#[derive(Clone, Copy, Debug)]
struct Sound {
    rate: u32,
    channels: usize,
}

#[derive(Deserialize)]
struct Probed {
    #[serde(default)]
    streams: Vec<ProbedStream>,
}

#[derive(Deserialize)]
struct ProbedStream {
    codec_type: Option<String>,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    nb_read_frames: Option<String>,
    sample_rate: Option<String>,
    channels: Option<usize>,
    #[serde(default)]
    disposition: Disposition,
}

#[derive(Deserialize, Default)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

impl VideoFile {
    /// Counts the pictures of `file` (by decoding them: containers are often wrong about it) and finds its rates.
    ///
    /// # Errors
    /// [`VideoError::ProgramMissing`], [`VideoError::Unreadable`], [`VideoError::Damaged`].
    pub fn open(file: &Path) -> Result<Self, VideoError> {
        let input = ffmpeg::input(file)?;
        let entries = "stream=codec_type,avg_frame_rate,r_frame_rate,nb_read_frames,sample_rate,channels:stream_disposition=attached_pic";
        let mut probe = Running::start("ffprobe", &words(["-count_frames", "-show_entries", entries, "-of", "json"], Some(&input), []))?;
        let damaged = |found: String| VideoError::Damaged { file: file.to_path_buf(), found };
        let mut text = Vec::new();
        probe.output.read_to_end(&mut text).map_err(|e| damaged(e.to_string()))?;
        let (content, complaint) = probe.finish();
        if !content {
            return Err(damaged(complaint));
        }
        let probed: Probed = serde_json::from_slice(&text).map_err(|e| damaged(format!("ffprobe answered no JSON ({e}) {complaint}")))?;
        let of_type =
            |kind: &'static str| move |s: &&ProbedStream| s.codec_type.as_deref() == Some(kind) && s.disposition.attached_pic == 0;
        // A stream whose head is damaged shows up without rate or channels: it is no track.
        let sound = probed.streams.iter().find(of_type("audio")).and_then(|s| {
            let rate = s.sample_rate.as_deref()?.parse().ok().filter(|rate| *rate > 0)?;
            Some(Sound { rate, channels: s.channels.filter(|c| (1..=CHANNELS_MAX).contains(c))? })
        });
        let (picture_count, fps) = match probed.streams.iter().find(of_type("video")) {
            None => (0, 0.0),
            Some(stream) => {
                let count = stream.nb_read_frames.as_deref().and_then(|n| n.parse().ok()).unwrap_or(0);
                if count == 0 {
                    return Err(damaged(format!("not one picture can be decoded; {complaint}")));
                }
                let fps = [&stream.avg_frame_rate, &stream.r_frame_rate].into_iter().flatten().find_map(|r| ratio(r));
                (count, fps.ok_or_else(|| damaged("it states no picture rate".into()))?)
            }
        };
        if picture_count == 0 && sound.is_none() {
            return Err(damaged(format!("neither pictures nor sound inside; {complaint}")));
        }
        Ok(Self { file: file.to_path_buf(), input, picture_count, fps, sound })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// How many pictures the clip has, and how many a second on average.
    ///
    /// # Errors
    /// [`VideoError::NoTrack`].
    pub fn rate(&self) -> Result<(usize, f64), VideoError> {
        if self.picture_count == 0 {
            return Err(VideoError::NoTrack {
                file: self.file.clone(),
                track: "pictures",
                advice: "Use an item of type `audio` for sound alone.",
            });
        }
        Ok((self.picture_count, self.fps))
    }

    /// The pictures at `indices`, in order. An index that occurs several times gives the picture several times.
    ///
    /// # Errors
    /// [`VideoError::Request`] when the indices are not in rising order, negative, beyond the clip, or too many;
    /// [`VideoError::ProgramMissing`].
    pub fn pictures(&self, indices: &[i64]) -> Result<Pictures, VideoError> {
        let (count, _) = self.rate()?;
        let request = |problem: String| VideoError::Request { file: self.file.clone(), problem };
        if !indices.is_sorted() {
            return Err(request("pictures must be asked for in rising order".into()));
        }
        if let Some(index) = indices.iter().find(|i| **i < 0 || **i as u64 >= count as u64) {
            return Err(request(format!(
                "picture {index} was asked for, the clip has 0 to {}; a clip this short cannot be sampled, use a longer one",
                count - 1
            )));
        }
        let mut different = indices.to_vec();
        different.dedup();
        if different.len() > PICTURES_MAX {
            return Err(request(format!(
                "{} pictures were asked for, at most {PICTURES_MAX} are read; cut the clip with `bound`",
                different.len()
            )));
        }
        let running = if different.is_empty() {
            None
        } else {
            let chosen = different.iter().map(|i| format!("eq(n,{i})")).collect::<Vec<_>>().join("+");
            // New timestamps, one picture a tick, keep ffmpeg from dropping or repeating any.
            let filter = format!("select='{chosen}',scale=flags=accurate_rnd+full_chroma_int,format=rgb24,settb=1/25,setpts=N");
            let last = different.len().to_string();
            let after = ["-map", "0:V:0", "-vf", &filter, "-r", "25", "-frames:v", &last, "-f", "image2pipe", "-c:v", "ppm", "pipe:1"];
            Some(Running::start("ffmpeg", &words(["-nostdin", "-i"], Some(&self.input), after))?)
        };
        Ok(Pictures { file: self.file.clone(), running, indices: indices.to_vec(), given: 0, last: None })
    }

    /// The sound track from its start, `seconds_max` of it at most, as the mean of its channels, and its rate in Hz.
    ///
    /// # Errors
    /// [`VideoError::NoTrack`], [`VideoError::Damaged`], [`VideoError::ProgramMissing`].
    pub fn sound(&self, seconds_max: u32) -> Result<(Vec<f32>, u32), VideoError> {
        let Some(Sound { rate, channels }) = self.sound else {
            return Err(VideoError::NoTrack {
                file: self.file.clone(),
                track: "sound track",
                advice: "Set `use_audio_track` to false, or use a clip with sound.",
            });
        };
        let damaged = |found: String| VideoError::Damaged { file: self.file.clone(), found };
        let (seconds, rate_text, channels_text) = (seconds_max.to_string(), rate.to_string(), channels.to_string());
        let after =
            ["-map", "0:a:0", "-t", &seconds, "-ar", &rate_text, "-ac", &channels_text, "-f", "f32le", "-c:a", "pcm_f32le", "pipe:1"];
        let mut running = Running::start("ffmpeg", &words(["-nostdin", "-i"], Some(&self.input), after))?;
        let bytes_max = u64::from(seconds_max) * u64::from(rate) * channels as u64 * 4;
        let mut bytes = Vec::new();
        running
            .output
            .by_ref()
            .take(bytes_max)
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(format!("its sound track cannot be read: {e}")))?;
        let (content, complaint) = running.finish();
        if !content || bytes.is_empty() {
            return Err(damaged(format!("its sound track cannot be decoded; {complaint}")));
        }
        let values: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(damaged("its sound track holds values that are no numbers".into()));
        }
        Ok((values.chunks_exact(channels).map(|c| c.iter().sum::<f32>() / channels as f32).collect(), rate))
    }
}

/// Pictures of a clip as they come out of the decoder.
pub struct Pictures {
    file: PathBuf,
    running: Option<Running>,
    indices: Vec<i64>,
    given: usize,
    last: Option<Picture>,
}

impl Iterator for Pictures {
    type Item = Result<Picture, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = *self.indices.get(self.given)?;
        let repeats = self.given > 0 && self.indices[self.given - 1] == index;
        self.given += 1;
        if !repeats {
            match self.read(index) {
                Ok(picture) => self.last = Some(picture),
                Err(error) => {
                    self.given = self.indices.len();
                    return Some(Err(error));
                }
            }
        }
        self.last.clone().map(Ok)
    }
}

impl Pictures {
    fn read(&mut self, index: i64) -> Result<Picture, VideoError> {
        let running = self.running.as_mut().expect("the child runs while pictures are wanted");
        match read_ppm(&mut running.output) {
            Ok(picture) => Ok(picture),
            Err(found) => {
                let complaint = self.running.take().map(|r| r.finish().1).unwrap_or_default();
                Err(VideoError::Damaged {
                    file: self.file.clone(),
                    found: format!("picture {index} cannot be decoded: {found}; {complaint}"),
                })
            }
        }
    }
}

/// Reads one picture in the PPM format: `P6`, width, height, 255, each ended by one white space; then the bytes.
fn read_ppm(input: &mut impl Read) -> Result<Picture, String> {
    let mut word = || -> Result<String, String> {
        let mut text = String::new();
        loop {
            let mut byte = [0];
            input.read_exact(&mut byte).map_err(|_| "the stream ends".to_string())?;
            match byte[0] {
                b' ' | b'\n' => return Ok(text),
                b if text.len() < 10 && b.is_ascii_alphanumeric() => text.push(char::from(b)),
                _ => return Err("no picture header".into()),
            }
        }
    };
    let (magic, width, height, most) = (word()?, word()?, word()?, word()?);
    let (Ok(width), Ok(height)) = (width.parse::<u32>(), height.parse::<u32>()) else {
        return Err(format!("no size in the header: {width} x {height}"));
    };
    let pixels = u64::from(width) * u64::from(height);
    if magic != "P6" || most != "255" || pixels > PICTURE_PIXELS_MAX {
        return Err(format!("{width} x {height} pixels, {PICTURE_PIXELS_MAX} are possible"));
    }
    let mut rgb = vec![0; 3 * pixels as usize];
    input.read_exact(&mut rgb).map_err(|_| "the stream ends inside it".to_string())?;
    Picture::new("video picture", height, width, rgb).map_err(|e| e.to_string())
}

/// `30000/1001` as a number, if it is a usable rate.
fn ratio(text: &str) -> Option<f64> {
    let (over, under) = text.split_once('/')?;
    let rate = over.parse::<f64>().ok()? / under.parse::<f64>().ok()?;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

fn words<const A: usize, const B: usize>(before: [&str; A], input: Option<&OsString>, after: [&str; B]) -> Vec<OsString> {
    before.iter().map(OsString::from).chain(input.cloned()).chain(after.iter().map(OsString::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_is_no_picture_is_refused() {
        for bytes in [
            &b""[..],
            b"P6\n2 2\n255\n123",
            b"P5\n1 1\n255\nxyz",
            b"P6\n0 5\n255\n",
            b"P6\n99999999 99999999\n255\n",
            b"\x00\x01\x02",
            b"P6\n-1 5\n255\n",
        ] {
            assert!(read_ppm(&mut &bytes[..]).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        let picture = read_ppm(&mut &b"P6\n2 1\n255\nabcdef"[..]).expect("a whole picture");
        assert_eq!((picture.width(), picture.height(), picture.rgb()), (2, 1, &b"abcdef"[..]));
    }

    #[test]
    fn rates_are_ratios() {
        assert_eq!(ratio("25/1"), Some(25.0));
        assert_eq!(ratio("30000/1001"), Some(30000.0 / 1001.0));
        for text in ["0/0", "25", "-5/1", "x/1", "1/0"] {
            assert_eq!(ratio(text), None, "{text}");
        }
    }
}
