//! Which sockets a UDP datagram may be for, by its addresses and ports.
//!
//! For a datagram to one host that is one socket. For one to a group or to everyone on the link these are all that could
//! hear it; who of them does is for [`audience`](super::audience) to say.

use hashbrown::HashMap;

use crate::addr::Family;
use crate::io::InterfaceId;
use crate::stack::groups::SOCKET_BASE;

mod scan;
mod socket;

pub use socket::{BindError, Flow, Found, Socket, Versions};

/// An index into the host's sockets: the same on every worker.
pub type SocketId = u32;

/// The host's sockets, and how to find them.
#[derive(Clone, Debug)]
pub struct PortTable {
    sockets: Vec<Option<scan::Entry>>,
    bound: HashMap<u16, Vec<SocketId>>,
    seed: u64,
    clock: i64,
}

impl PortTable {
    /// An empty table. `seed` keeps an outsider from choosing ports that collide, and decides which socket of a
    /// `SO_REUSEPORT` group a flow goes to: it is the same on every worker.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { sockets: Vec::new(), bound: HashMap::new(), seed, clock: 0 }
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
        let id = SocketId::try_from(self.sockets.len()).map_err(|_| BindError::InUse)?;
        // U15, socket(7) SO_REUSEADDR: who shares a place shares it with those who do, too.
        let in_the_way = |(_, other, _): &scan::Entry| {
            (other.interface, other.local) == (socket.interface, socket.local)
                && !(other.reuse_address && socket.reuse_address)
        };
        if self.on_port(socket.local.port()).any(in_the_way) {
            return Err(BindError::InUse);
        }
        self.set(id, Some(socket));
        Ok(id)
    }

    /// Puts a socket into the table, changes the one that is there, or removes it. Whether it may be where it is, is not asked.
    pub fn set(&mut self, id: SocketId, socket: Option<Socket>) {
        let place = id as usize;
        let mut order = None;
        if let Some((_, old, since)) = self.sockets.get_mut(place).and_then(Option::take) {
            if let Some(there) = self.bound.get_mut(&old.local.port()) {
                there.retain(|other| *other != id);
            }
            order = socket.filter(|new| new.local == old.local).map(|_| since);
        }
        let Some(socket) = socket else { return };
        if self.sockets.len() <= place {
            self.sockets.resize(place + 1, None);
        }
        self.clock += 1;
        self.sockets[place] = Some((id, socket, order.unwrap_or(self.clock)));
        let there = self.bound.entry(socket.local.port()).or_default();
        there.insert(there.partition_point(|other| *other < id), id);
    }

    /// The socket for a datagram to one of our addresses.
    // U12, Linux compute_score: one that is connected to the sender before one bound to the address, and that before one bound
    // to any; one on this interface before one on all. U14: of a SO_REUSEPORT group, the one that a hash of the flow names. U15:
    // of several in one place, the last bound.
    #[inline]
    #[must_use]
    pub fn unicast<F: Family>(&self, interface: InterfaceId, flow: &Flow<F>) -> Option<Found> {
        let any_peer = self.on_port(flow.dport).all(|(_, s, _)| s.peer.is_none() && !s.reuse_port);
        let found = scan::unicast(self.on_port(flow.dport), self.seed, interface, flow)?;
        Some(Found { any_peer, ..found })
    }

    /// A socket that can have sent a datagram the answer to which would be in `flow`: one that receives that, or else a
    /// service's that is bound to a group, which answers from there all the same (U21).
    #[must_use]
    pub fn sender<F: Family>(&self, interface: InterfaceId, flow: &Flow<F>) -> Option<SocketId> {
        let group = |(_, socket, _): &&scan::Entry| {
            let addr = socket.local.ip();
            let here = socket.interface.is_none_or(|of| of == interface);
            addr.is_multicast() && addr.is_ipv4() == (F::VERSION == 4) && here && socket.service < SOCKET_BASE
        };
        let found = self.unicast(interface, flow).map(|found| found.socket);
        found.or_else(|| self.on_port(flow.dport).find(group).map(|(id, ..)| *id))
    }

    fn on_port(&self, udp_port: u16) -> impl Iterator<Item = &scan::Entry> + Clone {
        let there = self.bound.get(&udp_port).map_or(&[][..], Vec::as_slice);
        there.iter().filter_map(|id| self.sockets.get(*id as usize)?.as_ref())
    }

    /// The sockets that are bound and connected so that they could hear what is sent in `flow` to many.
    #[inline]
    pub(super) fn hearers<F: Family>(
        &self,
        interface: InterfaceId,
        flow: Flow<F>,
    ) -> impl Iterator<Item = (SocketId, Socket)> + '_ {
        let there = self.on_port(flow.dport);
        there.filter(move |(_, s, _)| scan::matches(s, interface, &flow)).map(|(id, s, _)| (*id, *s))
    }

    /// The socket `id`.
    #[inline]
    #[must_use]
    pub fn get(&self, id: SocketId) -> Option<Socket> {
        self.sockets.get(id as usize)?.as_ref().map(|(_, socket, _)| *socket)
    }

    /// Every socket, by id.
    pub fn sockets(&self) -> impl Iterator<Item = (SocketId, Socket)> + '_ {
        self.sockets.iter().flatten().map(|(id, socket, _)| (*id, *socket))
    }

    /// The most sockets that one datagram can be for.
    #[must_use]
    pub fn audience_max(&self) -> usize {
        let mut at = HashMap::<_, usize>::new();
        self.sockets().for_each(|(_, s)| *at.entry((s.interface, s.local)).or_default() += 1);
        let any = |s: &Socket| {
            let any = if s.local.is_ipv4() { "0.0.0.0" } else { "::" };
            core::net::SocketAddr::new(any.parse().expect("an address"), s.local.port())
        };
        let is_many = |s: &Socket| s.local.ip().is_unspecified() || s.local.ip().is_multicast();
        let many = self.sockets().map(|(_, s)| s).filter(is_many);
        let of = |s: Socket| {
            let any = at.get(&(s.interface, any(&s))).copied().unwrap_or(0);
            let here = at.get(&(s.interface, s.local)).copied().unwrap_or(0);
            if s.local.ip().is_unspecified() { any } else { any + here }
        };
        many.map(of).max().unwrap_or(0).max(1)
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

    fn to(dst: &str, dport: u16) -> Flow<V4> {
        Flow { src: v4("198.18.0.1"), sport: 4000, dst: v4(dst), dport }
    }

    fn unicast(t: &PortTable, interface: u16, dst: &str, dport: u16) -> Option<SocketId> {
        t.unicast(InterfaceId(interface), &to(dst, dport)).map(|found| found.socket)
    }

    // U12, Linux compute_score.
    #[test]
    fn a_socket_bound_to_the_address_comes_before_one_bound_to_any() {
        let mut t = PortTable::new(1);
        let any = t.bind(socket(0, "0.0.0.0:7")).unwrap();
        let exact = t.bind(socket(0, "198.18.0.2:7")).unwrap();
        assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(exact));
        assert_eq!(unicast(&t, 0, "198.18.0.3", 7), Some(any));
        assert_eq!(unicast(&t, 0, "198.18.0.2", 8), None);
        assert_eq!(unicast(&t, 1, "198.18.0.2", 7), None);
    }

    // U19, Linux: a socket bound to a group has no unicast address.
    #[test]
    fn a_socket_bound_to_a_group_receives_no_unicast() {
        let mut t = PortTable::new(1);
        t.bind(socket(0, "239.1.2.3:7")).unwrap();
        assert_eq!(unicast(&t, 0, "198.18.0.2", 7), None);
        // C14, C16: what comes of its answers concerns it all the same.
        assert_eq!(t.sender(InterfaceId(0), &to("198.18.0.2", 7)), Some(0));
        assert_eq!(t.sender(InterfaceId(0), &to("198.18.0.2", 8)), None);
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
        assert_eq!(t.sockets().count(), 5);
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
        assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(second));
        t.bind(sharing("198.18.0.2:7")).unwrap();
        let last = t.bind(sharing("198.18.0.2:7")).unwrap();
        assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(last));
        assert_eq!(unicast(&t, 0, "198.18.0.3", 7), Some(second));
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
