//! What a thread asks of control for its socket, and what it is told.
//!
//! Whatever changes who receives what (where a socket is bound, its peer, its groups) is control's to do, for it alone changes
//! anything: a thread calls, and is answered when every worker has followed. What concerns the thread alone, as how its
//! datagrams leave or how long its queues are, is in its endpoint and needs no call.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Endpoint;
use crate::io::InterfaceId;
use crate::stack::net_view::ChooseError;
use crate::stack::port_table::SocketId;
use crate::stack::sockets::Errno;

/// Something to be done for a thread's socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// socket(2): a new one.
    Open {
        /// AF_INET6, not AF_INET.
        v6: bool,
    },
    /// bind(2). UDP port 0: any that is free (U25).
    Bind {
        /// Which.
        socket: SocketId,
        /// Where.
        local: SocketAddr,
    },
    /// What sending does to a socket that is not bound: it gets a UDP port (U25).
    Autobind {
        /// Which.
        socket: SocketId,
    },
    /// connect(2).
    Connect {
        /// Which.
        socket: SocketId,
        /// Its only peer from now on.
        peer: SocketAddr,
        /// `IP_MULTICAST_IF`: by which interface groups are sent to, if it was chosen.
        multicast_interface: Option<InterfaceId>,
    },
    /// connect(2) to AF_UNSPEC (P09): no peer any more.
    Disconnect {
        /// Which.
        socket: SocketId,
    },
    /// setsockopt(2) of an option that is control's concern.
    Set {
        /// Which.
        socket: SocketId,
        /// The option, with its new value.
        option: SocketOption,
    },
    /// What the socket wants of a group changes: RFC 3678 4.1.2, 5.1.2.
    Member {
        /// Which.
        socket: SocketId,
        /// The group.
        group: IpAddr,
        /// On which interface. None: by the route to the group (P04).
        interface: Option<InterfaceId>,
        /// What changes.
        change: MemberChange,
    },
    /// What the socket wants of a group: getsockopt(2) `MCAST_MSFILTER`.
    Filter {
        /// Which.
        socket: SocketId,
        /// The group.
        group: IpAddr,
        /// On which interface. None: by the route to the group (P04).
        interface: Option<InterfaceId>,
    },
    /// getsockopt(2) `IP_MTU`: how large a packet to this address may be at present, in bytes of IP.
    PathMtu {
        /// The interface by which it is reached.
        interface: InterfaceId,
        /// The address.
        dst: IpAddr,
    },
    /// close(2).
    Close {
        /// Which.
        socket: SocketId,
    },
}

/// An option that decides who receives what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketOption {
    /// `SO_REUSEADDR`.
    ReuseAddress(bool),
    /// `SO_REUSEPORT`.
    ReusePort(bool),
    /// `IPV6_V6ONLY`.
    V6Only(bool),
    /// `SO_BINDTODEVICE`: one interface, or every.
    Device(Option<InterfaceId>),
    /// `IP_MULTICAST_ALL`.
    MulticastAll(bool),
    /// `IPV6_MULTICAST_ALL`.
    MulticastAll6(bool),
}

/// What changes of a membership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberChange {
    /// `MCAST_JOIN_GROUP`, `IP_ADD_MEMBERSHIP`: from any source.
    Join,
    /// `MCAST_LEAVE_GROUP`, `IP_DROP_MEMBERSHIP`.
    Leave,
    /// `MCAST_JOIN_SOURCE_GROUP`, `IP_ADD_SOURCE_MEMBERSHIP`: from this source, too.
    JoinSource(IpAddr),
    /// `MCAST_LEAVE_SOURCE_GROUP`, `IP_DROP_SOURCE_MEMBERSHIP`: from it no more.
    LeaveSource(IpAddr),
    /// `MCAST_BLOCK_SOURCE`: of a group joined for any source, not from this one.
    Block(IpAddr),
    /// `MCAST_UNBLOCK_SOURCE`: from it again.
    Unblock(IpAddr),
    /// `MCAST_MSFILTER`, `IP_MSFILTER`: exactly this.
    SetFilter(FilterMode, Vec<IpAddr>),
}

/// RFC 3678 3: how a list of sources is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FilterMode {
    /// `MCAST_INCLUDE`: from these alone.
    Include,
    /// `MCAST_EXCLUDE`: from all but these.
    Exclude,
}

/// What a [`Call`] came to.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The new socket, closed if nobody keeps it.
    Opened(SocketId, Arc<Endpoint>),
    /// It is done, and this is where the socket is now.
    Done(Place),
    /// What is wanted of the group.
    Filter(FilterMode, Vec<IpAddr>),
    /// Bytes.
    PathMtu(u16),
    /// It cannot be done.
    Refused(Refusal),
}

/// Why it cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// ENETDOWN: the host has ended, or is about to.
    #[error("the host has stopped, and its sockets with it")]
    Down,
    /// ENFILE: so many sockets are open as may be.
    #[error("as many sockets are open as may be: the key sockets.max is the limit")]
    TooManySockets,
    /// EMFILE: the process has no file descriptor left.
    #[error("the process has no file descriptor left: raise its limit (ulimit -n)")]
    TooManyFiles,
    /// EBADF: the socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// EINVAL: bind(2) is for a socket that is not bound.
    #[error("the socket is bound already")]
    AlreadyBound,
    /// EAFNOSUPPORT, or EINVAL of a group: an address of the other IP version.
    #[error("the address is of the other IP version")]
    Family,
    /// EADDRNOTAVAIL: the address is none of this host's.
    #[error("the address is none of this host's, or not used yet: see `pollcast ctl addresses`")]
    NotOurs,
    /// EADDRINUSE: another socket has the place, and one of the two does not share it.
    #[error("another socket has that address and port")]
    InUse,
    /// EADDRINUSE: of port 0, or EAGAIN of sending: no ephemeral port is free.
    #[error("no ephemeral port is free")]
    NoPort,
    /// EINVAL: an option that can only be set before the socket is bound.
    #[error("this can be set only before the socket is bound")]
    TooLate,
    /// ENOPROTOOPT: an option of IPv6, and a socket of IPv4.
    #[error("this is an option of IPv6's sockets")]
    NoSuchOption,
    /// EINVAL: an IPv4 address, which is shorter than what a socket of IPv6 is bound to.
    #[error("a socket of IPv6 is bound to an IPv6 address, as [::ffff:198.18.0.2]")]
    TooShort,
    /// EINVAL: an IPv4-mapped address, and the socket is for IPv6 alone.
    #[error("the socket is for IPv6 alone: set_v6only(false) changes that")]
    V6Only,
    /// No way leads there; the error says why, and has its errno.
    #[error(transparent)]
    NoWay(#[from] ChooseError),
    /// ENODEV: there is no such interface, or none by which the group is reached.
    #[error("there is no such interface")]
    NoInterface,
    /// EINVAL: the address is no group.
    #[error("the address is no group's")]
    NotAGroup,
    /// EADDRINUSE: the group is joined already.
    #[error("the socket has joined the group there already")]
    AlreadyJoined,
    /// EADDRNOTAVAIL: the group is not joined, or the source not named.
    #[error("the socket has not joined the group there, or from that source")]
    NotJoined,
    /// EINVAL: the membership is of the other mode, or the source is not blocked.
    #[error("the membership is for other sources than such a change is for")]
    OtherMode,
    /// ENOBUFS: so many groups are joined, or sources named, as may be.
    #[error(
        "as many groups are joined, or sources named, as may be: see the keys memberships_max, sources_max and groups_max"
    )]
    TooMany,
}

impl Refusal {
    /// What Linux calls it.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Down => Errno::ENETDOWN,
            Self::TooManySockets => Errno::ENFILE,
            Self::TooManyFiles => Errno::EMFILE,
            Self::Closed => Errno::EBADF,
            Self::AlreadyBound
            | Self::TooLate
            | Self::TooShort
            | Self::V6Only
            | Self::NotAGroup
            | Self::OtherMode => Errno::EINVAL,
            Self::Family => Errno::EAFNOSUPPORT,
            Self::NotOurs | Self::NotJoined => Errno::EADDRNOTAVAIL,
            Self::InUse | Self::NoPort | Self::AlreadyJoined => Errno::EADDRINUSE,
            Self::NoSuchOption => Errno::ENOPROTOOPT,
            Self::NoWay(why) => match why {
                ChooseError::NetworkUnreachable => Errno::ENETUNREACH,
                ChooseError::Scope => Errno::EINVAL,
                ChooseError::NoInterface => Errno::ENODEV,
                ChooseError::AddressNotAvailable => Errno::EADDRNOTAVAIL,
            },
            Self::NoInterface => Errno::ENODEV,
            Self::TooMany => Errno::ENOBUFS,
        }
    }
}

impl From<Refusal> for std::io::Error {
    fn from(why: Refusal) -> Self {
        Self::from_raw_os_error(why.errno().number())
    }
}

/// Where a socket is, as getsockname(2) and getpeername(2) say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its address and UDP port; unspecified, port 0: it is not bound.
    pub local: SocketAddr,
    /// Its peer, if it is connected.
    pub peer: Option<SocketAddr>,
}

/// Whoever does what threads ask for their sockets: control, from any thread.
pub trait Ask: Send + Sync + core::fmt::Debug {
    /// Asks, and waits until it is done.
    fn ask(&self, call: Call) -> Reply;

    /// Has `socket` closed, and waits for nothing: for whoever drops one.
    fn close(&self, socket: SocketId);
}
