//! The sockets of one family, on one UDP port of one interface.

use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Socket, SocketId};
use crate::stack::groups::ServiceId;

/// A socket that may hear groups or broadcasts, with what decides whether it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hearer {
    /// Which socket.
    pub socket: SocketId,
    /// Whose memberships rule it.
    pub service: ServiceId,
    /// Whether it hears what its service did not join: [`Socket::multicast_all`].
    pub multicast_all: bool,
}

/// By what they are bound to. Every list is in the order of the sockets' ids.
#[derive(Clone, Debug, Default)]
pub(in crate::stack) struct Bound {
    any: Vec<Hearer>,
    /// Of several bound to one address, the last.
    by_address: Vec<(IpAddr, SocketId)>,
    /// One feed a group is common, and all of them on one port: a table, and no search through all.
    by_group: HashMap<IpAddr, Vec<Hearer>, FixedState>,
}

impl Bound {
    pub(super) fn add(&mut self, id: SocketId, socket: &Socket) {
        let hearer = Hearer { socket: id, service: socket.service, multicast_all: socket.multicast_all };
        let addr = socket.local.ip();
        if addr.is_unspecified() {
            self.any.push(hearer);
        } else if addr.is_multicast() {
            self.by_group.entry(addr).or_default().push(hearer);
        } else {
            match self.by_address.iter_mut().find(|(other, _)| *other == addr) {
                Some((_, last)) => *last = id,
                None => self.by_address.push((addr, id)),
            }
        }
    }

    #[inline]
    pub(super) fn unicast(&self, dst: impl Into<IpAddr>) -> Option<SocketId> {
        let any = || self.any.last().map(|hearer| hearer.socket);
        if self.by_address.is_empty() {
            return any();
        }
        let dst = dst.into();
        let exact = self.by_address.iter().find(|(addr, _)| *addr == dst);
        exact.map(|(_, id)| *id).or_else(any)
    }

    /// The only one that may hear anything, if there is just one and it is bound to any address.
    #[inline]
    pub(in crate::stack) fn only(&self) -> Option<Hearer> {
        match self.any.as_slice() {
            [only] if self.by_group.is_empty() => Some(*only),
            _ => None,
        }
    }

    /// Those bound to any address.
    #[inline]
    pub(in crate::stack) fn any(&self) -> &[Hearer] {
        &self.any
    }

    /// Those bound to `group`.
    #[inline]
    pub(in crate::stack) fn of_group(&self, group: impl Into<IpAddr>) -> &[Hearer] {
        if self.by_group.is_empty() {
            return &[];
        }
        self.by_group.get(&group.into()).map_or(&[], Vec::as_slice)
    }

    /// The first of those that are bound to a group.
    pub(super) fn any_group(&self) -> Option<SocketId> {
        self.by_group.values().flatten().map(|hearer| hearer.socket).min()
    }

    pub(super) fn audience_max(&self) -> usize {
        self.any.len() + self.by_group.values().map(Vec::len).max().unwrap_or(0)
    }
}
