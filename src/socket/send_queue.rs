//! What threads have for a worker to send.

use core::sync::atomic::{Ordering, fence};
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

use super::endpoint::Endpoint;
use super::packet::Packet;
use crate::io::{Departure, InterfaceId, Waker};
use crate::stack::port_table::SocketId;

/// Datagrams that wait for a worker: as many as a transmit ring has descriptors, for that is what it is to threads.
const LEN: usize = 1024;

/// Sockets that wait for room in a worker's queue.
const WAITING: usize = 4096;

/// A datagram of a thread that is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// Whose it is.
    pub endpoint: Arc<Endpoint>,
    /// How it leaves.
    pub departure: Departure,
    /// Its payload.
    pub packet: Box<Packet>,
}

/// The way of datagrams from threads to one worker: bounded. A thread that finds it full waits, or is told so; a worker never
/// waits for a thread.
#[derive(Debug)]
pub struct SendQueue {
    ring: ArrayQueue<Outgoing>,
    /// Sockets that found it full: they are told when it is not any more.
    waiting: ArrayQueue<Arc<Endpoint>>,
    /// Wakes the worker.
    waker: Waker,
}

impl Default for SendQueue {
    fn default() -> Self {
        Self::new(Waker::default())
    }
}

/// Why a datagram could not be queued. It comes back.
#[derive(Debug)]
pub enum Unqueued {
    /// The queue is full; the socket is told when it is not any more.
    Full(Outgoing),
    /// The queue is full, and so many wait for it that this one cannot be told: it has to try again by itself.
    Crowded(Outgoing),
}

impl SendQueue {
    /// The way to the worker that `waker` wakes.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Self { ring: ArrayQueue::new(LEN), waiting: ArrayQueue::new(WAITING), waker }
    }

    /// Adds a datagram.
    ///
    /// # Errors
    /// There is no room.
    pub fn push(&self, outgoing: Outgoing) -> Result<(), Unqueued> {
        let Err(outgoing) = self.ring.push(outgoing) else {
            self.waker.wake();
            return Ok(());
        };
        let endpoint = Arc::clone(&outgoing.endpoint);
        let is_listed = endpoint.wait_for_room(|| self.waiting.push(Arc::clone(&endpoint)).is_ok());
        // The worker may have made room before it could see that somebody waits: one of the two sees the other.
        fence(Ordering::SeqCst);
        let pushed = self.ring.push(outgoing).map_err(|outgoing| {
            if is_listed { Unqueued::Full(outgoing) } else { Unqueued::Crowded(outgoing) }
        });
        // Also if there is no room: it is the worker that makes some.
        self.waker.wake();
        pushed
    }

    /// Takes the oldest. For the worker; [`made_room`](Self::made_room) is to follow.
    #[inline]
    #[must_use]
    pub fn pop(&self) -> Option<Outgoing> {
        self.ring.pop()
    }

    /// Tells those who wait for room. For the worker, once for all that it took.
    #[inline]
    pub fn made_room(&self) {
        fence(Ordering::SeqCst);
        if !self.waiting.is_empty() {
            self.tell_waiting();
        }
    }

    #[cold]
    fn tell_waiting(&self) {
        // No more than wait now: who finds it full again is told the next time.
        for _ in 0..self.waiting.len() {
            let Some(endpoint) = self.waiting.pop() else { return };
            endpoint.has_room();
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// How much waits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }
}

/// The ways to all workers, by the interface that something is to leave by.
#[derive(Clone, Debug, Default)]
pub struct SendQueues(Vec<Vec<Arc<SendQueue>>>);

impl SendQueues {
    /// For each interface, by its id, the queues of the workers that serve its port.
    #[must_use]
    pub fn new(of_interfaces: Vec<Vec<Arc<SendQueue>>>) -> Self {
        Self(of_interfaces)
    }

    /// The queue for what `socket` sends by `interface`: always the same, so that what it sends stays in order.
    #[must_use]
    pub fn of(&self, interface: InterfaceId, socket: SocketId) -> Option<&Arc<SendQueue>> {
        let queues = self.0.get(interface.index())?;
        let count = u32::try_from(queues.len()).ok().filter(|count| *count > 0)?;
        queues.get((socket % count) as usize)
    }
}
