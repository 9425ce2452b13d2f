//! `cargo xtask demo`: the six demo conversations through the whole path.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{cargo, root, setup};

/// The conversations, in `tests/data/demo`, and what each shows.
const CASES: &[(&str, &str)] = &[
    ("text_case", "typed question"),
    ("audio_case", "5 s of speech and a typed question"),
    ("image_case", "a picture of 2133 x 2133 and a typed question"),
    ("text_video_case", "the end of a video and a typed question"),
    ("video_audio_case", "video with a spoken question beside it"),
    ("video_case", "video with its own sound track"),
];

/// What to run and where to put it.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo --model models/my-model --max-steps 400")]
pub struct Arguments {
    /// Folder for the model and the replies.
    #[arg(long, default_value = "out/demo")]
    out: PathBuf,
    /// A model folder in the published layout, instead of a small one made up on the spot.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Most steps of a reply: 60 ms of speech each.
    #[arg(long, default_value_t = 100)]
    max_steps: u32,
}

/// Builds, makes up a small model if none is given, answers every conversation, and says where to look.
///
/// # Errors
/// When something is missing, or a conversation fails.
pub fn run(arguments: &Arguments) -> Result<()> {
    setup::conversation()?;
    eprintln!("building; the first time takes some minutes");
    crate::run(&mut cargo(&["build", "--release", "--package", "caracal-tests", "--package", "caracal-cluster", "--bins"]))?;
    let programs = std::env::current_exe()?.parent().map(Path::to_path_buf).context("this program lies in no folder")?;
    let out = root().join(&arguments.out);
    let model = match &arguments.model {
        Some(model) => root().join(model),
        None => {
            let model = out.join("model");
            crate::run(Command::new(programs.join("small_model")).arg(&model))?;
            println!("The model's weights are made up: its answers are noise in the right form, not speech.");
            model
        }
    };
    let mut failed = 0;
    for (case, what) in CASES {
        println!("\n{case}: {what}");
        let status = Command::new(programs.join("caracal-cluster"))
            .arg("generate")
            .args([Path::new("--model"), &model, Path::new("--out"), &out])
            .args(["--max-steps", &arguments.max_steps.to_string()])
            .arg(root().join("tests/data/demo").join(format!("{case}.json")))
            .status()?;
        failed += usize::from(!status.success());
    }
    ensure!(failed == 0, "{failed} of {} conversations failed", CASES.len());
    println!("\nText and codes: {0}/*.json; sound: {0}/*.wav", out.display());
    Ok(())
}
