//! What a worker sleeps by: one epoll set for its queues' events and for those who wake it.

use core::time::Duration;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::io::{Wait, Wake, Waker, Woken};

/// How a file descriptor says that there is something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trigger {
    /// Once each time that something arrives: an eventfd, which then need not be read.
    Edge,
    /// As long as there is something.
    Level,
}

/// An epoll set.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

/// What `ret` came to: a number, or the reason in errno.
fn check(ret: i32) -> io::Result<i32> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

impl Epoll {
    fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just opened, and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Has what can be read from `fd` end a wait.
    pub(super) fn add(&self, fd: RawFd, trigger: Trigger) -> io::Result<()> {
        let edge = if trigger == Trigger::Edge { libc::EPOLLET.cast_unsigned() } else { 0 };
        let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned() | edge, u64: 0 };
        // SAFETY: the set is open; `event` is read. An `fd` that is none is refused.
        let ret = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        check(ret).map(drop)
    }

    /// The end of that.
    pub(super) fn remove(&self, fd: RawFd) {
        // SAFETY: the set is open; no event is read. One that was closed is not in the set any more, and refused.
        let _may_be_gone =
            unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, core::ptr::null_mut()) };
    }

    /// Waits until something in the set is ready, or `at_most` has passed. Whether something was.
    // In nanoseconds, which epoll_wait does not know, and epoll_pwait2 only since Linux 5.11.
    fn wait(&self, at_most: Duration) -> bool {
        let mut set = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(at_most.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        // SAFETY: one entry, and a time that is read; no signal mask.
        let ready = unsafe { libc::ppoll(&raw mut set, 1, &raw const time, core::ptr::null()) };
        if ready > 0 {
            self.take_events();
        }
        // A signal, as tap's for each packet, is an event as well.
        ready != 0
    }

    /// Takes note of all that is ready: of what has edges, the next one is news again.
    fn take_events(&self) {
        const MAX: usize = 16;
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MAX];
        let room = i32::try_from(MAX).unwrap_or(i32::MAX);
        // SAFETY: there is room for `room` events; it does not wait.
        let _ready = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, 0) };
    }
}

/// Wakes a worker from any thread.
#[derive(Debug)]
struct Bell(Arc<File>);

impl Wake for Bell {
    fn wake(&self) {
        // It can fail only when the counter is full, and then it is set.
        let _ = (&*self.0).write(&1u64.to_ne_bytes());
    }
}

/// What one worker sleeps by.
#[derive(Debug)]
pub struct EventWait {
    epoll: Arc<Epoll>,
    /// Stays open as long as it is in the set.
    bell: Arc<File>,
    /// Whether the thread's timers were made precise.
    is_precise: bool,
}

impl EventWait {
    /// With nothing in it but the way to wake its worker.
    ///
    /// # Errors
    /// The process has too many files open.
    pub fn new() -> io::Result<(Self, Waker)> {
        let epoll = Arc::new(Epoll::new()?);
        // SAFETY: takes no pointer.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: just opened, and nobody else's.
        let bell = Arc::new(unsafe { File::from_raw_fd(fd) });
        epoll.add(fd, Trigger::Edge)?;
        let waker = Waker::new(Box::new(Bell(Arc::clone(&bell))));
        Ok((Self { epoll, bell, is_precise: false }, waker))
    }

    pub(super) fn epoll(&self) -> &Arc<Epoll> {
        &self.epoll
    }

    /// Linux lets timers of a thread be 50 us late, to wake seldom. One that sleeps for 50 us wants them on time.
    #[cold]
    fn be_precise(&mut self) {
        self.is_precise = true;
        // SAFETY: takes no pointer; of the calling thread.
        if unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) } != 0 {
            tracing::debug!("prctl(PR_SET_TIMERSLACK): {}", io::Error::last_os_error());
        }
    }
}

impl Wait for EventWait {
    fn wait(&mut self, at_most: Duration) -> Woken {
        debug_assert!(self.bell.as_raw_fd() >= 0, "it is in the set");
        if !self.is_precise {
            self.be_precise();
        }
        if self.epoll.wait(at_most) { Woken::ByEvent } else { Woken::ByTime }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_wake_before_the_sleep_ends_it_and_only_it() {
        let (mut wait, waker) = EventWait::new().unwrap();
        assert_eq!(wait.wait(Duration::from_millis(1)), Woken::ByTime);
        waker.fall_asleep();
        waker.wake();
        assert_eq!(wait.wait(LONG), Woken::ByEvent);
        assert_eq!(wait.wait(Duration::from_millis(1)), Woken::ByTime);
        // Again, though nobody has read the eventfd.
        waker.fall_asleep();
        waker.wake();
        assert_eq!(wait.wait(LONG), Woken::ByEvent);
    }

    #[test]
    fn a_sleep_is_as_long_as_asked() {
        let (mut wait, _waker) = EventWait::new().unwrap();
        for micros in [50, 2000] {
            let (asked, began) = (Duration::from_micros(micros), Instant::now());
            assert_eq!(wait.wait(asked), Woken::ByTime);
            assert!(began.elapsed() >= asked);
        }
    }

    #[test]
    fn an_event_of_a_queue_ends_a_sleep_until_it_is_taken_out() {
        let (mut wait, _waker) = EventWait::new().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        wait.epoll().add(reader.as_raw_fd(), Trigger::Level).unwrap();
        assert_eq!(wait.wait(Duration::from_millis(1)), Woken::ByTime);
        writer.write_all(b"x").unwrap();
        // Nobody reads it: it stays ready.
        assert_eq!([wait.wait(LONG), wait.wait(LONG)], [Woken::ByEvent; 2]);
        wait.epoll().remove(reader.as_raw_fd());
        assert_eq!(wait.wait(Duration::from_millis(1)), Woken::ByTime);
        wait.epoll().add(reader.as_raw_fd(), Trigger::Edge).unwrap();
        assert_eq!(wait.wait(LONG), Woken::ByEvent);
        assert_eq!(wait.wait(Duration::from_millis(1)), Woken::ByTime);
        writer.write_all(b"x").unwrap();
        assert_eq!(wait.wait(LONG), Woken::ByEvent);
    }

    // A sleep that slept its whole time would be a wake that was lost: senders answer only what they hear.
    #[test]
    fn no_message_is_slept_over() {
        use crossbeam::channel::bounded;

        const SENDERS: usize = 3;
        const MESSAGES: usize = 20_000;
        let (mut wait, waker) = EventWait::new().unwrap();
        let (way, queue) = bounded::<usize>(8);
        let senders: Vec<_> = (0..SENDERS)
            .map(|who| {
                let (way, waker) = (way.clone(), waker.clone());
                thread::spawn(move || {
                    for n in 0..MESSAGES {
                        while way.try_send(n).is_err() {
                            thread::yield_now();
                        }
                        waker.wake();
                        // Now in step with the sleeper, now not.
                        for _ in 0..(n * (who + 3)) % 61 {
                            core::hint::spin_loop();
                        }
                    }
                })
            })
            .collect();
        let (mut received, mut sleeps) = (0, 0);
        while received < SENDERS * MESSAGES {
            waker.fall_asleep();
            if let Ok(_message) = queue.try_recv() {
                received += 1;
            } else {
                sleeps += 1;
                assert_eq!(wait.wait(LONG), Woken::ByEvent, "after {received} messages and {sleeps} sleeps");
            }
            waker.stay_awake();
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(sleeps > 0, "it never slept");
    }
}
