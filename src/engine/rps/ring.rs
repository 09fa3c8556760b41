//! The rings by which workers hand packets to one another, a burst at a time.
//!
//! Each has one worker at either end, so that a burst takes one store of an index, however many packets it has, and no worker ever
//! waits for another's. The two indices lie on cache lines of their own, and each end remembers what it last saw of the other's: on
//! lines of its own, too, for both ends are made by one thread, whose small pieces of memory lie side by side. The places are first
//! written by the worker that hands over: where the allocator gives fresh memory, it lies on that one's NUMA node.

use crossbeam::utils::CachePadded;
use rtrb::chunks::ChunkError;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::io::{Burst, Waker};

/// The end of a ring at which packets for one worker are put in.
#[derive(Debug)]
pub struct Sender<B> {
    ring: Producer<B>,
    waker: Waker,
}

/// The ends of rings at which one worker takes out what others handed over.
#[derive(Debug)]
pub struct Receiver<B> {
    rings: Vec<CachePadded<Consumer<B>>>,
    /// The ring whose turn it is to be the first.
    first: usize,
}

/// Rings from `senders` workers to one, which `waker` wakes, of `len` packets each.
pub(super) fn rings<B>(senders: usize, len: usize, waker: &Waker) -> (Vec<Sender<B>>, Receiver<B>) {
    let one = |_| {
        let (ring, end) = RingBuffer::new(len.max(1));
        (Sender { ring, waker: waker.clone() }, CachePadded::new(end))
    };
    let (senders, rings) = (0..senders).map(one).unzip();
    (senders, Receiver { rings, first: 0 })
}

impl<B> Sender<B> {
    /// Moves packets from the front of `bufs`, which has no holes, in one operation: all, or as many as there is room for. Returns
    /// how many. Whoever calls then has the other [woken](Self::waker).
    #[inline]
    pub(super) fn send(&mut self, bufs: &mut [Option<B>]) -> usize {
        let chunk = match self.ring.write_chunk_uninit(bufs.len()) {
            Ok(all) => Some(all),
            Err(ChunkError::TooFewSlots(room)) => self.ring.write_chunk_uninit(room).ok(),
        };
        // NOTE(fill): it asks for no more than it has room for.
        chunk.map_or(0, |chunk| chunk.fill_from_iter(bufs.iter_mut().map_while(Option::take)))
    }

    /// What wakes the worker at the other end.
    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl<B> Receiver<B> {
    /// Adds packets at the end of `burst`: up to `max`, and no more than it has room for. Returns how many.
    #[inline]
    pub(super) fn receive(&mut self, burst: &mut Burst<B>, max: usize) -> usize {
        let max = max.min(burst.room());
        let (later, sooner) = self.rings.split_at_mut(self.first);
        let mut received = 0;
        for ring in sooner.iter_mut().chain(later) {
            let count = ring.slots().min(max - received);
            if count > 0
                && let Ok(chunk) = ring.read_chunk(count)
            {
                burst.extend(chunk);
                received += count;
            }
        }
        // No ring waits behind another that is never empty.
        self.first = if self.first + 1 < self.rings.len() { self.first + 1 } else { 0 };
        received
    }

    /// Whether there is nothing.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.is_empty())
    }

    /// How many packets there are.
    pub(super) fn len(&self) -> usize {
        self.rings.iter().map(|ring| ring.slots()).sum()
    }
}
