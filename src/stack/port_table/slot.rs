//! A socket as the table keeps it: one cache line.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::place::{ANY, Class, Kind, MAPPED, Place, Wanted, Words, words};
use super::{Socket, SocketId, Versions};
use crate::io::InterfaceId;
use crate::stack::groups::ServiceId;

/// No socket.
pub(super) const NONE: SocketId = SocketId::MAX;

/// A socket and its neighbours in its place, which are a list, the last bound first.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    local: Words,
    /// The peer's address; of a socket that shares its port with others and has no peer, its place among them.
    far: Words,
    /// Where it stands in Linux's list of its address and port: what has more comes before.
    pub(super) order: i64,
    pub(super) service: ServiceId,
    /// Before which it comes in its place; of the first, the last.
    pub(super) prev: SocketId,
    pub(super) next: SocketId,
    /// How many there are in its place, if it is the first.
    pub(super) len: u32,
    local_port: u16,
    peer_port: u16,
    interface: u16,
    kind: Kind,
    flags: u8,
}

const USED: u8 = 1;
const MULTICAST_ALL: u8 = 1 << 1;
const MULTICAST_ALL6: u8 = 1 << 2;
const REUSE_ADDRESS: u8 = 1 << 3;
const REUSE_PORT: u8 = 1 << 4;
const NO_CHECK6_RX: u8 = 1 << 5;

impl Slot {
    /// No socket.
    pub(super) const EMPTY: Self = Self {
        local: ANY,
        far: ANY,
        order: 0,
        service: 0,
        prev: NONE,
        next: NONE,
        len: 0,
        local_port: 0,
        peer_port: 0,
        interface: 0,
        kind: Kind(0),
        flags: 0,
    };

    /// `socket`, which is in no list yet.
    pub(super) fn new(socket: &Socket, order: i64) -> Self {
        let local = socket.local.ip().to_canonical();
        let class = match socket.version {
            Versions::V4 => Class::V4,
            Versions::V6 => Class::V6,
            Versions::Both if local.is_ipv4() => Class::Mapped,
            Versions::Both => Class::Both,
        };
        let (is_exact, peer, on) = (!local.is_unspecified(), socket.peer, socket.interface);
        let kind = Kind::new(is_exact, peer.is_some(), on.is_some(), class, socket.reuse_port);
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag(socket.multicast_all, MULTICAST_ALL)
            | flag(socket.multicast_all6, MULTICAST_ALL6)
            | flag(socket.reuse_address, REUSE_ADDRESS)
            | flag(socket.reuse_port, REUSE_PORT)
            | flag(socket.no_check6_rx, NO_CHECK6_RX);
        Self {
            local: if is_exact { words(local) } else { ANY },
            far: peer.map_or(ANY, |peer| words(peer.ip())),
            order,
            service: socket.service,
            local_port: socket.local.port(),
            peer_port: peer.map_or(0, |peer| peer.port()),
            interface: on.map_or(0, |on| on.0),
            kind,
            flags: USED | flags,
            ..Self::EMPTY
        }
    }

    #[inline]
    pub(super) const fn is_used(&self) -> bool {
        self.flags & USED != 0
    }

    #[inline]
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) const fn reuses_port(&self) -> bool {
        self.flags & REUSE_PORT != 0
    }

    /// Whether both are bound alike, whatever else they are.
    pub(super) fn is_bound_as(&self, other: &Self) -> bool {
        let key = |slot: &Self| (slot.kind.class(), slot.kind.is_exact(), slot.local, slot.local_port);
        key(self) == key(other)
    }

    /// Takes over the options of `other`, which is in the same place.
    pub(super) const fn renew(&mut self, other: &Self) {
        self.flags = other.flags;
        self.service = other.service;
    }

    pub(super) const fn reuses_address(&self) -> bool {
        self.flags & REUSE_ADDRESS != 0
    }

    /// Whether it hears groups of IPv4, or of IPv6, that it did not join.
    #[inline]
    pub(super) const fn multicast_all(&self, is_v4: bool) -> bool {
        self.flags & if is_v4 { MULTICAST_ALL } else { MULTICAST_ALL6 } != 0
    }

    /// Whether it takes datagrams of IPv6 without a checksum.
    pub(super) const fn no_check6_rx(&self) -> bool {
        self.flags & NO_CHECK6_RX != 0
    }

    /// Where it is found.
    #[inline]
    pub(super) const fn place(&self) -> Place {
        let Self { kind, local, local_port, peer_port, interface, .. } = *self;
        let peer = if kind.is_connected() { self.far } else { ANY };
        Place { kind, local, peer, local_port, peer_port, interface }
    }

    /// Whether it is found at `place`.
    #[inline(always)]
    pub(super) fn is_at(&self, place: &Place) -> bool {
        self.place() == *place
    }

    /// Whether it is the place's that `wanted` is for, of whatever kind, if the port and the version are its own.
    #[inline(always)]
    pub(super) fn matches(&self, wanted: &Wanted) -> bool {
        let kind = self.kind;
        (!kind.is_on_one() || self.interface == wanted.interface.0)
            && (!kind.is_exact() || self.local == wanted.dst)
            && (!kind.is_connected()
                || self.far == wanted.src && (self.peer_port == wanted.sport || self.peer_port == 0))
    }

    /// Whether what is sent to its address may be for several: it is any, a group's, or can be that of everyone on a link.
    // RFC 922 7: the host bits of a broadcast address are ones, and RFC 3021 has no such for less than two of them.
    pub(super) fn can_hear_many(&self) -> bool {
        let [high, low] = self.local;
        let is_v4 = high == 0 && low >> 32 == MAPPED >> 32;
        match (self.kind.is_exact(), is_v4) {
            (false, _) => true,
            (true, true) => low & 0xf000_0000 == 0xe000_0000 || low & 3 == 3,
            (true, false) => high >> 56 == 0xff,
        }
    }

    /// Whether it is bound to a group.
    pub(super) fn is_of_group(&self) -> bool {
        self.socket().is_some_and(|socket| socket.local.ip().to_canonical().is_multicast())
    }

    /// Of one that shares its port: which group it is in, and its place among the members.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "`set_member` put numbers of 32 bits there")]
    pub(super) const fn member(&self) -> (u32, u32) {
        (self.far[0] as u32, self.far[1] as u32)
    }

    pub(super) const fn set_member(&mut self, group: u32, at: u32) {
        self.far = [group as u64, at as u64];
    }

    /// The socket, if there is one.
    pub(super) fn socket(&self) -> Option<Socket> {
        if !self.is_used() {
            return None;
        }
        let is_v4 = self.kind.class() == Class::V4;
        let addr = |words: Words| {
            let bits = Ipv6Addr::from_bits(u128::from(words[0]) << 64 | u128::from(words[1]));
            if is_v4 {
                bits.to_ipv4_mapped().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4)
            } else {
                bits.into()
            }
        };
        let any = if self.kind.class() == Class::Mapped { [0, MAPPED] } else { ANY };
        let local = if self.kind.is_exact() { self.local } else { any };
        Some(Socket {
            interface: self.kind.is_on_one().then_some(InterfaceId(self.interface)),
            local: SocketAddr::new(addr(local), self.local_port),
            service: self.service,
            multicast_all: self.multicast_all(true),
            multicast_all6: self.multicast_all(false),
            reuse_address: self.reuses_address(),
            reuse_port: self.reuses_port(),
            no_check6_rx: self.no_check6_rx(),
            peer: self.kind.is_connected().then(|| SocketAddr::new(addr(self.far), self.peer_port)),
            version: match self.kind.class() {
                Class::V4 => Versions::V4,
                Class::V6 => Versions::V6,
                Class::Both | Class::Mapped => Versions::Both,
            },
        })
    }
}
