//! How an answer is made from its request, in place, whatever the request's shape.
//!
//! Options of the request are not repeated: the transport part moves to where plain headers end. The tag is the
//! interface's.

use core::net::Ipv4Addr;

use super::fragmentation::{HEAD_MAX, Ids, Outgoing, Payload};
use super::hops::Hop;
use super::interface::Interface;
use super::pmtu::{self, Sending};
use super::route::Towards;
use crate::addr::MacAddr;
use crate::io::{BufPool, Cast, PacketBuf, Parts, PayloadSum, PmtuDiscovery, TxChecksum};
use crate::time::Instant;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, ETHERTYPE_IPV4, ETHERTYPE_VLAN, Header, MIN_FRAME};
use crate::wire::ipv4::{self, Ipv4, PROTOCOL_UDP, TTL_UNICAST};
use crate::wire::vlan;

/// Where the transport part of a packet lies in its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct L4 {
    /// Offset of its first byte.
    pub offset: u16,
    /// Its length in bytes.
    pub len: u16,
}

/// Bytes before the transport part of what we send on `interface`.
const fn l4_offset(interface: &Interface) -> usize {
    link_len(interface) + ipv4::HEADER_LEN
}

/// Bytes before the network layer of what we send on `interface`: a header, and its tag unless the device inserts that.
#[must_use]
pub const fn link_len(interface: &Interface) -> usize {
    match interface.vlan {
        Some(_) if !interface.tx_vlan_insert => ethernet::HEADER_LEN + vlan::TAG_LEN,
        _ => ethernet::HEADER_LEN,
    }
}

/// The least bytes of a frame from `interface` in memory: what is a whole frame still when its tag is taken off.
// E09, and 802.1Q G.2.3: a bridge need not pad what it untags.
#[must_use]
pub const fn frame_min(interface: &Interface) -> usize {
    MIN_FRAME + link_len(interface) - ethernet::HEADER_LEN
}

/// Writes the link header of a frame from `interface` to `dst`, and returns what follows it. `None`: it does not fit.
// E12, 802.1Q: what an interface sends carries its VLAN, with priority 0.
#[must_use]
pub fn emit_link<'a>(
    frame: &'a mut [u8],
    dst: MacAddr,
    ethertype: u16,
    interface: &Interface,
) -> Option<&'a mut [u8]> {
    let src = interface.mac;
    match interface.vlan {
        Some(vid) if !interface.tx_vlan_insert => {
            let rest = Header { dst, src, ethertype: ETHERTYPE_VLAN }.emit(frame)?;
            vlan::emit(rest, vid, ethertype)
        }
        _ => Header { dst, src, ethertype }.emit(frame),
    }
}

/// Has the device insert the tag that [`emit_link`] left to it. False if it cannot be asked: the buffer is shared, or has
/// no room for a tag.
// E12, 802.1Q.
#[must_use]
pub fn insert_tag<B: PacketBuf>(buf: &mut B, interface: &Interface) -> bool {
    match interface.vlan {
        Some(vid) if interface.tx_vlan_insert => buf.set_tx_vlan(Some(vid.get())),
        _ => true,
    }
}

/// A copy of `frame`, which has no tag, with the tag of `interface`. `None` when the pool is exhausted or it does not fit.
#[must_use]
pub fn tagged_copy<P: BufPool>(frame: &[u8], interface: &Interface, pool: &P) -> Option<P::Buf> {
    let Some(vid) = interface.vlan else { return pool.alloc_copy(frame) };
    let (header, rest) = Header::parse(frame)?;
    let mut buf = pool.alloc()?;
    if !buf.set_len(frame.len() + vlan::TAG_LEN) {
        return None;
    }
    let after = Header { ethertype: ETHERTYPE_VLAN, ..header }.emit(buf.unique()?)?;
    vlan::emit(after, vid, header.ethertype)?.copy_from_slice(rest);
    Some(buf)
}

/// What an answer's headers say, beside the addresses of the link.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// From this address of ours.
    pub src: Ipv4Addr,
    /// To this host.
    pub dst: Ipv4Addr,
    /// Of this protocol.
    pub protocol: u8,
    /// With this type of service.
    pub tos: u8,
    /// Whether routers may fragment it.
    pub cutting: Cutting,
    /// With these options, in whole words.
    pub options: &'a [u8],
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

/// Turns the frame in `buf`, whose transport part `l4` is already the answer's, into the answer's frame: back to the MAC
/// address that it came from. False if the buffer is shared or the answer larger than the link carries.
// E09, CVE-2003-0001: padded with zeros. I22, RFC 1122 3.2.1.7: TTL 64.
pub fn send_back<B: PacketBuf>(buf: &mut B, l4: L4, answer: Answer<'_>, interface: &Interface) -> bool {
    let (start, len) = (usize::from(l4.offset), usize::from(l4.len));
    let to = l4_offset(interface) + answer.options.len();
    let end = to + len;
    if ipv4::HEADER_LEN + answer.options.len() + len > usize::from(interface.mtu)
        || start + len > buf.data().len()
    {
        return false;
    }
    // The device took off a tag that the answer has in its frame: then the answer is the longer one.
    if end > buf.data().len() && !buf.set_len(end) {
        return false;
    }
    let Some(frame) = buf.unique() else { return false };
    let Some((request, _)) = Header::parse(frame) else { return false };
    if start != to {
        frame.copy_within(start..start + len, to);
    }
    frame.iter_mut().skip(end).for_each(|byte| *byte = 0);
    write_headers(frame, request.src, answer, l4.len, interface).is_some()
        && buf.set_len(end.max(frame_min(interface)))
        && insert_tag(buf, interface)
}

/// Where on the link a frame of ours goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Directed {
    /// To the Ethernet address that it has now. Control is to be told that this neighbour is used, if one is named.
    Sent(Option<Ipv4Addr>),
    /// To this neighbour, whose Ethernet address is not known here.
    Unresolved(Ipv4Addr),
    /// No route leads to its destination, or it is no frame of ours.
    Nowhere,
}

/// Puts the Ethernet address of its next hop into the IPv4 frame in `buf`, which was made for `interface`.
// Strong host (RFC 1122 3.3.4.2): by the routes of this interface alone. A13: groups and broadcasts need no neighbour.
pub fn direct<B: PacketBuf>(buf: &mut B, interface: &Interface) -> Directed {
    let at = link_len(interface) + ipv4::DESTINATION_OFFSET;
    let dst = buf.data().get(at..).and_then(|d| d.first_chunk::<4>()).copied();
    let Some(dst) = dst.map(Ipv4Addr::from) else { return Directed::Nowhere };
    let (mac, used) = match interface.v4.routes.towards(dst) {
        Towards::Nowhere => return Directed::Nowhere,
        Towards::Mac(mac) => (mac, None),
        Towards::Neighbor(hop) => match interface.v4.hops.get(hop) {
            None => return Directed::Unresolved(hop),
            Some(Hop { mac, stale }) => (mac, stale.then_some(hop)),
        },
    };
    if set_destination(buf, mac) { Directed::Sent(used) } else { Directed::Nowhere }
}

/// Puts `mac` into the frame in `buf` as the address that it goes to. False if the buffer is shared or empty.
pub fn set_destination<B: PacketBuf>(buf: &mut B, mac: MacAddr) -> bool {
    let to = buf.unique().and_then(|frame| frame.first_chunk_mut::<6>());
    to.map(|to| *to = mac.0).is_some()
}

fn write_headers(
    frame: &mut [u8],
    dst: MacAddr,
    answer: Answer<'_>,
    len: u16,
    interface: &Interface,
) -> Option<()> {
    let Answer { src: src_addr, dst: dst_addr, protocol, tos, cutting, options } = answer;
    let (dont_fragment, id) = cutting.fields();
    let header = ipv4::Repr {
        tos,
        id,
        dont_fragment,
        ttl: TTL_UNICAST,
        protocol,
        src: src_addr,
        dst: dst_addr,
        payload_len: len,
        router_alert: false,
    };
    header.emit_with_options(options, emit_link(frame, dst, ETHERTYPE_IPV4, interface)?).map(|_| ())
}

/// Turns the UDP request in `buf` into its answer, with the payload that it has now. False if it cannot be answered: a
/// shared buffer, source port 0 (U10) or address 0.0.0.0 (X03), or larger than the link carries.
// X01, RFC 862: ports and addresses swapped, length and payload equal.
pub fn udp_reply<B: PacketBuf>(buf: &mut B, parts: Parts, cutting: Cutting, interface: &Interface) -> bool {
    let l4 = L4 { offset: u16::try_from(parts.l4()).unwrap_or(u16::MAX), len: parts.udp_len() };
    let Some((src, dst)) = addresses(buf.data(), parts, interface) else { return false };
    if dst.is_unspecified() || !swap_ports(buf, l4) {
        return false;
    }
    let answer = Answer { src, dst, protocol: PROTOCOL_UDP, tos: 0, cutting, options: &[] };
    if !send_back(buf, l4, answer, interface) {
        return false;
    }
    // The sum of a request that was right and asked for us by our own address is the sum of its answer.
    if parts.sum() == PayloadSum::Valid && parts.cast() == Cast::Unicast {
        return true;
    }
    sum_udp(buf, src, dst, parts.udp_len(), interface)
}

/// Whether routers may fragment the answer to the UDP request in `buf`, and under which identification. `None`: it is no
/// request.
// I20, RFC 6864 4.
#[must_use]
pub fn udp_cutting<B: PacketBuf>(
    buf: &B,
    parts: Parts,
    dont_fragment: bool,
    ids: &mut Ids,
    interface: &Interface,
) -> Option<Cutting> {
    if dont_fragment {
        return Some(Cutting::Never);
    }
    let (src, dst) = addresses(buf.data(), parts, interface)?;
    Some(Cutting::Allowed(ids.draw(src, dst, PROTOCOL_UDP)))
}

/// Turns the UDP request in `buf` into its answer, as [`udp_reply`] does, where that is too long for its path, or for one
/// buffer: it is to be cut into packets of at most `mtu` bytes. If it fits into one, `dont_fragment` is of that. `None` if
/// it cannot be answered.
// F18: one checksum for all of it, which no device can make of a part.
pub fn udp_reply_to_cut<B: PacketBuf>(
    buf: &mut B,
    parts: Parts,
    (mtu, dont_fragment): (u16, bool),
    ids: &mut Ids,
    interface: &Interface,
) -> Option<Outgoing> {
    let (src, dst) = addresses(buf.data(), parts, interface)?;
    let mac = Header::parse(buf.data())?.0.src;
    let payload = Payload {
        in_body: parts.is_in_body(),
        offset: u16::try_from(parts.l4()).ok()?,
        len: parts.udp_len(),
    };
    let udp = payload.of_mut(buf).filter(|_| !dst.is_unspecified())?;
    turn_ports(udp)?;
    if parts.sum() != PayloadSum::Valid || parts.cast() != Cast::Unicast {
        udp.get_mut(6..8)?.copy_from_slice(&[0, 0]);
        let sum = Sum::pseudo_v4(src, dst, PROTOCOL_UDP, payload.len).add_bytes(udp).udp_finish();
        udp.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    }
    let cutting =
        if dont_fragment { Cutting::Never } else { Cutting::Allowed(ids.draw(src, dst, PROTOCOL_UDP)) };
    let answer = Answer { src, dst, protocol: PROTOCOL_UDP, tos: 0, cutting, options: &[] };
    to_cut(mac, answer, payload, mtu, interface)
}

/// The datagram that is `answer` with its `payload`, to leave for `mac` in packets of at most `mtu` bytes. `None`: these
/// carry nothing.
#[must_use]
pub fn to_cut(
    mac: MacAddr,
    answer: Answer<'_>,
    payload: Payload,
    mtu: u16,
    interface: &Interface,
) -> Option<Outgoing> {
    let mut head = [0; HEAD_MAX];
    write_headers(&mut head, mac, answer, payload.len, interface)?;
    let l3 = link_len(interface);
    Outgoing::new(&head, l3, payload, mtu)
}

/// How the answer to the UDP request in `buf` leaves. `None`: it is no request.
// T01, C16: by the path to whoever asked, and by what its service chose.
#[must_use]
pub fn udp_sending<B: PacketBuf>(
    now: Instant,
    buf: &B,
    parts: Parts,
    discovery: PmtuDiscovery,
    interface: &Interface,
) -> Option<Sending> {
    let at = parts.l3() + 12;
    let dst = Ipv4Addr::from(*buf.data().get(at..)?.first_chunk::<4>()?);
    let len = ipv4::HEADER_LEN + usize::from(parts.udp_len());
    Some(pmtu::sending(len, discovery, interface.v4.paths.path(now, dst), interface.mtu))
}

/// U21, RFC 1122 4.1.3.5: from the address that was asked; from our own if that was a group or broadcast address.
fn addresses(frame: &[u8], parts: Parts, interface: &Interface) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let ip = Ipv4::parse_front(frame.get(parts.l3()..)?).ok()?;
    let own = match parts.cast() {
        Cast::Unicast => Some(ip.dst()),
        Cast::Multicast | Cast::Broadcast => interface.v4.address_towards(ip.src()),
    };
    own.map(|own| (own, ip.src()))
}

fn swap_ports<B: PacketBuf>(buf: &mut B, l4: L4) -> bool {
    let start = usize::from(l4.offset);
    buf.unique().and_then(|f| f.get_mut(start..)).and_then(turn_ports).is_some()
}

/// Swaps the ports of a UDP datagram. `None`, and nothing changed: it cannot be answered.
// U10: port 0 is no place to send to.
fn turn_ports(udp: &mut [u8]) -> Option<()> {
    match udp.first_chunk_mut::<4>()? {
        [0, 0, ..] => None,
        ports => {
            ports.rotate_left(2);
            Some(())
        }
    }
}

/// Fills in the UDP checksum of an answer at its place, or asks the device to.
// U05, RFC 768: a computed 0 is sent as 0xffff. Of a padded frame it is computed here: it is short, and devices differ in
// what they take for the datagram's length where something follows it.
fn sum_udp<B: PacketBuf>(
    buf: &mut B,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    udp_len: u16,
    interface: &Interface,
) -> bool {
    let at = l4_offset(interface);
    let pseudo = Sum::pseudo_v4(src, dst, PROTOCOL_UDP, udp_len);
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
        let l2_len = u8::try_from(link_len(interface)).unwrap_or_default();
        buf.set_tx_checksum(Some(TxChecksum { ip: false, udp: true, l2_len, l3_len: 20 }));
    }
    true
}
