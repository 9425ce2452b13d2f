//! What sounds beside the speaker: hiss, rush, other people, a street.

use rand::Rng;
use rand::rngs::StdRng;

use super::synthesiser_process::SPEECH_HZ;

/// People who speak at once in babble.
const BABBLE_VOICES: usize = 6;
/// Speech below this share of its loudest 20 ms counts as a pause and not as speech, in power: 30 dB.
const PAUSE: f32 = 1e-3;
/// Samples of one piece whose power is measured: 20 ms.
const POWER_SAMPLES: usize = SPEECH_HZ as usize / 50;

/// A kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Equal power at all frequencies: electronics.
    White,
    /// Equal power in each octave: fans, rain.
    Pink,
    /// Several people who speak at once.
    Babble,
    /// Rumble, passing cars, a horn now and then.
    Street,
}

impl Noise {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::White, Self::Pink, Self::Babble, Self::Street];
}

/// A stretch of every kind of noise, each with power 1.
#[derive(Clone, Debug)]
pub struct NoiseBank {
    kinds: Vec<(Noise, Vec<f32>)>,
}

impl NoiseBank {
    /// Makes `seconds` of each noise, of which a piece begins anywhere; babble is mixed from `speech`.
    ///
    /// # Panics
    /// When `speech` is empty.
    pub fn new(speech: &[Vec<f32>], seconds: usize, rng: &mut StdRng) -> Self {
        let kinds = Noise::ALL.map(|kind| {
            let mut samples = match kind {
                Noise::White => white(seconds, rng),
                Noise::Pink => pink(seconds, rng),
                Noise::Babble => babble(speech, seconds, rng),
                Noise::Street => street(seconds, rng),
            };
            let power = samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
            samples.iter_mut().for_each(|s| *s /= power.sqrt());
            (kind, samples)
        });
        Self { kinds: kinds.to_vec() }
    }

    /// Adds noise of `kind` to `heard`, `snr_db` below the power of the speech in it.
    pub fn add(&self, kind: Noise, snr_db: f32, heard: &mut [f32], rng: &mut StdRng) {
        let (_, noise) = self.kinds.iter().find(|(k, _)| *k == kind).expect("the bank holds every kind");
        let gain = (speech_power(heard) / 10f32.powf(snr_db / 10.0)).sqrt();
        let from = rng.random_range(0..noise.len());
        heard.iter_mut().zip(noise.iter().cycle().skip(from)).for_each(|(s, n)| *s += gain * n);
    }
}

/// Mean power of what is no pause.
pub fn speech_power(samples: &[f32]) -> f32 {
    let powers: Vec<f32> = samples.chunks(POWER_SAMPLES).map(|c| c.iter().map(|s| s * s).sum::<f32>() / c.len() as f32).collect();
    let least = PAUSE * powers.iter().copied().fold(0.0, f32::max);
    let (sum, count) = powers.iter().filter(|p| **p > least).fold((0.0, 0), |(sum, count), p| (sum + p, count + 1));
    sum / (count.max(1) as f32)
}

/// A normally distributed number.
pub fn gaussian(rng: &mut StdRng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
}

fn white(seconds: usize, rng: &mut StdRng) -> Vec<f32> {
    (0..seconds * SPEECH_HZ as usize).map(|_| gaussian(rng)).collect()
}

/// Three leaky sums of white noise, whose corners lie so that together they fall by 3 dB an octave.
fn pink(seconds: usize, rng: &mut StdRng) -> Vec<f32> {
    let leaks: [(f32, f32); 3] = [(0.996, 0.1), (0.96, 0.3), (0.6, 1.0)];
    let mut sums = [0.0; 3];
    let mut next = |x: f32| {
        leaks.iter().zip(&mut sums).for_each(|((leak, gain), sum)| *sum = leak * *sum + gain * x);
        sums.iter().sum()
    };
    white(seconds, rng).into_iter().map(&mut next).collect()
}

fn babble(speech: &[Vec<f32>], seconds: usize, rng: &mut StdRng) -> Vec<f32> {
    assert!(!speech.is_empty(), "babble needs speech to be mixed from");
    let mut mixed = vec![0.0; seconds * SPEECH_HZ as usize];
    for _ in 0..BABBLE_VOICES {
        let loudness = 10f32.powf(rng.random_range(-6.0..3.0) / 20.0);
        let mut at = 0;
        while at < mixed.len() {
            let utterance = &speech[rng.random_range(0..speech.len())];
            let gain = loudness / speech_power(utterance).sqrt().max(1e-6);
            mixed[at..].iter_mut().zip(utterance).for_each(|(m, s)| *m += gain * s);
            at += utterance.len() + rng.random_range(0..SPEECH_HZ as usize / 2);
        }
    }
    mixed
}

fn street(seconds: usize, rng: &mut StdRng) -> Vec<f32> {
    let hz = SPEECH_HZ as f32;
    let mut rumble = 0.0;
    let mut mixed: Vec<f32> = white(seconds, rng)
        .into_iter()
        .map(|x| {
            rumble = 0.985 * rumble + 0.17 * x;
            0.7 * rumble + 0.05 * x
        })
        .collect();
    let end = seconds as f32;
    for _ in 0..seconds / 3 {
        let (centre, width) = (rng.random_range(0.0..end), rng.random_range(0.5..2.0));
        let (corner, loudness) = (rng.random_range(0.6..0.93f32), rng.random_range(0.5..2.0f32));
        let mut low = 0.0;
        for (i, m) in mixed.iter_mut().enumerate() {
            let away = (i as f32 / hz - centre) / width;
            if away.abs() < 3.0 {
                low = corner * low + (1.0 - corner) * gaussian(rng);
                *m += 4.0 * loudness * low * (-away * away).exp();
            }
        }
    }
    for _ in 0..seconds / 8 {
        let start = rng.random_range(0..mixed.len());
        let (length, tone) = (rng.random_range(0.15..0.6), rng.random_range(300.0..500.0));
        for (i, m) in mixed[start..].iter_mut().take((length * hz) as usize).enumerate() {
            let phase = std::f32::consts::TAU * tone * i as f32 / hz;
            *m += phase.sin() + (1.25 * phase).sin() + 0.4 * (2.0 * phase).sin();
        }
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn tone() -> Vec<f32> {
        (0..16000).map(|i| (i as f32 * 0.2).sin()).collect()
    }

    #[test]
    fn noise_comes_at_the_ratio_that_was_asked_for() {
        let mut rng = StdRng::seed_from_u64(3);
        let bank = NoiseBank::new(&[tone()], 40, &mut rng);
        for kind in [Noise::White, Noise::Pink] {
            let mut heard = tone();
            bank.add(kind, 10.0, &mut heard, &mut rng);
            let added: f32 = heard.iter().zip(tone()).map(|(h, t)| (h - t) * (h - t)).sum::<f32>() / 16000.0;
            let ratio = 10.0 * (0.5 / added).log10();
            assert!((ratio - 10.0).abs() < 1.5, "{kind:?}: {ratio} dB");
        }
    }

    #[test]
    fn pauses_do_not_count_as_speech() {
        let mut with_pause = tone();
        with_pause.extend(vec![0.0; 32000]);
        assert!((speech_power(&with_pause) - 0.5).abs() < 0.02);
        assert_eq!(speech_power(&[]), 0.0);
    }

    #[test]
    fn pink_noise_and_the_street_are_dull_and_white_noise_is_not() {
        let mut rng = StdRng::seed_from_u64(4);
        let bank = NoiseBank::new(&[tone()], 40, &mut rng);
        // Power of the differences of neighbours over power: 2 for white noise, little for dull noise.
        let brightness = |kind: Noise| {
            let (_, s) = bank.kinds.iter().find(|(k, _)| *k == kind).unwrap();
            s.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum::<f32>() / s.len() as f32
        };
        assert!(brightness(Noise::White) > 1.9);
        assert!(brightness(Noise::Pink) < 1.0 && brightness(Noise::Street) < 0.5);
    }
}
