//! What an engine promises: a session computes the same, bit for bit on the CPU, whatever else runs beside it, however
//! its rows were cut, and whatever was taken back before.

mod gradients;
mod laws;
mod refusals;

use burn::tensor::Device;
use caracal_cluster::engine::{BurnEngine, CacheLimits, Engine, Hidden, Read, SessionId, Work};
use caracal_tests::random_backbone;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

/// Roomy enough for every test that is not about room.
const ROOM: CacheLimits = CacheLimits { block_tokens: 5, blocks: 500, sessions: 8 };

fn engine(limits: CacheLimits) -> BurnEngine {
    random_backbone::engine(&random_backbone::small_config(json!({})), 11, &Device::flex(), limits).unwrap()
}

/// Made-up rows; the same seed gives the same.
fn rows(engine: &BurnEngine, count: usize, seed: u64) -> Vec<f32> {
    let rng = &mut StdRng::seed_from_u64(seed);
    (0..count * engine.width()).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// One session's rows, run alone.
fn step(engine: &mut BurnEngine, session: SessionId, rows: &[f32]) -> Vec<f32> {
    let answer: Hidden = engine.step(&[Work { session, rows: rows.to_vec(), read: Read::All }]).remove(0).unwrap();
    answer.rows
}
