//! A reply, composed in place: the request's frame becomes the answer's.

use core::net::Ipv4Addr;

use super::accept6::HEAD6;
use super::head::Words;
use super::view6::View6;
use super::wide::{FRONT, Wide};
use super::{HEAD, MAC_MASK, View, fold, reply6, tagged_reply};
use crate::io::{Cast, PacketBuf, Parts, PayloadSum};
use crate::stack::flow_label::FlowLabelsFrom;
use crate::stack::interface::Interfaces;
use crate::wire::checksum::udp_nonzero;
use crate::wire::ethernet::MIN_FRAME;

/// What is plain, and was sent to us alone.
const UNICAST: Parts = Parts::new(14, 34, 0).with_sum(PayloadSum::Valid);

/// The same, and [whole](Parts::whole_frame): the fast path took it.
pub(super) const WHOLE: Parts = UNICAST.whole_frame(true);

/// A request that a service has looked at.
pub trait Request<B> {
    /// Where its parts lie, if it is to be answered.
    fn asked(&self) -> Option<Parts>;
    /// The packet, if it is still there.
    fn buf(&mut self) -> Option<&mut B>;
}

/// What becomes of requests.
pub trait Answers<R> {
    /// The numbers of the port that they came in by.
    fn view(&self) -> (&View, &Interfaces);
    /// Each of these is its answer now. They have so many bytes.
    fn turned(&mut self, answers: &mut [R], bytes: u64);
    /// Nothing was changed: it is not to be answered, is not of the plain shape, or cannot be answered.
    fn left(&mut self, request: &mut R);
}

/// Turns all `requests` that it can, fours of them at once.
#[inline(always)]
pub(super) fn turn_all<B: PacketBuf, W: Wide, R: Request<B>>(
    wide: W,
    requests: &mut [R],
    answers: &mut impl Answers<R>,
) {
    let mut rest = requests;
    while !rest.is_empty() {
        let (turned, bytes) = if W::IS_WIDE { turn_fours(wide, rest, answers.view().0) } else { (0, 0) };
        let Some((fours, behind)) = rest.split_at_mut_checked(turned) else { return };
        if turned > 0 {
            answers.turned(fours, bytes);
        }
        // What is not like the others is looked at alone, and as many as it was looked at with.
        let (alone, behind) = behind.split_at_mut(behind.len().min(4));
        alone.iter_mut().for_each(|one| turn_one(wide, one, answers));
        rest = behind;
    }
}

#[inline(always)]
fn turn_one<B: PacketBuf, W: Wide, R: Request<B>>(wide: W, request: &mut R, answers: &mut impl Answers<R>) {
    let asked = request.asked();
    let (view, interfaces) = answers.view();
    let turned = match (asked, request.buf()) {
        (Some(parts), Some(buf)) => {
            in_place(wide, buf, parts, view, interfaces).then(|| buf.data().len() as u64)
        }
        _ => None,
    };
    match turned {
        Some(bytes) => answers.turned(core::slice::from_mut(request), bytes),
        None => answers.left(request),
    }
}

/// Turns fours at the front of `requests`, as long as all are whole frames that the fast path took. Returns how many requests that
/// were, and how many bytes they have.
#[inline(always)]
fn turn_fours<B: PacketBuf, W: Wide, R: Request<B>>(
    wide: W,
    requests: &mut [R],
    view: &View,
) -> (usize, u64) {
    let (mut turned, mut bytes) = (0, 0);
    for four in requests.as_chunks_mut::<4>().0 {
        let Some(of_four) = turn_four(wide, four, view) else { break };
        (turned, bytes) = (turned + 4, bytes + of_four);
    }
    (turned, bytes)
}

/// Turns four requests, if each is a whole frame that the fast path took, and all are of one IP version. Returns how many bytes they
/// have; `None`, and nothing changed: each has to be looked at.
// U21, RFC 1122 4.1.3.5: from the address that was asked. An answer larger than the link is not sent.
#[inline(always)]
fn turn_four<B: PacketBuf, W: Wide, R: Request<B>>(wide: W, four: &mut [R; 4], view: &View) -> Option<u64> {
    let [a, b, c, d] = four;
    let parts = [a.asked()?, b.asked()?, c.asked()?, d.asked()?];
    let any = parts.iter().fold(0, |any, parts| any | parts.word());
    let all = parts.iter().fold(u64::MAX, |all, parts| all & parts.word());
    let are_like = |whole: Parts| ((any ^ whole.word()) | (all ^ whole.word())) & Parts::SHAPE == 0;
    // The bits of four lengths together: none of them is longer.
    let longest = any & Parts::LEN;
    if are_like(WHOLE) && longest <= u64::from(view.udp_len_max) {
        turn_four4(wide, B::unique_four([a.buf()?, b.buf()?, c.buf()?, d.buf()?])?, parts, view)
    } else if are_like(reply6::WHOLE) && longest <= u64::from(view.v6.udp_len_max) {
        let frames = B::unique_four([a.buf()?, b.buf()?, c.buf()?, d.buf()?])?;
        turn_four6(wide, frames, parts, &view.v6, |head| view.v6.labels_for(head))
    } else {
        None
    }
}

/// Whether each of the frames has the length that its parts say behind `head` bytes. That is said of [whole](Parts::whole_frame)
/// frames alone, and nobody can make those longer or shorter who does not take it back.
fn are_whole(frames: &[&mut [u8]; 4], parts: [Parts; 4], head: usize) -> bool {
    frames.iter().zip(parts).all(|(frame, parts)| frame.len() == head + usize::from(parts.udp_len()))
}

#[inline(always)]
pub(super) fn turn_four4<W: Wide>(
    wide: W,
    frames: [&mut [u8]; 4],
    parts: [Parts; 4],
    view: &View,
) -> Option<u64> {
    debug_assert!(are_whole(&frames, parts, 34), "a frame is no longer whole");
    let bytes = frames.iter().map(|frame| frame.len() as u64).sum();
    let [a, b, c, d] = frames;
    let fronts = [a.first_chunk_mut()?, b.first_chunk_mut()?, c.first_chunk_mut()?, d.first_chunk_mut()?];
    wide.turn_four(fronts, parts.map(|parts| u32::from(parts.udp_len())), &view.link);
    Some(bytes)
}

/// `labels` are those that the answer to the request with such a head has one of.
#[inline(always)]
pub(super) fn turn_four6<W: Wide>(
    wide: W,
    frames: [&mut [u8]; 4],
    parts: [Parts; 4],
    view: &View6,
    labels: impl Fn(&[u8; HEAD6]) -> FlowLabelsFrom,
) -> Option<u64> {
    debug_assert!(are_whole(&frames, parts, 54), "a frame is no longer whole");
    let bytes = frames.iter().map(|frame| frame.len() as u64).sum();
    let [a, b, c, d] = frames;
    let heads = [a.first_chunk_mut()?, b.first_chunk_mut()?, c.first_chunk_mut()?, d.first_chunk_mut()?];
    for (head, parts) in heads.into_iter().zip(parts) {
        let labels = labels(head);
        reply6::turn(wide, head, parts.udp_len(), view, &labels);
    }
    Some(bytes)
}

/// Turns the request in `buf` into its answer. False, and nothing changed, if it is not of the plain shape or cannot
/// be answered: then `stack::egress` has the word.
#[inline(always)]
fn in_place<B: PacketBuf, W: Wide>(
    wide: W,
    buf: &mut B,
    parts: Parts,
    view: &View,
    interfaces: &Interfaces,
) -> bool {
    if W::IS_WIDE && parts.is_shaped_like(WHOLE) {
        // Longer or shorter than it was: then it is looked at anew.
        return match buf.unique() {
            Some(frame) => in_place_whole(wide, frame, parts, view),
            None => false,
        } || in_place_apart(buf, parts.whole_frame(false), view, interfaces);
    }
    if W::IS_WIDE && parts.is_shaped_like(reply6::WHOLE) {
        return match buf.unique() {
            Some(frame) => reply6::in_place_whole(wide, frame, parts, view),
            None => false,
        } || in_place_apart(buf, parts.whole_frame(false), view, interfaces);
    }
    in_place_apart(buf, parts.whole_frame(false), view, interfaces)
}

/// The same of a whole frame that the fast path took. False, and nothing changed, if it is another now.
// U21, RFC 1122 4.1.3.5: from the address that was asked. An answer larger than the link is not sent.
#[inline(always)]
fn in_place_whole<W: Wide>(wide: W, frame: &mut [u8], parts: Parts, view: &View) -> bool {
    if frame.len() != 34 + usize::from(parts.udp_len()) || parts.udp_len() > view.udp_len_max {
        return false;
    }
    let Some(front) = frame.first_chunk_mut::<FRONT>() else { return false };
    // Version 4 and 20 bytes, DF, TTL 64, UDP; total length and addresses as they are.
    let total_len = u64::from(front.load16::<16>().swap_bytes());
    let addrs = front.load64::<26>();
    let sum = (addrs & 0xffff_ffff) + (addrs >> 32) + total_len + 0x0045 + 0x0040 + 0x1140;
    wide.turn(front, &view.link, !fold(sum));
    true
}

/// The same of any other. Apart: it is not what is common.
#[inline(never)]
fn in_place_apart<B: PacketBuf>(buf: &mut B, parts: Parts, view: &View, interfaces: &Interfaces) -> bool {
    if !parts.is_shaped_like(UNICAST) {
        let others = match (parts.is_tagged(), parts.is_ipv6()) {
            (true, _) => tagged_reply::in_place,
            (false, true) => reply6::in_place,
            (false, false) => to_group,
        };
        return others(buf, parts, view, interfaces);
    }
    let Some(frame) = buf.unique() else { return false };
    let len = frame.len();
    let Some((head, _)) = frame.split_first_chunk_mut::<HEAD>() else { return false };
    let Some(addrs) = answerable(head, parts, view) else { return false };
    // U21, RFC 1122 4.1.3.5: from the address that was asked.
    compose(head, view, addrs.rotate_left(32), parts.udp_len());
    let end = 34 + usize::from(parts.udp_len());
    end == len && len >= MIN_FRAME || trim(buf, end, MIN_FRAME)
}

/// Source and destination of a request that can be answered.
// An answer larger than the link is not sent. X03, U10: neither the address of no one nor port 0 can be answered.
#[inline(always)]
pub(super) fn answerable(head: &[u8; HEAD], parts: Parts, view: &View) -> Option<u64> {
    let addrs = head.load64::<26>();
    let fits = parts.udp_len() <= view.udp_len_max;
    (fits && head.load16::<34>() != 0 && addrs & 0xffff_ffff != 0).then_some(addrs)
}

/// The same of a request to a group.
// U21, RFC 1122 4.1.3.5: from our own address if that was a group.
#[inline(never)]
fn to_group<B: PacketBuf>(buf: &mut B, parts: Parts, view: &View, interfaces: &Interfaces) -> bool {
    if !parts.is_shaped_like(UNICAST.to(Cast::Multicast)) {
        return false;
    }
    let Some(frame) = buf.unique() else { return false };
    let len = frame.len();
    let Some((head, _)) = frame.split_first_chunk_mut::<HEAD>() else { return false };
    let Some(addrs) = answerable(head, parts, view) else { return false };
    let Some(addrs) = readdress(head, addrs, interfaces) else { return false };
    compose(head, view, addrs, parts.udp_len());
    let end = 34 + usize::from(parts.udp_len());
    end == len && len >= MIN_FRAME || trim(buf, end, MIN_FRAME)
}

/// Ends the frame where its datagram does, but at `min` bytes.
// E09, CVE-2003-0001: what fills a minimum frame up is zeros, not what the request had there.
#[inline(never)]
pub(super) fn trim<B: PacketBuf>(buf: &mut B, end: usize, min: usize) -> bool {
    if let Some(frame) = buf.unique() {
        frame.iter_mut().skip(end).for_each(|byte| *byte = 0);
    }
    buf.set_len(end.max(min))
}

/// The addresses of the answer to a group's datagram, and the UDP checksum under them: the group gives way to our own
/// address as one of the two that it covers. Swapping the two, and the ports, leaves it as it is; putting another in place
/// of one does not. RFC 1624 3, equation 3.
// U05: a result of 0 is sent as 0xffff.
#[inline(never)]
fn readdress(head: &mut [u8; HEAD], addrs: u64, interfaces: &Interfaces) -> Option<u64> {
    let [a, b, c, d, ..] = addrs.to_le_bytes();
    let own = u64::from(super::word(interfaces.untagged()?.v4.address_towards(Ipv4Addr::new(a, b, c, d))?));
    let group = addrs >> 32;
    let field = head.load32::<38>() >> 16;
    let sum = u64::from(!field & 0xffff) + (!group & 0xffff_ffff) + own;
    head.store::<40, 2>(udp_nonzero(!fold(sum)).to_le_bytes());
    Some(addrs << 32 | own)
}

/// Total length and header checksum of an answer between `addrs`, in either order, as they are stored.
#[inline(always)]
fn computed(addrs: u64, udp_len: u16) -> (u16, u16) {
    let total_len = (udp_len + 20).swap_bytes();
    // Version 4 and 20 bytes, total length, DF, TTL 64, UDP, addresses.
    let sum = 0x0045 + u64::from(total_len) + 0x0040 + 0x1140 + (addrs & 0xffff_ffff) + (addrs >> 32);
    (total_len, !fold(sum))
}

/// Writes the headers, each byte once.
#[inline(always)]
fn compose(head: &mut [u8; HEAD], view: &View, addrs: u64, udp_len: u16) {
    turn_macs(head, view.mac);
    compose_rest(head, addrs, udp_len);
}

/// Back to where the frame came from, from `mac`.
#[inline(always)]
pub(super) fn turn_macs<const LEN: usize>(front: &mut [u8; LEN], mac: u64) {
    let peer = front.load64::<6>() & MAC_MASK;
    front.store::<0, 8>((peer | mac << 48).to_le_bytes());
    let [a, b, c, d, ..] = (mac >> 16).to_le_bytes();
    front.store::<8, 4>([a, b, c, d]);
}

/// Writes what is behind the addresses of the link. I22: TTL 64. The identification is 0 and DF is set: an atomic datagram (RFC
/// 6864 4), as Linux sends it.
#[inline(always)]
pub(super) fn compose_rest(head: &mut [u8; HEAD], addrs: u64, udp_len: u16) {
    let ports = head.load32::<34>();
    let (total_len, checksum) = computed(addrs, udp_len);
    let checksum = u64::from(checksum);
    head.store::<12, 8>((0x0045_0008 | u64::from(total_len) << 32).to_le_bytes());
    let flags_ttl_sum = (0x1140_0040 | checksum << 32).to_le_bytes();
    let [a, b, c, d, e, f, ..] = flags_ttl_sum;
    head.store::<20, 6>([a, b, c, d, e, f]);
    head.store::<26, 8>(addrs.to_le_bytes());
    head.store::<34, 4>(ports.rotate_left(16).to_le_bytes());
}
