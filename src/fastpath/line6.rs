//! What plain datagrams of IPv6 are compared with, and turned round by, as vectors of 64 bytes: cache lines.
//!
//! The line of a front is what it has from its 17th byte on: both addresses, and all that it has of UDP. What is before that is one vector
//! for the fronts of four.

use super::wide::{FRONT6, Heads6};
use crate::stack::flow_label::LABEL_AT;

/// Where the line of a front begins.
pub(super) const LINE_AT: usize = FRONT6 - 64;

/// What is compared with, and what an answer has of its own.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Line6 {
    /// For the last byte of each address of ours, modulo 64, a set byte: most others are told apart by it alone.
    pub(super) likely: [u8; 64],
    /// The bytes of an answer that no request has, in the order in which [`FROM`](Self::FROM) asks for them: room for the
    /// [hashes](LABEL_AT) of four, our MAC, the hop limit.
    pub(super) answer: [u8; 64],
}

impl Line6 {
    /// Which bits of what is before the lines of four fronts are compared, as in [`Heads6::FIRST`].
    pub(super) const BEFORE: [u8; 64] = {
        let mut mask = [0; 64];
        let mut at = 0;
        while at < 64 {
            mask[at] = Heads6::FIRST[at % LINE_AT];
            at += 1;
        }
        mask
    };

    /// Which of those words are the last four bytes of the source's MAC.
    pub(super) const MACS: u16 = 0x4444;

    /// Where a line has its next header.
    pub(super) const NEXT_HEADER: u64 = 1 << (20 - LINE_AT);

    /// Which bytes of a line are compared: next header, destination.
    pub(super) const MASK: [u8; 64] = {
        let mut mask = [0; 64];
        mask[20 - LINE_AT] = 0xff;
        let mut at = 38;
        while at < 54 {
            mask[at - LINE_AT] = 0xff;
            at += 1;
        }
        mask
    };

    /// The same without the destination, where that may be one of several.
    pub(super) const MASK_OF_SEVERAL: [u8; 64] = {
        let mut mask = [0; 64];
        mask[20 - LINE_AT] = 0xff;
        mask
    };

    /// 1 for each word of 16 bits of the addresses and of UDP.
    pub(super) const WORDS: [i16; 32] = {
        let mut words = [0; 32];
        let mut at = (22 - LINE_AT) / 2;
        while at < 32 {
            words[at] = 1;
            at += 1;
        }
        words
    };

    /// How many those are.
    pub(super) const WORD_COUNT: u32 = 29;

    /// Where each byte of an answer, the first of four to the last, comes from: below 64, from the request; else from the answer's own.
    pub(super) const FROM: [[u8; 64]; 4] = [from(0), from(1), from(2), from(3)];

    /// Of answers from the MAC `mac` with this hop limit, and of own addresses whose last bytes, modulo 64, have a bit in `likely`.
    pub(super) fn of(mac: u64, hop_limit: u8, likely: u64) -> Self {
        let mut answer = [0; 64];
        let [a, b, c, d, e, f, ..] = mac.to_le_bytes();
        let own = [a, b, c, d, e, f, hop_limit];
        answer.iter_mut().skip(OWN_AT - 64).zip(own).for_each(|(to, byte)| *to = byte);
        Self { likely: core::array::from_fn(|n| if likely >> n & 1 == 1 { 0xff } else { 0 }), answer }
    }
}

/// Where an answer's own bytes are, behind those of its request, and behind the hashes.
const OWN_AT: usize = 64 + 32;

/// See [`Line6::FROM`]. Version, traffic class and label are the four bytes of a hash that the label begins in.
#[expect(clippy::cast_possible_truncation, reason = "there are 128")]
const fn from(nth: usize) -> [u8; 64] {
    const { assert!(LABEL_AT.is_multiple_of(8)) };
    let mut from = [0; 64];
    let mut at = 0;
    while at < 64 {
        from[at] = match at {
            0..6 => at + 6,
            6..12 => OWN_AT + at - 6,
            // The first one is the highest.
            14..18 => 64 + 8 * nth + LABEL_AT as usize / 8 + 17 - at,
            21 => OWN_AT + 6,
            22..38 => at + 16,
            38..54 => at - 16,
            54 | 55 => at + 2,
            56 | 57 => at - 2,
            _ => at,
        } as u8;
        at += 1;
    }
    from
}
