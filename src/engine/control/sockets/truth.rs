//! What is so of every socket: where it is bound and connected, its options and its memberships; and what a call may change.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};

use crate::addr::{Unicast, V4, V6};
use crate::io::InterfaceId;
use crate::rng::Rng;
use crate::socket::call::{FilterMode, MemberChange, Refusal, SocketOption};
use crate::stack::groups::socket_member;
use crate::stack::net_view::{ChooseError, Constraints, NetView};
use crate::stack::port_table::{Socket, SocketId, Versions};

/// U25, Linux `ip_local_port_range`.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32_768..=60_999;

/// Random ports that are tried before all are, one after another.
const TRIES: usize = 64;

/// What the sockets may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketLimits {
    /// The most that are open at a time.
    pub sockets: usize,
    /// P03: the groups that one joins, of IPv4.
    pub memberships: usize,
    /// The sources that one names of an IPv4 group.
    pub sources: usize,
    /// And of an IPv6 group.
    pub sources6: usize,
}

/// Which sources of a group are wanted.
pub(super) type Wanted = (FilterMode, BTreeSet<IpAddr>);

/// One socket.
#[derive(Debug)]
pub(super) struct Own {
    v6: bool,
    v6only: bool,
    reuse_address: bool,
    reuse_port: bool,
    device: Option<InterfaceId>,
    multicast_all: bool,
    multicast_all6: bool,
    /// The address that bind(2) named, and whether it named a port, too: what connect to AF_UNSPEC leaves.
    named: Option<SocketAddr>,
    named_port: bool,
    /// Where it is bound; None: nowhere yet.
    bound: Option<SocketAddr>,
    /// With the address that connect(2) chose, if bind left that open.
    local: SocketAddr,
    peer: Option<SocketAddr>,
    groups: BTreeMap<(InterfaceId, IpAddr), Wanted>,
}

/// A change of a membership: what is wanted of the group from now on.
pub(super) type GroupChange = (InterfaceId, IpAddr, Wanted);

/// All sockets.
#[derive(Debug)]
pub(super) struct Truth {
    limits: SocketLimits,
    /// Those of the configuration, which stay.
    fixed: Vec<Socket>,
    open: BTreeMap<SocketId, Own>,
    /// Numbers that are free again, and the next that never was used.
    free: BTreeSet<SocketId>,
    next: SocketId,
    /// The sockets on each UDP port.
    ports: BTreeMap<u16, Vec<SocketId>>,
    rng: Rng,
}

const NONE: (FilterMode, BTreeSet<IpAddr>) = (FilterMode::Include, BTreeSet::new());
const ANY: (FilterMode, BTreeSet<IpAddr>) = (FilterMode::Exclude, BTreeSet::new());

impl Truth {
    pub(super) fn new(limits: SocketLimits, fixed: Vec<Socket>, rng: Rng) -> Self {
        let next = SocketId::try_from(fixed.len()).unwrap_or(SocketId::MAX);
        let (open, free, ports) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { limits, fixed, open, free, next, ports, rng }
    }

    pub(super) fn open(&mut self, v6: bool) -> Result<SocketId, Refusal> {
        if self.open.len() >= self.limits.sockets {
            return Err(Refusal::TooManySockets);
        }
        let id = self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        let own = Own {
            v6,
            v6only: false,
            reuse_address: false,
            reuse_port: false,
            device: None,
            multicast_all: true,
            multicast_all6: true,
            named: None,
            named_port: false,
            bound: None,
            local: SocketAddr::new(unspecified(v6), 0),
            peer: None,
            groups: BTreeMap::new(),
        };
        self.open.insert(id, own);
        Ok(id)
    }

    pub(super) fn get(&self, id: SocketId) -> Result<&Own, Refusal> {
        self.open.get(&id).ok_or(Refusal::Closed)
    }

    fn get_mut(&mut self, id: SocketId) -> Result<&mut Own, Refusal> {
        self.open.get_mut(&id).ok_or(Refusal::Closed)
    }

    /// bind(2).
    pub(super) fn bind(&mut self, id: SocketId, local: SocketAddr, view: &NetView) -> Result<(), Refusal> {
        let own = self.get(id)?;
        if own.bound.is_some() {
            return Err(Refusal::AlreadyBound);
        }
        if local.is_ipv6() != own.v6 {
            return Err(if own.v6 { Refusal::TooShort } else { Refusal::Family });
        }
        let scope = scope_of(local, own.device)?;
        let addr = local.ip().to_canonical();
        // U26: an address of ours, any, or a group.
        let is_everyone = addr == IpAddr::V4(Ipv4Addr::BROADCAST);
        let is_usable =
            addr.is_unspecified() || addr.is_multicast() || is_everyone || view.owner(addr).is_some();
        // Linux `__inet6_bind`.
        if own.v6only && addr.is_ipv4() {
            return Err(Refusal::V6Only);
        }
        if !is_usable {
            return Err(Refusal::NotOurs);
        }
        if let Some(scope_id) = scope {
            let device = view.of_scope(scope_id).ok_or(Refusal::NoInterface)?.id;
            self.get_mut(id)?.device = Some(device);
        }
        self.place(id, local)?;
        let own = self.get_mut(id)?;
        own.named = Some(local);
        own.named_port = local.port() != 0;
        Ok(())
    }

    /// What sending does to a socket that is not bound.
    pub(super) fn autobind(&mut self, id: SocketId) -> Result<(), Refusal> {
        let own = self.get(id)?;
        if own.bound.is_some() {
            return Ok(());
        }
        let mut local = own.named.unwrap_or_else(|| SocketAddr::new(unspecified(own.v6), 0));
        local.set_port(0);
        self.place(id, local)
    }

    /// Puts a socket at `local`, on a free port if that is 0.
    fn place(&mut self, id: SocketId, local: SocketAddr) -> Result<(), Refusal> {
        let udp_port = match local.port() {
            0 => self.free_port(id, local)?,
            udp_port if self.is_free(id, SocketAddr::new(local.ip(), udp_port)) => udp_port,
            _ => return Err(Refusal::InUse),
        };
        let own = self.get_mut(id)?;
        let mut local = local;
        local.set_port(udp_port);
        own.bound = Some(local);
        own.local = local;
        self.ports.entry(udp_port).or_default().push(id);
        Ok(())
    }

    // U25, RFC 6056 3.3.1: random; and if that does not help, whichever is free.
    fn free_port(&mut self, id: SocketId, local: SocketAddr) -> Result<u16, Refusal> {
        let (first, last) = EPHEMERAL.into_inner();
        let count = u64::from(last - first) + 1;
        let start = self.rng.below(count);
        for n in 0..count {
            let offset = if n < TRIES as u64 { self.rng.below(count) } else { (start + n) % count };
            let udp_port = first + u16::try_from(offset).unwrap_or_default();
            if self.is_free(id, SocketAddr::new(local.ip(), udp_port)) {
                return Ok(udp_port);
            }
        }
        Err(Refusal::NoPort)
    }

    // U26, Linux `inet_rcv_saddr_equal`: who is in the way has the port, an address in common, and shares it not.
    fn is_free(&self, id: SocketId, local: SocketAddr) -> bool {
        let Some(own) = self.open.get(&id) else { return false };
        let mine = own.at(id, local);
        let others = self.ports.get(&local.port()).into_iter().flatten();
        let open = others.filter_map(|other| Some(self.open.get(other)?.socket(*other)?));
        let fixed = self.fixed.iter().copied().filter(|fixed| fixed.local.port() == local.port());
        !open.chain(fixed).any(|other| is_in_the_way(&mine, &other))
    }

    /// connect(2).
    pub(super) fn connect(
        &mut self,
        id: SocketId,
        peer: SocketAddr,
        mc_interface: Option<InterfaceId>,
        view: &NetView,
    ) -> Result<(), Refusal> {
        let own = self.get(id)?;
        // Linux `ip4_datagram_connect`, `__ip6_datagram_connect`.
        if peer.is_ipv6() && !own.v6 || peer.is_ipv4() && own.v6only {
            return Err(Refusal::Family);
        }
        if peer.ip().to_canonical().is_ipv4() && own.v6only {
            return Err(Refusal::NoWay(ChooseError::NetworkUnreachable));
        }
        let scope_id = if let SocketAddr::V6(peer) = peer { peer.scope_id() } else { 0 };
        let bound = own.bound.map(|bound| bound.ip().to_canonical());
        let src = bound.filter(|addr| !addr.is_unspecified() && !addr.is_multicast());
        let constraints = Constraints { interface: own.device, src, mc_interface, scope_id };
        let way = view.choose(peer.ip().to_canonical(), constraints)?;
        self.autobind(id)?;
        let own = self.get_mut(id)?;
        own.peer = Some(peer);
        if own.bound.is_some_and(|bound| bound.ip().is_unspecified()) {
            let src = match (own.v6, way.src) {
                (true, IpAddr::V4(src)) => IpAddr::V6(src.to_ipv6_mapped()),
                (_, src) => src,
            };
            own.local.set_ip(src);
        }
        Ok(())
    }

    /// P09, Linux `__udp_disconnect`: connect(2) to AF_UNSPEC. What bind(2) did not name is given up: the port, too.
    pub(super) fn disconnect(&mut self, id: SocketId) -> Result<(), Refusal> {
        let own = self.get_mut(id)?;
        own.peer = None;
        own.local = own.named.unwrap_or_else(|| SocketAddr::new(unspecified(own.v6), 0));
        if !own.named_port
            && let Some(bound) = own.bound.take()
        {
            self.give_up_port(id, bound.port());
        }
        Ok(())
    }

    fn give_up_port(&mut self, id: SocketId, udp_port: u16) {
        if let Some(there) = self.ports.get_mut(&udp_port) {
            there.retain(|other| *other != id);
            if there.is_empty() {
                self.ports.remove(&udp_port);
            }
        }
    }

    pub(super) fn set(&mut self, id: SocketId, option: SocketOption) -> Result<(), Refusal> {
        let own = self.get_mut(id)?;
        match option {
            SocketOption::ReuseAddress(on) => own.reuse_address = on,
            SocketOption::ReusePort(on) => own.reuse_port = on,
            SocketOption::V6Only(_) if !own.v6 => return Err(Refusal::NoSuchOption),
            SocketOption::V6Only(_) if own.bound.is_some() => return Err(Refusal::TooLate),
            SocketOption::V6Only(on) => own.v6only = on,
            SocketOption::Device(device) => own.device = device,
            SocketOption::MulticastAll(on) => own.multicast_all = on,
            SocketOption::MulticastAll6(on) => own.multicast_all6 = on,
        }
        Ok(())
    }

    /// The interface on which `group` is meant: P04.
    fn interface_of(
        group: IpAddr,
        interface: Option<InterfaceId>,
        view: &NetView,
    ) -> Result<InterfaceId, Refusal> {
        if !group.is_multicast() {
            return Err(Refusal::NotAGroup);
        }
        match interface {
            Some(id) => view.get(id).map(|interface| interface.id).ok_or(Refusal::NoInterface),
            None => {
                let way = view.choose(group, Constraints::default());
                way.map(|way| way.interface).map_err(|_| Refusal::NoInterface)
            }
        }
    }

    /// P01, P02, RFC 3678 4.1.3: what is wanted of the group after `change`.
    pub(super) fn member(
        &self,
        id: SocketId,
        (group, interface): (IpAddr, Option<InterfaceId>),
        change: &MemberChange,
        view: &NetView,
    ) -> Result<GroupChange, Refusal> {
        let own = self.get(id)?;
        if group.is_ipv6() && !own.v6 {
            return Err(Refusal::Family);
        }
        let interface = Self::interface_of(group, interface, view)?;
        let had = own.groups.get(&(interface, group));
        let wanted = changed(had, change)?;
        // P03, Linux `__ip_mc_join_group`: of IPv4 alone.
        let count = own.groups.keys().filter(|(_, other)| other.is_ipv4()).count();
        if had.is_none() && group.is_ipv4() && count >= self.limits.memberships {
            return Err(Refusal::TooMany);
        }
        let most = if group.is_ipv4() { self.limits.sources } else { self.limits.sources6 };
        if wanted.1.len() > most {
            return Err(Refusal::TooMany);
        }
        let of_group = |source: &IpAddr| match (group, source) {
            (IpAddr::V4(_), IpAddr::V4(source)) => Unicast::<V4>::new(*source).is_some(),
            (IpAddr::V6(_), IpAddr::V6(source)) => Unicast::<V6>::new(*source).is_some(),
            _ => false,
        };
        if wanted.1.iter().all(of_group) { Ok((interface, group, wanted)) } else { Err(Refusal::Family) }
    }

    /// Notes what [`member`](Self::member) allowed.
    pub(super) fn note(&mut self, id: SocketId, (interface, group, wanted): GroupChange) {
        let Some(own) = self.open.get_mut(&id) else { return };
        if wanted == NONE {
            own.groups.remove(&(interface, group));
        } else {
            own.groups.insert((interface, group), wanted);
        }
    }

    /// getsockopt(2) `MCAST_MSFILTER`.
    pub(super) fn filter(
        &self,
        id: SocketId,
        group: IpAddr,
        interface: Option<InterfaceId>,
        view: &NetView,
    ) -> Result<Wanted, Refusal> {
        let own = self.get(id)?;
        let interface = Self::interface_of(group, interface, view)?;
        own.groups.get(&(interface, group)).cloned().ok_or(Refusal::NotJoined)
    }

    /// close(2): the groups that it leaves. Its number stays taken until [`forget`](Self::forget).
    pub(super) fn close(&mut self, id: SocketId) -> Result<Vec<GroupChange>, Refusal> {
        let own = self.open.remove(&id).ok_or(Refusal::Closed)?;
        if let Some(bound) = own.bound {
            self.give_up_port(id, bound.port());
        }
        Ok(own.groups.into_keys().map(|(interface, group)| (interface, group, NONE)).collect())
    }

    /// Nobody knows of the closed socket `id` any more.
    pub(super) fn forget(&mut self, id: SocketId) {
        self.free.insert(id);
    }
}

impl Own {
    /// Where it is, as getsockname(2) says, and its peer.
    pub(super) const fn place(&self) -> (SocketAddr, Option<SocketAddr>) {
        (self.local, self.peer)
    }

    /// What workers are to know; None: it is not bound.
    pub(super) fn socket(&self, id: SocketId) -> Option<Socket> {
        self.bound.map(|_| self.at(id, self.local))
    }

    fn at(&self, id: SocketId, local: SocketAddr) -> Socket {
        let version = match (self.v6, self.v6only) {
            (false, _) => Versions::V4,
            (true, true) => Versions::V6,
            (true, false) => Versions::Both,
        };
        Socket {
            reuse_address: self.reuse_address,
            reuse_port: self.reuse_port,
            multicast_all: self.multicast_all,
            multicast_all6: self.multicast_all6,
            peer: self.peer,
            version,
            ..Socket::new(self.device, local, socket_member(id))
        }
    }
}

/// The scope that an address of one link names; None: it is of no link, or the socket is on one interface already.
// P12, Linux `__inet6_bind`: such an address needs one.
fn scope_of(local: SocketAddr, device: Option<InterfaceId>) -> Result<Option<u32>, Refusal> {
    let SocketAddr::V6(local) = local else { return Ok(None) };
    if !local.ip().is_unicast_link_local() {
        return Ok(None);
    }
    match (local.scope_id(), device) {
        (0, None) => Err(Refusal::NoWay(ChooseError::Scope)),
        (0, Some(_)) => Ok(None),
        (scope_id, None) => Ok(Some(scope_id)),
        (scope_id, Some(device)) if device.scope_id() == scope_id => Ok(None),
        (_, Some(_)) => Err(Refusal::NoWay(ChooseError::Scope)),
    }
}

const fn unspecified(v6: bool) -> IpAddr {
    if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
}

/// P10: two sockets on one port that have an address in common, on one interface, and do not share it.
fn is_in_the_way(one: &Socket, other: &Socket) -> bool {
    let hears = |s: &Socket, v6: bool| match s.version {
        Versions::V4 => !v6,
        Versions::V6 => v6,
        Versions::Both => true,
    };
    let apart = one.interface.zip(other.interface).is_some_and(|(one, other)| one != other);
    let (a, b) = (one.local.ip().to_canonical(), other.local.ip().to_canonical());
    let overlap = match (a.is_unspecified(), b.is_unspecified()) {
        (true, true) => [false, true].iter().any(|v6| hears(one, *v6) && hears(other, *v6)),
        (true, false) => hears(one, b.is_ipv6()),
        (false, true) => hears(other, a.is_ipv6()),
        (false, false) => a == b,
    };
    let shared = one.reuse_address && other.reuse_address || one.reuse_port && other.reuse_port;
    overlap && !apart && !shared
}

/// P01, P02, RFC 3678 4.1.3.
fn changed(had: Option<&Wanted>, change: &MemberChange) -> Result<Wanted, Refusal> {
    let sources = |wanted: &Wanted| wanted.1.clone();
    match (change, had) {
        // Linux `ip_mc_msfilter`, `ip_mc_source`: all but a join are for a group that is joined.
        (MemberChange::SetFilter(mode, sources), Some(_)) => Ok((*mode, sources.iter().copied().collect())),
        (MemberChange::SetFilter(..) | MemberChange::LeaveSource(_), None) => Err(Refusal::OtherMode),
        (MemberChange::Join, None) => Ok(ANY),
        (MemberChange::Join, Some(_)) => Err(Refusal::AlreadyJoined),
        (MemberChange::Leave, Some(_)) => Ok(NONE),
        (MemberChange::Leave, None) => Err(Refusal::NotJoined),
        (MemberChange::JoinSource(source), None) => Ok((FilterMode::Include, [*source].into())),
        (MemberChange::JoinSource(source), Some(had)) => {
            // Linux: of a group joined for any source, an empty list may become one of sources.
            if had.0 == FilterMode::Exclude && !had.1.is_empty() {
                return Err(Refusal::OtherMode);
            }
            let mut all = sources(had);
            if all.insert(*source) { Ok((FilterMode::Include, all)) } else { Err(Refusal::NotJoined) }
        }
        (MemberChange::LeaveSource(source), Some(had)) => {
            let mut all = sources(had);
            if had.0 == FilterMode::Exclude && !had.1.is_empty() {
                return Err(Refusal::OtherMode);
            }
            if all.remove(source) { Ok((FilterMode::Include, all)) } else { Err(Refusal::NotJoined) }
        }
        (MemberChange::Block(_) | MemberChange::Unblock(_), None) => Err(Refusal::OtherMode),
        (MemberChange::Block(source), Some(had)) => {
            let mut all = sources(had);
            if had.0 == FilterMode::Include {
                return Err(Refusal::OtherMode);
            }
            if all.insert(*source) { Ok((FilterMode::Exclude, all)) } else { Err(Refusal::NotJoined) }
        }
        (MemberChange::Unblock(source), Some(had)) => {
            let mut all = sources(had);
            if had.0 == FilterMode::Exclude && all.remove(source) {
                Ok((FilterMode::Exclude, all))
            } else {
                Err(Refusal::OtherMode)
            }
        }
    }
}

#[cfg(test)]
mod tests;
