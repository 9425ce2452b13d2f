//! What the auxiliary heads are asked: of each patch, which object covers it; of each token, which object has its centre
//! there, and everything about it.
//!
//! Each question is a choice among classes, a group of neighbouring outputs of the heads. A target is a weight on one
//! class of the group; a group without weight is not asked there.

use std::ops::Range;

use caracal_edge::vision::Grid;

use super::clip::Direction;
use super::sample::Sample;
use super::scene::{Colour, OBJECTS_MAX, Object, Place, SIDE, Shape, Size};

/// Of a patch: the covering object's shape, colour and motion.
pub const PATCH_GROUPS: [Range<usize>; 3] = groups([1 + Shape::ALL.len(), 1 + Colour::ALL.len(), MOTIONS]);
/// Of a token: whether an object's centre lies in it; its shape, colour, size, place and motion; and of every token, how
/// many objects there are in all.
pub const TOKEN_GROUPS: [Range<usize>; 7] =
    groups([2, Shape::ALL.len(), Colour::ALL.len(), Size::ALL.len(), Place::ALL.len(), MOTIONS, OBJECTS_MAX + 1]);
/// What the token groups are called.
pub const TOKEN_NAMES: [&str; 7] = ["centre", "shape", "colour", "size", "place", "motion", "count"];
/// Index of the group that tells centres.
pub const CENTRE: usize = 0;
/// Index of the group that counts.
pub const COUNT: usize = 6;
/// No motion, and the directions.
const MOTIONS: usize = 1 + Direction::ALL.len();

/// A patch whose centre is nearer to an object's than this share of its radius is covered by it ...
const COVERED: f32 = 0.7;
/// ... and one farther than this is not.
const UNCOVERED: f32 = 1.2;
/// How much more a centre counts than a token without one: there are that many fewer.
const CENTRE_WEIGHT: f32 = 4.0;
/// Weight of the count, which every token is asked for.
const COUNT_WEIGHT: f32 = 0.3;
/// Weight of the questions to patches: they teach early and are not what the language model gets.
const PATCH_WEIGHT: f32 = 0.5;

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

/// The classes of an object in the groups between centre and count.
pub fn classes(object: &Object, motion: Option<Direction>) -> [usize; 5] {
    [object.shape.index(), object.colour.index(), object.size.index(), object.place.index(), motion_class(motion)]
}

fn motion_class(motion: Option<Direction>) -> usize {
    motion.map_or(0, |motion| 1 + motion as usize)
}

impl Targets {
    /// The questions to one batch, each kind of them weighing the same whatever the pictures hold.
    pub fn of(samples: &[Sample]) -> Self {
        let objects = samples.iter().map(|sample| sample.objects.len()).sum::<usize>().max(1) as f32;
        let mut targets = Self::default();
        for sample in samples {
            targets.ask_patches(sample, samples.len());
            targets.ask_tokens(sample, samples.len(), objects);
        }
        targets
    }

    fn ask_patches(&mut self, sample: &Sample, samples: usize) {
        let grid = sample.unit.grid;
        let weight = PATCH_WEIGHT / (samples * grid.count()) as f32;
        let [shape, colour, motion] = PATCH_GROUPS;
        for patch in 0..grid.count() {
            let middle = |index: usize, count: u32| (index as f32 + 0.5) / count as f32 * SIDE;
            let (x, y) = (middle(patch % grid.columns as usize, grid.columns), middle(patch / grid.columns as usize, grid.rows));
            let share = |object: &Object| (object.x - x).hypot(object.y - y) / object.radius;
            let nearest = sample.objects.iter().zip(&sample.motion).min_by(|(a, _), (b, _)| share(a).total_cmp(&share(b)));
            let start = self.patches.len();
            self.patches.resize(start + motion.end, 0.0);
            let row = &mut self.patches[start..];
            match nearest {
                Some((object, moves)) if share(object) < COVERED => {
                    row[shape.start + 1 + object.shape.index()] = weight;
                    row[colour.start + 1 + object.colour.index()] = weight;
                    row[motion.start + motion_class(*moves)] = weight;
                }
                Some((object, _)) if share(object) < UNCOVERED => {}
                _ => (row[shape.start], row[colour.start]) = (weight, weight),
            }
        }
    }

    fn ask_tokens(&mut self, sample: &Sample, samples: usize, objects: f32) {
        let grid = sample.unit.grid.tokens();
        let width = width(&TOKEN_GROUPS);
        let start = self.tokens.len();
        self.tokens.resize(start + grid.count() * width, 0.0);
        let rows = &mut self.tokens[start..];
        let weight = 1.0 / (samples * grid.count()) as f32;
        for row in rows.chunks_mut(width) {
            row[TOKEN_GROUPS[CENTRE].start] = weight;
            row[TOKEN_GROUPS[COUNT].start + sample.objects.len()] = COUNT_WEIGHT * weight;
        }
        for (object, motion) in sample.objects.iter().zip(&sample.motion) {
            let row = &mut rows[token_of(object.x, object.y, grid) * width..][..width];
            (row[0], row[1]) = (0.0, CENTRE_WEIGHT * weight);
            for (group, class) in TOKEN_GROUPS[1..COUNT].iter().zip(classes(object, *motion)) {
                row[group.start + class] = 1.0 / objects;
            }
        }
    }
}
