//! A burst in which datagrams are for several sockets, taken apart by service.
//!
//! Each datagram waits with the list of its sockets, which is in the order of their services. The service with the
//! smallest id that anyone waits for is served with all that is for it, in the order of arrival; then the next, until
//! nobody waits. The last of a datagram's sockets has the buffer itself, every other a further handle on it.

use arrayvec::ArrayVec;

use crate::io::{BURST_MAX, PacketBuf, Parts};
use crate::stack::groups::ServiceId;
use crate::stack::port_table::SocketId;

/// A datagram, and the part of [`FanOut::sockets`] that still waits for it.
#[derive(Debug)]
struct Pending<B> {
    /// `None` once the last socket has it.
    buf: Option<B>,
    parts: Parts,
    next: usize,
    end: usize,
}

/// A burst that is being taken apart.
#[derive(Debug)]
pub(super) struct FanOut<B> {
    pending: ArrayVec<Pending<B>, BURST_MAX>,
    /// The sockets of all of them, with their services, one datagram's after another's. Its room is that of the largest
    /// burst with the largest audience.
    sockets: Vec<(ServiceId, SocketId)>,
    /// The first that may still wait for something.
    from: usize,
}

/// One socket's copy of a datagram.
#[derive(Debug)]
pub(super) struct Copy<B> {
    pub(super) buf: B,
    pub(super) parts: Parts,
    /// Whether a handle was made for it, and the datagram's own stays for others.
    pub(super) shared: bool,
}

impl<B: PacketBuf> FanOut<B> {
    /// For bursts whose datagrams are for at most `audience_max` sockets each.
    pub(super) fn new(audience_max: usize) -> Self {
        let mut fan_out = Self { pending: ArrayVec::new(), sockets: Vec::new(), from: 0 };
        fan_out.make_room(audience_max);
        fan_out
    }

    /// From now on, datagrams may be for so many sockets each. For between two bursts, and a change of the sockets: the heap is
    /// asked for something only if no audience was ever so large.
    pub(super) fn make_room(&mut self, audience_max: usize) {
        self.sockets.reserve(BURST_MAX * audience_max.max(1));
    }

    /// Makes room for another burst.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.sockets.clear();
        self.from = 0;
    }

    /// Adds a datagram and its sockets, in any order. It comes back if there is none, or too much.
    pub(super) fn add(
        &mut self,
        buf: B,
        parts: Parts,
        sockets: impl Iterator<Item = (ServiceId, SocketId)>,
    ) -> Result<(), B> {
        let next = self.sockets.len();
        // An audience is never larger than what was made room for: this bounds it all the same.
        let room = self.sockets.capacity() - next;
        self.sockets.extend(sockets.take(room));
        let end = self.sockets.len();
        if let Some(added) = self.sockets.get_mut(next..) {
            added.sort_unstable();
        }
        if next == end {
            return Err(buf);
        }
        let pending = Pending { buf: Some(buf), parts, next, end };
        self.pending.try_push(pending).map_err(|refused| refused.element().buf).or_else(|buf| match buf {
            Some(buf) => Err(buf),
            None => Ok(()),
        })
    }

    /// The service that is to be served next.
    pub(super) fn next_service(&mut self) -> Option<ServiceId> {
        self.from = 0;
        let waiting = self.pending.iter().filter(|p| p.next < p.end);
        waiting.filter_map(|p| self.sockets.get(p.next)).map(|(service, _)| *service).min()
    }

    /// The next copy for `service`, in the order of arrival; `None`: it has all.
    pub(super) fn next_copy(&mut self, service: ServiceId) -> Option<Copy<B>> {
        let Self { pending, sockets, from } = self;
        while let Some(p) = pending.get_mut(*from) {
            let mine = sockets.get(p.next).filter(|(id, _)| p.next < p.end && *id == service);
            if let Some((_, socket)) = mine {
                p.next += 1;
                let shared = p.next < p.end;
                let buf = if shared { p.buf.as_ref().map(PacketBuf::share) } else { p.buf.take() };
                let parts = p.parts.with_others(false).for_socket(*socket);
                return buf.map(|buf| Copy { buf, parts, shared });
            }
            *from += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::BufPool;
    use crate::sim::buf::SimPool;

    /// What each service is given: the ids of the datagrams, with the socket, in order.
    fn served(datagrams: &[&[(ServiceId, SocketId)]]) -> Vec<(ServiceId, Vec<(u16, SocketId)>)> {
        let pool = SimPool::new(64, 64);
        let mut fan_out = FanOut::new(8);
        let mut ids = 0..;
        for sockets in datagrams {
            let id = ids.next().unwrap();
            let parts = Parts::new(14, 34, id).with_others(sockets.len() > 1);
            fan_out.add(pool.alloc().unwrap(), parts, sockets.iter().copied()).unwrap();
        }
        let mut all = Vec::new();
        let mut shared = 0;
        while let Some(service) = fan_out.next_service() {
            let mut copies = Vec::new();
            while let Some(mut copy) = fan_out.next_copy(service) {
                assert!(!copy.parts.has_others());
                shared += usize::from(copy.shared);
                assert_eq!(copy.buf.unique().is_none(), copy.shared, "the last has it for itself");
                copies.push((copy.parts.udp_len(), copy.parts.socket()));
            }
            all.push((service, copies));
        }
        assert_eq!(shared, datagrams.iter().map(|d| d.len() - 1).sum::<usize>());
        assert_eq!(pool.outstanding(), 0);
        all
    }

    // U13: every socket has its copy; services see their datagrams in the order of arrival.
    #[test]
    fn every_service_has_its_datagrams_in_the_order_of_arrival() {
        let all = served(&[&[(0, 0), (1, 1)], &[(1, 1)], &[(0, 0), (2, 4), (2, 5)], &[(1, 2)]]);
        let expected =
            [(0, vec![(0, 0), (2, 0)]), (1, vec![(0, 1), (1, 1), (3, 2)]), (2, vec![(2, 4), (2, 5)])];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_datagram_for_nobody_comes_back() {
        let pool = SimPool::new(1, 64);
        let mut fan_out = FanOut::new(1);
        assert!(fan_out.add(pool.alloc().unwrap(), Parts::new(14, 34, 8), core::iter::empty()).is_err());
        assert_eq!((fan_out.next_service(), pool.outstanding()), (None, 0));
    }
}
