//! No heap allocation per packet on the ways that packets take beside plain IPv4: over IPv6, in VLANs, to several hearers, and to and
//! from the sockets of threads, whose own calls ask for nothing either.
#![cfg(feature = "sim")]

mod alloc_common;
mod echo_common;
mod sockets_common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use alloc_common::{allocations, assert_none, assert_none_of};
use echo_common::{Asked, echo};
use pollcast::addr::{Cidr, Group, Ipv4Cidr, Unicast, V6, Vid};
use pollcast::engine::Counter;
use pollcast::fastpath::Level;
use pollcast::io::{Addressing6, InterfaceId, LinkLocal};
use pollcast::service::{Discard, EchoOptions, Service};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::frames::UdpFrame;
use pollcast::sim::frames::fragment6::cut6_evenly;
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::socket::UdpSocket;
use pollcast::stack::membership::SourceFilter;
use sockets_common::addr;

const PEER: &str = "198.18.0.1:40000";
const GROUP: &str = "239.1.2.3:5000";

fn started(options: WorldOptions) -> World {
    let mut world = World::new(40, &WorldOptions { level: Level::detect(), ..options });
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    world
}

/// A port that is 198.18.0.2 and 2001:db8::2.
fn both() -> PortOptions {
    let unicast = |text: &str| Unicast::<V6>::new(text.parse().unwrap()).unwrap();
    let addressing6 = Addressing6 {
        link_local: LinkLocal::Addr(unicast("fe80::2")),
        statics: vec![Cidr::new(unicast("2001:db8::2"), 64).unwrap()],
        router_discovery: false,
        ..Addressing6::new()
    };
    let station = Ipv4Addr::new(198, 18, 0, 1);
    PortOptions {
        addressing6: Some(addressing6),
        stations: vec![station],
        gateway4: Unicast::new(station),
        ..PortOptions::new(0)
    }
}

fn frame6(to: &str, payload: &[u8]) -> Vec<u8> {
    let frame = UdpFrame6::new("[2001:db8::1]:40000", to, payload);
    let is_group = frame.destination.ip().is_multicast();
    if is_group { frame.frame() } else { frame.to_mac(PortOptions::new(0).nic.mac).frame() }
}

// F11, F19: alone, to a group that three services hear, and in fragments.
#[test]
fn ipv6() {
    let group = Group::<V6>::new("ff15::1:2:3".parse().unwrap()).unwrap();
    let echo = |name: &str| {
        let echo = ServiceOptions { name: name.into(), reuse_address: true, ..ServiceOptions::echo() };
        let mut echo = echo.dual_stack();
        echo.groups6.push((InterfaceId(0), group, SourceFilter::ANY));
        echo
    };
    let services = vec![echo("a"), echo("b"), echo("c")];
    let mut world = started(WorldOptions { services, ports: vec![both()], ..WorldOptions::default() });
    let to_host: Vec<_> = (0..=1452).step_by(60).map(|n| frame6("[2001:db8::2]:7", &vec![9; n])).collect();
    // To an address that all of them are bound to, one service alone hears it: the last.
    assert_eq!(assert_none(&mut world, &to_host), 39 * to_host.len(), "{:?}", world.all_drops());
    let to_group: Vec<_> = (0..60).map(|n| frame6("[ff15::1:2:3]:7", &[n; 100])).collect();
    assert_eq!(assert_none(&mut world, &to_group), 3 * 39 * to_group.len(), "{:?}", world.all_drops());
    let cut = |n: u32| cut6_evenly(&frame6("[2001:db8::2]:7", &[1; 1400]), n, 400);
    let fragments: Vec<_> = (0..20).flat_map(cut).collect();
    assert_eq!(assert_none(&mut world, &fragments), 39 * 20, "{:?}", world.all_drops());
}

// What an echo answers as it came, over both IP versions, to one socket and to several among few and among many: no service sees it.
#[test]
fn the_short_way() {
    for sockets in [4, 4000] {
        let asked = Arc::<Asked>::default();
        let mut service = echo(&[], EchoOptions::default(), true, &asked);
        service.listen = (2000..2000 + sockets).map(|port| ([0, 0, 0, 0], port).into()).collect();
        let services = vec![service.dual_stack()];
        let ports = vec![both()];
        let mut world = started(WorldOptions { services, ports, buffers: 4096, ..WorldOptions::default() });
        let v4 = |n: u16| UdpFrame::new(PEER, &format!("198.18.0.2:{}", 2000 + n % 4), &[1; 300]).frame();
        let v6 = |n: u16| frame6(&format!("[2001:db8::2]:{}", 2000 + n % 3), &[1; 300]);
        // Of each 100, which arrive together, bursts of one version, and one of both.
        let frames: Vec<_> = (0..400).map(|n| if n % 100 < 48 { v4(n / 300 * n) } else { v6(n) }).collect();
        assert_eq!(assert_none(&mut world, &frames), 39 * frames.len(), "{:?}", world.all_drops());
        assert_eq!(world.count(Counter::Delivered), 40 * 400);
        let has_short_way = Level::detect() != Level::BASELINE;
        assert_eq!(asked.seen(), if has_short_way { 0 } else { 40 * 400 });
    }
}

// E06: whoever takes tags off and puts them on.
#[test]
fn vlans() {
    for (vlan_strip, vlan_insert) in [(false, false), (true, true), (true, false), (false, true)] {
        let own = Ipv4Addr::new(198, 19, 0, 2);
        let addresses = Unicast::new(own).and_then(|a| Ipv4Cidr::new(a, 24)).into_iter().collect();
        let vlan = VlanOptions { vid: Vid::new(100).unwrap(), addresses, gateway4: None };
        let port = both();
        let nic = NicOptions { vlan_strip, vlan_insert, ..port.nic.clone() };
        let mac = nic.mac;
        let ports = vec![PortOptions { nic, vlans: vec![vlan], ..port }];
        let mut world = started(WorldOptions { ports, ..WorldOptions::default() });
        let tagged = |n: u8| {
            let frame = UdpFrame::new("198.19.0.1:40000", "198.19.0.2:7", &vec![n; n.into()]).to_mac(mac);
            UdpFrame { tci: Some(100), ..frame }.frame()
        };
        let untagged = |n: u8| UdpFrame::new(PEER, "198.18.0.2:7", &[n; 30]).frame();
        let frames: Vec<_> = (0..100).flat_map(|n| [tagged(n), untagged(n)]).collect();
        assert_eq!(assert_none(&mut world, &frames), 39 * frames.len(), "{:?}", world.all_drops());
    }
}

// U23, and what another worker received: one queue, whose worker hands each flow to the worker that owns it, and sends what that answers.
#[test]
fn more_workers_than_queues() {
    let port = PortOptions { queues: Some(1), ..both() };
    let options = WorldOptions {
        ports: vec![port],
        services: vec![ServiceOptions::echo()],
        workers: 3,
        buffers: 4096,
        ..WorldOptions::default()
    };
    let mut world = started(options);
    let frame =
        |n: u16| UdpFrame::new(&format!("198.18.0.1:{}", 20_000 + n), "198.18.0.2:7", &[1; 60]).frame();
    let frames: Vec<_> = (0..200).map(frame).collect();
    let sent = assert_none_of(3, &mut world, &frames);
    assert_eq!(sent, 39 * frames.len(), "{:?}", world.all_drops());
    assert!(world.count(Counter::HandedIn) > 39 * 100, "most flows are another worker's");
}

#[test]
fn discard() {
    let make = || -> Box<dyn Service<SimBuf>> { Box::new(Discard) };
    let service = ServiceOptions {
        factory: Box::new(make),
        listen: vec!["0.0.0.0:9".parse().unwrap()],
        ..ServiceOptions::echo()
    };
    let mut world = started(WorldOptions { services: vec![service], ..WorldOptions::default() });
    let frames: Vec<_> =
        (0..100).map(|n| UdpFrame::new(PEER, "198.18.0.2:9", &vec![n; n.into()]).frame()).collect();
    assert_eq!(assert_none(&mut world, &frames), 0);
    assert_eq!(world.count(Counter::Consumed), 40 * 100, "{:?}", world.all_drops());
}

// Many sockets, where what look-ups read is fetched ahead, and datagrams that have none.
#[test]
fn thousands_of_sockets() {
    let listen = (2000..6000u16).map(|port| SocketAddr::from(([198, 18, 0, 2], port))).collect();
    let services = vec![ServiceOptions { listen, ..ServiceOptions::echo() }];
    let mut world = started(WorldOptions { services, ..WorldOptions::default() });
    let to = |port: u16| UdpFrame::new(PEER, &format!("198.18.0.2:{port}"), &[1; 60]).frame();
    let frames: Vec<_> = (0..300).map(|n| to(2000 + n * 13)).chain([to(1), to(7000)]).collect();
    let sent = assert_none(&mut world, &frames);
    assert!(sent >= 39 * 300, "{sent} sent, {:?}", world.all_drops());
}

/// Has the worker turn until nothing is left to do, and counts what that asks of the heap.
fn turns(world: &mut World) -> u64 {
    allocations(|| while world.turn_worker(0) > 0 {})
}

fn bound(world: &World, local: &str) -> UdpSocket {
    let socket = world.sockets().udp4().unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(addr(local)).unwrap();
    socket.set_nonblocking(true);
    socket
}

/// Receives all that waits; how many datagrams that was, and what the calls asked of the heap.
fn receive(
    sockets: &[UdpSocket],
    buf: &mut [u8],
    mut each: impl FnMut(&UdpSocket, usize, SocketAddr),
) -> (u64, u64) {
    let mut received = 0;
    let asked = allocations(|| {
        for socket in sockets {
            while let Ok((len, from)) = socket.recv_from(buf) {
                received += 1;
                each(socket, len, from);
            }
        }
    });
    (received, asked)
}

// U23: delivered to threads, one socket, a connected one, and three that hear a group; and received by them.
#[test]
fn what_threads_receive() {
    let mut world =
        started(WorldOptions { services: Vec::new(), ports: vec![both()], ..WorldOptions::default() });
    let sockets: Vec<_> =
        ["198.18.0.2:5001", "198.18.0.2:5002", GROUP, GROUP, GROUP].map(|at| bound(&world, at)).into();
    sockets[1].connect(addr(PEER)).unwrap();
    for socket in &sockets[2..] {
        socket.join(Ipv4Addr::new(239, 1, 2, 3).into(), Some(InterfaceId(0))).unwrap();
    }
    world.run_for(Duration::from_secs(5));
    let to = |to: &str, n: u16| UdpFrame::new(PEER, to, &vec![1; usize::from(n) * 20]).frame();
    let frames: Vec<_> =
        (0..60).map(|n| to(["198.18.0.2:5001", "198.18.0.2:5002", GROUP][usize::from(n) % 3], n)).collect();
    let mut buf = vec![0; 2048];
    let (mut in_turns, mut in_calls, mut received) = (0, 0, 0);
    for round in 0..40 {
        frames.iter().for_each(|frame| _ = world.inject(0, frame));
        let by_worker = turns(&mut world);
        let (datagrams, by_thread) = receive(&sockets, &mut buf, |_, _, _| ());
        received += datagrams;
        if round > 0 {
            (in_turns, in_calls) = (in_turns + by_worker, in_calls + by_thread);
        }
        world.settle();
    }
    assert_eq!(received, 40 * (20 + 20 + 3 * 20), "{:?}", world.all_drops());
    assert_eq!((in_turns, in_calls), (0, 0), "heap allocations of the worker, and of the threads' calls");
}

// U27: sent by threads, to a host that is known, to a group, and back to whoever asked; and with a peer.
#[test]
fn what_threads_send() {
    let mut world =
        started(WorldOptions { services: Vec::new(), ports: vec![both()], ..WorldOptions::default() });
    let sockets = vec![bound(&world, "198.18.0.2:5001"), bound(&world, "198.18.0.2:5002")];
    sockets[1].connect(addr("198.18.0.1:9")).unwrap();
    // The neighbour is found first.
    sockets.iter().for_each(|socket| _ = socket.send_to(b"x", addr(PEER)));
    world.run_for(Duration::from_secs(5));
    let questions: Vec<_> =
        (0..20).map(|n| UdpFrame::new(PEER, "198.18.0.2:5001", &[n; 200]).frame()).collect();
    let (peer, group) = (addr("198.18.0.1:7"), addr(GROUP));
    let (payload, mut buf) = (vec![2; 1000], vec![0; 2048]);
    let (mut in_turns, mut in_calls, mut sent, mut out) = (0, 0, 0, Vec::with_capacity(2048));
    for round in 0..40 {
        questions.iter().for_each(|frame| _ = world.inject(0, frame));
        let mut by_worker = turns(&mut world);
        let (_, mut by_thread) = receive(&sockets, &mut buf, |socket, len, from| {
            assert_eq!(socket.send_to(&payload[..len], from).unwrap(), len);
        });
        by_thread += allocations(|| {
            for _ in 0..10 {
                sockets[0].send_to(&payload, peer).unwrap();
                sockets[0].send_to(&payload, group).unwrap();
                sockets[1].send(&payload).unwrap();
            }
        });
        by_worker += turns(&mut world);
        while world.device(0).transmit_into(&mut out) {
            sent += 1;
        }
        if round > 1 {
            (in_turns, in_calls) = (in_turns + by_worker, in_calls + by_thread);
        }
        world.settle();
    }
    assert_eq!(sent, 40 * (20 + 30), "{:?}", world.all_drops());
    assert!(world.count(Counter::Tx) >= 40 * 50);
    assert_eq!((in_turns, in_calls), (0, 0), "heap allocations of the worker, and of the threads' calls");
}
