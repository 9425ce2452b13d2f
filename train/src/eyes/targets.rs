//! What the auxiliary heads are asked: of each patch, which object covers it, and how many there are of each shape and colour; of each token, which object covers it or
//! has its centre there, and everything about it; of one without an object, whether its place is empty. And what the row of a token should be: the sum of the language model's
//! vectors of the words for all that ([`Names`]), so that it reads a picture as it reads a sentence.
//!
//! Each question is a choice among classes, a group of neighbouring outputs of the heads. A target is a weight on one
//! class of the group; a group without weight is not asked there.

use std::ops::Range;

use caracal_edge::vision::Grid;

use super::clip::{Direction, Happening};
use super::questions::plain_relations;
use super::sample::Sample;
use super::scene::{Colour, OBJECTS_MAX, Object, Place, SIDE, Shape, Size};
use super::words::Relation;
use crate::brain::shape::WIDTH;
use crate::domain::numbers::number;
use crate::word_vectors::{WordVectors, add};

/// Of a patch: the covering object's shape, colour, what happens to it, its place, and in which direction its centre lies;
/// then, wherever it is, how many there are in the picture of each shape and of each colour. Which row tells how many are
/// like its own object was not learnt from that question alone.
pub const PATCH_GROUPS: [Range<usize>; COVERING + COUNTED] = {
    let mut sizes = [1 + OBJECTS_MAX; COVERING + COUNTED];
    sizes[0] = 1 + Shape::ALL.len();
    sizes[1] = 1 + Colour::ALL.len();
    sizes[2] = HAPPENINGS;
    sizes[3] = Place::ALL.len();
    sizes[4] = BEARINGS * BEARINGS;
    groups(sizes)
};
/// Groups about what covers a patch, and those that count.
const COVERING: usize = 5;
const COUNTED: usize = Shape::ALL.len() + Colour::ALL.len();
/// Of a token: whether an object's centre lies in it, and how many objects there are in all; of the object that covers it
/// its shape, colour, size, place, what happens to it, how many there are of its shape and of its colour, and whether
/// there is another one plainly left of it, right of it, above and below; of a token without an object, which place is empty.
pub const TOKEN_GROUPS: [Range<usize>; 14] = groups([
    2,
    OBJECTS_MAX + 1,
    Shape::ALL.len(),
    Colour::ALL.len(),
    Size::ALL.len(),
    Place::ALL.len(),
    HAPPENINGS,
    OBJECTS_MAX,
    OBJECTS_MAX,
    2,
    2,
    2,
    2,
    1 + Place::ALL.len(),
]);
/// What the token groups are called.
pub const TOKEN_NAMES: [&str; 14] = [
    "centre",
    "count",
    "shape",
    "colour",
    "size",
    "place",
    "happening",
    "alike",
    "same colour",
    "left",
    "right",
    "above",
    "below",
    "empty",
];
/// Index of the group that tells centres.
pub const CENTRE: usize = 0;
/// Index of the group that counts.
pub const COUNT: usize = 1;
/// Index of the first group about the object itself; the others follow ...
pub const OBJECT: usize = 2;
/// ... up to the one about what lies without an object.
pub const EMPTY: usize = 13;
/// Index of the group that tells what happens.
pub const HAPPENING: usize = 6;
/// Nothing, and whatever happens.
pub const HAPPENINGS: usize = 1 + Happening::COUNT;
/// What its classes are called.
pub const HAPPENING_NAMES: [&str; HAPPENINGS] = ["nothing", "to the left", "to the right", "up", "down", "turns", "appears", "disappears"];

/// Left of the patch, in it, right of it; likewise above and below.
const BEARINGS: usize = 3;
/// A patch whose centre is nearer to an object's than this share of its radius is covered by it ...
const COVERED: f32 = 0.7;
/// ... and one farther than this is not.
const UNCOVERED: f32 = 1.2;
/// How much more a centre counts than a token without one: there are that many fewer.
const CENTRE_WEIGHT: f32 = 4.0;
/// Weight of the count, which every token is asked for.
const COUNT_WEIGHT: f32 = 0.3;
/// Weight of what tokens without an object are asked.
const NOTHING_WEIGHT: f32 = 0.5;
/// Weight of what the tokens of a centre are asked about their object; the other tokens that it covers have the rest.
const AT_CENTRE: f32 = 0.6;
/// Weight of the rows without an object against those with one.
const EMPTY_WEIGHT: f32 = 0.5;
/// Weights of the questions to patches, in the order of the groups: they teach early and are not what the language model
/// gets. Covered and uncovered patches weigh the same in all.
const PATCH_WEIGHTS: [f32; COVERING] = [0.6, 0.3, 0.3, 0.3, 0.3];
/// Weight of each of the counts.
const COUNTS_WEIGHT: f32 = 0.2;

const fn groups<const N: usize>(sizes: [usize; N]) -> [Range<usize>; N] {
    let mut groups = [const { 0..0 }; N];
    let (mut index, mut start) = (0, 0);
    while index < N {
        groups[index] = start..start + sizes[index];
        start += sizes[index];
        index += 1;
    }
    groups
}

/// Weights on classes, row by row.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// `[patches, classes of PATCH_GROUPS]`
    pub patches: Vec<f32>,
    /// `[tokens, classes of TOKEN_GROUPS]`
    pub tokens: Vec<f32>,
    /// What the rows should be, `[tokens, WIDTH]`
    pub rows: Vec<f32>,
    /// How much each row counts, `[tokens]`
    pub row_weights: Vec<f32>,
}

/// The vector of each class of each token group.
pub struct Names {
    /// By group and class, each `[WIDTH]`
    pub vectors: [Vec<Vec<f32>>; TOKEN_GROUPS.len()],
    /// Square of the length of a usual word's vector.
    pub mean_square: f32,
}

impl Names {
    /// Words where there are some; what has none of its own, such as a centre, has a vector that no word has.
    pub fn of(words: &WordVectors) -> Self {
        Self::new(|said| words.sum_of(said), |index| words.free(index), words.mean_square())
    }

    /// From the vectors of words, and further ones.
    pub fn new(words: impl Fn(&[&str]) -> Vec<f32>, free: impl Fn(usize) -> Vec<f32>, mean_square: f32) -> Self {
        let free = |first: usize, count: usize| (first..first + count).map(&free).collect::<Vec<_>>();
        let none = vec![0.0; WIDTH];
        // "at the top left": the words that tell places apart.
        let place = |place: &Place| words(&place.word().split(' ').skip(2).collect::<Vec<_>>());
        let empty = |at: &Place| {
            let mut vector = place(at);
            add(&mut vector, &free(30, 1)[0], 1.0);
            vector
        };
        // What happens is said in the words of the answer.
        let moved = |mut vector: Vec<f32>| {
            add(&mut vector, &words(&["moved"]), 1.0);
            vector
        };
        let changes = ["turned", "appeared", "disappeared"].map(|word| words(&[word]));
        let either = |index: usize| std::iter::once(none.clone()).chain(free(index, 1)).collect::<Vec<_>>();
        let vectors = [
            either(0),
            (0..=OBJECTS_MAX as i32).map(|count| words(&[number(count).as_str()])).collect(),
            Shape::ALL.iter().map(|shape| words(&[shape.word()])).collect(),
            Colour::ALL.iter().map(|colour| words(&[colour.word()])).collect(),
            vec![words(&["smaller"]), words(&["bigger"])],
            Place::ALL.iter().map(place).collect(),
            std::iter::once(none.clone()).chain(free(1, Direction::ALL.len()).into_iter().map(moved)).chain(changes).collect(),
            free(10, OBJECTS_MAX),
            free(20, OBJECTS_MAX),
            either(26),
            either(27),
            either(28),
            either(29),
            std::iter::once(none.clone()).chain(Place::ALL.iter().map(empty)).collect(),
        ];
        Self { vectors, mean_square }
    }
}

/// Outputs of a head with these groups.
pub fn width(groups: &[Range<usize>]) -> usize {
    groups.last().map_or(0, |group| group.end)
}

/// Index of the token in which a point of the picture lies.
pub fn token_of(x: f32, y: f32, tokens: Grid) -> usize {
    let index = |at: f32, count: u32| ((at / SIDE * count as f32) as usize).min(count as usize - 1);
    index(y, tokens.rows) * tokens.columns as usize + index(x, tokens.columns)
}

/// The classes of an object in the groups from [`OBJECT`] up to [`EMPTY`].
pub fn classes(sample: &Sample, index: usize) -> [usize; EMPTY - OBJECT] {
    let object = &sample.objects[index];
    let like = |same: &dyn Fn(&Object) -> bool| sample.objects.iter().filter(|o| same(o)).count() - 1;
    // Nothing is at a distance from itself.
    let there =
        |other: &Object, relation: Relation| relation.distance(other, object) > 0.0 && plain_relations(other, object).contains(&relation);
    let plainly = |relation: Relation| usize::from(sample.objects.iter().any(|other| there(other, relation)));
    [
        object.shape.index(),
        object.colour.index(),
        object.size.index(),
        object.place.index(),
        happening_class(sample.happening[index]),
        like(&|o| o.shape == object.shape),
        like(&|o| o.colour == object.colour),
        plainly(Relation::LeftOf),
        plainly(Relation::RightOf),
        plainly(Relation::Above),
        plainly(Relation::Below),
    ]
}

/// How many there are of each shape, then of each colour.
fn counts(sample: &Sample) -> [usize; COUNTED] {
    let mut counts = [0; COUNTED];
    for object in &sample.objects {
        counts[object.shape.index()] += 1;
        counts[Shape::ALL.len() + object.colour.index()] += 1;
    }
    counts
}

fn happening_class(happening: Option<Happening>) -> usize {
    happening.map_or(0, |happening| 1 + happening.index())
}

/// Class of a token's middle in the group [`EMPTY`]: 0 where an object stands in the same place.
fn empty_class(sample: &Sample, token: usize) -> usize {
    let tokens = sample.unit.grid.tokens();
    let middle = |index: usize, count: u32| (index as f32 + 0.5) / count as f32 * SIDE;
    let place = Place::of(middle(token % tokens.columns as usize, tokens.columns), middle(token / tokens.columns as usize, tokens.rows));
    if sample.objects.iter().any(|object| object.place == place) { 0 } else { 1 + place.index() }
}

impl Targets {
    /// The questions to one batch, each kind of them weighing the same whatever the pictures hold.
    pub fn of(samples: &[Sample], names: &Names) -> Self {
        let mut targets = Self::default();
        let covers: Vec<Vec<Cover>> = samples.iter().map(covers).collect();
        let count = |wanted: fn(&&Cover) -> bool| covers.iter().flatten().filter(wanted).count().max(1) as f32;
        let weights = PatchWeights {
            all: 1.0 / count(|_| true),
            covered: 1.0 / count(|cover| matches!(cover, Cover::Object(..))),
            uncovered: 1.0 / count(|cover| matches!(cover, Cover::Nothing)),
        };
        for (sample, covers) in samples.iter().zip(&covers) {
            let counts = counts(sample);
            for cover in covers {
                targets.ask_patch(sample, cover, &counts, &weights);
            }
        }
        let tokens: Vec<Vec<Shows>> = samples.iter().zip(&covers).map(|(sample, covers)| shown(sample, covers)).collect();
        let count = |wanted: fn(&&Shows) -> bool| tokens.iter().flatten().filter(wanted).count().max(1) as f32;
        let weights = TokenWeights {
            all: 1.0 / count(|_| true),
            centres: 1.0 / count(|shows| matches!(shows, Shows::Centre(_))),
            parts: 1.0 / count(|shows| matches!(shows, Shows::Part(_))),
            empty: 1.0 / count(|shows| matches!(shows, Shows::Nothing)),
        };
        for (sample, tokens) in samples.iter().zip(&tokens) {
            for (token, shows) in tokens.iter().enumerate() {
                targets.ask_token(sample, token, shows, &weights, names);
            }
        }
        targets
    }

    fn ask_patch(&mut self, sample: &Sample, cover: &Cover, counts: &[usize; COUNTED], weights: &PatchWeights) {
        let start = self.patches.len();
        self.patches.resize(start + width(&PATCH_GROUPS), 0.0);
        let row = &mut self.patches[start..];
        for (group, count) in PATCH_GROUPS[COVERING..].iter().zip(counts) {
            row[group.start + count] = COUNTS_WEIGHT * weights.all;
        }
        match cover {
            Cover::Object(index, bearing) => {
                let (object, happens) = (&sample.objects[*index], happening_class(sample.happening[*index]));
                let classes = [1 + object.shape.index(), 1 + object.colour.index(), happens, object.place.index(), *bearing];
                for ((group, class), weight) in PATCH_GROUPS.iter().zip(classes).zip(PATCH_WEIGHTS) {
                    row[group.start + class] = weight * weights.covered;
                }
            }
            Cover::Nothing => {
                for (group, weight) in PATCH_GROUPS.iter().zip(PATCH_WEIGHTS).take(2) {
                    row[group.start] = weight * weights.uncovered;
                }
            }
            Cover::Edge => {}
        }
    }

    fn ask_token(&mut self, sample: &Sample, token: usize, shows: &Shows, weights: &TokenWeights, names: &Names) {
        let start = self.tokens.len();
        self.tokens.resize(start + width(&TOKEN_GROUPS), 0.0);
        let asked = &mut self.tokens[start..];
        let start = self.rows.len();
        self.rows.resize(start + WIDTH, 0.0);
        let said = &mut self.rows[start..];
        let (centre, object, weight, row_weight) = match shows {
            Shows::Centre(index) => (true, Some(*index), AT_CENTRE * weights.centres, AT_CENTRE * weights.centres),
            Shows::Part(index) => (false, Some(*index), (1.0 - AT_CENTRE) * weights.parts, (1.0 - AT_CENTRE) * weights.parts),
            Shows::Edge => (false, None, 0.0, 0.0),
            Shows::Nothing => (false, None, 0.0, EMPTY_WEIGHT * weights.empty),
        };
        let mut ask = |group: usize, class: usize, weight: f32| {
            asked[TOKEN_GROUPS[group].start + class] = weight;
            add(said, &names.vectors[group][class], 1.0);
        };
        ask(CENTRE, usize::from(centre), weights.all * if centre { CENTRE_WEIGHT } else { 1.0 });
        ask(COUNT, sample.count(), COUNT_WEIGHT * weights.all);
        if *shows == Shows::Nothing {
            ask(EMPTY, empty_class(sample, token), NOTHING_WEIGHT * weights.empty);
        }
        for (group, class) in object.into_iter().flat_map(|index| (OBJECT..).zip(classes(sample, index))) {
            ask(group, class, weight);
        }
        self.row_weights.push(row_weight);
    }
}

/// Weights of a batch's patches: one over how many there are.
struct PatchWeights {
    all: f32,
    covered: f32,
    uncovered: f32,
}

/// Weights of a batch's tokens: one over how many there are.
struct TokenWeights {
    all: f32,
    centres: f32,
    parts: f32,
    empty: f32,
}

/// What a token shows of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shows {
    /// Its centre.
    Centre(usize),
    /// A part that covers one of the token's patches.
    Part(usize),
    /// An edge: only the count is asked.
    Edge,
    /// The background.
    Nothing,
}

/// What each token of a unit shows.
fn shown(sample: &Sample, covers: &[Cover]) -> Vec<Shows> {
    let (patches, tokens) = (sample.unit.grid, sample.unit.grid.tokens());
    let [tall, wide] = [patches.rows / tokens.rows, patches.columns / tokens.columns];
    let of_token = |token: usize| {
        let (row, column) = (token as u32 / tokens.columns, token as u32 % tokens.columns);
        let mut shows = Shows::Nothing;
        for (y, x) in (0..tall).flat_map(|y| (0..wide).map(move |x| (row * tall + y, column * wide + x))) {
            match covers[(y * patches.columns + x) as usize] {
                Cover::Object(index, _) => shows = Shows::Part(index),
                Cover::Edge if shows == Shows::Nothing => shows = Shows::Edge,
                _ => {}
            }
        }
        shows
    };
    let mut shown: Vec<Shows> = (0..tokens.count()).map(of_token).collect();
    for (index, object) in sample.objects.iter().enumerate() {
        shown[token_of(object.x, object.y, tokens)] = Shows::Centre(index);
    }
    shown
}

/// What covers a patch.
#[derive(Clone, Copy)]
enum Cover {
    /// This object, and in which of nine directions its centre lies.
    Object(usize, usize),
    /// An edge: nothing is asked.
    Edge,
    /// The background.
    Nothing,
}

fn covers(sample: &Sample) -> Vec<Cover> {
    let grid = sample.unit.grid;
    let cover = |patch: usize| {
        let middle = |index: usize, count: u32| (index as f32 + 0.5) / count as f32 * SIDE;
        let (x, y) = (middle(patch % grid.columns as usize, grid.columns), middle(patch / grid.columns as usize, grid.rows));
        let share = |object: &Object| (object.x - x).hypot(object.y - y) / object.radius;
        let nearest = sample.objects.iter().enumerate().min_by(|(_, a), (_, b)| share(a).total_cmp(&share(b)));
        let Some((index, object)) = nearest else { return Cover::Nothing };
        let side = |away: f32, count: u32| {
            let half = SIDE / count as f32 / 2.0;
            if away < -half { 0 } else { 1 + usize::from(away > half) }
        };
        match share(object) {
            ..COVERED => Cover::Object(index, BEARINGS * side(object.y - y, grid.rows) + side(object.x - x, grid.columns)),
            ..UNCOVERED => Cover::Edge,
            _ => Cover::Nothing,
        }
    };
    (0..grid.count()).map(cover).collect()
}

#[cfg(test)]
mod tests {
    use caracal_edge::vision::VisualUnit;

    use super::*;
    use crate::eyes::clip::Direction;

    fn sample() -> Sample {
        let (shape, colour, size, place) = (Shape::Star, Colour::Blue, Size::Large, Place::Right);
        let object = Object { shape, colour, size, place, x: 180.0, y: 112.0, radius: 36.0, turn: 0.0 };
        let unit = VisualUnit { grid: Grid { rows: 8, columns: 8 }, rows: Vec::new() };
        Sample { unit, still: false, objects: vec![object], happening: vec![Some(Happening::Moves(Direction::Up))] }
    }

    /// Each class has its own direction as far as there are any.
    fn names() -> Names {
        let one = |at: usize| (0..WIDTH).map(|i| if i == at { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
        let word = |word: &str| one(word.bytes().map(usize::from).sum::<usize>() % 100);
        let words = |said: &[&str]| {
            said.iter().fold(vec![0.0; WIDTH], |mut sum, w| {
                add(&mut sum, &word(w), 1.0);
                sum
            })
        };
        Names::new(words, |index| one(100 + index), 1.0)
    }

    #[test]
    fn tokens_that_an_object_covers_are_asked_everything_and_the_others_how_many_there_are_and_whether_their_place_is_empty() {
        let (sample, names) = (sample(), names());
        let targets = Targets::of(std::slice::from_ref(&sample), &names);
        let asked = |token: usize| {
            let row = &targets.tokens[token * width(&TOKEN_GROUPS)..][..width(&TOKEN_GROUPS)];
            row.iter().enumerate().filter(|(_, w)| **w > 0.0).map(|(class, _)| class).collect::<Vec<_>>()
        };
        let start = |group: usize| TOKEN_GROUPS[group].start;
        let classes = [Shape::Star.index(), Colour::Blue.index(), 1, 5, 3, 0, 0, 0, 0, 0, 0];
        let all = |centre: usize| -> Vec<usize> {
            [centre, start(COUNT) + 1].into_iter().chain((OBJECT..).zip(classes).map(|(group, class)| start(group) + class)).collect()
        };
        // The centre at 180, 112 lies in row 112 / 28 and column 180 / 56.
        assert_eq!(asked(4 * 4 + 3), all(1));
        assert_eq!(asked(3 * 4 + 3), all(0), "the row above is covered too");
        assert_eq!(asked(2 * 4 + 3), [0, start(COUNT) + 1], "an edge is asked only that");
        assert_eq!(asked(0), [0, start(COUNT) + 1, start(EMPTY) + 1 + Place::TopLeft.index()]);
        // The middle of this one lies in the row of places that the star stands in, and not in its column.
        assert_eq!(asked(4 * 4 + 1), [0, start(COUNT) + 1, start(EMPTY) + 1 + Place::Middle.index()]);
        assert!(targets.row_weights[0] > 0.0 && targets.row_weights[4 * 4 + 3] > targets.row_weights[3 * 4 + 3]);
        let row = |token: usize| &targets.rows[token * WIDTH..][..WIDTH];
        let mut wanted = names.vectors[COUNT][1].clone();
        let mut without = wanted.clone();
        add(&mut without, &names.vectors[EMPTY][1 + Place::TopLeft.index()], 1.0);
        assert_eq!(row(0), without);
        (OBJECT..).zip(classes).for_each(|(group, class)| add(&mut wanted, &names.vectors[group][class], 1.0));
        assert_eq!(row(3 * 4 + 3), wanted);
        assert_eq!(targets.row_weights[2 * 4 + 3], 0.0);
        // The order of the sum is another: centres come first.
        add(&mut wanted, &names.vectors[CENTRE][1], 1.0);
        assert!(row(4 * 4 + 3).iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn an_object_tells_what_lies_around_it_and_how_many_are_like_it() {
        let mut sample = sample();
        let star = sample.objects[0].clone();
        // Left of it and, in the next row of places, a little higher: 40 pixels.
        let other = Object { x: 30.0, y: 72.0, place: Place::TopLeft, colour: Colour::Red, ..star.clone() };
        sample.objects.push(other);
        sample.happening.push(None);
        let about = |index: usize| classes(&sample, index)[5..].to_vec();
        assert_eq!(about(0), [1, 0, 1, 0, 1, 0], "alike, same colour, left, right, above, below");
        assert_eq!(about(1), [1, 0, 0, 1, 0, 1]);
        sample.objects[1] = Object { x: 30.0, y: 100.0, place: Place::Left, colour: Colour::Blue, ..star };
        assert_eq!(classes(&sample, 0)[5..], [1, 1, 1, 0, 0, 0], "what lies in the same row of places is not above");
    }

    #[test]
    fn patches_near_the_centre_are_covered_and_those_at_the_edge_are_not_asked() {
        let targets = Targets::of(&[sample()], &names());
        let row = |x: usize, y: usize| &targets.patches[(y * 8 + x) * width(&PATCH_GROUPS)..][..width(&PATCH_GROUPS)];
        assert!(row(6, 3)[PATCH_GROUPS[0].start + 1 + Shape::Star.index()] > 0.0);
        assert!(row(0, 0)[PATCH_GROUPS[0].start] > 0.0 && row(0, 0)[PATCH_GROUPS[1].start] > 0.0);
        assert!(row(5, 3)[..PATCH_GROUPS[COVERING].start].iter().all(|weight| *weight == 0.0));
        let counted = |group: usize, count: usize| row(5, 3)[PATCH_GROUPS[COVERING + group].start + count] > 0.0;
        assert!(counted(Shape::Star.index(), 1) && counted(Shape::Heart.index(), 0) && !counted(Shape::Star.index(), 0));
        assert!(counted(Shape::ALL.len() + Colour::Blue.index(), 1) && counted(Shape::ALL.len() + Colour::Red.index(), 0));
    }
}
