//! What has arrived for a socket and nobody has taken yet: bounded in bytes.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crossbeam::queue::ArrayQueue;

use super::packet::Packet;

/// Bytes that `SO_RCVBUF` says at first, as Linux's `net.core.rmem_default`.
pub(super) const RCVBUF_DEFAULT: usize = 212_992;

/// The least that it says: Linux's `SOCK_MIN_RCVBUF`.
pub(super) const RCVBUF_MIN: usize = 2304;

/// Datagrams that each ring holds. The last is enough for the smallest datagrams in a buffer of 1 GiB, the largest that can be.
const RINGS: [usize; 6] =
    [RCVBUF_DEFAULT / CHARGE_MIN + 2, 1024, 4096, 16_384, 131_072, (1 << 30) / CHARGE_MIN + 2];

/// What the smallest datagram is charged.
const CHARGE_MIN: usize = 832;

/// Bytes that a datagram of `len` bytes of payload is charged against `SO_RCVBUF` or `SO_SNDBUF`.
///
/// What Linux 6.18 charges on its loopback (`truesize`, by `SO_MEMINFO`): the power of two that holds the payload and 384
/// bytes of bookkeeping, and 256 more; 832 for up to 128 bytes; the payload and 832 from 16,001 bytes on. A program that chose
/// its buffer for Linux finds that as many datagrams fit.
#[must_use]
pub const fn charge(len: usize) -> usize {
    match len {
        0..=128 => CHARGE_MIN,
        129..=16_000 => (len + 384).next_power_of_two() + 256,
        _ => len + CHARGE_MIN,
    }
}

/// The receive queue of a socket: workers push, without a lock, threads pop.
///
/// Rings of fixed room, so that a worker never asks the heap for anything. A larger `SO_RCVBUF` adds a larger ring after
/// those that there are; what is in the earlier ones is taken first.
#[derive(Debug)]
pub struct ReceiveQueue {
    rings: [OnceLock<ArrayQueue<Box<Packet>>>; RINGS.len()],
    /// The ring that workers push to.
    current: AtomicUsize,
    /// Bytes that all in it are charged.
    charged: AtomicUsize,
    limit: AtomicUsize,
    dropped: AtomicU64,
    /// One that was peeked at. Its lock is held by threads alone, and never for longer than it takes to move a pointer or to
    /// copy a payload that is peeked at.
    front: Mutex<Option<Box<Packet>>>,
    has_front: AtomicBool,
}

impl ReceiveQueue {
    /// An empty one, for so many bytes as they are [charged](charge).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let queue = Self {
            rings: [const { OnceLock::new() }; RINGS.len()],
            current: AtomicUsize::new(0),
            charged: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            front: Mutex::new(None),
            has_front: AtomicBool::new(false),
        };
        queue.set_limit(limit);
        queue
    }

    /// Adds a datagram. It comes back if there is no room for it, and is counted: the newest is dropped.
    ///
    /// # Errors
    /// The packet: the queue is full.
    // U23, Linux `__udp_enqueue_schedule_skb`: together they do not exceed the limit; but into an empty queue anything goes.
    pub fn push(&self, packet: Box<Packet>) -> Result<(), Box<Packet>> {
        let charge = charge(packet.payload().len());
        let limit = self.limit.load(Ordering::Relaxed);
        let before = self.charged.fetch_add(charge, Ordering::Relaxed);
        let ring = self.rings.get(self.current.load(Ordering::Acquire)).and_then(OnceLock::get);
        let pushed = match ring {
            Some(ring) if before == 0 || before + charge <= limit => ring.push(packet),
            _ => Err(packet),
        };
        pushed.inspect_err(|_| {
            self.charged.fetch_sub(charge, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Takes the oldest datagram.
    #[must_use]
    pub fn pop(&self) -> Option<Box<Packet>> {
        let mut front = self.front();
        let packet = self.next(&mut front)?;
        drop(front);
        self.charged.fetch_sub(charge(packet.payload().len()), Ordering::Relaxed);
        Some(packet)
    }

    /// Looks at the oldest datagram, which stays. recv(2): `MSG_PEEK`.
    pub fn peek<R>(&self, look: impl FnOnce(&Packet) -> R) -> Option<R> {
        let mut front = self.front();
        if front.is_none() {
            // Said before it is so: whoever is about to wait must not find it neither in a ring nor here. That nothing is there after all,
            // he sees when he looks.
            self.has_front.store(true, Ordering::SeqCst);
            *front = self.pop_ring();
            if front.is_none() {
                self.has_front.store(false, Ordering::SeqCst);
            }
        }
        front.as_deref().map(look)
    }

    /// Bytes of the oldest datagram; 0 if there is none. udp(7): `FIONREAD`.
    #[must_use]
    pub fn next_len(&self) -> usize {
        self.peek(|packet| packet.payload().len()).unwrap_or_default()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // In this order: what leaves a ring to be peeked at is said to be in front before.
        self.rings.iter().filter_map(OnceLock::get).all(ArrayQueue::is_empty)
            && !self.has_front.load(Ordering::SeqCst)
    }

    /// How many datagrams there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.has_front.load(Ordering::Acquire))
            + self.rings.iter().filter_map(OnceLock::get).map(ArrayQueue::len).sum::<usize>()
    }

    /// Bytes that are charged for what there is.
    #[must_use]
    pub fn charged(&self) -> usize {
        self.charged.load(Ordering::Relaxed)
    }

    /// Bytes that may be charged.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Datagrams that were dropped because it was full. Linux: `SO_RXQ_OVFL`.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// From now on so many bytes may be charged. What is there already stays. May ask the heap for a larger ring: not for a
    /// worker.
    pub fn set_limit(&self, bytes: usize) {
        let datagrams = bytes / CHARGE_MIN + 1;
        let needed = RINGS.iter().position(|room| *room >= datagrams).unwrap_or(RINGS.len() - 1);
        if let (Some(ring), Some(room)) = (self.rings.get(needed), RINGS.get(needed)) {
            ring.get_or_init(|| ArrayQueue::new(*room));
        }
        self.current.fetch_max(needed, Ordering::AcqRel);
        self.limit.store(bytes, Ordering::Relaxed);
    }

    fn next(&self, front: &mut Option<Box<Packet>>) -> Option<Box<Packet>> {
        if let Some(packet) = front.take() {
            self.has_front.store(false, Ordering::Release);
            return Some(packet);
        }
        self.pop_ring()
    }

    fn pop_ring(&self) -> Option<Box<Packet>> {
        self.rings.iter().filter_map(OnceLock::get).find_map(ArrayQueue::pop)
    }

    fn front(&self) -> MutexGuard<'_, Option<Box<Packet>>> {
        // Nothing that holds it can leave it half changed.
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{Packets, PacketsOptions};

    // U23: as `SO_MEMINFO` of Linux 6.18 said of a socket that holds one datagram of so many bytes.
    #[test]
    fn a_datagram_is_charged_what_linux_charges() {
        for (len, truesize) in [
            (0, 832),
            (128, 832),
            (129, 1280),
            (600, 1280),
            (700, 2304),
            (1472, 2304),
            (1700, 4352),
            (3500, 4352),
            (4000, 8448),
            (5000, 8448),
            (8000, 16_640),
            (16_000, 16_640),
            (32_000, 32_832),
            (65_507, 66_339),
        ] {
            assert_eq!(charge(len), truesize, "{len}");
        }
    }

    // U23: as many as Linux 6.18 held of them in a buffer of 212,992 bytes.
    #[test]
    fn as_many_datagrams_fit_as_linux_holds() {
        let packets = Packets::new(&PacketsOptions { small: 300, medium: 300, large: 30 });
        for (len, held) in [(1, 256), (500, 166), (1472, 92), (2000, 48), (5000, 25), (9000, 12), (65_507, 3)]
        {
            let queue = ReceiveQueue::new(RCVBUF_DEFAULT);
            let mut taken = 0;
            while queue.push(packets.copy(&vec![1; len]).unwrap()).map_err(|p| packets.give(p)).is_ok() {
                taken += 1;
            }
            assert_eq!((taken, queue.dropped(), queue.len()), (held, 1, held), "{len}");
            while let Some(packet) = queue.pop() {
                packets.give(packet);
            }
            assert_eq!((queue.charged(), queue.is_empty()), (0, true));
        }
    }

    // What is peeked at is there all the time: whoever looks whether to wait must see it, or sleeps beside it. MSG_PEEK and FIONREAD wake
    // nobody.
    #[test]
    fn what_is_peeked_at_does_not_seem_to_be_gone() {
        let packets = Packets::new(&PacketsOptions { small: 1, medium: 0, large: 0 });
        let queue = ReceiveQueue::new(RCVBUF_DEFAULT);
        assert_eq!(queue.next_len(), 0);
        assert!(queue.is_empty());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2_000 {
                queue.push(packets.copy(b"here").unwrap()).unwrap();
                done.store(false, Ordering::SeqCst);
                let looking = scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        assert!(!queue.is_empty())
                    }
                });
                let (seemed, len) = (queue.peek(|_| queue.is_empty()), queue.next_len());
                done.store(true, Ordering::SeqCst);
                assert_eq!((seemed, len), (Some(false), 4));
                looking.join().unwrap();
                packets.give(queue.pop().unwrap());
                assert!(queue.is_empty());
            }
        });
    }
}
