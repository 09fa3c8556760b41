//! What waits for a neighbour's Ethernet address: the latest packets, and not too many.

use std::collections::{BTreeMap, VecDeque};

/// Packets that wait for one neighbour. A09: the fragments of one datagram of 65,535 bytes are 45 at an MTU of 1,500, and
/// 125 at the least path MTU unless configured.
pub const PER_NEIGHBOR_MAX: usize = 128;

/// Packets that wait in all.
pub const TOTAL_MAX: usize = 1024;

/// The packets that wait, each for one of the neighbours `A`.
///
/// A09, RFC 1122 2.3.2.2: at least the latest packet for an unresolved address is kept; the oldest makes room.
#[derive(Debug)]
pub struct Waiting<A, B> {
    packets: BTreeMap<u64, (A, B)>,
    by_neighbor: BTreeMap<A, VecDeque<u64>>,
    next: u64,
    per_neighbor_max: usize,
    total_max: usize,
}

impl<A: Copy + Ord, B> Default for Waiting<A, B> {
    fn default() -> Self {
        Self::new(PER_NEIGHBOR_MAX, TOTAL_MAX)
    }
}

impl<A: Copy + Ord, B> Waiting<A, B> {
    /// Room for so many packets a neighbour and in all; at least one.
    #[must_use]
    pub fn new(per_neighbor_max: usize, total_max: usize) -> Self {
        Self {
            packets: BTreeMap::new(),
            by_neighbor: BTreeMap::new(),
            next: 0,
            per_neighbor_max: per_neighbor_max.max(1),
            total_max: total_max.max(1),
        }
    }

    /// How many packets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The packet that came last of those that wait for `neighbor`.
    #[must_use]
    pub fn latest(&self, neighbor: A) -> Option<&B> {
        let last = self.by_neighbor.get(&neighbor)?.back()?;
        self.packets.get(last).map(|(_, packet)| packet)
    }

    /// Has `packet` wait for `neighbor`. Returns the packet that made room for it, if one had to.
    #[must_use = "what made room must be accounted for"]
    pub fn push(&mut self, neighbor: A, packet: B) -> Option<B> {
        let full = self.by_neighbor.get(&neighbor).is_some_and(|q| q.len() >= self.per_neighbor_max);
        let made_room = if full {
            self.pop(neighbor)
        } else if self.packets.len() >= self.total_max {
            // The oldest of all is the oldest of its neighbour's.
            let oldest = self.packets.first_key_value().map(|(_, (addr, _))| *addr);
            oldest.and_then(|addr| self.pop(addr))
        } else {
            None
        };
        self.packets.insert(self.next, (neighbor, packet));
        self.by_neighbor.entry(neighbor).or_default().push_back(self.next);
        self.next += 1;
        made_room
    }

    /// The oldest packet that waits for `neighbor`, which waits no longer.
    pub fn pop(&mut self, neighbor: A) -> Option<B> {
        let queue = self.by_neighbor.get_mut(&neighbor)?;
        let number = queue.pop_front();
        if queue.is_empty() {
            self.by_neighbor.remove(&neighbor);
        }
        self.packets.remove(&number?).map(|(_, packet)| packet)
    }

    /// The oldest packet of all, which waits no longer, and for whom it did.
    pub fn pop_any(&mut self) -> Option<(A, B)> {
        let neighbor = self.packets.first_key_value().map(|(_, (addr, _))| *addr)?;
        self.pop(neighbor).map(|packet| (neighbor, packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_packet_can_be_looked_at() {
        let mut waiting = Waiting::new(2, 4);
        assert_eq!(waiting.latest('a'), None);
        for packet in 1..=3 {
            let _made_room = waiting.push('a', packet);
            assert_eq!(waiting.latest('a'), Some(&packet));
        }
        assert_eq!(waiting.pop('a'), Some(2));
        assert_eq!((waiting.latest('b'), waiting.latest('a')), (None, Some(&3)));
    }

    fn all(waiting: &mut Waiting<char, u32>, neighbor: char) -> Vec<u32> {
        core::iter::from_fn(|| waiting.pop(neighbor)).collect()
    }

    // A09, RFC 1122 2.3.2.2.
    #[test]
    fn the_latest_packets_of_a_neighbour_wait_in_order() {
        let mut waiting = Waiting::new(3, 100);
        assert_eq!((1..=3).filter_map(|n| waiting.push('a', n)).count(), 0);
        assert_eq!(waiting.push('b', 10), None);
        assert_eq!(waiting.push('a', 4), Some(1));
        assert_eq!(all(&mut waiting, 'a'), [2, 3, 4]);
        assert_eq!((waiting.len(), all(&mut waiting, 'b')), (1, vec![10]));
        assert!(waiting.is_empty() && waiting.by_neighbor.is_empty());
    }

    // A09, A11: bounded over all neighbours, and nothing is lost unseen.
    #[test]
    fn the_oldest_of_all_makes_room_when_all_is_full() {
        let mut waiting = Waiting::new(3, 4);
        for (neighbor, n) in [('a', 1), ('b', 2), ('a', 3), ('c', 4)] {
            assert_eq!(waiting.push(neighbor, n), None);
        }
        assert_eq!(waiting.push('d', 5), Some(1));
        assert_eq!(waiting.push('d', 6), Some(2));
        assert_eq!(waiting.pop('b'), None);
        assert_eq!(waiting.pop_any(), Some(('a', 3)));
        assert_eq!(core::iter::from_fn(|| waiting.pop_any()).count(), 3);
    }

    // A09: one large datagram in fragments fits.
    #[test]
    fn the_fragments_of_the_largest_datagram_fit() {
        for mtu in [1500, crate::stack::pmtu::FLOOR] {
            let piece = usize::from(mtu - 20) / 8 * 8;
            assert!(65_515usize.div_ceil(piece) <= PER_NEIGHBOR_MAX, "{mtu}");
        }
    }
}
