//! Reassembly of IPv4 fragments: RFC 791 3.2, RFC 815, RFC 1122 3.3.2; and what they did not foresee.
//!
//! A [`Reassembler`] holds the fragments of unfinished datagrams as the buffers that they came in. Here: which fragment
//! belongs where, when a datagram is whole, and who must go when there are too many. Not here: which worker owns a
//! datagram (all fragments of one must reach one reassembler: [`Key::owner`] says whose), and what an ICMP error looks
//! like.
//!
//! Where the RFCs leave a choice:
//! - Bytes that come twice (F02, F04): a fragment all of whose bytes are there already is dropped and the datagram goes
//!   on, as in Linux; what came first stays. A fragment of which some are there and some not is an overlap, and the
//!   datagram is refused whole, as RFC 5722 3 has it for IPv6: nobody who sends honestly does this.
//! - A refused datagram is remembered until its time is over, and whatever else comes of it is dropped (RFC 5722 3:
//!   "including those not yet received").
//! - The time is counted from the first fragment that came and not extended (F09), 30 seconds unless configured: Linux's
//!   value; RFC 1122's 60 to 120 would hold an attacker's fragments longer than any network holds an honest one.
//! - Whoever has too many datagrams unfinished loses the oldest of his own; when there are too many of all, the oldest of
//!   all goes. So the price of an attack is paid by it, in buffers of a number known in advance.
//!
//! Every operation takes a bounded number of steps, none allocates, and each says in an [`Account`] how many packets went
//! where.

mod coverage;
mod merge;
mod slab;
#[cfg(test)]
mod tests;

use core::hash::{BuildHasher, Hash};
use core::net::Ipv4Addr;
use core::time::Duration;

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::io::{BufPool, DropReason, InterfaceId, PacketBuf};
use crate::time::Instant;
use crate::wire::ipv4::{self, Ipv4};
use coverage::{Coverage, Seen};
use slab::{Links, List, NIL, Slab};

/// How much is held, and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From the first fragment of a datagram that came to its end. F09, RFC 1122 3.3.2.
    pub timeout: Duration,
    /// Fragments held at once; a refused datagram that is remembered counts as one. 0: each is dropped.
    pub fragments: u32,
    /// The same of one source on one interface.
    pub fragments_per_source: u32,
}

/// Which datagram a fragment is of.
// F01, RFC 791 3.2, RFC 815 7: source, destination, protocol and identification; and the interface, for addresses mean
// something on a link only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// The interface that it came in by.
    pub interface: InterfaceId,
    /// From whom.
    pub src: Ipv4Addr,
    /// To whom.
    pub dst: Ipv4Addr,
    /// Its identification.
    pub id: u16,
    /// What it carries.
    pub protocol: u8,
}

impl Key {
    /// Which of `workers`, which share `seed`, puts this datagram together.
    // F17: a device that spreads packets by their ports sends the first fragment, which has them, and the others to
    // different queues.
    #[must_use]
    pub fn owner(&self, seed: u64, workers: usize) -> usize {
        let hash = FixedState::with_seed(seed).hash_one(self);
        // The upper bits, as a fraction of `workers`.
        let scaled = (u128::from(hash) * workers as u128) >> 64;
        usize::try_from(scaled).unwrap_or_default()
    }
}

/// One fragment, as its header describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// Which datagram it is of.
    pub key: Key,
    /// Where its bytes lie in the datagram's payload.
    offset: u16,
    /// How many bytes it has.
    len: u16,
    /// Whether it is not the last one.
    more: bool,
    /// Congestion notification, two bits.
    ecn: u8,
    /// Offset of the IP header in the frame.
    l3: u8,
    /// Bytes of the IP header.
    header_len: u8,
}

impl Fragment {
    /// The fragment `ip`, which begins at offset `l3` of its frame and was admitted by `interface`. `None`: it is none.
    #[must_use]
    pub fn of(ip: &Ipv4<'_>, l3: u8, interface: InterfaceId) -> Option<Self> {
        if !ip.is_fragment() {
            return None;
        }
        let key = Key { interface, src: ip.src(), dst: ip.dst(), id: ip.id(), protocol: ip.protocol() };
        Some(Self {
            key,
            offset: ip.fragment_offset(),
            len: u16::try_from(ip.payload().len()).ok()?,
            more: ip.more_fragments(),
            ecn: ip.tos() & 0b11,
            l3,
            header_len: u8::try_from(ip.header_len()).ok()?,
        })
    }

    /// Where its bytes end, if it can be part of any datagram.
    fn end(&self) -> Result<u16, DropReason> {
        // F10, RFC 1122 3.3.2: whatever IPv4 can carry, 65,535 bytes. F06, ping of death: counted wide, so that nothing wraps.
        // 20 is the least that the header takes.
        const MAX: usize = u16::MAX as usize - ipv4::HEADER_LEN;
        let end = usize::from(self.offset) + usize::from(self.len);
        if end > MAX {
            return Err(DropReason::FragmentTooFar);
        }
        // F05, RFC 791 3.2: only the last one may end anywhere.
        if self.more && !self.len.is_multiple_of(8) {
            return Err(DropReason::FragmentMisaligned);
        }
        u16::try_from(end).map_err(|_| DropReason::FragmentTooFar)
    }
}

/// How many packets went where: for the engine, whose counters must balance.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// Packets that are held from now on.
    pub held: u32,
    /// Packets that are held no longer. Each was then merged or dropped.
    pub released: u32,
    /// Packets that became part of another.
    pub merged: u32,
    /// Packets that were made.
    pub allocated: u32,
    /// Packets that were dropped, and why.
    pub drops: ArrayVec<(DropReason, u32), 4>,
}

impl Account {
    fn drop(&mut self, why: DropReason, packets: u32) {
        if packets == 0 {
            return;
        }
        match self.drops.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, count)) => *count += packets,
            // An arrival drops for four reasons at most: two evictions, its datagram's, its own.
            None => drop(self.drops.try_push((why, packets))),
        }
    }

    fn release(&mut self, packets: u32, why: DropReason) {
        self.released += packets;
        self.drop(why, packets);
    }
}

/// A fragment that is held.
#[derive(Debug)]
struct Piece<B> {
    buf: B,
    l3: u8,
    header_len: u8,
    offset: u16,
    len: u16,
    /// Another piece of the same datagram.
    next: u32,
}

/// A datagram that is not whole.
#[derive(Debug)]
struct Pending {
    key: Key,
    born: Instant,
    /// Its pieces, in no order, and how many.
    pieces: u32,
    count: u32,
    /// The piece with the first byte.
    first: u32,
    /// Bytes of the whole, once the last fragment is there.
    end: Option<u16>,
    /// Where what has arrived ends, so far.
    high: u16,
    /// Bytes that have arrived.
    received: u16,
    /// Codepoints of congestion notification that were seen.
    ecn: u8,
    /// Why nothing of it is wanted any more.
    refused: Option<DropReason>,
    /// Its neighbours among all, by age.
    age: Links,
    /// Its neighbours among those of its source, by age.
    kin: Links,
}

impl Pending {
    fn new(now: Instant, key: Key) -> Self {
        Self {
            key,
            born: now,
            pieces: NIL,
            count: 0,
            first: NIL,
            end: None,
            high: 0,
            received: 0,
            ecn: 0,
            refused: None,
            age: Links::default(),
            kin: Links::default(),
        }
    }

    fn age(&mut self) -> &mut Links {
        &mut self.age
    }

    fn kin(&mut self) -> &mut Links {
        &mut self.kin
    }

    /// What it counts for.
    fn load(&self) -> u32 {
        self.count.max(1)
    }

    fn source(&self) -> SourceKey {
        (self.key.interface, self.key.src)
    }

    /// Whether a fragment that ends at `end` can be part of it.
    fn agrees(&self, fragment: &Fragment, end: u16) -> Result<(), DropReason> {
        // F08: bytes that are none would never bring it further.
        if fragment.len == 0 {
            return Err(DropReason::FragmentEmpty);
        }
        // F07: it ends once, and where everything else does.
        let contradicts = match self.end {
            Some(known) if fragment.more => end > known,
            Some(known) => end != known,
            None => !fragment.more && end < self.high,
        };
        if contradicts { Err(DropReason::FragmentEndConflict) } else { Ok(()) }
    }

    fn is_whole(&self) -> bool {
        self.end == Some(self.received)
    }
}

/// A source on an interface.
type SourceKey = (InterfaceId, Ipv4Addr);

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
    /// All of them, the oldest first: as each has the same time, the first to end, too.
    ages: List,
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
            ages: List::default(),
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
        self.pending.get(self.ages.first).map(|oldest| oldest.born + self.limits.timeout)
    }

    /// The next datagram whose time is over at `now`, which is held no longer.
    // F09, RFC 1122 3.3.2.
    pub fn expire(&mut self, now: Instant) -> Option<Expired<B>> {
        self.poll_timeout().filter(|at| *at <= now)?;
        self.give_up(DropReason::FragmentTimeout)
    }

    /// The oldest datagram, which is held no longer, for a reason that is not its own.
    pub fn give_up(&mut self, why: DropReason) -> Option<Expired<B>> {
        let pending = self.remove(self.ages.first)?;
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
            // F02, F04: as Linux, whatever the bytes are.
            Seen::All => return Err(DropReason::FragmentDuplicate),
            // F03, RFC 5722 3: first-wins and last-wins are how filters are evaded.
            Seen::Some => return self.refuse(at, DropReason::FragmentOverlap, account),
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
        let source = pending.source();
        let at = self.pending.insert(pending).map_err(|_| DropReason::FragmentsTooMany)?;
        self.ages.push(&mut self.pending, at, Pending::age);
        let of_source = self.sources.entry(source).or_default();
        of_source.list.push(&mut self.pending, at, Pending::kin);
        of_source.load += 1;
        self.load += 1;
        self.by_key.insert(key, at);
        Ok(at)
    }

    /// Holds the fragment, for which there is room.
    fn hold(&mut self, at: u32, fragment: &Fragment, end: u16, buf: B) -> Result<(), DropReason> {
        let &Fragment { offset, len, more, ecn, l3, header_len, .. } = fragment;
        let pending = self.pending.get_mut(at).ok_or(DropReason::FragmentsTooMany)?;
        let piece = Piece { buf, l3, header_len, offset, len, next: pending.pieces };
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
        let source = pending.source();
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
    // F11, CVE-2018-5391.
    fn make_room(&mut self, key: Key, keep: u32, account: &mut Account) -> Result<(), DropReason> {
        let source = (key.interface, key.src);
        while let Some(of_source) = self.sources.get(&source)
            && of_source.load >= self.limits.fragments_per_source
        {
            let why = DropReason::FragmentsOfSource;
            let oldest = self.oldest(of_source.list, keep, |pending| pending.kin.next);
            self.evict(oldest.ok_or(why)?, why, account);
        }
        while self.load >= self.limits.fragments {
            let why = DropReason::FragmentsTooMany;
            let oldest = self.oldest(self.ages, keep, |pending| pending.age.next);
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
        let (pieces, source) = (pending.pieces, pending.source());
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
        self.ages.unlink(&mut self.pending, pending.age, Pending::age);
        let key = pending.source();
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
