//! How an answer is made from its request, in place, whatever the request's shape.
//!
//! Tags and options of the request are not repeated: the transport part moves up to where plain headers end.

use core::net::Ipv4Addr;

use super::interface::Interface;
use crate::addr::MacAddr;
use crate::io::{Cast, PacketBuf, Parts, PayloadSum, TxChecksum};
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, ETHERTYPE_IPV4, Header, MIN_FRAME};
use crate::wire::ipv4::{self, Ipv4, PROTOCOL_UDP, TTL_UNICAST};

/// Where the transport part of a packet lies in its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct L4 {
    /// Offset of its first byte.
    pub offset: u16,
    /// Its length in bytes.
    pub len: u16,
}

/// Bytes before the transport part of what we send.
const L4_OFFSET: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;

/// What an answer's headers say, beside the addresses of the link.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// From this address of ours.
    pub src: Ipv4Addr,
    /// To this host.
    pub dst: Ipv4Addr,
    /// Of this protocol.
    pub protocol: u8,
    /// With this type of service.
    pub tos: u8,
}

/// Turns the frame in `buf`, whose transport part `l4` is already the answer's, into the answer's frame: back to the MAC
/// address that it came from. False if the buffer is shared or the answer larger than the link carries.
// E09, CVE-2003-0001: padded with zeros. I22, RFC 1122 3.2.1.7: TTL 64. RFC 6864 4: with DF set the identification has
// no meaning, and is 0. E12, 802.1Q: only VLAN 0 is let in, and an untagged answer is of VLAN 0.
pub fn send_back<B: PacketBuf>(buf: &mut B, l4: L4, answer: Answer, interface: &Interface) -> bool {
    let (start, len) = (usize::from(l4.offset), usize::from(l4.len));
    if ipv4::HEADER_LEN + len > usize::from(interface.mtu) || start < L4_OFFSET {
        return false;
    }
    let Some(frame) = buf.unique() else { return false };
    let Some((request, _)) = Header::parse(frame) else { return false };
    if start + len > frame.len() {
        return false;
    }
    if start != L4_OFFSET {
        frame.copy_within(start..start + len, L4_OFFSET);
    }
    let end = L4_OFFSET + len;
    frame.iter_mut().skip(end).for_each(|byte| *byte = 0);
    write_headers(frame, request.src, interface.mac, answer, l4.len).is_some()
        && buf.set_len(end.max(MIN_FRAME))
}

fn write_headers(frame: &mut [u8], dst: MacAddr, src: MacAddr, answer: Answer, len: u16) -> Option<()> {
    let Answer { src: src_addr, dst: dst_addr, protocol, tos } = answer;
    let header = ipv4::Repr {
        tos,
        id: 0,
        dont_fragment: true,
        ttl: TTL_UNICAST,
        protocol,
        src: src_addr,
        dst: dst_addr,
        payload_len: len,
        router_alert: false,
    };
    header.emit(Header { dst, src, ethertype: ETHERTYPE_IPV4 }.emit(frame)?).map(|_| ())
}

/// Turns the UDP request in `buf` into its answer, with the payload that it has now. False if it cannot be answered: a
/// shared buffer, source port 0 (U10) or address 0.0.0.0 (X03), or larger than the link carries.
// X01, RFC 862: ports and addresses swapped, length and payload equal.
pub fn udp_reply<B: PacketBuf>(buf: &mut B, parts: Parts, interface: &Interface) -> bool {
    let l4 = L4 { offset: u16::try_from(parts.l4()).unwrap_or(u16::MAX), len: parts.udp_len() };
    let Some((src, dst)) = addresses(buf.data(), parts, interface) else { return false };
    if dst.is_unspecified() || !swap_ports(buf, l4) {
        return false;
    }
    if !send_back(buf, l4, Answer { src, dst, protocol: PROTOCOL_UDP, tos: 0 }, interface) {
        return false;
    }
    // The sum of a request that was right and asked for us by our own address is the sum of its answer.
    if parts.sum() == PayloadSum::Valid && parts.cast() == Cast::Unicast {
        return true;
    }
    sum_udp(buf, src, dst, parts.udp_len(), interface.tx_udp_checksum)
}

/// U21, RFC 1122 4.1.3.5: from the address that was asked; from our own if that was a group or broadcast address.
fn addresses(frame: &[u8], parts: Parts, interface: &Interface) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let ip = Ipv4::parse(frame.get(parts.l3()..)?).ok()?;
    let own = match parts.cast() {
        Cast::Unicast => Some(ip.dst()),
        Cast::Multicast | Cast::Broadcast => interface.v4.address_towards(ip.src()),
    };
    own.map(|own| (own, ip.src()))
}

fn swap_ports<B: PacketBuf>(buf: &mut B, l4: L4) -> bool {
    let start = usize::from(l4.offset);
    let ports = buf.unique().and_then(|f| f.get_mut(start..)).and_then(|l4| l4.first_chunk_mut::<4>());
    match ports {
        // U10: port 0 is no place to send to.
        None | Some([0, 0, ..]) => false,
        Some(ports) => {
            ports.rotate_left(2);
            true
        }
    }
}

/// Fills in the UDP checksum of an answer at its place, or asks the device to.
// U05, RFC 768: a computed 0 is sent as 0xffff.
fn sum_udp<B: PacketBuf>(buf: &mut B, src: Ipv4Addr, dst: Ipv4Addr, udp_len: u16, offload: bool) -> bool {
    let pseudo = Sum::pseudo_v4(src, dst, PROTOCOL_UDP, udp_len);
    let end = L4_OFFSET + usize::from(udp_len);
    let Some(udp) = buf.unique().and_then(|f| f.get_mut(L4_OFFSET..end)) else { return false };
    let Some(field) = udp.get_mut(6..8) else { return false };
    field.copy_from_slice(&[0, 0]);
    let checksum = if offload { pseudo.fold() } else { pseudo.add_bytes(udp).udp_finish() };
    if let Some(field) = udp.get_mut(6..8) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    if offload {
        buf.set_tx_checksum(Some(TxChecksum { ip: false, udp: true, l2_len: 14, l3_len: 20 }));
    }
    true
}
