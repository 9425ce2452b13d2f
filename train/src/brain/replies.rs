//! How kitten says its answers: Caracal's own voice, as codes.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use caracal_shared::prompt::{Item, Message, Role};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::shape::SEED;
use crate::codec::codes;
use crate::domain::{Conversation, Split};
use crate::eyes::questions::{clip_case, picture_case};
use crate::eyes::scene;
use crate::stage::Folders;
use crate::voices::piper;

/// Different answers that are rendered and encoded.
pub const ANSWERS: usize = 7000;

/// Codes of the answers that training speaks.
pub struct Replies {
    frames: HashMap<String, Vec<[u32; 4]>>,
}

impl Replies {
    /// Renders and encodes `count` different answers of the domain, those that are there already only once.
    ///
    /// # Errors
    /// When the voice or the codec's tokenizer cannot be had.
    pub fn make(folders: &Folders, count: usize) -> Result<Self> {
        let spoken = piper::speak(folders, &drawn(count))?;
        let frames = codes::of(folders, &spoken)?;
        let frames = frames.into_iter().map(|(text, frames)| (text, frames.into_iter().map(|frame| frame.map(u32::from)).collect()));
        Ok(Self { frames: frames.collect() })
    }

    /// Whether the answer can be spoken.
    pub fn can_say(&self, text: &str) -> bool {
        self.frames.contains_key(text)
    }

    /// The answer as a spoken turn.
    pub fn say(&self, text: &str) -> Option<Message> {
        let segments = vec![self.frames.get(text)?.clone()];
        Some(Message { role: Role::VoiceAssistant, items: vec![Item::Spoken { text: text.to_string(), segments }] })
    }
}

/// Different answers, in the order in which conversations bring them: frequent ones first.
pub fn drawn(count: usize) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(SEED + 7);
    let (mut seen, mut answers) = (BTreeSet::new(), Vec::new());
    while answers.len() < count {
        let mut new: Vec<String> = Conversation::draw(&mut rng, 3, Split::Training).exchanges.into_iter().map(|e| e.reply).collect();
        new.push(picture_case(&mut rng, scene::Split::Train).2);
        new.push(clip_case(&mut rng, scene::Split::Train).2);
        answers.extend(new.into_iter().filter(|text| seen.insert(text.clone())));
    }
    answers.truncate(count);
    answers
}
