//! What the voice says for the codec's training: replies of kitten's own conversations, some of them held out.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::shape::SEED;
use crate::domain::{Conversation, Split};

/// Replies that are drawn: 90 minutes of speech.
const DRAWN: usize = 3000;
/// Conversations after which the drawing ends, should the domain have fewer replies.
const DRAWS_MAX: usize = 60_000;
/// One sentence in this many is held out.
const HELD_OUT_EVERY: usize = 20;

/// Sentences of the training and others.
pub struct Sentences {
    /// Learnt from.
    pub training: Vec<String>,
    /// Never learnt from.
    pub held_out: Vec<String>,
}

/// The lines of a file, or drawn replies; all different.
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
        None => drawn(DRAWN),
    };
    let (held_out, training): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1);
    let texts = |sentences: Vec<(usize, String)>| sentences.into_iter().map(|(_, text)| text).collect();
    Ok(Sentences { training: texts(training), held_out: texts(held_out) })
}

/// Different replies of training conversations, in the order in which they came up.
fn drawn(count: usize) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let (mut seen, mut replies) = (BTreeSet::new(), Vec::new());
    for _ in 0..DRAWS_MAX {
        if replies.len() >= count {
            break;
        }
        for exchange in Conversation::draw(&mut rng, 2, Split::Training).exchanges {
            if seen.insert(exchange.reply.clone()) {
                replies.push(exchange.reply);
            }
        }
    }
    replies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sentence_is_in_both() {
        let sentences = choose(None).unwrap();
        assert!(sentences.held_out.len() >= 60, "{}", sentences.held_out.len());
        assert!(sentences.held_out.iter().all(|s| !sentences.training.contains(s)));
    }
}
