//! Things at home: switched, and asked for later.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use super::phrasing::{addressed, one, question, sentence, wish};
use super::{Exchange, Mind, Skill};

/// Rooms that kitten knows.
pub const ROOMS: [&str; 7] = ["kitchen", "bathroom", "bedroom", "living room", "hall", "garage", "office"];
/// Things that can be switched.
pub const THINGS: [&str; 10] = ["light", "lamp", "fan", "heater", "radio", "television", "oven", "speaker", "camera", "alarm"];

/// Switches a thing, or asks about one.
pub fn exchange(rng: &mut StdRng, mind: &mut Mind) -> Exchange {
    if rng.random_bool(if mind.home.is_empty() { 0.2 } else { 0.5 }) {
        return ask(rng, mind);
    }
    let (room, thing, on) = (one(rng, &ROOMS), one(rng, &THINGS), rng.random_bool(0.55));
    mind.home.insert(format!("{room} {thing}"), on);
    let state = if on { "on" } else { "off" };
    let verb = one(rng, &["turn", "switch", "put"]);
    let order = match rng.random_range(0..4) {
        0 | 1 => format!("{verb} {state} the {room} {thing}"),
        2 => format!("{verb} the {room} {thing} {state}"),
        _ => format!("{verb} {state} the {thing} in the {room}"),
    };
    let user = if rng.random_bool(0.12) { addressed(rng, format!("i want the {room} {thing} {state}")) } else { wish(rng, order) };
    Exchange { skill: Skill::Home, user, reply: sentence(&format!("the {room} {thing} is now {state}"), '.') }
}

fn ask(rng: &mut StdRng, mind: &Mind) -> Exchange {
    let known = mind.home.keys().choose(rng).cloned().filter(|_| rng.random_bool(0.8));
    let (room, thing) = match known.as_deref().and_then(|key| key.rsplit_once(' ')) {
        Some((room, thing)) => (room.to_string(), thing.to_string()),
        None => (one(rng, &ROOMS).to_string(), one(rng, &THINGS).to_string()),
    };
    let on = mind.home.get(&format!("{room} {thing}")).copied().unwrap_or(false);
    let about = one(rng, &["on", "off"]);
    let asked = match rng.random_range(0..5) {
        0 | 1 => format!("is the {room} {thing} {about}"),
        2 => format!("is the {thing} in the {room} {about}"),
        3 => format!("did you turn {about} the {room} {thing}"),
        _ => format!("do you know if the {room} {thing} is {about}"),
    };
    let (yes, state) = (if (about == "on") == on { "yes" } else { "no" }, if on { "on" } else { "off" });
    let user = if rng.random_bool(0.3) { question(rng, asked) } else { addressed(rng, asked) };
    Exchange { skill: Skill::Home, user, reply: sentence(&format!("{yes}, the {room} {thing} is {state}"), '.') }
}
