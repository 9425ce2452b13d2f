//! What an edge and a cluster say to each other, as values and as bytes.
//!
//! `proto/caracal.proto` is the definition. The rest of the project sees only the values here: whatever comes out of
//! [`decode`](Wire::decode) has been checked against `limits.rs`, and no kind of message can carry a waveform or pixels.
//!
//! | file | what it holds |
//! |---|---|
//! | `embeddings` | encoder vectors as bf16, or as int8 with one scale a vector |
//! | `speech` | codec frames at 13 bits a code |
//! | `hello` | how a connection begins: version, token, model, cut, ticket; and how it ends |
//! | `message` | everything else, in both directions |
//! | `convert`, `convert_hello` | values to units of the `.proto` and back, with every check |
//! | `framing` | one length before each unit, and a reader that takes bytes as they come |
//! | `error` | what can be wrong with bytes |

mod convert;
mod convert_hello;
mod embeddings;
mod error;
mod framing;
mod hello;
mod message;
mod speech;

#[allow(missing_docs, clippy::all)]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/caracal.v1.rs"));
}

pub use embeddings::{Embeddings, Precision};
pub use error::WireError;
pub use framing::{UnitReader, write_unit};
pub use hello::{AudioCut, Continue, Hello, Model, Reason, Refusal, TICKET_BYTES, Ticket, VERSION, Welcome};
pub use message::{ClusterMessage, EdgeMessage, PictureId, SeenAs, VisionMessage};
pub use speech::{SpeechFrame, pack_frames, unpack_frames};

use alloc::vec::Vec;

/// The protocol that QUIC agrees on before anything is said.
pub const ALPN: &[u8] = b"caracal/1";

/// Something that travels as one unit of a stream.
pub trait Wire: Sized {
    /// As bytes, without the length in front.
    fn encode(&self) -> Vec<u8>;

    /// From the bytes of one unit.
    ///
    /// # Errors
    /// [`WireError`]; nothing that exceeds a limit is ever stored.
    fn decode(bytes: &[u8]) -> Result<Self, WireError>;

    /// Whether it counts for acknowledgement: everything but greetings and acknowledgements themselves.
    fn is_counted(&self) -> bool;

    /// About how many bytes it takes on the wire, for the limits of what waits.
    fn bytes(&self) -> usize;
}
