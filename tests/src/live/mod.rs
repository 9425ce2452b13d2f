//! Real edges and a real cluster on one machine, over real QUIC, with the small model.
//!
//! | file | what it holds |
//! |---|---|
//! | [`cluster`] | a cluster on a port of its own |
//! | [`edge`] | an edge whose microphone is a list of spans of noise |
//! | [`scripted`] | an edge that plays a script with real speech |
//! | [`proxy`] | a road between them that is long and loses some or all |

pub mod cluster;
pub mod edge;
pub mod proxy;
pub mod scripted;

pub use cluster::Cluster;
pub use edge::{Edge, EdgeOptions};
pub use proxy::Proxy;
