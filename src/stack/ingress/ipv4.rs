//! IPv4 on arrival, and what it carries.

use super::link::{Link, LinkCast};
use super::udp::{self, Datagram};
use super::{Decision, Punted};
use crate::io::{Cast, ChecksumStatus, DropReason, RxMeta};
use crate::stack::egress::L4;
use crate::stack::interface::{Destination, Interface, Source};
use crate::stack::port_table::PortTable;
use crate::stack::reassembly::Fragment;
use crate::wire::icmpv4::{self, Icmpv4};
use crate::wire::ipv4::{Ipv4, Ipv4Error, PROTOCOL_ICMP, PROTOCOL_IGMP, PROTOCOL_UDP};

/// The packet in `link`, or why it is refused; then its protocol.
/// Its payload is in `body`, if it has one.
pub(super) fn decide(link: &Link<'_>, body: Option<&[u8]>, meta: RxMeta, table: &PortTable) -> Decision {
    let interface = link.interface;
    match admit(link, body, meta) {
        Ok((ip, cast)) => {
            // F13, F14, F16: of what it carries nothing is looked at before it is whole.
            if let Some(fragment) = Fragment::of(&ip, link.l3_offset, interface.id) {
                return Decision::Fragment(fragment);
            }
            let l4 = if body.is_some() { 0 } else { l4_offset(link, &ip) };
            match ip.protocol() {
                PROTOCOL_UDP => {
                    let datagram = Datagram {
                        src: ip.src(),
                        dst: ip.dst(),
                        cast,
                        bytes: ip.payload(),
                        l3: link.l3_offset,
                        l4,
                        in_body: body.is_some(),
                    };
                    udp::decide(&datagram, meta, interface, &interface.v4, table)
                }
                PROTOCOL_ICMP => icmp(&ip, l4, cast),
                // RFC 9776 4.1.8: no query is longer than its link carries, nor anything else that a host has to hear.
                PROTOCOL_IGMP if body.is_some() => Decision::Drop(DropReason::IgmpUnwanted),
                PROTOCOL_IGMP => Decision::Punt(Punted::Igmp),
                _ => Decision::Drop(DropReason::ProtocolUnknown),
            }
        }
        Err(why) => Decision::Drop(why),
    }
}

/// Offset in the frame of what the IP header precedes.
fn l4_offset(link: &Link<'_>, ip: &Ipv4<'_>) -> u16 {
    u16::from(link.l3_offset) + u16::try_from(ip.header_len()).unwrap_or_default()
}

/// The header's checks, cheapest and most telling first.
// I04, RFC 1122 3.2.1.7: the TTL is not among them. It is spent by routers, and 0 and 1 are where they were going.
fn admit<'a>(
    link: &Link<'a>,
    body: Option<&'a [u8]>,
    meta: RxMeta,
) -> Result<(Ipv4<'a>, Cast), DropReason> {
    let parsed = body.map_or_else(|| Ipv4::parse(link.l3), |body| Ipv4::in_pieces(link.l3, body));
    let ip = parsed.map_err(reason)?;
    // I02, RFC 1122 3.2.1.2: the device's word only where it says that the sum is right; "unknown" is not "good".
    match meta.ip_checksum {
        ChecksumStatus::Good | ChecksumStatus::None => {}
        ChecksumStatus::Bad | ChecksumStatus::Unknown => ip.verify().map_err(reason)?,
    }
    let cast = check_destination(link, &ip)?;
    check_source(&ip, cast, link.interface)?;
    // I14: an option's length stays inside the header. I16, RFC 7126 4.3: source routes are refused.
    // I15, I19: every other option is passed over.
    let options = ip.scan_options().map_err(|_| DropReason::Ipv4OptionInvalid)?;
    if options.source_route {
        return Err(DropReason::Ipv4SourceRoute);
    }
    Ok((ip, cast))
}

const fn reason(error: Ipv4Error) -> DropReason {
    match error {
        Ipv4Error::HeaderInvalid => DropReason::Ipv4HeaderInvalid,
        Ipv4Error::Truncated => DropReason::Ipv4Truncated,
        Ipv4Error::Checksum => DropReason::Ipv4Checksum,
    }
}

fn check_destination(link: &Link<'_>, ip: &Ipv4<'_>) -> Result<Cast, DropReason> {
    let interface = link.interface;
    match interface.v4.destination(ip.dst()) {
        // E15, RFC 1122 3.3.6: a packet for one host in a frame for many is refused, silently.
        Destination::Own if link.cast == LinkCast::Many => Err(DropReason::Ipv4UnicastInGroupFrame),
        Destination::Own => Ok(Cast::Unicast),
        // I13, RFC 1122 3.3.6.
        Destination::Broadcast => Ok(Cast::Broadcast),
        // E04, RFC 1112 6.4: the MAC was shared by 32 groups. E16: whatever MAC the switch chose.
        Destination::Group if interface.v4.groups.is_joined(ip.dst()) => Ok(Cast::Multicast),
        Destination::Group => Err(DropReason::Ipv4GroupNotJoined),
        // I06, I12, RFC 1122 3.2.1.3: no error, no redirect, no forwarding.
        Destination::Other => Err(DropReason::Ipv4NotForUs),
    }
}

/// I07 to I11: see [`Interface::source`].
fn check_source(ip: &Ipv4<'_>, cast: Cast, interface: &Interface) -> Result<(), DropReason> {
    match interface.v4.source(ip.src()) {
        Source::Host => Ok(()),
        Source::Own => Err(DropReason::Ipv4SourceOwn),
        Source::Martian => Err(DropReason::Ipv4SourceMartian),
        // I10, RFC 1122 3.2.1.3(a): who has no address yet may speak to everyone on the link, and (G12) query groups.
        Source::Unspecified => {
            let link_wide = cast == Cast::Broadcast || ip.dst().octets()[..3] == [224, 0, 0];
            let query = cast == Cast::Multicast && ip.protocol() == PROTOCOL_IGMP;
            if link_wide || query { Ok(()) } else { Err(DropReason::Ipv4SourceMartian) }
        }
    }
}

fn icmp(ip: &Ipv4<'_>, l4: u16, cast: Cast) -> Decision {
    // C07, RFC 792: whole and undamaged, or silently dropped.
    let Ok(message) = Icmpv4::parse(ip.payload()) else { return Decision::Drop(DropReason::IcmpTruncated) };
    if message.verify().is_err() {
        return Decision::Drop(DropReason::IcmpChecksum);
    }
    let known_and_unwanted = icmpv4::is_error(message.icmp_type())
        || matches!(
            message.icmp_type(),
            icmpv4::TYPE_ECHO_REPLY | icmpv4::TYPE_TIMESTAMP | icmpv4::TYPE_TIMESTAMP_REPLY | 15..=18
        );
    match (message.icmp_type(), cast) {
        // C06, RFC 1122 3.2.2.6.
        (icmpv4::TYPE_ECHO_REQUEST, Cast::Unicast) => {
            let len = u16::try_from(ip.payload().len()).unwrap_or_default();
            Decision::Echo(L4 { offset: l4, len }, ip.tos())
        }
        // C08, RFC 2644: many would answer one.
        (icmpv4::TYPE_ECHO_REQUEST, Cast::Multicast | Cast::Broadcast) => {
            Decision::Drop(DropReason::IcmpEchoGroup)
        }
        // C03, RFC 1122 3.2.2: nothing answers an error.
        _ if known_and_unwanted => Decision::Drop(DropReason::IcmpUnwanted),
        _ => Decision::Drop(DropReason::IcmpUnknown),
    }
}
