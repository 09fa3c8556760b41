//! Threads' sockets in the simulator: who is woken by what, where several wait at once, inside a call and outside with poll(2).
//!
//! Each was tried on Linux 6.18 with a socket of its loopback.

use core::time::Duration;
use std::os::fd::AsFd;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use crate::sockets_common::{addr, bound, unreachable};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pollcast::sim::frames::udp::UdpFrame;
use pollcast::sim::setup::WorldOptions;
use pollcast::sim::world::World;
use pollcast::socket::{Level, UdpSocket};
use pollcast::stack::sockets::Errno;

const HOST: &str = "198.18.0.2:5000";
const PEER: &str = "198.18.0.1:40000";

/// What has not come by then does not come.
const LONG: Duration = Duration::from_secs(5);

/// A world, and a socket in it that blocks and is told of all errors.
fn told() -> (World, UdpSocket) {
    let mut world = World::new(11, &WorldOptions { services: Vec::new(), ..WorldOptions::default() });
    world.run_for(Duration::from_secs(10));
    let socket = bound(&world, HOST);
    socket.set_receive_errors(Level::V4, true).unwrap();
    socket.set_nonblocking(false);
    // Not for ever: a test that fails ends.
    socket.set_read_timeout(Some(LONG * 2));
    (world, socket)
}

fn recv(socket: &UdpSocket) -> Result<Vec<u8>, Errno> {
    let mut buf = [0; 64];
    let len = socket.recv(&mut buf).map_err(|e| e.errno())?;
    Ok(buf[..len].to_vec())
}

fn is_readable(socket: &UdpSocket) -> bool {
    poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
}

fn refuse(world: &mut World) {
    world.exchange(0, &unreachable(HOST, "198.18.0.9:7", 3));
}

/// Time for another thread to go to sleep: if it takes longer, a test that should fail may pass, and never the other way round.
fn a_moment(mut meanwhile: impl FnMut()) {
    let until = Instant::now() + Duration::from_millis(100);
    while Instant::now() < until {
        meanwhile();
        thread::sleep(Duration::from_millis(1));
    }
}

fn await_end<T>(threads: &[ScopedJoinHandle<'_, T>], count: usize) {
    let until = Instant::now() + LONG;
    while threads.iter().filter(|thread| thread.is_finished()).count() < count {
        assert!(Instant::now() < until, "not woken");
        thread::sleep(Duration::from_millis(1));
    }
}

// Linux `datagram_poll`: the error queue alone is EPOLLERR; `__skb_wait_for_more_packets`: and ends no wait for a datagram.
#[test]
fn a_thread_that_waits_for_a_datagram_takes_no_error_out_of_sight() {
    let (mut world, socket) = told();
    refuse(&mut world);
    assert_eq!(socket.take_error(), Some(Errno::ECONNREFUSED));
    assert!(is_readable(&socket), "it is in the queue");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| recv(&socket));
        a_moment(|| assert!(is_readable(&socket)));
        assert!(!waiting.is_finished());
        world.exchange(0, &UdpFrame::new(PEER, HOST, b"a datagram").frame());
        assert_eq!(waiting.join().unwrap(), Ok(b"a datagram".to_vec()));
    });
    assert!(is_readable(&socket) && socket.recv_error().is_some());
    assert!(!is_readable(&socket));
}

// Linux `ip_local_error`, `sock_queue_err_skb`: what this host itself refuses wakes who polls, too, and no pending error comes of it.
#[test]
fn an_error_of_this_host_s_own_shows() {
    let (_world, socket) = told();
    assert!(!is_readable(&socket));
    let refused = socket.send_to(&vec![0; 65_508], addr(PEER));
    assert_eq!(refused.unwrap_err().errno(), Errno::EMSGSIZE);
    assert!(is_readable(&socket) && socket.take_error().is_none());
    assert!(is_readable(&socket) && socket.recv_error().is_some());
    assert!(!is_readable(&socket));
}

// Linux `sock_dequeue_err_skb`: the next error is the pending one then, and whoever waits is told that.
#[test]
fn the_next_error_wakes_who_waits() {
    let (mut world, socket) = told();
    refuse(&mut world);
    refuse(&mut world);
    assert_eq!(socket.take_error(), Some(Errno::ECONNREFUSED));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| recv(&socket));
        a_moment(|| ());
        assert!(socket.recv_error().is_some());
        await_end(core::slice::from_ref(&waiting), 1);
        assert_eq!(waiting.join().unwrap(), Err(Errno::ECONNREFUSED));
    });
    assert!(socket.recv_error().is_some() && !is_readable(&socket));
}

// One datagram and several who wait: one has it, and the others go on waiting; a peek takes it from nobody.
#[test]
fn one_datagram_goes_to_one_of_those_who_wait() {
    let (mut world, socket) = told();
    thread::scope(|scope| {
        let receiving: Vec<_> = (0..3).map(|_| scope.spawn(|| recv(&socket))).collect();
        a_moment(|| assert!(!is_readable(&socket)));
        for sent in 1..=receiving.len() {
            world.exchange(0, &UdpFrame::new(PEER, HOST, b"one").frame());
            await_end(&receiving, sent);
            assert!(!is_readable(&socket));
        }
        let peeking: Vec<_> = (0..2).map(|_| scope.spawn(|| socket.peek(&mut [0; 8]).unwrap())).collect();
        a_moment(|| ());
        world.exchange(0, &UdpFrame::new(PEER, HOST, b"seen").frame());
        await_end(&peeking, 2);
        assert!(peeking.into_iter().all(|thread| thread.join().unwrap() == 4));
        assert!(receiving.into_iter().all(|thread| thread.join().unwrap() == Ok(b"one".to_vec())));
    });
    assert!(is_readable(&socket));
    assert_eq!(recv(&socket), Ok(b"seen".to_vec()));
    assert!(!is_readable(&socket));
}
