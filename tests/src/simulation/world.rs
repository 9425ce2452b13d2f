//! Events in order of time: edges, links, the cluster, faults.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use caracal_cluster::admission::Admission;
use caracal_cluster::executor::Execute;
use caracal_cluster::node::{ConnectionId, Node, NodeInput, NodeOutput};
use caracal_cluster::scheduler::{Blocks, SessionKey, WorkResult};
use caracal_cluster::tokenizer::Tokenizer;
use caracal_edge::conversation::{Input, Output, Settings};
use caracal_edge::job::{Job, JobResult};
use caracal_edge::vision::Picture;
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::LiveTemplate;
use caracal_shared::session::cluster::SessionEvent;
use caracal_shared::tokenize::Tokenize;
use caracal_shared::turn::TurnTiming;
use caracal_shared::wire::{AudioCut, ClusterMessage, EdgeMessage, Hello, Model, Precision, Reason, Ticket, VERSION, VisionMessage, Wire};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::accelerator::WIDTH;
use super::brain::Brain;
use super::edge_host::EdgeHost;
use super::link::{Lane, Link, LinkSettings};
use crate::golden::golden_root;

/// Time of one hop.
const HOP: u64 = 10_000;
/// Most outputs of one input.
const OUTPUTS_MAX: usize = 100_000;
/// The device token of this world.
const TOKEN: &str = "a token";
/// Messages on their way down after which a connection counts as full.
const FULL: usize = 64;

/// One edge.
#[derive(Clone, Debug, Default)]
pub struct EdgeSetup {
    /// Spans of speech in milliseconds.
    pub speech: Vec<(u64, u64)>,
    /// Whether it has a camera, which gives ten pictures a second.
    pub camera: bool,
    /// How much slower than usual its accelerator is; 0 is as usual.
    pub slowness: u64,
    /// How much slower still it sees; 0 is as usual.
    pub blindness: u64,
    /// Its link.
    pub link: LinkSettings,
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The connection breaks; the edge connects again after so long.
    Cut {
        /// Whose.
        edge: usize,
        /// Milliseconds.
        for_ms: u64,
    },
    /// Nothing gets through for so long; the connection stands.
    Outage {
        /// Whose.
        edge: usize,
        /// Milliseconds.
        for_ms: u64,
    },
    /// The edge does not read for so long.
    Stall {
        /// Which.
        edge: usize,
        /// Milliseconds.
        for_ms: u64,
    },
    /// The edge's address changes: the connection stands and goes on over another road. QUIC says again what was lost
    /// with the old one, so at this level nothing arrives until the new road has been tried there and back.
    Move {
        /// Whose.
        edge: usize,
        /// The new road.
        link: LinkSettings,
    },
    /// The edge's process is started anew.
    RestartEdge(usize),
    /// The cluster's process is started anew.
    RestartCluster,
    /// The edge's clock jumps.
    Clock {
        /// Whose.
        edge: usize,
        /// Milliseconds, forward or back.
        by_ms: i64,
    },
}

/// A world.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Of jitter and loss.
    pub seed: u64,
    /// The edges.
    pub edges: Vec<EdgeSetup>,
    /// Faults with their time in milliseconds.
    pub faults: Vec<(u64, Fault)>,
    /// How long silences must be.
    pub timing: TurnTiming,
    /// Microseconds of an engine step, and of each row more.
    pub engine: (u64, u64),
    /// Frames of an answer at least.
    pub frames: u32,
    /// Memory of the engine.
    pub blocks: Blocks,
    /// Positions of the context.
    pub context: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 0,
            edges: vec![EdgeSetup::default()],
            faults: Vec::new(),
            timing: TurnTiming::default(),
            engine: (8_000, 30),
            frames: 30,
            blocks: Blocks { tokens: 16, total: 4096 },
            context: 32_768,
        }
    }
}

enum Event {
    Hop(usize),
    Done(usize, u64, JobResult),
    Control(usize, ConnectionId, EdgeMessage),
    Vision(usize, ConnectionId, VisionMessage),
    Down(usize, ConnectionId, ClusterMessage),
    /// The edge learns that this connection is gone.
    Lost(usize, ConnectionId, bool),
    Connect(usize, u64),
    Hello(usize, ConnectionId, u64),
    Stepped(u64, Vec<WorkResult>),
    Fault(Fault),
}

struct At(Micros, u64, Event);

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// The world.
pub struct World {
    setup: Setup,
    /// Now.
    pub now: Micros,
    rng: StdRng,
    events: BinaryHeap<Reverse<At>>,
    sequence: u64,
    /// The edges.
    pub edges: Vec<EdgeHost>,
    /// The cluster.
    pub node: Node,
    /// Its engine.
    pub brain: Brain,
    /// The cluster was begun so many times.
    pub cluster_life: u64,
    /// What the cluster counted.
    pub counted: Vec<(Micros, SessionEvent)>,
    /// Refusals of connections.
    pub refused: Vec<Reason>,
    connections: u64,
    /// The latest session of each edge.
    keys: Vec<Option<SessionKey>>,
    /// Messages on their way down, and whether the node was told.
    down: Vec<(usize, bool)>,
    picture: Arc<Picture>,
}

fn admission(context: u32) -> (Admission, Vec<u32>) {
    let tokenizer = Tokenizer::load(&golden_root().join("prompt/standin_tokenizer.json")).expect("the stand-in tokenizer is there");
    let words = [" the", ",", " a", ".", " in"].iter().flat_map(|word| tokenizer.encode(word).expect("a word")).collect();
    let template = LiveTemplate::new(Arc::new(tokenizer)).expect("it has all markers");
    let tokens = vec!["another".into(), TOKEN.into()];
    let (width, hidden_width) = (WIDTH as u32, None);
    let model = "simulated".into();
    (Admission { tokens, model, width, hidden_width, template, code_sizes: [8192; 4], context, reply_steps: 600 }, words)
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(setup: Setup) -> Self {
        let (admission, words) = admission(setup.context);
        let make = |edge: &EdgeSetup| {
            let settings = Settings { timing: setup.timing, camera: edge.camera, speaker_rate: 24_000, ticket: None };
            EdgeHost::new(settings, Link::new(edge.link), edge.speech.clone(), 1 + edge.slowness)
        };
        let mut world = Self {
            now: Micros(0),
            rng: StdRng::seed_from_u64(setup.seed),
            events: BinaryHeap::new(),
            sequence: 0,
            edges: setup.edges.iter().map(make).collect(),
            node: Node::new(admission, setup.blocks, 16),
            brain: Brain::new(setup.blocks, words, setup.frames),
            cluster_life: 0,
            counted: Vec::new(),
            refused: Vec::new(),
            connections: 0,
            keys: vec![None; setup.edges.len()],
            down: vec![(0, false); setup.edges.len()],
            picture: Arc::new(Picture::new("simulated", 2, 2, vec![0; 12]).expect("a small picture")),
            setup,
        };
        for edge in 0..world.edges.len() {
            world.at(Micros(0), Event::Connect(edge, 0));
            world.at(Micros(HOP), Event::Hop(edge));
        }
        for (ms, fault) in world.setup.faults.clone() {
            world.at(Micros(ms * 1000), Event::Fault(fault));
        }
        world
    }

    fn at(&mut self, at: Micros, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse(At(at, self.sequence, event)));
    }

    /// Goes on until this moment.
    pub fn run(&mut self, until_ms: u64) {
        let until = Micros(until_ms * 1000);
        loop {
            let event = self.events.peek().map(|Reverse(At(at, ..))| *at);
            let node = self.node.deadline();
            let edges =
                self.edges.iter().map(|edge| edge.conversation.deadline().map(|at| Micros(at.0.saturating_add_signed(-edge.clock))));
            let edge = edges.enumerate().filter_map(|(edge, at)| at.map(|at| (at, edge))).min();
            let next = [event, node, edge.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            if event == Some(next) {
                let Some(Reverse(At(_, _, event))) = self.events.pop() else { break };
                self.happen(event);
            } else if node == Some(next) {
                self.node(NodeInput::Tick);
            } else if let Some((_, edge)) = edge {
                self.edge(edge, Input::Tick);
            }
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Hop(edge) => self.hop(edge),
            Event::Done(edge, life, result) if self.edges[edge].life == life => self.edge(edge, Input::Done(result)),
            Event::Control(edge, connection, message) if self.stands(edge, connection) => {
                self.node(NodeInput::Control(connection, message))
            }
            Event::Vision(edge, connection, message) if self.stands(edge, connection) => self.node(NodeInput::Vision(connection, message)),
            Event::Down(edge, connection, message) if self.stands(edge, connection) => {
                self.down[edge].0 -= 1;
                if self.down[edge].0 == 0 && std::mem::take(&mut self.down[edge].1) {
                    self.node(NodeInput::Egress(connection, false));
                }
                match message {
                    ClusterMessage::Welcome(welcome) => self.edge(edge, Input::Linked(welcome)),
                    ClusterMessage::Refusal(refusal) => {
                        self.drop_connection(edge);
                        if refusal.reason.may_pass() {
                            let at = self.now.after(Micros(200_000));
                            self.at(at, Event::Connect(edge, self.edges[edge].life));
                        }
                        self.edge(edge, Input::Refused(refusal));
                    }
                    message => self.edge(edge, Input::Received(message)),
                }
            }
            Event::Lost(edge, connection, tell_edge) => {
                self.node(NodeInput::Disconnect(connection));
                if tell_edge {
                    self.edge(edge, Input::Unlinked);
                }
            }
            Event::Connect(edge, life) if self.edges[edge].life == life && self.edges[edge].link.connection.is_none() => self.connect(edge),
            Event::Hello(edge, connection, life) if self.stands(edge, connection) && self.edges[edge].life == life => {
                self.hello(edge, connection)
            }
            Event::Stepped(life, results) if self.cluster_life == life => self.node(NodeInput::Stepped(results)),
            Event::Fault(fault) => self.go_wrong(fault),
            // Of a connection, an edge or a cluster that is no more.
            _ => {}
        }
    }

    /// Connections that were ever begun.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// The session that an edge began last.
    ///
    /// # Panics
    /// When it has begun none.
    pub fn session_of(&self, edge: usize) -> SessionKey {
        self.keys[edge].expect("the edge has begun a session")
    }

    fn stands(&self, edge: usize, connection: ConnectionId) -> bool {
        self.edges[edge].link.connection == Some(connection)
    }

    fn hop(&mut self, edge: usize) {
        let hop = self.now.0 / HOP - 1;
        let (samples, event) = self.edges[edge].hear(hop);
        self.edge(edge, Input::Hop(samples));
        if let Some(event) = event {
            self.edge(edge, Input::Voice(event));
        }
        if hop.is_multiple_of(10) && self.edges[edge].settings.camera {
            let picture = self.picture.clone();
            self.edge(edge, Input::Camera(picture));
        }
        self.edge(edge, Input::Pull);
        self.at(self.now.after(Micros(HOP)), Event::Hop(edge));
    }

    fn edge(&mut self, edge: usize, input: Input) {
        let now = self.edges[edge].now(self.now);
        self.edges[edge].conversation.handle(now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.edges[edge].conversation.poll()).take(OUTPUTS_MAX).collect();
        assert!(outputs.len() < OUTPUTS_MAX, "an edge does not stop asking");
        assert!(self.edges[edge].conversation.is_within_limits(), "the edge keeps more than its limits allow");
        for output in outputs {
            let host = &mut self.edges[edge];
            match output {
                Output::Job(job) => {
                    let blindness = if matches!(job, Job::See { .. }) { 1 + self.setup.edges[edge].blindness } else { 1 };
                    let (result, takes) = host.accelerator.run(job);
                    host.busy_until = host.busy_until.max(self.now).after(Micros(takes * host.slowness * blindness));
                    let (at, life) = (host.busy_until, host.life);
                    if let Some(result) = result {
                        self.at(at, Event::Done(edge, life, result));
                    }
                }
                Output::Control(message) => {
                    assert_eq!(EdgeMessage::decode(&message.encode()).as_ref(), Ok(&message));
                    self.send(edge, Lane::Control, |connection| Event::Control(edge, connection, message));
                }
                Output::Vision(message) => {
                    assert_eq!(VisionMessage::decode(&message.encode()).as_ref(), Ok(&message));
                    self.send(edge, Lane::Vision, |connection| Event::Vision(edge, connection, message));
                }
                Output::Block(block) => host.play(self.now, &block),
                Output::Ticket(ticket) => host.ticket = ticket,
                Output::Reconnect => {
                    self.drop_connection(edge);
                    let at = self.now.after(Micros(50_000));
                    self.at(at, Event::Connect(edge, self.edges[edge].life));
                }
                Output::Story(story) => host.note(self.now, story),
            }
        }
    }

    fn send(&mut self, edge: usize, lane: Lane, event: impl FnOnce(ConnectionId) -> Event) {
        let link = &mut self.edges[edge].link;
        let Some(connection) = link.connection else { return };
        let at = link.arrival(self.now, lane, &mut self.rng);
        self.at(at, event(connection));
    }

    fn connect(&mut self, edge: usize) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let (settings, outage, stalled) =
            (self.setup.edges[edge].link, self.edges[edge].link.outage_until, self.edges[edge].link.stalled_until);
        let host = &mut self.edges[edge];
        host.link = Link::new(settings);
        (host.link.connection, host.link.outage_until, host.link.stalled_until) = (Some(connection), outage, stalled);
        self.down[edge] = (0, false);
        let life = host.life;
        self.send(edge, Lane::Control, |connection| Event::Hello(edge, connection, life));
    }

    fn hello(&mut self, edge: usize, connection: ConnectionId) {
        let host = &self.edges[edge];
        let (identity, width) = ("simulated".into(), WIDTH as u32);
        let model = Model { identity, audio_cut: AudioCut::Projected, precision: Precision::Bf16, audio_width: width, vision_width: width };
        let hello = Hello { version: VERSION, token: TOKEN.into(), model, resume: host.conversation.resume() };
        let ticket = Ticket(std::array::from_fn(|_| self.rng.random()));
        assert_eq!(EdgeMessage::decode(&EdgeMessage::Hello(hello.clone()).encode()), Ok(EdgeMessage::Hello(hello.clone())));
        let newest = |world: &Self| world.node.sessions().map(|(key, ..)| key).last();
        let before = newest(self);
        self.node(NodeInput::Connect { connection, hello, ticket });
        // Keys grow: a new one is that of a session which has just begun.
        if newest(self) > before {
            self.keys[edge] = newest(self);
        }
    }

    fn drop_connection(&mut self, edge: usize) {
        if let Some(connection) = self.edges[edge].link.connection.take() {
            self.at(self.now.after(Micros(1_000)), Event::Lost(edge, connection, false));
        }
    }

    fn node(&mut self, input: NodeInput) {
        self.node.handle(self.now, input);
        let outputs: Vec<NodeOutput> = std::iter::from_fn(|| self.node.poll()).take(OUTPUTS_MAX).collect();
        assert!(outputs.len() < OUTPUTS_MAX, "the node does not stop asking");
        assert!(self.node.sessions().all(|(_, session, _)| session.is_within_limits()), "a session keeps more than its limits allow");
        let mut full = Vec::new();
        for output in outputs {
            match output {
                NodeOutput::Send(connection, message) => full.extend(self.send_down(connection, message)),
                NodeOutput::Hangup(connection, refusal) => {
                    if let Some(refusal) = refusal {
                        self.send_down(connection, ClusterMessage::Refusal(refusal));
                    }
                }
                NodeOutput::Step(plan) => {
                    let rows: u32 = plan.work.iter().flat_map(|work| &work.parts).map(|part| part.rows()).sum();
                    let results = self.brain.run(&plan);
                    let (step, row) = self.setup.engine;
                    let at = self.now.after(Micros(step + row * u64::from(rows)));
                    self.at(at, Event::Stepped(self.cluster_life, results));
                }
                NodeOutput::Event(_, _, event) => self.counted.push((self.now, event)),
                NodeOutput::Refused(reason) => self.refused.push(reason),
            }
        }
        full.into_iter().for_each(|connection| self.node(NodeInput::Egress(connection, true)));
    }

    /// Sends down; says whose queue has just become full.
    fn send_down(&mut self, connection: ConnectionId, message: ClusterMessage) -> Option<ConnectionId> {
        let edge = self.edges.iter().position(|edge| edge.link.connection == Some(connection))?;
        assert_eq!(ClusterMessage::decode(&message.encode()).as_ref(), Ok(&message));
        self.send(edge, Lane::Down, |connection| Event::Down(edge, connection, message));
        let (waiting, told) = &mut self.down[edge];
        *waiting += 1;
        (*waiting > FULL && !std::mem::replace(told, true)).then_some(connection)
    }

    fn go_wrong(&mut self, fault: Fault) {
        match fault {
            Fault::Cut { edge, for_ms } => {
                if let Some(connection) = self.edges[edge].link.connection.take() {
                    self.at(self.now.after(Micros(30_000)), Event::Lost(edge, connection, true));
                }
                let life = self.edges[edge].life;
                self.at(self.now.after(Micros(1000 * for_ms.max(40))), Event::Connect(edge, life));
            }
            Fault::Outage { edge, for_ms } => self.edges[edge].link.outage_until = self.now.after(Micros(1000 * for_ms)),
            Fault::Stall { edge, for_ms } => self.edges[edge].link.stalled_until = self.now.after(Micros(1000 * for_ms)),
            Fault::Move { edge, link } => {
                self.setup.edges[edge].link = link;
                self.edges[edge].link.go_over(link, self.now);
            }
            Fault::RestartEdge(edge) => {
                self.drop_connection(edge);
                self.edges[edge].restart();
                let life = self.edges[edge].life;
                self.at(self.now.after(Micros(300_000)), Event::Connect(edge, life));
            }
            Fault::RestartCluster => {
                let (admission, words) = admission(self.setup.context);
                self.node = Node::new(admission, self.setup.blocks, 16);
                self.brain = Brain::new(self.setup.blocks, words, self.setup.frames);
                self.cluster_life += 1;
                for edge in 0..self.edges.len() {
                    if self.edges[edge].link.connection.take().is_some() {
                        self.edge(edge, Input::Unlinked);
                    }
                    let life = self.edges[edge].life;
                    self.at(self.now.after(Micros(500_000)), Event::Connect(edge, life));
                }
            }
            Fault::Clock { edge, by_ms } => self.edges[edge].clock += 1000 * by_ms,
        }
    }
}
