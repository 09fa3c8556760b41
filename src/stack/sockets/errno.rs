//! The names and numbers of errors, as Linux has them for sockets.

/// What a call on a socket fails with, by Linux's name: errno(3). The numbers are Linux's on x86-64 and aarch64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i32)]
pub enum Errno {
    /// Operation not permitted.
    EPERM = 1,
    /// Input/output error.
    EIO = 5,
    /// Bad file descriptor: the socket is closed.
    EBADF = 9,
    /// Resource temporarily unavailable: try again later.
    EAGAIN = 11,
    /// Cannot allocate memory.
    ENOMEM = 12,
    /// Permission denied: broadcasts want `SO_BROADCAST`.
    EACCES = 13,
    /// No such device: no such interface.
    ENODEV = 19,
    /// Invalid argument.
    EINVAL = 22,
    /// Too many open files in system: so many sockets are open as may be.
    ENFILE = 23,
    /// Too many open files.
    EMFILE = 24,
    /// Machine is not on the network.
    ENONET = 64,
    /// Protocol error.
    EPROTO = 71,
    /// Destination address required.
    EDESTADDRREQ = 89,
    /// Message too long.
    EMSGSIZE = 90,
    /// Protocol not available: there is no such option.
    ENOPROTOOPT = 92,
    /// Operation not supported.
    EOPNOTSUPP = 95,
    /// Address family not supported by protocol.
    EAFNOSUPPORT = 97,
    /// Address already in use.
    EADDRINUSE = 98,
    /// Cannot assign requested address.
    EADDRNOTAVAIL = 99,
    /// Network is down: the host has stopped.
    ENETDOWN = 100,
    /// Network is unreachable.
    ENETUNREACH = 101,
    /// No buffer space available.
    ENOBUFS = 105,
    /// Transport endpoint is already connected.
    EISCONN = 106,
    /// Transport endpoint is not connected.
    ENOTCONN = 107,
    /// Connection refused.
    ECONNREFUSED = 111,
    /// Host is down.
    EHOSTDOWN = 112,
    /// No route to host.
    EHOSTUNREACH = 113,
}

impl Errno {
    /// Linux's number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self, f)
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.number())
    }
}
