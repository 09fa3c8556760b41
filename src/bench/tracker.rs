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

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to an index")]
    fn index(&self, number: u64) -> usize {
        number as usize & (self.slots.len() - 1)
    }

    /// The next `n` packets were handed over at `now`.
    #[inline]
    pub(super) fn sent(&mut self, n: usize, now: Instant) {
        let room = self.slots.len() as u64 - (self.next - self.oldest);
        for _ in room..n as u64 {
            self.give_up_oldest();
        }
        // At the end of the ring they go on at its start.
        let start = self.index(self.next);
        let until_end = n.min(self.slots.len() - start);
        let slot = now.ns() << 2 | WAITING;
        if let Some(slots) = self.slots.get_mut(start..start + until_end) {
            slots.fill(slot);
        }
        if let Some(slots) = self.slots.get_mut(..n - until_end) {
            slots.fill(slot);
        }
        self.next += n as u64;
        self.waiting += n as u64;
    }

    /// A right answer to the packet `number` of `flow` came at `now`.
    #[inline]
    pub(super) fn answered(&mut self, number: u64, flow: u32, now: Instant) -> Answer {
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
                // In order, it need not be looked at once more.
                self.oldest += u64::from(number == self.oldest);
                Answer::First { latency_ns, reordered: self.are_behind(number..number + 1, flow) > 0 }
            }
            LOST => {
                *slot = *slot & !STATE | ANSWERED;
                Answer::Late
            }
            _ => Answer::Again,
        }
    }

    /// Right answers to `count` packets from `number` on came at `now`, in order; `flow` is the first one's. If each of them is under way,
    /// tells `each` of latencies, and of how many packets those are, and returns how many were reordered. `None`, and nothing is
    /// changed: they are to be looked at [one by one](Self::answered).
    #[inline]
    pub(super) fn answered_in_order(
        &mut self,
        (number, count): (u64, usize),
        flow: u32,
        now: Instant,
        mut each: impl FnMut(u64, u64),
    ) -> Option<u64> {
        let start = self.index(number);
        // Beyond its end the ring goes on at its start.
        let slots = self.slots.get_mut(start..start + count)?;
        let is_under_way = self.oldest <= number && number + count as u64 <= self.next;
        if !is_under_way || slots.iter().fold(0, |states, slot| states | slot & STATE) != WAITING {
            return None;
        }
        let (mut sent, mut alike) = (*slots.first()?, 0);
        for slot in slots {
            if *slot != sent {
                each(now.ns().saturating_sub(sent >> 2), alike);
                (sent, alike) = (*slot, 0);
            }
            alike += 1;
            *slot |= ANSWERED;
        }
        each(now.ns().saturating_sub(sent >> 2), alike);
        self.waiting -= count as u64;
        if number == self.oldest {
            self.oldest += count as u64;
        }
        Some(self.are_behind(number..number + count as u64, flow))
    }

    /// How many of these, the first of which is of this flow, are behind an answered one of their flow.
    #[inline]
    fn are_behind(&mut self, numbers: core::ops::Range<u64>, flow: u32) -> u64 {
        let (mut reordered, mut flow) = (0, flow as usize);
        for number in numbers {
            let Some(behind) = self.behind.get_mut(flow) else { break };
            reordered += u64::from(number < *behind);
            *behind = (number + 1).max(*behind);
            flow = if flow + 1 == self.behind.len() { 0 } else { flow + 1 };
        }
        reordered
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
    fn many_in_order_are_as_many_one_by_one() {
        for flows in [1, 3] {
            for (spoiled, number, count) in
                [(9, 2, 4), (3, 2, 4), (0, 0, 6), (9, 5, 3), (4, 0, 5), (9, 6, 2), (9, 4, 5)]
            {
                let (mut many, mut single) = (Tracker::new(8, flows, 1000), Tracker::new(8, flows, 1000));
                for tracker in [&mut many, &mut single] {
                    tracker.sent(3, at(0));
                    tracker.sent(5, at(10));
                    tracker.answered(
                        spoiled,
                        u32::try_from(spoiled).unwrap() % u32::try_from(flows).unwrap(),
                        at(20),
                    );
                }
                let flow = |number: u64| u32::try_from(number % flows as u64).unwrap();
                let mut latencies = Vec::new();
                let each =
                    |ns, count| latencies.extend(core::iter::repeat_n(ns, usize::try_from(count).unwrap()));
                let reordered = many.answered_in_order((number, count), flow(number), at(30), each);
                let is_spoiled =
                    (number..number + count as u64).contains(&spoiled) || number + count as u64 > 8;
                assert_eq!(reordered.is_none(), is_spoiled, "{number}, {count}");
                let Some(reordered) = reordered else {
                    assert_eq!(many.waiting(), single.waiting());
                    continue;
                };
                let mut behind = 0;
                for (n, ns) in (number..).zip(latencies) {
                    let Answer::First { latency_ns, reordered } = single.answered(n, flow(n), at(30)) else {
                        panic!()
                    };
                    assert_eq!(latency_ns, ns);
                    behind += u64::from(reordered);
                }
                assert_eq!((behind, many.waiting()), (reordered, single.waiting()));
                assert_eq!(
                    (many.oldest, many.slots, many.behind),
                    (single.oldest, single.slots, single.behind)
                );
            }
        }
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
