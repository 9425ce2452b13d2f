//! Two lanes up and one down between an edge and the cluster: delay, jitter, outage, cut.
//!
//! QUIC repeats what is lost and keeps the order of a stream, so loss shows as delay: a message that falls into an
//! outage, and all behind it, arrive after it.

use caracal_cluster::node::ConnectionId;
use caracal_shared::machine::Micros;
use rand::Rng;
use rand::rngs::StdRng;

/// What a link is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkSettings {
    /// One way.
    pub delay: Micros,
    /// Up to so much more.
    pub jitter: Micros,
    /// How many of a hundred messages are lost once and repeated.
    pub loss_percent: u32,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self { delay: Micros(5_000), jitter: Micros(1_000), loss_percent: 0 }
    }
}

/// A stream of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Control and audio, upwards.
    Control,
    /// Pictures, upwards.
    Vision,
    /// Everything downwards.
    Down,
}

/// The link of one edge.
#[derive(Clone, Debug)]
pub struct Link {
    settings: LinkSettings,
    /// The connection that stands or is being made.
    pub connection: Option<ConnectionId>,
    /// Nothing gets through before this.
    pub outage_until: Micros,
    /// The edge does not read before this.
    pub stalled_until: Micros,
    last: [Micros; 3],
}

impl Link {
    /// A link without connection.
    pub fn new(settings: LinkSettings) -> Self {
        Self { settings, connection: None, outage_until: Micros(0), stalled_until: Micros(0), last: [Micros(0); 3] }
    }

    /// The connection goes on over another road: nothing gets through until it was tried there and back.
    pub fn go_over(&mut self, settings: LinkSettings, now: Micros) {
        self.settings = settings;
        self.outage_until = self.outage_until.max(now.after(Micros(2 * settings.delay.0)));
    }

    /// When a message that is sent now arrives.
    pub fn arrival(&mut self, now: Micros, lane: Lane, rng: &mut StdRng) -> Micros {
        let LinkSettings { delay, jitter, loss_percent } = self.settings;
        let mut at = now.after(delay).after(Micros(rng.random_range(0..=jitter.0)));
        if rng.random_range(0..100) < loss_percent {
            at = at.after(Micros(3 * delay.0 + 10_000));
        }
        at = at.max(self.outage_until);
        if lane == Lane::Down {
            at = at.max(self.stalled_until);
        }
        let last = &mut self.last[lane as usize];
        *last = at.max(*last);
        *last
    }
}
