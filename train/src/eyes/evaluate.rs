//! How much of what is in a picture can be read, linearly, from the rows that the language model gets.

use std::fmt;
use std::time::Instant;

use anyhow::Result;
use burn::tensor::Device;
use caracal_edge::vision::Preprocessor;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::lesson::STATE;
use super::network::{Named, OUTPUT, Readings};
use super::sample::Sample;
use super::scene::Split;
use super::targets::{
    CENTRE, COUNT, EMPTY, HAPPENING, HAPPENING_NAMES, HAPPENINGS, Names, OBJECT, TOKEN_GROUPS, TOKEN_NAMES, Targets, classes, token_of,
    width,
};
use crate::stage::Folders;
use crate::word_vectors::WordVectors;

/// Right answers of those that were asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    right: usize,
    of: usize,
}

impl Share {
    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.of += 1;
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:.2} %", 100.0 * self.right as f64 / self.of.max(1) as f64)
    }
}

/// What was read rightly.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Of each group of questions, over the tokens that it is asked of.
    groups: [Share; TOKEN_GROUPS.len()],
    /// How loudly rows say what each group has to say, in lengths of the vector that they should: sum and count.
    loudness: [(f64, usize); TOKEN_GROUPS.len()],
    /// Of what happens, over the objects to which it does.
    happenings: [Share; HAPPENINGS],
    /// Stills of which every object was found and read rightly, and none that is not there.
    stills: Share,
    /// Likewise pairs of pictures of clips.
    pairs: Share,
    /// Time of the encoder for one unit.
    milliseconds: f64,
    /// Mean square of the distance of rows with an object, and of those without, from the sum of the words that they should
    /// be, in lengths of a word's vector: 1 where one word is missing.
    away: [f64; 2],
}

impl Score {
    /// In one line.
    pub fn brief(&self) -> String {
        let groups: Vec<String> = TOKEN_NAMES.iter().zip(&self.groups).map(|(name, share)| format!("{name} {share}")).collect();
        format!("{}; stills {}, pairs {}, away {:.2} {:.2}", groups.join(", "), self.stills, self.pairs, self.away[0], self.away[1])
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for ((name, share), (sum, count)) in TOKEN_NAMES.iter().zip(&self.groups).zip(self.loudness) {
            writeln!(f, "{name:>11}: {share} of {}, {:.2} as loud as a word", share.of, sum / count.max(1) as f64)?;
        }
        for (name, share) in HAPPENING_NAMES.iter().zip(&self.happenings) {
            writeln!(f, "{name:>11}: {share} of {}", share.of)?;
        }
        writeln!(f, "stills read without an error: {} of {}", self.stills, self.stills.of)?;
        writeln!(f, "pairs read without an error: {} of {}", self.pairs, self.pairs.of)?;
        writeln!(f, "rows from their words: {:.3} with an object, {:.3} without", self.away[0], self.away[1])?;
        write!(f, "encoder: {:.1} ms a unit", self.milliseconds)
    }
}

/// `count` units of one side of the wall.
pub fn draw_samples(seed: u64, split: Split, count: usize, preprocessor: &Preprocessor) -> Vec<Sample> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| Sample::draw(&mut rng, split, preprocessor)).collect()
}

/// Reads the units through the networks as this stage left them: the language model moves the shipped projector further,
/// and the heads do not follow.
///
/// # Errors
/// When a file is missing or damaged.
pub fn score(folders: &Folders, samples: &[Sample]) -> Result<Score> {
    let device = Device::flex();
    let named = Named::open(&folders.work.join(STATE), &device)?;
    let names = Names::of(&WordVectors::open(&folders.model)?);
    let mut score = Score::default();
    let (mut seconds, mut counted) = (0.0, [0usize; 2]);
    for sample in samples {
        let started = Instant::now();
        let Readings { rows, tokens, .. } = named.networks.read(&[&sample.unit], &device);
        seconds += started.elapsed().as_secs_f64();
        let targets = Targets::of(std::slice::from_ref(sample), &names);
        let values = rows.into_data().try_into_vec::<f32>().expect("rows are f32");
        let none = TOKEN_GROUPS[OBJECT].start;
        let about = none..TOKEN_GROUPS[EMPTY].start;
        let asked = targets.tokens.chunks(width(&TOKEN_GROUPS)).map(|asked| asked[about.clone()].iter().any(|weight| *weight > 0.0));
        let of_rows = values.chunks(OUTPUT).zip(targets.rows.chunks(OUTPUT)).zip(asked).zip(&targets.row_weights);
        for (((row, said), object), _) in of_rows.filter(|(_, weight)| **weight > 0.0) {
            let away: f32 = row.iter().zip(said).map(|(a, b)| (a - b).powi(2)).sum();
            score.away[usize::from(!object)] += f64::from(away / names.mean_square);
            counted[usize::from(!object)] += 1;
        }
        let readings = tokens.into_data().try_into_vec::<f32>().expect("readings are f32");
        score.add(sample, &targets, &readings);
        score.listen(&values, &targets, &names);
    }
    score.milliseconds = 1e3 * seconds / samples.len().max(1) as f64;
    score.away = std::array::from_fn(|kind| score.away[kind] / counted[kind].max(1) as f64);
    Ok(score)
}

impl Score {
    fn add(&mut self, sample: &Sample, targets: &Targets, readings: &[f32]) {
        let grid = sample.unit.grid.tokens();
        let chosen: Vec<[usize; TOKEN_GROUPS.len()]> = readings.chunks(width(&TOKEN_GROUPS)).map(choices).collect();
        let objects = sample.objects.iter().enumerate();
        let wanted: Vec<_> = objects.map(|(index, o)| (token_of(o.x, o.y, grid), classes(sample, index))).collect();
        let mut whole = true;
        for (token, (chosen, asked)) in chosen.iter().zip(targets.tokens.chunks(width(&TOKEN_GROUPS))).enumerate() {
            if let Some(empty) = asked[TOKEN_GROUPS[EMPTY].clone()].iter().position(|weight| *weight > 0.0) {
                self.groups[EMPTY].add(chosen[EMPTY] == empty);
            }
            let object = wanted.iter().find(|(at, _)| *at == token);
            let found = chosen[CENTRE] == usize::from(object.is_some());
            self.groups[CENTRE].add(found);
            self.groups[COUNT].add(chosen[COUNT] == sample.count());
            whole &= found;
            for (group, class) in object.iter().flat_map(|(_, classes)| (OBJECT..).zip(classes)) {
                self.groups[group].add(chosen[group] == *class);
                if group == HAPPENING {
                    self.happenings[*class].add(chosen[group] == *class);
                }
                whole &= chosen[group] == *class;
            }
        }
        if sample.still { self.stills.add(whole) } else { self.pairs.add(whole) }
    }

    /// Adds how far the rows go along each vector that they should hold, where all others are as they should.
    fn listen(&mut self, rows: &[f32], targets: &Targets, names: &Names) {
        let rows = rows.chunks(OUTPUT).zip(targets.rows.chunks(OUTPUT)).zip(targets.tokens.chunks(width(&TOKEN_GROUPS)));
        for ((row, said), asked) in rows {
            for (group, classes) in TOKEN_GROUPS.iter().enumerate() {
                let Some(class) = asked[classes.clone()].iter().position(|weight| *weight > 0.0) else { continue };
                let vector = &names.vectors[group][class];
                let square: f32 = vector.iter().map(|v| v * v).sum();
                if square > 0.0 {
                    let off: f32 = row.iter().zip(said).zip(vector).map(|((row, said), v)| (row - said) * v).sum();
                    self.loudness[group].0 += f64::from(1.0 + off / square);
                    self.loudness[group].1 += 1;
                }
            }
        }
    }
}

/// The likeliest class of each group.
fn choices(row: &[f32]) -> [usize; TOKEN_GROUPS.len()] {
    TOKEN_GROUPS.map(|group| {
        let classes = row[group].iter().enumerate();
        classes.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class)
    })
}
