//! What every stage of the training shares: where its files lie, its learning rate, its progress, stopping and going on.
//!
//! A stage is a loop over steps. Whatever it draws comes from the seed and the step's number. A run that was stopped goes on
//! with the data that it would have seen or, in the language model's stages, which sort lessons of some steps by length, with
//! other data of the same kind. Its networks are saved by the published names every few minutes; the
//! optimiser's moments are not: after a stop they are found again within some dozens of steps. How far each stage is
//! also stands beside the checkpoint, so that a run goes on from the checkpoint alone where the work folder is gone.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

/// How often a stage saves.
const SAVE_EVERY: Duration = Duration::from_secs(240);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Weight of the newest loss in the average that is shown.
const SMOOTHING: f64 = 0.02;

/// Folders of a training run.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The checkpoint that is made, in the published layout.
    pub model: PathBuf,
    /// Data and states that the run can make again.
    pub work: PathBuf,
}

impl Folders {
    /// The state `work` in the work folder or, where that is gone, the part of the checkpoint that came of it.
    pub fn state(&self, work: &str, published: &str) -> PathBuf {
        let state = self.work.join(work);
        if state.exists() { state } else { self.model.join(published) }
    }

    /// How far each stage is, beside the checkpoint.
    fn steps_file(&self) -> PathBuf {
        self.model.join("training.json")
    }
}

/// A linear rise, then half a cosine down to a floor.
#[derive(Clone, Copy, Debug)]
pub struct LearningRate {
    /// The highest rate.
    pub peak: f64,
    /// Rate at the end, as a share of the peak.
    pub floor: f64,
    /// Steps of the rise.
    pub warmup: usize,
    /// Steps in all.
    pub steps: usize,
}

impl LearningRate {
    /// The rate of one step, from 0.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let done = ((step - self.warmup) as f64 / self.steps.saturating_sub(self.warmup).max(1) as f64).min(1.0);
        self.peak * (self.floor + (1.0 - self.floor) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
    }
}

/// One stage on its way.
pub struct Stage {
    name: &'static str,
    file: PathBuf,
    beside: PathBuf,
    seed: u64,
    steps: usize,
    done: usize,
    bar: ProgressBar,
    loss: Option<f64>,
    last_save: Instant,
    last_line: Instant,
}

impl Stage {
    /// Begins a stage, or goes on with one that was stopped: its step is kept in `{work}/{name}.json`.
    ///
    /// # Errors
    /// When the state cannot be read or the folder not be made.
    pub fn begin(folders: &Folders, name: &'static str, steps: usize, seed: u64) -> Result<Self> {
        std::fs::create_dir_all(&folders.work).with_context(|| format!("{}: cannot be made", folders.work.display()))?;
        let file = folders.work.join(format!("{name}.json"));
        let beside = folders.steps_file();
        let done = Self::done(folders, name)?;
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(steps as u64) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("{prefix:>10} {bar:30} {pos}/{len} {eta} {msg}").expect("the template is valid"));
        bar.set_prefix(name);
        bar.set_position(done as u64);
        let now = Instant::now();
        Ok(Self { name, file, beside, seed, steps, done, bar, loss: None, last_save: now, last_line: now })
    }

    /// Steps that the stage `name` has behind it.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn done(folders: &Folders, name: &str) -> Result<usize> {
        let file = folders.work.join(format!("{name}.json"));
        if file.exists() {
            return read_step(&file);
        }
        Ok(read_steps(&folders.steps_file())?.get(name).and_then(Value::as_u64).unwrap_or(0) as usize)
    }

    /// Whether the stage goes on from an earlier run.
    pub fn resumed(&self) -> bool {
        self.done > 0
    }

    /// The next step's number, or `None` at the end.
    pub fn next_step(&self) -> Option<usize> {
        (self.done < self.steps).then_some(self.done)
    }

    /// What the step of this number draws from.
    pub fn rng(&self, step: usize) -> StdRng {
        rng(self.seed, step)
    }

    /// Ends a step. Returns whether it is time to save: then save the networks and call [`Stage::saved`].
    pub fn end_step(&mut self, loss: f64, note: &str) -> bool {
        self.done += 1;
        let loss = *self.loss.insert(self.loss.map_or(loss, |mean| mean + SMOOTHING * (loss - mean)));
        self.bar.set_position(self.done as u64);
        self.bar.set_message(format!("loss {loss:.3} {note}"));
        if self.bar.is_hidden() && (self.last_line.elapsed() >= LINE_EVERY || self.done == self.steps) {
            eprintln!("{} {}/{} loss {loss:.4} {note}", self.name, self.done, self.steps);
            self.last_line = Instant::now();
        }
        self.done == self.steps || self.last_save.elapsed() >= SAVE_EVERY
    }

    /// Notes that the networks of this step are on disk.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn saved(&mut self) -> Result<()> {
        self.last_save = Instant::now();
        let mut steps = read_steps(&self.beside)?;
        steps.insert(self.name.to_string(), self.done.into());
        std::fs::write(&self.beside, format!("{:#}\n", Value::Object(steps)))
            .with_context(|| format!("{}: cannot be written", self.beside.display()))?;
        std::fs::write(&self.file, json!({"step": self.done, "loss": self.loss}).to_string())
            .with_context(|| format!("{}: cannot be written", self.file.display()))
    }
}

/// What the step of this number draws from in a stage with this seed.
pub fn rng(seed: u64, step: usize) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(step as u64))
}

fn read_step(file: &Path) -> Result<usize> {
    let state: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file)?)
        .with_context(|| format!("{}: is no state of a stage; delete it to begin anew", file.display()))?;
    let step = state["step"].as_u64().with_context(|| format!("{}: names no step; delete it to begin anew", file.display()))?;
    Ok(step as usize)
}

/// Steps of all stages; none where there is no file yet.
fn read_steps(file: &Path) -> Result<Map<String, Value>> {
    if !file.exists() {
        return Ok(Map::new());
    }
    serde_json::from_str(&std::fs::read_to_string(file)?)
        .with_context(|| format!("{}: names no steps of stages; delete it to begin anew", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_its_floor() {
        let rate = LearningRate { peak: 1.0, floor: 0.1, warmup: 10, steps: 110 };
        assert!((rate.at(0) - 0.1).abs() < 1e-9 && (rate.at(9) - 1.0).abs() < 1e-9);
        assert!((rate.at(60) - 0.55).abs() < 1e-9);
        assert!((rate.at(110) - 0.1).abs() < 1e-9 && (rate.at(500) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_stopped_stage_goes_on_where_it_saved() {
        let folder = std::env::temp_dir().join(format!("caracal-stage-{}", std::process::id()));
        let folders = Folders { model: folder.clone(), work: folder.clone() };
        let mut stage = Stage::begin(&folders, "test", 3, 1).unwrap();
        assert!(!stage.resumed());
        stage.end_step(1.0, "");
        stage.saved().unwrap();
        stage.end_step(1.0, "");
        let again = Stage::begin(&folders, "test", 3, 1).unwrap();
        assert_eq!(again.next_step(), Some(1));
        assert!(again.resumed());
        // The work folder is gone, the checkpoint is there.
        std::fs::remove_file(folder.join("test.json")).unwrap();
        assert_eq!(Stage::begin(&folders, "test", 3, 1).unwrap().next_step(), Some(1));
        assert!(!Stage::begin(&folders, "other", 3, 1).unwrap().resumed());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
