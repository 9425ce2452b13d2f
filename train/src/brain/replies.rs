//! How kitten says its answers: Caracal's own voice, as codes.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use caracal_shared::ids::PAUSE;
use caracal_shared::post_process::CodecCodes;
use caracal_shared::prompt::{Item, Message, Role};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::phrases::{self, phrases};
use super::shape::SEED;
use crate::codec::codes;
use crate::domain::{Conversation, Split};
use crate::eyes::questions::{clip_case, picture_case};
use crate::eyes::scene;
use crate::stage::Folders;
use crate::voices::piper;

/// Different answers whose phrases are rendered and encoded.
pub const ANSWERS: usize = 20_000;
/// Further answers that no lesson speaks: how well speech carries over to new ones is measured with them.
const UNSPOKEN: usize = 100;

/// Codes of the phrases that answers are made of.
pub struct Replies {
    frames: HashMap<String, Vec<CodecCodes>>,
    phrases: Vec<String>,
    unspoken: Vec<Pair>,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What is asked.
    pub question: String,
    /// What is answered.
    pub answer: String,
}

impl Replies {
    /// Renders and encodes the phrases of `count` different answers of the domain, those that are there already only once.
    ///
    /// # Errors
    /// When the voice or the codec's tokenizer cannot be had.
    pub fn make(folders: &Folders, count: usize) -> Result<Self> {
        let mut pairs = drawn(count + UNSPOKEN);
        let phrases: BTreeSet<String> = pairs.iter().flat_map(|pair| phrases(&pair.answer)).collect();
        let texts: BTreeSet<String> = phrases.iter().map(|phrase| phrases::read(phrase)).collect();
        let spoken = piper::speak(folders, &texts.into_iter().collect::<Vec<_>>())?;
        let frames = codes::of(folders, &spoken)?;
        let frames = frames.into_iter().map(|(text, frames)| (text, frames.into_iter().map(|frame| frame.map(u32::from)).collect()));
        Ok(Self { frames: frames.collect(), phrases: phrases.into_iter().collect(), unspoken: pairs.split_off(count) })
    }

    /// Questions with spoken answers that no lesson has.
    pub fn unspoken(&self) -> impl Iterator<Item = (&str, Message)> {
        self.unspoken.iter().filter_map(|pair| Some((pair.question.as_str(), self.turn(&pair.answer)?)))
    }

    /// Whether lessons may speak the answer.
    pub fn can_say(&self, text: &str) -> bool {
        phrases(text).iter().all(|phrase| self.frames.contains_key(&phrases::read(phrase)))
            && self.unspoken.iter().all(|pair| pair.answer != text)
    }

    /// The answer as a lesson speaks it; `None` where lessons may not.
    pub fn say(&self, text: &str) -> Option<Message> {
        self.can_say(text).then(|| self.turn(text)).flatten()
    }

    /// Phrases of many answers in a row, each as often as any other: in answers some names and numbers are rare.
    pub fn recite(&self, count: usize, rng: &mut StdRng) -> Message {
        let said: Vec<&String> = (0..count).filter_map(|_| self.phrases.choose(rng)).collect();
        let segments = said.iter().map(|phrase| self.frames[&phrases::read(phrase)].clone()).collect();
        let text = said.iter().map(|phrase| phrase.as_str()).collect::<Vec<_>>().join(&format!("{PAUSE} "));
        Message { role: Role::VoiceAssistant, items: vec![Item::Spoken { text, segments }] }
    }

    fn turn(&self, text: &str) -> Option<Message> {
        let phrases = phrases(text);
        let segments = phrases.iter().map(|phrase| self.frames.get(&phrases::read(phrase)).cloned()).collect::<Option<_>>()?;
        let text = phrases.join(&format!("{PAUSE} "));
        Some(Message { role: Role::VoiceAssistant, items: vec![Item::Spoken { text, segments }] })
    }
}

/// Different answers with a question of each, in the order in which conversations bring them: frequent ones first.
pub fn drawn(count: usize) -> Vec<Pair> {
    let mut rng = StdRng::seed_from_u64(SEED + 7);
    let (mut seen, mut pairs) = (BTreeSet::new(), Vec::new());
    while pairs.len() < count {
        pairs.extend(told(&mut rng).into_iter().filter(|pair| seen.insert(pair.answer.clone())));
    }
    pairs.truncate(count);
    pairs
}

/// What a conversation brings, and a question about a picture and one about a clip.
pub fn told(rng: &mut StdRng) -> Vec<Pair> {
    let exchanges = Conversation::draw(rng, 3, Split::Training).exchanges;
    let mut pairs: Vec<Pair> = exchanges.into_iter().map(|e| Pair { question: e.user, answer: e.reply }).collect();
    let (_, question, answer) = picture_case(rng, scene::Split::Train);
    pairs.push(Pair { question, answer });
    let (_, question, answer) = clip_case(rng, scene::Split::Train);
    pairs.push(Pair { question, answer });
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_answers_are_made_of_known_phrases() {
        let mut pairs = drawn(6_000);
        let new = pairs.split_off(5_900);
        let known: BTreeSet<String> = pairs.iter().flat_map(|pair| phrases(&pair.answer)).collect();
        assert!(known.len() < 2_000, "{} phrases", known.len());
        let unknown: Vec<String> = new.iter().flat_map(|pair| phrases(&pair.answer)).filter(|phrase| !known.contains(phrase)).collect();
        assert!(unknown.len() <= 5, "{unknown:?}");
    }

    #[test]
    fn what_is_measured_is_never_a_lesson() {
        let unspoken = vec![Pair { question: "who is it".into(), answer: "Anna.".into() }];
        let frames = HashMap::from([("Anna.".to_string(), vec![[1; 4]; 5]), ("Yes,".to_string(), vec![[2; 4]; 6])]);
        let replies = Replies { frames, phrases: vec!["Yes,".into()], unspoken };
        assert!(!replies.can_say("Anna.") && replies.say("Anna.").is_none());
        assert_eq!(replies.unspoken().map(|(question, _)| question).collect::<Vec<_>>(), ["who is it"]);
        let Item::Spoken { text, segments } = &replies.say("Yes, Anna.").expect("both phrases are there").items[0] else {
            panic!("an answer is spoken")
        };
        assert_eq!((text.as_str(), segments), ("Yes,</pause> Anna.", &vec![vec![[2; 4]; 6], vec![[1; 4]; 5]]));
        assert!(replies.can_say("Yes, Anna.") && replies.say("No, Anna.").is_none());
    }

    #[test]
    fn every_phrase_is_recited_as_often_as_any_other() {
        let said = ["Yes,", "is Anna.", "on"];
        let frames = said.iter().enumerate().map(|(n, phrase)| (phrases::read(phrase), vec![[n as u32; 4]; n + 1]));
        let replies = Replies { frames: frames.collect(), phrases: said.map(String::from).to_vec(), unspoken: Vec::new() };
        let turn = replies.recite(900, &mut StdRng::seed_from_u64(1));
        let Item::Spoken { text, segments } = &turn.items[0] else { panic!("what is recited is spoken") };
        let words: Vec<&str> = text.split(&format!("{PAUSE} ")).collect();
        for (n, phrase) in said.iter().enumerate() {
            let count =
                words.iter().zip(segments).filter(|(word, frames)| *word == phrase && **frames == vec![[n as u32; 4]; n + 1]).count();
            assert!((240..360).contains(&count), "`{phrase}` {count} times of 900");
        }
    }
}
