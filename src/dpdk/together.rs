//! What several received mbufs are together: found out by one look at each, so that nobody has to ask each of them.

use core::sync::atomic::{Ordering, fence};

use dpdk_sys as sys;

use super::Mbuf;
use super::mbuf::{INDIRECT, REARM, REARM_MASK, REARM_UNIQUE, TOLD, is_one};
use crate::io::Alike;

/// What several received mbufs are together: for each bit of `data_off, refcnt, nb_segs, port` and of the flags behind them, whether one
/// has it, and whether all have it.
#[derive(Clone, Copy)]
pub(super) struct Together {
    any: Words,
    all: Words,
}

/// Two words that lie side by side, in one register.
#[cfg(target_arch = "x86_64")]
type Words = core::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
type Words = [u64; 2];

/// The same, as little aligned as words are.
#[derive(Clone, Copy)]
#[repr(C, packed(8))]
struct Aligned(Words);

const _: () = assert!(sys::SHIM_MBUF_OL_FLAGS as usize == REARM + 8);

impl Together {
    /// Of none.
    #[inline]
    pub(super) fn none() -> Self {
        Self { any: words([0; 2]), all: words([u64::MAX; 2]) }
    }

    /// With `buf`.
    #[inline(always)]
    pub(super) fn with(self, buf: &Mbuf) -> Self {
        let its = rearm_and_flags(buf);
        Self { any: or(self.any, its), all: and(self.all, its) }
    }

    /// The flags that one of them has.
    #[inline]
    pub(super) fn flags(self) -> u64 {
        numbers(self.any)[1]
    }

    /// What is known of each, after all have [forgotten](Mbuf::forget) the flags `unasked`.
    #[inline]
    pub(super) fn alike(self, unasked: u64) -> Alike {
        const GOOD: u64 = sys::SHIM_RX_IP_CKSUM_GOOD | sys::SHIM_RX_L4_CKSUM_GOOD;
        let ([any_rearm, any], [all_rearm, all]) = (numbers(self.any), numbers(self.all));
        let (any, all) = (any & !unasked, all & !unasked);
        if !is_one(any_rearm) || !is_one(all_rearm) || any & (TOLD & !GOOD | INDIRECT) != 0 {
            Alike::Unknown
        } else if any & GOOD == 0 {
            Alike::Plain
        } else if all & GOOD == GOOD {
            Alike::Summed
        } else {
            Alike::Unknown
        }
    }
}

/// `data_off, refcnt, nb_segs, port` of `buf`, and its flags.
#[inline(always)]
fn rearm_and_flags(buf: &Mbuf) -> Words {
    let words = buf.field::<u64>(sys::SHIM_MBUF_DATA_OFF).cast::<Aligned>();
    // SAFETY: two words side by side (asserted above), aligned as such. If others have a handle, all that they do is to count
    // themselves, and whatever is read of that says that they are there: volatile, as nothing is concluded from reading twice.
    unsafe { words.read_volatile() }.0
}

/// Whether each of the four has one segment in a buffer of its own, and this one handle.
#[inline(always)]
pub(super) fn are_unique([a, b, c, d]: [&Mbuf; 4]) -> bool {
    let unique = words([REARM_UNIQUE, 0]);
    let unlike = |buf| xor(rearm_and_flags(buf), unique);
    let unlike = or(or(unlike(a), unlike(b)), or(unlike(c), unlike(d)));
    // As in `Mbuf::is_unique`: what a thread that has given up its handle did with the buffer happened before.
    fence(Ordering::Acquire);
    are_zeros(and(unlike, words([REARM_MASK, INDIRECT])))
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    //! Every x86-64 has it.
    use core::arch::x86_64::*;

    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
    pub(super) fn words([low, high]: [u64; 2]) -> __m128i {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_set_epi64x(high as i64, low as i64) }
    }

    #[inline(always)]
    pub(super) fn numbers(words: __m128i) -> [u64; 2] {
        let mut numbers = [0; 2];
        // SAFETY: every x86-64 has SSE2; room for 16 bytes, which need no alignment.
        unsafe { _mm_storeu_si128(numbers.as_mut_ptr().cast(), words) };
        numbers
    }

    #[inline(always)]
    pub(super) fn or(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_or_si128(a, b) }
    }

    #[inline(always)]
    pub(super) fn xor(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_xor_si128(a, b) }
    }

    #[inline(always)]
    pub(super) fn are_zeros(words: __m128i) -> bool {
        // SAFETY: every x86-64 has SSE2.
        let zeros = unsafe { _mm_setzero_si128() };
        // SAFETY: as above.
        let equal = unsafe { _mm_cmpeq_epi8(words, zeros) };
        // SAFETY: as above.
        unsafe { _mm_movemask_epi8(equal) == 0xffff }
    }

    #[inline(always)]
    pub(super) fn and(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_and_si128(a, b) }
    }
}
#[cfg(target_arch = "x86_64")]
use sse2::{and, are_zeros, numbers, or, words, xor};

#[cfg(not(target_arch = "x86_64"))]
mod plain {
    //! What has no vectors.
    pub(super) const fn words(words: [u64; 2]) -> [u64; 2] {
        words
    }

    pub(super) const fn numbers(words: [u64; 2]) -> [u64; 2] {
        words
    }

    pub(super) const fn or([a, b]: [u64; 2], [c, d]: [u64; 2]) -> [u64; 2] {
        [a | c, b | d]
    }

    pub(super) const fn xor([a, b]: [u64; 2], [c, d]: [u64; 2]) -> [u64; 2] {
        [a ^ c, b ^ d]
    }

    pub(super) const fn are_zeros([a, b]: [u64; 2]) -> bool {
        a | b == 0
    }

    pub(super) const fn and([a, b]: [u64; 2], [c, d]: [u64; 2]) -> [u64; 2] {
        [a & c, b & d]
    }
}
#[cfg(not(target_arch = "x86_64"))]
use plain::{and, are_zeros, numbers, or, words, xor};
