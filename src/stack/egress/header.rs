//! The IP header of an answer, as each version writes it.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::Answer;
use crate::addr::{V4, V6};
use crate::stack::fragmentation::{Ids, Outgoing, Payload};
use crate::stack::interface::{Interface, Ip};
use crate::wire::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6};

/// An IP version, as its answers are written.
pub trait Emit: Ip {
    /// What its header says that the other's does not.
    type Own<'a>: Copy + core::fmt::Debug;

    /// Its type in an Ethernet header.
    const ETHERTYPE: u16;

    /// Bytes of a header with nothing optional.
    const HEADER_LEN: usize;

    /// Bytes of the header that says this.
    fn header_len(own: &Self::Own<'_>) -> usize;

    /// The longest packet that leaves by `interface` in one piece, in bytes.
    fn mtu(interface: &Interface) -> u16;

    /// Source and destination of the packet that begins with `l3`, of which not all need be there.
    fn addresses(l3: &[u8]) -> Option<(Self::Addr, Self::Addr)>;

    /// What its header says of one packet of the flow of `protocol` between these `ends`; `ports` are the first four bytes of
    /// what it carries.
    fn own(
        ends: (Self::Addr, Self::Addr),
        protocol: u8,
        ports: [u8; 4],
        dont_fragment: bool,
        ids: &mut Ids,
        interface: &Interface,
    ) -> Self::Own<'static>;

    /// The same of a packet that never is on a wire.
    fn own_local() -> Self::Own<'static>;

    /// Writes the header of `answer`, which precedes `len` bytes, to the front of `out`, and returns what follows.
    fn emit<'o>(
        answer: &Answer<'_, Self>,
        len: u16,
        interface: &Interface,
        out: &'o mut [u8],
    ) -> Option<&'o mut [u8]>;

    /// The datagram whose link and IP headers, that of `answer`, are at the front of `head`, to be cut.
    fn outgoing(
        head: &[u8],
        l3: usize,
        payload: Payload,
        mtu: u16,
        answer: &Answer<'_, Self>,
        ids: &mut Ids,
    ) -> Option<Outgoing>;
}

/// Whether routers may fragment a packet.
// I20, RFC 6864 4: with DF set the identification has no meaning, and is 0; else it must not come again for a while, and
// is drawn at random.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cutting {
    /// They may not: DF.
    Never,
    /// They may; this is its identification.
    Allowed(u16),
}

impl Cutting {
    /// DF and the identification.
    #[must_use]
    pub const fn fields(self) -> (bool, u16) {
        match self {
            Self::Never => (true, 0),
            Self::Allowed(id) => (false, id),
        }
    }
}

/// What IPv4 alone says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options4<'a> {
    /// Whether routers may fragment it.
    pub cutting: Cutting,
    /// With these options, in whole words.
    pub options: &'a [u8],
}

// I22, RFC 1122 3.2.1.7: the TTL of the interface, 64.
impl Emit for V4 {
    type Own<'a> = Options4<'a>;
    const ETHERTYPE: u16 = ETHERTYPE_IPV4;
    const HEADER_LEN: usize = ipv4::HEADER_LEN;

    fn header_len(own: &Options4<'_>) -> usize {
        ipv4::HEADER_LEN + own.options.len()
    }

    fn mtu(interface: &Interface) -> u16 {
        interface.mtu
    }

    fn addresses(l3: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
        Ipv4::parse_front(l3).ok().map(|ip| (ip.src(), ip.dst()))
    }

    fn own(
        (src, dst): (Ipv4Addr, Ipv4Addr),
        protocol: u8,
        _ports: [u8; 4],
        dont_fragment: bool,
        ids: &mut Ids,
        _interface: &Interface,
    ) -> Options4<'static> {
        let cutting =
            if dont_fragment { Cutting::Never } else { Cutting::Allowed(ids.draw(src, dst, protocol)) };
        Options4 { cutting, options: &[] }
    }

    fn own_local() -> Options4<'static> {
        Options4 { cutting: Cutting::Never, options: &[] }
    }

    fn emit<'o>(
        answer: &Answer<'_, Self>,
        len: u16,
        interface: &Interface,
        out: &'o mut [u8],
    ) -> Option<&'o mut [u8]> {
        let Answer { src, dst, protocol, tos, hop_limit, own: Options4 { cutting, options } } = *answer;
        let (dont_fragment, id) = cutting.fields();
        let header = ipv4::Repr {
            tos,
            id,
            dont_fragment,
            ttl: hop_limit.unwrap_or(interface.v4.hop_limit),
            protocol,
            src,
            dst,
            payload_len: len,
            router_alert: false,
        };
        header.emit_with_options(options, out)
    }

    fn outgoing(
        head: &[u8],
        l3: usize,
        payload: Payload,
        mtu: u16,
        _answer: &Answer<'_, Self>,
        _ids: &mut Ids,
    ) -> Option<Outgoing> {
        Outgoing::new(head, l3, payload, mtu)
    }
}

/// What IPv6 alone says: the label of the packet's flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowLabel(pub u32);

// V13, RFC 6437 3, RFC 4861 6.3.2: one label to a flow; the hop limit that routers said, or 64.
impl Emit for V6 {
    type Own<'a> = FlowLabel;
    const ETHERTYPE: u16 = ETHERTYPE_IPV6;
    const HEADER_LEN: usize = ipv6::HEADER_LEN;

    fn header_len(_own: &FlowLabel) -> usize {
        ipv6::HEADER_LEN
    }

    // N14, RFC 4861 6.3.4: a router may say less than the link carries.
    fn mtu(interface: &Interface) -> u16 {
        interface.v6.paths.link_mtu().min(interface.mtu)
    }

    fn addresses(l3: &[u8]) -> Option<(Ipv6Addr, Ipv6Addr)> {
        Ipv6::parse_front(l3).ok().map(|ip| (ip.src(), ip.dst()))
    }

    fn own(
        (src, dst): (Ipv6Addr, Ipv6Addr),
        protocol: u8,
        ports: [u8; 4],
        _dont_fragment: bool,
        _ids: &mut Ids,
        interface: &Interface,
    ) -> FlowLabel {
        FlowLabel(interface.flow_labels.of(src, dst, protocol, ports))
    }

    fn own_local() -> FlowLabel {
        FlowLabel(0)
    }

    fn emit<'o>(
        answer: &Answer<'_, Self>,
        len: u16,
        interface: &Interface,
        out: &'o mut [u8],
    ) -> Option<&'o mut [u8]> {
        let Answer { src, dst, protocol, tos, hop_limit, own: FlowLabel(flow_label) } = *answer;
        let header = ipv6::Repr {
            traffic_class: tos,
            flow_label,
            payload_len: len,
            next_header: protocol,
            hop_limit: hop_limit.unwrap_or(interface.v6.hop_limit),
            src,
            dst,
        };
        header.emit(out)
    }

    fn outgoing(
        head: &[u8],
        l3: usize,
        payload: Payload,
        mtu: u16,
        answer: &Answer<'_, Self>,
        ids: &mut Ids,
    ) -> Option<Outgoing> {
        Outgoing::new6(head, l3, payload, mtu, ids.draw6(answer.src, answer.dst))
    }
}
