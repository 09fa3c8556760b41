//! The body: fragments of both IP versions in any order, of any size, over one another, and the time that passes between them.
//!
//! The first byte says how much room there is. With more than is ever needed, a model that knows each byte of each datagram says what
//! must become of every fragment: RFC 791 3.2, RFC 5722 3 (whatever overlaps, there is no datagram), RFC 8200 4.5 (but what the network
//! doubled), RFC 1122 3.3.2 (its time). With little room, and now and then no buffer, nothing passes its limit and no byte turns up
//! that was not sent there. Either way each buffer is in one place, and in the end in none.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use pollcast::io::{BufPool, DropReason, InterfaceId, PacketBuf};
use pollcast::sim::buf::{ROOM, SimBuf, SimPool};
use pollcast::sim::frames::fragment::piece;
use pollcast::sim::frames::fragment6::piece6;
use pollcast::sim::frames::{Ethernet, Ipv4 as IpFrame, Ipv6 as Ip6Frame};
use pollcast::stack::reassembly::{Account, Fragment, Limits, Reassembler};
use pollcast::time::Instant;
use pollcast::wire::ipv4::Ipv4;
use pollcast::wire::ipv6::{Ipv6, ext};

/// More fragments than an input has.
const AMPLE: u32 = 1024;

/// Operations that are carried out of one input.
const MOST: usize = AMPLE as usize;

const FEW: Limits = Limits { fragments: 12, fragments_per_source: 5, ..limits(0) };

const fn limits(fragments: u32) -> Limits {
    let (timeout, timeout6) = (Duration::from_secs(30), Duration::from_secs(60));
    Limits { timeout, timeout6, fragments, fragments_per_source: fragments }
}

/// Which datagram a fragment says that it is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Of {
    is_v6: bool,
    source: u8,
    id: u8,
}

impl Of {
    const fn new(byte: u8) -> Self {
        Self { is_v6: byte & 1 != 0, source: byte >> 1 & 3, id: byte >> 3 & 3 }
    }

    /// The fragment with `bytes` from `start` on.
    fn frame(self, start: usize, bytes: &[u8], more: bool) -> Vec<u8> {
        let total = if more { usize::MAX } else { start + bytes.len() };
        let ethertype = if self.is_v6 { 0x86dd } else { 0x0800 };
        let [destination, source] = [2, 1].map(|last| pollcast::addr::MacAddr([2, 0, 0, 0, 0, last]));
        let ethernet = Ethernet { destination, source, tci: None, ethertype };
        if self.is_v6 {
            // Each in a subnet of its own.
            let source = Ipv6Addr::new(0x2001, 0xdb8, 0, self.source.into(), 0, 0, 0, 1);
            let ip = Ip6Frame::new(source, Ipv6Addr::new(0x2001, 0xdb8, 0, 9, 0, 0, 0, 2), 44);
            return piece6(&ethernet, &ip, (17, u32::from(self.id) << 16), start, bytes, total);
        }
        let (source, destination) =
            (Ipv4Addr::new(198, 18, 0, self.source + 10), Ipv4Addr::new(198, 18, 0, 2));
        let ip = IpFrame { id: self.id.into(), ..IpFrame::new(source, destination, 17) };
        piece(&ethernet, &ip, start, bytes, total)
    }

    /// How long it is waited for. F09, W07.
    const fn time(self) -> Duration {
        if self.is_v6 { limits(0).timeout6 } else { limits(0).timeout }
    }

    /// The most bytes that it can have. F10, W05.
    const fn most(self) -> usize {
        if self.is_v6 { 65_535 } else { 65_535 - 20 }
    }
}

/// A datagram as the rules see it, byte by byte.
struct Model {
    born: Instant,
    /// How many began before.
    nth: usize,
    bytes: BTreeMap<usize, u8>,
    /// From, to, whether more follows.
    pieces: BTreeSet<(usize, usize, bool)>,
    /// Why no more of it is wanted.
    refused: Option<DropReason>,
}

/// What becomes of a fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Outcome {
    Kept,
    Whole(Vec<u8>),
    /// It alone is dropped.
    Dropped(DropReason),
    /// So is all of its datagram that came, or comes.
    Refused(DropReason),
}

impl Model {
    fn arrive(&mut self, of: Of, start: usize, bytes: &[u8], more: bool) -> Outcome {
        let (end, known) =
            (start + bytes.len(), self.pieces.iter().find(|piece| !piece.2).map(|piece| piece.1));
        let furthest = self.pieces.iter().map(|piece| piece.1).max().unwrap_or(0);
        // F07: it ends once, and where everything else does.
        let contradicts = match known {
            Some(known) => {
                if more {
                    end > known
                } else {
                    end != known
                }
            }
            None => !more && end < furthest,
        };
        let there = (start..end).filter(|at| self.bytes.contains_key(at)).count();
        let why = match () {
            // F08.
            () if bytes.is_empty() => DropReason::FragmentEmpty,
            () if contradicts => DropReason::FragmentEndConflict,
            // W03, RFC 8200 4.5: the network may double a packet. F02, F04: of IPv4, as Linux, whatever brings nothing.
            () if self.pieces.contains(&(start, end, more)) || !of.is_v6 && there == bytes.len() => {
                return Outcome::Dropped(DropReason::FragmentDuplicate);
            }
            // F03, W02, RFC 5722 3.
            () if there > 0 => DropReason::FragmentOverlap,
            () => {
                self.pieces.insert((start, end, more));
                self.bytes.extend((start..).zip(bytes.iter().copied()));
                let end = if more { known } else { Some(end) };
                let is_whole = end == Some(self.bytes.len());
                return if is_whole {
                    Outcome::Whole(self.bytes.values().copied().collect())
                } else {
                    Outcome::Kept
                };
            }
        };
        (self.refused, self.pieces, self.bytes) = (Some(why), BTreeSet::new(), BTreeMap::new());
        Outcome::Refused(why)
    }
}

/// The reassembler under test, what it should hold, and where every buffer went.
struct World {
    reassembler: Reassembler<SimBuf>,
    pool: SimPool,
    /// Where what arrives lies.
    wire: SimPool,
    now: Instant,
    is_ample: bool,
    models: BTreeMap<Of, Model>,
    /// What was sent of each datagram, where: with little room, all that is known of it.
    sent: BTreeSet<(Of, usize, u8)>,
    began: usize,
    /// Packets that came or were made, less those that were merged, dropped, or are whole.
    there: i64,
    held: i64,
}

/// Carries out the operations that `data` stands for: five bytes each, behind the first.
pub fn fuzz_reassembly_ops(data: &[u8]) {
    let Some((room, ops)) = data.split_first() else { return };
    let mut world = World::new(room & 1 == 0);
    for (n, op) in ops.as_chunks::<5>().0.iter().take(MOST).enumerate() {
        world.operate(n, *op);
        world.is_right();
    }
    world.now += Duration::from_secs(1000);
    world.expire();
    assert_eq!((world.reassembler.held(), world.reassembler.pending()), (0, 0), "something is held for ever");
    world.is_right();
}

impl World {
    fn new(is_ample: bool) -> Self {
        Self {
            reassembler: Reassembler::new(if is_ample { limits(AMPLE) } else { FEW }, 7),
            pool: SimPool::with_large(64, ROOM, 2),
            wire: SimPool::new(MOST, 2 * ROOM),
            now: Instant::from_ns(1),
            is_ample,
            models: BTreeMap::new(),
            sent: BTreeSet::new(),
            began: 0,
            there: 0,
            held: 0,
        }
    }

    fn operate(&mut self, n: usize, [kind, of, a, b, c]: [u8; 5]) {
        // Every fragment has bytes of its own.
        let byte = u8::try_from(n % 251).unwrap_or(0);
        let of = Of::new(of);
        match kind % 16 {
            // Of four honest pieces, one.
            0..=9 => {
                let which = usize::from(a % 4);
                self.arrive(of, which * 32, &vec![byte; if which == 3 { 29 } else { 32 }], which != 3);
            }
            // Any at all, near or far.
            10..=13 => {
                let start = usize::from(a) * 8 * if b & 128 == 0 { 1 } else { 32 };
                let (len, more) = (usize::from(b & 127), c & 1 != 0);
                let len = if c & 2 == 0 { len * 8 } else { len };
                self.arrive(of, start, &vec![byte; len], more);
            }
            14 => {
                self.now += Duration::from_millis(u64::from(a) * u64::from(b));
                self.expire();
            }
            _ if self.is_ample => self.give_up(),
            _ => self.pool.set_exhausted(a & 1 != 0),
        }
    }

    fn arrive(&mut self, of: Of, start: usize, bytes: &[u8], more: bool) {
        let frame = of.frame(start, bytes, more);
        // What is whole by itself, and (W06) what begins without a header, never comes here.
        let Some(fragment) = fragment_in(&frame) else { return };
        let expected = self.expected(of, start, bytes, more);
        self.sent.extend(bytes.iter().zip(start..).map(|(byte, at)| (of, at, *byte)));
        let buf = self.wire.alloc_copy(&frame).expect("there are as many as operations");
        let (whole, account) = self.reassembler.insert(self.now, &fragment, buf, &self.pool);
        self.there += 1 - i64::from(whole.is_some());
        self.add(&account);
        let whole = whole.map(|whole| payload(&whole));
        assert_eq!(
            fragment.misfit().is_some(),
            start + bytes.len() > of.most() || more && !bytes.len().is_multiple_of(8)
        );
        if !self.is_ample {
            let bytes = whole.iter().flatten();
            bytes
                .zip(0..)
                .for_each(|(byte, at)| assert!(self.sent.contains(&(of, at, *byte)), "{of:?} at {at}"));
            return;
        }
        let dropped = |why| account.drops.iter().find(|drop| drop.0 == why).map_or(0, |drop| drop.1);
        match expected {
            Outcome::Whole(bytes) => assert_eq!(whole, Some(bytes)),
            Outcome::Kept => assert!(whole.is_none() && account.drops.is_empty(), "{account:?}"),
            Outcome::Dropped(why) => assert_eq!((whole, dropped(why), account.released), (None, 1, 0)),
            Outcome::Refused(why) => assert_eq!((whole, dropped(why)), (None, 1 + account.released)),
        }
    }

    /// What must become of a fragment, where there is room for all.
    fn expected(&mut self, of: Of, start: usize, bytes: &[u8], more: bool) -> Outcome {
        // F06, W05, ping of death; F05, W04: of these, nothing is begun.
        if start + bytes.len() > of.most() {
            return Outcome::Dropped(DropReason::FragmentTooFar);
        }
        if more && !bytes.len().is_multiple_of(8) {
            return Outcome::Dropped(DropReason::FragmentMisaligned);
        }
        let new = || Model {
            born: self.now,
            nth: self.began,
            bytes: BTreeMap::new(),
            pieces: BTreeSet::new(),
            refused: None,
        };
        let model = self.models.entry(of).or_insert_with(new);
        self.began += 1;
        // RFC 5722 3: "including those not yet received".
        if let Some(why) = model.refused {
            return Outcome::Dropped(why);
        }
        let outcome = model.arrive(of, start, bytes, more);
        if matches!(outcome, Outcome::Whole(_)) {
            self.models.remove(&of);
        }
        outcome
    }

    /// Whose time is over, is over.
    fn expire(&mut self) {
        let now = self.now;
        let is_over = |of: &Of, model: &Model| model.born + of.time() <= now;
        let over = self.models.iter().filter(|(of, model)| is_over(of, model));
        // F09, W07: of whom the first fragment came, the sender is told.
        let expected: Vec<_> = over.map(|(_, model)| model.bytes.contains_key(&0)).collect();
        self.models.retain(|of, model| !is_over(of, model));
        let mut told = Vec::new();
        while let Some(expired) = self.reassembler.expire(now) {
            self.add(&expired.account);
            told.push(expired.first.is_some());
        }
        if self.is_ample {
            let firsts = |all: &[bool]| (all.len(), all.iter().filter(|first| **first).count());
            assert_eq!(firsts(&told), firsts(&expected));
        }
        assert!(self.reassembler.poll_timeout().is_none_or(|at| at > now));
    }

    /// The next that would end, ends now.
    fn give_up(&mut self) {
        let next = self.models.iter().min_by_key(|(of, model)| (model.born + of.time(), of.is_v6, model.nth));
        let next = next.map(|(of, model)| (*of, model.pieces.len()));
        let given_up = self.reassembler.give_up(DropReason::Stopping);
        let released = given_up.as_ref().map(|given_up| given_up.account.released as usize);
        assert_eq!(released, next.map(|(_, pieces)| pieces));
        if let (Some(given_up), Some((of, _))) = (given_up, next) {
            self.add(&given_up.account);
            self.models.remove(&of);
        }
    }

    /// DESIGN 3: nothing is lost.
    fn add(&mut self, account: &Account) {
        let Account { held, released, merged, allocated, drops } = account;
        let dropped: u32 = drops.iter().map(|drop| drop.1).sum();
        self.held += i64::from(*held) - i64::from(*released);
        self.there += i64::from(*allocated) - i64::from(*merged) - i64::from(dropped);
        assert_eq!(self.there, self.held, "{account:?}");
    }

    fn is_right(&self) {
        let held = self.reassembler.held();
        assert_eq!(i64::try_from(held), Ok(self.held), "what is held is not what was said");
        assert_eq!(
            self.pool.outstanding() + self.wire.outstanding(),
            held,
            "buffers are not where they should be"
        );
        if self.is_ample {
            let pieces: usize = self.models.values().map(|model| model.pieces.len()).sum();
            assert_eq!((held, self.reassembler.pending()), (pieces, self.models.len()));
        } else {
            let most = FEW.fragments as usize;
            assert!(
                held <= most && self.reassembler.pending() <= most,
                "F11, W11: more than there is room for"
            );
        }
    }
}

/// The fragment in `frame`, as the packet path finds it.
fn fragment_in(frame: &[u8]) -> Option<Fragment> {
    let packet = &frame[14..];
    if packet[0] >> 4 == 4 {
        return Fragment::of(&Ipv4::parse(packet).ok()?, 14, InterfaceId(0));
    }
    let ip = Ipv6::parse(packet).ok()?;
    Fragment::of6(&ip, &ext::walk(&ip).ok()?.fragment?, 14, InterfaceId(0))
}

/// What the packet in `buf` carries.
fn payload(buf: &SimBuf) -> Vec<u8> {
    let frame = [buf.data(), buf.body().unwrap_or_default()].concat();
    let ip = &frame[14..];
    let word = |at: usize| usize::from(u16::from_be_bytes([ip[at], ip[at + 1]]));
    let range = if ip[0] >> 4 == 4 { usize::from(ip[0] & 15) * 4..word(2) } else { 40..40 + word(4) };
    ip[range].to_vec()
}
