//! Short sentences of known words in any order, to be said again.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::home::THINGS;
use super::people::{NAMES, OTHERS, PLACES, proper};
use super::phrasing::{addressed, one, sentence};
use super::{Exchange, Mind, Skill};

/// Further words that may be repeated.
pub const WORDS: [&str; 56] = [
    "red", "green", "blue", "yellow", "black", "white", "circle", "square", "triangle", "star", "big", "small", "left", "right", "one",
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "house", "tree", "water", "bread", "milk", "apple", "flower",
    "book", "window", "door", "car", "street", "sun", "moon", "rain", "snow", "day", "night", "morning", "evening", "today", "tomorrow",
    "happy", "cold", "warm", "new", "old", "good", "fast", "slow", "music", "garden",
];

/// Longest sentence to repeat, in words.
const WORDS_MAX: usize = 5;

/// A word that kitten knows, in any place of any sentence.
pub fn known_word(rng: &mut StdRng) -> &'static str {
    match rng.random_range(0..10) {
        0 => one(rng, &NAMES),
        1 => one(rng, &PLACES),
        2 => one(rng, &OTHERS),
        3 => one(rng, &THINGS),
        _ => WORDS.choose(rng).expect("there are words"),
    }
}

/// One sentence to say again.
pub fn exchange(rng: &mut StdRng, _mind: &mut Mind) -> Exchange {
    let count = rng.random_range(2..=WORDS_MAX);
    let said: Vec<&str> = (0..count).map(|_| known_word(rng)).collect();
    let order = one(
        rng,
        &[
            "repeat after me",
            "say after me",
            "repeat the words",
            "say the words",
            "please repeat",
            "please say",
            "repeat",
            "say",
            "can you say",
            "can you repeat",
        ],
    );
    let user = addressed(rng, format!("{order} {}", said.join(" ")));
    let written: Vec<String> =
        said.iter().map(|word| if NAMES.contains(word) || PLACES.contains(word) { proper(word) } else { word.to_string() }).collect();
    Exchange { skill: Skill::Repeat, user, reply: sentence(&written.join(" "), '.') }
}
