//! One burst function, compiled for several levels of CPU, chosen once at start.
//!
//! The only file outside `dpdk` that may hold `unsafe`: a function compiled for more than the baseline may be called
//! only where the CPU has it, and the compiler cannot see that. Built for the baseline alone, the same code was twice
//! as slow in a trial.
#![allow(unsafe_code)]

use super::accept::{self, Lookup, Sink};
use super::wide::{FRONT, Narrow, Template, Wide};
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
        Isa::Baseline => accept::burst(level, Narrow, rx, lookup, sink),
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
    accept::burst(level, v3::V3(()), rx, lookup, sink)
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

/// Requests of a burst that are to be answered in place, and where they go from there.
pub trait Requests<B> {
    /// The next one.
    fn next(&mut self) -> Option<(B, Parts)>;
    /// The numbers of the port that they came in by.
    fn view(&self) -> (&View, &Interfaces);
    /// It is its answer now.
    fn turned(&mut self, buf: B, parts: Parts);
    /// It is not of the plain shape or cannot be answered: nothing was changed.
    fn left(&mut self, buf: B, parts: Parts);
}

/// Turns `requests` into their answers in place, one after the other.
#[inline]
pub fn reply_burst<B: PacketBuf>(level: Level, requests: &mut impl Requests<B>) {
    match level.0 {
        Isa::Baseline => turn_all(Narrow, requests),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level of this kind is made only by `detect`, which found every feature that is enabled here.
        Isa::X86V3 => unsafe { reply_burst_v3(requests) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt")]
fn reply_burst_v3<B: PacketBuf>(requests: &mut impl Requests<B>) {
    turn_all(v3::V3(()), requests);
}

#[inline(always)]
fn turn_all<B: PacketBuf, W: Wide>(wide: W, requests: &mut impl Requests<B>) {
    while let Some((mut buf, parts)) = requests.next() {
        let (view, interfaces) = requests.view();
        if in_place::in_place(wide, &mut buf, parts, view, interfaces) {
            requests.turned(buf, parts);
        } else {
            requests.left(buf, parts);
        }
    }
}

/// Vectors of 32 bytes.
#[cfg(target_arch = "x86_64")]
mod v3 {
    use core::arch::x86_64::*;

    use super::{FRONT, Template, Wide};
    use crate::fastpath::HEAD;
    use crate::fastpath::head::Words;
    use crate::fastpath::wide::{FRONT6, IP_AT, IP_HEADER, UDP_AT, UDP6, up_to};

    /// Holding one proves that this CPU has them: it is made only where the whole function was compiled for them.
    #[derive(Clone, Copy)]
    pub(super) struct V3(pub(super) ());

    impl Wide for V3 {
        const IS_WIDE: bool = true;

        #[inline(always)]
        fn is_like(self, front: &[u8; FRONT], template: &Template) -> bool {
            // SAFETY: whoever holds a `V3` runs on a CPU that has what is enabled there.
            unsafe { is_like(front, template) }
        }

        #[inline(always)]
        fn sums(self, front: &[u8; FRONT], len: usize) -> (u64, u64) {
            // SAFETY: as above.
            unsafe { sums(front, up_to(len)) }
        }

        #[inline(always)]
        fn sum6(self, front: &[u8; FRONT6], len: usize) -> u64 {
            // SAFETY: as above.
            unsafe { sum6(front, up_to(len)) }
        }

        #[inline(always)]
        fn turn(self, head: &mut [u8; HEAD], link: &[u8; 16], total_len: u16, checksum: u16) {
            // SAFETY: as above.
            unsafe { turn(head, link, total_len, checksum) }
        }
    }

    #[inline(always)]
    fn load<const AT: usize, const LEN: usize>(bytes: &[u8; LEN]) -> __m256i {
        const { assert!(AT + 32 <= LEN) };
        load_all(bytes.get(AT..).and_then(|part| part.first_chunk()).unwrap_or(&[0; 32]))
    }

    #[inline(always)]
    fn load_all(bytes: &[u8; 32]) -> __m256i {
        // SAFETY: 32 bytes, which need no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn is_like(front: &[u8; FRONT], template: &Template) -> bool {
        let unlike = _mm256_xor_si256(load::<IP_AT, FRONT>(front), load_all(&template.0));
        _mm256_testz_si256(unlike, load_all(&Template::MASK)) == 1
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(clippy::cast_sign_loss, reason = "the bits are what is wanted")]
    fn sums(front: &[u8; FRONT], mask: &[u8; 32]) -> (u64, u64) {
        let ip = _mm256_and_si256(load::<IP_AT, FRONT>(front), load_all(&IP_HEADER));
        let udp = _mm256_and_si256(load::<UDP_AT, FRONT>(front), load_all(mask));
        let low = _mm256_set1_epi32(0xffff);
        // Each half of every word apart, so that nothing overflows.
        let words = |v| _mm256_add_epi32(_mm256_and_si256(v, low), _mm256_srli_epi32::<16>(v));
        let both = _mm256_hadd_epi32(words(ip), words(udp));
        let both = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both));
        (_mm_cvtsi128_si64(both) as u64, _mm_extract_epi64::<1>(both) as u64)
    }
    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(clippy::cast_sign_loss, reason = "the bits are what is wanted")]
    fn sum6(front: &[u8; FRONT6], mask: &[u8; 32]) -> u64 {
        let addrs = load::<22, FRONT6>(front);
        let last = _mm256_and_si256(load::<{ FRONT6 - 32 }, FRONT6>(front), load_all(mask));
        let udp = _mm256_and_si256(last, load_all(&UDP6));
        let low = _mm256_set1_epi32(0xffff);
        let words = |v| _mm256_add_epi32(_mm256_and_si256(v, low), _mm256_srli_epi32::<16>(v));
        let both = _mm256_add_epi32(words(addrs), words(udp));
        let half = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both));
        let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b1110>(half));
        _mm_cvtsi128_si64(quarter) as u64
    }

    #[inline(always)]
    fn load16<const AT: usize>(bytes: &[u8; HEAD]) -> __m128i {
        const { assert!(AT + 16 <= HEAD) };
        let part = bytes.get(AT..).and_then(|part| part.first_chunk::<16>()).unwrap_or(&[0; 16]);
        // SAFETY: 16 bytes, which need no alignment.
        unsafe { _mm_loadu_si128(part.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store16<const AT: usize>(bytes: &mut [u8; HEAD], value: __m128i) {
        const { assert!(AT + 16 <= HEAD) };
        if let Some(to) = bytes.get_mut(AT..).and_then(|part| part.first_chunk_mut::<16>()) {
            // SAFETY: room for 16 bytes, which need no alignment.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), value) };
        }
    }

    /// Everything is read before anything is written: a load of bytes that were stored in other pieces would stall.
    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
    fn turn(head: &mut [u8; HEAD], link: &[u8; 16], total_len: u16, checksum: u16) {
        // The source's MAC to the destination's place, our own with what follows to its.
        let macs = _mm_setr_epi8(6, 7, 8, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        // SAFETY: 16 bytes, which need no alignment.
        let own = unsafe { _mm_loadu_si128(link.as_ptr().cast()) };
        let first = _mm_or_si128(_mm_shuffle_epi8(load16::<0>(head), macs), own);
        // From the TTL on: addresses and ports change places.
        let ends = _mm_setr_epi8(-1, -1, -1, -1, 8, 9, 10, 11, 4, 5, 6, 7, 14, 15, 12, 13);
        let ttl_udp = _mm_setr_epi8(64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        let last = _mm_or_si128(_mm_shuffle_epi8(load16::<22>(head), ends), ttl_udp);
        let last = _mm_insert_epi16::<1>(last, i32::from(checksum as i16));
        store16::<0>(head, first);
        // Total length, identification 0, DF, and the same TTL and protocol.
        head.store::<16, 8>((0x1140_0040_0000_0000 | u64::from(total_len)).to_le_bytes());
        store16::<22>(head, last);
    }
}
