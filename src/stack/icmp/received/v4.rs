//! Errors of ICMP for IPv4.

use core::net::Ipv4Addr;

use super::{Received, Report};
use crate::addr::V4;
use crate::io::{Cast, DropReason, IcmpErrorKind};
use crate::stack::interface::Interface;
use crate::stack::port_table::PortTable;
use crate::wire::icmpv4::{
    CODE_FRAGMENTATION_NEEDED, CODE_PORT_UNREACHABLE, CODE_PROTOCOL_UNREACHABLE, CODE_REASSEMBLY_TIME,
    Icmpv4, TYPE_PARAMETER_PROBLEM, TYPE_REDIRECT, TYPE_SOURCE_QUENCH, TYPE_TIME_EXCEEDED,
};
use crate::wire::quote::Quote;

/// What the error `message`, sent to us by `reporter`, reports.
///
/// # Errors
/// Why it is dropped.
// C13, RFC 1122 3.2.2.2: no redirect is followed, as anyone on the link could send it. C11, RFC 6633 3: nor a quench.
pub fn report_v4(
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
    let quote = Quote::<V4>::parse(message.data()).ok_or(DropReason::IcmpErrorInvalid)?;
    let (icmp_type, icmp_code) = (message.icmp_type(), message.code());
    Received { reporter, kind: kind(message), icmp_type, icmp_code, quote }.report(interface, table)
}

/// C15, RFC 1122 4.1.3.3: what it means to a socket.
fn kind(message: &Icmpv4<'_>) -> IcmpErrorKind {
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
