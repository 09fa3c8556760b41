//! One socket.

use core::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::local::Local;
use super::members::Membership;
use super::ports::{Entry, Kind, Ports};
use super::{Domain, Place};
use crate::io::InterfaceId;
use crate::stack::groups::socket_member;
use crate::stack::port_table::{Socket, SocketId, Versions};

/// What is so of a socket.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) domain: Domain,
    pub(super) v6only: bool,
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
    /// Whether it is in the group of those that share its place by `SO_REUSEPORT`. Linux: `sk_reuseport_cb`.
    pub(super) in_group: bool,
    pub(super) device: Option<InterfaceId>,
    pub(super) multicast_all: bool,
    pub(super) multicast_all6: bool,
    pub(super) no_check6_rx: bool,
    /// Where it receives. Linux: `sk_rcv_saddr`, `sk_v6_rcv_saddr`.
    pub(super) receives: Local,
    /// From where it sends, if that is settled. Linux: `inet_saddr`, `np->saddr`.
    pub(super) sends: Local,
    /// Its UDP port; 0: it is not bound.
    pub(super) port: u16,
    /// Whether bind(2) named the address, and the port, so that both outlast a connection. Linux: `SOCK_BINDADDR_LOCK`,
    /// `SOCK_BINDPORT_LOCK`.
    pub(super) keeps_address: bool,
    pub(super) keeps_port: bool,
    pub(super) peer: Option<(IpAddr, u16)>,
    /// The groups that it joined, the newest first.
    pub(super) members: Vec<Membership>,
    entry: Option<Entry>,
}

impl Own {
    pub(super) const fn new(domain: Domain) -> Self {
        Self {
            domain,
            v6only: false,
            reuse_address: false,
            reuse_port: false,
            in_group: false,
            device: None,
            // U17, Linux `inet6_create`: of IPv4's groups, a socket of IPv6 hears those that it joined.
            multicast_all: matches!(domain, Domain::V4),
            multicast_all6: true,
            no_check6_rx: false,
            receives: Local::ANY,
            sends: Local::ANY,
            port: 0,
            keeps_address: false,
            keeps_port: false,
            peer: None,
            members: Vec::new(),
            entry: None,
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        Kind {
            domain: self.domain,
            v6only: self.v6only,
            local: self.receives,
            device: self.device,
            reuse_address: self.reuse_address,
            reuse_port: self.reuse_port,
            in_group: self.is_in_group(),
        }
    }

    const fn is_in_group(&self) -> bool {
        self.reuse_port && self.in_group
    }

    /// It may be in a group of those that share its place from now on: if nobody else has made one there.
    // U14, Linux `udp_reuseport_add_sock`: who is bound is put into the group that is there; who wants to share, or comes to another
    // address, only after that (`udp_lib_rehash`) is in none, until someone is bound who finds no other.
    pub(super) fn regroup(&mut self, ports: &mut Ports) {
        self.in_group = false;
        self.index(ports);
        self.in_group = self.port != 0 && !ports.has_group(self.port, &self.kind());
        self.index(ports);
    }

    /// Has the index of ports know it as it is.
    pub(super) fn index(&mut self, ports: &mut Ports) {
        let kind = self.kind();
        self.entry = match self.entry {
            Some(entry) if entry.port == self.port => Some(ports.change(&entry, kind)),
            old => {
                if let Some(old) = old {
                    ports.remove(&old);
                }
                (self.port != 0).then(|| ports.insert(self.port, kind))
            }
        };
    }

    /// An address and port as they are told: with its scope, if it is of one link.
    fn told(&self, addr: IpAddr, port: u16) -> SocketAddr {
        match addr {
            IpAddr::V6(v6) => {
                let scope = self.device.filter(|_| is_of_link(addr)).map_or(0, InterfaceId::scope_id);
                SocketAddrV6::new(v6, port, 0, scope).into()
            }
            IpAddr::V4(_) => SocketAddr::new(addr, port),
        }
    }

    fn local(&self) -> SocketAddr {
        // Linux `inet_getname`: who receives at any address tells the one that it sends from.
        let receives = self.receives.told(self.domain);
        let addr = if receives.is_unspecified() { self.sends.told(self.domain) } else { receives };
        self.told(addr, self.port)
    }

    pub(super) fn place(&self) -> Place {
        Place {
            local: self.local(),
            peer: self.peer.map(|(addr, port)| self.told(addr, port)),
            source4: self.sends.v4,
            source6: self.sends.v6,
            device: self.device,
            v6only: self.v6only,
        }
    }

    pub(super) fn socket(&self, id: SocketId) -> Option<Socket> {
        if self.port == 0 {
            return None;
        }
        let version = match (self.domain, self.v6only) {
            (Domain::V4, _) => Versions::V4,
            (Domain::V6, true) => Versions::V6,
            (Domain::V6, false) => Versions::Both,
        };
        let Place { local, peer, .. } = self.place();
        Some(Socket {
            reuse_address: self.reuse_address,
            reuse_port: self.is_in_group(),
            multicast_all: self.multicast_all,
            multicast_all6: self.multicast_all6,
            no_check6_rx: self.no_check6_rx,
            peer,
            version,
            ..Socket::new(self.device, local, socket_member(id))
        })
    }
}

/// Whether an address says nothing without its link. P12, RFC 4007 6, Linux `__ipv6_addr_needs_scope_id`: those of hosts on the link,
/// and of groups there and on the host.
pub(crate) const fn is_of_link(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) if v6.is_multicast() => matches!(v6.segments()[0] & 0x0f, 1 | 2),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
