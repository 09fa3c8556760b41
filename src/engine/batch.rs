//! A batch: datagrams on their way to a service, and its decisions on their way back.

use crate::io::{BURST_MAX, PacketBuf, Parts};
use crate::service::Datagram;
use crate::stack::port_table::SocketId;
use crate::time::Instant;

/// Up to [`BURST_MAX`] datagrams, in order, densely packed.
///
/// Its places are never moved, but filled and emptied: those behind the last hold no packet.
#[derive(Debug)]
pub(super) struct Batch<B> {
    places: [Datagram<B>; BURST_MAX],
    len: usize,
    /// Of which socket they are, unless they are of several.
    socket: SocketId,
    is_mixed: bool,
}

impl<B: PacketBuf> Batch<B> {
    /// None.
    pub(super) fn new() -> Self {
        let places = core::array::from_fn(|_| Datagram::nothing());
        Self { places, len: 0, socket: 0, is_mixed: false }
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) const fn is_full(&self) -> bool {
        self.len == BURST_MAX
    }

    #[inline]
    pub(super) const fn has_room_for(&self, count: usize) -> bool {
        count <= BURST_MAX - self.len
    }

    /// The socket that all of them are for; `None`: there are none, or they are for several.
    #[inline]
    pub(super) const fn socket(&self) -> Option<SocketId> {
        if self.is_mixed || self.len == 0 { None } else { Some(self.socket) }
    }

    /// Adds a datagram at the end. False if it is full: then that is dropped.
    #[inline]
    pub(super) fn push(&mut self, datagram: Datagram<B>) -> bool {
        let socket = datagram.parts().socket();
        let Some(place) = self.places.get_mut(self.len) else { return false };
        *place = datagram;
        self.add(1, socket, false);
        true
    }

    /// Adds a datagram for each packet at the end, as many as there is room for; what is left has none. All are for `socket`, or for
    /// several, of which that is the first one's.
    #[inline(always)]
    pub(super) fn push_all<'a>(
        &mut self,
        packets: impl ExactSizeIterator<Item = (&'a mut Option<B>, Parts)>,
        now: Instant,
        (socket, is_mixed): (SocketId, bool),
    ) {
        let Some(room) = self.places.get_mut(self.len..) else { return };
        let count = packets.len().min(room.len());
        for (place, (buf, parts)) in room.iter_mut().zip(packets) {
            place.fill(buf.take(), parts, now);
        }
        self.add(count, socket, is_mixed);
    }

    #[inline]
    fn add(&mut self, count: usize, socket: SocketId, is_mixed: bool) {
        if self.len == 0 {
            (self.socket, self.is_mixed) = (socket, is_mixed);
        } else {
            self.is_mixed |= is_mixed || socket != self.socket;
        }
        self.len += count;
    }

    /// The first one.
    #[inline]
    pub(super) fn first(&self) -> Option<&Datagram<B>> {
        self.as_slice().first()
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[Datagram<B>] {
        self.places.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [Datagram<B>] {
        self.places.get_mut(..self.len).unwrap_or_default()
    }

    /// Takes every one out, first to last; what the iterator is not asked for is dropped.
    pub(super) fn drain(&mut self) -> Drain<'_, B> {
        let len = core::mem::take(&mut self.len);
        Drain(self.places.get_mut(..len).unwrap_or_default().iter_mut())
    }

    /// It has none any more. To be told when whoever has their [slice](Self::as_mut_slice) has taken all packets out.
    #[inline]
    pub(super) fn emptied(&mut self) {
        debug_assert!(self.as_slice().iter().all(|datagram| datagram.buf().is_none()), "a packet is lost");
        self.len = 0;
    }

    /// Moves what is `mine` to the end of `to`, which has room for it; the order on both sides stays.
    pub(super) fn split_to(&mut self, to: &mut Self, mine: impl Fn(&Datagram<B>) -> bool) {
        self.retain(|datagram| {
            let is_mine = mine(datagram);
            if is_mine {
                // NOTE(push): it has the room of this one, which held everything.
                to.push(core::mem::replace(datagram, Datagram::nothing()));
            }
            !is_mine
        });
    }

    /// Keeps those of which `keep` says so, in their order; the others are dropped.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Datagram<B>) -> bool) {
        let all = core::mem::take(&mut self.len);
        for at in 0..all {
            let Some(place) = self.places.get_mut(at) else { return };
            let mut datagram = core::mem::replace(place, Datagram::nothing());
            if keep(&mut datagram) {
                // NOTE(push): one was taken out for each.
                self.push(datagram);
            }
        }
    }
}

/// The datagrams on their way out of a batch.
pub(super) struct Drain<'a, B: PacketBuf>(core::slice::IterMut<'a, Datagram<B>>);

impl<B: PacketBuf> Iterator for Drain<'_, B> {
    type Item = Datagram<B>;

    #[inline]
    fn next(&mut self) -> Option<Datagram<B>> {
        self.0.next().map(|place| core::mem::replace(place, Datagram::nothing()))
    }
}

impl<B: PacketBuf> Drop for Drain<'_, B> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::BufPool;
    use crate::sim::buf::{SimBuf, SimPool};

    /// For each of `sockets` a datagram, the length of which is its number.
    fn batch(pool: &SimPool, sockets: &[SocketId]) -> Batch<SimBuf> {
        let mut batch = Batch::new();
        for (len, socket) in (8..).zip(sockets) {
            let parts = Parts::new(14, 34, len).for_socket(*socket);
            assert!(batch.push(Datagram::new(pool.alloc().unwrap(), parts, Instant::ZERO)));
        }
        batch
    }

    fn told(batch: &Batch<SimBuf>) -> Vec<(u16, SocketId)> {
        assert!(batch.as_slice().iter().all(|datagram| datagram.buf().is_some()));
        batch.as_slice().iter().map(|datagram| (datagram.parts().udp_len(), datagram.socket())).collect()
    }

    #[test]
    fn a_batch_knows_whether_it_is_for_one_socket() {
        let pool = SimPool::new(8, 64);
        assert_eq!(batch(&pool, &[]).socket(), None);
        assert_eq!(batch(&pool, &[3, 3]).socket(), Some(3));
        assert_eq!(batch(&pool, &[3, 4, 3]).socket(), None);
        let mut two = batch(&pool, &[3, 4]);
        two.retain(|datagram| datagram.socket() == 4);
        assert_eq!((two.socket(), told(&two)), (Some(4), vec![(9, 4)]));
    }

    #[test]
    fn packets_are_added_at_once() {
        let pool = SimPool::new(8, 64);
        let mut batch = batch(&pool, &[3]);
        let mut bufs = [pool.alloc(), pool.alloc()];
        let parts = [Parts::new(14, 34, 20).for_socket(3), Parts::new(14, 34, 21).for_socket(3)];
        batch.push_all(bufs.iter_mut().zip(parts), Instant::ZERO, (3, false));
        assert_eq!((batch.socket(), told(&batch)), (Some(3), vec![(8, 3), (20, 3), (21, 3)]));
        assert!(bufs.iter().all(Option::is_none));
        let mut bufs = [pool.alloc(), pool.alloc()];
        batch.push_all(bufs.iter_mut().zip(parts), Instant::ZERO, (3, true));
        assert_eq!((batch.socket(), batch.len()), (None, 5));
    }

    #[test]
    fn it_is_split_in_order_and_nothing_is_lost() {
        let pool = SimPool::new(8, 64);
        let (mut all, mut mine) = (batch(&pool, &[3, 4, 3, 5]), Batch::new());
        all.split_to(&mut mine, |datagram| datagram.socket() == 3);
        assert_eq!((told(&mine), told(&all)), (vec![(8, 3), (10, 3)], vec![(9, 4), (11, 5)]));
        assert_eq!(pool.outstanding(), 4);
        assert_eq!(all.drain().next().map(|datagram| datagram.socket()), Some(4));
        assert_eq!((all.len(), pool.outstanding()), (0, 2));
        drop(mine);
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn what_it_has_no_room_for_is_not_taken() {
        let pool = SimPool::new(80, 64);
        let mut batch = batch(&pool, &[1; BURST_MAX - 1]);
        let mut bufs = [pool.alloc(), pool.alloc()];
        let parts = Parts::new(14, 34, 20).for_socket(1);
        batch.push_all(bufs.iter_mut().zip([parts; 2]), Instant::ZERO, (1, false));
        assert!(batch.is_full() && bufs[0].is_none() && bufs[1].is_some());
        assert!(!batch.push(Datagram::new(pool.alloc().unwrap(), parts, Instant::ZERO)));
    }
}
