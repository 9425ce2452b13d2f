//! The size rule on any height, width and limits.

use caracal_edge::vision::{PixelLimits, SizeRule};

/// Reads a height, a width, a patch side, a granularity and limits from `bytes` (zeros where they end) and checks what
/// the size rule makes of them.
///
/// # Panics
/// When a result breaks a promise of the rule.
pub fn image_size(bytes: &[u8]) {
    let mut words = bytes.chunks(4).map(|chunk| chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)));
    let mut word = || words.next().unwrap_or(0);
    let (height, width) = (word(), word());
    let rule = SizeRule { patch: word() % 64 + 1, factor: word() % 4096 + 1 };
    let limits = PixelLimits { min: word().into(), max: word().into() };
    let Ok([out_height, out_width]) = rule.target(height, width, limits) else { return };
    let what = format!("{height}x{width} to {out_height}x{out_width} by {rule:?} within {limits:?}");
    assert!(height > 0 && width > 0, "{what}: from nothing");
    assert!(out_height > 0 && out_height.is_multiple_of(rule.patch), "{what}: the height is no number of patches");
    assert!(out_width > 0 && out_width.is_multiple_of(2 * rule.patch), "{what}: the width is no number of patch pairs");
    let area = u64::from(out_height) * u64::from(out_width);
    assert!(area <= limits.max || grew(height, width, out_height, out_width, rule, limits), "{what}: too large");
}

/// Whether the sizes are those of a picture that was too small, each side rounded up by less than the granularity.
fn grew(height: u32, width: u32, out_height: u32, out_width: u32, rule: SizeRule, limits: PixelLimits) -> bool {
    let factor = f64::from(rule.factor);
    let (h, w) = (f64::from(height), f64::from(width));
    let (h, w) = if h < factor { (factor, (factor / h * w).trunc() + 1.0) } else { (h, w) };
    let (h, w) = if w < factor { ((factor / w * h).trunc() + 1.0, factor) } else { (h, w) };
    let side = (limits.min as f64).sqrt();
    let fits = |out: u32, grown: f64| f64::from(out) <= grown * (1.0 + 1e-9) + factor;
    fits(out_height, side * (h / w).sqrt()) && fits(out_width, side * (w / h).sqrt())
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn thousands_of_sizes_keep_the_promises() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut sized = 0;
        for _ in 0..20_000 {
            // As many small numbers as large ones.
            let words: [u32; 6] = std::array::from_fn(|_| rng.random::<u32>() >> rng.random_range(0..32));
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            image_size(&bytes);
            sized += usize::from(words[0] > 0 && words[1] > 0);
        }
        assert!(sized > 10_000, "most inputs must reach the rule, {sized} did");
        for length in 0..24 {
            image_size(&vec![0xff; length]);
        }
    }
}
