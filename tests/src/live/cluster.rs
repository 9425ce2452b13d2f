//! A cluster on a port of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use caracal_cluster::io::certificate::Credentials;
use caracal_cluster::io::host::Host;
use caracal_cluster::io::metrics::Metrics;
use caracal_cluster::io::quic::QuicServer;
use caracal_cluster::serve::brain::{Capacity, load};
use caracal_shared::session::Exchange;
use tokio::runtime::Runtime;

/// The cluster; it ends when this is dropped.
pub struct Cluster {
    /// Its threads.
    pub host: Host,
    /// Its endpoint.
    pub server: QuicServer,
    runtime: Runtime,
    /// What edges pin.
    pub fingerprint: String,
    /// What edges show.
    pub token: String,
}

impl Cluster {
    /// Serves the model in `model`, with its state in `state`.
    ///
    /// # Panics
    /// When anything cannot be used: it was made for this test.
    pub fn start(model: &Path, state: &Path, address: &str) -> Self {
        let credentials = Credentials::open(state, &["localhost".into()]).expect("a state folder");
        let capacity = Capacity::of(4, 16, 2048);
        let (node, executor) = load(model, &Device::flex(), credentials.tokens.clone(), capacity, 2048).expect("the small model serves");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let host = Host::start(node, executor, Arc::new(Metrics::default())).expect("threads");
        let address = address.parse().expect("an address");
        let server = runtime.block_on(async { QuicServer::start(address, &credentials, host.handle().clone()).expect("a free port") });
        Self { host, server, runtime, fingerprint: credentials.fingerprint(), token: credentials.tokens[0].clone() }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// When the socket is gone.
    pub fn address(&self) -> SocketAddr {
        self.server.address().expect("it listens")
    }

    /// The transcripts of all sessions.
    ///
    /// # Panics
    /// When the host is gone.
    pub fn transcripts(&self) -> Vec<Vec<Exchange>> {
        let look = |node: &caracal_cluster::node::Node| {
            node.sessions().map(|(_, session, _)| session.transcript().exchanges().cloned().collect()).collect()
        };
        self.host.handle().look(look).expect("the host is there")
    }

    /// Blocks that the scheduler believes used, works that wait, positions that the sessions believe to have in blocks.
    ///
    /// # Panics
    /// When the host is gone.
    pub fn blocks(&self) -> (u32, usize, u32) {
        let look = |node: &caracal_cluster::node::Node| {
            let tokens = node.scheduler().blocks().tokens;
            let wanted = node.sessions().map(|(_, session, _)| session.length().div_ceil(tokens)).sum();
            (node.scheduler().used(), node.scheduler().waiting(), wanted)
        };
        self.host.handle().look(look).expect("the host is there")
    }

    /// The value of a counter or gauge in the metrics.
    pub fn metric(&self, line: &str) -> f64 {
        let text = self.host.handle().metrics().text();
        let value = |l: &str| l.strip_prefix(line).and_then(|rest| rest.trim().parse::<f64>().ok());
        text.lines().find_map(value).unwrap_or(0.0)
    }

    /// The runtime, for clients of the test's own.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Stops as an operator stops it.
    pub fn stop(mut self) {
        self.host.shut_down();
        self.runtime.block_on(self.server.close());
    }
}
