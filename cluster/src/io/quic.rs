//! Edges over QUIC: handshake, greeting, units up and down.
//!
//! Q5 and Q6. Each connection has a task of its own, and each of its streams. A connection that sends garbage is told why
//! and ends; none of the others notices. A flood from one address is refused before any cryptography.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use caracal_shared::limits::{HELLO_BYTES_MAX, UNIT_BYTES_MAX};
use caracal_shared::machine::Micros;
use caracal_shared::wire::{
    ClusterMessage, EdgeMessage, Reason, Refusal, TICKET_BYTES, Ticket, UnitReader, VisionMessage, Wire, write_unit,
};
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, ServerConfig, TransportConfig, VarInt};

use super::certificate::Credentials;
use super::host::{Egress, HostEvent, HostHandle, OutboxReader};
use super::randomness::random;
use crate::node::{ConnectionId, NodeInput};
use crate::rate_limit::RateLimit;

/// How long an edge may take to say hello: a stream that never comes holds no place.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// How long a last word may take to arrive.
const LAST_WORD_PATIENCE: Duration = Duration::from_secs(1);
/// Silence after which a connection is lost. Edges give a sign of life far more often.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes that a connection may have under way before it is welcomed: its Hello, on all its streams together.
const STRANGER_WINDOW: VarInt = VarInt::from_u32(2 * HELLO_BYTES_MAX as u32);
/// Bytes afterwards: a picture and the sound beside it, and not a unit more than one reader takes at a time.
const EDGE_WINDOW: VarInt = VarInt::from_u32(2 * UNIT_BYTES_MAX as u32);
/// Bytes that one read takes.
const READ_BYTES: usize = 64 << 10;
/// Connections of one address at once and a second: a household behind one address, not a flood.
const CONNECTIONS_AT_ONCE: u64 = 32;
const CONNECTIONS_A_SECOND: u64 = 8;
/// Handshakes that are on their way; more are refused before any cryptography.
const HANDSHAKES_MAX: usize = 512;

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Certificate and key.
    #[error("TLS cannot be set up: {0}. Delete certificate.pem and key.pem in the state folder and start again.")]
    Tls(String),
    /// The address.
    #[error("{address} cannot be listened on: {source}. Is another cluster running? Choose another address with --listen.")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

/// A server that listens.
#[derive(Clone, Debug)]
pub struct QuicServer {
    endpoint: Endpoint,
}

impl QuicServer {
    /// Listens on `address` and hands connections to the host, until the endpoint is closed. Must be called in a runtime.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn start(address: SocketAddr, credentials: &Credentials, host: HostHandle) -> Result<Self, ServeError> {
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(IDLE_TIMEOUT.try_into().ok());
        transport.max_concurrent_bidi_streams(1u8.into()).max_concurrent_uni_streams(1u8.into());
        transport.receive_window(STRANGER_WINDOW).stream_receive_window(VarInt::from_u32(UNIT_BYTES_MAX as u32));
        let mut config = ServerConfig::with_crypto(Arc::new(credentials.server().map_err(ServeError::Tls)?));
        config.transport_config(Arc::new(transport)).max_incoming(HANDSHAKES_MAX);
        let endpoint = Endpoint::server(config, address).map_err(|source| ServeError::Listen { address, source })?;
        tokio::spawn(accept(endpoint.clone(), host));
        Ok(Self { endpoint })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// No more connections; those that stand are closed when their last word was said.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(LAST_WORD_PATIENCE, self.endpoint.wait_idle()).await;
        self.endpoint.close(VarInt::from_u32(0), b"the cluster shuts down");
        let _ = tokio::time::timeout(LAST_WORD_PATIENCE, self.endpoint.wait_idle()).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "io may read the clock")]
async fn accept(endpoint: Endpoint, host: HostHandle) {
    let start = Instant::now();
    let mut limit = RateLimit::new(CONNECTIONS_AT_ONCE, CONNECTIONS_A_SECOND);
    let numbers = Arc::new(AtomicU64::new(0));
    while let Some(incoming) = endpoint.accept().await {
        let now = Micros(start.elapsed().as_micros() as u64);
        if !limit.allow(now, incoming.remote_address().ip()) {
            host.metrics().refused(Reason::TooFast);
            incoming.refuse();
            continue;
        }
        let connection = ConnectionId(numbers.fetch_add(1, Ordering::Relaxed));
        tokio::spawn(serve(incoming, connection, host.clone()));
    }
}

async fn serve(incoming: Incoming, id: ConnectionId, host: HostHandle) {
    let Ok(Ok(connection)) = tokio::time::timeout(HELLO_PATIENCE, incoming).await else { return };
    let greeting = tokio::time::timeout(HELLO_PATIENCE, async {
        let (send, mut receive) = connection.accept_bi().await.map_err(|e| e.to_string())?;
        let mut reader = UnitReader::default();
        let first = next::<EdgeMessage>(&mut receive, &mut reader, HELLO_BYTES_MAX, &host).await;
        Ok::<_, String>((send, receive, reader, first))
    });
    let (mut send, receive, reader, first) = match greeting.await {
        Ok(Ok(greeting)) => greeting,
        // Nobody to tell: it never spoke.
        Ok(Err(_)) | Err(_) => return connection.close(VarInt::from_u32(0), b"no hello"),
    };
    let refusal = match first {
        Ok(Some(EdgeMessage::Hello(hello))) => {
            let Some(ticket) = random::<TICKET_BYTES>() else { return connection.close(VarInt::from_u32(0), b"no randomness") };
            let (outbox, reader_of_outbox) = host.outbox(id);
            host.tell(HostEvent::Open(id, outbox)).await;
            host.tell(HostEvent::Node(NodeInput::Connect { connection: id, hello, ticket: Ticket(ticket) })).await;
            carry(connection, id, host, (send, receive, reader), reader_of_outbox).await;
            return;
        }
        Ok(_) => Refusal::new(Reason::Protocol, "the first unit of a connection must be a Hello"),
        Err(problem) => Refusal::new(Reason::Protocol, problem),
    };
    host.metrics().refused(refusal.reason);
    say_last(&connection, &mut send, refusal).await;
}

/// Carries units both ways until the connection ends, and tells the node of its end.
async fn carry(
    connection: Connection,
    id: ConnectionId,
    host: HostHandle,
    (send, receive, reader): (SendStream, RecvStream, UnitReader),
    mut outbox: OutboxReader,
) {
    let first = outbox.next().await;
    // Until the node has welcomed it, it may be anyone: nothing more is read of it.
    let welcomed = matches!(first, Some(Egress::Say(_)));
    let readers = welcomed.then(|| {
        connection.set_receive_window(EDGE_WINDOW);
        let pictures = tokio::spawn(read_pictures(connection.clone(), id, host.clone()));
        [pictures, tokio::spawn(read_control(connection.clone(), receive, reader, id, host.clone()))]
    });
    write(&connection, send, first, outbox, &host).await;
    connection.close(VarInt::from_u32(0), b"over");
    for task in readers.into_iter().flatten() {
        task.abort();
        let _ = task.await;
    }
    host.tell(HostEvent::Node(NodeInput::Disconnect(id))).await;
}

/// Sends `egress` and what follows it.
async fn write(connection: &Connection, mut send: SendStream, mut egress: Option<Egress>, mut outbox: OutboxReader, host: &HostHandle) {
    let mut bytes = Vec::new();
    loop {
        match egress {
            Some(Egress::Say(message)) => {
                bytes.clear();
                write_unit(&message, &mut bytes);
                let written = tokio::select! {
                    written = send.write_all(&bytes) => written.is_ok(),
                    () = outbox.given_up() => false,
                };
                if !written {
                    return;
                }
                host.metrics().sent(bytes.len());
                outbox.sent(&message).await;
            }
            Some(Egress::Hangup(Some(refusal))) => return say_last(connection, &mut send, refusal).await,
            Some(Egress::Hangup(None)) | None => return,
        }
        egress = tokio::select! {
            egress = outbox.next() => egress,
            _ = connection.closed() => return,
        };
    }
}

/// Says why, waits until it has arrived, and ends the connection.
async fn say_last(connection: &Connection, send: &mut SendStream, refusal: Refusal) {
    let mut bytes = Vec::new();
    write_unit(&ClusterMessage::Refusal(refusal), &mut bytes);
    let said = async {
        if send.write_all(&bytes).await.is_ok() && send.finish().is_ok() {
            let _ = send.stopped().await;
        }
    };
    let _ = tokio::time::timeout(LAST_WORD_PATIENCE, said).await;
    connection.close(VarInt::from_u32(0), b"refused");
}

async fn read_control(connection: Connection, mut receive: RecvStream, mut reader: UnitReader, id: ConnectionId, host: HostHandle) {
    loop {
        match next::<EdgeMessage>(&mut receive, &mut reader, UNIT_BYTES_MAX, &host).await {
            Ok(Some(message)) => host.tell(HostEvent::Node(NodeInput::Control(id, message))).await,
            Ok(None) => break,
            Err(problem) => return garbage(id, &host, &connection, problem).await,
        }
    }
    connection.close(VarInt::from_u32(0), b"the edge left");
}

async fn read_pictures(connection: Connection, id: ConnectionId, host: HostHandle) {
    let Ok(mut receive) = connection.accept_uni().await else { return };
    let mut reader = UnitReader::default();
    loop {
        match next::<VisionMessage>(&mut receive, &mut reader, UNIT_BYTES_MAX, &host).await {
            Ok(Some(message)) => host.tell(HostEvent::Node(NodeInput::Vision(id, message))).await,
            Ok(None) => return,
            Err(problem) => return garbage(id, &host, &connection, problem).await,
        }
    }
}

/// Bytes that are no unit: the session may go on over another connection, this one is over.
async fn garbage(id: ConnectionId, host: &HostHandle, connection: &Connection, problem: String) {
    if connection.close_reason().is_none() {
        tracing::warn!(connection = id.0, problem, "a connection sent what is no unit");
        host.tell(HostEvent::Garbage(id, Refusal::new(Reason::Protocol, problem))).await;
    }
}

/// The next unit of a stream, of so many bytes at most; `None` at its end.
async fn next<M: Wire>(stream: &mut RecvStream, reader: &mut UnitReader, bytes_max: usize, host: &HostHandle) -> Result<Option<M>, String> {
    let mut bytes = vec![0; READ_BYTES];
    loop {
        if let Some(message) = reader.next_unit_within(bytes_max).map_err(|e| e.to_string())? {
            return Ok(Some(message));
        }
        match stream.read(&mut bytes).await.map_err(|e| e.to_string())? {
            Some(count) => {
                host.metrics().received(count);
                reader.push(&bytes[..count]);
            }
            None => return reader.finish().map(|()| None).map_err(|e| e.to_string()),
        }
    }
}
