//! ICMPv6 errors.

use core::net::Ipv6Addr;

use super::{Complaint, Offender, Problem, is_between_hosts};
use crate::addr::{Family, V6};
use crate::stack::egress::{emit_link, link_len};
use crate::stack::interface::{Interface, Source};
use crate::wire::ethernet::ETHERTYPE_IPV6;
use crate::wire::icmpv6::{
    self, CODE_FIRST_FRAGMENT, CODE_HEADER_FIELD, CODE_NEXT_HEADER, CODE_OPTION, CODE_PORT_UNREACHABLE,
    CODE_REASSEMBLY_TIME, Carried, ERROR_PACKET_MAX, TYPE_PARAMETER_PROBLEM, TYPE_REDIRECT,
    TYPE_TIME_EXCEEDED, TYPE_UNREACHABLE,
};
use crate::wire::ipv6::{self, Ipv6, NEXT_HEADER_ICMPV6};

/// The most bytes of one, its IP header included. K02, RFC 4443 2.4(c).
pub(super) const PACKET_MAX: usize = ERROR_PACKET_MAX;

/// Whether its sender may be told of what is wrong with `ip`.
// K03, RFC 4443 2.4(e): to one host, or, where the complaint is of those, to a group; from one host; neither an error nor a
// redirect.
pub(super) fn may_be_told(ip: &Ipv6<'_>, complaint: Complaint, interface: &Interface) -> bool {
    let source = interface.v6.source(ip.src());
    let to_group = V6::is_multicast(ip.dst()) && complaint.is_of_groups_too() && source == Source::Host;
    (is_between_hosts(&interface.v6, ip.dst(), source) || to_group) && !is_error(ip)
}

/// Whether it carries an error or a redirect, or may. As Linux does, what is too short to say is taken for one; so is a later
/// fragment, unless it lies where no error reaches.
fn is_error(ip: &Ipv6<'_>) -> bool {
    let front = ip.header_bytes().get(ipv6::HEADER_LEN..).unwrap_or_default();
    let carried = Carried::behind(ip.next_header(), front).and_behind(ip.payload());
    let of_type = |kind: &u8| icmpv6::is_error(*kind) || *kind == TYPE_REDIRECT;
    carried.protocol == NEXT_HEADER_ICMPV6
        && match usize::from(carried.fragment_offset) {
            0 => carried.data.first().is_none_or(of_type),
            offset => offset < ERROR_PACKET_MAX,
        }
}

/// Type, code, and the last four bytes of the header.
fn words(complaint: Complaint) -> (u8, u8, u32) {
    match complaint {
        Complaint::PortUnreachable => (TYPE_UNREACHABLE, CODE_PORT_UNREACHABLE, 0),
        // V08, RFC 4443 3.4: IPv6 has no other word for it; the header's own field named it.
        Complaint::ProtocolUnreachable => {
            let pointer = u32::try_from(ipv6::NEXT_HEADER_OFFSET).unwrap_or_default();
            (TYPE_PARAMETER_PROBLEM, CODE_NEXT_HEADER, pointer)
        }
        Complaint::ParameterProblem(problem, pointer) => (TYPE_PARAMETER_PROBLEM, code(problem), pointer),
        Complaint::ReassemblyTime => (TYPE_TIME_EXCEEDED, CODE_REASSEMBLY_TIME, 0),
    }
}

const fn code(problem: Problem) -> u8 {
    match problem {
        Problem::HeaderField => CODE_HEADER_FIELD,
        Problem::NextHeader => CODE_NEXT_HEADER,
        Problem::Option { .. } => CODE_OPTION,
        Problem::FirstFragment => CODE_FIRST_FRAGMENT,
    }
}

/// Writes the frame of the error about `ip` into `frame`, which is as long as it may be. Returns the packet's length.
// K02, RFC 4443 2.4(c): it quotes as much as fits in 1280 bytes. Traffic class 0, as Linux has it: no RFC says otherwise.
pub(super) fn emit(
    ip: &Ipv6<'_>,
    about: &Offender<'_>,
    interface: &Interface,
    frame: &mut [u8],
) -> Option<usize> {
    let (src, dst) = (source(ip, interface)?, ip.src());
    let message = frame.get_mut(link_len(interface) + ipv6::HEADER_LEN..)?;
    let pieces = [ip.header_bytes(), ip.payload()];
    let len = icmpv6::emit_error(words(about.complaint), (src, dst), pieces, message)?;
    let header = ipv6::Repr {
        traffic_class: 0,
        flow_label: 0,
        payload_len: u16::try_from(len).ok()?,
        next_header: NEXT_HEADER_ICMPV6,
        hop_limit: interface.v6.hop_limit,
        src,
        dst,
    };
    header.emit(emit_link(frame, about.mac, ETHERTYPE_IPV6, interface)?)?;
    Some(ipv6::HEADER_LEN + len)
}

/// From which address of ours it is sent.
// K08, RFC 4443 2.2: the one that the packet was sent to; if that was a group, one that is chosen for its sender.
fn source(ip: &Ipv6<'_>, interface: &Interface) -> Option<Ipv6Addr> {
    let inet = &interface.v6;
    if inet.is_own(ip.dst()) { Some(ip.dst()) } else { inet.address_towards(ip.src()) }
}
