//! The command `caracal-cluster`.

use std::process::ExitCode;

use anyhow::Result;
use caracal_cluster::{generate, plan, serve};
use clap::{CommandFactory, Parser, Subcommand};

/// The brain of Caracal: answers conversations, and plans the machines for it.
#[derive(Parser)]
#[command(
    name = "caracal-cluster",
    version,
    after_help = "Start with:\n  caracal-cluster local --help\n  caracal-cluster serve --help\n  caracal-cluster generate --help\n  caracal-cluster plan --help"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::command::Arguments),
    Local(serve::local::Arguments),
    Generate(generate::command::Arguments),
    /// Says whether a checkpoint fits on given GPUs and how fast it can be. Reads no weights; config.json is enough.
    #[command(
        after_help = "Exit code 0: it fits. 1: it does not. 2: the question was wrong.\n\nExample:\n  caracal-cluster plan --model LongCat-Flash-Omni-FP8 --gpus 8xH20-141G --tp 8 --ep 8 --context 131072"
    )]
    Plan(plan::command::Arguments),
    /// Prints a completion script for a shell.
    #[command(after_help = "Example:\n  caracal-cluster completions bash > ~/.local/share/bash-completion/completions/caracal-cluster")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    // Exit codes: 0 done, 1 failed (for `plan`: does not fit), 2 the question was wrong.
    let (outcome, failure) = match Arguments::parse().command {
        Command::Serve(arguments) => (serve::command::run(&arguments), ExitCode::FAILURE),
        Command::Local(arguments) => (serve::local::run(&arguments), ExitCode::FAILURE),
        Command::Generate(arguments) => (generate::command::run(&arguments).map(|()| ExitCode::SUCCESS), ExitCode::FAILURE),
        Command::Plan(arguments) => (plan::command::run(arguments), ExitCode::from(2)),
        Command::Completions { shell } => (completions(shell), ExitCode::FAILURE),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("caracal-cluster: {}", explain(&error));
        failure
    })
}

fn completions(shell: clap_complete::Shell) -> Result<ExitCode> {
    clap_complete::generate(shell, &mut Arguments::command(), "caracal-cluster", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}

/// An error with those of its causes that it does not quote itself.
fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    })
}
