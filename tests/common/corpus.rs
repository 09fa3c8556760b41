//! A corpus: every kind of frame that a host on Ethernet, IPv4 and IPv6 may meet, each cut short at every byte and with each
//! byte changed, and pieces of them put together at random.
//!
//! It is made anew from a seed each time, the same for the same seed; only the kinds are written down, in
//! [`kinds`](super::kinds) and `kinds6`, whose frames the simulator's code builds.

use super::frames::checksum;
use super::kinds::{Kind, kinds};

/// A small generator (splitmix64): the corpus is a function of its seed.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub const fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Bytes of a frame in which headers, options and quoted headers are: here each is changed several times.
const HEADERS: usize = 96;

/// Frames longer than this are cut and changed at some bytes only: their shorter likes are, at every one.
const EVERY_BYTE: usize = 700;

/// Random splices for each frame of a kind.
const SPLICES: usize = 6;

/// The whole corpus of `seed`, in an order of its own: what belongs together (fragments) comes together.
pub fn corpus(seed: u64) -> Vec<Vec<u8>> {
    let mut chance = Chance::new(seed);
    let kinds = all_kinds();
    let all: Vec<&Vec<u8>> = kinds.iter().flat_map(|kind| &kind.frames).collect();
    let mut frames = Vec::new();
    for kind in &kinds {
        frames.extend(kind.frames.iter().cloned());
        // Of many fragments the first two and the last stand for all.
        let last = kind.frames.len() - 1;
        for (_, frame) in kind.frames.iter().enumerate().filter(|(i, _)| *i < 2 || *i == last) {
            truncations(frame, &mut frames);
            mutations(frame, &mut chance, &mut frames);
            for _ in 0..SPLICES {
                let other = all[chance.below(all.len())];
                frames.push(splice(frame, other, &mut chance));
            }
        }
    }
    frames
}

/// The kinds of both IP versions; of IPv6, those that can be built.
pub fn all_kinds() -> Vec<Kind> {
    #[allow(unused_mut, reason = "without the simulator, that is all")]
    let mut all = kinds();
    #[cfg(feature = "sim")]
    all.extend(super::kinds6::kinds6());
    all
}

/// The places in a frame of `len` bytes that are tried.
fn places(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |at| len <= EVERY_BYTE || *at < HEADERS || *at % 61 == 0 || at + 20 > len)
}

/// `frame` cut short at every byte, to one byte at least: a device has no empty frames.
fn truncations(frame: &[u8], into: &mut Vec<Vec<u8>>) {
    into.extend(places(frame.len()).skip(1).map(|len| frame[..len].to_vec()));
}

/// `frame` with each byte changed, some with right checksums all the same: else hardly one would pass the first check.
fn mutations(frame: &[u8], chance: &mut Chance, into: &mut Vec<Vec<u8>>) {
    for at in places(frame.len()) {
        let old = frame[at];
        let values = [old ^ 1 << chance.below(8), chance.byte(), 0, 0xff, old.wrapping_add(1), 0x45];
        let tried = if at < HEADERS { 4 } else { 1 };
        let first = if tried == 1 { 0 } else { chance.below(3) };
        for (n, value) in values[first..first + tried].iter().enumerate().filter(|(_, value)| **value != old)
        {
            let mut mutated = frame.to_vec();
            mutated[at] = *value;
            if n % 2 == 0 {
                mend(&mut mutated);
            }
            into.push(mutated);
        }
    }
}

/// The head of one frame and the tail of another, with right checksums in one of two.
fn splice(head: &[u8], tail: &[u8], chance: &mut Chance) -> Vec<u8> {
    let cut = chance.below(head.len().min(HEADERS)).max(1);
    let from = if chance.below(2) == 0 { cut.min(tail.len()) } else { chance.below(tail.len()) };
    let mut frame = [&head[..cut], &tail[from..]].concat();
    if chance.below(2) == 0 {
        mend(&mut frame);
    }
    frame
}

/// Makes the checksums of the frame's IPv4 header and of what it carries right, where the frame has room for them.
pub fn mend(frame: &mut [u8]) {
    let mut start = 14;
    while frame.get(start - 2..start).is_some_and(|t| matches!(t, [0x81, 0] | [0x88, 0xa8])) {
        start += 4;
    }
    let Some(packet) = frame.get_mut(start..) else { return };
    if packet.first().is_some_and(|first| first >> 4 == 6) {
        return mend6(packet);
    }
    let header_len = packet.first().map_or(0, |first| usize::from(first & 0xf) * 4);
    if header_len < 20 || packet.len() < header_len || packet[0] >> 4 != 4 {
        return;
    }
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let end = if (header_len..=packet.len()).contains(&total) { total } else { packet.len() };
    let (header, payload) = packet[..end].split_at_mut(header_len);
    put(header, 10, &[]);
    let is_fragment = header[6] & 0x3f != 0 || header[7] != 0;
    match header[9] {
        _ if is_fragment => {}
        1 | 2 => put(payload, 2, &[]),
        17 => {
            let len = payload.get(4..6).map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]])));
            if let Some(datagram) = payload.get_mut(..len) {
                let pseudo =
                    [&header[12..20], &[0, 17], &datagram.get(4..6).map_or([0; 2], |b| [b[0], b[1]])];
                put(datagram, 6, &pseudo.concat());
            }
        }
        _ => {}
    }
}

/// The same of what an IPv6 packet carries behind its extension headers, if it carries all of it.
fn mend6(packet: &mut [u8]) {
    let Some((header, rest)) = packet.split_at_mut_checked(40) else { return };
    let len = usize::from(u16::from_be_bytes([header[4], header[5]])).min(rest.len());
    let (mut next, mut payload) = (header[6], &mut rest[..len]);
    while let (0 | 43 | 44 | 60, [named, units, ..]) = (next, &*payload) {
        let len = if next == 44 { 8 } else { 8 * (1 + usize::from(*units)) };
        let is_part = next == 44 && payload.get(2..4).is_some_and(|word| word[0] != 0 || word[1] & 0xf9 != 0);
        next = *named;
        match payload.split_at_mut_checked(len) {
            Some((_, behind)) if !is_part => payload = behind,
            _ => return,
        }
    }
    let at = match next {
        17 => 6,
        58 => 2,
        _ => return,
    };
    let mut pseudo = header[8..40].to_vec();
    pseudo.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    pseudo.extend([0, 0, 0, next]);
    put(payload, at, &pseudo);
}

/// Writes the checksum of `before` and `bytes` to `at`, if it fits there.
fn put(bytes: &mut [u8], at: usize, before: &[u8]) {
    if bytes.len() < at + 2 {
        return;
    }
    bytes[at..at + 2].fill(0);
    let sum = checksum(&[before, bytes]);
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// A pcap file (version 2.4, microseconds, Ethernet) of `frames`, `times` over.
pub fn pcap(frames: &[Vec<u8>], times: usize) -> Vec<u8> {
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    let mut once = Vec::new();
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap();
        once.extend([0, 0, len, len].map(u32::to_le_bytes).concat());
        once.extend(frame);
    }
    (0..times).for_each(|_| file.extend(&once));
    file
}

/// The frames of a pcap file as [`pcap`] makes it.
pub fn frames_of(pcap: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = &pcap[24..];
    while rest.len() >= 16 {
        let len = usize::try_from(u32::from_le_bytes(rest[8..12].try_into().unwrap())).unwrap();
        frames.push(rest[16..16 + len].to_vec());
        rest = &rest[16 + len..];
    }
    assert!(rest.is_empty(), "half a record at the end of the capture");
    frames
}
