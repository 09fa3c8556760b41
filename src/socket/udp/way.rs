//! How a datagram leaves: from which address, by which interface, and with what in its headers; or why it does not.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::sync::atomic::Ordering;

use super::send::{IP_MAX, headers};
use super::{State, UdpSocket};
use crate::io::{Departure, InterfaceId};
use crate::socket::call::Place;
use crate::socket::failure::SendError;
use crate::socket::message::{SendControl, unmapped};
use crate::stack::net_view::{ChooseError, Constraints, Way};
use crate::stack::sockets::is_of_link;

/// How long a packet to this host itself may be, in bytes: as by Linux's loopback device, whose 65,536 IPv4 cannot use (`ipv4_mtu`).
const fn loopback_mtu(is_v6: bool) -> u32 {
    if is_v6 { 65_536 } else { 65_535 }
}

/// The way that a socket found last, and for what: it holds while addresses and routes stay what they were.
#[derive(Clone, Copy, Debug)]
pub(super) struct CachedWay {
    dst: SocketAddr,
    constraints: Constraints,
    generation: u64,
    found: Found,
}

/// A way, and what is to be known of it.
#[derive(Clone, Copy, Debug)]
struct Found {
    way: Way,
    is_broadcast: bool,
    mtus: Mtus,
}

/// How long an IP packet may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mtus {
    /// What the link carries.
    pub(super) link: u32,
    /// What the path carries without fragmentation, as far as is known.
    pub(super) path: u32,
}

/// How something leaves, how long an IP packet may be there, and the UDP port of the socket's peer, 0 without one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) departure: Departure,
    pub(super) mtus: Mtus,
    pub(super) peer_port: u16,
}

impl Planned {
    /// Whether so much payload leaves in one piece.
    pub(super) fn fits(&self, len: usize) -> bool {
        u32::try_from(len + headers(self.departure.dst.is_ipv6())).is_ok_and(|len| len <= self.mtus.path)
    }
}

impl UdpSocket {
    /// How a datagram of `len` bytes to `to` leaves.
    // Linux `udp_sendmsg`, `udpv6_sendmsg`: the checks, in their order.
    pub(super) fn plan(
        &self,
        to: Option<SocketAddr>,
        control: &SendControl,
        len: usize,
    ) -> Result<Planned, SendError> {
        let mut state = self.bound()?;
        let dst = self.destination(&state.place, to, len)?;
        let constraints = match dst {
            SocketAddr::V4(dst) => self.constraints4(&state.place, *dst.ip(), control)?,
            SocketAddr::V6(dst) => self.constraints6(&state.place, &dst, control)?,
        };
        let Found { way, is_broadcast, mtus } = self.find_way(&mut state, dst, constraints)?;
        let port = state.place.local.port();
        let peer_port = state.place.peer.map_or(0, |peer| peer.port());
        drop(state);
        let options = self.endpoint.options();
        // U22.
        if is_broadcast && !options.broadcast.load(Ordering::Relaxed) {
            return Err(SendError::Broadcast);
        }
        let ip = options.ip(dst.is_ipv6());
        let departure = Departure {
            interface: way.interface,
            src: SocketAddr::new(way.src, port),
            dst,
            ttl: control.ttl.or_else(|| options.ttl(dst.ip())),
            tos: control.tos.unwrap_or_else(|| ip.tos.load(Ordering::Relaxed)),
            discovery: ip.discovery.get(),
            checksum: !options.leaves_checksum_out(dst.is_ipv6()),
            loopback: ip.multicast_loop.load(Ordering::Relaxed),
        };
        Ok(Planned { departure, mtus, peer_port })
    }

    /// To whom, as it is on the wire: `to`, or else the socket's peer.
    // U10: nothing is sent to UDP port 0 but by whoever is connected to that; over IPv4, a socket of IPv6 not even then (Linux names the
    // peer to IPv4's code as a caller would). U24: what is too long for IPv4 is so before all else.
    fn destination(
        &self,
        place: &Place,
        to: Option<SocketAddr>,
        len: usize,
    ) -> Result<SocketAddr, SendError> {
        if !self.is_v6 && len > IP_MAX {
            return Err(SendError::TooLong);
        }
        let Some(dst) = to.or(place.peer).map(unmapped) else { return Err(SendError::DestinationRequired) };
        if dst.is_ipv6() && !self.is_v6 {
            return Err(SendError::Family);
        }
        // P10.
        if dst.is_ipv4() && place.v6only {
            return Err(SendError::OtherVersion);
        }
        if dst.is_ipv4() && len > IP_MAX {
            return Err(SendError::TooLong);
        }
        let is_named = to.is_some() || self.is_v6 && dst.is_ipv4();
        if is_named && dst.port() == 0 {
            return Err(SendError::PortZero);
        }
        Ok(dst)
    }

    /// What the socket and its caller have decided of the way to a host or group of IPv4.
    // Linux `ip_cmsg_send`, `ip_route_output_key`.
    fn constraints4(
        &self,
        place: &Place,
        dst: Ipv4Addr,
        control: &SendControl,
    ) -> Result<Constraints, SendError> {
        let options = self.endpoint.options();
        let src = match control.source.map(|ip| ip.to_canonical()) {
            // What is named comes before what the socket is bound to, also if it is no address in particular.
            Some(IpAddr::V4(named)) => named,
            Some(IpAddr::V6(_)) => return Err(SendError::SourceNotOurs),
            None => place.source4,
        };
        if control.ttl == Some(0) {
            return Err(SendError::TtlZero);
        }
        let of_groups = || options.multicast_source().filter(|_| dst.is_multicast());
        let src = Some(src).filter(|src| !src.is_unspecified()).or_else(of_groups);
        // U21: a group is the source of nothing.
        if src.is_some_and(|src| src.is_multicast() || src.is_broadcast() || src.octets()[0] == 0) {
            return Err(SendError::Source);
        }
        Ok(Constraints {
            interface: control.interface.or_else(|| options.device.get()),
            src: src.map(IpAddr::V4),
            mc_interface: options.v4.multicast_interface.get(),
            scope_id: 0,
        })
    }

    /// The same, of IPv6.
    // Linux `ip6_datagram_send_ctl`, `ip6_dst_lookup_tail`. P12, RFC 3542 6.2: an interface is named once, or twice alike.
    fn constraints6(
        &self,
        place: &Place,
        dst: &SocketAddrV6,
        control: &SendControl,
    ) -> Result<Constraints, SendError> {
        let options = self.endpoint.options();
        let device = options.device.get();
        if control.source.is_some() || control.interface.is_some() {
            self.check_named6(dst, device, control)?;
        }
        let src = match control.source {
            Some(IpAddr::V6(named)) if !named.is_unspecified() => named,
            _ => place.source6,
        };
        let is_v4 = src.to_ipv4_mapped().is_some();
        let constraints = Constraints {
            interface: control.interface.or(device),
            src: Some(src).filter(|src| !(is_v4 || src.is_unspecified())).map(IpAddr::V6),
            mc_interface: options.v6.multicast_interface.get(),
            scope_id: dst.scope_id(),
        };
        // P10: it is bound or was connected to an address of IPv4. That no way leads there is found first.
        if is_v4 {
            self.host.view.get().choose(IpAddr::V6(*dst.ip()), constraints)?;
            return Err(SendError::Family);
        }
        Ok(constraints)
    }

    /// Whether the source and interface can be that a caller names for one datagram of IPv6.
    fn check_named6(
        &self,
        dst: &SocketAddrV6,
        device: Option<InterfaceId>,
        control: &SendControl,
    ) -> Result<(), SendError> {
        let view = self.host.view.get();
        // An address of one link says by its scope which.
        let of_scope = || view.of_scope(dst.scope_id()).filter(|_| is_of_link(IpAddr::V6(*dst.ip())));
        let said = of_scope().map(|interface| interface.id).or(device);
        if control.interface.zip(said).is_some_and(|(named, said)| named != said) {
            return Err(SendError::NoWay(ChooseError::Scope));
        }
        let interface = control.interface.or(said);
        if interface.is_some_and(|id| view.get(id).is_none()) {
            return Err(SendError::NoWay(ChooseError::NoInterface));
        }
        match control.source {
            None | Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ok(()),
            Some(named) if named.is_ipv6() && view.owner(named).is_some() => Ok(()),
            Some(_) => Err(SendError::SourceNotOurs),
        }
    }

    /// The way to `dst`: the one found last if nothing has changed.
    fn find_way(
        &self,
        state: &mut State,
        dst: SocketAddr,
        constraints: Constraints,
    ) -> Result<Found, SendError> {
        let generation = self.host.view.generation();
        if let Some(cached) = state.way.as_ref().filter(|cached| {
            (cached.dst, cached.constraints, cached.generation) == (dst, constraints, generation)
        }) {
            return Ok(cached.found);
        }
        let view = self.host.view.get();
        let way = view.choose(dst.ip(), constraints).map_err(|why| match why {
            // Linux: IPv4 has no route from an address that is none of ours.
            ChooseError::AddressNotAvailable if dst.is_ipv4() => ChooseError::NetworkUnreachable,
            why => why,
        })?;
        let interface = view.get(way.interface).ok_or(SendError::NoWay(ChooseError::NoInterface))?;
        // Everyone on the link of another interface is an address like others, to whoever names the interface.
        let is_broadcast =
            matches!(dst.ip(), IpAddr::V4(dst) if view.is_broadcast(dst, constraints.interface));
        // What is for this host itself is carried by no link.
        let is_own = view.owner(dst.ip()).is_some_and(|owner| owner.id == way.interface);
        let mtus = if is_own {
            let mtu = loopback_mtu(dst.is_ipv6());
            Mtus { link: mtu, path: mtu }
        } else {
            let (link, path) = interface.mtus(dst.ip());
            Mtus { link: link.into(), path: path.into() }
        };
        let found = Found { way, is_broadcast, mtus };
        state.way = Some(CachedWay { dst, constraints, generation, found });
        Ok(found)
    }
}
