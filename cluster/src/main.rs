//! `caracal-cluster`: the brain of Caracal as a program.

use std::process::ExitCode;

use anyhow::Result;
use caracal_cluster::generate;
use clap::{CommandFactory, Parser, Subcommand};

/// The brain of Caracal.
#[derive(Parser)]
#[command(name = "caracal-cluster", version, after_help = "Start with:\n  caracal-cluster generate --help")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Generate(generate::command::Arguments),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  caracal-cluster completions bash > ~/.local/share/bash-completion/completions/caracal-cluster")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("caracal-cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Generate(arguments) => generate::command::run(&arguments),
        Task::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "caracal-cluster", &mut std::io::stdout());
            Ok(())
        }
    }
}
