//! How a connection begins, and how it ends.

use alloc::string::String;

use super::embeddings::Precision;

/// Version of the wire.
pub const VERSION: u32 = 1;

/// Bytes of a session's ticket: too many to guess.
pub const TICKET_BYTES: usize = 16;

/// What lets an edge go on with its session. Whoever has it has the session: it is shown only over TLS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub [u8; TICKET_BYTES]);

impl core::fmt::Debug for Ticket {
    /// Logs must not hold it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// Where the ears are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AudioCut {
    /// After the projector: the cluster takes vectors as they are.
    Projected,
    /// After the encoder's FSMN layers: a quarter of the bytes for the released model, and some work for the cluster.
    Hidden,
}

/// What both sides must agree on about the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Identity of the files.
    pub identity: String,
    /// Where the ears are cut.
    pub audio_cut: AudioCut,
    /// How vectors travel.
    pub precision: Precision,
    /// Width of an audio embedding at the cut.
    pub audio_width: u32,
    /// Width of a picture's embedding; 0 without a camera.
    pub vision_width: u32,
}

/// First message of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the wire.
    pub version: u32,
    /// The device token.
    pub token: String,
    /// What the edge runs.
    pub model: Model,
    /// Goes on with a session.
    pub resume: Option<Continue>,
}

/// Goes on with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continue {
    /// Whose.
    pub ticket: Ticket,
    /// Counted messages of the cluster that the edge has.
    pub received: u64,
    /// The edge lost its memory.
    pub restarted: bool,
}

/// The edge may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// For the next connection.
    pub ticket: Ticket,
    /// Counted control messages that the cluster has.
    pub control: u64,
    /// Counted vision messages that the cluster has.
    pub vision: u64,
    /// First free turn number.
    pub next_turn: u64,
    /// First free attempt number.
    pub next_attempt: u64,
    /// First free picture number.
    pub next_picture: u64,
    /// Counted messages that the cluster will have sent before the next one.
    pub sent: u64,
    /// Session time in microseconds.
    pub now: u64,
}

/// Why a connection or a turn is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The other side speaks another version.
    Version,
    /// The device token is not known.
    Token,
    /// The other side runs another model.
    Model,
    /// Cut, precision or a width does not fit.
    Settings,
    /// There is no such session: it ended, expired, or the cluster was started anew.
    Ticket,
    /// No room for another session or for this turn.
    Busy,
    /// A message that makes no sense where it came.
    Protocol,
    /// Vectors that the model cannot take.
    Embeddings,
    /// The session goes on over another connection.
    Replaced,
    /// The cluster shuts down.
    Shutdown,
    /// Too many connections from this address.
    TooFast,
    /// More than one turn may hold.
    TurnTooLong,
    /// The context is full: what was said long ago is forgotten.
    Context,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 13] = [
        Reason::Version,
        Reason::Token,
        Reason::Model,
        Reason::Settings,
        Reason::Ticket,
        Reason::Busy,
        Reason::Protocol,
        Reason::Embeddings,
        Reason::Replaced,
        Reason::Shutdown,
        Reason::TooFast,
        Reason::TurnTooLong,
        Reason::Context,
    ];

    /// Whether trying again with the same Hello may help.
    pub fn may_pass(self) -> bool {
        matches!(self, Reason::Busy | Reason::Shutdown | Reason::TooFast)
    }

    /// Whether someone must mend something before any Hello of this edge is welcome.
    pub fn is_final(self) -> bool {
        matches!(self, Reason::Version | Reason::Token | Reason::Model | Reason::Settings)
    }

    /// One word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Version => "version",
            Reason::Token => "token",
            Reason::Model => "model",
            Reason::Settings => "settings",
            Reason::Ticket => "ticket",
            Reason::Busy => "busy",
            Reason::Protocol => "protocol",
            Reason::Embeddings => "embeddings",
            Reason::Replaced => "replaced",
            Reason::Shutdown => "shutdown",
            Reason::TooFast => "too_fast",
            Reason::TurnTooLong => "turn_too_long",
            Reason::Context => "context",
        }
    }
}

/// The end of a connection, for people and for machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// In words, with what to do.
    pub text: String,
}

impl Refusal {
    /// A refusal in words.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}
