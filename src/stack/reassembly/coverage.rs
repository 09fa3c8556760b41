//! Which bytes of a datagram have arrived: a bit for every eight of them.
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
}

/// The bytes that have arrived.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    words: [u64; UNITS / 64],
}

impl Coverage {
    pub(super) const NOTHING: Self = Self { words: [0; UNITS / 64] };

    /// What of the bytes `start..end` is there; `start` is a multiple of eight.
    pub(super) fn seen(&self, start: u16, end: u16) -> Seen {
        let (mut any, mut all) = (false, true);
        for (word, mask) in masks(start, end) {
            let there = self.words.get(word).map_or(0, |bits| bits & mask);
            any |= there != 0;
            all &= there == mask;
        }
        match (any, all) {
            (_, true) => Seen::All,
            (true, false) => Seen::Some,
            (false, false) => Seen::Nothing,
        }
    }

    /// The bytes `start..end` are there from now on.
    pub(super) fn add(&mut self, start: u16, end: u16) {
        for (word, mask) in masks(start, end) {
            if let Some(bits) = self.words.get_mut(word) {
                *bits |= mask;
            }
        }
    }

    /// Nothing is there any more, and nothing was beyond `end`.
    pub(super) fn clear(&mut self, end: u16) {
        let words = usize::from(end).div_ceil(8).div_ceil(64);
        self.words.iter_mut().take(words).for_each(|word| *word = 0);
    }
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
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As a set of units says.
        #[test]
        fn it_is_a_set(pieces in proptest::collection::vec((0u16..8192, 1u16..1200), 1..20)) {
            let mut coverage = Coverage::NOTHING;
            let mut model = std::collections::BTreeSet::new();
            let mut high = 0;
            for (unit, len) in pieces {
                let (start, end) = (unit * 8, (unit * 8).saturating_add(len));
                let units = usize::from(unit)..usize::from(end).div_ceil(8);
                let there = units.clone().filter(|u| model.contains(u)).count();
                let want = match there {
                    n if n == units.len() => Seen::All,
                    0 => Seen::Nothing,
                    _ => Seen::Some,
                };
                prop_assert_eq!(coverage.seen(start, end), want);
                coverage.add(start, end);
                model.extend(units);
                high = high.max(end);
            }
            coverage.clear(high);
            prop_assert_eq!(coverage.words, [0; UNITS / 64]);
        }
    }
}
