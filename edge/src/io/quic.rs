//! The door over QUIC: dials, greets, carries units both ways, and says when it is over.
//!
//! Q4 and Q7. One thread with a runtime of its own. What is to be said waits here only as long as the connection takes it;
//! the session bounds it, since it keeps everything until it is acknowledged. A changed network moves the connection
//! (QUIC's own migration); a lost one is dialled again, soon at first and then less often.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use caracal_shared::wire::{ClusterMessage, EdgeMessage, Hello, UnitReader, VisionMessage, Wire, write_unit};
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::address;
use super::door::{Dial, Door, DoorEvent};
use super::trust::{Trust, TrustError};

/// How long a greeting may take, after the handshake.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);
/// How long leaving may take.
const LEAVING_PATIENCE: Duration = Duration::from_secs(2);
/// First pause between two attempts; it doubles up to the configured longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Bytes that one read takes.
const READ_BYTES: usize = 16 << 10;

/// How to reach a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct QuicSettings {
    /// Host and port.
    pub address: String,
    /// Whom to believe.
    pub trust: Trust,
    /// Pause between signs of life.
    pub keep_alive: Duration,
    /// Silence after which the connection counts as lost.
    pub idle_timeout: Duration,
    /// Longest pause between two attempts.
    pub reconnect_longest: Duration,
}

enum Command {
    Dial(Dial, Hello),
    Control(EdgeMessage),
    Vision(VisionMessage),
    Rebind(SocketAddr),
    Leave,
}

/// The door.
pub struct QuicDoor {
    commands: UnboundedSender<Command>,
    thread: Option<JoinHandle<()>>,
}

/// The QUIC door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    /// Nobody to believe.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No thread or no runtime.
    #[error("the network thread cannot be started: {0}. The system is out of threads or memory.")]
    Thread(std::io::Error),
}

impl QuicDoor {
    /// Starts the network thread. `told` gets what comes, with the dial that it came of.
    ///
    /// # Errors
    /// [`QuicError`].
    #[allow(clippy::disallowed_methods, reason = "io may spawn")]
    pub fn open(settings: QuicSettings, told: impl Fn(Dial, DoorEvent) + Send + Sync + 'static) -> Result<Self, QuicError> {
        let client = client(&settings)?;
        let (commands, received) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(QuicError::Thread)?;
        let network = Network { settings, client, told: Arc::new(told), endpoint: None, answered: None };
        let thread = std::thread::Builder::new()
            .name("caracal-net".into())
            .spawn(move || runtime.block_on(network.run(received)))
            .map_err(QuicError::Thread)?;
        Ok(Self { commands, thread: Some(thread) })
    }

    /// Moves to another local address, as when a device changes its network. The connection stays.
    pub fn rebind(&self, to: SocketAddr) {
        let _ = self.commands.send(Command::Rebind(to));
    }
}

// A thread that has ended has told so: nothing is lost but what the session will send again.
impl Door for QuicDoor {
    fn dial(&mut self, dial: Dial, hello: Hello) {
        let _ = self.commands.send(Command::Dial(dial, hello));
    }

    fn control(&mut self, message: EdgeMessage) {
        let _ = self.commands.send(Command::Control(message));
    }

    fn vision(&mut self, message: VisionMessage) {
        let _ = self.commands.send(Command::Vision(message));
    }

    fn leave(&mut self) {
        let _ = self.commands.send(Command::Leave);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn client(settings: &QuicSettings) -> Result<ClientConfig, TrustError> {
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(settings.keep_alive));
    transport.max_idle_timeout(settings.idle_timeout.try_into().ok());
    // The cluster opens no streams of its own.
    transport.max_concurrent_bidi_streams(0u8.into()).max_concurrent_uni_streams(0u8.into());
    let mut client = ClientConfig::new(Arc::new(settings.trust.client()?));
    client.transport_config(Arc::new(transport));
    Ok(client)
}

type Told = Arc<dyn Fn(Dial, DoorEvent) + Send + Sync>;

struct Network {
    settings: QuicSettings,
    client: ClientConfig,
    told: Told,
    endpoint: Option<Endpoint>,
    /// Of the addresses behind the name, the one that answered last.
    answered: Option<SocketAddr>,
}

/// The streams of a connection that stands.
struct Line {
    connection: Connection,
    control: UnboundedSender<EdgeMessage>,
    vision: UnboundedSender<VisionMessage>,
    writers: tokio::task::JoinSet<()>,
}

impl Network {
    async fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        let local = tokio::task::LocalSet::new();
        local.run_until(self.follow(&mut commands)).await;
    }

    async fn follow(&mut self, commands: &mut UnboundedReceiver<Command>) {
        let mut line: Option<Line> = None;
        let mut dialling: Option<Command> = None;
        loop {
            let command = match dialling.take() {
                Some(command) => command,
                None => match commands.recv().await {
                    Some(command) => command,
                    None => break,
                },
            };
            match command {
                Command::Dial(dial, hello) => {
                    if let Some(line) = line.take() {
                        line.connection.close(VarInt::from_u32(0), b"dialling anew");
                    }
                    // While nobody answers, a later command may change what is wanted.
                    tokio::select! {
                        made = self.dial(dial, &hello) => line = made,
                        later = commands.recv() => match later {
                            Some(command @ (Command::Dial(..) | Command::Leave)) => dialling = Some(command),
                            // Nothing else makes sense before a connection stands; the session will send it again.
                            Some(_) => dialling = Some(Command::Dial(dial, hello)),
                            None => break,
                        },
                    }
                }
                Command::Control(message) => _ = line.as_ref().map(|line| line.control.send(message)),
                Command::Vision(message) => _ = line.as_ref().map(|line| line.vision.send(message)),
                Command::Rebind(to) => {
                    if let (Some(endpoint), Ok(socket)) = (&self.endpoint, std::net::UdpSocket::bind(to)) {
                        let _ = endpoint.rebind(socket);
                    }
                }
                Command::Leave => break,
            }
        }
        if let Some(mut line) = line {
            drop((line.control, line.vision));
            let _ = tokio::time::timeout(LEAVING_PATIENCE, async { while line.writers.join_next().await.is_some() {} }).await;
            line.connection.close(VarInt::from_u32(0), b"leaving");
        }
        if let Some(endpoint) = &self.endpoint {
            let _ = tokio::time::timeout(LEAVING_PATIENCE, endpoint.wait_idle()).await;
        }
    }

    /// Dials until the cluster answers with a welcome or a refusal.
    async fn dial(&mut self, dial: Dial, hello: &Hello) -> Option<Line> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.greet(hello).await {
                Ok((connection, send, receive, reader, answer)) => match answer {
                    ClusterMessage::Welcome(welcome) => {
                        (self.told)(dial, DoorEvent::Linked(welcome));
                        return Some(self.carry(dial, connection, send, receive, reader));
                    }
                    ClusterMessage::Refusal(refusal) => {
                        (self.told)(dial, DoorEvent::Refused(refusal));
                        return None;
                    }
                    other => tracing::warn!(?other, "the cluster's first word was no greeting"),
                },
                Err(problem) => tracing::info!(problem, "the cluster cannot be reached"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.settings.reconnect_longest);
        }
    }

    async fn greet(&mut self, hello: &Hello) -> Result<(Connection, SendStream, RecvStream, UnitReader, ClusterMessage), String> {
        let found = address::find(&self.settings.address, self.answered).await?;
        let connection = address::first_answer(&found, async |to| self.shake(to).await).await?;
        self.answered = Some(connection.remote_address());
        let greeting = async {
            let (mut send, mut receive) = connection.open_bi().await.map_err(|e| e.to_string())?;
            let mut bytes = Vec::new();
            write_unit(&EdgeMessage::Hello(hello.clone()), &mut bytes);
            send.write_all(&bytes).await.map_err(|e| e.to_string())?;
            let mut reader = UnitReader::default();
            let answer = next(&mut receive, &mut reader).await?.ok_or("the cluster hung up before its greeting")?;
            Ok((connection, send, receive, reader, answer))
        };
        tokio::time::timeout(GREETING_PATIENCE, greeting).await.map_err(|_| "the cluster does not greet")?
    }

    async fn shake(&mut self, to: SocketAddr) -> Result<Connection, String> {
        let fits = |endpoint: &Endpoint| endpoint.local_addr().is_ok_and(|local| local.is_ipv4() == to.is_ipv4());
        if !self.endpoint.as_ref().is_some_and(fits) {
            self.endpoint = Some(Endpoint::client(address::local_for(to)).map_err(|e| format!("no UDP socket: {e}"))?);
        }
        let endpoint = self.endpoint.as_ref().expect("it was just made");
        let host = address::host(&self.settings.address);
        let connecting = endpoint.connect_with(self.client.clone(), to, host).map_err(|e| e.to_string())?;
        connecting.await.map_err(|e| e.to_string())
    }

    /// Starts what reads and writes on a connection that stands.
    fn carry(&self, dial: Dial, connection: Connection, send: SendStream, mut receive: RecvStream, mut reader: UnitReader) -> Line {
        let (control, control_queue) = unbounded_channel();
        let (vision, vision_queue) = unbounded_channel();
        let mut writers = tokio::task::JoinSet::new();
        writers.spawn(write(send, control_queue));
        let pictures = connection.clone();
        writers.spawn(async move {
            if let Ok(stream) = pictures.open_uni().await {
                write(stream, vision_queue).await;
            }
        });
        let (told, closing) = (self.told.clone(), connection.clone());
        tokio::spawn(async move {
            let why = loop {
                match next::<ClusterMessage>(&mut receive, &mut reader).await {
                    Ok(Some(ClusterMessage::Refusal(refusal))) => break DoorEvent::Refused(refusal),
                    Ok(Some(message)) => told(dial, DoorEvent::Received(message)),
                    Ok(None) => break DoorEvent::Unlinked("the cluster hung up".into()),
                    Err(problem) => break DoorEvent::Unlinked(problem),
                }
            };
            closing.close(VarInt::from_u32(0), b"over");
            told(dial, why);
        });
        Line { connection, control, vision, writers }
    }
}

/// Writes units until nobody has more, or the connection is gone.
async fn write<M: Wire>(mut stream: SendStream, mut queue: UnboundedReceiver<M>) {
    let mut bytes = Vec::new();
    while let Some(message) = queue.recv().await {
        bytes.clear();
        write_unit(&message, &mut bytes);
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
    if stream.finish().is_ok() {
        let _ = stream.stopped().await;
    }
}

/// The next unit of a stream; `None` at its end.
async fn next<M: Wire>(stream: &mut RecvStream, reader: &mut UnitReader) -> Result<Option<M>, String> {
    let mut bytes = vec![0; READ_BYTES];
    loop {
        if let Some(message) = reader.next_unit().map_err(|e| e.to_string())? {
            return Ok(Some(message));
        }
        match stream.read(&mut bytes).await.map_err(|e| e.to_string())? {
            Some(count) => reader.push(&bytes[..count]),
            None => return reader.finish().map(|()| None).map_err(|e| e.to_string()),
        }
    }
}
