//! How threads learn that it is worth looking again: those that wait in a call sleep on a futex, those outside wait for an eventfd;
//! either is touched only when somebody waits by it.
//!
//! The file descriptor is *readable* while there is something to take (or to send again), for whoever waits: with poll(2),
//! select(2), epoll(7) level- or edge-triggered, mio, tokio's `AsyncFd`. A woken thread may find that another was quicker: it
//! then gets `EWOULDBLOCK`, as on Linux. Nobody but this file reads or writes it. Calls that wait do not touch it: what they wait for may
//! be less than what it tells, which must not go out of sight meanwhile.
//!
//! What must not happen is that something is there, somebody waits, and nobody writes. So whoever clears the descriptor
//! first says that a write is wanted, then looks once more; and whoever adds something first adds it, then looks whether
//! a write is wanted. One of the two sees the other. So with whoever goes to [sleep](super::sleepers).

use core::sync::atomic::{AtomicBool, Ordering, fence};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Instant;

use rustix::event::{EventfdFlags, eventfd};

use super::sleepers::Sleepers;

/// One thing that threads wait for.
#[derive(Debug, Default)]
pub struct Readiness {
    fd: OnceLock<OwnedFd>,
    /// Whether the descriptor is with somebody outside, who may wait for it at any time.
    registered: AtomicBool,
    /// Whether whoever adds something is to write.
    wanted: AtomicBool,
    /// Whether the descriptor may be readable.
    signalled: AtomicBool,
    /// Threads that wait in [`wait`](Self::wait).
    sleepers: Sleepers,
}

impl Readiness {
    /// Something was added, or taken out of the way: wakes whoever waits. Two loads and a fence if nobody does. Call it once for
    /// all that was added at a time.
    #[inline]
    pub fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.wanted.load(Ordering::Relaxed) {
            self.write();
        }
        self.sleepers.wake_after_fence();
    }

    /// Something was taken: if nothing is left, the descriptor is no longer readable.
    #[inline]
    pub(super) fn taken(&self, is_ready: impl Fn() -> bool) {
        if self.signalled.load(Ordering::Relaxed) && !is_ready() {
            self.clear(is_ready);
        }
    }

    /// There was nothing: whoever waits outside is to be woken by what comes next.
    #[inline]
    pub(super) fn found_nothing(&self, is_ready: impl Fn() -> bool) {
        let is_set = self.wanted.load(Ordering::Relaxed) && !self.signalled.load(Ordering::Relaxed);
        if self.registered.load(Ordering::Relaxed) && !is_set {
            self.clear(is_ready);
        }
    }

    /// Waits until `is_ready`, or until the deadline: then it is false. What is waited for may be less than what the descriptor tells, but
    /// nothing that is not [notified](Self::notify).
    pub(super) fn wait(&self, is_ready: impl Fn() -> bool, until: Option<Instant>) -> bool {
        self.sleepers.wait(is_ready, until)
    }

    /// The descriptor, for whoever waits outside. From now on it is kept up to date.
    ///
    /// # Errors
    /// There is no file descriptor left (`EMFILE`).
    pub(super) fn register(&self, is_ready: impl Fn() -> bool) -> io::Result<BorrowedFd<'_>> {
        let fd = self.fd()?;
        if !self.registered.swap(true, Ordering::Relaxed) {
            self.clear(is_ready);
        }
        Ok(fd)
    }

    /// Makes the descriptor, if there is none yet.
    ///
    /// # Errors
    /// There is no file descriptor left (`EMFILE`).
    pub(super) fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(fd) = self.fd.get() {
            return Ok(fd.as_fd());
        }
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(self.fd.get_or_init(|| fd).as_fd())
    }

    /// Makes the descriptor not readable, has the next write wanted, and looks whether that is too late.
    #[cold]
    fn clear(&self, is_ready: impl Fn() -> bool) {
        if self.signalled.swap(false, Ordering::SeqCst)
            && let Some(fd) = self.fd.get()
        {
            // Nothing to read: another thread was quicker.
            let _ = rustix::io::read(fd, &mut [0u8; 8]);
        }
        // Never to false again: whoever has the descriptor may wait for it at any time.
        self.wanted.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if is_ready() {
            self.write();
        }
    }

    /// Makes the descriptor readable, unless somebody else does.
    #[cold]
    fn write(&self) {
        if self.wanted.swap(false, Ordering::SeqCst)
            && let Some(fd) = self.fd.get()
        {
            self.signalled.store(true, Ordering::SeqCst);
            // It cannot be full: it is read before a second write is wanted, or has had as many writes as there were races.
            let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
            // Again, for whoever cleared it between the two.
            self.signalled.store(true, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests;
