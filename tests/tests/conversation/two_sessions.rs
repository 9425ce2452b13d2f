//! Several sessions on one engine, of which one misbehaves.

use caracal_edge::conversation::Story;
use caracal_shared::machine::Micros;
use caracal_tests::simulation::link::LinkSettings;
use caracal_tests::simulation::{EdgeSetup, Fault, Setup, World, check};

fn edge(speech: &[(u64, u64)]) -> EdgeSetup {
    EdgeSetup { speech: speech.to_vec(), link: LinkSettings { delay: Micros(5_000), ..LinkSettings::default() }, ..EdgeSetup::default() }
}

#[test]
fn four_at_once_are_answered_without_an_underrun() {
    for seed in 0..6 {
        let speech = |i: u64| [(500 + 100 * i, 2000 + 70 * i), (10_000 + 210 * i, 11_000 + 300 * i)];
        let edges = (0..4).map(|i| edge(&speech(i))).collect();
        let mut world = World::new(Setup { seed, edges, ..Setup::default() });
        world.run(30_000);
        check::blocks(&world);
        for edge in 0..4 {
            let key = world.session_of(edge);
            check::nothing_is_missing(&world, edge, key);
            check::transcripts_agree(&world, edge, key);
        }
        for host in &world.edges {
            assert_eq!(host.conversation.transcript().exchanges().len(), 2, "seed {seed}");
            assert!(!host.stories.iter().any(|(_, story)| matches!(story, Story::Underrun(_))), "seed {seed}");
        }
    }
}

#[test]
fn one_stalls_is_cut_and_restarts_and_the_other_does_not_notice() {
    for seed in 0..20 {
        let speech = [(500, 2000), (9000, 10_000)];
        let quiet = |faults: Vec<(u64, Fault)>| {
            let unharmed = faults.is_empty();
            let mut world = World::new(Setup { seed, edges: vec![edge(&speech), edge(&speech)], faults, frames: 60, ..Setup::default() });
            world.run(30_000);
            check::blocks(&world);
            for edge in 0..2 {
                let (cluster, told) = check::transcripts(&world, edge, world.session_of(edge));
                check::ends_alike(&cluster, &told);
            }
            check::nothing_is_missing(&world, 0, world.session_of(0));
            check::transcripts_agree(&world, 0, world.session_of(0));
            if unharmed {
                check::nothing_is_missing(&world, 1, world.session_of(1));
            }
            world.edges[0].conversation.transcript().exchanges().cloned().collect::<Vec<_>>()
        };
        let faults = vec![
            (1500 + 50 * seed, Fault::Stall { edge: 1, for_ms: 3000 }),
            (5000, Fault::Cut { edge: 1, for_ms: 900 }),
            (9500, Fault::RestartEdge(1)),
            (12_000, Fault::Outage { edge: 1, for_ms: 2000 }),
        ];
        assert_eq!(quiet(faults), quiet(Vec::new()), "seed {seed}");
    }
}

#[test]
fn a_memory_too_small_for_all_refuses_some_and_harms_none() {
    let speech = [(500, 2500), (12_000, 14_000)];
    let edges = (0..6).map(|_| edge(&speech)).collect();
    let blocks = caracal_cluster::scheduler::Blocks { tokens: 16, total: 24 };
    let mut world = World::new(Setup { seed: 1, edges, blocks, frames: 40, ..Setup::default() });
    world.run(40_000);
    assert!(world.node.scheduler().used() <= 24);
    let answered = world.edges.iter().filter(|host| host.conversation.transcript().exchanges().len() == 2).count();
    assert!(answered >= 1, "nobody was answered");
}
