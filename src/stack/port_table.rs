//! Which sockets a UDP datagram may be for, by its addresses and ports.
//!
//! For a datagram to one host that is one socket. For one to a group or to everyone on the link these are all that could
//! hear it; who of them does is for [`audience`](super::audience) to say.
//!
//! Sockets come and go at any time ([`PortTable::set`]). What a look-up, or a change, costs does not depend on how many there
//! are, or where: a million connected ones on one port, or one on each port, are as one.

use crate::addr::Family;
use crate::io::InterfaceId;
use crate::stack::groups::{SOCKET_BASE, ServiceId};

mod burst;
mod change;
mod groups;
mod index;
mod lookup;
mod of_groups;
mod place;
mod ports;
mod rows;
mod slot;
mod slots;
mod socket;
#[cfg(test)]
mod tests;

pub use burst::{Asked, Fetch};
use groups::Groups;
use index::Index;
pub use lookup::Hearer;
use of_groups::OfGroups;
use place::Kind;
use ports::Ports;
use slot::Slot;
use slots::Slots;
pub use socket::{BindError, Flow, Found, Socket, Versions};

/// An index into the host's sockets: the same on every worker.
pub type SocketId = u32;

/// The host's sockets, and how to find them.
#[derive(Clone, Debug)]
pub struct PortTable {
    slots: Slots,
    ports: Ports,
    index: Index,
    groups: Groups,
    of_groups: OfGroups,
    /// How often a socket was bound.
    clock: i64,
    /// The next socket of the configuration.
    next: SocketId,
    /// Ports on which a datagram may be for several sockets.
    crowded: usize,
    audience_max: usize,
}

const fn is_service(member: ServiceId) -> bool {
    member < SOCKET_BASE
}

impl PortTable {
    /// An empty table. `seed` keeps an outsider from choosing ports that collide, and decides which socket of a
    /// `SO_REUSEPORT` group a flow goes to: it is the same on every worker.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            slots: Slots::default(),
            ports: Ports::new(),
            index: Index::new(seed),
            groups: Groups::new(seed),
            of_groups: OfGroups::default(),
            clock: 0,
            next: 0,
            crowded: 0,
            audience_max: 1,
        }
    }

    /// Adds a socket of the configuration. A service's sockets follow one another: what is handed out by socket is then in
    /// order by service.
    ///
    /// # Errors
    /// The place is taken, or is UDP port 0.
    pub fn bind(&mut self, socket: Socket) -> Result<SocketId, BindError> {
        if socket.local.port() == 0 {
            return Err(BindError::PortZero);
        }
        // U15, socket(7) SO_REUSEADDR: who shares a place shares it with those who do, too.
        let place = Slot::new(&socket, 0).place();
        let port = self.ports.get(socket.local.port()).copied().unwrap_or_default();
        let alike = port.kinds.filter(|kind: &Kind| kind.is_like(place.kind));
        let mut there = alike
            .filter_map(|kind| self.slots.get(self.index.get(&place::Place { kind, ..place }, &self.slots)?));
        // All in one place share it, or there is just one.
        if there.any(|first| !(first.reuses_address() && socket.reuse_address)) {
            return Err(BindError::InUse);
        }
        let id = self.next;
        self.set(id, Some(socket));
        self.next += 1;
        Ok(id)
    }

    /// A socket that can have sent a datagram the answer to which would be in `flow`: one that receives that, or else a
    /// service's that is bound to a group, which answers from there all the same (U21).
    #[must_use]
    pub fn sender<F: Family>(&self, interface: InterfaceId, flow: &Flow<F>) -> Option<SocketId> {
        let found = self.unicast(interface, flow).map(|found| found.socket);
        found.or_else(|| self.of_groups.first::<F>(interface, flow.dport))
    }

    /// The socket `id`.
    #[must_use]
    pub fn get(&self, id: SocketId) -> Option<Socket> {
        self.slots.get(id)?.socket()
    }

    /// Who listens at the socket `id`.
    #[inline(always)]
    #[must_use]
    pub fn service(&self, id: SocketId) -> Option<ServiceId> {
        self.slots.get(id).filter(|slot| slot.is_used()).map(|slot| slot.service)
    }

    /// Every socket, by id.
    pub fn sockets(&self) -> impl Iterator<Item = (SocketId, Socket)> + '_ {
        self.slots.used().filter_map(|(id, slot)| Some((id, slot.socket()?)))
    }

    /// The most sockets that one datagram can be for, or more.
    #[must_use]
    pub const fn audience_max(&self) -> usize {
        self.audience_max
    }
}
