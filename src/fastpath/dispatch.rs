//! One burst function, compiled for several levels of CPU, chosen once at start.
//!
//! The only file outside `dpdk` that may hold `unsafe`: a function compiled for more than the baseline may be called
//! only where the CPU has it, and the compiler cannot see that. Built for the baseline alone, the same code was twice
//! as slow in a trial.
#![allow(unsafe_code)]

use super::accept::{self, Lookup, Sink};
use super::{View, reply as in_place};
use crate::io::{Burst, PacketBuf, Parts};
use crate::stack::interface::Interfaces;
use crate::wire::checksum::Sum;

/// A level of CPU. Holding one proves that this CPU has it: only [`Level::detect`] makes any but the baseline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level(Isa);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Isa {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    X86V3,
}

impl Level {
    /// What every CPU of the architecture has.
    pub const BASELINE: Self = Self(Isa::Baseline);

    /// The best level of this CPU.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2")
            && std::is_x86_feature_detected!("bmi1")
            && std::is_x86_feature_detected!("bmi2")
            && std::is_x86_feature_detected!("movbe")
            && std::is_x86_feature_detected!("popcnt")
        {
            return Self(Isa::X86V3);
        }
        Self::BASELINE
    }

    /// Its name, as in `x86-64-v3`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Isa::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Isa::X86V3 => "x86-64-v3",
        }
    }
}

/// Sorts a received burst: right datagrams are delivered, everything else goes the slow way. `rx` is empty afterwards.
/// Returns how many bytes it held.
#[inline]
pub fn ingress_burst<B: PacketBuf>(
    level: Level,
    rx: &mut Burst<B>,
    lookup: Lookup<'_>,
    sink: &mut impl Sink<B>,
) -> u64 {
    match level.0 {
        Isa::Baseline => accept::burst(level, rx, lookup, sink),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level of this kind is made only by `detect`, which found every feature that is enabled here.
        Isa::X86V3 => unsafe { ingress_burst_v3(level, rx, lookup, sink) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt")]
fn ingress_burst_v3<B: PacketBuf>(
    level: Level,
    rx: &mut Burst<B>,
    lookup: Lookup<'_>,
    sink: &mut impl Sink<B>,
) -> u64 {
    accept::burst(level, rx, lookup, sink)
}

/// The sum of many bytes, by vectors as wide as the CPU has. A call: the burst function keeps its registers for headers.
#[inline(always)]
pub(super) fn sum_long(level: Level, bytes: &[u8]) -> Sum {
    match level.0 {
        Isa::Baseline => sum_long_baseline(bytes),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::X86V3 => unsafe { sum_long_v3(bytes) },
    }
}

#[inline(never)]
fn sum_long_baseline(bytes: &[u8]) -> Sum {
    Sum::of(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline(never)]
fn sum_long_v3(bytes: &[u8]) -> Sum {
    Sum::of(bytes)
}

/// Turns the request in `buf` into its answer in place; false if the slow way must. Small enough to need no level.
#[inline]
pub fn reply<B: PacketBuf>(buf: &mut B, parts: Parts, view: &View, interfaces: &Interfaces) -> bool {
    in_place::in_place(buf, parts, view, interfaces)
}
