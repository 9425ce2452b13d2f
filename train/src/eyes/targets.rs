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

/// Of a patch: the covering object's shape, colour, motion and place, and in which direction its centre lies.
pub const PATCH_GROUPS: [Range<usize>; 5] =
    groups([1 + Shape::ALL.len(), 1 + Colour::ALL.len(), MOTIONS, Place::ALL.len(), BEARINGS * BEARINGS]);
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
        samples.iter().for_each(|sample| targets.ask_tokens(sample, samples.len(), objects));
        let covers: Vec<Vec<Cover>> = samples.iter().map(covers).collect();
        let count = |wanted: fn(&&Cover) -> bool| covers.iter().flatten().filter(wanted).count().max(1) as f32;
        let covered = count(|cover| matches!(cover, Cover::Object(..)));
        let uncovered = count(|cover| matches!(cover, Cover::Nothing));
        for (sample, covers) in samples.iter().zip(&covers) {
            for cover in covers {
                targets.ask_patch(sample, cover, covered, uncovered);
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

/// What covers a patch.
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
        let object = Object { shape, colour, size, place, x: 180.0, y: 100.0, radius: 36.0, turn: 0.0 };
        let unit = VisualUnit { grid: Grid { rows: 8, columns: 8 }, rows: Vec::new() };
        Sample { unit, still: false, objects: vec![object], motion: vec![Some(Direction::Up)] }
    }

    #[test]
    fn the_token_of_the_centre_is_asked_everything_and_the_others_only_that_they_are_none() {
        let targets = Targets::of(&[sample()]);
        let rows: Vec<&[f32]> = targets.tokens.chunks(width(&TOKEN_GROUPS)).collect();
        let asked = |row: &[f32]| row.iter().enumerate().filter(|(_, w)| **w > 0.0).map(|(class, _)| class).collect::<Vec<_>>();
        let start = |group: usize| TOKEN_GROUPS[group].start;
        for (token, row) in rows.iter().enumerate() {
            // Row 100 / 28, column 180 / 56.
            let wanted = if token == 3 * 4 + 3 {
                let [shape, colour] = [Shape::Star.index(), Colour::Blue.index()];
                vec![1, start(1) + shape, start(2) + colour, start(3) + 1, start(4) + 5, start(5) + 3, start(COUNT) + 1]
            } else {
                vec![0, start(COUNT) + 1]
            };
            assert_eq!(asked(row), wanted, "token {token}");
        }
    }

    #[test]
    fn patches_near_the_centre_are_covered_and_those_at_the_edge_are_not_asked() {
        let targets = Targets::of(&[sample()]);
        let row = |x: usize, y: usize| &targets.patches[(y * 8 + x) * width(&PATCH_GROUPS)..][..width(&PATCH_GROUPS)];
        assert!(row(6, 3)[PATCH_GROUPS[0].start + 1 + Shape::Star.index()] > 0.0);
        assert!(row(0, 0)[PATCH_GROUPS[0].start] > 0.0 && row(0, 0)[PATCH_GROUPS[1].start] > 0.0);
        assert!(row(5, 2).iter().all(|weight| *weight == 0.0));
    }
}
