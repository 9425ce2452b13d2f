//! `caracal-cluster serve`: edges connect and talk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use caracal_kernels::{DeviceChoice, choose_device};
use tracing_subscriber::EnvFilter;

use super::brain::{Capacity, load};
use crate::io::certificate::Credentials;
use crate::io::host::Host;
use crate::io::metrics::{self, Metrics};
use crate::io::quic::QuicServer;

/// Serve edges over QUIC: they hear, see and speak; this thinks.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal-cluster serve --model models/kitten
  caracal-cluster serve --model DIR --listen 0.0.0.0:4433 --metrics 127.0.0.1:9464 --sessions 8

At the first start a certificate and a device token are made in the state folder. Copy the fingerprint and the token that
are printed into each edge's configuration (cluster.fingerprint, cluster.token).
Ctrl-C lets answers that are being heard end, then stops; a second one stops at once.
Exit codes: 0 stopped, 1 failed, 2 wrong arguments.")]
pub struct Arguments {
    /// Folder of the model, in the published layout.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Address to listen on, UDP.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:4433")]
    listen: SocketAddr,
    /// Address of the Prometheus metrics, TCP; none are served without it.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Folder of certificate, key and device tokens.
    #[arg(long, value_name = "DIR", default_value = "caracal-state")]
    state: PathBuf,
    /// Host name of this machine in its certificate; may be given several times.
    #[arg(long = "name", value_name = "NAME", default_value = "localhost")]
    names: Vec<String>,
    /// Sessions at most, connected or not.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    sessions: u16,
    /// Positions that a session remembers at most; the model's context if that is less.
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(512..))]
    context: u32,
    /// Positions of one cache block.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    block_tokens: u16,
    /// What computes: `auto`, `cpu` or `wgpu`.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// What is logged: error, warn, info, debug or trace, also per part: `info,caracal_cluster=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Serves until it is told to stop.
///
/// # Errors
/// When the model, the state folder or an address cannot be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let filter = EnvFilter::try_new(&arguments.log).with_context(|| format!("--log {}: not a filter", arguments.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let credentials = Credentials::open(&arguments.state, &arguments.names)?;
    let chosen = choose_device(arguments.device);
    if let Some(why) = &chosen.fallback {
        eprintln!("caracal-cluster: {why}");
    }
    let capacity = Capacity::of(arguments.sessions.into(), arguments.block_tokens.into(), arguments.context as usize);
    let (node, executor) = load(&arguments.model, &chosen.device, credentials.tokens.clone(), capacity, arguments.context as usize)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("no runtime")?;
    let metrics = Arc::new(Metrics::default());
    let mut host = Host::start(node, executor, metrics.clone()).context("no thread")?;
    let server = runtime.block_on(async {
        let server = QuicServer::start(arguments.listen, &credentials, host.handle().clone())?;
        println!("listening on {} (UDP), on {}", server.address()?, chosen.name);
        if let Some(address) = arguments.metrics {
            let address = metrics::serve(address, metrics).await.with_context(|| format!("--metrics {address}: cannot be listened on"))?;
            println!("metrics on http://{address}/metrics");
        }
        println!("fingerprint {}", credentials.fingerprint());
        println!("token file  {}", arguments.state.join("tokens").display());
        anyhow::Ok(server)
    })?;
    runtime.block_on(async { tokio::signal::ctrl_c().await }).context("no signals")?;
    eprintln!("caracal-cluster: stopping when answers have ended; Ctrl-C again stops at once");
    runtime.spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    host.shut_down();
    runtime.block_on(server.close());
    Ok(ExitCode::SUCCESS)
}
