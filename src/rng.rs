//! Chance, as an argument.
//!
//! A seeded generator that the core is handed, so that a run of the simulator is a function of its seed. Not for
//! cryptography.

use core::time::Duration;

/// A seeded pseudo-random generator.
#[derive(Clone, Debug)]
pub struct Rng(fastrand::Rng);

impl Rng {
    /// A generator whose whole sequence follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A new generator, independent of what this one draws afterwards.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// Any 64-bit value.
    pub fn u64(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A value in `0..bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.u64(0..bound) }
    }

    /// True once in `n` draws on average; never for `n` = 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n != 0 && self.below(n) == 0
    }

    /// A delay chosen uniformly from `(0, max]`, in nanoseconds; zero only if `max` is zero.
    ///
    /// G15, RFC 9776 5.2: the interval is open at zero, so that no answer is immediate.
    pub fn delay(&mut self, max: Duration) -> Duration {
        let max = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(if max == 0 { 0 } else { 1 + self.below(max) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_never_zero_and_never_above_the_maximum() {
        let mut rng = Rng::new(1);
        for _ in 0..1000 {
            let d = rng.delay(Duration::from_nanos(3));
            assert!(d > Duration::ZERO && d <= Duration::from_nanos(3));
        }
        assert_eq!(rng.delay(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        assert!((0..100).all(|_| a.u64() == b.u64()));
    }
}
