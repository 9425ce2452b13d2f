//! Going back leaves no trace in the real cache: checksums of every bit (R21), with the real engine on the small model.

use std::collections::VecDeque;

use burn::tensor::Device;
use caracal_cluster::engine::{BurnEngine, Engine};
use caracal_cluster::executor::{Execute, Executor};
use caracal_cluster::node::{ConnectionId, Node, NodeInput, NodeOutput};
use caracal_cluster::scheduler::{PlannedWork, Sampled, SessionKey, StepPlan, WorkResult};
use caracal_cluster::serve::brain::{Capacity, load};
use caracal_edge::identity::model_identity;
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::prompt::Row;
use caracal_shared::session::Reply;
use caracal_shared::session::engine::Part;
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
    /// What is in the cache, position by position, as the plans put it there.
    rows: Vec<Part>,
    /// Steps of the latest answer as the engine chose them.
    steps: Vec<Sampled>,
}

impl Bench {
    fn new(model: &std::path::Path) -> Self {
        let capacity = Capacity::of(1, 8, 512);
        let (node, executor) = load(model, &Device::flex(), vec!["t".into()], capacity, 512).expect("the small model serves");
        let mut bench = Self { node, executor, said: Vec::new(), running: None, rows: Vec::new(), steps: Vec::new() };
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
                        inputs.push_back(NodeInput::Stepped(self.run(&plan)));
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

    fn run(&mut self, plan: &StepPlan) -> Vec<WorkResult> {
        for work in &plan.work {
            self.rows.truncate(work.truncate.map_or(self.rows.len(), |length| length as usize));
            self.rows.extend(work.parts.iter().flat_map(rows));
        }
        let results = self.executor.run(plan);
        for sampled in results.iter().filter_map(|result| *result.as_ref().expect("the engine does its work")) {
            if sampled.choose.step == 0 {
                self.steps.clear();
            }
            self.steps.push(sampled);
        }
        results
    }

    /// The engine ends what it was at when the last messages came.
    fn catch_up(&mut self) {
        while let Some(plan) = self.running.take() {
            let results = self.run(&plan);
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

/// A part, position by position.
fn rows(part: &Part) -> Vec<Part> {
    (0..part.rows()).map(|row| part.slice(row, row + 1)).collect()
}

/// The checksum of a session that was given these rows, one after the other, and nothing else ever.
fn given(model: &std::path::Path, rows: &[Part]) -> u64 {
    let mut bench = Bench::new(model);
    for row in rows {
        let work = PlannedWork { session: KEY, truncate: None, parts: vec![row.clone()], choose: None };
        bench.run(&StepPlan { close: Vec::new(), work: vec![work] });
    }
    bench.checksum()
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

#[test]
fn a_turn_that_was_cancelled_leaves_every_bit_as_it_was() {
    let model = tempfile::tempdir().expect("a temporary folder");
    small_model::write(model.path(), small_model::SEED).expect("the small model can be written");
    let mut bench = Bench::new(model.path());
    let attempt = AttemptId(0);
    bench.say(EdgeMessage::TurnStart(TURN));
    bench.say(audio(None, 0, 30));
    bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::SpeculativeEndpoint { turn: TURN, attempt }), 20);
    bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::Endpoint { turn: TURN, attempt }), usize::MAX);
    bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::BargeIn { attempt, frames: 10 }), usize::MAX);
    bench.catch_up();
    let (before, rows) = (bench.checksum(), bench.rows.clone());
    for (index, (count, guess)) in [(0, None), (1, None), (30, None), (30, Some(0)), (30, Some(7))].into_iter().enumerate() {
        let (turn, attempt) = (TurnId(1 + index as u64), AttemptId(1 + index as u64));
        bench.say(EdgeMessage::TurnStart(turn));
        if count > 0 {
            bench.say(EdgeMessage::Audio { turn, provisional: None, embeddings: sound(300, count) });
            assert_ne!(bench.checksum(), before, "the turn was not taken in");
        }
        if let Some(steps) = guess {
            bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::SpeculativeEndpoint { turn, attempt }), steps);
            bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::Resume(attempt)), usize::MAX);
        }
        bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::TurnCancel(turn)), usize::MAX);
        bench.catch_up();
        assert_eq!(bench.checksum(), before, "{count} embeddings, a guess taken back after {guess:?} steps");
        assert_eq!(bench.rows, rows);
    }
}

/// After an interruption the cache is that of a session which was given the turn, the steps up to the break before what
/// was heard, and the closing of the answer: nothing else of the answer ever was.
#[test]
fn an_answer_that_was_interrupted_leaves_what_was_kept_and_its_closing() {
    let model = tempfile::tempdir().expect("a temporary folder");
    small_model::write(model.path(), small_model::SEED).expect("the small model can be written");
    let attempt = AttemptId(0);
    let mut kept = Vec::new();
    for (steps, frames) in [(1, 0), (40, 0), (40, 9), (40, 30), (usize::MAX, 0), (usize::MAX, 60), (usize::MAX, 400)] {
        let mut bench = Bench::new(model.path());
        bench.say(EdgeMessage::TurnStart(TURN));
        bench.say(audio(None, 0, 30));
        let turn = bench.rows.clone();
        bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::SpeculativeEndpoint { turn: TURN, attempt }), steps);
        let (_, session, _) = bench.node.sessions().next().expect("one session");
        let (template, code_sizes) = (session.settings().template.clone(), session.settings().code_sizes);
        let mut reply = Reply::new(&template, code_sizes);
        bench.steps.iter().for_each(|step| reply.step(step.text, step.codes, false));
        bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::Endpoint { turn: TURN, attempt }), usize::MAX);
        bench.tell(NodeInput::Control(CONNECTION, EdgeMessage::BargeIn { attempt, frames }), usize::MAX);
        bench.catch_up();

        let (closing, _) = reply.cut(frames, &template);
        let text = |rows: Vec<Row>| rows.into_iter().map(|row| Part::Rows(vec![row]));
        let mut want = turn;
        want.extend(text([template.close_input(true), template.answer().to_vec()].concat()));
        want.extend(reply.inputs(0, closing.keep_rows as u32).into_iter().map(|input| Part::Steps(vec![input])));
        want.extend(text([closing.feed, template.newline().to_vec()].concat()));
        assert_eq!(bench.rows, want, "{frames} frames heard after {steps} steps");
        assert_eq!(bench.checksum(), given(model.path(), &want), "{frames} frames heard after {steps} steps");
        kept.push(closing.keep_rows);
    }
    assert!(kept.contains(&0) && kept.iter().any(|rows| *rows > 0), "nothing was ever kept, or all: {kept:?}");
}
