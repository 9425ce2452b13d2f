//! What a short video shows: a scene in which at most one thing happens.
//!
//! A change happens in the first half of a second, so that the unit of that second is the first to show it, whether the
//! pictures come from a live camera (two in each second) or are spread over a recording ([`Clip::second_shown`]). Mostly it
//! falls between the two pictures of that unit, so that the eyes see it happen.

use rand::Rng;
use rand::rngs::StdRng;

use super::scene::{Colour, Look, Object, Place, SIDE, Split, Variety, describe, draw_objects};

/// Fewest and most seconds of a clip.
pub const SECONDS: [u32; 2] = [3, 6];
/// Shortest and longest way of a moving shape in pixels, over the whole clip.
const WAY: [f32; 2] = [95.0, 140.0];
/// How long after the beginning of its second a change happens at most.
const DELAY_MAX: f32 = 0.45;
/// Least distance of a shape from the edge of the picture.
const EDGE: f32 = 4.0;

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Upwards.
    Up,
    /// Downwards.
    Down,
}

impl Direction {
    /// All of them, in the order of their indices.
    pub const ALL: [Self; 4] = [Self::Left, Self::Right, Self::Up, Self::Down];

    /// How it is said after "moved".
    pub fn word(self) -> &'static str {
        match self {
            Direction::Left => "to the left",
            Direction::Right => "to the right",
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }

    /// One step that way, to the right and downwards.
    pub fn step(self) -> [f32; 2] {
        match self {
            Direction::Left => [-1.0, 0.0],
            Direction::Right => [1.0, 0.0],
            Direction::Up => [0.0, -1.0],
            Direction::Down => [0.0, 1.0],
        }
    }
}

/// What a pair of pictures shows to happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It moves.
    Moves(Direction),
    /// It has another colour in the second picture.
    Turns,
    /// It is in the second picture alone.
    Appears,
    /// It is in the first picture alone.
    Disappears,
}

impl Happening {
    /// How many there are.
    pub const COUNT: usize = Direction::ALL.len() + 3;

    /// Below [`Happening::COUNT`].
    pub fn index(self) -> usize {
        match self {
            Happening::Moves(direction) => direction as usize,
            Happening::Turns => Direction::ALL.len(),
            Happening::Appears => Direction::ALL.len() + 1,
            Happening::Disappears => Direction::ALL.len() + 2,
        }
    }
}

/// What happens, always to the first object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Nothing.
    Nothing,
    /// It moves all the time, by so many pixels a second.
    Moves(Direction, f32),
    /// In this second it takes another colour.
    Turns(Colour, u32),
    /// In this second it is there for the first time.
    Appears(u32),
    /// In this second it goes.
    Disappears(u32),
}

impl Event {
    /// The second of a change.
    pub fn second(self) -> Option<u32> {
        match self {
            Event::Turns(_, second) | Event::Appears(second) | Event::Disappears(second) => Some(second),
            Event::Nothing | Event::Moves(..) => None,
        }
    }
}

/// A short video.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// One or two unlike shapes; the event happens to the first. Places are those at the start.
    pub objects: Vec<Object>,
    /// What happens.
    pub event: Event,
    /// Length in seconds.
    pub seconds: u32,
    /// How it is recorded.
    pub look: Look,
}

impl Clip {
    /// A clip on this side of the wall in which something of the kind of `event` happens: direction, speed, colour and
    /// second are drawn anew.
    pub fn draw(rng: &mut StdRng, split: Split, event: Event) -> Self {
        loop {
            let count = rng.random_range(1..=2);
            let Some(mut objects) = draw_objects(rng, count, Variety::Unlike) else { continue };
            let first = rng.random_range(0..count);
            objects.swap(0, first);
            let seconds = rng.random_range(SECONDS[0]..=SECONDS[1]);
            let second = rng.random_range(1..seconds);
            let event = match event {
                Event::Nothing => Event::Nothing,
                Event::Moves(..) => {
                    let direction = Direction::ALL[rng.random_range(0..4)];
                    Event::Moves(direction, rng.random_range(WAY[0]..=WAY[1]) / seconds as f32)
                }
                Event::Turns(..) => Event::Turns(Colour::any(rng), second),
                Event::Appears(_) => Event::Appears(second),
                Event::Disappears(_) => Event::Disappears(second),
            };
            let clip = Self { objects, event, seconds, look: Look::draw(rng, split) };
            if clip.is_plain() && Split::of(&clip.description()) == split {
                return clip;
            }
        }
    }

    /// Whether everything stays inside the picture and clear of the rest, and a new colour is a new one.
    fn is_plain(&self) -> bool {
        let other = self.objects.get(1);
        match self.event {
            Event::Moves(..) => (0..=4 * self.seconds).all(|quarter| {
                let here = self.at(&self.objects[0], quarter as f32 / 4.0);
                let inside = |at: f32| (here.radius + EDGE..=SIDE - here.radius - EDGE).contains(&at);
                inside(here.x) && inside(here.y) && other.is_none_or(|other| here.clear_of(other))
            }),
            Event::Turns(colour, _) => self.objects.iter().all(|object| object.colour != colour),
            _ => true,
        }
    }

    /// When something changes, in seconds.
    pub fn moment(&self) -> Option<f32> {
        self.event.second().map(|second| second as f32 + self.delay())
    }

    /// How long after the beginning of its second a change happens, in seconds: chance of the recording, as its grain is.
    fn delay(&self) -> f32 {
        DELAY_MAX * (self.look.seed & 0xFFFF) as f32 / 65_535.0
    }

    /// What two pictures, taken at these times in seconds, show to happen to the first object.
    pub fn happening(&self, [first, second]: [f32; 2]) -> Option<Happening> {
        let between = self.moment().is_some_and(|moment| first < moment && moment <= second);
        match self.event {
            Event::Moves(direction, _) => Some(Happening::Moves(direction)),
            Event::Turns(..) if between => Some(Happening::Turns),
            Event::Appears(_) if between => Some(Happening::Appears),
            Event::Disappears(_) if between => Some(Happening::Disappears),
            _ => None,
        }
    }

    /// What can be seen at a time in seconds.
    pub fn objects_at(&self, time: f32) -> Vec<Object> {
        let happened = self.moment().is_some_and(|moment| time >= moment);
        let there = match self.event {
            Event::Appears(_) => happened,
            Event::Disappears(_) => !happened,
            _ => true,
        };
        let mut first = self.at(&self.objects[0], time);
        if let (Event::Turns(colour, _), true) = (self.event, happened) {
            first.colour = colour;
        }
        there.then_some(first).into_iter().chain(self.objects[1..].iter().cloned()).collect()
    }

    fn at(&self, object: &Object, time: f32) -> Object {
        let Event::Moves(direction, speed) = self.event else { return object.clone() };
        let [dx, dy] = direction.step();
        let (x, y) = (object.x + dx * speed * time, object.y + dy * speed * time);
        Object { x, y, place: Place::of(x, y), ..object.clone() }
    }

    /// Times of the two pictures of each unit as a live camera delivers them: each second its start and its middle. The
    /// unit is stamped with the time of its first picture.
    pub fn live_times(&self) -> Vec<[f32; 2]> {
        (0..self.seconds).map(|second| [second as f32, second as f32 + 0.5]).collect()
    }

    /// Which unit is the first to show what changed: the one of that second.
    pub fn second_shown(&self) -> Option<usize> {
        self.event.second().map(|second| second as usize)
    }

    /// What stands where and what happens, in words: decides the side of the wall.
    pub fn description(&self) -> String {
        let event = match self.event {
            Event::Nothing => "nothing".to_string(),
            Event::Moves(direction, _) => format!("moves {}", direction.word()),
            Event::Turns(colour, second) => format!("turns {} at {second}", colour.word()),
            Event::Appears(second) => format!("appears at {second}"),
            Event::Disappears(second) => format!("disappears at {second}"),
        };
        format!("{}; {event}; {} seconds", describe(&self.objects), self.seconds)
    }
}
