//! The units that the CTC head tells apart: the words that kitten knows, whole.
//!
//! The encoder gives 12.5 rows a second, about three for a spoken word, so units as small as sounds would not fit. The
//! words are few, and a word heard whole in any order of words is what the language model needs to know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::ctc::greedy;

/// All words and their labels, from 1; 0 is the blank.
#[derive(Clone, Debug, PartialEq)]
pub struct Units {
    words: Vec<String>,
    labels: BTreeMap<String, u32>,
}

impl Units {
    /// The words of `sentences`, in alphabetical order.
    pub fn of<'a>(sentences: impl Iterator<Item = &'a str>) -> Self {
        Self::from_words(words_of(sentences).into_iter().collect())
    }

    /// With the words that only `sentences` have behind those that are there, whose labels stay.
    #[must_use]
    pub fn and<'a>(self, sentences: impl Iterator<Item = &'a str>) -> Self {
        let further = words_of(sentences).into_iter().filter(|word| !self.labels.contains_key(word));
        Self::from_words(self.words.iter().cloned().chain(further).collect())
    }

    fn from_words(words: Vec<String>) -> Self {
        let labels = words.iter().zip(1..).map(|(word, label)| (word.clone(), label)).collect();
        Self { words, labels }
    }

    /// Reads a list of words, one a line.
    ///
    /// # Errors
    /// When the file cannot be read, or names a word twice.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read; train the ears first", file.display()))?;
        let units = Self::from_words(text.lines().map(str::to_string).collect());
        ensure!(units.labels.len() == units.words.len(), "{}: names a word twice", file.display());
        Ok(units)
    }

    /// Writes what [`Units::read`] reads.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let lines: String = self.words.iter().map(|word| format!("{word}\n")).collect();
        std::fs::write(file, lines).with_context(|| format!("{}: cannot be written", file.display()))
    }

    /// Number of units, the blank included.
    pub fn count(&self) -> usize {
        self.words.len() + 1
    }

    /// The words, without the blank.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Labels of the words of a sentence.
    ///
    /// # Errors
    /// Naming the word that is unknown.
    pub fn encode(&self, sentence: &str) -> Result<Vec<u32>> {
        let label = |word: &str| self.labels.get(word).copied().with_context(|| format!("`{word}` is not among the words of the ears"));
        sentence.split_whitespace().map(label).collect()
    }

    /// The words that the best unit of each row says: repetitions count once, blanks not at all.
    ///
    /// # Shapes
    /// scores: flat `[rows, count]`
    pub fn decode(&self, scores: &[f32]) -> Vec<&str> {
        greedy(scores, self.count()).into_iter().map(|label| self.words[label as usize - 1].as_str()).collect()
    }
}

fn words_of<'a>(sentences: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    sentences.flat_map(str::split_whitespace).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_way_there_and_back() {
        let units = Units::of(["turn on the light", "the light"].into_iter());
        assert_eq!(units.count(), 5);
        let encoded = units.encode("the light turn").unwrap();
        assert_eq!(encoded, [3, 1, 4]);
        assert!(units.encode("the dark").is_err());
        let more = units.clone().and(["the dark"].into_iter());
        assert_eq!((more.encode("the light turn dark").unwrap(), more.count()), (vec![3, 1, 4, 5], 6));
        // the the _ the light light
        let scores: Vec<f32> = [3, 3, 0, 3, 1, 1].iter().flat_map(|unit| (0..5).map(move |i| if i == *unit { 1.0 } else { 0.0 })).collect();
        assert_eq!(units.decode(&scores), ["the", "the", "light"]);
    }
}
