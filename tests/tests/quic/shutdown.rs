//! A cluster that an operator stops: answers that are being heard end, edges are told, and the next cluster answers.

use std::thread::JoinHandle;
use std::time::Duration;

use caracal_edge::conversation::Story;
use caracal_shared::session::Ending;
use caracal_shared::wire::Reason;
use caracal_tests::live::{Cluster, Edge, EdgeOptions};

use super::{Place, settled};

/// How far along the stop is.
enum Stop {
    Awaited(Cluster),
    Running(JoinHandle<Cluster>),
}

#[test]
fn it_ends_the_answer_that_is_heard_tells_the_edge_and_the_next_one_answers() {
    let place = Place::new();
    let cluster = place.cluster();
    let (address, fingerprint, token) = (cluster.address(), cluster.fingerprint.clone(), cluster.token.clone());
    let options = EdgeOptions {
        speech: vec![(400, 1200), (9000, 9800)],
        until_ms: 13_000,
        idle_timeout: Duration::from_millis(900),
        ..EdgeOptions::default()
    };
    let mut stop = Some(Stop::Awaited(cluster));
    let (model, state) = (place.model().to_path_buf(), place.state.path().to_path_buf());
    let edge = Edge::live(place.model(), address, &fingerprint, &token, &options, true, |_, _| {
        let speaks = |cluster: &Cluster| cluster.transcripts().iter().flatten().any(|exchange| exchange.ending == Ending::Open);
        stop = match stop.take() {
            Some(Stop::Awaited(cluster)) if speaks(&cluster) => {
                let (model, state) = (model.clone(), state.clone());
                Some(Stop::Running(std::thread::spawn(move || {
                    cluster.stop();
                    Cluster::start(&model, &state, &address.to_string())
                })))
            }
            other => other,
        };
    });
    let Some(Stop::Running(next)) = stop else { panic!("nothing was heard: {:?}", edge.stories) };
    let next = next.join().expect("it stopped, and another one started");
    let notices: Vec<Reason> =
        edge.stories.iter().filter_map(|(_, s)| if let Story::Notice(reason, _) = s { Some(*reason) } else { None }).collect();
    assert_eq!(notices.first(), Some(&Reason::Shutdown), "{:?}", edge.stories);
    let [first, second] = &edge.transcript[..] else { panic!("two turns, and {:?}", edge.transcript) };
    assert!(matches!(first.ending, Ending::Whole(_)), "the answer that was heard was broken off: {:?}", edge.stories);
    assert!(matches!(second.ending, Ending::Whole(_)), "{:?}", edge.stories);
    assert_eq!(next.transcripts(), [vec![second.clone()]]);
    settled(&next);
}
