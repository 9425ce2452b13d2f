//! What the cluster counts, and by which clock.

use std::collections::BTreeMap;

use caracal_cluster::node::{ConnectionId, NodeInput, NodeOutput};
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::cluster::SessionEvent;
use caracal_shared::turn::{AttemptId, TurnId, TurnTiming};
use caracal_shared::wire::{EdgeMessage, Hello, Ticket, VERSION};
use caracal_tests::fuzz::session::{cluster_settings, node};
use caracal_tests::simulation::{Setup, World};

use super::{nothing, world};

const SPEECH: [(u64, u64); 2] = [(500, 1500), (12_000, 13_000)];

/// From the end of each turn to its first speech, checked against the moments at which both were counted.
fn waits(world: &World) -> Vec<u64> {
    let (mut ends, mut waits): (BTreeMap<AttemptId, Micros>, Vec<u64>) = (BTreeMap::new(), Vec::new());
    for (at, event) in &world.counted {
        match event {
            SessionEvent::Endpoint(attempt, _) => _ = ends.insert(*attempt, *at),
            SessionEvent::FirstSpeech(attempt, waited) => {
                let end = ends.remove(attempt).expect("speech is counted once, and after the turn's end");
                assert_eq!(waited.0, at.0 - end.0, "{attempt:?}");
                waits.push(waited.0);
            }
            _ => {}
        }
    }
    assert!(ends.is_empty(), "turns ended and no speech was counted: {ends:?}");
    waits
}

#[test]
fn each_turn_is_counted_once_from_its_end_to_its_first_speech() {
    let no_guess = TurnTiming { speculate_after: Micros(650_000), endpoint_after: Micros(650_000) };
    let none = |setup: &mut Setup| setup.timing = no_guess;
    // Of an engine so slow there are steps at the turn's end, and not yet the frames of a first message.
    let slow = |setup: &mut Setup| setup.engine = (100_000, 30);
    for seed in 0..6 {
        assert_eq!(waits(&world(seed, &SPEECH, &[], nothing)), [0, 0], "seed {seed}: the guess had sent some");
        for waits in [waits(&world(seed, &SPEECH, &[], none)), waits(&world(seed, &SPEECH, &[], slow))] {
            assert!(waits.len() == 2 && waits.iter().all(|waited| *waited > 0), "seed {seed}: {waits:?}");
        }
    }
}

#[test]
fn the_time_of_a_sessions_events_is_that_of_the_session() {
    let settings = cluster_settings();
    let mut node = node(&settings);
    let (connection, hour) = (ConnectionId(1), 3_600_000_000);
    let hello = Hello { version: VERSION, token: "t".into(), model: settings.model, resume: None };
    node.handle(Micros(hour), NodeInput::Connect { connection, hello, ticket: Ticket([1; 16]) });
    while node.poll().is_some() {}
    node.handle(Micros(hour + 2_000_000), NodeInput::Control(connection, EdgeMessage::TurnStart(TurnId(0))));
    let times: Vec<Micros> =
        std::iter::from_fn(|| node.poll()).filter_map(|o| if let NodeOutput::Event(_, at, _) = o { Some(at) } else { None }).collect();
    assert_eq!(times, [Micros(2_000_000)]);
}
