//! From the steps of a reply to clean text, codec frames and sound, and the two files of a case.
//!
//! `<case>.json` holds `text` and `audio_codes` in the published form, offset still in; `<case>.wav` holds the sound.

use std::path::{Path, PathBuf};

use caracal_edge::codec::{AudioDecoder, CodecFrame, CodecIds, DecoderConfig};
use caracal_shared::post_process::{CodecCodes, codec_frames, reply_text};
use caracal_shared::tokenize::{Tokenize, TokenizeError};
use serde::Serialize;

use super::reply::Reply;

/// What came of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Positions of the prompt.
    pub prompt_rows: usize,
    /// The reply for people: no marker left.
    pub text: String,
    /// What was generated.
    pub reply: Reply,
    /// Segments that were begun.
    pub segments: usize,
    /// Codec frames, offset still in.
    pub audio_codes: Vec<CodecCodes>,
    /// The sound, when the reply is spoken.
    pub sound: Option<Sound>,
    /// What the user should know: what was left out, where the reply was cut.
    pub notices: Vec<String>,
}

/// Samples of a spoken reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Between -1 and 1.
    pub samples: Vec<f32>,
    /// Samples a second.
    pub rate: u32,
}

/// A result cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {problem}. Check the folder of `--out` and the space left.", file.display())]
pub struct WriteError {
    /// The file.
    pub file: PathBuf,
    /// The operating system's answer.
    pub problem: String,
}

/// The published form of `<case>.json`.
#[derive(Serialize)]
struct Written<'o> {
    text: &'o str,
    audio_codes: &'o [CodecCodes],
}

impl Outcome {
    /// Cleans the text of `reply` and pairs its codes to frames.
    ///
    /// # Errors
    /// As [`Tokenize::decode`].
    pub fn of(reply: Reply, tokenizer: &dyn Tokenize, pause: u32) -> Result<Self, TokenizeError> {
        Ok(Self {
            prompt_rows: 0,
            text: reply_text(tokenizer, reply.text.iter().copied())?,
            segments: reply.segments(pause),
            audio_codes: codec_frames(&reply.codes),
            sound: None,
            notices: Vec::new(),
            reply,
        })
    }

    /// Decodes the frames to sound. Ids that the codec has no row for are replaced, and told.
    pub fn speak(&mut self, decoder: &AudioDecoder, config: &DecoderConfig) {
        let ids = CodecIds::new(config);
        let mut frames: Vec<CodecFrame> = Vec::with_capacity(self.audio_codes.len());
        let mut replaced = 0;
        for codes in &self.audio_codes {
            let read = ids.read(frames.last(), &codes.map(i64::from));
            replaced += read.replaced;
            frames.push(read.frame);
        }
        if replaced > 0 {
            self.notices
                .push(format!("{replaced} of the generated codes are none of the codec's; the sound repeats the codes before them"));
        }
        self.sound = Some(Sound { samples: decoder.offline(&frames), rate: decoder.sample_rate });
    }

    /// Writes `<name>.json` and, for a spoken reply, `<name>.wav` into `folder`, which is made if need be. Returns what
    /// was written.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write(&self, folder: &Path, name: &str) -> Result<Vec<PathBuf>, WriteError> {
        let failed = |file: &Path, problem: String| WriteError { file: file.into(), problem };
        std::fs::create_dir_all(folder).map_err(|e| failed(folder, e.to_string()))?;
        let json = folder.join(format!("{name}.json"));
        let written =
            serde_json::to_string_pretty(&Written { text: &self.text, audio_codes: &self.audio_codes }).expect("text and numbers are JSON");
        std::fs::write(&json, written).map_err(|e| failed(&json, e.to_string()))?;
        let mut files = vec![json];
        if let Some(sound) = &self.sound {
            let wav = folder.join(format!("{name}.wav"));
            sound.write(&wav).map_err(|e| failed(&wav, e.to_string()))?;
            files.push(wav);
        }
        Ok(files)
    }
}

impl Sound {
    /// Writes it as 16-bit mono WAV.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), hound::Error> {
        let spec = hound::WavSpec { channels: 1, sample_rate: self.rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
        let mut writer = hound::WavWriter::create(file, spec)?;
        for sample in &self.samples {
            writer.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16)?;
        }
        writer.finalize()
    }
}
