//! The way to a cluster, as the edge's driver sees it: QUIC, or the same process.

use caracal_shared::wire::{ClusterMessage, EdgeMessage, Hello, Refusal, VisionMessage, Welcome};

/// Number of an attempt to connect. What comes from an earlier one is stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dial(pub u64);

/// What comes through a door.
#[derive(Clone, Debug, PartialEq)]
pub enum DoorEvent {
    /// The cluster welcomes the edge.
    Linked(Welcome),
    /// The connection is gone, or could not be made; the driver dials again.
    Unlinked(String),
    /// The cluster refuses the edge.
    Refused(Refusal),
    /// The cluster said this.
    Received(ClusterMessage),
}

/// A way to a cluster. Nothing here waits: what cannot be sent at once is sent later, or lost with the connection, and
/// the session sends it again.
pub trait Door: Send {
    /// Leaves the connection that stands, if any, and makes a new one that begins with this.
    fn dial(&mut self, dial: Dial, hello: Hello);

    /// Says this on the control stream of the connection that stands.
    fn control(&mut self, message: EdgeMessage);

    /// Says this on its vision stream.
    fn vision(&mut self, message: VisionMessage);

    /// Says all that was to be said, then leaves for good.
    fn leave(&mut self);
}
