//! Whom a datagram is for.

use super::place::{Kind, Kinds, Wanted, index, words};
use super::slot::{NONE, Slot};
use super::{Flow, Found, PortTable, SocketId};
use crate::addr::{Family, V4};
use crate::io::InterfaceId;
use crate::stack::groups::ServiceId;

/// A socket that may hear groups or broadcasts, with what decides whether it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hearer {
    /// Which socket.
    pub socket: SocketId,
    /// Whose memberships rule it.
    pub service: ServiceId,
    /// Whether it hears what it did not join.
    pub multicast_all: bool,
}

#[inline(always)]
pub(super) fn wanted<F: Family>(interface: InterfaceId, flow: &Flow<F>) -> Wanted {
    let (src, dst) = (words(flow.src.into()), words(flow.dst.into()));
    Wanted { src, dst, sport: flow.sport, dport: flow.dport, interface }
}

impl PortTable {
    /// The socket for a datagram to one of our addresses.
    // U12, Linux compute_score: one bound to the address before one bound to any; of these one that is connected to the sender
    // first; then one on this interface. U14: of a SO_REUSEPORT group, the one that a hash of the flow names. U15: of several
    // in one place, the last bound. U20: one that is connected to another never.
    #[inline]
    #[must_use]
    pub fn unicast<F: Family>(&self, interface: InterfaceId, flow: &Flow<F>) -> Option<Found> {
        self.find::<F>(&wanted(interface, flow))
    }

    #[inline(always)]
    pub(super) fn find<F: Family>(&self, wanted: &Wanted) -> Option<Found> {
        let port = self.ports.get(wanted.dport)?;
        let Some(only) = port.only(index::<F>()) else {
            return self.best::<F>(port.kinds.of::<F>(), wanted);
        };
        let slot = self.slots.get(only)?;
        slot.matches(wanted).then_some(Found { socket: only, any_peer: !slot.kind().is_connected() })
    }

    /// What stands for no socket.
    pub const NONE: SocketId = NONE;

    /// The socket for every datagram to one of our addresses at `udp_port` that comes in by `interface`, whoever sent it: the only one
    /// on the port, which is bound to any address and connected to nobody. [`NONE`](Self::NONE): ask [`unicast`](Self::unicast).
    #[inline(always)]
    #[must_use]
    pub fn open_to_all<F: Family>(&self, interface: InterfaceId, udp_port: u16) -> SocketId {
        self.ports.open_to_all(udp_port, interface, index::<F>())
    }

    #[inline]
    fn in_place(&self, kind: Kind, wanted: &Wanted) -> Option<SocketId> {
        self.index.get(&wanted.place(kind), &self.slots)
    }

    /// Of those that are connected to the sender's address and to UDP port 0.
    // U20, Linux compute_score: port 0 is any port of the peer's.
    #[inline]
    fn of_any_port(&self, kind: Kind, wanted: &Wanted) -> Option<SocketId> {
        let is_another = kind.is_connected() && wanted.sport != 0;
        is_another.then(|| self.in_place(kind, &Wanted { sport: 0, ..*wanted }))?
    }

    /// Of several sockets on the port.
    #[inline(never)]
    fn best<F: Family>(&self, kinds: Kinds, wanted: &Wanted) -> Option<Found> {
        let any_peer = !kinds.has_connected();
        let mut rest = kinds;
        while let Some(alike) = rest.take_best::<F>() {
            let mut first: Option<(SocketId, &Slot)> = None;
            for kind in alike {
                let Some(id) = self.in_place(kind, wanted).or_else(|| self.of_any_port(kind, wanted)) else {
                    continue;
                };
                let slot = self.slots.get(id)?;
                if first.is_none_or(|(_, other)| other.order < slot.order) {
                    first = Some((id, slot));
                }
            }
            let Some((socket, slot)) = first else { continue };
            if !slot.kind().reuses_port() {
                return Some(Found { socket, any_peer });
            }
            let (group, _) = slot.member();
            let any_peer = any_peer && self.groups.members(group).len() == 1;
            return self.groups.choose(group, wanted).map(|socket| Found { socket, any_peer });
        }
        None
    }

    /// The sockets that are bound, and connected, so that they could hear what is sent in `flow` to many; in no order.
    // U13, P08, Linux __udp_is_mcast_sock: of those that share a port or an address, all. U19: bound to an address, what is sent
    // there. U20: connected, what the peer sends.
    #[inline]
    pub(in crate::stack) fn hearers<F: Family>(
        &self,
        interface: InterfaceId,
        flow: &Flow<F>,
    ) -> impl Iterator<Item = Hearer> + '_ {
        let port = self.ports.get(flow.dport);
        let wanted = wanted(interface, flow);
        let only = port.and_then(|port| port.only(index::<F>()));
        let alone = only.and_then(|id| self.slots.get(id)).filter(|slot| slot.matches(&wanted));
        let kinds = match only {
            Some(_) => Kinds::default(),
            None => port.map_or_else(Kinds::default, |port| port.kinds.of::<F>()),
        };
        let firsts = kinds.flat_map(move |kind| {
            [self.in_place(kind, &wanted), self.of_any_port(kind, &wanted)].into_iter().flatten()
        });
        let among_others = firsts.flat_map(|first| self.list(first));
        let alone = alone.and(only).into_iter();
        let hearer = |id| {
            let slot = self.slots.get(id)?;
            let multicast_all = slot.multicast_all(F::VERSION == V4::VERSION);
            Some(Hearer { socket: id, service: slot.service, multicast_all })
        };
        alone.chain(among_others).filter_map(hearer)
    }

    /// The only socket that could hear what is sent in `flow` to many, if that is seen at once: an IP version reaches just one on
    /// the port, or those on it are of one kind, as are sockets that are bound to a group each.
    #[inline(always)]
    pub(in crate::stack) fn only_hearer<F: Family>(
        &self,
        interface: InterfaceId,
        flow: &Flow<F>,
    ) -> Option<Hearer> {
        let (port, wanted) = (self.ports.get(flow.dport)?, wanted(interface, flow));
        let only = match port.only(index::<F>()) {
            Some(only) => only,
            None => self.alone_in_place(port.kinds.of::<F>().just_one()?, &wanted)?,
        };
        let slot = self.slots.get(only)?;
        let hearer = Hearer {
            socket: only,
            service: slot.service,
            multicast_all: slot.multicast_all(F::VERSION == V4::VERSION),
        };
        slot.matches(&wanted).then_some(hearer)
    }

    /// The socket that `wanted` is for, of the port's only kind, if it shares its place with nobody.
    #[inline]
    fn alone_in_place(&self, kind: Kind, wanted: &Wanted) -> Option<SocketId> {
        // Of those that are connected, some may be to any port of the peer's, too.
        if kind.is_connected() {
            return None;
        }
        let first = self.in_place(kind, wanted)?;
        (self.slots.get(first)?.next == NONE).then_some(first)
    }

    /// Whether `socket` takes what came over IPv6 without a checksum.
    #[must_use]
    pub fn takes_unsummed(&self, socket: SocketId) -> bool {
        self.slots.get(socket).is_some_and(Slot::no_check6_rx)
    }

    /// The sockets in the place of which `first` is the first.
    #[inline]
    fn list(&self, first: SocketId) -> impl Iterator<Item = SocketId> + '_ {
        let there = |id: SocketId| (id != NONE).then_some(id);
        core::iter::successors(there(first), move |id| there(self.slots.get(*id)?.next))
    }
}
