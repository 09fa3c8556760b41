//! The neighbour cache of one port: which Ethernet address an on-link IP address has.
//!
//! One machine for ARP and (later) neighbour discovery: what is on the wire is the caller's. Events go in, requests to
//! send come out of [`NeighborCache::poll_request`]; time is an argument.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::addr::{Family, MacAddr};
use crate::time::Instant;

/// The most entries; beyond, the least useful one makes room.
pub const ENTRIES_MAX: usize = 1024;

/// Requests before a neighbour counts as gone. A11, RFC 1122 2.3.2.1.
const REQUESTS_MAX: u8 = 3;

/// The least time between two requests for one neighbour. A08, RFC 1122 2.3.2.1: at most one a second.
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);

/// How long a confirmation is believed. As RFC 4861's REACHABLE_TIME.
const REACHABLE_TIME: Duration = Duration::from_secs(30);

/// How long a neighbour that did not answer is left alone.
const HOLD_DOWN: Duration = Duration::from_secs(20);

/// What is known of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Asked for, not answered yet.
    Incomplete,
    /// Confirmed a short while ago.
    Reachable,
    /// Confirmed a long while ago: used as it is.
    Stale,
    /// Being confirmed again, by unicast.
    Probe,
    /// Did not answer.
    Failed,
}

impl State {
    /// Its name in text and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Probe => "probe",
            Self::Failed => "failed",
        }
    }
}

/// One neighbour.
#[derive(Clone, Copy, Debug)]
struct Entry {
    mac: Option<MacAddr>,
    state: State,
    /// When it was last confirmed; for one never confirmed, when it was first asked for.
    confirmed_at: Instant,
    requests: u8,
    /// The next request, or the end of the state.
    deadline: Option<Instant>,
    /// Kept alive by asking again, as the gateway is.
    wanted: bool,
}

/// A request to send: to `mac` if its last known address is to be confirmed, else to everyone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<A> {
    /// Who is asked for.
    pub addr: A,
    /// Where the request goes, if not to everyone.
    pub mac: Option<MacAddr>,
}

/// One row of the cache, for showing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<A> {
    /// Its address.
    pub addr: A,
    /// Its Ethernet address, once known.
    pub mac: Option<MacAddr>,
    /// What is known of it.
    pub state: State,
    /// When it was last confirmed or first asked for.
    pub confirmed_at: Instant,
}

/// The neighbours of one port.
#[derive(Clone, Debug)]
pub struct NeighborCache<F: Family> {
    entries: BTreeMap<F::Addr, Entry>,
}

impl<F: Family> Default for NeighborCache<F> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<F: Family> NeighborCache<F> {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants `addr` resolved and kept resolved, as the gateway's.
    pub fn want(&mut self, now: Instant, addr: F::Addr) {
        self.make_room(addr);
        let entry = self.entries.entry(addr).or_insert(Entry {
            mac: None,
            state: State::Incomplete,
            confirmed_at: now,
            requests: 0,
            deadline: Some(now),
            wanted: true,
        });
        entry.wanted = true;
    }

    /// The Ethernet address of `addr`, if known.
    #[must_use]
    pub fn lookup(&self, addr: F::Addr) -> Option<MacAddr> {
        self.entries.get(&addr).and_then(|e| e.mac)
    }

    /// `addr` was heard to be at `mac`.
    ///
    /// A04, RFC 826: an entry that exists is updated by any packet; one is created only if the packet was `for_us`.
    /// Returns whether the cache knows `addr` now.
    pub fn heard(&mut self, now: Instant, addr: F::Addr, mac: MacAddr, for_us: bool) -> bool {
        if !self.entries.contains_key(&addr) {
            if !for_us {
                return false;
            }
            self.make_room(addr);
        }
        let wanted = self.entries.get(&addr).is_some_and(|e| e.wanted);
        let entry = Entry {
            mac: Some(mac),
            state: State::Reachable,
            confirmed_at: now,
            requests: 0,
            deadline: Some(now + REACHABLE_TIME),
            wanted,
        };
        self.entries.insert(addr, entry);
        true
    }

    /// The next request that is due, if any. Call until it says `None`.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request<F::Addr>> {
        while let Some((addr, entry)) =
            self.entries.iter_mut().find(|(_, e)| e.deadline.is_some_and(|at| at <= now))
        {
            if let Some(request) = entry.advance(now, *addr) {
                return Some(request);
            }
        }
        None
    }

    /// When [`poll_request`](Self::poll_request) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.values().filter_map(|e| e.deadline).min()
    }

    /// Every neighbour, by address.
    pub fn rows(&self) -> impl Iterator<Item = Row<F::Addr>> + '_ {
        self.entries.iter().map(|(addr, e)| Row {
            addr: *addr,
            mac: e.mac,
            state: e.state,
            confirmed_at: e.confirmed_at,
        })
    }

    /// A14: a full cache gives up an unresolved entry first, else the one confirmed longest ago; never a wanted one.
    fn make_room(&mut self, addr: F::Addr) {
        if self.entries.len() < ENTRIES_MAX || self.entries.contains_key(&addr) {
            return;
        }
        let victim = self
            .entries
            .iter()
            .filter(|(_, e)| !e.wanted)
            .min_by_key(|(_, e)| (e.mac.is_some(), e.confirmed_at))
            .map(|(addr, _)| *addr);
        if let Some(victim) = victim {
            self.entries.remove(&victim);
        }
    }
}

impl Entry {
    /// The deadline has come: what to ask, if anything.
    fn advance<A>(&mut self, now: Instant, addr: A) -> Option<Request<A>> {
        match self.state {
            State::Incomplete | State::Probe if self.requests < REQUESTS_MAX => {
                self.requests += 1;
                self.deadline = Some(now + REQUEST_INTERVAL);
                Some(Request { addr, mac: self.mac })
            }
            State::Incomplete | State::Probe => {
                self.state = State::Failed;
                self.mac = None;
                self.deadline = self.wanted.then(|| now + HOLD_DOWN);
                None
            }
            State::Reachable | State::Stale if self.wanted => {
                // A10, RFC 1122 2.3.2.1: an entry in use is confirmed by unicast before it grows old.
                self.state = State::Probe;
                self.requests = 0;
                None
            }
            State::Reachable | State::Stale => {
                self.state = State::Stale;
                self.deadline = None;
                None
            }
            State::Failed => {
                self.state = State::Incomplete;
                self.requests = 0;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::V4;
    use core::net::Ipv4Addr;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn s(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn ask(cache: &mut NeighborCache<V4>, now: Instant) -> Vec<Request<Ipv4Addr>> {
        core::iter::from_fn(|| cache.poll_request(now)).collect()
    }

    // A08, A11, RFC 1122 2.3.2.1.
    #[test]
    fn a_silent_neighbour_is_asked_three_times_a_second_apart_and_then_left_alone() {
        let mut cache = NeighborCache::<V4>::new();
        cache.want(s(0), GATEWAY);
        let to_all = Request { addr: GATEWAY, mac: None };
        for second in 0..3 {
            assert_eq!(ask(&mut cache, s(second)), [to_all], "second {second}");
            assert_eq!(ask(&mut cache, s(second)), [], "once a second");
        }
        assert_eq!(ask(&mut cache, s(3)), []);
        assert_eq!(cache.rows().next().unwrap().state, State::Failed);
        assert_eq!(cache.poll_timeout(), Some(s(23)));
        assert_eq!(ask(&mut cache, s(23)), [to_all], "after the hold-down it is asked again");
    }

    // A10, RFC 1122 2.3.2.1.
    #[test]
    fn a_wanted_neighbour_is_confirmed_by_unicast() {
        let mut cache = NeighborCache::<V4>::new();
        cache.want(s(0), GATEWAY);
        ask(&mut cache, s(0));
        cache.heard(s(0), GATEWAY, MAC, true);
        assert_eq!(cache.lookup(GATEWAY), Some(MAC));
        assert_eq!(ask(&mut cache, s(29)), []);
        assert_eq!(ask(&mut cache, s(30)), [Request { addr: GATEWAY, mac: Some(MAC) }]);
        assert_eq!(cache.lookup(GATEWAY), Some(MAC), "used while it is being confirmed");
    }

    // A04, RFC 826.
    #[test]
    fn only_a_packet_for_us_creates_an_entry_and_any_packet_updates_one() {
        let mut cache = NeighborCache::<V4>::new();
        assert!(!cache.heard(s(0), GATEWAY, MAC, false));
        assert_eq!(cache.lookup(GATEWAY), None);
        assert!(cache.heard(s(0), GATEWAY, MAC, true));
        let moved = MacAddr([2, 0, 0, 0, 0, 9]);
        assert!(cache.heard(s(1), GATEWAY, moved, false));
        assert_eq!(cache.lookup(GATEWAY), Some(moved));
    }

    // A14: a scan does not push out who is wanted, and the cache stays bounded.
    #[test]
    fn a_full_cache_keeps_the_gateway() {
        let mut cache = NeighborCache::<V4>::new();
        cache.want(s(0), GATEWAY);
        cache.heard(s(0), GATEWAY, MAC, true);
        for host in 0..5000u32 {
            cache.heard(s(1), Ipv4Addr::from_bits(0x0a00_0000 + host), MAC, true);
        }
        assert_eq!(cache.lookup(GATEWAY), Some(MAC));
        assert_eq!(cache.rows().count(), ENTRIES_MAX);
    }

    #[test]
    fn an_unwanted_neighbour_grows_stale_without_a_request() {
        let mut cache = NeighborCache::<V4>::new();
        cache.heard(s(0), GATEWAY, MAC, true);
        assert_eq!(ask(&mut cache, s(31)), []);
        assert_eq!(cache.rows().next().unwrap().state, State::Stale);
        assert_eq!(cache.poll_timeout(), None);
    }
}
