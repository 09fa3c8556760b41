//! Which IPv6 packets the fast path takes. Called for what is not plain IPv4, which so pays nothing for it.

use super::accept::{Lookup, rest_of, sum_of, swapped};
use super::head::Words;
use super::level::Level;
use super::view6::{Addr6, TYPE_MASK, addr};
use super::wide::{FRONT6, UDP_IN_FRONT, Wide};
use super::{LINK, MAC_MASK, layers};
use crate::addr::V6;
use crate::io::{Cast, ChecksumStatus, PacketBuf, Parts, PayloadSum, RxMeta};
use crate::stack::audience::{self, First, ForMany};
use crate::stack::port_table::{Flow, Found, SocketId};
use crate::wire::checksum::Sum;
use crate::wire::ethernet::ETHERTYPE_IPV6;

/// Ethernet, IPv6 without extension headers, and UDP: bytes before the payload.
pub(super) const HEAD6: usize = 62;

/// The last unicast datagram of this burst that was looked up: where it went to, and the socket there.
pub(super) struct Memo6 {
    pub(super) to: Addr6,
    /// More than a port can be, if there was none yet.
    pub(super) udp_port: u32,
    pub(super) socket: SocketId,
}

impl Memo6 {
    /// No datagram yet.
    pub(super) const fn nothing() -> Self {
        Self { to: [0; 2], udp_port: u32::MAX, socket: 0 }
    }
}

/// Whether the frame says that it is IPv6.
#[inline(always)]
pub(super) fn is_ipv6(frame: &[u8]) -> bool {
    frame.get(12..).and_then(|rest| rest.first_chunk()) == Some(&ETHERTYPE_IPV6.to_be_bytes())
}

/// The parts of `buf`, if it is a plain UDP datagram over IPv6 with nothing wrong and a socket that wants it. Of a
/// tag, as in [`accept`](super::accept::accept).
#[inline(never)]
pub(super) fn accept<B: PacketBuf, W: Wide, const PLAIN: bool, const TAG: usize>(
    level: Level,
    wide: W,
    buf: &B,
    lookup: Lookup<'_>,
    memo: &mut Memo6,
) -> Option<Parts> {
    let (mac, view) = (lookup.view.mac, &lookup.view.v6);
    let frame = buf.data();
    let link: &[u8; LINK] = frame.first_chunk()?;
    let untagged = frame.get(TAG..)?;
    let head: &[u8; HEAD6] = untagged.first_chunk()?;
    let meta = if PLAIN { RxMeta::default() } else { buf.rx_meta() };
    // From the EtherType to the payload length, and from the next header to the middle of the source.
    let type_to_len = head.load64::<12>();
    let next_header = head.load32::<20>() & 0xff;
    let unlike = ((type_to_len & TYPE_MASK) ^ view.ipv6) | u64::from(next_header ^ 17);
    let src_mac = link.load64::<6>() & MAC_MASK;
    if unlike != 0 || src_mac & 1 != 0 || src_mac == mac {
        return None;
    }

    // V01, U01, U02: the lengths agree and lie inside the frame. Other legal lengths (U03) take the slow path.
    let udp_len = swapped(u64::from(head.load32::<58>()));
    if swapped(type_to_len >> 48) != udp_len || udp_len < 8 {
        return None;
    }
    let addrs_and_udp = untagged.get(22..)?.get(..32 + usize::from(udp_len))?;
    let front = untagged.first_chunk::<FRONT6>().filter(|_| W::IS_WIDE && PLAIN);

    // V03 to V05: no group, not ::, ::1 or what stands for IPv4. Whatever begins with 64 zeros is for the slow path to judge.
    let src = [head.load64::<22>(), head.load64::<30>()];
    if src[0] == 0 || src[0] & 0xff == 0xff || view.is_own(src) {
        return None;
    }
    let field = head.load32::<58>() >> 16;
    let sum = match front {
        Some(front) => wide_sum(level, wide, (front, field), addrs_and_udp, udp_len)?,
        None => udp_sum(level, meta, addrs_and_udp, field, udp_len)?,
    };
    let (l3, l4) = const { layers(TAG, 40) };
    let parts = Parts::new(l3, l4, udp_len).over_ipv6(true).on(lookup.interface.id).with_sum(sum);
    let parts =
        parts.tagged(lookup.interface.vlan.is_some()).with_ports(head.load16::<54>(), head.load16::<56>());
    // U10, X03: what cannot be answered is not said to be ready for it.
    let parts = parts
        .whole_frame(TAG == 0 && untagged.len() == 54 + usize::from(udp_len) && head.load16::<54>() != 0);
    let dst = [head.load64::<38>(), head.load64::<46>()];
    let (dst_mac, ports) = (link.load64::<0>() & MAC_MASK, head.load32::<54>());
    if dst == memo.to && ports >> 16 == memo.udp_port && dst_mac == mac {
        return Some(parts.for_socket(memo.socket));
    }
    look_up(lookup, memo, (src, dst), dst_mac, ports, parts)
}

/// The same as [`udp_sum`] where the device said nothing, for a frame that has a front.
#[inline(always)]
fn wide_sum<W: Wide>(
    level: Level,
    wide: W,
    (front, field): (&[u8; FRONT6], u32),
    addrs_and_udp: &[u8],
    udp_len: u16,
) -> Option<PayloadSum> {
    let len = usize::from(udp_len);
    let words = wide.sum6(front, len) + 0x1100 + u64::from(udp_len.swap_bytes());
    let mut sum = Sum::ZERO.add_words(words);
    if len > UDP_IN_FRONT {
        sum += rest_of(level, addrs_and_udp.get(32..).unwrap_or_default(), len);
    }
    (field != 0 && sum.is_whole()).then_some(PayloadSum::Valid)
}

/// What the UDP checksum field, which was loaded as `field`, is worth; `None` if it is wrong. Not 0, as it must not be
/// (U05, RFC 8200 8.1).
#[inline(always)]
fn udp_sum(level: Level, meta: RxMeta, addrs_and_udp: &[u8], field: u32, udp_len: u16) -> Option<PayloadSum> {
    if field == 0 {
        return None;
    }
    match meta.l4_checksum {
        ChecksumStatus::None => Some(PayloadSum::Absent),
        ChecksumStatus::Good => Some(PayloadSum::Valid),
        ChecksumStatus::Bad | ChecksumStatus::Unknown => {
            // Of the pseudo-header, the addresses lie before the datagram already.
            let rest = 0x1100 + u64::from(udp_len.swap_bytes());
            sum_of(level, addrs_and_udp).add_words(rest).is_whole().then_some(PayloadSum::Valid)
        }
    }
}

/// `parts`, with the (first) socket that wants the datagram, and to whom it was addressed.
#[inline(never)]
fn look_up(
    lookup: Lookup<'_>,
    memo: &mut Memo6,
    (src, dst): (Addr6, Addr6),
    dst_mac: u64,
    ports: u32,
    parts: Parts,
) -> Option<Parts> {
    let Lookup { view, interface, table, known } = lookup;
    let port_word = ports >> 16;
    let flow = Flow::<V6> {
        src: addr(src),
        sport: swapped(ports.into()),
        dst: addr(dst),
        dport: swapped(port_word.into()),
    };
    if dst_mac != view.mac {
        let First { socket, others } = multicast(lookup, dst_mac, dst, flow)?;
        return Some(parts.to(Cast::Multicast).with_others(others).for_socket(socket));
    }
    if !view.v6.is_own(dst) {
        return None;
    }
    if let Some(socket) = known {
        return Some(parts.for_socket(socket));
    }
    let Found { socket, any_peer } = table.unicast::<V6>(interface.id, &flow)?;
    // U12, U14: where it depends on the sender, the next one's may be another.
    if any_peer {
        *memo = Memo6 { to: dst, udp_port: port_word, socket };
    }
    Some(parts.for_socket(socket))
}

/// E03, E04, RFC 2464 7: the MAC is the group's own, the interface admits the datagram, and a socket wants it.
#[inline]
fn multicast(lookup: Lookup<'_>, dst_mac: u64, dst: Addr6, flow: Flow<V6>) -> Option<First> {
    // 33:33 and the low 32 bits. V03, RFC 4291 2.7: of a scope that leaves the host.
    let group_mac = 0x3333 | dst[1] >> 32 << 16;
    let scope = dst[0] >> 8 & 0xf;
    if dst[0] & 0xff != 0xff || scope <= 1 || dst_mac != group_mac {
        return None;
    }
    let Lookup { interface, table, .. } = lookup;
    let datagram = ForMany { interface: interface.id, flow, cast: Cast::Multicast };
    audience::first(&datagram, &interface.v6.groups, table).ok()
}
