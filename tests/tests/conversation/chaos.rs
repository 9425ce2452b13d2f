//! Random speech and random faults, many seeds: what must hold, holds.

use caracal_edge::conversation::Story;
use caracal_shared::machine::Micros;
use caracal_tests::simulation::link::LinkSettings;
use caracal_tests::simulation::{Fault, check};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::world;

/// Milliseconds in which the user may speak and things may go wrong.
const LONG: u64 = 40_000;

fn speech(rng: &mut StdRng) -> Vec<(u64, u64)> {
    let (mut at, mut spans) = (300, Vec::new());
    while at < LONG {
        let length = 10 * rng.random_range(20..250);
        spans.push((at, at + length));
        // Breaths, pauses around both points of the silence, and long silences, in which an answer is heard or interrupted.
        at += length + 10 * [rng.random_range(10..40), rng.random_range(40..80), rng.random_range(100..700)][rng.random_range(0..3)];
    }
    spans
}

fn faults(rng: &mut StdRng) -> Vec<(u64, Fault)> {
    let edge = 0;
    let mut fault = || match rng.random_range(0..5) {
        0 => Fault::Cut { edge, for_ms: rng.random_range(40..3000) },
        1 => Fault::Outage { edge, for_ms: rng.random_range(10..2500) },
        2 => Fault::Stall { edge, for_ms: rng.random_range(10..4000) },
        3 => {
            let link = LinkSettings { delay: Micros(rng.random_range(1_000..80_000)), ..LinkSettings::default() };
            Fault::Move { edge, link }
        }
        _ => Fault::Clock { edge, by_ms: rng.random_range(-400..400) },
    };
    let mut faults: Vec<Fault> = (0..6).map(|_| fault()).collect();
    faults.drain(..).map(|fault| (rng.random_range(100..LONG), fault)).collect()
}

#[test]
fn random_conversations_through_random_faults() {
    for seed in 0..400 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (speech, faults) = (speech(&mut rng), faults(&mut rng));
        let said = std::panic::catch_unwind(|| {
            let world = world(seed, &speech, &faults, |setup| {
                setup.edges[0].slowness = seed % 3;
                setup.frames = 20 + (seed % 90) as u32;
                setup.engine.0 = 4_000 + 1_000 * (seed % 20);
            });
            let told = |story: &Story| matches!(story, Story::Notice(..) | Story::Overrun(_) | Story::Unseen);
            let notices: Vec<_> = world.edges[0].stories.iter().filter(|(_, story)| told(story)).collect();
            assert!(notices.is_empty(), "{notices:?}");
            check::everything(&world).len()
        });
        assert!(said.is_ok_and(|exchanges| exchanges > 0), "seed {seed}: {speech:?} {faults:?}");
    }
}
