//! Everything of the cluster that waits for the world outside.
//!
//! Video files of a conversation are read by the edge's reader: `caracal_edge::io::video`.

pub use caracal_edge::io::{VideoError, VideoFile};
