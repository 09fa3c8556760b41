//! What a socket is to the table: where it is bound and connected, and what decides what it hears.

use core::net::{IpAddr, SocketAddr};

use crate::addr::Family;
use crate::io::InterfaceId;
use crate::stack::groups::ServiceId;

/// Which IP versions a socket receives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Versions {
    /// IPv4: Linux's `AF_INET`.
    V4,
    /// IPv6 alone: `AF_INET6` with `IPV6_V6ONLY`.
    V6,
    /// `AF_INET6` without it. P10, RFC 3493 3.7 and 5.3: bound to `[::]`, it receives what either version brings; bound to an
    /// IPv4-mapped address (`[::ffff:198.18.0.2]`), what IPv4 does.
    Both,
}

/// A socket: a local address and port, a peer if it is connected, and who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Socket {
    /// The only interface that it receives from (socket(7) `SO_BINDTODEVICE`); `None`: every one.
    pub interface: Option<InterfaceId>,
    /// The local address (unspecified: any; a group's: that group alone) and UDP port. Of an address of IPv6, the scope is
    /// what `interface` says.
    pub local: SocketAddr,
    /// The service that it belongs to, or [`socket_member`](crate::stack::groups::socket_member) of a thread's.
    pub service: ServiceId,
    /// Whether it hears IPv4's groups that the host joined on the interface, but not it: ip(7) `IP_MULTICAST_ALL`.
    pub multicast_all: bool,
    /// The same of IPv6's groups: ipv6(7) `IPV6_MULTICAST_ALL`.
    pub multicast_all6: bool,
    /// Whether others that have this set, too, may be bound to the same address and port: socket(7) `SO_REUSEADDR`.
    pub reuse_address: bool,
    /// Whether it shares what is sent to its address and port with others that have this set, each flow going to one of
    /// them: socket(7) `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Whom it is connected to: it receives from nobody else. U20, POSIX connect().
    pub peer: Option<SocketAddr>,
    /// Which IP versions it receives.
    pub version: Versions,
    /// Whether it takes datagrams of IPv6 that have no checksum: `UDP_NO_CHECK6_RX`. RFC 6936 4.
    pub no_check6_rx: bool,
}

impl Socket {
    /// A socket with the options that one on Linux has at first: `multicast_all`, and nothing reused. It is of the version of
    /// its address alone.
    #[must_use]
    pub fn new(interface: impl Into<Option<InterfaceId>>, local: SocketAddr, service: ServiceId) -> Self {
        Self {
            interface: interface.into(),
            local,
            service,
            multicast_all: true,
            multicast_all6: true,
            reuse_address: false,
            reuse_port: false,
            peer: None,
            version: if local.is_ipv4() { Versions::V4 } else { Versions::V6 },
            no_check6_rx: false,
        }
    }

    /// Whether it could hear what is sent to `group`.
    // U19: bound to a unicast address, it never does.
    #[must_use]
    pub fn can_hear(&self, group: IpAddr) -> bool {
        let addr = self.local.ip().to_canonical();
        if addr.is_unspecified() {
            return match self.version {
                Versions::V4 => group.is_ipv4(),
                Versions::V6 => group.is_ipv6(),
                Versions::Both => true,
            };
        }
        addr == group
    }
}

/// From whom a datagram is, and to whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow<F: Family> {
    /// Who sent it.
    pub src: F::Addr,
    /// From which UDP port.
    pub sport: u16,
    /// To which address.
    pub dst: F::Addr,
    /// To which UDP port.
    pub dport: u16,
}

/// The socket that a datagram is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Which.
    pub socket: super::SocketId,
    /// Whether it is this one whoever sends to the same address and port by the same interface.
    pub any_peer: bool,
}

/// A bind that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has that address and port there, and one of the two does not share it.
    #[error("another socket is bound to that address and port")]
    InUse,
    /// UDP port 0 is no port.
    #[error("UDP port 0 cannot be bound")]
    PortZero,
}
