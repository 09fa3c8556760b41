//! A UDP request becomes its answer, over either IP version.

use super::{Answer, Emit, L4, frame_min, link_len, send_back, to_cut};
use crate::addr::{Family, V4, V6};
use crate::io::{Cast, PacketBuf, Parts, PayloadSum, PmtuDiscovery, TxChecksum};
use crate::stack::fragmentation::{Ids, Outgoing, Payload};
use crate::stack::interface::Interface;
use crate::stack::pmtu::{self, Sending};
use crate::time::Instant;
use crate::wire::ethernet::Header;
use crate::wire::ipv4::PROTOCOL_UDP;

/// Turns the UDP request in `buf` into its answer, with the payload that it has now; over IPv4, routers may fragment it unless
/// `dont_fragment`. False if it cannot be answered: a shared buffer, source port 0 (U10) or the unspecified address (X03), or
/// larger than the link carries.
// X01, RFC 862: ports and addresses swapped, length and payload equal.
pub fn udp_reply<B: PacketBuf>(
    buf: &mut B,
    parts: Parts,
    dont_fragment: bool,
    ids: &mut Ids,
    interface: &Interface,
) -> bool {
    if parts.is_ipv6() {
        reply::<V6, B>(buf, parts, dont_fragment, ids, interface)
    } else {
        reply::<V4, B>(buf, parts, dont_fragment, ids, interface)
    }
}

fn reply<F: Emit, B: PacketBuf>(
    buf: &mut B,
    parts: Parts,
    dont_fragment: bool,
    ids: &mut Ids,
    interface: &Interface,
) -> bool {
    let l4 = L4 { offset: u16::try_from(parts.l4()).unwrap_or(u16::MAX), len: parts.udp_len() };
    let Some((src, dst)) = addresses::<F>(buf.data(), parts, interface) else { return false };
    let Some(ports) = turned_in_place(buf, l4).filter(|_| dst != F::UNSPECIFIED) else { return false };
    let own = F::own((src, dst), PROTOCOL_UDP, ports, dont_fragment, ids, interface);
    let answer = Answer::<F> { src, dst, protocol: PROTOCOL_UDP, tos: 0, hop_limit: None, own };
    if !send_back(buf, l4, answer, interface) {
        return false;
    }
    // The sum of a request that was right and asked for us by our own address is the sum of its answer.
    if parts.sum() == PayloadSum::Valid && parts.cast() == Cast::Unicast {
        return true;
    }
    sum_in_place::<F, B>(buf, (src, dst), parts.udp_len(), interface)
}

/// Turns the UDP request in `buf` into its answer, as [`udp_reply`] does, where that is too long for its path, or for one
/// buffer: it is to be cut into packets of at most `mtu` bytes. If it fits into one, `dont_fragment` is of that. `None` if
/// it cannot be answered.
pub fn udp_reply_to_cut<B: PacketBuf>(
    buf: &mut B,
    parts: Parts,
    limit: (u16, bool),
    ids: &mut Ids,
    interface: &Interface,
) -> Option<Outgoing> {
    if parts.is_ipv6() {
        reply_to_cut::<V6, B>(buf, parts, limit, ids, interface)
    } else {
        reply_to_cut::<V4, B>(buf, parts, limit, ids, interface)
    }
}

// F18: one checksum for all of it, which no device can make of a part.
fn reply_to_cut<F: Emit, B: PacketBuf>(
    buf: &mut B,
    parts: Parts,
    (mtu, dont_fragment): (u16, bool),
    ids: &mut Ids,
    interface: &Interface,
) -> Option<Outgoing> {
    let (src, dst) = addresses::<F>(buf.data(), parts, interface)?;
    let mac = Header::parse(buf.data())?.0.src;
    let payload = Payload {
        in_body: parts.is_in_body(),
        offset: u16::try_from(parts.l4()).ok()?,
        len: parts.udp_len(),
    };
    let udp = payload.of_mut(buf).filter(|_| dst != F::UNSPECIFIED)?;
    let ports = turn_ports(udp)?;
    if parts.sum() != PayloadSum::Valid || parts.cast() != Cast::Unicast {
        udp.get_mut(6..8)?.copy_from_slice(&[0, 0]);
        let sum = F::pseudo(src, dst, payload.len).add_bytes(udp).udp_finish();
        udp.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    }
    let own = F::own((src, dst), PROTOCOL_UDP, ports, dont_fragment, ids, interface);
    let answer = Answer::<F> { src, dst, protocol: PROTOCOL_UDP, tos: 0, hop_limit: None, own };
    to_cut(mac, answer, payload, mtu, ids, interface)
}

/// How the answer to the UDP request in `buf` leaves. `None`: it is no request.
#[must_use]
pub fn udp_sending<B: PacketBuf>(
    now: Instant,
    buf: &B,
    parts: Parts,
    discovery: PmtuDiscovery,
    interface: &Interface,
) -> Option<Sending> {
    if parts.is_ipv6() {
        sending::<V6, B>(now, buf, parts, discovery, interface)
    } else {
        sending::<V4, B>(now, buf, parts, discovery, interface)
    }
}

/// The longest packet that an answer can be in one piece.
#[must_use]
pub fn udp_mtu(parts: Parts, interface: &Interface) -> u16 {
    if parts.is_ipv6() { V6::mtu(interface) } else { V4::mtu(interface) }
}

// T01, C16: by the path to whoever asked, and by what its service chose.
fn sending<F: Emit, B: PacketBuf>(
    now: Instant,
    buf: &B,
    parts: Parts,
    discovery: PmtuDiscovery,
    interface: &Interface,
) -> Option<Sending> {
    let (asking, _) = F::addresses(buf.data().get(parts.l3()..)?)?;
    let len = F::HEADER_LEN + usize::from(parts.udp_len());
    let path = F::inet(interface).paths.path(now, asking);
    Some(pmtu::sending(len, discovery, path, F::mtu(interface)))
}

/// U21, RFC 1122 4.1.3.5: from the address that was asked; from our own if that was a group or broadcast address.
// O05: to the IP source, a balancer's too; whoever it says that it speaks for is reached through it alone.
fn addresses<F: Emit>(frame: &[u8], parts: Parts, interface: &Interface) -> Option<(F::Addr, F::Addr)> {
    let (asking, asked) = F::addresses(frame.get(parts.l3()..)?)?;
    let own = match parts.cast() {
        Cast::Unicast => Some(asked),
        Cast::Multicast | Cast::Broadcast => F::inet(interface).address_towards(asking),
    };
    own.map(|own| (own, asking))
}

fn turned_in_place<B: PacketBuf>(buf: &mut B, l4: L4) -> Option<[u8; 4]> {
    buf.unique()?.get_mut(usize::from(l4.offset)..).and_then(turn_ports)
}

/// Swaps the ports of a UDP datagram, and returns them as they are then. `None`, and nothing changed: it cannot be answered.
// U10: port 0 is no place to send to.
fn turn_ports(udp: &mut [u8]) -> Option<[u8; 4]> {
    match udp.first_chunk_mut::<4>()? {
        [0, 0, ..] => None,
        ports => {
            ports.rotate_left(2);
            Some(*ports)
        }
    }
}

/// Fills in the UDP checksum of an answer at its place, or asks the device to.
// U05, RFC 768: a computed 0 is sent as 0xffff. Of a padded frame it is computed here: it is short, and devices differ in
// what they take for the datagram's length where something follows it.
fn sum_in_place<F: Emit, B: PacketBuf>(
    buf: &mut B,
    (src, dst): (F::Addr, F::Addr),
    udp_len: u16,
    interface: &Interface,
) -> bool {
    let at = link_len(interface) + F::HEADER_LEN;
    let pseudo = F::pseudo(src, dst, udp_len);
    let end = at + usize::from(udp_len);
    let offload = interface.tx_udp_checksum && end >= frame_min(interface);
    let Some(udp) = buf.unique().and_then(|f| f.get_mut(at..end)) else { return false };
    let Some(field) = udp.get_mut(6..8) else { return false };
    field.copy_from_slice(&[0, 0]);
    let checksum = if offload { pseudo.fold() } else { pseudo.add_bytes(udp).udp_finish() };
    if let Some(field) = udp.get_mut(6..8) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    if offload {
        let lengths = (u8::try_from(link_len(interface)), u8::try_from(F::HEADER_LEN));
        let (l2_len, l3_len) = (lengths.0.unwrap_or_default(), lengths.1.unwrap_or_default());
        let ipv6 = F::VERSION == V6::VERSION;
        buf.set_tx_checksum(Some(TxChecksum { ip: false, udp: true, ipv6, l2_len, l3_len }));
    }
    true
}
