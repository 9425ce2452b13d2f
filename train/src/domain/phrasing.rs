//! Ways of addressing kitten that change nothing in the answer.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// One of some words or phrases.
///
/// # Panics
/// When there is none.
pub fn one<'a>(rng: &mut StdRng, of: &[&'a str]) -> &'a str {
    of.choose(rng).expect("there is something to choose from")
}

/// Now and then something before the sentence.
pub fn addressed(rng: &mut StdRng, sentence: String) -> String {
    match rng.random_range(0..10) {
        0 => format!("kitten {sentence}"),
        1 => format!("hey kitten {sentence}"),
        2 => format!("hello kitten {sentence}"),
        _ => sentence,
    }
}

/// A wish, as an order or politely.
pub fn wish(rng: &mut StdRng, order: String) -> String {
    let sentence = match rng.random_range(0..8) {
        0 => format!("please {order}"),
        1 => format!("{order} please"),
        2 => format!("can you {order}"),
        3 => format!("could you {order}"),
        4 => format!("would you please {order}"),
        _ => order,
    };
    addressed(rng, sentence)
}

/// A question, plain or asked for politely. `question` starts with a question word.
pub fn question(rng: &mut StdRng, question: String) -> String {
    let sentence = match rng.random_range(0..8) {
        0 => format!("please tell me {question}"),
        1 => format!("{question} please"),
        2 => format!("tell me {question}"),
        _ => question,
    };
    addressed(rng, sentence)
}

/// The sentence as one writes it: a capital first, a mark last.
pub fn sentence(words: &str, mark: char) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}{mark}", first.to_uppercase(), letters.as_str()))
}
