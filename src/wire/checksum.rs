//! The Internet checksum (RFC 1071): the one's-complement sum of 16-bit words, complemented.
//!
//! One's-complement addition does not care in which byte order the words are read, nor how wide they are (RFC 1071 2(B)
//! and 2(C)): a sum of 64-bit little-endian words with end-around carry folds down to the sum of 16-bit big-endian
//! ones with its bytes swapped. So a [`Sum`] reads eight bytes at a time and is swapped once, at the end.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::{Add, AddAssign};

/// From this many bytes on, two accumulators that the compiler widens to vectors are quicker than one chain of carries.
const LONG: usize = 64;

/// A partial one's-complement sum: of bytes that began at an even offset of what is summed.
///
/// Held modulo 2^64 - 1, over little-endian words, so nothing that is added overflows it. Two are equal when they hold
/// the same number; sums of the same bytes cut differently need only fold to the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// The sum of `bytes`. An odd length is padded with a zero byte (RFC 1071 1), so only the last piece may have one.
    ///
    /// Right for at most 2^35 bytes, far more than any packet has.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let whole = if bytes.len() < LONG { Self::of_few(words) } else { Self::of_many(words) };
        match (rest.len(), bytes.last_chunk::<8>()) {
            (0, _) => whole,
            // What is left over is shifted out of the last eight bytes, without a loop.
            (left, Some(last)) => whole + Self(u64::from_le_bytes(*last) >> (64 - 8 * left)),
            (_, None) => Self(little(rest)),
        }
    }

    /// One chain of carries.
    #[inline]
    fn of_few(words: &[[u8; 8]]) -> Self {
        let mut sum = Self::ZERO;
        for word in words {
            sum += Self(u64::from_le_bytes(*word));
        }
        sum
    }

    /// Both halves of each word on their own: their carries gather in the upper 32 bits, so no step waits for one.
    #[inline]
    fn of_many(words: &[[u8; 8]]) -> Self {
        let (mut low, mut high) = (0u64, 0u64);
        for word in words {
            let word = u64::from_le_bytes(*word);
            low = low.wrapping_add(word & 0xffff_ffff);
            high = high.wrapping_add(word >> 32);
        }
        Self(low) + Self(high.rotate_left(32))
    }

    /// The sum of the IPv4 pseudo-header (RFC 768): addresses, protocol, and the length of what follows in bytes.
    #[inline]
    pub fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: u16) -> Self {
        let src = u64::from(u32::from_le_bytes(src.octets()));
        let dst = u64::from(u32::from_le_bytes(dst.octets()));
        let protocol = u64::from(u16::from(protocol).swap_bytes());
        Self(src + dst + protocol + u64::from(len.swap_bytes()))
    }

    /// The sum of the IPv6 pseudo-header (RFC 8200 8.1): addresses, the length of what follows in bytes, and the next header
    /// that names it, whatever extension headers came before.
    #[inline]
    pub const fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, len: u16) -> Self {
        let ([src_high, src_low], [dst_high, dst_low]) = (halves(src), halves(dst));
        let rest = (len.swap_bytes() as u64) + ((next_header as u16).swap_bytes() as u64);
        Self(src_high).plus(src_low).plus(dst_high).plus(dst_low).plus(rest)
    }

    /// Adds the sum of `bytes`, which begin at an even offset of what is summed.
    #[inline]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        self + Self::of(bytes)
    }

    /// Adds one 16-bit field, given as its value.
    #[inline]
    pub const fn add_u16(self, value: u16) -> Self {
        self.plus(value.swap_bytes() as u64)
    }

    /// Adds one 32-bit field, given as its value.
    #[inline]
    pub const fn add_u32(self, value: u32) -> Self {
        self.plus(value.swap_bytes() as u64)
    }

    /// Adds a sum that was collected elsewhere: 16-bit words loaded little-endian, added up in 64 bits without overflow.
    #[inline]
    pub const fn add_words(self, words: u64) -> Self {
        self.plus(words)
    }

    /// End-around carry: what leaves at the top comes back at the bottom.
    #[inline]
    const fn plus(self, words: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(words);
        Self(sum + carry as u64)
    }

    /// The sum in 16 bits, not complemented: what goes into a checksum field that the device will complete.
    ///
    /// Zero only if every byte summed was zero. As a value: `to_be_bytes` of it goes on the wire.
    #[inline]
    #[must_use]
    pub const fn fold(self) -> u16 {
        // Each half plus the other, in both halves at once: the upper one has received the lower one's carry.
        let half = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        let quarter = (half.wrapping_add(half.rotate_left(16)) >> 16) as u16;
        quarter.swap_bytes()
    }

    /// The checksum: the complement of the folded sum. As a value: `to_be_bytes` of it goes on the wire.
    #[inline]
    #[must_use]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }

    /// The checksum as UDP sends it.
    // U05, RFC 768: 0 would say "no checksum", so a computed 0 is sent as the other zero, all ones.
    #[inline]
    #[must_use]
    pub const fn udp_finish(self) -> u16 {
        udp_nonzero(self.finish())
    }

    /// Whether the bytes summed, their checksum field among them, are whole.
    #[inline]
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.fold() == 0xffff
    }
}

impl Add for Sum {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        self.plus(other.0)
    }
}

impl AddAssign for Sum {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// An address as two little-endian numbers.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "each half is one of 64 bits")]
const fn halves(addr: Ipv6Addr) -> [u64; 2] {
    let bits = u128::from_le_bytes(addr.octets());
    [bits as u64, (bits >> 64) as u64]
}

/// One to seven bytes as a little-endian number, in at most three loads that may overlap.
#[inline]
fn little(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let high = u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4));
        return u64::from(u32::from_le_bytes(*first)) | high;
    }
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        _ => 0,
    }
}

/// Whether `bytes`, their checksum field among them, are whole.
#[inline]
#[must_use]
pub fn verify(bytes: &[u8]) -> bool {
    Sum::of(bytes).is_whole()
}

/// The UDP checksum to send for a computed `checksum`.
// U05, RFC 768 and RFC 8200 8.1: 0 is sent as 0xffff.
#[inline]
#[must_use]
pub const fn udp_nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// The checksum after a 16-bit field under it changed from `old` to `new` (RFC 1624 3, equation 3).
///
/// The same as computing it anew, with one exception that arithmetic cannot see: when *everything* summed becomes zero,
/// this says 0 where 0xffff is right. An IP header never is all zero; UDP sends 0xffff for 0 anyway
/// ([`udp_nonzero`]); an ICMP echo reply can be: compute it anew when this says 0 (C06).
#[inline]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits")]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = !checksum as u32 + !old as u32 + new as u32;
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 1, word for word: adjacent octets are paired to form 16-bit integers, an odd one padded with zero, and
    /// their one's-complement sum is formed.
    fn by_the_book(bytes: &[u8]) -> u16 {
        let mut sum = 0u16;
        for pair in bytes.chunks(2) {
            let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
            let (s, carry) = sum.overflowing_add(word);
            sum = s + u16::from(carry);
        }
        sum
    }

    // RFC 1071 3: the numerical example.
    #[test]
    fn the_example_of_rfc_1071_comes_out() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).fold(), 0xddf2);
        assert_eq!(Sum::of(&bytes).finish(), 0x220d);
        // The same in two halves, the second one first.
        assert_eq!(Sum::of(&bytes[4..]).add_bytes(&bytes[..4]).fold(), 0xddf2);
        assert_eq!(Sum::ZERO.add_u16(0x0001).add_u16(0xf203).add_u32(0xf4f5_f6f7).fold(), 0xddf2);
    }

    // RFC 1624 4: the numerical example, in which equation 2 fails.
    #[test]
    fn the_example_of_rfc_1624_comes_out() {
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    // U05, RFC 768.
    #[test]
    fn udp_sends_a_computed_zero_as_all_ones() {
        let sum = Sum::of(&[0xff, 0xff]);
        assert_eq!(sum.finish(), 0);
        assert_eq!(sum.udp_finish(), 0xffff);
        assert_eq!(Sum::of(&[0x12, 0x34]).udp_finish(), !0x1234);
    }

    #[test]
    fn zeros_are_not_whole_and_ones_are() {
        assert!(!verify(&[0; 20]));
        assert!(verify(&[0xff; 20]));
        assert!(!verify(&[]));
    }

    // C06, RFC 1624: the one case that an update cannot see, as documented.
    #[test]
    fn an_update_to_all_zeros_says_zero() {
        let request = Sum::of(&[8, 0]).finish();
        assert_eq!(update(request, 0x0800, 0x0000), 0);
        assert_eq!(Sum::of(&[0, 0]).finish(), 0xffff);
    }

    // RFC 768: the pseudo-header is source, destination, zero, protocol, length.
    #[test]
    fn the_pseudo_header_is_the_sum_of_its_twelve_bytes() {
        let bytes = [198, 18, 0, 1, 239, 1, 2, 255, 0, 17, 0xfe, 0x09];
        let (src, dst) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(239, 1, 2, 255));
        assert_eq!(Sum::pseudo_v4(src, dst, 17, 0xfe09).fold(), by_the_book(&bytes));
    }

    // U08, K01, RFC 8200 8.1: source, destination, length in four bytes, three zeros, next header.
    #[test]
    fn the_pseudo_header_of_ipv6_is_the_sum_of_its_forty_bytes() {
        let src: Ipv6Addr = "fe80::ff:fe12:3456".parse().unwrap();
        let dst: Ipv6Addr = "ff02::1:ffed:cba9".parse().unwrap();
        for (next_header, len) in [(17, 0xfe09), (58, 0), (255, 0xffff)] {
            let mut bytes = [src.octets(), dst.octets()].concat();
            bytes.extend(u32::from(len).to_be_bytes());
            bytes.extend([0, 0, 0, next_header]);
            assert_eq!(Sum::pseudo_v6(src, dst, next_header, len).fold(), by_the_book(&bytes));
        }
    }

    #[test]
    fn every_length_and_offset_agrees_with_the_book() {
        let bytes: Vec<u8> = (0..800u32).map(|i| u8::try_from(i * 167 % 251).unwrap()).collect();
        for ones in [false, true] {
            let bytes: Vec<u8> = bytes.iter().map(|b| if ones { 0xff } else { *b }).collect();
            for at in 0..9 {
                for len in 0..700 {
                    let piece = &bytes[at..at + len];
                    assert_eq!(Sum::of(piece).fold(), by_the_book(piece), "{len} bytes at {at}");
                }
            }
        }
    }

    #[test]
    fn the_longest_datagram_of_ones_does_not_overflow() {
        let bytes = vec![0xff; 65535];
        assert_eq!(Sum::of(&bytes).fold(), by_the_book(&bytes));
        let long = Sum::of(&vec![0xff; 1 << 20]);
        assert_eq!((long + long + long).fold(), 0xffff);
    }

    proptest! {
        #[test]
        fn any_bytes_agree_with_the_book(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..8) {
            let piece = bytes.get(at..).unwrap_or(&[]);
            prop_assert_eq!(Sum::of(piece).fold(), by_the_book(piece));
        }

        #[test]
        fn many_bytes_agree_with_the_book(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(Sum::of(&bytes).fold(), by_the_book(&bytes));
        }

        #[test]
        fn a_sum_in_two_pieces_is_the_sum(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..150) {
            let cut = (2 * cut).min(bytes.len() & !1);
            let (a, b) = bytes.split_at(cut);
            prop_assert_eq!((Sum::of(a) + Sum::of(b)).fold(), by_the_book(&bytes));
        }

        #[test]
        fn what_was_finished_verifies(mut bytes in proptest::collection::vec(any::<u8>(), 2..200), flip in any::<(usize, u8)>()) {
            bytes[..2].fill(0);
            let checksum = Sum::of(&bytes).finish();
            bytes[..2].copy_from_slice(&checksum.to_be_bytes());
            prop_assert!(verify(&bytes));
            let at = flip.0 % bytes.len();
            // A change of one byte is always seen: it is less than a whole 0xffff.
            if flip.1 != 0 {
                bytes[at] ^= flip.1;
                prop_assert!(!verify(&bytes));
            }
        }

        #[test]
        fn an_update_is_the_checksum_computed_anew(a in 1u16.., rest in any::<[u8; 18]>(), old: u16, new: u16) {
            let sum = |field: u16| Sum::of(&rest).add_u16(a).add_u16(field).finish();
            prop_assert_eq!(update(sum(old), old, new), sum(new));
        }
    }
}
