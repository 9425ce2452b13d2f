//! Conversation files in, replies out: video files, the small checkpoint, the six demo conversations, bad input.

mod bad_input;
mod command;
mod demo;
mod layout;
mod media;
mod video;

use std::path::{Path, PathBuf};
use std::process::Command;

use caracal_cluster::generate::{GenerateError, Options, Outcome, ReplyOptions, generate};
use caracal_cluster::sampler::Sampling;
use caracal_kernels::burn::tensor::Device;
use caracal_tests::small_model;
use tempfile::TempDir;

/// The published demo's conversations.
const CASES: [&str; 6] = ["text_case", "audio_case", "image_case", "text_video_case", "video_audio_case", "video_case"];

const SPOKEN: Options = Options { voice: true, reply: ReplyOptions { steps_max: 200, sampling: Sampling::GREEDY, seed: 0 } };
const WRITTEN: Options = Options { voice: false, ..SPOKEN };

fn demo_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/demo").join(name)
}

fn case_file(name: &str) -> PathBuf {
    demo_file(&format!("{name}.json"))
}

/// A fresh small model.
fn model() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    small_model::write(folder.path(), small_model::SEED).expect("the small model can be written");
    folder
}

fn run(model: &Path, case: &Path, options: &Options) -> Result<Outcome, GenerateError> {
    generate(model, case, &Device::flex(), options, &mut |_| {})
}

/// Runs a conversation that is written here.
fn run_text(model: &Path, conversation: &str, options: &Options) -> Result<Outcome, GenerateError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("case.json");
    std::fs::write(&file, conversation).expect("the case can be written");
    run(model, &file, options)
}

/// Positions of the prompt of one user turn; the reply is cut at once.
fn prompt_rows(model: &Path, items: &str) -> usize {
    run_text(model, &user(items), &Options { reply: ReplyOptions { steps_max: 1, ..WRITTEN.reply }, ..WRITTEN })
        .expect("the items are fine")
        .prompt_rows
}

/// A file that ffmpeg makes, as a JSON string.
fn made(folder: &Path, name: &str, arguments: &[&str]) -> String {
    let path = folder.join(name);
    let made = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments).arg(&path).status().expect("ffmpeg is installed");
    assert!(made.success(), "ffmpeg could not make {name}");
    serde_json::to_string(&path).expect("a path is a string")
}

fn user(items: &str) -> String {
    format!(r#"[{{"role": "user", "content": [{items}]}}]"#)
}
