//! What can be wrong with a conversation.

use alloc::string::String;

use super::interleave::InterleaveError;
use super::message::Role;
use crate::tokenize::TokenizeError;

/// One item cannot become rows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ItemError {
    /// The tokenizer refuses its text.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// Pictures and sound do not fit together.
    #[error(transparent)]
    Interleave(#[from] InterleaveError),
    /// The text holds a marker.
    #[error("the text holds the marker `{marker}` at byte {at}. Remove it, or let markers in text be defused.")]
    Marker {
        /// The marker.
        marker: String,
        /// Where.
        at: usize,
    },
    /// Text and codes of a spoken turn disagree.
    #[error("a spoken turn has {texts} text segments, joined by </pause>, but codes of {audio}. Give one list of frames per segment.")]
    Segments {
        /// Segments of the text.
        texts: usize,
        /// Segments of the codes.
        audio: usize,
    },
    /// A segment's text has no room beside its codes.
    #[error("the text segment `{text}` has {ids} ids, but its speech only {rows} rows. It is not the text of this speech.")]
    TextLongerThanAudio {
        /// The segment.
        text: String,
        /// Ids with its end.
        ids: usize,
        /// Frames and one more.
        rows: usize,
    },
    /// A codebook index is no index.
    #[error("codebook index {index} is out of range. Give indices without offset.")]
    CodeTooLarge {
        /// The index.
        index: u32,
    },
    /// A time is no time.
    #[error("a video unit has the time {seconds} s, expected seconds since the start of the session")]
    Time {
        /// What was given.
        seconds: f64,
    },
    /// Speech where there is none.
    #[error("a turn of {role:?} cannot hold speech in codes. Only users and the voice assistant speak.")]
    CannotSpeak {
        /// The role.
        role: Role,
    },
}

/// A conversation cannot become a prompt.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PromptError {
    /// One item is wrong.
    #[error("message {message}, item {item}: {source}")]
    Item {
        /// Index of the message.
        message: usize,
        /// Index of its item.
        item: usize,
        /// What is wrong.
        source: ItemError,
    },
    /// A turn string cannot be tokenised.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// The format has no word for a role.
    #[error("message {message}: the format with markers has none for {role:?}. Use the format with instructions.")]
    RoleWithoutMarker {
        /// Index of the message.
        message: usize,
        /// The role.
        role: Role,
    },
    /// Placeholder markers in allowed text.
    #[error(
        "message {message}: the text holds placeholder markers, which no encoder fills. Remove them, or let markers in text be defused."
    )]
    TypedPlaceholder {
        /// Index of the message.
        message: usize,
    },
    /// More turns and items than a conversation may have.
    #[error("the conversation has more than {limit} turns and items. Leave out the oldest ones.")]
    TooManyItems {
        /// The limit.
        limit: usize,
    },
    /// More rows than any context has.
    #[error("message {message} brings the prompt to {rows} rows, more than {limit}. Check its counts, or leave out the oldest turns.")]
    TooManyRows {
        /// Index of the message.
        message: usize,
        /// Rows so far.
        rows: u64,
        /// The limit.
        limit: usize,
    },
    /// The model cannot look back so far.
    #[error(
        "the prompt has {rows} rows and the reply may have {reply} steps, but the context is {context}. Leave out the oldest turns, or shorten the reply."
    )]
    ContextExceeded {
        /// Rows of the prompt.
        rows: usize,
        /// Steps that the reply may take.
        reply: usize,
        /// Positions of the model.
        context: usize,
    },
}
