//! One unit as the ViT sees it, with what is in it: a still, or two pictures of a clip half a second apart.

use caracal_edge::vision::{Preprocessor, VisualUnit};
use rand::Rng;
use rand::rngs::StdRng;

use super::clip::{Clip, Event, Happening};
use super::draw::{draw_clip, draw_scene};
use super::questions::{clip_case, picture_case};
use super::scene::{OBJECTS_MAX, Object, Scene, Split, Variety};

/// Seconds between the two pictures of a unit.
const PAIR_SECONDS: f32 = 0.5;
/// Share of the units that come from clips.
const CLIPS: f64 = 0.4;
/// Share of the stills that one would ask about; the others are fuller, because each object teaches ...
const ASKED: f64 = 0.4;
/// ... and a share of those holds several of one shape or colour, to be counted.
const ALIKE: f64 = 0.5;
/// Share of the clips' units that show the change, where there is one.
const CHANGING: f64 = 0.4;
/// Share of the clips' units that begin anywhere instead of at a whole second: cameras know nothing of our seconds.
const ANYWHERE: f64 = 0.2;

/// What a unit shows.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The pictures as patch rows.
    pub unit: VisualUnit,
    /// Whether it is one picture, fused with itself.
    pub still: bool,
    /// What can be seen, as it is at the end, standing where it is on average.
    pub objects: Vec<Object>,
    /// What happens to each object.
    pub happening: Vec<Option<Happening>>,
}

impl Sample {
    /// Any unit of this side of the wall.
    pub fn draw(rng: &mut StdRng, split: Split, preprocessor: &Preprocessor) -> Self {
        if rng.random_bool(CLIPS) {
            let (clip, _, _) = clip_case(rng, split);
            let last = clip.seconds as f32 - PAIR_SECONDS;
            let time = match clip.event.second() {
                Some(second) if rng.random_bool(CHANGING) => second as f32,
                _ if rng.random_bool(ANYWHERE) => rng.random_range(0.0..=last),
                _ => rng.random_range(0..clip.seconds) as f32,
            };
            return Self::of_clip(&clip, [time, time + PAIR_SECONDS], preprocessor);
        }
        let scene = if rng.random_bool(ASKED) {
            picture_case(rng, split).0
        } else {
            let count = rng.random_range(2..=OBJECTS_MAX);
            let variety = if rng.random_bool(ALIKE) { Variety::Few } else { Variety::Distinct };
            Scene::draw(rng, split, count, variety, |_| true)
        };
        Self::of_scene(&scene, preprocessor)
    }

    /// The unit of a picture.
    ///
    /// # Panics
    /// Never: the limits of kitten's config leave room for drawn pictures.
    pub fn of_scene(scene: &Scene, preprocessor: &Preprocessor) -> Self {
        let unit = preprocessor.still(&draw_scene(scene)).expect("a drawn picture fits the size rule");
        Self { unit, still: true, objects: scene.objects.clone(), happening: vec![None; scene.objects.len()] }
    }

    /// The unit of two times of a clip, in seconds.
    ///
    /// # Panics
    /// As [`Sample::of_scene`].
    pub fn of_clip(clip: &Clip, times: [f32; 2], preprocessor: &Preprocessor) -> Self {
        let [first, second] = times.map(|time| draw_clip(clip, time));
        let unit = preprocessor.pair(&first, &second, 2).expect("drawn pictures fit the size rule");
        // What moves stands where it is on average.
        let moves = matches!(clip.event, Event::Moves(..));
        let mut objects = clip.objects_at(if moves { (times[0] + times[1]) / 2.0 } else { times[1] });
        let happens = clip.happening(times);
        if happens == Some(Happening::Disappears) {
            objects.insert(0, clip.objects[0].clone());
        }
        let mut happening = vec![None; objects.len()];
        if let Some(first) = happening.first_mut() {
            *first = happens;
        }
        Self { unit, still: false, objects, happening }
    }

    /// How many objects there are at the end.
    pub fn count(&self) -> usize {
        self.happening.iter().filter(|happening| **happening != Some(Happening::Disappears)).count()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::network::config;
    use super::super::scene::Colour;
    use super::*;

    #[test]
    fn a_pair_of_pictures_around_a_change_shows_it_and_the_next_one_what_came_of_it() {
        let mut rng = StdRng::seed_from_u64(3);
        let preprocessor = Preprocessor::new(&config().preprocess);
        for (event, happening) in [
            (Event::Turns(Colour::Red, 0), Happening::Turns),
            (Event::Appears(0), Happening::Appears),
            (Event::Disappears(0), Happening::Disappears),
        ] {
            let clip = Clip::draw(&mut rng, Split::Train, event);
            let moment = clip.moment().expect("it changes");
            let around = Sample::of_clip(&clip, [moment - 0.1, moment + 0.1], &preprocessor);
            let after = Sample::of_clip(&clip, [moment + 0.1, moment + 0.6], &preprocessor);
            let before = Sample::of_clip(&clip, [moment - 0.6, moment - 0.1], &preprocessor);
            assert_eq!(around.happening[0], Some(happening));
            assert!(after.happening.iter().chain(&before.happening).all(Option::is_none));
            assert_eq!(around.objects.len(), clip.objects.len(), "what goes or comes is seen in one of the two");
            assert_eq!(around.count(), after.objects.len());
            assert_ne!(before.objects, after.objects);
            if let Event::Turns(colour, _) = clip.event {
                assert_eq!(around.objects[0].colour, colour);
            }
        }
    }
}
