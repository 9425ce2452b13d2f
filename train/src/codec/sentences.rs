//! What the voice says for the codec's training: the answers that kitten learns to speak, some of them held out, and the
//! phrases that they are spoken in.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::shape::SEED;
use crate::brain::phrases::{phrases, read};
use crate::brain::replies::{drawn, told};

/// Answers.
const ALL: usize = 7000;
/// Of a file, one line in this many is held out.
const HELD_OUT_EVERY: usize = 20;
/// Answers that the codec never learns from. They are listed because a rule moves: when it went by the order of the draws,
/// other words in one answer had the evaluation measure a decoder on sentences that it had learnt. Some are in words that
/// kitten no longer uses; as sentences to be understood they are as good.
const HELD_OUT: &str = include_str!("held_out.txt");

/// Sentences of the training and others.
pub struct Sentences {
    /// Learnt from.
    pub training: Vec<String>,
    /// Which of them, the last ones, are phrases: each once, and as many draws again as conversations say them. A rare name
    /// counts, and so does what is said every day.
    pub phrases: Vec<usize>,
    /// Never learnt from.
    pub held_out: Vec<String>,
}

/// The lines of a file, or kitten's answers and, to learn from, their phrases; all different.
///
/// # Errors
/// When the file cannot be read.
pub fn choose(file: Option<&Path>) -> Result<Sentences> {
    let (held_out, mut training): (Vec<String>, Vec<String>) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?;
            let (held_out, training): (Vec<_>, Vec<_>) =
                text.lines().enumerate().partition(|(i, _)| i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1);
            let lines = |lines: Vec<(usize, &str)>| lines.into_iter().map(|(_, line)| line.to_owned()).collect();
            (lines(held_out), lines(training))
        }
        None => {
            let held_out: Vec<String> = HELD_OUT.lines().map(str::to_owned).collect();
            let different: BTreeSet<&String> = held_out.iter().collect();
            let training = drawn(ALL).into_iter().map(|pair| pair.answer).filter(|answer| !different.contains(answer)).collect();
            (held_out, training)
        }
    };
    let mut phrased: BTreeSet<String> = match file {
        Some(_) => BTreeSet::new(),
        None => training.iter().chain(&held_out).flat_map(|answer| phrases_of(answer)).collect(),
    };
    held_out.iter().for_each(|answer| _ = phrased.remove(answer));
    // An answer of one phrase is a phrase.
    training.retain(|answer| !phrased.contains(answer));
    let (first, count) = (training.len(), phrased.len());
    training.extend(phrased);
    let place: HashMap<&str, usize> = (first..training.len()).map(|index| (training[index].as_str(), index)).collect();
    let mut rng = StdRng::seed_from_u64(SEED + 4);
    let said = std::iter::repeat_with(|| told(&mut rng)).flatten().flat_map(|pair| phrases_of(&pair.answer));
    let said = said.filter_map(|phrase| place.get(phrase.as_str()).copied());
    let phrases = (first..training.len()).chain(said.take(count)).collect();
    Ok(Sentences { training, phrases, held_out })
}

/// The phrases of an answer as the voice reads them.
fn phrases_of(answer: &str) -> Vec<String> {
    phrases(answer).iter().map(|phrase| read(phrase)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sentence_is_in_both() {
        let sentences = choose(None).unwrap();
        assert!(sentences.held_out.len() >= 60, "{}", sentences.held_out.len());
        assert!(sentences.held_out.iter().all(|s| !sentences.training.contains(s)));
        let different: BTreeSet<usize> = sentences.phrases.iter().copied().collect();
        assert!(different.len() > 1_000 && sentences.phrases.len() == 2 * different.len(), "{} phrases", different.len());
        let often = |phrase: &str| sentences.phrases.iter().filter(|index| sentences.training[**index] == phrase).count();
        assert!(often("the kitchen light,") >= 1);
        assert!(often("I am Kitten, a small voice companion.") >= 5, "it is said in conversations again and again");
    }
}
