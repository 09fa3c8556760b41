//! A UDP socket, as Linux's: for a program's own threads, as many as it likes at a time.

mod batch;
mod cork;
mod groups;
mod options;
mod recv;
mod send;
mod way;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::net::ToSocketAddrs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use batch::{RecvMessage, SendMessage};
pub use options::Level;

use self::cork::Corked;
use self::way::CachedWay;
use super::call::{Ask, Call, ConnectOptions, Place, Refusal, Reply};
use super::endpoint::Endpoint;
use super::errors::{ErrorOrigin, QueuedError};
use super::message::{mapped, unmapped, with_scope};
use super::send_queue::SendQueues;
use super::view::SharedView;
use crate::io::InterfaceId;
use crate::stack::net_view::NetView;
use crate::stack::port_table::SocketId;
use crate::stack::sockets::{BindError, ConnectError, Errno, OpenError};

/// The sockets of a host: where they are opened. A handle, to be cloned at will; it may outlive the host.
#[derive(Clone, Debug)]
pub struct Sockets {
    /// Whoever does what sockets ask for.
    ask: Arc<dyn Ask>,
    /// What is to be known of the interfaces.
    view: Arc<SharedView<NetView>>,
    /// The ways to the workers.
    queues: Arc<SendQueues>,
}

impl Sockets {
    /// Those of the host that `ask` leads to.
    #[must_use]
    pub fn new(ask: Arc<dyn Ask>, view: Arc<SharedView<NetView>>, queues: Arc<SendQueues>) -> Self {
        Self { ask, view, queues }
    }

    /// A socket of IPv4, not bound yet. socket(2) with `AF_INET`.
    ///
    /// # Errors
    /// There are too many, or the host has stopped.
    pub fn udp4(&self) -> Result<UdpSocket, OpenError> {
        self.open(false)
    }

    /// A socket of IPv6, and of IPv4 unless [`set_v6only`](UdpSocket::set_v6only) says otherwise; not bound yet. socket(2) with
    /// `AF_INET6`.
    ///
    /// # Errors
    /// There are too many, or the host has stopped.
    // P10, RFC 3493 3.7: dual-stack, as on Linux.
    pub fn udp6(&self) -> Result<UdpSocket, OpenError> {
        self.open(true)
    }

    /// A socket that is bound to `local`: of its IP version, and on any free port if that is 0. As [`std::net::UdpSocket::bind`], it takes
    /// `"0.0.0.0:7"` or `("::", 7)` as well, and of several addresses the first that can be bound.
    ///
    /// # Errors
    /// As [`udp4`](Self::udp4) and [`UdpSocket::bind`]; `local` is no address.
    pub fn bind(&self, local: impl ToSocketAddrs) -> Result<UdpSocket, BindError> {
        first_of(local, BindError::NoAddress, |local| {
            let socket = self.open(local.is_ipv6())?;
            socket.bind(local)?;
            Ok(socket)
        })
    }

    /// A socket that is connected to `peer`: of its IP version, and on any free port. Of several addresses it takes the first that can be
    /// connected to.
    ///
    /// # Errors
    /// As [`udp4`](Self::udp4) and [`UdpSocket::connect`]; `peer` is no address.
    pub fn connect(&self, peer: impl ToSocketAddrs) -> Result<UdpSocket, ConnectError> {
        first_of(peer, ConnectError::NoAddress, |peer| {
            let socket = self.open(unmapped(peer).is_ipv6())?;
            socket.connect(unmapped(peer))?;
            Ok(socket)
        })
    }

    /// The interface that the configuration calls `name`. if_nametoindex(3).
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<InterfaceId> {
        self.view
            .get()
            .interfaces
            .iter()
            .find(|interface| interface.name == name)
            .map(|interface| interface.id)
    }

    /// What is known of the interfaces now: their names, addresses and routes.
    #[must_use]
    pub fn interfaces(&self) -> Arc<NetView> {
        self.view.get()
    }

    fn open(&self, v6: bool) -> Result<UdpSocket, OpenError> {
        match self.ask.ask(Call::Open { v6 }) {
            Reply::Opened(id, endpoint) => Ok(UdpSocket::new(id, v6, endpoint, self.clone())),
            Reply::Refused(why) => Err(why.into()),
            _ => Err(OpenError::Down),
        }
    }
}

/// What comes of the first address that works, or else of the last; `none` if there is none.
fn first_of<T, E>(
    addrs: impl ToSocketAddrs,
    none: E,
    mut call: impl FnMut(SocketAddr) -> Result<T, E>,
) -> Result<T, E> {
    let mut failed = none;
    for addr in addrs.to_socket_addrs().into_iter().flatten() {
        match call(addr) {
            Ok(done) => return Ok(done),
            Err(why) => failed = why,
        }
    }
    Err(failed)
}

/// A UDP socket. Everything takes `&self`: threads may share one as they like.
///
/// What Linux has socket options, flags and control messages for has methods here (`docs/socket-options.md` has the table). Its file descriptor ([`AsFd`]) is readable while there is something to receive, or an
/// error to be told; [`writable`](Self::writable) gives another one, readable while it is worth trying to send. Both work with
/// poll, epoll, mio and tokio's `AsyncFd`; nobody may read or write them. Dropping it closes it.
#[derive(Debug)]
pub struct UdpSocket {
    id: SocketId,
    /// One of IPv6, and perhaps of both.
    is_v6: bool,
    v6only: AtomicBool,
    endpoint: Arc<Endpoint>,
    host: Sockets,
    state: Mutex<State>,
    /// What is gathered and not complete.
    corked: Mutex<Option<Corked>>,
    has_corked: AtomicBool,
}

/// Where a socket is, and where it sent last.
#[derive(Debug)]
struct State {
    place: Place,
    way: Option<CachedWay>,
}

impl UdpSocket {
    fn new(id: SocketId, is_v6: bool, endpoint: Arc<Endpoint>, host: Sockets) -> Self {
        let any = if is_v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        let place = Place {
            local: SocketAddr::new(any, 0),
            peer: None,
            source4: Ipv4Addr::UNSPECIFIED,
            source6: Ipv6Addr::UNSPECIFIED,
            device: None,
            v6only: false,
        };
        Self {
            id,
            is_v6,
            v6only: AtomicBool::new(false),
            endpoint,
            host,
            state: Mutex::new(State { place, way: None }),
            corked: Mutex::new(None),
            has_corked: AtomicBool::new(false),
        }
    }

    /// Gives it an address and a UDP port: an address of the host, a group, or any (unspecified); port 0 is any that is free. Of several
    /// it takes the first that can be bound.
    ///
    /// # Errors
    /// The place is taken, or the address is not ours; the error says more, and has Linux's errno.
    // U25, U26, bind(2).
    pub fn bind(&self, local: impl ToSocketAddrs) -> Result<(), BindError> {
        let bind = |local| Ok(self.settle(Call::Bind { socket: self.id, local })?);
        first_of(local, BindError::NoAddress, bind)
    }

    /// Gives it a peer: it receives from that one alone from now on, and [`send`](Self::send) sends to it. What was received before
    /// stays. An unbound socket is bound. Of several addresses it takes the first that can be connected to.
    ///
    /// # Errors
    /// Nothing leads there, or the address cannot be a peer.
    // U20, connect(2): what is in the queue already, stays there. P09: a group may be one, and nothing arrives then.
    pub fn connect(&self, peer: impl ToSocketAddrs) -> Result<(), ConnectError> {
        first_of(peer, ConnectError::NoAddress, |peer| self.connect_to(peer))
    }

    fn connect_to(&self, peer: SocketAddr) -> Result<(), ConnectError> {
        let is_v6 = unmapped(peer).is_ipv6();
        let options = self.endpoint.options();
        let options = ConnectOptions {
            multicast_interface: options.ip(is_v6).multicast_interface.get(),
            multicast_source: options.multicast_source(),
            broadcast: options.broadcast.load(Ordering::Relaxed),
        };
        Ok(self.settle(Call::Connect { socket: self.id, peer, options })?)
    }

    /// Takes its peer away. connect(2) with `AF_UNSPEC`.
    ///
    /// # Errors
    /// The host has stopped.
    // P09.
    pub fn disconnect(&self) -> Result<(), ConnectError> {
        Ok(self.settle(Call::Disconnect { socket: self.id })?)
    }

    /// Its address and port: unspecified and 0 if it is not bound. getsockname(2).
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.told(self.state().place.local)
    }

    /// Its peer; `None` also for one with UDP port 0. getpeername(2).
    // Linux `inet_getname`: who has no port of its peer is not connected.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.state().place.peer.filter(|peer| peer.port() != 0).map(|peer| self.told(peer))
    }

    /// The number by which the host knows it, as `pollcast ctl sockets` shows it.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether it is one of IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.is_v6
    }

    /// The sockets of the same host.
    #[must_use]
    pub const fn sockets(&self) -> &Sockets {
        &self.host
    }

    /// The pending error, which is none any more: what the network reported of a datagram that was sent. `SO_ERROR`.
    // C15, RFC 1122 4.1.3.3.
    #[must_use]
    pub fn take_error(&self) -> Option<Errno> {
        self.endpoint.take_pending()
    }

    /// The oldest of the error queue: recvmsg(2) with `MSG_ERRQUEUE`. Filled from when [`set_receive_errors`](Self::set_receive_errors)
    /// asked for it.
    #[must_use]
    pub fn recv_error(&self) -> Option<QueuedError> {
        let error = self.endpoint.take_queued()?;
        let destination = self.told(error.destination);
        // Linux `ipv6_recv_error`: what came says by which interface it did.
        let destination = match error.origin {
            ErrorOrigin::Local => destination,
            ErrorOrigin::Icmp | ErrorOrigin::Icmp6 => with_scope(destination, error.interface),
        };
        let offender = error.offender.map(|ip| self.told(SocketAddr::new(ip, 0)).ip());
        Some(QueuedError { destination, offender, ..error })
    }

    /// A descriptor that is readable while it is worth trying to send: what was full when [`send`](Self::send) would have blocked is not
    /// full any more. The socket's own descriptor says nothing of that: an eventfd has one direction only.
    ///
    /// # Errors
    /// The process has no file descriptor left.
    pub fn writable(&self) -> io::Result<BorrowedFd<'_>> {
        self.endpoint.writable_fd()
    }

    /// Asks for a change, and takes note of where it is then.
    fn settle(&self, call: Call) -> Result<(), Refusal> {
        let (place, result) = match self.host.ask.ask(call) {
            Reply::Done(place) => (place, Ok(())),
            Reply::Failed(why, place) => (place, Err(why)),
            Reply::Refused(why) => return Err(why),
            _ => return Err(Refusal::Down),
        };
        let mut state = self.state();
        *state = State { place, way: None };
        let options = self.endpoint.options();
        options.connected.store(place.peer.is_some(), Ordering::Relaxed);
        options.device.set(place.device);
        self.v6only.store(place.v6only, Ordering::Relaxed);
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An address as this socket is told it.
    fn told(&self, addr: SocketAddr) -> SocketAddr {
        if self.is_v6 { mapped(addr) } else { addr }
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.endpoint.readable_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        // What is corked is not sent: udp(7).
        self.forget_corked();
        self.host.ask.close(self.id);
    }
}
