//! A UDP datagram of ours becomes a frame, or several, over either IP version; or one that this host itself receives.
//!
//! Not here: by which interface and from which address ([`net_view`](crate::stack::net_view)), and to which Ethernet
//! address, which [`direct`](super::direct) puts in.

use super::{Answer, Emit, L4, emit_link, frame_min, link_len, to_cut};
use crate::addr::{Family, MacAddr, V4, V6};
use crate::io::{BufPool, Cast, Departure, PacketBuf, Parts, TxChecksum};
use crate::stack::fragmentation::{Ids, Outgoing, Payload};
use crate::stack::interface::{Destination, Interface};
use crate::stack::pmtu::{self, Sending};
use crate::time::Instant;
use crate::wire::ethernet::{self, ETHERTYPE_VLAN, Header};
use crate::wire::ipv4::PROTOCOL_UDP;
use crate::wire::{udp, vlan};

/// The longest IP packet, in bytes: over IPv4 with its header, over IPv6 without.
const PACKET_MAX: usize = 65_535;

/// Why a datagram of ours cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsendable {
    /// From port 0, to another IP version than from, or the buffer is not as it was said to be.
    Invalid,
    /// Longer than a datagram can be, or than the path carries and may not be fragmented. EMSGSIZE.
    TooBig {
        /// The longest payload that could be sent there, in bytes.
        max: u16,
    },
}

/// A datagram that is ready to leave.
#[derive(Debug)]
pub enum Ready {
    /// The frame is in its buffer, but for the Ethernet address that it goes to.
    Whole,
    /// It is to be cut.
    Cut(Outgoing),
}

/// Source and destination of `departure`, of one IP version.
#[must_use]
pub fn ends<F: Family>(departure: &Departure) -> Option<(F::Addr, F::Addr)> {
    let (src, dst) = (F::of_ip(departure.src.ip())?, F::of_ip(departure.dst.ip())?);
    // U10: to port 0 a connected socket sends, as on Linux.
    (departure.src.port() != 0 && dst != F::UNSPECIFIED).then_some((src, dst))
}

/// The longest payload of a datagram over this IP version, in bytes.
// U24, RFC 1122 3.3.3, RFC 8200 3: 65,507 over IPv4, 65,527 over IPv6.
#[must_use]
pub fn payload_max<F: Emit>() -> u16 {
    let headers = udp::HEADER_LEN + if F::VERSION == V4::VERSION { F::HEADER_LEN } else { 0 };
    u16::try_from(PACKET_MAX - headers).unwrap_or(u16::MAX)
}

/// Makes the datagram `udp` in `buf`, of which only the payload is written, ready to leave by `interface` as `departure`
/// says.
///
/// # Errors
/// Why it cannot.
pub fn prepare<F: Emit, B: PacketBuf>(
    now: Instant,
    (buf, udp): (&mut B, Payload),
    departure: &Departure,
    ids: &mut Ids,
    interface: &Interface,
) -> Result<Ready, Unsendable> {
    let (src, dst) = ends::<F>(departure).ok_or(Unsendable::Invalid)?;
    let max = payload_max::<F>();
    if usize::from(udp.len) > usize::from(max) + udp::HEADER_LEN {
        return Err(Unsendable::TooBig { max });
    }
    buf.set_tx_checksum(None);
    let ports = udp_header(departure);
    let link_mtu = F::mtu(interface);
    let path = F::inet(interface).paths.path(now, dst);
    let answer = |dont_fragment, ids: &mut Ids| Answer::<F> {
        src,
        dst,
        protocol: PROTOCOL_UDP,
        tos: departure.tos,
        hop_limit: hop_limit::<F>(departure, dst),
        own: F::own((src, dst), PROTOCOL_UDP, ports, dont_fragment, ids, interface),
    };
    // C16, T01: what path MTU discovery says of it.
    let (mtu, dont_fragment) =
        match pmtu::sending(F::HEADER_LEN + usize::from(udp.len), departure.discovery, path, link_mtu) {
            Sending::Whole { dont_fragment } if !udp.in_body => {
                let answer = answer(dont_fragment, ids);
                let made = whole::<F, B>(buf, udp, answer, departure, interface);
                return made.map(|()| Ready::Whole).ok_or(Unsendable::Invalid);
            }
            Sending::Whole { dont_fragment } => (link_mtu, dont_fragment),
            Sending::Fragments { mtu } => (mtu, false),
            Sending::TooBig { mtu } => {
                let max = usize::from(mtu).saturating_sub(F::HEADER_LEN + udp::HEADER_LEN);
                return Err(Unsendable::TooBig { max: u16::try_from(max).unwrap_or(u16::MAX) });
            }
        };
    // F18, F19: one checksum for all of it, whether one host gets it or a group.
    let bytes = udp.of_mut(buf).ok_or(Unsendable::Invalid)?;
    write_udp::<F>(bytes, (src, dst), departure, true).ok_or(Unsendable::Invalid)?;
    let answer = answer(dont_fragment, ids);
    to_cut(MacAddr([0; 6]), answer, udp, mtu, ids, interface).map(Ready::Cut).ok_or(Unsendable::Invalid)
}

/// The first four bytes of the UDP header: the ports.
fn udp_header(departure: &Departure) -> [u8; 4] {
    let ([s0, s1], [d0, d1]) = (departure.src.port().to_be_bytes(), departure.dst.port().to_be_bytes());
    [s0, s1, d0, d1]
}

/// U27, RFC 1112 6.1, RFC 3493 5.2: what goes to a group stays on its link unless its sender says otherwise.
fn hop_limit<F: Family>(departure: &Departure, dst: F::Addr) -> Option<u8> {
    departure.ttl.or_else(|| F::is_multicast(dst).then_some(1))
}

/// Writes the UDP header of the datagram `bytes`, with its checksum if `sums`, else with what a device goes on from.
// U06, RFC 768; RFC 6935 5: over IPv6, too, if whoever sends it says so for its tunnel.
fn write_udp<F: Emit>(
    bytes: &mut [u8],
    (src, dst): (F::Addr, F::Addr),
    departure: &Departure,
    sums: bool,
) -> Option<()> {
    let len = u16::try_from(bytes.len()).ok()?;
    let header = bytes.first_chunk_mut::<{ udp::HEADER_LEN }>()?;
    let ([s0, s1, d0, d1], [l0, l1]) = (udp_header(departure), len.to_be_bytes());
    *header = [s0, s1, d0, d1, l0, l1, 0, 0];
    if !departure.checksum {
        return Some(());
    }
    let pseudo = F::pseudo(src, dst, len);
    let sum = if sums { pseudo.add_bytes(bytes).udp_finish() } else { pseudo.fold() };
    bytes.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

/// Writes the frame around the payload where that lies, or as near to it as its buffer allows.
fn whole<F: Emit, B: PacketBuf>(
    buf: &mut B,
    udp: Payload,
    answer: Answer<'_, F>,
    departure: &Departure,
    interface: &Interface,
) -> Option<()> {
    let (at, len) = (usize::from(udp.offset), usize::from(udp.len));
    let to = link_len(interface) + F::HEADER_LEN;
    let end = to + len;
    // What follows the payload in its buffer is none of it.
    if !buf.set_len(at + len) || !begin_at(buf, L4 { offset: udp.offset, len: udp.len }, to) {
        return None;
    }
    // E09: padded with zeros. Of a padded frame the sum is computed here: it is short, and devices differ in what they take
    // for the datagram's length where something follows it.
    if !buf.set_len(end.max(frame_min(interface))) {
        return None;
    }
    let offload = departure.checksum && interface.tx_udp_checksum && end >= frame_min(interface);
    let ends = (answer.src, answer.dst);
    let frame = buf.unique()?;
    let packet = emit_link(frame, MacAddr([0; 6]), F::ETHERTYPE, interface)?;
    F::emit(&answer, udp.len, interface, packet)?;
    write_udp::<F>(frame.get_mut(to..end)?, ends, departure, !offload)?;
    if offload {
        let lengths = (u8::try_from(link_len(interface)).ok()?, u8::try_from(F::HEADER_LEN).ok()?);
        let ipv6 = F::VERSION == V6::VERSION;
        let request = TxChecksum { ip: false, udp: true, ipv6, l2_len: lengths.0, l3_len: lengths.1 };
        buf.set_tx_checksum(Some(request));
    }
    super::insert_tag(buf, interface).then_some(())
}

/// Lets the transport part, the last in `buf`, begin at `to`.
fn begin_at<B: PacketBuf>(buf: &mut B, l4: L4, to: usize) -> bool {
    let (at, len) = (usize::from(l4.offset), usize::from(l4.len));
    if at > to && buf.trim_front(at - to) || at == to {
        return true;
    }
    let grown = at > to || buf.set_len(to + len);
    let Some(frame) = buf.unique().filter(|_| grown) else { return false };
    frame.copy_within(at..at + len, to);
    buf.set_len(to + len)
}

/// A datagram of ours as this host receives it itself, with everything that one from the link has, to sockets of `cast`.
/// `None`: no buffer was free, or it is none.
// U28, RFC 1112 7.1; F19: whole, however long it is.
#[must_use]
pub fn local_copy<F: Emit, P: BufPool>(
    payload: &[u8],
    departure: &Departure,
    cast: Cast,
    interface: &Interface,
    pool: &P,
) -> Option<(P::Buf, Parts)> {
    let (src, dst) = ends::<F>(departure)?;
    let udp_len = udp::HEADER_LEN + payload.len();
    let len = u16::try_from(udp_len).ok().filter(|_| payload.len() <= usize::from(payload_max::<F>()))?;
    let l3 = ethernet::HEADER_LEN + interface.vlan.map_or(0, |_| vlan::TAG_LEN);
    let l4 = l3 + F::HEADER_LEN;
    let parts = |at: usize| -> Option<Parts> {
        let parts =
            Parts::new(u8::try_from(l3).ok()?, u16::try_from(at).ok()?, len).to(cast).on(interface.id);
        Some(parts.over_ipv6(F::VERSION == V6::VERSION).tagged(interface.vlan.is_some()))
    };
    let mut head = pool.alloc()?;
    let fits = head.set_len(l4 + udp_len);
    if !fits && !head.set_len(l4) {
        return None;
    }
    let packet = emit_local_link::<F>(head.unique()?, dst, cast, interface)?;
    let hop_limit = hop_limit::<F>(departure, dst);
    let own = F::own_local();
    let answer = Answer::<F> { src, dst, protocol: PROTOCOL_UDP, tos: departure.tos, hop_limit, own };
    let room = F::emit(&answer, len, interface, packet)?;
    if fits {
        write_local(room, payload, departure)?;
        return Some((head, parts(l4)?));
    }
    let mut body = pool.alloc_large()?;
    if !body.set_len(udp_len) {
        return None;
    }
    write_local(body.unique()?, payload, departure)?;
    head.attach(body).ok()?;
    Some((head, parts(0)?.in_body()))
}

/// The link header of a frame that never was on a link: its tag is in it, as nobody else would insert it.
fn emit_local_link<'o, F: Emit>(
    frame: &'o mut [u8],
    dst: F::Addr,
    cast: Cast,
    interface: &Interface,
) -> Option<&'o mut [u8]> {
    let mac = match cast {
        Cast::Unicast => interface.mac,
        Cast::Multicast => F::group_mac(dst),
        Cast::Broadcast => MacAddr::BROADCAST,
    };
    let header = Header { dst: mac, src: interface.mac, ethertype: F::ETHERTYPE };
    match interface.vlan {
        Some(vid) => {
            let rest = Header { ethertype: ETHERTYPE_VLAN, ..header }.emit(frame)?;
            vlan::emit(rest, vid, F::ETHERTYPE)
        }
        None => header.emit(frame),
    }
}

/// The UDP header, without a checksum, which nothing on the way could have spoiled, and the payload.
fn write_local(out: &mut [u8], payload: &[u8], departure: &Departure) -> Option<()> {
    let len = u16::try_from(udp::HEADER_LEN + payload.len()).ok()?;
    let (header, room) = out.split_first_chunk_mut::<{ udp::HEADER_LEN }>()?;
    let ([s0, s1, d0, d1], [l0, l1]) = (udp_header(departure), len.to_be_bytes());
    *header = [s0, s1, d0, d1, l0, l1, 0, 0];
    room.get_mut(..payload.len())?.copy_from_slice(payload);
    Some(())
}

/// To whom a datagram to `dst` by `interface` goes that this host itself may hear. `None`: to someone else alone.
#[must_use]
pub fn hears_itself<F: Emit>(dst: F::Addr, interface: &Interface) -> Option<Cast> {
    match F::inet(interface).destination(dst) {
        Destination::Own => Some(Cast::Unicast),
        Destination::Broadcast => Some(Cast::Broadcast),
        Destination::Group => Some(Cast::Multicast),
        Destination::Other => None,
    }
}
