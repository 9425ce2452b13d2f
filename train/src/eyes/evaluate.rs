//! How much of what is in a picture can be read, linearly, from the rows that the language model gets.

use std::fmt;
use std::time::Instant;

use anyhow::Result;
use burn::tensor::{DType, Device};
use caracal_edge::vision::{Preprocessor, RopeTable, VisionEncoder};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::network::{Heads, OUTPUT};
use super::sample::Sample;
use super::scene::Split;
use super::targets::{CENTRE, COUNT, TOKEN_GROUPS, TOKEN_NAMES, classes, token_of, width};
use crate::stage::Folders;

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
    /// Stills of which every object was found and read rightly, and none that is not there.
    stills: Share,
    /// Likewise pairs of pictures of clips.
    pairs: Share,
    /// Time of the encoder for one unit.
    milliseconds: f64,
    /// Square root of the mean square of the rows.
    row_size: f64,
    /// The same of what differs between rows: without what all have in common.
    row_spread: f64,
}

impl Score {
    /// In one line.
    pub fn brief(&self) -> String {
        let groups: Vec<String> = TOKEN_NAMES.iter().zip(&self.groups).map(|(name, share)| format!("{name} {share}")).collect();
        format!("{}; stills {}, pairs {}", groups.join(", "), self.stills, self.pairs)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (name, share) in TOKEN_NAMES.iter().zip(&self.groups) {
            writeln!(f, "{name:>8}: {share} of {}", share.of)?;
        }
        writeln!(f, "stills read without an error: {} of {}", self.stills, self.stills.of)?;
        writeln!(f, "pairs read without an error: {} of {}", self.pairs, self.pairs.of)?;
        writeln!(f, "size of the rows: {:.3}, of what differs between them: {:.3}", self.row_size, self.row_spread)?;
        write!(f, "encoder: {:.1} ms a unit", self.milliseconds)
    }
}

/// `count` units of one side of the wall.
pub fn draw_samples(seed: u64, split: Split, count: usize, preprocessor: &Preprocessor) -> Vec<Sample> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| Sample::draw(&mut rng, split, preprocessor)).collect()
}

/// Reads the units through the networks as they are shipped.
///
/// # Errors
/// When a file is missing or damaged.
pub fn score(folders: &Folders, samples: &[Sample]) -> Result<Score> {
    let device = Device::flex();
    let (encoder, _) = VisionEncoder::open(&folders.model, OUTPUT, &device, DType::F32, RopeTable::Demo)?;
    let heads = Heads::open(&folders.work.join("eyes"), &device)?;
    let mut score = Score::default();
    let (mut squares, mut seconds, mut rows_seen) = (0.0, 0.0, 0.0);
    let mut sums = vec![0.0; OUTPUT];
    for sample in samples {
        let started = Instant::now();
        let rows = encoder.embed(&[(&sample.unit, sample.unit.grid.tokens())]).remove(0);
        seconds += started.elapsed().as_secs_f64();
        squares += f64::from(rows.clone().square().mean().into_scalar::<f32>());
        for row in rows.clone().into_data().try_into_vec::<f32>().expect("rows are f32").chunks_exact(OUTPUT) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            rows_seen += 1.0;
        }
        let readings = heads.read_tokens(rows).into_data().try_into_vec::<f32>().expect("readings are f32");
        score.add(sample, &readings);
    }
    let units = samples.len().max(1) as f64;
    let common = sums.iter().map(|sum| (sum / rows_seen).powi(2)).sum::<f64>() / OUTPUT as f64;
    score.milliseconds = 1e3 * seconds / units;
    (score.row_size, score.row_spread) = ((squares / units).sqrt(), (squares / units - common).max(0.0).sqrt());
    Ok(score)
}

impl Score {
    fn add(&mut self, sample: &Sample, readings: &[f32]) {
        let grid = sample.unit.grid.tokens();
        let chosen: Vec<[usize; TOKEN_GROUPS.len()]> = readings.chunks(width(&TOKEN_GROUPS)).map(choices).collect();
        let objects = sample.objects.iter().zip(&sample.motion);
        let wanted: Vec<_> = objects.map(|(o, motion)| (token_of(o.x, o.y, grid), classes(o, *motion))).collect();
        let mut whole = true;
        for (token, chosen) in chosen.iter().enumerate() {
            let object = wanted.iter().find(|(at, _)| *at == token);
            let found = chosen[CENTRE] == usize::from(object.is_some());
            self.groups[CENTRE].add(found);
            self.groups[COUNT].add(chosen[COUNT] == sample.objects.len());
            whole &= found;
            for (group, class) in object.iter().flat_map(|(_, classes)| (1..COUNT).zip(classes)) {
                self.groups[group].add(chosen[group] == *class);
                whole &= chosen[group] == *class;
            }
        }
        if sample.still { self.stills.add(whole) } else { self.pairs.add(whole) }
    }
}

/// The likeliest class of each group.
fn choices(row: &[f32]) -> [usize; TOKEN_GROUPS.len()] {
    TOKEN_GROUPS.map(|group| {
        let classes = row[group].iter().enumerate();
        classes.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class)
    })
}
