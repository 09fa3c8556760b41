//! Which packets are under way, and what became of the others.
//!
//! A ring of slots holds for each of the last packets when it was handed over and whether it was answered. A packet is lost when its
//! time is over, or when the ring has come round to its slot.

use crate::time::Instant;

/// A slot: the moment of sending in nanoseconds, times four, and one of these.
const WAITING: u64 = 0;
const ANSWERED: u64 = 1;
const LOST: u64 = 2;
const STATE: u64 = 3;

/// What an answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The first to its packet, in time, and so long after it.
    First {
        /// Nanoseconds from handing over to receiving.
        latency_ns: u64,
        /// Whether an answer to a later packet of the flow was here before: RFC 4737 3.
        reordered: bool,
    },
    /// Another one.
    Again,
    /// To a packet that was given up.
    Late,
    /// To a packet that was never sent.
    Never,
}

/// Which packets are under way.
#[derive(Debug)]
pub(super) struct Tracker {
    slots: Box<[u64]>,
    /// The first number that was not handed over.
    next: u64,
    /// The first that may be under way.
    oldest: u64,
    waiting: u64,
    lost: u64,
    patience_ns: u64,
    /// Of each flow, the first number behind the highest that was answered.
    behind: Box<[u64]>,
}

impl Tracker {
    /// For at most `slots` packets under way, of so many flows. An answer is waited for `patience_ns`.
    pub(super) fn new(slots: usize, flows: usize, patience_ns: u64) -> Self {
        Self {
            slots: vec![ANSWERED; slots.next_power_of_two()].into(),
            next: 0,
            oldest: 0,
            waiting: 0,
            lost: 0,
            patience_ns,
            behind: vec![0; flows].into(),
        }
    }

    /// The number of the next packet that is handed over.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Packets under way.
    pub(super) const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Packets given up.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked to an index")]
    fn index(&self, number: u64) -> usize {
        number as usize & (self.slots.len() - 1)
    }

    /// The next `n` packets were handed over at `now`.
    pub(super) fn sent(&mut self, n: usize, now: Instant) {
        for _ in 0..n {
            if self.next - self.oldest == self.slots.len() as u64 {
                self.give_up_oldest();
            }
            let index = self.index(self.next);
            if let Some(slot) = self.slots.get_mut(index) {
                *slot = now.ns() << 2 | WAITING;
            }
            self.next += 1;
        }
        self.waiting += n as u64;
    }

    /// A right answer to the packet `number` of `flow` came at `now`.
    pub(super) fn answered(&mut self, number: u64, flow: usize, now: Instant) -> Answer {
        if number >= self.next {
            return Answer::Never;
        }
        if self.next - number > self.slots.len() as u64 {
            return Answer::Late;
        }
        let index = self.index(number);
        let Some(slot) = self.slots.get_mut(index) else { return Answer::Never };
        match *slot & STATE {
            WAITING => {
                let latency_ns = now.ns().saturating_sub(*slot >> 2);
                *slot |= ANSWERED;
                self.waiting -= 1;
                Answer::First { latency_ns, reordered: self.is_behind(number, flow) }
            }
            LOST => {
                *slot = *slot & !STATE | ANSWERED;
                Answer::Late
            }
            _ => Answer::Again,
        }
    }

    fn is_behind(&mut self, number: u64, flow: usize) -> bool {
        let Some(behind) = self.behind.get_mut(flow) else { return false };
        let is_behind = number < *behind;
        *behind = (number + 1).max(*behind);
        is_behind
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.oldest < self.next {
            let slot = self.slots.get(self.index(self.oldest)).copied().unwrap_or(ANSWERED);
            if slot & STATE == WAITING && now.ns().saturating_sub(slot >> 2) < self.patience_ns {
                return;
            }
            self.give_up_oldest();
        }
    }

    /// Gives up everything: the run is over.
    pub(super) fn finish(&mut self) {
        while self.oldest < self.next {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        let index = self.index(self.oldest);
        if let Some(slot) = self.slots.get_mut(index)
            && *slot & STATE == WAITING
        {
            *slot |= LOST;
            self.waiting -= 1;
            self.lost += 1;
        }
        self.oldest += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> Instant {
        Instant::from_ns(ns)
    }

    fn first(latency_ns: u64, reordered: bool) -> Answer {
        Answer::First { latency_ns, reordered }
    }

    #[test]
    fn each_packet_has_one_fate() {
        let mut tracker = Tracker::new(8, 1, 1000);
        tracker.sent(3, at(100));
        assert_eq!(tracker.answered(1, 0, at(150)), first(50, false));
        assert_eq!(tracker.answered(1, 0, at(160)), Answer::Again);
        assert_eq!(tracker.answered(0, 0, at(170)), first(70, true), "behind 1");
        assert_eq!(tracker.answered(3, 0, at(170)), Answer::Never);
        tracker.expire(at(1099));
        assert_eq!((tracker.waiting(), tracker.lost()), (1, 0));
        tracker.expire(at(1100));
        assert_eq!((tracker.waiting(), tracker.lost()), (0, 1));
        assert_eq!(tracker.answered(2, 0, at(1200)), Answer::Late);
        assert_eq!(tracker.answered(2, 0, at(1200)), Answer::Again, "late once");
        assert_eq!(tracker.lost(), 1);
    }

    #[test]
    fn order_is_kept_within_a_flow_only() {
        let mut tracker = Tracker::new(8, 2, 1000);
        tracker.sent(4, at(0));
        assert_eq!(tracker.answered(3, 1, at(1)), first(1, false));
        assert_eq!(tracker.answered(0, 0, at(1)), first(1, false));
        assert_eq!(tracker.answered(1, 1, at(1)), first(1, true));
        assert_eq!(tracker.answered(2, 0, at(1)), first(1, false));
    }

    #[test]
    fn a_ring_that_comes_round_gives_up_and_loses_no_count() {
        let mut tracker = Tracker::new(4, 1, u64::MAX);
        tracker.sent(4, at(0));
        assert_eq!(tracker.answered(2, 0, at(1)), first(1, false));
        tracker.sent(3, at(5));
        assert_eq!((tracker.waiting(), tracker.lost()), (4, 2));
        assert_eq!(tracker.answered(0, 0, at(6)), Answer::Late);
        tracker.finish();
        assert_eq!((tracker.waiting(), tracker.lost()), (0, 6));
        assert_eq!(tracker.next(), 7);
    }
}
