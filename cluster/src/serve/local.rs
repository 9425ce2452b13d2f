//! `caracal-cluster local`: edge and cluster in one process.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use caracal_edge::command::options::ConfigOptions;
use caracal_edge::command::talk::{TalkOptions, prepare, talk};
use caracal_kernels::choose_device;

use super::brain::{Capacity, load};
use super::config::ClusterConfig;
use crate::io::host::Host;
use crate::io::local::LocalDoor;
use crate::io::metrics::Metrics;

/// What the edge of this process shows the cluster of this process.
const TOKEN: &str = "same-process";
/// Talk with a model on this machine alone: edge and cluster in one process, no network.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal-cluster local --model models/kitten --sound question.wav --answer answer.wav
  caracal-cluster local --model models/kitten --script conversation.toml --answer answers.wav --timeline turns.svg

Settings are those of the edge: `caracal config --print`.
Exit codes: 0 the conversation ended, 1 failed or answered otherwise than the script says, 2 wrong arguments.")]
pub struct Arguments {
    #[command(flatten)]
    options: ConfigOptions,
    #[command(flatten)]
    talk: TalkOptions,
}

/// Talks until the sound or the script has ended.
///
/// # Errors
/// When the configuration, the model or the sound cannot be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut config = arguments.options.read()?;
    prepare(&mut config, &arguments.talk)?;
    let chosen = choose_device(config.compute.into());
    if let Some(why) = &chosen.fallback {
        eprintln!("caracal-cluster: {why}");
    }
    let ClusterConfig { block_tokens, context, .. } = ClusterConfig::default();
    let capacity = Capacity::of(1, block_tokens as usize, context as usize);
    let (node, executor) = load(&config.model, &chosen.device, vec![TOKEN.into()], capacity, context as usize)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("no runtime")?;
    let mut host = Host::start(node, executor, Arc::new(Metrics::default())).context("no thread")?;
    let (handle, carrier) = (host.handle().clone(), runtime.handle().clone());
    let outcome = talk(&config, &arguments.talk, TOKEN.into(), |told| Ok(LocalDoor::open(handle, carrier, told)));
    host.shut_down();
    outcome
}
