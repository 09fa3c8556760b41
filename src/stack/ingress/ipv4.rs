//! IPv4 on arrival, and what it carries.

use super::link::{Link, LinkCast};
use super::udp::{self, Datagram};
use super::uoa::{self, Said};
use super::{Decision, IcmpQuestion, Punted};
use crate::addr::V4;
use crate::io::{Cast, ChecksumStatus, DropReason, RxMeta};
use crate::stack::egress::L4;
use crate::stack::icmp::answer::Question;
use crate::stack::icmp::{Complaint, Problem, received};
use crate::stack::interface::{Destination, Interface, Source};
use crate::stack::port_table::PortTable;
use crate::stack::reassembly::Fragment;
use crate::stack::uoa::Trusted;
use crate::wire::icmpv4::{self, Icmpv4};
use crate::wire::ipv4::{BadOption, Ipv4, Ipv4Error, PROTOCOL_ICMP, PROTOCOL_IGMP, PROTOCOL_UDP};

/// The packet in `link`, or why it is refused; then its protocol.
/// Its payload is in `body`, if it has one.
pub(super) fn decide(
    link: &Link<'_>,
    body: Option<&[u8]>,
    meta: RxMeta,
    trusted: &Trusted,
    table: &PortTable,
) -> Decision {
    let interface = link.interface;
    match admit(link, body, meta) {
        Ok((ip, cast)) => {
            // F13, F14, F16: of what it carries nothing is looked at before it is whole.
            if let Some(fragment) = Fragment::of(&ip, link.l3_offset, interface.id) {
                return Decision::Fragment(fragment);
            }
            let l4 = if body.is_some() { 0 } else { l4_offset(link, &ip) };
            let datagram = |said| Datagram::<V4> {
                src: ip.src(),
                dst: ip.dst(),
                cast,
                bytes: ip.payload(),
                l3: link.l3_offset,
                l4,
                in_body: body.is_some(),
                said,
            };
            match ip.protocol() {
                PROTOCOL_UDP => {
                    let said = uoa::of_header(&ip, trusted, interface);
                    udp::decide(&datagram(said), meta, interface, &interface.v4, table)
                }
                PROTOCOL_ICMP => icmp(&ip, (l4, body.is_some()), link, cast, table),
                // RFC 9776 4.1.8: no query is longer than its link carries, nor anything else that a host has to hear.
                PROTOCOL_IGMP if body.is_some() => Decision::Drop(DropReason::IgmpUnwanted),
                PROTOCOL_IGMP => Decision::Punt(Punted::Igmp),
                // I18, RFC 1122 3.2.2.1: told to one host, never to many.
                protocol => {
                    let unknown = |why| refuse(link, why, Complaint::ProtocolUnreachable);
                    match uoa::is_spoken::<V4>(protocol, ip.src(), trusted) {
                        Ok(true) => uoa::decide(datagram(Said::Nothing), meta, interface, table)
                            .unwrap_or_else(|| unknown(DropReason::ProtocolUnknown)),
                        Ok(false) => unknown(DropReason::ProtocolUnknown),
                        Err(why) => unknown(why),
                    }
                }
            }
        }
        Err(Refused::Silently(why)) => Decision::Drop(why),
        Err(Refused::BadOption(BadOption { pointer })) => {
            let complaint = Complaint::ParameterProblem(Problem::HeaderField, u32::from(pointer));
            refuse(link, DropReason::Ipv4OptionInvalid, complaint)
        }
    }
}

fn refuse(link: &Link<'_>, why: DropReason, complaint: Complaint) -> Decision {
    Decision::Complain(why, complaint, link.l3_offset)
}

/// Why a packet is not taken.
enum Refused {
    /// Nobody is told.
    Silently(DropReason),
    /// I14: its sender is, if that may be.
    BadOption(BadOption),
}

impl From<DropReason> for Refused {
    fn from(why: DropReason) -> Self {
        Self::Silently(why)
    }
}

/// Offset in the frame of what the IP header precedes.
fn l4_offset(link: &Link<'_>, ip: &Ipv4<'_>) -> u16 {
    u16::from(link.l3_offset) + u16::try_from(ip.header_len()).unwrap_or_default()
}

/// The header's checks, cheapest and most telling first.
// I04, RFC 1122 3.2.1.7: the TTL is not among them. It is spent by routers, and 0 and 1 are where they were going.
fn admit<'a>(link: &Link<'a>, body: Option<&'a [u8]>, meta: RxMeta) -> Result<(Ipv4<'a>, Cast), Refused> {
    let parsed = body.map_or_else(|| Ipv4::parse(link.l3), |body| Ipv4::in_pieces(link.l3, body));
    let ip = parsed.map_err(reason)?;
    // I02, RFC 1122 3.2.1.2: the device's word only where it says that the sum is right; "unknown" is not "good".
    match meta.ip_checksum {
        ChecksumStatus::Good | ChecksumStatus::None => {}
        ChecksumStatus::Bad | ChecksumStatus::Unknown => ip.verify().map_err(reason)?,
    }
    let cast = check_destination(link, &ip)?;
    check_source(&ip, cast, link.interface)?;
    check_group_source(&ip, cast, link.interface)?;
    // I14: an option's length stays inside the header. I16, RFC 7126 4.3: source routes are refused.
    // I15, I19: every other option is passed over.
    let options = ip.scan_options().map_err(Refused::BadOption)?;
    if options.source_route {
        return Err(Refused::Silently(DropReason::Ipv4SourceRoute));
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
        // E15, RFC 1122 3.3.6: a packet for one host in a frame for many is refused, silently, unless configured.
        Destination::Own
            if link.cast == LinkCast::Many && !interface.policy.accept_unicast_in_group_frames =>
        {
            Err(DropReason::Ipv4UnicastInGroupFrame)
        }
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
    match interface.source(ip.src()) {
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

/// U16, RFC 9776 3.2: the interface's filter is asked before anything looks at the packet, whatever it carries. Group
/// management is heard in any case: a router's query is not what the group was joined for.
fn check_group_source(ip: &Ipv4<'_>, cast: Cast, interface: &Interface) -> Result<(), DropReason> {
    let asked = cast == Cast::Multicast && ip.protocol() != PROTOCOL_IGMP;
    if asked && !interface.v4.groups.allows(ip.dst(), ip.src()) {
        return Err(DropReason::GroupSourceFiltered);
    }
    Ok(())
}

fn icmp(
    ip: &Ipv4<'_>,
    (l4, in_body): (u16, bool),
    link: &Link<'_>,
    cast: Cast,
    table: &PortTable,
) -> Decision {
    // C07, RFC 792: whole and undamaged, or silently dropped.
    let Ok(message) = Icmpv4::parse(ip.payload()) else { return Decision::Drop(DropReason::IcmpTruncated) };
    if message.verify().is_err() {
        return Decision::Drop(DropReason::IcmpChecksum);
    }
    let len = u16::try_from(ip.payload().len()).unwrap_or_default();
    let l4 = L4 { offset: l4, len };
    let question = Question { l3: link.l3_offset, l4, in_body, cast };
    let answer = |asked: IcmpQuestion| match may_answer(asked, question, link.interface) {
        Ok(()) => Decision::Answer(asked, question),
        Err(why) => Decision::Drop(why),
    };
    match message.icmp_type() {
        icmpv4::TYPE_ECHO_REQUEST => answer(IcmpQuestion::Echo),
        icmpv4::TYPE_TIMESTAMP => answer(IcmpQuestion::Timestamp),
        // C03, C17, RFC 1122 3.2.2: nothing answers an error.
        kind if icmpv4::is_error(kind) => {
            match received::report_v4(ip.src(), cast, &message, link.interface, table) {
                Ok(report) => Decision::Report(report),
                Err(why) => Decision::Drop(why),
            }
        }
        // C10: address masks and information are questions of another age.
        icmpv4::TYPE_ECHO_REPLY | icmpv4::TYPE_TIMESTAMP_REPLY | 15..=18 => {
            Decision::Drop(DropReason::IcmpUnwanted)
        }
        // C12, RFC 1122 3.2.2.
        _ => Decision::Drop(DropReason::IcmpUnknown),
    }
}

/// Whether this interface answers such a question.
// C06, RFC 1122 3.2.2.6: every echo to one of our addresses. C08, RFC 2644: many would answer one to a group. C10, RFC 1122
// 3.2.2.8: the time is told as the configuration says, and to a group never.
const fn may_answer(
    asked: IcmpQuestion,
    question: Question,
    interface: &Interface,
) -> Result<(), DropReason> {
    match (asked, question.cast) {
        (IcmpQuestion::Echo, Cast::Unicast) => Ok(()),
        (IcmpQuestion::Echo, _) if interface.policy.icmp_echo_group => Ok(()),
        (IcmpQuestion::Echo, _) => Err(DropReason::IcmpEchoGroup),
        (IcmpQuestion::Timestamp, _) if !interface.policy.icmp_timestamp => Err(DropReason::IcmpTimestampOff),
        (IcmpQuestion::Timestamp, Cast::Unicast) if (question.l4.len as usize) < icmpv4::TIMESTAMP_LEN => {
            Err(DropReason::IcmpTruncated)
        }
        (IcmpQuestion::Timestamp, Cast::Unicast) => Ok(()),
        (IcmpQuestion::Timestamp, _) => Err(DropReason::IcmpTimestampGroup),
    }
}
