//! connect(2), and how it is dissolved.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::bind::is_everyone4;
use super::local::Local;
use super::own::{Own, is_of_link};
use super::{Closed, ConnectError, Domain, Sockets};
use crate::io::InterfaceId;
use crate::stack::net_view::{ChooseError, Constraints, NetView};
use crate::stack::port_table::SocketId;

/// What the socket's options say of how it sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConnectOptions {
    /// `IP_MULTICAST_IF` or `IPV6_MULTICAST_IF`, by the version of the peer.
    pub multicast_interface: Option<InterfaceId>,
    /// The address that `IP_MULTICAST_IF` was given.
    pub multicast_source: Option<Ipv4Addr>,
    /// `SO_BROADCAST`.
    pub broadcast: bool,
}

impl Sockets {
    /// connect(2). The socket is bound if it was not, and stays so if there is no way to the peer.
    ///
    /// # Errors
    /// Nothing leads there, or the address cannot be a peer.
    // Linux `inet_dgram_connect`.
    pub fn connect(
        &mut self,
        id: SocketId,
        peer: SocketAddr,
        options: &ConnectOptions,
        view: &NetView,
    ) -> Result<(), ConnectError> {
        if !self.open.contains_key(&id) {
            return Err(ConnectError::Closed);
        }
        self.autobind(id).map_err(|_| ConnectError::NoPort)?;
        let own = self.open.get_mut(&id).ok_or(ConnectError::Closed)?;
        let receives = own.receives;
        let connected = match (own.domain, peer) {
            (Domain::V4, SocketAddr::V4(peer)) => connect4(own, *peer.ip(), options, view),
            (Domain::V4, SocketAddr::V6(_)) => Err(ConnectError::Family),
            (Domain::V6, SocketAddr::V4(_)) if own.v6only => Err(ConnectError::Family),
            (Domain::V6, SocketAddr::V4(peer)) => connect_mapped(own, *peer.ip(), options, view),
            (Domain::V6, SocketAddr::V6(peer)) => match peer.ip().to_ipv4_mapped() {
                Some(_) if own.v6only => Err(ConnectError::V6Only),
                Some(peer) => connect_mapped(own, peer, options, view),
                None => connect6(own, &peer, options, view),
            },
        };
        let connected = connected.map(|addr| own.peer = Some((addr, peer.port())));
        if own.receives == receives {
            own.index(&mut self.ports);
        } else {
            own.regroup(&mut self.ports);
        }
        connected
    }

    /// connect(2) to AF_UNSPEC: no peer any more, and no device; an address or port that bind(2) did not name goes, too.
    ///
    /// # Errors
    /// The socket is closed.
    // P09, Linux `__udp_disconnect`.
    pub fn disconnect(&mut self, id: SocketId) -> Result<(), Closed> {
        let own = self.open.get_mut(&id).ok_or(Closed)?;
        (own.peer, own.device) = (None, None);
        if !own.keeps_address {
            (own.receives, own.sends) = (Local::ANY, Local::ANY);
        }
        if !own.keeps_port {
            own.port = 0;
        }
        if own.keeps_address {
            own.index(&mut self.ports);
        } else {
            own.regroup(&mut self.ports);
        }
        Ok(())
    }
}

/// Linux `__ip4_datagram_connect`: who is at any address, is from now on where it sends from. P09: a group may be a peer.
fn connect4(
    own: &mut Own,
    peer: Ipv4Addr,
    options: &ConnectOptions,
    view: &NetView,
) -> Result<IpAddr, ConnectError> {
    let of_groups = || options.multicast_source.filter(|_| peer.is_multicast());
    let src = Some(own.sends.v4).filter(|src| !src.is_unspecified()).or_else(of_groups);
    if src.is_some_and(|src| src.is_multicast() || src.is_broadcast() || src.octets()[0] == 0) {
        return Err(ConnectError::Source);
    }
    // To no one in particular is to oneself.
    let peer = if peer.is_unspecified() { src.unwrap_or(peer) } else { peer };
    let constraints = Constraints {
        interface: own.device,
        src: src.map(IpAddr::V4),
        mc_interface: options.multicast_interface,
        scope_id: 0,
    };
    let way = view.choose(peer.into(), constraints).map_err(|why| match why {
        // An address that we have no more, or on no interface that leads there.
        ChooseError::AddressNotAvailable => ChooseError::NetworkUnreachable,
        why => why,
    })?;
    // U22: everyone on a link: of the interface that the socket is bound to, or of any.
    if !peer.is_unspecified() && is_everyone4(peer, view, own.device) && !options.broadcast {
        return Err(ConnectError::Broadcast);
    }
    if let IpAddr::V4(src) = way.src {
        for settled in [&mut own.sends.v4, &mut own.receives.v4] {
            if settled.is_unspecified() {
                *settled = src;
            }
        }
    }
    Ok(peer.into())
}

/// A peer of IPv4, and a socket of IPv6: `__ip6_datagram_connect`.
fn connect_mapped(
    own: &mut Own,
    peer: Ipv4Addr,
    options: &ConnectOptions,
    view: &NetView,
) -> Result<IpAddr, ConnectError> {
    let peer = connect4(own, peer, options, view)?;
    for settled in [&mut own.sends, &mut own.receives] {
        if settled.is_any6() {
            settled.v6 = settled.v4.to_ipv6_mapped();
        }
    }
    Ok(match peer {
        IpAddr::V4(peer) => peer.to_ipv6_mapped().into(),
        IpAddr::V6(_) => peer,
    })
}

/// The rest of `__ip6_datagram_connect`.
fn connect6(
    own: &mut Own,
    peer: &SocketAddrV6,
    options: &ConnectOptions,
    view: &NetView,
) -> Result<IpAddr, ConnectError> {
    let addr = *peer.ip();
    settle_scope(own, peer, options, view)?;
    let src = own.sends.v6;
    let is_v4 = src.to_ipv4_mapped().is_some();
    let constraints = Constraints {
        interface: own.device,
        src: Some(src).filter(|src| !(is_v4 || src.is_unspecified())).map(IpAddr::V6),
        mc_interface: options.multicast_interface,
        scope_id: 0,
    };
    let way = view.choose(addr.into(), constraints)?;
    // P10: that no way leads there is found first.
    if is_v4 {
        return Err(ConnectError::Family);
    }
    let src = Local::of(Domain::V6, way.src);
    if own.sends.v6.is_unspecified() {
        own.sends.v6 = src.v6;
    }
    if own.receives.v6.is_unspecified() {
        own.receives = src;
    }
    Ok(addr.into())
}

/// P12: a peer on one link needs an interface, and the socket is bound to that from now on.
fn settle_scope(
    own: &mut Own,
    peer: &SocketAddrV6,
    options: &ConnectOptions,
    view: &NetView,
) -> Result<(), ConnectError> {
    let addr: &Ipv6Addr = peer.ip();
    if !is_of_link(IpAddr::V6(*addr)) {
        return Ok(());
    }
    if peer.scope_id() != 0 {
        let named = view.of_scope(peer.scope_id()).map(|interface| interface.id);
        if own.device.is_some() && own.device != named {
            return Err(ConnectError::Scope);
        }
        own.device = Some(named.ok_or(ConnectError::NoWay(ChooseError::NetworkUnreachable))?);
    }
    if own.device.is_none() && addr.is_multicast() {
        own.device = options.multicast_interface;
    }
    if own.device.is_none() { Err(ConnectError::Scope) } else { Ok(()) }
}
