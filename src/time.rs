//! Moments, as the core sees them.
//!
//! The core never asks a clock: every entry takes `now: Instant`. On an lcore it is read once per turn from the TSC,
//! in the simulator it is whatever the world says.

use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A moment, in nanoseconds since an arbitrary start. Monotonic within one world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The start of the world.
    pub const ZERO: Self = Self(0);

    /// The moment `ns` nanoseconds after the start.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Whole nanoseconds of `d`, saturating after 584 years.
fn ns(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(ns(d)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(ns(d)))
    }
}

/// The world's time of day, by what it was at one moment: the core has moments only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WallClock {
    /// Nanoseconds since 1970 at [`Instant::ZERO`], modulo 2^64.
    at_zero: u64,
}

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

impl WallClock {
    /// At `now` it is `since_1970` after the start of 1970 in UT.
    #[must_use]
    pub fn new(now: Instant, since_1970: Duration) -> Self {
        Self { at_zero: ns(since_1970).wrapping_sub(now.0) }
    }

    /// Milliseconds since midnight UT at `now`: the time of ICMP and IP time stamps (RFC 792).
    #[must_use]
    pub fn millis_of_day(self, now: Instant) -> u32 {
        let since_1970 = self.at_zero.wrapping_add(now.0);
        u32::try_from(since_1970 / 1_000_000 % DAY_MS).unwrap_or_default()
    }
}

/// The earlier of two optional deadlines.
#[must_use]
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let t = Instant::from_ns(5);
        assert_eq!(t - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::from_ns(u64::MAX) + Duration::from_secs(1), Instant::from_ns(u64::MAX));
        assert_eq!(Instant::ZERO.since(t), Duration::ZERO);
    }

    // C10, RFC 792: milliseconds since midnight UT. 2026-11-22 00:28:05 UT is 1,795,307,285 s after 1970 began.
    #[test]
    fn the_time_of_day_follows_from_one_known_moment() {
        let now = Instant::from_ns(5_000_000_000);
        let clock = WallClock::new(now, Duration::from_millis(1_795_307_285_250));
        assert_eq!(clock.millis_of_day(now), (28 * 60 + 5) * 1000 + 250);
        assert_eq!(clock.millis_of_day(now + Duration::from_millis(7)), (28 * 60 + 5) * 1000 + 257);
        assert_eq!(clock.millis_of_day(now + Duration::from_secs(86_400)), (28 * 60 + 5) * 1000 + 250);
        // A world that has run for longer than since 1970.
        let old = Instant::from_ns(u64::MAX);
        assert_eq!(WallClock::new(old, Duration::from_millis(3)).millis_of_day(old), 3);
    }

    #[test]
    fn the_earliest_of_two_deadlines_ignores_absent_ones() {
        let t = Some(Instant::from_ns(5));
        assert_eq!(earliest(t, None), t);
        assert_eq!(earliest(None, t), t);
        assert_eq!(earliest(Some(Instant::from_ns(9)), t), t);
    }
}
