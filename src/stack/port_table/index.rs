//! From a place to the first of its sockets.
//!
//! A hash table of ids alone: what is compared is the socket itself, which whoever finds it looks at next. It is in shards that
//! grow one at a time, so that no change of one socket ever waits for the move of a million.

use core::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::SocketId;
use super::place::Place;
use super::slots::Slots;

const SHARDS: usize = 256;

/// The first socket of each place.
#[derive(Clone, Debug)]
pub(super) struct Index {
    hash: FixedState,
    shards: Box<[HashTable<SocketId>]>,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self { hash: FixedState::with_seed(seed), shards: vec![HashTable::new(); SHARDS].into() }
    }

    /// The first socket at `place`.
    #[inline(always)]
    pub(super) fn get(&self, place: &Place, slots: &Slots) -> Option<SocketId> {
        let hash = hash(&self.hash, place);
        let is_there = |id: &SocketId| slots.get(*id).is_some_and(|slot| slot.is_at(place));
        self.shards.get(shard(hash))?.find(hash, is_there).copied()
    }

    /// From now on `first` is the first at `place`; `None`: nobody is there.
    pub(super) fn set(&mut self, place: &Place, first: Option<SocketId>, slots: &Slots) {
        let Self { hash: state, shards } = self;
        let hashed = hash(state, place);
        let Some(shard) = shards.get_mut(shard(hashed)) else { return };
        let is_there = |id: &SocketId| slots.get(*id).is_some_and(|slot| slot.is_at(place));
        match (shard.find_entry(hashed, is_there), first) {
            (Ok(mut there), Some(first)) => *there.get_mut() = first,
            (Ok(there), None) => drop(there.remove()),
            (Err(_), Some(first)) => {
                let again = |id: &SocketId| slots.get(*id).map_or(0, |slot| hash(state, &slot.place()));
                shard.insert_unique(hashed, first, again);
            }
            (Err(_), None) => {}
        }
    }
}

/// Bits that `HashTable` makes no use of, which takes the lowest for where and the highest for what.
const fn shard(hash: u64) -> usize {
    (hash >> 44) as usize % SHARDS
}

#[inline(always)]
fn hash(state: &FixedState, place: &Place) -> u64 {
    let Place { kind, local, peer, local_port, peer_port, interface } = *place;
    let mut hasher = state.build_hasher();
    let ports = u64::from(local_port) << 16 | u64::from(peer_port);
    hasher.write_u64(local[0]);
    hasher.write_u64(local[1]);
    if kind.is_connected() {
        hasher.write_u64(peer[0]);
        hasher.write_u64(peer[1]);
    }
    hasher.write_u64(ports << 32 | u64::from(interface) << 8 | u64::from(kind.0));
    hasher.finish()
}
