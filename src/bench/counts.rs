//! What is counted.

use serde::{Deserialize, Serialize};

/// What became of the packets so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Packets that the device took.
    pub sent: u64,
    /// Their bytes, from the Ethernet header on, without the frame check sequence.
    pub sent_bytes: u64,
    /// Packets whose first right answer came in time.
    pub answered: u64,
    /// Bytes of those answers.
    pub answered_bytes: u64,
    /// Packets without a right answer in time.
    pub lost: u64,
    /// Packets whose time is not over yet.
    pub waiting: u64,
    /// Answers behind one of a later packet of their flow: RFC 4737 3.
    pub reordered: u64,
    /// Right answers to packets that had been answered.
    pub duplicated: u64,
    /// Right answers to packets that had been given up: these count as lost, too.
    pub late: u64,
    /// Answers with another address, port, length, payload or checksum than they should have.
    pub wrong: u64,
    /// ICMP and ICMPv6 errors of the kind unreachable.
    pub unreachable: u64,
    /// Frames of other kinds: the peer's own, other runs', broadcast.
    pub other: u64,
    /// Packets that were due and not sent, as the device or this CPU could not keep the rate.
    pub skipped: u64,
    /// Bursts of which the device took a part, or nothing.
    pub tx_full: u64,
    /// Times that no buffer was free.
    pub no_buffer: u64,
}

impl Counts {
    /// What came to these since they were `before`. What is waiting is not a sum, and stays.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            sent_bytes: self.sent_bytes - before.sent_bytes,
            answered: self.answered - before.answered,
            answered_bytes: self.answered_bytes - before.answered_bytes,
            lost: self.lost - before.lost,
            waiting: self.waiting,
            reordered: self.reordered - before.reordered,
            duplicated: self.duplicated - before.duplicated,
            late: self.late - before.late,
            wrong: self.wrong - before.wrong,
            unreachable: self.unreachable - before.unreachable,
            other: self.other - before.other,
            skipped: self.skipped - before.skipped,
            tx_full: self.tx_full - before.tx_full,
            no_buffer: self.no_buffer - before.no_buffer,
        }
    }
}
