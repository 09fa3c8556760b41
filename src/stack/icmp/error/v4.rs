//! ICMP errors for IPv4.

use super::{Complaint, Offender, is_between_hosts};
use crate::stack::egress::{Cutting, emit_link, link_len};
use crate::stack::fragmentation::Ids;
use crate::stack::interface::Interface;
use crate::wire::ethernet::ETHERTYPE_IPV4;
use crate::wire::icmpv4::{
    self, CODE_PORT_UNREACHABLE, CODE_PROTOCOL_UNREACHABLE, CODE_REASSEMBLY_TIME, ERROR_PACKET_MAX,
    TYPE_PARAMETER_PROBLEM, TYPE_TIME_EXCEEDED, TYPE_UNREACHABLE,
};
use crate::wire::ipv4::{self, Ipv4, PROTOCOL_ICMP};

/// The most bytes of one, its IP header included. C02, RFC 1812 4.3.2.3.
pub(super) const PACKET_MAX: usize = ERROR_PACKET_MAX;

/// Whether its sender may be told of what is wrong with `ip`.
// C03, F12, RFC 1122 3.2.2: nor of a fragment that is not the first.
pub(super) fn may_be_told(ip: &Ipv4<'_>, interface: &Interface) -> bool {
    is_between_hosts(&interface.v4, ip.dst(), interface.source(ip.src()))
        && ip.fragment_offset() == 0
        && (ip.protocol() != PROTOCOL_ICMP || is_question_or_reply(ip.payload()))
}

/// Whether an ICMP message is known to be no error. As Linux does, what is unknown is taken for one.
fn is_question_or_reply(message: &[u8]) -> bool {
    message.first().is_some_and(|icmp_type| matches!(icmp_type, 0 | 8 | 13..=18))
}

/// Type, code, and the last four bytes of the header.
const fn words(complaint: Complaint) -> (u8, u8, u32) {
    match complaint {
        Complaint::PortUnreachable => (TYPE_UNREACHABLE, CODE_PORT_UNREACHABLE, 0),
        Complaint::ProtocolUnreachable => (TYPE_UNREACHABLE, CODE_PROTOCOL_UNREACHABLE, 0),
        // No header of IPv4 has a byte that the first of the four cannot point at.
        Complaint::ParameterProblem(_, pointer) => (TYPE_PARAMETER_PROBLEM, 0, pointer << 24),
        Complaint::ReassemblyTime => (TYPE_TIME_EXCEEDED, CODE_REASSEMBLY_TIME, 0),
    }
}

/// Writes the frame of the error about `ip` into `frame`, which is as long as it may be. Returns the packet's length.
// C02, RFC 1812 4.3.2.3: it quotes as much as fits in 576 bytes, and in what the link carries. C04: from the address that
// was asked. I23, RFC 1812 4.3.2.5: the type of service stays, with precedence 6 and no congestion bits.
pub(super) fn emit(
    ip: &Ipv4<'_>,
    about: &Offender<'_>,
    ids: &mut Ids,
    interface: &Interface,
    frame: &mut [u8],
) -> Option<usize> {
    let message = frame.get_mut(link_len(interface) + ipv4::HEADER_LEN..)?;
    let len = icmpv4::emit_error(words(about.complaint), ip.header_bytes(), ip.payload(), message)?;
    let id = ids.draw(ip.dst(), ip.src(), PROTOCOL_ICMP);
    let (dont_fragment, id) = Cutting::Allowed(id).fields();
    let header = ipv4::Repr {
        tos: ip.tos() & 0x1c | 0xc0,
        id,
        dont_fragment,
        ttl: interface.v4.hop_limit,
        protocol: PROTOCOL_ICMP,
        src: ip.dst(),
        dst: ip.src(),
        payload_len: u16::try_from(len).ok()?,
        router_alert: false,
    };
    header.emit(emit_link(frame, about.mac, ETHERTYPE_IPV4, interface)?)?;
    Some(ipv4::HEADER_LEN + len)
}
