//! ICMP errors that come in: what they say, and whether it can be about us.

mod v4;
mod v6;

use core::net::{IpAddr, SocketAddr};

pub use v4::report_v4;
pub use v6::report_v6;

use crate::addr::{V4, V6};
use crate::io::{DropReason, IcmpError, IcmpErrorKind};
use crate::stack::interface::{Interface, Ip};
use crate::stack::pmtu::TooBig;
use crate::stack::port_table::{Flow, PortTable, SocketId};
use crate::wire::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::wire::ipv4::PROTOCOL_UDP;
use crate::wire::quote::Quote;
use crate::wire::vlan::untag;
use crate::wire::{icmpv4, icmpv6};

/// An error that is about a datagram which a socket of ours may have sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The socket.
    pub socket: SocketId,
    /// What its service may be told.
    pub error: IcmpError,
    /// What path MTU discovery is to know, if it says that.
    pub too_big: Option<TooBig<IpAddr>>,
}

/// An error to one of our addresses, in words of either IP version.
struct Received<F: Ip> {
    reporter: F::Addr,
    kind: IcmpErrorKind,
    icmp_type: u8,
    icmp_code: u8,
    quote: Quote<F>,
}

impl<F: Ip> Received<F> {
    /// What it reports.
    ///
    /// # Errors
    /// Why it is dropped.
    // C14, RFC 1122 3.2.2.1, RFC 5927 4; K07, RFC 8201 4: the quoted packet is one that an open socket of ours can have sent.
    fn report(&self, interface: &Interface, table: &PortTable) -> Result<Report, DropReason> {
        let Self { quote, kind, .. } = self;
        if !self.can_be_about(quote.dst) || F::inet(interface).is_own(quote.dst) {
            return Err(DropReason::IcmpErrorInvalid);
        }
        let (socket, ports) = find_socket(quote, interface, table).ok_or(DropReason::IcmpErrorUnmatched)?;
        let error = IcmpError {
            kind: *kind,
            reporter: self.reporter.into(),
            local: SocketAddr::new(quote.src.into(), ports.0),
            peer: SocketAddr::new(quote.dst.into(), ports.1),
            interface: interface.id,
            icmp_type: self.icmp_type,
            icmp_code: self.icmp_code,
        };
        let too_big = match kind {
            IcmpErrorKind::TooBig { mtu } => Some(too_big(*mtu, quote, interface)?),
            _ => None,
        };
        Ok(Report { socket, error, too_big })
    }

    /// Whether anyone may complain about what was sent to `dst`.
    // T02, RFC 1122 3.2.2, RFC 1812 4.3.2.7: in IPv4 nobody about what was sent to a group, so that no path to one is ever
    // said to be narrow. RFC 4443 2.4(e.3), RFC 8201 4: in IPv6 a router may say that of a group's datagram, and many can at
    // once: how many reports are believed is limited where they are (`PATH_REPORTS`).
    fn can_be_about(&self, dst: F::Addr) -> bool {
        let is_too_big = matches!(self.kind, IcmpErrorKind::TooBig { .. });
        F::is_unicast(dst) || !F::ROUTERS_FRAGMENT && is_too_big && F::is_multicast(dst)
    }
}

/// What is to be said to the socket that sent the packet in `frame`, whose next hop did not answer. `None`: no socket did, or
/// what it sent had parts.
// A11, RFC 1122 2.3.2.1; N08, RFC 4861 7.2.2: as though it had been sent an address unreachable, by ourselves.
#[must_use]
pub fn unresolved(frame: &[u8], interface: &Interface, table: &PortTable) -> Option<Report> {
    let untagged = untag(frame).ok()?;
    match untagged.ethertype {
        ETHERTYPE_IPV4 => {
            let quote = Quote::<V4>::parse(untagged.l3)?;
            let (icmp_type, icmp_code) = (icmpv4::TYPE_UNREACHABLE, icmpv4::CODE_HOST_UNREACHABLE);
            unresolved_of(quote, icmp_type, icmp_code).report(interface, table).ok()
        }
        ETHERTYPE_IPV6 => {
            let quote = Quote::<V6>::parse(untagged.l3)?;
            let (icmp_type, icmp_code) = (icmpv6::TYPE_UNREACHABLE, icmpv6::CODE_ADDRESS_UNREACHABLE);
            unresolved_of(quote, icmp_type, icmp_code).report(interface, table).ok()
        }
        _ => None,
    }
}

const fn unresolved_of<F: Ip>(quote: Quote<F>, icmp_type: u8, icmp_code: u8) -> Received<F> {
    Received { reporter: quote.src, kind: IcmpErrorKind::HostUnreachable, icmp_type, icmp_code, quote }
}

/// The socket that can have sent the quoted packet, and the packet's ports.
fn find_socket<F: Ip>(
    quote: &Quote<F>,
    interface: &Interface,
    table: &PortTable,
) -> Option<(SocketId, (u16, u16))> {
    if quote.protocol != PROTOCOL_UDP || !F::inet(interface).is_own(quote.src) {
        return None;
    }
    let ports = quote.ports()?;
    let flow = Flow::<F> { src: quote.dst, sport: ports.1, dst: quote.src, dport: ports.0 };
    table.sender(interface.id, &flow).map(|socket| (socket, ports))
}

/// What a "fragmentation needed" or "packet too big" claims, if it can be.
// C16, RFC 1191 4, RFC 5927 7.2: below 68 it is a lie; and it was needed only for a packet that had DF, that was longer
// than what the next link carries, and no longer than our own. K07, RFC 8201 4: the same, with 1280; an MTU of 0 is a router of
// IPv4 that does not say.
fn too_big<F: Ip>(mtu: u16, quote: &Quote<F>, interface: &Interface) -> Result<TooBig<IpAddr>, DropReason> {
    let possible = mtu == 0 && F::ROUTERS_FRAGMENT || (F::MTU_MIN..quote.total_len).contains(&mtu);
    if possible && quote.dont_fragment && quote.total_len <= interface.mtu {
        Ok(TooBig { dst: quote.dst.into(), mtu, quoted_len: quote.total_len })
    } else {
        Err(DropReason::IcmpMtuInvalid)
    }
}

#[cfg(test)]
mod tests;
