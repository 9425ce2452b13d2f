//! How the words sound that kitten knows: a second lesson for the encoder.
//!
//! A word heard whole is learnt in the voices that say it; its sounds are shared by all words and nearly by all voices.
//! The encoder gives 12.5 rows a second and people say about as many sounds, so a classifier that only training has gives
//! several rows of logits for each of its rows. The language model then reads rows that carry words and sounds.

use anyhow::Result;
use rayon::prelude::*;

use super::units::Units;
use crate::phones::Phones;
use crate::voices::espeak;

/// The sounds of every word.
pub struct Sounds {
    phones: Phones,
    /// By the word's label, from 1.
    words: Vec<Vec<u32>>,
}

impl Sounds {
    /// Of all words of `units`, as espeak-ng says them.
    ///
    /// # Errors
    /// When espeak-ng is not there or fails.
    pub fn of(units: &Units) -> Result<Self> {
        Ok(Self::from_transcriptions(&units.words().par_iter().map(|word| espeak::pronounce(word)).collect::<Result<Vec<_>>>()?))
    }

    fn from_transcriptions(transcriptions: &[String]) -> Self {
        let phones = Phones::of(transcriptions.iter().map(String::as_str));
        Self { words: transcriptions.iter().map(|word| phones.labels(word)).collect(), phones }
    }

    /// Outputs of a classifier: the sounds and the blank.
    pub fn classes(&self) -> usize {
        self.phones.classes()
    }

    /// The sounds of some words, given by their labels.
    pub fn labels(&self, words: &[u32]) -> Vec<u32> {
        words.iter().flat_map(|word| &self.words[*word as usize - 1]).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_sound_one_after_another() {
        let sounds = Sounds::from_transcriptions(&["tˈuː".into(), "ðə".into()]);
        assert_eq!(sounds.classes(), 5);
        let [the, two] = [sounds.labels(&[2]), sounds.labels(&[1])];
        assert_eq!((the.len(), two.len()), (2, 2));
        assert_eq!(sounds.labels(&[2, 1]), [the, two].concat());
    }
}
