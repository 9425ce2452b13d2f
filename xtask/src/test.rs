//! `cargo xtask test` and `cargo xtask ci`.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::{cargo, setup, tidy};

/// What to test.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --cpu-only        (a shorter build: no wgpu)\n  cargo xtask test -- -E 'test(golden)'"
)]
pub struct Arguments {
    /// Leave wgpu out: the build is about 15 minutes of two cores shorter.
    #[arg(long)]
    cpu_only: bool,
    /// Passed on to the test runner.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Runs every test.
///
/// # Errors
/// When something cannot be set up or a test fails.
pub fn run(arguments: &Arguments) -> Result<()> {
    setup::conversation()?;
    if !arguments.cpu_only {
        setup::ensure(&[setup::VULKAN])?;
    }
    tidy::run()?;
    let nextest = Command::new("cargo")
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    let mut command = cargo(if nextest { &["nextest", "run", "--release", "--workspace"] } else { &["test", "--release", "--workspace"] });
    if !arguments.cpu_only {
        command.args(["--features", "wgpu"]);
    }
    crate::run(command.args(&arguments.rest))
}

/// Everything that must hold before a push, cheapest first.
///
/// # Errors
/// At the first thing that does not hold.
pub fn ci() -> Result<()> {
    crate::run(&mut cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()?;
    crate::run(&mut cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    let deny =
        Command::new("cargo").args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if deny {
        crate::run(&mut cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    } else {
        eprintln!("cargo-deny is not installed: licences were not checked (cargo install cargo-deny)");
    }
    run(&Arguments { cpu_only: false, rest: Vec::new() })
}
