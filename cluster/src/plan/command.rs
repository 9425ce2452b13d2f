//! `caracal-cluster plan`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::{Fleet, Plan, PlanRequest};

/// What to plan for.
#[derive(clap::Args)]
pub struct Arguments {
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

/// Plans and prints. The exit code says whether it fits.
///
/// # Errors
/// When the model cannot be read or the question makes no sense.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { model, gpus, tp, ep, context, memory_fraction, json } = arguments;
    let request = PlanRequest { fleet: gpus, tensor_parallel: tp, expert_parallel: ep, context, fractions: memory_fraction };
    let plan = Plan::new(&model, &request)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&plan)?);
    } else {
        println!("{plan}");
    }
    Ok(if plan.fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
