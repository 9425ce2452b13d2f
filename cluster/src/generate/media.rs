//! The files of a conversation, opened: pictures cut into patch rows, sound at the model's rate.
//!
//! Nothing here needs weights. What an item may not say where it stands (a picture in an answer, a role that nobody
//! has) is refused here, before anything is computed.

use std::path::{Path, PathBuf};

use caracal_edge::audio::read::CLIP_SECONDS_MAX;
use caracal_edge::audio::{AudioFileError, ResampleError, Waveform, read_audio, resample, sinc_resample};
use caracal_edge::vision::{
    Alpha, Clip, Interleaving, PictureError, Preprocessor, SamplingPlan, VisualUnit, read_picture, sample_interleaved, sample_video,
};
use caracal_shared::prompt::{Role, Strategy};
use caracal_shared::rates::{DENSE_CHUNK_MS, SECOND_MS};
use caracal_shared::reply::CODEBOOKS;

use super::case::{Case, CaseItem, InterleavedMeta};
use super::progress::{Progress, Stage};
use crate::io::{VideoError, VideoFile};

/// Patches of all pictures of a conversation: as many tokens before pooling as the longest published context has
/// positions, and 1.2 GB of patch rows with patches of 14 pixels.
const PATCHES_MAX: usize = 1 << 18;

/// A conversation whose files were read.
#[derive(Debug, Default)]
pub struct Media {
    /// Oldest first.
    pub messages: Vec<MediaMessage>,
    /// What was left out and why, for the user.
    pub notices: Vec<String>,
}

/// One turn.
#[derive(Debug)]
pub struct MediaMessage {
    /// Whose it is.
    pub role: Role,
    /// In order.
    pub items: Vec<MediaItem>,
}

/// One item of a turn.
#[derive(Debug)]
pub enum MediaItem {
    /// Words.
    Text(String),
    /// Sound.
    Audio(Waveform),
    /// One picture.
    Image(VisualUnit),
    /// A clip without its sound: each unit with its second.
    Video(Vec<(VisualUnit, f64)>),
    /// A clip and sound.
    Interleaved {
        /// Each unit with its second.
        units: Vec<(VisualUnit, f64)>,
        /// The sound.
        audio: Waveform,
        /// How they alternate.
        strategy: Strategy,
    },
    /// A spoken turn of the past.
    Spoken {
        /// Segments joined by `</pause>`.
        text: String,
        /// Frames of each segment, raw indices.
        segments: Vec<Vec<[u32; CODEBOOKS]>>,
    },
}

/// Why the media of an item cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ItemMediaError {
    /// A picture, or the pictures of a clip.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A clip that cannot be sampled.
    #[error("{}: {source}", file.display())]
    Clip {
        /// The clip.
        file: PathBuf,
        /// Why.
        source: PictureError,
    },
    /// A video file.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// A sound file.
    #[error(transparent)]
    Audio(#[from] AudioFileError),
    /// Sound of an unusable rate, or samples that are no numbers.
    #[error("{}: {problem}", file.display())]
    Sound {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A picture or a clip outside a user's turn.
    #[error("pictures and clips can stand in turns of the role `user` only, as in the published format; move it there")]
    NotTheUser,
    /// Too many patches.
    #[error("the pictures of the conversation have more than {PATCHES_MAX} patches together; send fewer, or cut the clips with `bound`")]
    TooManyPatches,
}

/// Why the media of a conversation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// An item.
    #[error("message {message}, item {item}: {source}")]
    Item {
        /// Counted from 0.
        message: usize,
        /// Counted from 0.
        item: usize,
        /// Why.
        source: ItemMediaError,
    },
    /// A role that nobody has.
    #[error(
        "message {message}, field role: unknown role `{role}`, expected `user`, `system`, `assistant`, `voice assistant`, `tool` or `function`"
    )]
    Role {
        /// Counted from 0.
        message: usize,
        /// As written.
        role: String,
    },
}

/// What reading needs to know of a model. A conversation without pictures needs no preprocessor, one without sound no
/// rate.
#[derive(Debug, Default)]
pub struct Senses {
    /// Samples a second that the audio encoder hears.
    pub sample_rate: Option<u32>,
    /// How pictures become patch rows.
    pub preprocessor: Option<Preprocessor>,
}

impl Case {
    /// Whether the conversation holds sound, and whether it holds pictures.
    pub fn senses(&self) -> (bool, bool) {
        let items = || self.messages.iter().flat_map(|message| &message.content);
        let heard = items().any(|item| matches!(item, CaseItem::Audio(_) | CaseItem::Interleaved { .. }));
        let seen = items().any(|item| matches!(item, CaseItem::Image(_) | CaseItem::Video { .. } | CaseItem::Interleaved { .. }));
        (heard, seen)
    }
}

impl Media {
    /// Opens every file of `case`.
    ///
    /// # Errors
    /// [`MediaError`], naming message and item.
    ///
    /// # Panics
    /// When `senses` lacks what [`Case::senses`] asks for.
    pub fn read(case: &Case, senses: &Senses, progress: &mut dyn FnMut(Progress)) -> Result<Self, MediaError> {
        let mut reader = Reader { senses, notices: Vec::new(), patches: 0, progress };
        let mut messages = Vec::new();
        for (message, turn) in case.messages.iter().enumerate() {
            let role = role(&turn.role).ok_or_else(|| MediaError::Role { message, role: turn.role.clone() })?;
            let item = |(item, content)| reader.item(role, content).map_err(|source| MediaError::Item { message, item, source });
            messages.push(MediaMessage { role, items: turn.content.iter().enumerate().map(item).collect::<Result<_, _>>()? });
        }
        Ok(Self { messages, notices: reader.notices })
    }
}

fn role(name: &str) -> Option<Role> {
    Some(match name {
        "user" => Role::User,
        "system" => Role::System,
        "assistant" => Role::Assistant,
        "voice assistant" => Role::VoiceAssistant,
        "tool" => Role::Tool,
        "function" => Role::Function,
        _ => return None,
    })
}

struct Reader<'r> {
    senses: &'r Senses,
    notices: Vec<String>,
    patches: usize,
    progress: &'r mut dyn FnMut(Progress),
}

impl Reader<'_> {
    fn item(&mut self, role: Role, content: &CaseItem) -> Result<MediaItem, ItemMediaError> {
        let visual = matches!(content, CaseItem::Image(_) | CaseItem::Video { .. } | CaseItem::Interleaved { .. });
        if visual && role != Role::User {
            return Err(ItemMediaError::NotTheUser);
        }
        Ok(match content {
            CaseItem::Text(text) => MediaItem::Text(text.clone()),
            CaseItem::AudioCodec { text, segments } => MediaItem::Spoken { text: text.clone(), segments: segments.clone() },
            CaseItem::Audio(files) => MediaItem::Audio(self.sound(None, files)?),
            CaseItem::Image(file) => {
                let unit = self.preprocessor().still(&read_picture(file, Alpha::Drop)?)?;
                self.count(&unit)?;
                MediaItem::Image(unit)
            }
            CaseItem::Video { video, meta } => {
                let (video, clip) = open(video)?;
                MediaItem::Video(self.units(&video, clip, sample_video(clip, meta))?)
            }
            CaseItem::Interleaved { video, audio, meta } => {
                let (video, clip) = open(video)?;
                let sampled = sample_interleaved(clip, &meta.sampling);
                let (plan, interleaving) = sampled.map_err(|source| ItemMediaError::Clip { file: video.path().into(), source })?;
                let audio = self.sound(meta.use_audio_track.then_some(&video), audio)?;
                MediaItem::Interleaved { units: self.units(&video, clip, Ok(plan))?, audio, strategy: strategy(meta, interleaving) }
            }
        })
    }

    fn preprocessor(&self) -> &Preprocessor {
        self.senses.preprocessor.as_ref().expect("a conversation with pictures is read with a preprocessor")
    }

    /// The sampled pictures of a clip, two a unit, one pair in memory at a time.
    fn units(
        &mut self,
        video: &VideoFile,
        clip: Clip,
        plan: Result<SamplingPlan, PictureError>,
    ) -> Result<Vec<(VisualUnit, f64)>, ItemMediaError> {
        let unusable = |source| ItemMediaError::Clip { file: video.path().into(), source };
        let plan = plan.map_err(unusable)?;
        plan.frames(clip).map_err(unusable)?;
        let mut pictures = video.pictures(&plan.indices)?;
        let mut units = Vec::with_capacity(plan.seconds.len());
        while let Some(first) = pictures.next() {
            let first = first?;
            let second = pictures.next().unwrap_or_else(|| Ok(first.clone()))?;
            let unit = self.preprocessor().pair(&first, &second, plan.indices.len()).map_err(unusable)?;
            self.count(&unit)?;
            units.push((unit, plan.seconds[units.len()]));
            (self.progress)(Progress { stage: Stage::Watch, done: units.len(), total: plan.seconds.len() });
        }
        Ok(units)
    }

    fn count(&mut self, unit: &VisualUnit) -> Result<(), ItemMediaError> {
        self.patches += unit.grid.count();
        if self.patches > PATCHES_MAX { Err(ItemMediaError::TooManyPatches) } else { Ok(()) }
    }

    /// The sound track and then the files, joined, cut to what one audio item may have.
    fn sound(&mut self, track: Option<&VideoFile>, files: &[PathBuf]) -> Result<Waveform, ItemMediaError> {
        let rate = self.senses.sample_rate.expect("a conversation with sound is read with a sample rate");
        let of = |file: &Path| {
            let file = file.to_path_buf();
            move |problem: String| ItemMediaError::Sound { file, problem }
        };
        let converted =
            |file: &Path, sound: Result<Waveform, ResampleError>| sound.map(Waveform::into_samples).map_err(|e| of(file)(e.to_string()));
        let samples_max = (CLIP_SECONDS_MAX * rate) as usize;
        let mut samples = Vec::new();
        let mut cut = false;
        if let Some(video) = track {
            // One second more than is kept shows whether the track goes on.
            let (sound, from) = video.sound(CLIP_SECONDS_MAX + 1)?;
            let sound = Waveform::new(sound).map_err(|e| of(video.path())(e.to_string()))?;
            samples.extend(converted(video.path(), sinc_resample(&sound, from, rate))?);
        }
        for file in files {
            let recording = read_audio(file, CLIP_SECONDS_MAX)?;
            cut |= recording.cut;
            samples.extend(converted(file, resample(&recording.waveform, recording.sample_rate, rate))?);
        }
        if cut || samples.len() > samples_max {
            let names: Vec<_> =
                track.map(VideoFile::path).into_iter().chain(files.iter().map(PathBuf::as_path)).map(|p| p.display().to_string()).collect();
            self.notices.push(format!("{}: longer than {CLIP_SECONDS_MAX} s; the rest is not heard", names.join(" + ")));
        }
        samples.truncate(samples_max);
        Ok(Waveform::new(samples).expect("resampling gives finite samples"))
    }
}

fn open(file: &Path) -> Result<(VideoFile, Clip), VideoError> {
    let video = VideoFile::open(file)?;
    let (frames, fps) = video.rate()?;
    Ok((video, Clip { frames: frames as u64, fps }))
}

/// The published interleaver counts in units a chunk; ours in milliseconds between units.
fn strategy(meta: &InterleavedMeta, interleaving: Interleaving) -> Strategy {
    match interleaving {
        Interleaving::Sequential if !meta.average => {
            let unit_ms = (f64::from(SECOND_MS) / meta.sampling.units_a_second).round() as u32;
            Strategy::Sequential { chunk_ms: DENSE_CHUNK_MS, unit_ms }
        }
        _ => Strategy::Average { parity: false },
    }
}
