//! One conversation to learn from: drawn from the domain, heard, seen, typed, answered in writing or in speech.

use anyhow::Result;
use caracal_shared::prompt::{Item, Message, Role};
use rand::Rng;
use rand::rngs::StdRng;

use super::curriculum::Mix;
use super::perception::Perception;
use super::replies::Replies;
use super::sample::{Perceived, Sample, Sampler, answer, typed};
use super::tokenizer_file::written;
use crate::domain::conversation::{memory_over_four, words};
use crate::domain::{Conversation, Skill, Split};
use crate::eyes::network::PAIR;

/// Share of long conversations that tell something in the first turn and ask for it in the fourth.
const MEMORY_SHARE: f64 = 0.12;
/// Share of what is seen that is asked about in the middle of a conversation.
const AROUND_SHARE: f64 = 0.3;
/// Most further questions about the same picture: what was seen is learnt from again without being read again. More would
/// mostly be answered from the answers before.
const FURTHER_MAX: usize = 6;
/// Likewise about a clip, in which one thing happens: every question after the first has been answered already.
const FURTHER_CLIP_MAX: usize = 1;
/// Most exchanges of a spoken conversation that has no memory to test: such a lesson has many rows.
const SPOKEN_EXCHANGES_MAX: usize = 3;
/// Share of spoken lessons that are read aloud: their answers are phrases of many other answers, and only their speech is
/// learnt. Where text and question always agree, speech may come from either, and then says "a green circle" where the
/// text has "a yellow circle".
const READ_ALOUD_SHARE: f64 = 0.3;
/// Shares of what is seen that are asked about aloud, and answered aloud: as soon as there are lessons of that kind. A picture
/// is long to read; where its answers are written, it is learnt from up to seven times. Answered aloud, a list has the codes of
/// a phrase between two of its shapes: what was named before the codes must be looked past, and only these lessons ask for that.
const SEEN_HEARD_SHARE: f64 = 0.35;
const SEEN_SPOKEN_SHARE: f64 = 0.35;
/// Share of heard conversations that are a single sentence to be repeated, beside those that come by chance: in others a word
/// that is heard badly may be guessed from its neighbours.
const REPEAT_SHARE: f64 = 0.3;
/// Most phrases that are read aloud in place of one answer.
const READ_ALOUD_MAX: usize = 6;
/// Draws until a conversation is as it is wanted and every answer can be spoken, at most so often.
const DRAWS_MAX: usize = 200;

/// What lessons are made with.
pub struct Teacher {
    /// Conversations to rows.
    pub sampler: Sampler,
    /// Spoken answers, once there is a codec.
    pub replies: Option<Replies>,
    /// What is heard and seen.
    pub perception: Perception,
    /// Width of the audio encoder's output.
    pub heard: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Typed,
    Speaking,
    Listening,
    Talking,
    Seeing,
}

impl Teacher {
    /// Lessons of about `rows` rows in all.
    ///
    /// # Errors
    /// When something cannot be rendered.
    pub fn lessons(&mut self, mix: &Mix, rows: usize, rng: &mut StdRng) -> Result<Vec<Sample>> {
        let (mut lessons, mut count) = (Vec::new(), 0);
        while count < rows {
            let lesson = match self.kind(mix, rng) {
                Kind::Seeing => self.about_something_seen(mix, rng)?,
                kind => self.conversation(kind, mix, rng)?,
            };
            count += lesson.rows.len();
            lessons.push(lesson);
        }
        Ok(lessons)
    }

    fn kind(&self, mix: &Mix, rng: &mut StdRng) -> Kind {
        let kinds = [
            (Kind::Typed, mix.typed),
            (Kind::Speaking, mix.speaking),
            (Kind::Listening, mix.listening),
            (Kind::Talking, mix.talking),
            (Kind::Seeing, mix.seeing),
        ];
        let mut at = rng.random_range(0.0..kinds.iter().map(|(_, share)| share).sum());
        for (kind, share) in kinds {
            if at < share {
                return kind;
            }
            at -= share;
        }
        Kind::Typed
    }

    fn conversation(&mut self, kind: Kind, mix: &Mix, rng: &mut StdRng) -> Result<Sample> {
        let spoken = matches!(kind, Kind::Speaking | Kind::Talking);
        let heard = matches!(kind, Kind::Listening | Kind::Talking);
        let repeat = heard && rng.random_bool(REPEAT_SHARE);
        let (exchanges_max, skill) = if repeat { (1, Some(Skill::Repeat)) } else { (mix.exchanges_max, None) };
        let conversation = self.draw(spoken, exchanges_max, skill, rng);
        let as_typed = rng.random_bool(0.25);
        let read_aloud = spoken && rng.random_bool(READ_ALOUD_SHARE);
        let (mut messages, mut perceived) = (Vec::new(), Perceived::default());
        for exchange in &conversation.exchanges {
            let said = if as_typed && !heard { written(&exchange.user) } else { exchange.user.clone() };
            messages.push(self.asked(&said, heard, &mut perceived, rng)?);
            messages.push(if read_aloud { self.recited(rng) } else { self.answered(&exchange.reply, spoken) });
        }
        let sample = self.sampler.sample(&messages, perceived, self.heard, PAIR)?;
        Ok(if read_aloud { sample.speech_alone() } else { sample })
    }

    /// A conversation, of one skill alone if one is named; one that shall be spoken is short and has answers with codes.
    fn draw(&self, spoken: bool, exchanges_max: usize, skill: Option<Skill>, rng: &mut StdRng) -> Conversation {
        let wanted = |c: &Conversation| skill.is_none_or(|skill| c.exchanges.iter().all(|e| e.skill == skill));
        let can_say = |c: &Conversation| c.exchanges.iter().all(|e| self.replies.as_ref().is_some_and(|r| r.can_say(&e.reply)));
        for _ in 0..DRAWS_MAX {
            let long = rng.random_bool(0.4);
            let conversation = if exchanges_max >= 4 && rng.random_bool(MEMORY_SHARE) {
                memory_over_four(rng, Split::Training)
            } else {
                let most = if spoken { exchanges_max.min(SPOKEN_EXCHANGES_MAX) } else { exchanges_max };
                let exchanges = if long { rng.random_range(1..=most) } else { 1 };
                Conversation::draw(rng, exchanges, Split::Training)
            };
            if wanted(&conversation) && (!spoken || can_say(&conversation)) {
                return conversation;
            }
        }
        Conversation::draw(rng, 1, Split::Training)
    }

    fn about_something_seen(&mut self, mix: &Mix, rng: &mut StdRng) -> Result<Sample> {
        let case = self.perception.see(rng)?;
        let heard = mix.listening > 0.0 && rng.random_bool(SEEN_HEARD_SHARE);
        let spoken = mix.talking > 0.0 && rng.random_bool(SEEN_SPOKEN_SHARE);
        let (mut messages, mut perceived) = (Vec::new(), Perceived::default());
        let around = if rng.random_bool(AROUND_SHARE) { self.draw(spoken, mix.exchanges_max, None, rng).exchanges } else { Vec::new() };
        let place = rng.random_range(0..=around.len());
        // Typed questions are short; spoken ones in sum as long as a spoken conversation.
        let read_aloud = spoken && rng.random_bool(READ_ALOUD_SHARE);
        let further_max = match (case.video(), heard || spoken) {
            (true, _) => FURTHER_CLIP_MAX,
            (false, true) => SPOKEN_EXCHANGES_MAX - 1,
            (false, false) => FURTHER_MAX,
        };
        let further = rng.random_range(0..=further_max);
        for index in 0..=around.len() {
            if index == place {
                let items: Vec<Item> = self.perception.asked(&case, heard, &mut perceived, rng)?;
                messages.push(Message { role: Role::User, items });
                messages.push(if read_aloud { self.recited(rng) } else { self.answered(&case.answer, spoken) });
                for _ in 0..further {
                    let (question, answer) = case.further(rng);
                    messages.push(self.asked(&words(&question), heard, &mut perceived, rng)?);
                    messages.push(if read_aloud { self.recited(rng) } else { self.answered(&answer, spoken) });
                }
            }
            if let Some(exchange) = around.get(index) {
                messages.push(self.asked(&exchange.user, heard, &mut perceived, rng)?);
                messages.push(self.answered(&exchange.reply, spoken));
            }
        }
        let sample = self.sampler.sample(&messages, perceived, self.heard, PAIR)?;
        Ok(if read_aloud { sample.speech_alone() } else { sample })
    }

    /// A user's turn about nothing to be seen.
    ///
    /// # Errors
    /// When it cannot be rendered.
    pub fn asked(&self, sentence: &str, heard: bool, perceived: &mut Perceived, rng: &mut StdRng) -> Result<Message> {
        Ok(if heard { Message { role: Role::User, items: vec![self.perception.hear(sentence, perceived, rng)?] } } else { typed(sentence) })
    }

    fn recited(&self, rng: &mut StdRng) -> Message {
        let count = rng.random_range(1..=READ_ALOUD_MAX);
        self.replies.as_ref().expect("only spoken lessons are read aloud, and they have replies").recite(count, rng)
    }

    fn answered(&self, text: &str, spoken: bool) -> Message {
        let speech = if spoken { self.replies.as_ref().and_then(|replies| replies.say(text)) } else { None };
        speech.unwrap_or_else(|| answer(text))
    }
}
