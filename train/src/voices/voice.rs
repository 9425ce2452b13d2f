//! One way of speaking, drawn at random, and the voice that training never hears.

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::espeak::{ACCENTS, Espeak, VARIANTS};
use super::flite::Flite;

/// The flite voice kept out of training, for evaluation only: a recorded man, not a rule-made sound, whose recordings no
/// other voice shares. His synthesiser's method is known from `awb` (a Scot) and `slt` (a woman), his speech is not, so
/// this asks whether kitten understands a stranger.
pub const HELD_OUT: &str = "rms";
/// Flite voices of training and how often each is drawn among them.
const FLITE: [(&str, f32); 4] = [("slt", 0.4), ("awb", 0.32), ("kal16", 0.18), ("kal", 0.1)];
/// Share of training sentences that a recorded person (flite) speaks; formant synthesis (espeak-ng) speaks the rest.
const FLITE_SHARE: f32 = 0.5;
/// How much longer or shorter flite may speak.
const STRETCH: std::ops::Range<f32> = 0.82..1.25;
/// Pitch changes of flite, in semitones up or down.
const SEMITONES: f32 = 5.0;
/// Pitch settings of espeak-ng.
const PITCH: std::ops::RangeInclusive<u32> = 20..=80;
/// Speeds of espeak-ng in words a minute; its own default is 175.
const SPEED: std::ops::RangeInclusive<u32> = 120..=200;

/// One way of speaking.
#[derive(Clone, Debug, PartialEq)]
pub enum Voice {
    /// Formant synthesis.
    Espeak(Espeak),
    /// A recorded person.
    Flite(Flite),
}

impl Voice {
    /// A voice that training may hear.
    pub fn of_training(rng: &mut StdRng) -> Self {
        if rng.random::<f32>() < FLITE_SHARE {
            let (name, _) = FLITE.choose_weighted(rng, |(_, weight)| *weight).expect("the weights are positive");
            let plain = rng.random::<f32>() < 0.3;
            let semitones = if plain { 0.0 } else { rng.random_range(-SEMITONES..SEMITONES) };
            let stretch = if plain { 1.0 } else { rng.random_range(STRETCH) };
            return Self::Flite(Flite { name, stretch, semitones });
        }
        Self::Espeak(Espeak {
            accent: ACCENTS.choose(rng).expect("there are accents"),
            variant: VARIANTS.choose(rng).expect("there are variants"),
            pitch: rng.random_range(PITCH),
            speed: rng.random_range(SPEED),
        })
    }

    /// The voice that training never hears.
    pub fn held_out() -> Self {
        Self::Flite(Flite::plain(HELD_OUT))
    }

    /// Which speaker this is, whatever the pitch and the speed: `espeak en-gb+f2`, `flite slt`.
    pub fn speaker(&self) -> String {
        match self {
            Self::Espeak(voice) => format!("espeak {}+{}", voice.accent, voice.variant),
            Self::Flite(voice) => format!("flite {}", voice.name),
        }
    }

    /// Speaks `sentence` at 16 kHz.
    ///
    /// # Errors
    /// When the synthesiser is not there or fails.
    pub fn render(&self, sentence: &str) -> Result<Vec<i16>> {
        match self {
            Self::Espeak(voice) => voice.render(sentence),
            Self::Flite(voice) => voice.render(sentence),
        }
    }
}

/// Lets every synthesiser speak, twice: that each is there, is heard, and speaks the same way again. The training begins
/// with this; the synthesisers are not installed for the test suite.
///
/// # Errors
/// Naming the voice and what is wrong with it.
pub fn check_synthesisers() -> Result<()> {
    let mut rng = StdRng::seed_from_u64(2);
    for voice in (0..6).map(|_| Voice::of_training(&mut rng)).chain([Voice::held_out()]) {
        let spoken = voice.render(CHECKED)?;
        ensure!(
            (8_000..80_000).contains(&spoken.len()),
            "{voice:?}: `{CHECKED}` has {} samples, expected half a second to five",
            spoken.len()
        );
        ensure!(spoken.iter().any(|sample| sample.abs() > 1000), "{voice:?} is silent");
        ensure!(spoken == voice.render(CHECKED)?, "{voice:?} does not say `{CHECKED}` the same way twice");
    }
    Ok(())
}

/// What synthesisers are checked with.
const CHECKED: &str = "turn on the kitchen light";

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    #[test]
    fn training_never_draws_the_held_out_voice_and_hears_many_others() {
        let mut rng = StdRng::seed_from_u64(1);
        let speakers: BTreeSet<String> = (0..5000).map(|_| Voice::of_training(&mut rng).speaker()).collect();
        assert!(!speakers.contains(&Voice::held_out().speaker()));
        assert!(speakers.len() > 400, "{} speakers", speakers.len());
        assert!(speakers.contains("flite slt") && speakers.contains("flite awb"));
    }
}
