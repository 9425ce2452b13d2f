//! `cargo xtask train-kitten` and `cargo xtask eval-kitten`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{cargo, root, setup};

/// Parts of the training, in order; each goes on where it was stopped. The eyes learn to say words as the language model
/// knows them, so it learns to read and to speak before.
const PARTS: [&[&str]; 6] = [&["ears"], &["codec"], &["brain", "--stage", "text"], &["brain", "--stage", "speech"], &["eyes"], &["brain"]];
/// The outside judge of intelligible speech, where it lies beside the checkout.
const JUDGE: &str = "../shared/judge/intelligibility.py";

/// What to train.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask train-kitten\n  cargo xtask train-kitten -- ears --evaluate")]
pub struct Train {
    /// One part with its options (`ears`, `eyes`, `codec`, `brain`), instead of all in order.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    part: Vec<String>,
}

/// What to measure.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask eval-kitten\n  cargo xtask eval-kitten --judge judge.py --json figures.json")]
pub struct Eval {
    /// The judge of intelligible speech; by default the one beside the checkout, if it is there.
    #[arg(long)]
    judge: Option<PathBuf>,
    /// Passed on: `--share`, `--seed`, `--json`, `--card`, `--verbose`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Makes the data, runs the stages and evaluates; stops and goes on at will.
///
/// # Errors
/// When something is missing, or a stage fails.
pub fn train(arguments: &Train) -> Result<()> {
    setup::ensure(&[setup::COMPILER, setup::ESPEAK, setup::FLITE])?;
    build()?;
    if !arguments.part.is_empty() {
        return crate::run(std::process::Command::new(program()?).args(&arguments.part).current_dir(root()));
    }
    for part in PARTS {
        crate::run(std::process::Command::new(program()?).args(part).current_dir(root()))?;
    }
    eval(&Eval { judge: None, rest: vec!["--card".into()] })
}

/// Prints kitten's figures beside their bars.
///
/// # Errors
/// When something is missing, or the checkpoint is not complete.
pub fn eval(arguments: &Eval) -> Result<()> {
    setup::ensure(&[setup::COMPILER, setup::ESPEAK, setup::FLITE])?;
    build()?;
    let beside = root().join(JUDGE);
    let judge = arguments.judge.clone().or_else(|| beside.exists().then_some(beside));
    let mut command = std::process::Command::new(program()?);
    command.arg("evaluate").current_dir(root());
    match judge {
        Some(judge) => drop(command.arg("--judge").arg(judge)),
        None => eprintln!("no judge of intelligible speech was given: spoken replies are not judged"),
    }
    crate::run(command.args(&arguments.rest))
}

fn build() -> Result<()> {
    crate::run(&mut cargo(&["build", "--release", "--workspace"]))
}

fn program() -> Result<PathBuf> {
    let programs = std::env::current_exe()?.parent().map(Path::to_path_buf).context("this program lies in no folder")?;
    Ok(programs.join("caracal-train"))
}
