//! The laws of machines, for every machine of a conversation, on any operation list.

use std::sync::LazyLock;

use caracal_cluster::node::{ConnectionId, NodeInput, NodeOutput};
use caracal_cluster::scheduler::{Blocks, PlannedWork, Sampled, Scheduler, SchedulerInput, SchedulerOutput, SessionKey, StepPlan};
use caracal_edge::conversation::{Conversation, Input, Settings};
use caracal_edge::downlink::{Downlink, DownlinkInput};
use caracal_edge::job::JobResult;
use caracal_edge::playout::{Playout, PlayoutInput};
use caracal_edge::uplink::{Uplink, UplinkInput};
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::prompt::Row;
use caracal_shared::reply::NextInput;
use caracal_shared::session::engine::{Choose, EngineOp, Part};
use caracal_shared::session::{cluster, edge};
use caracal_shared::turn::{AttemptId, TurnId, TurnOutput, TurnTiming};
use caracal_shared::wire::{ClusterMessage, Hello, Reason, Refusal, Ticket, VERSION};
use caracal_tests::fuzz::session::{cluster_input, cluster_settings, conversation_input, edge_input, node, node_input, script};
use caracal_tests::fuzz::{cluster_session, edge_session};
use caracal_tests::machine_laws;
use proptest::prelude::*;

const OUTPUTS_MAX: usize = 20_000;

static SETTINGS: LazyLock<cluster::Settings> = LazyLock::new(cluster_settings);

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

fn attempt() -> impl Strategy<Value = AttemptId> {
    (0u64..3).prop_map(AttemptId)
}

fn times<I: std::fmt::Debug + Clone>(input: impl Strategy<Value = I>) -> impl Strategy<Value = Vec<(Micros, I)>> {
    prop::collection::vec((0u64..50_000, input), 0..80).prop_map(|steps| {
        let mut now = 0;
        let at = |(step, input)| {
            now += step;
            (Micros(now), input)
        };
        steps.into_iter().map(at).collect()
    })
}

/// Anything that sessions may ask for, in any order, and the results of each plan some time after it: a result that
/// nobody asked for is a fault of the engine. Seconds between inputs reach the limit of waiting for blocks.
fn scheduler_script(start: &Scheduler, ops: &[(u8, u64, u32, u64)]) -> Vec<(Micros, SchedulerInput)> {
    let mut scheduler = start.clone();
    let (mut script, mut now, mut running) = (Vec::new(), 0, None);
    for (kind, key, rows, seconds) in ops {
        let key = SessionKey(*key);
        let input = match kind {
            0 => SchedulerInput::Tick,
            1 => SchedulerInput::Close(key),
            2 | 3 => SchedulerInput::Open(key),
            4 => SchedulerInput::Op(key, EngineOp::Truncate(*rows)),
            5 | 6 => {
                let choose = (rows % 3 == 0).then_some(Choose { attempt: AttemptId(0), step: 0 });
                SchedulerInput::Op(key, EngineOp::Extend { parts: vec![Part::Rows(vec![Row::text(7); *rows as usize])], choose })
            }
            7 => {
                let step = NextInput { text: Some(7), codes: [None; 4] };
                let choose = Some(Choose { attempt: AttemptId(0), step: 1 });
                SchedulerInput::Op(key, EngineOp::Extend { parts: vec![Part::Steps(vec![step])], choose })
            }
            _ => {
                let Some(plan): Option<StepPlan> = running.take() else { continue };
                let sampled = |choose| Sampled { choose, text: 0, codes: [0; 4] };
                let result = |work: &PlannedWork| match rows % 7 {
                    0 => Err(Refusal::new(Reason::Busy, "full")),
                    _ => Ok(work.choose.map(sampled)),
                };
                SchedulerInput::Stepped(plan.work.iter().map(result).collect())
            }
        };
        now += if seconds % 3 == 0 { 1_000_000 * seconds } else { 700 };
        scheduler.handle(Micros(now), input.clone());
        script.push((Micros(now), input));
        while let Some(output) = scheduler.poll() {
            if let SchedulerOutput::Step(plan) = output {
                assert_eq!(running.replace(plan), None, "a plan before the results of the one before");
            }
        }
    }
    script
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn of_the_clusters_session(data in bytes(), saved in 0usize..60) {
        let mut start = cluster::Session::new(SETTINGS.clone(), Ticket([3; 16]), Micros(0));
        start.handle(Micros(0), cluster::ClusterInput::Attached { received: 0, restarted: false });
        while start.poll().is_some() {}
        machine_laws::check(&start, &script(&data, cluster_input), saved, cluster::ClusterInput::Tick, OUTPUTS_MAX);
        cluster_session(&data, &SETTINGS);
    }

    #[test]
    fn of_the_edges_session(data in bytes(), saved in 0usize..60, camera in any::<bool>(), restarted in any::<bool>()) {
        let start = edge::Session::new(camera, restarted.then_some(Ticket([1; 16])));
        machine_laws::check(&start, &script(&data, edge_input), saved, edge::EdgeInput::Tick, OUTPUTS_MAX);
        edge_session(&data);
    }

    #[test]
    fn of_the_whole_edge(data in bytes(), saved in 0usize..60, camera in any::<bool>()) {
        let start = Conversation::new(&Settings { timing: TurnTiming::default(), camera, speaker_rate: 24_000, ticket: None });
        machine_laws::check(&start, &script(&data, conversation_input), saved, Input::Tick, OUTPUTS_MAX);
    }

    #[test]
    fn of_the_uplink(data in bytes(), saved in 0usize..60, camera in any::<bool>()) {
        let inputs: Vec<_> = script(&data, conversation_input)
            .into_iter()
            .filter_map(|(at, input)| Some((at, match input {
                Input::Hop(hop) => UplinkInput::Hop(hop),
                Input::Voice(event) => UplinkInput::Voice(event),
                Input::Camera(picture) => UplinkInput::Camera(picture),
                Input::Show(picture) => UplinkInput::Show(picture),
                Input::Done(result) => UplinkInput::Done(result),
                Input::Pull => UplinkInput::Turn(TurnOutput::TurnStart(TurnId(at.0 / 1_000_000))),
                Input::Tick => UplinkInput::Turn(TurnOutput::SpeculativeEndpoint(AttemptId(at.0 % 3))),
                Input::Unlinked => UplinkInput::Turn(TurnOutput::Resume(AttemptId(0))),
                _ => return None,
            })))
            .collect();
        let tick = UplinkInput::Hop(Box::new([0.0; 160]));
        machine_laws::check(&Uplink::new(camera), &inputs, saved, tick, OUTPUTS_MAX);
    }

    #[test]
    fn of_the_whole_cluster(data in bytes(), saved in 0usize..60) {
        machine_laws::check(&node(&SETTINGS), &script(&data, node_input), saved, NodeInput::Tick, OUTPUTS_MAX);
    }

    /// A session that begins when its cluster has run for days is as young as any: its time without an edge counts from
    /// its own beginning.
    #[test]
    fn a_cluster_takes_new_sessions_however_long_it_has_run(hours in 0u64..10_000) {
        let mut node = node(&SETTINGS);
        let hello = Hello { version: VERSION, token: "t".into(), model: SETTINGS.model.clone(), resume: None };
        let connect = NodeInput::Connect { connection: ConnectionId(1), hello, ticket: Ticket([1; 16]) };
        node.handle(Micros(hours * 3_600_000_000), connect);
        let outputs: Vec<NodeOutput> = std::iter::from_fn(|| node.poll()).collect();
        prop_assert!(outputs.iter().any(|output| matches!(output, NodeOutput::Send(_, ClusterMessage::Welcome(_)))), "{:?}", outputs);
        prop_assert!(!outputs.iter().any(|output| matches!(output, NodeOutput::Hangup(..))), "{:?}", outputs);
        prop_assert_eq!(node.sessions().count(), 1);
    }

    #[test]
    fn of_the_playout(script in times(prop_oneof![
        1 => attempt().prop_map(PlayoutInput::Expect),
        1 => attempt().prop_map(PlayoutInput::Open),
        1 => Just(PlayoutInput::Stop),
        3 => (attempt(), 0usize..900).prop_map(|(a, n)| PlayoutInput::Sound(a, vec![0.5; n])),
        1 => attempt().prop_map(PlayoutInput::Complete),
        6 => Just(PlayoutInput::Pull),
    ]), saved in 0usize..80) {
        machine_laws::check(&Playout::new(24_000), &script, saved, PlayoutInput::Pull, 8);
    }

    #[test]
    fn of_the_downlink(script in times(prop_oneof![
        1 => attempt().prop_map(DownlinkInput::Expect),
        1 => Just(DownlinkInput::Drop),
        4 => (attempt(), 1usize..9).prop_map(|(a, n)| DownlinkInput::Speech(a, vec![[1; 4]; n])),
        1 => attempt().prop_map(DownlinkInput::Generated),
        4 => (attempt(), any::<bool>()).prop_map(|(attempt, last)| DownlinkInput::Done(JobResult::Spoken { attempt, samples: vec![0.1; 3], last })),
    ]), saved in 0usize..80) {
        machine_laws::check(&Downlink::default(), &script, saved, DownlinkInput::Drop, 8);
    }

    #[test]
    fn of_the_scheduler_as_of_any_machine(
        ops in prop::collection::vec((0u8..12, 0u64..4, 0u32..90, 0u64..13), 1..80), total in 4u32..40, saved in 0usize..80,
    ) {
        let start = Scheduler::new(Blocks { tokens: 8, total });
        machine_laws::check(&start, &scheduler_script(&start, &ops), saved, SchedulerInput::Tick, 64);
    }

    /// Whatever is asked, all of it is done, in order, and never with more blocks than there are.
    #[test]
    fn of_the_scheduler(ops in prop::collection::vec((0u64..4, 0u32..90, 0u32..200, any::<bool>()), 1..60), total in 4u32..60) {
        let blocks = Blocks { tokens: 8, total };
        let mut scheduler = Scheduler::new(blocks);
        let mut length = [0u32; 4];
        let mut wanted = [0u32; 4];
        let mut now = 0;
        let mut pending = std::collections::VecDeque::new();
        for key in 0..4 {
            pending.push_back(SchedulerInput::Open(SessionKey(key)));
        }
        for (key, rows, cut, truncate) in ops {
            let key = key as usize;
            if truncate {
                let to = cut.min(wanted[key]);
                wanted[key] = to;
                pending.push_back(SchedulerInput::Op(SessionKey(key as u64), EngineOp::Truncate(to)));
            } else if rows > 0 && wanted[key] + rows <= total * 8 / 4 - 8 {
                wanted[key] += rows;
                let parts = vec![Part::Rows(vec![Row::text(7); rows as usize])];
                let choose = (rows % 3 == 0).then_some(Choose { attempt: AttemptId(0), step: 0 });
                pending.push_back(SchedulerInput::Op(SessionKey(key as u64), EngineOp::Extend { parts, choose }));
            }
        }
        while let Some(input) = pending.pop_front() {
            now += 100;
            scheduler.handle(Micros(now), input);
            while let Some(output) = scheduler.poll() {
                match output {
                    SchedulerOutput::Step(plan) => {
                        let mut results = Vec::new();
                        for work in &plan.work {
                            let length = &mut length[work.session.0 as usize];
                            if let Some(to) = work.truncate {
                                prop_assert!(to <= *length, "a cut to {} of {}", to, length);
                                *length = to;
                            }
                            *length += work.parts.iter().map(Part::rows).sum::<u32>();
                            results.push(Ok(work.choose.map(|choose| Sampled { choose, text: 0, codes: [0; 4] })));
                        }
                        prop_assert!(length.iter().map(|l| l.div_ceil(8)).sum::<u32>() <= total);
                        pending.push_back(SchedulerInput::Stepped(results));
                    }
                    SchedulerOutput::Sampled(..) => {}
                    SchedulerOutput::Failed(..) => prop_assert!(false, "there was room for all"),
                }
            }
        }
        prop_assert_eq!(length, wanted);
        prop_assert_eq!(scheduler.used(), length.iter().map(|l| l.div_ceil(8)).sum::<u32>());
        prop_assert_eq!(scheduler.waiting(), 0);
    }
}
