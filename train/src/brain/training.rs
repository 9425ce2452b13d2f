//! The loop that every stage runs in which the whole language model learns.

use anyhow::Result;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use caracal_shared::tokenize::Markers;
use rayon::ThreadPoolBuilder;

use super::balance::{Load, rebalance};
use super::batch::{Batch, batches};
use super::curriculum::Lessons;
use super::lesson::Teacher;
use super::loss::{Losses, losses};
use super::measure::measure;
use super::model::{Brain, BrainFiles};
use super::sample::Sample;
use super::shape::SEED;
use crate::adamw::{AdamW, Settings};
use crate::stage::{Folders, LearningRate, Stage};

/// Rows of a step, of all shares together.
const ROWS: usize = 2048;
/// Batches whose gradients a step adds up, each on a thread of its own: one network on one core each is nearly twice as
/// fast as every small operation on two. The same on every machine, so that what is learnt is the same.
const SHARES: usize = 2;
/// Steps whose samples are drawn and sorted by length together.
const POOL: usize = 6;
/// Share of the frames that are read wrong, and of those of which the acoustic codes alone are.
const MISREAD: f64 = 0.1;
const MISREAD_SOUNDS: f64 = 0.4;
/// How fast the router's biases move.
const BIAS_RATE: f64 = 2e-3;
/// Steps until the learning rate is at its highest.
const WARMUP: usize = 100;
/// Weight of the newest part in the averages that are shown.
const SMOOTHING: f64 = 0.03;

/// Runs a stage, or goes on with it.
///
/// # Errors
/// When a file cannot be read or written, or a lesson not be rendered.
pub fn run(folders: &Folders, teacher: &mut Teacher, lessons: &Lessons) -> Result<()> {
    let device = Device::flex().autodiff();
    let mut stage = Stage::begin(folders, lessons.name, lessons.steps, SEED)?;
    if stage.next_step().is_none() {
        return Ok(());
    }
    let (files, mut brain) = BrainFiles::open(&folders.model, teacher.heard, &device)?;
    let rate = LearningRate { peak: lessons.rate, floor: lessons.floor, warmup: WARMUP, steps: lessons.steps };
    let mut optimiser = optimiser();
    let (mut pool, mut coming): (Vec<Batch>, Vec<Sample>) = (Vec::new(), Vec::new());
    let mut parts = Parts::default();
    let mut load = Load::default();
    let workers = (0..SHARES).map(|_| ThreadPoolBuilder::new().num_threads(1).build()).collect::<Result<Vec<_>, _>>()?;
    while let Some(step) = stage.next_step() {
        let mut rng = stage.rng(step);
        while pool.len() < SHARES {
            if coming.is_empty() {
                coming = teacher.lessons(&lessons.mix, ROWS * POOL, &mut rng)?;
            }
            pool.extend(batches(std::mem::take(&mut coming), ROWS / SHARES, &mut rng));
        }
        let mut shares = pool.split_off(pool.len() - SHARES);
        shares.iter_mut().for_each(|batch| batch.misread(MISREAD, MISREAD_SOUNDS, &mut rng));
        let (markers, heard) = (*teacher.sampler.markers(), teacher.heard);
        let learn = &|batch| learn(brain.clone().fork(&device), batch, &markers, heard, &device);
        let (learnt, new) = std::thread::scope(|scope| {
            let threads: Vec<_> =
                shares.iter().zip(&workers).map(|(batch, worker)| scope.spawn(move || worker.install(|| learn(batch)))).collect();
            // Meanwhile lessons for later: rendering and hearing them takes about as long as learning from them.
            let wanted = coming.iter().map(|lesson| lesson.rows.len()).sum::<usize>() < ROWS * POOL;
            let new = if wanted { teacher.lessons(&lessons.mix, ROWS, &mut rng) } else { Ok(Vec::new()) };
            let learnt = threads.into_iter().map(|thread| thread.join().expect("a share of a step panicked"));
            (learnt.collect::<Vec<Learnt>>(), new)
        });
        coming.extend(new?);
        let mut gradients = GradientsAccumulator::new();
        let mut text = None;
        load = Load::default();
        for share in learnt {
            gradients.accumulate(&brain, share.gradients);
            load.add(&share.load);
            parts.take(&share.losses);
            text = text.or(share.losses.text).or(share.losses.audio_text);
        }
        brain = optimiser.step(rate.at(step), brain, gradients.grads());
        rebalance(&mut brain.language, &load, BIAS_RATE);
        let text = text.unwrap_or_default();
        if stage.end_step(text, &parts.to_string()) {
            files.save(&brain, &folders.model)?;
            stage.saved()?;
            eprintln!("{}", measure(&brain.valid(), teacher, &lessons.mix)?);
        }
    }
    let (identity, spread) = load.report(files.config.n_routed_experts);
    eprintln!(
        "{}: {:.0} % of choices fall on experts without weights; least and most loaded by layer {spread:.2?}",
        lessons.name,
        identity * 100.0
    );
    Ok(())
}

/// What one share of a step gives.
struct Learnt {
    gradients: GradientsParams,
    losses: Losses,
    load: Load,
}

fn learn(brain: Brain, batch: &Batch, markers: &Markers, heard: usize, device: &Device) -> Learnt {
    let mut load = Load::default();
    let x = batch.embed(&brain, markers, heard, device);
    let hidden = brain.language.offline(x, batch.samples, &mut load);
    let losses = losses(&brain, batch, hidden);
    let gradients = (losses.total.clone() * (1.0 / SHARES as f64)).backward();
    Learnt { gradients: GradientsParams::from_grads(gradients, &brain), losses, load }
}

/// AdamW as all stages use it.
pub fn optimiser() -> AdamW {
    AdamW::new(Settings { beta_2: 0.98, weight_decay: 0.02, norm_max: 1.0, ..Settings::default() })
}

/// Averages of the parts of the loss.
#[derive(Default)]
struct Parts {
    text: Option<f64>,
    audio_text: Option<f64>,
    codes: Option<[f64; 4]>,
}

impl Parts {
    fn take(&mut self, losses: &Losses) {
        let mean = |old: Option<f64>, new: Option<f64>| match (old, new) {
            (Some(old), Some(new)) => Some(old + SMOOTHING * (new - old)),
            (old, new) => new.or(old),
        };
        (self.text, self.audio_text) = (mean(self.text, losses.text), mean(self.audio_text, losses.audio_text));
        if let Some(new) = losses.codes {
            let old = self.codes.unwrap_or(new);
            self.codes = Some(std::array::from_fn(|book| old[book] + SMOOTHING * (new[book] - old[book])));
        }
    }
}

impl std::fmt::Display for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let shown = |part: Option<f64>| part.map_or("-".to_string(), |part| format!("{part:.3}"));
        write!(f, "written {} beside speech {}", shown(self.text), shown(self.audio_text))?;
        self.codes.map_or(Ok(()), |[s, a, b, c]| write!(f, " codes {s:.2} {a:.2} {b:.2} {c:.2}"))
    }
}
