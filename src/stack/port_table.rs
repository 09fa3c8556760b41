//! Which socket a UDP datagram is for.

use core::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::groups::ServiceId;
use crate::addr::Family;
use crate::io::InterfaceId;

/// An index into the worker's sockets.
pub type SocketId = u32;

/// A socket: a local address and port on one interface, and the service that it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Socket {
    /// The interface.
    pub interface: InterfaceId,
    /// The local address (unspecified: any) and UDP port.
    pub local: SocketAddr,
    /// The service.
    pub service: ServiceId,
}

/// A bind that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has that address and port there.
    #[error("another socket is bound to that address and port")]
    InUse,
    /// UDP port 0 is no port.
    #[error("UDP port 0 cannot be bound")]
    PortZero,
}

/// The sockets of one family, on one UDP port of one interface.
#[derive(Clone, Debug, Default)]
struct Bound {
    any: Option<SocketId>,
    by_address: Vec<(IpAddr, SocketId)>,
}

/// From (family, interface, UDP port, address) to the socket.
#[derive(Clone, Debug)]
pub struct PortTable {
    sockets: Vec<Socket>,
    bound: HashMap<u64, Bound, FixedState>,
}

const fn key(version: u8, interface: InterfaceId, udp_port: u16) -> u64 {
    (version as u64) << 32 | (interface.0 as u64) << 16 | udp_port as u64
}

impl PortTable {
    /// An empty table. `seed` keeps an outsider from choosing ports that collide.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { sockets: Vec::new(), bound: HashMap::with_hasher(FixedState::with_seed(seed)) }
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// The place is taken, or is UDP port 0.
    pub fn bind(&mut self, socket: Socket) -> Result<SocketId, BindError> {
        let (addr, udp_port) = (socket.local.ip(), socket.local.port());
        let version = if addr.is_ipv4() { 4 } else { 6 };
        if udp_port == 0 {
            return Err(BindError::PortZero);
        }
        let id = SocketId::try_from(self.sockets.len()).map_err(|_| BindError::InUse)?;
        let bound = self.bound.entry(key(version, socket.interface, udp_port)).or_default();
        if addr.is_unspecified() {
            if bound.any.is_some() {
                return Err(BindError::InUse);
            }
            bound.any = Some(id);
        } else {
            if bound.by_address.iter().any(|(a, _)| *a == addr) {
                return Err(BindError::InUse);
            }
            bound.by_address.push((addr, id));
        }
        self.sockets.push(socket);
        Ok(id)
    }

    /// The socket for a datagram to our address `dst`: one bound to the address before one bound to any (U12).
    #[inline]
    #[must_use]
    pub fn unicast<F: Family>(
        &self,
        interface: InterfaceId,
        dst: F::Addr,
        udp_port: u16,
    ) -> Option<SocketId> {
        let bound = self.bound.get(&key(F::VERSION, interface, udp_port))?;
        if bound.by_address.is_empty() {
            return bound.any;
        }
        let dst: IpAddr = dst.into();
        let exact = bound.by_address.iter().find(|(a, _)| *a == dst);
        exact.map(|(_, id)| *id).or(bound.any)
    }

    /// The socket for a group or broadcast datagram: never one bound to a unicast address (U19).
    #[inline]
    #[must_use]
    pub fn any<F: Family>(&self, interface: InterfaceId, udp_port: u16) -> Option<SocketId> {
        self.bound.get(&key(F::VERSION, interface, udp_port))?.any
    }

    /// The socket `id`.
    #[inline]
    #[must_use]
    pub fn get(&self, id: SocketId) -> Option<&Socket> {
        self.sockets.get(id as usize)
    }

    /// Every socket, by id.
    #[must_use]
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{V4, V6};
    use core::net::Ipv4Addr;

    fn socket(interface: u16, local: &str) -> Socket {
        Socket { interface: InterfaceId(interface), local: local.parse().unwrap(), service: 0 }
    }

    fn v4(s: &str) -> Ipv4Addr {
        s.parse().unwrap()
    }

    // U12, Linux compute_score.
    #[test]
    fn a_socket_bound_to_the_address_comes_before_one_bound_to_any() {
        let mut t = PortTable::new(1);
        let any = t.bind(socket(0, "0.0.0.0:7")).unwrap();
        let exact = t.bind(socket(0, "198.18.0.2:7")).unwrap();
        assert_eq!(t.unicast::<V4>(InterfaceId(0), v4("198.18.0.2"), 7), Some(exact));
        assert_eq!(t.unicast::<V4>(InterfaceId(0), v4("198.18.0.3"), 7), Some(any));
        assert_eq!(t.unicast::<V4>(InterfaceId(0), v4("198.18.0.2"), 8), None);
        assert_eq!(t.unicast::<V4>(InterfaceId(1), v4("198.18.0.2"), 7), None);
    }

    // U19: groups and broadcasts go to sockets bound to any address.
    #[test]
    fn a_socket_bound_to_a_unicast_address_never_receives_groups() {
        let mut t = PortTable::new(1);
        t.bind(socket(0, "198.18.0.2:7")).unwrap();
        assert_eq!(t.any::<V4>(InterfaceId(0), 7), None);
    }

    #[test]
    fn the_two_families_have_places_of_their_own() {
        let mut t = PortTable::new(1);
        let v4_any = t.bind(socket(0, "0.0.0.0:7")).unwrap();
        let v6_any = t.bind(socket(0, "[::]:7")).unwrap();
        assert_eq!(t.any::<V4>(InterfaceId(0), 7), Some(v4_any));
        assert_eq!(t.any::<V6>(InterfaceId(0), 7), Some(v6_any));
    }

    #[test]
    fn a_place_is_taken_once() {
        let mut t = PortTable::new(1);
        t.bind(socket(0, "0.0.0.0:7")).unwrap();
        t.bind(socket(0, "198.18.0.2:7")).unwrap();
        t.bind(socket(1, "0.0.0.0:7")).unwrap();
        assert_eq!(t.bind(socket(0, "0.0.0.0:7")), Err(BindError::InUse));
        assert_eq!(t.bind(socket(0, "198.18.0.2:7")), Err(BindError::InUse));
        assert_eq!(t.bind(socket(0, "0.0.0.0:0")), Err(BindError::PortZero));
        assert_eq!(t.sockets().len(), 3);
    }
}
