//! What the auxiliary heads are asked: of each patch, which object covers it; of each token, which object covers it or
//! has its centre there, and everything about it. And what the row of a token should be: the sum of the language model's
//! vectors of the words for all that ([`Names`]), so that it reads a picture as it reads a sentence.
//!
//! Each question is a choice among classes, a group of neighbouring outputs of the heads. A target is a weight on one
//! class of the group; a group without weight is not asked there.

use std::ops::Range;

use caracal_edge::vision::Grid;

use super::clip::Direction;
use super::sample::Sample;
use super::scene::{Colour, OBJECTS_MAX, Object, Place, SIDE, Shape, Size};
use super::words::number;
use crate::brain::shape::WIDTH;
use crate::word_vectors::{WordVectors, add};

/// Of a patch: the covering object's shape, colour, motion and place, and in which direction its centre lies.
pub const PATCH_GROUPS: [Range<usize>; 5] =
    groups([1 + Shape::ALL.len(), 1 + Colour::ALL.len(), MOTIONS, Place::ALL.len(), BEARINGS * BEARINGS]);
/// Of a token: whether an object's centre lies in it, and how many objects there are in all; of the object that covers it
/// its shape, colour, size, place and motion, and how many there are of its shape and of its colour.
pub const TOKEN_GROUPS: [Range<usize>; 9] =
    groups([2, OBJECTS_MAX + 1, Shape::ALL.len(), Colour::ALL.len(), Size::ALL.len(), Place::ALL.len(), MOTIONS, OBJECTS_MAX, OBJECTS_MAX]);
/// What the token groups are called.
pub const TOKEN_NAMES: [&str; 9] = ["centre", "count", "shape", "colour", "size", "place", "motion", "alike", "same colour"];
/// Index of the group that tells centres.
pub const CENTRE: usize = 0;
/// Index of the group that counts.
pub const COUNT: usize = 1;
/// Index of the first group about the object itself; the others follow.
pub const OBJECT: usize = 2;
/// No motion, and the directions.
const MOTIONS: usize = 1 + Direction::ALL.len();

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
/// Weight of what the tokens of a centre are asked about their object; the other tokens that it covers have the rest.
const AT_CENTRE: f32 = 0.6;
/// Weight of the rows without an object against those with one.
const EMPTY_WEIGHT: f32 = 0.5;
/// Weights of the questions to patches, in the order of the groups: they teach early and are not what the language model
/// gets. Covered and uncovered patches weigh the same in all.
const PATCH_WEIGHTS: [f32; 5] = [0.6, 0.3, 0.3, 0.3, 0.3];

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
    vectors: [Vec<Vec<f32>>; TOKEN_GROUPS.len()],
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
        let vectors = [
            std::iter::once(none.clone()).chain(free(0, 1)).collect(),
            (0..=OBJECTS_MAX).map(|count| words(&[number(count)])).collect(),
            Shape::ALL.iter().map(|shape| words(&[shape.word()])).collect(),
            Colour::ALL.iter().map(|colour| words(&[colour.word()])).collect(),
            vec![words(&["smaller"]), words(&["bigger"])],
            Place::ALL.iter().map(place).collect(),
            std::iter::once(none).chain(free(1, MOTIONS - 1)).collect(),
            free(10, OBJECTS_MAX),
            free(20, OBJECTS_MAX),
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

/// The classes of an object in the groups from [`OBJECT`] on.
pub fn classes(sample: &Sample, index: usize) -> [usize; TOKEN_GROUPS.len() - OBJECT] {
    let object = &sample.objects[index];
    let like = |same: &dyn Fn(&Object) -> bool| sample.objects.iter().filter(|o| same(o)).count() - 1;
    [
        object.shape.index(),
        object.colour.index(),
        object.size.index(),
        object.place.index(),
        motion_class(sample.motion[index]),
        like(&|o| o.shape == object.shape),
        like(&|o| o.colour == object.colour),
    ]
}

fn motion_class(motion: Option<Direction>) -> usize {
    motion.map_or(0, |motion| 1 + motion as usize)
}

impl Targets {
    /// The questions to one batch, each kind of them weighing the same whatever the pictures hold.
    pub fn of(samples: &[Sample], names: &Names) -> Self {
        let mut targets = Self::default();
        let covers: Vec<Vec<Cover>> = samples.iter().map(covers).collect();
        let count = |wanted: fn(&&Cover) -> bool| covers.iter().flatten().filter(wanted).count().max(1) as f32;
        let covered = count(|cover| matches!(cover, Cover::Object(..)));
        let uncovered = count(|cover| matches!(cover, Cover::Nothing));
        for (sample, covers) in samples.iter().zip(&covers) {
            for cover in covers {
                targets.ask_patch(sample, cover, covered, uncovered);
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
            for shows in tokens {
                targets.ask_token(sample, shows, &weights, names);
            }
        }
        targets
    }

    fn ask_patch(&mut self, sample: &Sample, cover: &Cover, covered: f32, uncovered: f32) {
        let start = self.patches.len();
        self.patches.resize(start + width(&PATCH_GROUPS), 0.0);
        let row = &mut self.patches[start..];
        match cover {
            Cover::Object(index, bearing) => {
                let (object, motion) = (&sample.objects[*index], sample.motion[*index]);
                let classes = [1 + object.shape.index(), 1 + object.colour.index(), motion_class(motion), object.place.index(), *bearing];
                for ((group, class), weight) in PATCH_GROUPS.iter().zip(classes).zip(PATCH_WEIGHTS) {
                    row[group.start + class] = weight / covered;
                }
            }
            Cover::Nothing => {
                for (group, weight) in PATCH_GROUPS.iter().zip(PATCH_WEIGHTS).take(2) {
                    row[group.start] = weight / uncovered;
                }
            }
            Cover::Edge => {}
        }
    }

    fn ask_token(&mut self, sample: &Sample, shows: &Shows, weights: &TokenWeights, names: &Names) {
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
        ask(COUNT, sample.objects.len(), COUNT_WEIGHT * weights.all);
        for (group, class) in object.into_iter().flat_map(|index| (OBJECT..).zip(classes(sample, index))) {
            ask(group, class, weight);
        }
        self.row_weights.push(row_weight);
    }
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

    fn sample() -> Sample {
        let (shape, colour, size, place) = (Shape::Star, Colour::Blue, Size::Large, Place::Right);
        let object = Object { shape, colour, size, place, x: 180.0, y: 112.0, radius: 36.0, turn: 0.0 };
        let unit = VisualUnit { grid: Grid { rows: 8, columns: 8 }, rows: Vec::new() };
        Sample { unit, still: false, objects: vec![object], motion: vec![Some(Direction::Up)] }
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
    fn tokens_that_an_object_covers_are_asked_everything_and_the_others_only_how_many_there_are() {
        let (sample, names) = (sample(), names());
        let targets = Targets::of(std::slice::from_ref(&sample), &names);
        let asked = |token: usize| {
            let row = &targets.tokens[token * width(&TOKEN_GROUPS)..][..width(&TOKEN_GROUPS)];
            row.iter().enumerate().filter(|(_, w)| **w > 0.0).map(|(class, _)| class).collect::<Vec<_>>()
        };
        let start = |group: usize| TOKEN_GROUPS[group].start;
        let classes = [Shape::Star.index(), Colour::Blue.index(), 1, 5, 3, 0, 0];
        let all = |centre: usize| -> Vec<usize> {
            [centre, start(COUNT) + 1].into_iter().chain((OBJECT..).zip(classes).map(|(group, class)| start(group) + class)).collect()
        };
        // The centre at 180, 112 lies in row 112 / 28 and column 180 / 56.
        assert_eq!(asked(4 * 4 + 3), all(1));
        assert_eq!(asked(3 * 4 + 3), all(0), "the row above is covered too");
        assert_eq!(asked(2 * 4 + 3), [0, start(COUNT) + 1], "an edge is asked only that");
        assert_eq!(asked(0), [0, start(COUNT) + 1]);
        assert!(targets.row_weights[0] > 0.0 && targets.row_weights[4 * 4 + 3] > targets.row_weights[3 * 4 + 3]);
        let row = |token: usize| &targets.rows[token * WIDTH..][..WIDTH];
        let mut wanted = names.vectors[COUNT][1].clone();
        assert_eq!(row(0), wanted);
        (OBJECT..).zip(classes).for_each(|(group, class)| add(&mut wanted, &names.vectors[group][class], 1.0));
        assert_eq!(row(3 * 4 + 3), wanted);
        assert_eq!(targets.row_weights[2 * 4 + 3], 0.0);
        // The order of the sum is another: centres come first.
        add(&mut wanted, &names.vectors[CENTRE][1], 1.0);
        assert!(row(4 * 4 + 3).iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn patches_near_the_centre_are_covered_and_those_at_the_edge_are_not_asked() {
        let targets = Targets::of(&[sample()], &names());
        let row = |x: usize, y: usize| &targets.patches[(y * 8 + x) * width(&PATCH_GROUPS)..][..width(&PATCH_GROUPS)];
        assert!(row(6, 3)[PATCH_GROUPS[0].start + 1 + Shape::Star.index()] > 0.0);
        assert!(row(0, 0)[PATCH_GROUPS[0].start] > 0.0 && row(0, 0)[PATCH_GROUPS[1].start] > 0.0);
        assert!(row(5, 3).iter().all(|weight| *weight == 0.0));
    }
}
