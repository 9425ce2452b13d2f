//! The command `caracal`.

use std::process::ExitCode;

use anyhow::Result;
use caracal_edge::command::{config, doctor, listen, run};
use clap::{CommandFactory, Parser, Subcommand};

/// The ears, eyes and mouth of Caracal: hears and sees on this device, and speaks what the cluster answers.
#[derive(Parser)]
#[command(
    name = "caracal",
    version,
    after_help = "Start with:\n  caracal doctor                                what works here and what does not\n  caracal run --sound FILE --answer FILE        talk with a cluster\n  caracal listen --sound FILE --fast            when speech and turns are heard\n  caracal config --print > caracal.toml         every setting with its default"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Doctor(doctor::Arguments),
    Listen(listen::Arguments),
    Config(config::Arguments),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  caracal completions bash > ~/.local/share/bash-completion/completions/caracal")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    // Exit codes: 0 done, 1 failed (for `doctor`: something must be mended), 2 wrong arguments.
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Listen(arguments) => listen::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Completions { shell } => completions(shell),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("caracal: {}", explain(&error));
        ExitCode::FAILURE
    })
}

fn completions(shell: clap_complete::Shell) -> Result<ExitCode> {
    clap_complete::generate(shell, &mut Arguments::command(), "caracal", &mut std::io::stdout());
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
