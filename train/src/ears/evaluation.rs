//! Word error rates of the CTC head, through the streaming path, on sentences that training never sees.

use std::fmt;

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;

use super::features::Ears;
use super::units::Units;
use super::{layout, sentences};
use crate::ctc::edits;
use crate::domain::Split;
use crate::stage::Folders;
use crate::voices::library::Library;
use crate::voices::listening::{Condition, Listening, voice};

/// The words of the CTC head, one a line: no part of the released layout, since inference does not use the head.
pub const UNITS_FILE: &str = "ctc_units.txt";
/// What the evaluation is drawn from.
const SEED: u64 = 41;
/// Utterances of each condition that are looked at while training runs.
const GLANCE: usize = 24;

/// The conditions that are measured, with the names of their rendered sentences.
const CONDITIONS: [(Condition, &str, &str); 3] = [
    (Condition::Quiet, "evaluation-known", "voices of training"),
    (Condition::Stranger, "evaluation-stranger", "held-out voice"),
    (Condition::Noisy, "evaluation-noisy", "10 dB babble or street"),
];

/// Errors over some utterances.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    utterances: usize,
    right: usize,
    words: usize,
    errors: usize,
}

impl Score {
    /// Substitutions, insertions and deletions a word.
    pub fn word_error_rate(&self) -> f64 {
        self.errors as f64 / self.words.max(1) as f64
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let right = self.right as f64 / self.utterances.max(1) as f64;
        write!(f, "word error rate {:.2} %, {:.1} % of {} sentences right", 100.0 * self.word_error_rate(), 100.0 * right, self.utterances)
    }
}

/// Prints the score under every condition.
///
/// # Errors
/// When the checkpoint or the rendered sentences cannot be read, or a synthesiser fails.
pub fn print(folders: &Folders, listening: &Listening) -> Result<()> {
    for (condition, name, label) in CONDITIONS {
        let (score, wrong) = measure(folders, listening, condition, name, usize::MAX)?;
        println!("{label}: {score}");
        for (want, got) in wrong.iter().take(12) {
            println!("    {want}\n  ≠ {got}");
        }
    }
    Ok(())
}

/// A quick look at every condition while training runs.
///
/// # Errors
/// As [`print`].
pub fn glance(folders: &Folders, listening: &Listening) -> Result<String> {
    let scores: Vec<String> = CONDITIONS
        .iter()
        .map(|(condition, name, label)| {
            let (score, _) = measure(folders, listening, *condition, name, GLANCE)?;
            Ok(format!("{label} {:.1} %", 100.0 * score.word_error_rate()))
        })
        .collect::<Result<_>>()?;
    Ok(format!("word error rates: {}", scores.join(", ")))
}

/// Scores the checkpoint under `condition`, with what was said and what was understood where they differ.
fn measure(
    folders: &Folders,
    listening: &Listening,
    condition: Condition,
    name: &str,
    most: usize,
) -> Result<(Score, Vec<(String, String)>)> {
    let ears = Ears::open(folders)?;
    let units = Units::read(&layout::folder(folders).join(UNITS_FILE))?;
    let plan = |rng: &mut StdRng| (sentences::said(rng, Split::HeldOut), voice(condition, rng));
    let library = Library::open(&folders.work.join("speech"), name, 1, SEED, plan, |_| ())?;
    let understood: Vec<(String, String)> = (0..library.entries().len().min(most))
        .into_par_iter()
        .map(|index| {
            let heard = listening.under(&library.samples(index)?, condition, &mut StdRng::seed_from_u64(SEED + index as u64));
            let scores = ears.scores(ears.hear_live(&heard)?);
            Ok((library.entries()[index].text.clone(), units.decode(&scores).join(" ")))
        })
        .collect::<Result<_>>()?;
    let mut score = Score::default();
    for (want, got) in &understood {
        let words: Vec<&str> = want.split(' ').collect();
        score.utterances += 1;
        score.right += usize::from(want == got);
        score.words += words.len();
        score.errors += edits(&words, &got.split_whitespace().collect::<Vec<_>>());
    }
    Ok((score, understood.into_iter().filter(|(want, got)| want != got).collect()))
}
