//! Four datagrams of IPv4 at once, each front in one vector of 64 bytes.
//!
//! As in [`v3_four`](super::v3_four), in fewer instructions: what is compared, and what is added up, of a front is one operation; what
//! stands in columns is brought there by permutations of two fronts.

use core::arch::x86_64::*;

use super::dispatch::v3::{of_each, store_each, to_each};
use super::dispatch::v4::{load_line, load_part, store_part};
use super::found::Places;
use super::head::Words;
use super::level::Level;
use super::line::{Line, SEEN, TURNED};
use super::v3_four::{self, Four, all_are, each, lens_of, note, rests_of, swapped, whole};
use super::wide::{FRONT, Fronts, Heads, IP_AT, Sums, UDP_IN_FRONT};

/// The words of 32 bits that a permutation takes of two fronts, those of the second from 16 on: of each fourth of a vector, the lower half is for one
/// column and the upper half for another. The lower columns are the source, ports, UDP's length and checksum, and IP's length; the upper ones
/// the source's MAC in two, the source again, and the destination.
static PLACES: [i32; 16] = {
    const SRC: i32 = 6;
    const DST: i32 = 7;
    [SRC, 16 + SRC, 1, 17, 8, 24, 2, 18, 9, 25, SRC, 16 + SRC, 3, 19, DST, 16 + DST]
};

/// The words of the four that say what is wrong with UDP.
const OF_UDP: __mmask16 = 0x0f00;

/// Those of IP and of UDP.
const OF_BOTH: __mmask16 = 0x0f0f;

/// See [`Wide::four`](super::wide::Wide::four).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "26 bytes")]
pub(super) fn four<const SEVERAL: bool>(
    level: Level,
    frames: [&[u8]; 4],
    fronts: Fronts<'_>,
    sums: Sums,
    like: &Heads,
    places: Places<'_>,
) -> bool {
    let line = &like.line;
    let lines = each!(fronts, |front| line_of(front));
    if !are_like::<SEVERAL>(&fronts, lines, line) {
        return false;
    }
    let places16 = load_line(&PLACES);
    let [a, b, c, d] = lines;
    let (ab, cd) = (_mm512_permutex2var_epi32(a, places16, b), _mm512_permutex2var_epi32(c, places16, d));
    // Source, ports, UDP's length and checksum, IP's length; and the source's MAC in two, the source again, the destination.
    let columns = _mm512_unpacklo_epi64(ab, cd);
    let others = _mm512_unpackhi_epi64(ab, cd);
    let Some(four) = look_at::<SEVERAL>(columns, others, lens_of(frames), like) else { return false };
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
            like,
            places.words,
            places.ports,
            places.src_sums,
        );
    }
    let halves = _mm512_and_si512(others, _mm512_set1_epi32(0xffff));
    let src_sums = _mm512_add_epi32(halves, _mm512_srli_epi32::<16>(others));
    // The line knows nothing of the destination then.
    let src_sums = if SEVERAL {
        _mm512_add_epi32(src_sums, _mm512_shuffle_i32x4::<0b10_11_01_00>(src_sums, src_sums))
    } else {
        src_sums
    };
    if sums == Sums::All {
        let is_right = if _mm_cmpgt_epu32_mask(four.udp_len, all_are(UDP_IN_FRONT as u32)) == 0 {
            are_right(lines, columns, src_sums, line, zero())
        } else {
            let [a, b, c, d] = frames;
            are_long_right(level, a, b, c, d, columns, src_sums, line)
        };
        if !is_right {
            return false;
        }
    }
    store_each(places.src_sums, _mm512_extracti32x4_epi32::<2>(src_sums));
    note(four, like.parts, places);
    true
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn line_of(frame: &[u8]) -> __m512i {
    match frame.get(IP_AT..).and_then(|rest| rest.first_chunk::<SEEN>()) {
        Some(line) => load_part(line),
        None => zero(),
    }
}

/// The same where a datagram ends before its front does: what is behind it is not summed.
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
    like: &Heads,
    words: &mut [u64; 4],
    ports: &mut [u32; 4],
    src_sums: &mut [u32; 4],
) -> bool {
    let places = Places { words, ports, src_sums };
    let fronts = [a.first_chunk(), b.first_chunk(), c.first_chunk(), d.first_chunk()];
    let [Some(e), Some(f), Some(g), Some(h)] = fronts else { return false };
    v3_four::four::<SEVERAL, true>(level, [a, b, c, d], [e, f, g, h], sums, like, places)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn zero() -> __m512i {
    _mm512_setzero_si512()
}

/// Whether all that is known of a plain datagram to us is as it must be.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[inline]
fn are_like<const SEVERAL: bool>(fronts: &Fronts<'_>, [a, b, c, d]: [__m512i; 4], line: &Line) -> bool {
    // One of these, or what is unlike between the other two.
    const OR_UNLIKE: i32 = 0xf6;
    let like = load_line(&line.like);
    let unlike = _mm512_xor_si512(a, like);
    let unlike = _mm512_ternarylogic_epi32::<OR_UNLIKE>(unlike, b, like);
    let unlike = _mm512_ternarylogic_epi32::<OR_UNLIKE>(unlike, c, like);
    let unlike = _mm512_ternarylogic_epi32::<OR_UNLIKE>(unlike, d, like);
    let begins =
        fronts.iter().fold(0, |unlike, front| unlike | (front.load16::<0>().swap_bytes() ^ line.begin));
    let mask = if SEVERAL { &Line::MASK_OF_SEVERAL } else { &Line::MASK };
    _mm512_test_epi32_mask(unlike, load_line(mask)) == 0 && begins == 0
}

/// What the columns say; `None`: anything is wrong with one of the four but its sums.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[inline]
fn look_at<const SEVERAL: bool>(
    columns: __m512i,
    others: __m512i,
    lens: __m128i,
    like: &Heads,
) -> Option<Four> {
    const ALL: __mmask8 = 0xf;
    let src = _mm512_castsi512_si128(columns);
    let ports = _mm512_extracti32x4_epi32::<1>(columns);
    let len_and_sum = _mm512_extracti32x4_epi32::<2>(columns);
    let udp_len = swapped(len_and_sum);
    let total_len = swapped(_mm_srli_epi32::<16>(_mm512_extracti32x4_epi32::<3>(columns)));

    // I03, U02: the lengths agree and lie inside the frame. U04: there is a checksum.
    let end = _mm_add_epi32(udp_len, all_are(34));
    let right = _mm_cmpeq_epi32_mask(total_len, _mm_add_epi32(udp_len, all_are(20)));
    let right = _mm_mask_cmple_epu32_mask(right, end, lens);
    let right = _mm_mask_cmpge_epu32_mask(right, len_and_sum, all_are(0x1_0000));
    // I07 to I11: from one host, and not from us. 1 to 223, but for 127.
    let less = _mm_sub_epi32(_mm_and_si128(src, all_are(0xff)), all_are(1));
    let from_host = _mm_cmple_epu32_mask(less, all_are(222));
    let from_host = _mm_mask_cmpneq_epu32_mask(from_host, less, all_are(126));
    let from_host = if SEVERAL {
        from_host
    } else {
        let from_host = _mm_mask_cmpneq_epu32_mask(from_host, src, all_are(like.own.addr));
        _mm_mask_cmpneq_epu32_mask(from_host, src, all_are(like.own.broadcast))
    };
    // Not from our own MAC.
    let (mac, behind) = like.line.mac;
    let from_us = _mm_cmpeq_epi32_mask(_mm512_castsi512_si128(others), all_are(mac));
    let from_us = _mm_mask_cmpeq_epi32_mask(from_us, _mm512_extracti32x4_epi32::<1>(others), all_are(behind));
    if right & from_host & !from_us & ALL != ALL {
        return None;
    }
    let at_end = _mm_cmpeq_epi32(end, lens);
    Some(Four { src, ports, udp_len, whole: whole(at_end, ports) })
}

/// The same where a datagram has more than its front. By itself, as nothing that the front is looked at with outlives a call.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[cold]
#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "as above")]
fn are_long_right(
    level: Level,
    a: &[u8],
    b: &[u8],
    c: &[u8],
    d: &[u8],
    columns: __m512i,
    src_sums: __m512i,
    line: &Line,
) -> bool {
    let lens = to_each(swapped(_mm512_extracti32x4_epi32::<2>(columns)));
    let behind = of_each(rests_of::<34>(level, a, b, c, d, lens));
    let lines = each!([a, b, c, d], |frame| line_of(frame));
    are_right(lines, columns, src_sums, line, _mm512_inserti32x4::<2>(zero(), behind))
}

/// Whether both sums of each are right, with what is `behind` the front of each. I02, RFC 1122 3.2.1.2; U04, RFC 1122 4.1.3.4.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
#[inline]
fn are_right(lines: [__m512i; 4], columns: __m512i, src_sums: __m512i, line: &Line, behind: __m512i) -> bool {
    let (less, words) = (_mm512_set1_epi16(i16::MIN), load_line(&Line::WORDS));
    let [a, b, c, d] = each!(lines, |line| _mm512_madd_epi16(_mm512_xor_si512(line, less), words));
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    // For each fourth of the lines, the sums of the four.
    let fourths = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    // IP is in the first two, UDP in the others.
    let sums = _mm512_add_epi32(fourths, _mm512_shuffle_i32x4::<0b10_11_00_01>(fourths, fourths));
    // The pseudo-header: the source, and the length as it lies there.
    let len = _mm512_and_si512(columns, _mm512_set1_epi32(0xffff));
    let pseudo = _mm512_maskz_add_epi32(OF_UDP, src_sums, len);
    let sums = _mm512_add_epi32(_mm512_add_epi32(sums, load_line(&line.lacks)), pseudo);
    let sums = _mm512_add_epi32(sums, behind);
    // Each less than 2^21: if it is right, one fold leaves 0xffff, and of nothing else.
    let low = _mm512_set1_epi32(0xffff);
    let folded = _mm512_add_epi32(_mm512_and_si512(sums, low), _mm512_srli_epi32::<16>(sums));
    _mm512_mask_cmpneq_epi32_mask(OF_BOTH, folded, low) == 0
}

/// Turns four requests round, whose answers have these header checksums, as they are stored. See
/// [`Wide::turn_found`](super::wide::Wide::turn_found).
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "the bits are what is wanted")]
pub(super) fn turn(fronts: [&mut [u8; FRONT]; 4], checksums: [u16; 4], line: &Line) {
    const CHECKSUM: __mmask32 = 1 << 12;
    let (from, answer) = (load_line(&Line::FROM), load_line(&line.answer));
    for (front, checksum) in fronts.into_iter().zip(checksums) {
        let Some(turned) = front.first_chunk_mut::<TURNED>() else { continue };
        let request = load_part(turned);
        let part = _mm512_mask_permutexvar_epi8(answer, Line::OF_REQUEST, from, request);
        store_part(turned, _mm512_mask_set1_epi16(part, CHECKSUM, checksum as i16));
    }
}
