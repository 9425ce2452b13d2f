//! Speech on its way down: four codes every 60 ms, 13 bits each.
//!
//! Hop Q6 to Q7. A frame takes 52 bits, so n frames take `ceil(52 n / 8)` bytes; the count follows from the length,
//! because no rest of 8 bits or more is left.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::error::WireError;
use crate::limits::SPEECH_FRAMES_MAX;
use crate::reply::CODEBOOKS;

/// Bits of one code: 8192 codes and no reserved id.
const CODE_BITS: usize = 13;
/// Bits of one frame.
const FRAME_BITS: usize = CODE_BITS * CODEBOOKS;

/// Codebook indices of one codec frame, without offset, semantic first.
pub type SpeechFrame = [u16; CODEBOOKS];

/// Frames as bits, the first code in the lowest ones.
///
/// # Panics
/// When a code needs more than 13 bits, which no codebook has.
pub fn pack_frames(frames: &[SpeechFrame]) -> Vec<u8> {
    let mut bytes = alloc::vec![0u8; (FRAME_BITS * frames.len()).div_ceil(8)];
    for (index, code) in frames.iter().flatten().enumerate() {
        assert!(usize::from(*code) < 1 << CODE_BITS, "speech: code {code} has more than {CODE_BITS} bits");
        for bit in (0..CODE_BITS).filter(|bit| code >> bit & 1 == 1) {
            let at = index * CODE_BITS + bit;
            bytes[at / 8] |= 1 << (at % 8);
        }
    }
    bytes
}

/// Frames from bits.
///
/// # Errors
/// [`WireError::Field`] for a length that no number of frames has, [`WireError::TooMany`].
pub fn unpack_frames(bytes: &[u8]) -> Result<Vec<SpeechFrame>, WireError> {
    let count = bytes.len() * 8 / FRAME_BITS;
    if count == 0 || (count * FRAME_BITS).div_ceil(8) != bytes.len() {
        return Err(WireError::Field { field: "speech.codes", found: bytes.len().to_string(), expected: "whole frames of 52 bits" });
    }
    if count > SPEECH_FRAMES_MAX {
        return Err(WireError::TooMany { field: "speech.codes", found: count, limit: SPEECH_FRAMES_MAX });
    }
    let bit = |at: usize| u16::from(bytes[at / 8] >> (at % 8) & 1);
    let code = |index: usize| (0..CODE_BITS).fold(0, |code, b| code | bit(index * CODE_BITS + b) << b);
    Ok((0..count).map(|frame| core::array::from_fn(|book| code(frame * CODEBOOKS + book))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_seven_bytes_are_one() {
        for count in 1..9u16 {
            let frames: Vec<SpeechFrame> = (0..count).map(|i| [8191 - i, 0, 4096 + i, 1]).collect();
            let bytes = pack_frames(&frames);
            assert_eq!(bytes.len(), (usize::from(count) * 13).div_ceil(2));
            assert_eq!(unpack_frames(&bytes).unwrap(), frames);
        }
        for length in [0, 1, 6, 8, 12, 15] {
            assert!(unpack_frames(&alloc::vec![0; length]).is_err(), "{length}");
        }
    }
}
