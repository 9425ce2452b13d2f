//! Microphones and players: speed, a narrow band, colour, overload.

/// As if played at `speed` times its speed: shorter and higher above 1. Cubic between neighbours.
///
/// # Shapes
/// n samples → n / speed
pub fn at_speed(samples: &[f32], speed: f32) -> Vec<f32> {
    let count = (samples.len() as f64 / f64::from(speed)) as usize;
    let at = |i: isize| samples.get(i.max(0) as usize).copied().unwrap_or(0.0);
    (0..count)
        .map(|n| {
            let position = n as f64 * f64::from(speed);
            let (i, t) = (position as isize, (position.fract()) as f32);
            let (a, b, c, d) = (at(i - 1), at(i), at(i + 1), at(i + 2));
            b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
        })
        .collect()
}

/// Second-order low-pass or high-pass (Butterworth) in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Band {
    /// Takes away what is above, in Hz.
    Below(f32),
    /// Takes away what is below, in Hz.
    Above(f32),
}

impl Band {
    /// Filters `samples` at `rate` samples a second.
    pub fn filter(self, samples: &mut [f32], rate: f32) {
        let (Self::Below(corner) | Self::Above(corner)) = self;
        let (sin, cos) = (std::f32::consts::TAU * corner / rate).sin_cos();
        let alpha = sin * std::f32::consts::FRAC_1_SQRT_2;
        let a0 = 1.0 + alpha;
        let (b0, b1) = match self {
            Self::Below(_) => ((1.0 - cos) / 2.0, 1.0 - cos),
            Self::Above(_) => ((1.0 + cos) / 2.0, -1.0 - cos),
        };
        biquad(samples, [b0 / a0, b1 / a0, b0 / a0], [-2.0 * cos / a0, (1.0 - alpha) / a0]);
    }
}

/// Raises or lowers what lies around `centre` Hz by `decibels`, an octave and a half wide, in place: one bump of the
/// response of a microphone, a mouth or a loudspeaker (Bristow-Johnson's peaking filter).
pub fn colour(samples: &mut [f32], centre: f32, decibels: f32, rate: f32) {
    let (sin, cos) = (std::f32::consts::TAU * centre / rate).sin_cos();
    let gain = 10f32.powf(decibels / 40.0);
    let alpha = sin / (2.0 * COLOUR_Q);
    let a0 = 1.0 + alpha / gain;
    let (b0, b1, b2) = ((1.0 + alpha * gain) / a0, -2.0 * cos / a0, (1.0 - alpha * gain) / a0);
    biquad(samples, [b0, b1, b2], [b1, (1.0 - alpha / gain) / a0]);
}

/// Sharpness of [`colour`]'s bumps.
const COLOUR_Q: f32 = 0.9;

/// y(n) = b0 x(n) + b1 x(n-1) + b2 x(n-2) - a1 y(n-1) - a2 y(n-2), in place, from rest.
fn biquad(samples: &mut [f32], [b0, b1, b2]: [f32; 3], [a1, a2]: [f32; 2]) {
    let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
    for s in samples {
        let y = b0 * *s + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2;
        (x2, x1, y2, y1) = (x1, *s, y1, y);
        *s = y;
    }
}

/// Cuts off what is louder than `share` of the loudest sample.
pub fn clip(samples: &mut [f32], share: f32) {
    let limit = share * samples.iter().fold(0.0f32, |most, s| most.max(s.abs()));
    samples.iter_mut().for_each(|s| *s = s.clamp(-limit, limit));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32) -> Vec<f32> {
        (0..16000).map(|i| (std::f32::consts::TAU * hz * i as f32 / 16000.0).sin()).collect()
    }

    fn power(samples: &[f32]) -> f32 {
        samples[2000..].iter().map(|s| s * s).sum::<f32>() / (samples.len() - 2000) as f32
    }

    #[test]
    fn a_faster_tone_is_shorter_and_higher() {
        let fast = at_speed(&tone(400.0), 1.25);
        assert_eq!(fast.len(), 12800);
        for (a, b) in fast[10..12000].iter().zip(&tone(500.0)[10..12000]) {
            assert!((a - b).abs() < 0.02);
        }
    }

    #[test]
    fn bands_keep_their_own_and_take_away_the_rest() {
        for (band, kept, lost) in [(Band::Below(1000.0), 100.0, 6000.0), (Band::Above(1000.0), 6000.0, 100.0)] {
            let (mut kept, mut lost) = (tone(kept), tone(lost));
            band.filter(&mut kept, 16000.0);
            band.filter(&mut lost, 16000.0);
            assert!((power(&kept) - 0.5).abs() < 0.05, "{band:?} keeps {}", power(&kept));
            assert!(power(&lost) < 0.01, "{band:?} leaves {}", power(&lost));
        }
    }

    #[test]
    fn a_colour_changes_its_own_octaves_by_what_was_asked_and_leaves_the_rest() {
        for decibels in [-9.0, 9.0] {
            let (mut within, mut beyond) = (tone(1000.0), tone(100.0));
            colour(&mut within, 1000.0, decibels, 16000.0);
            colour(&mut beyond, 1000.0, decibels, 16000.0);
            let change = |samples: &[f32]| 10.0 * (power(samples) / 0.5).log10();
            assert!((change(&within) - decibels).abs() < 0.2, "{} dB for {decibels}", change(&within));
            assert!(change(&beyond).abs() < 0.5, "{} dB far away", change(&beyond));
        }
    }

    #[test]
    fn clipping_is_flat_at_its_limit() {
        let mut loud = tone(100.0);
        clip(&mut loud, 0.5);
        let most = loud.iter().fold(0.0f32, |m, s| m.max(*s));
        assert!((most - 0.5).abs() < 1e-3);
        assert!(loud.iter().filter(|s| **s == most).count() > 3000);
    }
}
