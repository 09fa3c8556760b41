//! Threads' sockets over a tap, and what Linux has no like of: waiting for the host's addresses, the time by which a datagram came, and room
//! to send that comes again. Needs root.
#![cfg(feature = "dpdk")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::kernel_sockets_common::sock::Sock;
use crate::kernel_sockets_common::version::V4;
use crate::kernel_sockets_common::{PATIENCE, at_pollcast, pollcast as host};
use pollcast::host::NotReady;
use pollcast::socket::{Errno, RecvFlags};

// RFC 4862 5.4: an address that is still asked for is not in use; a program waits for it.
#[test]
fn a_program_waits_until_its_addresses_are_in_use() {
    crate::dpdk_alone::in_namespace("sockets_host::a_program_waits_until_its_addresses_are_in_use", || {
        let folder = tempfile::tempdir().unwrap();
        let host = host(&folder, "");
        let Err(NotReady::Tentative(asked)) = host.wait_ready(Duration::ZERO) else {
            panic!("in use at once")
        };
        assert!(asked.contains(&"2001:db8::2/64 on p0".to_owned()), "{asked:?}");
        crate::dpdk_alone::ip("link set pcsock1 up");
        host.wait_ready(PATIENCE).unwrap();
        host.sockets().bind("[2001:db8::2]:5000").unwrap();
        host.shutdown().request();
        let deadline = Instant::now() + PATIENCE;
        while host.wait_ready(Duration::ZERO) != Err(NotReady::Stopped) {
            assert!(Instant::now() < deadline, "it does not stop");
        }
    });
}

// socket(7) SO_SNDBUF: more than may be on its way would block, and the descriptor says when it is worth trying again. SO_TIMESTAMPNS:
// what comes later has a later time.
#[test]
fn sending_is_bounded_and_what_comes_has_its_time() {
    at_pollcast("sockets_host::sending_is_bounded_and_what_comes_has_its_time", |world| {
        let far = world.far(V4.peer);
        let Sock::Pollcast(socket) = world.open(V4.own) else { panic!("pollcast's") };
        let mut last = None;
        for _ in 0..3 {
            far.send_to(b"tick", V4.own).unwrap();
            let received = socket.recv_msg(&mut [0; 64], RecvFlags::default()).unwrap();
            assert!(last.is_none_or(|last| received.received_at() > last), "{last:?}");
            last = Some(received.received_at());
        }
        socket.set_nonblocking(true);
        socket.set_send_buffer_size(0);
        let peer: SocketAddr = V4.peer.parse().unwrap();
        let full = (0..10_000).find_map(|_| socket.send_to(&[7; 60_000], peer).err()).expect("a full buffer");
        assert_eq!(full.errno(), Errno::EAGAIN);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let writable = socket.writable().unwrap();
            let ready = nix::poll::poll(
                &mut [nix::poll::PollFd::new(writable, nix::poll::PollFlags::POLLIN)],
                5000u16,
            );
            assert_eq!(ready, Ok(1), "it is told that there is room");
            match socket.send_to(b"there is room", peer) {
                Ok(_) => break,
                Err(why) => assert!(why.errno() == Errno::EAGAIN && Instant::now() < deadline, "{why}"),
            }
        }
    });
}
