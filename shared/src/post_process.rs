//! From a generated reply to what a person sees and hears: clean text, and codec frames.
//!
//! Hop 11 to 12. Acoustic codes come one step after the semantic code of the same frame, and all codes carry an offset.
//!
//! Source: LongCat-Flash-Omni post-processor; LongCat-Audio-Codec (index range).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::ids::{CODE_END, CODE_OFFSET, END, PAUSE};
use crate::reply::CODEBOOKS;
use crate::tokenize::{Tokenize, TokenizeError};

/// One codec frame of 60 ms: semantic code, then three acoustic ones.
pub type CodecCodes = [u32; CODEBOOKS];

/// Removes the markers of a spoken reply from its text.
///
/// A pause after a full stop becomes a space; other pauses and all ends vanish; white space around is trimmed. Doubled
/// spaces inside stay, as published.
pub fn clean_text(raw: &str) -> String {
    raw.replace(".</pause>", ". ").replace(PAUSE, "").replace(END, "").trim().to_string()
}

/// The text of a reply from the ids it emitted; `None` is a step without text. Id 0 is dropped too, as published.
///
/// # Errors
/// As [`Tokenize::decode`].
pub fn reply_text(tokenizer: &dyn Tokenize, ids: impl IntoIterator<Item = Option<u32>>) -> Result<String, TokenizeError> {
    let ids: Vec<u32> = ids.into_iter().flatten().filter(|id| *id != 0).collect();
    Ok(clean_text(&tokenizer.decode(&ids)?))
}

/// Joins each semantic code with the acoustic codes of the step after it.
///
/// # Units
/// One frame per step, one step late; none for a step that ended a segment, none for the last step of a reply.
///
/// # State
/// The semantic code that waits. A reply starts with the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FramePairing {
    waiting: Option<u32>,
}

impl FramePairing {
    /// Takes the recorded codes of one step; returns the frame they complete, offset still in.
    ///
    /// Codes that are missing where a frame needs them, which no reply machine produces, complete nothing.
    pub fn step(&mut self, codes: [Option<u32>; CODEBOOKS]) -> Option<CodecCodes> {
        let [semantic, a1, a2, a3] = codes;
        let before = core::mem::replace(&mut self.waiting, semantic.filter(|id| *id != CODE_END));
        Some([before?, a1?, a2?, a3?])
    }
}

/// All frames of a reply, offset still in.
pub fn codec_frames(steps: &[[Option<u32>; CODEBOOKS]]) -> Vec<CodecCodes> {
    let mut pairing = FramePairing::default();
    steps.iter().filter_map(|codes| pairing.step(*codes)).collect()
}

/// A generated reply as a spoken turn of the past: its text with pauses between segments, and each segment's frames
/// without the offset. `None` where the reply was cut off, or a segment has more words than sound: no spoken turn is so.
///
/// # Shapes
/// text, codes: what each step recorded
///
/// # Errors
/// As [`Tokenize::decode`].
pub fn spoken_turn(
    tokenizer: &dyn Tokenize,
    text: &[Option<u32>],
    codes: &[[Option<u32>; CODEBOOKS]],
) -> Result<Option<(String, Vec<Vec<CodecCodes>>)>, TokenizeError> {
    let (mut segments, mut frames, mut pairing, mut words) = (Vec::new(), Vec::new(), FramePairing::default(), 0);
    for (text, codes) in text.iter().zip(codes) {
        words += usize::from(text.is_some());
        frames.extend(pairing.step(*codes).map(|frame| frame.map(|code| code.saturating_sub(CODE_OFFSET))));
        if text.is_none() && codes[0] == Some(CODE_END) {
            if words > frames.len() + 1 {
                return Ok(None);
            }
            segments.push(core::mem::take(&mut frames));
            words = 0;
        }
    }
    let ids: Vec<u32> = text.iter().flatten().copied().collect();
    let text = tokenizer.decode(&ids)?.replace(END, "");
    Ok((text.split(PAUSE).count() == segments.len()).then_some((text, segments)))
}

/// Takes the offset off generated frames, so that the codec decoder can look them up.
///
/// Nothing masks the reserved ids, nor the acoustic ids that no code stands for, so the model may emit them. Such a code
/// is replaced by the one of the frame before; a first frame that has one is dropped.
///
/// # State
/// The last frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveOffset {
    sizes: [u32; CODEBOOKS],
    last: Option<CodecCodes>,
}

impl RemoveOffset {
    /// For a codec with `sizes` codes per codebook.
    pub fn new(sizes: [u32; CODEBOOKS]) -> Self {
        Self { sizes, last: None }
    }

    /// Codebook indices of one frame, each below its codebook's size.
    pub fn step(&mut self, frame: CodecCodes) -> Option<CodecCodes> {
        let mut indices = [0; CODEBOOKS];
        for book in 0..CODEBOOKS {
            let index = frame[book].checked_sub(CODE_OFFSET).filter(|index| *index < self.sizes[book]);
            indices[book] = index.or(self.last.map(|last| last[book]))?;
        }
        self.last = Some(indices);
        self.last
    }
}
