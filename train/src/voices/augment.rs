//! What becomes of an utterance between a mouth and the networks, drawn at random: speed, colour, room, pauses, noise,
//! band, loudness, overload.

use std::ops::Range;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::echo::Rooms;
use super::microphone::{Band, at_speed, clip, colour};
use super::noise::{Noise, NoiseBank};
use super::synthesiser_process::SPEECH_HZ;

/// How often each change is made.
const SPEED_SHARE: f32 = 0.8;
const ROOM_SHARE: f32 = 0.4;
const NOISE_SHARE: f32 = 0.75;
const SECOND_NOISE_SHARE: f32 = 0.15;
const BAND_SHARE: f32 = 0.35;
const CLIP_SHARE: f32 = 0.1;
const COLOUR_SHARE: f32 = 0.6;
/// How far each change goes.
const SPEED: Range<f32> = 0.85..1.15;
/// Of two draws the noisier one counts: of single draws four in five are less noisy than the evaluation.
const SNR_DB: Range<f32> = 5.0..30.0;
const LOW_PASS_HZ: Range<f32> = 3000.0..7500.0;
const HIGH_PASS_HZ: Range<f32> = 60.0..400.0;
const CLIP_AT: Range<f32> = 0.25..0.8;
/// Bumps of a colour, how high or deep each is, and the natural logarithm of where it lies in Hz (150 to 6,600, evenly in octaves).
const COLOUR_BUMPS: std::ops::RangeInclusive<usize> = 1..=4;
const COLOUR_DB: Range<f32> = -10.0..10.0;
const COLOUR_LOG_HZ: Range<f32> = 5.0..8.8;
/// Loudest sample after all changes, in dB below full scale: from a whisper far away to a shout.
const PEAK_DB: Range<f32> = -30.0..-0.5;
/// Silence before and after, in seconds.
const BEFORE_SECONDS: Range<f32> = 0.0..0.7;
const AFTER_SECONDS: Range<f32> = 0.05..0.7;

/// Everything that surrounds a speaker.
#[derive(Clone)]
pub struct Surroundings {
    rooms: Rooms,
    noises: NoiseBank,
}

impl Surroundings {
    /// With so many seconds of each noise; babble is mixed from `speech`.
    ///
    /// # Panics
    /// When `speech` is empty.
    pub fn new(speech: &[Vec<f32>], seconds: usize, rng: &mut StdRng) -> Self {
        Self { rooms: Rooms::default(), noises: NoiseBank::new(speech, seconds, rng) }
    }

    /// How an utterance is heard in training; `trouble` from 0 to 1 says how often something is in the way.
    ///
    /// # Shapes
    /// 16-bit samples → samples in -1 to 1, of another length
    pub fn hear(&self, spoken: &[i16], trouble: f32, rng: &mut StdRng) -> Vec<f32> {
        let mut often = |share: f32| rng.random::<f32>() < share * trouble;
        let (speed, room, noise, second) = (often(SPEED_SHARE), often(ROOM_SHARE), often(NOISE_SHARE), often(SECOND_NOISE_SHARE));
        let (band, clipped, coloured) = (often(BAND_SHARE), often(CLIP_SHARE), often(COLOUR_SHARE));
        let mut heard = from_pcm(spoken);
        if speed {
            heard = at_speed(&heard, rng.random_range(SPEED));
        }
        if coloured {
            for _ in 0..rng.random_range(COLOUR_BUMPS) {
                colour(&mut heard, rng.random_range(COLOUR_LOG_HZ).exp(), rng.random_range(COLOUR_DB), SPEECH_HZ as f32);
            }
        }
        heard = with_pauses(&heard, rng.random_range(BEFORE_SECONDS), rng.random_range(AFTER_SECONDS));
        if room {
            heard = self.rooms.echo(&heard, rng);
        }
        for _ in 0..usize::from(noise) + usize::from(noise && second) {
            let kind = Noise::ALL.choose_weighted(rng, |kind| often_heard(*kind)).expect("the weights are positive");
            let ratio = rng.random_range(SNR_DB).min(rng.random_range(SNR_DB));
            self.noises.add(*kind, ratio, &mut heard, rng);
        }
        if band {
            Band::Below(rng.random_range(LOW_PASS_HZ)).filter(&mut heard, SPEECH_HZ as f32);
            Band::Above(rng.random_range(HIGH_PASS_HZ)).filter(&mut heard, SPEECH_HZ as f32);
        }
        if clipped {
            clip(&mut heard, rng.random_range(CLIP_AT));
        }
        to_peak(&mut heard, rng.random_range(PEAK_DB));
        heard
    }

    /// How an utterance is heard beside noise of one kind at one ratio, and nothing else: for evaluation.
    pub fn hear_beside(&self, spoken: &[i16], kind: Noise, snr_db: f32, rng: &mut StdRng) -> Vec<f32> {
        let mut heard = in_a_quiet_room(spoken);
        self.noises.add(kind, snr_db, &mut heard, rng);
        let most = heard.iter().fold(0.0f32, |most, s| most.max(s.abs()));
        if most >= 1.0 {
            to_peak(&mut heard, -0.5);
        }
        heard
    }
}

/// How often a noise is what a user speaks beside: other people and traffic more than a fan or a hiss.
fn often_heard(kind: Noise) -> f32 {
    match kind {
        Noise::Babble => 0.35,
        Noise::Street => 0.3,
        Noise::Pink => 0.2,
        Noise::White => 0.15,
    }
}

/// An utterance as it is, with a short silence on both sides.
pub fn in_a_quiet_room(spoken: &[i16]) -> Vec<f32> {
    with_pauses(&from_pcm(spoken), 0.2, 0.3)
}

/// Samples in -1 to 1.
pub fn from_pcm(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|s| f32::from(*s) / 32768.0).collect()
}

fn with_pauses(samples: &[f32], before: f32, after: f32) -> Vec<f32> {
    let silence = |seconds: f32| std::iter::repeat_n(0.0, (seconds * SPEECH_HZ as f32) as usize);
    silence(before).chain(samples.iter().copied()).chain(silence(after)).collect()
}

fn to_peak(samples: &mut [f32], decibels: f32) {
    let most = samples.iter().fold(0.0f32, |most, s| most.max(s.abs()));
    if most > 0.0 {
        let gain = 10f32.powf(decibels / 20.0) / most;
        samples.iter_mut().for_each(|s| *s *= gain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn spoken() -> Vec<i16> {
        (0..16000).map(|i| (9000.0 * (i as f32 * 0.15).sin()) as i16).collect()
    }

    fn surroundings() -> Surroundings {
        Surroundings::new(&[from_pcm(&spoken())], 10, &mut StdRng::seed_from_u64(8))
    }

    #[test]
    fn equal_seeds_hear_the_same_and_others_do_not() {
        let surroundings = surroundings();
        let hear = |seed| surroundings.hear(&spoken(), 1.0, &mut StdRng::seed_from_u64(seed));
        assert_eq!(hear(1), hear(1));
        assert_ne!(hear(1), hear(2));
    }

    #[test]
    fn whatever_is_drawn_stays_finite_and_in_range() {
        let surroundings = surroundings();
        for seed in 0..60 {
            let heard = surroundings.hear(&spoken(), 1.0, &mut StdRng::seed_from_u64(seed));
            assert!((16000.0 / 1.16..16000.0 / 0.84 + 23_000.0).contains(&(heard.len() as f32)));
            assert!(heard.iter().all(|s| s.is_finite() && s.abs() <= 1.0));
            assert!(heard.iter().any(|s| s.abs() > 0.01));
        }
        let silent = surroundings.hear(&[0; 8000], 1.0, &mut StdRng::seed_from_u64(1));
        assert!(silent.iter().all(|s| *s == 0.0));
    }

    #[test]
    fn evaluation_adds_only_the_noise_that_was_asked_for() {
        let mut rng = StdRng::seed_from_u64(9);
        let quiet = in_a_quiet_room(&spoken());
        let noisy = surroundings().hear_beside(&spoken(), Noise::Street, 10.0, &mut rng);
        assert_eq!(noisy.len(), quiet.len());
        assert_ne!(noisy, quiet);
    }
}
