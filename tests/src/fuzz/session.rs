//! Operation lists against both halves of a session: any order of anything, from a stranger or a broken clock.

use std::sync::Arc;

use caracal_cluster::admission::Admission;
use caracal_cluster::node::{ConnectionId, Node, NodeInput};
use caracal_cluster::scheduler::Blocks;
use caracal_cluster::tokenizer::Tokenizer;
use caracal_edge::audio::voice_activity::VoiceEvent;
use caracal_edge::conversation::Input;
use caracal_edge::job::{HearingId, JobResult};
use caracal_edge::vision::Picture;
use caracal_shared::limits::{PICTURES_KEPT_MAX, RESEND_BYTES_MAX};
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::LiveTemplate;
use caracal_shared::session::engine::EngineOp;
use caracal_shared::session::{cluster, edge};
use caracal_shared::turn::{AttemptId, TurnId, TurnOutput};
use caracal_shared::wire::{
    AudioCut, ClusterMessage, EdgeMessage, Embeddings, Hello, Model, PictureId, Precision, Reason, Refusal, SeenAs, Ticket, VERSION,
    VisionMessage, Welcome,
};

use crate::golden::golden_root;

/// Most outputs of one input: everything that was not acknowledged may be sent again.
const OUTPUTS_MAX: usize = 20_000;

/// Numbers from bytes; zeros when there are no more.
pub struct Bytes<'d>(&'d [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// Small numbers, so that some of them meet.
    fn number(&mut self) -> u64 {
        u64::from(self.byte() % 6)
    }

    fn embeddings(&mut self) -> Embeddings {
        let count = 1 + usize::from(self.byte() % 20);
        let width = if self.byte() == 255 { 3 } else { 4 };
        Embeddings::pack(&vec![f32::from(self.byte()); count * width], width, Precision::Int8)
    }

    fn seen(&mut self) -> SeenAs {
        match self.byte() % 3 {
            0 => SeenAs::Still,
            1 => SeenAs::Sparse { tenths: self.number() },
            _ => SeenAs::Dense { tenths: self.number() },
        }
    }

    fn provisional(&mut self) -> Option<AttemptId> {
        (self.byte() % 3 == 0).then(|| AttemptId(self.number()))
    }
}

/// Settings of sessions that are made here.
///
/// # Panics
/// When the stand-in tokenizer is not there.
pub fn cluster_settings() -> cluster::Settings {
    let tokenizer = Tokenizer::load(&golden_root().join("prompt/standin_tokenizer.json")).expect("the stand-in tokenizer is there");
    cluster::Settings {
        template: LiveTemplate::new(Arc::new(tokenizer)).expect("it has all markers"),
        model: Model { identity: "m".into(), audio_cut: AudioCut::Projected, precision: Precision::Int8, audio_width: 4, vision_width: 4 },
        code_sizes: [8192; 4],
        context: 2048,
        reply_steps: 40,
    }
}

/// The next input of a cluster's session.
pub fn cluster_input(bytes: &mut Bytes) -> cluster::ClusterInput {
    use cluster::ClusterInput as In;
    let (turn, attempt) = (TurnId(bytes.number()), AttemptId(bytes.number()));
    match bytes.byte() % 22 {
        0 => In::Tick,
        1 => In::Attached { received: bytes.number(), restarted: bytes.byte() % 2 == 0 },
        2 => In::Detached,
        3 => In::Egress { full: bytes.byte() % 2 == 0 },
        4 => In::Failed { refusal: Refusal::new(Reason::Busy, "full"), length: bytes.number() as u32 * 20 },
        5 => In::Control(EdgeMessage::Forget(PictureId(bytes.number()))),
        6 | 7 => In::Vision(VisionMessage::Picture { picture: PictureId(bytes.number()), embeddings: bytes.embeddings() }),
        8 => In::Control(EdgeMessage::TurnCancel(turn)),
        9 => In::Control(EdgeMessage::Resume(attempt)),
        10 => In::Control(EdgeMessage::BargeIn { attempt, frames: u32::from(bytes.byte()) }),
        11 => In::Control(EdgeMessage::ReplyEnd(attempt)),
        12 => In::Control(EdgeMessage::Played { attempt, frames: u32::from(bytes.byte()) }),
        13 => In::Control(EdgeMessage::Ack(bytes.number())),
        14 => In::Control(EdgeMessage::Unit {
            turn,
            provisional: bytes.provisional(),
            picture: PictureId(bytes.number()),
            seen: bytes.seen(),
        }),
        15 | 16 => In::Control(EdgeMessage::TurnStart(turn)),
        17 => In::Control(EdgeMessage::SpeculativeEndpoint { turn, attempt }),
        18 => In::Control(EdgeMessage::Endpoint { turn, attempt }),
        19 => In::Control(EdgeMessage::Audio { turn, provisional: bytes.provisional(), embeddings: bytes.embeddings() }),
        _ => {
            let codes = std::array::from_fn(|_| 30 + u32::from(bytes.byte()));
            In::Sampled { attempt, step: u32::from(bytes.byte() % 40), text: u32::from(bytes.byte()), codes }
        }
    }
}

/// The next input of an edge's session.
pub fn edge_input(bytes: &mut Bytes) -> edge::EdgeInput {
    use edge::EdgeInput as In;
    let (turn, attempt, picture) = (TurnId(bytes.number()), AttemptId(bytes.number()), PictureId(bytes.number()));
    match bytes.byte() % 24 {
        0 => In::Tick,
        1 | 2 => In::Turn(TurnOutput::TurnStart(turn)),
        3 => In::Turn(TurnOutput::TurnCancel(turn)),
        4 => In::Turn(TurnOutput::SpeculativeEndpoint(attempt)),
        5 => In::Turn(TurnOutput::Resume(attempt)),
        6 => In::Turn(TurnOutput::Endpoint { attempt, speculated: bytes.byte() % 2 == 0 }),
        7 => In::Turn(TurnOutput::BargeIn(attempt)),
        8 => In::Turn(TurnOutput::ReplyEnd(attempt)),
        9 | 10 => In::Audio { turn, embeddings: bytes.embeddings() },
        11 => In::Picture { picture, embeddings: bytes.embeddings() },
        12 => In::Buffer { picture, seen: bytes.seen() },
        13 => In::Unit { turn, unit: (bytes.byte() % 2 == 0).then(|| (picture, bytes.seen())) },
        14 | 15 => In::Tail {
            attempt,
            audio: (bytes.byte() % 2 == 0).then(|| bytes.embeddings()),
            unit: (bytes.byte() % 2 == 0).then(|| (picture, bytes.seen())),
        },
        16 => In::Played { attempt, frames: u32::from(bytes.byte()) },
        17 => In::Linked(Welcome {
            ticket: Ticket([bytes.byte() % 2; 16]),
            control: bytes.number(),
            vision: bytes.number(),
            next_turn: bytes.number(),
            next_attempt: bytes.number(),
            next_picture: bytes.number(),
            sent: bytes.number(),
            now: u64::from(bytes.byte()) * 10_000,
        }),
        18 => In::Unlinked,
        19 => In::Refused(Refusal::new(Reason::Ticket, "gone")),
        20 => In::Received(ClusterMessage::Speech { attempt, frames: vec![[1, 2, 3, 4]; 1 + usize::from(bytes.byte() % 8)] }),
        21 => In::Received(ClusterMessage::ReplyClosed { attempt, text: "yes".into(), whole: bytes.byte() % 2 == 0 }),
        22 => In::Received(ClusterMessage::Ack { control: bytes.number(), vision: bytes.number() }),
        _ => In::Received(ClusterMessage::Notice { reason: Reason::Busy, text: "no".into(), turn: Some(turn) }),
    }
}

/// The next input of an edge's whole conversation.
///
/// # Panics
/// Never: a picture of one pixel is one.
pub fn conversation_input(bytes: &mut Bytes) -> Input {
    let (stream, attempt, picture) = (HearingId(bytes.number()), AttemptId(bytes.number()), PictureId(bytes.number()));
    let embeddings = |bytes: &mut Bytes| (bytes.byte() % 4 > 0).then(|| bytes.embeddings());
    let (at, decided_at) = (bytes.number() * 400, bytes.number() * 400);
    match bytes.byte() % 24 {
        0 => Input::Tick,
        1..=6 => Input::Hop(Box::new([f32::from(bytes.byte()) / 256.0; 160])),
        7 | 8 => Input::Voice(VoiceEvent::Started { at, decided_at }),
        9 | 10 => Input::Voice(VoiceEvent::Stopped { at, decided_at, brief: bytes.byte() % 3 == 0 }),
        11 => Input::Camera(Arc::new(Picture::new("fuzz", 1, 1, vec![bytes.byte(); 3]).expect("one pixel"))),
        12 => Input::Show(Arc::new(Picture::new("fuzz", 1, 1, vec![bytes.byte(); 3]).expect("one pixel"))),
        13 | 14 => Input::Done(JobResult::Heard { stream, embeddings: embeddings(bytes) }),
        15 => Input::Done(JobResult::HeardTail { stream, attempt, embeddings: embeddings(bytes) }),
        16 => Input::Done(JobResult::Seen { picture, embeddings: embeddings(bytes) }),
        17 => Input::Done(JobResult::Spoken { attempt, samples: vec![0.5; usize::from(bytes.byte())], last: bytes.byte() % 3 == 0 }),
        18 | 19 => Input::Pull,
        20 => Input::Leave,
        _ => match edge_input(bytes) {
            edge::EdgeInput::Linked(welcome) => Input::Linked(welcome),
            edge::EdgeInput::Unlinked => Input::Unlinked,
            edge::EdgeInput::Refused(refusal) => Input::Refused(refusal),
            edge::EdgeInput::Received(message) => Input::Received(message),
            _ => Input::Tick,
        },
    }
}

/// A node that serves what [`cluster_settings`] says, to whoever shows the token `t`.
pub fn node(settings: &cluster::Settings) -> Node {
    let admission = Admission {
        tokens: vec!["t".into()],
        model: settings.model.identity.clone(),
        width: 4,
        hidden_width: None,
        template: settings.template.clone(),
        code_sizes: settings.code_sizes,
        context: settings.context,
        reply_steps: settings.reply_steps,
    };
    Node::new(admission, Blocks { tokens: 16, total: 64 }, 3)
}

/// The next input of a node whose engine is stuck: a result that nobody asked for is a fault of the driver, not of a peer.
pub fn node_input(bytes: &mut Bytes) -> NodeInput {
    let connection = ConnectionId(bytes.number());
    match bytes.byte() % 12 {
        0 => NodeInput::Tick,
        1..=3 => {
            let model =
                Model { identity: "m".into(), audio_cut: AudioCut::Projected, precision: Precision::Int8, audio_width: 4, vision_width: 4 };
            let token = if bytes.byte() % 8 == 0 { "wrong" } else { "t" }.to_string();
            let hello = Hello { version: VERSION + u32::from(bytes.byte() == 9), token, model, resume: None };
            NodeInput::Connect { connection, hello, ticket: Ticket([bytes.byte(); 16]) }
        }
        4 => NodeInput::Disconnect(connection),
        5 => NodeInput::Egress(connection, bytes.byte() % 2 == 0),
        6 if bytes.byte() % 16 == 0 => NodeInput::Shutdown,
        _ => match cluster_input(bytes) {
            cluster::ClusterInput::Control(message) => NodeInput::Control(connection, message),
            cluster::ClusterInput::Vision(message) => NodeInput::Vision(connection, message),
            _ => NodeInput::Tick,
        },
    }
}

/// A list of inputs with their times, from bytes.
pub fn script<I>(data: &[u8], next: impl Fn(&mut Bytes) -> I) -> Vec<(Micros, I)> {
    let mut bytes = Bytes(data);
    let (mut now, mut script) = (0i64, Vec::new());
    while !bytes.0.is_empty() {
        let step = [0, 1_000, 60_000, 500_000, 130_000_000, -400_000][usize::from(bytes.byte() % 6)];
        now = (now + step).max(0);
        script.push((Micros(now as u64), next(&mut bytes)));
    }
    script
}

/// Any inputs to a cluster's session: it never panics, its cache never has a negative length, and what it keeps is bounded.
///
/// # Panics
/// When one of that does not hold.
pub fn cluster_session(data: &[u8], settings: &cluster::Settings) {
    let mut session = cluster::Session::new(settings.clone(), Ticket([7; 16]), Micros(0));
    let mut length = 0u32;
    for (now, input) in script(data, cluster_input) {
        if let cluster::ClusterInput::Failed { length: left, .. } = &input {
            length = *left;
        }
        session.handle(now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| session.poll()).take(OUTPUTS_MAX + 1).collect();
        assert!(outputs.len() <= OUTPUTS_MAX);
        assert!(session.is_within_limits());
        for output in outputs {
            match output {
                cluster::ClusterOutput::Engine(EngineOp::Truncate(to)) => {
                    assert!(to <= length, "a cut to {to} of {length}");
                    length = to;
                }
                cluster::ClusterOutput::Engine(op) => length += op.rows(),
                _ => {}
            }
        }
    }
}

/// Any inputs to an edge's session: it never panics, and what it keeps is bounded.
///
/// # Panics
/// When one of that does not hold.
pub fn edge_session(data: &[u8]) {
    let restarted = data.first().is_some_and(|first| first % 2 == 1);
    let mut session = edge::Session::new(data.len() % 2 == 0, restarted.then_some(Ticket([1; 16])));
    for (now, input) in script(data, edge_input) {
        session.handle(now, input);
        let outputs = std::iter::from_fn(|| session.poll()).take(OUTPUTS_MAX + 1).count();
        assert!(outputs <= OUTPUTS_MAX);
        assert!(session.unacknowledged_bytes() <= 2 * RESEND_BYTES_MAX);
    }
    const { assert!(PICTURES_KEPT_MAX < OUTPUTS_MAX) }
}
