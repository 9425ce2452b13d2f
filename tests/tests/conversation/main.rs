//! Conversations in virtual time, through every fault that is named, with many seeds.

mod barge_in;
mod chaos;
mod counted;
mod faults;
mod long_turn;
mod plain;
mod two_sessions;

use caracal_shared::machine::Micros;
use caracal_tests::simulation::link::LinkSettings;
use caracal_tests::simulation::{EdgeSetup, Fault, Setup, World};

/// Runs a world of one edge until nothing happens any more.
fn world(seed: u64, speech: &[(u64, u64)], faults: &[(u64, Fault)], change: impl FnOnce(&mut Setup)) -> World {
    let link =
        LinkSettings { delay: Micros(1_000 + 7_000 * (seed % 7)), jitter: Micros(500 * (seed % 11)), loss_percent: (seed % 4) as u32 };
    let edges = vec![EdgeSetup { speech: speech.to_vec(), camera: seed % 2 == 1, link, ..EdgeSetup::default() }];
    let mut setup = Setup { seed, edges, faults: faults.to_vec(), ..Setup::default() };
    change(&mut setup);
    let mut world = World::new(setup);
    world.run(90_000);
    world
}

fn nothing(_: &mut Setup) {}
