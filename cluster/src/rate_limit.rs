//! How many connections an address may make: so many at once, then so many a second.

use std::collections::BTreeMap;
use std::net::IpAddr;

use caracal_shared::machine::Micros;

/// Addresses that are remembered; a flood from more than these forgets the quietest ones.
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
            self.clear_at.retain(|_, at| *at > now);
            if self.clear_at.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let clear_at = self.clear_at.entry(address).or_insert(now);
        let next = Micros((*clear_at).max(now).0 + cost);
        let allowed = next.0 <= now.0 + cost * self.at_once;
        if allowed {
            *clear_at = next;
        }
        allowed
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
}
