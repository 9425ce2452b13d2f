//! Turns that do not end, as before a television, and eyes that are too slow: what is left out is pictures, never words.

use caracal_edge::conversation::Story;
use caracal_shared::limits::{SPARSE_PICTURES_MAX, TURN_PICTURES_MAX};
use caracal_shared::wire::Reason;
use caracal_tests::simulation::{EdgeSetup, Fault, Setup, World, check};

/// Milliseconds: longer than five minutes.
const LONG: u64 = 400_000;

/// A world with a camera, in which one turn of 400 s and a short one are said.
fn long(seed: u64, speech: Vec<(u64, u64)>, faults: Vec<(u64, Fault)>) -> World {
    let speech = speech.into_iter().chain([(LONG + 12_000, LONG + 13_000)]).collect();
    let edges = vec![EdgeSetup { speech, camera: true, ..EdgeSetup::default() }];
    let mut world = World::new(Setup { seed, edges, faults, ..Setup::default() });
    world.run(LONG + 30_000);
    world
}

fn count(world: &World, wanted: impl Fn(&Story) -> bool) -> usize {
    world.edges[0].stories.iter().filter(|(_, story)| wanted(story)).count()
}

#[test]
fn a_turn_of_four_hundred_seconds_is_heard_whole_and_seen_in_part() {
    // Once without a breath, and once with pauses that are guessed to be its end.
    let breaths = (0..LONG / 8000).map(|i| (500 + 8000 * i, 500 + 8000 * i + 7560)).collect();
    for (seed, speech) in [(0, vec![(500, LONG)]), (1, breaths)] {
        let world = long(seed, speech, Vec::new());
        let exchanges = check::everything(&world);
        assert_eq!(exchanges.len(), 2, "{exchanges:#?}");
        let pictures = exchanges[0].pictures as usize;
        assert!((TURN_PICTURES_MAX..=TURN_PICTURES_MAX + SPARSE_PICTURES_MAX).contains(&pictures), "{pictures}");
        assert!(exchanges[1].pictures > 0, "the next turn is seen again");
        assert_eq!(count(&world, |story| matches!(story, Story::Notice(..) | Story::Overrun(_))), 0);
        assert!(count(&world, |story| matches!(story, Story::Unseen)) >= (LONG / 1000) as usize - TURN_PICTURES_MAX - 2);
    }
}

#[test]
fn it_is_told_again_when_the_cluster_restarts_in_it() {
    for (seed, at) in [(0, 80_000), (1, 350_000)] {
        let world = long(seed, vec![(500, LONG)], vec![(at, Fault::RestartCluster)]);
        assert_eq!(check::everything(&world).len(), 2);
        let reasons = |story: &Story| matches!(story, Story::Notice(reason, _) if *reason != Reason::Ticket);
        assert_eq!(count(&world, reasons), 0, "{:?}", world.edges[0].stories);
    }
}

#[test]
fn eyes_that_take_seconds_leave_pictures_out_and_no_words() {
    for seed in 0..6 {
        // Three seconds for each picture, of which one comes each second.
        let speech = vec![(3000, 23_000), (23_440, 30_000), (60_000, 61_000)];
        let edges = vec![EdgeSetup { speech, camera: true, blindness: 99, ..EdgeSetup::default() }];
        let mut world = World::new(Setup { seed, edges, ..Setup::default() });
        world.run(160_000);
        let exchanges = check::everything(&world);
        assert_eq!(exchanges.len(), 2, "seed {seed}: {exchanges:#?}");
        assert!(exchanges[0].pictures > 3, "seed {seed}: something was seen");
        assert!(count(&world, |story| matches!(story, Story::Unseen)) > 5, "seed {seed}: some was not, and it was told");
        assert_eq!(count(&world, |story| matches!(story, Story::Notice(..) | Story::Overrun(_))), 0, "seed {seed}");
    }
}
