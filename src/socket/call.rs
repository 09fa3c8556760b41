//! What a thread asks of control for its socket, and what it is told.
//!
//! Whatever changes who receives what (where a socket is bound, its peer, its groups) is control's to do, for it alone changes
//! anything: a thread calls, and is answered when every worker has followed. What concerns the thread alone, as how its
//! datagrams leave or how long its queues are, is in its endpoint and needs no call.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Endpoint, OptionError};
use crate::io::InterfaceId;
use crate::stack::port_table::SocketId;
use crate::stack::sockets::{BindError, Closed, ConnectError, MemberError, OpenError, SetError};
pub use crate::stack::sockets::{ConnectOptions, FilterMode, MemberChange, Place, SocketOption};

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
        /// What its options say of how it sends.
        options: ConnectOptions,
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
    /// It cannot be done, and this is where the socket is now: connect(2) binds it, though no way leads to the peer.
    Failed(Refusal, Place),
    /// It cannot be done.
    Refused(Refusal),
}

/// Why it cannot be, whatever it was: whoever called is told by the error of that call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// ENETDOWN: the host has ended, or is about to.
    #[error("the host has stopped, and its sockets with it")]
    Down,
    /// EMFILE: the process has no file descriptor left.
    #[error("the process has no file descriptor left: raise its limit (ulimit -n)")]
    TooManyFiles,
    /// EBADF: the socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// ENODEV: there is no such interface.
    #[error("there is no such interface")]
    NoInterface,
    /// ENOBUFS: so many groups are joined on the interface as may be.
    #[error("as many groups are joined on the interface as may be: the key groups_max is the limit")]
    TooManyGroups,
    /// socket(2).
    #[error(transparent)]
    Open(#[from] OpenError),
    /// bind(2).
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What sending does to a socket that is not bound: EAGAIN, where bind(2) has EADDRINUSE.
    #[error("the socket is not bound, and cannot be: {0}")]
    Autobind(BindError),
    /// connect(2).
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// setsockopt(2).
    #[error(transparent)]
    Set(#[from] SetError),
    /// setsockopt(2) of a group, or getsockopt(2) of its sources.
    #[error(transparent)]
    Member(#[from] MemberError),
}

impl From<Closed> for Refusal {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

// What each verb says of it. Not every one of them can be said of each.
impl From<Refusal> for OpenError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Open(why) => why,
            Refusal::TooManyFiles => Self::TooManyFiles,
            _ => Self::Down,
        }
    }
}

impl From<Refusal> for BindError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Bind(why) | Refusal::Autobind(why) => why,
            Refusal::Closed => Self::Closed,
            _ => Self::Down,
        }
    }
}

impl From<Refusal> for ConnectError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Connect(why) => why,
            Refusal::Closed => Self::Closed,
            _ => Self::Down,
        }
    }
}

impl From<Refusal> for MemberError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Member(why) => why,
            Refusal::Closed => Self::Closed,
            Refusal::NoInterface => Self::NoInterface,
            Refusal::TooManyGroups => Self::TooManyGroups,
            _ => Self::Down,
        }
    }
}

impl From<Refusal> for OptionError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Set(why) => why.into(),
            Refusal::Closed => Self::Closed,
            Refusal::NoInterface => Self::NoInterface,
            _ => Self::Down,
        }
    }
}

/// Whoever does what threads ask for their sockets: control, from any thread.
pub trait Ask: Send + Sync + core::fmt::Debug {
    /// Asks, and waits until it is done.
    fn ask(&self, call: Call) -> Reply;

    /// Has `socket` closed, and waits for nothing: for whoever drops one.
    fn close(&self, socket: SocketId);
}
