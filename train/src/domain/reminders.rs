//! Reminders, timers and times.

use rand::Rng;
use rand::rngs::StdRng;

use super::numbers::{clock, span};
use super::people::{NAMES, proper};
use super::phrasing::{one, question, sentence, wish};
use super::{Exchange, Mind, Skill};

/// What one is reminded of, besides calling somebody.
const ERRANDS: [&str; 11] = [
    "feed the dog",
    "feed the cat",
    "water the flowers",
    "buy bread",
    "buy milk",
    "close the window",
    "clean the kitchen",
    "drink water",
    "read a book",
    "wash the car",
    "lock the door",
];

/// Sets a reminder, a timer or an alarm, or asks what was set.
pub fn exchange(rng: &mut StdRng, mind: &mut Mind) -> Exchange {
    let (user, reply) = match rng.random_range(0..10) {
        0..4 => remind(rng, mind),
        4 | 5 => timer(rng),
        6 | 7 => wake(rng),
        _ => asked(rng, mind),
    };
    Exchange { skill: Skill::Reminders, user, reply: sentence(&reply, '.') }
}

fn remind(rng: &mut StdRng, mind: &mut Mind) -> (String, String) {
    let (said, written) = if rng.random_bool(0.4) {
        let name = one(rng, &NAMES);
        (format!("call {name}"), format!("call {}", proper(name)))
    } else {
        let errand = one(rng, &ERRANDS).to_string();
        (errand.clone(), errand)
    };
    let when = if rng.random_bool(0.5) { format!("in {}", span(rng)) } else { format!("at {}", clock(rng)) };
    mind.reminders.push((when.clone(), written.clone()));
    let order = match rng.random_range(0..4) {
        0 | 1 => format!("remind me {when} to {said}"),
        2 => format!("remind me to {said} {when}"),
        _ => format!("tell me {when} to {said}"),
    };
    (wish(rng, order), format!("I will remind you {when} to {written}"))
}

fn timer(rng: &mut StdRng) -> (String, String) {
    let span = span(rng);
    let order = match rng.random_range(0..4) {
        0 => format!("set a timer for {span}"),
        1 => format!("start a timer for {span}"),
        2 => format!("set the timer to {span}"),
        _ => format!("count down {span}"),
    };
    (wish(rng, order), format!("the timer is set for {span}"))
}

fn wake(rng: &mut StdRng) -> (String, String) {
    let clock = clock(rng);
    let order = match rng.random_range(0..4) {
        0 => format!("wake me at {clock}"),
        1 => format!("wake me up at {clock}"),
        2 => format!("set an alarm for {clock}"),
        _ => format!("get me up at {clock}"),
    };
    (wish(rng, order), format!("I will wake you at {clock}"))
}

fn asked(rng: &mut StdRng, mind: &Mind) -> (String, String) {
    let asked = [
        "what do i have to do",
        "what must i do",
        "what did i want to do",
        "do i have to do something",
        "is there a reminder",
        "what is my reminder",
        "do you remember my reminder",
    ];
    let asked = one(rng, &asked).to_string();
    let reply = match mind.reminders.last() {
        Some((when, what)) => format!("you wanted to {what} {when}"),
        None => "there is no reminder".to_string(),
    };
    (question(rng, asked), reply)
}
