//! The cluster's driver: one thread for the node, one for the engine; connections feed the first.
//!
//! Q5 and Q6. The inbox is bounded: when it is full, readers stop reading their streams, and QUIC makes the edges wait.
//! What waits to be sent to an edge is counted in bytes; above a limit the node is told to pause that session's answer, and
//! far above it the connection is hung up: acknowledgements go on while an answer pauses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caracal_shared::limits::EGRESS_BYTES_MAX;
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::wire::{ClusterMessage, Reason, Refusal, Wire};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, WeakSender, channel, unbounded_channel};

use super::metrics::Metrics;
use crate::executor::Execute;
use crate::node::{ConnectionId, Node, NodeInput, NodeOutput};
use crate::scheduler::StepPlan;

/// Messages of all edges that wait for the node.
const INBOX_MESSAGES: usize = 1024;
/// Bytes that wait for one edge before it is hung up. What is sent again after a reconnect is little more than what pauses
/// an answer; an edge that lets four times as much wait does not read.
const OUTBOX_BYTES_MAX: usize = 4 * EGRESS_BYTES_MAX;
/// Longest wait for something to happen.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// How long a shutdown waits for answers that are being heard.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// What goes to an edge.
#[derive(Debug)]
pub enum Egress {
    /// Say this.
    Say(ClusterMessage),
    /// Say why, if there is something to say, and hang up.
    Hangup(Option<Refusal>),
}

/// Someone who wants to see the node between two events.
pub struct Look(Box<dyn FnOnce(&Node) + Send>);

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Look(..)")
    }
}

/// What happens to the host.
#[derive(Debug)]
pub enum HostEvent {
    /// To the node.
    Node(NodeInput),
    /// A connection; what the node says to it goes there.
    Open(ConnectionId, Outbox),
    /// A connection sent bytes that are no unit: say why and hang up.
    Garbage(ConnectionId, Refusal),
    /// Show the node.
    Look(Look),
    /// Stop as soon as nobody is in the middle of an answer.
    Shutdown,
}

/// The queue to one edge.
#[derive(Clone, Debug)]
pub struct Outbox {
    messages: UnboundedSender<Egress>,
    bytes: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
    given_up: Arc<Notify>,
}

/// Its other end.
#[derive(Debug)]
pub struct OutboxReader {
    connection: ConnectionId,
    messages: UnboundedReceiver<Egress>,
    bytes: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
    given_up: Arc<Notify>,
    host: HostHandle,
}

impl OutboxReader {
    /// The next thing to send.
    pub async fn next(&mut self) -> Option<Egress> {
        self.messages.recv().await
    }

    /// Ends when so much waits that nothing more of it is to be sent. For the one who sends.
    pub async fn given_up(&self) {
        self.given_up.notified().await;
    }

    /// What [`OutboxReader::next`] gave was sent.
    pub async fn sent(&self, message: &ClusterMessage) {
        let before = self.bytes.fetch_sub(message.bytes(), Ordering::AcqRel);
        if before - message.bytes() < EGRESS_BYTES_MAX / 2 && self.full.swap(false, Ordering::AcqRel) {
            self.host.tell(HostEvent::Node(NodeInput::Egress(self.connection, false))).await;
        }
    }
}

/// How connections reach the host.
#[derive(Clone, Debug)]
pub struct HostHandle {
    inbox: Sender<HostEvent>,
    metrics: Arc<Metrics>,
}

impl HostHandle {
    /// Tells the host; waits while its inbox is full. A host that is gone is told nothing.
    pub async fn tell(&self, event: HostEvent) {
        let _ = self.inbox.send(event).await;
    }

    /// The same from a thread outside any runtime.
    pub fn tell_blocking(&self, event: HostEvent) {
        let _ = self.inbox.blocking_send(event);
    }

    /// What `look` sees of the node, from a thread outside any runtime; `None` when the host is gone.
    pub fn look<T: Send + 'static>(&self, look: impl FnOnce(&Node) -> T + Send + 'static) -> Option<T> {
        let (seen, answer) = std::sync::mpsc::channel();
        self.tell_blocking(HostEvent::Look(Look(Box::new(move |node| _ = seen.send(look(node))))));
        answer.recv().ok()
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// A queue to a new connection.
    pub fn outbox(&self, connection: ConnectionId) -> (Outbox, OutboxReader) {
        let (sender, messages) = unbounded_channel();
        let (bytes, full) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let given_up = Arc::new(Notify::new());
        let outbox = Outbox { messages: sender, bytes: bytes.clone(), full: full.clone(), given_up: given_up.clone() };
        (outbox, OutboxReader { connection, messages, bytes, full, given_up, host: self.clone() })
    }
}

/// The host and its threads.
pub struct Host {
    handle: HostHandle,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Starts both threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    #[allow(clippy::disallowed_methods, reason = "io may spawn and read the clock")]
    pub fn start(node: Node, executor: impl Execute + Send + 'static, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (inbox, events) = channel(INBOX_MESSAGES);
        let (plans, received) = std::sync::mpsc::channel();
        let handle = HostHandle { inbox, metrics: metrics.clone() };
        // Weak, so that the two threads do not keep each other alive.
        let (back, counted) = (handle.inbox.downgrade(), metrics.clone());
        std::thread::Builder::new().name("caracal-engine".into()).spawn(move || think(executor, &received, &back, &counted))?;
        let thread = std::thread::Builder::new().name("caracal-node".into()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
            let state = State { node, start: Instant::now(), plans, outboxes: BTreeMap::new(), metrics };
            runtime.block_on(state.run(events));
        })?;
        Ok(Self { handle, thread: Some(thread) })
    }

    /// How connections reach it.
    pub fn handle(&self) -> &HostHandle {
        &self.handle
    }

    /// Lets answers that are being heard end, for a while, and stops.
    pub fn shut_down(&mut self) {
        self.handle.tell_blocking(HostEvent::Shutdown);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "io may read the clock")]
fn think(mut executor: impl Execute, plans: &std::sync::mpsc::Receiver<StepPlan>, back: &WeakSender<HostEvent>, metrics: &Metrics) {
    while let Ok(plan) = plans.recv() {
        let start = Instant::now();
        let results = executor.run(&plan);
        metrics.stepped(start.elapsed(), &plan, executor.usage());
        let told = back.upgrade().map(|inbox| inbox.blocking_send(HostEvent::Node(NodeInput::Stepped(results))));
        if !matches!(told, Some(Ok(()))) {
            return;
        }
    }
}

struct State {
    node: Node,
    start: Instant,
    plans: std::sync::mpsc::Sender<StepPlan>,
    outboxes: BTreeMap<ConnectionId, Outbox>,
    metrics: Arc<Metrics>,
}

#[allow(clippy::disallowed_methods, reason = "io may read the clock")]
impl State {
    fn now(&self) -> Micros {
        Micros(self.start.elapsed().as_micros().try_into().unwrap_or(u64::MAX))
    }

    async fn run(mut self, mut events: Receiver<HostEvent>) {
        let mut stop: Option<Instant> = None;
        loop {
            let wait =
                self.node.deadline().map_or(IDLE_WAIT, |due| Duration::from_micros(due.0.saturating_sub(self.now().0)).min(IDLE_WAIT));
            match tokio::time::timeout(wait, events.recv()).await {
                Err(_) => self.handle(NodeInput::Tick),
                Ok(None) => return,
                Ok(Some(HostEvent::Node(input))) => self.handle(input),
                Ok(Some(HostEvent::Open(connection, outbox))) => {
                    self.outboxes.insert(connection, outbox);
                }
                Ok(Some(HostEvent::Look(look))) => (look.0)(&self.node),
                Ok(Some(HostEvent::Garbage(connection, refusal))) => {
                    self.metrics.refused(refusal.reason);
                    if let Some(outbox) = self.outboxes.remove(&connection) {
                        let _ = outbox.messages.send(Egress::Hangup(Some(refusal)));
                    }
                }
                Ok(Some(HostEvent::Shutdown)) => {
                    stop.get_or_insert_with(|| Instant::now() + SHUTDOWN_GRACE);
                    self.handle(NodeInput::Shutdown);
                }
            }
            let egress = self.outboxes.values().map(|outbox| outbox.bytes.load(Ordering::Acquire)).sum();
            self.metrics.queues(events.len(), egress, &self.node);
            if let Some(stop) = stop
                && (self.node.sessions().next().is_none() || Instant::now() >= stop)
            {
                return;
            }
        }
    }

    fn handle(&mut self, input: NodeInput) {
        if let NodeInput::Disconnect(connection) = &input {
            self.outboxes.remove(connection);
        }
        self.node.handle(self.now(), input);
        let mut full = Vec::new();
        while let Some(output) = self.node.poll() {
            match output {
                NodeOutput::Send(connection, message) => {
                    let Some(outbox) = self.outboxes.get(&connection) else { continue };
                    let waiting = outbox.bytes.fetch_add(message.bytes(), Ordering::AcqRel) + message.bytes();
                    let _ = outbox.messages.send(Egress::Say(message));
                    if waiting > OUTBOX_BYTES_MAX {
                        self.give_up(connection);
                    } else if waiting > EGRESS_BYTES_MAX && !outbox.full.swap(true, Ordering::AcqRel) {
                        full.push(connection);
                    }
                }
                NodeOutput::Hangup(connection, refusal) => {
                    if let Some(outbox) = self.outboxes.remove(&connection) {
                        let _ = outbox.messages.send(Egress::Hangup(refusal));
                    }
                }
                NodeOutput::Step(plan) => _ = self.plans.send(plan),
                NodeOutput::Event(session, at, event) => {
                    tracing::debug!(session_us = at.0, session = session.0, ?event);
                    self.metrics.event(event);
                }
                NodeOutput::Refused(reason) => self.metrics.refused(reason),
            }
        }
        full.into_iter().for_each(|connection| self.handle(NodeInput::Egress(connection, true)));
    }

    /// An edge that does not read: a last word would wait behind all that it did not read.
    fn give_up(&mut self, connection: ConnectionId) {
        if let Some(outbox) = self.outboxes.remove(&connection) {
            tracing::warn!(connection = connection.0, "an edge does not read; hung up");
            self.metrics.refused(Reason::Busy);
            outbox.given_up.notify_one();
        }
    }
}
