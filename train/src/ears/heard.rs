//! Sentences as the frozen encoder hears them, kept in memory: what the language model's spoken stages learn from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::corpus::{Corpus, SHARDS};
use super::features::Ears;
use crate::stage::Folders;
use crate::voices::listening::{Condition, Listening};

/// Ways of speaking a sentence that are kept; a sentence that is asked for more often is heard in one of these again.
const WAYS: usize = 6;
/// Values that are kept in all: 2 GiB of them.
const VALUES_MAX: usize = 1 << 29;

/// Speaks sentences to the ears.
pub struct Heard {
    ears: Ears,
    listening: Listening,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    rows: HashMap<(String, usize), Arc<[f32]>>,
    values: usize,
}

impl Heard {
    /// Opens the trained encoder and the voices.
    ///
    /// # Errors
    /// When the encoder is not trained yet, or the rendered sentences cannot be read or made.
    pub fn open(folders: &Folders) -> Result<Self> {
        Ok(Self { ears: Ears::open(folders)?, listening: Corpus::open(folders, SHARDS)?.listening, kept: Mutex::default() })
    }

    /// The encoder.
    pub fn ears(&self) -> &Ears {
        &self.ears
    }

    /// A sentence of training, spoken by any voice anywhere.
    ///
    /// # Shapes
    /// flat `[n, width]`
    ///
    /// # Errors
    /// When a synthesiser fails.
    pub fn of_training(&self, sentence: &str, rng: &mut StdRng) -> Result<Arc<[f32]>> {
        let key = (sentence.to_string(), rng.random_range(0..WAYS));
        if let Some(rows) = self.kept.lock().expect("nobody panics with the lock").rows.get(&key) {
            return Ok(rows.clone());
        }
        let rows: Arc<[f32]> = self.fresh(sentence, Condition::Training, rng)?.into();
        let mut kept = self.kept.lock().expect("nobody panics with the lock");
        if kept.values + rows.len() <= VALUES_MAX {
            kept.values += rows.len();
            kept.rows.insert(key, rows.clone());
        }
        Ok(rows)
    }

    /// Any rendered sentences of training, each heard somewhere.
    ///
    /// # Shapes
    /// each flat `[n, width]`
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn any_of_training(&self, count: usize, rng: &mut StdRng) -> Result<Vec<Vec<f32>>> {
        let seeds: Vec<u64> = (0..count).map(|_| rng.random()).collect();
        let hear = |seed: u64| {
            let mut rng = StdRng::seed_from_u64(seed);
            let entry = rng.random_range(0..self.listening.library().entries().len());
            self.ears.hear(self.listening.heard(entry, 1.0, &mut rng)?)
        };
        seeds.into_par_iter().map(hear).collect()
    }

    /// Any sentence under any condition, heard anew.
    ///
    /// # Shapes
    /// flat `[n, width]`
    ///
    /// # Errors
    /// When a synthesiser fails.
    pub fn fresh(&self, sentence: &str, condition: Condition, rng: &mut StdRng) -> Result<Vec<f32>> {
        self.ears.hear(self.listening.spoken(sentence, condition, rng)?)
    }

    /// The samples of any sentence under any condition: for whole-path evaluations.
    ///
    /// # Errors
    /// When a synthesiser fails.
    pub fn samples(&self, sentence: &str, condition: Condition, rng: &mut StdRng) -> Result<Vec<f32>> {
        self.listening.spoken(sentence, condition, rng)
    }
}
