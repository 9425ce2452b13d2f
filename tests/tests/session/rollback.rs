//! Going back leaves no trace in the real cache: checksums of every bit (R21), with the real engine on the small model.

use std::collections::VecDeque;

use burn::tensor::Device;
use caracal_cluster::engine::{BurnEngine, Engine};
use caracal_cluster::executor::{Execute, Executor};
use caracal_cluster::node::{ConnectionId, Node, NodeInput, NodeOutput};
use caracal_cluster::scheduler::{SessionKey, StepPlan};
use caracal_cluster::serve::brain::{Capacity, load};
use caracal_edge::identity::model_identity;
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::turn::{AttemptId, TurnId};
use caracal_shared::wire::{AudioCut, ClusterMessage, EdgeMessage, Embeddings, Hello, Model, Precision, Ticket, VERSION};
use caracal_tests::small_model;

const CONNECTION: ConnectionId = ConnectionId(1);
const KEY: SessionKey = SessionKey(1);

struct Bench {
    node: Node,
    executor: Executor<BurnEngine>,
    said: Vec<ClusterMessage>,
    running: Option<StepPlan>,
}

impl Bench {
    fn new(model: &std::path::Path) -> Self {
        let capacity = Capacity::of(1, 8, 512);
        let (node, executor) = load(model, &Device::flex(), vec!["t".into()], capacity, 512).expect("the small model serves");
        let mut bench = Self { node, executor, said: Vec::new(), running: None };
        let identity = model_identity(model).expect("a model");
        let model = Model { identity, audio_cut: AudioCut::Projected, precision: Precision::Bf16, audio_width: 64, vision_width: 0 };
        let hello = Hello { version: VERSION, token: "t".into(), model, resume: None };
        bench.tell(NodeInput::Connect { connection: CONNECTION, hello, ticket: Ticket([1; 16]) }, usize::MAX);
        bench
    }

    /// Tells the node this and lets the engine work until it has nothing to do, or an answer is `steps` steps long.
    fn tell(&mut self, input: NodeInput, steps: usize) {
        let mut inputs = VecDeque::from([input]);
        let mut run = 0;
        while let Some(input) = inputs.pop_front() {
            self.node.handle(Micros(0), input);
            while let Some(output) = self.node.poll() {
                match output {
                    NodeOutput::Step(plan) if run < steps => {
                        run += 1;
                        inputs.push_back(NodeInput::Stepped(self.executor.run(&plan)));
                    }
                    // The engine is still at it when the next message comes.
                    NodeOutput::Step(plan) => self.running = Some(plan),
                    NodeOutput::Send(_, message) => self.said.push(message),
                    NodeOutput::Hangup(_, why) => panic!("hung up: {why:?}"),
                    NodeOutput::Event(..) | NodeOutput::Refused(_) => {}
                }
            }
        }
    }

    /// The engine ends what it was at when the last messages came.
    fn catch_up(&mut self) {
        while let Some(plan) = self.running.take() {
            let results = self.executor.run(&plan);
            self.tell(NodeInput::Stepped(results), usize::MAX);
        }
    }

    fn say(&mut self, message: EdgeMessage) {
        self.tell(NodeInput::Control(CONNECTION, message), usize::MAX);
    }

    fn checksum(&self) -> u64 {
        let id = self.executor.session(KEY).expect("the session is open");
        self.executor.engine.checksum(id).expect("it is there")
    }
}

fn sound(from: usize, count: usize) -> Embeddings {
    let values: Vec<f32> = (0..count * 64).map(|i| (((from * 64 + i) * 37 % 101) as f32 - 50.0) / 100.0).collect();
    Embeddings::pack(&values, 64, Precision::Bf16)
}

const TURN: TurnId = TurnId(0);

fn audio(provisional: Option<AttemptId>, from: usize, count: usize) -> EdgeMessage {
    EdgeMessage::Audio { turn: TURN, provisional, embeddings: sound(from, count) }
}

/// A turn of 30 embeddings with a guess after each of `guesses`, each taken back after `steps` steps of its answer.
fn turn(model: &std::path::Path, guesses: &[usize], steps: usize) -> (u64, Vec<ClusterMessage>, u64) {
    let mut bench = Bench::new(model);
    bench.say(EdgeMessage::TurnStart(TURN));
    let mut from = 0;
    for (index, at) in guesses.iter().enumerate() {
        if *at > from {
            bench.say(audio(None, from, at - from));
            from = *at;
        }
        let attempt = AttemptId(index as u64);
        bench.say(audio(Some(attempt), 900, 6));
        bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::SpeculativeEndpoint { turn: TURN, attempt }), steps);
        bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::Resume(attempt)), usize::MAX);
        bench.catch_up();
    }
    bench.say(audio(None, from, 30 - from));
    let before = bench.checksum();
    let attempt = AttemptId(7);
    bench.said.clear();
    bench.say(EdgeMessage::SpeculativeEndpoint { turn: TURN, attempt });
    bench.say(EdgeMessage::Endpoint { turn: TURN, attempt });
    bench.say(EdgeMessage::ReplyEnd(attempt));
    bench.said.retain(|message| !matches!(message, ClusterMessage::Ack { .. }));
    (before, bench.said.clone(), bench.checksum())
}

#[test]
fn a_guess_that_was_taken_back_leaves_every_bit_as_it_was() {
    let model = tempfile::tempdir().expect("a temporary folder");
    small_model::write(model.path(), small_model::SEED).expect("the small model can be written");
    let never = turn(model.path(), &[], 0);
    assert!(never.1.iter().any(|message| matches!(message, ClusterMessage::ReplyClosed { .. })), "{:?}", never.1);
    for (guesses, steps) in [(&[12][..], 1), (&[12], 9), (&[12], usize::MAX), (&[3, 7, 20, 29], 4), (&[10, 10, 10], 2)] {
        let taken_back = turn(model.path(), guesses, steps);
        assert_eq!(taken_back, never, "guesses after {guesses:?}, taken back after {steps} steps");
    }
}
