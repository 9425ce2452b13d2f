//! One conversation: the edge's half and the cluster's half, as machines.
//!
//! The edge decides who speaks when and in which order sound and pictures stand in a turn; the cluster follows that
//! order, so that what the model reads never depends on when something arrived.
//!
//! | file | what it holds |
//! |---|---|
//! | `order` | sound and pictures of a turn in the order of the prompt, as they become ready |
//! | `edge` | turn outputs and embeddings → messages; messages → speech, captions, news; `edge_turn`: the user's turn; `edge_link`: connections, loss, a new session; `turn_log`: the open turn as it was told |
//! | `live_template` | the strings of a live turn as rows |
//! | `reply` | one answer: steps → frames and captions; what remains of it |
//! | `cluster` | messages → work for the engine; samples → messages; `cluster_turn`: the user's turn; `cluster_answer`: the answer |
//! | `engine` | what a session asks of an engine |
//! | `resend` | what was sent and not acknowledged |
//! | `acknowledge` | what was received, and when to say so |
//! | `transcript` | what was said and answered, as both sides tell it |

mod acknowledge;
pub mod cluster;
mod cluster_answer;
mod cluster_turn;
pub mod edge;
mod edge_link;
mod edge_turn;
pub mod engine;
mod live_template;
mod order;
mod reply;
mod resend;
mod transcript;
mod turn_log;

pub use live_template::LiveTemplate;
pub use order::{Content, TurnOrder};
pub use reply::Reply;
pub use resend::{Overflow, Resend};
pub use transcript::{Digest, Ending, Exchange, Transcript};
