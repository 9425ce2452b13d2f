//! Spoken turns of the past as rows: text in one stream, codes in the other, acoustic codes one row late.
//!
//! Source: LongCat-Flash-Omni technical report, figure 6; the demo's codec converter.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::error::ItemError;
use super::rows::Row;
use super::user_text::{MarkersInText, encode_text};
use crate::ids::{CODE_END, CODE_OFFSET, CODE_PAD, PAUSE, TEXT_PAD};
use crate::post_process::CodecCodes;
use crate::reply::CODEBOOKS;
use crate::tokenize::{Markers, Tokenize};

/// Whose speech it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The model: the text runs beside the codes.
    Model,
    /// The user: the text stream is all pads, the model shall listen.
    User,
}

/// The code rows of one segment: one more than its frames.
///
/// Row 0 has no acoustic codes, row k has those of frame k - 1, the last row has the semantic end.
///
/// # Errors
/// [`ItemError::CodeTooLarge`].
pub fn code_rows(frames: &[CodecCodes]) -> Result<Vec<[u32; CODEBOOKS]>, ItemError> {
    let with_offset = |index: u32| index.checked_add(CODE_OFFSET).ok_or(ItemError::CodeTooLarge { index });
    let mut rows = Vec::with_capacity(frames.len() + 1);
    let mut acoustic = [CODE_PAD; 3];
    for [semantic, a1, a2, a3] in frames {
        rows.push([with_offset(*semantic)?, acoustic[0], acoustic[1], acoustic[2]]);
        acoustic = [with_offset(*a1)?, with_offset(*a2)?, with_offset(*a3)?];
    }
    rows.push([CODE_END, acoustic[0], acoustic[1], acoustic[2]]);
    Ok(rows)
}

/// Rows of a whole spoken turn: its segments one after the other.
///
/// The text of a segment ends with `</pause>`, that of the last with `</longcat_s>`, and is filled up with pads.
///
/// # Errors
/// [`ItemError::Segments`] when text and codes disagree on how many segments there are,
/// [`ItemError::TextLongerThanAudio`], [`ItemError::CodeTooLarge`], [`ItemError::Tokenize`].
pub fn spoken_rows(
    tokenizer: &dyn Tokenize,
    markers: &Markers,
    text: &str,
    segments: &[Vec<CodecCodes>],
    speaker: Speaker,
    policy: MarkersInText,
) -> Result<Vec<Row>, ItemError> {
    let texts: Vec<&str> = text.split(PAUSE).collect();
    if texts.len() != segments.len() {
        return Err(ItemError::Segments { texts: texts.len(), audio: segments.len() });
    }
    let mut rows = Vec::new();
    for (index, (text, frames)) in texts.iter().zip(segments).enumerate() {
        let codes = code_rows(frames)?;
        let mut ids = match speaker {
            Speaker::User => Vec::new(),
            Speaker::Model => {
                let mut ids = encode_text(tokenizer, text, policy)?;
                ids.push(if index + 1 == texts.len() { markers.end } else { markers.pause });
                ids
            }
        };
        if ids.len() > codes.len() {
            return Err(ItemError::TextLongerThanAudio { text: text.to_string(), ids: ids.len(), rows: codes.len() });
        }
        ids.resize(codes.len(), TEXT_PAD);
        rows.extend(ids.into_iter().zip(codes).map(|(text, codes)| Row { text, codes }));
    }
    Ok(rows)
}
