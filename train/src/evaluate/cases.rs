//! Held-out questions of the evaluation: sentences, scenes, clips and rooms that training never draws.

use anyhow::Result;
use caracal_shared::prompt::{Item, Strategy, VideoUnit};
use caracal_shared::rates::{DENSE_CHUNK_MS, SECOND_MS};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::kitten::Turn;
use crate::domain::conversation::{memory_over_four, words};
use crate::domain::{Conversation, Split};
use crate::ears::corpus::{Corpus, SHARDS};
use crate::eyes::features::{SeenCase, Sight};
use crate::eyes::scene;
use crate::stage::Folders;
use crate::voices::listening::{Condition, Listening};

/// What the cases of the model card are drawn from.
pub const SEED: u64 = 4242;

/// Cases that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// Spoken by voices of the training.
    Voices,
    /// Spoken by the voice that training never hears.
    Stranger,
    /// Beside babble or a street at 10 dB.
    Noisy,
    /// Told in the first turn, asked for in the fourth.
    Memory,
    /// About a picture, half of them typed.
    Pictures,
    /// About a clip, half of them typed.
    Clips,
}

impl Group {
    /// All, in the order of the table.
    pub const ALL: [Self; 6] = [Self::Voices, Self::Stranger, Self::Noisy, Self::Memory, Self::Pictures, Self::Clips];

    /// As the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Group::Voices => "spoken question, voices seen in training: reply text exactly right",
            Group::Stranger => "the same, a voice kept out of training",
            Group::Noisy => "the same, babble or street at 10 dB",
            Group::Memory => "memory over four turns",
            Group::Pictures => "seen pictures",
            Group::Clips => "seen clips",
        }
    }

    /// Wanted share, in percent.
    pub fn bar(self) -> f64 {
        match self {
            Group::Voices | Group::Memory => 95.0,
            Group::Stranger | Group::Noisy => 85.0,
            Group::Pictures => 97.0,
            Group::Clips => 90.0,
        }
    }

    fn count(self) -> usize {
        match self {
            Group::Voices => 120,
            Group::Stranger | Group::Noisy | Group::Pictures => 100,
            Group::Memory | Group::Clips => 60,
        }
    }
}

/// A conversation and the only right answer to its last turn.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it counts for.
    pub group: Group,
    /// What the user does.
    pub turns: Vec<Turn>,
    /// The last question in words.
    pub asked: String,
    /// The right answer.
    pub wanted: String,
}

impl Case {
    /// How the last question was asked.
    pub fn way(&self) -> &'static str {
        if self.turns.last().is_some_and(|turn| turn.sound.is_none()) { "typed" } else { "aloud" }
    }
}

/// Draws `share` of the cases of each of `groups` from `seed`; which they are does not change with the other groups.
///
/// # Errors
/// When a sentence cannot be rendered or the eyes cannot be opened.
pub fn draw(folders: &Folders, groups: &[Group], share: f64, seed: u64) -> Result<Vec<Case>> {
    let listening = Corpus::open(folders, SHARDS)?.listening;
    let sight = Sight::open(&folders.model)?;
    let mut cases = Vec::new();
    for (index, group) in Group::ALL.into_iter().enumerate().filter(|(_, group)| groups.contains(group)) {
        let mut rng = StdRng::seed_from_u64(seed + index as u64);
        for number in 0..(group.count() as f64 * share).ceil() as usize {
            cases.push(match group {
                Group::Pictures | Group::Clips => about_something_seen(group, number % 2 == 1, &listening, &sight, &mut rng)?,
                _ => spoken(group, &listening, &mut rng)?,
            });
        }
    }
    Ok(cases)
}

fn spoken(group: Group, listening: &Listening, rng: &mut StdRng) -> Result<Case> {
    let (conversation, condition) = match group {
        Group::Memory => (memory_over_four(rng, Split::HeldOut), Condition::Quiet),
        Group::Stranger => (Conversation::draw(rng, 1, Split::HeldOut), Condition::Stranger),
        Group::Noisy => (Conversation::draw(rng, 1, Split::HeldOut), Condition::Noisy),
        _ => (Conversation::draw(rng, 1, Split::HeldOut), Condition::Quiet),
    };
    let turn = |sentence: &str, rng: &mut StdRng| -> Result<Turn> {
        let sound = Some(listening.spoken(sentence, condition, rng)?);
        Ok(Turn { items: vec![Item::Audio { tokens: 0 }], sound, image: Vec::new() })
    };
    let turns = conversation.exchanges.iter().map(|e| turn(&e.user, rng)).collect::<Result<_>>()?;
    let last = conversation.exchanges.into_iter().next_back().expect("there is an exchange");
    Ok(Case { group, turns, asked: last.user, wanted: last.reply })
}

fn about_something_seen(group: Group, typed: bool, listening: &Listening, sight: &Sight, rng: &mut StdRng) -> Result<Case> {
    let case = match group {
        Group::Clips => sight.clip_case(rng, scene::Split::HeldOut)?,
        _ => sight.picture_case(rng, scene::Split::HeldOut)?,
    };
    let video = case.video();
    let SeenCase { units, question, answer, .. } = case;
    let question = words(&question);
    let mut image: Vec<f32> = units.iter().flat_map(|unit| sight.rows(unit)).collect();
    let timed = || units.iter().map(|unit| VideoUnit { seconds: unit.seconds, tokens: unit.tokens() }).collect::<Vec<_>>();
    let sound = if typed { None } else { Some(listening.spoken(&question, Condition::Quiet, rng)?) };
    let items = match (&sound, video) {
        (None, false) => vec![Item::Image { tokens: units[0].tokens() }, Item::Text(question.clone())],
        (None, true) => vec![Item::Video(timed()), Item::Text(question.clone())],
        (Some(_), true) => vec![Item::Video(timed()), Item::Audio { tokens: 0 }],
        (Some(sound), false) => {
            // As a live session shows it: one unit a second while the question is asked, and one before.
            let count = 1 + sound.len().div_ceil(16_000);
            let start = f64::from(rng.random_range(0..30));
            let unit = |index: usize| VideoUnit { seconds: start + index as f64, tokens: units[0].tokens() };
            image = image.repeat(count);
            let strategy = Strategy::Sequential { chunk_ms: DENSE_CHUNK_MS, unit_ms: SECOND_MS };
            vec![Item::Interleaved { units: (0..count).map(unit).collect(), audio: 0, strategy }]
        }
    };
    Ok(Case { group, turns: vec![Turn { items, sound, image }], asked: question, wanted: answer })
}
