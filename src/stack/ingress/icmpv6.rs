//! ICMPv6 on arrival: neighbour discovery and group management go to control.

use super::ipv6::Packet;
use super::link::Link;
use super::{Decision, Punted};
use crate::io::DropReason;
use crate::stack::port_table::PortTable;
use crate::wire::icmpv6::{Icmpv6, TYPE_MLD_DONE, TYPE_MLD_QUERY, TYPE_MLD_V1_REPORT, TYPE_MLD_V2_REPORT};
use crate::wire::ndisc::is_ndisc;

/// Whether messages of this type are of group management.
pub(super) const fn is_mld(icmp_type: u8) -> bool {
    matches!(icmp_type, TYPE_MLD_QUERY | TYPE_MLD_V1_REPORT | TYPE_MLD_DONE | TYPE_MLD_V2_REPORT)
}

pub(super) fn decide(packet: &Packet<'_>, _link: &Link<'_>, _table: &PortTable) -> Decision {
    let Ok(message) = Icmpv6::parse(packet.bytes) else {
        return Decision::Drop(DropReason::Icmpv6Truncated);
    };
    // K01, RFC 4443 2.3.
    if message.verify(packet.ip.src(), packet.ip.dst()).is_err() {
        return Decision::Drop(DropReason::Icmpv6Checksum);
    }
    match message.icmp_type() {
        // W12, RFC 6980 5: neighbour discovery never comes in fragments, not even in one.
        kind if is_ndisc(kind) && packet.chain.fragment.is_some() => Decision::Drop(DropReason::NdpFragment),
        // No link carries a message of either that needs several buffers.
        kind if is_ndisc(kind) && !packet.in_body => Decision::Punt(Punted::Ndp),
        kind if is_mld(kind) && !packet.in_body => Decision::Punt(Punted::Mld),
        _ => Decision::Drop(DropReason::Icmpv6Unknown),
    }
}
