//! Which packets the fast path takes, and where their parts lie.

use core::net::Ipv4Addr;

use super::accept6::{self, Memo6};
use super::ahead::Ahead;
use super::alikes::Alikes;
use super::dispatch::sum_long;
use super::found::Found;
use super::four;
use super::head::Words;
use super::level::Level;
use super::wide::{FRONT, Narrow, Template, UDP_IN_FRONT, Wide, begins_like};
use super::{HEAD, LINK, MAC_MASK, Own, View, fold, layers, tagged};
use crate::addr::V4;
use crate::io::{Alike, Burst, Cast, ChecksumStatus, InterfaceId, PacketBuf, Parts, PayloadSum, RxMeta};
use crate::stack::audience::{self, First, ForMany};
use crate::stack::interface::{Interface, Interfaces};
use crate::stack::port_table::{self, Flow, PortTable, SocketId};
use crate::wire::checksum::Sum;

/// Where the packets of a burst go.
pub trait Sink<B> {
    /// A right datagram, for the socket in `parts`.
    fn deliver(&mut self, buf: B, parts: Parts);

    /// Several of them, each to be taken out, for the socket in their parts: the first's is named, and whether there are others.
    #[inline]
    fn deliver_all<'a>(
        &mut self,
        packets: impl ExactSizeIterator<Item = (&'a mut Option<B>, Parts)>,
        (_first, _is_mixed): (SocketId, bool),
    ) where
        B: 'a,
    {
        for (slot, parts) in packets {
            if let Some(buf) = slot.take() {
                self.deliver(buf, parts);
            }
        }
    }

    /// Whether each of these datagrams is to be answered with what it carries, as they are: then they are turned round where they lie,
    /// and those that were go to [`echoed`](Self::echoed). All others are delivered.
    #[inline]
    fn echoes(&mut self, datagrams: &Alikes<'_>) -> bool {
        let _ = datagrams;
        false
    }

    /// The packets of `slots`, to be taken out, are the answers to these datagrams now. They have so many bytes.
    #[inline]
    fn echoed(&mut self, slots: &mut [Option<B>], datagrams: &Alikes<'_>, bytes: u64) {
        let _ = (slots, datagrams, bytes);
    }

    /// Anything else: untouched.
    fn slow(&mut self, buf: B);
}

/// What a burst is looked up in.
#[derive(Clone, Copy, Debug)]
pub struct Port<'a> {
    /// The port's numbers.
    pub view: &'a View,
    /// What IP has on it.
    pub interfaces: &'a Interfaces,
    /// The sockets.
    pub table: &'a PortTable,
}

/// What a datagram is looked up in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup<'a> {
    pub(super) view: &'a View,
    pub(super) interface: &'a Interface,
    pub(super) table: &'a PortTable,
    /// Its socket, if that was looked up with others' and it is to one host.
    pub(super) known: Option<SocketId>,
}

/// The last unicast datagrams of this burst that were looked up, of each IP version: where they went to, and the socket
/// there.
pub(super) struct Memo {
    key: u64,
    socket: SocketId,
    /// Of the primary address alone: the UDP port, and what its datagrams have in common. No port yet: more than any is.
    udp_port: u32,
    parts: Parts,
    v6: Memo6,
}

/// No datagram yet: a key has zeros where this has ones.
const NOTHING: u64 = u64::MAX;

impl Memo {
    /// Nothing is known of datagrams by `id`.
    #[inline(always)]
    pub(super) const fn nothing(id: InterfaceId) -> Self {
        let parts = Parts::new(14, 34, 0).on(id).with_sum(PayloadSum::Valid).whole_frame(true);
        Self { key: NOTHING, socket: 0, udp_port: u32::MAX, parts, v6: Memo6::nothing() }
    }
}

/// Sorts a burst. Returns how many bytes it held.
#[inline(always)]
pub(super) fn burst<B: PacketBuf, W: Wide>(
    level: Level,
    wide: W,
    rx: &mut Burst<B>,
    port: Port<'_>,
    found: &mut Found,
    sink: &mut impl Sink<B>,
) -> u64 {
    let Port { view, interfaces, table } = port;
    let Some(interface) = interfaces.untagged() else { return tagged::burst(level, rx, port, sink) };
    let lookup = Lookup { view, interface, table, known: None };
    let alike = rx.alike();
    if alike == Alike::Unknown {
        // Whoever knows more has had them fetched.
        rx.iter().for_each(PacketBuf::prefetch);
    }
    let mut packets = rx.drain();
    let mut bytes = 0;
    if W::IS_WIDE {
        bytes += four::burst(level, wide, &mut packets, alike, lookup, found, sink);
        if packets.as_slice().is_empty() {
            return bytes;
        }
    }
    // Among others, four that are alike are seldom: from the first that are not, each is looked at alone.
    let mut ahead = Ahead::of(packets.as_slice(), port);
    let (own, template) = (Own::of(lookup.view), Template::of(lookup.view));
    let (mut memo, mut tagged) = (Memo::nothing(interface.id), tagged::Memo::nothing());
    loop {
        let Some(buf) = packets.next() else { break };
        let lookup = Lookup { known: ahead.as_mut().and_then(Ahead::next), ..lookup };
        // Twice the same function: where the device said nothing, all that asks what it said falls away.
        let parts = if buf.is_plain() {
            bytes += buf.data().len() as u64;
            match accept_wide(level, wide, buf.data(), (own, &template), lookup, &mut memo) {
                Some(parts) => Some(parts),
                None if accept6::is_ipv6(buf.data()) => {
                    accept6::accept::<B, W, true, 0>(level, wide, &buf, lookup, &mut memo.v6)
                }
                None => accept_apart::<B, true>(level, &buf, (own, lookup), &mut memo, (port, &mut tagged)),
            }
        } else {
            bytes += buf.frame_len() as u64;
            accept_apart::<B, false>(level, &buf, (own, lookup), &mut memo, (port, &mut tagged))
        };
        match parts {
            Some(parts) => sink.deliver(buf, parts),
            None => sink.slow(buf),
        }
    }
    bytes
}

/// The parts of a datagram to our MAC and primary address that is right.
#[inline(always)]
fn to_socket(
    lookup: Lookup<'_>,
    memo: &mut Memo,
    head: &[u8; HEAD],
    udp_len: u16,
    whole: bool,
) -> Option<Parts> {
    let parts = memo.parts.or_len(udp_len).with_ports(head.load16::<34>(), head.load16::<36>());
    // The address is that of the template.
    if memo.udp_port == u32::from(head.load16::<36>()) {
        return Some(if whole { parts } else { parts.whole_frame(false) });
    }
    let found = look_up(lookup, memo, head, lookup.view.mac, parts.whole_frame(whole))?;
    if memo.key == to_key(head) {
        (memo.parts, memo.udp_port) = (found.with_len(0).whole_frame(true), u32::from(head.load16::<36>()));
    }
    Some(found)
}

/// The parts of the datagram in `frame`, if it is a plain one to our MAC and primary address over IPv4 with nothing wrong
/// and a socket. `None` says nothing: then [`accept`] has the word.
#[inline(always)]
fn accept_wide<W: Wide>(
    level: Level,
    wide: W,
    frame: &[u8],
    (own, template): (Own, &Template),
    lookup: Lookup<'_>,
    memo: &mut Memo,
) -> Option<Parts> {
    if !W::IS_WIDE {
        return None;
    }
    let (front, _) = frame.split_first_chunk::<FRONT>()?;
    let (head, _) = front.split_first_chunk::<HEAD>()?;
    if !wide.is_like(front, template) || !begins_like(front, own) || is_from(head, own.mac) {
        return None;
    }
    // I03, U01, U02: as in `accept`.
    let udp_len = head.load16::<38>();
    if head.load16::<16>() != udp_len.wrapping_add(20)
        || udp_len < 8
        || usize::from(udp_len) + 34 > frame.len()
    {
        return None;
    }
    let src = head.load32::<26>();
    if !own.is_foreign_host(src, lookup.view) {
        return None;
    }
    let (ip_sum, udp_sum) = wide.sums(front, usize::from(udp_len));
    // The pseudo-header: what the vector has not of the addresses, protocol 17, and the UDP length.
    let rest = u64::from(src & 0xffff) + 0x1100 + u64::from(udp_len.swap_bytes());
    let mut udp_sum = Sum::ZERO.add_words(udp_sum + rest);
    if usize::from(udp_len) > UDP_IN_FRONT {
        udp_sum += rest_of(level, frame.get(34..).unwrap_or_default(), usize::from(udp_len));
    }
    // I02, RFC 1122 3.2.1.2; U04, RFC 1122 4.1.3.4: 0 is no checksum, and then the sum says nothing.
    if fold(ip_sum) != 0xffff || !udp_sum.is_whole() || head.load16::<40>() == 0 {
        return None;
    }
    // X03, U10: no source is 0.0.0.0 here.
    let whole = usize::from(udp_len) + 34 == frame.len() && head.load16::<34>() != 0;
    to_socket(lookup, memo, head, udp_len, whole)
}

/// Whether the source is this MAC. Most are told from it by the first four bytes.
#[inline(always)]
fn is_from(head: &[u8; HEAD], mac: u64) -> bool {
    let [a, b, c, d, e, f, ..] = mac.to_le_bytes();
    head.load32::<6>() == u32::from_le_bytes([a, b, c, d])
        && head.load16::<10>() == u16::from_be_bytes([e, f])
}

/// The sum of what a datagram of `udp_len` bytes has behind the front, of a frame that has `udp` from its UDP header on.
#[inline(always)]
pub(super) fn rest_of(level: Level, udp: &[u8], udp_len: usize) -> Sum {
    let udp = udp.get(..udp_len).unwrap_or_default();
    let rest = udp.get(UDP_IN_FRONT..).unwrap_or_default();
    if rest.len() < SHORT { short_sum(rest, udp) } else { sum_long(level, rest) }
}

/// Apart, so that what is common keeps its values in registers.
#[inline(never)]
fn accept_apart<B: PacketBuf, const PLAIN: bool>(
    level: Level,
    buf: &B,
    (own, lookup): (Own, Lookup<'_>),
    memo: &mut Memo,
    (port, with_tag): (Port<'_>, &mut tagged::Memo),
) -> Option<Parts> {
    if !PLAIN && !buf.is_single_segment() {
        return None;
    }
    if !PLAIN && buf.rx_meta().stripped_tci.is_some() || tagged::has_tag(buf.data()) {
        return tagged::accept::<B, PLAIN>(level, buf, port, (with_tag, lookup.known));
    }
    accept::<B, PLAIN, 0>(level, buf, own, lookup, memo)
}

/// The parts of `buf`, if it is a plain UDP datagram with nothing wrong and a socket that wants it. Between the addresses of
/// the link and the EtherType are `TAG` bytes.
#[inline(always)]
pub(super) fn accept<B: PacketBuf, const PLAIN: bool, const TAG: usize>(
    level: Level,
    buf: &B,
    own: Own,
    lookup: Lookup<'_>,
    memo: &mut Memo,
) -> Option<Parts> {
    let frame = buf.data();
    let link: &[u8; LINK] = frame.first_chunk()?;
    // All but the addresses of the link are where they would be without a tag.
    let head: &[u8; HEAD] = frame.get(TAG..)?.first_chunk()?;
    let meta = if PLAIN { RxMeta::default() } else { buf.rx_meta() };
    // From the EtherType to the identification, and from the fragment field to half the source address.
    let type_to_id = head.load64::<12>();
    let fragment_to_src = head.load64::<20>();
    // One test for every field whose value is known: EtherType IPv4, version 4, header of 20 bytes, neither more
    // fragments nor an offset (the reserved bit is ignored, I05), protocol UDP.
    let unlike = ((type_to_id & 0x00ff_ffff) ^ 0x0045_0008) | ((fragment_to_src & 0xff00_ff3f) ^ 0x1100_0000);
    let (src_mac, dst_mac) = (link.load64::<6>() & MAC_MASK, link.load64::<0>() & MAC_MASK);
    if unlike != 0 || src_mac & 1 != 0 || src_mac == own.mac {
        // Whether it is IPv6 is asked of nothing that is IPv4.
        return accept6::accept::<B, Narrow, PLAIN, TAG>(level, Narrow, buf, lookup, &mut memo.v6);
    }

    // I03, U01, U02: the lengths agree and lie inside the frame. Other legal lengths (U03) take the slow path.
    let udp_len = swapped(u64::from(head.load32::<38>()));
    if swapped(type_to_id >> 32) != udp_len.wrapping_add(20) || udp_len < 8 {
        return None;
    }
    let udp = frame.get(34 + TAG..)?.get(..usize::from(udp_len))?;

    let src = head.load32::<26>();
    let addrs = u64::from(src) + u64::from(head.load32::<30>());
    if !own.is_foreign_host(src, lookup.view) || !ip_sum_is_right(meta, head, addrs) {
        return None;
    }
    let sum = udp_sum(level, meta, udp, addrs, udp_len)?;
    let (l3, l4) = const { layers(TAG, 20) };
    let parts = Parts::new(l3, l4, udp_len).on(lookup.interface.id).with_sum(sum);
    let parts =
        parts.tagged(lookup.interface.vlan.is_some()).with_ports(head.load16::<34>(), head.load16::<36>());
    if to_key(head) == memo.key && dst_mac == own.mac {
        return Some(parts.for_socket(memo.socket));
    }
    look_up(lookup, memo, head, dst_mac, parts)
}

/// Destination address and port in one word, the source port between them masked out.
#[inline(always)]
fn to_key(head: &[u8; HEAD]) -> u64 {
    head.load64::<30>() & 0xffff_0000_ffff_ffff
}

/// `parts`, with the (first) socket that wants the datagram, and to whom it was addressed.
#[inline(never)]
fn look_up(
    lookup: Lookup<'_>,
    memo: &mut Memo,
    head: &[u8; HEAD],
    dst_mac: u64,
    parts: Parts,
) -> Option<Parts> {
    let Lookup { view, interface, table, known } = lookup;
    let (src, dst, ports) = (head.load32::<26>(), head.load32::<30>(), head.load32::<34>());
    let flow = Flow::<V4> {
        src: Ipv4Addr::from(src.to_le_bytes()),
        sport: swapped(ports.into()),
        dst: Ipv4Addr::from(dst.to_le_bytes()),
        dport: swapped(u64::from(ports) >> 16),
    };
    if dst_mac != view.mac {
        let First { socket, others } = multicast(lookup, dst_mac, dst, flow)?;
        return Some(parts.to(Cast::Multicast).with_others(others).for_socket(socket));
    }
    if !view.is_own(dst) {
        return None;
    }
    if let Some(socket) = known {
        return Some(parts.for_socket(socket));
    }
    let port_table::Found { socket, any_peer } = table.unicast::<V4>(interface.id, &flow)?;
    // U12, U14: where it depends on the sender, the next one's may be another.
    if any_peer {
        (memo.key, memo.socket) = (to_key(head), socket);
    }
    Some(parts.for_socket(socket))
}

/// The low 16 bits, which were loaded from a big-endian field.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is wanted")]
pub(super) const fn swapped(word: u64) -> u16 {
    (word as u16).swap_bytes()
}

/// I02, RFC 1122 3.2.1.2: the device's verdict if it has one that can be trusted, else our own sum. `addrs` is the sum of
/// the two addresses as they were loaded.
#[inline(always)]
fn ip_sum_is_right(meta: RxMeta, head: &[u8; HEAD], addrs: u64) -> bool {
    match meta.ip_checksum {
        ChecksumStatus::Good | ChecksumStatus::None => true,
        ChecksumStatus::Bad | ChecksumStatus::Unknown => {
            // Five words of 32 bits: no carry leaves 64.
            let rest = [head.load32::<14>(), head.load32::<18>(), head.load32::<22>()];
            fold(rest.into_iter().fold(addrs, |sum, word| sum + u64::from(word))) == 0xffff
        }
    }
}

/// The sum of at least eight bytes.
#[inline(always)]
pub(super) fn sum_of(level: Level, bytes: &[u8]) -> Sum {
    if bytes.len() < SHORT { short_sum(bytes, bytes) } else { sum_long(level, bytes) }
}

/// What the UDP checksum field is worth; `None` if it is wrong. U04, RFC 1122 4.1.3.4: 0 is no checksum.
#[inline(always)]
fn udp_sum(level: Level, meta: RxMeta, udp: &[u8], addrs: u64, udp_len: u16) -> Option<PayloadSum> {
    let field_is_zero = udp.get(6..8) == Some(&[0, 0]);
    match meta.l4_checksum {
        ChecksumStatus::None => Some(PayloadSum::Absent),
        _ if field_is_zero => Some(PayloadSum::Absent),
        ChecksumStatus::Good => Some(PayloadSum::Valid),
        ChecksumStatus::Bad | ChecksumStatus::Unknown => {
            // The pseudo-header: addresses, protocol 17, and the UDP length.
            let pseudo = addrs + 0x1100 + u64::from(udp_len.swap_bytes());
            sum_of(level, udp).add_words(pseudo).is_whole().then_some(PayloadSum::Valid)
        }
    }
}

/// Below this many bytes a chain of words is quicker than a call to what sums in vectors.
const SHORT: usize = 128;

/// The sum of `bytes`, the end of the at least eight bytes `all`, a word at a time; the last few are shifted out of the last
/// eight of all, without a loop or a branch. [`Sum::of`] is unrolled where it is inlined, which costs more than it gains for so few.
#[inline(always)]
fn short_sum(bytes: &[u8], all: &[u8]) -> Sum {
    let mut sum = Sum::ZERO;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        sum = sum.add_words(u64::from_le_bytes(*word));
        rest = after;
    }
    let last = all.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
    // By 64 less the bits of the rest, in two steps: a rest of nothing is shifted out whole.
    sum.add_words(last >> 1 >> (63 - 8 * rest.len()))
}

/// E01, E04, RFC 1112 6.4: the MAC is the group's own, the interface admits the datagram, and a socket wants it.
#[inline]
fn multicast(lookup: Lookup<'_>, dst_mac: u64, dst: u32, flow: Flow<V4>) -> Option<First> {
    // 01:00:5e and the low 23 bits: 1110 at the top of the first octet, one bit of the second cleared.
    let group_mac = 0x005e_0001 | u64::from(dst >> 8 & 0x00ff_ff7f) << 24;
    if dst & 0xf0 != 0xe0 || dst_mac != group_mac {
        return None;
    }
    let Lookup { interface, table, .. } = lookup;
    let datagram = ForMany { interface: interface.id, flow, cast: Cast::Multicast };
    audience::first(&datagram, &interface.v4.groups, table).ok()
}
