//! The order of pictures and sound inside one item.
//!
//! Hop 8. Source: LongCat-Flash-Omni technical report §2.4.2; the demo's data converter.

use alloc::vec::Vec;

use crate::rates::{AUDIO_EMBEDDING_MS, SECOND_MS};

/// How to mix pictures and sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Chunks in time: the units of a chunk, then its audio. Surplus units come first, surplus audio last.
    Sequential {
        /// Time of one chunk; [`crate::rates::DENSE_CHUNK_MS`] in the demo.
        chunk_ms: u32,
        /// Time between two units; a second in the demo. At most a second: slower units belong in front of the turn.
        unit_ms: u32,
    },
    /// The same count of audio embeddings after every unit.
    Average {
        /// Whether to keep the published quirks: no end marker for a single unit without remainder, and one after every
        /// unit from the second when there is no audio. Otherwise there is exactly one pair of markers, or none when
        /// there is no audio.
        parity: bool,
    },
}

/// What stands at one place of an interleaved item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The unit of this index, with its timestamp.
    Unit(usize),
    /// The marker before the first audio.
    AudioStart,
    /// So many audio embeddings, at least one.
    Audio(u32),
    /// The marker after the last audio.
    AudioEnd,
}

/// Pictures and sound do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterleaveError {
    /// Nothing to interleave with.
    #[error("an interleaved item has no video unit. Give it as an audio item.")]
    NoUnits,
    /// The chunk is no whole number of units, or no time at all.
    #[error(
        "chunks of {chunk_ms} ms cannot be made of units of {unit_ms} ms. The unit must divide the chunk and last at most a second; put sparser pictures in a video item in front."
    )]
    Chunk {
        /// Time of a chunk.
        chunk_ms: u32,
        /// Time between units.
        unit_ms: u32,
    },
    /// Whole chunks would need another number of units.
    #[error("{units} video units do not fill whole chunks of {per_chunk}: they would need {needed}. Add or drop units at the end.")]
    Incomplete {
        /// Units given.
        units: usize,
        /// Units per chunk.
        per_chunk: usize,
        /// Units that the chunks would hold.
        needed: usize,
    },
}

/// Audio embeddings per chunk: a base count, and one more in every `every`-th chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRhythm {
    /// Embeddings of every chunk.
    pub base: u32,
    /// Which chunks get one more; `None` when the chunk is a whole number of embeddings.
    pub every: Option<u32>,
}

impl ChunkRhythm {
    /// The rhythm of chunks of `chunk_ms`: 12, 13, 12, 13… for a second.
    ///
    /// Where the remainder is not one part of the denominator (600 ms: 7.5 is fine, 300 ms: 3.75 is not), chunks lag
    /// behind the time and the last chunk takes what is left, as published.
    pub fn of(chunk_ms: u32) -> Self {
        let (mut a, mut b) = (AUDIO_EMBEDDING_MS, chunk_ms % AUDIO_EMBEDDING_MS);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let denominator = AUDIO_EMBEDDING_MS / a;
        Self { base: chunk_ms / AUDIO_EMBEDDING_MS, every: (denominator > 1).then_some(denominator) }
    }

    /// Embeddings of the chunk of this index.
    pub fn count(self, chunk: usize) -> u32 {
        let extra = self.every.is_some_and(|every| (chunk as u64 + 1).is_multiple_of(every.into()));
        self.base + u32::from(extra)
    }
}

/// Puts `units` pictures and `audio` embeddings in order. Every unit and every embedding is placed once.
///
/// # Errors
/// See [`InterleaveError`].
pub fn interleave(units: usize, audio: u32, strategy: Strategy) -> Result<Vec<Part>, InterleaveError> {
    if units == 0 {
        return Err(InterleaveError::NoUnits);
    }
    match strategy {
        Strategy::Sequential { chunk_ms, unit_ms } => sequential(units, audio, chunk_ms, unit_ms),
        Strategy::Average { parity: true } => Ok(average_as_published(units, audio)),
        Strategy::Average { parity: false } => Ok(average(units, audio)),
    }
}

fn sequential(units: usize, audio: u32, chunk_ms: u32, unit_ms: u32) -> Result<Vec<Part>, InterleaveError> {
    if chunk_ms == 0 || unit_ms == 0 || unit_ms > SECOND_MS || !chunk_ms.is_multiple_of(unit_ms) {
        return Err(InterleaveError::Chunk { chunk_ms, unit_ms });
    }
    let per_chunk = (chunk_ms / unit_ms) as usize;
    let video_chunks = units.div_ceil(per_chunk);
    let audio_chunks = (u64::from(audio) * u64::from(AUDIO_EMBEDDING_MS)).div_ceil(chunk_ms.into());
    let mixed = usize::try_from(audio_chunks).map_or(video_chunks, |chunks| chunks.min(video_chunks));
    if video_chunks * per_chunk != units {
        return Err(InterleaveError::Incomplete { units, per_chunk, needed: video_chunks * per_chunk });
    }
    let surplus = (video_chunks - mixed) * per_chunk;
    let mut parts: Vec<Part> = (0..surplus).map(Part::Unit).collect();
    let rhythm = ChunkRhythm::of(chunk_ms);
    let mut left = audio;
    for chunk in 0..mixed {
        let first = surplus + chunk * per_chunk;
        parts.extend((first..first + per_chunk).map(Part::Unit));
        if chunk == 0 {
            parts.push(Part::AudioStart);
        }
        let count = if chunk + 1 == mixed { left } else { rhythm.count(chunk).min(left) };
        if count > 0 {
            parts.push(Part::Audio(count));
        }
        left -= count;
    }
    if mixed > 0 {
        parts.push(Part::AudioEnd);
    }
    Ok(parts)
}

fn average(units: usize, audio: u32) -> Vec<Part> {
    if audio == 0 {
        return (0..units).map(Part::Unit).collect();
    }
    let each = u32::try_from(units).map_or(0, |units| audio / units);
    let mut parts = Vec::new();
    let mut left = audio;
    for unit in 0..units {
        parts.push(Part::Unit(unit));
        if unit == 0 {
            parts.push(Part::AudioStart);
        }
        let count = if unit + 1 == units { left } else { each };
        if count > 0 {
            parts.push(Part::Audio(count));
        }
        left -= count;
    }
    parts.push(Part::AudioEnd);
    parts
}

/// The published loop, with its missing and its repeated end markers.
fn average_as_published(units: usize, audio: u32) -> Vec<Part> {
    let each = u32::try_from(units).map_or(0, |units| audio / units);
    let mut parts = Vec::new();
    let mut left = audio;
    let push = |parts: &mut Vec<Part>, count: u32| match parts.last_mut() {
        _ if count == 0 => {}
        Some(Part::Audio(before)) => *before += count,
        _ => parts.push(Part::Audio(count)),
    };
    for unit in 0..units {
        parts.push(Part::Unit(unit));
        if unit == 0 {
            parts.push(Part::AudioStart);
        }
        let last = unit > 0 && left == each;
        push(&mut parts, each);
        left -= each;
        if last {
            parts.push(Part::AudioEnd);
        }
    }
    if left > 0 {
        push(&mut parts, left);
        parts.push(Part::AudioEnd);
    }
    parts
}
