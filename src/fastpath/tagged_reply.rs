//! A reply on a VLAN, composed in place where the tag stays where it was: in the frame, or with the device.

use super::accept6::HEAD6;
use super::head::Words;
use super::reply::{self, answerable, turn_macs};
use super::reply6::{self, Ends, ends};
use super::{HEAD, LINK, Tagged, View, layers};
use crate::io::{PacketBuf, Parts, PayloadSum};
use crate::stack::interface::Interfaces;
use crate::wire::ethernet::{ETHERTYPE_VLAN, MIN_FRAME};
use crate::wire::vlan::TAG_LEN;

/// As its like for what has no tag, which has handed this on.
// U21, RFC 1122 4.1.3.5: from the address that was asked. E12, 802.1Q: with the tag of the interface, and priority 0.
#[inline(never)]
pub(super) fn in_place<B: PacketBuf>(buf: &mut B, parts: Parts, view: &View, _: &Interfaces) -> bool {
    let Some(tagged) = view.tagged.iter().find(|tagged| tagged.id == parts.interface()) else { return false };
    let is_in_frame = parts.l3() == LINK + TAG_LEN;
    // One that the device took off and does not put in again, or the other way round, moves the rest of the frame.
    if is_in_frame == tagged.inserts {
        return false;
    }
    let turned = match (parts.is_ipv6(), is_in_frame) {
        (false, true) => turn::<B, TAG_LEN>(buf, parts, tagged),
        (false, false) => turn::<B, 0>(buf, parts, tagged),
        (true, true) => turn6::<B, TAG_LEN>(buf, parts, tagged),
        (true, false) => turn6::<B, 0>(buf, parts, tagged),
    };
    turned.unwrap_or(false)
}

/// What is plain, and was sent to us alone, with a tag of `tag` bytes and a network header of `network`.
const fn unicast(tag: usize, network: usize) -> Parts {
    let (l3, l4) = layers(tag, network);
    Parts::new(l3, l4, 0).tagged(true).with_sum(PayloadSum::Valid)
}

fn turn<B: PacketBuf, const TAG: usize>(buf: &mut B, parts: Parts, tagged: &Tagged) -> Option<bool> {
    if !parts.is_shaped_like(const { unicast(TAG, 20) }) {
        return None;
    }
    let addrs = answerable(buf.data().get(TAG..)?.first_chunk()?, parts, &tagged.view)?;
    let len = turn_link::<B, TAG>(buf, tagged)?;
    let head: &mut [u8; HEAD] = buf.unique()?.get_mut(TAG..)?.first_chunk_mut()?;
    reply::compose_rest(head, addrs.rotate_left(32), parts.udp_len());
    let (end, min) = (34 + TAG + usize::from(parts.udp_len()), MIN_FRAME + TAG);
    Some(end == len && len >= min || reply::trim(buf, end, min))
}

fn turn6<B: PacketBuf, const TAG: usize>(buf: &mut B, parts: Parts, tagged: &Tagged) -> Option<bool> {
    if !parts.is_shaped_like(const { unicast(TAG, 40).over_ipv6(true) }) {
        return None;
    }
    let view = &tagged.view;
    let Ends { peer, asked, ports } = ends(buf.data().get(TAG..)?.first_chunk()?, parts, view)?;
    let len = turn_link::<B, TAG>(buf, tagged)?;
    let head: &mut [u8; HEAD6] = buf.unique()?.get_mut(TAG..)?.first_chunk_mut()?;
    reply6::compose_rest(head, view, (asked, peer), ports, parts.udp_len());
    // Even without a payload that is more than the least frame but for its tag: 66 bytes, and 62 without.
    let end = 54 + TAG + usize::from(parts.udp_len());
    Some(end == len || reply6::trim(buf, end))
}

/// Turns the addresses of the link round, and sees to the tag. Returns the length of the frame. `None`, and nothing changed, if the
/// buffer is shared or the tag cannot be inserted.
#[inline(always)]
fn turn_link<B: PacketBuf, const TAG: usize>(buf: &mut B, tagged: &Tagged) -> Option<usize> {
    if TAG == 0 && !buf.set_tx_vlan(Some(tagged.vid.get())) {
        return None;
    }
    let frame = buf.unique()?;
    let len = frame.len();
    let front: &mut [u8; LINK + TAG_LEN] = frame.first_chunk_mut()?;
    turn_macs(front, tagged.view.mac);
    if TAG != 0 {
        let ([a, b], [c, d]) = (ETHERTYPE_VLAN.to_be_bytes(), tagged.vid.get().to_be_bytes());
        front.store::<12, 4>([a, b, c, d]);
    }
    Some(len)
}
