//! The short way: a burst of whole datagrams that are all answered with what they carry.
//!
//! What is common to a busy echo: every datagram at the front of a burst is whole, sent to us alone, and for one service, which needs to
//! know no more than ports to say that it answers them all as they came. Then there is no need to make datagrams of them: they are turned
//! round where they lie, and their array goes to the transmit burst. Whatever is otherwise takes the way of all datagrams, with the
//! same result.

use super::View;
use super::accept::Sink;
use super::accept6::HEAD6;
use super::found::Found;
use super::four::bytes_of;
use super::look_up::LookedUp;
use super::reply::{self, turn_four4, turn_four6};
use super::reply6::{self, label_hash};
use super::view6::View6;
use super::wide::Wide;
use crate::io::{PacketBuf, Parts, UdpPorts};
use crate::stack::port_table::SocketId;

/// Whole datagrams at the front of a burst, each to one of our addresses, with a socket, and with room for its answer on every path.
#[derive(Clone, Copy, Debug)]
pub struct Alikes<'a> {
    /// Their UDP ports.
    pub ports: UdpPorts<'a>,
    /// Their sockets.
    pub sockets: &'a [SocketId],
    /// The one socket of all; `None`: there may be several.
    pub socket: Option<SocketId>,
}

impl<'a> Alikes<'a> {
    #[inline(always)]
    fn of(found: &'a Found, looked_up: &LookedUp, count: usize) -> Self {
        let (ports, sockets) = found.looked_up(count);
        let socket = (!looked_up.is_mixed).then_some(looked_up.first);
        Self { ports: UdpPorts::new(ports), sockets, socket }
    }
}

/// Turns the datagrams in `slots`, which have so many `bytes`, where they lie, if `sink` says that they are answered as they came; up to
/// the number `v4` they are of IPv4, and behind it of IPv6. Returns how many it turned.
#[inline(always)]
pub(super) fn echo<B: PacketBuf, W: Wide>(
    wide: W,
    slots: &mut [Option<B>],
    (v4, bytes): (usize, u64),
    looked_up: &LookedUp,
    found: &mut Found,
    view: &View,
    sink: &mut impl Sink<B>,
) -> usize {
    // The sink is asked of fours, and of nothing else: what it says of them is what becomes of them.
    let (found_all, all) = (slots.len(), slots.len() / 4 * 4);
    let v4 = v4.min(all);
    let (words4, words6) = (found.words(0..v4), found.words(v4..all));
    if all == 0
        || !are_whole(words4, reply::WHOLE, view.udp_len_max)
        || !are_whole(words6, reply6::WHOLE, view.v6.udp_len_max)
        || !sink.echoes(&Alikes::of(found, looked_up, all))
    {
        return 0;
    }
    let Some((slots4, slots6)) = slots.get_mut(..all).and_then(|slots| slots.split_at_mut_checked(v4)) else {
        return 0;
    };
    let mut turned = wide.turn4(slots4, found, view);
    if turned == v4 && !slots6.is_empty() {
        let words = found.words(v4..all);
        turned += if found.several6() {
            wide.turn6::<B, true>(slots6, words, &view.v6)
        } else {
            wide.turn6::<B, false>(slots6, words, &view.v6)
        };
    }
    let Some(slots) = slots.get_mut(..turned) else { return 0 };
    let bytes = if turned == found_all { bytes } else { bytes_of(slots, turned) };
    sink.echoed(slots, &Alikes::of(found, looked_up, turned), bytes);
    turned
}

/// Whether all are of the shape of `whole`, and none is longer than `len_max`.
// An answer larger than the link is not sent.
#[inline(always)]
fn are_whole(words: &[u64], whole: Parts, len_max: u16) -> bool {
    let (any, all) = words.iter().fold((0, u64::MAX), |(any, all), word| (any | word, all & word));
    let unlike = ((any ^ whole.word()) | (all ^ whole.word())) & Parts::SHAPE;
    // The bits of all lengths together: none of them is longer.
    words.is_empty() || unlike == 0 && any & Parts::LEN <= u64::from(len_max)
}

/// Turns fours as long as nobody else has a handle to one of them, by an expression that is `None` where that cannot be. How many packets. A
/// macro, as what it does in between is to be a part of the function that it is in, whatever else that has.
// U13: what others read is not written to.
macro_rules! turn {
    ($slots:expr, $words:expr, |$frames:pat_param, $parts:pat_param| $turn_four:expr) => {{
        let mut turned = 0;
        for (four, words) in $slots.as_chunks_mut::<4>().0.iter_mut().zip($words.as_chunks::<4>().0) {
            let [Some(a), Some(b), Some(c), Some(d)] = four else { break };
            let Some($frames) = B::unique_four([a, b, c, d]) else { break };
            let $parts = words.map(|word| Parts::from_word(word, 0, 0));
            let done: Option<_> = $turn_four;
            if done.is_none() {
                break;
            }
            turned += 4;
        }
        turned
    }};
}

/// The front of each.
#[inline(always)]
fn fronts_of<const LEN: usize>([a, b, c, d]: [&mut [u8]; 4]) -> Option<[&mut [u8; LEN]; 4]> {
    Some([a.first_chunk_mut()?, b.first_chunk_mut()?, c.first_chunk_mut()?, d.first_chunk_mut()?])
}

/// Turns fours of IPv4 round. Returns how many packets.
#[inline(always)]
pub(super) fn turn4<B: PacketBuf, W: Wide>(
    wide: W,
    slots: &mut [Option<B>],
    found: &mut Found,
    view: &View,
) -> usize {
    let count = slots.len();
    if !W::HAS_LINES {
        return turn!(slots, found.words(0..count), |frames, parts| turn_four4(wide, frames, parts, view));
    }
    let line = &view.heads.line;
    found.work_out_checksums(count, line);
    let mut checksums = found.checksums();
    turn!(slots, found.words(0..count), |frames, _| {
        if let (Some(fronts), Some(checksums)) = (fronts_of(frames), checksums.next()) {
            wide.turn_found(fronts, checksums, line);
            Some(())
        } else {
            None
        }
    })
}

/// Turns fours of IPv6 round, which were all sent to one of our addresses, unless `SEVERAL`. Returns how many packets.
// V13, RFC 6437 3: the label of the answer's flow, not the request's.
#[inline(always)]
pub(super) fn turn6<B: PacketBuf, W: Wide, const SEVERAL: bool>(
    wide: W,
    slots: &mut [Option<B>],
    words: &[u64],
    view: &View6,
) -> usize {
    let first = slots.first().and_then(Option::as_ref).and_then(|buf| buf.data().first_chunk::<HEAD6>());
    let Some(labels) = first.map(|head| view.labels_for(head)) else { return 0 };
    if !W::HAS_LINES {
        let labels = |head: &[u8; HEAD6]| if SEVERAL { view.labels_for(head) } else { labels.clone() };
        return turn!(slots, words, |frames, parts| turn_four6(wide, frames, parts, view, labels));
    }
    let line = &view.line;
    turn!(slots, words, |frames, _| {
        if let Some(fronts) = fronts_of(frames) {
            let hashes = if SEVERAL {
                fronts.each_ref().map(|front| label_hash(front, &view.labels_for(front)))
            } else {
                fronts.each_ref().map(|front| label_hash(front, &labels))
            };
            wide.turn_found6(fronts, hashes, line);
            Some(())
        } else {
            None
        }
    })
}
