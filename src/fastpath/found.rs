//! What is found of the front of a burst: a column for each thing that is said of a packet.
//!
//! Four packets fill four places of a column by one store, and whoever looks at one thing of all of them goes down one column.

use core::ops::Range;

use super::line::Line;
use crate::io::{BURST_MAX, Parts};
use crate::stack::port_table::SocketId;

const FOURS: usize = BURST_MAX / 4;

/// The columns. What is behind the packets that were found says nothing. Each begins with a cache line: no store of four lies on two.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Found {
    /// [`Parts::word`].
    words: [[u64; 4]; FOURS],
    /// The UDP ports, that of the destination in the upper half.
    ports: [[u32; 4]; FOURS],
    sockets: [[SocketId; 4]; FOURS],
    /// The sum of both halves of the IPv4 source, as it lies, where a CPU [finds it](super::wide::Wide::HAS_LINES); and of the destination, if
    /// that may be one of several.
    src_sums: [[u32; 4]; FOURS],
    /// What is made of that: the header checksum of the answer, as it is stored.
    checksums: [[u16; 4]; FOURS],
    /// Whether those of IPv6 may be to several addresses of ours.
    several6: bool,
}

/// The places of four packets.
pub(super) struct Places<'a> {
    pub(super) words: &'a mut [u64; 4],
    pub(super) ports: &'a mut [u32; 4],
    pub(super) src_sums: &'a mut [u32; 4],
}

impl Default for Found {
    fn default() -> Self {
        let zeros = [[0; 4]; FOURS];
        let checksums = [[0; 4]; FOURS];
        Self {
            words: [[0; 4]; FOURS],
            ports: zeros,
            sockets: zeros,
            src_sums: zeros,
            checksums,
            several6: false,
        }
    }
}

impl Found {
    /// Says whether packets of IPv6 may be to several addresses of ours.
    #[inline(always)]
    pub(super) const fn set_several6(&mut self, several: bool) {
        self.several6 = several;
    }

    /// Whether they may.
    #[inline(always)]
    pub(super) const fn several6(&self) -> bool {
        self.several6
    }

    /// The places of fours behind the first `done`.
    #[inline(always)]
    pub(super) fn places(&mut self, done: usize) -> impl Iterator<Item = Places<'_>> {
        let columns = self.words.iter_mut().zip(&mut self.ports).zip(&mut self.src_sums);
        columns.skip(done).map(|((words, ports), src_sums)| Places { words, ports, src_sums })
    }

    /// The ports of the packets in `range`, and where their sockets go.
    #[inline(always)]
    pub(super) fn ports_and_sockets(&mut self, range: Range<usize>) -> (&[u32], &mut [SocketId]) {
        let (ports, sockets) = (self.ports.as_flattened(), self.sockets.as_flattened_mut());
        (ports.get(range.clone()).unwrap_or_default(), sockets.get_mut(range).unwrap_or_default())
    }

    /// What is said of the packets in `range`, in fours: the last may be fewer.
    #[inline(always)]
    pub(super) fn words(&self, range: Range<usize>) -> &[u64] {
        self.words.as_flattened().get(range).unwrap_or_default()
    }

    /// Works out the header checksums of the answers to the first `count` packets, all of them of IPv4.
    // Apart from turning them round: so it is one loop over columns, many at a time.
    #[inline(always)]
    pub(super) fn work_out_checksums(&mut self, count: usize, line: &Line) {
        let Self { words, src_sums, checksums, .. } = self;
        let found = words.as_flattened().iter().zip(src_sums.as_flattened()).take(count);
        for (checksum, (word, src_sum)) in checksums.as_flattened_mut().iter_mut().zip(found) {
            *checksum = line.checksum(Parts::from_word(*word, 0, 0).udp_len(), *src_sum);
        }
    }

    /// Those, four by four.
    #[inline(always)]
    pub(super) fn checksums(&self) -> impl Iterator<Item = [u16; 4]> {
        self.checksums.iter().copied()
    }

    /// The ports of the first `count` packets, and their sockets.
    #[inline(always)]
    pub(super) fn looked_up(&self, count: usize) -> (&[u32], &[SocketId]) {
        let (ports, sockets) = (self.ports.as_flattened(), self.sockets.as_flattened());
        (ports.get(..count).unwrap_or_default(), sockets.get(..count).unwrap_or_default())
    }

    /// The parts of all.
    #[inline(always)]
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = Parts> {
        let sockets_and_ports = self.sockets.as_flattened().iter().zip(self.ports.as_flattened());
        let all = self.words.as_flattened().iter().zip(sockets_and_ports);
        all.map(|(word, (socket, ports))| Parts::from_word(*word, *socket, *ports))
    }
}
