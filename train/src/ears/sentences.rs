//! What is said in training, and what only in the evaluation.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::units::Units;
use crate::domain::conversation::words;
use crate::domain::{Conversation, Mind, Split, repeat};
use crate::eyes::questions::{clip_case, picture_case};
use crate::eyes::scene;

/// Longest conversation that a sentence is taken from: later questions rest on what was told.
const EXCHANGES_MAX: usize = 3;
/// Share of sentences that ask about a picture or a clip.
const SEEN_SHARE: f64 = 0.28;
/// Sentences whose words are the vocabulary: so many that a word that kitten knows is not missed.
const VOCABULARY_SENTENCES: usize = 60_000;
/// What the vocabulary is drawn from.
const VOCABULARY_SEED: u64 = 1;
/// Share of training sentences that are words in any order, so that words are heard by their sound and not by their
/// neighbours.
const ANY_ORDER_SHARE: f64 = 0.3;
/// Words in such a sentence.
const ANY_ORDER_WORDS: std::ops::RangeInclusive<usize> = 1..=7;
/// Words that sound like another one that kitten knows (two, four): only their neighbours tell them apart.
const SOUND_ALIKE: [&str; 3] = ["to", "for", "too"];

/// Something that a user says.
pub fn said(rng: &mut StdRng, split: Split) -> String {
    if rng.random_bool(SEEN_SHARE) {
        return about_what_is_seen(rng, split);
    }
    let exchanges = rng.random_range(1..=EXCHANGES_MAX);
    let conversation = Conversation::draw(rng, exchanges, split);
    conversation.exchanges.into_iter().next_back().expect("a conversation has an exchange").user
}

/// A question about a picture or a clip: to the ears only its words matter, not what is seen.
fn about_what_is_seen(rng: &mut StdRng, split: Split) -> String {
    loop {
        let question = if rng.random_bool(0.65) { picture_case(rng, scene::Split::Train).1 } else { clip_case(rng, scene::Split::Train).1 };
        let spoken = words(&question);
        if Split::of(&spoken) == split {
            return spoken;
        }
    }
}

/// A sentence of the encoder's training: one that a user says, or words in any order.
pub fn of_training(rng: &mut StdRng, units: &Units) -> String {
    if !rng.random_bool(ANY_ORDER_SHARE) {
        return said(rng, Split::Training);
    }
    loop {
        let count = rng.random_range(ANY_ORDER_WORDS);
        let words: Vec<&str> = (0..count).map(|_| units.words()[rng.random_range(0..units.words().len())].as_str()).collect();
        let sentence = words.join(" ");
        if !words.iter().any(|word| SOUND_ALIKE.contains(word)) && Split::of(&sentence) == Split::Training {
            return sentence;
        }
    }
}

/// A sentence that asks to repeat words.
pub fn to_repeat(rng: &mut StdRng) -> String {
    loop {
        let sentence = repeat::exchange(rng, &mut Mind::default()).user;
        if Split::of(&sentence) == Split::Training {
            return sentence;
        }
    }
}

/// Every word that a user may say. Some stand only in sentences that are held out: training hears these words among words
/// in any order.
pub fn vocabulary() -> Units {
    let mut rng = StdRng::seed_from_u64(VOCABULARY_SEED);
    let mut draw = |split: Split| (0..VOCABULARY_SENTENCES).map(|_| said(&mut rng, split)).collect::<Vec<String>>();
    let (learnt, held_out) = (draw(Split::Training), draw(Split::HeldOut));
    Units::of(learnt.iter().map(String::as_str)).and(held_out.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_sentences_are_of_known_words_and_never_held_out() {
        let units = vocabulary();
        let mut rng = StdRng::seed_from_u64(2);
        for _ in 0..2000 {
            let sentence = of_training(&mut rng, &units);
            assert!(units.encode(&sentence).is_ok(), "{sentence}");
            assert_eq!(Split::of(&sentence), Split::Training, "{sentence}");
            let repeated = to_repeat(&mut rng);
            assert!(repeated.contains("say ") || repeated.contains("repeat "), "{repeated}");
            assert!(units.encode(&repeated).is_ok(), "{repeated}");
            assert_eq!(Split::of(&repeated), Split::Training, "{repeated}");
            let held_out = said(&mut rng, Split::HeldOut);
            assert_eq!(Split::of(&held_out), Split::HeldOut, "{held_out}");
            units.encode(&held_out).unwrap();
        }
    }
}
