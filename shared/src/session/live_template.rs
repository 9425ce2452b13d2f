//! The strings of a live turn as rows, piece by piece.
//!
//! Hop 8. The pieces are those of [`crate::prompt::assemble`], tokenised one by one: `USER:`, a time before each picture,
//! the marker before the first sound and the one after the last, the newline, `VOICE ASSISTANT:`.
//!
//! Source: LongCat-Flash-Omni chat template; rules R5 and R10.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::post_process::reply_text;
use crate::prompt::Row;
use crate::tokenize::{Markers, Tokenize, TokenizeError};
use crate::truncate::break_marks;
use crate::wire::SeenAs;

/// The pieces that are always the same, and the tokenizer for those that are not.
#[derive(Clone)]
pub struct LiveTemplate {
    tokenizer: Arc<dyn Tokenize + Send + Sync>,
    /// Ids of the markers.
    pub markers: Markers,
    /// Text ids after which an answer may be broken off.
    pub marks: Vec<u32>,
    user: Vec<Row>,
    newline: Vec<Row>,
    answer: Vec<Row>,
}

impl PartialEq for LiveTemplate {
    /// Templates of one tokenizer are equal.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tokenizer, &other.tokenizer)
    }
}

impl core::fmt::Debug for LiveTemplate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LiveTemplate").field("markers", &self.markers).finish_non_exhaustive()
    }
}

impl LiveTemplate {
    /// Tokenises the pieces.
    ///
    /// # Errors
    /// [`TokenizeError`] when the tokenizer lacks a marker or refuses a piece.
    pub fn new(tokenizer: Arc<dyn Tokenize + Send + Sync>) -> Result<Self, TokenizeError> {
        let markers = Markers::resolve(&*tokenizer)?;
        let rows = |text: &str| Ok::<_, TokenizeError>(tokenizer.encode(text)?.into_iter().map(Row::text).collect::<Vec<Row>>());
        let (user, newline, answer) = (rows("USER:")?, rows("\n")?, rows("VOICE ASSISTANT:")?);
        // Every time is made of these characters.
        rows("second{0123456789.0}:")?;
        let marks = break_marks(&*tokenizer, &markers);
        Ok(Self { tokenizer, markers, marks, user, newline, answer })
    }

    /// The start of a user's turn.
    pub fn user(&self) -> &[Row] {
        &self.user
    }

    /// What stands before a picture's positions.
    pub fn before_picture(&self, seen: SeenAs) -> Vec<Row> {
        let tenths = match seen {
            SeenAs::Still => return Vec::new(),
            SeenAs::Sparse { tenths } | SeenAs::Dense { tenths } => tenths,
        };
        let time = format!("second{{{}.{}}}:", tenths / 10, tenths % 10);
        let ids = self.tokenizer.encode(&time).expect("the characters of a time were tried at the start");
        ids.into_iter().map(Row::text).collect()
    }

    /// What stands after a picture's positions.
    pub fn after_picture(&self, seen: SeenAs) -> &[Row] {
        if seen == SeenAs::Still { &self.newline } else { &[] }
    }

    /// The marker before the first sound.
    pub fn audio_start(&self) -> Row {
        Row::text(self.markers.audio_start)
    }

    /// What ends a user's turn; `heard` says whether it has sound.
    pub fn close_input(&self, heard: bool) -> Vec<Row> {
        heard.then(|| Row::text(self.markers.audio_end)).into_iter().chain(self.newline.iter().copied()).collect()
    }

    /// The start of an answer.
    pub fn answer(&self) -> &[Row] {
        &self.answer
    }

    /// What ends an answer's turn.
    pub fn newline(&self) -> &[Row] {
        &self.newline
    }

    /// Text of an answer from the ids of its steps, without markers. Ids that the tokenizer does not know, which only
    /// another model's weights give, make no text.
    pub fn text(&self, ids: &[Option<u32>]) -> String {
        reply_text(&*self.tokenizer, ids.iter().copied()).unwrap_or_default()
    }
}
