//! Faults of links, processes, engines, accelerators and clocks.

use caracal_edge::conversation::Story;
use caracal_shared::machine::Micros;
use caracal_shared::wire::Reason;
use caracal_tests::simulation::link::LinkSettings;
use caracal_tests::simulation::{Fault, check};

use super::{nothing, world};

const SPEECH: [(u64, u64); 3] = [(500, 2500), (9000, 10_400), (17_000, 18_000)];

#[test]
fn two_seconds_of_loss_at_any_moment() {
    for seed in 0..60 {
        let world = world(seed, &SPEECH, &[(300 + 310 * seed, Fault::Outage { edge: 0, for_ms: 2000 })], nothing);
        assert_eq!(check::everything(&world).len(), 3, "seed {seed}");
    }
}

#[test]
fn a_connection_that_is_cut_is_resumed_at_any_moment() {
    for seed in 0..90 {
        let faults =
            [(300 + 210 * seed, Fault::Cut { edge: 0, for_ms: 100 + 37 * seed }), (12_000 + 90 * seed, Fault::Cut { edge: 0, for_ms: 50 })];
        let world = world(seed, &SPEECH, &faults, nothing);
        assert_eq!(check::everything(&world).len(), 3, "seed {seed}");
        assert_eq!(world.node.sessions().count(), 1, "seed {seed}: the session was not resumed");
    }
}

#[test]
fn an_edge_that_restarts_goes_on_with_its_session() {
    for seed in 0..60 {
        let at = 300 + 310 * seed;
        let world = world(seed, &SPEECH, &[(at, Fault::RestartEdge(0))], nothing);
        check::blocks(&world);
        let key = check::only_session(&world);
        // What the process that died had heard and not sent is lost with it: all that was said before its last second
        // and all that was said after its successor listens is there.
        let heard = check::hops_heard(&world, key);
        for hop in SPEECH.iter().flat_map(|(from, to)| from / 10..to / 10) {
            let lost = (at.saturating_sub(1700)..at + 500).contains(&(10 * hop));
            assert!(lost || heard.contains(&(hop as u32)), "seed {seed}: hop {hop} is missing");
        }
        // The edge that began anew tells no more than the end of what the cluster does.
        let (cluster, edge) = check::transcripts(&world, 0, key);
        check::ends_alike(&cluster, &edge);
    }
}

#[test]
fn a_cluster_that_restarts_says_so_and_nothing_is_spoken_twice() {
    for seed in 0..60 {
        let at = 300 + 310 * seed;
        let world = world(seed, &SPEECH, &[(at, Fault::RestartCluster)], nothing);
        check::blocks(&world);
        let key = check::only_session(&world);
        let told = world.edges[0].stories.iter().any(|(_, story)| matches!(story, Story::Notice(Reason::Ticket, text) if !text.is_empty()));
        assert!(told, "seed {seed}: the user was not told");
        let other = |story: &Story| matches!(story, Story::Notice(reason, _) if *reason != Reason::Ticket);
        assert!(!world.edges[0].stories.iter().any(|(_, story)| other(story)), "seed {seed}: the new session was refused too");
        // What the cluster tells is the end of what the edge does: it knows of nothing before it began anew.
        let (cluster, edge) = check::transcripts(&world, 0, key);
        check::ends_alike(&edge, &cluster);
        // A turn that was open, or not yet answered, was told again: the last two, at least, are there.
        let heard = check::hops_heard(&world, key);
        let (from, to) = SPEECH[2];
        if at < from {
            assert!((from / 10..to / 10).all(|hop| heard.contains(&(hop as u32))), "seed {seed}");
        }
        let mut sounded: Vec<(u64, u32)> = world.edges[0].sounded.iter().map(|(_, attempt, frame)| (*attempt, *frame)).collect();
        let hops = sounded.len();
        sounded.dedup();
        let mut once = sounded.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), sounded.len(), "seed {seed}: of {hops} hops some frame sounded twice");
    }
}

#[test]
fn an_engine_that_is_ten_times_too_slow() {
    for seed in 0..12 {
        let world = world(seed, &[(500, 2500), (24_000, 24_900)], &[], |setup| {
            setup.engine = (120_000, 300);
            setup.frames = 10;
        });
        assert_eq!(check::everything(&world).len(), 2, "seed {seed}");
    }
}

#[test]
fn an_accelerator_that_is_ten_times_too_slow() {
    for seed in 0..12 {
        let world = world(seed, &SPEECH[..2], &[], |setup| setup.edges[0].slowness = 9);
        assert_eq!(check::everything(&world).len(), 2, "seed {seed}");
    }
}

#[test]
fn a_reader_that_stalls_pauses_its_answer_and_loses_nothing() {
    for seed in 0..12 {
        let world = world(seed, &SPEECH[..1], &[(2700 + 100 * seed, Fault::Stall { edge: 0, for_ms: 6000 })], |setup| setup.frames = 400);
        assert_eq!(check::everything(&world).len(), 1, "seed {seed}");
    }
}

#[test]
fn clocks_that_jump() {
    for seed in 0..40 {
        let by_ms = [-5000, -300, 200, 40_000][seed as usize % 4];
        let world = world(seed, &SPEECH, &[(400 + 480 * seed, Fault::Clock { edge: 0, by_ms })], nothing);
        check::everything(&world);
    }
}

#[test]
fn an_address_that_changes_at_any_moment() {
    for seed in 0..60 {
        // From a short road to a long one and back: what was sent later must not overtake.
        let far = LinkSettings { delay: Micros(60_000), jitter: Micros(9_000), loss_percent: 5 };
        let near = LinkSettings { delay: Micros(2_000), ..LinkSettings::default() };
        let faults = [(300 + 310 * seed, Fault::Move { edge: 0, link: far }), (1500 + 310 * seed, Fault::Move { edge: 0, link: near })];
        let world = world(seed, &SPEECH, &faults, nothing);
        assert_eq!(check::everything(&world).len(), 3, "seed {seed}");
        assert_eq!(world.connections(), 1, "seed {seed}: the connection did not stand");
    }
}

#[test]
fn a_context_that_is_full_is_begun_anew() {
    let world = world(0, &SPEECH, &[], |setup| setup.context = 160);
    check::blocks(&world);
    check::transcripts_agree(&world, 0, check::only_session(&world));
    assert!(world.edges[0].stories.iter().any(|(_, story)| matches!(story, Story::Notice(Reason::Context, _))));
}

#[test]
fn a_session_nobody_comes_back_to_is_forgotten() {
    let mut world = world(
        0,
        &SPEECH[..1],
        &[(6000, Fault::Outage { edge: 0, for_ms: 1_000_000 }), (6010, Fault::Cut { edge: 0, for_ms: 50 })],
        nothing,
    );
    world.run(128_000);
    assert_eq!(world.node.sessions().count(), 0);
    assert_eq!(world.node.scheduler().used(), 0);
}
