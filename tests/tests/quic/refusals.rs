//! What an edge does that is refused: it ends where only a person can help, and waits where waiting helps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use caracal_edge::command::talk::Told;
use caracal_edge::io::door::{Dial, Door, DoorEvent};
use caracal_edge::io::driver::DriverError;
use caracal_shared::wire::{EdgeMessage, Hello, Reason, Refusal, VisionMessage};
use caracal_tests::live::edge::quic;
use caracal_tests::live::{Edge, EdgeOptions};

use super::Place;

/// An edge that says nothing, for so long.
fn silent(until_ms: u64) -> EdgeOptions {
    EdgeOptions { speech: Vec::new(), until_ms, ..EdgeOptions::default() }
}

#[test]
fn an_edge_whose_token_is_not_known_ends_and_says_so() {
    let place = Place::new();
    let cluster = place.cluster();
    let options = silent(20_000);
    // A name, so that the edge also finds the address that answers where the name has several.
    let door = quic(&format!("localhost:{}", cluster.address().port()), &cluster.fingerprint, &options);
    let error = Edge::try_live_through(place.model(), "guess", &options, false, door, |_, _| {}).expect_err("nobody knows this token");
    assert!(matches!(&error, DriverError::Refused(refusal) if refusal.reason == Reason::Token), "{error}");
    assert!(error.to_string().contains("refuses this device: the device token is not known here"), "{error}");
    assert_eq!(cluster.metric("caracal_refused_total{reason=\"token\"}"), 1.0, "it was asked once");
}

/// Refuses every Hello, and counts them.
struct Refuses {
    told: Told,
    reason: Reason,
    dials: Arc<AtomicU64>,
}

impl Door for Refuses {
    fn dial(&mut self, dial: Dial, _: Hello) {
        self.dials.fetch_add(1, Ordering::Relaxed);
        (self.told)(dial, DoorEvent::Refused(Refusal::new(self.reason, "not now")));
    }

    fn control(&mut self, _: EdgeMessage) {}

    fn vision(&mut self, _: VisionMessage) {}

    fn leave(&mut self) {}
}

/// How often an edge dials in four seconds that is refused for this reason.
fn dials(place: &Place, reason: Reason) -> u64 {
    let counted = Arc::new(AtomicU64::new(0));
    let dials = counted.clone();
    let edge = Edge::try_live_through(place.model(), "token", &silent(4000), false, |told| Refuses { told, reason, dials }, |_, _| {});
    edge.expect("an edge that may be welcome later goes on");
    counted.load(Ordering::Relaxed)
}

#[test]
fn an_edge_that_is_refused_for_now_dials_less_and_less_often() {
    let place = Place::new();
    for reason in [Reason::Busy, Reason::Shutdown, Reason::TooFast] {
        // At 0, 0.5, 1.5 and 3.5 s, or later on a busy machine.
        let dials = dials(&place, reason);
        assert!((2..=4).contains(&dials), "{reason:?}: {dials}");
    }
    // One more: something that went wrong once is tried again at once.
    let dials = dials(&place, Reason::Protocol);
    assert!((3..=5).contains(&dials), "{dials}");
}
