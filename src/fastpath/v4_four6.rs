//! Four datagrams of IPv6 at once, each front in one vector of 64 bytes and a fourth of another one.
//!
//! As in [`v4_four`](super::v4_four); and what an answer has of its own is put in its place by the permutation that turns the request round.

use core::arch::x86_64::*;

use super::dispatch::v3::{load_all, load16, of_each, to_each};
use super::dispatch::v4::{load_line, store_line};
use super::found::Places;
use super::level::Level;
use super::line6::{LINE_AT, Line6};
use super::v3_four::{self, Four, all_are, each, lens_of, note, rests_of, swapped, whole};
use super::v4_four::zero;
use super::view6::{View6, source};
use super::wide::{FRONT6, Fronts6, Sums, UDP_IN_FRONT};
use crate::stack::flow_label::LABEL_AT;
use crate::wire::ipv6::{FLOW_LABEL_MASK, NEXT_HEADER_UDP};

/// The words of 16 bits that a permutation takes of two lines, those of the second from 32 on: in the lower half of each fourth, the column
/// of the source's first four bytes, of the ports, of UDP's length and checksum, and of IPv6's length and the source's last two bytes.
static PLACES: [i16; 32] = {
    const FIRST: [[i16; 2]; 4] = [[3, 4], [19, 20], [21, 22], [1, 10]];
    let mut places = [0; 32];
    let mut at = 0;
    while at < 4 {
        let [low, high] = FIRST[at];
        (places[8 * at], places[8 * at + 1]) = (low, high);
        (places[8 * at + 2], places[8 * at + 3]) = (32 + low, 32 + high);
        at += 1;
    }
    places
};

/// See [`Wide::four6`](super::wide::Wide::four6).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "26 bytes")]
pub(super) fn four6<const SEVERAL: bool>(
    level: Level,
    frames: [&[u8]; 4],
    fronts: Fronts6<'_>,
    sums: Sums,
    (view, first): (&View6, &[u8; FRONT6]),
    places: Places<'_>,
) -> bool {
    let lines = each!(fronts, |front| line_of(front));
    if !are_like::<SEVERAL>(&fronts, lines, view, line_of(first)) {
        return false;
    }
    let columns = columns(lines);
    let Some(four) = look_at(columns, lens_of(frames)) else { return false };
    // U01: nor is it known yet that there is room for UDP's header.
    if _mm_cmplt_epu32_mask(four.udp_len, all_are(UDP_IN_FRONT as u32)) != 0 {
        let [a, b, c, d] = frames;
        return by_halves::<SEVERAL>(
            level,
            a,
            b,
            c,
            d,
            sums,
            view,
            first,
            places.words,
            places.ports,
            places.src_sums,
        );
    }
    let [a, b, c, d] = fronts;
    if may_be_own(columns, &view.line) && are_own(view, a, b, c, d) {
        return false;
    }
    if sums == Sums::All {
        let is_right = if _mm_cmpgt_epu32_mask(four.udp_len, all_are(UDP_IN_FRONT as u32)) == 0 {
            are_right(lines, four.udp_len, _mm_setzero_si128())
        } else {
            let [a, b, c, d] = frames;
            are_long_right(level, a, b, c, d, four.udp_len)
        };
        if !is_right {
            return false;
        }
    }
    note(four, view.heads.parts, places);
    true
}

#[target_feature(enable = "avx512f")]
#[inline]
fn line_of(frame: &[u8]) -> __m512i {
    match frame.get(LINE_AT..).and_then(|rest| rest.first_chunk::<64>()) {
        Some(line) => load_line(line),
        None => zero(),
    }
}

/// As of IPv4: where a datagram ends before its front does.
#[target_feature(enable = "avx2")]
#[cold]
#[inline(never)]
#[expect(
    clippy::too_many_arguments,
    reason = "what is in an array would be stored for every four that there are"
)]
fn by_halves<const SEVERAL: bool>(
    level: Level,
    a: &[u8],
    b: &[u8],
    c: &[u8],
    d: &[u8],
    sums: Sums,
    view: &View6,
    first: &[u8; FRONT6],
    words: &mut [u64; 4],
    ports: &mut [u32; 4],
    src_sums: &mut [u32; 4],
) -> bool {
    let places = Places { words, ports, src_sums };
    let fronts = [a.first_chunk(), b.first_chunk(), c.first_chunk(), d.first_chunk()];
    let [Some(e), Some(f), Some(g), Some(h)] = fronts else { return false };
    v3_four::four6::<SEVERAL, true>(level, [a, b, c, d], [e, f, g, h], sums, (view, first), places)
}

/// Whether all that is known of a plain datagram to where `first` is for is as it must be; and none is from our own MAC, or one that ends
/// like it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the bits are what is wanted"
)]
fn are_like<const SEVERAL: bool>(
    [e, f, g, h]: &Fronts6<'_>,
    [a, b, c, d]: [__m512i; 4],
    view: &View6,
    first: __m512i,
) -> bool {
    // One of these, or what is unlike between the other two.
    const OR_UNLIKE: i32 = 0xf6;
    let like = _mm512_mask_set1_epi8(first, Line6::NEXT_HEADER, NEXT_HEADER_UDP as i8);
    let unlike = _mm512_xor_si512(a, like);
    let unlike = _mm512_ternarylogic_epi32::<OR_UNLIKE>(unlike, b, like);
    let unlike = _mm512_ternarylogic_epi32::<OR_UNLIKE>(unlike, c, like);
    let unlike = _mm512_ternarylogic_epi32::<OR_UNLIKE>(unlike, d, like);
    let before = _mm512_castsi128_si512(load16::<0, FRONT6>(e));
    let before = _mm512_inserti32x4::<1>(before, load16::<0, FRONT6>(f));
    let before = _mm512_inserti32x4::<2>(before, load16::<0, FRONT6>(g));
    let before = _mm512_inserti32x4::<3>(before, load16::<0, FRONT6>(h));
    let heads = &view.heads;
    let like = _mm512_broadcast_i32x4(_mm256_castsi256_si128(load_all(&heads.first)));
    let is_own =
        _mm512_mask_cmpeq_epi32_mask(Line6::MACS, before, _mm512_set1_epi32((heads.mac >> 16) as i32));
    let is_unlike = _mm512_test_epi32_mask(_mm512_xor_si512(before, like), load_line(&Line6::BEFORE));
    let mask = if SEVERAL { &Line6::MASK_OF_SEVERAL } else { &Line6::MASK };
    _mm512_test_epi32_mask(unlike, load_line(mask)) | is_unlike | is_own == 0
}

/// What is looked at of each, as [`PLACES`] says.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn columns([a, b, c, d]: [__m512i; 4]) -> __m512i {
    let places = load_line(&PLACES);
    _mm512_unpacklo_epi64(_mm512_permutex2var_epi16(a, places, b), _mm512_permutex2var_epi16(c, places, d))
}

/// What the columns say; `None`: anything is wrong with one of the four but its sums, and that it may be from us.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[inline]
fn look_at(columns: __m512i, lens: __m128i) -> Option<Four> {
    const ALL: __mmask8 = 0xf;
    let src = _mm512_castsi512_si128(columns);
    let ports = _mm512_extracti32x4_epi32::<1>(columns);
    let len_and_sum = _mm512_extracti32x4_epi32::<2>(columns);
    let udp_len = swapped(len_and_sum);

    // V01, U02: the lengths agree and lie inside the frame. U05: there is a checksum.
    let end = _mm_add_epi32(udp_len, all_are(54));
    let disagree = _mm_xor_si128(len_and_sum, _mm512_extracti32x4_epi32::<3>(columns));
    let right = _mm_testn_epi32_mask(disagree, all_are(0xffff));
    let right = _mm_mask_cmple_epu32_mask(right, end, lens);
    let right = _mm_mask_cmpge_epu32_mask(right, len_and_sum, all_are(0x1_0000));
    // V03 to V05: no group; whatever begins with zeros is for others to judge.
    let right = _mm_mask_test_epi32_mask(right, src, src);
    let right = _mm_mask_cmpneq_epi32_mask(right, _mm_and_si128(src, all_are(0xff)), all_are(0xff));
    if right != ALL {
        return None;
    }
    let at_end = _mm_cmpeq_epi32(end, lens);
    Some(Four { src, ports, udp_len, whole: whole(at_end, ports) })
}

/// Whether one of the sources ends as an address of ours does, as far as that is asked.
#[target_feature(enable = "avx512f,avx512vbmi")]
#[inline]
fn may_be_own(columns: __m512i, line: &Line6) -> bool {
    // The last bytes of the words in the last fourth: of a byte that says where to look, the lower six bits count.
    const LAST: __mmask16 = 0xf000;
    let likely = _mm512_permutexvar_epi8(columns, load_line(&line.likely));
    _mm512_mask_test_epi32_mask(LAST, likely, _mm512_set1_epi32(i32::MIN)) != 0
}

// One by one: in an array, they would be stored for every four that there are.
#[cold]
#[inline(never)]
fn are_own(view: &View6, a: &[u8; FRONT6], b: &[u8; FRONT6], c: &[u8; FRONT6], d: &[u8; FRONT6]) -> bool {
    [a, b, c, d].into_iter().any(|front| view.is_own(source(front)))
}

/// The same where a datagram has more than its front, as of IPv4.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[cold]
#[inline(never)]
fn are_long_right(level: Level, a: &[u8], b: &[u8], c: &[u8], d: &[u8], udp_len: __m128i) -> bool {
    let behind = of_each(rests_of::<54>(level, a, b, c, d, to_each(udp_len)));
    are_right(each!([a, b, c, d], |frame| line_of(frame)), udp_len, behind)
}

/// Whether the sum of each is right, with what is `behind` the front of each. U05, RFC 8200 8.1.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[inline]
fn are_right(lines: [__m512i; 4], udp_len: __m128i, behind: __m128i) -> bool {
    const ALL_LESS: u32 = Line6::WORD_COUNT * 0x8000;
    // What multiplies and adds takes words for signed: each is made so much less before.
    let (less, words) = (_mm512_set1_epi16(i16::MIN), load_line(&Line6::WORDS));
    let [a, b, c, d] = each!(lines, |line| _mm512_madd_epi16(_mm512_xor_si512(line, less), words));
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    // For each fourth of the lines, the sums of the four.
    let fourths = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let halves = _mm256_add_epi32(_mm512_castsi512_si256(fourths), _mm512_extracti64x4_epi64::<1>(fourths));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
    let pseudo = _mm_add_epi32(swapped(udp_len), all_are(0x1100 + ALL_LESS));
    let sums = _mm_add_epi32(_mm_add_epi32(sums, pseudo), behind);
    // Each less than 2^21: if it is right, one fold leaves 0xffff, and of nothing else.
    let low = all_are(0xffff);
    let folded = _mm_add_epi32(_mm_and_si128(sums, low), _mm_srli_epi32::<16>(sums));
    _mm_cmpneq_epi32_mask(folded, low) == 0
}

/// Turns four requests round, whose answers have flow labels of these hashes. See
/// [`Wide::turn_found6`](super::wide::Wide::turn_found6).
// V13, RFC 6437 3: the label of the answer's flow, not the request's; never 0, as in `label_of`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
pub(super) fn turn(fronts: [&mut [u8; FRONT6]; 4], hashes: [u64; 4], line: &Line6) {
    // The label where it is in a hash, and the version above it.
    let at = |label: u32| _mm256_set1_epi64x((u64::from(label) << LABEL_AT) as i64);
    let [a, b, c, d] = hashes.map(|hash| hash as i64);
    let labels = _mm256_and_si256(_mm256_set_epi64x(d, c, b, a), at(FLOW_LABEL_MASK));
    let begins = _mm256_or_si256(_mm256_max_epu64(labels, at(1)), at(0x6000_0000));
    let answers = _mm512_inserti64x4::<0>(load_line(&line.answer), begins);
    for (front, from) in fronts.into_iter().zip(&Line6::FROM) {
        let Some(turned) = front.first_chunk_mut::<64>() else { continue };
        let answer = _mm512_permutex2var_epi8(load_line(turned), load_line(from), answers);
        store_line(turned, answer);
    }
}

const _: () = assert!(LINE_AT == 16, "what is before a line fills a fourth of one");
