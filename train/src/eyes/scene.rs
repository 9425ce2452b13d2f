//! What a picture shows: coloured shapes at places of a square, and how it is lit and recorded.
//!
//! Training and evaluation never share a picture. What stands in a scene is written down in words
//! ([`Scene::description`]), and a tenth of all descriptions, chosen by a hash, is kept for evaluation; the grain of the
//! recording has its own seed space on each side.

use rand::Rng;
use rand::rngs::StdRng;

/// Side of a drawn picture in pixels; all places and sizes are counted in these.
pub const SIDE: f32 = 224.0;
/// Most shapes of a scene.
pub const OBJECTS_MAX: usize = 6;
/// Side of one of the nine places.
const CELL: f32 = SIDE / 3.0;
/// How far from the border of its place a shape's centre stays, so that nobody argues about where it is.
const PLACE_MARGIN: f32 = 10.0;
/// Least distance of a shape from the edge of the picture and, roughly, from another shape.
const GAP: f32 = 5.0;
/// Shapes stand apart by this much to the side or by [`ROW_APART`] upwards, so that no two centres share one token of
/// 56 x 28 pixels.
const COLUMN_APART: f32 = 57.0;
/// See [`COLUMN_APART`].
const ROW_APART: f32 = 33.0;
/// One description in this many is kept for evaluation.
const HELD_OUT: u64 = 10;

/// A list of the variants of an enum, in the order of their indices, each with the word for it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $(#[doc = $word] $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How it is said.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Its place in [`Self::ALL`].
            pub fn index(self) -> usize {
                self as usize
            }

            /// Any of them.
            pub fn any(rng: &mut StdRng) -> Self {
                Self::ALL[rng.random_range(0..Self::ALL.len())]
            }
        }
    };
}

words!(
    /// The form of an object.
    Shape { Circle = "circle", Square = "square", Triangle = "triangle", Star = "star", Heart = "heart", Cross = "cross" }
);
words!(
    /// The colour of an object.
    Colour {
        Red = "red", Orange = "orange", Yellow = "yellow", Green = "green", Blue = "blue", Purple = "purple", Black = "black", White = "white",
    }
);
words!(
    /// One of the nine fields of the picture, row by row.
    Place {
        TopLeft = "at the top left", Top = "at the top", TopRight = "at the top right",
        Left = "on the left", Middle = "in the middle", Right = "on the right",
        BottomLeft = "at the bottom left", Bottom = "at the bottom", BottomRight = "at the bottom right",
    }
);
words!(
    /// How large an object is: sizes between the two do not occur, so that of a small and a large one the bigger is plain.
    Size { Small = "small", Large = "large" }
);

impl Place {
    /// The field that a point of the picture lies in.
    pub fn of(x: f32, y: f32) -> Self {
        let cell = |at: f32| ((at / CELL) as usize).min(2);
        Self::ALL[3 * cell(y) + cell(x)]
    }

    /// Counted from the left, below 3.
    pub fn column(self) -> usize {
        self.index() % 3
    }

    /// Counted from the top, below 3.
    pub fn row(self) -> usize {
        self.index() / 3
    }
}

impl Size {
    /// Smallest and largest radius of the circle around the shape, in pixels.
    fn radii(self) -> [f32; 2] {
        match self {
            Size::Small => [18.0, 24.0],
            Size::Large => [32.0, 40.0],
        }
    }
}

/// Which side of the wall between training and evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Seen in training.
    Train,
    /// Only ever seen in evaluation.
    HeldOut,
}

impl Split {
    /// The side that a description belongs to.
    pub fn of(description: &str) -> Self {
        if hash(description).is_multiple_of(HELD_OUT) { Split::HeldOut } else { Split::Train }
    }

    /// A seed for grain and light that the other side cannot draw.
    pub(super) fn seed(self, rng: &mut StdRng) -> u64 {
        let seed = rng.random::<u64>() >> 1;
        if self == Split::HeldOut { seed | 1 << 63 } else { seed }
    }
}

/// FNV-1a with a final mix: stable over versions and machines.
fn hash(text: &str) -> u64 {
    let sum = text.bytes().fold(0xCBF2_9CE4_8422_2325u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    (sum ^ sum >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
}

/// One coloured shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its form.
    pub shape: Shape,
    /// Its colour.
    pub colour: Colour,
    /// How large it is.
    pub size: Size,
    /// The field in which its centre lies.
    pub place: Place,
    /// Centre, from the left, in pixels.
    pub x: f32,
    /// Centre, from the top, in pixels.
    pub y: f32,
    /// Radius of the circle around it, in pixels.
    pub radius: f32,
    /// Turned clockwise by this angle in radians.
    pub turn: f32,
}

impl Object {
    /// A shape somewhere in `place`.
    pub fn draw(rng: &mut StdRng, shape: Shape, colour: Colour, size: Size, place: Place) -> Self {
        let [least, most] = size.radii();
        let radius = rng.random_range(least..=most);
        let mut centre = |cell: usize| {
            let start = cell as f32 * CELL;
            let low = (start + PLACE_MARGIN).max(radius + GAP);
            rng.random_range(low..=(start + CELL - PLACE_MARGIN).min(SIDE - radius - GAP))
        };
        let (x, y) = (centre(place.column()), centre(place.row()));
        Self { shape, colour, size, place, x, y, radius, turn: rng.random_range(-0.2..=0.2) }
    }

    /// "red circle"
    pub fn name(&self) -> String {
        format!("{} {}", self.colour.word(), self.shape.word())
    }

    /// Whether it stands well clear of another one.
    pub(super) fn clear_of(&self, other: &Object) -> bool {
        let (dx, dy) = (self.x - other.x, self.y - other.y);
        let apart = dx.hypot(dy) >= self.radius + other.radius + GAP;
        apart && (dx.abs() >= COLUMN_APART || dy.abs() >= ROW_APART)
    }

    fn description(&self) -> String {
        format!("{} {} {}", self.size.word(), self.name(), self.place.word())
    }
}

/// How a scene is recorded: light, sharpness, grain, background.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Brightness at the start and at the end of a recording; a still has the first.
    pub light: [f32; 2],
    /// Colour of the light: factors of red, green and blue.
    pub tint: [f32; 3],
    /// How much brighter or darker the light is towards one side, as a share.
    pub slope: f32,
    /// Standard deviation of the blur in pixels.
    pub blur: f32,
    /// Standard deviation of the grain in levels of 255.
    pub grain: f32,
    /// What is behind the shapes.
    pub background: Background,
    /// Of grain, of small deviations of colour, and of textures.
    pub seed: u64,
}

/// What is behind the shapes: never as colourful, dark or light as they are.
#[derive(Clone, Debug, PartialEq)]
pub enum Background {
    /// One colour.
    Plain([f32; 3]),
    /// From one colour to another, in a direction given in radians.
    Gradient([f32; 3], [f32; 3], f32),
    /// One colour with waves of this height in levels and this length in pixels, in a direction given in radians.
    Texture([f32; 3], f32, f32, f32),
}

impl Look {
    /// Any look; `split` chooses the seed space.
    pub fn draw(rng: &mut StdRng, split: Split) -> Self {
        let light = rng.random_range(0.75..=1.15);
        Self {
            light: [light, (light + rng.random_range(-0.15f32..=0.15)).clamp(0.75, 1.15)],
            tint: std::array::from_fn(|_| rng.random_range(0.93..=1.07)),
            slope: rng.random_range(-0.15..=0.15),
            blur: rng.random_range(0.0..=1.4),
            grain: rng.random_range(0.0..=10.0),
            background: Background::draw(rng),
            seed: split.seed(rng),
        }
    }
}

impl Background {
    fn draw(rng: &mut StdRng) -> Self {
        let mut tone = || {
            let level = rng.random_range(95.0..=165.0);
            std::array::from_fn(|_| level + rng.random_range(-14.0f32..=14.0))
        };
        let (first, second) = (tone(), tone());
        let angle = rng.random_range(0.0..std::f32::consts::TAU);
        match rng.random_range(0..3) {
            0 => Background::Plain(first),
            1 => Background::Gradient(first, second, angle),
            _ => Background::Texture(first, rng.random_range(3.0..=14.0), rng.random_range(8.0..=40.0), angle),
        }
    }
}

/// Which objects a scene may hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variety {
    /// No two with the same shape and the same colour.
    Distinct,
    /// No two with the same shape, and no two with the same colour.
    Unlike,
    /// Shapes and colours from two of each, so that there is something to count.
    Few,
}

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// In the order of their places.
    pub objects: Vec<Object>,
    /// How it is recorded.
    pub look: Look,
}

impl Scene {
    /// A scene of `count` shapes on this side of the wall that fulfils `wanted`.
    ///
    /// # Panics
    /// When `count` is not 1 to [`OBJECTS_MAX`].
    pub fn draw(rng: &mut StdRng, split: Split, count: usize, variety: Variety, wanted: impl Fn(&[Object]) -> bool) -> Self {
        assert!((1..=OBJECTS_MAX).contains(&count), "a scene of {count} shapes");
        loop {
            let Some(objects) = draw_objects(rng, count, variety) else { continue };
            if Split::of(&describe(&objects)) == split && wanted(&objects) {
                return Self { objects, look: Look::draw(rng, split) };
            }
        }
    }

    /// What stands where, in words: decides the side of the wall.
    pub fn description(&self) -> String {
        describe(&self.objects)
    }
}

/// The description of objects in the order of their places.
pub(super) fn describe(objects: &[Object]) -> String {
    objects.iter().map(Object::description).collect::<Vec<_>>().join(", ")
}

/// Objects that stand clear of each other, or `None` where this draw of places and sizes leaves no room.
pub(super) fn draw_objects(rng: &mut StdRng, count: usize, variety: Variety) -> Option<Vec<Object>> {
    let mut places = Place::ALL.to_vec();
    let few: ([Shape; 2], [Colour; 2]) = (std::array::from_fn(|_| Shape::any(rng)), std::array::from_fn(|_| Colour::any(rng)));
    // A crowd has no room for large ones.
    let large = [0.5, 0.5, 0.5, 0.3, 0.2, 0.1][count - 1];
    let mut objects: Vec<Object> = Vec::with_capacity(count);
    for _ in 0..count {
        let (shape, colour) = match variety {
            Variety::Few => (few.0[rng.random_range(0..2)], few.1[rng.random_range(0..2)]),
            _ => (Shape::any(rng), Colour::any(rng)),
        };
        let taken = objects.iter().any(|o| match variety {
            Variety::Distinct => o.shape == shape && o.colour == colour,
            Variety::Unlike => o.shape == shape || o.colour == colour,
            Variety::Few => false,
        });
        let size = if rng.random_bool(large) { Size::Large } else { Size::Small };
        let place = places.swap_remove(rng.random_range(0..places.len()));
        let object = Object::draw(rng, shape, colour, size, place);
        if taken || objects.iter().any(|other| !object.clear_of(other)) {
            return None;
        }
        objects.push(object);
    }
    objects.sort_by_key(|object| object.place);
    Some(objects)
}
