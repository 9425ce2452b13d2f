//! The cluster as one machine: connections → sessions → scheduler.
//!
//! It knows which connection has which session, and nothing of what is said. Whatever one session does wrong ends that
//! session; a connection that does wrong before it has one is refused.

use std::collections::{BTreeMap, VecDeque};

use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::cluster::{ClusterInput, ClusterOutput, Session, SessionEvent};
use caracal_shared::wire::{ClusterMessage, EdgeMessage, Hello, Reason, Refusal, Ticket, VisionMessage};

use crate::admission::Admission;
use crate::scheduler::{Blocks, Scheduler, SchedulerInput, SchedulerOutput, SessionKey, StepPlan, WorkResult};

/// Number of a connection in this process. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeInput {
    /// Time passes.
    Tick,
    /// An edge said hello; `ticket` is random, for a new session.
    Connect {
        /// Its connection.
        connection: ConnectionId,
        /// What it said.
        hello: Hello,
        /// For a session that begins with this.
        ticket: Ticket,
    },
    /// A connection is gone.
    Disconnect(ConnectionId),
    /// Said on a control stream.
    Control(ConnectionId, EdgeMessage),
    /// Said on a vision stream.
    Vision(ConnectionId, VisionMessage),
    /// The queue to an edge has become full, or empty.
    Egress(ConnectionId, bool),
    /// The engine is done with the plan.
    Stepped(Vec<WorkResult>),
    /// No more sessions; those that are idle end, the others when they are.
    Shutdown,
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeOutput {
    /// Say this.
    Send(ConnectionId, ClusterMessage),
    /// Say why, and end the connection.
    Hangup(ConnectionId, Option<Refusal>),
    /// Of the engine.
    Step(StepPlan),
    /// Something worth counting, at this session, so long after its beginning.
    Event(SessionKey, Micros, SessionEvent),
    /// A connection was refused before it had a session.
    Refused(Reason),
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    session: Session,
    ticket: Ticket,
    /// When it began.
    opened: Micros,
    connection: Option<ConnectionId>,
}

/// The machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    admission: Admission,
    sessions_max: usize,
    now: Micros,
    sessions: BTreeMap<SessionKey, Entry>,
    connections: BTreeMap<ConnectionId, SessionKey>,
    tickets: BTreeMap<Ticket, SessionKey>,
    opened: u64,
    scheduler: Scheduler,
    draining: bool,
    outputs: VecDeque<NodeOutput>,
}

impl Node {
    /// A node with nobody connected.
    pub fn new(admission: Admission, blocks: Blocks, sessions_max: usize) -> Self {
        Self {
            admission,
            sessions_max,
            now: Micros(0),
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            tickets: BTreeMap::new(),
            opened: 0,
            scheduler: Scheduler::new(blocks),
            draining: false,
            outputs: VecDeque::new(),
        }
    }

    /// Sessions that are kept, connected or not.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionKey, &Session, bool)> {
        self.sessions.iter().map(|(key, entry)| (*key, &entry.session, entry.connection.is_some()))
    }

    /// The scheduler, for those who count.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    fn connect(&mut self, connection: ConnectionId, hello: &Hello, ticket: Ticket) {
        match self.place(hello, ticket) {
            Err(refusal) => {
                self.outputs.push_back(NodeOutput::Refused(refusal.reason));
                self.outputs.push_back(NodeOutput::Hangup(connection, Some(refusal)));
            }
            Ok(key) => {
                let entry = self.sessions.get_mut(&key).expect("a session was found or made");
                if let Some(before) = entry.connection.replace(connection) {
                    self.connections.remove(&before);
                    let refusal = Refusal::new(Reason::Replaced, "the session goes on over another connection.");
                    self.outputs.push_back(NodeOutput::Hangup(before, Some(refusal)));
                }
                self.connections.insert(connection, key);
                let (received, restarted) = hello.resume.map_or((0, false), |resume| (resume.received, resume.restarted));
                self.session(key, ClusterInput::Attached { received, restarted });
            }
        }
    }

    /// The session that this edge goes on with, or a new one.
    fn place(&mut self, hello: &Hello, ticket: Ticket) -> Result<SessionKey, Refusal> {
        let settings = self.admission.admit(hello)?;
        if let Some(resume) = hello.resume {
            let key = self.tickets.get(&resume.ticket).filter(|key| self.sessions[key].session.settings().model == settings.model);
            return key.copied().ok_or_else(|| {
                Refusal::new(Reason::Ticket, "there is no such session: it ended, or the cluster was started anew. Begin a new one.")
            });
        }
        if self.draining {
            return Err(Refusal::new(Reason::Shutdown, "the cluster shuts down. Try again in a minute."));
        }
        if self.sessions.len() >= self.sessions_max {
            let text = format!("{} sessions are open, as many as are configured. Try again when one has ended.", self.sessions_max);
            return Err(Refusal::new(Reason::Busy, text));
        }
        self.opened += 1;
        let key = SessionKey(self.opened);
        self.tickets.insert(ticket, key);
        let session = Session::new(settings, ticket, self.now);
        self.sessions.insert(key, Entry { session, ticket, opened: self.now, connection: None });
        self.schedule(SchedulerInput::Open(key));
        Ok(key)
    }

    fn of(&self, connection: ConnectionId) -> Option<SessionKey> {
        self.connections.get(&connection).copied()
    }

    fn session(&mut self, key: SessionKey, input: ClusterInput) {
        let Some(entry) = self.sessions.get_mut(&key) else { return };
        entry.session.handle(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| entry.session.poll()).collect();
        let (connection, age) = (entry.connection, Micros(self.now.0 - entry.opened.0));
        for output in outputs {
            match output {
                ClusterOutput::Send(message) => self.outputs.extend(connection.map(|connection| NodeOutput::Send(connection, message))),
                ClusterOutput::Engine(op) => self.schedule(SchedulerInput::Op(key, op)),
                ClusterOutput::Event(event) => self.outputs.push_back(NodeOutput::Event(key, age, event)),
                ClusterOutput::End(refusal) => self.end(key, refusal),
            }
        }
        if self.draining && self.sessions.get(&key).is_some_and(|entry| entry.session.is_idle()) {
            self.end(key, Some(Refusal::new(Reason::Shutdown, "the cluster shuts down. Try again in a minute.")));
        }
    }

    fn end(&mut self, key: SessionKey, refusal: Option<Refusal>) {
        let Some(entry) = self.sessions.remove(&key) else { return };
        self.tickets.remove(&entry.ticket);
        if let Some(connection) = entry.connection {
            self.connections.remove(&connection);
            self.outputs.push_back(NodeOutput::Hangup(connection, refusal));
        }
        self.schedule(SchedulerInput::Close(key));
    }

    fn schedule(&mut self, input: SchedulerInput) {
        self.scheduler.handle(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.scheduler.poll()).collect();
        for output in outputs {
            match output {
                SchedulerOutput::Step(plan) => self.outputs.push_back(NodeOutput::Step(plan)),
                SchedulerOutput::Sampled(key, sampled) => {
                    let (attempt, step) = (sampled.choose.attempt, sampled.choose.step);
                    self.session(key, ClusterInput::Sampled { attempt, step, text: sampled.text, codes: sampled.codes });
                }
                SchedulerOutput::Failed(key, refusal, length) => self.session(key, ClusterInput::Failed { refusal, length }),
            }
        }
    }

    fn shut_down(&mut self) {
        self.draining = true;
        let keys: Vec<SessionKey> = self.sessions.keys().copied().collect();
        keys.into_iter().for_each(|key| self.session(key, ClusterInput::Tick));
    }

    /// Ticks each machine at the moment that it asked for.
    fn pass_time(&mut self, now: Micros) {
        while let Some(due) = self.deadline().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            let late: Vec<SessionKey> = self
                .sessions
                .iter()
                .filter(|(_, entry)| entry.session.deadline().is_some_and(|at| at <= due))
                .map(|(key, _)| *key)
                .collect();
            late.into_iter().for_each(|key| self.session(key, ClusterInput::Tick));
            if self.scheduler.deadline().is_some_and(|at| at <= due) {
                self.schedule(SchedulerInput::Tick);
            }
        }
        self.now = self.now.max(now);
    }
}

impl Machine for Node {
    type Input = NodeInput;
    type Output = NodeOutput;

    fn handle(&mut self, now: Micros, input: NodeInput) {
        assert!(self.outputs.is_empty(), "outputs of the node were not drained");
        let now = self.now.max(now);
        self.pass_time(now);
        match input {
            NodeInput::Tick => {}
            NodeInput::Connect { connection, hello, ticket } => self.connect(connection, &hello, ticket),
            NodeInput::Disconnect(connection) => {
                if let Some(key) = self.connections.remove(&connection) {
                    if let Some(entry) = self.sessions.get_mut(&key) {
                        entry.connection = None;
                    }
                    self.session(key, ClusterInput::Detached);
                }
            }
            NodeInput::Control(connection, message) => {
                if let Some(key) = self.of(connection) {
                    self.session(key, ClusterInput::Control(message));
                }
            }
            NodeInput::Vision(connection, message) => {
                if let Some(key) = self.of(connection) {
                    self.session(key, ClusterInput::Vision(message));
                }
            }
            NodeInput::Egress(connection, full) => {
                if let Some(key) = self.of(connection) {
                    self.session(key, ClusterInput::Egress { full });
                }
            }
            NodeInput::Stepped(results) => self.schedule(SchedulerInput::Stepped(results)),
            NodeInput::Shutdown => self.shut_down(),
        }
        self.pass_time(now);
    }

    fn poll(&mut self) -> Option<NodeOutput> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        self.sessions.values().filter_map(|entry| entry.session.deadline()).chain(self.scheduler.deadline()).min()
    }
}
