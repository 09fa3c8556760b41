//! Sockets that are connected to nobody: a cache line for eight UDP ports of one address.
//!
//! A line holds all that a look-up compares, so that no socket is read to know which one it is; and a million sockets on 16 addresses
//! are 125,000 lines.

use super::SocketId;
use super::place::Place;
use super::slot::NONE;

/// UDP ports in a row.
const PORTS: usize = 8;

const CHUNK_BITS: u32 = 9;
const CHUNK: usize = 1 << CHUNK_BITS;

/// What the places of a row have in common: the address; interface, kind, and all but the last bits of the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key(pub(super) [u64; 3]);

impl Key {
    /// That of a `place` of which nobody is a peer.
    #[inline(always)]
    pub(super) fn of(place: &Place) -> Self {
        let ports = u64::from(place.local_port) / PORTS as u64;
        let rest = u64::from(place.interface) << 32 | u64::from(place.kind.0) << 16 | ports;
        Self([place.local[0], place.local[1], rest])
    }
}

/// The first sockets of eight places.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Row {
    key: Key,
    /// [`NONE`] where nobody is.
    firsts: [SocketId; PORTS],
}

const _: () = assert!(size_of::<Row>() == 64);

impl Row {
    const EMPTY: Self = Self { key: Key([0; 3]), firsts: [NONE; PORTS] };

    #[inline(always)]
    pub(super) fn is_of(&self, key: &Key) -> bool {
        // Word by word: what has just been put together is not stored to be compared in larger pieces.
        let (Key([a, b, c]), Key([x, y, z])) = (self.key, *key);
        (a ^ x) | (b ^ y) | (c ^ z) == 0
    }

    /// The first socket on a port.
    #[inline(always)]
    pub(super) fn first(&self, udp_port: u16) -> Option<SocketId> {
        self.firsts.get(usize::from(udp_port) % PORTS).copied().filter(|first| *first != NONE)
    }

    fn is_empty(&self) -> bool {
        self.firsts == [NONE; PORTS]
    }
}

/// The rows by number, in chunks: that there are more and more of them never moves those that are there.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    chunks: Vec<Box<[Row; CHUNK]>>,
    /// How many were ever used.
    len: u32,
    /// Which of them are not.
    free: Vec<u32>,
}

impl Rows {
    #[inline(always)]
    pub(super) fn get(&self, row: u32) -> Option<&Row> {
        self.chunks.get((row >> CHUNK_BITS) as usize)?.get(row as usize % CHUNK)
    }

    /// A row of `key` with nobody in it.
    pub(super) fn make(&mut self, key: Key) -> Option<u32> {
        let row = self.free.pop().unwrap_or(self.len);
        while self.chunks.len() <= (row >> CHUNK_BITS) as usize {
            let chunk: Box<[Row]> = vec![Row::EMPTY; CHUNK].into();
            self.chunks.push(chunk.try_into().ok()?);
        }
        self.len = self.len.max(row + 1);
        *self.chunks.get_mut((row >> CHUNK_BITS) as usize)?.get_mut(row as usize % CHUNK)? =
            Row { key, ..Row::EMPTY };
        Some(row)
    }

    /// From now on `first` is the first on a port of this row. Returns whether nobody is in it any more: then it is given up.
    pub(super) fn set(&mut self, row: u32, udp_port: u16, first: Option<SocketId>) -> bool {
        let there = self.chunks.get_mut((row >> CHUNK_BITS) as usize);
        let Some(it) = there.and_then(|chunk| chunk.get_mut(row as usize % CHUNK)) else { return false };
        if let Some(place) = it.firsts.get_mut(usize::from(udp_port) % PORTS) {
            *place = first.unwrap_or(NONE);
        }
        let is_empty = it.is_empty();
        if is_empty {
            self.free.push(row);
        }
        is_empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_given_up_with_its_last_socket_and_used_again() {
        let mut rows = Rows::default();
        let (a, b) = (Key([0, 1, 2]), Key([0, 1, 3]));
        let first = rows.make(a).unwrap();
        assert!(!rows.set(first, 9, Some(4)) && !rows.set(first, 15, Some(5)));
        let row = rows.get(first).unwrap();
        assert!(row.is_of(&a) && !row.is_of(&b));
        assert_eq!((row.first(9), row.first(7), row.first(8)), (Some(4), Some(5), None));
        assert!(!rows.set(first, 9, None) && rows.set(first, 15, None));
        let others: Vec<_> = (0..CHUNK).map(|_| rows.make(b).unwrap()).collect();
        assert_eq!((others[0], rows.len), (first, u32::try_from(CHUNK).unwrap()));
        assert!(rows.get(first).unwrap().is_of(&b) && rows.get(first).unwrap().is_empty());
        assert_eq!(rows.make(a), Some(rows.len - 1));
        assert_eq!(rows.chunks.len(), 2);
    }
}
