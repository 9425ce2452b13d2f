//! Writes the small made-up model into a folder: `small_model DIR`.

use std::path::PathBuf;

use anyhow::Result;
use caracal_tests::small_model;
use clap::Parser;

/// Write a small model with made-up weights in the published layout, to try every part of Caracal without a download.
#[derive(Parser)]
#[command(
    name = "small_model",
    after_help = "Example:\n  small_model target/small\n  caracal-cluster generate --model target/small tests/data/demo/audio_case.json"
)]
struct Arguments {
    /// Folder to write to; it is made if need be.
    folder: PathBuf,
    /// Equal seeds write equal models.
    #[arg(long, default_value_t = small_model::SEED)]
    seed: u64,
    /// Split the language model into shards of this many tensors.
    #[arg(long, value_name = "TENSORS")]
    shard: Option<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    small_model::write(&arguments.folder, arguments.seed)?;
    match arguments.shard {
        Some(tensors) => small_model::shard(&arguments.folder, tensors.max(1)),
        None => Ok(()),
    }
}
