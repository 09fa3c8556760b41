//! The calls of threads' sockets as control carries them out: who follows, in which order, and what is given back.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use pollcast::engine::command::{Answer, Command, SocketAnswer};
use pollcast::io::InterfaceId;
use pollcast::sim::frames::igmp::IgmpMessage;
use pollcast::sim::frames::{IcmpFrame, UdpFrame};
use pollcast::sim::setup::WorldOptions;
use pollcast::sim::world::World;
use pollcast::socket::call::{Call, MemberChange, Place, Refusal, Reply, SocketOption};
use pollcast::socket::{BindError, ConnectError, Endpoint, SendError};
use pollcast::stack::port_table::SocketId;

const GROUP: &str = "239.1.2.3";

fn world(workers: u16) -> World {
    let mut world = World::new(7, &WorldOptions { workers, services: Vec::new(), ..WorldOptions::default() });
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    world
}

fn open(world: &World) -> (SocketId, Arc<Endpoint>) {
    match world.asks().ask(Call::Open { v6: false }) {
        Reply::Opened(id, endpoint) => (id, endpoint),
        other => panic!("not opened: {other:?}"),
    }
}

fn done(world: &World, call: Call) -> Place {
    match world.asks().ask(call) {
        Reply::Done(place) => place,
        other => panic!("not done: {other:?}"),
    }
}

fn bound(world: &World, local: &str) -> (SocketId, Arc<Endpoint>) {
    let (socket, endpoint) = open(world);
    let local: SocketAddr = local.parse().unwrap();
    let place = done(world, Call::Bind { socket, local });
    let Place { peer, device, v6only, .. } = place;
    assert_eq!((place.local, peer, device, v6only), (local, None, None, false));
    (socket, endpoint)
}

fn joins(socket: SocketId, group: &str) -> Call {
    let group: IpAddr = group.parse().unwrap();
    Call::Member { socket, group, interface: Some(InterfaceId(0)), change: MemberChange::Join }
}

/// Whether the group was reported since this was last asked: that it is wanted, or is no more.
fn is_reported(world: &mut World) -> bool {
    let sent = world.take_sent(0);
    let messages = sent.iter().filter_map(|frame| IgmpMessage::read(frame).expect("right IGMP"));
    messages.flat_map(|message| message.reported()).any(|group| group.to_string() == GROUP)
}

fn sockets(world: &mut World) -> Vec<SocketAnswer> {
    match world.execute(&Command::Sockets) {
        Answer::Sockets(sockets) => sockets,
        other => panic!("not sockets: {other:?}"),
    }
}

#[test]
fn a_socket_is_shown_until_it_is_closed() {
    let mut world = world(2);
    let (socket, endpoint) = bound(&world, "0.0.0.0:5000");
    let shown = sockets(&mut world);
    let thread = shown[0].thread.as_ref().unwrap();
    assert_eq!((shown.len(), shown[0].local.as_str(), shown[0].port.as_str()), (1, "0.0.0.0:5000", "any"));
    assert_eq!((thread.id, thread.rx_queue_bytes, thread.rcvbuf, thread.drops), (socket, 0, 212_992, 0));
    done(&world, Call::Close { socket });
    assert_eq!(sockets(&mut world), []);
    assert_eq!(Arc::strong_count(&endpoint), 1, "neither control nor a worker has it any more");
    assert!(matches!(world.asks().ask(Call::Close { socket }), Reply::Refused(Refusal::Closed)));
}

// As std's: of several addresses the first that can be bound; what is no address is told as that.
#[test]
fn a_socket_is_bound_to_what_stands_for_an_address() {
    let world = world(1);
    let sockets = world.sockets();
    let several = ["198.18.0.9:5000", "198.18.0.2:5000"].map(|addr| addr.parse::<SocketAddr>().unwrap());
    let socket = sockets.bind(&several[..]).unwrap();
    assert_eq!(socket.local_addr(), several[1]);
    assert!(matches!(sockets.bind(&several[..]), Err(BindError::InUse)), "the last one's reason");
    assert_eq!(sockets.bind("nonsense").unwrap_err(), BindError::NoAddress);
    assert_eq!(sockets.bind(&[][..]).unwrap_err(), BindError::NoAddress);
    socket.bind("198.18.0.2:5001").unwrap_err();
}

#[test]
fn a_socket_is_connected_to_and_sends_to_what_stands_for_an_address() {
    let world = world(1);
    let sockets = world.sockets();
    let client = sockets.connect("198.18.0.1:7").unwrap();
    assert!(!client.is_ipv6());
    assert_eq!(client.peer_addr(), Some("198.18.0.1:7".parse().unwrap()));
    assert_eq!(client.local_addr().ip(), IpAddr::from([198, 18, 0, 2]));
    // The first leads nowhere from here.
    let several = ["[2001:db8:9::1]:7", "198.18.0.1:9"].map(|addr| addr.parse::<SocketAddr>().unwrap());
    assert_eq!(sockets.connect(&several[..]).unwrap().peer_addr(), Some(several[1]));
    client.connect(("198.18.0.1", 8)).unwrap();
    assert_eq!(client.peer_addr(), Some("198.18.0.1:8".parse().unwrap()));
    assert_eq!(client.connect("nonsense").unwrap_err(), ConnectError::NoAddress);
    assert_eq!(sockets.connect("nonsense").unwrap_err(), ConnectError::NoAddress);
    assert_eq!(client.send_to(b"hello", "198.18.0.1:7").unwrap(), 5);
    assert!(matches!(client.send_to(b"hello", "nonsense"), Err(SendError::NoAddress)));
}

#[test]
fn an_interface_is_found_by_its_name() {
    let world = world(1);
    let sockets = world.sockets();
    let name = sockets.interfaces().interfaces[0].name.clone();
    assert_eq!(sockets.interface(&name), Some(InterfaceId(0)));
    assert_eq!(sockets.interface("nonsense"), None);
}

// What was delivered and what was sent, whoever of several workers did it, and whether it was taken or not.
#[test]
fn a_sockets_datagrams_are_counted() {
    let mut world = world(2);
    let socket = world.sockets().bind("0.0.0.0:5000").unwrap();
    socket.set_nonblocking(true);
    let other = world.sockets().bind(("0.0.0.0", 5001)).unwrap();
    socket.set_recv_buffer_size(0);
    let counts = |world: &mut World| {
        sockets(world).iter().map(|s| (s.rx, s.tx, s.thread.as_ref().unwrap().drops)).collect::<Vec<_>>()
    };
    assert_eq!(counts(&mut world), [(0, 0, 0); 2]);
    // Of many flows, so that both workers have some; there is room for two.
    for port in 1..=20 {
        let frame = UdpFrame::new(&format!("198.18.0.1:{port}"), "198.18.0.2:5000", b"question").frame();
        world.exchange(0, &frame);
    }
    assert_eq!(counts(&mut world), [(2, 0, 18), (0, 0, 0)]);
    let mut buf = [0; 64];
    let (_, from) = socket.recv_from(&mut buf).unwrap();
    for n in 0..5 {
        socket.send_to(b"answer", from).unwrap();
        if n < 3 {
            other.send_to(b"too", from).unwrap();
        }
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(counts(&mut world), [(2, 5, 18), (0, 3, 0)]);
}

// P05, Linux: the groups are left, then the port is given up.
#[test]
fn a_socket_that_is_closed_leaves_its_groups() {
    let mut world = world(2);
    let (socket, _endpoint) = bound(&world, "0.0.0.0:5000");
    done(&world, joins(socket, GROUP));
    world.settle();
    assert!(is_reported(&mut world), "the join was reported before the call returned");
    let groups = world.groups();
    let joined = groups.iter().find(|group| group.group.to_string() == GROUP).unwrap();
    assert_eq!(joined.services, ["socket 0.0.0.0:5000"]);
    world.asks().close(socket);
    world.settle();
    assert!(world.groups().iter().all(|group| group.group.to_string() != GROUP));
    assert!(is_reported(&mut world), "so was the leave");
}

/// A stuck worker holds a call up for a second, and others not at all after that; the socket's number is not used again before it
/// has followed.
#[test]
fn a_stuck_worker_holds_nobody_up_for_long() {
    let mut world = world(2);
    let (socket, endpoint) = bound(&world, "0.0.0.0:5000");
    world.set_stuck(Some(1));
    let before = world.now();
    done(&world, Call::Close { socket });
    let waited = world.now().since(before);
    assert!((Duration::from_secs(1)..Duration::from_millis(1100)).contains(&waited), "{waited:?}");
    assert!(Arc::strong_count(&endpoint) > 1, "the worker may still have it");
    assert_ne!(open(&world).0, socket);
    world.set_stuck(None);
    world.run_for(Duration::from_millis(100));
    assert_eq!(Arc::strong_count(&endpoint), 1);
    assert_eq!(open(&world).0, socket);
}

/// More changes than an inbox holds reach every worker, in order.
#[test]
fn thousands_of_sockets_come_and_go() {
    let mut world = world(2);
    world.set_stuck(Some(1));
    let all: Vec<_> = (0..1500).map(|_| open(&world)).collect();
    let free = world.packets().free();
    let asks = world.asks();
    for (n, (socket, _)) in all.iter().enumerate() {
        let local = SocketAddr::from(([0, 0, 0, 0], 10_000 + u16::try_from(n).unwrap()));
        if n == 0 {
            // Each of the others would wait for a second, too.
            world.set_stuck(None);
        }
        assert!(matches!(asks.ask(Call::Bind { socket: *socket, local }), Reply::Done(_)));
    }
    world.set_stuck(Some(1));
    all.iter().for_each(|(socket, _)| asks.close(*socket));
    world.run_for(Duration::from_secs(2));
    assert!(all.iter().all(|(_, endpoint)| Arc::strong_count(endpoint) > 1));
    world.set_stuck(None);
    world.run_for(Duration::from_secs(2));
    assert!(all.iter().all(|(_, endpoint)| Arc::strong_count(endpoint) == 1));
    assert_eq!((world.packets().free(), sockets(&mut world).len()), (free, 0));
}

// U13: every socket that hears a group has its copy; U20, P05: what arrives after the call has returned finds the socket.
#[test]
fn what_arrives_after_a_call_has_returned_finds_the_socket() {
    let mut world = world(2);
    let (socket, endpoint) = bound(&world, "198.18.0.2:5000");
    let frame = |to: &str, payload: &[u8]| UdpFrame::new("198.18.0.1:40000", to, payload).frame();
    world.exchange(0, &frame("198.18.0.2:5000", b"hello"));
    let packet = endpoint.receive().pop().expect("it arrived");
    assert_eq!((packet.payload(), packet.arrived.ttl), (&b"hello"[..], 64));
    assert_eq!(packet.arrived.source, "198.18.0.1:40000".parse().unwrap());
    assert_eq!(packet.arrived.local, "198.18.0.2".parse::<IpAddr>().unwrap());
    world.packets().give(packet);

    let hearers: Vec<_> = (0..20).map(|_| shared(&world, "0.0.0.0:6000")).collect();
    for (socket, _) in &hearers {
        done(&world, joins(*socket, GROUP));
    }
    for _ in 0..32 {
        world.inject(0, &frame("239.1.2.3:6000", b"to all"));
    }
    world.settle();
    for (_, endpoint) in &hearers {
        assert_eq!(endpoint.receive().len(), 32);
    }
    done(&world, Call::Close { socket });
    let answers = world.exchange(0, &frame("198.18.0.2:5000", b"anyone?"));
    assert!(answers.iter().any(|answer| IcmpFrame::read(answer).is_ok()), "nobody: a port unreachable");
    assert_eq!(endpoint.receive().len(), 0);
}

/// A socket that shares its place.
fn shared(world: &World, local: &str) -> (SocketId, Arc<Endpoint>) {
    let (socket, endpoint) = open(world);
    done(world, Call::Set { socket, option: SocketOption::ReuseAddress(true) });
    done(world, Call::Bind { socket, local: local.parse().unwrap() });
    (socket, endpoint)
}

#[test]
fn when_the_host_ends_so_do_its_sockets() {
    let mut world = world(1);
    let (socket, endpoint) = bound(&world, "0.0.0.0:5000");
    assert!(!endpoint.has_ended());
    world.shut_down();
    assert!(endpoint.has_ended());
    assert!(matches!(world.asks().ask(Call::Close { socket }), Reply::Refused(Refusal::Down)));
}

#[test]
fn threads_see_the_interfaces_as_they_are() {
    let mut world = world(1);
    let seen = world.view().get();
    assert_eq!(seen.interfaces.len(), 1);
    assert_eq!(seen.interfaces[0].mtu, 1500);
    let generation = world.view().generation();
    world.settle();
    assert_eq!(world.view().generation(), generation, "nothing is published anew that is the same");
    let order = pollcast::engine::command::MtuOrder { mtu: 1400, port: None };
    assert!(matches!(world.execute(&Command::Mtu(order)), Answer::Done(_)));
    assert_eq!(world.view().get().interfaces[0].mtu, 1400);
    let dst = "198.18.0.1".parse().unwrap();
    let call = Call::PathMtu { interface: InterfaceId(0), dst };
    assert!(matches!(world.asks().ask(call), Reply::PathMtu(1400)));
}
