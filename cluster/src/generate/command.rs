//! `caracal-cluster generate`: arguments, progress for people, what is printed, exit codes.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use caracal_kernels::{DeviceChoice, choose_device};
use caracal_shared::limits::REPLY_STEPS_MAX;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::outcome::Outcome;
use super::progress::{Progress, Stage};
use super::reply::ReplyOptions;
use super::run::{Options, generate};
use crate::sampler::Sampling;

/// Answer a conversation file: text, audio, pictures and video in; text, codes and a WAV file out.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal-cluster generate --model out/demo/model tests/data/demo/audio_case.json
  caracal-cluster generate --model DIR --out replies --max-steps 400 CASE.json
  caracal-cluster generate --model DIR --text-only --temperature 0.7 --top-k 50 --seed 1 CASE.json

CASE.json is a list of messages: [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Hello\"}]}].
Items are text, audio, image, video, multimodal_interleaved and audio_codec; paths are relative to the file.
The reply goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong arguments.")]
pub struct Arguments {
    /// Folder of the model, in the published layout.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Conversation file.
    case: PathBuf,
    /// Folder for `<case>.json` and `<case>.wav`.
    #[arg(long, value_name = "DIR", default_value = "replies")]
    out: PathBuf,
    /// Most steps of the reply, 60 ms of speech each.
    #[arg(long, value_name = "N", default_value_t = REPLY_STEPS_MAX, value_parser = clap::value_parser!(u32).range(1..))]
    max_steps: u32,
    /// What computes: `auto`, `cpu` or `wgpu`.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Randomness of the text; used when `--top-k` is not 1. 0 means 1, as published.
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true, value_parser = not_negative)]
    temperature: f32,
    /// How many of the likeliest words to choose from: 1 is greedy, 0 means all. With a temperature and no `--top-k`: 0.
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Choose from the likeliest words that together have this probability.
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_negative_numbers = true, value_parser = not_negative)]
    top_p: f32,
    /// Above 1 words said lately become less likely; used when `--top-k` is not 1.
    #[arg(long, value_name = "F", default_value_t = 1.0, allow_negative_numbers = true, value_parser = not_negative)]
    repetition_penalty: f32,
    /// Seed of the randomness: the same seed gives the same reply.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Reply in writing only: no codes, no sound.
    #[arg(long)]
    text_only: bool,
    /// Print a JSON object instead of the text: text, counts, files.
    #[arg(long)]
    json: bool,
}

fn not_negative(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("expected a number of at least 0".into()),
    }
}

impl Arguments {
    fn options(&self) -> Options {
        let asks_for_chance = self.temperature != 1.0 || self.top_p != 1.0 || self.repetition_penalty != 1.0;
        let sampling = Sampling {
            temperature: self.temperature,
            top_k: self.top_k.unwrap_or(if asks_for_chance { 0 } else { 1 }),
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
        };
        Options { voice: !self.text_only, reply: ReplyOptions { steps_max: self.max_steps as usize, sampling, seed: self.seed } }
    }
}

/// Runs the command.
///
/// # Errors
/// Whatever went wrong, for stderr.
pub fn run(arguments: &Arguments) -> Result<()> {
    let chosen = choose_device(arguments.device);
    if let Some(why) = &chosen.fallback {
        eprintln!("caracal-cluster: {why}");
    }
    let name = arguments.case.file_stem().map_or_else(|| "case".into(), |stem| stem.to_string_lossy());
    let written = arguments.out.join(format!("{name}.json"));
    if let (Ok(written), Ok(case)) = (written.canonicalize(), arguments.case.canonicalize()) {
        ensure!(
            written != case,
            "{}: the reply would be written over the conversation. Choose another folder with `--out`.",
            case.display()
        );
    }
    let mut bar = Bar::new();
    let outcome = generate(&arguments.model, &arguments.case, &chosen.device, &arguments.options(), &mut |progress| bar.show(progress));
    bar.0.finish_and_clear();
    let outcome = outcome?;
    let files = outcome.write(&arguments.out, &name)?;
    for notice in &outcome.notices {
        eprintln!("caracal-cluster: {notice}");
    }
    if arguments.json {
        println!("{}", summary(&outcome, &files));
    } else {
        println!("{}", outcome.text);
    }
    for file in files {
        eprintln!("wrote {}", file.display());
    }
    Ok(())
}

fn summary(outcome: &Outcome, files: &[PathBuf]) -> serde_json::Value {
    let seconds = outcome.sound.as_ref().map(|sound| sound.samples.len() as f64 / f64::from(sound.rate));
    json!({
        "text": outcome.text,
        "prompt_rows": outcome.prompt_rows,
        "steps": outcome.reply.text.len(),
        "finished": outcome.reply.finished,
        "segments": outcome.segments,
        "codec_frames": outcome.audio_codes.len(),
        "seconds": seconds,
        "notices": outcome.notices,
        "files": files,
    })
}

/// A progress bar on stderr where a person is looking, nothing elsewhere.
struct Bar(ProgressBar, Option<Stage>);

impl Bar {
    fn new() -> Self {
        let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{msg:20} {wide_bar} {pos}/{len} {elapsed}").expect("the template is valid");
        Self(ProgressBar::with_draw_target(None, target).with_style(style), None)
    }

    fn show(&mut self, progress: Progress) {
        if self.1 != Some(progress.stage) {
            self.1 = Some(progress.stage);
            self.0.set_message(progress.stage.name());
            self.0.reset_elapsed();
        }
        self.0.set_length(progress.total as u64);
        self.0.set_position(progress.done as u64);
    }
}
