//! e^x as plain arithmetic, which the compiler makes vector code of: the library's takes longer than the product around it.

/// e^x for x <= 0 to 2e-7 relative, NaN for NaN. Below e^-87, just above the least normal number, it stays there: beside the
/// largest weight of 1, and beside the 1 of a sigmoid, that is nothing.
#[inline(always)]
pub(super) fn exp_of_nonpositive(x: f32) -> f32 {
    /// 1.5 2^23: adding it rounds to a whole number, which is left in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, so that n ln 2 is exact enough.
    const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN2.0 - n * LN2.1;
    // Taylor's polynomial of degree 7 on |r| <= ln 2 / 2, where the next term is below 6e-9.
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    let small = exp_of_nonpositive(-x.abs());
    (if x < 0.0 { small } else { 1.0 }) / (1.0 + small)
}

/// Accumulators of sums such as that of [`exponentials`]: a fixed number, so that sums do not depend on the machine's vector width.
pub(super) const SUMS: usize = 16;

/// Replaces scores by e^(score - largest) and returns their sum. Inlined into dispatched code, where its plain loops become
/// vector code.
#[inline(always)]
pub(super) fn exponentials(scores: &mut [f32]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; SUMS];
    for chunk in scores.chunks(SUMS) {
        for (m, s) in largest.iter_mut().zip(chunk) {
            *m = if *s > *m { *s } else { *m };
        }
    }
    let largest = largest.iter().fold(f32::NEG_INFINITY, |m, s| m.max(*s));
    scores.iter_mut().for_each(|s| *s = exp_of_nonpositive(*s - largest));
    let mut sums = [0.0; SUMS];
    for chunk in scores.chunks(SUMS) {
        for (sum, s) in sums.iter_mut().zip(chunk) {
            *sum += *s;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_exact_enough_and_keeps_nan() {
        for i in 0..870_000 {
            let x = -(i as f32) / 10_000.0;
            let (got, want) = (f64::from(exp_of_nonpositive(x)), f64::from(x).exp());
            assert!((got - want).abs() < 2e-7 * want, "{x}: {got:e} for {want:e}");
        }
        assert_eq!(exp_of_nonpositive(0.0), 1.0);
        assert!(exp_of_nonpositive(f32::NEG_INFINITY) < 2e-38 && exp_of_nonpositive(f32::NAN).is_nan());
    }
}
