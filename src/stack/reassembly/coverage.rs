//! Which bytes of a datagram have arrived, and where it was cut: two bits for every eight of them.
//!
//! A fragment is looked up and noted in as many steps as it has words of bits, at most 24 for a frame of 9,000 bytes,
//! whatever has arrived before and in whatever order: there is no list to walk (CVE-2018-5391).

/// Bits: eight bytes each, for the 65,535 that a datagram has at most.
const UNITS: usize = 8192;

/// What of a fragment's bytes was there before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// None.
    Nothing,
    /// Some, and not all.
    Some,
    /// All.
    All,
    /// All, as one piece.
    Exactly,
}

/// The bytes that have arrived.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    words: [u64; UNITS / 64],
    /// Where pieces begin.
    starts: [u64; UNITS / 64],
}

impl Coverage {
    pub(super) const NOTHING: Self = Self { words: [0; UNITS / 64], starts: [0; UNITS / 64] };

    /// What of the bytes `start..end` is there; `start` is a multiple of eight.
    pub(super) fn seen(&self, start: u16, end: u16) -> Seen {
        let (mut any, mut all, mut begin) = (false, true, 0);
        for (word, mask) in masks(start, end) {
            let there = self.words.get(word).map_or(0, |bits| bits & mask);
            any |= there != 0;
            all &= there == mask;
            begin += self.starts.get(word).map_or(0, |bits| (bits & mask).count_ones());
        }
        match (any, all) {
            // What is there has no gap, so one that begins here and none behind it is one that ends where the next begins.
            (_, true) if begin == 1 && is_set(&self.starts, usize::from(start) / 8) && !self.goes_on(end) => {
                Seen::Exactly
            }
            (_, true) => Seen::All,
            (true, false) => Seen::Some,
            (false, false) => Seen::Nothing,
        }
    }

    /// Whether the piece that has the bytes before `end` has those behind it, too.
    fn goes_on(&self, end: u16) -> bool {
        let unit = usize::from(end).div_ceil(8);
        is_set(&self.words, unit) && !is_set(&self.starts, unit)
    }

    /// The bytes `start..end` are there from now on, as one piece.
    pub(super) fn add(&mut self, start: u16, end: u16) {
        if let Some(bits) = self.starts.get_mut(usize::from(start) / 512) {
            *bits |= 1 << (start / 8 % 64);
        }
        for (word, mask) in masks(start, end) {
            if let Some(bits) = self.words.get_mut(word) {
                *bits |= mask;
            }
        }
    }

    /// Nothing is there any more, and nothing was beyond `end`.
    pub(super) fn clear(&mut self, end: u16) {
        let words = usize::from(end).div_ceil(8).div_ceil(64);
        let all = self.words.iter_mut().take(words).chain(self.starts.iter_mut().take(words));
        all.for_each(|word| *word = 0);
    }
}

/// Whether the bit of the eight bytes number `unit` is set.
fn is_set(bits: &[u64], unit: usize) -> bool {
    bits.get(unit / 64).is_some_and(|word| word >> (unit % 64) & 1 != 0)
}

/// The words that bytes `start..end` have bits in, and these bits.
fn masks(start: u16, end: u16) -> impl Iterator<Item = (usize, u64)> {
    let (from, to) = (usize::from(start) / 8, usize::from(end).div_ceil(8));
    (from / 64..to.div_ceil(64)).map(move |word| {
        let low = from.saturating_sub(word * 64).min(64);
        let high = to.saturating_sub(word * 64).min(64);
        // The bits from `low` to below `high`.
        let below = |bit: usize| if bit >= 64 { u64::MAX } else { (1 << bit) - 1 };
        (word, below(high) & !below(low))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As a set of units, and of pieces, says.
        #[test]
        fn it_is_a_set(pieces in proptest::collection::vec((0u16..8192, 1u16..1200, any::<bool>()), 1..20)) {
            let mut coverage = Coverage::NOTHING;
            let (mut units_there, mut held) = (BTreeSet::new(), Vec::new());
            let mut high = 0;
            for (unit, len, again) in pieces {
                let (start, end) = (unit * 8, (unit * 8).saturating_add(len));
                // One of those before, or a part of it.
                let before = held.get(usize::from(len) % held.len().max(1)).filter(|_| again).copied();
                let (start, end) = before.map_or((start, end), |(s, e): (u16, u16)| {
                    if e - s > 8 && len % 2 == 0 { (s, e - 8) } else { (s, e) }
                });
                let units = usize::from(start) / 8..usize::from(end).div_ceil(8);
                let there = units.clone().filter(|u| units_there.contains(u)).count();
                let ends_of = |(s, e): &(u16, u16)| (*s, e.div_ceil(8));
                let want = match there {
                    n if n == units.len() && held.iter().any(|h| ends_of(h) == ends_of(&(start, end))) => Seen::Exactly,
                    n if n == units.len() => Seen::All,
                    0 => Seen::Nothing,
                    _ => Seen::Some,
                };
                prop_assert_eq!(coverage.seen(start, end), want);
                // As the reassembler does: what is held never overlaps.
                if want == Seen::Nothing {
                    coverage.add(start, end);
                    units_there.extend(units);
                    held.push((start, end));
                    high = high.max(end);
                }
            }
            coverage.clear(high);
            prop_assert_eq!((coverage.words, coverage.starts), ([0; UNITS / 64], [0; UNITS / 64]));
        }
    }
}
