//! Threads' sockets in the simulator, from the calls of a program down to frames on the wire: what is received, and how.

use core::time::Duration;
use std::thread;

use crate::sockets_common::{addr, bound, ip, unreachable};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pollcast::addr::{Cidr, Unicast};
use pollcast::io::{Addressing6, DropReason, InterfaceId};
use pollcast::sim::frames::IcmpFrame;
use pollcast::sim::frames::udp::UdpFrame;
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::setup::{PortOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::socket::{ErrorOrigin, Level, Received, RecvError, RecvFlags, RecvMessage, Sockets, UdpSocket};
use pollcast::stack::sockets::Errno;
use std::os::fd::AsFd;

const HOST: &str = "198.18.0.2:5000";
const PEER: &str = "198.18.0.1:40000";

fn world() -> World {
    let mut world = World::new(11, &WorldOptions { services: Vec::new(), ..WorldOptions::default() });
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    world
}

fn sockets(world: &World) -> Sockets {
    world.sockets()
}

fn send(world: &mut World, from: &str, to: &str, payload: &[u8]) -> Vec<Vec<u8>> {
    world.exchange(0, &UdpFrame::new(from, to, payload).frame())
}

fn recv(socket: &UdpSocket) -> Result<Vec<u8>, Errno> {
    let mut buf = [0; 2048];
    let len = socket.recv(&mut buf).map_err(|e| e.errno())?;
    Ok(buf[..len].to_vec())
}

fn recv_msg(socket: &UdpSocket, room: usize) -> Received {
    socket.recv_msg(&mut vec![0; room], RecvFlags::default()).unwrap()
}

fn is_readable(socket: &UdpSocket) -> bool {
    poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
}

// U11: an empty datagram is a datagram of 0 bytes, with a sender, and whoever waits is woken for it.
#[test]
fn an_empty_datagram_is_received() {
    let mut world = world();
    let socket = bound(&world, HOST);
    assert!(!is_readable(&socket));
    assert_eq!(recv(&socket), Err(Errno::EAGAIN));
    send(&mut world, PEER, HOST, b"");
    assert!(is_readable(&socket));
    let mut buf = [7; 8];
    assert_eq!(socket.recv_from(&mut buf).unwrap(), (0, addr(PEER)));
    assert!(!is_readable(&socket));
    assert_eq!((recv(&socket), buf), (Err(Errno::EAGAIN), [7; 8]));
}

// U20, connect(2): what was received before it has a peer stays; after that, it hears that one alone; P09: until it has none.
#[test]
fn a_connected_socket_hears_its_peer_and_what_came_before_stays() {
    let mut world = world();
    let socket = bound(&world, "0.0.0.0:5000");
    send(&mut world, "198.18.0.9:1", HOST, b"early");
    socket.connect(addr(PEER)).unwrap();
    assert_eq!((socket.local_addr(), socket.peer_addr()), (addr(HOST), Some(addr(PEER))));
    let refused = send(&mut world, "198.18.0.9:1", HOST, b"a stranger's");
    assert!(refused.iter().any(|frame| IcmpFrame::read(frame).is_ok()), "a port unreachable");
    send(&mut world, PEER, HOST, b"its peer's");
    assert_eq!(recv(&socket), Ok(b"early".to_vec()));
    assert_eq!(recv(&socket), Ok(b"its peer's".to_vec()));
    assert_eq!(recv(&socket), Err(Errno::EAGAIN));
    socket.disconnect().unwrap();
    assert_eq!(socket.peer_addr(), None);
    send(&mut world, "198.18.0.9:1", HOST, b"anyone's");
    assert_eq!(recv(&socket), Ok(b"anyone's".to_vec()));
}

// U23: each has its own, and nobody another's.
#[test]
fn a_burst_for_a_service_and_for_threads_reaches_each() {
    let mut world = World::new(12, &WorldOptions::default());
    world.run_for(Duration::from_secs(5));
    let socket = sockets(&world).bind(addr("198.18.0.2:5000")).unwrap();
    socket.set_nonblocking(true);
    world.run_for(Duration::from_secs(1));
    world.take_sent(0);
    for n in 0..8u8 {
        let to = ["198.18.0.2:7", "198.18.0.2:5000"][usize::from(n) % 2];
        world.inject(0, &UdpFrame::new("198.18.0.1:4000", to, &[n]).frame());
    }
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.take_sent(0).len(), 4, "the echo's answers");
    for n in [1, 3, 5, 7] {
        assert_eq!(recv(&socket), Ok(vec![n]));
    }
    assert_eq!(recv(&socket), Err(Errno::EAGAIN));
}

// U23, Linux: as many as `SO_RCVBUF` has room for; of more, the newest are dropped and counted, and nobody is told.
#[test]
fn a_full_queue_drops_the_newest_and_counts() {
    let mut world = world();
    let socket = bound(&world, HOST);
    for n in 0..300u16 {
        assert_eq!(send(&mut world, PEER, HOST, &n.to_be_bytes()), Vec::<Vec<u8>>::new(), "no ICMP");
    }
    // 212,992 bytes, each datagram of 832, as on Linux 6.18.
    assert_eq!((socket.recv_buffer_size(), socket.dropped()), (212_992, 44));
    assert_eq!(world.drops(DropReason::SocketQueueFull), 44);
    for n in 0..256u16 {
        assert_eq!(recv(&socket), Ok(n.to_be_bytes().to_vec()), "the oldest are there, in order");
    }
    assert_eq!(recv(&socket), Err(Errno::EAGAIN));
    // socket(7): doubled, and no less than 2304.
    socket.set_recv_buffer_size(1);
    assert_eq!(socket.recv_buffer_size(), 2304);
    (0..5).for_each(|_| drop(send(&mut world, PEER, HOST, b"x")));
    assert_eq!((0..5).filter(|_| recv(&socket).is_ok()).count(), 2);
    socket.set_recv_buffer_size(500_000);
    (0..400).for_each(|_| drop(send(&mut world, PEER, HOST, b"x")));
    assert_eq!((0..500).filter(|_| recv(&socket).is_ok()).count(), 400);
    drop(socket);
    world.settle();
    assert_eq!(world.packets().free(), [512, 128, 4]);
}

// U23: and one that does not keep up is nobody else's concern.
#[test]
fn packets_that_ran_out_are_counted() {
    let mut world = world();
    let sockets: Vec<_> = (0..3).map(|n| bound(&world, &format!("198.18.0.2:{}", 5000 + n))).collect();
    for n in 0..3 {
        (0..256).for_each(|_| drop(send(&mut world, PEER, &format!("198.18.0.2:{}", 5000 + n), b"x")));
    }
    // 512 small ones and 128 medium ones, and 4 large ones.
    assert_eq!(world.drops(DropReason::SocketNoPacket), 768 - 644);
    drop(sockets);
    world.settle();
    assert_eq!(world.packets().free(), [512, 128, 4]);
}

// U29, recvmsg(2): what there is no room for is cut off, which is told, and how long it is.
#[test]
fn what_is_cut_off_is_told() {
    let mut world = world();
    let socket = bound(&world, HOST);
    send(&mut world, PEER, HOST, b"hello");
    let received = recv_msg(&socket, 3);
    assert_eq!((received.len, received.full_len, received.is_truncated()), (3, 5, true));
    send(&mut world, PEER, HOST, b"hello");
    assert_eq!(socket.next_len(), 5);
    assert!(!recv_msg(&socket, 5).is_truncated());
    assert_eq!((socket.next_len(), recv(&socket)), (0, Err(Errno::EAGAIN)), "the rest is gone");
}

// U29, P11, RFC 3542 6: interface, both addresses, TTL, TOS, original destination. U21: from where a group's question is answered.
#[test]
fn all_that_is_known_of_a_datagram_is_told() {
    let mut world = world();
    let socket = bound(&world, "0.0.0.0:5000");
    socket.join(ip("239.1.2.3"), Some(InterfaceId(0))).unwrap();
    for (to, local) in [("198.18.0.2", "198.18.0.2"), ("239.1.2.3", "198.18.0.2")] {
        let frame = UdpFrame { ttl: 9, tos: 0xb9, ..UdpFrame::new(PEER, &format!("{to}:5000"), b"hello") };
        world.exchange(0, &frame.frame());
        let received = recv_msg(&socket, 64);
        assert_eq!((received.ttl(), received.tos(), received.vlan()), (9, 0xb9, None));
        assert_eq!(received.received_at(), world.now());
        assert_eq!((received.source(), received.destination()), (addr(PEER), addr(&format!("{to}:5000"))));
        let info = received.packet_info();
        assert_eq!((info.interface, info.destination, info.local), (InterfaceId(0), ip(to), ip(local)));
        let reply = received.reply_control();
        assert_eq!((reply.source, reply.interface), (Some(ip(local)), Some(InterfaceId(0))));
    }
}

// P10, RFC 3493 3.7: a socket of IPv6 hears IPv4, and is told its addresses as IPv6 ones; unless it is for IPv6 alone.
#[test]
fn a_dual_stack_socket_hears_both_versions() {
    let own6 = "2001:db8::2";
    let unicast = Unicast::new(own6.parse().unwrap()).unwrap();
    let static6 = Addressing6 {
        statics: vec![Cidr::new(unicast, 64).unwrap()],
        router_discovery: false,
        ..Addressing6::new()
    };
    let port = PortOptions { addressing6: Some(static6), ..PortOptions::new(0) };
    let options = WorldOptions { services: Vec::new(), ports: vec![port], ..WorldOptions::default() };
    let mut world = World::new(12, &options);
    world.run_for(Duration::from_secs(10));
    let socket = bound(&world, "[::]:5000");
    send(&mut world, PEER, HOST, b"over IPv4");
    let received = recv_msg(&socket, 64);
    assert_eq!(received.source(), addr("[::ffff:198.18.0.1]:40000"));
    assert_eq!(received.packet_info().local, ip("::ffff:198.18.0.2"));
    let frame = UdpFrame6::new("[2001:db8::1]:40000", &format!("[{own6}]:5000"), b"over IPv6");
    world.exchange(0, &frame.to_mac(PortOptions::new(0).nic.mac).frame());
    assert_eq!(recv_msg(&socket, 64).source(), addr("[2001:db8::1]:40000"));
    drop(socket);
    let only = sockets(&world).udp6().unwrap();
    only.set_v6only(true).unwrap();
    only.bind(addr("[::]:5000")).unwrap();
    only.set_nonblocking(true);
    send(&mut world, PEER, HOST, b"over IPv4");
    assert_eq!(recv(&only), Err(Errno::EAGAIN));
}

// recv(2) MSG_PEEK: looked at, it stays, first in its place.
#[test]
fn what_is_peeked_at_stays() {
    let mut world = world();
    let socket = bound(&world, HOST);
    assert!(matches!(socket.peek(&mut [0; 8]), Err(RecvError::WouldBlock)));
    send(&mut world, PEER, HOST, b"one");
    send(&mut world, PEER, HOST, b"two");
    let mut buf = [0; 2];
    for _ in 0..3 {
        assert_eq!(socket.peek_from(&mut buf).unwrap(), (2, addr(PEER)));
        assert!(buf == *b"on" && is_readable(&socket));
    }
    assert_eq!((recv(&socket), recv(&socket)), (Ok(b"one".to_vec()), Ok(b"two".to_vec())));
    assert!(!is_readable(&socket));
}

// recvmmsg(2): what is there, in order, each with what is known of it.
#[test]
fn several_are_received_in_one_call() {
    let mut world = world();
    let socket = bound(&world, HOST);
    (0..5u8).for_each(|n| drop(send(&mut world, PEER, HOST, &[n; 9])));
    let mut room = [[0; 4]; 3];
    let mut messages: Vec<_> = room.iter_mut().map(|buf| RecvMessage::new(buf)).collect();
    assert_eq!(socket.recv_batch(&mut messages, RecvFlags::default()).unwrap(), 3);
    for (n, message) in (0u8..).zip(&messages) {
        assert_eq!(message.payload(), [n; 4]);
        assert_eq!(message.received.unwrap().full_len, 9);
    }
    assert_eq!(socket.recv_batch(&mut messages, RecvFlags::default()).unwrap(), 2);
    assert!(messages[2].received.is_none() && messages[2].payload().is_empty());
    let none = socket.recv_batch(&mut messages, RecvFlags::default());
    assert!(matches!(none, Err(RecvError::WouldBlock)));
}

// C15, RFC 1122 4.1.3.3, Linux `__udp4_lib_err`: a connected socket is told of a hard error, once; another is not.
#[test]
fn a_connected_socket_is_told_that_nobody_listens() {
    let mut world = world();
    let socket = bound(&world, HOST);
    world.exchange(0, &unreachable(HOST, PEER, 3));
    assert_eq!((recv(&socket), socket.take_error()), (Err(Errno::EAGAIN), None), "it sends to many");
    socket.connect(addr(PEER)).unwrap();
    // Soft: the network may come back.
    world.exchange(0, &unreachable(HOST, PEER, 1));
    assert_eq!(recv(&socket), Err(Errno::EAGAIN));
    world.exchange(0, &unreachable(HOST, PEER, 3));
    assert!(is_readable(&socket));
    send(&mut world, PEER, HOST, b"after it");
    assert_eq!(recv(&socket), Err(Errno::ECONNREFUSED), "before what has arrived");
    assert_eq!((recv(&socket), recv(&socket)), (Ok(b"after it".to_vec()), Err(Errno::EAGAIN)));
    world.exchange(0, &unreachable(HOST, PEER, 2));
    assert_eq!((socket.take_error(), socket.take_error()), (Some(Errno::ENOPROTOOPT), None));
    assert!(!is_readable(&socket));
}

// ip(7) IP_RECVERR: whoever asks for it is told everything, with where the datagram went, and who complained.
#[test]
fn the_error_queue_says_what_did_not_arrive() {
    let mut world = world();
    let socket = bound(&world, HOST);
    socket.set_receive_errors(Level::V4, true).unwrap();
    assert!(socket.receive_errors(Level::V4) && socket.recv_error().is_none());
    world.exchange(0, &unreachable(HOST, "198.18.0.9:7", 1));
    assert!(is_readable(&socket));
    assert_eq!(recv(&socket), Err(Errno::EHOSTUNREACH), "also a soft one, also unconnected");
    let error = socket.recv_error().unwrap();
    assert_eq!((error.errno, error.origin), (Errno::EHOSTUNREACH, ErrorOrigin::Icmp));
    assert_eq!((error.icmp_type, error.icmp_code, error.info), (3, 1, 0));
    assert_eq!((error.destination, error.offender), (addr("198.18.0.9:7"), Some(ip("198.18.0.9"))));
    assert!(socket.recv_error().is_none() && !is_readable(&socket));
    // A flood of them is bounded, and a datagram is received all the same.
    (0..500).for_each(|_| drop(world.exchange(0, &unreachable(HOST, "198.18.0.9:7", 3))));
    send(&mut world, PEER, HOST, b"still there");
    assert_eq!(recv(&socket), Err(Errno::ECONNREFUSED));
    assert_eq!(recv(&socket), Ok(b"still there".to_vec()));
    assert_eq!(core::iter::from_fn(|| socket.recv_error()).count(), 64);
    assert!(!is_readable(&socket));
    socket.set_receive_errors(Level::V4, false).unwrap();
    assert_eq!(socket.set_receive_errors(Level::V6, true).unwrap_err().errno(), Errno::ENOPROTOOPT);
}

// socket(7) SO_RCVTIMEO, recv(2) MSG_DONTWAIT.
#[test]
fn a_call_waits_as_long_as_it_may() {
    let world = world();
    let socket = sockets(&world).bind(addr(HOST)).unwrap();
    let dont_wait = RecvFlags { dont_wait: true, ..RecvFlags::default() };
    assert!(matches!(socket.recv_msg(&mut [0], dont_wait), Err(RecvError::WouldBlock)));
    let (limit, before) = (Duration::from_millis(30), std::time::Instant::now());
    socket.set_read_timeout(Some(limit));
    assert_eq!((recv(&socket), socket.read_timeout()), (Err(Errno::EAGAIN), Some(limit)));
    assert!(before.elapsed() >= limit);
}

/// Threads that wait in a call are woken by what arrives, each datagram is received once, and all return when the host stops.
// ENETDOWN: and what has arrived can still be taken.
#[test]
fn threads_that_wait_are_woken_and_return_when_the_host_stops() {
    let mut world = world();
    let socket = sockets(&world).bind(addr(HOST)).unwrap();
    let received = thread::scope(|scope| {
        let take = || {
            let mut sum = 0;
            loop {
                match socket.recv(&mut [0; 16]) {
                    Ok(len) => sum += len,
                    Err(why) => break (sum, why.errno()),
                }
            }
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        for _ in 0..1000 {
            while socket.next_len() > 0 {
                thread::yield_now();
            }
            send(&mut world, PEER, HOST, b"x");
        }
        world.shut_down();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(received.iter().all(|(_, errno)| *errno == Errno::ENETDOWN), "{received:?}");
    assert_eq!(received.iter().map(|(sum, _)| sum).sum::<usize>(), 1000);
    assert_eq!(socket.send_to(b"x", addr(PEER)).unwrap_err().errno(), Errno::ENETDOWN);
    assert_eq!(socket.connect(addr(PEER)).unwrap_err().errno(), Errno::ENETDOWN);
}
