//! Where a socket is found: in a *place*, the sockets that exactly the same datagrams match.
//!
//! A datagram can match no more places than there are combinations of (bound to its destination or to any address), (connected
//! to its sender or to nobody), (on its interface or on all), and [`Class`]. Each is one look-up in one hash table, however many
//! sockets there are, and a port knows which of them to ask for: its [`Places`].

use core::net::IpAddr;

use crate::addr::{Family, V4};
use crate::io::InterfaceId;

/// An address of either version, IPv4's as IPv4-mapped; zeros: any.
pub(super) type Words = [u64; 2];

/// Any address.
pub(super) const ANY: Words = [0; 2];

/// `addr` as two words.
#[inline(always)]
pub(super) fn words(addr: IpAddr) -> Words {
    match addr {
        IpAddr::V4(addr) => [0, MAPPED | u64::from(addr.to_bits())],
        IpAddr::V6(addr) => halves(addr.to_bits()),
    }
}

/// What stands before an address of IPv4. RFC 4291 2.5.5.2.
pub(super) const MAPPED: u64 = 0xffff << 32;

#[expect(clippy::cast_possible_truncation, reason = "each half is its 64 bits")]
const fn halves(bits: u128) -> Words {
    [(bits >> 64) as u64, bits as u64]
}

/// As whose a socket is bound. Of Linux's two families, one prefers the first of these for IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Class {
    /// `AF_INET6`, IPv6 alone.
    V6 = 0,
    /// `AF_INET6`, to an address of IPv6 or to any.
    Both = 1,
    /// `AF_INET6`, to an address of IPv4.
    Mapped = 2,
    /// `AF_INET`.
    V4 = 3,
}

/// A combination, as the number of its bit in [`Places`]: whether it is bound to an address, connected, on one interface; the
/// class; and whether its sockets share the port.
// U12, Linux compute_score: a number that is larger in the first four is a better score, but that IPv6 tells no classes apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind(pub(super) u8);

const EXACT: u8 = 1 << 5;
const CONNECTED: u8 = 1 << 4;
const ON_ONE: u8 = 1 << 3;
const REUSE_PORT: u8 = 1;

impl Kind {
    pub(super) fn new(is_exact: bool, is_connected: bool, on_one: bool, class: Class, reuse: bool) -> Self {
        let to_bit = |is: bool, bit: u8| if is { bit } else { 0 };
        // U14: connected, a socket shares with nobody.
        let reuse = reuse && !is_connected;
        Self(
            to_bit(is_exact, EXACT)
                | to_bit(is_connected, CONNECTED)
                | to_bit(on_one, ON_ONE)
                | (class as u8) << 1
                | to_bit(reuse, REUSE_PORT),
        )
    }

    pub(super) const fn is_exact(self) -> bool {
        self.0 & EXACT != 0
    }

    pub(super) const fn is_connected(self) -> bool {
        self.0 & CONNECTED != 0
    }

    pub(super) const fn is_on_one(self) -> bool {
        self.0 & ON_ONE != 0
    }

    /// Whether its sockets hear whoever sends to any address, on the interfaces that they are on.
    pub(super) const fn is_open_to_all(self) -> bool {
        self.0 & (EXACT | CONNECTED) == 0
    }

    pub(super) const fn reuses_port(self) -> bool {
        self.0 & REUSE_PORT != 0
    }

    /// Whether both are the same but for who shares the port.
    pub(super) const fn is_like(self, other: Self) -> bool {
        self.0 & !REUSE_PORT == other.0 & !REUSE_PORT
    }

    pub(super) const fn class(self) -> Class {
        match self.0 >> 1 & 3 {
            0 => Class::V6,
            1 => Class::Both,
            2 => Class::Mapped,
            _ => Class::V4,
        }
    }

    /// Which IP versions bring it something, by [`index`].
    pub(super) const fn versions(self) -> [bool; 2] {
        match self.class() {
            Class::V6 => [false, true],
            Class::Both => [!self.is_exact(), true],
            Class::Mapped | Class::V4 => [true, false],
        }
    }
}

/// The number of an IP version, of two.
#[inline(always)]
pub(super) const fn index<F: Family>() -> usize {
    (F::VERSION != V4::VERSION) as usize
}

/// A set of kinds: those of which a port has sockets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Kinds(u64);

/// The same eight bits for every combination of the first three.
const fn each(bits: u8) -> u64 {
    u64::from_ne_bytes([bits; 8])
}

/// The classes that an IP version reaches. Bound to an address, [`Class::Both`] is of IPv6.
const OF_VERSION: [u64; 2] = [each(0b1111_0000) | each(0b1100) & 0xffff_ffff, each(0b0000_1111)];

/// Kinds that are connected.
const ALL_CONNECTED: u64 = 0xffff_0000_ffff_0000;

impl Kinds {
    #[inline(always)]
    pub(super) const fn of<F: Family>(self) -> Self {
        Self(self.0 & OF_VERSION[index::<F>()])
    }

    /// The same, by [`index`].
    #[inline(always)]
    pub(super) fn of_version(self, version: usize) -> Self {
        Self(self.0 & OF_VERSION.get(version).copied().unwrap_or_default())
    }

    pub(super) const fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind.0;
    }

    pub(super) const fn remove(&mut self, kind: Kind) {
        self.0 &= !(1 << kind.0);
    }

    #[inline(always)]
    pub(super) const fn has_connected(self) -> bool {
        self.0 & ALL_CONNECTED != 0
    }

    /// Those of the combination that says most, which leave this set.
    #[inline(always)]
    pub(super) const fn take_best<F: Family>(&mut self) -> Option<Self> {
        if self.0 == 0 {
            return None;
        }
        let best = 63 - self.0.leading_zeros();
        let eight = 0xff << (best & !7);
        // Linux: IPv4 prefers AF_INET to AF_INET6; IPv6 knows but one.
        let alike =
            if F::VERSION == V4::VERSION && best & 7 >= 6 { eight & each(0b1100_0000) } else { eight };
        let taken = Self(self.0 & alike);
        self.0 &= !alike;
        Some(taken)
    }

    /// The only one, if there is just one.
    #[inline(always)]
    pub(super) fn just_one(self) -> Option<Kind> {
        if self.0.is_power_of_two() { self.into_iter().next() } else { None }
    }

    /// Those in both.
    pub(super) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The kinds bound to any address.
    pub(super) const ANY_ADDRESS: Self = Self(0xffff_ffff);

    /// The kinds bound to an address.
    pub(super) const EXACT: Self = Self(0xffff_ffff << 32);
}

impl Iterator for Kinds {
    type Item = Kind;

    #[inline]
    fn next(&mut self) -> Option<Kind> {
        if self.0 == 0 {
            return None;
        }
        let lowest = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        // Less than 64.
        u8::try_from(lowest).ok().map(Kind)
    }
}

/// What the sockets of one place have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// [`ANY`], if the kind is not bound to an address.
    pub(super) local: Words,
    /// Zeros, if it is not connected.
    pub(super) peer: Words,
    pub(super) local_port: u16,
    pub(super) peer_port: u16,
    /// 0, if it is not on one interface.
    pub(super) interface: u16,
}

/// A datagram as places are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) src: Words,
    pub(super) dst: Words,
    pub(super) sport: u16,
    pub(super) dport: u16,
    pub(super) interface: InterfaceId,
}

impl Wanted {
    /// The place of this kind whose sockets it matches.
    #[inline(always)]
    pub(super) const fn place(&self, kind: Kind) -> Place {
        let (peer, peer_port) = if kind.is_connected() { (self.src, self.sport) } else { (ANY, 0) };
        Place {
            kind,
            local: if kind.is_exact() { self.dst } else { ANY },
            peer,
            local_port: self.dport,
            peer_port,
            interface: if kind.is_on_one() { self.interface.0 } else { 0 },
        }
    }
}
