//! Conversation files in the published format: a JSON list of `{role, content: [item, …]}`.
//!
//! | item type | its value | `meta` keys |
//! |---|---|---|
//! | `text` | the text | |
//! | `audio` | path, or a list of paths that are joined | |
//! | `image` | path | |
//! | `video` | path | `bound`, `first_idx`, `fps`, `prefetch_duration`, `time_offset` |
//! | `multimodal_interleaved` | `{video: path, audio?: path or list}` | `frame_sample_strategy`, `sequential_sample_num_frame_per_sec`, `sequential_max_num_sample_frame`, `use_audio_track`, `time_offset`, `bound` |
//! | `audio_codec` | text with `</pause>` between segments | `codec_ids`: for each segment the list of `[semantic, acoustic 1, 2, 3]`, without the offset |
//!
//! Each item has `type`, the value under the key that `type` names, and `meta`. Paths are relative to the file. A key
//! that the published code reads and does not use is accepted; any other key is refused, because it may change what
//! the model is meant to hear.
//!
//! Source: the example conversations of the LongCat-Flash-Omni repository.

mod fields;
mod meta;

use std::path::{Path, PathBuf};

use caracal_edge::vision::VideoOptions;
use serde_json::Value;

use fields::Fields;
pub use meta::InterleavedMeta;

/// Largest conversation file: room for hours of spoken history as codes, 16 bytes a frame, and no more.
const CASE_BYTES_MAX: u64 = 16 << 20;
/// Codes of one step: semantic and three acoustic.
const CODEBOOKS: usize = 4;

/// Why a conversation file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}. Check the path and its permissions.", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A place in the file departs from the format.
    #[error("{}: {place}: {problem}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// Where: message and item count from 0, e.g. `message 0, item 1, field meta.bound`.
        place: String,
        /// What was found, what was expected.
        problem: String,
    },
}

/// A conversation whose media are still files.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// File name without extension: what the results are named after.
    pub name: String,
    /// Oldest first, at least one.
    pub messages: Vec<CaseMessage>,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseMessage {
    /// As written: `user`, `system`, `assistant`, `voice assistant`, ...
    pub role: String,
    /// In order, at least one.
    pub content: Vec<CaseItem>,
}

/// One item of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum CaseItem {
    /// Words.
    Text(String),
    /// Sound files, joined.
    Audio(Vec<PathBuf>),
    /// A picture file.
    Image(PathBuf),
    /// A clip without its sound.
    Video {
        /// The clip.
        video: PathBuf,
        /// How to sample it.
        meta: VideoOptions,
    },
    /// A clip and sound, cut into chunks that alternate.
    Interleaved {
        /// The clip.
        video: PathBuf,
        /// Sound files that are joined, after the clip's own track where that is used.
        audio: Vec<PathBuf>,
        /// How to sample and interleave.
        meta: InterleavedMeta,
    },
    /// A spoken turn of the past.
    AudioCodec {
        /// Segments joined by `</pause>`.
        text: String,
        /// For each segment its frames, raw indices.
        segments: Vec<Vec<[u32; CODEBOOKS]>>,
    },
}

impl Case {
    /// Reads a conversation file. No media are opened.
    ///
    /// # Errors
    /// [`CaseError`], naming message, item and field.
    pub fn read(file: &Path) -> Result<Self, CaseError> {
        let io = |source| CaseError::Io { file: file.to_path_buf(), source };
        let bytes = std::fs::metadata(file).map_err(io)?.len();
        if bytes > CASE_BYTES_MAX {
            return Err(io(std::io::Error::other(format!("{bytes} bytes, a conversation has {CASE_BYTES_MAX} at most"))));
        }
        let text = String::from_utf8(std::fs::read(file).map_err(io)?);
        Self::parse(file, &text.map_err(|_| whole(file, "not UTF-8 text; save it as UTF-8"))?)
    }

    /// Parses the text of a conversation file; `file` names it, and its folder is where paths start.
    ///
    /// # Errors
    /// [`CaseError::Field`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, CaseError> {
        let json: Value = serde_json::from_str(text).map_err(|e| whole(file, &format!("not JSON: {e}")))?;
        let Value::Array(list) = json else {
            return Err(whole(file, "expected a list of messages, `[{\"role\": \"user\", \"content\": [...]}]`"));
        };
        if list.is_empty() {
            return Err(whole(file, "the list of messages is empty; a conversation needs at least one"));
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let messages = list.into_iter().enumerate().map(|(index, value)| {
            let mut fields = Fields::open(file, format!("message {index}"), value)?;
            let role = fields.string("role")?;
            let Value::Array(items) = fields.take("content")? else {
                return Err(fields.wrong("content", "expected a list of items, `[{\"type\": \"text\", \"text\": \"...\"}]`"));
            };
            if items.is_empty() {
                return Err(fields.wrong("content", "the list of items is empty; leave the message out, or say something"));
            }
            fields.close(&[])?;
            let content = items
                .into_iter()
                .enumerate()
                .map(|(item, value)| read_item(folder, Fields::open(file, format!("message {index}, item {item}"), value)?));
            Ok(CaseMessage { role, content: content.collect::<Result<_, _>>()? })
        });
        let messages = messages.collect::<Result<_, CaseError>>()?;
        let name = file.file_stem().map_or_else(|| "case".to_string(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self { name, messages })
    }
}

fn whole(file: &Path, problem: &str) -> CaseError {
    CaseError::Field { file: file.to_path_buf(), place: "the whole file".into(), problem: problem.into() }
}

fn read_item(folder: &Path, mut fields: Fields) -> Result<CaseItem, CaseError> {
    let kind = fields.string("type")?;
    let mut meta = fields.meta()?;
    let item = match kind.as_str() {
        "text" => CaseItem::Text(fields.string("text")?),
        "audio" => CaseItem::Audio(paths(folder, &mut fields, "audio")?),
        "image" => CaseItem::Image(folder.join(fields.string("image")?)),
        "video" => CaseItem::Video { video: folder.join(fields.string("video")?), meta: meta::video(&mut meta)? },
        "multimodal_interleaved" => {
            let value = fields.take("multimodal_interleaved")?;
            let mut inner = fields.inside("multimodal_interleaved", value)?;
            let video = folder.join(inner.string("video")?);
            let audio = if inner.has("audio") { paths(folder, &mut inner, "audio")? } else { Vec::new() };
            inner.close(&[])?;
            CaseItem::Interleaved { video, audio, meta: meta::interleaved(&mut meta)? }
        }
        "audio_codec" => CaseItem::AudioCodec { text: fields.string("audio_codec")?, segments: segments(&mut meta)? },
        other => {
            let known = "`text`, `audio`, `image`, `video`, `multimodal_interleaved` or `audio_codec`";
            return Err(fields.wrong("type", &format!("unknown item type `{other}`, expected {known}")));
        }
    };
    meta.close(meta::UNUSED)?;
    fields.close(&[])?;
    Ok(item)
}

fn paths(folder: &Path, fields: &mut Fields, key: &str) -> Result<Vec<PathBuf>, CaseError> {
    match fields.take(key)? {
        Value::String(path) => Ok(vec![folder.join(path)]),
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_string) => {
            Ok(list.iter().filter_map(Value::as_str).map(|path| folder.join(path)).collect())
        }
        other => Err(fields.wrong(key, &format!("found {other}, expected a path or a list of paths"))),
    }
}

/// `codec_ids`: segments of frames of four indices.
fn segments(meta: &mut Fields) -> Result<Vec<Vec<[u32; CODEBOOKS]>>, CaseError> {
    serde_json::from_value(meta.take("codec_ids")?)
        .map_err(|e| meta.wrong("codec_ids", &format!("{e}; expected one list for each segment, of [semantic, acoustic 1, 2, 3]")))
}

#[cfg(test)]
mod tests;
