//! How many packets are due.

use super::traffic::Rate;
use crate::time::Instant;

/// So many packets may be behind before some are skipped: a stall is made up for, not an overload.
const BACKLOG: u64 = 1024;

/// When packets are due.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    start: Instant,
    /// Packets that were due by now: given out, and skipped.
    given: u64,
    skipped: u64,
}

impl Pace {
    pub(super) const fn new(rate: Rate, start: Instant) -> Self {
        Self { rate, start, given: 0, skipped: 0 }
    }

    /// How many packets are due at `now`.
    pub(super) fn due(&mut self, now: Instant) -> u64 {
        let Rate::PerSecond(rate) = self.rate else { return u64::MAX };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "far below 2^53"
        )]
        // The first is due at once, and each next one interval later.
        let due = (now.since(self.start).as_nanos() as f64 * rate / 1e9) as u64 + 1;
        let behind = due.saturating_sub(self.given);
        if behind > BACKLOG {
            self.skipped += behind - BACKLOG;
            self.given += behind - BACKLOG;
        }
        due.saturating_sub(self.given)
    }

    /// So many were made.
    pub(super) const fn give(&mut self, n: u64) {
        self.given += n;
    }

    /// How many were due and never made.
    pub(super) const fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_due_at_even_distances_from_the_start() {
        let mut pace = Pace::new(Rate::PerSecond(1000.0), Instant::from_ns(5));
        assert_eq!(pace.due(Instant::from_ns(5)), 1);
        pace.give(1);
        assert_eq!(pace.due(Instant::from_ns(999_999)), 0);
        assert_eq!(pace.due(Instant::from_ns(1_000_005)), 1);
        assert_eq!(pace.due(Instant::from_ns(10_000_005)), 10);
    }

    #[test]
    fn a_long_stall_is_not_made_up_for() {
        let mut pace = Pace::new(Rate::PerSecond(1e6), Instant::ZERO);
        assert_eq!(pace.due(Instant::from_ns(10_000_000)), BACKLOG);
        assert_eq!(pace.skipped(), 10_001 - BACKLOG);
        pace.give(BACKLOG);
        assert_eq!(pace.due(Instant::from_ns(10_001_000)), 1);
    }

    #[test]
    fn without_a_rate_there_is_no_end() {
        assert_eq!(Pace::new(Rate::Max, Instant::ZERO).due(Instant::ZERO), u64::MAX);
    }
}
