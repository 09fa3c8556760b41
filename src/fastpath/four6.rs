//! The same for four plain IPv6 datagrams to one of our addresses.

use super::accept::{Lookup, Sink, rest_of};
use super::accept6::{self, Memo6, is_ipv6};
use super::dispatch::Level;
use super::four::{Found4, is_summed};
use super::head::Words;
use super::view6::Addr6;
use super::wide::{Four, Fronts6, Heads6, UDP_IN_FRONT, Wide};
use crate::io::{Drain, PacketBuf, Parts, PayloadSum};

/// Sorts fours of a burst as long as they are alike. Returns how many bytes they were.
// Into its one caller, which is compiled for what `wide` does.
#[inline(always)]
pub(super) fn burst<B: PacketBuf, W: Wide>(
    level: Level,
    wide: W,
    packets: &mut Drain<'_, B>,
    lookup: Lookup<'_>,
    memo: &mut Memo6,
    sink: &mut impl Sink<B>,
) -> u64 {
    // To whichever of our addresses the first is.
    let first = packets.next_four().and_then(|[first, ..]| first.data().first_chunk::<54>());
    let Some(first) = first.filter(|first| is_ipv6(*first)) else { return 0 };
    let dst = [first.load64::<38>(), first.load64::<46>()];
    if !lookup.view.v6.is_on() || !lookup.view.v6.is_own(dst) {
        return 0;
    }
    let mut heads = Heads6::of(lookup.view, dst);
    let parts = Parts::new(14, 54, 0).over_ipv6(true).on(lookup.interface.id).with_sum(PayloadSum::Valid);
    let mut bytes = 0;
    while let Some(four) = packets.next_four() {
        packets.four_behind().into_iter().flatten().for_each(PacketBuf::prefetch);
        match accept(level, wide, four, (&mut heads, dst), parts, lookup, memo) {
            Some(found) => bytes += found.deliver(packets, sink),
            None => break,
        }
    }
    bytes
}

/// The parts of four datagrams, if each of them is a plain one to `dst`, an address of ours, with nothing wrong and a socket. `None`
/// says nothing: then each has to be looked at.
#[inline(always)]
fn accept<B: PacketBuf, W: Wide>(
    level: Level,
    wide: W,
    bufs: [&B; 4],
    (heads, dst): (&mut Heads6, Addr6),
    parts: Parts,
    lookup: Lookup<'_>,
    memo: &mut Memo6,
) -> Option<Found4> {
    let are_plain = B::are_plain(bufs);
    if !are_plain && !bufs.into_iter().all(is_summed::<B, false>) {
        return None;
    }
    let frames = bufs.map(B::data);
    let [a, b, c, d] = frames;
    let fronts = [a.first_chunk()?, b.first_chunk()?, c.first_chunk()?, d.first_chunk()?];
    let lens = frames.map(|frame| u32::try_from(frame.len()).unwrap_or(u32::MAX));
    let four = wide.heads6(&fronts, lens, heads)?;
    let rests = if four.is_long && are_plain { rests_of(level, frames, &four) } else { [0; 4] };
    let is_own = |front: &&[u8; 80]| lookup.view.v6.is_own([front.load64::<22>(), front.load64::<30>()]);
    if fronts.iter().any(is_own) || are_plain && !wide.are_whole6(&fronts, &four, rests) {
        return None;
    }
    let bytes = lens.into_iter().sum();
    let parts = parts.whole_frame(four.are_whole_frames);
    let with_len = |parts: Parts, len: u32| parts.or_len(u16::try_from(len).unwrap_or_default());
    if four.are_to_port {
        let common = parts.for_socket(memo.socket);
        return Some(Found4 { parts: four.udp_lens.map(|len| with_len(common, len)), bytes });
    }
    let parts = look_up_four(lookup, memo, &fronts, four.udp_lens.map(|len| with_len(parts, len)), dst)?;
    heads.udp_port = if memo.to == dst { memo.udp_port } else { u32::MAX };
    Some(Found4 { parts, bytes })
}

/// The parts of four datagrams to `dst` that are right, each with its own socket.
#[inline(never)]
fn look_up_four(
    lookup: Lookup<'_>,
    memo: &mut Memo6,
    fronts: &Fronts6<'_>,
    mut parts: [Parts; 4],
    dst: Addr6,
) -> Option<[Parts; 4]> {
    for (parts, front) in parts.iter_mut().zip(fronts) {
        let (src, ports) = ([front.load64::<22>(), front.load64::<30>()], front.load32::<54>());
        *parts = if memo.to == dst && memo.udp_port == ports >> 16 {
            parts.for_socket(memo.socket)
        } else {
            accept6::look_up(lookup, memo, (src, dst), lookup.view.mac, ports, *parts)?
        };
    }
    Some(parts)
}

/// The sums of what four datagrams have behind their fronts.
#[inline(never)]
fn rests_of(level: Level, frames: [&[u8]; 4], four: &Four) -> [u32; 4] {
    let mut rests = [0; 4];
    for ((rest, frame), len) in rests.iter_mut().zip(frames).zip(four.udp_lens) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > UDP_IN_FRONT {
            *rest = u32::from(rest_of(level, frame.get(54..).unwrap_or_default(), len).fold().swap_bytes());
        }
    }
    rests
}
