//! One burst function, compiled for several levels of CPU, chosen once at start.
//!
//! The only file outside `dpdk` that may hold `unsafe`: a function compiled for more than the baseline may be called
//! only where the CPU has it, and the compiler cannot see that. Built for the baseline alone, the same code was twice
//! as slow in a trial.
#![allow(unsafe_code)]

use super::accept::{self, Port, Sink};
use super::found::Found;
use super::level::{Isa, Level};
#[cfg(target_arch = "x86_64")]
use super::long_sum;
use super::reply::{self, Answers, Request};
use super::wide::{FRONT, Narrow, Template, Wide};
use crate::io::{Burst, PacketBuf};
use crate::stack::port_table::Fetch;
use crate::wire::checksum::Sum;

/// Sorts a received burst: right datagrams are delivered, everything else goes the slow way. `rx` is empty afterwards.
/// Returns how many bytes it held. `found` is room to work in.
#[inline]
pub fn ingress_burst<B: PacketBuf>(
    level: Level,
    rx: &mut Burst<B>,
    port: Port<'_>,
    found: &mut Found,
    sink: &mut impl Sink<B>,
) -> u64 {
    match level.isa() {
        Isa::Baseline => accept::burst(level, Narrow, rx, port, found, sink),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: levels of these kinds are made only by `Level::all_here`, which found every feature that is enabled here.
        Isa::X86V3 => unsafe { ingress_burst_v3(level, rx, port, found, sink) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::X86V4 => unsafe { ingress_burst_v4(level, rx, port, found, sink) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt")]
fn ingress_burst_v3<B: PacketBuf>(
    level: Level,
    rx: &mut Burst<B>,
    port: Port<'_>,
    found: &mut Found,
    sink: &mut impl Sink<B>,
) -> u64 {
    accept::burst(level, v3::V3::<false>(()), rx, port, found, sink)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
fn ingress_burst_v4<B: PacketBuf>(
    level: Level,
    rx: &mut Burst<B>,
    port: Port<'_>,
    found: &mut Found,
    sink: &mut impl Sink<B>,
) -> u64 {
    accept::burst(level, v3::V3::<true>(()), rx, port, found, sink)
}

/// The sum of many bytes, by vectors as wide as the CPU has. A call: the burst function keeps its registers for headers.
#[inline(always)]
pub(super) fn sum_long(level: Level, bytes: &[u8]) -> Sum {
    match level.isa() {
        Isa::Baseline => sum_long_baseline(bytes),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::X86V3 => unsafe { sum_long_v3(bytes) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::X86V4 => unsafe { sum_long_v4(bytes) },
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
    long_sum::v3(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline(never)]
fn sum_long_v4(bytes: &[u8]) -> Sum {
    long_sum::v4(bytes)
}

/// Has cache lines come near: a [`Fetch`] by the CPU's own instruction, where it has one.
#[derive(Clone, Copy, Debug)]
pub struct Near;

impl Fetch for Near {
    #[inline(always)]
    fn fetch<T>(&self, it: &T) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch has no effect that a program can see, whatever the address; and this one is a reference's.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(
                core::ptr::from_ref(it).cast(),
            );
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = it;
    }
}

/// Turns those of `requests` that are to be answered into their answers in place, one after the other, and tells `answers` of each.
#[inline]
pub fn reply_burst<B: PacketBuf, R: Request<B>>(
    level: Level,
    requests: &mut [R],
    answers: &mut impl Answers<R>,
) {
    match level.isa() {
        Isa::Baseline => reply::turn_all(Narrow, requests, answers),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: levels of these kinds are made only by `Level::all_here`, which found every feature that is enabled here.
        Isa::X86V3 | Isa::X86V4 => unsafe { reply_burst_v3(requests, answers) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt")]
fn reply_burst_v3<B: PacketBuf, R: Request<B>>(requests: &mut [R], answers: &mut impl Answers<R>) {
    reply::turn_all(v3::V3::<false>(()), requests, answers);
}

/// Vectors of 32 bytes.
#[cfg(target_arch = "x86_64")]
pub(super) mod v3 {
    use core::arch::x86_64::*;

    use super::{FRONT, Level, Template, Wide};
    use crate::fastpath::accept6::HEAD6;
    use crate::fastpath::found::{Found, Places};
    use crate::fastpath::four::Front;
    use crate::fastpath::head::Words;
    use crate::fastpath::line::Line;
    use crate::fastpath::line6::Line6;
    use crate::fastpath::view6::View6;
    use crate::fastpath::wide::{
        FRONT6, Fronts, Fronts6, Heads, IP_AT, IP_HEADER, Sums, UDP_AT, UDP_IN_FRONT, UDP6, UP_TO, up_to,
    };
    use crate::fastpath::{View, alikes, four, v3_four, v4_four, v4_four6};
    use crate::io::{Alike, PacketBuf};

    /// Holding one proves that this CPU has them: it is made only where the whole function was compiled for them; and so it is, if `LINES`, with
    /// vectors of 64 bytes.
    #[derive(Clone, Copy)]
    pub(super) struct V3<const LINES: bool>(pub(super) ());

    impl<const LINES: bool> Wide for V3<LINES> {
        const IS_WIDE: bool = true;
        const HAS_LINES: bool = LINES;

        #[inline(always)]
        fn find<B: PacketBuf>(
            self,
            level: Level,
            slots: &[Option<B>],
            alike: Alike,
            view: &View,
            found: &mut Found,
        ) -> Front {
            match (LINES, view.is_alone()) {
                (true, true) => find_apart::<B, false>(level, slots, alike, view, found),
                (true, false) => find_apart::<B, true>(level, slots, alike, view, found),
                (false, true) => four::find::<B, Self, false>(level, self, slots, alike, view, found),
                (false, false) => find_several_apart(level, slots, alike, view, found),
            }
        }

        #[inline(always)]
        fn find6<B: PacketBuf, const SEVERAL: bool>(
            self,
            level: Level,
            slots: &[Option<B>],
            alike: Alike,
            view: &View6,
            before: Front,
            found: &mut Found,
        ) -> Front {
            match (LINES, SEVERAL) {
                (true, _) => find6_apart::<B, SEVERAL>(level, slots, alike, view, before, found),
                (false, true) => find6_several_apart(level, slots, alike, view, before, found),
                (false, false) => {
                    four::find6::<B, Self, false>(level, self, slots, alike, view, before, found)
                }
            }
        }

        #[inline(always)]
        fn turn4<B: PacketBuf>(self, slots: &mut [Option<B>], found: &mut Found, view: &View) -> usize {
            if LINES {
                // SAFETY: as above.
                unsafe { turn4_v4(slots, found, view) }
            } else {
                alikes::turn4(self, slots, found, view)
            }
        }

        #[inline(always)]
        fn turn6<B: PacketBuf, const SEVERAL: bool>(
            self,
            slots: &mut [Option<B>],
            words: &[u64],
            view: &View6,
        ) -> usize {
            match (LINES, SEVERAL) {
                // SAFETY: as above.
                (true, _) => unsafe { turn6_v4::<B, SEVERAL>(slots, words, view) },
                // SAFETY: as above.
                (false, true) => unsafe { turn6_several_v3(slots, words, view) },
                (false, false) => alikes::turn6::<B, Self, false>(self, slots, words, view),
            }
        }

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
        fn four<const SEVERAL: bool>(
            self,
            level: Level,
            frames: [&[u8]; 4],
            fronts: Fronts<'_>,
            sums: Sums,
            heads: &Heads,
            places: Places<'_>,
        ) -> bool {
            if LINES {
                // SAFETY: whoever holds such a `V3` runs on a CPU that has what is enabled there.
                unsafe { v4_four::four::<SEVERAL>(level, frames, fronts, sums, heads, places) }
            } else {
                // SAFETY: as above.
                unsafe { v3_four::four::<SEVERAL, false>(level, frames, fronts, sums, heads, places) }
            }
        }

        #[inline(always)]
        fn four6<const SEVERAL: bool>(
            self,
            level: Level,
            frames: [&[u8]; 4],
            fronts: Fronts6<'_>,
            sums: Sums,
            to: (&View6, &[u8; FRONT6]),
            places: Places<'_>,
        ) -> bool {
            if LINES {
                // SAFETY: as above.
                unsafe { v4_four6::four6::<SEVERAL>(level, frames, fronts, sums, to, places) }
            } else {
                // SAFETY: as above.
                unsafe { v3_four::four6::<SEVERAL, false>(level, frames, fronts, sums, to, places) }
            }
        }

        #[inline(always)]
        fn turn_four(self, fronts: [&mut [u8; FRONT]; 4], udp_lens: [u32; 4], link: &[u8; 16]) {
            // SAFETY: as above.
            unsafe { v3_four::turn(fronts, udp_lens, link) }
        }

        #[inline(always)]
        fn turn_found(self, fronts: [&mut [u8; FRONT]; 4], checksums: [u16; 4], line: &Line) {
            if LINES {
                // SAFETY: as of `four`.
                unsafe { v4_four::turn(fronts, checksums, line) }
            }
        }

        #[inline(always)]
        fn turn_one6(self, head: &mut [u8; HEAD6], link: &[u8; 16], word: u64) {
            // SAFETY: as above.
            unsafe { turn_one6(head, link, word) }
        }

        #[inline(always)]
        fn turn_found6(self, fronts: [&mut [u8; FRONT6]; 4], hashes: [u64; 4], line: &Line6) {
            if LINES {
                // SAFETY: as of `four`.
                unsafe { v4_four6::turn(fronts, hashes, line) }
            }
        }

        #[inline(always)]
        fn sum6(self, front: &[u8; FRONT6], len: usize) -> u64 {
            // SAFETY: as above.
            unsafe { sum6(front, up_to(len)) }
        }

        #[inline(always)]
        fn turn(self, front: &mut [u8; FRONT], link: &[u8; 16], checksum: u16) {
            // SAFETY: as above.
            unsafe { turn(front, link, checksum) }
        }
    }

    // Functions of their own, so that each loop has the registers to itself. With vectors of 32 bytes that was slower. That a function with
    // features is not to be inlined is not something that rustc holds to (1.95), but into one without them it cannot be: hence two.

    #[inline(never)]
    fn find_apart<B: PacketBuf, const SEVERAL: bool>(
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View,
        found: &mut Found,
    ) -> Front {
        // SAFETY: it is called where somebody holds a `V3` that `HAS_LINES`: the CPU has what is enabled there.
        unsafe { find_v4::<B, SEVERAL>(level, slots, alike, view, found) }
    }

    // So the one for a single address, which is inlined, stays as it is.
    #[inline(never)]
    fn find_several_apart<B: PacketBuf>(
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View,
        found: &mut Found,
    ) -> Front {
        // SAFETY: it is called where somebody holds a `V3`: the CPU has what is enabled there.
        unsafe { find_several_v3(level, slots, alike, view, found) }
    }

    #[inline(never)]
    fn find6_apart<B: PacketBuf, const SEVERAL: bool>(
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View6,
        before: Front,
        found: &mut Found,
    ) -> Front {
        // SAFETY: as above.
        unsafe { find6_v4::<B, SEVERAL>(level, slots, alike, view, before, found) }
    }

    #[inline(never)]
    fn find6_several_apart<B: PacketBuf>(
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View6,
        before: Front,
        found: &mut Found,
    ) -> Front {
        // SAFETY: it is called where somebody holds a `V3`: the CPU has what is enabled there.
        unsafe { find6_several_v3(level, slots, alike, view, before, found) }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    fn find_v4<B: PacketBuf, const SEVERAL: bool>(
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View,
        found: &mut Found,
    ) -> Front {
        four::find::<B, V3<true>, SEVERAL>(level, V3(()), slots, alike, view, found)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt")]
    fn find_several_v3<B: PacketBuf>(
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View,
        found: &mut Found,
    ) -> Front {
        four::find::<B, V3<false>, true>(level, V3(()), slots, alike, view, found)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    #[inline(never)]
    fn turn4_v4<B: PacketBuf>(slots: &mut [Option<B>], found: &mut Found, view: &View) -> usize {
        alikes::turn4(V3::<true>(()), slots, found, view)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    fn find6_v4<B: PacketBuf, const SEVERAL: bool>(
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View6,
        before: Front,
        found: &mut Found,
    ) -> Front {
        four::find6::<B, V3<true>, SEVERAL>(level, V3(()), slots, alike, view, before, found)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt")]
    fn find6_several_v3<B: PacketBuf>(
        level: Level,
        slots: &[Option<B>],
        alike: Alike,
        view: &View6,
        before: Front,
        found: &mut Found,
    ) -> Front {
        four::find6::<B, V3<false>, true>(level, V3(()), slots, alike, view, before, found)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    #[inline(never)]
    fn turn6_v4<B: PacketBuf, const SEVERAL: bool>(
        slots: &mut [Option<B>],
        words: &[u64],
        view: &View6,
    ) -> usize {
        alikes::turn6::<B, V3<true>, SEVERAL>(V3(()), slots, words, view)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt")]
    #[inline(never)]
    fn turn6_several_v3<B: PacketBuf>(slots: &mut [Option<B>], words: &[u64], view: &View6) -> usize {
        alikes::turn6::<B, V3<false>, true>(V3(()), slots, words, view)
    }

    #[inline(always)]
    pub(in crate::fastpath) fn load<const AT: usize, const LEN: usize>(bytes: &[u8; LEN]) -> __m256i {
        const { assert!(AT + 32 <= LEN) };
        load_all(bytes.get(AT..).and_then(|part| part.first_chunk()).unwrap_or(&[0; 32]))
    }

    #[inline(always)]
    pub(in crate::fastpath) fn load_all(bytes: &[u8; 32]) -> __m256i {
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
    pub(in crate::fastpath) fn load_words(words: &[i16; 16]) -> __m256i {
        // SAFETY: 32 bytes, which need no alignment.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    /// Four words as a vector.
    #[inline(always)]
    pub(in crate::fastpath) fn of_each(values: [u32; 4]) -> __m128i {
        // SAFETY: 16 bytes, which need no alignment.
        unsafe { _mm_loadu_si128(values.as_ptr().cast()) }
    }

    /// A vector as four words.
    #[inline(always)]
    pub(in crate::fastpath) fn to_each(values: __m128i) -> [u32; 4] {
        let mut each = [0; 4];
        store_each(&mut each, values);
        each
    }

    #[inline(always)]
    pub(in crate::fastpath) fn store_each(to: &mut [u32; 4], values: __m128i) {
        // SAFETY: room for 16 bytes, which need no alignment.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), values) };
    }

    #[inline(always)]
    pub(in crate::fastpath) fn store_words(to: &mut [u64; 4], values: __m256i) {
        // SAFETY: room for 32 bytes, which need no alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), values) };
    }

    /// The mask of a front of which the last `spare` bytes, at most as many as it has of UDP, do not count.
    #[inline(always)]
    pub(in crate::fastpath) fn without(spare: u32) -> __m256i {
        const { assert!(UDP_IN_FRONT <= 32) };
        let mask = UP_TO.get(spare as usize..).and_then(|mask| mask.first_chunk());
        load_all(mask.unwrap_or(&[0; 32]))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn turn_one6(head: &mut [u8; HEAD6], link: &[u8; 16], word: u64) {
        let macs = _mm_setr_epi8(6, 7, 8, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        let first = _mm_shuffle_epi8(load16::<0, HEAD6>(head), macs);
        // SAFETY: 16 bytes, which need no alignment.
        let own = unsafe { _mm_loadu_si128(link.as_ptr().cast()) };
        let addrs = _mm256_permute4x64_epi64::<0b0100_1110>(load::<22, HEAD6>(head));
        let ports = head.load32::<54>().rotate_left(16);
        store16::<0, HEAD6>(head, _mm_or_si128(first, own));
        head.store::<14, 8>(word.to_le_bytes());
        if let Some(to) = head.get_mut(22..).and_then(|part| part.first_chunk_mut::<32>()) {
            // SAFETY: room for 32 bytes, which need no alignment.
            unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), addrs) };
        }
        head.store::<54, 4>(ports.to_le_bytes());
    }

    #[inline(always)]
    pub(in crate::fastpath) fn load16<const AT: usize, const LEN: usize>(bytes: &[u8; LEN]) -> __m128i {
        const { assert!(AT + 16 <= LEN) };
        let part = bytes.get(AT..).and_then(|part| part.first_chunk::<16>()).unwrap_or(&[0; 16]);
        // SAFETY: 16 bytes, which need no alignment.
        unsafe { _mm_loadu_si128(part.as_ptr().cast()) }
    }

    #[inline(always)]
    pub(in crate::fastpath) fn store16<const AT: usize, const LEN: usize>(
        bytes: &mut [u8; LEN],
        value: __m128i,
    ) {
        const { assert!(AT + 16 <= LEN) };
        if let Some(to) = bytes.get_mut(AT..).and_then(|part| part.first_chunk_mut::<16>()) {
            // SAFETY: room for 16 bytes, which need no alignment.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), value) };
        }
    }

    /// Everything is read before anything is written: a load of bytes that were stored in other pieces would stall.
    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
    fn turn(front: &mut [u8; FRONT], link: &[u8; 16], checksum: u16) {
        // The source's MAC to the destination's place, our own with what follows to its.
        let macs = _mm_setr_epi8(6, 7, 8, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        // SAFETY: 16 bytes, which need no alignment.
        let own = unsafe { _mm_loadu_si128(link.as_ptr().cast()) };
        let first = _mm_or_si128(_mm_shuffle_epi8(load16::<0, FRONT>(front), macs), own);
        // From the TTL on: addresses and ports change places.
        let ends = _mm_setr_epi8(-1, -1, -1, -1, 8, 9, 10, 11, 4, 5, 6, 7, 14, 15, 12, 13);
        let ttl_udp = _mm_setr_epi8(64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        let last = _mm_or_si128(_mm_shuffle_epi8(load16::<22, FRONT>(front), ends), ttl_udp);
        let last = _mm_insert_epi16::<1>(last, i32::from(checksum as i16));
        store16::<0, FRONT>(front, first);
        // Identification 0, and DF.
        front.store::<18, 4>([0, 0, 0x40, 0]);
        store16::<22, FRONT>(front, last);
    }
}

/// Vectors of 64 bytes.
#[cfg(target_arch = "x86_64")]
pub(super) mod v4 {
    use core::arch::x86_64::*;

    use crate::fastpath::line::bits;

    /// Numbers without holes.
    pub(in crate::fastpath) trait Number: Copy {}
    impl Number for u8 {}
    impl Number for i16 {}
    impl Number for i32 {}
    impl Number for u32 {}

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in crate::fastpath) fn load_line<N: Number, const LEN: usize>(line: &[N; LEN]) -> __m512i {
        const { assert!(size_of::<[N; LEN]>() == 64) };
        // SAFETY: 64 bytes, which need no alignment.
        unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in crate::fastpath) fn store_line(to: &mut [u8; 64], line: __m512i) {
        // SAFETY: room for 64 bytes, which need no alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), line) };
    }

    /// Fewer bytes than a line has: zeros are behind them.
    #[target_feature(enable = "avx512bw")]
    #[inline]
    pub(in crate::fastpath) fn load_part<const LEN: usize>(bytes: &[u8; LEN]) -> __m512i {
        // SAFETY: `LEN` bytes, which need no alignment, and no other is touched.
        unsafe { _mm512_maskz_loadu_epi8(bits(0, LEN), bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512bw")]
    #[inline]
    pub(in crate::fastpath) fn store_part<const LEN: usize>(to: &mut [u8; LEN], line: __m512i) {
        // SAFETY: room for `LEN` bytes, which need no alignment, and no other is touched.
        unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), bits(0, LEN), line) };
    }
}

#[cfg(test)]
mod tests;
