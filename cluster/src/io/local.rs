//! The door to a cluster in the same process: what an edge says goes straight to the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use caracal_edge::io::door::{Dial, Door, DoorEvent};
use caracal_shared::wire::{ClusterMessage, EdgeMessage, Hello, TICKET_BYTES, Ticket, VisionMessage};

use super::host::{Egress, HostEvent, HostHandle};
use super::randomness::random;
use crate::node::{ConnectionId, NodeInput};

/// First number of connections within the process: far above those of any network.
const FIRST: u64 = 1 << 48;
/// Numbers of all doors of the process.
static NUMBERS: AtomicU64 = AtomicU64::new(FIRST);

/// The door.
pub struct LocalDoor {
    host: HostHandle,
    told: Arc<dyn Fn(Dial, DoorEvent) + Send + Sync>,
    connection: Option<ConnectionId>,
    runtime: tokio::runtime::Handle,
}

impl LocalDoor {
    /// To this host. `told` gets what comes; `runtime` carries it.
    pub fn open(host: HostHandle, runtime: tokio::runtime::Handle, told: impl Fn(Dial, DoorEvent) + Send + Sync + 'static) -> Self {
        Self { host, told: Arc::new(told), connection: None, runtime }
    }

    fn tell(&self, input: NodeInput) {
        self.host.tell_blocking(HostEvent::Node(input));
    }
}

impl Door for LocalDoor {
    fn dial(&mut self, dial: Dial, hello: Hello) {
        if let Some(before) = self.connection.take() {
            self.tell(NodeInput::Disconnect(before));
        }
        let connection = ConnectionId(NUMBERS.fetch_add(1, Ordering::Relaxed));
        let Some(ticket) = random::<TICKET_BYTES>() else { return (self.told)(dial, DoorEvent::Unlinked("no randomness".into())) };
        let (outbox, mut reader) = self.host.outbox(connection);
        self.host.tell_blocking(HostEvent::Open(connection, outbox));
        self.tell(NodeInput::Connect { connection, hello, ticket: Ticket(ticket) });
        self.connection = Some(connection);
        let told = self.told.clone();
        self.runtime.spawn(async move {
            while let Some(egress) = reader.next().await {
                match egress {
                    Egress::Say(message) => {
                        reader.sent(&message).await;
                        told(
                            dial,
                            match message {
                                ClusterMessage::Welcome(welcome) => DoorEvent::Linked(welcome),
                                ClusterMessage::Refusal(refusal) => DoorEvent::Refused(refusal),
                                message => DoorEvent::Received(message),
                            },
                        );
                    }
                    Egress::Hangup(Some(refusal)) => return told(dial, DoorEvent::Refused(refusal)),
                    Egress::Hangup(None) => return told(dial, DoorEvent::Unlinked("the cluster hung up".into())),
                }
            }
        });
    }

    fn control(&mut self, message: EdgeMessage) {
        if let Some(connection) = self.connection {
            self.tell(NodeInput::Control(connection, message));
        }
    }

    fn vision(&mut self, message: VisionMessage) {
        if let Some(connection) = self.connection {
            self.tell(NodeInput::Vision(connection, message));
        }
    }

    fn leave(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.tell(NodeInput::Disconnect(connection));
        }
    }
}
