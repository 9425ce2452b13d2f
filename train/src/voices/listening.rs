//! Any sentence, spoken by somebody and heard somewhere: what training draws, and the conditions of the evaluation.

use std::collections::HashMap;

use anyhow::Result;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::augment::{Surroundings, from_pcm, in_a_quiet_room};
use super::library::Library;
use super::noise::Noise;
use super::voice::Voice;

/// Seconds of each noise, and utterances that its babble is mixed from. In training so many that they are not learnt by heart.
const TRAINING_NOISE: (usize, usize) = (300, 600);
const EVALUATION_NOISE: (usize, usize) = (40, 60);
/// Sentences of the library, from its first on, that babble is mixed from. A library that grows leaves the evaluation as it is.
const BABBLE_SENTENCES: usize = 29_000;
/// Ratio of speech to noise in the evaluation, in dB.
pub const EVALUATION_SNR_DB: f32 = 10.0;
/// What the babble and the street of the evaluation are drawn from: not the training's.
const EVALUATION_SEED: u64 = 0xE7A1;
const TRAINING_SEED: u64 = 0x5EED;

/// Who speaks, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A training voice, changed at random: what is learnt from.
    Training,
    /// A training voice in a quiet room.
    Quiet,
    /// The voice that training never hears, in a quiet room.
    Stranger,
    /// A training voice beside babble or a street at 10 dB.
    Noisy,
}

/// Speaks sentences.
pub struct Listening {
    library: Library,
    by_text: HashMap<String, Vec<usize>>,
    training: Surroundings,
    evaluation: Surroundings,
}

impl Listening {
    /// Sentences that `library` holds are taken from there, others are rendered when they are asked for.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn new(library: Library) -> Result<Self> {
        let mut by_text: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, entry) in library.entries().iter().enumerate() {
            by_text.entry(entry.text.clone()).or_default().push(index);
        }
        let surroundings = |seed: u64, (seconds, utterances): (usize, usize)| {
            let mut rng = StdRng::seed_from_u64(seed);
            let count = library.entries().len().min(BABBLE_SENTENCES);
            let speech: Vec<Vec<f32>> =
                (0..utterances).map(|_| Ok(from_pcm(&library.samples(rng.random_range(0..count))?))).collect::<Result<_>>()?;
            Ok::<_, anyhow::Error>(Surroundings::new(&speech, seconds, &mut rng))
        };
        let (training, evaluation) = (surroundings(TRAINING_SEED, TRAINING_NOISE)?, surroundings(EVALUATION_SEED, EVALUATION_NOISE)?);
        Ok(Self { library, by_text, training, evaluation })
    }

    /// The rendered sentences.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Sentence `index` of the library as training hears it; `trouble` as in [`Surroundings::hear`].
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn heard(&self, index: usize, trouble: f32, rng: &mut StdRng) -> Result<Vec<f32>> {
        Ok(self.training.hear(&self.library.samples(index)?, trouble, rng))
    }

    /// Any sentence, spoken and heard under `condition`.
    ///
    /// # Shapes
    /// → samples at 16 kHz in -1 to 1
    ///
    /// # Errors
    /// When the library cannot be read, or a synthesiser fails.
    pub fn spoken(&self, sentence: &str, condition: Condition, rng: &mut StdRng) -> Result<Vec<f32>> {
        let known = self.by_text.get(sentence).filter(|_| condition == Condition::Training);
        let samples = match known {
            Some(indices) => self.library.samples(indices[rng.random_range(0..indices.len())])?,
            None => voice(condition, rng).render(sentence)?,
        };
        Ok(self.under(&samples, condition, rng))
    }

    /// Samples of a sentence as they are heard under `condition`, whoever spoke them.
    pub fn under(&self, samples: &[i16], condition: Condition, rng: &mut StdRng) -> Vec<f32> {
        match condition {
            Condition::Training => self.training.hear(samples, 1.0, rng),
            Condition::Quiet | Condition::Stranger => in_a_quiet_room(samples),
            Condition::Noisy => {
                let kind = if rng.random() { Noise::Babble } else { Noise::Street };
                self.evaluation.hear_beside(samples, kind, EVALUATION_SNR_DB, rng)
            }
        }
    }
}

/// Who speaks under `condition`.
pub fn voice(condition: Condition, rng: &mut StdRng) -> Voice {
    match condition {
        Condition::Stranger => Voice::held_out(),
        _ => Voice::of_training(rng),
    }
}
