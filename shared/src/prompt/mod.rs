//! From a conversation to the rows that the model reads.
//!
//! | file | what it holds |
//! |---|---|
//! | `message` | roles, turns and their items |
//! | `template` | turn strings, role ids, and [`assemble`] |
//! | `interleave` | the order of pictures and sound inside one item |
//! | `history` | spoken turns of the past as rows with the one-step offset |
//! | `user_text` | text whose markers have lost their power |
//! | `rows` | the result |
//! | `error` | what can be wrong |

mod message;
mod template;
mod interleave;
mod history;
mod user_text;
mod rows;
mod error;

pub use error::{ItemError, PromptError};
pub use history::{Speaker, code_rows, spoken_rows};
pub use interleave::{ChunkRhythm, InterleaveError, Part, Strategy, interleave};
pub use message::{Item, Message, Role, VideoUnit};
pub use rows::{Embeddings, Placeholder, Prompt, Row};
pub use template::{PromptOptions, TurnFormat, assemble};
pub use user_text::{MarkersInText, encode_text};
