//! IPv6 on arrival, and what it carries.

use core::net::Ipv6Addr;

use super::icmpv6::is_mld;
use super::link::{Link, LinkCast};
use super::udp::{self, Datagram};
use super::uoa::{self, Said};
use super::{Decision, icmpv6};
use crate::addr::{Group, V6};
use crate::io::{Cast, DropReason, RxMeta};
use crate::stack::icmp::{Complaint, Problem};
use crate::stack::interface::{Destination, Interface, Source};
use crate::stack::port_table::PortTable;
use crate::stack::reassembly::Fragment;
use crate::stack::uoa::Trusted;
use crate::wire::icmpv6::TYPE_MLD_QUERY;
use crate::wire::ipv6::ext::{self, Chain, ExtError, FragmentHeader, Tell};
use crate::wire::ipv6::{
    Ipv6, Ipv6Error, NEXT_HEADER_ICMPV6, NEXT_HEADER_NONE, NEXT_HEADER_UDP, PAYLOAD_LEN_OFFSET, offset16,
};
use crate::wire::ndisc::{TYPE_NEIGHBOR_SOLICITATION, TYPE_ROUTER_SOLICITATION, is_ndisc};

/// A packet that is for us, and where what it carries begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) ip: Ipv6<'a>,
    /// What its extension headers came to.
    pub(super) chain: Chain,
    /// To whom it was addressed.
    pub(super) cast: Cast,
    /// What it carries; of a fragment, its part.
    pub(super) bytes: &'a [u8],
    /// Offset of `bytes` in the frame, or in the body.
    pub(super) l4: u16,
    /// Whether `bytes` are in the packet's body.
    pub(super) in_body: bool,
}

impl Packet<'_> {
    /// The type of the ICMPv6 message that it carries whole; `None` if it carries something else.
    fn icmp_type(&self) -> Option<u8> {
        let carries = self.chain.protocol == NEXT_HEADER_ICMPV6 && self.chain.part().is_none();
        self.bytes.first().copied().filter(|_| carries)
    }
}

/// The packet in `link`, or why it is refused; then its protocol. What its header precedes is in `body`, if it has one.
pub(super) fn decide(
    link: &Link<'_>,
    body: Option<&[u8]>,
    meta: RxMeta,
    trusted: &Trusted,
    table: &PortTable,
) -> Decision {
    let interface = link.interface;
    // Where IPv6 is off, this is a type of which nothing is known.
    if !interface.v6.is_on {
        return Decision::Drop(DropReason::EtherTypeUnknown);
    }
    let packet = match admit(link, body) {
        Ok(packet) => packet,
        Err(Refused { why, tell: None }) => return Decision::Drop(why),
        Err(Refused { why, tell: Some((problem, pointer)) }) => return complain(link, why, problem, pointer),
    };
    if let Some(part) = packet.chain.part() {
        return fragment(&packet, part, link);
    }
    let Packet { ip, cast, bytes, l4, in_body, .. } = packet;
    let (src, dst, l3) = (ip.src(), ip.dst(), link.l3_offset);
    let datagram = Datagram::<V6> { src, dst, cast, bytes, l3, l4, in_body, said: Said::Nothing };
    match packet.chain.protocol {
        NEXT_HEADER_UDP => udp::decide(&datagram, meta, interface, &interface.v6, table),
        NEXT_HEADER_ICMPV6 => icmpv6::decide(&packet, link, table),
        // V08, RFC 8200 4.7: nothing follows, and nobody is told.
        NEXT_HEADER_NONE => Decision::Drop(DropReason::Ipv6NoNextHeader),
        // V08, RFC 8200 4: the pointer is to the field that names it.
        protocol => {
            let unknown = |why| complain(link, why, Problem::NextHeader, packet.chain.named_at);
            match uoa::is_spoken::<V6>(protocol, src, trusted) {
                Ok(true) => uoa::decide(datagram, meta, interface, table)
                    .unwrap_or_else(|| unknown(DropReason::Ipv6NextHeaderUnknown)),
                Ok(false) => unknown(DropReason::Ipv6NextHeaderUnknown),
                Err(why) => unknown(why),
            }
        }
    }
}

/// A part of a packet: of what the whole carries nothing is looked at before that is there.
// F13, F14: as for IPv4.
fn fragment(packet: &Packet<'_>, header: FragmentHeader, link: &Link<'_>) -> Decision {
    // W12, RFC 6980 5: no link needs neighbour discovery in parts. All of its headers are in the first; the others wait for that.
    let is_first_of_icmp = header.offset == 0 && packet.chain.protocol == NEXT_HEADER_ICMPV6;
    if is_first_of_icmp && packet.bytes.first().is_some_and(|kind| is_ndisc(*kind)) {
        return Decision::Drop(DropReason::NdpFragment);
    }
    let Some(fragment) = Fragment::of6(&packet.ip, &header, link.l3_offset, link.interface.id) else {
        return Decision::Drop(DropReason::Ipv6ExtensionInvalid);
    };
    match fragment.misfit() {
        None => Decision::Fragment(fragment),
        // W04, RFC 8200 4.5: the pointer is to the payload length.
        Some(why @ DropReason::FragmentMisaligned) => {
            complain(link, why, Problem::HeaderField, offset16(PAYLOAD_LEN_OFFSET))
        }
        // W05, RFC 8200 4.5: the pointer is to the fragment offset.
        Some(why @ DropReason::FragmentTooFar) => {
            complain(link, why, Problem::HeaderField, header.at.saturating_add(FRAGMENT_OFFSET_OFFSET))
        }
        Some(why) => Decision::Drop(why),
    }
}

/// Where the fragment offset lies in a Fragment header.
const FRAGMENT_OFFSET_OFFSET: u16 = 2;

fn complain(link: &Link<'_>, why: DropReason, problem: Problem, pointer: u16) -> Decision {
    Decision::Complain(why, Complaint::ParameterProblem(problem, pointer.into()), link.l3_offset)
}

/// Why a packet is not taken, and what its sender is told, if that may be.
struct Refused {
    why: DropReason,
    tell: Option<(Problem, u16)>,
}

impl From<DropReason> for Refused {
    fn from(why: DropReason) -> Self {
        Self { why, tell: None }
    }
}

/// The header's checks, cheapest and most telling first, and the extension headers'.
// V02, RFC 8200 3: the hop limit is not among them. It is spent by routers, and 0 and 1 are where they were going.
fn admit<'a>(link: &Link<'a>, body: Option<&'a [u8]>) -> Result<Packet<'a>, Refused> {
    let ip =
        body.map_or_else(|| Ipv6::parse(link.l3), |body| Ipv6::in_pieces(link.l3, body)).map_err(reason)?;
    let cast = check_destination(link, ip.dst())?;
    let source = check_source(link.interface, ip.src())?;
    let chain = ext::walk(&ip).map_err(refusal)?;
    let packet = locate(link, ip, chain, cast, body.is_some());
    let icmp_type = packet.icmp_type();
    if source == Source::Unspecified && !icmp_type.is_some_and(may_be_from_nobody) {
        return Err(DropReason::Ipv6SourceMartian.into());
    }
    check_group_source(&packet, icmp_type, link.interface)?;
    Ok(packet)
}

const fn reason(error: Ipv6Error) -> DropReason {
    match error {
        Ipv6Error::HeaderInvalid => DropReason::Ipv6HeaderInvalid,
        Ipv6Error::Truncated => DropReason::Ipv6Truncated,
    }
}

/// The packet, with the place of what follows its extension headers.
fn locate<'a>(link: &Link<'a>, ip: Ipv6<'a>, chain: Chain, cast: Cast, in_body: bool) -> Packet<'a> {
    let behind = usize::from(chain.offset).checked_sub(ip.header_bytes().len());
    let bytes = behind.and_then(|start| ip.payload().get(start..)).unwrap_or_default();
    let l4 = match behind {
        Some(start) if in_body => u16::try_from(start).unwrap_or(u16::MAX),
        _ => chain.offset.saturating_add(link.l3_offset.into()),
    };
    Packet { ip, chain, cast, bytes, l4, in_body }
}

fn check_destination(link: &Link<'_>, dst: Ipv6Addr) -> Result<Cast, DropReason> {
    let interface = link.interface;
    match interface.v6.destination(dst) {
        // E15, RFC 1122 3.3.6: as for IPv4, a packet for one host in a frame for many is refused, unless configured.
        Destination::Own
            if link.cast == LinkCast::Many && !interface.policy.accept_unicast_in_group_frames =>
        {
            Err(DropReason::Ipv6UnicastInGroupFrame)
        }
        Destination::Own => Ok(Cast::Unicast),
        // V03, RFC 4291 2.5.3 and 2.7: ::1 and what has the scope of an interface are on no wire; scope 0 is reserved.
        Destination::Other if dst.is_loopback() => Err(DropReason::Ipv6DestinationInvalid),
        Destination::Group if dst.octets()[1] & 0x0f <= 1 => Err(DropReason::Ipv6DestinationInvalid),
        // E04: the MAC was shared by other groups. E16: whatever MAC the switch chose.
        Destination::Group if interface.v6.groups.is_joined(dst) || is_solicited(interface, dst) => {
            Ok(Cast::Multicast)
        }
        Destination::Group => Err(DropReason::Ipv6GroupNotJoined),
        // No error, no redirect, no forwarding. IPv6 has no broadcast.
        Destination::Other | Destination::Broadcast => Err(DropReason::Ipv6NotForUs),
    }
}

/// Whether `group` is the solicited-node group of an address of ours. RFC 4291 2.8: a host hears these by itself.
fn is_solicited(interface: &Interface, group: Ipv6Addr) -> bool {
    interface.v6.addresses().iter().any(|own| Group::solicited_node(own.addr()).addr() == group)
}

/// V03, V05, V06: see [`Inet::source`](crate::stack::interface::Inet::source). V04: whether it may be the unspecified address,
/// what it carries decides.
fn check_source(interface: &Interface, src: Ipv6Addr) -> Result<Source, DropReason> {
    match interface.v6.source(src) {
        Source::Own => Err(DropReason::Ipv6SourceOwn),
        Source::Martian => Err(DropReason::Ipv6SourceMartian),
        source @ (Source::Host | Source::Unspecified) => Ok(source),
    }
}

/// Whether a message of this type may come from whoever has no address yet.
// V04, RFC 4291 2.5.2, RFC 4861 4.1 and 4.3, RFC 3590 4: solicitations, and what hosts say of their groups.
const fn may_be_from_nobody(icmp_type: u8) -> bool {
    match icmp_type {
        TYPE_ROUTER_SOLICITATION | TYPE_NEIGHBOR_SOLICITATION => true,
        _ => is_mld(icmp_type) && icmp_type != TYPE_MLD_QUERY,
    }
}

/// U16, RFC 9777 4.2: the interface's filter is asked before anything looks at the packet, whatever it carries. Group
/// management and neighbour discovery are heard in any case: a router is not what the group was joined for.
fn check_group_source(
    packet: &Packet<'_>,
    icmp_type: Option<u8>,
    interface: &Interface,
) -> Result<(), DropReason> {
    let (src, dst) = (packet.ip.src(), packet.ip.dst());
    let asked =
        packet.cast == Cast::Multicast && !icmp_type.is_some_and(|kind| is_mld(kind) || is_ndisc(kind));
    if asked && !interface.v6.groups.allows(dst, src) && !is_solicited(interface, dst) {
        return Err(DropReason::GroupSourceFiltered);
    }
    Ok(())
}

/// V07 to V12, W06: what becomes of a packet for its extension headers, and what its sender is told.
fn refusal(error: ExtError) -> Refused {
    let told = |why, problem, pointer| Refused { why, tell: Some((problem, pointer)) };
    match error {
        ExtError::Truncated | ExtError::OptionInvalid => DropReason::Ipv6ExtensionInvalid.into(),
        ExtError::TooMany => DropReason::Ipv6TooManyHeaders.into(),
        ExtError::HopByHopMisplaced { named_at } => {
            told(DropReason::Ipv6HeaderOrder, Problem::NextHeader, named_at)
        }
        ExtError::OptionUnknown { tell: Tell::Nobody, .. } => DropReason::Ipv6OptionUnknown.into(),
        ExtError::OptionUnknown { at, tell } => {
            let even_to_group = tell == Tell::Sender;
            told(DropReason::Ipv6OptionUnknown, Problem::Option { even_to_group }, at)
        }
        ExtError::Routing { type_at } => told(DropReason::Ipv6RoutingHeader, Problem::HeaderField, type_at),
        ExtError::Jumbo { at } => told(DropReason::Ipv6Jumbo, Problem::HeaderField, at),
        ExtError::Fragment { at } => told(DropReason::Ipv6ExtensionInvalid, Problem::HeaderField, at),
        ExtError::FirstFragmentIncomplete => {
            told(DropReason::Ipv6FirstFragmentIncomplete, Problem::FirstFragment, 0)
        }
    }
}
