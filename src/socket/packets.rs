//! The pool of packets: bounded, made once, shared by workers and threads.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

use super::packet::{Packet, SizeClass};

/// How many packets of each class there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PacketsOptions {
    /// Of 256 bytes.
    pub small: usize,
    /// Of 2048 bytes.
    pub medium: usize,
    /// Of 65,536 bytes.
    pub large: usize,
}

impl Default for PacketsOptions {
    /// 28 MiB of payload.
    fn default() -> Self {
        Self { small: 16_384, medium: 8192, large: 128 }
    }
}

/// The packets that threads' sockets have, all together. Whoever takes one gives it back; nobody makes any but at the start.
#[derive(Debug)]
pub struct Packets {
    free: [ArrayQueue<Box<Packet>>; 3],
    exhausted: AtomicU64,
}

impl Packets {
    /// As many as `options` says. Takes the heap's time: for control and the host, never for a worker.
    #[must_use]
    pub fn new(options: &PacketsOptions) -> Arc<Self> {
        let PacketsOptions { small, medium, large } = *options;
        let fill = |class: SizeClass, count: usize| {
            let free = ArrayQueue::new(count.max(1));
            (0..count).for_each(|_| drop(free.push(Box::new(Packet::new(class)))));
            free
        };
        let free =
            [fill(SizeClass::Small, small), fill(SizeClass::Medium, medium), fill(SizeClass::Large, large)];
        Arc::new(Self { free, exhausted: AtomicU64::new(0) })
    }

    /// An empty packet with room for `len` bytes: of the smallest class that fits and has one left. `None`: there is none.
    #[must_use]
    pub fn take(&self, len: usize) -> Option<Box<Packet>> {
        let least = SizeClass::of(len)?;
        let taken = self.free.get(least as usize..).into_iter().flatten().find_map(ArrayQueue::pop);
        if taken.is_none() {
            self.exhausted.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// A packet with a copy of `payload`. `None`: there is none left that it fits into.
    #[must_use]
    pub fn copy(&self, payload: &[u8]) -> Option<Box<Packet>> {
        let mut packet = self.take(payload.len())?;
        // NOTE(append): it was taken for that length, and is empty.
        let _ = packet.append(payload);
        Some(packet)
    }

    /// Gives a packet back.
    pub fn give(&self, mut packet: Box<Packet>) {
        packet.clear();
        if let Some(free) = self.free.get(packet.class() as usize) {
            // There is room for all that were made.
            drop(free.push(packet));
        }
    }

    /// How many of each class are free: small, medium, large.
    #[must_use]
    pub fn free(&self) -> [usize; 3] {
        [0, 1, 2].map(|class: usize| self.free.get(class).map_or(0, ArrayQueue::len))
    }

    /// How often there was none left.
    #[must_use]
    pub fn exhausted(&self) -> u64 {
        self.exhausted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_of_the_smallest_class_that_fits_and_has_one_left() {
        let packets = Packets::new(&PacketsOptions { small: 1, medium: 1, large: 1 });
        let first = packets.take(256).unwrap();
        let second = packets.take(0).unwrap();
        assert_eq!((first.class(), second.class()), (SizeClass::Small, SizeClass::Medium));
        assert_eq!(packets.take(2048).unwrap().class(), SizeClass::Large);
        assert!(packets.take(1).is_none());
        assert_eq!((packets.free(), packets.exhausted()), ([0, 0, 0], 1));
        packets.give(first);
        assert!(packets.take(257).is_none(), "none so large is left");
        packets.give(second);
        assert_eq!(packets.free(), [1, 1, 0]);
        assert!(packets.take(65_537).is_none());
    }

    #[test]
    fn what_was_given_back_says_nothing_of_what_it_was() {
        let packets = Packets::new(&PacketsOptions { small: 1, medium: 0, large: 0 });
        let mut packet = packets.copy(&[7; 200]).unwrap();
        packet.arrived.ttl = 9;
        packets.give(packet);
        let again = packets.copy(b"x").unwrap();
        assert_eq!((again.payload(), again.arrived), (&b"x"[..], super::super::Arrived::NOTHING));
    }
}
