//! Spoken training sentences and their surroundings, as batches.

use anyhow::{Context, Result};
use caracal_edge::audio::{FrontEnd, Waveform};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::sentences;
use super::units::Units;
use crate::stage::Folders;
use crate::voices::library::{Library, SHARD};
use crate::voices::listening::Listening;
use crate::voices::piper;
use crate::voices::synthesiser_process::read_wav;
use crate::voices::voice::Voice;

/// Shards of 500 rendered sentences.
pub const SHARDS: usize = 46;
/// Shards that Caracal's own voice speaks.
const OWN_VOICE_SHARDS: u64 = 12;
/// Shards of words to be repeated: no neighbour tells which word it was, so each must be heard by itself.
const REPEATED_SHARDS: u64 = 12;
/// What the sentences and their voices are drawn from.
const SEED: u64 = 11;
/// Longest utterance of a batch, in rows of 80 ms: longer ones are drawn again.
const ROWS_MAX: usize = 130;
/// Share of utterances of which a band of frequencies is hidden, so that no word hangs on one band of one voice.
const HIDDEN_SHARE: f64 = 0.5;
/// Words of the first sentences, and after how many steps they may have one more.
const FIRST_WORDS: usize = 3;
const STEPS_PER_WORD: usize = 150;
/// Steps without anything in the way, and as many in which it grows.
const QUIET_STEPS: usize = 1000;
/// Most mel bands that are hidden.
const HIDDEN_BANDS_MAX: usize = 14;

/// What the encoder learns from.
pub struct Corpus {
    /// The words.
    pub units: Units,
    /// The voices.
    pub listening: Listening,
}

/// How hard a batch is. Which rows say which word is found out on a few words in a quiet room within hundreds of steps,
/// and on long noisy sentences hardly at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lesson {
    /// Longest sentence, in words.
    pub words_max: usize,
    /// How often something is in the way, from 0 to 1.
    pub trouble: f32,
}

impl Lesson {
    /// The lesson of one step: a word more every so many steps, and then more and more trouble.
    pub fn at(step: usize) -> Self {
        let words_max = FIRST_WORDS + step / STEPS_PER_WORD;
        let trouble = (step.saturating_sub(QUIET_STEPS) as f32 / QUIET_STEPS as f32).min(1.0);
        Self { words_max, trouble }
    }
}

/// Utterances one after another.
pub struct Batch {
    /// Spliced features, flat `[sum of lengths, width]`.
    pub features: Vec<f32>,
    /// Rows of each utterance.
    pub lengths: Vec<usize>,
    /// Words of each utterance.
    pub labels: Vec<Vec<u32>>,
}

impl Corpus {
    /// Opens `shards` shards of rendered sentences and those in Caracal's own voice, rendering those that are missing.
    ///
    /// # Errors
    /// When a synthesiser fails, or a file cannot be written or read.
    pub fn open(folders: &Folders, shards: usize) -> Result<Self> {
        let units = sentences::vocabulary();
        let plan = |rng: &mut StdRng| (sentences::of_training(rng, &units), Voice::of_training(rng));
        let shown = |done: usize| eprintln!("speech {done}/{shards}");
        let speech = folders.work.join("speech");
        let mut library = Library::open(&speech, "training", shards, SEED, plan, shown)?;
        for shard in 0..OWN_VOICE_SHARDS {
            library.extend(&speech, &format!("own-voice-{shard:04}"), || own_voice(folders, &units, shard))?;
        }
        for shard in 0..REPEATED_SHARDS {
            library.extend(&speech, &format!("repeated-{shard:04}"), || repeated(shard))?;
        }
        Ok(Self { units, listening: Listening::new(library)? })
    }

    /// Some utterances as they are heard: for statistics.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn heard(&self, count: usize, seed: u64) -> Result<Vec<Waveform>> {
        let draw = |index: u64| {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_add(index));
            let entry = rng.random_range(0..self.listening.library().entries().len());
            Ok(Waveform::new(self.listening.heard(entry, 1.0, &mut rng)?)?)
        };
        (0..count as u64).into_par_iter().map(draw).collect()
    }

    /// Draws `utterances` utterances.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn batch(&self, front_end: &FrontEnd, utterances: usize, lesson: Lesson, rng: &mut StdRng) -> Result<Batch> {
        let seeds: Vec<u64> = (0..utterances).map(|_| rng.random()).collect();
        let drawn: Vec<(Vec<f32>, Vec<u32>)> =
            seeds.into_par_iter().map(|seed| self.utterance(front_end, lesson, &mut StdRng::seed_from_u64(seed))).collect::<Result<_>>()?;
        let width = front_end.output_width();
        Ok(Batch {
            lengths: drawn.iter().map(|(features, _)| features.len() / width).collect(),
            features: drawn.iter().flat_map(|(features, _)| features.iter().copied()).collect(),
            labels: drawn.into_iter().map(|(_, labels)| labels).collect(),
        })
    }

    fn utterance(&self, front_end: &FrontEnd, lesson: Lesson, rng: &mut StdRng) -> Result<(Vec<f32>, Vec<u32>)> {
        let entries = self.listening.library().entries();
        loop {
            let index = rng.random_range(0..entries.len());
            if entries[index].text.split(' ').count() > lesson.words_max {
                continue;
            }
            let heard = Waveform::new(self.listening.heard(index, lesson.trouble, rng)?)?;
            if (1..=ROWS_MAX as u64).contains(&front_end.count(heard.samples().len() as u64)) {
                let mut features = front_end.offline(&heard);
                if rng.random_bool(HIDDEN_SHARE * f64::from(lesson.trouble)) {
                    hide_band(&mut features, front_end.fbank().bins(), rng);
                }
                return Ok((features, self.units.encode(&entries[index].text)?));
            }
        }
    }
}

/// A shard of training sentences in Caracal's own voice.
fn own_voice(folders: &Folders, units: &Units, shard: u64) -> Result<Vec<(String, String, Vec<i16>)>> {
    let mut rng = StdRng::seed_from_u64(SEED ^ ((shard + 1) << 32));
    let texts: Vec<String> = (0..SHARD).map(|_| sentences::of_training(&mut rng, units)).collect();
    piper::speak(folders, &texts)?.into_iter().map(|spoken| Ok((spoken.text, "piper joe".into(), read_wav(&spoken.wav)?))).collect()
}

/// A shard of words to be repeated, in the voices of training.
fn repeated(shard: u64) -> Result<Vec<(String, String, Vec<i16>)>> {
    let first = shard * SHARD as u64;
    let spoken = |index: u64| {
        let mut rng = StdRng::seed_from_u64(SEED ^ ((index + 1) << 20));
        let (text, voice) = (sentences::to_repeat(&mut rng), Voice::of_training(&mut rng));
        let samples = voice.render(&text).with_context(|| format!("`{text}`"))?;
        Ok((text, voice.speaker(), samples))
    };
    (first..first + SHARD as u64).into_par_iter().map(spoken).collect()
}

/// Puts neighbouring bands of normalised features at their mean.
fn hide_band(features: &mut [f32], bands: usize, rng: &mut StdRng) {
    let count = rng.random_range(1..=HIDDEN_BANDS_MAX.min(bands));
    let first = rng.random_range(0..=bands - count);
    features.chunks_exact_mut(bands).for_each(|row| row[first..first + count].fill(0.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lessons_become_harder() {
        let (first, last) = (Lesson::at(0), Lesson::at(6000));
        assert_eq!((first.words_max, first.trouble), (FIRST_WORDS, 0.0));
        assert!(last.words_max > 20 && last.trouble == 1.0);
        assert!(Lesson::at(1500).trouble > 0.4);
    }

    #[test]
    fn the_same_band_is_hidden_in_every_row() {
        let mut features = vec![1.0; 20 * 30];
        hide_band(&mut features, 20, &mut StdRng::seed_from_u64(1));
        let hidden: Vec<bool> = features[..20].iter().map(|v| *v == 0.0).collect();
        let count = hidden.iter().filter(|h| **h).count();
        assert!((1..=HIDDEN_BANDS_MAX).contains(&count));
        assert!(features.chunks(20).all(|row| row.iter().zip(&hidden).all(|(v, h)| (*v == 0.0) == *h)));
    }
}
