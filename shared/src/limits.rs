//! Every limit of the pure rules, with its reason.

use crate::machine::Micros;

/// Bytes of one text item. A context of 131072 positions holds about half a megabyte of text; twice that is refused
/// before any time is spent on it.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Items and turns of one conversation together: far above any dialogue that fits a context.
pub const ITEMS_MAX: usize = 1 << 16;

/// Rows of one prompt: eight of the longest published context, so that a wrong count is refused before it is stored.
pub const ROWS_MAX: usize = 1 << 20;

/// Steps of one reply, audio-only ones included: 245 s of speech. The published demo stops there.
pub const REPLY_STEPS_MAX: u32 = 4096;

/// Silence after which an answer is started on a guess. The report does not publish it; half of the endpoint's leaves
/// as much time to prefill and decode as it takes to rule out a breath.
pub const SPECULATE_AFTER: Micros = Micros(300_000);

/// Silence that ends a turn: the middle of the published 600 to 700 ms.
pub const ENDPOINT_AFTER: Micros = Micros(650_000);

/// Values of one embedding: ten times the released width.
pub const EMBEDDING_WIDTH_MAX: u32 = 1 << 16;

/// Vectors in one message: the largest picture that a live session sends, or 80 s of sound after an outage.
pub const EMBEDDINGS_MAX: usize = 1024;

/// Vectors of one live picture. The released model's largest live unit has 288.
pub const PICTURE_TOKENS_MAX: u32 = 1024;

/// Bytes of one unit on the wire: a picture of 1024 vectors at the released width in bf16, and its frame.
pub const UNIT_BYTES_MAX: usize = 16 << 20;

/// Bytes of the first unit of a connection, of which nobody knows yet whether it has a token: two names of 256 bytes, a
/// ticket and some numbers, many times over.
pub const HELLO_BYTES_MAX: usize = 4 << 10;

/// Frames in one speech message: four seconds.
pub const SPEECH_FRAMES_MAX: usize = 64;

/// Bytes of a caption, a notice or a refusal.
pub const MESSAGE_TEXT_BYTES_MAX: usize = 16 << 10;

/// Bytes of a device token or of a model's identity.
pub const NAME_BYTES_MAX: usize = 256;

/// Largest number of a turn, attempt, picture or message: no session lives so long, and sums stay in range.
pub const NUMBER_MAX: u64 = 1 << 53;

/// Frames that one reply can report.
pub const REPLY_FRAMES_MAX: u32 = REPLY_STEPS_MAX;

/// Sparse pictures that wait for the next turn: two minutes of silence (R6). More than that are forgotten, oldest first.
pub const SPARSE_PICTURES_MAX: usize = 60;

/// Seconds of a turn that are seen; those after them are heard only. A minute and a half of the released model's largest
/// units leaves room in [`TURN_ROWS_MAX`] for five minutes of sound, so that a turn that does not end, as before a
/// television, loses pictures and not words.
pub const TURN_PICTURES_MAX: usize = 90;

/// Pictures that a cluster keeps for a session before a turn is over: those in front of the turn and those that wait
/// behind it, its own and its end's, and those of the next turn that come before its end was told: after an outage
/// pictures are told first, and no session outlives a longer one.
pub const PICTURES_KEPT_MAX: usize = 2 * SPARSE_PICTURES_MAX + TURN_PICTURES_MAX + 1 + (SESSION_KEPT.0 / 1_000_000) as usize;

/// Positions that one turn of the user may take: five minutes of speech alone, or a minute and a half with pictures.
pub const TURN_ROWS_MAX: u32 = 32_768;

/// Bytes of unacknowledged messages on one stream that are kept for a reconnect: 90 s of sound in bf16 at the released
/// width, or ten of its largest pictures. Beyond, the session is given up, and the user told.
pub const RESEND_BYTES_MAX: usize = 32 << 20;

/// Bytes of an open turn that are kept, besides its pictures, to tell it again in a new session: what fits into its first
/// connection. A longer turn is not told again, and the user is told so.
pub const TURN_LOG_BYTES_MAX: usize = RESEND_BYTES_MAX;

/// Messages that may wait for a picture to come; their bytes are limited by [`RESEND_BYTES_MAX`].
pub const WAITING_MESSAGES_MAX: usize = 4096;

/// Counted messages after which an acknowledgement is sent. Every message would double the traffic down.
pub const ACK_EVERY: u64 = 16;

/// Time after which a message is acknowledged even if no more come.
pub const ACK_AFTER: Micros = Micros(500_000);

/// How long a session without connection is kept: long enough to change a network or restart a device.
pub const SESSION_KEPT: Micros = Micros(120_000_000);

/// Bytes that wait to be sent to one edge before its decode is paused.
pub const EGRESS_BYTES_MAX: usize = 64 << 10;

/// Steps between two reports of how far an answer was heard: about a second.
pub const PLAYED_EVERY: u32 = 16;

const _: () = assert!(UNIT_BYTES_MAX > EMBEDDINGS_MAX * 2 * 6144 + 64 && RESEND_BYTES_MAX >= 2 * UNIT_BYTES_MAX);
const _: () = assert!(HELLO_BYTES_MAX > 4 * NAME_BYTES_MAX && HELLO_BYTES_MAX < UNIT_BYTES_MAX);
const _: () = assert!(PICTURE_TOKENS_MAX as usize <= EMBEDDINGS_MAX && REPLY_STEPS_MAX as u64 <= NUMBER_MAX);
const _: () = assert!(TURN_PICTURES_MAX * (288 + 16) + 300 * 1000 / 80 < TURN_ROWS_MAX as usize);
