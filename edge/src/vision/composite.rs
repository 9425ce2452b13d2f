//! Transparency over opaque white, as the published transform does it for pictures that are not RGB.
//!
//! Through the published loader this never happens, since that drops alpha ([`super::Alpha::Drop`]); a caller who hands
//! transparent pictures to the transform itself gets this.
//!
//! Source: Pillow 10.2 `alpha_composite`, fixed-point.

/// Composites RGBA pixels over white.
///
/// # Shapes
/// rgba: `[pixels, 4]` → `[pixels, 3]`
pub fn composite_over_white(rgba: &[u8]) -> Vec<u8> {
    rgba.as_chunks().0.iter().flat_map(|[r, g, b, a]| [over_white(*r, *a), over_white(*g, *a), over_white(*b, *a)]).collect()
}

/// One channel: `source` with opacity `alpha` over 255.
fn over_white(source: u8, alpha: u8) -> u8 {
    if alpha == 0 {
        return 255;
    }
    let (source, alpha) = (u32::from(source), u32::from(alpha));
    let out_alpha = 255 * alpha + 255 * (255 - alpha);
    let source_share = alpha * 255 * 255 * 128 / out_alpha;
    let white_share = 255 * 128 - source_share;
    let sum = source * source_share + 255 * white_share + (0x80 << 7);
    (((sum >> 8) + sum) >> 8 >> 7) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_stays_and_transparent_becomes_white() {
        for source in 0..=255 {
            assert_eq!((over_white(source, 255), over_white(source, 0)), (source, 255));
        }
    }

    #[test]
    fn within_one_level_of_the_exact_blend() {
        for (source, alpha) in (0..=255u8).flat_map(|s| (0..=255u8).map(move |a| (s, a))) {
            let exact = (f64::from(source) * f64::from(alpha) + 255.0 * f64::from(255 - alpha)) / 255.0;
            assert!((f64::from(over_white(source, alpha)) - exact).abs() <= 1.0, "{source} {alpha}");
        }
    }
}
