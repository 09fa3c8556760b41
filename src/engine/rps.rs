//! Receive packet steering (RPS, Linux's name): many workers on a device that has fewer queues than they are.
//!
//! The first workers of the port have a queue pair each. Each of them computes the hash of every flow that it receives, keeps its
//! share, and hands the others theirs; what those send, they hand to the one whose transmit queue they use. The rings between them
//! hold as many packets as the queues would have descriptors that these workers do without; a full one is a full queue: it is
//! counted, and never waited for.
//!
//! A port that has queues for all its workers pays for none of this: see [`Intake::Queue`] and [`Exit::Queue`].

mod ring;
mod steering;
#[cfg(test)]
mod tests;

use super::counters::{Counter, Tally};
use crate::io::{BURST_MAX, Burst, DropReason, Nic, RxQueue, TxQueue, Waker, at_one_time};
use ring::rings;
pub use ring::{Receiver, Sender};
pub use steering::Steering;

/// From where a worker receives on a port.
#[derive(Debug)]
pub enum Intake<N: Nic> {
    /// A queue, whose packets are all for this worker.
    Queue(N::Rx),
    /// A queue, of whose packets others have their share.
    Steers(Box<Steering<N>>),
    /// What others received for it.
    Steered(Receiver<N::Buf>),
}

/// To where a worker sends on a port.
#[derive(Debug)]
pub enum Exit<N: Nic> {
    /// A queue of its own.
    Queue(N::Tx),
    /// A queue, by which it sends what others hand over, too.
    Shared(N::Tx, Receiver<N::Buf>),
    /// The worker that has a queue.
    Ring(Sender<N::Buf>),
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
    // All that come to one worker hold together what its queue would.
    let to_others = without.iter().map(|waker| rings(queues, lens.rx / queues, waker));
    let (mut to_others, steered): (Vec<_>, Vec<_>) =
        to_others.map(|(senders, receiver)| (senders.into_iter(), receiver)).unzip();
    let senders_of = |queue| (queues..workers).filter(|worker| worker % queues == queue).count();
    let to_queues = with_queue.iter().enumerate();
    let to_queues = to_queues.map(|(queue, waker)| rings(senders_of(queue), lens.tx, waker));
    let (mut to_queues, handed_over): (Vec<_>, Vec<_>) =
        to_queues.map(|(senders, receiver)| (senders.into_iter(), receiver)).unzip();
    let mut ends: Vec<_> = (pairs.into_iter().zip(handed_over))
        .map(|((rx, tx), handed_over)| {
            let to_others = to_others.iter_mut().filter_map(Iterator::next).collect();
            let steering = Steering::new(rx, queues, to_others, secret);
            (Intake::Steers(Box::new(steering)), Exit::Shared(tx, handed_over))
        })
        .collect();
    for (worker, steered) in (queues..workers).zip(steered) {
        if let Some(to_queue) = to_queues.get_mut(worker % queues).and_then(Iterator::next) {
            ends.push((Intake::Steered(steered), Exit::Ring(to_queue)));
        }
    }
    ends
}

impl<N: Nic> Intake<N> {
    /// Adds packets for this worker to the empty `burst`, up to `max` in one call to the device, [at one time](at_one_time) up to twice
    /// that. Returns how many there were, those for others included.
    #[inline]
    pub(super) fn rx_burst(&mut self, burst: &mut Burst<N::Buf>, max: usize, tally: &mut Tally) -> usize {
        match self {
            Self::Queue(rx) => {
                let mut received = rx.rx_burst(burst, max);
                // A full burst is seldom the last. What is done once a burst is done once for both, and their answers leave together.
                if received == max && received < at_one_time(max) {
                    received += rx.rx_burst(burst, max);
                }
                if received > 0 {
                    tally.add(Counter::Rx, received as u64);
                }
                received
            }
            Self::Steers(steering) => steering.rx_burst(burst, max, tally),
            Self::Steered(from) => {
                let received = from.receive(burst, max);
                if received > 0 {
                    tally.add(Counter::HandedIn, received as u64);
                }
                received
            }
        }
    }

    pub(super) fn pause(&mut self) {
        match self {
            Self::Queue(rx) => rx.pause(),
            Self::Steers(steering) => steering.rx.pause(),
            Self::Steered(_) => {}
        }
    }

    pub(super) fn resume(&mut self) {
        match self {
            Self::Queue(rx) => rx.resume(),
            Self::Steers(steering) => steering.rx.resume(),
            Self::Steered(_) => {}
        }
    }

    /// Before its worker sleeps: see [`RxQueue::arm`]. Who hands over wakes whom it hands over to.
    pub(super) fn arm(&mut self) -> bool {
        match self {
            Self::Queue(rx) => rx.arm(),
            Self::Steers(steering) => steering.rx.arm(),
            Self::Steered(_) => true,
        }
    }

    /// After its worker slept.
    pub(super) fn disarm(&mut self) {
        match self {
            Self::Queue(rx) => rx.disarm(),
            Self::Steers(steering) => steering.rx.disarm(),
            Self::Steered(_) => {}
        }
    }

    /// Packets that others received for this worker, and that it has not taken yet.
    pub(super) fn handed_over(&self) -> usize {
        if let Self::Steered(from) = self { from.len() } else { 0 }
    }

    /// The last turn: what others received for this worker is looked at no more.
    pub(super) fn give_up(&mut self, tally: &mut Tally) {
        let Self::Steered(from) = self else { return };
        let mut burst = Burst::new();
        while from.receive(&mut burst, BURST_MAX) > 0 {
            for _given_up in burst.drain() {
                tally.add(Counter::HandedIn, 1);
                tally.drop(DropReason::Stopping);
            }
        }
    }
}

impl<N: Nic> Exit<N> {
    /// Sends from the front of `burst`, of which the rest is refused. Returns how many were sent, and how many were handed to the
    /// worker that sends them.
    #[inline]
    pub(super) fn tx_burst(&mut self, burst: &mut Burst<N::Buf>) -> (usize, usize) {
        match self {
            Self::Queue(tx) | Self::Shared(tx, _) => (tx.tx_burst(burst), 0),
            Self::Ring(to) => (0, hand_over(to, burst)),
        }
    }

    /// Adds up to `max` packets that others hand over at the end of `burst`. Returns how many.
    #[inline]
    pub(super) fn take_over(&mut self, burst: &mut Burst<N::Buf>, max: usize) -> usize {
        if let Self::Shared(_, from) = self { from.receive(burst, max) } else { 0 }
    }

    /// Whether others have handed something over.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        if let Self::Shared(_, from) = self { !from.is_empty() } else { false }
    }

    /// Packets that others have handed over.
    pub(super) fn handed_over(&self) -> usize {
        if let Self::Shared(_, from) = self { from.len() } else { 0 }
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

/// Moves all of `burst` to the worker at the other end of `to` that there is room for. Returns how many.
#[inline(never)]
fn hand_over<B>(to: &mut Sender<B>, burst: &mut Burst<B>) -> usize {
    let handed_over = to.send(burst.front_mut());
    burst.taken(handed_over);
    if handed_over > 0 {
        to.waker().wake();
    }
    handed_over
}
