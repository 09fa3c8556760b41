//! ICMP errors about received packets.

use core::net::Ipv4Addr;

use crate::addr::MacAddr;
use crate::io::{BufPool, PacketBuf};
use crate::stack::egress::{Cutting, emit_link, frame_min, insert_tag, link_len};
use crate::stack::interface::{Interface, Source};
use crate::wire::ethernet::{ETHERTYPE_IPV4, Header};
use crate::wire::icmpv4::{
    self, CODE_PORT_UNREACHABLE, CODE_PROTOCOL_UNREACHABLE, CODE_REASSEMBLY_TIME, ERROR_PACKET_MAX,
    TYPE_PARAMETER_PROBLEM, TYPE_TIME_EXCEEDED, TYPE_UNREACHABLE,
};
use crate::wire::ipv4::{self, Ipv4, PROTOCOL_ICMP, TTL_UNICAST};

/// What is wrong with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Complaint {
    /// Nobody listens on its UDP port. C01, RFC 1122 4.1.3.1.
    PortUnreachable,
    /// IPv4: nobody here speaks its protocol. I18, RFC 1122 3.2.2.1. IPv6 calls that [`Problem::NextHeader`].
    ProtocolUnreachable,
    /// Its header cannot be: that byte of the packet is wrong, counted from the start of its IP header. I14, RFC 1122
    /// 3.2.2.5; RFC 4443 3.4.
    ParameterProblem(Problem, u32),
    /// The rest of its datagram did not come in time. F09, RFC 1122 3.3.2.
    ReassemblyTime,
}

/// What kind of problem it is that a byte of the header has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The field cannot be. ICMPv6: 4/0.
    HeaderField,
    /// IPv6: nobody here knows what it names. V08, RFC 4443 3.4: 4/1.
    NextHeader,
    /// IPv6: an option that nobody here knows, and whose type says that its sender is to be told. V09, RFC 8200 4.2: 4/2.
    Option {
        /// Even if the packet was sent to a group.
        even_to_group: bool,
    },
    /// IPv6: a first fragment without all of its headers. W06, RFC 7112 5 and RFC 8883 4: 4/3.
    FirstFragment,
}

impl Complaint {
    /// Type, code, and the last four bytes of the header.
    const fn words(self) -> (u8, u8, u32) {
        match self {
            Self::PortUnreachable => (TYPE_UNREACHABLE, CODE_PORT_UNREACHABLE, 0),
            Self::ProtocolUnreachable => (TYPE_UNREACHABLE, CODE_PROTOCOL_UNREACHABLE, 0),
            Self::ParameterProblem(_, pointer) => (TYPE_PARAMETER_PROBLEM, 0, pointer << 24),
            Self::ReassemblyTime => (TYPE_TIME_EXCEEDED, CODE_REASSEMBLY_TIME, 0),
        }
    }
}

/// A packet about which an error may be sent.
#[derive(Clone, Copy, Debug)]
pub struct Offender<'a> {
    mac: MacAddr,
    ip: Ipv4<'a>,
}

impl<'a> Offender<'a> {
    /// The packet at `l3` of `frame`, received on `interface`, with its payload in `body` if that is not in the frame.
    /// `None`: nobody is to be told what is wrong with it.
    // C03, RFC 1122 3.2.2: never about an error; nor what went to many, by its IP or its Ethernet address; nor a fragment
    // that is not the first (F12); nor what does not come from one host. This is the only place that decides it.
    #[must_use]
    pub fn of(frame: &'a [u8], l3: usize, body: Option<&'a [u8]>, interface: &Interface) -> Option<Self> {
        let (header, _) = Header::parse(frame)?;
        let l3 = frame.get(l3..)?;
        let ip = match body {
            None => Ipv4::parse(l3).ok()?,
            Some(body) => Ipv4::in_pieces(l3, body).ok()?,
        };
        let may_be_told = !header.dst.is_group()
            && interface.v4.is_own(ip.dst())
            && ip.fragment_offset() == 0
            && interface.source(ip.src()) == Source::Host
            && (ip.protocol() != PROTOCOL_ICMP || is_question_or_reply(ip.payload()));
        may_be_told.then_some(Self { mac: header.src, ip })
    }

    /// Which address of ours it was sent to.
    #[must_use]
    pub fn own(&self) -> Ipv4Addr {
        self.ip.dst()
    }

    /// Who sent it, and gets the error.
    #[must_use]
    pub fn src(&self) -> Ipv4Addr {
        self.ip.src()
    }
}

/// Whether an ICMP message is known to be no error. As Linux does, what is unknown is taken for one.
fn is_question_or_reply(message: &[u8]) -> bool {
    message.first().is_some_and(|icmp_type| matches!(icmp_type, 0 | 8 | 13..=18))
}

/// The frame that tells the sender of `about` what is wrong with it, with the identification `id`. `None` if no buffer is
/// free.
// C02, RFC 1812 4.3.2.3: it quotes as much as fits in 576 bytes, and in what the link carries. C04: from the address that
// was asked. I23, RFC 1812 4.3.2.5: the type of service stays, with precedence 6 and no congestion bits.
#[must_use]
pub fn complain<P: BufPool>(
    about: &Offender<'_>,
    complaint: Complaint,
    id: u16,
    interface: &Interface,
    pool: &P,
) -> Option<P::Buf> {
    let offset = link_len(interface) + ipv4::HEADER_LEN;
    let packet_max = ERROR_PACKET_MAX.min(usize::from(interface.mtu));
    let mut buf = pool.alloc()?;
    if !buf.set_len(link_len(interface) + packet_max) {
        return None;
    }
    let frame = buf.unique()?;
    let message = frame.get_mut(offset..)?;
    let ip = about.ip;
    let len = icmpv4::emit_error(complaint.words(), ip.header_bytes(), ip.payload(), message)?;
    let (dont_fragment, id) = Cutting::Allowed(id).fields();
    let header = ipv4::Repr {
        tos: ip.tos() & 0x1c | 0xc0,
        id,
        dont_fragment,
        ttl: TTL_UNICAST,
        protocol: PROTOCOL_ICMP,
        src: ip.dst(),
        dst: ip.src(),
        payload_len: u16::try_from(len).ok()?,
        router_alert: false,
    };
    header.emit(emit_link(frame, about.mac, ETHERTYPE_IPV4, interface)?)?;
    (buf.set_len((offset + len).max(frame_min(interface))) && insert_tag(&mut buf, interface)).then_some(buf)
}
