//! Ids of the language model's four audio heads, and the codes of the codec that they stand for.
//!
//! An id is a code plus 32; below that lie the end of a round (2), padding (3) and reserved places. The heads have more
//! outputs than the acoustic tables have rows, so an id can be one that the decoder cannot index: the audio keeps
//! flowing with the value that the codebook had in the frame before (code 0 if there was none), as a repeated sound is
//! the least audible of wrong ones, and the frame says how many values were replaced.
//!
//! Source: LongCat-Flash-Omni, the ids of its audio heads and its codec converter; what production does with invalid ids
//! is not published.

use super::config::DecoderConfig;

/// Added to a code to make an id.
pub const ID_OFFSET: i64 = 32;
/// Semantic id that ends a round.
pub const END_ID: i64 = 2;
/// Id of a position without sound.
pub const PAD_ID: i64 = 3;

/// The codes of 60 ms of speech, each within its table: made by [`CodecIds`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecFrame {
    semantic: u32,
    acoustic: Vec<u32>,
}

impl CodecFrame {
    /// Row of the semantic table.
    pub fn semantic(&self) -> u32 {
        self.semantic
    }

    /// Packed code of each acoustic codebook, a x size + b; there may be fewer than the decoder has codebooks.
    pub fn acoustic(&self) -> &[u32] {
        &self.acoustic
    }
}

/// Which ids a decoder can index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecIds {
    semantic_codes: i64,
    codebooks: usize,
    codebook_size: i64,
}

/// A frame, and how many of its values had to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFrame {
    /// The frame.
    pub frame: CodecFrame,
    /// Values taken from the frame before because the id given was not usable.
    pub replaced: usize,
}

/// Codes that no table has a row for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {found}, expected {expected}. The codes are not of this codec.")]
pub struct InvalidCodes {
    what: String,
    found: i64,
    expected: String,
}

impl CodecIds {
    /// The ids of the decoder with this config.
    pub fn new(config: &DecoderConfig) -> Self {
        Self { semantic_codes: config.semantic_codes as i64, codebooks: config.codebooks, codebook_size: config.codebook_size as i64 }
    }

    /// Number of packed codes of an acoustic codebook.
    pub fn acoustic_codes(&self) -> i64 {
        self.codebook_size * self.codebook_size
    }

    /// Whether `id` stands for a code of the semantic codebook.
    pub fn is_semantic(&self, id: i64) -> bool {
        code(id, self.semantic_codes).is_some()
    }

    /// Whether `id` stands for a code of an acoustic codebook.
    pub fn is_acoustic(&self, id: i64) -> bool {
        code(id, self.acoustic_codes()).is_some()
    }

    /// Reads one row of ids, semantic first. Acoustic ids beyond the decoder's codebooks are not used; missing ones
    /// are replaced like invalid ones.
    pub fn read(&self, previous: Option<&CodecFrame>, ids: &[i64]) -> ReadFrame {
        let mut replaced = 0;
        let mut pick = |found: Option<u32>, before: Option<u32>| {
            replaced += usize::from(found.is_none());
            found.or(before).unwrap_or(0)
        };
        let semantic = pick(ids.first().and_then(|id| code(*id, self.semantic_codes)), previous.map(CodecFrame::semantic));
        let acoustic = (0..self.codebooks)
            .map(|book| {
                pick(
                    ids.get(book + 1).and_then(|id| code(*id, self.acoustic_codes())),
                    previous.and_then(|p| p.acoustic.get(book)).copied(),
                )
            })
            .collect();
        ReadFrame { frame: CodecFrame { semantic, acoustic }, replaced }
    }

    /// A frame of codes (without the offset), with as many acoustic codes as there are, at least one.
    ///
    /// # Errors
    /// [`InvalidCodes`] naming the codebook.
    pub fn frame(&self, semantic: i64, acoustic: &[i64]) -> Result<CodecFrame, InvalidCodes> {
        let check = |what: String, found: i64, count: i64| {
            let invalid = || InvalidCodes { what, found, expected: format!("0 to {}", count - 1) };
            code(found.saturating_add(ID_OFFSET), count).ok_or_else(invalid)
        };
        if acoustic.is_empty() || acoustic.len() > self.codebooks {
            let expected = format!("1 to {}", self.codebooks);
            return Err(InvalidCodes { what: "the number of acoustic codes".into(), found: acoustic.len() as i64, expected });
        }
        let semantic = check("the semantic code".into(), semantic, self.semantic_codes)?;
        let acoustic = acoustic.iter().enumerate().map(|(book, code)| check(format!("acoustic code {book}"), *code, self.acoustic_codes()));
        Ok(CodecFrame { semantic, acoustic: acoustic.collect::<Result<_, _>>()? })
    }
}

fn code(id: i64, codes: i64) -> Option<u32> {
    id.checked_sub(ID_OFFSET).filter(|code| (0..codes).contains(code)).and_then(|code| u32::try_from(code).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: CodecIds = CodecIds { semantic_codes: 8192, codebooks: 3, codebook_size: 90 };

    #[test]
    fn the_published_ranges_are_valid_and_nothing_else() {
        assert!(IDS.is_semantic(32) && IDS.is_semantic(8223) && !IDS.is_semantic(31) && !IDS.is_semantic(8224));
        assert!(IDS.is_acoustic(32) && IDS.is_acoustic(8131) && !IDS.is_acoustic(8132));
        for id in [END_ID, PAD_ID, -1_000_013, i64::MIN, i64::MAX] {
            assert!(!IDS.is_semantic(id) && !IDS.is_acoustic(id), "{id}");
        }
    }

    #[test]
    fn an_invalid_id_repeats_the_value_of_the_frame_before() {
        let first = IDS.read(None, &[132, 42, 8132, 52]);
        assert_eq!((first.frame.semantic(), first.frame.acoustic(), first.replaced), (100, &[10, 0, 20][..], 1));
        let second = IDS.read(Some(&first.frame), &[3, 43, 44, i64::MIN]);
        assert_eq!((second.frame.semantic(), second.frame.acoustic(), second.replaced), (100, &[11, 12, 20][..], 2));
        let short = IDS.read(Some(&second.frame), &[33]);
        assert_eq!((short.frame.semantic(), short.frame.acoustic(), short.replaced), (1, &[11, 12, 20][..], 3));
    }

    #[test]
    fn codes_outside_their_table_are_named() {
        assert_eq!(IDS.frame(8191, &[8099]).unwrap().acoustic(), [8099]);
        let message = IDS.frame(0, &[0, 8100]).unwrap_err().to_string();
        assert!(message.contains("acoustic code 1 is 8100, expected 0 to 8099"), "{message}");
        assert!(IDS.frame(-1, &[0]).unwrap_err().to_string().contains("semantic code is -1"));
        assert!(IDS.frame(0, &[]).is_err() && IDS.frame(0, &[0; 4]).is_err() && IDS.frame(i64::MAX, &[0]).is_err());
    }
}
