//! ICMP for IPv4, as a host sends it: echo replies and port unreachable.

use core::net::Ipv4Addr;

use super::egress::{self, Answer, L4, emit_link, frame_min, insert_tag, link_len};
use super::interface::Interface;
use crate::addr::MacAddr;
use crate::io::{BufPool, PacketBuf};
use crate::wire::ethernet::{self, ETHERTYPE_IPV4, Header};
use crate::wire::icmpv4::{self, CODE_PORT_UNREACHABLE, ERROR_PACKET_MAX, TYPE_UNREACHABLE};
use crate::wire::ipv4::{self, Ipv4, PROTOCOL_ICMP, TTL_UNICAST};

/// Turns the echo request in `buf`, whose message is `l4`, into its reply. False if the buffer is shared or the reply
/// larger than the link carries.
// C06, RFC 1122 3.2.2.6: identifier, sequence and data stay. I23: and so does the type of service.
pub fn echo_reply<B: PacketBuf>(buf: &mut B, l4: L4, tos: u8, interface: &Interface) -> bool {
    let (start, end) = (usize::from(l4.offset), usize::from(l4.offset) + usize::from(l4.len));
    let Some(l3) = buf.data().get(ip_offset(buf.data())..) else { return false };
    let Ok((src, dst)) = Ipv4::parse(l3).map(|ip| (ip.dst(), ip.src())) else { return false };
    let Some(message) = buf.unique().and_then(|frame| frame.get_mut(start..end)) else { return false };
    icmpv4::make_echo_reply(message)
        && egress::send_back(buf, l4, Answer { src, dst, protocol: PROTOCOL_ICMP, tos }, interface)
}

/// Where the IP header of a frame with or without tags begins.
fn ip_offset(frame: &[u8]) -> usize {
    crate::wire::vlan::untag(frame).map_or(ethernet::HEADER_LEN, |u| u.l3_offset)
}

/// The packet that an error is about.
#[derive(Clone, Copy, Debug)]
pub struct Offender<'a> {
    mac: MacAddr,
    ip: Ipv4<'a>,
}

impl<'a> Offender<'a> {
    /// The packet at `l3` of `frame`, which ingress has found to be whole.
    #[must_use]
    pub fn of(frame: &'a [u8], l3: usize) -> Option<Self> {
        let (header, _) = Header::parse(frame)?;
        let ip = Ipv4::parse(frame.get(l3..)?).ok()?;
        Some(Self { mac: header.src, ip })
    }

    /// Who sent it, and gets the error.
    #[must_use]
    pub fn src(&self) -> Ipv4Addr {
        self.ip.src()
    }
}

/// Bytes of an error before what it quotes: headers of IPv4 and of ICMP.
const QUOTE_OFFSET: usize = ipv4::HEADER_LEN + 8;

/// The frame that tells the sender of `about` that nobody listens there. `None` if no buffer is free.
// C02, RFC 1812 4.3.2.3: it quotes as much as fits in 576 bytes, and in what the link carries. C04: from the address that
// was asked.
// I23, RFC 1812 4.3.2.5: the type of service stays, with precedence 6 and no congestion bits.
#[must_use]
pub fn port_unreachable<P: BufPool>(about: &Offender<'_>, interface: &Interface, pool: &P) -> Option<P::Buf> {
    let offset = link_len(interface) + ipv4::HEADER_LEN;
    let mut buf = pool.alloc()?;
    if !buf.set_len(link_len(interface) + ERROR_PACKET_MAX) {
        return None;
    }
    let frame = buf.unique()?;
    let whole = about.ip.bytes();
    let quote = whole.get(..usize::from(interface.mtu).saturating_sub(QUOTE_OFFSET)).unwrap_or(whole);
    let message = frame.get_mut(offset..)?;
    let len = icmpv4::emit_error(TYPE_UNREACHABLE, CODE_PORT_UNREACHABLE, 0, quote, message)?;
    let header = ipv4::Repr {
        tos: about.ip.tos() & 0x1c | 0xc0,
        id: 0,
        dont_fragment: true,
        ttl: TTL_UNICAST,
        protocol: PROTOCOL_ICMP,
        src: about.ip.dst(),
        dst: about.ip.src(),
        payload_len: u16::try_from(len).ok()?,
        router_alert: false,
    };
    header.emit(emit_link(frame, about.mac, ETHERTYPE_IPV4, interface)?)?;
    (buf.set_len((offset + len).max(frame_min(interface))) && insert_tag(&mut buf, interface)).then_some(buf)
}
