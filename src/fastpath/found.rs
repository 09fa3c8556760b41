//! What is found of the front of a burst: a column for each thing that is said of a packet.
//!
//! Four packets fill four places of a column by one store, and whoever looks at one thing of all of them goes down one column.

use core::ops::Range;

use crate::io::{BURST_MAX, Parts};
use crate::stack::port_table::SocketId;

const FOURS: usize = BURST_MAX / 4;

/// The columns. What is behind the packets that were found says nothing.
#[derive(Clone, Debug)]
pub struct Found {
    /// [`Parts::word`].
    words: [[u64; 4]; FOURS],
    /// The UDP ports, that of the destination in the upper half.
    ports: [[u32; 4]; FOURS],
    sockets: [[SocketId; 4]; FOURS],
}

/// The places of four packets.
pub(super) struct Places<'a> {
    pub(super) words: &'a mut [u64; 4],
    pub(super) ports: &'a mut [u32; 4],
}

impl Default for Found {
    fn default() -> Self {
        Self { words: [[0; 4]; FOURS], ports: [[0; 4]; FOURS], sockets: [[0; 4]; FOURS] }
    }
}

impl Found {
    /// The places of fours behind the first `done`.
    #[inline(always)]
    pub(super) fn places(&mut self, done: usize) -> impl Iterator<Item = Places<'_>> {
        let (words, ports) = (self.words.iter_mut(), self.ports.iter_mut());
        words.zip(ports).skip(done).map(|(words, ports)| Places { words, ports })
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
