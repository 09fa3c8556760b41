//! Four datagrams at once, in vectors of 32 bytes: their heads compared, their sums added up, and turned round.
//!
//! Whether one of four is not as it should be is all that is asked, so whatever is unlike in any of them is gathered in one vector, and
//! tested once.

use core::arch::x86_64::*;

use super::accept::rest_of;
use super::dispatch::v3::{
    load, load_all, load_words, load16, of_each, store_each, store_words, store16, to_each, without,
};
use super::found::Places;
use super::head::Words;
use super::level::Level;
use super::view6::{View6, source};
use super::wide::{FRONT, FRONT6, Fronts, Fronts6, Heads, Heads6, Sums, UDP_AT, UDP_IN_FRONT};
use crate::io::Parts;

/// `map` over four. That has not the features of the function that it is in, and so may not have vectors in it; a macro is not there.
macro_rules! each {
    ($four:expr, |$it:ident| $what:expr) => {{
        let [a, b, c, d] = $four;
        [each!(a as $it, $what), each!(b as $it, $what), each!(c as $it, $what), each!(d as $it, $what)]
    }};
    ($one:ident as $it:ident, $what:expr) => {{
        let $it = $one;
        $what
    }};
}
pub(super) use each;

/// What multiplies and adds takes words for signed: each is so much less than it was.
const LESS: u32 = 0x8000;

/// What four heads say.
#[derive(Clone, Copy)]
pub(super) struct Four {
    pub(super) src: __m128i,
    pub(super) ports: __m128i,
    /// Bytes of UDP, header included.
    pub(super) udp_len: __m128i,
    /// Set for those whose frames end where their datagrams do, and that have a source port.
    pub(super) whole: __m128i,
}

#[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn all_are(value: u32) -> __m128i {
    _mm_set1_epi32(value as i32)
}

/// The low 16 bits of each word, in the other order.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn swapped(words: __m128i) -> __m128i {
    _mm_shuffle_epi8(words, _mm_setr_epi8(1, 0, -1, -1, 5, 4, -1, -1, 9, 8, -1, -1, 13, 12, -1, -1))
}

/// Of each front, the four bytes from `AT` on.
#[inline(always)]
fn gather<const AT: usize, const LEN: usize>(fronts: &[&[u8; LEN]; 4]) -> __m128i {
    of_each(fronts.map(|front| front.load32::<AT>()))
}

/// Of each front the 16 bytes from `AT` on, as columns of four.
#[target_feature(enable = "avx2")]
#[inline]
fn columns<const AT: usize, const LEN: usize>([a, b, c, d]: &[&[u8; LEN]; 4]) -> [__m128i; 4] {
    let (a, b) = (load16::<AT, LEN>(a), load16::<AT, LEN>(b));
    let (c, d) = (load16::<AT, LEN>(c), load16::<AT, LEN>(d));
    let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
    [
        _mm_unpacklo_epi64(ab, cd),
        _mm_unpackhi_epi64(ab, cd),
        _mm_unpacklo_epi64(ab_high, cd_high),
        _mm_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// What is unlike `same` in one of the vectors.
#[target_feature(enable = "avx2")]
#[inline]
fn unlike(same: __m256i, [a, b, c, d]: [__m256i; 4]) -> __m256i {
    let ab = _mm256_or_si256(_mm256_xor_si256(a, same), _mm256_xor_si256(b, same));
    _mm256_or_si256(ab, _mm256_or_si256(_mm256_xor_si256(c, same), _mm256_xor_si256(d, same)))
}

/// See [`Wide::four`](super::wide::Wide::four). `LINES`: for what [`v4_four`](super::v4_four) leaves over. A copy for each, here and below,
/// as what has two callers is inlined into neither.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn four<const SEVERAL: bool, const LINES: bool>(
    level: Level,
    frames: [&[u8]; 4],
    fronts: Fronts<'_>,
    sums: Sums,
    like: &Heads,
    places: Places<'_>,
) -> bool {
    let [a, b, c, d] = frames;
    let Some((four, dst)) = heads::<SEVERAL, LINES>(&fronts, lens_of(frames), like) else { return false };
    // The half of our own address that is not among the first bytes.
    let half = if SEVERAL { _mm_srli_epi32::<16>(dst) } else { all_are(like.own.addr >> 16) };
    let behind = |lens| rests_of::<34>(level, a, b, c, d, lens);
    if sums == Sums::All && !are_right::<LINES>(&fronts, &four, half, behind) {
        return false;
    }
    note(four, like.parts, places);
    true
}

/// What the heads say, and to whom they are; `None`: something else is in one of the frames, or anything is wrong with it but its sums.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the bits are what is wanted")]
fn heads<const SEVERAL: bool, const LINES: bool>(
    fronts: &Fronts<'_>,
    lens: __m128i,
    like: &Heads,
) -> Option<(Four, __m128i)> {
    let first = unlike(load_all(&like.first), each!(fronts, |front| load::<0, FRONT>(front)));
    let [src, dst, ports, len_and_sum] = columns::<26, FRONT>(fronts);
    // To our address. Not from our own MAC, or one that ends like it. I07 to I11: from one host, and not from us. 1 to 223, but for
    // 127.
    let octet = _mm_and_si128(src, all_are(0xff));
    let less = _mm_sub_epi32(octet, all_are(1));
    let is_no_host = _mm_or_si128(
        _mm_xor_si128(_mm_min_epu32(less, all_are(222)), less),
        _mm_cmpeq_epi32(octet, all_are(127)),
    );
    let is_own = _mm_or_si128(
        _mm_cmpeq_epi32(src, all_are(like.own.addr)),
        _mm_cmpeq_epi32(src, all_are(like.own.broadcast)),
    );
    let is_own_mac = _mm_cmpeq_epi32(gather::<8, FRONT>(fronts), all_are((like.own.mac >> 16) as u32));
    let bad = if SEVERAL {
        _mm_or_si128(is_no_host, is_own_mac)
    } else {
        let is_to_others = _mm_xor_si128(dst, all_are(like.own.addr));
        _mm_or_si128(_mm_or_si128(is_no_host, is_own), _mm_or_si128(is_own_mac, is_to_others))
    };

    // I03, U01, U02: the lengths agree and lie inside the frame. U04: there is a checksum.
    let udp_len = swapped(len_and_sum);
    let disagree = _mm_xor_si128(swapped(gather::<16, FRONT>(fronts)), _mm_add_epi32(udp_len, all_are(20)));
    let bad = _mm_or_si128(bad, disagree);
    let (bad, at_end) = ends(bad, lens, udp_len, 34);
    let bad = _mm_or_si128(bad, _mm_cmpeq_epi32(_mm_srli_epi32::<16>(len_and_sum), _mm_setzero_si128()));
    if _mm256_testz_si256(first, load_all(&Heads::FIRST)) == 0 || _mm_testz_si128(bad, bad) == 0 {
        return None;
    }
    Some((Four { src, ports, udp_len, whole: whole(at_end, ports) }, dst))
}

/// The lengths of four frames.
#[inline(always)]
pub(super) fn lens_of(frames: [&[u8]; 4]) -> __m128i {
    of_each(frames.map(|frame| u32::try_from(frame.len()).unwrap_or(u32::MAX)))
}

/// `bad`, and whatever is too short to be UDP, or ends behind its frame; and which frames end where their datagrams do, that begin at
/// `udp_at`.
#[target_feature(enable = "avx2")]
#[inline]
fn ends(bad: __m128i, lens: __m128i, udp_len: __m128i, udp_at: u32) -> (__m128i, __m128i) {
    let end = _mm_add_epi32(udp_len, all_are(udp_at));
    let is_out = _mm_or_si128(_mm_cmpgt_epi32(end, lens), _mm_cmpgt_epi32(all_are(8), udp_len));
    (_mm_or_si128(bad, is_out), _mm_cmpeq_epi32(end, lens))
}

/// Those that are [whole frames](Parts::whole_frame).
// U10: nobody answers port 0.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn whole(at_end: __m128i, ports: __m128i) -> __m128i {
    let no_source = _mm_cmpeq_epi32(_mm_and_si128(ports, all_are(0xffff)), _mm_setzero_si128());
    _mm_andnot_si128(no_source, at_end)
}

/// Notes what was found.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
pub(super) fn note(four: Four, parts: u64, places: Places<'_>) {
    let whole =
        _mm256_and_si256(_mm256_cvtepi32_epi64(four.whole), _mm256_set1_epi64x(Parts::WHOLE_FRAME as i64));
    let len = _mm256_or_si256(_mm256_cvtepu32_epi64(four.udp_len), _mm256_set1_epi64x(parts as i64));
    store_words(places.words, _mm256_or_si256(len, whole));
    // Each of the two in the order of this CPU.
    let swap = _mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    store_each(places.ports, _mm_shuffle_epi8(four.ports, swap));
}

/// What UDP has in the front, each word less than it was: of four fronts, without what is behind their datagrams.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "26 bytes")]
fn udp_in_fronts(lasts: [__m256i; 4], udp_len: __m128i) -> [__m256i; 4] {
    let less = _mm256_set1_epi16(i16::MIN);
    let is_short = _mm_cmpgt_epi32(all_are(UDP_IN_FRONT as u32), udp_len);
    let lasts = if _mm_testz_si128(is_short, is_short) == 1 {
        lasts
    } else {
        let most = all_are(UDP_IN_FRONT as u32);
        let [a, b, c, d] = lasts;
        let [spare_a, spare_b, spare_c, spare_d] = to_each(_mm_sub_epi32(most, _mm_min_epu32(udp_len, most)));
        [
            _mm256_and_si256(a, without(spare_a)),
            _mm256_and_si256(b, without(spare_b)),
            _mm256_and_si256(c, without(spare_c)),
            _mm256_and_si256(d, without(spare_d)),
        ]
    };
    let [a, b, c, d] = lasts;
    [
        _mm256_xor_si256(a, less),
        _mm256_xor_si256(b, less),
        _mm256_xor_si256(c, less),
        _mm256_xor_si256(d, less),
    ]
}

/// For each of four vectors two sums, that of its lower half and that of its upper one.
#[target_feature(enable = "avx2")]
#[inline]
fn each_half([a, b, c, d]: [__m256i; 4]) -> __m256i {
    _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d))
}

/// The sums of what four datagrams have behind their fronts, if one has anything there: then `of` says.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "26 bytes")]
fn rests(udp_len: __m128i, of: impl FnOnce([u32; 4]) -> [u32; 4]) -> __m128i {
    let is_long = _mm_cmpgt_epi32(udp_len, all_are(UDP_IN_FRONT as u32));
    if _mm_testz_si128(is_long, is_long) == 1 { _mm_setzero_si128() } else { of_each(of(to_each(udp_len))) }
}

/// The same of four frames with UDP at `UDP`.
// One by one: in an array, they would be stored for every four that there are.
#[inline(never)]
pub(super) fn rests_of<const UDP: usize>(
    level: Level,
    a: &[u8],
    b: &[u8],
    c: &[u8],
    d: &[u8],
    lens: [u32; 4],
) -> [u32; 4] {
    let mut rests = [0; 4];
    for ((rest, frame), len) in rests.iter_mut().zip([a, b, c, d]).zip(lens) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > UDP_IN_FRONT {
            *rest = u32::from(rest_of(level, frame.get(UDP..).unwrap_or_default(), len).fold().swap_bytes());
        }
    }
    rests
}

/// Whether both sums of each are right, to addresses of which this is the other `half`. I02, RFC 1122 3.2.1.2; U04, RFC 1122 4.1.3.4.
#[target_feature(enable = "avx2")]
#[inline]
fn are_right<const LINES: bool>(
    fronts: &Fronts<'_>,
    four: &Four,
    half: __m128i,
    behind: impl FnOnce([u32; 4]) -> [u32; 4],
) -> bool {
    let (less, one) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(1));
    let ip_words = load_words(&Heads::IP_WORDS);
    let [a, b, c, d] = each!(fronts, |front| load::<0, FRONT>(front));
    let ip = each_half([
        _mm256_madd_epi16(_mm256_xor_si256(a, less), ip_words),
        _mm256_madd_epi16(_mm256_xor_si256(b, less), ip_words),
        _mm256_madd_epi16(_mm256_xor_si256(c, less), ip_words),
        _mm256_madd_epi16(_mm256_xor_si256(d, less), ip_words),
    ]);
    let [a, b, c, d] = udp_in_fronts(each!(fronts, |front| load::<UDP_AT, FRONT>(front)), four.udp_len);
    let udp = each_half([
        _mm256_madd_epi16(a, one),
        _mm256_madd_epi16(b, one),
        _mm256_madd_epi16(c, one),
        _mm256_madd_epi16(d, one),
    ]);
    // All four sums of IP, then all four of UDP.
    let sums = _mm256_add_epi32(
        _mm256_permute2x128_si256::<0x20>(ip, udp),
        _mm256_permute2x128_si256::<0x31>(ip, udp),
    );
    let low = all_are(0xffff);
    let more_ip = _mm_add_epi32(half, all_are(9 * LESS));
    // The pseudo-header: the other half of the source, protocol 17, and the length as it lies there.
    let pseudo = _mm_add_epi32(_mm_and_si128(four.src, low), swapped(four.udp_len));
    let more_udp = _mm_add_epi32(pseudo, all_are(0x1100 + 16 * LESS));
    let more_udp = _mm_add_epi32(more_udp, rests(four.udp_len, behind));
    are_folded_right(_mm256_add_epi32(sums, _mm256_set_m128i(more_udp, more_ip)))
}

/// Whether one's-complement sums in 32 bits, each less than 2^21, are what those of right data are: then one fold leaves 0xffff, and of
/// nothing else.
#[target_feature(enable = "avx2")]
#[inline]
fn are_folded_right(sums: __m256i) -> bool {
    let low = _mm256_set1_epi32(0xffff);
    let folded = _mm256_add_epi32(_mm256_and_si256(sums, low), _mm256_srli_epi32::<16>(sums));
    let wrong = _mm256_xor_si256(folded, low);
    _mm256_testz_si256(wrong, wrong) == 1
}

/// See [`Wide::four6`](super::wide::Wide::four6).
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn four6<const SEVERAL: bool, const LINES: bool>(
    level: Level,
    frames: [&[u8]; 4],
    fronts: Fronts6<'_>,
    sums: Sums,
    (view, first): (&View6, &[u8; FRONT6]),
    places: Places<'_>,
) -> bool {
    if fronts.iter().any(|front| view.is_own(source(front))) {
        return false;
    }
    let [a, b, c, d] = frames;
    let like = &view.heads;
    let Some(four) = heads6::<SEVERAL, LINES>(&fronts, lens_of(frames), like, first) else { return false };
    if sums == Sums::All
        && !are_right6::<SEVERAL, LINES>(&fronts, &four, |lens| rests_of::<54>(level, a, b, c, d, lens))
    {
        return false;
    }
    note(four, like.parts, places);
    true
}

#[target_feature(enable = "avx2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the bits are what is wanted")]
fn heads6<const SEVERAL: bool, const LINES: bool>(
    fronts: &Fronts6<'_>,
    lens: __m128i,
    like: &Heads6,
    to: &[u8; FRONT6],
) -> Option<Four> {
    let first = unlike(load_all(&like.first), each!(fronts, |front| load::<0, FRONT6>(front)));
    let addrs = if SEVERAL {
        _mm256_setzero_si256()
    } else {
        unlike(load::<22, FRONT6>(to), each!(fronts, |front| load::<22, FRONT6>(front)))
    };

    // V03 to V05: no group; whatever begins with zeros is for others to judge. Not from our own MAC, or one that ends like it.
    let src = gather::<22, FRONT6>(fronts);
    let is_group = _mm_cmpeq_epi32(_mm_and_si128(src, all_are(0xff)), all_are(0xff));
    let is_zero = _mm_cmpeq_epi32(src, _mm_setzero_si128());
    let is_own_mac = _mm_cmpeq_epi32(gather::<8, FRONT6>(fronts), all_are((like.mac >> 16) as u32));
    let bad = _mm_or_si128(_mm_or_si128(is_group, is_zero), is_own_mac);

    // V01, U01, U02: the lengths agree and lie inside the frame. U05: there is a checksum.
    let len_and_sum = gather::<58, FRONT6>(fronts);
    let udp_len = swapped(len_and_sum);
    let disagree = _mm_xor_si128(swapped(gather::<18, FRONT6>(fronts)), udp_len);
    let bad = _mm_or_si128(bad, disagree);
    let (bad, at_end) = ends(bad, lens, udp_len, 54);
    let bad = _mm_or_si128(bad, _mm_cmpeq_epi32(_mm_srli_epi32::<16>(len_and_sum), _mm_setzero_si128()));
    if _mm256_testz_si256(first, load_all(&Heads6::FIRST)) == 0
        || _mm256_testz_si256(addrs, load_all(&Heads6::ADDRS)) == 0
        || _mm_testz_si128(bad, bad) == 0
    {
        return None;
    }
    let ports = gather::<54, FRONT6>(fronts);
    Some(Four { src, ports, udp_len, whole: whole(at_end, ports) })
}

#[target_feature(enable = "avx2")]
#[inline]
fn are_right6<const SEVERAL: bool, const LINES: bool>(
    fronts: &Fronts6<'_>,
    four: &Four,
    behind: impl FnOnce([u32; 4]) -> [u32; 4],
) -> bool {
    // Of 16 words of addresses, and 13 of UDP.
    const ALL_LESS: u32 = 29 * LESS;
    let (less, one) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(1));
    let udp_words = load_words(&Heads6::UDP_WORDS);
    let [a, b, c, d] =
        udp_in_fronts(each!(fronts, |front| load::<{ FRONT6 - 32 }, FRONT6>(front)), four.udp_len);
    let [w, x, y, z] = each!(fronts, |front| load::<22, FRONT6>(front));
    let halves = each_half([
        _mm256_add_epi32(_mm256_madd_epi16(_mm256_xor_si256(w, less), one), _mm256_madd_epi16(a, udp_words)),
        _mm256_add_epi32(_mm256_madd_epi16(_mm256_xor_si256(x, less), one), _mm256_madd_epi16(b, udp_words)),
        _mm256_add_epi32(_mm256_madd_epi16(_mm256_xor_si256(y, less), one), _mm256_madd_epi16(c, udp_words)),
        _mm256_add_epi32(_mm256_madd_epi16(_mm256_xor_si256(z, less), one), _mm256_madd_epi16(d, udp_words)),
    ]);
    let sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
    let pseudo = _mm_add_epi32(swapped(four.udp_len), all_are(0x1100 + ALL_LESS));
    let sums = _mm_add_epi32(_mm_add_epi32(sums, pseudo), rests(four.udp_len, behind));
    let low = all_are(0xffff);
    let folded = _mm_add_epi32(_mm_and_si128(sums, low), _mm_srli_epi32::<16>(sums));
    let wrong = _mm_xor_si128(folded, low);
    _mm_testz_si128(wrong, wrong) == 1
}

/// See [`Wide::turn_four`](super::wide::Wide::turn_four).
///
/// Everything is read before anything is written: a load of bytes that were stored in other pieces would stall.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn turn(fronts: [&mut [u8; FRONT]; 4], udp_lens: [u32; 4], link: &[u8; 16]) {
    let own = load16::<0, 16>(link);
    // The source's MAC to the destination's place, our own with what follows to its.
    let macs = _mm_setr_epi8(6, 7, 8, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    // From the TTL on: addresses and ports change places.
    let ends = _mm_setr_epi8(-1, -1, -1, -1, 8, 9, 10, 11, 4, 5, 6, 7, 14, 15, 12, 13);
    let lasts = each!(fronts.each_ref(), |front| load16::<22, FRONT>(front));
    let sums = header_sums(lasts, of_each(udp_lens));
    // TTL 64, UDP, and the checksum: of each the first four bytes from the TTL on.
    let begins = [
        _mm_shuffle_epi8(sums, _mm_setr_epi8(0, 1, 2, 3, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
        _mm_shuffle_epi8(sums, _mm_setr_epi8(4, 5, 6, 7, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
        _mm_shuffle_epi8(sums, _mm_setr_epi8(8, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
        _mm_shuffle_epi8(sums, _mm_setr_epi8(12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
    ];
    for ((front, last), begin) in fronts.into_iter().zip(lasts).zip(begins) {
        let first = _mm_or_si128(_mm_shuffle_epi8(load16::<0, FRONT>(front), macs), own);
        store16::<0, FRONT>(front, first);
        // Identification 0, and DF.
        front.store::<18, 4>([0, 0, 0x40, 0]);
        store16::<22, FRONT>(front, _mm_or_si128(_mm_shuffle_epi8(last, ends), begin));
    }
}

/// TTL, protocol and header checksum of four answers, of which these are the bytes from the TTL on.
#[target_feature(enable = "avx2")]
#[inline]
fn header_sums(lasts: [__m128i; 4], udp_len: __m128i) -> __m128i {
    let addrs = _mm_setr_epi16(0, 0, 1, 1, 1, 1, 0, 0);
    let less = _mm_set1_epi16(i16::MIN);
    let [a, b, c, d] = lasts;
    let ab = _mm_hadd_epi32(
        _mm_madd_epi16(_mm_xor_si128(a, less), addrs),
        _mm_madd_epi16(_mm_xor_si128(b, less), addrs),
    );
    let cd = _mm_hadd_epi32(
        _mm_madd_epi16(_mm_xor_si128(c, less), addrs),
        _mm_madd_epi16(_mm_xor_si128(d, less), addrs),
    );
    // Version 4 and 20 bytes, DF, TTL 64, UDP; the total length as it lies there.
    let total_len = swapped(_mm_add_epi32(udp_len, all_are(20)));
    let sums = _mm_add_epi32(_mm_hadd_epi32(ab, cd), all_are(0x0045 + 0x0040 + 0x1140 + 4 * LESS));
    let sums = _mm_add_epi32(sums, total_len);
    // Less than 2^19: the first fold leaves at most 0xffff + 7, and the second no carry.
    let low = all_are(0xffff);
    let once = _mm_add_epi32(_mm_and_si128(sums, low), _mm_srli_epi32::<16>(sums));
    let twice = _mm_add_epi32(once, _mm_srli_epi32::<16>(once));
    // Its complement, behind TTL and protocol.
    let checksum = _mm_slli_epi32::<16>(_mm_xor_si128(twice, low));
    _mm_or_si128(checksum, all_are(0x1140))
}
