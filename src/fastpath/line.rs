//! What plain datagrams of IPv4 are compared with, and turned round by, as one vector of 64 bytes: a cache line.
//!
//! The front of a frame is looked at from its third byte on: then every field of IP and UDP that matters lies in words of 32 bits.

use super::Own;
use super::wide::{FRONT, IP_AT, Template};

/// Bytes of a front that are looked at: all but the first two.
pub(super) const SEEN: usize = FRONT - 2;

/// Bytes of an answer that are not those of its request.
pub(super) const TURNED: usize = 38;

/// How much less each word of 16 bits is made before it is multiplied, as what does so takes words for signed.
const LESS: u32 = 0x8000;

/// What is compared with, and what is added to sums. Vectors first, each in a line of its own.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Line {
    /// The bytes from the third on: to us.
    pub(super) like: [u8; 64],
    /// What the sums of four packets lack, of IP in the first four and of UDP in the third four words: what each of their words was made
    /// less, and of UDP what of the pseudo-header is known.
    pub(super) lacks: [u32; 16],
    /// The bytes of an answer that no request has.
    pub(super) answer: [u8; 64],
    /// The first two bytes: to us.
    pub(super) begin: u16,
    /// The four bytes of our MAC that lie together where the source's are, and the two behind them.
    pub(super) mac: (u32, u32),
    /// The sum of an answer's IP header without its total length and the other's address.
    pub(super) answer_sum: u32,
}

impl Line {
    /// Which bits are compared: those of a [`Template`], which begins where a line does.
    pub(super) const MASK: [u8; 64] = {
        const { assert!(IP_AT == 2) };
        let mut mask = [0; 64];
        let mut at = 0;
        while at < Template::MASK.len() {
            mask[at] = Template::MASK[at];
            at += 1;
        }
        mask
    };

    /// The same but for the destination, which may be any of ours.
    pub(super) const MASK_OF_SEVERAL: [u8; 64] = {
        let mut mask = Self::MASK;
        let mut at = 28;
        while at < 32 {
            mask[at] = 0;
            at += 1;
        }
        mask
    };

    /// 1 for each word of 16 bits of IP and UDP.
    pub(super) const WORDS: [i16; 32] = {
        let mut words = [0; 32];
        let mut at = 6;
        while at < SEEN / 2 {
            words[at] = 1;
            at += 1;
        }
        words
    };

    /// Where each byte of an answer comes from in the request, the first byte included.
    #[rustfmt::skip]
    pub(super) const FROM: [u8; 64] = [
        6, 7, 8, 9, 10, 11, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 30, 31, 32, 33, 26, 27,
        28, 29, 36, 37, 34, 35, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
        48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
    ];

    /// Which bytes of an answer come from its request: the rest is [its own](Self::answer), and the checksum.
    pub(super) const OF_REQUEST: u64 = bits(0, 6) | bits(16, 18) | bits(26, TURNED);

    /// To, and of answers from, the MAC and primary address `own`.
    pub(super) fn of(own: Own) -> Self {
        let [m0, m1, m2, m3, m4, m5, ..] = own.mac.to_le_bytes();
        let mut like = [0; 64];
        put(&mut like, 0, &[m2, m3, m4, m5]);
        put(&mut like, 10, &[0x08, 0, 0x45]);
        put(&mut like, 21, &[17]);
        put(&mut like, 28, &own.addr.to_le_bytes());
        let addr_sum = (own.addr & 0xffff) + (own.addr >> 16);
        let mut lacks = [0; 16];
        // Ten words of IP; of UDP 13, protocol 17, and our address.
        lacks.iter_mut().take(4).for_each(|ip| *ip = 10 * LESS);
        lacks.iter_mut().skip(8).take(4).for_each(|udp| *udp = 13 * LESS + 0x1100 + addr_sum);
        let mut answer = [0; 64];
        put(&mut answer, 6, &[m0, m1, m2, m3, m4, m5, 0x08, 0, 0x45, 0]);
        // Identification 0, and DF. I22: TTL 64, UDP.
        put(&mut answer, 18, &[0, 0, 0x40, 0, 64, 17]);
        Self {
            like,
            begin: u16::from_le_bytes([m0, m1]),
            mac: (u32::from_le_bytes([m0, m1, m2, m3]), u32::from_le_bytes([m4, m5, 0x08, 0])),
            lacks,
            answer_sum: 0x0045 + 0x0040 + 0x1140 + addr_sum,
            answer,
        }
    }

    /// The header checksum of the answer to a datagram of this UDP length, from the host the halves of whose address have this sum, as it is
    /// stored.
    #[inline(always)]
    pub(super) const fn checksum(&self, udp_len: u16, src_sum: u32) -> u16 {
        let total_len = udp_len.wrapping_add(20).swap_bytes() as u32;
        // Less than 2^19: the first fold leaves at most 0xffff + 7, and the second no carry.
        let sum = self.answer_sum + src_sum + total_len;
        let once = (sum & 0xffff) + (sum >> 16);
        let [a, b, ..] = (once + (once >> 16)).to_le_bytes();
        !u16::from_le_bytes([a, b])
    }
}

/// A set bit for each byte from `from` up to `to`.
pub(super) const fn bits(from: usize, to: usize) -> u64 {
    (1 << to) - (1 << from)
}

fn put(line: &mut [u8; 64], at: usize, bytes: &[u8]) {
    line.iter_mut().skip(at).zip(bytes).for_each(|(to, byte)| *to = *byte);
}
