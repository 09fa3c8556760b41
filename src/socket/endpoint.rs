//! One socket, as its threads, the workers and control share it.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

use super::packet::Packet;
use super::packets::Packets;
use super::readiness::Readiness;
use super::receive::{RCVBUF_DEFAULT, RCVBUF_MIN, ReceiveQueue, charge};

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
    options: EndpointOptions,
    receive: ReceiveQueue,
    readable: Readiness,
    writable: Readiness,
    /// Bytes charged for what was handed to workers and is not sent yet.
    in_flight: AtomicUsize,
    sndbuf: AtomicUsize,
    /// Whether its host has stopped.
    ended: AtomicBool,
}

impl Endpoint {
    /// With nothing in it. Its packets come from `packets`.
    ///
    /// # Errors
    /// The process has no file descriptor left (`EMFILE`): a socket has one, as on Linux.
    pub fn new(packets: Arc<Packets>, options: EndpointOptions) -> io::Result<Arc<Self>> {
        let endpoint = Self {
            packets,
            options,
            receive: ReceiveQueue::new(options.rcvbuf),
            readable: Readiness::default(),
            writable: Readiness::default(),
            in_flight: AtomicUsize::new(0),
            sndbuf: AtomicUsize::new(options.sndbuf),
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
        let before = self.in_flight.fetch_add(charge(len), Ordering::Relaxed);
        if before < self.sndbuf() {
            return Ok(());
        }
        self.in_flight.fetch_sub(charge(len), Ordering::Relaxed);
        Err(Full)
    }

    /// Something of `len` bytes of payload was sent, or could not be. For workers.
    pub fn sent(&self, len: usize) {
        self.in_flight.fetch_sub(charge(len), Ordering::Relaxed);
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
        self.receive.set_limit(doubled(asked, RCVBUF_MIN, self.options.rcvbuf_max));
    }

    /// Sets `SO_SNDBUF`, to the double of what is asked for, within bounds: socket(7).
    pub fn set_sndbuf(&self, asked: usize) {
        self.sndbuf.store(doubled(asked, SNDBUF_MIN, self.options.sndbuf_max), Ordering::Relaxed);
        self.writable.notify();
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

    /// Waits until there is something to receive or to be told; false: the deadline came first.
    pub fn wait_readable(&self, until: Option<Instant>) -> io::Result<bool> {
        self.readable.wait(|| self.is_readable(), until)
    }

    /// Waits until it is worth trying to send again; false: the deadline came first.
    pub fn wait_writable(&self, until: Option<Instant>, has_room: impl Fn() -> bool) -> io::Result<bool> {
        self.writable.wait(|| self.is_writable() && has_room() || self.has_ended(), until)
    }

    /// The descriptor that is readable while there is something to receive or to be told.
    pub fn readable_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.readable.register(|| self.is_readable())
    }

    /// The descriptor that is readable while it is worth trying to send.
    pub fn writable_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.writable.register(|| self.is_writable())
    }

    fn is_readable(&self) -> bool {
        !self.receive.is_empty() || self.has_ended()
    }

    fn is_writable(&self) -> bool {
        self.in_flight() < self.sndbuf() || self.has_ended()
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
