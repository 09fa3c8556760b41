//! What a service is told beside its datagrams, and what it may ask of the engine that runs it.

use core::net::{IpAddr, SocketAddr};

use super::{Kept, Message};
use crate::io::{InterfaceId, PacketBuf, PmtuDiscovery};
use crate::time::Instant;

/// A service's moment: the time, and the engine that runs the service.
///
/// ```
/// use pollcast::io::PacketBuf;
/// use pollcast::service::{Cx, Datagram, SendError, SendOptions, Service};
/// use std::{net::SocketAddr, time::Duration};
///
/// /// Tells `to` every second that it is there.
/// struct Beacon {
///     to: SocketAddr,
///     failed: Option<SendError>,
/// }
///
/// impl<B: PacketBuf> Service<B> for Beacon {
///     fn datagrams(&mut self, _cx: &mut Cx<'_, B>, _burst: &mut [Datagram<B>]) {}
///
///     fn started(&mut self, cx: &mut Cx<'_, B>) {
///         cx.set_timer(cx.now);
///     }
///
///     fn timer(&mut self, cx: &mut Cx<'_, B>) {
///         let sent = cx.message_of(b"here I am").and_then(|m| cx.send(m, self.to, &SendOptions::default()));
///         self.failed = sent.err();
///         cx.set_timer(cx.now + Duration::from_secs(1));
///     }
/// }
/// ```
pub struct Cx<'a, B> {
    /// The moment of this turn of the worker.
    pub now: Instant,
    engine: &'a mut dyn Engine<B>,
}

impl<B> core::fmt::Debug for Cx<'_, B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cx").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What runs a service: a worker, or in tests a [`Mock`](super::Mock).
pub trait Engine<B> {
    /// The sockets of the service.
    fn sockets(&self) -> &[LocalSocket];

    /// An empty buffer; `None` if none is free.
    fn alloc(&mut self) -> Option<B>;

    /// An empty [large](crate::io::LARGE_ROOM) buffer; `None` if none is free.
    fn alloc_large(&mut self) -> Option<B>;

    /// Sends `message`. See [`Cx::send`].
    ///
    /// # Errors
    /// Why it was not sent.
    fn send(&mut self, message: Message<B>, to: SocketAddr, options: &SendOptions) -> Result<(), SendError>;

    /// The service's deadline from now on.
    fn set_timer(&mut self, at: Option<Instant>);
}

/// One socket of a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LocalSocket {
    /// Its number, as in [`Datagram::socket`](super::Datagram::socket).
    pub id: u32,
    /// The interface that it is on; `None`: on every one.
    pub interface: Option<InterfaceId>,
    /// The address that it is bound to, unspecified for every one, and its port.
    pub local: SocketAddr,
}

/// How a datagram is sent: what a socket option or an ancillary message would say on Linux. The default leaves everything to
/// the host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SendOptions {
    /// From this socket of the service, by its number. `None`: the first that can send there.
    pub socket: Option<u32>,
    /// From this address of ours. `None`: the one that the socket is bound to, else as the routes say.
    pub source: Option<IpAddr>,
    /// By this interface. `None`: that of the socket, else as the routes say. A group needs it where no route leads to it.
    pub interface: Option<InterfaceId>,
    /// With this time to live or hop limit. `None`: the interface's, or 1 to a group.
    // U27, RFC 1112 6.1.
    pub ttl: Option<u8>,
    /// With this type of service or traffic class.
    pub tos: u8,
    /// What is done about the path MTU. `None`: what the service is configured with.
    pub discovery: Option<PmtuDiscovery>,
    /// Whether it has a UDP checksum, over IPv4; over IPv6 it always has.
    pub checksum: bool,
    /// Whether this host's own sockets hear it if it goes to a group that they joined.
    // U27, U28, RFC 1112 7.1.
    pub loopback: bool,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            socket: None,
            source: None,
            interface: None,
            ttl: None,
            tos: 0,
            discovery: None,
            checksum: true,
            loopback: true,
        }
    }
}

/// Why a datagram was not sent. What happened to one that was sent, on its way, is told by
/// [`icmp_error`](super::Service::icmp_error) if anyone tells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum SendError {
    /// The service has no socket of that number, or none of that IP version on that interface.
    #[error("the service has no socket that can send there: see its `listen`")]
    NoSocket,
    /// No route leads there.
    #[error("no route leads there")]
    NetworkUnreachable,
    /// A link-local address without its scope, or with another one than the interface to send by.
    #[error("an address of one link needs the scope id of its interface")]
    Scope,
    /// There is no such interface, or this worker does not serve its port.
    #[error("there is no such interface, or its port is not one of this worker's: see `workers`")]
    NoInterface,
    /// The source is no address of ours, or there is none to send from.
    #[error("no address of ours can be the source")]
    AddressNotAvailable,
    /// Nothing can be sent to such an address: port 0, or what is no host's and no group's.
    #[error("nothing can be sent to that address")]
    DestinationInvalid,
    /// Longer than a datagram can be, or than the path carries and may not be fragmented.
    #[error("too long: the path carries {max} bytes of payload")]
    TooBig {
        /// The longest payload that could be sent there, in bytes.
        max: u16,
    },
    /// No buffer was free.
    #[error("no buffer is free")]
    NoBuffer,
    /// A queue is full: that to the neighbours' addresses, or to this host itself. Later there may be room.
    #[error("a queue is full: later there may be room")]
    QueueFull,
}

impl<'a, B: PacketBuf> Cx<'a, B> {
    /// The moment `now` of the service that `engine` runs. For the engine, and for tests of services, which have
    /// [`Mock::cx`](super::Mock::cx).
    #[inline]
    #[must_use]
    pub fn new(now: Instant, engine: &'a mut dyn Engine<B>) -> Self {
        Self { now, engine }
    }

    /// The sockets of the service: those of its `listen`, each on each of its interfaces.
    #[must_use]
    pub fn sockets(&self) -> &[LocalSocket] {
        self.engine.sockets()
    }

    /// An empty message, to be written where it is sent from: it has room for headers before it. It holds what fits into
    /// one buffer; for more there is [`large_message`](Self::large_message).
    ///
    /// # Errors
    /// [`NoBuffer`](SendError::NoBuffer).
    pub fn message(&mut self) -> Result<Message<B>, SendError> {
        self.engine.alloc().and_then(Message::in_buffer).ok_or(SendError::NoBuffer)
    }

    /// An empty message that a payload of any length fits into. There are few of these (`large_mbufs`): for what does not fit
    /// into an ordinary one.
    ///
    /// # Errors
    /// [`NoBuffer`](SendError::NoBuffer).
    pub fn large_message(&mut self) -> Result<Message<B>, SendError> {
        self.engine.alloc_large().and_then(Message::in_large_buffer).ok_or(SendError::NoBuffer)
    }

    /// A message with a copy of `payload`, in a buffer that it fits into.
    ///
    /// # Errors
    /// [`NoBuffer`](SendError::NoBuffer), or it is longer than any datagram: [`TooBig`](SendError::TooBig).
    pub fn message_of(&mut self, payload: &[u8]) -> Result<Message<B>, SendError> {
        let mut message = self.message()?;
        if message.extend(payload) {
            return Ok(message);
        }
        let mut message = self.large_message()?;
        if message.extend(payload) {
            Ok(message)
        } else {
            Err(SendError::TooBig { max: Message::<B>::LEN_MAX })
        }
    }

    /// Sends `message`, or what was [kept](super::Datagram::keep), from one of the service's sockets to `to`: a host, a
    /// group, everyone on a link, or this host itself. Any number in one call of the service: full bursts leave by themselves.
    ///
    /// # Errors
    /// Why it was not sent; then nothing was, and its buffer is free again.
    pub fn send(
        &mut self,
        message: impl Into<Message<B>>,
        to: SocketAddr,
        options: &SendOptions,
    ) -> Result<(), SendError> {
        self.engine.send(message.into(), to, options)
    }

    /// Sends the payload of `kept`, as it is then, back to where it came from: as [`Datagram::reply`](super::Datagram::reply)
    /// does, but later, and by the routes and neighbours.
    ///
    /// # Errors
    /// Why it was not sent.
    // U21, RFC 1122 4.1.3.5: from the address that was asked, or for a group or everyone, from one of our own.
    pub fn reply(&mut self, kept: Kept<B>) -> Result<(), SendError> {
        let asked = kept.destination().ip();
        let options = SendOptions {
            socket: Some(kept.socket()),
            source: (kept.cast() == crate::io::Cast::Unicast).then_some(asked),
            interface: Some(kept.interface()),
            ..SendOptions::default()
        };
        let to = kept.source();
        self.send(kept, to, &options)
    }

    /// Has [`timer`](super::Service::timer) called once at `at`, or as soon as can be after it. Each instance has one
    /// deadline: the latest that was set counts.
    pub fn set_timer(&mut self, at: Instant) {
        self.engine.set_timer(Some(at));
    }

    /// Forgets the deadline.
    pub fn cancel_timer(&mut self) {
        self.engine.set_timer(None);
    }
}
