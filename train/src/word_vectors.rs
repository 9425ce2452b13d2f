//! The language model's own vectors of words: what ears and eyes learn to say.
//!
//! A language model that can read "red circle" can read a row that lies where the vectors of these two words add up, and
//! hears "kitchen" where a row is the word's vector. Projectors that aim there leave the language model little to learn.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::{DType, Device};
use caracal_cluster::tokenizer::Tokenizer;
use caracal_kernels::layers::Embedding;
use caracal_kernels::{Checkpoint, Weights};
use caracal_shared::tokenize::Tokenize;

use crate::brain::shape::WIDTH;

/// The first of some masks that no text ever holds: their vectors name what has no word of its own.
const FREE: usize = 100;
/// How many there are before the masks that markers stand for.
const FREE_COUNT: usize = 34;
/// How much longer a free vector is made: training never lengthened it, as it did those of the words, and what is a third as
/// long as a word the language model overlooks.
const FREE_GAIN: f32 = 10.0;

/// The table of a checkpoint, by words.
pub struct WordVectors {
    tokenizer: Tokenizer,
    table: Vec<f32>,
    mean_square: f32,
}

impl WordVectors {
    /// Reads the tokenizer and the table of the model in `folder`.
    ///
    /// # Errors
    /// When they are not there yet or damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let tokenizer = Tokenizer::load(folder).context("words have no vectors yet: run `caracal-train brain --stage text` first")?;
        let file = Checkpoint::open_part(folder, "language_model_embedding")
            .context("words have no vectors yet: run `caracal-train brain --stage text` first")?;
        let weights = Weights::from_checkpoint(&file, &Device::flex(), DType::F32);
        let table = Embedding::load(&weights.at("word_embeddings"), tokenizer.vocabulary(), WIDTH)?;
        let table: Vec<f32> = table.weight.val().into_data_dtype(DType::F32).try_into_vec()?;
        let mut vectors = Self { tokenizer, table, mean_square: 0.0 };
        let known: Vec<Vec<f32>> = crate::domain::repeat::WORDS.iter().map(|word| vectors.of(word)).collect();
        vectors.mean_square = known.iter().flatten().map(|v| v * v).sum::<f32>() / known.len() as f32;
        Ok(vectors)
    }

    /// Square of the length of a usual word's vector.
    pub fn mean_square(&self) -> f32 {
        self.mean_square
    }

    /// The vector of a word as it stands within a sentence; the mean over its ids where it is no single one.
    ///
    /// # Shapes
    /// `[WIDTH]`
    pub fn of(&self, word: &str) -> Vec<f32> {
        let ids = |text: &str| self.tokenizer.encode(text).unwrap_or_default();
        let (within, first) = (ids(&format!(" {word}")), ids(word));
        let ids = if within.len() > 1 && first.len() == 1 { first } else { within };
        let mut vector = vec![0.0; WIDTH];
        for id in &ids {
            add(&mut vector, self.row(*id as usize), 1.0 / ids.len() as f32);
        }
        vector
    }

    /// The sum over some words.
    pub fn sum_of(&self, words: &[&str]) -> Vec<f32> {
        let mut vector = vec![0.0; WIDTH];
        words.iter().for_each(|word| add(&mut vector, &self.of(word), 1.0));
        vector
    }

    /// The vector of something without a word; there are 34.
    ///
    /// # Panics
    /// From 34 on.
    pub fn free(&self, index: usize) -> Vec<f32> {
        assert!(index < FREE_COUNT, "there are {FREE_COUNT} free vectors");
        self.row(FREE + index).iter().map(|v| FREE_GAIN * v).collect()
    }

    fn row(&self, id: usize) -> &[f32] {
        &self.table[id * WIDTH..][..WIDTH]
    }
}

/// Adds `share` of a vector.
pub fn add(sum: &mut [f32], vector: &[f32], share: f32) {
    sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += share * value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::model::BrainFiles;
    use crate::brain::{shape, tokenizer_file};

    #[test]
    fn a_word_is_the_row_of_its_id_and_free_vectors_are_no_word_at_all() {
        let folder = std::env::temp_dir().join(format!("caracal-words-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let error = WordVectors::open(&folder).err().unwrap();
        assert!(format!("{error:#}").contains("brain --stage text"), "{error:#}");
        tokenizer_file::write(&folder, 1).unwrap();
        shape::write(&folder).unwrap();
        let (files, brain) = BrainFiles::open(&folder, 8, &Device::flex()).unwrap();
        files.save(&brain, &folder).unwrap();
        let vectors = WordVectors::open(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let tokenizer = &vectors.tokenizer;
        let red = tokenizer.encode(" red").unwrap();
        assert_eq!(red.len(), 1);
        assert_eq!(vectors.of("red"), vectors.row(red[0] as usize));
        let both = vectors.sum_of(&["red", "circle"]);
        let (a, b) = (vectors.of("red"), vectors.of("circle"));
        assert!(both.iter().zip(a.iter().zip(&b)).all(|(sum, (a, b))| (sum - (a + b)).abs() < 1e-6));
        // No text becomes a free id.
        let text = tokenizer.encode("what do you see at the top left, a red circle?").unwrap();
        assert!(text.iter().all(|id| !(FREE..FREE + FREE_COUNT).contains(&(*id as usize))), "{text:?}");
        assert_ne!(vectors.free(0), vectors.free(1));
        assert!(vectors.mean_square() > 0.0);
    }
}
