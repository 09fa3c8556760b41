//! A map in parts, which a copy shares until one of the two changes: of a large one, a change copies one part.
//!
//! Control changes its copy and gives workers the whole of it, as if it were made anew each time; what it costs is a few
//! dozen entries, whether there are ten or ten thousand. Readers take no lock and count nothing.

use core::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Entries of a part, on average, from which on there are more parts.
const PART_MAX: usize = 64;

/// How many times as many there are then.
const GROWTH: usize = 4;

/// What is shared.
type Part<K, V> = Arc<HashTable<(K, V)>>;

/// The map.
#[derive(Clone, Debug)]
pub(super) struct Parts<K, V> {
    hash: FixedState,
    /// A power of two of them.
    parts: Box<[Part<K, V>]>,
    len: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Parts<K, V> {
    /// An empty one. `seed` keeps an outsider from choosing keys that collide.
    pub(super) fn new(seed: u64) -> Self {
        Self { hash: FixedState::with_seed(seed), parts: [Arc::default()].into(), len: 0 }
    }

    /// How many entries there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The value of `key`.
    #[inline]
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let hash = self.hash.hash_one(key);
        let part = self.parts.get(place(hash, self.parts.len()))?;
        part.find(hash, |(k, _)| k == key).map(|(_, value)| value)
    }

    /// Gives `key` this value, or none. Only what shares its part with it is copied, if that is shared.
    pub(super) fn set(&mut self, key: K, value: Option<V>) {
        let Self { hash, parts, len } = self;
        let hashed = hash.hash_one(&key);
        let Some(part) = parts.get_mut(place(hashed, parts.len())) else { return };
        let entry = Arc::make_mut(part).entry(hashed, |(k, _)| *k == key, |(k, _)| hash.hash_one(k));
        match (entry, value) {
            (Entry::Occupied(mut old), Some(value)) => old.get_mut().1 = value,
            (Entry::Occupied(old), None) => {
                old.remove();
                *len -= 1;
            }
            (Entry::Vacant(place), Some(value)) => {
                place.insert((key, value));
                *len += 1;
            }
            (Entry::Vacant(_), None) => {}
        }
        if self.len > self.parts.len() * PART_MAX {
            self.split();
        }
    }

    /// The same entries in more parts. Entries move if nobody else has them.
    fn split(&mut self) {
        let Self { hash, parts, .. } = self;
        let count = parts.len() * GROWTH;
        let mut split: Vec<HashTable<(K, V)>> = (0..count).map(|_| HashTable::new()).collect();
        for part in core::mem::take(parts) {
            for entry in Arc::unwrap_or_clone(part) {
                let hashed = hash.hash_one(&entry.0);
                if let Some(part) = split.get_mut(place(hashed, count)) {
                    part.insert_unique(hashed, entry, |(k, _)| hash.hash_one(k));
                }
            }
        }
        *parts = split.into_iter().map(Arc::new).collect();
    }
}

/// The part of `count` for what has this hash: by bits that a part does not look at itself.
#[inline]
const fn place(hash: u64, count: usize) -> usize {
    (hash >> 32) as usize & (count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    #[test]
    fn it_is_a_map_however_many_entries_come_and_go() {
        let (mut parts, mut model, mut rng) = (Parts::new(1), BTreeMap::new(), Rng::new(1));
        for step in 0..200_000u64 {
            let key = rng.below(6000);
            if rng.one_in(3) {
                parts.set(key, None);
                model.remove(&key);
            } else {
                parts.set(key, Some(step));
                model.insert(key, step);
            }
            let asked = rng.below(6000);
            assert_eq!(parts.get(&asked), model.get(&asked));
            assert_eq!(parts.len(), model.len());
        }
        assert!(parts.parts.len() > 16 && (0..6000).all(|key| parts.get(&key) == model.get(&key)));
    }

    #[test]
    fn a_copy_keeps_what_it_had_and_shares_what_is_alike() {
        let mut now = Parts::new(2);
        (0..10_000u32).for_each(|key| now.set(key, Some(key)));
        let before = now.clone();
        now.set(77, None);
        now.set(10_001, Some(0));
        assert_eq!((before.get(&77), now.get(&77)), (Some(&77), None));
        assert_eq!((before.get(&10_001), now.get(&10_001)), (None, Some(&0)));
        let copied = before.parts.iter().zip(&now.parts).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert!(copied <= 2 && before.parts.len() > 100, "{copied} of {}", before.parts.len());
    }
}
