//! What goes with a datagram: flags, and what control messages carry on Linux.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use super::packet::Arrived;
use crate::io::{Cast, InterfaceId};
use crate::time::Instant;

/// How something is to be received: recv(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecvFlags {
    /// `MSG_DONTWAIT`: do not block, this time.
    pub dont_wait: bool,
    /// `MSG_PEEK`: leave it where it is.
    pub peek: bool,
}

/// How something is to be sent: send(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SendFlags {
    /// `MSG_DONTWAIT`: do not block, this time.
    pub dont_wait: bool,
    /// `MSG_MORE`: what is sent next belongs to the same datagram.
    pub more: bool,
}

/// What a sender says of one datagram, beside where it goes; what it does not say, the socket's options do. Linux: control
/// messages of sendmsg(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SendControl {
    /// From this address. `IP_PKTINFO` (`ipi_spec_dst`), `IPV6_PKTINFO`.
    pub source: Option<IpAddr>,
    /// By this interface. `IP_PKTINFO`, `IPV6_PKTINFO`.
    pub interface: Option<InterfaceId>,
    /// With this time to live, or hop limit. `IP_TTL`, `IPV6_HOPLIMIT`.
    pub ttl: Option<u8>,
    /// With this type of service, or traffic class. `IP_TOS`, `IPV6_TCLASS`.
    pub tos: Option<u8>,
}

/// Where a datagram came in: `IP_PKTINFO`, `IPV6_PKTINFO`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PacketInfo {
    /// The interface. `ipi_ifindex`.
    pub interface: InterfaceId,
    /// The address in the packet's header. `ipi_addr`.
    pub destination: IpAddr,
    /// Our address: from where an answer leaves. `ipi_spec_dst`.
    pub local: IpAddr,
}

/// A datagram that was received: how much of it, and what came with it. All that Linux tells in control messages is always told;
/// there is nothing to switch on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Bytes that were copied.
    pub len: usize,
    /// Bytes that it has.
    pub full_len: usize,
    arrived: Arrived,
    /// Whether the socket is one of IPv6, so that it is told IPv4 addresses as IPv6 addresses.
    is_v6: bool,
}

impl Received {
    pub(super) const fn new(len: usize, full_len: usize, arrived: Arrived, is_v6: bool) -> Self {
        Self { len, full_len, arrived, is_v6 }
    }

    /// Whether it is longer than the room that there was. `MSG_TRUNC`.
    // U29.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.len < self.full_len
    }

    /// Who sent it.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        self.mapped(self.arrived.source)
    }

    /// The address and port that it was sent to. `IP_ORIGDSTADDR`, `IPV6_ORIGDSTADDR`.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.mapped(self.arrived.destination)
    }

    /// Where it came in.
    #[must_use]
    pub fn packet_info(&self) -> PacketInfo {
        let Arrived { interface, local, .. } = self.arrived;
        PacketInfo { interface, destination: self.destination().ip(), local: self.mapped_ip(local) }
    }

    /// What to say so that an answer leaves by the way that it came, from the address that was asked.
    // U21, U29: the socket may be bound to any address.
    #[must_use]
    pub fn reply_control(&self) -> SendControl {
        let PacketInfo { interface, local, .. } = self.packet_info();
        SendControl { source: Some(local), interface: Some(interface), ..SendControl::default() }
    }

    /// Its time to live, or hop limit. `IP_RECVTTL`, `IPV6_RECVHOPLIMIT`.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.arrived.ttl
    }

    /// Its type of service, or traffic class. `IP_RECVTOS`, `IPV6_RECVTCLASS`.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.arrived.tos
    }

    /// The VLAN that it was tagged with.
    #[must_use]
    pub const fn vlan(&self) -> Option<u16> {
        self.arrived.vlan
    }

    /// When a worker received it, in the host's time. `SO_TIMESTAMPNS`, of a clock that never goes back.
    #[must_use]
    pub const fn received_at(&self) -> Instant {
        self.arrived.received_at
    }

    /// To whom it was addressed.
    #[must_use]
    pub const fn cast(&self) -> Cast {
        self.arrived.cast
    }

    /// Whom a load balancer says that it comes from (UOA). An answer goes to the [`source`](Self::source) all the same.
    #[must_use]
    pub fn real_client(&self) -> Option<SocketAddr> {
        self.arrived.real_client
    }

    fn mapped(&self, addr: SocketAddr) -> SocketAddr {
        if self.is_v6 { mapped(addr) } else { addr }
    }

    fn mapped_ip(&self, addr: IpAddr) -> IpAddr {
        self.mapped(SocketAddr::new(addr, 0)).ip()
    }
}

/// An address as a socket of IPv6 is told it.
// P10, RFC 3493 3.7: ::ffff:a.b.c.d.
pub(super) fn mapped(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        v6 @ SocketAddr::V6(_) => v6,
    }
}

/// An address as it is on the wire: IPv4 if that is what it maps.
// P10, RFC 3493 3.7.
pub(super) fn unmapped(addr: SocketAddr) -> SocketAddr {
    let v4 = |v6: &SocketAddrV6| {
        v6.ip().to_ipv4_mapped().map(|v4: Ipv4Addr| SocketAddr::new(v4.into(), v6.port()))
    };
    match addr {
        SocketAddr::V6(v6) => v4(&v6).unwrap_or(addr),
        SocketAddr::V4(_) => addr,
    }
}

/// The address with the scope of `interface`, if it is of one link and names none: RFC 4007 6.
pub(super) fn with_scope(addr: SocketAddr, interface: InterfaceId) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
            SocketAddrV6::new(*v6.ip(), v6.port(), v6.flowinfo(), interface.scope_id()).into()
        }
        addr => addr,
    }
}
