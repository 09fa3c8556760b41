//! Errors of ICMPv6.

use core::net::Ipv6Addr;

use super::{Received, Report};
use crate::addr::V6;
use crate::io::{Cast, DropReason, IcmpErrorKind};
use crate::stack::interface::Interface;
use crate::stack::port_table::PortTable;
use crate::wire::icmpv6::{
    CODE_ADDRESS_UNREACHABLE, CODE_BEYOND_SCOPE, CODE_NO_ROUTE, CODE_PORT_UNREACHABLE, CODE_PROHIBITED,
    CODE_REASSEMBLY_TIME, CODE_REJECT_ROUTE, CODE_SOURCE_POLICY, Icmpv6, TYPE_PARAMETER_PROBLEM,
    TYPE_TIME_EXCEEDED, TYPE_TOO_BIG, TYPE_UNREACHABLE,
};
use crate::wire::quote::Quote;

/// What the error `message`, sent to us by `reporter`, reports.
///
/// # Errors
/// Why it is dropped.
// K06, RFC 4443 2.4(a): an error of an unknown type is for whoever sent the packet, too. K03: it went to that one alone.
pub fn report_v6(
    reporter: Ipv6Addr,
    cast: Cast,
    message: &Icmpv6<'_>,
    interface: &Interface,
    table: &PortTable,
) -> Result<Report, DropReason> {
    if cast != Cast::Unicast {
        return Err(DropReason::IcmpErrorInvalid);
    }
    let quote = Quote::<V6>::parse(message.data()).ok_or(DropReason::IcmpErrorInvalid)?;
    let (icmp_type, icmp_code) = (message.icmp_type(), message.code());
    Received { reporter, kind: kind(message), icmp_type, icmp_code, quote }.report(interface, table)
}

/// What it means to a socket: as Linux has it (`icmpv6_err_convert`). K06: of an unknown type, that it is one.
fn kind(message: &Icmpv6<'_>) -> IcmpErrorKind {
    match (message.icmp_type(), message.code()) {
        (TYPE_UNREACHABLE, CODE_NO_ROUTE) => IcmpErrorKind::NetworkUnreachable,
        (TYPE_UNREACHABLE, CODE_BEYOND_SCOPE | CODE_ADDRESS_UNREACHABLE) => IcmpErrorKind::HostUnreachable,
        (TYPE_UNREACHABLE, CODE_PORT_UNREACHABLE) => IcmpErrorKind::PortUnreachable,
        (TYPE_UNREACHABLE, CODE_PROHIBITED | CODE_SOURCE_POLICY | CODE_REJECT_ROUTE) => {
            IcmpErrorKind::Prohibited
        }
        (TYPE_UNREACHABLE, _) => IcmpErrorKind::Unreachable,
        // No packet of ours is too big for what 16 bits cannot say: that is refused as any other MTU that cannot be.
        (TYPE_TOO_BIG, _) => IcmpErrorKind::TooBig { mtu: u16::try_from(message.rest()).unwrap_or(u16::MAX) },
        (TYPE_TIME_EXCEEDED, CODE_REASSEMBLY_TIME) => IcmpErrorKind::ReassemblyTimeExceeded,
        (TYPE_TIME_EXCEEDED, _) => IcmpErrorKind::TtlExceeded,
        (TYPE_PARAMETER_PROBLEM, _) => IcmpErrorKind::ParameterProblem { pointer: message.rest() },
        (_, _) => IcmpErrorKind::Unknown,
    }
}
