//! Scenes and clips as the language model gets them: patches of the shipped, frozen ViT, which its projector makes rows of,
//! with the times of their units.
//!
//! The language model is trained on exactly what it will see: the pictures go through the preprocessing, the encoder
//! file and the arithmetic of inference. A clip is looked at as a live camera sees it, or as the sampling rule for a
//! recording spreads its pictures.

use std::path::Path;

use anyhow::Result;
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::vision::{self, InterleavedOptions, Preprocessor, RopeTable, VisionEncoder, sample_interleaved};
use rand::Rng;
use rand::rngs::StdRng;

use super::clip::Clip;
use super::draw::{draw_clip, draw_scene};
use super::network::{OUTPUT, PAIR};
use super::questions::{ClipKind, PictureKind};
use super::scene::{Object, Scene, Split};

/// Pictures a second of a clip that is stored as a file.
pub const FILE_RATE: f64 = 25.0;
/// Share of the clips that are seen as files; the rest comes from a live camera.
const FILES: f64 = 0.3;

/// One unit as the ViT sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenUnit {
    /// What its timestamp says; a still has none to say.
    pub seconds: f64,
    /// `[tokens, PAIR]`, row-major: two patches for each row of the prompt.
    pub patches: Vec<f32>,
}

impl SeenUnit {
    /// Rows that it takes in the prompt.
    pub fn tokens(&self) -> u32 {
        (self.patches.len() / PAIR) as u32
    }
}

/// What a picture or a clip shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Shapes.
    Scene(Vec<Object>),
    /// Shapes to which something happens.
    Clip(Clip),
}

/// A question about something seen.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenCase {
    /// One unit of a still, or all of a clip.
    pub units: Vec<SeenUnit>,
    /// What is seen.
    pub shown: Shown,
    /// What is asked.
    pub question: String,
    /// What is answered.
    pub answer: String,
}

impl SeenCase {
    /// Whether it is a clip: its units carry timestamps.
    pub fn video(&self) -> bool {
        matches!(self.shown, Shown::Clip(_))
    }

    /// Another question about the same, and its answer.
    pub fn further(&self, rng: &mut StdRng) -> (String, String) {
        match &self.shown {
            Shown::Scene(objects) => PictureKind::learnt_about(rng, objects),
            Shown::Clip(clip) => ClipKind::any_about(rng, clip),
        }
    }
}

/// Preprocessing and encoder of a model.
pub struct Sight {
    encoder: VisionEncoder,
    preprocessor: Preprocessor,
}

impl Sight {
    /// The eyes of the model in `folder`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or made for a language model of another width.
    pub fn open(folder: &Path) -> Result<Self> {
        let (encoder, config) = VisionEncoder::open(folder, OUTPUT, &Device::flex(), DType::F32, RopeTable::Demo)?;
        Ok(Self { encoder, preprocessor: Preprocessor::new(&config.preprocess) })
    }

    /// The unit of a picture.
    ///
    /// # Errors
    /// When the config leaves no room for a drawn picture.
    pub fn still(&self, scene: &Scene) -> Result<SeenUnit> {
        let unit = self.preprocessor.still(&draw_scene(scene))?;
        Ok(SeenUnit { seconds: 0.0, patches: self.patches(&unit) })
    }

    /// The units of a clip, given each unit's second and the times of its two pictures ([`live_times`],
    /// [`file_times`]).
    ///
    /// # Errors
    /// As [`Sight::still`].
    pub fn clip(&self, clip: &Clip, times: &[(f64, [f32; 2])]) -> Result<Vec<SeenUnit>> {
        let unit = |(seconds, pair): &(f64, [f32; 2])| {
            let [first, second] = pair.map(|time| draw_clip(clip, time));
            let unit = self.preprocessor.pair(&first, &second, 2 * times.len())?;
            Ok(SeenUnit { seconds: *seconds, patches: self.patches(&unit) })
        };
        times.iter().map(unit).collect()
    }

    /// A question about a picture.
    ///
    /// # Errors
    /// As [`Sight::still`].
    pub fn picture_case(&self, rng: &mut StdRng, split: Split) -> Result<SeenCase> {
        self.picture(PictureKind::any(rng), rng, split)
    }

    /// A question of one kind about a picture.
    ///
    /// # Errors
    /// As [`Sight::still`].
    pub fn picture(&self, kind: PictureKind, rng: &mut StdRng, split: Split) -> Result<SeenCase> {
        let (scene, question, answer) = kind.case(rng, split);
        Ok(SeenCase { units: vec![self.still(&scene)?], shown: Shown::Scene(scene.objects), question, answer })
    }

    /// A question about a clip.
    ///
    /// # Errors
    /// As [`Sight::still`].
    pub fn clip_case(&self, rng: &mut StdRng, split: Split) -> Result<SeenCase> {
        self.video(ClipKind::any(rng), rng, split)
    }

    /// A question of one kind about a clip.
    ///
    /// # Errors
    /// As [`Sight::still`].
    pub fn video(&self, kind: ClipKind, rng: &mut StdRng, split: Split) -> Result<SeenCase> {
        let (clip, question, answer) = kind.case(rng, split);
        let times = if rng.random_bool(FILES) { file_times(&clip) } else { live_times(&clip) };
        Ok(SeenCase { units: self.clip(&clip, &times)?, shown: Shown::Clip(clip), question, answer })
    }

    /// The rows of a unit for the language model, `[tokens, OUTPUT]`. No pooling: kitten's limits hold a whole context of full
    /// units (see its `max_tokens_video`).
    pub fn rows(&self, unit: &SeenUnit) -> Vec<f32> {
        let patches = [2 * unit.patches.len() / PAIR, PAIR / 2];
        values(self.encoder.project(Tensor::from_data(TensorData::new(unit.patches.clone(), patches), (&Device::flex(), DType::F32))))
    }

    fn patches(&self, unit: &vision::VisualUnit) -> Vec<f32> {
        values(self.encoder.patches(&[unit]))
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("the encoder computes in f32")
}

/// As a live camera delivers a clip: each second its start and its middle, stamped with the second.
pub fn live_times(clip: &Clip) -> Vec<(f64, [f32; 2])> {
    clip.live_times().into_iter().map(|times| (f64::from(times[0]), times)).collect()
}

/// As the sampling rule for interleaved items spreads the pictures of a file of [`FILE_RATE`].
///
/// # Panics
/// Never: clips are long enough for the rule.
pub fn file_times(clip: &Clip) -> Vec<(f64, [f32; 2])> {
    let file = vision::Clip { frames: (f64::from(clip.seconds) * FILE_RATE) as u64, fps: FILE_RATE };
    let (plan, _) = sample_interleaved(file, &InterleavedOptions::default()).expect("a clip of several seconds");
    let time = |index: i64| (index as f64 / FILE_RATE) as f32;
    let pairs = plan.indices.chunks(2).map(|pair| [time(pair[0]), time(pair[1])]);
    plan.seconds.iter().copied().zip(pairs).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::eyes::clip::{Event, SECONDS};
    use crate::eyes::scene::Colour;

    #[test]
    fn a_change_is_first_shown_by_the_unit_of_its_second_live_and_from_a_file() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut between = 0;
        for _ in 0..200 {
            let clip = Clip::draw(&mut rng, Split::Train, Event::Turns(Colour::Red, 0));
            let (second, moment) = (clip.event.second().unwrap(), clip.moment().unwrap());
            for times in [live_times(&clip), file_times(&clip)] {
                assert_eq!(times.len(), clip.seconds as usize);
                assert!((SECONDS[0]..=SECONDS[1]).contains(&clip.seconds));
                let shown = times.iter().position(|(_, [_, last])| *last >= moment).unwrap();
                assert_eq!(shown, second as usize);
                assert_eq!(times[shown].0.floor(), f64::from(second));
                assert!(times[shown - 1].1[1] < second as f32);
                between += usize::from(times[shown].1[0] < moment);
            }
        }
        assert!((230..330).contains(&between), "{between} of 400 pairs see it happen");
    }
}
