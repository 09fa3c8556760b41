//! Four plain IPv4 datagrams at once: one compare for all that is known of their heads, one addition for all their sums.

use super::HEAD;
use super::accept::{Lookup, Memo, Sink, rest_of, to_socket};
use super::dispatch::Level;
use super::head::Words;
use super::wide::{Four, Fronts, Heads, UDP_IN_FRONT, Wide};
use crate::io::{ChecksumStatus, Drain, PacketBuf, Parts};

/// Four datagrams that the fast path takes.
pub(super) struct Found4 {
    pub(super) parts: [Parts; 4],
    /// The sum of their frames' lengths.
    pub(super) bytes: u32,
}

impl Found4 {
    /// Delivers them. Returns how many bytes they were.
    #[inline(always)]
    pub(super) fn deliver<B>(self, packets: &mut Drain<'_, B>, sink: &mut impl Sink<B>) -> u64 {
        if let Some(bufs) = packets.take_four() {
            bufs.into_iter().zip(self.parts).for_each(|(buf, parts)| sink.deliver(buf, parts));
        }
        self.bytes.into()
    }
}

/// The parts of four datagrams, if each of them is a plain one to our MAC and primary address with nothing wrong and a socket.
/// `None` says nothing: then each has to be looked at.
#[inline(always)]
pub(super) fn accept<B: PacketBuf, W: Wide>(
    level: Level,
    wide: W,
    bufs: [&B; 4],
    heads: &mut Heads,
    lookup: Lookup<'_>,
    memo: &mut Memo,
) -> Option<Found4> {
    let are_plain = B::are_plain(bufs);
    if !are_plain && !bufs.into_iter().all(is_summed::<B, true>) {
        return None;
    }
    let frames = bufs.map(B::data);
    let [a, b, c, d] = frames;
    let fronts = [a.first_chunk()?, b.first_chunk()?, c.first_chunk()?, d.first_chunk()?];
    let lens = frames.map(|frame| u32::try_from(frame.len()).unwrap_or(u32::MAX));
    let four = wide.heads(&fronts, lens, heads)?;
    let rests = if four.is_long && are_plain { rests_of(level, frames, &four) } else { [0; 4] };
    if !heads.own.alone && fronts.iter().any(|front| lookup.view.is_of_others(front.load32::<26>()))
        || are_plain && !wide.are_whole(&fronts, &four, rests, heads)
    {
        return None;
    }
    let bytes = lens.into_iter().sum();
    let with_len = |parts: Parts, len: u32| parts.or_len(u16::try_from(len).unwrap_or_default());
    if four.are_to_port {
        let common = if four.are_whole_frames { memo.parts } else { memo.parts.whole_frame(false) };
        return Some(Found4 { parts: four.udp_lens.map(|len| with_len(common, len)), bytes });
    }
    let parts = look_up_four(lookup, memo, &fronts, &four)?;
    // Where it depends on the sender, or nothing is known, none is.
    heads.udp_port = u16::try_from(memo.udp_port).map_or(u32::MAX, |port| u32::from(port.swap_bytes()));
    Some(Found4 { parts, bytes })
}

/// Whether a packet is plain but for the device's word that its checksums are right: that of UDP, and if `IP` that of IP.
#[inline(always)]
pub(super) fn is_summed<B: PacketBuf, const IP: bool>(buf: &B) -> bool {
    let meta = buf.rx_meta();
    let is_good =
        meta.l4_checksum == ChecksumStatus::Good && (!IP || meta.ip_checksum == ChecksumStatus::Good);
    is_good && meta.stripped_tci.is_none() && buf.is_single_segment()
}

/// The sums of what four datagrams have behind their fronts.
#[inline(never)]
fn rests_of(level: Level, frames: [&[u8]; 4], four: &Four) -> [u32; 4] {
    let mut rests = [0; 4];
    for ((rest, frame), len) in rests.iter_mut().zip(frames).zip(four.udp_lens) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > UDP_IN_FRONT {
            *rest = u32::from(rest_of(level, frame.get(34..).unwrap_or_default(), len).fold().swap_bytes());
        }
    }
    rests
}

/// The parts of four datagrams that are right, each with its own socket.
#[inline(never)]
fn look_up_four(lookup: Lookup<'_>, memo: &mut Memo, fronts: &Fronts<'_>, four: &Four) -> Option<[Parts; 4]> {
    let mut found = [memo.parts; 4];
    for ((found, front), len) in found.iter_mut().zip(fronts).zip(four.udp_lens) {
        let (head, _) = front.split_first_chunk::<HEAD>()?;
        let udp_len = u16::try_from(len).ok()?;
        *found = to_socket(lookup, memo, head, udp_len, four.are_whole_frames)?;
    }
    Some(found)
}
