//! Everything of the cluster that waits for the world outside.
//!
//! | module | what it holds |
//! |---|---|
//! | [`host`] | the threads of the node and of the engine |
//! | [`quic`], [`certificate`] | edges over QUIC; the certificate and the device tokens |
//! | [`local`] | an edge in the same process |
//! | [`metrics`] | what operators watch |
//! | [`randomness`] | numbers that nobody can guess |
//!
//! Video files of a conversation are read by the edge's reader: `caracal_edge::io::video`.

pub mod certificate;
pub mod host;
pub mod local;
pub mod metrics;
pub mod quic;
pub mod randomness;

pub use caracal_edge::io::{VideoError, VideoFile};
