//! `caracal-train`: makes kitten, one part at a time or all in order.

use std::path::PathBuf;

use anyhow::{Context, Result};
use caracal_train::stage::Folders;
use caracal_train::{brain, codec, ears, evaluate, eyes};
use clap::{Parser, Subcommand};

/// Stack of the threads that train: graphs of gradients are deep.
const STACK_BYTES: usize = 64 << 20;

/// Makes kitten: data, training, evaluation. Every part can be stopped and goes on where it was.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Where the checkpoint lies.
    #[arg(long, default_value = "models/kitten", global = true)]
    model: PathBuf,
    /// Where data and states of the training lie; all of it can be made again.
    #[arg(long, default_value = "target/kitten", global = true)]
    work: PathBuf,
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// The codec: semantic tokenizer, quantizer, decoder.
    Codec(codec::Options),
    /// The audio encoder and its projector.
    Ears(ears::Options),
    /// The ViT and its projector.
    Eyes(eyes::Options),
    /// The language model.
    Brain(brain::Options),
    /// Measure the whole path on held-out cases.
    Evaluate(evaluate::Options),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folders = Folders { model: arguments.model, work: arguments.work };
    // Everything runs on the pool's own threads. From any other thread each parallel product is handed over and waited
    // for, twice a thread switch, which on a busy machine takes longer than the product.
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build().context("no threads can be started")?;
    pool.install(|| match &arguments.part {
        Part::Codec(options) => codec::run(options, &folders),
        Part::Ears(options) => ears::run(options, &folders),
        Part::Eyes(options) => eyes::run(options, &folders),
        Part::Brain(options) => brain::run(options, &folders),
        Part::Evaluate(options) => evaluate::run(options, &folders),
    })
}
