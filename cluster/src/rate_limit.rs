//! How many connections an address may make: so many at once, then so many a second.

use std::collections::BTreeMap;
use std::net::IpAddr;

use caracal_shared::machine::Micros;

/// Addresses that are remembered; a flood from more than these forgets the quieter half of them.
const ADDRESSES_MAX: usize = 65_536;
/// Microseconds of a second.
const SECOND: u64 = 1_000_000;

/// A bucket for each address.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    at_once: u64,
    a_second: u64,
    /// When the bucket was, or will be, empty of debts.
    clear_at: BTreeMap<IpAddr, Micros>,
}

impl RateLimit {
    /// `at_once` connections, then `a_second` of them.
    ///
    /// # Panics
    /// When either is 0: nobody could connect.
    pub fn new(at_once: u64, a_second: u64) -> Self {
        assert!(at_once > 0 && a_second > 0, "a limit of no connections");
        Self { at_once, a_second, clear_at: BTreeMap::new() }
    }

    /// Whether one more from `address` is allowed; then it counts.
    pub fn allow(&mut self, now: Micros, address: IpAddr) -> bool {
        let cost = SECOND / self.a_second;
        if !self.clear_at.contains_key(&address) && self.clear_at.len() >= ADDRESSES_MAX {
            self.forget(now);
        }
        let clear_at = self.clear_at.entry(address).or_insert(now);
        let next = Micros((*clear_at).max(now).0 + cost);
        let allowed = next.0 <= now.0 + cost * self.at_once;
        if allowed {
            *clear_at = next;
        }
        allowed
    }

    /// Forgets those who owe nothing and, if need be, those who owe less than others: a new address must not be refused
    /// because of them. Half at once, so that a flood of new addresses does not look through all of them each time.
    fn forget(&mut self, now: Micros) {
        let mut all: Vec<Micros> = self.clear_at.values().copied().collect();
        let half = all.len() / 2;
        let (_, median, _) = all.select_nth_unstable(half);
        let quiet = (*median).max(now);
        self.clear_at.retain(|_, at| *at > quiet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_then_the_rate_and_others_do_not_notice() {
        let mut limit = RateLimit::new(5, 10);
        let [a, b] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let allowed = (0..10_000).filter(|_| limit.allow(Micros(0), a)).count();
        assert_eq!(allowed, 5);
        assert!(limit.allow(Micros(0), b));
        let allowed = (0..10_000u64).filter(|i| limit.allow(Micros(i * 100), a)).count();
        assert!((9..=11).contains(&allowed), "{allowed} in a second");
    }

    #[test]
    fn a_flood_from_everywhere_keeps_no_new_address_out_and_lets_no_loud_one_in() {
        let mut limit = RateLimit::new(5, 10);
        let loud = IpAddr::from([10, 0, 0, 1]);
        assert_eq!((0..100).filter(|_| limit.allow(Micros(0), loud)).count(), 5);
        let everywhere = (0..3 * ADDRESSES_MAX as u32).map(|n| IpAddr::from((0x0b00_0000 + n).to_be_bytes()));
        for address in everywhere {
            assert!(limit.allow(Micros(0), address), "{address} is new and was refused");
            assert!(limit.clear_at.len() <= ADDRESSES_MAX);
        }
        assert!(!limit.allow(Micros(0), loud));
    }
}
