//! Which client is behind which flow of a balancer: bounded, ageing, and the newest wins.
//!
//! Made once, for as many flows as there may be: nothing is allocated afterwards. A flow is found by its hash, through a chain of
//! those that share a bucket; and all are in a list by when they were last used, of which the first to be forgotten is at one
//! end, both when its time is over and when there is no room.

use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use foldhash::fast::FixedState;

use super::as_v6;
use crate::time::Instant;

/// The flow of a balancer: from where to where its packets are, on the wire.
// O09: source, source port, destination, destination port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    src: [u8; 16],
    dst: [u8; 16],
    /// Source and destination port, as they are on the wire.
    ports: [u8; 4],
}

impl Flow {
    /// The flow from `src` to `dst`, with its two ports as they are on the wire.
    #[inline]
    #[must_use]
    pub const fn new(src: IpAddr, dst: IpAddr, ports: [u8; 4]) -> Self {
        Self { src: as_v6(src).octets(), dst: as_v6(dst).octets(), ports }
    }
}

/// How much is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableLimits {
    /// The most flows.
    pub flows: u32,
    /// How long after its last packet a flow is remembered.
    pub timeout: Duration,
}

/// What came of a flow's client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Learned {
    /// Whether others are to be told: it is new, another one, or they might forget it long before this table does.
    pub tell: bool,
    /// Whether another flow, whose time was not over, had to make room.
    pub evicted: bool,
}

/// No entry: the end of a chain or list.
const NONE: u32 = u32::MAX;

/// A remembered flow.
#[derive(Clone, Copy, Debug)]
struct Entry {
    flow: Flow,
    client: SocketAddr,
    /// When it was last used, at most [`Table::grain`] ago.
    used: Instant,
    /// When others were last told; `None`: they still are to be.
    told: Option<Instant>,
    /// The next in its bucket.
    next: u32,
    /// Its neighbours in the list by use.
    newer: u32,
    older: u32,
}

/// The flows that are remembered.
#[derive(Debug)]
pub struct Table {
    hash: FixedState,
    limits: TableLimits,
    /// The first entry of each bucket: a power of two of them.
    buckets: Box<[u32]>,
    /// Up to `limits.flows`; its room is for all of them.
    entries: Vec<Entry>,
    newest: u32,
    oldest: u32,
}

/// A use is noted when the last one is so much of the timeout ago: a packet rarely writes.
const GRAIN: u32 = 64;

/// Others are told again after so much of the timeout.
const TELL_AGAIN: u32 = 4;

impl Table {
    /// An empty one. `seed` is what nobody on the network knows: whose flows share a bucket is nobody's choice.
    #[must_use]
    pub fn new(limits: TableLimits, seed: u64) -> Self {
        let flows = limits.flows.clamp(1, NONE - 1);
        let limits = TableLimits { flows, ..limits };
        let buckets = (flows as usize).next_power_of_two();
        Self {
            hash: FixedState::with_seed(seed),
            limits,
            buckets: vec![NONE; buckets].into(),
            entries: Vec::with_capacity(flows as usize),
            newest: NONE,
            oldest: NONE,
        }
    }

    /// How many flows it holds, those whose time is over among them.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The client of `flow`, which is in use now.
    #[inline]
    pub fn client(&mut self, now: Instant, flow: &Flow) -> Option<SocketAddr> {
        let at = self.find(flow)?;
        let Entry { client, used, .. } = *self.entries.get(at as usize)?;
        let idle = now.since(used);
        if idle >= self.limits.timeout {
            return None;
        }
        if idle >= self.limits.timeout / GRAIN {
            self.touch(now, at);
        }
        Some(client)
    }

    /// From `now` on, the client of `flow` is `client`, whoever it was before.
    // O09: DPVS reuses its own ports, so that a later packet with another client's address is right, and what was learned before
    // is not.
    pub fn learn(&mut self, now: Instant, flow: Flow, client: SocketAddr) -> Learned {
        if let Some(at) = self.find(&flow) {
            return self.learn_again(now, at, client);
        }
        let (at, evicted) = self.free_place(now);
        let Some(bucket) = self.bucket_of(&flow) else { return Learned { tell: false, evicted } };
        let next = core::mem::replace(bucket, at);
        let entry = Entry { flow, client, used: now, told: None, next, newer: NONE, older: NONE };
        match self.entries.get_mut(at as usize) {
            Some(place) => *place = entry,
            // Within its room, by `free_place`.
            None => self.entries.push(entry),
        }
        self.link_newest(at);
        Learned { tell: true, evicted }
    }

    fn learn_again(&mut self, now: Instant, at: u32, client: SocketAddr) -> Learned {
        let again = self.limits.timeout / TELL_AGAIN;
        let timeout = self.limits.timeout;
        self.touch(now, at);
        let Some(entry) = self.entries.get_mut(at as usize) else {
            return Learned { tell: false, evicted: false };
        };
        if entry.client != client || entry.told.is_some_and(|told| now.since(told) >= again.min(timeout)) {
            (entry.client, entry.told) = (client, None);
        }
        Learned { tell: entry.told.is_none(), evicted: false }
    }

    /// Others were told of the client of `flow`.
    pub fn told(&mut self, now: Instant, flow: &Flow) {
        if let Some(at) = self.find(flow)
            && let Some(entry) = self.entries.get_mut(at as usize)
        {
            entry.told = Some(now);
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    fn bucket(&self, flow: &Flow) -> usize {
        self.hash.hash_one(flow) as usize & (self.buckets.len() - 1)
    }

    fn bucket_of(&mut self, flow: &Flow) -> Option<&mut u32> {
        let bucket = self.bucket(flow);
        self.buckets.get_mut(bucket)
    }

    #[inline]
    fn find(&self, flow: &Flow) -> Option<u32> {
        let mut at = *self.buckets.get(self.bucket(flow))?;
        loop {
            let entry = self.entries.get(at as usize)?;
            if entry.flow == *flow {
                return Some(at);
            }
            at = entry.next;
        }
    }

    /// A place for another flow, in no chain and no list, and whether one whose time was not over had to go.
    fn free_place(&mut self, now: Instant) -> (u32, bool) {
        let is_over = |e: &Entry| now.since(e.used) >= self.limits.timeout;
        let oldest = self.entries.get(self.oldest as usize);
        let is_free = oldest.is_some_and(is_over);
        let is_full = self.entries.len() >= self.limits.flows as usize;
        if !(is_free || is_full) {
            return (u32::try_from(self.entries.len()).unwrap_or(NONE), false);
        }
        let at = self.oldest;
        self.unchain(at);
        self.unlink(at);
        (at, !is_free)
    }

    /// Takes an entry out of its bucket's chain.
    fn unchain(&mut self, at: u32) {
        let Some(Entry { flow, next, .. }) = self.entries.get(at as usize).copied() else { return };
        let Some(first) = self.bucket_of(&flow) else { return };
        if *first == at {
            *first = next;
            return;
        }
        let mut before = *first;
        while let Some(entry) = self.entries.get_mut(before as usize) {
            if entry.next == at {
                entry.next = next;
                return;
            }
            before = entry.next;
        }
    }

    /// Notes that an entry is in use now.
    fn touch(&mut self, now: Instant, at: u32) {
        self.unlink(at);
        if let Some(entry) = self.entries.get_mut(at as usize) {
            entry.used = now;
        }
        self.link_newest(at);
    }

    /// Takes an entry out of the list.
    fn unlink(&mut self, at: u32) {
        let Some(Entry { newer, older, .. }) = self.entries.get(at as usize).copied() else { return };
        match self.entries.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// Puts an entry, which is in no list, to the end where the newest are.
    fn link_newest(&mut self, at: u32) {
        let before = core::mem::replace(&mut self.newest, at);
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.newer = at,
            None => self.oldest = at,
        }
        if let Some(entry) = self.entries.get_mut(at as usize) {
            (entry.newer, entry.older) = (NONE, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::HashMap;

    const TIMEOUT: Duration = Duration::from_secs(360);

    fn at(seconds: u64) -> Instant {
        Instant::from_ns(seconds * 1_000_000_000)
    }

    fn flow(n: u16) -> Flow {
        let [a, b] = n.to_be_bytes();
        Flow::new("10.0.0.1".parse().unwrap(), "198.18.0.2".parse().unwrap(), [a, b, 0, 7])
    }

    fn client(n: u16) -> SocketAddr {
        SocketAddr::new("203.0.113.9".parse().unwrap(), n)
    }

    fn table(flows: u32) -> Table {
        Table::new(TableLimits { flows, timeout: TIMEOUT }, 1)
    }

    // O09: each of the four is a part of what a flow is.
    #[test]
    fn a_flow_is_addresses_and_ports_of_both_ends() {
        let of = |src: &str, dst: &str, ports| Flow::new(src.parse().unwrap(), dst.parse().unwrap(), ports);
        let mut table = table(16);
        let flows = [
            of("10.0.0.1", "198.18.0.2", [1, 0, 0, 7]),
            of("10.0.0.2", "198.18.0.2", [1, 0, 0, 7]),
            of("10.0.0.1", "198.18.0.3", [1, 0, 0, 7]),
            of("10.0.0.1", "198.18.0.2", [1, 1, 0, 7]),
            of("10.0.0.1", "198.18.0.2", [1, 0, 0, 8]),
            of("2001:db8::1", "2001:db8::2", [1, 0, 0, 7]),
        ];
        for (n, flow) in (1..).zip(flows) {
            assert_eq!(table.client(at(1), &flow), None);
            assert!(table.learn(at(1), flow, client(n)).tell);
        }
        for (n, flow) in (1..).zip(flows) {
            assert_eq!(table.client(at(2), &flow), Some(client(n)));
        }
    }

    // O09: the newest wins; others are told of it, and not of what they know.
    #[test]
    fn a_later_client_takes_the_place_of_an_earlier_one() {
        let mut table = table(16);
        let tell = |table: &mut Table, s, n| {
            let learned = table.learn(at(s), flow(1), client(n));
            assert!(!learned.evicted);
            if learned.tell {
                table.told(at(s), &flow(1));
            }
            learned.tell
        };
        assert!(tell(&mut table, 1, 1) && !tell(&mut table, 1, 1) && !tell(&mut table, 2, 1));
        assert!(tell(&mut table, 3, 2));
        assert_eq!((table.client(at(3), &flow(1)), table.len()), (Some(client(2)), 1));
        // Long after, they may be about to forget it.
        assert!(!tell(&mut table, 3 + 89, 2) && tell(&mut table, 3 + 90, 2));
    }

    #[test]
    fn who_could_not_be_told_is_told_with_the_next_packet() {
        let mut table = table(16);
        assert!(table.learn(at(1), flow(1), client(1)).tell);
        assert!(table.learn(at(1), flow(1), client(1)).tell);
        table.told(at(1), &flow(1));
        assert!(!table.learn(at(1), flow(1), client(1)).tell);
    }

    // O09: aged. What is in use stays.
    #[test]
    fn a_flow_is_forgotten_when_it_was_not_used_for_the_timeout() {
        let mut table = table(16);
        table.learn(at(0), flow(1), client(1));
        table.learn(at(0), flow(2), client(2));
        for second in (0..=3600).step_by(300) {
            assert_eq!(table.client(at(second), &flow(1)), Some(client(1)), "in use");
        }
        assert_eq!(table.client(at(3600), &flow(2)), None);
        assert_eq!(table.client(at(3600 + 360), &flow(1)), None);
        // Its place is the next one's.
        table.learn(at(3600), flow(3), client(3));
        assert_eq!(table.len(), 2);
    }

    // O09: bounded. What was used last stays.
    #[test]
    fn a_full_table_forgets_what_was_used_longest_ago() {
        let mut table = table(3);
        for n in 1..=3 {
            assert!(!table.learn(at(n.into()), flow(n), client(n)).evicted);
        }
        assert_eq!(table.client(at(100), &flow(1)), Some(client(1)));
        assert!(table.learn(at(101), flow(4), client(4)).evicted);
        let known: Vec<bool> = (1..=4).map(|n| table.client(at(101), &flow(n)).is_some()).collect();
        assert_eq!((known, table.len()), (vec![true, false, true, true], 3));
    }

    #[test]
    fn it_is_a_map_with_the_oldest_forgotten_whatever_comes() {
        const FLOWS: usize = 64;
        let (mut table, mut rng) = (table(64), Rng::new(7));
        let room = table.entries.capacity();
        // The model: client and last use, exact to the grain that the clock moves by.
        let mut model: HashMap<u16, (u16, u64)> = HashMap::new();
        for step in 1..100_000u64 {
            let second = step * 6;
            let n = u16::try_from(rng.below(200)).unwrap();
            if rng.one_in(2) {
                let known = model.get(&n).filter(|(_, used)| second - used < 360);
                assert_eq!(table.client(at(second), &flow(n)), known.map(|(c, _)| client(*c)), "step {step}");
                if known.is_some()
                    && let Some((_, used)) = model.get_mut(&n)
                {
                    *used = second;
                }
            } else {
                let c = u16::try_from(rng.below(3)).unwrap();
                let oldest =
                    model.iter().min_by_key(|(_, (_, used))| *used).map(|(n, (_, used))| (*n, *used));
                let is_new = !model.contains_key(&n);
                if is_new
                    && let Some((oldest, used)) = oldest
                    && (model.len() == FLOWS || second - used >= 360)
                {
                    model.remove(&oldest);
                }
                model.insert(n, (c, second));
                table.learn(at(second), flow(n), client(c));
            }
            assert_eq!(table.len(), model.len());
            assert!(table.len() <= FLOWS && table.entries.capacity() == room);
        }
    }
}
