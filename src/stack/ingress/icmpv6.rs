//! ICMPv6 on arrival: errors and echo are looked at here; neighbour discovery and group management go to control.

use super::ipv6::Packet;
use super::link::Link;
use super::{Decision, IcmpQuestion, Punted};
use crate::io::{Cast, DropReason};
use crate::stack::egress::L4;
use crate::stack::icmp::answer::Question;
use crate::stack::icmp::received;
use crate::stack::port_table::PortTable;
use crate::wire::icmpv6::{self, Icmpv6};
use crate::wire::ndisc::is_ndisc;

/// Whether messages of this type are of group management.
pub(super) const fn is_mld(icmp_type: u8) -> bool {
    matches!(
        icmp_type,
        icmpv6::TYPE_MLD_QUERY
            | icmpv6::TYPE_MLD_V1_REPORT
            | icmpv6::TYPE_MLD_DONE
            | icmpv6::TYPE_MLD_V2_REPORT
    )
}

/// What becomes of the message that `packet` carries whole.
pub(super) fn decide(packet: &Packet<'_>, link: &Link<'_>, table: &PortTable) -> Decision {
    let (src, dst) = (packet.ip.src(), packet.ip.dst());
    // K01, RFC 4443 2.3: whole and undamaged, or silently dropped.
    let Ok(message) = Icmpv6::parse(packet.bytes) else { return Decision::Drop(DropReason::Icmpv6Truncated) };
    if message.verify(src, dst).is_err() {
        return Decision::Drop(DropReason::Icmpv6Checksum);
    }
    match message.icmp_type() {
        icmpv6::TYPE_ECHO_REQUEST => echo(packet, link),
        // K06, RFC 4443 2.4(a): an error of any type is about a packet that somebody sent. K03: nothing answers it.
        kind if icmpv6::is_error(kind) => {
            match received::report_v6(src, packet.cast, &message, link.interface, table) {
                Ok(report) => Decision::Report(report),
                Err(why) => Decision::Drop(why),
            }
        }
        // W12, RFC 6980 5: neighbour discovery never comes in fragments, not even in one.
        kind if is_ndisc(kind) && (packet.chain.fragment.is_some() || packet.in_body) => {
            Decision::Drop(DropReason::NdpFragment)
        }
        kind if is_ndisc(kind) => Decision::Punt(Punted::Ndp),
        // RFC 9777 5.1: no query is longer than its link carries, nor anything else that a host has to hear.
        kind if is_mld(kind) && packet.in_body => Decision::Drop(DropReason::Icmpv6Unwanted),
        kind if is_mld(kind) => Decision::Punt(Punted::Mld),
        // Nothing here waits for the one.
        icmpv6::TYPE_ECHO_REPLY => Decision::Drop(DropReason::Icmpv6Unwanted),
        // K06, RFC 4443 2.4(b).
        _ => Decision::Drop(DropReason::Icmpv6Unknown),
    }
}

/// K05, RFC 4443 4.2: every echo to one of our addresses is answered, and one to a group as the interface's policy says: by
/// default, unlike IPv4's, as RFC 4443 asks for it and Linux does it.
fn echo(packet: &Packet<'_>, link: &Link<'_>) -> Decision {
    if packet.cast != Cast::Unicast && !link.interface.policy.icmp6_echo_group {
        return Decision::Drop(DropReason::IcmpEchoGroup);
    }
    let len = u16::try_from(packet.bytes.len()).unwrap_or_default();
    let question = Question {
        l3: link.l3_offset,
        l4: L4 { offset: packet.l4, len },
        in_body: packet.in_body,
        cast: packet.cast,
    };
    Decision::Answer(IcmpQuestion::Echo, question)
}
