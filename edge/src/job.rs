//! What the pipeline asks of the accelerator thread, and what comes back.
//!
//! Queues Q2 and Q3. A machine never runs a network: it asks, and is told later. Jobs are done one after the other, and
//! results come in the order of jobs; whoever asks for a picture and then for the tail of the sound knows that the
//! picture is there when the tail is.

use std::sync::Arc;

use caracal_shared::turn::AttemptId;
use caracal_shared::wire::{Embeddings, PictureId, SpeechFrame};

use crate::vision::Picture;

/// Number of a stream of sound: one for each turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HearingId(pub u64);

/// A piece of work.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Hear more of a stream; the first piece begins it.
    Hear {
        /// Which.
        stream: HearingId,
        /// At 16 kHz.
        samples: Vec<f32>,
    },
    /// Say what would come if the stream ended here. It goes on as if nobody had asked.
    HearTail {
        /// Which.
        stream: HearingId,
        /// For whom.
        attempt: AttemptId,
    },
    /// The stream is over: forget it.
    HearEnd(HearingId),
    /// See a unit of one or two pictures.
    See {
        /// Its number.
        picture: PictureId,
        /// As the camera gave them.
        pictures: Vec<Arc<Picture>>,
    },
    /// Sound more of an answer; the first piece begins it.
    Speak {
        /// Which.
        attempt: AttemptId,
        /// Following on those before.
        frames: Vec<SpeechFrame>,
        /// Whether no more come: sound what was held back, too.
        last: bool,
    },
    /// The answer is dead or over: forget it.
    SpeakEnd(AttemptId),
}

/// What came of a job. Jobs that only forget have no result.
#[derive(Clone, Debug, PartialEq)]
pub enum JobResult {
    /// Of [`Job::Hear`].
    Heard {
        /// Which stream.
        stream: HearingId,
        /// What became final.
        embeddings: Option<Embeddings>,
    },
    /// Of [`Job::HearTail`].
    HeardTail {
        /// Which stream.
        stream: HearingId,
        /// For whom.
        attempt: AttemptId,
        /// What was held back.
        embeddings: Option<Embeddings>,
    },
    /// Of [`Job::See`]; nothing when the picture cannot be used.
    Seen {
        /// Its number.
        picture: PictureId,
        /// Its vectors.
        embeddings: Option<Embeddings>,
    },
    /// Of [`Job::Speak`].
    Spoken {
        /// Which answer.
        attempt: AttemptId,
        /// At the codec's rate, following on those before.
        samples: Vec<f32>,
        /// Whether they are the last.
        last: bool,
    },
}
