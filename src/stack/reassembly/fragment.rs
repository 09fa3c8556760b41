//! What a fragment says of itself: of which datagram it is, where its bytes belong, and where they lie in its frame.

use core::hash::BuildHasher;
use core::net::{IpAddr, Ipv6Addr};

use foldhash::fast::FixedState;

use crate::io::{DropReason, InterfaceId};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::ext::{FRAGMENT_HEADER_LEN, FragmentHeader};
use crate::wire::ipv6::{self, Ipv6};

/// Which datagram a fragment is of.
// F01, RFC 791 3.2, RFC 815 7: source, destination, protocol and identification; and the interface, for addresses mean
// something on a link only. W08, RFC 8200 4.5: of IPv6, source, destination and identification, which is of 32 bits; what
// it carries is not among them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// The interface that it came in by.
    pub interface: InterfaceId,
    /// From whom.
    pub src: IpAddr,
    /// To whom.
    pub dst: IpAddr,
    /// Its identification.
    pub id: u32,
    /// What it carries: IPv4 only.
    pub protocol: Option<u8>,
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

    /// The number of its family, for whatever there is one of each: IPv4's, then IPv6's.
    pub(super) const fn family(&self) -> usize {
        self.src.is_ipv6() as usize
    }

    /// Who it is from, as far as shares go.
    pub(super) fn source(&self) -> SourceKey {
        let share = match self.src {
            IpAddr::V4(_) => self.src,
            IpAddr::V6(addr) => share_of(addr).into(),
        };
        (self.interface, share)
    }
}

/// A source on an interface.
pub(super) type SourceKey = (InterfaceId, IpAddr);

/// Whose share the fragments from `addr` count for: a subnet's, for one host has all addresses of it that it likes
/// (RFC 4291 2.5.4). On the link that everyone is in, a host's.
fn share_of(addr: Ipv6Addr) -> Ipv6Addr {
    if addr.is_unicast_link_local() { addr } else { Ipv6Addr::from_bits(addr.to_bits() >> 64 << 64) }
}

/// The headers of a fragment, from its IP header on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Front {
    /// IPv4's, of so many bytes.
    V4 {
        /// Options included.
        header_len: u8,
    },
    /// IPv6's, and other headers before the fragment header.
    V6 {
        /// Where the fragment header begins: behind the part that every fragment has.
        at: u16,
        /// Where the field is that says that it follows.
        named_at: u16,
        /// What the fragment header says that follows.
        next_header: u8,
    },
}

impl Front {
    /// Bytes of the headers that the whole datagram has, too.
    pub(super) const fn kept(self) -> u16 {
        match self {
            Self::V4 { header_len } => header_len as u16,
            Self::V6 { at, .. } => at,
        }
    }

    /// Bytes of the IP header alone.
    pub(super) const fn fixed(self) -> u16 {
        match self {
            Self::V4 { header_len } => header_len as u16,
            Self::V6 { .. } => ipv6::offset16(ipv6::HEADER_LEN),
        }
    }

    /// Where the bytes begin that are the fragment's share of the datagram.
    pub(super) const fn payload_at(self) -> u16 {
        match self {
            Self::V4 { header_len } => header_len as u16,
            Self::V6 { at, .. } => at.saturating_add(ipv6::offset16(FRAGMENT_HEADER_LEN)),
        }
    }

    /// The most bytes that all fragments together may have, as far as this one's headers tell.
    // F10, RFC 1122 3.3.2: whatever IPv4 can carry, 65,535 bytes, of which 20 are the least that the header takes; the first
    // fragment's own counts at the end. W05, RFC 8200 4.5: the payload length, which counts the headers before the fragments.
    const fn room(self) -> u16 {
        match self {
            Self::V4 { .. } => u16::MAX - ipv6::offset16(ipv4::HEADER_LEN),
            Self::V6 { at, .. } => u16::MAX - at.saturating_sub(ipv6::offset16(ipv6::HEADER_LEN)),
        }
    }
}

/// One fragment, as its headers describe it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// Which datagram it is of.
    pub key: Key,
    /// Where its bytes lie in the datagram's payload.
    pub(super) offset: u16,
    /// How many bytes it has.
    pub(super) len: u16,
    /// Whether it is not the last one.
    pub(super) more: bool,
    /// Congestion notification, two bits.
    pub(super) ecn: u8,
    /// Offset of the IP header in the frame.
    pub(super) l3: u8,
    /// Its headers.
    pub(super) front: Front,
}

impl Fragment {
    /// The fragment `ip`, which begins at offset `l3` of its frame and was admitted by `interface`. `None`: it is none.
    #[must_use]
    pub fn of(ip: &Ipv4<'_>, l3: u8, interface: InterfaceId) -> Option<Self> {
        if !ip.is_fragment() {
            return None;
        }
        let (src, dst) = (ip.src().into(), ip.dst().into());
        Some(Self {
            key: Key { interface, src, dst, id: ip.id().into(), protocol: Some(ip.protocol()) },
            offset: ip.fragment_offset(),
            len: u16::try_from(ip.payload().len()).ok()?,
            more: ip.more_fragments(),
            ecn: ip.tos() & 0b11,
            l3,
            front: Front::V4 { header_len: u8::try_from(ip.header_len()).ok()? },
        })
    }

    /// The fragment `ip`, whose fragment header is `header`, that begins at offset `l3` of its frame and was admitted by
    /// `interface`. `None`: it is none that others could join (W01), or ends before its fragment header does.
    #[must_use]
    pub fn of6(ip: &Ipv6<'_>, header: &FragmentHeader, l3: u8, interface: InterfaceId) -> Option<Self> {
        let &FragmentHeader { at, named_at, next_header, offset, more, id } = header;
        let front = Front::V6 { at, named_at, next_header };
        let before = usize::from(front.payload_at()).checked_sub(ipv6::HEADER_LEN)?;
        let len = usize::from(ip.payload_len()).checked_sub(before).filter(|_| !header.is_atomic())?;
        Some(Self {
            key: Key { interface, src: ip.src().into(), dst: ip.dst().into(), id, protocol: None },
            offset,
            len: u16::try_from(len).ok()?,
            more,
            ecn: ip.traffic_class() & 0b11,
            l3,
            front,
        })
    }

    /// Why it can be part of no datagram, if so.
    #[must_use]
    pub fn misfit(&self) -> Option<DropReason> {
        self.end().err()
    }

    /// Where its bytes end, if it can be part of any datagram.
    pub(super) fn end(&self) -> Result<u16, DropReason> {
        // F06, W05, ping of death: counted wide, so that nothing wraps.
        let end = u32::from(self.offset) + u32::from(self.len);
        if end > u32::from(self.front.room()) {
            return Err(DropReason::FragmentTooFar);
        }
        // F05, RFC 791 3.2; W04, RFC 8200 4.5: only the last one may end anywhere.
        if self.more && !self.len.is_multiple_of(8) {
            return Err(DropReason::FragmentMisaligned);
        }
        u16::try_from(end).map_err(|_| DropReason::FragmentTooFar)
    }

    /// Whether it is of IPv6.
    pub(super) const fn is_v6(&self) -> bool {
        matches!(self.front, Front::V6 { .. })
    }
}
