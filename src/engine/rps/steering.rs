//! A receive queue of whose packets other workers have their share: a burst is sorted by worker, and each is given its part at once.

use super::ring::Sender;
use crate::engine::counters::{Counter, Tally};
use crate::io::{BURST_MAX, Burst, DropReason, Nic, PacketBuf, RxQueue, Waker};
use crate::stack::flow_hash::flow_hash;

/// A receive queue, and the workers that have a share of it.
#[derive(Debug)]
pub struct Steering<N: Nic> {
    pub(super) rx: N::Rx,
    /// The ways to the workers without a queue.
    others: Vec<Sender<N::Buf>>,
    /// How many workers have a queue.
    queues: usize,
    secret: u64,
    sorted: Sorted<N::Buf>,
}

/// What others have of a burst, by worker, in the order in which it was received: a counting sort.
#[derive(Debug)]
struct Sorted<B> {
    /// Whose each packet of the burst is, as an index into the others; or [`HERE`].
    whose: [u16; BURST_MAX],
    /// For each of the others: how many of the burst are its; then, where the next of them has its place.
    places: Vec<u8>,
    /// The others that have any, and how many: as they came up, so that those without cost nothing, however many they are.
    shares: [(u16, u8); BURST_MAX],
    sorted: [Option<B>; BURST_MAX],
}

/// Not anyone else's.
const HERE: u16 = u16::MAX;

impl<N: Nic> Steering<N> {
    /// Shares out what `rx` receives among `queues` workers that have a queue, and the `others`.
    pub(super) fn new(rx: N::Rx, queues: usize, others: Vec<Sender<N::Buf>>, secret: u64) -> Self {
        let sorted = Sorted {
            whose: [HERE; BURST_MAX],
            places: vec![0; others.len()],
            shares: [(0, 0); BURST_MAX],
            sorted: [const { None }; BURST_MAX],
        };
        Self { rx, others, queues, secret, sorted }
    }

    /// See [`Intake::rx_burst`](super::Intake::rx_burst).
    #[inline(never)]
    pub(super) fn rx_burst(&mut self, burst: &mut Burst<N::Buf>, max: usize, tally: &mut Tally) -> usize {
        let received = self.rx.rx_burst(burst, max);
        if received == 0 {
            return 0;
        }
        tally.add(Counter::Rx, received as u64);
        let others = self.find_owners(burst);
        if others > 0 {
            self.sorted.take_out(burst, others);
            self.hand_out(others, tally);
        }
        received
    }

    /// Finds out whose each packet is. Returns how many others have any.
    #[inline]
    fn find_owners(&mut self, burst: &Burst<N::Buf>) -> usize {
        let workers = self.queues + self.others.len();
        let Self { queues, secret, sorted: Sorted { whose, places, shares, .. }, .. } = self;
        let mut found = 0;
        for (buf, whose) in burst.iter().zip(whose) {
            *whose = HERE;
            let Some(hash) = flow_hash(buf.data(), *secret) else { continue };
            let Some(other) = other_of(hash, workers, *queues) else { continue };
            let Some(count) = places.get_mut(usize::from(other)) else { continue };
            *whose = other;
            if *count == 0 {
                // NOTE(get): a burst has no more owners than packets.
                if let Some(share) = shares.get_mut(found) {
                    *share = (other, 0);
                    found += 1;
                }
            }
            *count += 1;
        }
        found
    }

    /// Gives the first `others` of those that have a share theirs.
    #[inline]
    fn hand_out(&mut self, others: usize, tally: &mut Tally) {
        let Self { others: ways, sorted: Sorted { places, shares, sorted, .. }, .. } = self;
        let shares = shares.get(..others).unwrap_or_default();
        let (mut rest, mut handed_out) = (sorted.as_mut_slice(), 0);
        for (other, count) in shares {
            let Some((share, others)) = rest.split_at_mut_checked(usize::from(*count)) else { break };
            rest = others;
            if let (Some(way), Some(place)) =
                (ways.get_mut(usize::from(*other)), places.get_mut(usize::from(*other)))
            {
                *place = 0;
                handed_out += way.send(share) as u64;
            }
            // Q01: the newest find no room. Whoever looks at a packet counts its bytes.
            for refused in share.iter_mut().filter_map(Option::take) {
                tally.add(Counter::RxBytes, refused.frame_len() as u64);
                tally.drop(DropReason::RpsQueueFull);
            }
        }
        tally.add(Counter::HandedOut, handed_out);
        let woken = shares.iter().filter_map(|(other, _)| ways.get(usize::from(*other))).map(Sender::waker);
        Waker::wake_all(woken);
    }
}

impl<B> Sorted<B> {
    /// Takes what others have out of `burst`, of whom there are so many.
    #[inline]
    fn take_out(&mut self, burst: &mut Burst<B>, others: usize) {
        let Self { whose, places, shares, sorted } = self;
        let mut at = 0;
        for (other, count) in shares.iter_mut().take(others) {
            if let Some(place) = places.get_mut(usize::from(*other)) {
                *count = core::mem::replace(place, at);
                at += *count;
            }
        }
        let mut whose = whose.iter();
        burst.keep(|buf| {
            let place = whose.next().and_then(|other| places.get_mut(usize::from(*other)));
            let Some(place) = place else { return Some(buf) };
            // NOTE(get): there is one for each; what has none would stay here.
            let Some(slot) = sorted.get_mut(usize::from(*place)) else { return Some(buf) };
            *place += 1;
            slot.replace(buf)
        });
    }
}

/// Who has the flows of this hash, as an index into the workers behind the first `queues`; `None`: those.
///
/// Each worker has an equal part of the range of hashes. Those that have a queue keep all of theirs, whoever of them received it.
#[inline]
fn other_of(hash: u64, workers: usize, queues: usize) -> Option<u16> {
    let worker = (u128::from(hash) * workers as u128) >> 64;
    u16::try_from(usize::try_from(worker).ok()?.checked_sub(queues)?).ok()
}
