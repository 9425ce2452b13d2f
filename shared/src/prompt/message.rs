//! A conversation: turns of roles, each a list of items.

use alloc::string::String;
use alloc::vec::Vec;

use super::interleave::Strategy;
use crate::post_process::CodecCodes;

/// Who a turn belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions before the conversation.
    System,
    /// The person.
    User,
    /// The model, in writing.
    Assistant,
    /// The model, speaking.
    VoiceAssistant,
    /// The result of a tool.
    Tool,
    /// The description of a function.
    Function,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who it belongs to.
    pub role: Role,
    /// Its items in order.
    pub items: Vec<Item>,
}

/// One picture, or two frames of a video fused into one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoUnit {
    /// Time since the start of the session in seconds; printed with one decimal.
    pub seconds: f64,
    /// Positions that it takes, after pooling.
    pub tokens: u32,
}

/// One item of a turn. Counts are positions of the language model; their embeddings are filled in later, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Written text.
    Text(String),
    /// Sound, as 80 ms embeddings.
    Audio {
        /// How many embeddings.
        tokens: u32,
    },
    /// One picture.
    Image {
        /// Positions after pooling.
        tokens: u32,
    },
    /// Pictures with times.
    Video(Vec<VideoUnit>),
    /// Pictures and sound of the same time span.
    Interleaved {
        /// The pictures.
        units: Vec<VideoUnit>,
        /// Audio embeddings.
        audio: u32,
        /// How to mix them.
        strategy: Strategy,
    },
    /// Speech as codec frames with its text: an answer of the past, or a user's speech in codes.
    Spoken {
        /// Text of all segments, joined by `</pause>`.
        text: String,
        /// Codebook indices, without offset, per segment.
        segments: Vec<Vec<CodecCodes>>,
    },
}
