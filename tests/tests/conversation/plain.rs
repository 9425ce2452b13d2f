//! Conversations in which nothing goes wrong but the user's own pauses.

use caracal_edge::conversation::Story;
use caracal_shared::machine::Micros;
use caracal_shared::session::Ending;
use caracal_shared::turn::TurnTiming;
use caracal_tests::simulation::check;

use super::{nothing, world};

#[test]
fn three_turns_are_answered_in_full() {
    for seed in 0..12 {
        let world = world(seed, &[(500, 1500), (8000, 9000), (16_000, 19_000)], &[], nothing);
        let exchanges = check::everything(&world);
        assert_eq!(exchanges.len(), 3, "seed {seed}");
        assert!(exchanges.iter().all(|e| matches!(&e.ending, Ending::Whole(text) if !text.is_empty())), "seed {seed}: {exchanges:#?}");
        assert!(exchanges.iter().all(|e| (e.pictures > 0) == (seed % 2 == 1)), "seed {seed}: {exchanges:#?}");
    }
}

#[test]
fn sound_begins_within_one_hop_of_the_endpoint_when_the_guess_was_right() {
    for seed in 0..12 {
        let world = world(seed, &[(500, 1500)], &[], nothing);
        let at = |wanted: fn(&Story) -> bool| world.edges[0].stories.iter().find(|(_, story)| wanted(story)).map(|(at, _)| at.0);
        let endpoint = at(|story| matches!(story, Story::Endpoint { .. })).expect("the turn ends");
        let sound = at(|story| matches!(story, Story::FirstSound(_))).expect("it is answered");
        assert!(sound - endpoint <= 10_000, "seed {seed}: {} us", sound - endpoint);
    }
}

#[test]
fn without_speculation_the_same_is_said() {
    let timing = TurnTiming { speculate_after: Micros(650_000), endpoint_after: Micros(650_000) };
    for seed in 0..6 {
        let with = world(seed, &[(500, 1500), (9000, 9900)], &[], nothing);
        let without = world(seed, &[(500, 1500), (9000, 9900)], &[], |setup| setup.timing = timing);
        let audio = |exchanges: Vec<caracal_shared::session::Exchange>| exchanges.into_iter().map(|e| e.audio).collect::<Vec<_>>();
        assert_eq!(audio(check::everything(&with)), audio(check::everything(&without)), "seed {seed}");
    }
}

#[test]
fn a_pause_and_going_on_leaves_no_trace_however_often() {
    for seed in 0..12 {
        for pauses in 1..6u64 {
            // 440 ms of silence: after the guess at 300, before the end at 650.
            let speech: Vec<(u64, u64)> = (0..=pauses).map(|i| (500 + 1340 * i, 1400 + 1340 * i)).collect();
            let world = world(seed, &speech, &[], nothing);
            let exchanges = check::everything(&world);
            assert_eq!(exchanges.len(), 1, "seed {seed}, {pauses} pauses");
            let rolled_back = world.edges[0].stories.iter().filter(|(_, story)| matches!(story, Story::RolledBack(_))).count();
            assert_eq!(rolled_back as u64, pauses, "seed {seed}");
        }
    }
}

#[test]
fn a_turn_rolled_back_is_answered_as_one_that_never_paused() {
    let speech = [(500, 1400), (1840, 2800)];
    let guess = world(0, &speech, &[], nothing);
    // So late a guess never comes before the user goes on.
    let timing = TurnTiming { speculate_after: Micros(600_000), endpoint_after: Micros(650_000) };
    let none = world(0, &speech, &[], |setup| setup.timing = timing);
    let rolled_back =
        |world: &caracal_tests::simulation::World| world.edges[0].stories.iter().any(|(_, s)| matches!(s, Story::RolledBack(_)));
    assert!(rolled_back(&guess) && !rolled_back(&none));
    let text = |exchanges: Vec<caracal_shared::session::Exchange>| exchanges.into_iter().map(|e| (e.digest, e.ending)).collect::<Vec<_>>();
    assert_eq!(text(check::everything(&guess)), text(check::everything(&none)));
}

#[test]
fn a_click_opens_no_turn() {
    let world = world(0, &[(510, 560), (3000, 4000)], &[], nothing);
    check::blocks(&world);
    assert_eq!(check::transcripts_agree(&world, 0, check::only_session(&world)).len(), 1);
}
