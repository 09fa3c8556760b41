//! A reply over IPv6, composed in place.

use super::View;
use super::accept6::HEAD6;
use super::head::Words;
use super::reply::turn_macs;
use super::view6::{Addr6, View6, addr, words};
use super::wide::Wide;
use crate::io::{Cast, PacketBuf, Parts, PayloadSum};
use crate::stack::flow_label::{FlowLabelsFrom, label_of};
use crate::stack::interface::Interfaces;
use crate::wire::checksum::{Sum, udp_nonzero};
use crate::wire::ipv6::NEXT_HEADER_UDP;

/// What is plain, and was sent to us alone.
const UNICAST: Parts = Parts::new(14, 54, 0).over_ipv6(true).with_sum(PayloadSum::Valid);

/// The same, and [whole](Parts::whole_frame): the fast path took it.
pub(super) const WHOLE: Parts = UNICAST.whole_frame(true);

/// As its like for IPv4: false, and nothing changed, if it is another frame now.
// V13, RFC 6437 3, RFC 8200 8.1: as in `compose_rest`. An answer larger than the link is not sent.
#[inline(always)]
pub(super) fn in_place_whole<W: Wide>(wide: W, frame: &mut [u8], parts: Parts, view: &View) -> bool {
    let udp_len = parts.udp_len();
    if frame.len() != 54 + usize::from(udp_len) || udp_len > view.v6.udp_len_max {
        return false;
    }
    let Some(head) = frame.first_chunk_mut::<HEAD6>() else { return false };
    let labels = view.v6.labels_for(head);
    turn(wide, head, udp_len, &view.v6, &labels);
    true
}

/// Turns the head of a plain request with this UDP length round, whose answer has one of these labels.
#[inline(always)]
pub(super) fn turn<W: Wide>(
    wide: W,
    head: &mut [u8; HEAD6],
    udp_len: u16,
    view: &View6,
    labels: &FlowLabelsFrom,
) {
    // V13, RFC 6437 3: the label of the answer's flow, not the request's.
    let word = u64::from((0x6000_0000 | label_of(label_hash(head, labels))).swap_bytes())
        | u64::from(udp_len.swap_bytes()) << 32
        | u64::from(NEXT_HEADER_UDP) << 48
        | u64::from(view.hop_limit) << 56;
    wide.turn_one6(head, &view.link, word);
}

/// What the flow label of the answer to the request with this head is made of.
#[inline(always)]
pub(super) fn label_hash<const LEN: usize>(head: &[u8; LEN], labels: &FlowLabelsFrom) -> u64 {
    let peer = [head.load64::<22>(), head.load64::<30>()];
    labels.hash(addr(peer), head.load32::<54>().rotate_left(16).to_le_bytes())
}

/// As its like for IPv4, which has handed on what is of another shape.
// U21: from the address that was asked.
#[inline(never)]
pub(super) fn in_place<B: PacketBuf>(
    buf: &mut B,
    parts: Parts,
    view: &View,
    interfaces: &Interfaces,
) -> bool {
    if !parts.is_shaped_like(UNICAST) {
        return to_group(buf, parts, view, interfaces);
    }
    let Some(frame) = buf.unique() else { return false };
    let len = frame.len();
    let Some(head) = frame.first_chunk_mut::<HEAD6>() else { return false };
    let Some(Ends { peer, asked, ports }) = ends(head, parts, view) else { return false };
    compose(head, view, (asked, peer), ports, parts.udp_len());
    let end = 54 + usize::from(parts.udp_len());
    end == len || trim(buf, end)
}

/// The same of what was sent to a group.
// U21: from our own address.
#[inline(never)]
fn to_group<B: PacketBuf>(buf: &mut B, parts: Parts, view: &View, interfaces: &Interfaces) -> bool {
    if !parts.is_shaped_like(UNICAST.to(Cast::Multicast)) {
        return false;
    }
    let Some(frame) = buf.unique() else { return false };
    let Some(head) = frame.first_chunk_mut::<HEAD6>() else { return false };
    let Some(Ends { peer, asked, ports }) = ends(head, parts, view) else { return false };
    let Some(own) = readdress(head, peer, asked, interfaces) else { return false };
    compose(head, view, (own, peer), ports, parts.udp_len());
    trim(buf, 54 + usize::from(parts.udp_len()))
}

/// Ends the frame where its datagram does. Even without a payload that is more than the least frame: nothing has to be
/// filled up.
#[inline(never)]
pub(super) fn trim<B: PacketBuf>(buf: &mut B, end: usize) -> bool {
    buf.set_len(end)
}

/// Who asked whom, and the ports of the answer.
pub(super) struct Ends {
    pub(super) peer: Addr6,
    pub(super) asked: Addr6,
    pub(super) ports: u32,
}

/// The ends of a request that can be answered.
// An answer larger than the link is not sent. X03, U10: neither the address of no one nor port 0 can be answered.
#[inline(always)]
pub(super) fn ends(head: &[u8; HEAD6], parts: Parts, view: &View) -> Option<Ends> {
    let peer = [head.load64::<22>(), head.load64::<30>()];
    let asked = [head.load64::<38>(), head.load64::<46>()];
    let ports = head.load32::<54>();
    let fits = parts.udp_len() <= view.v6.udp_len_max;
    let answerable = fits && ports & 0xffff != 0 && peer[0] | peer[1] != 0;
    answerable.then_some(Ends { peer, asked, ports: ports.rotate_left(16) })
}

/// Our own address for an answer to a group's datagram, and the UDP checksum under it: as for IPv4.
// RFC 1624 3, equation 3. U05: a result of 0 is sent as 0xffff.
#[inline(never)]
fn readdress(
    head: &mut [u8; HEAD6],
    peer: Addr6,
    [group_high, group_low]: Addr6,
    interfaces: &Interfaces,
) -> Option<Addr6> {
    let own = words(interfaces.untagged()?.v6.address_towards(addr(peer))?);
    let field = u64::from(!(head.load32::<58>() >> 16) & 0xffff);
    let [own_high, own_low] = own;
    let words = [field, !group_high, !group_low, own_high, own_low];
    let sum = words.into_iter().fold(Sum::ZERO, Sum::add_words);
    head.store::<60, 2>(udp_nonzero(sum.finish()).to_be_bytes());
    Some(own)
}

/// Writes the headers, each byte once. `ports` are the answer's.
#[inline(always)]
fn compose(head: &mut [u8; HEAD6], view: &View, ends: (Addr6, Addr6), ports: u32, udp_len: u16) {
    turn_macs(head, view.mac);
    compose_rest(head, view, ends, ports, udp_len);
}

/// Writes what is behind the addresses of the link.
// V13, RFC 6437 3: the label of the answer's flow, not the request's. RFC 8200 8.1: no address changes sides in the sum.
#[inline(always)]
pub(super) fn compose_rest(
    head: &mut [u8; HEAD6],
    view: &View,
    (own, peer): (Addr6, Addr6),
    ports: u32,
    udp_len: u16,
) {
    let label = view.v6.labels.of(addr(own), addr(peer), NEXT_HEADER_UDP, ports.to_le_bytes());
    let version_to_label = u64::from((0x6000_0000 | label).swap_bytes());
    head.store::<12, 8>(
        (0xdd86 | version_to_label << 16 | u64::from(udp_len.swap_bytes()) << 48).to_le_bytes(),
    );
    head.store::<20, 2>([NEXT_HEADER_UDP, view.v6.hop_limit]);
    let ([own_high, own_low], [peer_high, peer_low]) = (own, peer);
    head.store::<22, 8>(own_high.to_le_bytes());
    head.store::<30, 8>(own_low.to_le_bytes());
    head.store::<38, 8>(peer_high.to_le_bytes());
    head.store::<46, 8>(peer_low.to_le_bytes());
    head.store::<54, 4>(ports.to_le_bytes());
}
