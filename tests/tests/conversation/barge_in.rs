//! The user interrupts: silence within one hop, and a history that says no more than was heard.

use caracal_edge::conversation::Story;
use caracal_shared::session::Ending;
use caracal_tests::simulation::check;

use super::{nothing, world};

#[test]
fn at_each_ten_milliseconds_of_an_answer() {
    // The answer sounds from about 2200 ms on, for three seconds or more.
    for step in 0..320u64 {
        let from = 1900 + 10 * step;
        let world = world(step % 12, &[(500, 1500), (from, from + 700)], &[], nothing);
        let exchanges = check::everything(&world);
        let stories = &world.edges[0].stories;
        let barged = stories.iter().find_map(|(at, story)| match story {
            Story::BargedIn(attempt, frames) => Some((*at, *attempt, *frames)),
            _ => None,
        });
        let Some((at, attempt, frames)) = barged else {
            // Before the endpoint it is a pause, after the end another turn.
            continue;
        };
        let after = world.edges[0].sounded.iter().filter(|(when, wire, _)| *when > at && *wire == attempt.0).count();
        assert_eq!(after, 0, "{from}: the dead answer sounded on");
        let noticed = at.0 as i64 - 1000 * from as i64;
        assert!(noticed <= 130_000, "{from}: silent only after {noticed} us");
        let exchange = exchanges.iter().find(|e| e.attempt == attempt).expect("its turn is in the transcript");
        match &exchange.ending {
            Ending::Cut(text) => assert!(frames > 0 || text.is_empty(), "{from}: text of an answer of which nothing was heard"),
            other => panic!("{from}: an interrupted answer ended as {other:?}"),
        }
    }
}

#[test]
fn every_answer_of_many_is_interrupted() {
    for seed in 0..12 {
        let speech: Vec<(u64, u64)> = (0..8).map(|i| (500 + 2900 * i, 1500 + 2900 * i)).collect();
        let world = world(seed, &speech, &[], |setup| setup.frames = 200);
        let exchanges = check::everything(&world);
        assert_eq!(exchanges.len(), 8, "seed {seed}");
        let cut = exchanges.iter().filter(|e| matches!(e.ending, Ending::Cut(_))).count();
        assert!(cut >= 7, "seed {seed}: {exchanges:#?}");
    }
}
