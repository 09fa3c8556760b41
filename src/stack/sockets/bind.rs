//! bind(2).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::local::Local;
use super::own::{Own, is_of_link};
use super::{BindError, Domain, Sockets};
use crate::io::InterfaceId;
use crate::stack::net_view::{NetView, ViewInterface};
use crate::stack::port_table::SocketId;

/// Where a socket is to be.
struct Wanted {
    receives: Local,
    sends: Local,
    v6only: bool,
}

impl Sockets {
    /// bind(2). UDP port 0: any that is free.
    ///
    /// # Errors
    /// The address is no one's that a socket can be bound to, or the place is taken.
    // U26, Linux `__inet_bind`, `__inet6_bind`: the checks, in their order.
    pub fn bind(&mut self, id: SocketId, local: SocketAddr, view: &NetView) -> Result<(), BindError> {
        let own = self.open.get_mut(&id).ok_or(BindError::Closed)?;
        let wanted = match own.domain {
            Domain::V4 => check4(own, local.ip(), view)?,
            Domain::V6 => check6(own, local, view)?,
        };
        let before = own.v6only;
        (own.receives, own.sends, own.v6only) = (wanted.receives, wanted.sends, wanted.v6only);
        let is_named = match own.domain {
            Domain::V4 => !wanted.receives.v4.is_unspecified(),
            Domain::V6 => !wanted.receives.v6.is_unspecified(),
        };
        if let Err(why) = self.take_port(id, local.port()) {
            if let Some(own) = self.open.get_mut(&id) {
                (own.receives, own.sends, own.v6only) = (Local::ANY, Local::ANY, before);
            }
            return Err(why);
        }
        let own = self.open.get_mut(&id).ok_or(BindError::Closed)?;
        own.keeps_address |= is_named;
        own.keeps_port |= local.port() != 0;
        Ok(())
    }

    /// What sending and connecting do to a socket that is not bound: it gets an ephemeral port.
    ///
    /// # Errors
    /// No port is free.
    // U25, Linux `inet_autobind`.
    pub fn autobind(&mut self, id: SocketId) -> Result<(), BindError> {
        match self.open.get(&id).ok_or(BindError::Closed)?.port {
            0 => self.take_port(id, 0),
            _ => Ok(()),
        }
    }

    fn take_port(&mut self, id: SocketId, wanted: u16) -> Result<(), BindError> {
        let own = self.open.get_mut(&id).ok_or(BindError::Closed)?;
        let kind = own.kind();
        own.port = match wanted {
            0 => self.ports.ephemeral(&kind, &mut self.rng).ok_or(BindError::NoPort)?,
            port if self.ports.is_free(port, &kind) => port,
            _ => return Err(BindError::InUse),
        };
        // U14.
        own.in_group = own.reuse_port;
        own.index(&mut self.ports);
        Ok(())
    }
}

const fn is_settled(own: &Own) -> bool {
    own.port != 0 || own.peer.is_some()
}

fn check4(own: &Own, addr: IpAddr, view: &NetView) -> Result<Wanted, BindError> {
    let IpAddr::V4(addr) = addr else { return Err(BindError::NotV4) };
    if !can_be_bound4(addr, view) {
        return Err(BindError::NotOurs);
    }
    if is_settled(own) {
        return Err(BindError::AlreadyBound);
    }
    let receives = Local::of(Domain::V4, addr.into());
    // Nothing is sent from there, but from an address of the interface by which it leaves (U21).
    let is_for_many = addr.is_multicast() || is_everyone4(addr, view, None);
    let sends = if is_for_many { Local::ANY } else { receives };
    Ok(Wanted { receives, sends, v6only: own.v6only })
}

fn check6(own: &mut Own, local: SocketAddr, view: &NetView) -> Result<Wanted, BindError> {
    let SocketAddr::V6(local) = local else { return Err(BindError::NotV6) };
    if is_settled(own) {
        return Err(BindError::AlreadyBound);
    }
    let addr = *local.ip();
    let receives = Local::of(Domain::V6, addr.into());
    if let Some(v4) = addr.to_ipv4_mapped() {
        // P10, RFC 3493 5.3.
        if own.v6only {
            return Err(BindError::V6Only);
        }
        if !can_be_bound4(v4, view) {
            return Err(BindError::NotOurs);
        }
        return Ok(Wanted { receives, sends: receives, v6only: false });
    }
    if addr.is_unspecified() {
        return Ok(Wanted { receives, sends: receives, v6only: own.v6only });
    }
    settle_scope(own, addr, local.scope_id(), view)?;
    if !addr.is_multicast() && !is_ours6(addr, own.device, view) {
        return Err(BindError::NotOurs);
    }
    // Linux leaves alone what an earlier bind has left there.
    let sends = if addr.is_multicast() { Local { v6: own.sends.v6, ..receives } } else { receives };
    Ok(Wanted { receives, sends, v6only: true })
}

/// P12: an address of one link is on the interface that its scope names, or that the socket is bound to.
fn settle_scope(own: &mut Own, addr: Ipv6Addr, scope_id: u32, view: &NetView) -> Result<(), BindError> {
    if is_of_link(addr.into()) {
        if scope_id != 0 {
            own.device = Some(view.of_scope(scope_id).ok_or(BindError::NoInterface)?.id);
        }
        if own.device.is_none() {
            return Err(BindError::Scope);
        }
    }
    match own.device {
        Some(device) if view.get(device).is_none() => Err(BindError::NoInterface),
        _ => Ok(()),
    }
}

fn is_ours6(addr: Ipv6Addr, device: Option<InterfaceId>, view: &NetView) -> bool {
    let has = |interface: &ViewInterface| interface.v6.addresses().iter().any(|own| own.addr() == addr);
    match device {
        Some(device) if addr.is_unicast_link_local() => view.get(device).is_some_and(has),
        _ => view.owner(addr.into()).is_some(),
    }
}

/// Whether a socket may have the address: one of ours (on whichever interface), a group's, everyone's, or any.
// Linux `inet_addr_type_table`: what begins with 0 is as 255.255.255.255.
fn can_be_bound4(addr: Ipv4Addr, view: &NetView) -> bool {
    addr.is_multicast() || is_everyone4(addr, view, None) || view.owner(addr.into()).is_some()
}

/// Whether the address is everyone's on a link, or begins with 0.
pub(super) fn is_everyone4(addr: Ipv4Addr, view: &NetView, device: Option<InterfaceId>) -> bool {
    addr.octets()[0] == 0 || view.is_broadcast(addr, device)
}
