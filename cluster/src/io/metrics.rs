//! What operators watch: Prometheus text over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use caracal_shared::session::cluster::SessionEvent;
use caracal_shared::wire::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::backbone::block_pool::PoolUsage;
use crate::node::Node;
use crate::scheduler::StepPlan;

/// Bounds in seconds of the times to a first step and to first speech, and of an engine step: from a millisecond to what nobody waits for.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
/// Bounds of the frames that are ready at an endpoint: none means that the user waits.
const FRAMES: [f64; 8] = [0.0, 1.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

/// All counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sessions: Gauge,
    connected: Gauge,
    inbox: Gauge,
    work: Gauge,
    egress: Gauge,
    blocks_used: Gauge,
    blocks_free: Gauge,
    turns: Counter,
    answers: Counter,
    rollbacks: Counter,
    barge_ins: Counter,
    replies: Counter,
    stale: Counter,
    refused: Family<Why, Counter>,
    first_step: Histogram,
    ready_frames: Histogram,
    first_speech: Histogram,
    step: Histogram,
    rows: Counter,
    bytes_in: Counter<u64, AtomicU64>,
    bytes_out: Counter<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("caracal");
        let histogram = |bounds: &[f64]| Histogram::new(bounds.iter().copied());
        let metrics = Self {
            sessions: Gauge::default(),
            connected: Gauge::default(),
            inbox: Gauge::default(),
            work: Gauge::default(),
            egress: Gauge::default(),
            blocks_used: Gauge::default(),
            blocks_free: Gauge::default(),
            turns: Counter::default(),
            answers: Counter::default(),
            rollbacks: Counter::default(),
            barge_ins: Counter::default(),
            replies: Counter::default(),
            stale: Counter::default(),
            refused: Family::default(),
            first_step: histogram(&SECONDS),
            ready_frames: histogram(&FRAMES),
            first_speech: histogram(&SECONDS),
            step: histogram(&SECONDS),
            rows: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("sessions", "Sessions that are kept", metrics.sessions.clone());
        registry.register("sessions_connected", "Sessions with a connection", metrics.connected.clone());
        registry.register("inbox_messages", "Messages that wait for the node", metrics.inbox.clone());
        registry.register("work_waiting", "Works that wait for the engine", metrics.work.clone());
        registry.register("egress_bytes", "Bytes that wait to be sent to edges", metrics.egress.clone());
        registry.register("kv_blocks_used", "Cache blocks that sessions hold", metrics.blocks_used.clone());
        registry.register("kv_blocks_free", "Cache blocks that are free", metrics.blocks_free.clone());
        registry.register("turns", "Turns that began", metrics.turns.clone());
        registry.register("answers", "Answers that were begun, guesses included", metrics.answers.clone());
        registry.register("rollbacks", "Answers that were taken back", metrics.rollbacks.clone());
        registry.register("barge_ins", "Answers that were interrupted", metrics.barge_ins.clone());
        registry.register("replies", "Answers that were heard to their end", metrics.replies.clone());
        registry.register("stale_messages", "Messages of dead turns and attempts", metrics.stale.clone());
        registry.register("refused", "Connections and work that were refused", metrics.refused.clone());
        registry.register("first_step_seconds", "From the end of input to the first step of an answer", metrics.first_step.clone());
        registry.register("endpoint_ready_frames", "Frames that were ready when the turn ended", metrics.ready_frames.clone());
        registry.register(
            "endpoint_to_speech_seconds",
            "From the end of the turn to the first speech that is sent, 0 where the guess had sent some (t4 to sound, the cluster's part)",
            metrics.first_speech.clone(),
        );
        registry.register("step_seconds", "Time of an engine step", metrics.step.clone());
        registry.register("rows", "Rows that went through the engine", metrics.rows.clone());
        registry.register("received_bytes", "Bytes of units from edges", metrics.bytes_in.clone());
        registry.register("sent_bytes", "Bytes of units to edges", metrics.bytes_out.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// All of it as Prometheus reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(super) fn event(&self, event: SessionEvent) {
        match event {
            SessionEvent::TurnStarted => {
                self.turns.inc();
            }
            SessionEvent::TurnCancelled => {}
            SessionEvent::AnswerStarted(_) => {
                self.answers.inc();
            }
            SessionEvent::FirstStep(_, after) => self.first_step.observe(after.0 as f64 / 1e6),
            SessionEvent::FirstSpeech(_, after) => self.first_speech.observe(after.0 as f64 / 1e6),
            SessionEvent::RolledBack(_) => {
                self.rollbacks.inc();
            }
            SessionEvent::Endpoint(_, frames) => self.ready_frames.observe(f64::from(frames)),
            SessionEvent::BargedIn(_) => {
                self.barge_ins.inc();
            }
            SessionEvent::ReplyEnded(_) => {
                self.replies.inc();
            }
            SessionEvent::Stale => {
                self.stale.inc();
            }
            SessionEvent::Refused(reason) => self.refused(reason),
        }
    }

    pub(super) fn refused(&self, reason: Reason) {
        self.refused.get_or_create(&Why { reason: reason.word() }).inc();
    }

    pub(super) fn stepped(&self, took: Duration, plan: &StepPlan, usage: PoolUsage) {
        self.step.observe(took.as_secs_f64());
        self.rows.inc_by(plan.work.iter().flat_map(|work| &work.parts).map(|part| u64::from(part.rows())).sum());
        self.blocks_used.set(usage.used as i64);
        self.blocks_free.set(usage.free as i64);
    }

    pub(super) fn queues(&self, inbox: usize, egress: usize, node: &Node) {
        self.inbox.set(inbox as i64);
        self.egress.set(egress as i64);
        self.work.set(node.scheduler().waiting() as i64);
        self.sessions.set(node.sessions().count() as i64);
        self.connected.set(node.sessions().filter(|(_, _, connected)| *connected).count() as i64);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes_in.inc_by(bytes as u64);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.bytes_out.inc_by(bytes as u64);
    }
}

/// Serves `/metrics` and `/health` on `address` until the runtime ends.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    let text = move || {
        let metrics = metrics.clone();
        async move { ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text()) }
    };
    let router = Router::new().route("/metrics", get(text)).route("/health", get(|| async { "ok\n" }));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
    Ok(local)
}
