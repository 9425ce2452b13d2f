//! Questions about pictures and clips, and what is the right answer.
//!
//! A question is written as speech is: small letters, no mark but a question mark at its end. An answer is a short
//! sentence without digits. Every kind of question can be asked in at least six ways.
//!
//! An answer looks before it judges: it names what is asked about, and what was found there comes after ("Left of the red
//! circle is nothing."). So the words that say where to look stand right before the word that needs it
//! (docs/decisions/0015).

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::clip::{Clip, Direction, Event};
use super::scene::{Colour, Object, Place, Scene, Shape, Size, Split, Variety};
use super::words::{Relation, differ, listed, plural, sentence, with_article};
use crate::domain::numbers::number;

/// Most shapes of a scene that is described: more would take too long to say.
const LISTED_MAX: usize = 3;
/// How much more often lessons ask for the longest lists: in them a shape may be named again instead of the next.
const LONG_LIST: f32 = 4.0;
/// By how many pixels a relation must hold to be asked for.
const PLAIN_DISTANCE: f32 = 30.0;

/// In which ways something is asked; `{a}` and `{b}` stand for what it is about.
type Ways = &'static [&'static str];

const WHAT: Ways = &[
    "what do you see?",
    "what can you see?",
    "what is in the picture?",
    "what does the camera show?",
    "tell me what you see",
    "describe the picture",
    "what is in front of you?",
    "which shapes are there?",
];
const HOW_MANY: Ways = &[
    "how many {a} do you see?",
    "how many {a} are there?",
    "how many {a} can you see?",
    "how many {a} are in the picture?",
    "count the {a}",
    "tell me how many {a} there are",
    "what is the number of {a}?",
];
const WHERE: Ways = &[
    "where is the {a}?",
    "where do you see the {a}?",
    "where in the picture is the {a}?",
    "tell me where the {a} is",
    "can you tell me where the {a} is?",
    "in which part of the picture is the {a}?",
    "can you find the {a}?",
];
const WHAT_IS_THERE: Ways = &[
    "what is {a}?",
    "what do you see {a}?",
    "which shape is {a}?",
    "what can you find {a}?",
    "tell me what is {a}",
    "is there anything {a}?",
];
const WHICH_COLOUR: Ways = &[
    "what colour is the {a}?",
    "which colour is the {a}?",
    "what colour does the {a} have?",
    "which colour does the {a} have?",
    "what is the colour of the {a}?",
    "tell me the colour of the {a}",
];
const WHICH_SHAPE: Ways = &[
    "which shape is {a}?",
    "what shape is {a}?",
    "what is the {a} shape?",
    "what is the {a} thing?",
    "what shape does the {a} thing have?",
    "tell me what the {a} thing is",
];
const BIGGER: Ways = &[
    "which is {a}?",
    "which one is {a}?",
    "which shape is {a}?",
    "what is {a}?",
    "which of the two is {a}?",
    "tell me which shape is {a}",
    "which thing is {a}?",
];
const BIGGER_OF: Ways = &[
    "which is bigger, the {a} or the {b}?",
    "which one is bigger, the {a} or the {b}?",
    "what is bigger, the {a} or the {b}?",
    "is the {a} or the {b} bigger?",
    "tell me which is bigger, the {a} or the {b}",
    "which shape is bigger, the {a} or the {b}?",
];
const IS_BIGGER: Ways = &[
    "is the {a} bigger than the {b}?",
    "is it true that the {a} is bigger than the {b}?",
    "tell me if the {a} is bigger than the {b}",
    "would you say the {a} is bigger than the {b}?",
    "do you think the {a} is bigger than the {b}?",
    "can you see if the {a} is bigger than the {b}?",
];
const IS_RELATED: Ways = &[
    "is the {a} {r} the {b}?",
    "do you see the {a} {r} the {b}?",
    "is it true that the {a} is {r} the {b}?",
    "tell me if the {a} is {r} the {b}",
    "would you say the {a} is {r} the {b}?",
    "can you see if the {a} is {r} the {b}?",
];
const WHAT_IS_RELATED: Ways = &[
    "what is {r} the {b}?",
    "which shape is {r} the {b}?",
    "what do you see {r} the {b}?",
    "what can you find {r} the {b}?",
    "tell me what is {r} the {b}",
    "which thing is {r} the {b}?",
];
const WHICH_WAY: Ways = &[
    "which way did the {a} move?",
    "where did the {a} go?",
    "in which direction did the {a} move?",
    "how did the {a} move?",
    "which way did the {a} go?",
    "tell me which way the {a} moved",
    "where did the {a} move?",
];
const WHAT_HAPPENED: Ways = &[
    "what happened?",
    "what happened in the video?",
    "tell me what happened",
    "what did you see happen?",
    "what did the video show?",
    "describe the video",
    "what was going on?",
];
const WHAT_CHANGED: Ways = &[
    "what changed?",
    "what changed in the video?",
    "did anything change?",
    "what changed and when?",
    "tell me what changed",
    "which change did you see?",
];
const WHEN: Ways = &[
    "when did the {a} {r}?",
    "at which second did the {a} {r}?",
    "at what second did the {a} {r}?",
    "in which second did the {a} {r}?",
    "can you tell me when the {a} {r}?",
    "tell me the second when the {a} {r}",
    "do you know when the {a} {r}?",
];

/// A question about a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PictureKind {
    /// What is there.
    What,
    /// How many, of all, of a shape, of a colour.
    HowMany,
    /// Where a shape is.
    Where,
    /// What is at a place.
    WhatIsThere,
    /// The colour of a shape.
    Colour,
    /// The shape of a colour.
    Shape,
    /// Which of two is bigger or smaller.
    Bigger,
    /// How two shapes lie to each other.
    Relation,
}

impl PictureKind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::What, Self::HowMany, Self::Where, Self::WhatIsThere, Self::Colour, Self::Shape, Self::Bigger, Self::Relation];

    /// Any of them.
    pub fn any(rng: &mut StdRng) -> Self {
        Self::ALL[rng.random_range(0..Self::ALL.len())]
    }

    /// A question of this kind with a scene that it can be asked about.
    pub fn case(self, rng: &mut StdRng, split: Split) -> (Scene, String, String) {
        let scene = self.scene(rng, split);
        let (question, answer) = self.ask(rng, &scene.objects);
        (scene, question, answer)
    }

    fn scene(self, rng: &mut StdRng, split: Split) -> Scene {
        let (variety, most) = match self {
            PictureKind::HowMany if rng.random_bool(0.7) => (Variety::Few, 6),
            PictureKind::HowMany => (Variety::Distinct, 6),
            PictureKind::What | PictureKind::Where | PictureKind::WhatIsThere => (Variety::Distinct, LISTED_MAX),
            PictureKind::Colour | PictureKind::Shape => (Variety::Unlike, LISTED_MAX),
            PictureKind::Bigger | PictureKind::Relation => (Variety::Unlike, 2),
        };
        let count = if most == 2 { 2 } else { rng.random_range(1..=most) };
        Scene::draw(rng, split, count, variety, |objects| self.fits(objects))
    }

    /// Whether this can be asked about these shapes, so that one answer is right.
    fn fits(self, objects: &[Object]) -> bool {
        let pairs = || objects.iter().enumerate().flat_map(|(index, a)| objects[..index].iter().map(move |b| (a, b)));
        let distinct = || pairs().all(|(a, b)| a.shape != b.shape || a.colour != b.colour);
        let unlike = || pairs().all(|(a, b)| a.shape != b.shape && a.colour != b.colour);
        match self {
            PictureKind::HowMany => true,
            PictureKind::What | PictureKind::Where | PictureKind::WhatIsThere => objects.len() <= LISTED_MAX && distinct(),
            PictureKind::Colour | PictureKind::Shape => objects.len() <= LISTED_MAX && unlike(),
            PictureKind::Bigger => objects.len() == 2 && unlike() && objects[0].size != objects[1].size,
            PictureKind::Relation => objects.len() == 2 && unlike() && !plain_relations(&objects[0], &objects[1]).is_empty(),
        }
    }

    /// How often lessons ask it: what goes wrong often more often than what does not. Looked up by shape and colour at once, or
    /// counted, is harder than read off one row.
    fn often_learnt(self) -> f32 {
        match self {
            PictureKind::Shape => 0.7,
            PictureKind::What | PictureKind::Colour | PictureKind::Bigger => 1.0,
            PictureKind::WhatIsThere | PictureKind::Relation => 1.5,
            PictureKind::Where => 4.0,
            PictureKind::HowMany => 8.0,
        }
    }

    /// Any of them, as often as lessons ask it.
    pub fn learnt(rng: &mut StdRng) -> Self {
        *Self::ALL.choose_weighted(rng, |kind| kind.often_learnt()).expect("the weights are positive")
    }

    /// Any question that a lesson asks about these shapes, and its answer.
    pub fn learnt_about(rng: &mut StdRng, objects: &[Object]) -> (String, String) {
        let kinds: Vec<Self> = Self::ALL.into_iter().filter(|kind| kind.fits(objects)).collect();
        let long = |kind: Self| kind == Self::What && objects.len() == LISTED_MAX;
        let often = |kind: &Self| kind.often_learnt() * if long(*kind) { LONG_LIST } else { 1.0 };
        kinds.choose_weighted(rng, often).expect("they can always be counted").ask(rng, objects)
    }

    fn ask(self, rng: &mut StdRng, objects: &[Object]) -> (String, String) {
        let any = &objects[rng.random_range(0..objects.len())];
        match self {
            PictureKind::What => (way(rng, WHAT, &[]), format!("I see {}.", listed(objects))),
            PictureKind::HowMany => how_many(rng, objects),
            PictureKind::Where => {
                let (name, place) = (short_name(rng, any, objects), any.place.word());
                (way(rng, WHERE, &[("{a}", &name)]), format!("The {} is {place}.", any.name()))
            }
            PictureKind::WhatIsThere => {
                let place = if rng.random_bool(0.8) { any.place } else { Place::any(rng) };
                let found = objects.iter().find(|object| object.place == place);
                (way(rng, WHAT_IS_THERE, &[("{a}", place.word())]), found_at(place.word(), found))
            }
            PictureKind::Colour => {
                let (shape, colour) = (any.shape.word(), any.colour.word());
                (way(rng, WHICH_COLOUR, &[("{a}", shape)]), format!("The {shape} is {colour}."))
            }
            PictureKind::Shape => {
                let (shape, colour) = (any.shape.word(), any.colour.word());
                (way(rng, WHICH_SHAPE, &[("{a}", colour)]), format!("The {colour} shape is a {shape}."))
            }
            PictureKind::Bigger => bigger(rng, objects),
            PictureKind::Relation => relation(rng, objects),
        }
    }
}

/// A picture, a question about it, and the answer.
pub fn picture_case(rng: &mut StdRng, split: Split) -> (Scene, String, String) {
    PictureKind::any(rng).case(rng, split)
}

/// A question about a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClipKind {
    /// Which way a shape moved.
    Direction,
    /// What happened, whatever it was.
    Happened,
    /// What changed, at which second.
    Changed,
    /// At which second a change happened.
    When,
}

impl ClipKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Direction, Self::Happened, Self::Changed, Self::When];

    /// Any of them.
    pub fn any(rng: &mut StdRng) -> Self {
        Self::ALL[rng.random_range(0..Self::ALL.len())]
    }

    /// Any of them, as often as lessons ask it: which way something moves stands in every row of it, a change in one unit.
    pub fn learnt(rng: &mut StdRng) -> Self {
        let often = |kind: &Self| if *kind == Self::Direction { 0.4 } else { 1.0 };
        *Self::ALL.choose_weighted(rng, often).expect("the weights are positive")
    }

    /// A question of this kind with a clip that it can be asked about.
    pub fn case(self, rng: &mut StdRng, split: Split) -> (Clip, String, String) {
        let event = self.event(rng, split);
        let clip = Clip::draw(rng, split, event);
        let (question, answer) = self.ask(rng, &clip);
        (clip, question, answer)
    }

    /// The kind of what happens; its details are drawn with the clip. Training shows more changes of colour (what comes or
    /// goes is told by which pictures have it, too, a change of colour by its own moment alone) and more clips in which
    /// nothing happens.
    fn event(self, rng: &mut StdRng, split: Split) -> Event {
        let turns = Event::Turns(Colour::Red, 0);
        let (changes, nothing) = match split {
            Split::Train => (&[turns, Event::Appears(0), Event::Disappears(0), turns, turns][..], 2),
            Split::HeldOut => (&[turns, Event::Appears(0), Event::Disappears(0)][..], 1),
        };
        let moves = Event::Moves(Direction::Left, 0.0);
        let change = changes[rng.random_range(0..changes.len())];
        match (self, rng.random_range(0..10)) {
            (ClipKind::Direction, _) => moves,
            (ClipKind::When, _) => change,
            (ClipKind::Happened | ClipKind::Changed, chance) if chance < nothing => Event::Nothing,
            (ClipKind::Happened, ..=4) => moves,
            (ClipKind::Happened | ClipKind::Changed, _) => change,
        }
    }

    /// Any question about this clip, and its answer.
    pub fn any_about(rng: &mut StdRng, clip: &Clip) -> (String, String) {
        let fits = |kind: &Self| match (kind, clip.event) {
            (ClipKind::Direction, event) => matches!(event, Event::Moves(..)),
            (ClipKind::When, event) => event.second().is_some(),
            (ClipKind::Happened, _) => true,
            (ClipKind::Changed, event) => !matches!(event, Event::Moves(..)),
        };
        let kinds: Vec<Self> = Self::ALL.into_iter().filter(fits).collect();
        kinds[rng.random_range(0..kinds.len())].ask(rng, clip)
    }

    fn ask(self, rng: &mut StdRng, clip: &Clip) -> (String, String) {
        let shape = clip.objects[0].shape.word();
        match self {
            ClipKind::Direction => match clip.objects.get(1) {
                Some(other) if rng.random_bool(0.15) => {
                    let still = other.shape.word();
                    (way(rng, WHICH_WAY, &[("{a}", still)]), format!("The {still} did not move."))
                }
                _ => (way(rng, WHICH_WAY, &[("{a}", shape)]), told(clip)),
            },
            ClipKind::Happened => (way(rng, WHAT_HAPPENED, &[]), told(clip)),
            ClipKind::Changed => (way(rng, WHAT_CHANGED, &[]), told(clip)),
            ClipKind::When => {
                // The last three ways are no inverted questions and need the past tense.
                let index = rng.random_range(0..WHEN.len());
                let past = index >= 4;
                let verb = match clip.event {
                    Event::Turns(colour, _) => format!("{} {}", if past { "turned" } else { "turn" }, colour.word()),
                    Event::Appears(_) => if past { "appeared" } else { "appear" }.to_string(),
                    _ => if past { "disappeared" } else { "disappear" }.to_string(),
                };
                (filled(WHEN[index], &[("{a}", shape), ("{r}", &verb)]), told(clip))
            }
        }
    }
}

/// A clip, a question about it, and the answer.
pub fn clip_case(rng: &mut StdRng, split: Split) -> (Clip, String, String) {
    ClipKind::any(rng).case(rng, split)
}

/// What happens in a clip, in one sentence.
fn told(clip: &Clip) -> String {
    let shape = clip.objects[0].shape.word();
    let at = |second: u32| format!("at second {}", number(second as i32));
    match clip.event {
        Event::Nothing => "Nothing changed.".to_string(),
        Event::Moves(direction, _) => format!("The {shape} moved {}.", direction.word()),
        Event::Turns(colour, second) => format!("The {shape} turned {} {}.", colour.word(), at(second)),
        Event::Appears(second) => sentence(&format!("{} appeared {}.", with_article(&clip.objects[0].name()), at(second))),
        Event::Disappears(second) => format!("The {shape} disappeared {}.", at(second)),
    }
}

/// One of the ways with its places filled.
fn way(rng: &mut StdRng, ways: Ways, fill: &[(&str, &str)]) -> String {
    filled(ways[rng.random_range(0..ways.len())], fill)
}

fn filled(way: &str, fill: &[(&str, &str)]) -> String {
    fill.iter().fold(way.to_string(), |text, (place, word)| text.replace(place, word))
}

/// A name that fits no other object: its colour and shape, or one of them where that is enough.
fn short_name(rng: &mut StdRng, object: &Object, objects: &[Object]) -> String {
    let alone = |same: &dyn Fn(&Object) -> bool| objects.iter().filter(|o| same(o)).count() == 1;
    match rng.random_range(0..4) {
        0 if alone(&|o| o.shape == object.shape) => object.shape.word().to_string(),
        1 if alone(&|o| o.colour == object.colour) => format!("{} shape", object.colour.word()),
        _ => object.name(),
    }
}

fn how_many(rng: &mut StdRng, objects: &[Object]) -> (String, String) {
    let any = &objects[rng.random_range(0..objects.len())];
    let (counted, name) = match rng.random_range(0..5) {
        0 | 1 => (objects.len(), "shapes".to_string()),
        2 | 3 => {
            let shape = if rng.random_bool(0.9) { any.shape } else { Shape::any(rng) };
            (objects.iter().filter(|o| o.shape == shape).count(), plural(shape))
        }
        _ => {
            let colour = if rng.random_bool(0.9) { any.colour } else { Colour::any(rng) };
            (objects.iter().filter(|o| o.colour == colour).count(), format!("{} shapes", colour.word()))
        }
    };
    (way(rng, HOW_MANY, &[("{a}", &name)]), format!("The number of {name} is {}.", number(counted as i32)))
}

fn bigger(rng: &mut StdRng, objects: &[Object]) -> (String, String) {
    let large = usize::from(objects[1].size == Size::Large);
    let (large, small) = (objects[large].name(), objects[1 - large].name());
    let (a, b) = if rng.random_bool(0.5) { (&large, &small) } else { (&small, &large) };
    let names = [("{a}", a.as_str()), ("{b}", b.as_str())];
    match rng.random_range(0..4) {
        0 => (way(rng, BIGGER, &[("{a}", "bigger")]), format!("The {large} is bigger.")),
        1 => (way(rng, BIGGER, &[("{a}", "smaller")]), format!("The {small} is smaller.")),
        2 => (way(rng, BIGGER_OF, &names), format!("The {large} is bigger.")),
        _ => (way(rng, IS_BIGGER, &names), format!("The {large} is bigger.")),
    }
}

/// What can be asked about two shapes: relations that hold plainly, or whose opposites do.
pub(super) fn plain_relations(a: &Object, b: &Object) -> Vec<Relation> {
    let plain = |relation: &Relation| differ(a.place, b.place, *relation) && relation.distance(a, b).abs() >= PLAIN_DISTANCE;
    Relation::ALL.into_iter().filter(plain).collect()
}

fn relation(rng: &mut StdRng, objects: &[Object]) -> (String, String) {
    let first = rng.random_range(0..2);
    let (a, b) = (&objects[first], &objects[1 - first]);
    let possible = plain_relations(a, b);
    let asked = possible[rng.random_range(0..possible.len())];
    let holds = asked.distance(a, b) > 0.0;
    let (name_a, name_b) = (a.name(), b.name());
    let fill = [("{a}", name_a.as_str()), ("{b}", name_b.as_str()), ("{r}", asked.word())];
    if rng.random_bool(0.5) {
        let true_one = if holds { asked } else { asked.opposite() };
        return (way(rng, IS_RELATED, &fill), format!("The {name_a} is {} the {name_b}.", true_one.word()));
    }
    (way(rng, WHAT_IS_RELATED, &fill), found_at(&format!("{} the {name_b}", asked.word()), holds.then_some(a)))
}

/// What was found at a place, or beside a shape.
fn found_at(place: &str, found: Option<&Object>) -> String {
    let found = found.map_or("nothing".to_string(), |object| with_article(&object.name()));
    sentence(&format!("{place} is {found}."))
}

#[cfg(test)]
mod tests;
