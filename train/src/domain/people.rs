//! Names and places, told and asked for later.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use super::phrasing::{addressed, one, question, sentence};
use super::{Exchange, Mind, Skill};

/// Names that kitten knows.
pub const NAMES: [&str; 24] = [
    "anna", "emma", "tom", "peter", "mary", "john", "sarah", "david", "laura", "james", "lucy", "paul", "maria", "robert", "julia", "mark",
    "alice", "henry", "clara", "george", "nina", "oscar", "sofia", "daniel",
];
/// Places that kitten knows.
pub const PLACES: [&str; 16] = [
    "paris", "london", "berlin", "rome", "madrid", "vienna", "dublin", "oslo", "tokyo", "boston", "chicago", "sydney", "cairo", "athens",
    "prague", "lisbon",
];
/// Whom else the user may name.
pub const OTHERS: [&str; 8] = ["sister", "brother", "mother", "father", "friend", "teacher", "dog", "cat"];

/// A name or place with its capital.
pub fn proper(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// Tells something, or asks for something that was told or not.
pub fn exchange(rng: &mut StdRng, mind: &mut Mind) -> Exchange {
    let known = usize::from(mind.name.is_some()) + usize::from(mind.place.is_some()) + mind.others.len();
    if rng.random_bool(if known > 0 { 0.6 } else { 0.12 }) {
        return ask_something(rng, mind);
    }
    match rng.random_range(0..3) {
        0 => tell_name(rng, mind),
        1 => tell_place(rng, mind),
        _ => tell_other(rng, mind),
    }
}

/// Tells one thing; the second result asks for it, whatever is known then.
pub fn tell_and_ask(rng: &mut StdRng, mind: &mut Mind) -> (Exchange, impl Fn(&Mind, &mut StdRng) -> Exchange + use<>) {
    let kind = rng.random_range(0..3);
    let told = match kind {
        0 => tell_name(rng, mind),
        1 => tell_place(rng, mind),
        _ => tell_other(rng, mind),
    };
    let other = mind.others.keys().next().cloned();
    let ask = move |mind: &Mind, rng: &mut StdRng| match (kind, &other) {
        (0, _) => ask_name(rng, mind),
        (2, Some(other)) => ask_other(rng, mind, other),
        _ => ask_place(rng, mind),
    };
    (told, ask)
}

fn ask_something(rng: &mut StdRng, mind: &Mind) -> Exchange {
    match rng.random_range(0..3) {
        0 => ask_name(rng, mind),
        1 => ask_place(rng, mind),
        _ => {
            let known = mind.others.keys().choose(rng).cloned();
            let other = known.filter(|_| rng.random_bool(0.8)).unwrap_or_else(|| one(rng, &OTHERS).to_string());
            ask_other(rng, mind, &other)
        }
    }
}

fn exchange_of(user: String, reply: String) -> Exchange {
    Exchange { skill: Skill::People, user, reply: sentence(&reply, '.') }
}

fn tell_name(rng: &mut StdRng, mind: &mut Mind) -> Exchange {
    let name = one(rng, &NAMES);
    mind.name = Some(name.to_string());
    let told =
        one(rng, &["my name is", "i am", "call me", "you can call me", "people call me", "i am called", "please call me", "they call me"]);
    exchange_of(addressed(rng, format!("{told} {name}")), format!("nice to meet you, {}", proper(name)))
}

fn tell_place(rng: &mut StdRng, mind: &mut Mind) -> Exchange {
    let place = one(rng, &PLACES);
    mind.place = Some(place.to_string());
    let told =
        one(rng, &["i live in", "my home is in", "i am from", "i come from", "my house is in", "i am at home in", "i have a home in"]);
    exchange_of(addressed(rng, format!("{told} {place}")), format!("{} is a nice place", proper(place)))
}

fn tell_other(rng: &mut StdRng, mind: &mut Mind) -> Exchange {
    let (other, name) = (one(rng, &OTHERS), one(rng, &NAMES));
    mind.others.insert(other.to_string(), name.to_string());
    let told = match rng.random_range(0..6) {
        0 => format!("my {other} is called {name}"),
        1 => format!("my {other} is {name}"),
        2 => format!("the name of my {other} is {name}"),
        3 => format!("i call my {other} {name}"),
        4 => format!("i have a {other} called {name}"),
        _ => format!("i have a {other} and the name is {name}"),
    };
    exchange_of(addressed(rng, told), format!("your {other} is called {}", proper(name)))
}

fn ask_name(rng: &mut StdRng, mind: &Mind) -> Exchange {
    let asked = [
        "what is my name",
        "who am i",
        "what am i called",
        "do you know my name",
        "do you remember my name",
        "what do people call me",
        "can you say my name",
    ];
    let asked = one(rng, &asked).to_string();
    let reply = match &mind.name {
        Some(name) => format!("your name is {}", proper(name)),
        None => "I do not know your name yet".to_string(),
    };
    exchange_of(question(rng, asked), reply)
}

fn ask_place(rng: &mut StdRng, mind: &Mind) -> Exchange {
    let asked = [
        "where do i live",
        "where is my home",
        "where am i from",
        "do you know where i live",
        "do you remember where i live",
        "where is my house",
        "what is my home town",
    ];
    let asked = one(rng, &asked).to_string();
    let reply = match &mind.place {
        Some(place) => format!("you live in {}", proper(place)),
        None => "I do not know where you live yet".to_string(),
    };
    exchange_of(question(rng, asked), reply)
}

fn ask_other(rng: &mut StdRng, mind: &Mind, other: &str) -> Exchange {
    let asked = match rng.random_range(0..6) {
        0 => format!("what is my {other} called"),
        1 => format!("what is the name of my {other}"),
        2 => format!("who is my {other}"),
        3 => format!("do you know the name of my {other}"),
        4 => format!("do you remember my {other}"),
        _ => format!("how do i call my {other}"),
    };
    let reply = match mind.others.get(other) {
        Some(name) => format!("your {other} is called {}", proper(name)),
        None => format!("I do not know your {other} yet"),
    };
    exchange_of(question(rng, asked), reply)
}
