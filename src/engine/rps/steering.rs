//! A receive queue of whose packets other workers have their share: a burst is sorted by worker, and each is given its part at once.

use crossbeam::utils::CachePadded;

use super::ring::Sender;
use crate::engine::counters::{Counter, Tally};
use crate::io::{BURST_MAX, Burst, DropReason, Nic, PacketBuf, RxQueue, Waker};
use crate::stack::flow_hash::flow_hash;

/// A receive queue, and the workers that have a share of it. Its worker writes to all of it at every burst, and nobody else near it.
#[derive(Debug)]
#[repr(align(128))]
pub struct Steering<N: Nic> {
    pub(super) rx: N::Rx,
    /// The workers without a queue.
    others: Vec<CachePadded<Other<N::Buf>>>,
    /// How many workers have a queue.
    queues: usize,
    secret: u64,
    sorted: Sorted<N::Buf>,
}

/// A worker without a queue.
#[derive(Debug)]
struct Other<B> {
    way: Sender<B>,
    /// How many of the burst are its; then, where the next of them has its place.
    place: u8,
}

/// What others have of a burst, by worker, in the order in which it was received: a counting sort.
#[derive(Debug)]
struct Sorted<B> {
    /// Whose each packet of the burst is, as an index into the others; or [`HERE`].
    whose: [u16; BURST_MAX],
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
            shares: [(0, 0); BURST_MAX],
            sorted: [const { None }; BURST_MAX],
        };
        let others = others.into_iter().map(|way| CachePadded::new(Other { way, place: 0 })).collect();
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
            self.sorted.take_out(burst, &mut self.others, others);
            self.hand_out(others, tally);
        }
        received
    }

    /// Finds out whose each packet is. Returns how many others have any.
    #[inline]
    fn find_owners(&mut self, burst: &Burst<N::Buf>) -> usize {
        let workers = self.queues + self.others.len();
        let Self { others, queues, secret, sorted: Sorted { whose, shares, .. }, .. } = self;
        let mut found = 0;
        for (buf, whose) in burst.iter().zip(whose) {
            *whose = HERE;
            let Some(hash) = flow_hash(buf.data(), *secret) else { continue };
            let Some(other) = other_of(hash, workers, *queues) else { continue };
            let Some(to) = others.get_mut(usize::from(other)) else { continue };
            *whose = other;
            if to.place == 0 {
                // NOTE(get): a burst has no more owners than packets.
                if let Some(share) = shares.get_mut(found) {
                    *share = (other, 0);
                    found += 1;
                }
            }
            to.place += 1;
        }
        found
    }

    /// Gives the first `others` of those that have a share theirs.
    #[inline]
    fn hand_out(&mut self, others: usize, tally: &mut Tally) {
        let Self { others: all, sorted: Sorted { shares, sorted, .. }, .. } = self;
        let shares = shares.get(..others).unwrap_or_default();
        let (mut rest, mut handed_out) = (sorted.as_mut_slice(), 0);
        for (other, count) in shares {
            let Some((share, others)) = rest.split_at_mut_checked(usize::from(*count)) else { break };
            rest = others;
            if let Some(other) = all.get_mut(usize::from(*other)) {
                other.place = 0;
                handed_out += other.way.send(share) as u64;
            }
            // Q01: the newest find no room. Whoever looks at a packet counts its bytes.
            for refused in share.iter_mut().filter_map(Option::take) {
                tally.add(Counter::RxBytes, refused.frame_len() as u64);
                tally.drop(DropReason::RpsQueueFull);
            }
        }
        tally.add(Counter::HandedOut, handed_out);
        let woken = shares
            .iter()
            .filter_map(|(other, _)| all.get(usize::from(*other)))
            .map(|other| other.way.waker());
        Waker::wake_all(woken);
    }
}

impl<B> Sorted<B> {
    /// Takes what some of `all` others have out of `burst`: so many of them.
    #[inline]
    fn take_out(&mut self, burst: &mut Burst<B>, all: &mut [CachePadded<Other<B>>], some: usize) {
        let Self { whose, shares, sorted } = self;
        let mut at = 0;
        for (other, count) in shares.iter_mut().take(some) {
            if let Some(other) = all.get_mut(usize::from(*other)) {
                *count = core::mem::replace(&mut other.place, at);
                at += *count;
            }
        }
        let mut whose = whose.iter();
        burst.keep(|buf| {
            let other = whose.next().and_then(|other| all.get_mut(usize::from(*other)));
            let Some(other) = other else { return Some(buf) };
            // NOTE(get): there is one for each; what has none would stay here.
            let Some(slot) = sorted.get_mut(usize::from(other.place)) else { return Some(buf) };
            other.place += 1;
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
