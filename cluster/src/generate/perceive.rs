//! Sound and pictures through their encoders: the prompt's items with their counts, and the rows that fill them.
//!
//! The compression ratio is one for the whole conversation, so all pictures are measured before the first is encoded.

use burn::tensor::Tensor;
use caracal_edge::audio::AudioPerception;
use caracal_edge::vision::{
    Grid, PictureError, PostSqueezeConfig, SqueezeOptions, VisionEncoder, VisualUnit, compression_ratio, target_grid,
};
use caracal_shared::prompt::{Item, Message, VideoUnit};

use super::media::{Media, MediaItem};
use super::progress::{Progress, Stage};

/// The encoders that a conversation needs.
#[derive(Debug, Default)]
pub struct Encoders {
    /// Front end, audio encoder and projector.
    pub audio: Option<AudioPerception>,
    /// ViT and projector, and how far tokens are pooled.
    pub vision: Option<(VisionEncoder, PostSqueezeConfig)>,
}

/// A conversation as the prompt needs it.
#[derive(Debug)]
pub struct Perceived {
    /// Turns whose items carry counts.
    pub messages: Vec<Message>,
    /// Rows of all sound in order, `[tokens, hidden]`.
    pub audio: Option<Tensor<2>>,
    /// Rows of all pictures in order, `[tokens, hidden]`.
    pub image: Option<Tensor<2>>,
}

/// Encodes what is heard and seen.
///
/// # Errors
/// [`PictureError::PooledAway`].
///
/// # Panics
/// When `encoders` lacks what the conversation holds.
pub fn perceive(media: Media, encoders: &Encoders, progress: &mut dyn FnMut(Progress)) -> Result<Perceived, PictureError> {
    let units: Vec<&VisualUnit> = media.messages.iter().flat_map(|message| &message.items).flat_map(item_units).collect();
    let pooled = pooled_grids(&units, encoders)?;
    let sounds =
        media.messages.iter().flat_map(|m| &m.items).filter(|i| matches!(i, MediaItem::Audio(_) | MediaItem::Interleaved { .. })).count();
    let total = units.len() + sounds;
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress(Progress { stage: Stage::Perceive, done, total });
    };
    let mut image = Vec::with_capacity(units.len());
    if let Some((encoder, _)) = &encoders.vision {
        for (unit, grid) in units.iter().zip(&pooled) {
            image.extend(encoder.embed(&[(*unit, *grid)]));
            step();
        }
    }
    let mut audio = Vec::new();
    let mut counts = pooled.iter().map(|grid| grid.count() as u32);
    let mut next = || counts.next().expect("one grid for each unit");
    let mut messages = Vec::new();
    for message in media.messages {
        let mut items = Vec::new();
        for item in message.items {
            items.push(match item {
                MediaItem::Text(text) => Item::Text(text),
                MediaItem::Spoken { text, segments } => Item::Spoken { text, segments },
                MediaItem::Image(_) => Item::Image { tokens: next() },
                MediaItem::Video(units) => Item::Video(timed(&units, &mut next)),
                MediaItem::Audio(waveform) => {
                    let heard = hear(encoders, &waveform);
                    step();
                    let tokens = count(heard.as_ref());
                    audio.extend(heard);
                    Item::Audio { tokens }
                }
                MediaItem::Interleaved { units, audio: waveform, strategy } => {
                    let heard = hear(encoders, &waveform);
                    step();
                    let tokens = count(heard.as_ref());
                    audio.extend(heard);
                    Item::Interleaved { units: timed(&units, &mut next), audio: tokens, strategy }
                }
            });
        }
        messages.push(Message { role: message.role, items });
    }
    let join = |rows: Vec<Tensor<2>>| (!rows.is_empty()).then(|| Tensor::cat(rows, 0));
    Ok(Perceived { messages, audio: join(audio), image: join(image) })
}

fn item_units(item: &MediaItem) -> Vec<&VisualUnit> {
    match item {
        MediaItem::Image(unit) => vec![unit],
        MediaItem::Video(units) | MediaItem::Interleaved { units, .. } => units.iter().map(|(unit, _)| unit).collect(),
        MediaItem::Text(_) | MediaItem::Audio(_) | MediaItem::Spoken { .. } => Vec::new(),
    }
}

fn pooled_grids(units: &[&VisualUnit], encoders: &Encoders) -> Result<Vec<Grid>, PictureError> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let (_, config) = encoders.vision.as_ref().expect("pictures are perceived with a vision encoder");
    let tokens: Vec<u64> = units.iter().map(|unit| unit.grid.tokens().count() as u64).collect();
    let ratio = compression_ratio(&tokens, config, &SqueezeOptions::default());
    units.iter().map(|unit| target_grid(unit.grid, ratio, config)).collect()
}

fn timed(units: &[(VisualUnit, f64)], next: &mut dyn FnMut() -> u32) -> Vec<VideoUnit> {
    units.iter().map(|(_, seconds)| VideoUnit { seconds: *seconds, tokens: next() }).collect()
}

fn hear(encoders: &Encoders, waveform: &caracal_edge::audio::Waveform) -> Option<Tensor<2>> {
    encoders.audio.as_ref().expect("sound is perceived with an audio encoder").offline(waveform)
}

fn count(rows: Option<&Tensor<2>>) -> u32 {
    rows.map_or(0, |rows| rows.dims()[0] as u32)
}
