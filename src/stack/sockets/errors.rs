//! Why a call on a socket fails: an enum for each verb, every value with Linux's errno.

use super::Errno;
use crate::stack::net_view::ChooseError;

/// EBADF: the socket is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the socket is closed")]
pub struct Closed;

/// Why there is no socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// ENFILE.
    #[error("as many sockets are open as may be: the key sockets.max is the limit")]
    TooMany,
    /// EMFILE.
    #[error("the process has no file descriptor left: raise its limit (ulimit -n)")]
    TooManyFiles,
    /// ENETDOWN.
    #[error("the host has stopped, and its sockets with it")]
    Down,
}

/// Why a socket cannot be bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BindError {
    /// EBADF.
    #[error("the socket is closed")]
    Closed,
    /// EINVAL: it is, or it is connected.
    #[error("the socket is bound already")]
    AlreadyBound,
    /// EAFNOSUPPORT, for a socket of IPv4.
    #[error("a socket of IPv4 cannot be bound to an IPv6 address")]
    NotV4,
    /// EINVAL, for a socket of IPv6: IPv4's addresses are written as IPv4-mapped ones.
    #[error("a socket of IPv6 is bound to an IPv4 address as ::ffff:a.b.c.d")]
    NotV6,
    /// EINVAL: an IPv4-mapped address, and a socket with `IPV6_V6ONLY`.
    #[error("the socket is for IPv6 alone, and this is an address of IPv4")]
    V6Only,
    /// EINVAL. P12.
    #[error("an address of one link needs the scope id of its interface")]
    Scope,
    /// ENODEV: of that scope id.
    #[error("there is no interface with that scope id")]
    NoInterface,
    /// EADDRNOTAVAIL.
    #[error("the address is none of this host's, or not used yet: see `pollcast ctl addresses`")]
    NotOurs,
    /// EADDRINUSE.
    #[error("another socket has that address and port, and one of the two does not share it")]
    InUse,
    /// EADDRINUSE; EAGAIN of a call that binds by the way.
    #[error("no ephemeral port is free")]
    NoPort,
    /// EINVAL: what is to be bound to is no address, or a name that stands for none.
    #[error("this is no address and UDP port, as \"0.0.0.0:7\" or \"[::]:7\" is")]
    NoAddress,
    /// There is no socket to be bound: the error says why, and has its errno.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// ENETDOWN.
    #[error("the host has stopped, and its sockets with it")]
    Down,
}

/// Why a socket cannot be connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConnectError {
    /// EBADF.
    #[error("the socket is closed")]
    Closed,
    /// EAGAIN: the socket was not bound, and cannot be.
    #[error("no ephemeral port is free")]
    NoPort,
    /// EAFNOSUPPORT.
    #[error("the address is of the other IP version than the socket, or than where it is bound")]
    Family,
    /// ENETUNREACH: an IPv4-mapped peer, and a socket for IPv6 alone.
    #[error("the socket is for IPv6 alone, and the peer an address of IPv4")]
    V6Only,
    /// EINVAL. P12.
    #[error(
        "an address of one link needs the scope id of its interface, and that the socket is bound to no other"
    )]
    Scope,
    /// EINVAL.
    #[error("the socket is bound to an address that nothing can be sent from")]
    Source,
    /// EACCES. U22.
    #[error("this is a broadcast address: set_broadcast(true) permits it")]
    Broadcast,
    /// The error says why, and has its errno.
    #[error(transparent)]
    NoWay(#[from] ChooseError),
    /// EINVAL: what is to be connected to is no address, or a name that stands for none.
    #[error("this is no address and UDP port, as \"198.18.0.1:7\" or \"[2001:db8::1]:7\" is")]
    NoAddress,
    /// There is no socket to be connected: the error says why, and has its errno.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// ENETDOWN.
    #[error("the host has stopped, and its sockets with it")]
    Down,
}

/// Why an option cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SetError {
    /// EBADF.
    #[error("the socket is closed")]
    Closed,
    /// ENOPROTOOPT.
    #[error("this is an option of IPv6's sockets")]
    NoSuchOption,
    /// EINVAL.
    #[error("this can be set only before the socket is bound")]
    TooLate,
    /// ENODEV.
    #[error("there is no such interface")]
    NoInterface,
}

/// Why a membership cannot change like that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MemberError {
    /// EBADF.
    #[error("the socket is closed")]
    Closed,
    /// ENOPROTOOPT.
    #[error("a socket of IPv4 cannot join an IPv6 group")]
    NoSuchOption,
    /// EOPNOTSUPP, of asking for the sources.
    #[error("a socket of IPv4 has no sources of an IPv6 group")]
    NotSupported,
    /// EINVAL.
    #[error("the address is no group's")]
    NotAGroup,
    /// ENODEV. P04.
    #[error("there is no such interface, or no route leads to the group")]
    NoInterface,
    /// EADDRINUSE.
    #[error("the socket has joined the group there already")]
    AlreadyJoined,
    /// EADDRNOTAVAIL, of leaving a group and of asking for its sources.
    #[error("the socket has not joined the group there")]
    NotJoined,
    /// EINVAL, of what changes the sources of a group.
    #[error("the socket has not joined the group there, and has no sources to change: join it first")]
    NoSources,
    /// EINVAL. P02.
    #[error("the group is joined with sources of the other kind: those to include, or to exclude")]
    OtherMode,
    /// EADDRNOTAVAIL.
    #[error("that source is named already")]
    SourceNamed,
    /// EADDRNOTAVAIL.
    #[error("that source is not named")]
    SourceNotNamed,
    /// EADDRNOTAVAIL.
    #[error("group and source are of different IP versions")]
    SourceFamily,
    /// ENOBUFS. P03.
    #[error(
        "the socket has joined as many IPv4 groups as it may: the key sockets.memberships_max is the limit"
    )]
    TooManyMemberships,
    /// ENOBUFS. P03.
    #[error(
        "as many sources of the group are named as may be: see the keys sockets.sources_max and sources6_max"
    )]
    TooManySources,
    /// ENOBUFS: of all sockets together.
    #[error("as many groups are joined on the interface as may be: the key groups_max is the limit")]
    TooManyGroups,
    /// ENETDOWN.
    #[error("the host has stopped, and its sockets with it")]
    Down,
}

impl Closed {
    /// What Linux calls it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        Errno::EBADF
    }
}

impl OpenError {
    /// What Linux calls it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::TooMany => Errno::ENFILE,
            Self::TooManyFiles => Errno::EMFILE,
            Self::Down => Errno::ENETDOWN,
        }
    }
}

impl BindError {
    /// What Linux calls it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Closed => Errno::EBADF,
            Self::AlreadyBound | Self::NotV6 | Self::V6Only | Self::Scope | Self::NoAddress => Errno::EINVAL,
            Self::NotV4 => Errno::EAFNOSUPPORT,
            Self::NoInterface => Errno::ENODEV,
            Self::NotOurs => Errno::EADDRNOTAVAIL,
            Self::InUse | Self::NoPort => Errno::EADDRINUSE,
            Self::Open(why) => why.errno(),
            Self::Down => Errno::ENETDOWN,
        }
    }
}

impl ConnectError {
    /// What Linux calls it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Closed => Errno::EBADF,
            Self::NoPort => Errno::EAGAIN,
            Self::Family => Errno::EAFNOSUPPORT,
            Self::V6Only => Errno::ENETUNREACH,
            Self::Scope | Self::Source | Self::NoAddress => Errno::EINVAL,
            Self::Open(why) => why.errno(),
            Self::Down => Errno::ENETDOWN,
            Self::Broadcast => Errno::EACCES,
            Self::NoWay(why) => match why {
                ChooseError::NetworkUnreachable => Errno::ENETUNREACH,
                ChooseError::Scope => Errno::EINVAL,
                ChooseError::NoInterface => Errno::ENODEV,
                ChooseError::AddressNotAvailable => Errno::EADDRNOTAVAIL,
            },
        }
    }
}

impl SetError {
    /// What Linux calls it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Closed => Errno::EBADF,
            Self::NoSuchOption => Errno::ENOPROTOOPT,
            Self::TooLate => Errno::EINVAL,
            Self::NoInterface => Errno::ENODEV,
        }
    }
}

impl MemberError {
    /// What Linux calls it.
    // P01-P04.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Closed => Errno::EBADF,
            Self::NoSuchOption => Errno::ENOPROTOOPT,
            Self::NotSupported => Errno::EOPNOTSUPP,
            Self::NotAGroup | Self::NoSources | Self::OtherMode => Errno::EINVAL,
            Self::NoInterface => Errno::ENODEV,
            Self::AlreadyJoined => Errno::EADDRINUSE,
            Self::NotJoined | Self::SourceNamed | Self::SourceNotNamed | Self::SourceFamily => {
                Errno::EADDRNOTAVAIL
            }
            Self::TooManyMemberships | Self::TooManySources | Self::TooManyGroups => Errno::ENOBUFS,
            Self::Down => Errno::ENETDOWN,
        }
    }
}

macro_rules! as_io {
    ($($error:ty),*) => {$(
        impl From<$error> for std::io::Error {
            fn from(why: $error) -> Self {
                why.errno().into()
            }
        }
    )*};
}

as_io!(OpenError, BindError, ConnectError, MemberError);
