//! What a socket is told of datagrams that did not arrive: its pending error, and its error queue.

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crossbeam::queue::ArrayQueue;

use crate::io::{IcmpError, IcmpErrorKind, InterfaceId, PmtuDiscovery};
use crate::stack::sockets::Errno;

/// Errors that a socket's queue holds; of more at once, the newest are dropped.
const QUEUE_LEN: usize = 64;

/// Who found out that a datagram did not arrive: `ee_origin` of Linux's `sock_extended_err`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorOrigin {
    /// This host.
    Local,
    /// Someone who sent an ICMP message.
    Icmp,
    /// Someone who sent an ICMPv6 message.
    Icmp6,
}

/// An error of a datagram that was sent, as `MSG_ERRQUEUE` tells it: ip(7) `IP_RECVERR`. The payload is not with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueuedError {
    /// What it is called.
    pub errno: Errno,
    /// Who found out.
    pub origin: ErrorOrigin,
    /// The type of the ICMP message; 0 if it is local.
    pub icmp_type: u8,
    /// The code of the ICMP message; 0 if it is local.
    pub icmp_code: u8,
    /// Of a datagram that was too long: bytes of IP that would do. Of a parameter problem: the byte that is wrong. Else 0.
    pub info: u32,
    /// Who said so.
    pub offender: Option<IpAddr>,
    /// To where the datagram was sent.
    pub destination: SocketAddr,
    /// By which interface it was sent, or the error came.
    pub interface: InterfaceId,
}

impl QueuedError {
    /// Whether the network reported it, and not this host.
    fn is_reported(&self) -> bool {
        self.origin != ErrorOrigin::Local
    }
}

/// What Linux makes of an ICMP error: the errno, and whether it is *hard*, so that a connected socket is told without having asked.
// C15, Linux `icmp_err_convert`, `icmpv6_err_convert`, `__udp4_lib_err`: by type and code, as they were on the wire.
#[must_use]
pub const fn convert(error: &IcmpError) -> (Errno, bool) {
    if let IcmpErrorKind::TooBig { .. } = error.kind {
        return (Errno::EMSGSIZE, true);
    }
    match (error.peer.is_ipv4(), error.icmp_type, error.icmp_code) {
        (true, 3, code) => unreachable_v4(code),
        (true, 12, _) => (Errno::EPROTO, true),
        (true, ..) => (Errno::EHOSTUNREACH, false),
        (false, 1, code) => unreachable_v6(code),
        (false, 3, _) => (Errno::EHOSTUNREACH, false),
        (false, 4, _) => (Errno::EPROTO, true),
        (false, ..) => (Errno::EPROTO, false),
    }
}

/// RFC 792, RFC 1122 3.2.2.1: by the code of a "destination unreachable".
const fn unreachable_v4(code: u8) -> (Errno, bool) {
    match code {
        0 | 11 => (Errno::ENETUNREACH, false),
        2 => (Errno::ENOPROTOOPT, true),
        3 => (Errno::ECONNREFUSED, true),
        5 => (Errno::EOPNOTSUPP, false),
        6 | 9 => (Errno::ENETUNREACH, true),
        7 => (Errno::EHOSTDOWN, true),
        8 => (Errno::ENONET, true),
        10 | 13..=15 => (Errno::EHOSTUNREACH, true),
        _ => (Errno::EHOSTUNREACH, false),
    }
}

/// RFC 4443 3.1: by the code of a "destination unreachable".
const fn unreachable_v6(code: u8) -> (Errno, bool) {
    match code {
        0 => (Errno::ENETUNREACH, false),
        1 | 5 | 6 => (Errno::EACCES, true),
        2 | 3 => (Errno::EHOSTUNREACH, false),
        4 => (Errno::ECONNREFUSED, true),
        _ => (Errno::EPROTO, true),
    }
}

/// The number of an errno that is none.
const NONE: u16 = u16::MAX;

/// A socket's errors. Workers add, without a lock; threads take.
#[derive(Debug)]
pub(super) struct Errors {
    /// Its number.
    pending: AtomicU16,
    /// Made when the socket asks for it, so that a worker need not.
    queue: OnceLock<ArrayQueue<QueuedError>>,
    /// The oldest of the queue, once an older one was taken. For those alone who take.
    oldest: Mutex<Option<QueuedError>>,
}

impl Default for Errors {
    fn default() -> Self {
        Self { pending: AtomicU16::new(NONE), queue: OnceLock::new(), oldest: Mutex::default() }
    }
}

impl Errors {
    /// Has room for what is to be told in detail from now on.
    pub(super) fn open_queue(&self) {
        self.queue.get_or_init(|| ArrayQueue::new(QUEUE_LEN));
    }

    /// The next call is told this, if no earlier one is in its place.
    pub(super) fn set_pending(&self, errno: Errno) {
        self.pending.store(number(errno), Ordering::Release);
    }

    /// Adds to the queue, if the socket has asked for it and there is room.
    // Linux `ip_icmp_error`: with the error itself comes the detail, or else neither.
    pub(super) fn push(&self, error: QueuedError) -> bool {
        self.queue.get().is_some_and(|queue| queue.push(error).is_ok())
    }

    /// The pending error, which is none any more. socket(7) `SO_ERROR`.
    pub(super) fn take_pending(&self) -> Option<Errno> {
        if self.pending.load(Ordering::Relaxed) == NONE {
            return None;
        }
        errno(self.pending.swap(NONE, Ordering::AcqRel))
    }

    /// The oldest in the queue.
    // Linux `sock_dequeue_err_skb`: the pending error is then that of the next one, if the network reported that; or none, if it
    // reported the one that is taken.
    pub(super) fn pop(&self) -> Option<QueuedError> {
        let queue = self.queue.get()?;
        let mut oldest = self.oldest();
        let taken = oldest.take().or_else(|| queue.pop())?;
        *oldest = queue.pop();
        match oldest.filter(QueuedError::is_reported) {
            Some(next) => self.set_pending(next.errno),
            None if taken.is_reported() => self.pending.store(NONE, Ordering::Release),
            None => {}
        }
        Some(taken)
    }

    /// Takes all, and leaves the pending error as it is.
    pub(super) fn forget_queued(&self) {
        let Some(queue) = self.queue.get() else { return };
        *self.oldest() = None;
        while queue.pop().is_some() {}
    }

    fn oldest(&self) -> MutexGuard<'_, Option<QueuedError>> {
        // Nothing that holds it can leave it half changed.
        self.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a pending error.
    pub(super) fn has_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire) != NONE
    }

    /// Whether there is nothing to be told.
    pub(super) fn is_empty(&self) -> bool {
        let is_queue_empty = |queue: &ArrayQueue<_>| queue.is_empty() && self.oldest().is_none();
        !self.has_pending() && self.queue.get().is_none_or(is_queue_empty)
    }
}

fn number(errno: Errno) -> u16 {
    u16::try_from(errno.number()).unwrap_or(NONE)
}

fn errno(number: u16) -> Option<Errno> {
    ERRNOS.into_iter().find(|errno| self::number(*errno) == number)
}

/// Those that can be pending.
const ERRNOS: [Errno; 14] = [
    Errno::ECONNREFUSED,
    Errno::EHOSTUNREACH,
    Errno::ENETUNREACH,
    Errno::EMSGSIZE,
    Errno::ENOPROTOOPT,
    Errno::EPROTO,
    Errno::EACCES,
    Errno::EOPNOTSUPP,
    Errno::EHOSTDOWN,
    Errno::ENONET,
    Errno::ENOBUFS,
    Errno::ENETDOWN,
    Errno::EINVAL,
    Errno::EADDRNOTAVAIL,
];

impl QueuedError {
    /// What the queue says of an ICMP error.
    pub(super) fn of(error: &IcmpError) -> Self {
        let info = match error.kind {
            IcmpErrorKind::TooBig { mtu } => u32::from(mtu),
            IcmpErrorKind::ParameterProblem { pointer } => pointer,
            _ => 0,
        };
        Self {
            errno: convert(error).0,
            origin: if error.peer.is_ipv4() { ErrorOrigin::Icmp } else { ErrorOrigin::Icmp6 },
            icmp_type: error.icmp_type,
            icmp_code: error.icmp_code,
            info,
            offender: Some(error.reporter),
            destination: error.peer,
            interface: error.interface,
        }
    }
}

/// Whether a socket that discovers path MTUs like this hears of an error at all.
// Linux `__udp4_lib_err`: without discovery, "fragmentation needed" concerns nobody; `__udp6_lib_err`: who does not believe
// routers is not told that a packet was too big.
pub(super) const fn concerns(error: &IcmpError, discovery: PmtuDiscovery) -> bool {
    match (error.kind, error.peer.is_ipv4()) {
        (IcmpErrorKind::TooBig { .. }, true) => !matches!(discovery, PmtuDiscovery::Dont),
        (IcmpErrorKind::TooBig { .. }, false) => discovery.believes_routers(),
        _ => true,
    }
}
