//! A hash table by open addressing: an entry, key and all, is where its hash says, or in the next free place behind.
//!
//! A look-up reads one place, and at times those beside it; where that is, is known before any of it was read: of many look-ups, all
//! can be fetched at once. Here are the steps; whoever has such a table keeps half of its places free.

use core::hash::Hash;

/// What is found by a key that it holds itself.
pub(super) trait Keyed: Clone {
    /// By what it is found.
    type Key: Hash + Eq;

    /// The key.
    fn key(&self) -> &Self::Key;
}

/// The first place for what has this hash; of no places, one that is not there.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
pub(super) const fn home(hash: u64, places: usize) -> usize {
    hash as usize & places.wrapping_sub(1)
}

/// Where the entry of `key` is.
#[inline]
pub(super) fn find<E: Keyed>(part: &[Option<E>], hash: u64, key: &E::Key) -> Option<usize> {
    let mut at = home(hash, part.len());
    // A place is free: half of them are.
    while let Some(entry) = part.get(at)? {
        if entry.key() == key {
            return Some(at);
        }
        at = home(at as u64 + 1, part.len());
    }
    None
}

/// Puts an entry into the first free place for it.
pub(super) fn put<E>(part: &mut [Option<E>], hash: u64, entry: E) {
    let mut at = home(hash, part.len());
    while part[at].is_some() {
        at = home(at as u64 + 1, part.len());
    }
    part[at] = Some(entry);
}

/// Empties the place `hole`; entries behind it that would have been there or before, move up.
pub(super) fn take_out<E>(part: &mut [Option<E>], mut hole: usize, hash: impl Fn(&E) -> u64) {
    let mask = part.len() - 1;
    let mut at = hole;
    part[hole] = None;
    loop {
        at = (at + 1) & mask;
        let Some(entry) = &part[at] else { return };
        let from_home = at.wrapping_sub(home(hash(entry), part.len())) & mask;
        if from_home >= at.wrapping_sub(hole) & mask {
            part.swap(hole, at);
            hole = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    type Entry = (u64, u64);

    impl Keyed for Entry {
        type Key = u64;

        fn key(&self) -> &u64 {
            &self.0
        }
    }

    #[test]
    fn nothing_is_found_where_there_is_no_place() {
        assert_eq!(find::<Entry>(&[], 7, &1), None);
    }

    /// Few hashes, some of which begin at the end: entries crowd there and round it.
    #[test]
    fn who_leaves_a_crowd_leaves_no_hole_before_another() {
        let hash = |entry: &Entry| [0, 6, 7, u64::MAX, 14][usize::try_from(entry.0 % 5).unwrap()];
        let (mut part, mut model, mut rng) = (vec![None; 32], BTreeMap::new(), Rng::new(3));
        for step in 0..50_000 {
            let key = rng.below(60);
            match (find(&part, hash(&(key, 0)), &key), model.remove(&key)) {
                (Some(at), Some(value)) => {
                    assert_eq!(part[at], Some((key, value)));
                    take_out(&mut part, at, hash);
                }
                (None, None) if model.len() < 16 => {
                    put(&mut part, hash(&(key, 0)), (key, step));
                    model.insert(key, step);
                }
                (None, None) => {}
                (found, was) => panic!("{key}: {found:?} and {was:?}"),
            }
            assert_eq!(part.iter().flatten().count(), model.len());
        }
    }
}
