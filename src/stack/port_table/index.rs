//! From a place to the first of its sockets.
//!
//! Two hash tables of eight bytes an entry: half of a hash, and a number. Of connected sockets an entry is a place, and the number the
//! socket's id; what is compared in the end is the socket itself. Of all others an entry is a [row](super::rows) of places, and the number the
//! row's. So a look-up reads one line here, and one there. They are in shards that grow one at a
//! time, and from what they hold alone: no change of one socket ever waits for the move of a million.

use core::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::SocketId;
use super::place::Place;
use super::rows::{Key, Row, Rows};
use super::slots::Slots;

const SHARDS: usize = 256;

/// Entries that a shard has room for at least: a cache line of them.
const SMALLEST: usize = 8;

/// No entry: no socket has this id.
const EMPTY: u64 = u64::MAX;

/// The first socket of each place.
#[derive(Clone, Debug)]
pub(super) struct Index {
    hash: FixedState,
    /// Of places with a peer.
    connected: Shards,
    /// Of rows.
    of_rows: Shards,
    rows: Rows,
}

/// By bits of a hash that say nothing of where in a shard.
#[derive(Clone, Debug)]
struct Shards(Box<[Shard]>);

impl Default for Shards {
    fn default() -> Self {
        Self(vec![Shard::default(); SHARDS].into())
    }
}

impl Shards {
    #[inline(always)]
    fn of(&self, hash: u64) -> Option<&Shard> {
        self.0.get((hash >> 56) as usize % SHARDS)
    }

    fn of_mut(&mut self, hash: u64) -> Option<&mut Shard> {
        self.0.get_mut((hash >> 56) as usize % SHARDS)
    }
}

/// Entries where their hashes say, or in the next free place behind: a power of two of places, of which half is used at most.
#[derive(Clone, Debug, Default)]
struct Shard {
    entries: Box<[u64]>,
    used: usize,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        let (connected, of_rows, rows) = (Shards::default(), Shards::default(), Rows::default());
        Self { hash: FixedState::with_seed(seed), connected, of_rows, rows }
    }

    /// The first socket at `place`.
    #[inline(always)]
    pub(super) fn get(&self, place: &Place, slots: &Slots) -> Option<SocketId> {
        if !place.kind.is_connected() {
            let key = Key::of(place);
            let hash = self.row_hash(&key);
            let (_, row) = self.of_rows.of(hash)?.find(hash, |row| is_row(&self.rows, row, &key))?;
            return self.rows.get(row)?.first(place.local_port);
        }
        let hash = self.place_hash(place);
        let shard = self.connected.of(hash)?;
        shard.find(hash, |id| is_there(id, place, slots)).map(|(_, id)| id)
    }

    /// From now on `first` is the first at `place`; `None`: nobody is there.
    pub(super) fn set(&mut self, place: &Place, first: Option<SocketId>, slots: &Slots) {
        if !place.kind.is_connected() {
            return self.set_in_row(place, first);
        }
        let hash = self.place_hash(place);
        let Some(shard) = self.connected.of_mut(hash) else { return };
        match (shard.find(hash, |id| is_there(id, place, slots)), first) {
            (Some((at, _)), Some(first)) => shard.entries[at] = entry(hash, first),
            (Some((at, _)), None) => shard.remove(at),
            (None, Some(first)) => shard.insert(entry(hash, first)),
            (None, None) => {}
        }
    }

    /// The same of one without a peer.
    fn set_in_row(&mut self, place: &Place, first: Option<SocketId>) {
        let key = Key::of(place);
        let hash = self.row_hash(&key);
        let Self { of_rows, rows, .. } = self;
        let Some(shard) = of_rows.of_mut(hash) else { return };
        match (shard.find(hash, |row| is_row(rows, row, &key)), first) {
            (Some((at, row)), first) => {
                if rows.set(row, place.local_port, first) {
                    shard.remove(at);
                }
            }
            (None, Some(first)) => {
                let Some(row) = rows.make(key) else { return };
                rows.set(row, place.local_port, Some(first));
                shard.insert(entry(hash, row));
            }
            (None, None) => {}
        }
    }

    /// The hash of a `place` with a peer.
    fn place_hash(&self, place: &Place) -> u64 {
        let Place { kind, local, peer, local_port, peer_port, interface } = *place;
        let ports = u64::from(local_port) << 16 | u64::from(peer_port);
        let rest = ports << 32 | u64::from(interface) << 8 | u64::from(kind.0);
        let mut hasher = self.hash.build_hasher();
        [local[0], local[1], peer[0], peer[1], rest].into_iter().for_each(|word| hasher.write_u64(word));
        hasher.finish()
    }

    /// The hash of a row.
    #[inline(always)]
    pub(super) fn row_hash(&self, key: &Key) -> u64 {
        let Key([high, low, rest]) = *key;
        let mut hasher = self.hash.build_hasher();
        hasher.write_u64(high);
        hasher.write_u64(low);
        hasher.write_u64(rest);
        hasher.finish()
    }

    /// Where a row that has this hash is looked for first.
    #[inline(always)]
    pub(super) fn home(&self, hash: u64) -> Option<&u64> {
        let entries = &self.of_rows.of(hash)?.entries;
        entries.get(home(hash) & entries.len().wrapping_sub(1))
    }

    /// The first row with this hash, which is the one that is looked for unless two hashes agree in half.
    #[inline(always)]
    pub(super) fn likely(&self, hash: u64) -> Option<u32> {
        self.of_rows.of(hash)?.find(hash, |_| true).map(|(_, row)| row)
    }

    /// A row by its number.
    #[inline(always)]
    pub(super) fn row(&self, row: u32) -> Option<&Row> {
        self.rows.get(row)
    }
}

#[inline(always)]
fn is_row(rows: &Rows, row: u32, key: &Key) -> bool {
    rows.get(row).is_some_and(|row| row.is_of(key))
}

#[inline(always)]
fn is_there(id: SocketId, place: &Place, slots: &Slots) -> bool {
    slots.get(id).is_some_and(|slot| slot.is_at(place))
}

/// The lower half of `hash` says where, and is kept.
const fn home(hash: u64) -> usize {
    (hash & 0xffff_ffff) as usize
}

const fn entry(hash: u64, id: SocketId) -> u64 {
    hash << 32 | id as u64
}

/// The id in an entry.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn id_of(entry: u64) -> SocketId {
    entry as SocketId
}

impl Shard {
    /// Where an entry with this hash is that `is_it`, and its id.
    #[inline(always)]
    fn find(&self, hash: u64, is_it: impl Fn(SocketId) -> bool) -> Option<(usize, SocketId)> {
        // Of none, this is more than any place.
        let mask = self.entries.len().wrapping_sub(1);
        let mut at = home(hash) & mask;
        loop {
            let entry = *self.entries.get(at)?;
            if entry >> 32 == hash & 0xffff_ffff && is_it(id_of(entry)) {
                return Some((at, id_of(entry)));
            }
            if entry == EMPTY {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an entry that is not there.
    fn insert(&mut self, entry: u64) {
        if self.used >= self.entries.len() / 2 {
            let more = vec![EMPTY; (2 * self.entries.len()).max(SMALLEST)].into();
            let fewer = core::mem::replace(&mut self.entries, more);
            fewer.iter().filter(|entry| **entry != EMPTY).for_each(|entry| self.put(*entry));
        }
        self.used += 1;
        self.put(entry);
    }

    fn put(&mut self, entry: u64) {
        let mask = self.entries.len() - 1;
        let mut at = home(entry >> 32) & mask;
        while self.entries[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }

    /// Takes out the entry at `hole`; those behind that would have been there or before, move up.
    fn remove(&mut self, mut hole: usize) {
        let mask = self.entries.len() - 1;
        let mut at = hole;
        self.used -= 1;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry == EMPTY {
                break;
            }
            let from_home = at.wrapping_sub(home(entry >> 32)) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot::NONE;
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    /// Few different hashes, many of which begin at the end: runs of entries grow together and round it.
    #[test]
    fn entries_that_crowd_are_found_and_leave_no_hole_before_another() {
        let (mut shard, mut model, mut rng) = (Shard::default(), BTreeMap::new(), Rng::new(1));
        for step in 0..100_000 {
            let id = SocketId::try_from(rng.below(if step % 20_000 < 10_000 { 300 } else { 12 })).unwrap();
            let hash = [0, 1, 6, 7, 0xffff_fff8, 0xffff_ffff][id as usize % 6] + 16 * u64::from(id / 40);
            match (model.remove(&id), shard.find(hash, |found| found == id)) {
                (Some(()), Some((at, _))) => shard.remove(at),
                (None, None) => {
                    shard.insert(entry(hash, id));
                    model.insert(id, ());
                }
                (was, found) => panic!("{id}: {was:?} and {found:?}"),
            }
            assert_eq!(shard.used, model.len());
            assert!(shard.used <= shard.entries.len() / 2);
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_ever_was() {
        let index = Index::new(1);
        assert_eq!((index.home(7), index.likely(7)), (None, None));
    }

    #[test]
    fn no_id_with_any_hash_is_taken_for_no_entry() {
        assert_ne!(entry(u64::MAX, NONE - 1), EMPTY);
    }
}
