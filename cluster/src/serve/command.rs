//! `caracal-cluster serve`: edges connect and talk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;

use anyhow::{Context, Result};
use caracal_edge::io::signals::on_stop;
use caracal_edge::settings::{print, read_file};
use caracal_kernels::choose_device;
use tracing_subscriber::EnvFilter;

use super::brain::{Capacity, load};
use super::config::{CONFIG_FILE, ClusterConfig};
use crate::io::certificate::Credentials;
use crate::io::host::Host;
use crate::io::metrics::{self, Metrics};
use crate::io::quic::QuicServer;

/// First words of a printed file.
const INTRODUCTION: &str = "Configuration of caracal-cluster. Every key is shown with its default; leave out what you do not change.";

/// Serve edges over QUIC: they hear, see and speak; this thinks.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal-cluster serve --model models/kitten
  caracal-cluster serve --model DIR --listen 0.0.0.0:4433 --metrics 127.0.0.1:9464 --sessions 8
  caracal-cluster serve --print-config > caracal-cluster.toml

At the first start a certificate and a device token are made in the state folder. Copy the fingerprint that is printed, and
a token out of the file that is named beside it, into each edge's configuration (cluster.fingerprint, cluster.token).
Ctrl-C or SIGTERM lets answers that are being heard end, for ten seconds at most, then stops; a second one stops at once.
Exit codes: 0 stopped, 1 failed, 2 wrong arguments.")]
pub struct Arguments {
    /// Configuration file; without it `caracal-cluster.toml` of this folder if there is one, else the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print every key with the value that counts, as a configuration file, and stop.
    #[arg(long)]
    print_config: bool,
    /// Folder of the model; this and the following win over the file.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Address to listen on, UDP.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of the Prometheus metrics, TCP.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Folder of certificate, key and device tokens.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Sessions at most, connected or not.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    sessions: Option<u32>,
}

impl Arguments {
    /// The file, with the options that win over it.
    fn read(&self) -> Result<ClusterConfig> {
        let beside = || Some(PathBuf::from(CONFIG_FILE)).filter(|file| file.is_file());
        let mut config: ClusterConfig = match self.config.clone().or_else(beside) {
            Some(file) => read_file(&file)?,
            None => ClusterConfig::default(),
        };
        if let Some(model) = &self.model {
            config.model = model.clone();
        }
        if let Some(listen) = self.listen {
            config.listen = listen.to_string();
        }
        if let Some(metrics) = self.metrics {
            config.metrics = metrics.to_string();
        }
        if let Some(state) = &self.state {
            config.state = state.clone();
        }
        config.sessions = self.sessions.unwrap_or(config.sessions);
        Ok(config)
    }
}

/// Serves until it is told to stop.
///
/// # Errors
/// When the model, the state folder or an address cannot be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut config = arguments.read()?;
    if arguments.print_config {
        print!("{}", print(&mut config, INTRODUCTION));
        return Ok(ExitCode::SUCCESS);
    }
    let filter = EnvFilter::try_new(&config.log).with_context(|| format!("log = \"{}\": not a filter", config.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let names: Vec<String> = config.names.split_whitespace().map(str::to_string).collect();
    let credentials = Credentials::open(&config.state, &names)?;
    let chosen = choose_device(config.compute.into());
    if let Some(why) = &chosen.fallback {
        eprintln!("caracal-cluster: {why}");
    }
    let context = config.context as usize;
    let capacity = Capacity::of(config.sessions as usize, config.block_tokens as usize, context);
    let (node, executor) = load(&config.model, &chosen.device, credentials.tokens.clone(), capacity, context)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("no runtime")?;
    let metrics = Arc::new(Metrics::default());
    let mut host = Host::start(node, executor, metrics.clone()).context("no thread")?;
    let (asked, stop) = channel();
    on_stop(move || _ = asked.send(())).context("no signals")?;
    let server = runtime.block_on(async {
        let server = QuicServer::start(config.listen.parse()?, &credentials, host.handle().clone())?;
        println!("listening on {} (UDP), on {}", server.address()?, chosen.name);
        if !config.metrics.is_empty() {
            let address = metrics::serve(config.metrics.parse()?, metrics).await;
            let address = address.with_context(|| format!("metrics = \"{}\": cannot be listened on", config.metrics))?;
            println!("metrics on http://{address}/metrics");
        }
        println!("fingerprint {}", credentials.fingerprint());
        println!("token file  {}", config.state.join("tokens").display());
        anyhow::Ok(server)
    })?;
    // It fails when the one who sends is gone, and then nobody else could stop the host.
    let _ = stop.recv();
    eprintln!("caracal-cluster: stopping when answers have ended; Ctrl-C again stops at once");
    host.shut_down();
    runtime.block_on(server.close());
    Ok(ExitCode::SUCCESS)
}
