//! Which sockets a UDP datagram may be for, by its destination address and port.
//!
//! For a datagram to one host that is one socket. For one to a group or to everyone on the link these are all that could
//! hear it; who of them does is for [`audience`](super::audience) to say.

use core::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::groups::ServiceId;
use crate::addr::Family;
use crate::io::InterfaceId;

mod bound;

use bound::Bound;
pub use bound::Hearer;

/// An index into the host's sockets: the same on every worker.
pub type SocketId = u32;

/// A socket: a local address and port on one interface, and the service that it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Socket {
    /// The interface.
    pub interface: InterfaceId,
    /// The local address (unspecified: any; a group's: that group alone) and UDP port.
    pub local: SocketAddr,
    /// The service.
    pub service: ServiceId,
    /// Whether it hears groups that the host, but not its service, joined on the interface: ip(7) `IP_MULTICAST_ALL`.
    pub multicast_all: bool,
    /// Whether others that have this set, too, may be bound to the same address and port: socket(7) `SO_REUSEADDR`.
    pub reuse_address: bool,
}

impl Socket {
    /// A socket with the options that one on Linux has at first: `multicast_all`, and no `reuse_address`.
    #[must_use]
    pub const fn new(interface: InterfaceId, local: SocketAddr, service: ServiceId) -> Self {
        Self { interface, local, service, multicast_all: true, reuse_address: false }
    }

    /// Whether it could hear what is sent to `group`.
    // U19: bound to a unicast address, it never does.
    #[must_use]
    pub fn can_hear(&self, group: IpAddr) -> bool {
        let addr = self.local.ip();
        addr.is_ipv4() == group.is_ipv4() && (addr.is_unspecified() || addr == group)
    }
}

/// A bind that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has that address and port there, and one of the two does not share it.
    #[error("another socket is bound to that address and port")]
    InUse,
    /// UDP port 0 is no port.
    #[error("UDP port 0 cannot be bound")]
    PortZero,
}

/// From (family, interface, UDP port, address) to the sockets.
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

    /// Adds a socket. A service's sockets follow one another: what is handed out by socket is then in order by service.
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
        // U15, socket(7) SO_REUSEADDR: who shares a place shares it with those who do, too.
        let place = (socket.interface, socket.local);
        let mut there = self.sockets.iter().filter(|other| (other.interface, other.local) == place);
        if there.any(|other| !(other.reuse_address && socket.reuse_address)) {
            return Err(BindError::InUse);
        }
        self.bound.entry(key(version, socket.interface, udp_port)).or_default().add(id, &socket);
        self.sockets.push(socket);
        Ok(id)
    }

    /// The socket for a datagram to our address `dst`: one bound to the address before one bound to any (U12), and of
    /// several in one place the last bound (U15).
    #[inline]
    #[must_use]
    pub fn unicast<F: Family>(
        &self,
        interface: InterfaceId,
        dst: F::Addr,
        udp_port: u16,
    ) -> Option<SocketId> {
        self.bound.get(&key(F::VERSION, interface, udp_port))?.unicast(dst)
    }

    /// A socket that can have sent a datagram from our address `src` and `udp_port`: one that receives what is sent there,
    /// or else one bound to a group, which answers from there all the same (U21).
    #[must_use]
    pub fn sender<F: Family>(&self, interface: InterfaceId, src: F::Addr, udp_port: u16) -> Option<SocketId> {
        let bound = self.bound.get(&key(F::VERSION, interface, udp_port))?;
        bound.unicast(src).or_else(|| bound.any_group())
    }

    /// The sockets on a UDP port that are bound to no unicast address, if there are any.
    #[inline]
    pub(super) fn hearers<F: Family>(&self, interface: InterfaceId, udp_port: u16) -> Option<&Bound> {
        self.bound.get(&key(F::VERSION, interface, udp_port))
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

    /// The most sockets that one datagram can be for.
    #[must_use]
    pub fn audience_max(&self) -> usize {
        self.bound.values().map(Bound::audience_max).max().unwrap_or(0).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::V4;
    use core::net::Ipv4Addr;

    fn socket(interface: u16, local: &str) -> Socket {
        Socket::new(InterfaceId(interface), local.parse().unwrap(), 0)
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

    // U19, Linux: a socket bound to a group has no unicast address.
    #[test]
    fn a_socket_bound_to_a_group_receives_no_unicast() {
        let mut t = PortTable::new(1);
        t.bind(socket(0, "239.1.2.3:7")).unwrap();
        assert_eq!(t.unicast::<V4>(InterfaceId(0), v4("198.18.0.2"), 7), None);
        assert_eq!(t.unicast::<V4>(InterfaceId(0), v4("239.1.2.3"), 7), None);
        // C14, C16: what comes of its answers concerns it all the same.
        assert_eq!(t.sender::<V4>(InterfaceId(0), v4("198.18.0.2"), 7), Some(0));
        assert_eq!(t.sender::<V4>(InterfaceId(0), v4("198.18.0.2"), 8), None);
    }

    #[test]
    fn a_place_is_taken_once() {
        let mut t = PortTable::new(1);
        t.bind(socket(0, "0.0.0.0:7")).unwrap();
        t.bind(socket(0, "198.18.0.2:7")).unwrap();
        t.bind(socket(0, "239.1.2.3:7")).unwrap();
        t.bind(socket(1, "0.0.0.0:7")).unwrap();
        t.bind(socket(0, "[::]:7")).unwrap();
        for taken in ["0.0.0.0:7", "198.18.0.2:7", "239.1.2.3:7", "[::]:7"] {
            assert_eq!(t.bind(socket(0, taken)), Err(BindError::InUse), "{taken}");
        }
        assert_eq!(t.bind(socket(0, "0.0.0.0:0")), Err(BindError::PortZero));
        assert_eq!(t.sockets().len(), 5);
    }

    // P10, RFC 3493 5.3: one that is for both versions has a place in each, and one of IPv6 alone leaves IPv4's to others. Linux's
    // matrix of 0.0.0.0 and ::, as far as nobody shares.
    #[test]
    fn a_socket_of_both_versions_is_in_the_way_of_either() {
        let (v4, v6_only, both) = (&["0.0.0.0:7"][..], &["[::]:7"][..], &["0.0.0.0:7", "[::]:7"][..]);
        for (first, second, fits) in [
            (v4, v6_only, true),
            (v6_only, v4, true),
            (v4, both, false),
            (both, v4, false),
            (v6_only, both, false),
            (both, v6_only, false),
            (both, both, false),
            (v4, v4, false),
            (v6_only, v6_only, false),
        ] {
            for share in [false, true] {
                let mut t = PortTable::new(1);
                let sharing = |local: &&str| Socket { reuse_address: share, ..socket(0, local) };
                assert!(first.iter().all(|local| t.bind(sharing(local)).is_ok()));
                let second = second.iter().try_for_each(|local| t.bind(sharing(local)).map(|_| ()));
                assert_eq!(second.is_ok(), fits || share, "{first:?}");
            }
        }
    }

    // U15, socket(7) SO_REUSEADDR: everyone in a place shares it, or nobody; unicast goes to the last bound.
    #[test]
    fn a_place_is_shared_by_those_who_all_share_it() {
        let sharing = |local| Socket { reuse_address: true, ..socket(0, local) };
        let mut t = PortTable::new(1);
        t.bind(sharing("0.0.0.0:7")).unwrap();
        assert_eq!(t.bind(socket(0, "0.0.0.0:7")), Err(BindError::InUse));
        let second = t.bind(sharing("0.0.0.0:7")).unwrap();
        assert_eq!(t.unicast::<V4>(InterfaceId(0), v4("198.18.0.2"), 7), Some(second));
        t.bind(sharing("198.18.0.2:7")).unwrap();
        let last = t.bind(sharing("198.18.0.2:7")).unwrap();
        assert_eq!(t.unicast::<V4>(InterfaceId(0), v4("198.18.0.2"), 7), Some(last));
        assert_eq!(t.unicast::<V4>(InterfaceId(0), v4("198.18.0.3"), 7), Some(second));
        t.bind(socket(0, "239.1.2.3:7")).unwrap();
        assert_eq!(t.bind(sharing("239.1.2.3:7")), Err(BindError::InUse));
    }

    #[test]
    fn the_largest_audience_is_known() {
        let sharing = |local| Socket { reuse_address: true, ..socket(0, local) };
        let mut t = PortTable::new(1);
        assert_eq!(t.audience_max(), 1);
        for local in ["0.0.0.0:7", "198.18.0.2:7", "239.1.2.3:7", "239.1.2.4:7", "0.0.0.0:8"] {
            t.bind(sharing(local)).unwrap();
        }
        assert_eq!(t.audience_max(), 2);
        t.bind(sharing("239.1.2.4:7")).unwrap();
        assert_eq!(t.audience_max(), 3);
    }
}
