//! One burst function, compiled for several levels of CPU, chosen once at start.
//!
//! The only file outside `dpdk` that may hold `unsafe`: a function compiled for more than the baseline may be called
//! only where the CPU has it, and the compiler cannot see that. Built for the baseline alone, the same code was twice
//! as slow in a trial.
#![allow(unsafe_code)]

use super::accept::{self, Port, Sink};
use super::wide::{FRONT, Narrow, Template, Wide};
use super::{View, reply as in_place};
use crate::io::{Burst, PacketBuf, Parts};
use crate::stack::interface::Interfaces;
use crate::stack::port_table::Fetch;
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
    port: Port<'_>,
    sink: &mut impl Sink<B>,
) -> u64 {
    match level.0 {
        Isa::Baseline => accept::burst(level, Narrow, rx, port, sink),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level of this kind is made only by `detect`, which found every feature that is enabled here.
        Isa::X86V3 => unsafe { ingress_burst_v3(level, rx, port, sink) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe,popcnt")]
fn ingress_burst_v3<B: PacketBuf>(
    level: Level,
    rx: &mut Burst<B>,
    port: Port<'_>,
    sink: &mut impl Sink<B>,
) -> u64 {
    accept::burst(level, v3::V3(()), rx, port, sink)
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
    v3::sum(bytes)
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

    use super::{FRONT, Sum, Template, Wide};
    use crate::fastpath::accept6::HEAD6;
    use crate::fastpath::head::Words;
    use crate::fastpath::wide::{
        FRONT6, Four, Fronts, Fronts6, Heads, Heads6, IP_AT, IP_HEADER, UDP_AT, UDP_IN_FRONT, UDP6, UP_TO,
        up_to,
    };

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
        fn heads(self, fronts: &Fronts<'_>, lens: [u32; 4], like: &Heads) -> Option<Four> {
            // SAFETY: as above.
            unsafe { heads(fronts, lens, like) }
        }

        #[inline(always)]
        fn are_whole(self, fronts: &Fronts<'_>, four: &Four, rests: [u32; 4], like: &Heads) -> bool {
            // SAFETY: as above.
            unsafe { are_whole(fronts, four, rests, like) }
        }

        #[inline(always)]
        fn heads6(self, fronts: &Fronts6<'_>, lens: [u32; 4], like: &Heads6) -> Option<Four> {
            // SAFETY: as above.
            unsafe { heads6(fronts, lens, like) }
        }

        #[inline(always)]
        fn are_whole6(self, fronts: &Fronts6<'_>, four: &Four, rests: [u32; 4]) -> bool {
            // SAFETY: as above.
            unsafe { are_whole6(fronts, four, rests) }
        }

        #[inline(always)]
        fn turn6(self, head: &mut [u8; HEAD6], link: &[u8; 16], word: u64) {
            // SAFETY: as above.
            unsafe { turn6(head, link, word) }
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

    /// Of each front, the four bytes from `AT` on.
    #[inline(always)]
    fn gather<const AT: usize, const LEN: usize>(fronts: &[&[u8; LEN]; 4]) -> __m128i {
        of_each(fronts.map(|front| front.load32::<AT>()))
    }

    #[inline(always)]
    fn of_each(values: [u32; 4]) -> __m128i {
        // SAFETY: 16 bytes, which need no alignment.
        unsafe { _mm_loadu_si128(values.as_ptr().cast()) }
    }

    #[inline(always)]
    fn to_each(values: __m128i) -> [u32; 4] {
        let mut each = [0; 4];
        // SAFETY: room for 16 bytes, which need no alignment.
        unsafe { _mm_storeu_si128(each.as_mut_ptr().cast(), values) };
        each
    }

    /// How many bytes of each front are behind its datagram.
    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(
        clippy::cast_possible_wrap,
        clippy::cast_possible_truncation,
        reason = "the bits are what is wanted"
    )]
    fn spares(four: &Four) -> [u32; 4] {
        let most = _mm_set1_epi32(UDP_IN_FRONT as i32);
        to_each(_mm_sub_epi32(most, _mm_min_epu32(of_each(four.udp_lens), most)))
    }

    /// The mask of a front of which the last `spare` bytes do not count: one of [`spares`].
    #[inline(always)]
    fn without(spare: u32) -> __m256i {
        // SAFETY: `spares` says 26 at most, and there are 64 bytes.
        let from = unsafe { UP_TO.as_ptr().add(spare as usize) };
        // SAFETY: 32 bytes from there are inside, and need no alignment.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    /// Whether all bits are set.
    #[inline(always)]
    fn all(v: __m128i) -> bool {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_movemask_epi8(v) == 0xffff }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(
        clippy::cast_possible_wrap,
        clippy::cast_possible_truncation,
        reason = "the bits are what is wanted"
    )]
    fn heads(fronts: &Fronts<'_>, lens: [u32; 4], like: &Heads) -> Option<Four> {
        // The differences of all four, of which the mask takes what counts.
        let [a, b, c, d] = fronts;
        let same = load_all(&like.first);
        let unlike = |front: &[u8; FRONT]| _mm256_xor_si256(load::<0, FRONT>(front), same);
        let ab = _mm256_or_si256(unlike(a), unlike(b));
        let first = _mm256_or_si256(ab, _mm256_or_si256(unlike(c), unlike(d)));
        let same = load_all(&like.last);
        let unlike = |front: &[u8; FRONT]| _mm256_xor_si256(load::<UDP_AT, FRONT>(front), same);
        let ab = _mm256_or_si256(unlike(a), unlike(b));
        let last = _mm256_or_si256(ab, _mm256_or_si256(unlike(c), unlike(d)));

        // Not from our own MAC, or one that ends like it. I07 to I11: from one host, and not from us. To 1 to 223, but for 127.
        let all_are = |value: u32| _mm_set1_epi32(value as i32);
        let src = gather::<26, FRONT>(fronts);
        let octet = _mm_and_si128(src, all_are(0xff));
        let less = _mm_sub_epi32(octet, all_are(1));
        let is_host = _mm_cmpeq_epi32(_mm_min_epu32(less, all_are(222)), less);
        let is_own = _mm_or_si128(
            _mm_cmpeq_epi32(src, all_are(like.own.addr)),
            _mm_cmpeq_epi32(src, all_are(like.own.broadcast)),
        );
        let is_own_mac = _mm_cmpeq_epi32(gather::<8, FRONT>(fronts), all_are((like.own.mac >> 16) as u32));
        let is_loopback = _mm_cmpeq_epi32(octet, all_are(127));
        let is_bad = _mm_or_si128(_mm_or_si128(is_own, is_own_mac), is_loopback);

        // I03, U01, U02: the lengths agree and lie inside the frame. U04: there is a checksum.
        let swap = _mm_setr_epi8(1, 0, -1, -1, 5, 4, -1, -1, 9, 8, -1, -1, 13, 12, -1, -1);
        let len_and_sum = gather::<38, FRONT>(fronts);
        let udp_len = _mm_shuffle_epi8(len_and_sum, swap);
        let total_len = _mm_shuffle_epi8(gather::<16, FRONT>(fronts), swap);
        let agree = _mm_cmpeq_epi32(total_len, _mm_add_epi32(udp_len, all_are(20)));
        let (end, frame) = (_mm_add_epi32(udp_len, all_are(34)), of_each(lens));
        let is_out = _mm_or_si128(_mm_cmpgt_epi32(end, frame), _mm_cmpgt_epi32(all_are(8), udp_len));
        let no_sum = _mm_cmpeq_epi32(_mm_srli_epi32::<16>(len_and_sum), all_are(0));

        let is_bad = _mm_or_si128(is_bad, _mm_or_si128(is_out, no_sum));
        let is_good = _mm_andnot_si128(is_bad, _mm_and_si128(is_host, agree));
        if _mm256_testz_si256(first, load_all(&Heads::FIRST)) == 0
            || _mm256_testz_si256(last, load_all(&Heads::LAST)) == 0
            || !all(is_good)
        {
            return None;
        }
        let ports = gather::<34, FRONT>(fronts);
        let no_source = _mm_cmpeq_epi32(_mm_and_si128(ports, all_are(0xffff)), all_are(0));
        let in_front = _mm_cmpgt_epi32(all_are(UDP_IN_FRONT as u32 + 1), udp_len);
        Some(Four {
            udp_lens: to_each(udp_len),
            are_to_port: all(_mm_cmpeq_epi32(_mm_srli_epi32::<16>(ports), all_are(like.udp_port))),
            are_whole_frames: all(_mm_andnot_si128(no_source, _mm_cmpeq_epi32(end, frame))),
            is_long: !all(in_front),
        })
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
    fn are_whole(fronts: &Fronts<'_>, four: &Four, rests: [u32; 4], like: &Heads) -> bool {
        // What multiplies and adds takes words for signed: each is 0x8000 less than it was.
        const LESS: u32 = 0x8000;
        let less = _mm256_set1_epi16(i16::MIN);
        let (one, udp_len) = (_mm256_set1_epi16(1), of_each(four.udp_lens));
        let all_are = |value: u32| _mm_set1_epi32(value as i32);
        // SAFETY: 32 bytes, which need no alignment.
        let ip_words = unsafe { _mm256_loadu_si256(Heads::IP_WORDS.as_ptr().cast()) };
        let ip = |front| _mm256_madd_epi16(_mm256_xor_si256(load::<0, FRONT>(front), less), ip_words);
        let udp = |front, spare: u32| {
            let part = _mm256_and_si256(load::<UDP_AT, FRONT>(front), without(spare));
            _mm256_madd_epi16(_mm256_xor_si256(part, less), one)
        };
        let each = |a, b, c, d| {
            let halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
        };
        let [a, b, c, d] = *fronts;
        let [spare_a, spare_b, spare_c, spare_d] = spares(four);
        let low = all_are(0xffff);
        // The half of our own address that is not among the first bytes.
        let ip = each(ip(a), ip(b), ip(c), ip(d));
        let ip = _mm_add_epi32(ip, all_are((like.own.addr >> 16) + 9 * LESS));
        // The pseudo-header: the other half of the source, protocol 17, and the length as it lies there.
        let swap = _mm_setr_epi8(1, 0, -1, -1, 5, 4, -1, -1, 9, 8, -1, -1, 13, 12, -1, -1);
        let source_and_len =
            _mm_add_epi32(_mm_and_si128(gather::<26, FRONT>(fronts), low), _mm_shuffle_epi8(udp_len, swap));
        let udp = each(udp(a, spare_a), udp(b, spare_b), udp(c, spare_c), udp(d, spare_d));
        let udp = _mm_add_epi32(_mm_add_epi32(udp, source_and_len), all_are(0x1100 + 16 * LESS));
        let udp = _mm_add_epi32(udp, of_each(rests));
        // Less than 2^21, so that one fold leaves 0xffff of what is right, and of nothing else.
        let fold = |sum| _mm_add_epi32(_mm_and_si128(sum, low), _mm_srli_epi32::<16>(sum));
        all(_mm_and_si128(_mm_cmpeq_epi32(fold(ip), low), _mm_cmpeq_epi32(fold(udp), low)))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(
        clippy::cast_possible_wrap,
        clippy::cast_possible_truncation,
        reason = "the bits are what is wanted"
    )]
    fn heads6(fronts: &Fronts6<'_>, lens: [u32; 4], like: &Heads6) -> Option<Four> {
        let [a, b, c, d] = fronts;
        let same = load_all(&like.first);
        let unlike = |front: &[u8; FRONT6]| _mm256_xor_si256(load::<0, FRONT6>(front), same);
        let ab = _mm256_or_si256(unlike(a), unlike(b));
        let first = _mm256_or_si256(ab, _mm256_or_si256(unlike(c), unlike(d)));
        let same = load_all(&like.addrs);
        let unlike = |front: &[u8; FRONT6]| _mm256_xor_si256(load::<22, FRONT6>(front), same);
        let ab = _mm256_or_si256(unlike(a), unlike(b));
        let addrs = _mm256_or_si256(ab, _mm256_or_si256(unlike(c), unlike(d)));

        // V03 to V05: no group; whatever begins with zeros is for others to judge. Not from our own MAC, or one that ends like it.
        let all_are = |value: u32| _mm_set1_epi32(value as i32);
        let src = gather::<22, FRONT6>(fronts);
        let is_group = _mm_cmpeq_epi32(_mm_and_si128(src, all_are(0xff)), all_are(0xff));
        let is_zero = _mm_cmpeq_epi32(src, all_are(0));
        let is_own_mac = _mm_cmpeq_epi32(gather::<8, FRONT6>(fronts), all_are((like.mac >> 16) as u32));
        let is_bad = _mm_or_si128(_mm_or_si128(is_group, is_zero), is_own_mac);

        // V01, U01, U02: the lengths agree and lie inside the frame. U05: there is a checksum.
        let swap = _mm_setr_epi8(1, 0, -1, -1, 5, 4, -1, -1, 9, 8, -1, -1, 13, 12, -1, -1);
        let len_and_sum = gather::<58, FRONT6>(fronts);
        let udp_len = _mm_shuffle_epi8(len_and_sum, swap);
        let agree = _mm_cmpeq_epi32(_mm_shuffle_epi8(gather::<18, FRONT6>(fronts), swap), udp_len);
        let (end, frame) = (_mm_add_epi32(udp_len, all_are(54)), of_each(lens));
        let is_out = _mm_or_si128(_mm_cmpgt_epi32(end, frame), _mm_cmpgt_epi32(all_are(8), udp_len));
        let no_sum = _mm_cmpeq_epi32(_mm_srli_epi32::<16>(len_and_sum), all_are(0));

        let is_bad = _mm_or_si128(is_bad, _mm_or_si128(is_out, no_sum));
        if _mm256_testz_si256(first, load_all(&Heads6::FIRST)) == 0
            || _mm256_testz_si256(addrs, load_all(&Heads6::ADDRS)) == 0
            || !all(_mm_andnot_si128(is_bad, agree))
        {
            return None;
        }
        let ports = gather::<54, FRONT6>(fronts);
        let no_source = _mm_cmpeq_epi32(_mm_and_si128(ports, all_are(0xffff)), all_are(0));
        let in_front = _mm_cmpgt_epi32(all_are(UDP_IN_FRONT as u32 + 1), udp_len);
        Some(Four {
            udp_lens: to_each(udp_len),
            are_to_port: all(_mm_cmpeq_epi32(_mm_srli_epi32::<16>(ports), all_are(like.udp_port))),
            are_whole_frames: all(_mm_andnot_si128(no_source, _mm_cmpeq_epi32(end, frame))),
            is_long: !all(in_front),
        })
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    #[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
    fn are_whole6(fronts: &Fronts6<'_>, four: &Four, rests: [u32; 4]) -> bool {
        // As in `are_whole`: of 16 words of addresses, and 13 of UDP.
        const LESS: u32 = 29 * 0x8000;
        let (less, one) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(1));
        let all_are = |value: u32| _mm_set1_epi32(value as i32);
        // SAFETY: 32 bytes, which need no alignment.
        let udp_words = unsafe { _mm256_loadu_si256(Heads6::UDP_WORDS.as_ptr().cast()) };
        let sum = |front, spare: u32| {
            let addrs = _mm256_madd_epi16(_mm256_xor_si256(load::<22, FRONT6>(front), less), one);
            let last = _mm256_and_si256(load::<{ FRONT6 - 32 }, FRONT6>(front), without(spare));
            _mm256_add_epi32(addrs, _mm256_madd_epi16(_mm256_xor_si256(last, less), udp_words))
        };
        let [a, b, c, d] = *fronts;
        let [spare_a, spare_b, spare_c, spare_d] = spares(four);
        let (ab, cd) = (
            _mm256_hadd_epi32(sum(a, spare_a), sum(b, spare_b)),
            _mm256_hadd_epi32(sum(c, spare_c), sum(d, spare_d)),
        );
        let halves = _mm256_hadd_epi32(ab, cd);
        let sum = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
        let swap = _mm_setr_epi8(1, 0, -1, -1, 5, 4, -1, -1, 9, 8, -1, -1, 13, 12, -1, -1);
        let lens = _mm_shuffle_epi8(of_each(four.udp_lens), swap);
        let sum =
            _mm_add_epi32(_mm_add_epi32(sum, lens), _mm_add_epi32(of_each(rests), all_are(0x1100 + LESS)));
        let low = all_are(0xffff);
        let folded = _mm_add_epi32(_mm_and_si128(sum, low), _mm_srli_epi32::<16>(sum));
        all(_mm_cmpeq_epi32(folded, low))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn turn6(head: &mut [u8; HEAD6], link: &[u8; 16], word: u64) {
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

    /// The sum of the bytes of a packet.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn sum(bytes: &[u8]) -> Sum {
        // As in `are_whole`. Of the 64 KiB of a packet, what is added up in 32 bits stays below 2^31.
        const LESS: u64 = 0x8000;
        debug_assert!(bytes.len() <= 0x1_0000, "longer than a packet");
        let (less, one) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(1));
        let pairs = |part: &[u8; 32]| _mm256_madd_epi16(_mm256_xor_si256(load_all(part), less), one);
        let (blocks, rest) = bytes.as_chunks::<32>();
        let (fours, others) = blocks.as_chunks::<4>();
        let mut sums = [_mm256_setzero_si256(); 4];
        for four in fours {
            for (sum, part) in sums.iter_mut().zip(four) {
                *sum = _mm256_add_epi32(*sum, pairs(part));
            }
        }
        let [mut sum, b, c, d] = sums;
        for part in others {
            sum = _mm256_add_epi32(sum, pairs(part));
        }
        let sum = _mm256_add_epi32(_mm256_add_epi32(sum, b), _mm256_add_epi32(c, d));
        let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b1110>(half));
        let eighth = _mm_add_epi32(quarter, _mm_shuffle_epi32::<0b01>(quarter));
        let words =
            i64::from(_mm_cvtsi128_si32(eighth)).wrapping_add_unsigned(blocks.len() as u64 * 16 * LESS);
        Sum::of(rest).add_words(words.unsigned_abs())
    }

    #[inline(always)]
    fn load16<const AT: usize, const LEN: usize>(bytes: &[u8; LEN]) -> __m128i {
        const { assert!(AT + 16 <= LEN) };
        let part = bytes.get(AT..).and_then(|part| part.first_chunk::<16>()).unwrap_or(&[0; 16]);
        // SAFETY: 16 bytes, which need no alignment.
        unsafe { _mm_loadu_si128(part.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store16<const AT: usize, const LEN: usize>(bytes: &mut [u8; LEN], value: __m128i) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // RFC 1071: however it is added up, it is the same sum.
        #[test]
        fn the_sum_of_many_bytes_is_the_same_on_every_level(
            bytes in prop::collection::vec(any::<u8>(), 0..3000), fill in prop_oneof![Just(None), any::<u8>().prop_map(Some)],
        ) {
            let bytes = fill.map_or_else(|| bytes.clone(), |fill| vec![fill; bytes.len()]);
            prop_assert_eq!(sum_long(Level::detect(), &bytes).fold(), Sum::of(&bytes).fold());
        }
    }

    #[test]
    fn the_longest_packet_is_summed_without_overflow() {
        for byte in [0, 0x7f, 0x80, 0xff] {
            let bytes = vec![byte; 0xffff];
            assert_eq!(sum_long(Level::detect(), &bytes).fold(), Sum::of(&bytes).fold(), "{byte:#x}");
        }
    }
}
