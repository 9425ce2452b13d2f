//! What remains of an answer that was interrupted, and how a reply is closed in the history.
//!
//! Source: technical report §6.2 ("truncated at the nearest natural breakpoint, such as the most recent punctuation
//! mark"); the exact rule is ours, in the history shape of [`crate::prompt::code_rows`].

use alloc::vec::Vec;

use crate::ids::{CODE_END, CODE_PAD, NO_CODES, TEXT_PAD};
use crate::prompt::Row;
use crate::reply::{CODEBOOKS, NextInput};
use crate::tokenize::{Markers, Tokenize};

/// Characters after which speech may be broken off.
const BREAK_CHARACTERS: &str = ",.;:?!，。；：？！、…";

/// Text ids after which speech may be broken off, for any tokenizer: punctuation that is one token, the pause and the
/// end. For the released tokenizer the published list is [`crate::ids::BREAK_MARKS`].
pub fn break_marks(tokenizer: &dyn Tokenize, markers: &Markers) -> Vec<u32> {
    let mut marks: Vec<u32> = BREAK_CHARACTERS
        .chars()
        .filter_map(|c| match tokenizer.encode(c.encode_utf8(&mut [0; 4])).as_deref() {
            Ok([id]) => Some(*id),
            _ => None,
        })
        .chain([markers.pause, markers.end])
        .collect();
    marks.sort_unstable();
    marks.dedup();
    marks
}

/// The last step to keep: the last one at or before `last_delivered` whose text id is a mark. `None` keeps nothing of
/// the reply.
///
/// `texts` are the recorded text ids, `None` where a step had no text; `last_delivered` is the last step whose frame
/// reached the listener.
pub fn keep_through(texts: &[Option<u32>], last_delivered: Option<usize>, marks: &[u32]) -> Option<usize> {
    let heard = texts.len().min(last_delivered?.saturating_add(1));
    texts[..heard].iter().rposition(|text| text.is_some_and(|id| marks.contains(&id)))
}

/// How the cache is cut and what is fed to close a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Rows of the reply that stay in the cache. Row `k` is the input that step `k` became.
    pub keep_rows: usize,
    /// Rows to feed after them, before the newline that ends the turn.
    pub feed: Vec<Row>,
}

/// Closes a reply after step `keep`, or with nothing of it left.
///
/// `inputs` are what each step of the reply fed to the model, in order. A kept pause becomes the end, then one row
/// carries the semantic end and the acoustic codes of the last kept frame.
///
/// # Panics
/// When `keep` is no step of `inputs`: it comes from [`keep_through`] on the same reply.
pub fn close_after(inputs: &[NextInput], keep: Option<usize>, markers: &Markers) -> Closing {
    let Some(step) = keep else {
        let codes = [CODE_END, CODE_PAD, CODE_PAD, CODE_PAD];
        return Closing { keep_rows: 0, feed: alloc::vec![Row { text: markers.end, codes }] };
    };
    let text = inputs[step].text;
    let mut feed = Vec::new();
    if text == Some(markers.pause) {
        feed.push(Row { text: markers.end, codes: codes(&inputs[step]) });
    }
    let ended = text == Some(markers.pause) || text == Some(markers.end);
    let [_, acoustic @ ..] = inputs.get(step + 1).map_or(NO_CODES, codes);
    let [a1, a2, a3] = acoustic;
    feed.push(Row { text: if ended { TEXT_PAD } else { markers.end }, codes: [CODE_END, a1, a2, a3] });
    Closing { keep_rows: step + 2 - feed.len(), feed }
}

/// Closes a reply that came to its end: its last step was produced but not fed.
pub fn close_finished(last: &NextInput, rows_fed: usize) -> Closing {
    Closing { keep_rows: rows_fed, feed: alloc::vec![Row { text: last.text.unwrap_or(TEXT_PAD), codes: codes(last) }] }
}

/// Codes as a prompt row has them: what adds nothing is the pad.
fn codes(input: &NextInput) -> [u32; CODEBOOKS] {
    input.codes.map(|id| id.unwrap_or(CODE_PAD))
}
