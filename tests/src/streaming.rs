//! The law of every streaming module: for any cutting of the input, step… flush equals offline.

use proptest::prelude::*;

/// Cutting cases tried for each module.
pub const CUTTINGS: u32 = 200;

/// Lengths of pieces that add up to `total`: what a proptest strategy draws.
pub fn cuttings(total: usize) -> impl Strategy<Value = Vec<usize>> {
    // The longest piece is drawn first, so that cuttings into many short pieces are as common as into a few long ones.
    let longest = 1..=total.max(1);
    longest.prop_flat_map(move |longest| prop::collection::vec(1..=longest, 0..=total.max(1))).prop_map(move |pieces| {
        let mut left = total;
        let mut cut: Vec<usize> = pieces
            .into_iter()
            .map_while(|piece| {
                let piece = piece.min(left);
                left -= piece;
                (piece > 0).then_some(piece)
            })
            .collect();
        if left > 0 {
            cut.push(left);
        }
        cut
    })
}

/// Largest |a - b| relative to the largest |b|; infinite when the lengths differ.
pub fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let largest = b.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(f64::from(v.abs())));
    a.iter().zip(b).fold(0f64, |m, (a, b)| m.max((f64::from(*a) - f64::from(*b)).abs())) / largest
}
