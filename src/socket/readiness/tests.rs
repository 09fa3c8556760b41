//! That nobody sleeps through what arrives.

use core::net::SocketAddr;
use core::sync::atomic::AtomicUsize;
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;
use crate::io::{IcmpError, IcmpErrorKind, InterfaceId};
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
    assert!(!endpoint.wait_readable(Some(until)));
    assert!(Instant::now() >= until);
    deliver(&endpoint, b"x");
    assert!(endpoint.wait_readable(Some(until)), "it is there already");
}

// MSG_PEEK: who finds nothing that way, too, is to be woken by what comes next, also edge-triggered.
#[test]
fn who_peeks_at_nothing_is_told_of_what_comes_next() {
    let endpoint = endpoint(1);
    assert!(!is_readable(&endpoint));
    deliver(&endpoint, b"x");
    // Another thread has taken it, and not said so yet.
    endpoint.packets().give(endpoint.receive().pop().unwrap());
    assert!(endpoint.peek(|_| ()).is_none());
    assert!(!is_readable(&endpoint));
    deliver(&endpoint, b"y");
    assert!(is_readable(&endpoint) && endpoint.peek(|_| ()).is_some());
}

// SO_SNDBUF: what a call had reserved and does not use may have been in the way of others, who wait.
#[test]
fn what_is_not_handed_over_makes_room() {
    let endpoint = endpoint(1);
    let fd = endpoint.writable_fd().unwrap();
    let is_writable = || {
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    };
    let reserved = core::iter::repeat_with(|| endpoint.reserve(65_000)).take_while(Result::is_ok).count();
    endpoint.found_no_room();
    assert!(reserved > 0 && !is_writable());
    endpoint.unreserve(65_000);
    assert!(is_writable());
}

// Who tries in vain does not make it seem fuller than it is: another that looks at that time would sleep, and nobody would wake it.
#[test]
fn a_try_in_vain_takes_no_room() {
    let endpoint = endpoint(1);
    while endpoint.reserve(65_000).is_ok() {}
    let full = endpoint.in_flight();
    thread::scope(|scope| {
        let trying = scope.spawn(|| (0..300_000).all(|_| endpoint.reserve(65_000).is_err()));
        while !trying.is_finished() {
            assert_eq!(endpoint.in_flight(), full);
        }
        assert!(trying.join().unwrap());
    });
}

const ADDERS: usize = 3;
const EACH: usize = 20_000;

/// Many who add, many who wait: everyone is woken as often as is needed, and everything is taken once.
#[test]
fn nobody_sleeps_through_what_arrives() {
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
                        assert!(endpoint.wait_readable(None));
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

/// Waits outside for what is to be taken or told.
fn await_outside(endpoint: &Endpoint) {
    let mut fds = [PollFd::from_borrowed_fd(endpoint.readable_fd(), PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&Timespec { tv_sec: 20, tv_nsec: 0 })).unwrap(), 1, "not woken");
}

/// One error for each of so many datagrams.
const DATAGRAMS_AN_ERROR: usize = 50;

/// What is heard of a datagram to where nobody listens.
fn refused() -> IcmpError {
    let ours = "198.18.0.2:7".parse().unwrap();
    let peer: SocketAddr = "198.18.0.1:9".parse().unwrap();
    IcmpError {
        kind: IcmpErrorKind::PortUnreachable,
        reporter: peer.ip(),
        local: ours,
        peer,
        interface: InterfaceId(0),
        icmp_type: 3,
        icmp_code: 3,
    }
}

/// Threads that wait in a call for datagrams, one outside for datagrams, and one outside for the error queue, which ends no call that
/// waits: what one takes, or goes to sleep on, is not out of another's sight.
#[test]
fn nobody_sleeps_through_what_is_for_him_alone() {
    let endpoint = endpoint(64);
    endpoint.errors().open_queue();
    endpoint.options().ip(false).receive_errors.store(true, Ordering::Relaxed);
    let (left, told) = (AtomicUsize::new(ADDERS * EACH), AtomicUsize::new(0));
    let errors = ADDERS * EACH / DATAGRAMS_AN_ERROR;
    let heard = AtomicUsize::new(0);
    let take_all = || {
        endpoint.take_pending();
        while take(&endpoint) {
            left.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let add = |number: usize| {
        while number.is_multiple_of(DATAGRAMS_AN_ERROR) {
            // No more than the queue has room for.
            let before = heard.load(Ordering::SeqCst);
            let swap = || heard.compare_exchange(before, before + 1, Ordering::SeqCst, Ordering::SeqCst);
            if before < told.load(Ordering::SeqCst) + 32 && swap().is_ok() {
                endpoint.hear(&refused());
                break;
            }
            thread::yield_now();
        }
        let packet = core::iter::repeat_with(|| endpoint.packets().copy(b"").ok_or_else(thread::yield_now));
        endpoint.deliver(packet.flatten().next().unwrap()).unwrap();
        endpoint.notify();
    };
    thread::scope(|scope| {
        for _ in 0..ADDERS {
            scope.spawn(|| (0..EACH).for_each(add));
        }
        for waits_outside in [false, false, true] {
            let (endpoint, left, take_all) = (&endpoint, &left, &take_all);
            scope.spawn(move || {
                while left.load(Ordering::SeqCst) > 0 {
                    if waits_outside {
                        await_outside(endpoint);
                    } else {
                        let until = Instant::now() + Duration::from_secs(20);
                        assert!(endpoint.wait_readable(Some(until)), "not woken");
                    }
                    take_all();
                }
                endpoint.end();
            });
        }
        scope.spawn(|| {
            while told.load(Ordering::SeqCst) < errors {
                await_outside(&endpoint);
                while endpoint.take_queued().is_some() {
                    told.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    });
    assert_eq!((left.into_inner(), told.into_inner(), endpoint.packets().free()[0]), (0, errors, 64));
}
