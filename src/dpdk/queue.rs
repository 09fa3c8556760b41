//! Receive and transmit queues: one owner each, on one thread at a time.

use core::cell::Cell;
use core::marker::PhantomData;
use std::sync::Arc;

use dpdk_sys as sys;

use super::port::Opened;
use super::rx_event::RxEvent;
use super::together::Together;
use super::vhost::Ring;
use super::{EventKind, EventWait, Mbuf, Mempool};
use crate::io::{self, Alike, Burst, PacketBuf};

/// A receive queue of a started port.
#[derive(Debug)]
pub struct RxQueue {
    queue: Queue,
    /// Flags of mbufs that speak of what the device was not asked to do. Drivers set some all the same: igb says of every
    /// packet that its checksums are right, unless the device has found them wrong.
    unasked: u64,
    /// What ends its worker's sleep: that of one that sleeps.
    event: Option<Box<RxEvent>>,
    /// Of a vhost port, what it takes packets from, and the pool of their buffers.
    ring: Option<(Ring, Mempool)>,
}

/// A transmit queue of a started port.
#[derive(Debug)]
pub struct TxQueue {
    queue: Queue,
    /// Whether the driver must look at packets before they are sent: only if it was given offloads.
    prepare: bool,
    /// Of a vhost port, what it puts packets into.
    ring: Option<Ring>,
}

/// Which queue. `Send` and not `Sync`: DPDK's queues are not locked.
#[derive(Debug)]
struct Queue {
    port: u16,
    number: u16,
    /// Let go of: the device may be stopped, and is not touched.
    paused: bool,
    /// Keeps the port open.
    opened: Arc<Opened>,
    not_sync: PhantomData<Cell<()>>,
}

/// The queue pair `number` of a port; received mbufs have none of the flags `unasked`.
///
/// # Safety
/// The port was started with more than `number` queues each way, is stopped only while no queue uses `opened` or when that
/// is dropped, and this is called once for each number.
pub(super) unsafe fn pair(
    opened: &Arc<Opened>,
    number: u16,
    prepare: bool,
    unasked: u64,
) -> (RxQueue, TxQueue) {
    let queue = || {
        let mut queue = Queue {
            port: opened.port_id(),
            number,
            paused: true,
            opened: Arc::clone(opened),
            not_sync: PhantomData,
        };
        queue.resume();
        queue
    };
    let rings = opened.rings().map(|rings| Ring::pair(rings, number));
    let (from, to) = rings.unzip();
    let from = from.zip(opened.pool(number).cloned());
    (
        RxQueue { queue: queue(), unasked, event: None, ring: from },
        TxQueue { queue: queue(), prepare, ring: to },
    )
}

impl Queue {
    fn pause(&mut self) {
        if !core::mem::replace(&mut self.paused, true) {
            self.opened.users().let_go();
        }
    }

    fn resume(&mut self) {
        self.paused = self.paused && !self.opened.users().take();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.pause();
    }
}

/// `n` as DPDK counts packets.
#[inline]
fn count(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Of the packets of `burst`, what a driver may be given: all, for a burst has no holes unless someone outside has made one.
#[inline]
fn whole<B>(burst: &mut Burst<B>) -> &mut [Option<B>] {
    if burst.is_dense() { burst.front_mut() } else { &mut [] }
}

/// Lets `driver` fill the front of `slots`, all of them empty, and returns how many it filled.
///
/// Vector drivers write a few pointers at a time and count afterwards: what lies behind those counted is not ours, and
/// is overwritten, not dropped.
#[inline]
fn fill<B>(slots: &mut [Option<B>], driver: impl FnOnce(*mut Option<B>, u16) -> u16) -> usize {
    let n = usize::from(driver(slots.as_mut_ptr(), count(slots.len()))).min(slots.len());
    for slot in slots.iter_mut().skip(n) {
        // SAFETY: a valid place; what it held before the call was `None`, which needs no drop, and what it may hold now is
        // not ours to drop.
        unsafe { core::ptr::write(slot, None) };
    }
    n
}

impl RxQueue {
    /// Has what arrives end the sleeps of `wait`, that of the worker that is to own this queue, while it is
    /// [armed](io::RxQueue::arm). Returns what tells of it.
    pub fn end_sleeps_of(&mut self, wait: &EventWait) -> EventKind {
        let Queue { port, number, ref opened, .. } = self.queue;
        let event = RxEvent::new(port, number, opened.has_rx_interrupts(), wait.epoll());
        self.event.insert(Box::new(event)).kind()
    }
}

/// Looks once at the bookkeeping of what was received, which a driver has just written, and has the frames fetched. Takes back what
/// the device said unasked, which is seldom anything. Returns what all of them are.
#[inline]
fn look_at(received: &mut [Option<Mbuf>], unasked: u64) -> Alike {
    let look = |together: Together, slot: &Option<Mbuf>| match slot {
        Some(buf) => {
            buf.prefetch();
            together.with(buf)
        }
        None => together,
    };
    let (fours, others) = received.as_chunks::<4>();
    let together = fours.iter().fold(Together::none(), |together, four| four.iter().fold(together, look));
    let together = others.iter().fold(together, look);
    if together.flags() & unasked != 0 {
        received.iter_mut().flatten().for_each(|buf| buf.forget(unasked));
    }
    together.alike(unasked)
}

impl io::RxQueue for RxQueue {
    type Buf = Mbuf;

    fn pause(&mut self) {
        if let Some(event) = &mut self.event {
            event.let_go();
        }
        self.queue.pause();
    }

    fn resume(&mut self) {
        self.queue.resume();
        if let Some(event) = &mut self.event
            && !self.queue.paused
        {
            event.find(self.queue.opened.has_rx_interrupts());
        }
    }

    fn arm(&mut self) -> bool {
        // A paused one is resumed by a message, which ends the sleep, too.
        self.queue.paused || self.event.as_ref().is_some_and(|event| event.arm(true))
    }

    fn disarm(&mut self) {
        if let Some(event) = &self.event
            && !self.queue.paused
        {
            event.arm(false);
        }
    }

    #[inline]
    fn rx_burst(&mut self, burst: &mut Burst<Mbuf>, max: usize) -> usize {
        if self.queue.paused {
            return 0;
        }
        let spare = burst.spare();
        let max = max.min(spare.len());
        let Some(slots) = spare.get_mut(..max) else { return 0 };
        let (port, number) = (self.queue.port, self.queue.number);
        let n = fill(slots, |slots, room| match &mut self.ring {
            // SAFETY: there is room for `room` pointers; the port holds on to the pool.
            Some((ring, pool)) => unsafe { ring.receive(pool, slots, room) },
            // SAFETY: the queue exists and only this thread uses it, see `pair`; it is not paused, so that the port is started;
            // there is room for `room` pointers, and `Option<Mbuf>` is one. The driver gives up its reference to each that it returns.
            None => unsafe { sys::shim_rx_burst(port, number, slots.cast(), room) },
        });
        let alike = look_at(burst.spare().get_mut(..n).unwrap_or_default(), self.unasked);
        burst.filled_with(n, alike);
        n
    }
}

impl io::TxQueue for TxQueue {
    type Buf = Mbuf;

    fn pause(&mut self) {
        self.queue.pause();
    }

    fn resume(&mut self) {
        self.queue.resume();
    }

    #[inline]
    fn tx_burst(&mut self, burst: &mut Burst<Mbuf>) -> usize {
        if self.queue.paused {
            return 0;
        }
        if self.prepare { self.prepare_and_send(burst) } else { self.send(burst, usize::MAX) }
    }
}

impl TxQueue {
    /// Sends up to `max` packets from the front.
    #[inline]
    fn send(&mut self, burst: &mut Burst<Mbuf>, max: usize) -> usize {
        let front = whole(burst);
        let max = max.min(front.len());
        let (port, number) = (self.queue.port, self.queue.number);
        let sent = match &mut self.ring {
            // SAFETY: the first `max` slots hold packets, and what is sent is forgotten below.
            Some(ring) => unsafe { ring.send(front, count(max)) },
            // SAFETY: the queue exists and only this thread uses it, see `pair`; it is not paused, so that the port is started;
            // the first `max` slots hold packets that we own, and `Option<Mbuf>` is a pointer.
            None => unsafe { sys::shim_tx_burst(port, number, front.as_mut_ptr().cast(), count(max)) },
        };
        let sent = usize::from(sent).min(max);
        // They are the driver's now.
        burst.taken(sent);
        sent
    }

    /// Sends what the driver can do the offloads of. A packet that it cannot is put behind the others and stays.
    fn prepare_and_send(&mut self, burst: &mut Burst<Mbuf>) -> usize {
        let mut sent = 0;
        let mut left = burst.len();
        while left > 0 {
            let front = whole(burst);
            left = left.min(front.len());
            let (port, number) = (self.queue.port, self.queue.number);
            // SAFETY: as in `send`, of the first `left` slots; they stay ours.
            let ready = unsafe { sys::shim_tx_prepare(port, number, front.as_mut_ptr().cast(), count(left)) };
            let ready = usize::from(ready).min(left);
            let now = self.send(burst, ready);
            sent += now;
            left -= now;
            if now < ready {
                // The ring is full.
                return sent;
            }
            if left > 0 {
                burst.front_mut().rotate_left(1);
                left -= 1;
            }
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn what_a_vector_driver_wrote_and_did_not_count_is_not_dropped() {
        let held_by_the_driver = Rc::new(());
        let mut burst = Burst::<Rc<()>>::new();
        let slots = &mut burst.spare()[..8];
        let n = fill(slots, |slots, room| {
            assert_eq!(room, 8);
            // SAFETY: an exact copy, and forgotten in the end, as a driver's.
            let uncounted = unsafe { core::ptr::read(&held_by_the_driver) };
            for (i, value) in [Rc::new(()), uncounted].into_iter().enumerate() {
                // SAFETY: there are eight slots.
                let slot = unsafe { slots.add(i) };
                // SAFETY: as above; it holds `None`.
                unsafe { slot.write(Some(value)) };
            }
            1
        });
        burst.filled(n);
        assert_eq!(burst.len(), 1);
        assert!(burst.push(Rc::new(())).is_ok());
        drop(burst);
        assert_eq!(Rc::strong_count(&held_by_the_driver), 1);
    }

    #[test]
    fn a_burst_with_a_hole_is_given_to_no_driver() {
        let mut burst = Burst::new();
        assert!(burst.push(1).is_ok() && burst.push(2).is_ok());
        assert_eq!(whole(&mut burst).len(), 2);
        burst.front_mut()[1] = None;
        assert_eq!(whole(&mut burst).len(), 0);
        assert_eq!(burst.drain().count(), 1);
    }

    #[test]
    fn a_driver_that_claims_more_than_there_was_room_for_is_not_believed() {
        let mut slots: [Option<Box<u8>>; 2] = [None, None];
        assert_eq!(fill(&mut slots, |_, _| 7), 2);
    }
}
