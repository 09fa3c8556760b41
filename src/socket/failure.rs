//! What sending, receiving and options may fail with: one enum each, every value with Linux's errno. What other verbs may fail with,
//! `stack::sockets` decides, and has an enum for each.

use std::io;

use crate::stack::net_view::ChooseError;
use crate::stack::sockets::{BindError, Errno, SetError};

/// Why nothing was received.
#[derive(Debug, thiserror::Error)]
pub enum RecvError {
    /// EAGAIN: nothing is there, and the socket does not block, or not for longer (`SO_RCVTIMEO`).
    #[error("nothing has arrived")]
    WouldBlock,
    /// What the network reported of a datagram that this socket sent: its pending error.
    #[error("of a datagram that was sent before, the network reports: {0}")]
    Reported(Errno),
    /// ENETDOWN: the host has stopped.
    #[error("the host has stopped, and its sockets with it")]
    Down,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// EAGAIN: as much is on its way as may be (`SO_SNDBUF`), or the worker has as much to do as it can take.
    #[error("as much is on its way as may be: wait until some of it is sent")]
    WouldBlock,
    /// ENOBUFS: there is no packet left, or no room in the worker's queue and none to wait for it.
    #[error(
        "no packet is free: the keys sockets.packets_256, packets_2048 and packets_65536 say how many there are"
    )]
    NoBuffers,
    /// EDESTADDRREQ: the socket has no peer, and none was named.
    #[error("to whom? connect the socket, or name an address")]
    DestinationRequired,
    /// EAFNOSUPPORT: an IPv6 address, and a socket of IPv4, or bound to an IPv4 address.
    #[error("a socket of IPv4, or bound to an IPv4 address, cannot send to an IPv6 address")]
    Family,
    /// EINVAL: UDP port 0.
    #[error("UDP port 0 cannot be sent to")]
    PortZero,
    /// EINVAL: a control message says that an IPv4 datagram has a TTL of 0.
    #[error("an IPv4 datagram with a TTL of 0 would not leave")]
    TtlZero,
    /// EINVAL: `IPV6_PKTINFO` names a source that is no address of this host's, or one of the other IP version.
    #[error("the source is no address of this host, or of the other IP version")]
    SourceNotOurs,
    /// EINVAL: the source is a group or everyone on a link. U21.
    #[error("the socket is bound to an address that nothing can be sent from")]
    Source,
    /// EACCES: to a broadcast address, without `SO_BROADCAST`.
    #[error("this is a broadcast address: set_broadcast(true) permits it")]
    Broadcast,
    /// EMSGSIZE: longer than a datagram can be, or than the path carries while it is not to be cut.
    #[error("longer than a datagram to there can be")]
    TooLong,
    /// EINVAL: to an IPv4 address, while a datagram to an IPv6 address is begun (`UDP_CORK`, `MSG_MORE`).
    #[error("the datagram that this would continue goes to an IPv6 address, and this is one of IPv4")]
    BegunOtherwise,
    /// ENETUNREACH: IPv4 by a socket that is for IPv6 alone, as one is that is bound to an IPv6 address.
    #[error("the socket is for IPv6 alone, and this is an address of IPv4")]
    OtherVersion,
    /// No way leads there: the error says why.
    #[error(transparent)]
    NoWay(#[from] ChooseError),
    /// What the network reported of a datagram that this socket sent earlier: its pending error.
    #[error("of a datagram that was sent before, the network reports: {0}")]
    Reported(Errno),
    /// ENETDOWN: the host has stopped.
    #[error("the host has stopped, and its sockets with it")]
    Down,
    /// The socket is not bound, and binding it failed.
    #[error("cannot bind the socket: {0}")]
    Autobind(#[source] BindError),
    /// EINVAL: what is to be sent to is no address, or a name that stands for none.
    #[error("this is no address and UDP port, as \"198.18.0.1:7\" or \"[2001:db8::1]:7\" is")]
    NoAddress,
}

impl RecvError {
    /// What Linux calls it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::WouldBlock => Errno::EAGAIN,
            Self::Reported(errno) => *errno,
            Self::Down => Errno::ENETDOWN,
        }
    }
}

impl SendError {
    /// What Linux calls it.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::WouldBlock => Errno::EAGAIN,
            Self::NoBuffers => Errno::ENOBUFS,
            Self::DestinationRequired => Errno::EDESTADDRREQ,
            Self::Family => Errno::EAFNOSUPPORT,
            Self::PortZero | Self::TtlZero | Self::SourceNotOurs | Self::Source => Errno::EINVAL,
            Self::BegunOtherwise | Self::NoAddress => Errno::EINVAL,
            Self::Broadcast => Errno::EACCES,
            Self::TooLong => Errno::EMSGSIZE,
            Self::OtherVersion => Errno::ENETUNREACH,
            Self::NoWay(why) => errno_of(*why),
            Self::Reported(errno) => *errno,
            Self::Down => Errno::ENETDOWN,
            // Where bind(2) has EADDRINUSE.
            Self::Autobind(BindError::NoPort) => Errno::EAGAIN,
            Self::Autobind(why) => why.errno(),
        }
    }
}

/// What Linux calls the want of a way.
const fn errno_of(why: ChooseError) -> Errno {
    match why {
        ChooseError::NetworkUnreachable => Errno::ENETUNREACH,
        ChooseError::Scope => Errno::EINVAL,
        ChooseError::NoInterface => Errno::ENODEV,
        ChooseError::AddressNotAvailable => Errno::EADDRNOTAVAIL,
    }
}

impl From<RecvError> for io::Error {
    fn from(error: RecvError) -> Self {
        Self::from_raw_os_error(error.errno().number())
    }
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        Self::from_raw_os_error(error.errno().number())
    }
}

/// Why an option could not be set, or got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionError {
    /// ENOPROTOOPT: an option of IPv6, and a socket of IPv4.
    #[error("this is an option of IPv6's sockets")]
    NoSuchOption,
    /// EINVAL.
    #[error("the option cannot have that value")]
    Invalid,
    /// EADDRNOTAVAIL: no interface has that address, or none has that number.
    #[error("no interface of this host's has it")]
    NotOurs,
    /// ENODEV.
    #[error("there is no such interface")]
    NoInterface,
    /// ENOTCONN.
    #[error("the socket has no peer: connect it")]
    NotConnected,
    /// EINVAL.
    #[error("this can be set only before the socket is bound")]
    TooLate,
    /// EBADF.
    #[error("the socket is closed")]
    Closed,
    /// ENETDOWN.
    #[error("the host has stopped, and its sockets with it")]
    Down,
}

impl From<SetError> for OptionError {
    fn from(why: SetError) -> Self {
        match why {
            SetError::Closed => Self::Closed,
            SetError::NoSuchOption => Self::NoSuchOption,
            SetError::TooLate => Self::TooLate,
            SetError::NoInterface => Self::NoInterface,
        }
    }
}

impl OptionError {
    /// What Linux calls it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::NoSuchOption => Errno::ENOPROTOOPT,
            Self::Invalid | Self::TooLate => Errno::EINVAL,
            Self::NotOurs => Errno::EADDRNOTAVAIL,
            Self::NoInterface => Errno::ENODEV,
            Self::NotConnected => Errno::ENOTCONN,
            Self::Closed => Errno::EBADF,
            Self::Down => Errno::ENETDOWN,
        }
    }
}

impl From<OptionError> for io::Error {
    fn from(error: OptionError) -> Self {
        Self::from_raw_os_error(error.errno().number())
    }
}
