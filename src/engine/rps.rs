//! Receive packet steering (RPS, Linux's name): many workers on a device that has fewer queues than they are.
//!
//! The first workers of the port have a queue pair each. Each of them computes the hash of every flow that it receives, keeps its
//! share, and hands the others theirs; what those send, they hand to the one whose transmit queue they use. The rings between them
//! hold as many packets as the queues would have descriptors that these workers do without; a full one is a full queue: it is
//! counted, and never waited for.
//!
//! A port that has queues for all its workers pays for none of this: see [`Intake::Queue`] and [`Exit::Queue`].

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

use super::counters::{Counter, Tally};
use crate::io::{Burst, DropReason, Nic, PacketBuf, RxQueue, TxQueue, Waker};
use crate::stack::flow_hash::flow_hash;

/// Packets on their way to a worker. The two ends of its queue lie on cache lines of their own.
#[derive(Debug)]
pub struct Ring<B> {
    queue: Arc<ArrayQueue<B>>,
    waker: Waker,
}

impl<B> Clone for Ring<B> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), waker: self.waker.clone() }
    }
}

impl<B> Ring<B> {
    /// One of `len` packets to the worker that `waker` wakes.
    fn new(len: usize, waker: &Waker) -> Self {
        Self { queue: Arc::new(ArrayQueue::new(len.max(1))), waker: waker.clone() }
    }

    /// The next packet.
    #[inline]
    pub(super) fn pop(&self) -> Option<B> {
        self.queue.pop()
    }

    /// How many packets are in it.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// From where a worker receives on a port.
#[derive(Debug)]
pub enum Intake<N: Nic> {
    /// A queue, whose packets are all for this worker.
    Queue(N::Rx),
    /// A queue, of whose packets others have their share.
    Steers(Steering<N>),
    /// What others received for it.
    Steered(Ring<N::Buf>),
}

/// To where a worker sends on a port.
#[derive(Debug)]
pub enum Exit<N: Nic> {
    /// A queue of its own.
    Queue(N::Tx),
    /// A queue, by which it sends what others hand over, too.
    Shared(N::Tx, Ring<N::Buf>),
    /// The worker that has a queue.
    Ring(Ring<N::Buf>),
}

/// A receive queue, and the workers that have a share of it.
#[derive(Debug)]
pub struct Steering<N: Nic> {
    rx: N::Rx,
    /// The workers without a queue.
    others: Vec<Ring<N::Buf>>,
    /// How many workers have one.
    queues: usize,
    /// What stays here of a burst.
    kept: Burst<N::Buf>,
    secret: u64,
}

/// Packets that the rings of one worker hold: received, and to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingLens {
    /// On their way to it.
    pub rx: usize,
    /// From it.
    pub tx: usize,
}

/// What each worker of a port receives from and sends to, given who wakes it, on a device with these queue pairs: if there are too few, the
/// first workers have them. `secret` is to be chance, and nobody else's.
#[must_use]
pub fn share<N: Nic>(
    pairs: Vec<(N::Rx, N::Tx)>,
    wakers: &[Waker],
    lens: RingLens,
    secret: u64,
) -> Vec<(Intake<N>, Exit<N>)> {
    let (queues, workers) = (pairs.len(), wakers.len());
    if queues >= workers || queues == 0 {
        return pairs
            .into_iter()
            .take(workers)
            .map(|(rx, tx)| (Intake::Queue(rx), Exit::Queue(tx)))
            .collect();
    }
    let (with_queue, without) = wakers.split_at(queues);
    let to_others: Vec<Ring<N::Buf>> = without.iter().map(|waker| Ring::new(lens.rx, waker)).collect();
    let senders_of = |queue: usize| (queues..workers).filter(|worker| worker % queues == queue).count();
    let to_queues = with_queue.iter().enumerate();
    let to_queues: Vec<_> =
        to_queues.map(|(queue, waker)| Ring::new(lens.tx * senders_of(queue), waker)).collect();
    let mut ends: Vec<_> = (pairs.into_iter().zip(&to_queues))
        .map(|((rx, tx), from_others)| {
            let steering = Steering { rx, others: to_others.clone(), queues, kept: Burst::new(), secret };
            (Intake::Steers(steering), Exit::Shared(tx, from_others.clone()))
        })
        .collect();
    for (worker, to_it) in (queues..workers).zip(&to_others) {
        if let Some(to_queue) = to_queues.get(worker % queues) {
            ends.push((Intake::Steered(to_it.clone()), Exit::Ring(to_queue.clone())));
        }
    }
    ends
}

impl<N: Nic> Intake<N> {
    /// Adds up to `max` packets for this worker to the empty `burst`. Returns how many there were, those for others included.
    #[inline]
    pub(super) fn rx_burst(&mut self, burst: &mut Burst<N::Buf>, max: usize, tally: &mut Tally) -> usize {
        match self {
            Self::Queue(rx) => {
                let received = rx.rx_burst(burst, max);
                if received > 0 {
                    tally.add(Counter::Rx, received as u64);
                }
                received
            }
            Self::Steers(steering) => steering.rx_burst(burst, max, tally),
            Self::Steered(ring) => take(ring, burst, max, tally),
        }
    }

    pub(super) fn pause(&mut self) {
        match self {
            Self::Queue(rx) | Self::Steers(Steering { rx, .. }) => rx.pause(),
            Self::Steered(_) => {}
        }
    }

    pub(super) fn resume(&mut self) {
        match self {
            Self::Queue(rx) | Self::Steers(Steering { rx, .. }) => rx.resume(),
            Self::Steered(_) => {}
        }
    }

    /// Before its worker sleeps: see [`RxQueue::arm`]. Who hands over wakes whom it hands over to.
    pub(super) fn arm(&mut self) -> bool {
        match self {
            Self::Queue(rx) | Self::Steers(Steering { rx, .. }) => rx.arm(),
            Self::Steered(_) => true,
        }
    }

    /// After its worker slept.
    pub(super) fn disarm(&mut self) {
        match self {
            Self::Queue(rx) | Self::Steers(Steering { rx, .. }) => rx.disarm(),
            Self::Steered(_) => {}
        }
    }

    /// The ring of what others received for this worker.
    pub(super) fn steered(&self) -> Option<&Ring<N::Buf>> {
        if let Self::Steered(ring) = self { Some(ring) } else { None }
    }

    /// The last turn: what others received for this worker is looked at no more.
    pub(super) fn give_up(&self, tally: &mut Tally) {
        if let Self::Steered(ring) = self {
            while ring.pop().is_some() {
                tally.add(Counter::HandedIn, 1);
                tally.drop(DropReason::Stopping);
            }
        }
    }
}

impl<N: Nic> Steering<N> {
    #[inline(never)]
    fn rx_burst(&mut self, burst: &mut Burst<N::Buf>, max: usize, tally: &mut Tally) -> usize {
        let received = self.rx.rx_burst(burst, max);
        if received == 0 {
            return 0;
        }
        tally.add(Counter::Rx, received as u64);
        let mut handed_out = 0;
        for buf in burst.drain() {
            let way = flow_hash(buf.data(), self.secret).and_then(|hash| self.way(hash));
            let Some(way) = way else {
                // NOTE(push): a burst has room for what was in another.
                let _ = self.kept.push(buf);
                continue;
            };
            match way.queue.push(buf) {
                Ok(()) => handed_out += 1,
                Err(refused) => {
                    // Whoever looks at a packet counts its bytes.
                    tally.add(Counter::RxBytes, refused.frame_len() as u64);
                    tally.drop(DropReason::RpsQueueFull);
                }
            }
        }
        core::mem::swap(burst, &mut self.kept);
        if handed_out > 0 {
            tally.add(Counter::HandedOut, handed_out);
            // Once for all that they were given: who was given nothing looks once more, and sleeps on.
            self.others.iter().filter(|other| !other.queue.is_empty()).for_each(|other| other.waker.wake());
        }
        received
    }

    /// The way to the worker that has the flows of this hash; `None`: here.
    ///
    /// Each worker has an equal part of the range of hashes. Those that have a queue keep all of theirs, whoever of them received it.
    #[inline]
    fn way(&self, hash: u64) -> Option<&Ring<N::Buf>> {
        let workers = self.queues + self.others.len();
        let worker = (u128::from(hash) * workers as u128) >> 64;
        self.others.get(usize::try_from(worker).ok()?.checked_sub(self.queues)?)
    }
}

#[inline(never)]
fn take<B>(ring: &Ring<B>, burst: &mut Burst<B>, max: usize, tally: &mut Tally) -> usize {
    let mut taken = 0;
    while taken < max
        && let Some(buf) = ring.pop()
    {
        // NOTE(push): it was empty, and `max` is no more than it holds.
        let _ = burst.push(buf);
        taken += 1;
    }
    if taken > 0 {
        tally.add(Counter::HandedIn, taken as u64);
    }
    taken
}

impl<N: Nic> Exit<N> {
    /// Sends from the front of `burst`, of which the rest is refused. Returns how many were sent, and how many were handed to the
    /// worker that sends them.
    #[inline]
    pub(super) fn tx_burst(&mut self, burst: &mut Burst<N::Buf>) -> (usize, usize) {
        match self {
            Self::Queue(tx) | Self::Shared(tx, _) => (tx.tx_burst(burst), 0),
            Self::Ring(ring) => (0, hand_over(ring, burst)),
        }
    }

    /// The ring of what others hand over, if there is something in it.
    #[inline]
    pub(super) fn handed_over(&self) -> Option<&Ring<N::Buf>> {
        if let Self::Shared(_, ring) = self { Some(ring).filter(|ring| !ring.queue.is_empty()) } else { None }
    }

    pub(super) fn pause(&mut self) {
        match self {
            Self::Queue(tx) | Self::Shared(tx, _) => tx.pause(),
            Self::Ring(_) => {}
        }
    }

    pub(super) fn resume(&mut self) {
        match self {
            Self::Queue(tx) | Self::Shared(tx, _) => tx.resume(),
            Self::Ring(_) => {}
        }
    }
}

/// Moves all of `burst` to `ring` that it has room for. Returns how many.
#[inline(never)]
fn hand_over<B>(ring: &Ring<B>, burst: &mut Burst<B>) -> usize {
    let len = burst.len();
    let mut refused = Burst::new();
    for buf in burst.drain() {
        if let Err(buf) = ring.queue.push(buf) {
            // NOTE(push): a burst has room for what was in another.
            let _ = refused.push(buf);
        }
    }
    let handed_over = len - refused.len();
    if handed_over > 0 {
        ring.waker.wake();
    }
    *burst = refused;
    handed_over
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::io::{BufPool, Wake};
    use crate::sim::buf::SimPool;
    use crate::sim::frames::UdpFrame;
    use crate::sim::nic::{NicOptions, Reception, SimDevice, SimNic};

    const LENS: RingLens = RingLens { rx: 64, tx: 16 };

    /// What a worker receives from and sends to.
    type Ends = (Intake<SimNic>, Exit<SimNic>);

    /// A device with `queues` queues, shared by `workers` workers.
    fn shared(queues: u16, workers: usize) -> (SimDevice, SimPool, Vec<Ends>) {
        let pool = SimPool::new(512, 2048);
        let options = NicOptions { queues, ..NicOptions::default() };
        let (device, pairs, _port) = SimDevice::new(options, pool.clone());
        (device, pool, share(pairs, &vec![Waker::default(); workers], LENS, 0x1234_5679))
    }

    fn flow(port: u16) -> Vec<u8> {
        UdpFrame::new(&format!("198.18.0.9:{port}"), "198.18.0.2:7", b"x")
            .to_mac(NicOptions::default().mac)
            .frame()
    }

    #[test]
    fn queues_for_all_are_left_alone() {
        let (_device, _pool, ends) = shared(3, 2);
        assert_eq!(ends.len(), 2);
        assert!(ends.iter().all(|ends| matches!(ends, (Intake::Queue(_), Exit::Queue(_)))));
    }

    // Every flow has one worker, and every worker its share of flows, whoever has the queues.
    #[test]
    fn flows_are_shared_out_and_counted_at_both_ends() {
        for (queues, workers) in [(1, 2), (1, 4), (2, 3), (2, 5)] {
            let (device, pool, mut ends) = shared(queues, workers);
            let mut by_worker = vec![0u64; workers];
            let mut tallies = vec![Tally::default(); workers];
            for round in 0..2 {
                let mut seen = 0;
                for port in 0..1200u16 {
                    device.receive(&flow(port));
                    let mut burst = Burst::new();
                    for (worker, (intake, _)) in ends.iter_mut().enumerate() {
                        intake.rx_burst(&mut burst, 8, &mut tallies[worker]);
                        by_worker[worker] += burst.len() as u64;
                        seen += burst.drain().count();
                    }
                }
                assert_eq!(seen, 1200, "each is seen once, in round {round}");
                let all: Vec<_> = by_worker.iter().map(|n| n / (round + 1)).collect();
                let fair = 1200 / workers as u64;
                assert!(
                    all.iter().all(|n| (fair * 7 / 10..fair * 13 / 10).contains(n)),
                    "{queues} of {workers}: {all:?}"
                );
            }
            let sum = |counter| tallies.iter().map(|tally| tally.get(counter)).sum::<u64>();
            assert_eq!((sum(Counter::Rx), sum(Counter::HandedOut)), (2400, sum(Counter::HandedIn)));
            assert_eq!(pool.outstanding(), 0);
        }
    }

    // Q01: a full ring is a full queue, and its packets are counted.
    #[test]
    fn a_full_ring_drops_and_counts() {
        let (device, pool, mut ends) = shared(1, 2);
        let mut tally = Tally::default();
        let mut burst = Burst::new();
        let mine: Vec<_> = (0..2000u16).map(flow).collect();
        for frame in &mine {
            device.receive(frame);
            ends[0].0.rx_burst(&mut burst, 8, &mut tally);
            burst.drain().for_each(drop);
        }
        assert_eq!(tally.get(Counter::HandedOut), LENS.rx as u64);
        let kept =
            tally.get(Counter::Rx) - tally.get(Counter::HandedOut) - tally.drops(DropReason::RpsQueueFull);
        assert!((800..1200).contains(&kept), "{kept}");
        assert_eq!(pool.outstanding(), LENS.rx);
        let mut others = Tally::default();
        ends[1].0.give_up(&mut others);
        assert_eq!((others.get(Counter::HandedIn), others.drops(DropReason::Stopping)), (64, 64));
        assert_eq!(pool.outstanding(), 0);
    }

    /// Counts its wakes.
    #[derive(Debug, Default)]
    struct Bell(Arc<AtomicUsize>);

    impl Wake for Bell {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    // DESIGN.md 4: whoever sleeps is woken by what is handed over, once for a burst, and nobody is who was given nothing.
    #[test]
    fn a_sleeping_worker_is_woken_by_what_is_handed_over() {
        let pool = SimPool::new(512, 2048);
        let (device, pairs, _port) = SimDevice::new(NicOptions::default(), pool);
        let bells: Vec<_> = (0..3).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let wakers: Vec<_> = bells.iter().map(|bell| Waker::new(Box::new(Bell(Arc::clone(bell))))).collect();
        let mut ends: Vec<Ends> = share(pairs, &wakers, LENS, 0x1234_5679);
        let woken = || bells.iter().map(|bell| bell.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let (mut burst, mut tally) = (Burst::new(), Tally::default());
        let mut hand_over = |ends: &mut Vec<Ends>, worker: usize, count: usize| {
            // Flows of one worker alone.
            let theirs = |port: &u16| {
                let hash = flow_hash(&flow(*port), 0x1234_5679).unwrap();
                (u128::from(hash) * 3) >> 64 == worker as u128
            };
            (0..)
                .filter(theirs)
                .take(count)
                .for_each(|port| assert!(matches!(device.receive(&flow(port)), Reception::Queued(0))));
            ends[0].0.rx_burst(&mut burst, 32, &mut tally);
            burst.drain().for_each(drop);
        };
        hand_over(&mut ends, 2, 4);
        assert_eq!(woken(), [0; 3], "nobody sleeps");
        ends[2].0.rx_burst(&mut Burst::new(), 32, &mut Tally::default());
        wakers.iter().for_each(Waker::fall_asleep);
        hand_over(&mut ends, 0, 4);
        assert_eq!(woken(), [0; 3], "what stays wakes nobody");
        hand_over(&mut ends, 2, 4);
        assert_eq!(woken(), [0, 0, 1], "whose it is, once");
        let mut answers = Burst::new();
        ends[2].0.rx_burst(&mut answers, 32, &mut Tally::default());
        assert_eq!(ends[2].1.tx_burst(&mut answers), (0, 4));
        assert_eq!(woken()[0], 1, "who sends is woken by what others have to send");
    }

    #[test]
    fn what_a_worker_without_a_queue_sends_waits_at_the_one_with_it() {
        let (_device, pool, mut ends) = shared(1, 3);
        for worker in [1, 2] {
            let mut burst = Burst::new();
            for _ in 0..20 {
                burst.push(pool.alloc().unwrap()).unwrap();
            }
            let (sent, handed_over) = ends[worker].1.tx_burst(&mut burst);
            // There is room for both.
            assert_eq!((sent, handed_over, burst.len()), if worker == 1 { (0, 20, 0) } else { (0, 12, 8) });
        }
        let ring = ends[0].1.handed_over().unwrap();
        assert_eq!(core::iter::from_fn(|| ring.pop()).count(), 2 * LENS.tx);
        assert!(ends[0].1.handed_over().is_none() && ends[1].1.handed_over().is_none());
    }
}
