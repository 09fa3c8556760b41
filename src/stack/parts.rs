//! A map in parts, which a copy shares until one of the two changes: of a large one, a change copies one part.
//!
//! Control changes its copy and gives workers the whole of it, as if it were made anew each time; what it costs is a few
//! dozen entries, whether there are ten or ten thousand. Readers take no lock and count nothing, and of what they look for they
//! read the entry and nothing before it: a part is an [open table](super::open_table).

use core::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::open_table::{Keyed, find, home, put, take_out};

/// Entries of a part, on average, from which on there are more parts.
const PART_MAX: usize = 64;

/// How many times as many there are then.
const GROWTH: usize = 4;

/// Places that a part has at least, once it has an entry.
const SMALLEST: usize = 4;

/// What is shared: a power of two of places, or none. Half of them are used at most.
type Part<E> = Arc<[Option<E>]>;

/// The map.
#[derive(Clone, Debug)]
pub(super) struct Parts<E> {
    hash: FixedState,
    /// A power of two of them.
    parts: Box<[Part<E>]>,
    len: usize,
}

impl<E: Keyed> Parts<E> {
    /// An empty one. `seed` keeps an outsider from choosing keys that collide.
    pub(super) fn new(seed: u64) -> Self {
        Self { hash: FixedState::with_seed(seed), parts: [Arc::default()].into(), len: 0 }
    }

    /// How many entries there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The entry of `key`.
    #[inline]
    pub(super) fn get(&self, key: &E::Key) -> Option<&E> {
        let hash = self.hash.hash_one(key);
        let part = self.parts.get(part_of(hash, self.parts.len()))?;
        part.get(find(part, hash, key)?)?.as_ref()
    }

    /// Where the entry of `key` is looked for first; `None`: it is not there.
    #[inline]
    pub(super) fn home(&self, key: &E::Key) -> Option<&Option<E>> {
        let hash = self.hash.hash_one(key);
        let part = self.parts.get(part_of(hash, self.parts.len()))?;
        part.get(home(hash, part.len()))
    }

    /// Puts `entry` in the place of the one with its key, if there is one. Only what shares its part with it is copied, if that is
    /// shared.
    pub(super) fn insert(&mut self, entry: E) {
        let hash = self.hash.hash_one(entry.key());
        let at = part_of(hash, self.parts.len());
        let Some(part) = self.parts.get_mut(at) else { return };
        if let Some(there) = find(part, hash, entry.key()) {
            Arc::make_mut(part)[there] = Some(entry);
            return;
        }
        let used = part.iter().flatten().count();
        if used >= part.len() / 2 {
            *part = with_room(&self.hash, (2 * part.len()).max(SMALLEST), part.iter().flatten().cloned());
        }
        put(Arc::make_mut(part), hash, entry);
        self.len += 1;
        if self.len > self.parts.len() * PART_MAX {
            self.split();
        }
    }

    /// Takes out the entry of `key`, if there is one; of what is copied, the same holds.
    pub(super) fn remove(&mut self, key: &E::Key) {
        let Self { hash, parts, len } = self;
        let hashed = hash.hash_one(key);
        let Some(part) = parts.get_mut(part_of(hashed, parts.len())) else { return };
        let Some(there) = find(part, hashed, key) else { return };
        take_out(Arc::make_mut(part), there, |entry| hash.hash_one(entry.key()));
        *len -= 1;
    }

    /// The same entries in more parts.
    fn split(&mut self) {
        let Self { hash, parts, .. } = self;
        let count = parts.len() * GROWTH;
        let mut split: Vec<Vec<E>> = (0..count).map(|_| Vec::new()).collect();
        for entry in parts.iter().flat_map(|part| part.iter().flatten()) {
            split[part_of(hash.hash_one(entry.key()), count)].push(entry.clone());
        }
        let room = |entries: &Vec<E>| if entries.is_empty() { 0 } else { room_for(entries.len()) };
        *parts = split.into_iter().map(|entries| with_room(hash, room(&entries), entries)).collect();
    }
}

/// Places for so many entries.
fn room_for(entries: usize) -> usize {
    (2 * entries).next_power_of_two().max(SMALLEST)
}

/// A part of `room` places with these entries.
fn with_room<E: Keyed>(hash: &FixedState, room: usize, entries: impl IntoIterator<Item = E>) -> Part<E> {
    let mut places: Vec<Option<E>> = (0..room).map(|_| None).collect();
    entries.into_iter().for_each(|entry| put(&mut places, hash.hash_one(entry.key()), entry));
    places.into()
}

/// The part of `count` for what has this hash: by bits that a part does not look at itself.
#[inline]
const fn part_of(hash: u64, count: usize) -> usize {
    (hash >> 32) as usize & (count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    /// A number and what it is for.
    type Entry = (u64, u64);

    fn value(parts: &Parts<Entry>, key: u64) -> Option<u64> {
        let found = parts.get(&key);
        // What is not where it is looked for first, is near.
        assert!(found.is_none() || parts.home(&key).is_some());
        found.map(|(_, value)| *value)
    }

    #[test]
    fn it_is_a_map_however_many_entries_come_and_go() {
        let (mut parts, mut model, mut rng) = (Parts::new(1), BTreeMap::new(), Rng::new(1));
        for step in 0..200_000u64 {
            let key = rng.below(6000);
            if rng.one_in(3) {
                parts.remove(&key);
                model.remove(&key);
            } else {
                parts.insert((key, step));
                model.insert(key, step);
            }
            let asked = rng.below(6000);
            assert_eq!(value(&parts, asked), model.get(&asked).copied());
            assert_eq!(parts.len(), model.len());
        }
        assert!(
            parts.parts.len() > 16 && (0..6000).all(|key| value(&parts, key) == model.get(&key).copied())
        );
    }

    #[test]
    fn a_copy_keeps_what_it_had_and_shares_what_is_alike() {
        let mut now = Parts::new(2);
        (0..10_000).for_each(|key| now.insert((key, key)));
        let before = now.clone();
        now.remove(&77);
        now.insert((10_001, 0));
        assert_eq!((value(&before, 77), value(&now, 77)), (Some(77), None));
        assert_eq!((value(&before, 10_001), value(&now, 10_001)), (None, Some(0)));
        let copied = before.parts.iter().zip(&now.parts).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert!(copied <= 2 && before.parts.len() > 100, "{copied} of {}", before.parts.len());
    }
}
