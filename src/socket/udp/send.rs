//! Sending.

use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::net::ToSocketAddrs;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use super::way::Planned;
use super::{State, UdpSocket};
use crate::io::{Departure, PmtuDiscovery};
use crate::socket::call::{Call, Refusal, Reply};
use crate::socket::errors::{ErrorOrigin, QueuedError};
use crate::socket::failure::SendError;
use crate::socket::message::{Received, SendControl, SendFlags};
use crate::socket::packet::Packet;
use crate::socket::send_queue::{Outgoing, Unqueued};
use crate::stack::net_view::ChooseError;
use crate::stack::sockets::Errno;

/// Bytes of an IPv4 header, of one of IPv6, and of a UDP header.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;

/// The longest IPv4 packet, and IPv6 payload.
pub(super) const IP_MAX: usize = 65_535;

/// Bytes before the payload of a packet of that IP version.
pub(super) const fn headers(is_v6: bool) -> usize {
    UDP_HEADER + if is_v6 { IPV6_HEADER } else { IPV4_HEADER }
}

/// How often whoever cannot even be told looks again whether a worker's queue has room.
const CROWDED: Duration = Duration::from_micros(200);

impl UdpSocket {
    /// Sends a datagram to `to`. Waits while as much is on its way as may be, unless the socket does not block. An unbound socket is
    /// bound. Of several addresses the first counts, as with [`std::net::UdpSocket::send_to`].
    ///
    /// # Errors
    /// As [`send_msg`](Self::send_msg); `to` is no address.
    pub fn send_to(&self, payload: &[u8], to: impl ToSocketAddrs) -> Result<usize, SendError> {
        let first = to.to_socket_addrs().ok().and_then(|mut addrs| addrs.next());
        let to = first.ok_or(SendError::NoAddress)?;
        self.send_msg(payload, Some(to), &SendControl::default(), SendFlags::default())
    }

    /// Answers a datagram that this socket received: to who sent it, from the address that was asked, by the interface that it came in by.
    ///
    /// # Errors
    /// As [`send_msg`](Self::send_msg).
    // U21, U29: the socket may be bound to any address.
    pub fn reply(&self, received: &Received, payload: &[u8]) -> Result<usize, SendError> {
        self.send_msg(payload, Some(received.source()), &received.reply_control(), SendFlags::default())
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
        if self.has_corked.load(Ordering::Acquire) || flags.more || self.is_corking() {
            return self.send_corked(payload, to, control, flags);
        }
        let planned = self.plan(to, control, payload.len())?;
        self.check_len(payload.len(), &planned)?;
        self.hand_over(&planned.departure, payload, flags.dont_wait)?;
        Ok(payload.len())
    }

    /// Whether a datagram of `len` bytes can leave like this.
    // U24, RFC 1122 3.3.3, Linux `__ip_append_data`: what is not to be cut is no longer than the path is known to carry, or the
    // link if the path is passed over; anything else is no longer than IP has room for.
    pub(super) fn check_len(&self, len: usize, planned: &Planned) -> Result<(), SendError> {
        let Planned { departure, mtus, peer_port } = planned;
        let is_v6 = departure.dst.is_ipv6();
        let headers = headers(is_v6);
        let max = if is_v6 { IP_MAX - UDP_HEADER } else { IP_MAX - headers };
        let (is_whole, mtu) = match departure.discovery {
            PmtuDiscovery::Do => (true, mtus.path),
            PmtuDiscovery::Probe | PmtuDiscovery::Interface => (true, mtus.link),
            PmtuDiscovery::Want | PmtuDiscovery::Dont => (false, mtus.path),
            PmtuDiscovery::Omit => (false, mtus.link),
        };
        if len <= max && !(is_whole && u32::try_from(len + headers).is_ok_and(|len| len > mtu)) {
            return Ok(());
        }
        if self.endpoint.options().ip(is_v6).receive_errors.load(Ordering::Relaxed) {
            // Linux `ip_local_error`: IPv4 tells the port of the socket's peer.
            let port = if is_v6 { departure.dst.port() } else { *peer_port };
            let error = QueuedError {
                errno: Errno::EMSGSIZE,
                origin: ErrorOrigin::Local,
                icmp_type: 0,
                icmp_code: 0,
                info: mtu,
                offender: None,
                destination: SocketAddr::new(departure.dst.ip(), port),
                interface: departure.interface,
            };
            self.endpoint.queue_error(error);
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
        self.in_time(dont_wait, |socket| {
            socket.tell_pending()?;
            socket.hand_over_now(departure, payload)
        })
    }

    /// An error that is pending is told before anything is sent.
    // Linux `sock_alloc_send_pskb`.
    pub(super) fn tell_pending(&self) -> Result<(), SendError> {
        self.endpoint.take_pending().map_or(Ok(()), |errno| Err(SendError::Reported(errno)))
    }

    /// The same for a packet that is made already, whose beginning was told what was pending.
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
            } else if !self.endpoint.wait_writable(until) {
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
    pub(super) fn bound(&self) -> Result<MutexGuard<'_, State>, SendError> {
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
            Reply::Refused(why) | Reply::Failed(why, _) => Err(SendError::Autobind(why.into())),
            _ => Err(SendError::Down),
        }
    }
}
