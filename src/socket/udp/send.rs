//! Sending.

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use super::{State, UdpSocket};
use crate::io::{Departure, InterfaceId, PmtuDiscovery};
use crate::socket::call::{Call, Place, Refusal, Reply};
use crate::socket::errors::{ErrorOrigin, QueuedError};
use crate::socket::failure::SendError;
use crate::socket::message::{SendControl, SendFlags, unmapped};
use crate::socket::packet::Packet;
use crate::socket::send_queue::{Outgoing, Unqueued};
use crate::stack::net_view::{ChooseError, Constraints, Way};
use crate::stack::sockets::Errno;

/// Bytes of an IPv4 header, of one of IPv6, and of a UDP header.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;

/// The longest IPv4 packet, and IPv6 payload.
const IP_MAX: usize = 65_535;

/// How often whoever cannot even be told looks again whether a worker's queue has room.
const CROWDED: Duration = Duration::from_micros(200);

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

/// How long an IP packet may be.
#[derive(Clone, Copy, Debug)]
struct Mtus {
    /// What the link carries.
    link: u16,
    /// What the path carries without fragmentation, as far as is known.
    path: u16,
}

/// How something leaves, and how long an IP packet may be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) departure: Departure,
    mtus: Mtus,
}

impl UdpSocket {
    /// Sends a datagram to `to`. Waits while as much is on its way as may be, unless the socket does not block. An unbound socket is
    /// bound.
    ///
    /// # Errors
    /// As [`send_msg`](Self::send_msg).
    pub fn send_to(&self, payload: &[u8], to: SocketAddr) -> Result<usize, SendError> {
        self.send_msg(payload, Some(to), &SendControl::default(), SendFlags::default())
    }

    /// Sends a datagram to its peer.
    ///
    /// # Errors
    /// As [`send_msg`](Self::send_msg).
    pub fn send(&self, payload: &[u8]) -> Result<usize, SendError> {
        self.send_msg(payload, None, &SendControl::default(), SendFlags::default())
    }

    /// Sends a datagram to `to`, or to its peer, as `control` says. sendmsg(2).
    ///
    /// That it is sent means that a worker will send it. What that finds out later (that no neighbour is there, that the path
    /// carries less) is told to the call that follows: as on Linux, where a router's answer is.
    ///
    /// # Errors
    /// No way leads there, it is too long, it is not permitted; an error is pending; as much is on its way as may be
    /// (`EAGAIN`); the host has stopped (`ENETDOWN`).
    pub fn send_msg(
        &self,
        payload: &[u8],
        to: Option<SocketAddr>,
        control: &SendControl,
        flags: SendFlags,
    ) -> Result<usize, SendError> {
        if self.endpoint.has_ended() {
            return Err(SendError::Down);
        }
        // U24.
        if payload.len() > IP_MAX {
            return Err(SendError::TooLong);
        }
        if self.has_corked.load(Ordering::Acquire) || flags.more || self.is_corking() {
            return self.send_corked(payload, to, control, flags);
        }
        let planned = self.plan(to, control)?;
        self.check_len(payload.len(), &planned)?;
        self.hand_over(&planned.departure, payload, flags.dont_wait)?;
        Ok(payload.len())
    }

    /// How a datagram to `to` leaves.
    // Linux `udp_sendmsg`: the checks, in its order.
    pub(super) fn plan(&self, to: Option<SocketAddr>, control: &SendControl) -> Result<Planned, SendError> {
        let mut state = self.bound()?;
        let dst = match to {
            Some(to) => self.checked(to)?,
            None => state.place.peer.map(unmapped).ok_or(SendError::DestinationRequired)?,
        };
        let constraints = self.constraints(&state.place, dst, control)?;
        let Found { way, is_broadcast, mtus } = self.find_way(&mut state, dst, constraints, control)?;
        let port = state.place.local.port();
        drop(state);
        let options = self.endpoint.options();
        // U22.
        if is_broadcast && !options.broadcast.load(Ordering::Relaxed) {
            return Err(SendError::Broadcast);
        }
        let ip = options.ip(dst.is_ipv6());
        let ttl = match dst.ip().is_multicast() {
            // U27.
            true => Some(ip.multicast_ttl.load(Ordering::Relaxed)),
            false => ip.ttl.get(),
        };
        let departure = Departure {
            interface: way.interface,
            src: SocketAddr::new(way.src, port),
            dst,
            ttl: control.ttl.or(ttl),
            tos: control.tos.unwrap_or_else(|| ip.tos.load(Ordering::Relaxed)),
            discovery: ip.discovery.get(),
            checksum: !options.leaves_checksum_out(dst.is_ipv6()),
            loopback: ip.multicast_loop.load(Ordering::Relaxed),
        };
        Ok(Planned { departure, mtus })
    }

    /// Whether a datagram of `len` bytes can leave like this.
    // U24, RFC 1122 3.3.3, Linux `__ip_append_data`: what is not to be cut is no longer than the path is known to carry, or the
    // link if the path is passed over; anything else is no longer than IP has room for.
    pub(super) fn check_len(&self, len: usize, planned: &Planned) -> Result<(), SendError> {
        let Planned { departure, mtus } = planned;
        let is_v6 = departure.dst.is_ipv6();
        let (max, headers) = if is_v6 {
            (IP_MAX - UDP_HEADER, IPV6_HEADER + UDP_HEADER)
        } else {
            (IP_MAX - IPV4_HEADER - UDP_HEADER, IPV4_HEADER + UDP_HEADER)
        };
        let (is_whole, mtu) = match departure.discovery {
            PmtuDiscovery::Do => (true, mtus.path),
            PmtuDiscovery::Probe | PmtuDiscovery::Interface => (true, mtus.link),
            PmtuDiscovery::Want | PmtuDiscovery::Dont => (false, mtus.path),
            PmtuDiscovery::Omit => (false, mtus.link),
        };
        if len <= max && !(is_whole && len + headers > usize::from(mtu)) {
            return Ok(());
        }
        if len <= max && self.endpoint.options().ip(is_v6).receive_errors.load(Ordering::Relaxed) {
            let error = QueuedError {
                errno: Errno::EMSGSIZE,
                origin: ErrorOrigin::Local,
                icmp_type: 0,
                icmp_code: 0,
                info: u32::from(mtu),
                offender: None,
                destination: departure.dst,
                interface: departure.interface,
            };
            let _ = self.endpoint.errors().push(error);
        }
        Err(SendError::TooLong)
    }

    /// Hands a datagram to the worker that is to send it; waits for room, if that may be.
    pub(super) fn hand_over(
        &self,
        departure: &Departure,
        payload: &[u8],
        dont_wait: bool,
    ) -> Result<(), SendError> {
        self.in_time(dont_wait, |socket| socket.hand_over_now(departure, payload))
    }

    /// The same for a packet that is made already; it comes back if it was not sent.
    pub(super) fn hand_over_packet(
        &self,
        departure: &Departure,
        packet: Box<Packet>,
        dont_wait: bool,
    ) -> Result<(), SendError> {
        let mut waiting = Some(packet);
        let sent = self.in_time(dont_wait, |socket| {
            let Some(packet) = waiting.take() else { return Ok(()) };
            socket.queue(departure, packet).map_err(|(why, packet)| {
                waiting = Some(packet);
                why
            })
        });
        if let Some(packet) = waiting {
            self.endpoint.packets().give(packet);
        }
        sent
    }

    /// Does `now` until there is room, or as long as the socket may wait.
    fn in_time(
        &self,
        dont_wait: bool,
        mut now: impl FnMut(&Self) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let options = self.endpoint.options();
        let blocks = !dont_wait && !options.nonblocking.load(Ordering::Relaxed);
        let mut until = None;
        loop {
            if self.endpoint.has_ended() {
                return Err(SendError::Down);
            }
            // Linux `sock_alloc_send_pskb`: an error that is pending is told first.
            if let Some(errno) = self.endpoint.take_pending() {
                return Err(SendError::Reported(errno));
            }
            let is_crowded = match now(self) {
                Err(SendError::WouldBlock) => false,
                Err(SendError::NoBuffers) if blocks => true,
                done => return done,
            };
            if !blocks {
                self.endpoint.found_no_room();
                return Err(SendError::WouldBlock);
            }
            if until.is_none() {
                until = options.send_timeout.get().map(|limit| Instant::now() + limit);
            }
            if is_crowded {
                // Nobody tells when a packet is free again.
                std::thread::sleep(CROWDED);
                if until.is_some_and(|until| until <= Instant::now()) {
                    return Err(SendError::NoBuffers);
                }
            } else if !self.endpoint.wait_writable(until).map_err(SendError::Wait)? {
                return Err(SendError::WouldBlock);
            }
        }
    }

    fn hand_over_now(&self, departure: &Departure, payload: &[u8]) -> Result<(), SendError> {
        let packets = self.endpoint.packets();
        let packet = packets.copy(payload).ok_or(SendError::NoBuffers)?;
        self.queue(departure, packet).map_err(|(why, packet)| {
            packets.give(packet);
            why
        })
    }

    fn queue(&self, departure: &Departure, packet: Box<Packet>) -> Result<(), (SendError, Box<Packet>)> {
        let len = packet.payload().len();
        let Some(queue) = self.host.queues.of(departure.interface, self.id) else {
            return Err((SendError::NoWay(ChooseError::NoInterface), packet));
        };
        if self.endpoint.reserve(len).is_err() {
            return Err((SendError::WouldBlock, packet));
        }
        let outgoing = Outgoing { endpoint: Arc::clone(&self.endpoint), departure: *departure, packet };
        queue.push(outgoing).map_err(|unqueued| {
            self.endpoint.unreserve(len);
            match unqueued {
                Unqueued::Full(outgoing) => (SendError::WouldBlock, outgoing.packet),
                Unqueued::Crowded(outgoing) => (SendError::NoBuffers, outgoing.packet),
            }
        })
    }

    /// The socket's state, after it was bound if it was not.
    // U25, Linux `inet_autobind`: before anything is checked.
    fn bound(&self) -> Result<MutexGuard<'_, State>, SendError> {
        let state = self.state();
        if state.place.local.port() != 0 {
            return Ok(state);
        }
        drop(state);
        match self.host.ask.ask(Call::Autobind { socket: self.id }) {
            Reply::Done(place) => {
                let mut state = self.state();
                *state = State { place, way: None };
                Ok(state)
            }
            Reply::Refused(Refusal::Down) => Err(SendError::Down),
            Reply::Refused(why) | Reply::Failed(why, _) => Err(SendError::Autobind(why)),
            _ => Err(SendError::Down),
        }
    }

    /// An address that a caller named, as it is on the wire.
    fn checked(&self, to: SocketAddr) -> Result<SocketAddr, SendError> {
        if to.is_ipv6() && !self.is_v6 {
            return Err(SendError::Family);
        }
        if to.port() == 0 {
            return Err(SendError::PortZero);
        }
        Ok(unmapped(to))
    }

    /// What the socket and its caller have decided of the way.
    fn constraints(
        &self,
        place: &Place,
        dst: SocketAddr,
        control: &SendControl,
    ) -> Result<Constraints, SendError> {
        let options = self.endpoint.options();
        let local = unmapped(place.local);
        let bound = Some(local.ip()).filter(|ip| !ip.is_unspecified());
        // P10: for IPv6 alone, or with an address of the other version.
        let is_other = |ip: IpAddr| ip.is_ipv6() != dst.is_ipv6();
        let is_v6only = self.is_v6 && dst.is_ipv4() && self.v6only.load(Ordering::Relaxed);
        if is_v6only || bound.is_some_and(is_other) {
            return Err(SendError::OtherVersion);
        }
        let named = control.source.map(|ip| unmapped(SocketAddr::new(ip, 0)).ip());
        let named = named.filter(|ip| !ip.is_unspecified());
        if named.is_some_and(is_other) {
            return Err(SendError::SourceNotOurs);
        }
        // U21: who is bound to a group or to a broadcast address does not send from there.
        let is_ours = |ip: &IpAddr| !ip.is_multicast() && self.host.view.get().owner(*ip).is_some();
        let to_group = dst.ip().is_multicast();
        let of_groups = options.multicast_source().filter(|_| to_group && dst.is_ipv4()).map(IpAddr::V4);
        let src = named.or_else(|| bound.filter(is_ours)).or(of_groups);
        let scope_of = |addr: SocketAddr| match addr {
            SocketAddr::V6(v6) => v6.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        let of_scope = |scope: u32| u16::try_from(scope.checked_sub(1)?).ok().map(InterfaceId);
        let device = options.device.get().or_else(|| of_scope(scope_of(local)));
        Ok(Constraints {
            interface: control.interface.or(device),
            src,
            mc_interface: options.ip(dst.is_ipv6()).multicast_interface.get(),
            scope_id: scope_of(dst),
        })
    }

    /// The way to `dst`: the one found last if nothing has changed.
    fn find_way(
        &self,
        state: &mut State,
        dst: SocketAddr,
        constraints: Constraints,
        control: &SendControl,
    ) -> Result<Found, SendError> {
        let generation = self.host.view.generation();
        if let Some(cached) = state.way.as_ref().filter(|cached| {
            (cached.dst, cached.constraints, cached.generation) == (dst, constraints, generation)
        }) {
            return Ok(cached.found);
        }
        let view = self.host.view.get();
        let way = view.choose(dst.ip(), constraints).map_err(|why| match why {
            ChooseError::AddressNotAvailable if control.source.is_some() => SendError::SourceNotOurs,
            why => SendError::NoWay(why),
        })?;
        let interface = view.get(way.interface).ok_or(SendError::NoWay(ChooseError::NoInterface))?;
        let is_broadcast = matches!(dst.ip(), IpAddr::V4(dst) if view.is_broadcast(dst, None));
        let (link, path) = interface.mtus(dst.ip());
        let found = Found { way, is_broadcast, mtus: Mtus { link, path } };
        state.way = Some(CachedWay { dst, constraints, generation, found });
        Ok(found)
    }
}
