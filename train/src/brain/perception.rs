//! What kitten hears and sees while its language model learns: the frozen encoders at work.
//!
//! Rendering and encoding takes longer than learning from it, so utterances ([`Heard`]) and scenes are kept and come back
//! in other conversations; now and then a kept scene is replaced. Of a kept scene something else is asked each time.

use std::sync::Arc;

use anyhow::Result;
use caracal_shared::prompt::{Item, VideoUnit};
use caracal_shared::rates::{DENSE_CHUNK_MS, SECOND_MS};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::sample::Perceived;
use crate::ears::heard::Heard;
use crate::eyes::features::{SeenCase, Sight};
use crate::eyes::questions::{ClipKind, PictureKind};
use crate::eyes::scene::Split;

/// Scenes and clips that are kept.
const SEEN: usize = 10_000;
/// Share of lessons about a new one when so many are kept.
const NEW: f64 = 0.05;
/// Share of questions about clips.
const CLIPS: f64 = 0.35;

/// Ears, eyes and what they have perceived.
pub struct Perception {
    heard: Option<Heard>,
    sight: Option<Sight>,
    seen: Vec<SeenCase>,
}

impl Perception {
    /// Ears and eyes as far as they are trained.
    pub fn new(heard: Option<Heard>, sight: Option<Sight>) -> Self {
        Self { heard, sight, seen: Vec::new() }
    }

    /// The ears.
    ///
    /// # Panics
    /// Without them.
    pub fn ears(&self) -> &Heard {
        self.heard.as_ref().expect("there are ears")
    }

    /// A sentence as training hears it, appended to `perceived`; the item that stands for it.
    ///
    /// # Errors
    /// When it cannot be rendered.
    ///
    /// # Panics
    /// Without ears.
    pub fn hear(&self, sentence: &str, perceived: &mut Perceived, rng: &mut StdRng) -> Result<Item> {
        let (rows, tokens) = self.take(sentence, rng)?;
        perceived.audio.extend_from_slice(&rows);
        Ok(Item::Audio { tokens })
    }

    fn take(&self, sentence: &str, rng: &mut StdRng) -> Result<(Arc<[f32]>, u32)> {
        let heard = self.ears();
        let rows = heard.of_training(sentence, rng)?;
        let tokens = (rows.len() / heard.ears().width()) as u32;
        Ok((rows, tokens))
    }

    /// A question about something seen: a new one until there are many, then mostly one that is kept.
    ///
    /// # Errors
    /// When it cannot be drawn.
    ///
    /// # Panics
    /// Without eyes.
    pub fn see(&mut self, rng: &mut StdRng) -> Result<SeenCase> {
        if self.seen.len() >= SEEN && !rng.random_bool(NEW) {
            let mut case = self.seen.choose(rng).expect("there are some").clone();
            (case.question, case.answer) = case.further(rng);
            return Ok(case);
        }
        let eyes = self.eyes();
        let case = if rng.random_bool(CLIPS) {
            eyes.video(ClipKind::learnt(rng), rng, Split::Train)?
        } else {
            eyes.picture(PictureKind::learnt(rng), rng, Split::Train)?
        };
        if self.seen.len() < SEEN {
            self.seen.push(case.clone());
        } else {
            let place = rng.random_range(0..SEEN);
            self.seen[place] = case.clone();
        }
        Ok(case)
    }

    /// A question about something of the evaluation.
    ///
    /// # Errors
    /// When it cannot be drawn.
    ///
    /// # Panics
    /// Without eyes.
    pub fn unseen(&self, rng: &mut StdRng) -> Result<SeenCase> {
        if rng.random_bool(CLIPS) { self.eyes().clip_case(rng, Split::HeldOut) } else { self.eyes().picture_case(rng, Split::HeldOut) }
    }

    /// The eyes.
    ///
    /// # Panics
    /// Without them.
    pub fn eyes(&self) -> &Sight {
        self.sight.as_ref().expect("there are eyes")
    }

    /// The items of a question about `case`, spoken or typed, in one of the orders that a session or a file gives
    /// them: a picture or a clip first, or pictures of the scene between the sound.
    ///
    /// # Errors
    /// When the question cannot be rendered.
    pub fn asked(&self, case: &SeenCase, spoken: bool, perceived: &mut Perceived, rng: &mut StdRng) -> Result<Vec<Item>> {
        let unit = |unit: &crate::eyes::features::SeenUnit| VideoUnit { seconds: unit.seconds, tokens: unit.tokens() };
        let words = crate::domain::conversation::words(&case.question);
        if !spoken {
            perceived.image.extend(case.units.iter().flat_map(|unit| unit.patches.clone()));
            let seen = if case.video() {
                Item::Video(case.units.iter().map(unit).collect())
            } else {
                Item::Image { tokens: case.units[0].tokens() }
            };
            let text = if rng.random_bool(0.5) { words } else { super::tokenizer_file::written(&words) };
            return Ok(vec![seen, Item::Text(text)]);
        }
        let (rows, audio) = self.take(&words, rng)?;
        perceived.audio.extend_from_slice(&rows);
        if !case.video() && rng.random_bool(0.6) {
            // A live session: the scene stands still while it is asked about, one unit a second and some before.
            let seconds = (audio as usize * 2).div_ceil(25);
            let (before, start) = (rng.random_range(0..=2), f64::from(rng.random_range(0..30)));
            let units: Vec<VideoUnit> =
                (0..before + seconds).map(|index| VideoUnit { seconds: start + index as f64, tokens: case.units[0].tokens() }).collect();
            units.iter().for_each(|_| perceived.image.extend(case.units[0].patches.clone()));
            let strategy = caracal_shared::prompt::Strategy::Sequential { chunk_ms: DENSE_CHUNK_MS, unit_ms: SECOND_MS };
            return Ok(vec![Item::Interleaved { units, audio, strategy }]);
        }
        perceived.image.extend(case.units.iter().flat_map(|unit| unit.patches.clone()));
        let seen =
            if case.video() { Item::Video(case.units.iter().map(unit).collect()) } else { Item::Image { tokens: case.units[0].tokens() } };
        Ok(vec![seen, Item::Audio { tokens: audio }])
    }
}
