//! What a host knows of its interfaces when it is to send: which of them a datagram leaves by, and from which address.
//!
//! A [`NetView`] is a picture of all interfaces with their addresses and routes, which it shares with whoever has them. Each
//! interface has routes of its own; here is the choice between interfaces.

use core::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::interface::Interface;
use super::pmtu::PathMtu;
use super::route::Routes;
use crate::addr::{Family, MacAddr, V4, V6};
use crate::io::InterfaceId;

/// An interface, as whoever sends sees it.
#[derive(Clone, Debug)]
pub struct ViewInterface {
    /// Which interface.
    pub id: InterfaceId,
    /// Its name in the configuration.
    pub name: String,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Our Ethernet address on it.
    pub mac: MacAddr,
    /// Its IPv4 addresses and routes.
    pub v4: Arc<Routes<V4>>,
    /// Its IPv6 addresses and routes.
    pub v6: Arc<Routes<V6>>,
    /// The IPv4 paths that carry less than the link.
    pub v4_paths: Narrow<V4>,
    /// The IPv6 paths that carry less than the link.
    pub v6_paths: Narrow<V6>,
    /// Whether it speaks IPv4.
    pub v4_on: bool,
    /// Whether it speaks IPv6.
    pub v6_on: bool,
}

impl ViewInterface {
    /// The interface `name`, of which this is what its port knows.
    #[must_use]
    pub fn of(interface: &Interface, name: String) -> Self {
        Self {
            id: interface.id,
            name,
            mtu: interface.mtu,
            mac: interface.mac,
            v4: Arc::clone(&interface.v4.routes),
            v6: Arc::clone(&interface.v6.routes),
            v4_paths: Narrow::of(&interface.v4.paths),
            v6_paths: Narrow::of(&interface.v6.paths),
            v4_on: interface.v4.is_on,
            v6_on: interface.v6.is_on,
        }
    }

    /// The largest packet that leaves by this interface over the IP version of `dst`, and the largest that gets to `dst` in one
    /// piece, in bytes.
    #[must_use]
    pub fn mtus(&self, dst: IpAddr) -> (u16, u16) {
        let (link, path) = match dst {
            IpAddr::V4(dst) => (self.v4_paths.link_mtu, self.v4_paths.get(dst)),
            IpAddr::V6(dst) => (self.v6_paths.link_mtu, self.v6_paths.get(dst)),
        };
        let link = link.min(self.mtu);
        (link, path.unwrap_or(link).min(link))
    }
}

/// The paths of an interface that are known to carry less than its link, as whoever sends sees them.
#[derive(Clone, Debug)]
pub struct Narrow<F: Family> {
    /// By address: the longest packet that needs no fragmentation on its way.
    rows: Arc<[(F::Addr, u16)]>,
    link_mtu: u16,
    changes: u64,
}

impl<F: Family> Default for Narrow<F> {
    /// None.
    fn default() -> Self {
        Self { rows: Arc::default(), link_mtu: u16::MAX, changes: 0 }
    }
}

impl<F: Family> Narrow<F> {
    fn of(paths: &PathMtu<F>) -> Self {
        let rows = paths.rows().map(|row| (row.dst, row.path.df_max)).collect();
        Self { rows, link_mtu: paths.link_mtu(), changes: paths.changes() }
    }

    /// Whether `paths` are still as they were seen.
    #[must_use]
    pub const fn is_of(&self, paths: &PathMtu<F>) -> bool {
        self.changes == paths.changes()
    }

    fn get(&self, dst: F::Addr) -> Option<u16> {
        let at = self.rows.binary_search_by_key(&dst, |(dst, _)| *dst).ok()?;
        self.rows.get(at).map(|(_, df_max)| *df_max)
    }
}

/// The interfaces of the host.
#[derive(Clone, Debug, Default)]
pub struct NetView {
    /// All of them, by id.
    pub interfaces: Vec<ViewInterface>,
}

/// What is decided already, by a socket's options or its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Constraints {
    /// By this interface: the one that the socket is bound to, or that the caller named (`IP_PKTINFO`).
    pub interface: Option<InterfaceId>,
    /// From this address.
    pub src: Option<IpAddr>,
    /// To a group, by this interface, unless `interface` says otherwise (`IP_MULTICAST_IF`).
    pub mc_interface: Option<InterfaceId>,
    /// The scope of the destination, as in a `sockaddr_in6`; 0 for none. See [`InterfaceId::scope_id`].
    pub scope_id: u32,
}

/// The way that a datagram takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// By this interface.
    pub interface: InterfaceId,
    /// From this address.
    pub src: IpAddr,
}

/// Why there is no way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum ChooseError {
    /// No route leads there, or the interface does not speak that IP version. ENETUNREACH.
    #[error("no route leads there")]
    NetworkUnreachable,
    /// A link-local address without its scope, or with another one than what is to be sent by. EINVAL.
    // P12, RFC 4007 6.
    #[error("an address of one link needs the scope id of its interface")]
    Scope,
    /// There is no such interface. ENODEV.
    #[error("there is no such interface")]
    NoInterface,
    /// The source is no address of ours, or the interface has none that could be. EADDRNOTAVAIL.
    #[error("no address of ours can be the source")]
    AddressNotAvailable,
}

/// One IP version's side of an interface.
trait Side: Family {
    fn routes(of: &ViewInterface) -> &Routes<Self>;
    fn is_on(of: &ViewInterface) -> bool;
    /// Whether an address of this scope means something on one link only.
    fn is_of_link(addr: Self::Addr) -> bool;
    fn is_loopback(addr: Self::Addr) -> bool;
}

impl Side for V4 {
    fn routes(of: &ViewInterface) -> &Routes<Self> {
        &of.v4
    }

    fn is_on(of: &ViewInterface) -> bool {
        of.v4_on
    }

    fn is_of_link(_addr: Ipv4Addr) -> bool {
        false
    }

    fn is_loopback(addr: Ipv4Addr) -> bool {
        addr.is_loopback()
    }
}

impl Side for V6 {
    fn routes(of: &ViewInterface) -> &Routes<Self> {
        &of.v6
    }

    fn is_on(of: &ViewInterface) -> bool {
        of.v6_on
    }

    fn is_of_link(addr: core::net::Ipv6Addr) -> bool {
        addr.is_unicast_link_local()
    }

    fn is_loopback(addr: core::net::Ipv6Addr) -> bool {
        addr.is_loopback()
    }
}

impl NetView {
    /// The interface `id`.
    #[must_use]
    pub fn get(&self, id: InterfaceId) -> Option<&ViewInterface> {
        self.interfaces.iter().find(|i| i.id == id)
    }

    /// The interface with this scope id.
    #[must_use]
    pub fn of_scope(&self, scope_id: u32) -> Option<&ViewInterface> {
        self.interfaces.iter().find(|i| i.id.scope_id() == scope_id)
    }

    /// The interface that has `addr` as an address of its own.
    #[must_use]
    pub fn owner(&self, addr: IpAddr) -> Option<&ViewInterface> {
        match addr {
            IpAddr::V4(addr) => self.owner_of::<V4>(addr),
            IpAddr::V6(addr) => self.owner_of::<V6>(addr),
        }
    }

    /// The way to `dst`: one of our own addresses, a host, a group, or everyone on a link.
    ///
    /// There is no loopback interface: nothing leads to 127/8 or `::1`. Our own addresses are reached as on any host.
    ///
    /// # Errors
    /// Why there is none; each has its errno.
    pub fn choose(&self, dst: IpAddr, constraints: Constraints) -> Result<Way, ChooseError> {
        match dst {
            IpAddr::V4(dst) => self.choose_over::<V4>(dst, constraints),
            IpAddr::V6(dst) => self.choose_over::<V6>(dst, constraints),
        }
    }

    /// Whether `addr` is everyone's on a link, or on that of `device` if one is named: 255.255.255.255, or the broadcast address
    /// of a network of ours.
    #[must_use]
    pub fn is_broadcast(&self, addr: Ipv4Addr, device: Option<InterfaceId>) -> bool {
        let of = |interface: &ViewInterface| interface.v4.is_broadcast(addr);
        let mut there = self.interfaces.iter().filter(|i| device.is_none_or(|device| device == i.id));
        addr.is_broadcast() || there.any(of)
    }

    fn owner_of<F: Side>(&self, addr: F::Addr) -> Option<&ViewInterface> {
        self.interfaces.iter().find(|i| owns::<F>(i, addr))
    }

    fn choose_over<F: Side>(&self, dst: F::Addr, constraints: Constraints) -> Result<Way, ChooseError> {
        if dst == F::UNSPECIFIED || F::is_loopback(dst) {
            return Err(ChooseError::NetworkUnreachable);
        }
        let src = match constraints.src {
            None => None,
            Some(src) => {
                let src = F::of_ip(src).ok_or(ChooseError::AddressNotAvailable)?;
                // `::` and 0.0.0.0 leave the choice to us.
                Some(src).filter(|src| *src != F::UNSPECIFIED)
            }
        };
        if src.is_some_and(|src| self.owner_of::<F>(src).is_none()) {
            return Err(ChooseError::AddressNotAvailable);
        }
        let named = self.named::<F>(dst, constraints)?;
        let interface = match named {
            Some(id) => self.get(id).ok_or(ChooseError::NoInterface)?,
            None => self.best::<F>(dst, src).ok_or(ChooseError::NetworkUnreachable)?,
        };
        // P04, Linux: the interface of a group or of everyone on a link needs no route; a host does.
        let is_reached =
            F::is_on(interface) && (is_for_many::<F>(dst) || reach::<F>(interface, dst).is_some());
        if !is_reached {
            return Err(ChooseError::NetworkUnreachable);
        }
        let src = match src {
            // RFC 4007 6: of a link, it says nothing on another one.
            Some(src) if F::is_of_link(src) && !owns::<F>(interface, src) => None,
            Some(src) => Some(src),
            None if owns::<F>(interface, dst) => Some(towards_own::<F>(interface, dst)),
            None => F::routes(interface).source_towards(dst),
        };
        let src = src.ok_or(ChooseError::AddressNotAvailable)?;
        Ok(Way { interface: interface.id, src: src.into() })
    }

    /// The interface that `constraints` name for `dst`.
    // P12, RFC 4007 6, 11: an address of one link is not whole without its scope. RFC 3493 5.2, 3542 6.2: what a socket is bound
    // to comes before what it chose for its groups.
    fn named<F: Side>(
        &self,
        dst: F::Addr,
        constraints: Constraints,
    ) -> Result<Option<InterfaceId>, ChooseError> {
        let Constraints { interface, mc_interface, scope_id, .. } = constraints;
        let is_group = F::is_multicast(dst);
        let scope_counts = scope_id != 0 && F::VERSION == V6::VERSION && (F::is_of_link(dst) || is_group);
        let scope = match (scope_counts, self.of_scope(scope_id)) {
            (false, _) => None,
            (true, Some(i)) => Some(i.id),
            (true, None) => return Err(ChooseError::NoInterface),
        };
        if let (Some(interface), Some(scope)) = (interface, scope)
            && interface != scope
        {
            return Err(ChooseError::Scope);
        }
        let named = interface.or(scope).or_else(|| mc_interface.filter(|_| is_group));
        if named.is_none() && F::is_of_link(dst) && self.owner_of::<F>(dst).is_none() {
            return Err(ChooseError::Scope);
        }
        Ok(named)
    }

    /// The interface by which `dst` is reached best, from `src` if that is chosen.
    // RFC 1122 3.3.4.2: a source's own interface, if it leads there, before others. Linux: of a group or of everyone, the source
    // says the interface; without one the routes do, and for IPv6's groups, that every link has, the first interface.
    fn best<F: Side>(&self, dst: F::Addr, src: Option<F::Addr>) -> Option<&ViewInterface> {
        let on = || self.interfaces.iter().filter(|i| F::is_on(i));
        let of_src = |i: &&ViewInterface| src.is_some_and(|src| owns::<F>(i, src));
        // What is for this host goes nowhere else, whatever it is from.
        if let Some(interface) = self.owner_of::<F>(dst) {
            return Some(interface);
        }
        if is_for_many::<F>(dst)
            && let Some(interface) = on().find(of_src)
        {
            return Some(interface);
        }
        let best_of = |candidates: &mut dyn Iterator<Item = &'_ ViewInterface>| {
            let mut best: Option<(u8, InterfaceId)> = None;
            for interface in candidates {
                let Some(bits) = reach::<F>(interface, dst) else { continue };
                // Of equals, the first interface.
                if best.is_none_or(|(most, _)| bits > most) {
                    best = Some((bits, interface.id));
                }
            }
            best.and_then(|(_, id)| self.get(id))
        };
        best_of(&mut on().filter(of_src))
            .or_else(|| best_of(&mut on()))
            .or_else(|| on().next().filter(|_| F::VERSION == V6::VERSION && F::is_multicast(dst)))
    }
}

/// Whether `addr` is for many, wherever it is sent.
fn is_for_many<F: Family>(addr: F::Addr) -> bool {
    F::is_multicast(addr) || F::is_limited_broadcast(addr)
}

fn owns<F: Side>(interface: &ViewInterface, addr: F::Addr) -> bool {
    F::is_on(interface) && F::routes(interface).is_own(addr)
}

/// The source of what is for `own`, an address of this host.
// RFC 6724 5, rule 1: itself. Linux, of IPv4: the first address of its network.
fn towards_own<F: Side>(interface: &ViewInterface, own: F::Addr) -> F::Addr {
    let first = F::routes(interface).first_beside(own);
    first.filter(|_| F::VERSION == V4::VERSION).unwrap_or(own)
}

/// How many bits of `dst` the route of `interface` that leads there has; all of them for an address of its own.
fn reach<F: Side>(interface: &ViewInterface, dst: F::Addr) -> Option<u8> {
    if owns::<F>(interface, dst) { Some(u8::MAX) } else { F::routes(interface).reach(dst) }
}

#[cfg(test)]
mod tests;
