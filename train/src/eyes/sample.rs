//! One unit as the ViT sees it, with what is in it: a still, or two pictures of a clip half a second apart.

use caracal_edge::vision::{Preprocessor, VisualUnit};
use rand::Rng;
use rand::rngs::StdRng;

use super::clip::{Clip, Direction, Event};
use super::draw::{draw_clip, draw_scene};
use super::questions::{clip_case, picture_case};
use super::scene::{OBJECTS_MAX, Object, Scene, Split, Variety};

/// Seconds between the two pictures of a unit.
const PAIR_SECONDS: f32 = 0.5;
/// Share of the units that come from clips.
const CLIPS: f64 = 0.4;
/// Share of the stills that one would ask about; the others are fuller, because each object teaches.
const ASKED: f64 = 0.4;
/// Share of the clips' units that begin anywhere instead of at a whole second: cameras know nothing of our seconds.
const ANYWHERE: f64 = 0.2;

/// What a unit shows.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The pictures as patch rows.
    pub unit: VisualUnit,
    /// Whether it is one picture, fused with itself.
    pub still: bool,
    /// What can be seen at its end, standing where it is on average.
    pub objects: Vec<Object>,
    /// How each object moves.
    pub motion: Vec<Option<Direction>>,
}

impl Sample {
    /// Any unit of this side of the wall.
    pub fn draw(rng: &mut StdRng, split: Split, preprocessor: &Preprocessor) -> Self {
        if rng.random_bool(CLIPS) {
            let (clip, _, _) = clip_case(rng, split);
            let last = clip.seconds as f32 - PAIR_SECONDS;
            let time = if rng.random_bool(ANYWHERE) { rng.random_range(0.0..=last) } else { rng.random_range(0..clip.seconds) as f32 };
            return Self::of_clip(&clip, [time, time + PAIR_SECONDS], preprocessor);
        }
        let scene = if rng.random_bool(ASKED) {
            picture_case(rng, split).0
        } else {
            let count = rng.random_range(2..=OBJECTS_MAX);
            Scene::draw(rng, split, count, Variety::Distinct, |_| true)
        };
        Self::of_scene(&scene, preprocessor)
    }

    /// The unit of a picture.
    ///
    /// # Panics
    /// Never: the limits of kitten's config leave room for drawn pictures.
    pub fn of_scene(scene: &Scene, preprocessor: &Preprocessor) -> Self {
        let unit = preprocessor.still(&draw_scene(scene)).expect("a drawn picture fits the size rule");
        Self { unit, still: true, objects: scene.objects.clone(), motion: vec![None; scene.objects.len()] }
    }

    /// The unit of two times of a clip, in seconds.
    ///
    /// # Panics
    /// As [`Sample::of_scene`].
    pub fn of_clip(clip: &Clip, times: [f32; 2], preprocessor: &Preprocessor) -> Self {
        let [first, second] = times.map(|time| draw_clip(clip, time));
        let unit = preprocessor.pair(&first, &second, 2).expect("drawn pictures fit the size rule");
        let mut objects = clip.objects_at(times[1]);
        let mut motion = vec![None; objects.len()];
        if let Event::Moves(direction, speed) = clip.event {
            let [dx, dy] = direction.step();
            let back = speed * (times[1] - times[0]) / 2.0;
            (objects[0].x, objects[0].y) = (objects[0].x - dx * back, objects[0].y - dy * back);
            motion[0] = Some(direction);
        }
        Self { unit, still: false, objects, motion }
    }
}
