//! Threads' sockets in the simulator, from the calls of a program down to frames on the wire: what is sent, and how.

use core::time::Duration;

use crate::sockets_common::{addr, bound, dual_world, ip};
use pollcast::addr::Unicast;
use pollcast::engine::counters::Counter;
use pollcast::io::{DropReason, InterfaceId, PmtuDiscovery};
use pollcast::sim::frames::udp::UdpFrame;
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::setup::PortOptions;
use pollcast::sim::world::World;
use pollcast::socket::{ErrorOrigin, Level, SendControl, SendFlags, SendMessage};
use pollcast::stack::sockets::Errno;

const HOST: &str = "198.18.0.2:5000";
const PEER: &str = "198.18.0.1:40000";
const GROUP: &str = "239.1.2.3:6000";
const OWN6: &str = "2001:db8::2";

fn world() -> World {
    dual_world(PortOptions { gateway4: Unicast::new("198.18.0.1".parse().unwrap()), ..PortOptions::new(0) })
}

/// The datagrams that left.
fn sent(world: &mut World) -> Vec<UdpFrame> {
    world.run_for(Duration::from_millis(10));
    world.take_sent(0).iter().filter_map(|frame| UdpFrame::read(frame).ok()).collect()
}

fn errno(result: Result<usize, pollcast::socket::SendError>) -> Errno {
    result.unwrap_err().errno()
}

#[test]
fn a_datagram_leaves_from_where_the_socket_is() {
    let mut world = world();
    let socket = bound(&world, HOST);
    assert_eq!(socket.send_to(b"hello", addr(PEER)).unwrap(), 5);
    let frames = sent(&mut world);
    assert_eq!(frames.len(), 1, "{:?}", world.all_drops());
    assert_eq!((frames[0].source.to_string(), frames[0].destination.to_string()), (HOST.into(), PEER.into()));
    assert_eq!((&frames[0].payload[..], frames[0].ttl, frames[0].tos), (&b"hello"[..], 64, 0));
    // U11: and so does one with nothing in it.
    socket.send_to(b"", addr(PEER)).unwrap();
    assert_eq!(sent(&mut world)[0].payload, b"");
    // U20: to its peer, and to others all the same.
    assert_eq!(errno(socket.send(b"to whom?")), Errno::EDESTADDRREQ);
    socket.connect(addr(PEER)).unwrap();
    socket.send(b"to its peer").unwrap();
    socket.send_to(b"to another", addr("198.18.0.1:9")).unwrap();
    let to: Vec<_> = sent(&mut world).iter().map(|frame| frame.destination.to_string()).collect();
    assert_eq!(to, [PEER, "198.18.0.1:9"]);
}

// U25: what sends without being bound is bound.
#[test]
fn an_unbound_socket_gets_a_port_when_it_sends() {
    let mut world = world();
    let socket = world.sockets().udp4().unwrap();
    assert_eq!(socket.local_addr(), addr("0.0.0.0:0"));
    socket.send_to(b"x", addr(PEER)).unwrap();
    let port = socket.local_addr().port();
    assert!((32_768..61_000).contains(&port), "{port}");
    assert_eq!(sent(&mut world)[0].source, format!("198.18.0.2:{port}").parse().unwrap());
}

// P11, U27, RFC 3542 6: options, and what is said of one datagram.
#[test]
fn options_and_control_decide_how_it_leaves() {
    let mut world = world();
    let socket = bound(&world, HOST);
    socket.set_ttl(Level::V4, Some(9)).unwrap();
    socket.set_tos(Level::V4, 0xb8).unwrap();
    socket.send_to(b"x", addr(PEER)).unwrap();
    let control = SendControl { ttl: Some(3), tos: Some(4), ..SendControl::default() };
    socket.send_msg(b"x", Some(addr(PEER)), &control, SendFlags::default()).unwrap();
    socket.send_to(b"x", addr(GROUP)).unwrap();
    socket.set_multicast_ttl(Level::V4, 0).unwrap();
    socket.send_to(b"never leaves", addr(GROUP)).unwrap();
    socket.set_multicast_ttl(Level::V4, 5).unwrap();
    socket.send_to(b"x", addr(GROUP)).unwrap();
    let manner: Vec<_> = sent(&mut world).iter().map(|frame| (frame.ttl, frame.tos)).collect();
    assert_eq!(manner, [(9, 0xb8), (3, 4), (1, 0xb8), (5, 0xb8)]);
    assert_eq!(socket.set_ttl(Level::V4, Some(0)).unwrap_err().errno(), Errno::EINVAL);
    let control = SendControl { ttl: Some(0), ..SendControl::default() };
    let without = socket.send_msg(b"x", Some(addr(PEER)), &control, SendFlags::default());
    assert_eq!(errno(without), Errno::EINVAL);
    assert_eq!(socket.set_tos(Level::V6, 0).unwrap_err().errno(), Errno::ENOPROTOOPT);
}

// IP_PKTINFO: the source and the interface; neither can be another host's.
#[test]
fn the_source_can_be_chosen_if_it_is_ours() {
    let mut world = world();
    let socket = bound(&world, "0.0.0.0:5000");
    let by = |source: &str, interface| SendControl {
        source: Some(ip(source)),
        interface: Some(InterfaceId(interface)),
        ..SendControl::default()
    };
    let send = |control| socket.send_msg(b"x", Some(addr(PEER)), &control, SendFlags::default());
    send(by("198.18.0.2", 0)).unwrap();
    assert_eq!(sent(&mut world)[0].source, HOST.parse().unwrap());
    // Linux `ip_route_output_key_hash_rcu`: there is no route from an address of someone else's, and a group is the source of nothing.
    assert_eq!(errno(send(by("198.18.0.7", 0))), Errno::ENETUNREACH);
    assert_eq!(errno(send(by("239.1.1.1", 0))), Errno::EINVAL);
    assert_eq!(errno(send(by("198.18.0.2", 9))), Errno::ENODEV);
}

// U22, U24, U10: what Linux refuses, with its errnos.
#[test]
fn what_cannot_be_sent_is_refused() {
    let mut world = world();
    let socket = bound(&world, HOST);
    let to = |to: &str, len: usize| socket.send_to(&vec![0; len], addr(to));
    assert_eq!(errno(to("198.18.0.255:7", 1)), Errno::EACCES);
    assert_eq!(errno(to("255.255.255.255:7", 1)), Errno::EACCES);
    assert_eq!(errno(to("198.18.0.1:0", 1)), Errno::EINVAL);
    assert_eq!(errno(to("[2001:db8::1]:7", 1)), Errno::EAFNOSUPPORT);
    assert_eq!(errno(to(PEER, 65_508)), Errno::EMSGSIZE);
    assert_eq!(errno(to(PEER, 70_000)), Errno::EMSGSIZE);
    socket.set_mtu_discover(Level::V4, PmtuDiscovery::Do).unwrap();
    assert_eq!(errno(to(PEER, 1473)), Errno::EMSGSIZE);
    to(PEER, 1472).unwrap();
    assert_eq!(sent(&mut world).len(), 1);
    socket.set_broadcast(true);
    to("198.18.0.255:7", 1).unwrap();
    assert_eq!(sent(&mut world)[0].destination_mac.0, [0xff; 6]);
    // ip(7) IP_RECVERR: also what this host itself refuses.
    socket.set_receive_errors(Level::V4, true).unwrap();
    assert_eq!(errno(to(PEER, 2000)), Errno::EMSGSIZE);
    let error = socket.recv_error().unwrap();
    assert_eq!((error.errno, error.origin, error.info), (Errno::EMSGSIZE, ErrorOrigin::Local, 1500));
}

// F18: what does not fit leaves in fragments.
#[test]
fn a_long_datagram_leaves_in_fragments() {
    let mut world = world();
    let socket = bound(&world, HOST);
    socket.send_to(&[7; 65_507], addr(PEER)).unwrap();
    world.run_for(Duration::from_millis(10));
    assert_eq!(world.take_sent(0).len(), 65_515usize.div_ceil(1480));
    assert_eq!((world.count(Counter::Fragmented), world.drops(DropReason::NoBuffer)), (1, 0));
}

// UDP_CORK, MSG_MORE: several pieces, one datagram, to where the first piece said.
#[test]
fn corked_pieces_leave_as_one_datagram() {
    let mut world = world();
    let socket = bound(&world, HOST);
    let more = SendFlags { more: true, ..SendFlags::default() };
    let control = SendControl::default();
    socket.send_msg(b"one ", Some(addr(PEER)), &control, more).unwrap();
    socket.send_msg(&[b'x'; 300], Some(addr("198.18.0.9:9")), &control, more).unwrap();
    assert_eq!(sent(&mut world), []);
    socket.send_to(b" three", addr("198.18.0.9:9")).unwrap();
    let frames = sent(&mut world);
    assert_eq!((frames.len(), frames[0].destination.to_string()), (1, PEER.into()));
    assert_eq!(frames[0].payload, [&b"one "[..], &[b'x'; 300], b" three"].concat());

    socket.set_corking(true).unwrap();
    (0..3).for_each(|_| assert_eq!(socket.send_to(b"ab", addr(PEER)).unwrap(), 2));
    assert_eq!(sent(&mut world), []);
    socket.set_corking(false).unwrap();
    assert_eq!(sent(&mut world)[0].payload, b"ababab");
    // One piece too many ends it all.
    socket.send_msg(&[1; 40_000], Some(addr(PEER)), &control, more).unwrap();
    assert_eq!(errno(socket.send_msg(&[1; 40_000], None, &control, more)), Errno::EMSGSIZE);
    socket.send_to(b"new", addr(PEER)).unwrap();
    assert_eq!(sent(&mut world)[0].payload, b"new");
    // And what is corked when the socket is closed is not sent.
    socket.send_msg(b"late", Some(addr(PEER)), &control, more).unwrap();
    drop(socket);
    assert_eq!(sent(&mut world), []);
    assert_eq!(world.packets().free(), [512, 128, 4]);
}

// sendmmsg(2): in order, up to the first that cannot be sent.
#[test]
fn several_are_sent_in_one_call() {
    let mut world = world();
    let socket = bound(&world, HOST);
    let to = |to: &str| SendMessage { payload: b"x", to: Some(addr(to)), control: SendControl::default() };
    let messages = [to("198.18.0.1:1"), to("198.18.0.1:2"), to("198.18.0.1:0"), to("198.18.0.1:3")];
    assert_eq!(socket.send_batch(&messages, SendFlags::default()).unwrap(), 2);
    let ports: Vec<_> = sent(&mut world).iter().map(|frame| frame.destination.port()).collect();
    assert_eq!(ports, [1, 2]);
    assert_eq!(errno(socket.send_batch(&messages[2..], SendFlags::default())), Errno::EINVAL);
}

// socket(7) SO_SNDBUF: as much as that is on its way at a time; more would block, and nothing is lost.
#[test]
fn what_is_on_its_way_is_bounded() {
    let mut world = world();
    let socket = bound(&world, HOST);
    socket.set_send_buffer_size(1);
    assert_eq!(socket.send_buffer_size(), 4608);
    let mut taken = 0;
    while socket.send_to(&[taken; 1], addr(PEER)).is_ok() {
        taken += 1;
    }
    // 832 bytes each, and one more while they are less than 4608.
    assert_eq!((taken, errno(socket.send_to(b"x", addr(PEER)))), (6, Errno::EAGAIN));
    let payloads: Vec<_> = sent(&mut world).iter().map(|frame| frame.payload[0]).collect();
    assert_eq!(payloads, [0, 1, 2, 3, 4, 5]);
    socket.send_to(b"again", addr(PEER)).unwrap();
    assert_eq!(sent(&mut world).len(), 1);
    assert_eq!(world.packets().free(), [512, 128, 4]);
}

// U21, U29: from any address, with what was told of the question, the answer leaves from the address that was asked.
#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let mut world = world();
    let socket = bound(&world, "[::]:5000");
    let mut buf = [0; 64];
    world.exchange(0, &UdpFrame::new(PEER, HOST, b"question").frame());
    let question = socket.recv_msg(&mut buf, Default::default()).unwrap();
    assert_eq!(question.source(), addr("[::ffff:198.18.0.1]:40000"));
    let control = question.reply_control();
    socket.send_msg(b"answer", Some(question.source()), &control, SendFlags::default()).unwrap();
    let frames = sent(&mut world);
    assert_eq!((frames[0].source.to_string(), frames[0].destination.to_string()), (HOST.into(), PEER.into()));
}

// P10, P12: over IPv6, to a group; a link-local address needs its scope.
#[test]
fn ipv6_is_sent_too() {
    let mut world = world();
    let socket = bound(&world, &format!("[{OWN6}]:5000"));
    socket.set_multicast_interface(Level::V6, Some(InterfaceId(0))).unwrap();
    socket.send_to(b"to a group", addr("[ff0e::9]:6000")).unwrap();
    world.run_for(Duration::from_millis(10));
    let frames: Vec<_> = world.take_sent(0).iter().filter_map(|f| UdpFrame6::read(f).ok()).collect();
    assert_eq!((frames.len(), frames[0].hop_limit), (1, 1), "{:?}", world.all_drops());
    assert_eq!(frames[0].source, format!("[{OWN6}]:5000").parse().unwrap());
    assert_eq!(errno(socket.send_to(b"x", addr("[fe80::9]:7"))), Errno::EINVAL);
    assert_eq!(errno(socket.send_to(b"x", addr(PEER))), Errno::ENETUNREACH);
}
