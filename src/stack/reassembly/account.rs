//! What became of packets.

use arrayvec::ArrayVec;

use crate::io::DropReason;

/// How many packets went where: for the engine, whose counters must balance.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// Packets that are held from now on.
    pub held: u32,
    /// Packets that are held no longer. Each was then merged or dropped.
    pub released: u32,
    /// Packets that became part of another.
    pub merged: u32,
    /// Packets that were made.
    pub allocated: u32,
    /// Packets that were dropped, and why.
    pub drops: ArrayVec<(DropReason, u32), 4>,
}

impl Account {
    pub(super) fn drop(&mut self, why: DropReason, packets: u32) {
        if packets == 0 {
            return;
        }
        match self.drops.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, count)) => *count += packets,
            // An arrival drops for four reasons at most: two evictions, its datagram's, its own.
            None => drop(self.drops.try_push((why, packets))),
        }
    }

    pub(super) fn release(&mut self, packets: u32, why: DropReason) {
        self.released += packets;
        self.drop(why, packets);
    }
}
