//! Neighbours, routes and addresses in a simulated world: whom answers by route go to, what waits, and what a scan can
//! do.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use pollcast::addr::{Ipv4Cidr, MacAddr, Prefix, Unicast, Vid};
use pollcast::engine::command::{Answer, Command, Membership, NeighborAnswer, RouteAnswer};
use pollcast::engine::message::INBOX_LEN;
use pollcast::engine::worker::Manner;
use pollcast::io::{ConflictDetection, ReplyPath};
use pollcast::sim::frames::{ArpFrame, UdpFrame, station_mac};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::route::Route;

const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const SECOND: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 9);
const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 20);
const DEAD: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 99);
/// Whoever forwarded a request: no next hop of ours.
const FORWARDER: MacAddr = MacAddr([2, 0, 0, 0, 0xee, 1]);

fn cidr(addr: Ipv4Addr) -> Ipv4Cidr {
    Unicast::new(addr).and_then(|a| Ipv4Cidr::new(a, 24)).unwrap()
}

/// 198.18.0.2/24 and 198.18.7.2/24, a default gateway, and another router to 198.19/16; all but one stations answer ARP.
fn port() -> PortOptions {
    let to_others = Route {
        to: Prefix::new(Ipv4Addr::new(198, 19, 0, 0), 16).unwrap(),
        via: Unicast::new(ROUTER).unwrap(),
    };
    PortOptions {
        addresses: vec![cidr(HOST), cidr(SECOND)],
        gateway4: Unicast::new(GATEWAY),
        routes: vec![to_others],
        stations: vec![GATEWAY, ROUTER, PEER],
        ..PortOptions::new(0)
    }
}

fn options(port: PortOptions, reply: ReplyPath) -> WorldOptions {
    let manner = Manner { reply, ..Manner::default() };
    let echo = ServiceOptions { manner, ..ServiceOptions::echo() };
    WorldOptions { ports: vec![port], services: vec![echo], ..WorldOptions::default() }
}

/// A world that has said what a host says at its start.
fn started(port: PortOptions) -> World {
    started_with(&options(port, ReplyPath::Route))
}

fn started_with(options: &WorldOptions) -> World {
    let mut world = World::new(11, options);
    world.run_for(Duration::from_secs(3));
    world.take_sent(0);
    world
}

fn host_mac() -> MacAddr {
    PortOptions::new(0).nic.mac
}

fn request(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> UdpFrame {
    let (from, to) = (SocketAddrV4::new(from, 40_000), SocketAddrV4::new(to, 7));
    UdpFrame { source_mac: FORWARDER, ..UdpFrame::between(from, to, payload).to_mac(host_mac()) }
}

/// Sends a request and lets the neighbours answer. Returns the UDP frames that the host sent.
fn ask(world: &mut World, request: &UdpFrame) -> Vec<UdpFrame> {
    world.inject(0, &request.frame());
    world.run_for(Duration::from_millis(10));
    udp(&world.take_sent(0))
}

fn udp(sent: &[Vec<u8>]) -> Vec<UdpFrame> {
    sent.iter().filter_map(|frame| UdpFrame::read(frame).ok()).collect()
}

fn arp(sent: &[Vec<u8>]) -> Vec<ArpFrame> {
    sent.iter().filter_map(|frame| ArpFrame::read(frame).ok()).collect()
}

fn neighbor(world: &mut World, addr: Ipv4Addr) -> Option<NeighborAnswer> {
    let Answer::Neighbors(neighbors) = world.execute(&Command::Neighbors) else { panic!("no neighbours") };
    neighbors.into_iter().find(|n| n.addr == addr)
}

/// Packets dropped for `reason`, by control too.
fn drops(world: &mut World, reason: &str) -> u64 {
    let Answer::Drops(drops) = world.execute(&Command::Drops) else { panic!("no drops") };
    drops.iter().find(|d| d.reason == reason).unwrap().packets
}

/// Another host says that it has `addr` at `mac`, in answer to the host's question.
fn reply(addr: Ipv4Addr, mac: MacAddr) -> Vec<u8> {
    ArpFrame { source_mac: host_mac(), sender_mac: host_mac(), ..ArpFrame::request(HOST, addr) }
        .reply(mac)
        .frame()
}

// A09, RFC 1122 2.3.2.2; U21: by the routes, and not to whoever the request came through; the first is not lost.
#[test]
fn an_answer_by_route_goes_to_the_next_hop() {
    for workers in [1, 2] {
        let mut world = started_with(&WorldOptions { workers, ..options(port(), ReplyPath::Route) });
        for (from, to, next_hop) in [
            (PEER, HOST, PEER),
            (Ipv4Addr::new(203, 0, 113, 9), HOST, GATEWAY),
            (Ipv4Addr::new(203, 0, 113, 9), SECOND, GATEWAY),
            (Ipv4Addr::new(198, 19, 3, 3), HOST, ROUTER),
            (ROUTER, SECOND, ROUTER),
        ] {
            for round in 0..3 {
                let request = request(from, to, &[round]);
                let answers = ask(&mut world, &request);
                let [answer] = &answers[..] else { panic!("{answers:?} to {from}") };
                assert_eq!((answer.destination_mac, answer.source_mac), (station_mac(next_hop), host_mac()));
                assert_eq!((*answer.source.ip(), *answer.destination.ip()), (to, from));
                assert_eq!(answer.payload, [round]);
            }
        }
    }
}

#[test]
fn a_reflected_answer_goes_to_whoever_the_request_came_through() {
    let mut world = started_with(&options(port(), ReplyPath::Reflect));
    for from in [PEER, DEAD, Ipv4Addr::new(203, 0, 113, 9)] {
        let answers = ask(&mut world, &request(from, HOST, b"x"));
        assert_eq!(answers.iter().map(|a| a.destination_mac).collect::<Vec<_>>(), [FORWARDER]);
    }
    assert_eq!(neighbor(&mut world, PEER), None, "nobody had to be asked for");
}

#[test]
fn without_a_route_there_is_no_answer() {
    let port = PortOptions { gateway4: None, ..port() };
    let mut world = started(port);
    assert_eq!(ask(&mut world, &request(Ipv4Addr::new(203, 0, 113, 9), HOST, b"x")), []);
    assert_eq!(drops(&mut world, "no_route"), 1);
}

// U21, RFC 1122 4.1.3.5, 3.3.4.3: a group's request is answered from our address on the way to the peer.
#[test]
fn a_groups_request_is_answered_from_the_address_on_the_way_back() {
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let manner = Manner { reply: ReplyPath::Route, ..Manner::default() };
    let echo = ServiceOptions { manner, ..ServiceOptions::echo() }.joining(group, &[]);
    let mut world = started_with(&WorldOptions { services: vec![echo], ..options(port(), ReplyPath::Route) });
    for (from, own) in [
        (PEER, HOST),
        (Ipv4Addr::new(198, 18, 7, 9), SECOND),
        (Ipv4Addr::new(198, 19, 3, 3), SECOND),
        (Ipv4Addr::new(203, 0, 113, 9), HOST),
    ] {
        let (from, to) = (SocketAddrV4::new(from, 40_000), SocketAddrV4::new(group, 7));
        let answers = ask(&mut world, &UdpFrame::between(from, to, b"x"));
        assert_eq!(answers.iter().map(|a| *a.source.ip()).collect::<Vec<_>>(), [own], "{from}");
    }
}

// A08, A11, RFC 1122 2.3.2.1: a thousand packets to a dead host.
#[test]
fn a_dead_host_is_asked_for_once_a_second_and_what_waits_is_dropped() {
    let mut world = started(port());
    for _ in 0..1000 {
        world.inject(0, &request(DEAD, HOST, b"x").frame());
        world.run_for(Duration::from_millis(3));
    }
    world.run_for(Duration::from_millis(500));
    let sent = world.take_sent_at(0);
    let asked: Vec<_> =
        sent.iter().filter(|(_, f)| arp(std::slice::from_ref(f)).iter().any(|a| a.target == DEAD)).collect();
    assert_eq!(asked.len(), 3);
    assert!(asked.windows(2).all(|w| w[1].0.since(w[0].0) >= Duration::from_secs(1)));
    assert_eq!(udp(&sent.iter().map(|(_, f)| f.clone()).collect::<Vec<_>>()), []);
    assert_eq!(drops(&mut world, "neighbor_queue_full") + drops(&mut world, "neighbor_unreachable"), 1000);
    assert!(drops(&mut world, "neighbor_unreachable") >= 64);
    assert_eq!(neighbor(&mut world, DEAD).unwrap().state, "failed");
}

// A09, RFC 1122 2.3.2.2: the latest wait, in their order, and go when the answer comes.
#[test]
fn the_latest_packets_wait_and_leave_in_order() {
    let mut world = started(port());
    let lone = Ipv4Addr::new(198, 18, 0, 77);
    for n in 0..200u8 {
        world.inject(0, &request(lone, HOST, &[n]).frame());
        world.settle();
    }
    assert_eq!(drops(&mut world, "neighbor_queue_full"), 72);
    world.inject(0, &reply(lone, MacAddr([2, 0, 0, 0, 0, 77])));
    world.settle();
    world.inject(0, &request(lone, HOST, &[200]).frame());
    world.run_for(Duration::from_millis(1));
    let answers = udp(&world.take_sent(0));
    let payloads: Vec<u8> = answers.iter().map(|a| a.payload[0]).collect();
    assert!(answers.iter().all(|a| a.destination_mac == MacAddr([2, 0, 0, 0, 0, 77])));
    assert_eq!(payloads, (72..=200).collect::<Vec<u8>>());
}

// A09: what waits at the end is given back (the world counts buffers).
#[test]
fn what_waits_at_the_end_is_dropped() {
    let mut world = started(port());
    for n in 0..10 {
        world.inject(0, &request(DEAD, HOST, &[n]).frame());
    }
    world.settle();
    world.shut_down();
    assert_eq!(drops(&mut world, "stopping"), 10);
}

// A10, RFC 1122 2.3.2.1, RFC 4861 7.3.3: a neighbour in use is confirmed by unicast, one that is not is left alone.
#[test]
fn a_neighbour_in_use_is_polled_and_an_idle_one_is_not() {
    let mut world = started(port());
    ask(&mut world, &request(PEER, HOST, b"x"));
    assert_eq!(neighbor(&mut world, PEER).unwrap().state, "reachable");
    world.run_for(Duration::from_secs(60));
    let idle = world.take_sent(0);
    assert!(arp(&idle).iter().all(|a| a.target != PEER), "{idle:02x?}");
    let stale = neighbor(&mut world, PEER).unwrap();
    assert_eq!((&*stale.state, stale.age_s), ("stale", 60));
    assert_eq!(ask(&mut world, &request(PEER, HOST, b"y")).len(), 1, "used as it is");
    assert_eq!(neighbor(&mut world, PEER).unwrap().state, "delay");
    world.run_for(Duration::from_secs(6));
    let polls: Vec<_> = arp(&world.take_sent(0)).into_iter().filter(|a| a.target == PEER).collect();
    assert_eq!(polls.iter().map(|a| a.destination_mac).collect::<Vec<_>>(), [station_mac(PEER)]);
    assert_eq!(neighbor(&mut world, PEER).unwrap().state, "reachable");
}

// A10: a peer that has another Ethernet address and says nothing of it is found again.
#[test]
fn a_silent_change_of_a_peers_mac_is_healed() {
    let lone = Ipv4Addr::new(198, 18, 0, 77);
    let macs = [MacAddr([2, 0, 0, 0, 0, 77]), MacAddr([2, 0, 0, 0, 1, 77])];
    let mut world = started(port());
    let mut mac = macs[0];
    let mut reached = Vec::new();
    for second in 0..60u64 {
        if second == 10 {
            mac = macs[1];
        }
        for frame in world.take_sent(0) {
            let question = ArpFrame::read(&frame).ok();
            let heard = question
                .filter(|a| a.target == lone && [MacAddr::BROADCAST, mac].contains(&a.destination_mac));
            if heard.is_some() {
                world.inject(0, &reply(lone, mac));
            }
            reached.extend(UdpFrame::read(&frame).ok().map(|a| (second, a.destination_mac == mac)));
        }
        world.inject(0, &request(lone, HOST, b"x").frame());
        world.run_for(Duration::from_secs(1));
    }
    assert!(reached.iter().filter(|(s, _)| (2..10).contains(s)).all(|(_, there)| *there), "{reached:?}");
    let healed = reached.iter().rposition(|(_, there)| !there).map(|last| reached[last].0).unwrap();
    // Believed for 30 s, then 5 s of grace, three polls, and one question to all.
    assert!((12..=43).contains(&healed), "{healed}");
}

// A04, A10: a peer that moves and says so is reached at once, by every worker.
#[test]
fn an_announced_change_of_a_peers_mac_is_believed_at_once() {
    let mut world = started_with(&WorldOptions { workers: 2, ..options(port(), ReplyPath::Route) });
    for port in 0..32 {
        let request =
            UdpFrame { source: SocketAddrV4::new(PEER, 40_000 + port), ..request(PEER, HOST, b"x") };
        assert_eq!(ask(&mut world, &request)[0].destination_mac, station_mac(PEER));
    }
    let moved = MacAddr([2, 0, 0, 0, 1, 20]);
    let announcement = ArpFrame { source_mac: moved, sender_mac: moved, ..ArpFrame::request(PEER, PEER) };
    world.exchange(0, &announcement.frame());
    for port in 0..32 {
        let request =
            UdpFrame { source: SocketAddrV4::new(PEER, 40_000 + port), ..request(PEER, HOST, b"x") };
        assert_eq!(ask(&mut world, &request)[0].destination_mac, moved);
    }
    assert!(world.worker_tallies().iter().all(|t| t.get(pollcast::engine::Counter::Delivered) > 0));
}

// A worker whose inbox was full is told of its neighbours when there is room.
#[test]
fn a_worker_with_a_full_inbox_is_told_later() {
    let mut world = started(port());
    assert_eq!(ask(&mut world, &request(PEER, HOST, b"x"))[0].destination_mac, station_mac(PEER));
    let moved = MacAddr([2, 0, 0, 0, 1, 20]);
    world.inject(
        0,
        &ArpFrame { source_mac: moved, sender_mac: moved, ..ArpFrame::request(PEER, PEER) }.frame(),
    );
    world.turn_worker(0);
    // Each puts a table into the inbox.
    for n in 0..u32::try_from(INBOX_LEN).unwrap() {
        let group = Ipv4Addr::from_bits(0xef01_0000 + n);
        let answer = world.command(&Command::Join(Membership::of(group)));
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    }
    let early = udp(&world.exchange(0, &request(PEER, HOST, b"x").frame()));
    assert_eq!(early[0].destination_mac, station_mac(PEER), "not told yet");
    world.run_for(Duration::from_millis(50));
    assert_eq!(ask(&mut world, &request(PEER, HOST, b"x"))[0].destination_mac, moved);
}

// E12, 802.1Q: what waited for its neighbour leaves with the tag of its interface, whoever writes it.
#[test]
fn what_waited_leaves_on_its_vlan() {
    for (vlan_strip, vlan_insert) in [(false, false), (true, false), (false, true), (true, true)] {
        let plain = PortOptions::new(0);
        let nic = NicOptions { vlan_strip, vlan_insert, ..plain.nic.clone() };
        let (own, peer) = (Ipv4Addr::new(198, 19, 0, 2), Ipv4Addr::new(198, 19, 0, 1));
        let vlan = VlanOptions { vid: Vid::new(100).unwrap(), addresses: vec![cidr(own)], gateway4: None };
        let mut world = started(PortOptions { nic, vlans: vec![vlan], ..plain });
        let tag = |mut frame: Vec<u8>| {
            frame.splice(12..12, [0x81, 0, 0, 100]);
            frame
        };
        let untagged = |frame: &Vec<u8>| {
            let mut frame = frame.clone();
            assert_eq!(frame.drain(12..16).collect::<Vec<u8>>(), [0x81, 0, 0, 100]);
            frame
        };
        let sent = world.exchange(0, &tag(request(peer, own, b"tagged").frame()));
        let question = ArpFrame::read(&untagged(&sent[0])).unwrap();
        assert_eq!((question.sender, question.target), (own, peer));
        let answers = world.exchange(0, &tag(question.reply(station_mac(peer)).frame()));
        let answer = UdpFrame::read(&untagged(&answers[0])).unwrap();
        assert_eq!((answer.destination_mac, &*answer.payload), (station_mac(peer), &b"tagged"[..]));
        let answers = world.exchange(0, &tag(request(peer, own, b"again").frame()));
        assert_eq!(UdpFrame::read(&untagged(&answers[0])).unwrap().payload, b"again");
    }
}

/// A small cache, and as many live peers as are to outlive what comes.
fn small_world_of_peers() -> (World, Vec<Ipv4Addr>) {
    let peers: Vec<Ipv4Addr> = (10..40).map(|n| Ipv4Addr::new(198, 18, 0, n)).collect();
    let addresses = vec![Unicast::new(HOST).and_then(|a| Ipv4Cidr::new(a, 15)).unwrap()];
    let stations = [&peers[..], &[GATEWAY]].concat();
    let mut world =
        started(PortOptions { neighbors_max: 64, stations, addresses, routes: Vec::new(), ..port() });
    for peer in &peers {
        assert_eq!(ask(&mut world, &request(*peer, HOST, b"x")).len(), 1);
    }
    (world, peers)
}

fn assert_still_reached_without_a_question(world: &mut World, peers: &[Ipv4Addr]) {
    world.settle();
    world.take_sent(0);
    for peer in peers.iter().chain(&[Ipv4Addr::new(203, 0, 113, 9)]) {
        let answers = world.exchange(0, &request(*peer, HOST, b"y").frame());
        assert_eq!(udp(&answers).len(), 1, "{peer} at once");
        assert_eq!(arp(&answers), [], "{peer}");
    }
}

// A14: a /16 of spoofed ARP requests, and of spoofed requests that are answered by route, evicts no live peer.
#[test]
fn a_scan_of_a_16_evicts_no_live_peer() {
    let (mut world, peers) = small_world_of_peers();
    for n in 0..0x1_0000u32 {
        let spoofed = Ipv4Addr::from_bits(0xc613_0000 + n);
        world.inject(
            0,
            &ArpFrame { source_mac: FORWARDER, sender_mac: FORWARDER, ..ArpFrame::request(spoofed, HOST) }
                .frame(),
        );
        if n % 16 == 0 {
            world.run_for(Duration::from_micros(160));
        }
    }
    assert_still_reached_without_a_question(&mut world, &peers);
    for n in 0..0x1_0000u32 {
        let spoofed = Ipv4Addr::from_bits(0xc613_0000 + n);
        world.inject(0, &request(spoofed, HOST, b"scan").frame());
        if n % 16 == 0 {
            world.run_for(Duration::from_micros(160));
        }
    }
    assert_still_reached_without_a_question(&mut world, &peers);
    // Both at once: known by a spoofed question, used by a spoofed request.
    for n in 0..0x4000u32 {
        let spoofed = Ipv4Addr::from_bits(0xc613_0000 + n);
        world.inject(
            0,
            &ArpFrame { source_mac: FORWARDER, sender_mac: FORWARDER, ..ArpFrame::request(spoofed, HOST) }
                .frame(),
        );
        world.settle();
        world.inject(0, &request(spoofed, HOST, b"scan").frame());
        world.run_for(Duration::from_micros(100));
    }
    assert_still_reached_without_a_question(&mut world, &peers);
    let Answer::Neighbors(all) = world.execute(&Command::Neighbors) else { panic!() };
    assert!(all.len() <= 65, "{}", all.len());
}

fn probing() -> PortOptions {
    PortOptions { conflict_detection: ConflictDetection::Probe, ..port() }
}

// A12, RFC 5227 2.1.1, 2.3: three probes, then it is used and announced twice; not before.
#[test]
fn an_address_that_is_probed_for_is_used_when_nobody_answers() {
    let mut world = World::new(3, &options(probing(), ReplyPath::Reflect));
    let mut answered = Vec::new();
    let mut said: Vec<(u64, ArpFrame)> = Vec::new();
    let start = world.now();
    for _ in 0..120 {
        world.inject(0, &request(PEER, HOST, b"x").frame());
        world.inject(0, &ArpFrame::request(PEER, HOST).frame());
        world.run_for(Duration::from_millis(100));
        for (at, frame) in world.take_sent_at(0) {
            let ms = u64::try_from(at.since(start).as_millis()).unwrap();
            match ArpFrame::read(&frame) {
                Ok(arp) if arp.target == HOST && arp.operation == 1 => said.push((ms, arp)),
                Ok(arp) if arp.operation == 2 => answered.push(ms),
                _ => answered.extend(UdpFrame::read(&frame).ok().map(|_| ms)),
            }
        }
    }
    let senders: Vec<Ipv4Addr> = said.iter().map(|(_, arp)| arp.sender).collect();
    let nobody = Ipv4Addr::UNSPECIFIED;
    assert_eq!(senders, [nobody, nobody, nobody, HOST, HOST]);
    assert!(answered.iter().all(|ms| *ms >= said[3].0), "{answered:?} {said:?}");
    assert!(answered.iter().any(|ms| *ms < said[3].0 + 200));
    assert!(said[0].0 <= 1000 && said[4].0 - said[3].0 >= 2000);
}

// A12, RFC 5227 2.1.1: an address that another host has is not used; the other one is.
#[test]
fn an_address_that_another_host_has_is_not_used() {
    let mut world = World::new(3, &options(probing(), ReplyPath::Reflect));
    world.run_for(Duration::from_millis(1500));
    let thief = MacAddr([2, 0, 0, 0, 0, 23]);
    let claim = ArpFrame { source_mac: thief, sender_mac: thief, ..ArpFrame::request(HOST, HOST) };
    world.inject(0, &claim.frame());
    world.run_for(Duration::from_secs(20));
    let sent = arp(&world.take_sent(0));
    assert!(sent.iter().all(|a| a.sender != HOST), "{sent:?}");
    assert_eq!(ask(&mut world, &request(PEER, HOST, b"x")), []);
    assert_eq!(ask(&mut world, &request(PEER, SECOND, b"x")).len(), 1);
    let Answer::Routes(routes) = world.execute(&Command::Routes) else { panic!() };
    assert_eq!(routes.iter().filter(|r| r.kind == "connected").count(), 1);
    // A minute later the other host is gone.
    world.run_for(Duration::from_secs(70));
    assert_eq!(ask(&mut world, &request(PEER, HOST, b"x")).len(), 1);
}

// A06, RFC 5227 2.4: each address is defended once in ten seconds, whatever becomes of the others.
#[test]
fn each_address_is_defended_for_itself() {
    let mut world = started(port());
    let thief = MacAddr([2, 0, 0, 0, 0, 23]);
    let claim =
        |addr| ArpFrame { source_mac: thief, sender_mac: thief, ..ArpFrame::request(addr, addr) }.frame();
    let mut defended = Vec::new();
    for second in 0..22 {
        for addr in [HOST, SECOND] {
            let sent = arp(&world.exchange(0, &claim(addr)));
            defended.extend(sent.iter().filter(|a| a.sender == a.target).map(|a| (second, a.sender)));
        }
        world.run_for(Duration::from_secs(1));
        world.take_sent(0);
    }
    assert_eq!(defended, [0, 10, 20].map(|s| [(s, HOST), (s, SECOND)]).concat());
    assert_eq!(ask(&mut world, &request(PEER, HOST, b"x")).len(), 1, "it is used all the same");
}

// A12, RFC 5227 2.1: a link that comes up is told of our addresses.
#[test]
fn a_link_that_comes_up_is_told_of_our_addresses() {
    let mut world = started(port());
    world.run_for(Duration::from_secs(5));
    world.device(0).set_link_up(false);
    world.run_for(Duration::from_secs(3));
    world.take_sent(0);
    world.device(0).set_link_up(true);
    world.run_for(Duration::from_secs(5));
    let said: Vec<_> =
        arp(&world.take_sent(0)).into_iter().filter(|a| a.sender == a.target).map(|a| a.sender).collect();
    assert_eq!(said, [HOST, SECOND, HOST, SECOND]);
}

// A10: the host behind an address may be another one after the link was down; as Linux, which forgets its neighbours.
#[test]
fn neighbours_are_asked_for_anew_when_the_link_comes_up() {
    let mut world = started(port());
    ask(&mut world, &request(PEER, HOST, b"x"));
    world.device(0).set_link_up(false);
    world.run_for(Duration::from_secs(2));
    world.device(0).set_link_up(true);
    world.take_sent(0);
    world.run_for(Duration::from_secs(2));
    let asked = arp(&world.take_sent(0));
    let of = |addr| asked.iter().filter(|a| a.target == addr && a.sender != addr).count();
    assert_eq!([of(GATEWAY), of(ROUTER), of(PEER)], [1, 1, 0]);
    assert_eq!(neighbor(&mut world, PEER), None);
    assert_eq!(ask(&mut world, &request(PEER, HOST, b"y")).len(), 1);
}

// A13, RFC 1112 6.4; I21, RFC 1122 3.2.1.3: nobody is asked for groups, broadcasts or our own addresses, and nothing
// leaves from an address that is not ours.
#[test]
fn nobody_is_asked_for_what_no_host_has_and_nothing_leaves_from_it() {
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let manner = Manner { reply: ReplyPath::Route, ..Manner::default() };
    let echo = ServiceOptions { manner, ..ServiceOptions::echo() }.joining(group, &[]);
    let mut world =
        World::new(5, &WorldOptions { services: vec![echo], ..options(port(), ReplyPath::Route) });
    let destinations = [HOST, SECOND, group, Ipv4Addr::BROADCAST, Ipv4Addr::new(198, 18, 0, 255), DEAD];
    let sources = [
        PEER,
        DEAD,
        HOST,
        SECOND,
        group,
        GATEWAY,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(198, 18, 7, 255),
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(203, 0, 113, 9),
        Ipv4Addr::new(240, 0, 0, 1),
        Ipv4Addr::new(224, 0, 0, 22),
    ];
    for from in sources {
        for to in destinations {
            let (from, to) = (SocketAddrV4::new(from, 40_000), SocketAddrV4::new(to, 7));
            let frame = UdpFrame { source_mac: FORWARDER, ..UdpFrame::between(from, to, b"x") };
            world.inject(0, &frame.frame());
            world.inject(0, &frame.to_mac(host_mac()).frame());
            world.run_for(Duration::from_millis(50));
        }
    }
    let sent = world.take_sent(0);
    assert!(!udp(&sent).is_empty());
    for frame in &sent {
        assert_eq!(frame[6..12], host_mac().0);
        if let Ok(arp) = ArpFrame::read(frame) {
            assert!(arp.sender == HOST || arp.sender == SECOND, "{arp:?}");
            assert!(
                arp.sender == arp.target || [GATEWAY, ROUTER, PEER, DEAD].contains(&arp.target),
                "{arp:?}"
            );
        } else {
            let source = Ipv4Addr::new(frame[26], frame[27], frame[28], frame[29]);
            assert!(source == HOST || source == SECOND, "{frame:02x?}");
        }
    }
}

#[test]
fn routes_are_told() {
    let mut world = started(port());
    let Answer::Routes(routes) = world.execute(&Command::Routes) else { panic!() };
    let row = |kind: &str, to: &str, via: Option<Ipv4Addr>, source: Ipv4Addr| RouteAnswer {
        port: "p0".into(),
        kind: kind.into(),
        to: to.into(),
        via: via.map(Into::into),
        source: Some(source.into()),
        expires_s: None,
        preference: None,
    };
    assert_eq!(
        routes,
        [
            row("connected", "198.18.0.0/24", None, HOST),
            row("connected", "198.18.7.0/24", None, SECOND),
            row("static", "198.19.0.0/16", Some(ROUTER), SECOND),
            row("default", "0.0.0.0/0", Some(GATEWAY), HOST),
        ]
    );
    let states: Vec<_> = [GATEWAY, ROUTER].map(|a| neighbor(&mut world, a).unwrap().state).to_vec();
    assert_eq!(states, ["reachable", "reachable"], "gateways are resolved from the start");
}
