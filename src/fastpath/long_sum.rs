//! The sum of many bytes, in vectors of 32 and of 64 bytes.
//!
//! What a frame has behind its headers is read once, from the second-level cache: a burst of 32 frames of 1,514 bytes is larger than the
//! first. So no vector may lie on two cache lines, which would read both: the whole ones begin where memory is aligned to their size,
//! and what is before and behind them is read with what is next to it, and masked. With 64 bytes at a time the sum costs what it costs to
//! touch each line.

use core::arch::x86_64::*;

use super::dispatch::v3::load_all;
use super::dispatch::v4::load_line;
use crate::wire::checksum::Sum;

/// What multiplies and adds takes words for signed: each is so much less than it was. Of the 64 KiB of a packet, what is added up in 32 bits
/// stays below 2^31.
const LESS: u64 = 0x8000;

/// Bytes, cut where memory is aligned to `LEN` bytes.
struct Cut<'a, const LEN: usize> {
    /// The first `LEN` bytes, and how many of them are before `whole`: an even number.
    first: (&'a [u8; LEN], usize),
    whole: &'a [[u8; LEN]],
    /// The last `LEN` bytes of an even number of bytes, and how many of them are behind `whole`: an even number, too.
    last: (&'a [u8; LEN], usize),
    /// The last byte of an odd number of bytes.
    odd: u8,
}

/// `None`: too few.
#[inline(always)]
fn cut<const LEN: usize>(bytes: &[u8]) -> Option<Cut<'_, LEN>> {
    debug_assert!(bytes.len() <= 0x1_0000, "longer than a packet");
    let (even, odd) = bytes.split_at_checked(bytes.len() & !1)?;
    let before = bytes.as_ptr().addr().wrapping_neg() % LEN;
    // From an odd address on, words that are aligned would not be the words of the sum.
    let before = if before.is_multiple_of(2) { before } else { 0 };
    let (whole, behind) = even.get(before..)?.as_chunks::<LEN>();
    Some(Cut {
        first: (even.first_chunk()?, before),
        whole,
        last: (even.last_chunk()?, behind.len()),
        odd: odd.first().copied().unwrap_or_default(),
    })
}

impl<const LEN: usize> Cut<'_, LEN> {
    /// The sum, of that of all vectors, both ends' included, as words each less than it was.
    #[inline(always)]
    fn sum(&self, words: i32) -> Sum {
        let vectors = self.whole.len() as u64 + 2;
        let words = i64::from(words).wrapping_add_unsigned(vectors * (LEN as u64 / 2) * LESS);
        Sum::ZERO.add_words(words.unsigned_abs()).add_words(u64::from(self.odd))
    }
}

/// 32 set bytes between cleared ones: by where it is looked at, a mask of the first or the last bytes of 32.
static MASKS: [u8; 96] = {
    let mut bytes = [0; 96];
    let mut at = 32;
    while at < 64 {
        bytes[at] = 0xff;
        at += 1;
    }
    bytes
};

/// `bytes`, cleared where the 32 bytes of the masks from `at` on are.
#[target_feature(enable = "avx2")]
#[inline]
fn masked(bytes: &[u8; 32], at: usize) -> __m256i {
    let mask = MASKS.get(at..).and_then(|masks| masks.first_chunk()).unwrap_or(&[0; 32]);
    _mm256_and_si256(load_all(bytes), load_all(mask))
}

/// In vectors of 32 bytes.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn v3(bytes: &[u8]) -> Sum {
    let Some(cut) = cut::<32>(bytes) else { return Sum::of(bytes) };
    let (less, one) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(1));
    let pairs = |words: __m256i| _mm256_madd_epi16(_mm256_xor_si256(words, less), one);
    let ((first, before), (last, behind)) = (cut.first, cut.last);
    let zero = _mm256_setzero_si256();
    let mut sums = [pairs(masked(first, 64 - before)), pairs(masked(last, behind)), zero, zero];
    let (fours, others) = cut.whole.as_chunks::<4>();
    for four in fours {
        for (sum, part) in sums.iter_mut().zip(four) {
            *sum = _mm256_add_epi32(*sum, pairs(load_all(part)));
        }
    }
    for (sum, part) in sums.iter_mut().zip(others) {
        *sum = _mm256_add_epi32(*sum, pairs(load_all(part)));
    }
    let [a, b, c, d] = sums;
    let all = _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
    let half = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
    let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b1110>(half));
    let eighth = _mm_add_epi32(quarter, _mm_shuffle_epi32::<0b01>(quarter));
    cut.sum(_mm_cvtsi128_si32(eighth))
}

/// In vectors of 64 bytes, a cache line each.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
pub(super) fn v4(bytes: &[u8]) -> Sum {
    let Some(cut) = cut::<64>(bytes) else { return Sum::of(bytes) };
    let (less, one) = (_mm512_set1_epi16(i16::MIN), _mm512_set1_epi16(1));
    let add = |sum, words| _mm512_dpwssd_epi32(sum, _mm512_xor_si512(words, less), one);
    let ((first, before), (last, behind)) = (cut.first, cut.last);
    let (first_mask, last_mask) = (!(u64::MAX << before), !(u64::MAX >> behind));
    let zero = _mm512_setzero_si512();
    let mut sums = [
        add(zero, _mm512_maskz_mov_epi8(first_mask, load_line(first))),
        add(zero, _mm512_maskz_mov_epi8(last_mask, load_line(last))),
        zero,
        zero,
    ];
    let (fours, others) = cut.whole.as_chunks::<4>();
    for four in fours {
        for (sum, part) in sums.iter_mut().zip(four) {
            *sum = add(*sum, load_line(part));
        }
    }
    for (sum, part) in sums.iter_mut().zip(others) {
        *sum = add(*sum, load_line(part));
    }
    let [a, b, c, d] = sums;
    cut.sum(_mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d))))
}
