//! The front of a plain datagram as two vectors: one compare for every field that is known, one sum for both checksums, two
//! shuffles for the way back.
//!
//! A frame is never shorter than its 60 bytes ([`FRONT`]) but where no Ethernet is behind it; what is shorter, or tagged, or
//! to a group, or IPv6, is for [`accept`](super::accept), a word at a time. Which CPU has such vectors is for
//! [`dispatch`](super::dispatch) to say: it makes the only [`Wide`] that is more than nothing.

use super::accept6::HEAD6;
use super::found::{Found, Places};
use super::four::Front;
use super::level::Level;
use super::line::Line;
use super::line6::Line6;
use super::view6::View6;
use super::{Own, View};
use crate::io::{Alike, InterfaceId, PacketBuf, Parts, PayloadSum};
use crate::wire::ethernet::MIN_FRAME;

/// Bytes of a frame that has the least length: Ethernet, IPv4 without options, UDP, and 18 of its payload.
pub(super) const FRONT: usize = MIN_FRAME;

/// The same over IPv6, with as much of the payload.
pub(super) const FRONT6: usize = FRONT + 20;

/// Bytes of UDP in the front, header included.
pub(super) const UDP_IN_FRONT: usize = FRONT - 34;

/// Where the vector that is compared and summed for IP begins: it ends where IPv4 without options does.
pub(super) const IP_AT: usize = 2;

/// Where the vector that is summed for UDP begins: it ends where the front does.
pub(super) const UDP_AT: usize = FRONT - 32;

/// What a CPU does with fronts at once.
pub(super) trait Wide: Copy {
    /// Whether it does.
    const IS_WIDE: bool;

    /// Whether it does so by whole cache lines: then [`four`](Self::four) finds what [`turn_found`](Self::turn_found) needs.
    const HAS_LINES: bool;

    /// [`four::find`](super::four::find), compiled for what it does.
    fn find<B: PacketBuf>(
        self,
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View,
        found: &mut Found,
    ) -> Front;

    /// [`four::find6`](super::four::find6), compiled for what it does.
    fn find6<B: PacketBuf, const SEVERAL: bool>(
        self,
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View6,
        before: Front,
        found: &mut Found,
    ) -> Front;

    /// [`alikes::turn4`](super::alikes::turn4), compiled for what it does.
    fn turn4<B: PacketBuf>(self, slots: &mut [Option<B>], found: &mut Found, view: &View) -> usize;

    /// [`alikes::turn6`](super::alikes::turn6), compiled for what it does.
    fn turn6<B: PacketBuf, const SEVERAL: bool>(
        self,
        slots: &mut [Option<B>],
        words: &[u64],
        view: &View6,
    ) -> usize;

    /// Whether every field of `front` that is the same in each plain datagram to `template`'s address is as it must be. Of
    /// the first two bytes nothing is said.
    fn is_like(self, front: &[u8; FRONT], template: &Template) -> bool;

    /// The sum of the IP header of `front`, and that of its last bytes from [`UDP_AT`] on up to `len` bytes of UDP: half the
    /// source address, the destination, and UDP. Each in two words of 32 bits that do not overflow.
    fn sums(self, front: &[u8; FRONT], len: usize) -> (u64, u64);

    /// Whether four frames are plain datagrams to the address of `heads`, and nothing is wrong with them. What is found of them goes to
    /// their `places`. `SEVERAL`: to which address, and from whom, is not asked; but that can be one host.
    fn four<const SEVERAL: bool>(
        self,
        level: Level,
        frames: [&[u8]; 4],
        fronts: Fronts<'_>,
        sums: Sums,
        heads: &Heads,
        places: Places<'_>,
    ) -> bool;

    /// The same over IPv6, to where the front `first` is for, unless `SEVERAL`. No source is ours; none is a group, or begins with
    /// 32 zeros.
    fn four6<const SEVERAL: bool>(
        self,
        level: Level,
        frames: [&[u8]; 4],
        fronts: Fronts6<'_>,
        sums: Sums,
        to: (&View6, &[u8; FRONT6]),
        places: Places<'_>,
    ) -> bool;

    /// The sum of the addresses of an IPv6 front, and of up to `len` bytes of its UDP.
    fn sum6(self, front: &[u8; FRONT6], len: usize) -> u64;

    /// Turns the front of a request to one of our addresses round, which has this header checksum then, as it is stored, and the
    /// length that it had; `link` is what its first 16 bytes have of ours.
    fn turn(self, front: &mut [u8; FRONT], link: &[u8; 16], checksum: u16);

    /// The same of four of these UDP lengths, of which it computes the header checksums.
    fn turn_four(self, fronts: [&mut [u8; FRONT]; 4], udp_lens: [u32; 4], link: &[u8; 16]);

    /// The same of four that were found, whose answers have these header checksums, as they are stored.
    fn turn_found(self, fronts: [&mut [u8; FRONT]; 4], checksums: [u16; 4], line: &Line);

    /// As [`turn`](Self::turn), over IPv6, with this word from the version to the hop limit.
    fn turn_one6(self, head: &mut [u8; HEAD6], link: &[u8; 16], word: u64);

    /// The same of four that were found, with flow labels of these [hashes](crate::stack::flow_label::label_of).
    fn turn_found6(self, fronts: [&mut [u8; FRONT6]; 4], hashes: [u64; 4], line: &Line6);
}

/// A CPU of which nothing more is known.
#[derive(Clone, Copy)]
pub(super) struct Narrow;

impl Wide for Narrow {
    const IS_WIDE: bool = false;
    const HAS_LINES: bool = false;

    #[inline(always)]
    fn find<B: PacketBuf>(self, _: Level, _: &[Option<B>], _: Alike, _: &View, _: &mut Found) -> Front {
        Front { count: 0, bytes: 0 }
    }

    #[inline(always)]
    fn find6<B: PacketBuf, const SEVERAL: bool>(
        self,
        _: Level,
        _: &[Option<B>],
        _: Alike,
        _: &View6,
        before: Front,
        _: &mut Found,
    ) -> Front {
        before
    }

    #[inline(always)]
    fn turn4<B: PacketBuf>(self, _: &mut [Option<B>], _: &mut Found, _: &View) -> usize {
        0
    }

    #[inline(always)]
    fn turn6<B: PacketBuf, const SEVERAL: bool>(self, _: &mut [Option<B>], _: &[u64], _: &View6) -> usize {
        0
    }

    #[inline(always)]
    fn is_like(self, _: &[u8; FRONT], _: &Template) -> bool {
        false
    }

    #[inline(always)]
    fn sums(self, _: &[u8; FRONT], _: usize) -> (u64, u64) {
        (0, 0)
    }

    #[inline(always)]
    fn four<const SEVERAL: bool>(
        self,
        _: Level,
        _: [&[u8]; 4],
        _: Fronts<'_>,
        _: Sums,
        _: &Heads,
        _: Places<'_>,
    ) -> bool {
        false
    }

    #[inline(always)]
    fn four6<const SEVERAL: bool>(
        self,
        _: Level,
        _: [&[u8]; 4],
        _: Fronts6<'_>,
        _: Sums,
        _: (&View6, &[u8; FRONT6]),
        _: Places<'_>,
    ) -> bool {
        false
    }

    #[inline(always)]
    fn sum6(self, _: &[u8; FRONT6], _: usize) -> u64 {
        0
    }

    #[inline(always)]
    fn turn(self, _: &mut [u8; FRONT], _: &[u8; 16], _: u16) {}

    #[inline(always)]
    fn turn_four(self, _: [&mut [u8; FRONT]; 4], _: [u32; 4], _: &[u8; 16]) {}

    #[inline(always)]
    fn turn_found(self, _: [&mut [u8; FRONT]; 4], _: [u16; 4], _: &Line) {}

    #[inline(always)]
    fn turn_one6(self, _: &mut [u8; HEAD6], _: &[u8; 16], _: u64) {}

    #[inline(always)]
    fn turn_found6(self, _: [&mut [u8; FRONT6]; 4], _: [u64; 4], _: &Line6) {}
}

/// Four fronts.
pub(super) type Fronts<'a> = [&'a [u8; FRONT]; 4];

/// What is to be summed of packets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// All of it.
    All,
    /// Nothing: the device has done so.
    None,
}

/// What four fronts are compared with.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    /// The first bytes.
    pub(super) first: [u8; 32],
    pub(super) own: Own,
    /// The same for whole lines.
    pub(super) line: Line,
    /// What the parts of all of them have in common, as [`Parts::word`].
    pub(super) parts: u64,
}

impl Heads {
    /// Which bits of the [first](Self::first) bytes are compared, as in [`Template::MASK`].
    pub(super) const FIRST: [u8; 32] = {
        let mut mask = [0; 32];
        let mut at = 0;
        while at < 32 {
            mask[at] = match at {
                0..6 | 12..15 | 21 | 23 => 0xff,
                6 => 0x01,
                20 => 0x3f,
                _ => 0,
            };
            at += 1;
        }
        mask
    };

    /// 1 for each word of the IP header among the first bytes.
    pub(super) const IP_WORDS: [i16; 16] = {
        let mut words = [0; 16];
        let mut at = 7;
        while at < 16 {
            words[at] = 1;
            at += 1;
        }
        words
    };

    /// To the MAC and address `own` of the interface `id`. If that is not the only one, the line is without: sums have that of each packet.
    pub(super) fn of(own: Own, id: InterfaceId) -> Self {
        let mut first = [0; 32];
        for (to, from) in first.iter_mut().zip(own.mac.to_le_bytes().into_iter().take(6)) {
            *to = from;
        }
        (first[12], first[14], first[23]) = (0x08, 0x45, 17);
        let parts = Parts::new(14, 34, 0).on(id).with_sum(PayloadSum::Valid).word();
        let line = Line::of(if own.alone { own } else { Own { addr: 0, ..own } });
        Self { first, own, line, parts }
    }
}

/// Four fronts of IPv6.
pub(super) type Fronts6<'a> = [&'a [u8; FRONT6]; 4];

/// What four of them are compared with.
#[derive(Clone, Debug)]
pub(super) struct Heads6 {
    /// The first bytes.
    pub(super) first: [u8; 32],
    pub(super) mac: u64,
    /// As in [`Heads`].
    pub(super) parts: u64,
}

impl Heads6 {
    /// Which bits of the [first](Self::first) bytes are compared: our MAC, that the source is no group (E03), EtherType, version,
    /// next header.
    pub(super) const FIRST: [u8; 32] = {
        let mut mask = [0; 32];
        let mut at = 0;
        while at < 32 {
            mask[at] = match at {
                0..6 | 12 | 13 | 20 => 0xff,
                6 => 0x01,
                14 => 0xf0,
                _ => 0,
            };
            at += 1;
        }
        mask
    };

    /// Which of the addresses: the destination.
    pub(super) const ADDRS: [u8; 32] = from(16);

    /// 1 for each word of UDP among the last.
    pub(super) const UDP_WORDS: [i16; 16] = {
        let mut words = [0; 16];
        let mut at = (32 - UDP_IN_FRONT) / 2;
        while at < 16 {
            words[at] = 1;
            at += 1;
        }
        words
    };

    /// To the addresses of the interface `id`, which has this MAC.
    pub(super) fn of(mac: u64, id: InterfaceId) -> Self {
        let mut first = [0; 32];
        for (to, from) in first.iter_mut().zip(mac.to_le_bytes().into_iter().take(6)) {
            *to = from;
        }
        (first[12], first[13], first[14], first[20]) = (0x86, 0xdd, 0x60, 17);
        let parts = Parts::new(14, 54, 0).over_ipv6(true).on(id).with_sum(PayloadSum::Valid).word();
        Self { first, mac, parts }
    }
}

/// The same over IPv6, but for the first two bytes of its header.
pub(super) const fn link6_of(mac: u64) -> [u8; 16] {
    let [a, b, c, d, e, f, ..] = mac.to_le_bytes();
    [0, 0, 0, 0, 0, 0, a, b, c, d, e, f, 0x86, 0xdd, 0, 0]
}

/// What the first 16 bytes of an answer from `mac` have that no request knows: the source, EtherType IPv4, version 4 and a
/// header of 20 bytes.
pub(super) const fn link_of(mac: u64) -> [u8; 16] {
    let [a, b, c, d, e, f, ..] = mac.to_le_bytes();
    [0, 0, 0, 0, 0, 0, a, b, c, d, e, f, 0x08, 0, 0x45, 0]
}

/// The bytes from [`IP_AT`] on of a plain datagram to us.
#[derive(Clone, Copy)]
pub(super) struct Template(pub(super) [u8; 32]);

impl Template {
    /// To the MAC and primary address of `view`: EtherType IPv4, version 4, a header of 20 bytes, no fragment, UDP.
    pub(super) fn of(view: &View) -> Self {
        let mut bytes = [0; 32];
        let [_, _, mac @ .., _, _] = view.mac.to_le_bytes();
        for (to, from) in bytes.iter_mut().zip(mac) {
            *to = from;
        }
        bytes[10] = 0x08;
        bytes[12] = 0x45;
        bytes[21] = 17;
        for (to, from) in bytes.iter_mut().skip(28).zip(view.addr.to_le_bytes()) {
            *to = from;
        }
        Self(bytes)
    }

    /// Which bits of it are compared: not the source but that it is no group (E03), not type of service, lengths,
    /// identification, the reserved flag (I05) and DF, TTL and checksum.
    pub(super) const MASK: [u8; 32] = {
        let mut mask = [0; 32];
        let mut at = 0;
        while at < 32 {
            mask[at] = match at {
                0..4 | 10..13 | 19 | 21 | 28..32 => 0xff,
                4 => 0x01,
                18 => 0x3f,
                _ => 0,
            };
            at += 1;
        }
        mask
    };
}

/// Of the bytes from [`IP_AT`] on, those of the IP header.
pub(super) const IP_HEADER: [u8; 32] = from(14 - IP_AT);

/// Of the last 32 bytes of an IPv6 front, those of UDP.
pub(super) const UDP6: [u8; 32] = from(32 - UDP_IN_FRONT);

/// Set bytes from `start` on, and cleared ones before them.
const fn from(start: usize) -> [u8; 32] {
    let mut mask = [0; 32];
    let mut at = start;
    while at < 32 {
        mask[at] = 0xff;
        at += 1;
    }
    mask
}

/// As many set bytes as are wanted, and cleared ones behind them: by where it is looked at.
pub(super) static UP_TO: [u8; 64] = {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 32 {
        bytes[at] = 0xff;
        at += 1;
    }
    bytes
};

/// The mask for a front of which `len` bytes are of UDP.
#[inline(always)]
pub(super) fn up_to(len: usize) -> &'static [u8; 32] {
    let spare = UDP_IN_FRONT.saturating_sub(len);
    UP_TO.get(spare..).and_then(|mask| mask.first_chunk()).unwrap_or(&[0; 32])
}

/// Whether the destination MAC begins as ours does.
#[inline(always)]
pub(super) fn begins_like(front: &[u8; FRONT], own: Own) -> bool {
    let [a, b, ..] = own.mac.to_le_bytes();
    front.first_chunk() == Some(&[a, b])
}
