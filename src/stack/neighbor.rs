//! The neighbour cache of one interface: which Ethernet address an on-link IP address has.
//!
//! One machine for ARP and for neighbour discovery: what is on the wire is the caller's. Events go in; the questions to
//! send come out of [`NeighborCache::poll_request`], and what others must know of it (who waits for an address, who
//! holds a copy) of [`NeighborCache::next_change`]. Time is an argument. Every step costs O(log n).
//!
//! The states are those of RFC 4861 7.3.2, which Linux uses for ARP, too.

mod entry;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::addr::{Family, MacAddr};
use crate::time::Instant;

use entry::{Advance, Entry, Rank};
pub use entry::{Advertised, Evidence, Standing, State};

/// The entries of a cache whose size nobody chose.
pub const ENTRIES_DEFAULT: usize = 1024;

/// One in so many entries may be unresolved.
const UNRESOLVED_PART: usize = 4;

/// How long things take. ARP keeps [`Timing::ARP`]; a router's advertisement changes what neighbour discovery uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// How long an answer is believed. RFC 4861 10: REACHABLE_TIME.
    pub reachable: Duration,
    /// How long an old neighbour that is in use again may show by itself that it is there. RFC 4861 10:
    /// DELAY_FIRST_PROBE_TIME.
    pub delay: Duration,
    /// The same of one that never answered from where it is said to be now. RFC 4861 7.3.3 makes no difference; ARP, which
    /// anyone can forge from anywhere on the link and which carries no flag that could help, asks at once.
    pub delay_unconfirmed: Duration,
    /// The least time between two questions to one neighbour. RFC 4861 10: RETRANS_TIMER; A08, RFC 1122 2.3.2.1: at most
    /// one a second.
    pub retransmit: Duration,
    /// How long a neighbour that did not answer is left alone. A11.
    pub hold_down: Duration,
}

impl Timing {
    /// Of ARP.
    pub const ARP: Self = Self { delay_unconfirmed: Duration::ZERO, ..Self::NDP };

    /// Of neighbour discovery, while no router said anything else. N08, N11, RFC 4861 10.
    pub const NDP: Self = Self {
        reachable: Duration::from_secs(30),
        delay: Duration::from_secs(5),
        delay_unconfirmed: Duration::from_secs(5),
        retransmit: Duration::from_secs(1),
        hold_down: Duration::from_secs(5),
    };

    /// Of `F`'s.
    const fn of<F: Family>() -> Self {
        if F::VERSION == 6 { Self::NDP } else { Self::ARP }
    }
}

/// What becomes of a packet for a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// It goes to this Ethernet address.
    Known(MacAddr),
    /// It waits: the neighbour is being asked.
    Wait,
    /// The neighbour did not answer, and is left alone for a while.
    Unreachable,
    /// So many others are being asked that this one cannot be.
    Full,
}

/// A question to send: to `mac` if what is known is to be confirmed, else to everyone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<A> {
    /// Who is asked for.
    pub addr: A,
    /// Where the question goes, if not to everyone.
    pub mac: Option<MacAddr>,
}

/// A neighbour that is in use stands otherwise than before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<A> {
    /// Which.
    pub addr: A,
    /// How it stood when this was last asked.
    pub before: Standing,
    /// How it stands.
    pub now: Standing,
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
    /// When it was last confirmed; for one never confirmed, when it was first heard or asked for.
    pub confirmed_at: Instant,
    /// Whether it is kept whatever happens, as a gateway is.
    pub kept: bool,
    /// Whether it said that it is a router, as neighbours do in IPv6. RFC 4861 5.1: IsRouter.
    pub is_router: bool,
}

/// The neighbours of one interface.
#[derive(Clone, Debug)]
pub struct NeighborCache<F: Family> {
    entries: BTreeMap<F::Addr, Entry>,
    entries_max: usize,
    timing: Timing,
    /// How many are asked for in vain or not answered yet, and how many may be.
    unresolved: usize,
    unresolved_max: usize,
    /// Every deadline, the next one first.
    deadlines: BTreeSet<(Instant, F::Addr)>,
    /// Who may make room for another, the least useful first.
    victims: BTreeSet<(Rank, Instant, F::Addr)>,
    /// Who stands otherwise than before, and how it stood.
    changed: BTreeMap<F::Addr, Standing>,
}

impl<F: Family> NeighborCache<F> {
    /// An empty cache of at most `entries_max` neighbours, beside those that are kept.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        let entries_max = entries_max.max(1);
        Self {
            entries: BTreeMap::new(),
            entries_max,
            timing: Timing::of::<F>(),
            unresolved: 0,
            unresolved_max: (entries_max / UNRESOLVED_PART).max(1),
            deadlines: BTreeSet::new(),
            victims: BTreeSet::new(),
            changed: BTreeMap::new(),
        }
    }

    /// How many neighbours it holds at most, beside those that are kept.
    #[must_use]
    pub const fn entries_max(&self) -> usize {
        self.entries_max
    }

    /// From now on things take so long; what is under way keeps its deadline.
    pub const fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// Wants `addr` resolved and kept resolved, as a gateway's: it is confirmed without being used, and never makes room
    /// for another.
    pub fn keep(&mut self, now: Instant, addr: F::Addr) {
        if !self.entries.contains_key(&addr) {
            self.make_room();
            self.insert(addr, Entry::asked_for(now));
        }
        self.update(addr, |e| e.keep(now));
    }

    /// Takes [`keep`](Self::keep) back: `addr` is a neighbour like any other.
    pub fn release(&mut self, addr: F::Addr) {
        self.update(addr, |e| e.kept = false);
    }

    /// A packet needs the Ethernet address of `addr`.
    // A08, RFC 1122 2.3.2.1: however many packets there are, the timer alone asks.
    pub fn want(&mut self, now: Instant, addr: F::Addr) -> Want {
        let Some(entry) = self.entries.get(&addr) else {
            if !self.make_room_for_unresolved() {
                return Want::Full;
            }
            self.insert(addr, Entry::asked_for(now));
            return Want::Wait;
        };
        if entry.state() == State::Failed {
            // A11: left alone until the hold-down is over; but a gateway is worth a question a second.
            if !entry.is_due(now) && !entry.kept {
                return Want::Unreachable;
            }
            self.update(addr, |e| e.ask_again(now));
            return Want::Wait;
        }
        self.used(now, addr);
        self.lookup(addr).map_or(Want::Wait, Want::Known)
    }

    /// A packet went to `addr`. RFC 4861 7.3.3: if it was not confirmed for long, it is to be confirmed now.
    pub fn used(&mut self, now: Instant, addr: F::Addr) {
        let timing = self.timing;
        self.update(addr, |e| e.used(now, timing));
    }

    /// The Ethernet address of `addr`, if known.
    #[must_use]
    pub fn lookup(&self, addr: F::Addr) -> Option<MacAddr> {
        self.entries.get(&addr).and_then(Entry::mac)
    }

    /// How `addr` stands for whoever sends to it.
    #[must_use]
    pub fn standing(&self, addr: F::Addr) -> Standing {
        self.entries.get(&addr).map_or(Standing::Gone, Entry::standing)
    }

    /// `addr` was heard to be at `mac`. Returns whether the cache knows `addr` now.
    ///
    /// A04, RFC 826: an entry that exists is updated by any packet; one is created only if the packet asked us.
    pub fn heard(&mut self, now: Instant, addr: F::Addr, mac: MacAddr, evidence: Evidence) -> bool {
        if !self.entries.contains_key(&addr) {
            let created = evidence == Evidence::Asked && self.make_room();
            if created {
                self.insert(addr, Entry::heard_of(now, mac));
            }
            return created;
        }
        let timing = self.timing;
        self.update(addr, |e| e.heard(now, mac, evidence, timing));
        true
    }

    /// A neighbour advertisement said that `addr` is at `mac`, if it named an Ethernet address. Returns whether the cache knows
    /// `addr`.
    // N09, RFC 4861 7.2.5: it never creates an entry; of one that did not answer it is not heard either, as with Linux, unless
    // that is a gateway.
    pub fn advertised(
        &mut self,
        now: Instant,
        addr: F::Addr,
        mac: Option<MacAddr>,
        said: Advertised,
    ) -> bool {
        let known = self.entries.get(&addr).is_some_and(|e| e.state() != State::Failed || e.kept);
        if known {
            let timing = self.timing;
            self.update(addr, |e| e.advertised(now, mac, said, timing));
        }
        known
    }

    /// Whether `addr` said that it is a router. RFC 4861 5.1: IsRouter.
    #[must_use]
    pub fn is_router(&self, addr: F::Addr) -> bool {
        self.entries.get(&addr).is_some_and(|e| e.is_router)
    }

    /// `addr`, if it is known, is a router or none: a solicitation, advertisement or redirect says so. RFC 4861 6.2.6, 6.3.4,
    /// 8.3.
    pub fn set_router(&mut self, addr: F::Addr, is_router: bool) {
        self.update(addr, |e| e.is_router = is_router);
    }

    /// The link came up, and may be another one: whoever was known is asked for anew when needed, the kept ones now. As
    /// Linux, which forgets its neighbours when a carrier goes.
    pub fn link_came_up(&mut self, now: Instant) {
        let resolved = self.entries.iter().filter(|(_, e)| e.state() != State::Incomplete);
        let known: Vec<_> = resolved.map(|(addr, e)| (*addr, e.kept)).collect();
        for (addr, kept) in known {
            if kept {
                self.update(addr, |e| e.ask_again(now));
            } else {
                self.remove(addr);
            }
        }
    }

    /// The next question that is due, if any. Call until it says `None`.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request<F::Addr>> {
        while let Some((at, addr)) = self.deadlines.first().copied()
            && at <= now
        {
            // A14: while there is no room for more, one question must do.
            let (timing, pressed) = (self.timing, self.has_no_room());
            let mut advance = Advance::Quiet;
            self.update(addr, |e| advance = e.advance(now, timing, pressed));
            match advance {
                Advance::Ask(mac) => return Some(Request { addr, mac }),
                Advance::Forget => self.remove(addr),
                Advance::Quiet => {}
            }
        }
        None
    }

    /// When [`poll_request`](Self::poll_request) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A neighbour that packets went to, or wait for, and that stands otherwise than before. Call until it says `None`,
    /// after anything that may have changed something.
    pub fn next_change(&mut self) -> Option<Change<F::Addr>> {
        while let Some((addr, before)) = self.changed.pop_first() {
            let now = self.standing(addr);
            if now != before {
                return Some(Change { addr, before, now });
            }
        }
        None
    }

    /// Every neighbour, by address.
    pub fn rows(&self) -> impl Iterator<Item = Row<F::Addr>> + '_ {
        self.entries.iter().map(|(addr, e)| e.row(*addr))
    }

    /// A14: makes room for one entry. A full cache gives up who did not answer first, then who was never sent to, then who
    /// never answered, then the one not used for the longest time; never one that is kept, being asked, or in use and
    /// confirmed. False if that leaves nobody.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < self.entries_max {
            return true;
        }
        let victim = self.victims.first().copied();
        if let Some((_, _, addr)) = victim {
            self.remove(addr);
        }
        victim.is_some()
    }

    /// A14: makes room for one that is to be asked for. A scan may not take all of the cache, and one that is being asked
    /// is not given up: asked anew it would be asked more than once a second.
    fn make_room_for_unresolved(&mut self) -> bool {
        if self.unresolved < self.unresolved_max {
            return self.make_room();
        }
        match self.victims.first().copied() {
            Some((Rank::Failed, _, addr)) => {
                self.remove(addr);
                self.make_room()
            }
            _ => false,
        }
    }

    /// Whether nobody else can be asked for.
    fn has_no_room(&self) -> bool {
        self.unresolved >= self.unresolved_max
            || self.entries.len() >= self.entries_max && self.victims.is_empty()
    }

    fn insert(&mut self, addr: F::Addr, entry: Entry) {
        self.entries.insert(addr, entry);
        self.index(addr, None, Some(entry));
    }

    fn remove(&mut self, addr: F::Addr) {
        if let Some(entry) = self.entries.remove(&addr) {
            self.index(addr, Some(entry), None);
        }
    }

    /// Every change of an entry goes through here, so that no index can miss one.
    fn update(&mut self, addr: F::Addr, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(&addr) else { return };
        let before = *entry;
        change(entry);
        let after = *entry;
        self.index(addr, Some(before), Some(after));
    }

    fn index(&mut self, addr: F::Addr, before: Option<Entry>, after: Option<Entry>) {
        if let Some(before) = before {
            self.unresolved -= usize::from(before.is_unresolved());
            before.deadline().map(|at| self.deadlines.remove(&(at, addr)));
            before.rank().map(|(rank, at)| self.victims.remove(&(rank, at, addr)));
        }
        if let Some(after) = after {
            self.unresolved += usize::from(after.is_unresolved());
            after.deadline().map(|at| self.deadlines.insert((at, addr)));
            after.rank().map(|(rank, at)| self.victims.insert((rank, at, addr)));
        }
        let standing = |e: Option<Entry>| e.map_or(Standing::Gone, |e| e.standing());
        let (was, is) = (standing(before), standing(after));
        if was != is {
            self.changed.entry(addr).or_insert(was);
        }
    }
}
