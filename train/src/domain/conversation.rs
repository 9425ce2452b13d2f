//! Exchanges, conversations, and which sentences are held out.
//!
//! A sentence belongs to the evaluation or to the training by a hash of its words alone, so no draw of either can
//! ever hold a sentence of the other.

use rand::Rng;
use rand::rngs::StdRng;

use super::{Mind, home, people, refusal, reminders, repeat, social, sums};

/// One sentence in this many is held out.
const HELD_OUT_ONE_IN: u64 = 8;

/// What an exchange is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skill {
    /// Greetings, thanks, goodbyes, what kitten can do.
    Social,
    /// Names and places told in earlier turns.
    People,
    /// Sums, differences and products.
    Sums,
    /// Things at home.
    Home,
    /// Sentences to be repeated.
    Repeat,
    /// Reminders and times.
    Reminders,
    /// Pictures.
    Picture,
    /// Clips.
    Clip,
    /// What kitten does not understand.
    Refusal,
}

/// Training or evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What is learnt from.
    Training,
    /// What is never learnt from.
    HeldOut,
}

impl Split {
    /// Where a user's sentence belongs, by its words alone: capitals and marks do not matter.
    pub fn of(sentence: &str) -> Self {
        let words = words(sentence);
        // FNV-1a, whose low bits are even enough after the last multiplication is folded.
        let hash = words.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        if (hash ^ (hash >> 32)).is_multiple_of(HELD_OUT_ONE_IN) { Self::HeldOut } else { Self::Training }
    }
}

/// The words of a sentence as they are spoken: lower case, no marks but the apostrophe.
pub fn words(sentence: &str) -> String {
    let kept: String = sentence.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == '\'' { c } else { ' ' }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What it is about.
    pub skill: Skill,
    /// What the user says, as spoken words.
    pub user: String,
    /// What kitten answers, as written.
    pub reply: String,
}

/// Exchanges of which later ones may rest on earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// In order.
    pub exchanges: Vec<Exchange>,
}

impl Conversation {
    /// Draws a conversation of `exchanges` exchanges without pictures.
    ///
    /// Of a held-out one the last question is held out; of a training one none is.
    pub fn draw(rng: &mut StdRng, exchanges: usize, split: Split) -> Self {
        let mut mind = Mind::default();
        let mut drawn = Vec::with_capacity(exchanges);
        for index in 0..exchanges {
            let last = index + 1 == exchanges;
            let wanted = if split == Split::HeldOut && !last { None } else { Some(split) };
            drawn.push(next(rng, &mut mind, wanted, exchanges > 1));
        }
        Self { exchanges: drawn }
    }
}

/// Draws the next exchange; `wanted` is where its question must belong.
fn next(rng: &mut StdRng, mind: &mut Mind, wanted: Option<Split>, long: bool) -> Exchange {
    loop {
        let mut after = mind.clone();
        let exchange = match rng.random_range(0..if long { 20 } else { 18 }) {
            0..2 => social::exchange(rng, &mut after),
            2..6 => people::exchange(rng, &mut after),
            6..9 => sums::exchange(rng, &mut after),
            9..12 => home::exchange(rng, &mut after),
            12..15 => repeat::exchange(rng, &mut after),
            15..17 => reminders::exchange(rng, &mut after),
            17 => refusal::exchange(rng, &mut after),
            18 => people::exchange(rng, &mut after),
            _ => home::exchange(rng, &mut after),
        };
        if wanted.is_none_or(|split| Split::of(&exchange.user) == split) {
            *mind = after;
            return exchange;
        }
    }
}

/// Four exchanges of which the last asks for what the first told, with others between.
pub fn memory_over_four(rng: &mut StdRng, split: Split) -> Conversation {
    loop {
        let mut mind = Mind::default();
        let (told, asked) = people::tell_and_ask(rng, &mut mind);
        let between: Vec<Exchange> = (0..2).map(|_| next(rng, &mut mind, Some(Split::Training), false)).collect();
        // What came between may have changed what was told.
        let asked = asked(&mind, rng);
        if Split::of(&told.user) == Split::Training && Split::of(&asked.user) == split {
            let exchanges = std::iter::once(told).chain(between).chain([asked]).collect();
            return Conversation { exchanges };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::HashSet;

    fn drawn(split: Split, seed: u64) -> Vec<Conversation> {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..4000).map(|i| Conversation::draw(&mut rng, 1 + i % 4, split)).collect()
    }

    #[test]
    fn no_sentence_of_the_evaluation_is_in_the_training() {
        let learnt: HashSet<String> = drawn(Split::Training, 1).into_iter().flat_map(|c| c.exchanges).map(|e| words(&e.user)).collect();
        let asked: HashSet<String> = drawn(Split::HeldOut, 2).iter().map(|c| words(&c.exchanges.last().unwrap().user)).collect();
        assert!(learnt.len() > 3000 && asked.len() > 1000, "{} {}", learnt.len(), asked.len());
        assert_eq!(learnt.intersection(&asked).next(), None);
    }

    #[test]
    fn every_skill_has_held_out_sentences() {
        let skills: HashSet<Skill> = drawn(Split::HeldOut, 3).iter().map(|c| c.exchanges.last().unwrap().skill).collect();
        assert_eq!(skills.len(), 7, "{skills:?}");
    }

    #[test]
    fn what_is_told_in_the_first_turn_is_asked_for_in_the_fourth() {
        let mut rng = StdRng::seed_from_u64(4);
        for _ in 0..200 {
            let conversation = memory_over_four(&mut rng, Split::HeldOut);
            assert_eq!(conversation.exchanges.len(), 4);
            let (told, asked) = (&conversation.exchanges[0], &conversation.exchanges[3]);
            let fact = told.user.split(' ').next_back().unwrap();
            let changed = conversation.exchanges[1..3].iter().any(|e| e.skill == Skill::People);
            assert!(changed || words(&asked.reply).contains(fact), "{conversation:#?}");
        }
    }

    #[test]
    fn equal_seeds_draw_equal_conversations_and_all_is_plain_words() {
        assert_eq!(drawn(Split::Training, 7)[..50], drawn(Split::Training, 7)[..50]);
        for exchange in drawn(Split::Training, 5).iter().flat_map(|c| &c.exchanges) {
            assert_eq!(exchange.user, words(&exchange.user), "{exchange:?}");
            assert!(exchange.reply.ends_with(['.', '?', '!']) && exchange.reply.starts_with(char::is_uppercase), "{exchange:?}");
        }
    }
}
