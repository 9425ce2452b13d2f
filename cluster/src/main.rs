//! The command `caracal-cluster`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use caracal_cluster::plan::{Fleet, Plan, PlanRequest};
use clap::{Args, Parser, Subcommand};

/// The brain of Caracal: plans for LongCat-Flash-Omni and runs it.
#[derive(Parser)]
#[command(name = "caracal-cluster", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says whether a checkpoint fits on given GPUs and how fast it can be. Reads no weights; config.json is enough.
    #[command(after_help = "Exit code 0: it fits. 1: it does not. 2: the question was wrong.\n\nExample:\n  caracal-cluster plan --model LongCat-Flash-Omni-FP8 --gpus 8xH20-141G --tp 8 --ep 8 --context 131072")]
    Plan(PlanArguments),
}

#[derive(Args)]
struct PlanArguments {
    /// Model folder: config.json, and the weights where they are at hand.
    #[arg(long)]
    model: PathBuf,
    /// How many of which GPU, e.g. 8xH20-141G.
    #[arg(long)]
    gpus: Fleet,
    /// GPUs that share attention and dense FFN.
    #[arg(long)]
    tp: usize,
    /// GPUs that share the experts.
    #[arg(long)]
    ep: usize,
    /// Tokens of one conversation.
    #[arg(long)]
    context: u64,
    /// Shares of the memory that may be used.
    #[arg(long, value_delimiter = ',', default_values_t = [0.7, 0.9])]
    memory_fraction: Vec<f64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Plan(arguments) => plan(arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("caracal-cluster: {}", explain(&error));
        ExitCode::from(2)
    })
}

/// An error with those of its causes that it does not quote itself.
fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    })
}

fn plan(arguments: PlanArguments) -> Result<ExitCode> {
    let PlanArguments { model, gpus, tp, ep, context, memory_fraction, json } = arguments;
    let request = PlanRequest { fleet: gpus, tensor_parallel: tp, expert_parallel: ep, context, fractions: memory_fraction };
    let plan = Plan::new(&model, &request)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&plan)?);
    } else {
        println!("{plan}");
    }
    Ok(if plan.fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
