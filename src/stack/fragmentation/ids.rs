//! Identifications: what tells the fragments of one datagram from those of another.
//!
//! RFC 6864 4.3: the same does not come again between two hosts, for one protocol, while fragments of the first may be on
//! their way (2 minutes, if a sender is not faster than 16 bits allow). RFC 7739 1: whoever can guess the next one can
//! spoil or spy on a datagram.
//!
//! So each is a number of a sequence, scrambled: a counter for every so many destinations, of which each worker takes
//! only its own residue class, goes through a permutation of all 16-bit numbers that a secret and the three of source,
//! destination and protocol choose. Two workers never draw the same, one draws the same again only after 65,536 divided
//! by the workers (rounded up to a power of two), and what was seen says nothing of what comes. IPv6 has the same of 32
//! bits, for each source and destination.

use core::hash::BuildHasher;
use core::net::{Ipv4Addr, Ipv6Addr};

use foldhash::fast::FixedState;

use crate::rng::Rng;

/// Counters. Destinations that share one pass numbers over, and repeat none.
const COUNTERS: usize = 1024;

/// Which identifications are a worker's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IdSpace {
    /// What all workers share, and nobody else may know.
    pub secret: u64,
    /// Which worker it is.
    pub worker: u32,
    /// How many workers there are.
    pub workers: u32,
}

/// A worker's identifications.
#[derive(Clone, Debug)]
pub struct Ids {
    hash: FixedState,
    /// From one number of this worker's to its next.
    stride: u32,
    worker: u32,
    counters: Box<[u32; COUNTERS]>,
}

impl Ids {
    /// Those of `space`, from wherever chance says.
    #[must_use]
    pub fn new(space: IdSpace, rng: &mut Rng) -> Self {
        let IdSpace { secret, worker, workers } = space;
        let stride = u16::try_from(workers.max(1).next_power_of_two()).map_or(1, u32::from);
        let mut counters = Box::new([0; COUNTERS]);
        counters.iter_mut().for_each(|counter| *counter = low32(rng.u64()));
        Self { hash: FixedState::with_seed(secret), stride, worker: worker % stride, counters }
    }

    /// The next one for IPv4 datagrams of `protocol` from `src` to `dst`.
    // I20, RFC 6864 4, RFC 7739 5.3.
    pub fn draw(&mut self, src: Ipv4Addr, dst: Ipv4Addr, protocol: u8) -> u16 {
        let key = self.hash.hash_one((src, dst, protocol));
        permute16(key, low16(self.next(key).into()))
    }

    /// The next one for IPv6 datagrams from `src` to `dst`.
    // W10, RFC 8200 4.5, RFC 7739 5.3.
    pub fn draw6(&mut self, src: Ipv6Addr, dst: Ipv6Addr) -> u32 {
        let key = self.hash.hash_one((src, dst));
        permute32(key, self.next(key))
    }

    /// The next number of this worker's for whatever has this key: its low bits are of the worker's class, too.
    fn next(&mut self, key: u64) -> u32 {
        let which = usize::from(low16(key >> 48)) % COUNTERS;
        // NOTE(index): taken modulo the length.
        let counter = &mut self.counters[which];
        *counter = counter.wrapping_add(1);
        counter.wrapping_mul(self.stride).wrapping_add(self.worker)
    }
}

/// One of the permutations of the 16-bit numbers: four rounds of Feistel's over halves of a byte each.
fn permute16(key: u64, value: u16) -> u16 {
    let [mut left, mut right] = value.to_be_bytes();
    for round in 0..4 {
        (left, right) = (right, left ^ mix(key.rotate_left(16 * round), right.into()).to_be_bytes()[0]);
    }
    u16::from_be_bytes([left, right])
}

/// The same of 32-bit numbers, over halves of two bytes each.
fn permute32(key: u64, value: u32) -> u32 {
    let [a, b, c, d] = value.to_be_bytes();
    let (mut left, mut right) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    for round in 0..4 {
        (left, right) = (right, left ^ mix(key.rotate_left(16 * round), right));
    }
    u32::from(left) << 16 | u32::from(right)
}

/// Two bytes that depend on every bit of `half` and of the low half of `key`.
fn mix(key: u64, half: u16) -> u16 {
    let mixed =
        (key ^ u64::from(half) << 32 | 1).wrapping_mul(key.rotate_left(29) ^ 0x9e37_79b9_7f4a_7c15 | 1);
    low16((mixed ^ mixed >> 32).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 32)
}

#[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is wanted")]
const fn low16(value: u64) -> u16 {
    value as u16
}

#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what is wanted")]
const fn low32(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const A: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

    fn alone(secret: u64) -> IdSpace {
        IdSpace { secret, worker: 0, workers: 1 }
    }

    fn peer(n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0xc612_0100 + n)
    }

    // I20, RFC 6864 4: all 65,536 before the first comes again; and over several workers, without asking each other.
    #[test]
    fn none_comes_again_before_all_have_come() {
        for workers in [1u32, 2, 3, 4, 7] {
            let mut rng = Rng::new(5);
            let classes = workers.next_power_of_two();
            let mut seen = BTreeSet::new();
            for worker in 0..workers {
                let space = IdSpace { secret: 77, worker, workers };
                let mut ids = Ids::new(space, &mut rng);
                seen.extend((0..65_536 / classes).map(|_| ids.draw(A, peer(1), 17)));
            }
            assert_eq!(seen.len() as u64, u64::from(65_536 / classes * workers), "{workers} workers");
        }
    }

    // I20: destinations whose counters are one, and other protocols in between, repeat nothing.
    #[test]
    fn who_else_is_sent_to_does_not_matter() {
        let mut ids = Ids::new(alone(77), &mut Rng::new(5));
        let mut seen = BTreeSet::new();
        for n in 0..8000 {
            assert!(seen.insert(ids.draw(A, peer(1), 17)));
            ids.draw(A, peer(n), 17);
            ids.draw(A, peer(1), 1);
        }
    }

    // I20, RFC 7739 1: neither a step nor a direction, and another secret is another sequence.
    #[test]
    fn the_next_one_does_not_follow_from_the_last() {
        let draw = |secret, dst| {
            let mut ids = Ids::new(alone(secret), &mut Rng::new(5));
            (0..4096).map(|_| ids.draw(A, dst, 17)).collect::<Vec<_>>()
        };
        let ids = draw(77, peer(1));
        let steps: BTreeSet<u16> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        // Of 4095 steps at random, all but about one in 32 would be new.
        assert!(steps.len() > 3500, "{}", steps.len());
        // Every bit is set half of the time.
        for bit in 0..16 {
            let ones = ids.iter().filter(|id| **id >> bit & 1 != 0).count();
            assert!((1800..2300).contains(&ones), "bit {bit}: {ones}");
        }
        for other in [draw(78, peer(1)), draw(77, peer(2))] {
            let same = ids.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!(same < 10, "{same}");
        }
    }

    const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

    fn peer6(n: u32) -> Ipv6Addr {
        Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(n))
    }

    // W10, RFC 7739 5.3: workers that ask nobody, other destinations and IPv4 in between: none comes again.
    #[test]
    fn none_of_ipv6_comes_again() {
        for workers in [1, 3, 4] {
            let mut rng = Rng::new(5);
            let mut seen = BTreeSet::new();
            for worker in 0..workers {
                let mut ids = Ids::new(IdSpace { secret: 77, worker, workers }, &mut rng);
                for n in 0..50_000 {
                    assert!(seen.insert(ids.draw6(A6, peer6(1))), "{workers} workers, {n}");
                    ids.draw6(A6, peer6(n));
                    ids.draw(A, peer(n), 17);
                }
            }
        }
    }

    // W10, RFC 7739 1: neither a step nor a direction; another secret, destination or source is another sequence.
    #[test]
    fn the_next_one_of_ipv6_does_not_follow_from_the_last() {
        let draw = |secret, src, dst| {
            let mut ids = Ids::new(alone(secret), &mut Rng::new(5));
            (0..4096).map(|_| ids.draw6(src, dst)).collect::<Vec<_>>()
        };
        let ids = draw(77, A6, peer6(1));
        let steps: BTreeSet<u32> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(steps.len() > 4090, "{}", steps.len());
        for bit in 0..32 {
            let ones = ids.iter().filter(|id| **id >> bit & 1 != 0).count();
            assert!((1800..2300).contains(&ones), "bit {bit}: {ones}");
            // Nor does one bit of it say what another is, or was.
            for other in 0..32 {
                let same = ids.windows(2).filter(|w| w[0] >> bit & 1 == w[1] >> other & 1).count();
                assert!((1750..2350).contains(&same), "bits {bit} and {other}: {same}");
            }
        }
        for other in [draw(78, A6, peer6(1)), draw(77, A6, peer6(2)), draw(77, peer6(3), peer6(1))] {
            assert!(ids.iter().zip(&other).all(|(a, b)| a != b));
        }
    }
}
