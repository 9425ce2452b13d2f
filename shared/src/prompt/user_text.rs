//! Text whose markers have lost their power.
//!
//! A tokenizer turns `<|audio|>`, `</longcat_s>` or `<mask_113>` into one id that means something to the model, wherever
//! it stands. A person who types such a string must not be able to open an audio turn or to end a reply. So a text is
//! cut inside every such string, after its first character, and the pieces are tokenised apart: the model still reads
//! every character that was typed, but as ordinary text.

use alloc::vec::Vec;

use super::error::ItemError;
use crate::ids::ALIASES;
use crate::tokenize::{Tokenize, TokenizeError};

/// What to do with marker strings in the text of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarkersInText {
    /// Read them as ordinary text.
    #[default]
    Defuse,
    /// Refuse the item, naming the marker.
    Refuse,
    /// Let them be markers, as the published demo does. Only for text that no stranger wrote.
    Allow,
}

/// Turns the text of an item into ids.
///
/// # Errors
/// [`ItemError::Marker`] under [`MarkersInText::Refuse`]; [`ItemError::Tokenize`].
pub fn encode_text(tokenizer: &dyn Tokenize, text: &str, policy: MarkersInText) -> Result<Vec<u32>, ItemError> {
    let mut cuts = Vec::new();
    if policy != MarkersInText::Allow {
        let strings = || ALIASES.iter().map(|(marker, _)| *marker).chain(tokenizer.added_tokens().iter().map(|token| token.as_str()));
        // Looking only where some marker may begin keeps this linear for a tokenizer with hundreds of added tokens.
        let mut firsts: Vec<char> = strings().filter_map(|string| string.chars().next()).collect();
        firsts.sort_unstable();
        firsts.dedup();
        for (at, first) in text.char_indices().filter(|(_, c)| firsts.binary_search(c).is_ok()) {
            if let Some(marker) = strings().find(|string| !string.is_empty() && text[at..].starts_with(string)) {
                if policy == MarkersInText::Refuse {
                    return Err(ItemError::Marker { marker: marker.into(), at });
                }
                cuts.push(at + first.len_utf8());
            }
        }
    }
    let mut ids = Vec::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([text.len()]) {
        ids.extend(tokenizer.encode(&text[start..end])?);
        start = end;
    }
    if policy != MarkersInText::Allow {
        refuse_marker_ids(tokenizer, &ids)?;
    }
    Ok(ids)
}

/// Cutting cannot help where the tokenizer makes an added token out of other characters, by normalising them or
/// because the token is a single character: such a text is refused.
fn refuse_marker_ids(tokenizer: &dyn Tokenize, ids: &[u32]) -> Result<(), ItemError> {
    let added = tokenizer.added_tokens().iter().filter_map(|token| Some((tokenizer.token_to_id(token)?, token)));
    let mut added: Vec<_> = added.collect();
    added.sort_unstable();
    match ids.iter().find_map(|id| added.binary_search_by_key(id, |(added, _)| *added).ok()) {
        None => Ok(()),
        Some(found) => {
            Err(ItemError::Tokenize(TokenizeError::Failed(alloc::format!("the text becomes the reserved token {}", added[found].1))))
        }
    }
}
