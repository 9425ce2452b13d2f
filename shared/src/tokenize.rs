//! What the rules need of a tokenizer, and the markers that a tokenizer must hold.
//!
//! The tokenizer itself lives in the cluster; here is only its contract, so that the rules stay pure.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::{ALIASES, AUDIO_END, AUDIO_PAD, AUDIO_START, END, IMAGE_PAD, PAUSE, TEXT_END, TEXT_PAUSE};

/// A text cannot be turned into ids, or ids into text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenizeError {
    /// The tokenizer file lacks a token that the model needs.
    #[error(
        "tokenizer: there is no token `{token}`, which stands for {stands_for}. Use the tokenizer file of the same release as the weights."
    )]
    Missing {
        /// The token.
        token: String,
        /// What it is for.
        stands_for: String,
    },
    /// A token has another id than the one that the published code compares with.
    #[error(
        "tokenizer: {token} is id {found}, but the model was made with id {expected}. Use the tokenizer file of the same release as the weights."
    )]
    WrongId {
        /// The token.
        token: String,
        /// Id in the file.
        found: u32,
        /// Id that the model knows.
        expected: u32,
    },
    /// A marker is not one id.
    #[error(
        "tokenizer: {token} becomes the ids {found:?}, expected only {expected}. It must be an added token; use the tokenizer file of the same release as the weights."
    )]
    NotWhole {
        /// The marker.
        token: String,
        /// Ids that it becomes.
        found: Vec<u32>,
        /// Id that the file gives it.
        expected: u32,
    },
    /// A text is longer than any context.
    #[error("a text of {bytes} bytes is longer than the {limit} that one item may have. Split or shorten it.")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An id has no token.
    #[error("text id {id} has no token: the vocabulary ends at {vocabulary}. The ids come from another model.")]
    UnknownId {
        /// The id.
        id: u32,
        /// Tokens in the file.
        vocabulary: usize,
    },
    /// The tokenizer gave up.
    #[error("tokenizer: {0}. Use the tokenizer file of the same release as the weights.")]
    Failed(String),
}

/// A tokenizer as the prompt rules see it.
///
/// Marker strings such as `<|audio|>` are no tokens of the file: they stand for reserved `<mask_N>` tokens
/// ([`ALIASES`]). [`Tokenize::encode`] replaces them before tokenising and [`Tokenize::decode`] brings them back.
pub trait Tokenize {
    /// Turns text into ids. Adds nothing: no begin, no end. Markers and added tokens in the text become their ids.
    ///
    /// # Errors
    /// [`TokenizeError::TooLong`]; [`TokenizeError::Failed`].
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizeError>;

    /// Turns ids into text, added tokens included.
    ///
    /// # Errors
    /// [`TokenizeError::UnknownId`]; [`TokenizeError::Failed`].
    fn decode(&self, ids: &[u32]) -> Result<String, TokenizeError>;

    /// The id of one token of the file.
    fn token_to_id(&self, token: &str) -> Option<u32>;

    /// All strings that become one id wherever they stand in a text: the added tokens of the file.
    fn added_tokens(&self) -> &[String];
}

/// Ids of the markers that prompts and replies are made of, checked against the tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Markers {
    /// Start of the audio of a turn.
    pub audio_start: u32,
    /// End of the audio of a turn.
    pub audio_end: u32,
    /// Place of one audio embedding.
    pub audio_pad: u32,
    /// Place of one visual embedding.
    pub image_pad: u32,
    /// End of the text of a segment.
    pub pause: u32,
    /// End of a reply.
    pub end: u32,
}

impl Markers {
    /// Finds the markers in a tokenizer and checks that each is one id, and that the pause and the end have the ids
    /// that the model was made with.
    ///
    /// # Errors
    /// [`TokenizeError::Missing`], [`TokenizeError::WrongId`], [`TokenizeError::NotWhole`], each naming the token.
    pub fn resolve(tokenizer: &dyn Tokenize) -> Result<Self, TokenizeError> {
        for (marker, alias) in ALIASES {
            whole(tokenizer, marker, alias)?;
        }
        let find = |marker: &str| {
            let alias = ALIASES.iter().find(|(m, _)| *m == marker).map_or(marker, |(_, alias)| *alias);
            whole(tokenizer, marker, alias)
        };
        let known = |marker: &str, expected: u32| match find(marker)? {
            found if found == expected => Ok(found),
            found => Err(TokenizeError::WrongId { token: marker.into(), found, expected }),
        };
        Ok(Self {
            audio_start: find(AUDIO_START)?,
            audio_end: find(AUDIO_END)?,
            audio_pad: find(AUDIO_PAD)?,
            image_pad: find(IMAGE_PAD)?,
            pause: known(PAUSE, TEXT_PAUSE)?,
            end: known(END, TEXT_END)?,
        })
    }
}

/// The id of `marker`, which the file holds as `token`.
fn whole(tokenizer: &dyn Tokenize, marker: &str, token: &str) -> Result<u32, TokenizeError> {
    let expected = tokenizer.token_to_id(token).ok_or_else(|| TokenizeError::Missing { token: token.into(), stands_for: marker.into() })?;
    let found = tokenizer.encode(marker)?;
    if found == [expected] { Ok(expected) } else { Err(TokenizeError::NotWhole { token: marker.into(), found, expected }) }
}
