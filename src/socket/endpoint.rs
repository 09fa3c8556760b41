//! One socket, as its threads, the workers and control share it.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

use super::errors::{Errors, QueuedError, concerns, convert};
use super::options::Options;
use super::packet::Packet;
use super::packets::Packets;
use super::readiness::Readiness;
use super::receive::{RCVBUF_DEFAULT, RCVBUF_MIN, ReceiveQueue, charge};
use crate::io::{IcmpError, PmtuDiscovery};
use crate::stack::sockets::Errno;

/// The least that `SO_SNDBUF` says: Linux's `SOCK_MIN_SNDBUF`.
pub(super) const SNDBUF_MIN: usize = 4608;

/// How much a socket may take, in bytes as [`charge`] counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointOptions {
    /// What `SO_RCVBUF` says at first.
    pub rcvbuf: usize,
    /// The most that it says.
    pub rcvbuf_max: usize,
    /// What `SO_SNDBUF` says at first.
    pub sndbuf: usize,
    /// The most that it says.
    pub sndbuf_max: usize,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        let (buf, max) = (RCVBUF_DEFAULT, 8 << 20);
        Self { rcvbuf: buf, rcvbuf_max: max, sndbuf: buf, sndbuf_max: max }
    }
}

/// A thread's socket: what waits in it, and who waits for it.
///
/// Workers call [`deliver`](Self::deliver), [`sent`](Self::sent) and [`notify`](Self::notify); they neither wait nor ask the
/// heap for anything. Whoever gives the last handle away frees its memory: that should not be a worker, so control keeps one until no
/// worker has any.
#[derive(Debug)]
pub struct Endpoint {
    packets: Arc<Packets>,
    limits: EndpointOptions,
    options: Options,
    receive: ReceiveQueue,
    errors: Errors,
    readable: Readiness,
    writable: Readiness,
    /// Bytes charged for what was handed to workers and is not sent yet.
    in_flight: AtomicUsize,
    sndbuf: AtomicUsize,
    /// Datagrams that were delivered, and sent.
    counts: [AtomicU64; 2],
    /// Whether it waits until a worker's queue has room again.
    waits_for_room: AtomicBool,
    /// Whether its host has stopped.
    ended: AtomicBool,
}

impl Endpoint {
    /// With nothing in it. Its packets come from `packets`.
    ///
    /// # Errors
    /// The process has no file descriptor left (`EMFILE`): a socket has one, as on Linux.
    pub fn new(packets: Arc<Packets>, limits: EndpointOptions) -> io::Result<Arc<Self>> {
        let endpoint = Self {
            packets,
            limits,
            options: Options::default(),
            receive: ReceiveQueue::new(limits.rcvbuf),
            errors: Errors::default(),
            readable: Readiness::default(),
            writable: Readiness::default(),
            in_flight: AtomicUsize::new(0),
            sndbuf: AtomicUsize::new(limits.sndbuf),
            counts: [const { AtomicU64::new(0) }; 2],
            waits_for_room: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        };
        endpoint.readable.fd()?;
        Ok(Arc::new(endpoint))
    }

    /// Adds a datagram to what is to be received. For workers; [`notify`](Self::notify) is to follow, once for all.
    ///
    /// # Errors
    /// The packet: there is no room for it.
    #[inline]
    pub fn deliver(&self, packet: Box<Packet>) -> Result<(), Box<Packet>> {
        self.receive.push(packet)
    }

    /// Wakes whoever waits for something to receive. For workers.
    #[inline]
    pub fn notify(&self) {
        self.readable.notify();
    }

    /// Something of `len` bytes of payload was handed to a worker to be sent.
    ///
    /// # Errors
    /// So much is on its way already that this would be too much: `EWOULDBLOCK`.
    // socket(7) SO_SNDBUF, Linux `sock_alloc_send_pskb`: while what is on its way is less than the limit, one more may be.
    pub fn reserve(&self, len: usize) -> Result<(), Full> {
        let sndbuf = self.sndbuf();
        let add = |before: usize| (before < sndbuf).then(|| before + charge(len));
        // In one step: another thread would take for full what this one only tries to fill.
        let reserved = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        reserved.map_or(Err(Full), |_| Ok(()))
    }

    /// What was [reserved](Self::reserve) and [charged](charge) so much was sent, or could not be. For workers.
    pub fn sent(&self, charged: usize) {
        self.in_flight.fetch_sub(charged, Ordering::Relaxed);
        self.writable.notify();
    }

    /// So many more were delivered, and sent. For workers: once for all of a burst, as several may share a socket.
    #[inline]
    pub fn count(&self, rx: u64, tx: u64) {
        for (cell, more) in self.counts.iter().zip([rx, tx]) {
            if more > 0 {
                cell.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    /// Datagrams that were delivered, whether they have been taken or not, and datagrams that were sent, so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let [rx, tx] = &self.counts;
        (rx.load(Ordering::Relaxed), tx.load(Ordering::Relaxed))
    }

    /// What was [reserved](Self::reserve) is not handed over after all: another thread may have found it in its way.
    pub(super) fn unreserve(&self, len: usize) {
        self.sent(charge(len));
    }

    /// The network reports that a datagram of this socket did not arrive: the next call fails with that, if the socket is connected
    /// and it is an error that Linux calls hard, or if it asked for all (`IP_RECVERR`). For workers.
    // C15, RFC 1122 4.1.3.3, Linux `__udp4_lib_err`: a socket that sends to many must not be stopped by one.
    pub fn hear(&self, error: &IcmpError) {
        let options = self.options.ip(error.peer.is_ipv6());
        let discovery = options.discovery.get();
        if !concerns(error, discovery) {
            return;
        }
        let (errno, is_hard) = convert(error);
        // Linux `__udp6_lib_err`: who does not discover path MTUs may have it in the queue, and is not stopped by it.
        let is_hard = is_hard && !(errno == Errno::EMSGSIZE && discovery == PmtuDiscovery::Dont);
        if options.receive_errors.load(Ordering::Relaxed) {
            // Of too many, the first are told.
            let _ = self.errors.push(QueuedError::of(error));
        } else if !(is_hard && self.options.connected.load(Ordering::Relaxed)) {
            return;
        }
        self.fail(errno);
    }

    /// Whether it believes what routers say of the paths of its datagrams of that IP version. For workers.
    #[must_use]
    pub fn believes_routers(&self, is_v6: bool) -> bool {
        self.options.ip(is_v6).discovery.get().believes_routers()
    }

    /// The next call fails with `errno`: what a worker could not send. With `detail` for the error queue, if the socket has one.
    pub fn fail_late(&self, errno: Errno, detail: QueuedError) {
        if self.options.ip(detail.destination.is_ipv6()).receive_errors.load(Ordering::Relaxed) {
            let _ = self.errors.push(detail);
        }
        self.fail(errno);
    }

    fn fail(&self, errno: Errno) {
        self.errors.set_pending(errno);
        self.readable.notify();
        self.writable.notify();
    }

    /// A worker's queue is full: is told by [`has_room`](Self::has_room) when it is not any more. `list` puts the socket on the list of
    /// those who wait, on which it is once; false: there is no room there either.
    pub(super) fn wait_for_room(&self, list: impl FnOnce() -> bool) -> bool {
        if self.waits_for_room.swap(true, Ordering::SeqCst) {
            return true;
        }
        let listed = list();
        if !listed {
            self.waits_for_room.store(false, Ordering::SeqCst);
        }
        listed
    }

    /// The worker's queue has room again. For workers.
    pub(super) fn has_room(&self) {
        self.waits_for_room.store(false, Ordering::SeqCst);
        self.writable.notify();
    }

    /// The host stops: every call that waits returns, and every other fails (`ENETDOWN`), but what has arrived can be taken.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.readable.notify();
        self.writable.notify();
    }

    /// Whether its host has stopped.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Where its packets come from.
    #[must_use]
    pub fn packets(&self) -> &Arc<Packets> {
        &self.packets
    }

    /// What waits to be received.
    #[must_use]
    pub fn receive(&self) -> &ReceiveQueue {
        &self.receive
    }

    /// Bytes charged for what is on its way to be sent. ioctl(2): `SIOCOUTQ`.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// `SO_SNDBUF`.
    #[must_use]
    pub fn sndbuf(&self) -> usize {
        self.sndbuf.load(Ordering::Relaxed)
    }

    /// Sets `SO_RCVBUF`, to the double of what is asked for, within bounds: socket(7).
    pub fn set_rcvbuf(&self, asked: usize) {
        self.receive.set_limit(doubled(asked, RCVBUF_MIN, self.limits.rcvbuf_max));
    }

    /// Sets `SO_SNDBUF`, to the double of what is asked for, within bounds: socket(7).
    pub fn set_sndbuf(&self, asked: usize) {
        self.sndbuf.store(doubled(asked, SNDBUF_MIN, self.limits.sndbuf_max), Ordering::Relaxed);
        self.writable.notify();
    }

    /// Its options.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Its errors.
    pub(super) fn errors(&self) -> &Errors {
        &self.errors
    }

    /// The pending error, which is none any more.
    pub(super) fn take_pending(&self) -> Option<Errno> {
        let pending = self.errors.take_pending()?;
        self.readable.taken(|| self.is_readable());
        Some(pending)
    }

    /// Adds to the error queue what this host found out in a call that says so itself.
    // Linux `ip_local_error`, `sock_queue_err_skb`: there is no pending error of it, but who polls is woken.
    pub(super) fn queue_error(&self, error: QueuedError) {
        if self.errors.push(error) {
            self.readable.notify();
        }
    }

    /// The oldest of the error queue.
    pub(super) fn take_queued(&self) -> Option<QueuedError> {
        let queued = self.errors.pop();
        self.readable.taken(|| self.is_readable());
        if queued.is_some() && self.errors.has_pending() {
            // Linux `sock_dequeue_err_skb`: the next one is told to whoever waits.
            self.readable.notify();
            self.writable.notify();
        }
        queued
    }

    /// Empties the error queue.
    pub(super) fn forget_queued(&self) {
        self.errors.forget_queued();
        self.readable.taken(|| self.is_readable());
    }

    /// Takes the oldest datagram.
    pub fn take(&self) -> Option<Box<Packet>> {
        let taken = self.receive.pop();
        match taken {
            Some(_) => self.readable.taken(|| self.is_readable()),
            None => self.readable.found_nothing(|| self.is_readable()),
        }
        taken
    }

    /// Looks at the oldest datagram, which stays.
    pub(super) fn peek<R>(&self, look: impl FnOnce(&Packet) -> R) -> Option<R> {
        let seen = self.receive.peek(look);
        if seen.is_none() {
            self.readable.found_nothing(|| self.is_readable());
        }
        seen
    }

    /// Waits until there is something to receive or to be told; false: the deadline came first.
    pub fn wait_readable(&self, until: Option<Instant>) -> bool {
        // What is in the error queue alone, a call that waits for a datagram is not told.
        let is_ready = || !self.receive.is_empty() || self.errors.has_pending() || self.has_ended();
        self.readable.wait(is_ready, until)
    }

    /// Waits until it is worth trying to send again; false: the deadline came first.
    pub fn wait_writable(&self, until: Option<Instant>) -> bool {
        self.writable.wait(|| self.is_writable(), until)
    }

    /// Sending was not possible: whoever waits outside is told when it is worth trying again.
    pub(super) fn found_no_room(&self) {
        self.writable.found_nothing(|| self.is_writable());
    }

    /// The descriptor that is readable while there is something to receive or to be told.
    #[must_use]
    pub fn readable_fd(&self) -> BorrowedFd<'_> {
        self.readable.register(|| self.is_readable()).expect("it was made with the endpoint")
    }

    /// The descriptor that is readable while it is worth trying to send.
    pub fn writable_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.writable.register(|| self.is_writable())
    }

    fn is_readable(&self) -> bool {
        !self.receive.is_empty() || !self.errors.is_empty() || self.has_ended()
    }

    fn is_writable(&self) -> bool {
        let has_room = self.in_flight() < self.sndbuf() && !self.waits_for_room.load(Ordering::SeqCst);
        has_room || self.errors.has_pending() || self.has_ended()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        while let Some(packet) = self.receive.pop() {
            self.packets.give(packet);
        }
    }
}

/// As much as may be is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// What a buffer's size becomes that was asked for.
fn doubled(asked: usize, min: usize, max: usize) -> usize {
    asked.saturating_mul(2).min(max).max(min)
}
