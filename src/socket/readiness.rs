//! How threads learn that it is worth looking again: an eventfd, which is written only when somebody waits.
//!
//! The file descriptor is *readable* while there is something to take (or to send again), for whoever waits: with poll(2),
//! select(2), epoll(7) level- or edge-triggered, mio, tokio's `AsyncFd`. A woken thread may find that another was quicker: it
//! then gets `EWOULDBLOCK`, as on Linux. Nobody but this file reads or writes it.
//!
//! What must not happen is that something is there, somebody waits, and nobody writes. So whoever clears the descriptor
//! first says that a write is wanted, then looks once more; and whoever adds something first adds it, then looks whether
//! a write is wanted. One of the two sees the other.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// One thing that threads wait for.
#[derive(Debug, Default)]
pub struct Readiness {
    fd: OnceLock<OwnedFd>,
    /// Whether the descriptor is with somebody outside, who may wait for it at any time.
    registered: AtomicBool,
    /// Threads that wait in [`wait`](Self::wait).
    waiting: AtomicUsize,
    /// Whether whoever adds something is to write.
    wanted: AtomicBool,
    /// Whether the descriptor may be readable.
    signalled: AtomicBool,
}

impl Readiness {
    /// Something was added, or taken out of the way: wakes whoever waits. One load and a fence if nobody does. Call it once for
    /// all that was added at a time.
    #[inline]
    pub fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.wanted.load(Ordering::Relaxed) {
            self.write();
        }
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

    /// Waits until `is_ready`, or until the deadline: then it is false.
    ///
    /// # Errors
    /// There is no file descriptor left (`EMFILE`).
    pub(super) fn wait(&self, is_ready: impl Fn() -> bool, until: Option<Instant>) -> io::Result<bool> {
        let fd = self.fd()?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waited = self.wait_on(fd, &is_ready, until);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        waited
    }

    fn wait_on(
        &self,
        fd: BorrowedFd<'_>,
        is_ready: &impl Fn() -> bool,
        until: Option<Instant>,
    ) -> io::Result<bool> {
        loop {
            self.clear(is_ready);
            if is_ready() {
                return Ok(true);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], left.as_ref()) {
                // A signal interrupts a call on Linux that has no time limit only if its handler asks for that; none is lost here.
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
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
        let is_wanted = self.registered.load(Ordering::Relaxed) || self.waiting.load(Ordering::Relaxed) > 0;
        if is_wanted {
            // Never to false: another thread that waits may just have made it true.
            self.wanted.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if is_ready() {
                self.write();
            }
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
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::socket::{Endpoint, EndpointOptions, Packets, PacketsOptions};

    fn endpoint(small: usize) -> Arc<Endpoint> {
        let packets = Packets::new(&PacketsOptions { small, medium: 0, large: 0 });
        Endpoint::new(packets, EndpointOptions::default()).unwrap()
    }

    fn deliver(endpoint: &Endpoint, payload: &[u8]) {
        endpoint.deliver(endpoint.packets().copy(payload).unwrap()).unwrap();
        endpoint.notify();
    }

    fn take(endpoint: &Endpoint) -> bool {
        endpoint.take().map(|packet| endpoint.packets().give(packet)).is_some()
    }

    fn is_readable(endpoint: &Endpoint) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(endpoint.readable_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    // U11: an empty datagram is something to receive, too.
    #[test]
    fn the_descriptor_is_readable_while_something_is_there() {
        let endpoint = endpoint(8);
        assert!(!is_readable(&endpoint));
        deliver(&endpoint, b"");
        assert!(is_readable(&endpoint));
        deliver(&endpoint, b"two");
        assert!(take(&endpoint) && is_readable(&endpoint));
        assert!(take(&endpoint) && !is_readable(&endpoint));
        assert!(!take(&endpoint) && !is_readable(&endpoint));
        deliver(&endpoint, b"three");
        assert!(is_readable(&endpoint));
    }

    #[test]
    fn what_is_there_before_anyone_asks_for_the_descriptor_shows() {
        let endpoint = endpoint(8);
        deliver(&endpoint, b"early");
        assert!(is_readable(&endpoint));
    }

    #[test]
    fn a_worker_writes_nothing_while_nobody_waits() {
        let readiness = Readiness::default();
        readiness.fd().unwrap();
        (0..10).for_each(|_| readiness.notify());
        assert!(!readiness.signalled.load(Ordering::SeqCst));
        readiness.register(|| false).unwrap();
        (0..10).for_each(|_| readiness.notify());
        let mut count = [0; 8];
        rustix::io::read(readiness.fd().unwrap(), &mut count).unwrap();
        assert_eq!(u64::from_ne_bytes(count), 1, "and once for all, if somebody does");
    }

    #[test]
    fn a_deadline_comes_when_nothing_else_does() {
        let endpoint = endpoint(1);
        let until = Instant::now() + Duration::from_millis(20);
        assert!(!endpoint.wait_readable(Some(until)).unwrap());
        assert!(Instant::now() >= until);
        deliver(&endpoint, b"x");
        assert!(endpoint.wait_readable(Some(until)).unwrap(), "it is there already");
    }

    /// Many who add, many who wait: everyone is woken as often as is needed, and everything is taken once.
    #[test]
    fn nobody_sleeps_through_what_arrives() {
        const ADDERS: usize = 3;
        const EACH: usize = 20_000;
        for registered in [false, true] {
            let endpoint = endpoint(64);
            if registered {
                let _ = endpoint.readable_fd();
            }
            let left = AtomicUsize::new(ADDERS * EACH);
            thread::scope(|scope| {
                for _ in 0..ADDERS {
                    scope.spawn(|| {
                        for _ in 0..EACH {
                            let packet = loop {
                                match endpoint.packets().copy(b"") {
                                    Some(packet) => break packet,
                                    None => thread::yield_now(),
                                }
                            };
                            endpoint.deliver(packet).unwrap();
                            endpoint.notify();
                        }
                    });
                }
                for _ in 0..4 {
                    scope.spawn(|| {
                        while left.load(Ordering::SeqCst) > 0 {
                            assert!(endpoint.wait_readable(None).unwrap());
                            while take(&endpoint) {
                                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                                    endpoint.end();
                                }
                            }
                        }
                    });
                }
            });
            assert_eq!((left.into_inner(), endpoint.packets().free()[0]), (0, 64));
        }
    }
}
