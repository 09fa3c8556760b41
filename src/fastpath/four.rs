//! Four plain datagrams at once: one compare for all that is known of their heads, one addition for all their sums.
//!
//! A burst is gone through in stages: all fours are looked at, then all sockets are looked up, then all datagrams are delivered. Each stage
//! is a loop over columns ([`Found`]) that is short enough to keep what it needs in registers.

use super::View;
use super::accept::{Lookup, Sink};
use super::accept6::is_ipv6;
use super::alikes;
use super::found::{Found, Places};
use super::head::Words;
use super::level::Level;
use super::look_up::look_up;
use super::view6::View6;
use super::wide::{FRONT, FRONT6, Sums, Wide};
use crate::io::{Alike, ChecksumStatus, Drain, PacketBuf};

/// Packets at the front of a burst, and bytes in them.
#[derive(Clone, Copy)]
pub(super) struct Front {
    pub(super) count: usize,
    pub(super) bytes: u64,
}

/// Delivers the front of `packets`, as long as all are plain datagrams to one address of ours with nothing wrong and a socket: of
/// IPv4, and then of IPv6. Returns how many bytes they were.
// Into its one caller, which is compiled for what `wide` does.
#[inline(always)]
pub(super) fn burst<B: PacketBuf, W: Wide>(
    level: Level,
    wide: W,
    packets: &mut Drain<'_, B>,
    alike: Alike,
    lookup: Lookup<'_>,
    found: &mut Found,
    sink: &mut impl Sink<B>,
) -> u64 {
    let slots = packets.as_slice();
    let v4 = wide.find(level, slots, alike, lookup.view, found);
    let all = if slots.len() < v4.count + 4 {
        v4
    } else {
        let view = &lookup.view.v6;
        let one = wide.find6::<B, false>(level, slots, alike, view, v4, found);
        // They may have ended for that alone that the next one is to another address of ours.
        let all = if view.has_several && slots.len() >= one.count + 4 {
            wide.find6::<B, true>(level, slots, alike, view, one, found)
        } else {
            one
        };
        found.set_several6(all.count > one.count);
        all
    };
    if all.count == 0 {
        return 0;
    }
    let looked_up = look_up(slots, lookup, (v4.count, all.count), found);
    // What has no socket is looked at alone, and so is whatever follows it.
    let bytes = if looked_up.count == all.count { all.bytes } else { bytes_of(slots, looked_up.count) };
    let front = packets.front(looked_up.count);
    let echoed = alikes::echo(wide, front, (v4.count, bytes), &looked_up, found, lookup.view, sink);
    if echoed < front.len() {
        let left = front.iter_mut().zip(found.parts()).skip(echoed);
        sink.deliver_all(left, (looked_up.first, looked_up.is_mixed || echoed > 0));
    }
    bytes
}

#[cold]
pub(super) fn bytes_of<B: PacketBuf>(slots: &[Option<B>], count: usize) -> u64 {
    slots.iter().take(count).flatten().map(|buf| buf.data().len() as u64).sum()
}

/// How many packets at the front of `slots` are plain IPv4 to our MAC and address, with nothing wrong: a multiple of four. `SEVERAL`: we
/// have several addresses, and each may be to another.
#[inline(always)]
pub(super) fn find<B: PacketBuf, W: Wide, const SEVERAL: bool>(
    level: Level,
    wide: W,
    slots: &[Option<B>],
    alike: Alike,
    view: &View,
    found: &mut Found,
) -> Front {
    let heads = &view.heads;
    each_four(slots, Front { count: 0, bytes: 0 }, found, |bufs, places| {
        let sums = sums::<B, true>(alike, bufs)?;
        let frames = bufs.map(B::data);
        let [a, b, c, d] = frames;
        let fronts: [&[u8; FRONT]; 4] =
            [a.first_chunk()?, b.first_chunk()?, c.first_chunk()?, d.first_chunk()?];
        if SEVERAL && !are_between(fronts, view) {
            return None;
        }
        wide.four::<SEVERAL>(level, frames, fronts, sums, heads, places).then(|| bytes_in(frames))
    })
}

/// Whether each is to one of our addresses, and from none of them or their broadcasts. All are looked at, whatever the first says.
#[inline(always)]
fn are_between(fronts: [&[u8; FRONT]; 4], view: &View) -> bool {
    let mut are = true;
    for front in &fronts {
        let (src, dst) = (front.load32::<26>(), front.load32::<30>());
        are &= view.several.contains(dst) & !view.no_sources.contains(src);
    }
    are
}

/// The same behind `before`, of plain IPv6 to whichever of our addresses the first of them is; `SEVERAL`: to any of them.
#[inline(always)]
pub(super) fn find6<B: PacketBuf, W: Wide, const SEVERAL: bool>(
    level: Level,
    wide: W,
    slots: &[Option<B>],
    alike: Alike,
    view: &View6,
    before: Front,
    found: &mut Found,
) -> Front {
    let first = slots.get(before.count).and_then(Option::as_ref).map(B::data);
    let Some(first) = first.filter(|frame| is_ipv6(frame)) else { return before };
    let Some(first) = first.first_chunk().filter(|first| is_to_us(first, view)) else { return before };
    each_four(slots, before, found, |bufs, places| {
        let sums = sums::<B, false>(alike, bufs)?;
        let frames = bufs.map(B::data);
        let [a, b, c, d] = frames;
        let fronts: [&[u8; FRONT6]; 4] =
            [a.first_chunk()?, b.first_chunk()?, c.first_chunk()?, d.first_chunk()?];
        if SEVERAL && !are_to_us(fronts, view) {
            return None;
        }
        wide.four6::<SEVERAL>(level, frames, fronts, sums, (view, first), places).then(|| bytes_in(frames))
    })
}

/// Whether each is to one of our addresses. All are looked at, whatever the first says.
#[inline(always)]
fn are_to_us(fronts: [&[u8; FRONT6]; 4], view: &View6) -> bool {
    let mut are = true;
    for front in &fronts {
        are &= view.own.contains([front.load64::<38>(), front.load64::<46>()]);
    }
    are
}

/// Whether the frame is for an address of ours.
#[inline(always)]
fn is_to_us(front: &[u8; FRONT6], view: &View6) -> bool {
    view.is_on() && view.is_own([front.load64::<38>(), front.load64::<46>()])
}

/// Goes through the fours of `slots` behind `before`, as long as `check` says how many bytes they are.
#[inline(always)]
fn each_four<B>(
    slots: &[Option<B>],
    before: Front,
    found: &mut Found,
    mut check: impl FnMut([&B; 4], Places<'_>) -> Option<u64>,
) -> Front {
    let mut front = before;
    let rest = slots.get(before.count..).unwrap_or_default();
    for (four, places) in rest.as_chunks::<4>().0.iter().zip(found.places(before.count / 4)) {
        let [Some(a), Some(b), Some(c), Some(d)] = four else { break };
        let Some(bytes) = check([a, b, c, d], places) else { break };
        front = Front { count: front.count + 4, bytes: front.bytes + bytes };
    }
    front
}

#[inline(always)]
fn bytes_in(frames: [&[u8]; 4]) -> u64 {
    frames.map(|frame| frame.len() as u64).into_iter().sum()
}

/// What is to be summed of four packets; `None`: they are not alike. `IP`: IP has a checksum.
#[inline(always)]
fn sums<B: PacketBuf, const IP: bool>(alike: Alike, four: [&B; 4]) -> Option<Sums> {
    match alike {
        Alike::Plain => Some(Sums::All),
        Alike::Summed => Some(Sums::None),
        Alike::Unknown => {
            let [a, b, c, d] = four;
            sums_of::<B, IP>(a, b, c, d)
        }
    }
}

/// The same of what is not known to be alike: asked of each four.
#[cold]
#[inline(never)]
fn sums_of<B: PacketBuf, const IP: bool>(a: &B, b: &B, c: &B, d: &B) -> Option<Sums> {
    let four = [a, b, c, d];
    if B::are_plain(four) {
        return Some(Sums::All);
    }
    four.into_iter().all(is_summed::<B, IP>).then_some(Sums::None)
}

/// Whether a packet is plain but for the device's word that its checksums are right: that of UDP, and if `IP` that of IP.
#[inline(always)]
fn is_summed<B: PacketBuf, const IP: bool>(buf: &B) -> bool {
    let meta = buf.rx_meta();
    let is_good =
        meta.l4_checksum == ChecksumStatus::Good && (!IP || meta.ip_checksum == ChecksumStatus::Good);
    is_good && meta.stripped_tci.is_none() && buf.is_single_segment()
}
