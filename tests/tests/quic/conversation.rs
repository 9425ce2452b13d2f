//! Conversations over a road that fails.

use std::net::SocketAddr;
use std::time::Duration;

use caracal_cluster::io::local::LocalDoor;
use caracal_edge::command::talk::Told;
use caracal_edge::conversation::Story;
use caracal_shared::session::Ending;
use caracal_shared::wire::{AudioCut, Precision, Reason};
use caracal_tests::live::{Edge, EdgeOptions, Proxy};

use super::{Place, settled};

fn ended(edge: &Edge) -> usize {
    edge.transcript.iter().filter(|exchange| exchange.ending != Ending::Open).count()
}

#[test]
fn two_turns_are_answered_at_every_cut_and_precision_with_and_without_eyes() {
    let place = Place::new();
    let cluster = place.cluster();
    for (cut, precision, camera) in [
        (AudioCut::Projected, Precision::Bf16, true),
        (AudioCut::Hidden, Precision::Int8, false),
        (AudioCut::Projected, Precision::Int8, false),
    ] {
        let options =
            EdgeOptions { speech: vec![(400, 1400), (5000, 5800)], until_ms: 10_000, camera, cut, precision, ..EdgeOptions::default() };
        let edge = Edge::live(place.model(), cluster.address(), &cluster.fingerprint, &cluster.token, &options, true, |_, _| {});
        assert_eq!(edge.transcript.len(), 2, "{cut:?} {precision:?}: {:?}", edge.stories);
        assert!(edge.samples > 0, "nothing was heard");
        // 24 samples a millisecond, but for the microphone's last second, which may wait when the edge leaves.
        assert!(edge.played as u64 >= 24 * (options.until_ms - 1000), "silence is played as time passes: {}", edge.played);
        println!("{cut:?} {precision:?}: from the end of the turn to its sound {:?} us", edge.waits());
        assert_eq!(ended(&edge), 2, "{:?}", edge.stories);
        assert!(edge.transcript.iter().all(|exchange| (exchange.pictures > 0) == camera), "{:?}", edge.transcript);
        assert!(
            cluster.transcripts().contains(&edge.transcript),
            "the transcripts differ: {:?} {:?}",
            cluster.transcripts(),
            edge.transcript
        );
        settled(&cluster);
    }
}

#[test]
fn in_one_process_nothing_is_different() {
    let place = Place::new();
    let cluster = place.cluster();
    let options = EdgeOptions { speech: vec![(400, 1400)], until_ms: 5500, camera: true, ..EdgeOptions::default() };
    let (host, runtime) = (cluster.host.handle().clone(), cluster.runtime().handle().clone());
    let open = |told: Told| LocalDoor::open(host, runtime, told);
    let edge = Edge::live_through(place.model(), &cluster.token, &options, true, open, |_, _| {});
    assert_eq!(cluster.transcripts(), [edge.transcript.clone()]);
    assert_eq!(ended(&edge), 1, "{:?}", edge.stories);
    settled(&cluster);
}

#[test]
fn two_seconds_of_loss_in_the_middle_of_speech() {
    let place = Place::new();
    let cluster = place.cluster();
    let proxy = Proxy::to(cluster.address());
    let options = EdgeOptions { speech: vec![(400, 3400)], until_ms: 10_000, ..EdgeOptions::default() };
    let edge = Edge::live(place.model(), proxy.address, &cluster.fingerprint, &cluster.token, &options, true, |ms, _| {
        proxy.lose((1000..3000).contains(&ms));
    });
    assert!(proxy.dropped() > 0, "nothing was lost");
    assert_eq!(cluster.transcripts(), [edge.transcript.clone()]);
    assert_eq!(ended(&edge), 1, "{:?}", edge.stories);
    // Three seconds of speech and its edges, 80 ms each.
    assert!((38..=46).contains(&edge.transcript[0].audio), "{:?}", edge.transcript);
    settled(&cluster);
}

#[test]
fn a_connection_that_is_cut_is_resumed() {
    let place = Place::new();
    let cluster = place.cluster();
    let proxy = Proxy::to(cluster.address());
    let options = EdgeOptions {
        speech: vec![(400, 2400), (9000, 9800)],
        until_ms: 14_000,
        idle_timeout: Duration::from_millis(800),
        ..EdgeOptions::default()
    };
    let mut linked = 0;
    let edge = Edge::live(place.model(), proxy.address, &cluster.fingerprint, &cluster.token, &options, true, |ms, _| {
        proxy.lose((1200..3400).contains(&ms));
        linked += 1;
    });
    assert_eq!(cluster.transcripts(), [edge.transcript.clone()], "one session went on");
    assert_eq!(ended(&edge), 2, "{:?}", edge.stories);
    assert!((25..=34).contains(&edge.transcript[0].audio), "{:?}", edge.transcript);
    settled(&cluster);
}

#[test]
fn an_edge_restarts_and_goes_on_with_its_session() {
    let place = Place::new();
    let cluster = place.cluster();
    let ticket = place.state.path().join("ticket");
    let live = |speech: Vec<(u64, u64)>| {
        let options = EdgeOptions { speech, until_ms: 5500, ticket: Some(ticket.clone()), ..EdgeOptions::default() };
        Edge::live(place.model(), cluster.address(), &cluster.fingerprint, &cluster.token, &options, true, |_, _| {})
    };
    let first = live(vec![(300, 1100)]);
    let second = live(vec![(800, 1600)]);
    assert_eq!((first.transcript.len(), second.transcript.len()), (1, 1));
    let told = cluster.transcripts();
    assert_eq!(told.len(), 1, "one session went on");
    assert_eq!(told[0].len(), 2, "{told:?}");
    assert_eq!((told[0][1].audio, told[0][1].digest), (second.transcript[0].audio, second.transcript[0].digest));
    settled(&cluster);
}

#[test]
fn a_cluster_restarts_and_says_so() {
    let place = Place::new();
    let cluster = place.cluster();
    let (address, fingerprint, token) = (cluster.address(), cluster.fingerprint.clone(), cluster.token.clone());
    let options = EdgeOptions {
        speech: vec![(400, 1200), (8000, 8800)],
        until_ms: 13_000,
        idle_timeout: Duration::from_millis(900),
        ..EdgeOptions::default()
    };
    let mut cluster = Some(cluster);
    let edge = Edge::live(place.model(), address, &fingerprint, &token, &options, true, |ms, _| {
        if ms >= 5500
            && let Some(old) = cluster.take_if(|old| old.address() == address && ms < 6500)
        {
            // As a crash: nobody is told.
            drop(old);
            cluster = Some(caracal_tests::live::Cluster::start(place.model(), place.state.path(), &address.to_string()));
        }
    });
    let notices: Vec<Reason> =
        edge.stories.iter().filter_map(|(_, s)| if let Story::Notice(reason, _) = s { Some(*reason) } else { None }).collect();
    assert!(notices.contains(&Reason::Ticket), "{notices:?} {:?}", edge.stories);
    assert_eq!(ended(&edge), 2, "{:?}", edge.transcript);
    let cluster = cluster.expect("it was started again");
    // It knows of nothing before it began anew.
    let told = cluster.transcripts();
    assert!(told.len() == 1 && !told[0].is_empty() && edge.transcript.ends_with(&told[0]), "{told:?} {:?}", edge.transcript);
    settled(&cluster);
}

#[test]
fn a_device_that_changes_its_address_keeps_its_connection() {
    let place = Place::new();
    let cluster = place.cluster();
    let options = EdgeOptions { speech: vec![(400, 2400)], until_ms: 7500, ..EdgeOptions::default() };
    let mut moved = false;
    let edge = Edge::live(place.model(), cluster.address(), &cluster.fingerprint, &cluster.token, &options, true, |ms, door| {
        if ms > 1300 && !std::mem::replace(&mut moved, true) {
            door.rebind(SocketAddr::from(([127, 0, 0, 1], 0)));
        }
    });
    assert_eq!(cluster.transcripts(), [edge.transcript.clone()]);
    assert_eq!(ended(&edge), 1, "{:?}", edge.stories);
    assert!((25..=34).contains(&edge.transcript[0].audio), "{:?}", edge.transcript);
    settled(&cluster);
}
