//! A packet as threads have it: its payload, and what arrived with it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::io::{Cast, InterfaceId};
use crate::time::Instant;

/// How many bytes of payload a packet has room for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SizeClass {
    /// 256: what most protocols of small messages send.
    Small,
    /// 2048: what fits into an Ethernet frame.
    Medium,
    /// 65,536: any datagram.
    Large,
}

impl SizeClass {
    /// All, by size.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// Bytes of payload that fit.
    #[must_use]
    pub const fn room(self) -> usize {
        match self {
            Self::Small => 256,
            Self::Medium => 2048,
            Self::Large => 65_536,
        }
    }

    /// The smallest that `len` bytes fit into.
    #[must_use]
    pub const fn of(len: usize) -> Option<Self> {
        match len {
            0..=256 => Some(Self::Small),
            257..=2048 => Some(Self::Medium),
            2049..=65_536 => Some(Self::Large),
            _ => None,
        }
    }
}

/// What is known of a datagram beside its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrived {
    /// Who sent it.
    pub source: SocketAddr,
    /// The address and port that it was sent to: ours, a group's, or broadcast.
    pub destination: SocketAddr,
    /// Our address on the interface: from where an answer would leave. Linux: `ipi_spec_dst`.
    pub local: IpAddr,
    /// The interface that it came in by.
    pub interface: InterfaceId,
    /// Its time to live, or hop limit.
    pub ttl: u8,
    /// Its type of service, or traffic class.
    pub tos: u8,
    /// The VLAN that it was tagged with.
    pub vlan: Option<u16>,
    /// When the worker received it, in the host's time.
    pub received_at: Instant,
    /// Whom a load balancer says that it comes from.
    pub real_client: Option<SocketAddr>,
    /// To whom it was addressed.
    pub cast: Cast,
}

impl Arrived {
    /// Of a packet that did not arrive: one that is to be sent.
    pub const NOTHING: Self = Self {
        source: NOWHERE,
        destination: NOWHERE,
        local: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        interface: InterfaceId(0),
        ttl: 0,
        tos: 0,
        vlan: None,
        received_at: Instant::from_ns(0),
        real_client: None,
        cast: Cast::Unicast,
    };
}

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A datagram's payload, in memory of its own, and what arrived with it. Made by [`Packets`](super::Packets) alone.
#[derive(Debug)]
pub struct Packet {
    bytes: Box<[u8]>,
    len: usize,
    class: SizeClass,
    /// What arrived with it.
    pub arrived: Arrived,
}

impl Packet {
    /// An empty one.
    pub(super) fn new(class: SizeClass) -> Self {
        Self { bytes: vec![0; class.room()].into_boxed_slice(), len: 0, class, arrived: Arrived::NOTHING }
    }

    /// How much it has room for.
    #[must_use]
    pub const fn class(&self) -> SizeClass {
        self.class
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Puts the payload after what is there already. False, and nothing changed, if it does not fit.
    #[must_use]
    pub fn append(&mut self, payload: &[u8]) -> bool {
        let end = self.len + payload.len();
        let Some(to) = self.bytes.get_mut(self.len..end) else { return false };
        to.copy_from_slice(payload);
        self.len = end;
        true
    }

    /// Forgets the payload, and what arrived with it.
    pub fn clear(&mut self) {
        self.len = 0;
        self.arrived = Arrived::NOTHING;
    }
}
