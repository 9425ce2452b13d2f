//! What must hold after every scenario.

use std::collections::BTreeSet;

use caracal_cluster::executor::Execute;
use caracal_cluster::scheduler::SessionKey;
use caracal_shared::session::{Ending, Exchange};

use super::accelerator::{hops_of, number};
use super::brain::Cell;
use super::world::World;

/// Blocks: what the scheduler believes, what the engine holds, and what the sessions wanted are the same.
///
/// # Panics
/// When they are not.
pub fn blocks(world: &World) {
    let (believed, held) = (world.node.scheduler().used() as usize, world.brain.usage().used);
    assert_eq!(believed, held, "the scheduler's blocks are not the engine's");
    assert_eq!(world.node.scheduler().waiting(), 0, "work was left undone");
    for (key, session, _) in world.node.sessions() {
        assert_eq!(world.brain.cells(key).len(), session.length() as usize, "{key:?} is not as long as it believes");
    }
}

/// The only session of an edge's world, for those that have one edge.
///
/// # Panics
/// When there is not exactly one.
pub fn only_session(world: &World) -> SessionKey {
    let keys: Vec<SessionKey> = world.node.sessions().map(|(key, ..)| key).collect();
    assert_eq!(keys.len(), 1, "one session was expected");
    keys[0]
}

/// Exchanges as the cluster tells them, and as the edge does.
pub fn transcripts(world: &World, edge: usize, key: SessionKey) -> (Vec<Exchange>, Vec<Exchange>) {
    let cluster =
        world.node.sessions().find(|(k, ..)| *k == key).map(|(_, session, _)| session.transcript().exchanges().cloned().collect());
    (cluster.unwrap_or_default(), world.edges[edge].conversation.transcript().exchanges().cloned().collect())
}

/// Both sides tell the same, and every answer has ended.
///
/// # Panics
/// When they do not.
pub fn transcripts_agree(world: &World, edge: usize, key: SessionKey) -> Vec<Exchange> {
    let (cluster, edge) = transcripts(world, edge, key);
    assert_eq!(cluster, edge, "the transcripts differ");
    assert!(edge.iter().all(|exchange| exchange.ending != Ending::Open), "an answer never ended: {edge:#?}");
    edge
}

/// One side's transcript is the end of the other's but for numbers, which begin anew with a process, and every answer
/// that either tells of has ended.
///
/// # Panics
/// When it is not, or one has not.
pub fn ends_alike(all: &[Exchange], end: &[Exchange]) {
    let plain = |e: &Exchange| (e.audio, e.pictures, e.digest, e.ending.clone());
    let tail = all.iter().skip(all.len().saturating_sub(end.len())).map(plain);
    assert_eq!(tail.collect::<Vec<_>>(), end.iter().map(plain).collect::<Vec<_>>(), "the transcripts differ");
    assert!(all.iter().all(|exchange| exchange.ending != Ending::Open), "an answer never ended: {all:#?}");
}

/// Hops of sound in a session's cache. Within a turn no hop may be missing or come twice.
///
/// # Panics
/// When one does.
pub fn hops_heard(world: &World, key: SessionKey) -> BTreeSet<u32> {
    let mut hops = BTreeSet::new();
    let mut last: Option<u32> = None;
    for cell in world.brain.cells(key) {
        let Cell::Audio(vector) = cell else {
            // A marker or a picture may stand between two embeddings of one turn; a new turn begins later anyway.
            continue;
        };
        let values: Vec<f32> = vector.iter().map(|value| *value as f32).collect();
        let (from, to) = hops_of(&values);
        if let Some(last) = last {
            assert!(from >= last, "hop {from} came after hop {last}");
        }
        hops.extend(from..=to);
        last = Some(to);
    }
    hops
}

/// Every hop of the user's speech is in the cache of the session.
///
/// # Panics
/// Naming the first that is not.
pub fn nothing_is_missing(world: &World, edge: usize, key: SessionKey) {
    let heard = hops_heard(world, key);
    for (from, to) in &world.edges[edge].speech {
        let missing = (*from / 10..*to / 10).find(|hop| !heard.contains(&(*hop as u32)));
        assert_eq!(missing, None, "hop of the speech {from}..{to} ms is missing from what the model was given: {heard:?}");
    }
}

/// All of them, for a world of one edge whose session survived.
///
/// # Panics
/// When one does not hold.
pub fn everything(world: &World) -> Vec<Exchange> {
    blocks(world);
    let key = only_session(world);
    nothing_is_missing(world, 0, key);
    transcripts_agree(world, 0, key)
}

/// The number that three values stand for, for tests of the stand-ins themselves.
pub fn read_back(digits: [f32; 3]) -> u32 {
    number(&digits)
}
