//! Messages of a session, in both directions.
//!
//! Every message about a turn or an answer names it, so that what arrives late is dropped by a comparison.

use alloc::string::String;
use alloc::vec::Vec;

use super::embeddings::Embeddings;
use super::hello::{Hello, Reason, Refusal, Welcome};
use super::speech::SpeechFrame;
use crate::turn::{AttemptId, TurnId};

/// Number of a picture within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PictureId(pub u64);

/// What a picture is in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeenAs {
    /// Seen in silence: in front of the turn, with its time.
    Sparse {
        /// Tenths of a second since the session began.
        tenths: u64,
    },
    /// Seen while the user spoke: between the sound, with its time.
    Dense {
        /// Tenths of a second since the session began.
        tenths: u64,
    },
    /// Shown: in front of the turn, without a time.
    Still,
}

/// Edge to cluster, on the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdgeMessage {
    /// First message of a connection. Not counted.
    Hello(Hello),
    /// The user begins to speak.
    TurnStart(TurnId),
    /// The turn never was.
    TurnCancel(TurnId),
    /// Sound of the turn.
    Audio {
        /// Which turn.
        turn: TurnId,
        /// The attempt that it counts for, if it was computed as if the sound ended here.
        provisional: Option<AttemptId>,
        /// One vector each 80 ms.
        embeddings: Embeddings,
    },
    /// A picture's place in the turn; its vectors come on the vision stream.
    Unit {
        /// Which turn.
        turn: TurnId,
        /// The attempt that it counts for, if it ends the turn.
        provisional: Option<AttemptId>,
        /// Which picture.
        picture: PictureId,
        /// What it is.
        seen: SeenAs,
    },
    /// Close the input and answer; I hold the sound.
    SpeculativeEndpoint {
        /// Which turn.
        turn: TurnId,
        /// Its answer.
        attempt: AttemptId,
    },
    /// The attempt is dead, the turn goes on.
    Resume(AttemptId),
    /// The turn is over, the attempt is its answer.
    Endpoint {
        /// Which turn.
        turn: TurnId,
        /// Its answer.
        attempt: AttemptId,
    },
    /// The user interrupted.
    BargeIn {
        /// Which answer.
        attempt: AttemptId,
        /// Frames that were heard in full.
        frames: u32,
    },
    /// The answer was heard to its end.
    ReplyEnd(AttemptId),
    /// How far the answer was heard, in case the edge does not come back.
    Played {
        /// Which answer.
        attempt: AttemptId,
        /// Frames that were heard in full.
        frames: u32,
    },
    /// Counted messages of the cluster that were received. Not counted.
    Ack(u64),
    /// A picture that no turn will name from here on.
    Forget(PictureId),
    /// The session ends.
    Bye,
}

/// Edge to cluster, on the vision stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VisionMessage {
    /// A picture's vectors.
    Picture {
        /// Which.
        picture: PictureId,
        /// At most [`crate::limits::PICTURE_TOKENS_MAX`] vectors.
        embeddings: Embeddings,
    },
}

/// Cluster to edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterMessage {
    /// The edge may speak. Not counted.
    Welcome(Welcome),
    /// The connection ends. Not counted.
    Refusal(Refusal),
    /// More of an answer's sound.
    Speech {
        /// Which answer.
        attempt: AttemptId,
        /// Following on those before.
        frames: Vec<SpeechFrame>,
    },
    /// More of an answer's text.
    Caption {
        /// Which answer.
        attempt: AttemptId,
        /// Following on that before.
        text: String,
    },
    /// The answer is complete, or will not become more.
    ReplyGenerated {
        /// Which answer.
        attempt: AttemptId,
        /// Frames that it has.
        frames: u32,
    },
    /// What remains of the answer in the history.
    ReplyClosed {
        /// Which answer.
        attempt: AttemptId,
        /// Its text.
        text: String,
        /// Whether nothing was cut.
        whole: bool,
    },
    /// The session goes on, but the user should know.
    Notice {
        /// Why.
        reason: Reason,
        /// In words.
        text: String,
        /// The turn that will have no answer.
        turn: Option<TurnId>,
    },
    /// Counted messages of the edge that were received. Not counted.
    Ack {
        /// On the control stream.
        control: u64,
        /// On the vision stream.
        vision: u64,
    },
}
