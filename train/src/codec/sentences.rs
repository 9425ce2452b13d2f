//! What the voice says for the codec's training: the answers that kitten learns to speak, some of them held out, and the
//! phrases that they are spoken in.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use crate::brain::phrases::{phrases, read};
use crate::brain::replies::drawn;

/// Answers.
const ALL: usize = 7000;
/// One sentence in this many is held out.
const HELD_OUT_EVERY: usize = 20;

/// Sentences of the training and others.
pub struct Sentences {
    /// Learnt from.
    pub training: Vec<String>,
    /// How many of them, the last ones, are phrases.
    pub phrases: usize,
    /// Never learnt from.
    pub held_out: Vec<String>,
}

/// The lines of a file, or kitten's answers and, to learn from, their phrases; all different.
///
/// # Errors
/// When the file cannot be read.
pub fn choose(file: Option<&Path>) -> Result<Sentences> {
    let all: Vec<String> = match file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("{}: cannot be read", file.display()))?
            .lines()
            .map(str::to_owned)
            .collect(),
        None => drawn(ALL).into_iter().map(|pair| pair.answer).collect(),
    };
    let (held_out, training): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1);
    let texts = |sentences: Vec<(usize, String)>| sentences.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    let (held_out, mut training) = (texts(held_out), texts(training));
    let mut phrased: BTreeSet<String> = match file {
        Some(_) => BTreeSet::new(),
        None => training.iter().chain(&held_out).flat_map(|answer| phrases(answer)).map(|phrase| read(&phrase)).collect(),
    };
    held_out.iter().for_each(|answer| _ = phrased.remove(answer));
    // An answer of one phrase is a phrase.
    training.retain(|answer| !phrased.contains(answer));
    let phrases = phrased.len();
    training.extend(phrased);
    Ok(Sentences { training, phrases, held_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sentence_is_in_both() {
        let sentences = choose(None).unwrap();
        assert!(sentences.held_out.len() >= 60, "{}", sentences.held_out.len());
        assert!(sentences.held_out.iter().all(|s| !sentences.training.contains(s)));
        let alone = &sentences.training[sentences.training.len() - sentences.phrases..];
        assert!(alone.len() > 1_000, "{} phrases", alone.len());
        for phrase in ["the kitchen light,", "I am Kitten, a small voice companion."] {
            assert!(alone.iter().any(|text| text == phrase), "`{phrase}` is a phrase");
        }
    }
}
