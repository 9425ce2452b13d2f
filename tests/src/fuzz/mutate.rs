//! Damaging bytes the same way in every run, for tests that need no fuzzer.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// `count` damaged copies of `bytes`: some flipped, cut, repeated or overwritten with numbers that parsers dislike.
pub fn mutations(bytes: &[u8], seed: u64, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(move |_| {
        let mut copy = bytes.to_vec();
        for _ in 0..rng.random_range(1..4) {
            damage(&mut copy, &mut rng);
        }
        copy
    })
}

fn damage(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    if bytes.is_empty() {
        return bytes.push(rng.random());
    }
    // Headers are short and come first, so half of the damage goes there.
    let reach = if rng.random() { bytes.len() } else { bytes.len().min(64) };
    let at = rng.random_range(0..reach);
    match rng.random_range(0..5) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes.truncate(at),
        2 => {
            let end = rng.random_range(at..bytes.len().min(at + 32));
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        3 => {
            const DISLIKED: [u32; 5] = [0, u32::MAX, i32::MAX as u32, i32::MIN as u32, f32::NAN.to_bits()];
            let number = DISLIKED[rng.random_range(0..DISLIKED.len())].to_le_bytes();
            bytes[at..].iter_mut().zip(number).for_each(|(b, n)| *b = n);
        }
        _ => {
            bytes.remove(at);
        }
    }
}
