//! Reassembly of fragments: RFC 791 3.2, RFC 815, RFC 1122 3.3.2; RFC 8200 4.5; and what they did not foresee.
//!
//! A [`Reassembler`] holds the fragments of unfinished datagrams, of IPv4 and IPv6 alike, as the buffers that they came in.
//! Here: which fragment
//! belongs where, when a datagram is whole, and who must go when there are too many. Not here: which worker owns a
//! datagram (all fragments of one must reach one reassembler: [`Key::owner`] says whose), and what an ICMP error looks
//! like.
//!
//! Where the RFCs leave a choice:
//! - Bytes that come twice (F02, F04): an IPv4 fragment all of whose bytes are there already is dropped and the datagram
//!   goes on, as in Linux; what came first stays. A fragment of which some are there and some not is an overlap, and the
//!   datagram is refused whole, as RFC 5722 3 has it for IPv6: nobody who sends honestly does this. Of IPv6 (W02, W03),
//!   only a fragment that is cut as one that is there is a duplicate; whatever else has a byte that is there overlaps.
//! - A refused datagram is remembered until its time is over, and whatever else comes of it is dropped (RFC 5722 3:
//!   "including those not yet received").
//! - The time is counted from the first fragment that came and not extended (F09, W07). Of IPv4 it is 30 seconds unless
//!   configured: Linux's value; RFC 1122's 60 to 120 would hold an attacker's fragments longer than any network holds an
//!   honest one. Of IPv6 it is the 60 that RFC 8200 says, Linux's value, too.
//! - Whoever has too many datagrams unfinished loses the oldest of his own; when there are too many of all, the oldest of
//!   all goes. So the price of an attack is paid by it, in buffers of a number known in advance. Both families spend of the
//!   same number. Who has one address of an IPv6 subnet can have them all, so a subnet of 64 bits is one source, but on the
//!   link itself (fe80::/10).
//!
//! Every operation takes a bounded number of steps, none allocates, and each says in an [`Account`] how many packets went
//! where.

mod account;
mod coverage;
mod fragment;
mod merge;
mod pending;
mod slab;
#[cfg(test)]
mod tests;

use core::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::io::{BufPool, DropReason, InterfaceId, PacketBuf};
use crate::time::Instant;
pub use account::Account;
use coverage::{Coverage, Seen};
use fragment::SourceKey;
pub use fragment::{Fragment, Key};
use pending::{Pending, Piece};
use slab::{List, NIL, Slab};

/// How much is held, and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From the first fragment of an IPv4 datagram that came to its end. F09, RFC 1122 3.3.2.
    pub timeout: Duration,
    /// The same of IPv6. W07, RFC 8200 4.5.
    pub timeout6: Duration,
    /// Fragments held at once; a refused datagram that is remembered counts as one. 0: each is dropped.
    pub fragments: u32,
    /// The same of one source on one interface.
    pub fragments_per_source: u32,
}

/// The unfinished datagrams of one source.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    list: List,
    load: u32,
}

/// A datagram that was given up before it was whole, as its time was over.
#[derive(Debug)]
pub struct Expired<B> {
    /// The interface that it came in by.
    pub interface: InterfaceId,
    /// Its first fragment, if that came: only then is the sender told (RFC 792; F09). It is counted as dropped.
    pub first: Option<B>,
    /// Offset of the IP header in `first`.
    pub l3: u8,
    /// What became of its packets.
    pub account: Account,
}

/// Unfinished datagrams.
#[derive(Debug)]
pub struct Reassembler<B> {
    limits: Limits,
    by_key: HashMap<Key, u32, FixedState>,
    sources: HashMap<SourceKey, Source, FixedState>,
    pending: Slab<Pending>,
    coverage: Vec<Coverage>,
    pieces: Slab<Piece<B>>,
    /// All of IPv4 and all of IPv6, the oldest first: as each of a family has the same time, the first to end, too.
    ages: [List; 2],
    load: u32,
}

impl<B: PacketBuf> Reassembler<B> {
    /// One that holds nothing. All memory that it will ever use is taken now. `seed` keeps an outsider from choosing
    /// datagrams that collide.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        let size = limits.fragments as usize;
        // Twice what is ever in it: a table that is half empty is tidied in place and never grows.
        let hasher = || FixedState::with_seed(seed);
        Self {
            limits,
            by_key: HashMap::with_capacity_and_hasher(2 * size, hasher()),
            sources: HashMap::with_capacity_and_hasher(2 * size, hasher()),
            pending: Slab::new(limits.fragments),
            coverage: vec![Coverage::NOTHING; size],
            pieces: Slab::new(limits.fragments),
            ages: <[List; 2]>::default(),
            load: 0,
        }
    }

    /// Fragments held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.pieces.len()
    }

    /// Datagrams that are not whole, the refused ones among them.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes `fragment`, which lies in `buf`, in. Returns the datagram that it completes, and what became of packets.
    pub fn insert<P: BufPool<Buf = B>>(
        &mut self,
        now: Instant,
        fragment: &Fragment,
        buf: B,
        pool: &P,
    ) -> (Option<B>, Account) {
        let mut account = Account::default();
        let whole = match self.place(now, fragment, buf, &mut account) {
            Ok(Some(at)) => self.finish(at, pool, &mut account),
            Ok(None) => None,
            Err(why) => {
                account.drop(why, 1);
                None
            }
        };
        (whole, account)
    }

    /// When the next datagram's time is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_to_end().map(|(_, at)| at)
    }

    /// The datagram whose time is over next, and when.
    fn next_to_end(&self) -> Option<(u32, Instant)> {
        let Limits { timeout, timeout6, .. } = self.limits;
        let ends = self.ages.iter().zip([timeout, timeout6]);
        let ends =
            ends.filter_map(|(list, time)| Some((list.first, self.pending.get(list.first)?.born + time)));
        ends.min_by_key(|(_, at)| *at)
    }

    /// The next datagram whose time is over at `now`, which is held no longer.
    // F09, RFC 1122 3.3.2; W07, RFC 8200 4.5.
    pub fn expire(&mut self, now: Instant) -> Option<Expired<B>> {
        let (at, _) = self.next_to_end().filter(|(_, end)| *end <= now)?;
        self.let_go(at, DropReason::FragmentTimeout)
    }

    /// One of the datagrams, which is held no longer, for a reason that is not its own.
    pub fn give_up(&mut self, why: DropReason) -> Option<Expired<B>> {
        let (at, _) = self.next_to_end()?;
        self.let_go(at, why)
    }

    /// The datagram at `at`, which is held no longer.
    fn let_go(&mut self, at: u32, why: DropReason) -> Option<Expired<B>> {
        let pending = self.remove(at)?;
        let mut account = Account::default();
        account.release(pending.count, why);
        let first = self.pieces.remove(pending.first);
        let (mut l3, mut at) = (0, pending.pieces);
        // The first one is out of the slab already, and with it the way to those behind it.
        let behind_first = first.as_ref().map_or(NIL, |piece| piece.next);
        while at != NIL {
            at = if at == pending.first { behind_first } else { self.free(at) };
        }
        let first = first.map(|piece| {
            l3 = piece.l3;
            piece.buf
        });
        Some(Expired { interface: pending.key.interface, first, l3, account })
    }

    /// Puts the fragment where it belongs. Returns its datagram if that is whole now.
    fn place(
        &mut self,
        now: Instant,
        fragment: &Fragment,
        buf: B,
        account: &mut Account,
    ) -> Result<Option<u32>, DropReason> {
        let end = fragment.end()?;
        let at = match self.by_key.get(&fragment.key) {
            Some(at) => *at,
            None => self.open(now, fragment.key, account)?,
        };
        let pending = self.pending.get(at).ok_or(DropReason::FragmentsTooMany)?;
        if let Some(why) = pending.refused {
            return Err(why);
        }
        if let Err(why) = pending.agrees(fragment, end) {
            return self.refuse(at, why, account);
        }
        let seen = self.coverage.get(at as usize).map_or(Seen::All, |c| c.seen(fragment.offset, end));
        match seen {
            // W03, RFC 8200 4.5: the network may double a packet. Whatever its bytes are: they are not kept.
            Seen::Exactly if pending.ends_alike(fragment, end) => return Err(DropReason::FragmentDuplicate),
            // F02, F04: as Linux, whatever the bytes are.
            Seen::All | Seen::Exactly if !fragment.is_v6() => return Err(DropReason::FragmentDuplicate),
            // F03, RFC 5722 3; W02, RFC 8200 4.5: first-wins and last-wins are how filters are evaded.
            Seen::All | Seen::Exactly | Seen::Some => {
                return self.refuse(at, DropReason::FragmentOverlap, account);
            }
            Seen::Nothing => {}
        }
        if pending.count > 0
            && let Err(why) = self.make_room(fragment.key, at, account)
        {
            return self.refuse(at, why, account);
        }
        self.hold(at, fragment, end, buf)?;
        account.held += 1;
        Ok(Some(at).filter(|at| self.pending.get(*at).is_some_and(Pending::is_whole)))
    }

    /// Begins a datagram.
    fn open(&mut self, now: Instant, key: Key, account: &mut Account) -> Result<u32, DropReason> {
        self.make_room(key, NIL, account)?;
        let pending = Pending::new(now, key);
        let (source, family) = (key.source(), key.family());
        let at = self.pending.insert(pending).map_err(|_| DropReason::FragmentsTooMany)?;
        // NOTE(index): one of two.
        self.ages[family].push(&mut self.pending, at, Pending::age);
        let of_source = self.sources.entry(source).or_default();
        of_source.list.push(&mut self.pending, at, Pending::kin);
        of_source.load += 1;
        self.load += 1;
        self.by_key.insert(key, at);
        Ok(at)
    }

    /// Holds the fragment, for which there is room.
    fn hold(&mut self, at: u32, fragment: &Fragment, end: u16, buf: B) -> Result<(), DropReason> {
        let &Fragment { offset, len, more, ecn, l3, front, .. } = fragment;
        let pending = self.pending.get_mut(at).ok_or(DropReason::FragmentsTooMany)?;
        let piece = Piece { buf, l3, front, offset, len, next: pending.pieces };
        let place = self.pieces.insert(piece).map_err(|_| DropReason::FragmentsTooMany)?;
        pending.pieces = place;
        pending.count += 1;
        pending.received += len;
        pending.high = pending.high.max(end);
        pending.ecn |= 1 << ecn;
        if offset == 0 {
            pending.first = place;
        }
        if !more {
            pending.end = Some(end);
        }
        // Its own first piece is what it counted for from the start.
        let more_load = u32::from(pending.count > 1);
        let source = pending.key.source();
        self.load += more_load;
        if let Some(source) = self.sources.get_mut(&source) {
            source.load += more_load;
        }
        if let Some(coverage) = self.coverage.get_mut(at as usize) {
            coverage.add(offset, end);
        }
        Ok(())
    }

    /// Makes room for one more fragment of `key`, without touching the datagram at `keep`.
    // F11, W11, CVE-2018-5391.
    fn make_room(&mut self, key: Key, keep: u32, account: &mut Account) -> Result<(), DropReason> {
        let source = key.source();
        while let Some(of_source) = self.sources.get(&source)
            && of_source.load >= self.limits.fragments_per_source
        {
            let why = DropReason::FragmentsOfSource;
            let oldest = self.oldest(of_source.list, keep, |pending| pending.kin.next);
            self.evict(oldest.ok_or(why)?, why, account);
        }
        while self.load >= self.limits.fragments {
            let why = DropReason::FragmentsTooMany;
            let oldest =
                self.ages.iter().filter_map(|list| self.oldest(*list, keep, |pending| pending.age.next));
            let oldest = oldest.min_by_key(|at| self.pending.get(*at).map(|pending| pending.born));
            self.evict(oldest.ok_or(why)?, why, account);
        }
        Ok(())
    }

    /// The first in `list` that is not `keep`.
    fn oldest(&self, list: List, keep: u32, next: fn(&Pending) -> u32) -> Option<u32> {
        let first = Some(list.first).filter(|first| *first != keep);
        let oldest = first.or_else(|| self.pending.get(keep).map(next));
        oldest.filter(|at| *at != NIL)
    }

    /// Lets a datagram go that there is no room for.
    fn evict(&mut self, at: u32, why: DropReason, account: &mut Account) {
        if let Some(pending) = self.remove(at) {
            account.release(pending.count, why);
            self.free_all(pending.pieces);
        }
    }

    /// Lets a datagram's fragments go, and remembers that no more of them are wanted: the one that is at hand is not,
    /// either.
    fn refuse(&mut self, at: u32, why: DropReason, account: &mut Account) -> Result<Option<u32>, DropReason> {
        let Some(pending) = self.pending.get_mut(at) else { return Err(why) };
        account.release(pending.count, why);
        let less_load = pending.load() - 1;
        let (pieces, source) = (pending.pieces, pending.key.source());
        (pending.refused, pending.count, pending.pieces, pending.first) = (Some(why), 0, NIL, NIL);
        self.load -= less_load;
        if let Some(source) = self.sources.get_mut(&source) {
            source.load -= less_load;
        }
        self.free_all(pieces);
        Err(why)
    }

    /// Makes one packet of a datagram that is whole.
    fn finish<P: BufPool<Buf = B>>(&mut self, at: u32, pool: &P, account: &mut Account) -> Option<B> {
        let pending = self.remove(at)?;
        let sum = merge::Sum { end: pending.received, ecn: pending.ecn };
        let merged = match self.pieces.get(pending.first) {
            Some(first) => merge::merge(first, self.pieces_from(pending.pieces), sum, pool),
            // Not reached: a datagram that is whole has its first byte.
            None => Err(DropReason::FragmentsTooMany),
        };
        self.free_all(pending.pieces);
        match merged {
            Ok(whole) => {
                account.released += pending.count;
                account.merged += pending.count;
                account.allocated += 1;
                Some(whole)
            }
            Err(why) => {
                account.release(pending.count, why);
                None
            }
        }
    }

    fn pieces_from(&self, at: u32) -> impl Iterator<Item = &Piece<B>> {
        core::iter::successors(self.pieces.get(at), |piece| self.pieces.get(piece.next))
    }

    /// Takes a datagram out of every list. Its pieces stay where they are.
    fn remove(&mut self, at: u32) -> Option<Pending> {
        let pending = self.pending.remove(at)?;
        self.by_key.remove(&pending.key);
        // NOTE(index): one of two.
        self.ages[pending.key.family()].unlink(&mut self.pending, pending.age, Pending::age);
        let key = pending.key.source();
        self.load -= pending.load();
        if let Some(source) = self.sources.get_mut(&key) {
            source.list.unlink(&mut self.pending, pending.kin, Pending::kin);
            source.load -= pending.load();
            if source.load == 0 {
                self.sources.remove(&key);
            }
        }
        if let Some(coverage) = self.coverage.get_mut(at as usize) {
            coverage.clear(pending.high);
        }
        Some(pending)
    }

    /// Lets a piece go. Returns the one behind it.
    fn free(&mut self, at: u32) -> u32 {
        self.pieces.remove(at).map_or(NIL, |piece| piece.next)
    }

    fn free_all(&mut self, mut at: u32) {
        while at != NIL {
            at = self.free(at);
        }
    }
}
