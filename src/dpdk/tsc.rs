//! Time on an lcore: the time stamp counter, in nanoseconds.

use dpdk_sys as sys;

use super::Eal;
use crate::time::Instant;

/// Reads the time stamp counter. A copy on each lcore tells the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    /// Nanoseconds a tick, times 2^[`SHIFT`].
    multiplier: u64,
}

/// A multiplier of 32 fractional bits is right to a quarter of a nanosecond a second, for any counter above 1 Hz.
const SHIFT: u32 = 32;

impl Clock {
    /// Starts at zero.
    #[must_use]
    pub fn new(_eal: &Eal) -> Self {
        // SAFETY: EAL runs, and has measured the counter.
        let hz = unsafe { sys::rte_get_tsc_hz() };
        Self { start: ticks(), multiplier: multiplier(hz) }
    }

    /// The time since the clock was made.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_ns(scale(ticks().wrapping_sub(self.start), self.multiplier))
    }
}

#[inline]
fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the counter.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: reads a register.
    unsafe {
        sys::shim_tsc()
    }
}

fn multiplier(hz: u64) -> u64 {
    u64::try_from((1_000_000_000_u128 << SHIFT) / u128::from(hz.max(1))).unwrap_or(u64::MAX)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "584 years of nanoseconds fit")]
fn scale(ticks: u64, multiplier: u64) -> u64 {
    ((u128::from(ticks) * u128::from(multiplier)) >> SHIFT) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_for_years() {
        for hz in [1_000_000_u64, 24_000_000, 2_445_000_000, 5_700_000_000] {
            let second = scale(hz, multiplier(hz));
            assert!((999_999_998..=1_000_000_000).contains(&second), "{hz}: {second}");
            let ten_years = 10 * 365 * 86_400;
            let ns = scale(hz * ten_years, multiplier(hz));
            assert!(ns.abs_diff(ten_years * 1_000_000_000) < 1_000_000_000, "{hz}: {ns}");
        }
    }
}
