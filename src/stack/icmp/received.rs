//! ICMP errors that come in: what they say, and whether it can be about us.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::addr::{Family, V4};
use crate::io::{Cast, DropReason, IcmpError, IcmpErrorKind};
use crate::stack::interface::Interface;
use crate::stack::pmtu::{IPV4_MTU_MIN, TooBig};
use crate::stack::port_table::{PortTable, SocketId};
use crate::wire::icmpv4::{
    CODE_FRAGMENTATION_NEEDED, CODE_PORT_UNREACHABLE, CODE_PROTOCOL_UNREACHABLE, CODE_REASSEMBLY_TIME,
    Icmpv4, Quote, TYPE_PARAMETER_PROBLEM, TYPE_REDIRECT, TYPE_SOURCE_QUENCH, TYPE_TIME_EXCEEDED,
};
use crate::wire::ipv4::PROTOCOL_UDP;

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

/// What the error `message`, sent to us by `reporter`, reports.
///
/// # Errors
/// Why it is dropped.
// C13, RFC 1122 3.2.2.2: no redirect is followed, as anyone on the link could send it. C11, RFC 6633 3: nor a quench.
// C14, RFC 1122 3.2.2.1, RFC 5927 4: the quoted packet is one that an open socket of ours can have sent.
pub fn report(
    reporter: Ipv4Addr,
    cast: Cast,
    message: &Icmpv4<'_>,
    interface: &Interface,
    table: &PortTable,
) -> Result<Report, DropReason> {
    match message.icmp_type() {
        TYPE_REDIRECT => return Err(DropReason::IcmpRedirect),
        TYPE_SOURCE_QUENCH => return Err(DropReason::IcmpSourceQuench),
        _ if cast != Cast::Unicast => return Err(DropReason::IcmpErrorInvalid),
        _ => {}
    }
    // T02, RFC 1122 3.2.2, RFC 1812 4.3.2.7: nobody may complain about what was sent to a group, so that no path to one is ever
    // said to be narrow; many receivers could say so at once.
    let quote = Quote::parse(message.data()).ok_or(DropReason::IcmpErrorInvalid)?;
    if !V4::is_unicast(quote.dst) || interface.v4.is_own(quote.dst) {
        return Err(DropReason::IcmpErrorInvalid);
    }
    let (socket, ports) = find_socket(&quote, interface, table).ok_or(DropReason::IcmpErrorUnmatched)?;
    let kind = kind(message);
    let error = IcmpError {
        kind,
        reporter: IpAddr::V4(reporter),
        local: SocketAddr::new(quote.src.into(), ports.0),
        peer: SocketAddr::new(quote.dst.into(), ports.1),
        interface: interface.id,
        icmp_type: message.icmp_type(),
        icmp_code: message.code(),
    };
    let too_big = match kind {
        IcmpErrorKind::TooBig { mtu } => Some(too_big(mtu, &quote, interface)?),
        _ => None,
    };
    Ok(Report { socket, error, too_big })
}

/// The socket that can have sent the quoted packet, and the packet's ports.
fn find_socket(quote: &Quote, interface: &Interface, table: &PortTable) -> Option<(SocketId, (u16, u16))> {
    if quote.protocol != PROTOCOL_UDP || !interface.v4.is_own(quote.src) {
        return None;
    }
    let ports = quote.ports()?;
    table.sender::<V4>(interface.id, quote.src, ports.0).map(|socket| (socket, ports))
}

/// What a "fragmentation needed" claims, if it can be.
// C16, RFC 1191 4, RFC 5927 7.2: below 68 it is a lie; and it was needed only for a packet that had DF, that was longer
// than what the next link carries, and no longer than our own.
fn too_big(mtu: u16, quote: &Quote, interface: &Interface) -> Result<TooBig<IpAddr>, DropReason> {
    let possible = mtu == 0 || (IPV4_MTU_MIN..quote.total_len).contains(&mtu);
    if possible && quote.dont_fragment && quote.total_len <= interface.mtu {
        Ok(TooBig { dst: quote.dst.into(), mtu, quoted_len: quote.total_len })
    } else {
        Err(DropReason::IcmpMtuInvalid)
    }
}

/// C15, RFC 1122 4.1.3.3: what it means to a socket.
const fn kind(message: &Icmpv4<'_>) -> IcmpErrorKind {
    match (message.icmp_type(), message.code()) {
        (TYPE_TIME_EXCEEDED, CODE_REASSEMBLY_TIME) => IcmpErrorKind::ReassemblyTimeExceeded,
        (TYPE_TIME_EXCEEDED, _) => IcmpErrorKind::TtlExceeded,
        (TYPE_PARAMETER_PROBLEM, _) => IcmpErrorKind::ParameterProblem { pointer: message.pointer() as u32 },
        (_, CODE_FRAGMENTATION_NEEDED) => IcmpErrorKind::TooBig { mtu: message.next_hop_mtu() },
        (_, CODE_PROTOCOL_UNREACHABLE) => IcmpErrorKind::ProtocolUnreachable,
        (_, CODE_PORT_UNREACHABLE) => IcmpErrorKind::PortUnreachable,
        (_, 0 | 6 | 11) => IcmpErrorKind::NetworkUnreachable,
        (_, 1 | 7 | 8 | 12) => IcmpErrorKind::HostUnreachable,
        (_, 9 | 10 | 13) => IcmpErrorKind::Prohibited,
        (_, _) => IcmpErrorKind::Unreachable,
    }
}
