//! Greetings, thanks, goodbyes, who kitten is and what it can do.

use rand::Rng;
use rand::rngs::StdRng;

use super::phrasing::{addressed, one, question};
use super::{Exchange, Mind, Skill};

/// One exchange of courtesies.
pub fn exchange(rng: &mut StdRng, _mind: &mut Mind) -> Exchange {
    let (user, reply) = match rng.random_range(0..7) {
        0 => greeting(rng),
        1 => (well_being(rng), "I am fine, thank you."),
        2 => (thanks(rng), "You are welcome."),
        3 | 4 => goodbye(rng),
        5 => (ability(rng), "I can talk, count, remember, help at home and say what I see."),
        _ => (identity(rng), "I am Kitten, a small voice companion."),
    };
    Exchange { skill: Skill::Social, user, reply: reply.to_string() }
}

fn whom(rng: &mut StdRng) -> &'static str {
    one(rng, &["", "", " kitten", " my friend", " dear kitten", " little kitten", " again", " my dear", " everyone"])
}

fn greeting(rng: &mut StdRng) -> (String, &'static str) {
    let whom = whom(rng);
    let (words, reply) = match rng.random_range(0..4) {
        0 => ("good morning", "Good morning, how can I help you?"),
        1 => (one(rng, &["good evening", "good afternoon"]), "Good day, how can I help you?"),
        _ => (one(rng, &["hello", "hi", "hey", "hello there", "hi there", "hey there", "welcome"]), "Hello, how can I help you?"),
    };
    let more = one(rng, &["", "", "", " nice to see you", " nice to meet you", " i am back", " here i am"]);
    (format!("{words}{whom}{more}"), reply)
}

fn well_being(rng: &mut StdRng) -> String {
    let asked = one(
        rng,
        &["how are you", "how do you do", "are you well", "how do you feel", "are you okay", "how is it going", "how is your day"],
    );
    let when = one(rng, &["", "", " today", " now", " this morning", " this evening"]);
    addressed(rng, format!("{asked}{when}"))
}

fn thanks(rng: &mut StdRng) -> String {
    let words = one(rng, &["thank you", "thanks", "thank you very much", "many thanks", "thanks a lot", "thank you so much"]);
    let what =
        one(rng, &["", "", " for your help", " for that", " for the answer", " for everything", " kitten", " my friend", " dear kitten"]);
    format!("{words}{what}")
}

fn goodbye(rng: &mut StdRng) -> (String, &'static str) {
    let whom = one(rng, &["", "", " kitten", " my friend", " dear kitten", " little kitten", " my dear", " for now", " everyone"]);
    if rng.random_bool(0.3) {
        let words = one(rng, &["good night", "sleep well", "i am going to sleep", "i am going to bed"]);
        return (format!("{words}{whom}"), "Good night, sleep well.");
    }
    let words =
        one(rng, &["goodbye", "bye", "bye bye", "see you later", "see you soon", "see you tomorrow", "i have to go", "i must go now"]);
    (format!("{words}{whom}"), "Goodbye, see you soon.")
}

fn ability(rng: &mut StdRng) -> String {
    let asked = [
        "what can you do",
        "what can i ask you",
        "how can you help me",
        "what do you know",
        "what are you good at",
        "what you can do",
        "what are you able to do",
        "what can you do for me",
        "how can you help",
    ];
    let asked = one(rng, &asked).to_string();
    question(rng, asked)
}

fn identity(rng: &mut StdRng) -> String {
    let asked =
        ["who are you", "what is your name", "what are you", "what are you called", "what do people call you", "do you have a name"];
    let asked = one(rng, &asked).to_string();
    question(rng, asked)
}
