//! The sockets of a program's threads, as Linux has them: what their calls may do, and what they fail with.
//!
//! [`Sockets`] is the truth of all of them: where each is bound and connected, its options and its memberships. What workers,
//! devices and routers are to be told of a change is for whoever has it changed. Not here: packets, queues, threads.
//!
//! A call that fails may have changed something all the same, as on Linux: connect(2) binds a socket before it looks for a way.
//! So [`Sockets::socket`] is asked after every call, whatever came of it.
//!
//! pollcast has no users: no UDP port is privileged, and whoever shares a port by `SO_REUSEPORT` is the same user.

mod bind;
mod connect;
mod errno;
mod errors;
mod local;
mod members;
mod own;
mod ports;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use connect::ConnectOptions;
pub use errno::Errno;
pub use errors::{BindError, Closed, ConnectError, MemberError, OpenError, SetError};
pub use members::{FilterMode, GroupChange, MemberChange, Proposed, Wanted};
use own::Own;
pub(crate) use own::is_of_link;
use ports::{Kind, Ports};

use crate::io::InterfaceId;
use crate::rng::Rng;
use crate::stack::net_view::NetView;
use crate::stack::port_table::{Socket, SocketId};

/// Whose addresses a socket has: socket(2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Domain {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`, which has IPv4's, too, as IPv4-mapped ones.
    V6,
}

/// An option that decides who receives what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketOption {
    /// `SO_REUSEADDR`.
    ReuseAddress(bool),
    /// `SO_REUSEPORT`.
    ReusePort(bool),
    /// `IPV6_V6ONLY`.
    V6Only(bool),
    /// `SO_BINDTODEVICE`: one interface, or every.
    Device(Option<InterfaceId>),
    /// `IP_MULTICAST_ALL`.
    MulticastAll(bool),
    /// `IPV6_MULTICAST_ALL`.
    MulticastAll6(bool),
    /// `UDP_NO_CHECK6_RX`.
    NoCheck6Rx(bool),
}

/// What the sockets may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketLimits {
    /// The most that are open at a time.
    pub sockets: usize,
    /// P03: the groups that one joins, of IPv4. Linux: `igmp_max_memberships`, 20.
    pub memberships: usize,
    /// The sources that one names of an IPv4 group. Linux: `igmp_max_msf`, 10.
    pub sources: usize,
    /// And of an IPv6 group. Linux: `mld_max_msf`, 64.
    pub sources6: usize,
}

/// Where a socket is, as getsockname(2) and getpeername(2) say, and what else its calls may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its address and UDP port; port 0: it is not bound.
    pub local: core::net::SocketAddr,
    /// Its peer, if it is connected.
    pub peer: Option<core::net::SocketAddr>,
    /// From where it sends over IPv4, if bind(2) or connect(2) settled that; else unspecified. Linux: `inet_saddr`.
    pub source4: core::net::Ipv4Addr,
    /// From where it sends over IPv6: the same, and perhaps an IPv4-mapped one. Linux: `np->saddr`.
    pub source6: core::net::Ipv6Addr,
    /// `SO_BINDTODEVICE`: addresses of one link say it, too, and what dissolves a connection takes it away.
    pub device: Option<InterfaceId>,
    /// `IPV6_V6ONLY`: whoever is bound to an address of IPv6 is for that alone.
    pub v6only: bool,
}

/// All sockets of threads.
#[derive(Debug)]
pub struct Sockets {
    limits: SocketLimits,
    open: BTreeMap<SocketId, Own>,
    /// Numbers that are free again, and the next that never was used.
    free: BTreeSet<SocketId>,
    next: SocketId,
    ports: Ports,
    rng: Rng,
}

impl Sockets {
    /// With none open. `fixed` are those of the configuration: they have the first numbers, and the places where they are.
    #[must_use]
    pub fn new(limits: SocketLimits, fixed: &[Socket], rng: Rng) -> Self {
        let next = SocketId::try_from(fixed.len()).unwrap_or(SocketId::MAX);
        let mut ports = Ports::default();
        for socket in fixed {
            ports.insert(socket.local.port(), Kind::fixed(socket));
        }
        Self { limits, open: BTreeMap::new(), free: BTreeSet::new(), next, ports, rng }
    }

    /// socket(2).
    ///
    /// # Errors
    /// As many are open as may be.
    pub fn open(&mut self, domain: Domain) -> Result<SocketId, OpenError> {
        if self.open.len() >= self.limits.sockets {
            return Err(OpenError::TooMany);
        }
        let id = self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.open.insert(id, Own::new(domain));
        Ok(id)
    }

    /// setsockopt(2) of an option that decides who receives what.
    ///
    /// # Errors
    /// It is no option of such a socket, or comes too late; there is no such interface.
    pub fn set(&mut self, id: SocketId, option: SocketOption, view: &NetView) -> Result<(), SetError> {
        let own = self.open.get_mut(&id).ok_or(SetError::Closed)?;
        match option {
            SocketOption::ReuseAddress(on) => own.reuse_address = on,
            SocketOption::ReusePort(on) => {
                let is_new = on && !own.reuse_port;
                own.reuse_port = on;
                if is_new && !own.in_group {
                    own.regroup(&mut self.ports);
                }
            }
            SocketOption::V6Only(_) | SocketOption::MulticastAll6(_) if own.domain == Domain::V4 => {
                return Err(SetError::NoSuchOption);
            }
            SocketOption::V6Only(_) if own.port != 0 => return Err(SetError::TooLate),
            SocketOption::V6Only(on) => own.v6only = on,
            SocketOption::Device(Some(device)) if view.get(device).is_none() => {
                return Err(SetError::NoInterface);
            }
            SocketOption::Device(device) => own.device = device,
            SocketOption::MulticastAll(on) => own.multicast_all = on,
            SocketOption::MulticastAll6(on) => own.multicast_all6 = on,
            SocketOption::NoCheck6Rx(on) => own.no_check6_rx = on,
        }
        own.index(&mut self.ports);
        Ok(())
    }

    /// getsockname(2), getpeername(2).
    ///
    /// # Errors
    /// The socket is closed.
    pub fn place(&self, id: SocketId) -> Result<Place, Closed> {
        self.open.get(&id).map(Own::place).ok_or(Closed)
    }

    /// What workers are to know of the socket; `None`: it is not bound, or closed.
    #[must_use]
    pub fn socket(&self, id: SocketId) -> Option<Socket> {
        self.open.get(&id)?.socket(id)
    }

    /// close(2): the groups that it leaves, in that order. Its number stays taken until [`forget`](Self::forget).
    ///
    /// # Errors
    /// The socket is closed.
    // P05, Linux `inet6_release`, `ip_mc_drop_socket`: IPv6's groups first; of each, what was joined last.
    pub fn close(&mut self, id: SocketId) -> Result<Vec<GroupChange>, Closed> {
        let mut own = self.open.remove(&id).ok_or(Closed)?;
        own.port = 0;
        own.index(&mut self.ports);
        let (v6, v4): (Vec<_>, Vec<_>) = own.members.iter().partition(|member| member.group().is_ipv6());
        Ok(v6.into_iter().chain(v4).map(members::Membership::left).collect())
    }

    /// Nobody knows of the closed socket `id` any more.
    pub fn forget(&mut self, id: SocketId) {
        if !self.open.contains_key(&id) && id < self.next {
            self.free.insert(id);
        }
    }
}
