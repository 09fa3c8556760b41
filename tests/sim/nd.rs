//! Neighbour discovery in a simulated world: an honest neighbour, a hostile one, floods and scans.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pollcast::addr::{Cidr, MacAddr, Unicast};
use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command, NeighborAnswer};
use pollcast::engine::message::PUNT_LEN;
use pollcast::engine::worker::Manner;
use pollcast::io::{Addressing6, DropReason, ReplyPath};
use pollcast::service::{Cx, Datagram, IcmpError, IcmpErrorKind, Service};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::frames::{NdpFrame, NdpMessage, NdpOption, UdpFrame6, solicited_node, station_mac6};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::route::Route;

const HOST: Ipv6Addr = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 2);
const PEER: Ipv6Addr = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 1);
const DEAD: Ipv6Addr = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 0xdead);
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const BETTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Whoever forwarded a request: no next hop of ours.
const FORWARDER: MacAddr = MacAddr([2, 0, 0, 0, 0xee, 1]);
const HOSTILE: MacAddr = MacAddr([2, 0, 0, 0, 0xbd, 1]);

fn host_mac() -> MacAddr {
    PortOptions::new(0).nic.mac
}

/// fd88::2/64 and a link-local address, the default route through fe80::1, and nobody believed about routes.
fn port() -> PortOptions {
    let cidr = Cidr::new(Unicast::new(HOST).unwrap(), 64).unwrap();
    let addressing = Addressing6 { statics: vec![cidr], router_discovery: false, ..Addressing6::new() };
    let port = PortOptions::new(0);
    let nic = NicOptions { rx_descriptors: 1024, tx_descriptors: 1024, ..port.nic.clone() };
    PortOptions {
        nic,
        addressing6: Some(addressing),
        routes6: vec![Route::default_via(Unicast::new(ROUTER).unwrap())],
        ..port
    }
}

/// A world with an echo whose answers go by route.
fn options(port: PortOptions) -> WorldOptions {
    let manner = Manner { reply: ReplyPath::Route, ..Manner::default() };
    let echo = ServiceOptions { manner, ..ServiceOptions::echo().dual_stack() };
    WorldOptions { ports: vec![port], services: vec![echo], ..WorldOptions::default() }
}

/// A world that has said what a host says at its start.
fn started(options: &WorldOptions) -> World {
    let mut world = World::new(17, options);
    world.run_for(Duration::from_secs(8));
    world.take_sent(0);
    world
}

fn ndp(sent: &[Vec<u8>]) -> Vec<NdpFrame> {
    sent.iter().filter_map(|frame| NdpFrame::read(frame).unwrap()).collect()
}

fn udp(sent: &[Vec<u8>]) -> Vec<UdpFrame6> {
    sent.iter().filter_map(|frame| UdpFrame6::read(frame).ok()).collect()
}

/// What the host says of neighbour discovery to `frame`.
fn answers(world: &mut World, frame: &NdpFrame) -> Vec<NdpFrame> {
    ndp(&world.exchange(0, &frame.frame()))
}

/// A request that came through someone else.
fn request(from: Ipv6Addr, payload: &[u8]) -> UdpFrame6 {
    let (from, to) = (SocketAddrV6::new(from, 40_000, 0, 0), SocketAddrV6::new(HOST, 7, 0, 0));
    UdpFrame6 { source_mac: FORWARDER, ..UdpFrame6::between(from, to, payload).to_mac(host_mac()) }
}

/// The neighbour at `mac` answers the question for `target`.
fn answer(target: Ipv6Addr, mac: MacAddr) -> NdpFrame {
    NdpFrame { source_mac: host_mac(), ..NdpFrame::solicitation(HOST, target) }.advertisement(mac)
}

/// Makes `addr` a neighbour that answered.
fn live(world: &mut World, addr: Ipv6Addr) {
    world.inject(0, &request(addr, b"x").frame());
    world.run_for(Duration::from_millis(1));
    world.inject(0, &answer(addr, station_mac6(addr)).frame());
    world.run_for(Duration::from_millis(1));
    assert_eq!(state(world, addr).as_deref(), Some("reachable"), "{addr}");
    world.take_sent(0);
}

fn neighbor(world: &mut World, addr: Ipv6Addr) -> Option<NeighborAnswer> {
    let Answer::Neighbors(neighbors) = world.execute(&Command::Neighbors) else { panic!("no neighbours") };
    neighbors.into_iter().find(|n| n.addr == addr)
}

fn state(world: &mut World, addr: Ipv6Addr) -> Option<String> {
    neighbor(world, addr).map(|n| n.state)
}

/// Packets dropped for `reason`, by control too.
fn drops(world: &mut World, reason: DropReason) -> u64 {
    let Answer::Drops(drops) = world.execute(&Command::Drops) else { panic!("no drops") };
    drops.iter().find(|d| d.reason == reason.name()).unwrap().packets
}

fn solicited(target: Ipv6Addr, solicited: bool, overrides: bool) -> NdpMessage {
    NdpMessage::NeighborAdvertisement { target, router: false, solicited, overrides }
}

/// Whether the host asked for `target` from `source`: everyone, or it alone.
fn asked(frame: &NdpFrame) -> Option<(Ipv6Addr, Ipv6Addr, MacAddr)> {
    match frame.message {
        NdpMessage::NeighborSolicitation { target } if !frame.source.is_unspecified() => {
            assert_eq!(frame.options, [NdpOption::SourceLinkLayer(host_mac())]);
            Some((frame.source, target, frame.destination_mac))
        }
        _ => None,
    }
}

fn group_mac(target: Ipv6Addr) -> MacAddr {
    let [.., a, b, c] = target.octets();
    MacAddr([0x33, 0x33, 0xff, a, b, c])
}

// N03, RFC 4861 7.2.4; N10: whoever asks is a stale neighbour then.
#[test]
fn a_question_to_the_group_and_one_to_us_are_answered_as_linux_does() {
    let mut world = started(&options(port()));
    let question = NdpFrame::solicitation(PEER, HOST);
    let [answer] = <[_; 1]>::try_from(answers(&mut world, &question)).unwrap();
    assert_eq!((answer.source, answer.destination), (HOST, PEER));
    assert_eq!((answer.source_mac, answer.destination_mac), (host_mac(), station_mac6(PEER)));
    assert_eq!(answer.message, solicited(HOST, true, true));
    assert_eq!(answer.options, [NdpOption::TargetLinkLayer(host_mac())]);
    assert_eq!(state(&mut world, PEER).as_deref(), Some("stale"));

    let to_us = NdpFrame { destination: HOST, destination_mac: host_mac(), ..question };
    let [answer] = <[_; 1]>::try_from(answers(&mut world, &to_us)).unwrap();
    assert_eq!((answer.message, answer.options), (solicited(HOST, true, false), vec![]));
}

// N04, RFC 4861 7.2.4.
#[test]
fn who_looks_for_duplicates_of_our_address_is_answered_to_all_nodes() {
    let mut world = started(&options(port()));
    for nonce in [None, Some([1, 2, 3, 4, 5, 6])] {
        let probe = NdpFrame::probe(HOSTILE, HOST, nonce);
        let [answer] = <[_; 1]>::try_from(answers(&mut world, &probe)).unwrap();
        assert_eq!((answer.source, answer.destination), (HOST, ALL_NODES));
        assert_eq!(answer.destination_mac, MacAddr([0x33, 0x33, 0, 0, 0, 1]));
        assert_eq!(answer.message, solicited(HOST, false, true));
        assert_eq!(answer.options, [NdpOption::TargetLinkLayer(host_mac())]);
    }
}

// N05, RFC 4862 5.4: nothing is said of an address before it is ours.
#[test]
fn a_tentative_address_is_not_answered_for() {
    let mut world = World::new(17, &options(port()));
    let mut probed = false;
    for _ in 0..400 {
        let sent = ndp(&world.exchange(0, &NdpFrame::solicitation(PEER, HOST).frame()));
        let answered = sent.iter().any(|f| matches!(f.message, NdpMessage::NeighborAdvertisement { .. }));
        if answered {
            assert!(probed, "it was probed for first");
            assert!(drops(&mut world, DropReason::NdpTentative) > 0);
            return;
        }
        probed |= sent.iter().any(|f| {
            f.source.is_unspecified() && f.message == NdpMessage::NeighborSolicitation { target: HOST }
        });
        world.run_for(Duration::from_millis(10));
        probed |= ndp(&world.take_sent(0)).iter().any(|f| f.source.is_unspecified());
    }
    panic!("the address never was ours");
}

// N01, N02, RFC 4861 7.1.1: six bad forms, and two of who has no address. Each is silent, and counted on its own.
#[test]
fn what_cannot_be_is_silent() {
    let mut world = started(&options(port()));
    let good = NdpFrame::solicitation(PEER, HOST);
    assert_eq!(answers(&mut world, &good).len(), 1);
    let mut code = good.icmp();
    code.code = 1;
    let mut broken = good.frame();
    *broken.last_mut().unwrap() ^= 1;
    let mut short = good.icmp();
    short.body.truncate(12);
    let mut empty_option = good.icmp();
    empty_option.body[21] = 0;
    let group = NdpMessage::NeighborSolicitation { target: ALL_NODES };
    let nobody = NdpFrame { source: Ipv6Addr::UNSPECIFIED, ..good.clone() };
    let bad = [
        (NdpFrame { hop_limit: 254, ..good.clone() }.frame(), DropReason::NdpHopLimit),
        (code.frame(), DropReason::NdpCode),
        (short.frame(), DropReason::NdpTruncated),
        (empty_option.frame(), DropReason::NdpOptionInvalid),
        (NdpFrame { message: group, ..good.clone() }.frame(), DropReason::NdpTargetInvalid),
        (nobody.frame(), DropReason::NdpSourceInvalid),
        (
            NdpFrame { destination: ALL_NODES, options: vec![], ..nobody }.frame(),
            DropReason::NdpSourceInvalid,
        ),
    ];
    for (frame, why) in bad {
        let before = drops(&mut world, why);
        assert!(ndp(&world.exchange(0, &frame)).is_empty(), "{why}");
        assert_eq!(drops(&mut world, why), before + 1, "{why}");
    }
    assert!(ndp(&world.exchange(0, &broken)).is_empty(), "a wrong checksum");
    assert_eq!(answers(&mut world, &good).len(), 1);
}

// N08, RFC 4861 7.2.2: the question goes to the solicited-node group, from the address that waits to answer; and what waited
// goes out with the answer.
#[test]
fn an_answer_by_route_waits_for_its_neighbour() {
    let mut world = started(&options(port()));
    world.inject(0, &request(PEER, b"hello").frame());
    world.run_for(Duration::from_millis(1));
    let sent = world.take_sent(0);
    let questions: Vec<_> = ndp(&sent).iter().filter_map(asked).collect();
    assert_eq!(questions, [(HOST, PEER, group_mac(PEER))]);
    assert_eq!(ndp(&sent)[0].destination, solicited_node(PEER));
    assert!(udp(&sent).is_empty());
    world.inject(0, &answer(PEER, station_mac6(PEER)).frame());
    world.run_for(Duration::from_millis(1));
    let [echo] = <[_; 1]>::try_from(udp(&world.take_sent(0))).unwrap();
    assert_eq!((echo.destination_mac, echo.payload), (station_mac6(PEER), b"hello".to_vec()));
    assert_eq!(state(&mut world, PEER).as_deref(), Some("reachable"));
}

/// Answers, and keeps what the network reports.
struct Listening(Arc<Mutex<Vec<IcmpError>>>);

impl Service<SimBuf> for Listening {
    fn datagrams(&mut self, _cx: &mut Cx<'_, SimBuf>, burst: &mut [Datagram<SimBuf>]) {
        burst.iter_mut().for_each(Datagram::reply);
    }

    fn icmp_error(&mut self, _cx: &mut Cx<'_, SimBuf>, error: &IcmpError) {
        self.0.lock().unwrap().push(*error);
    }
}

// N08, RFC 4861 7.2.2: three questions, a second apart; then whoever sent is told: address unreachable.
#[test]
fn a_dead_neighbour_is_asked_three_times_and_the_service_is_told() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut options = options(port());
    let errors = Arc::clone(&heard);
    options.services[0].factory = Box::new(move || Box::new(Listening(Arc::clone(&errors))));
    let mut world = started(&options);
    for _ in 0..300 {
        world.inject(0, &request(DEAD, b"x").frame());
        world.run_for(Duration::from_millis(10));
    }
    world.run_for(Duration::from_millis(500));
    let sent = world.take_sent_at(0);
    let for_dead = |frame: &NdpFrame| asked(frame).is_some_and(|(_, target, _)| target == DEAD);
    let questions = sent.iter().filter(|(_, f)| ndp(std::slice::from_ref(f)).iter().any(for_dead));
    let times: Vec<_> = questions.map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 3, "{times:?}");
    assert!(times.windows(2).all(|w| w[1].since(w[0]) >= Duration::from_secs(1)));
    assert_eq!(state(&mut world, DEAD).as_deref(), Some("failed"));
    let heard = heard.lock().unwrap();
    let error = heard.first().expect("the service was told");
    assert_eq!((error.kind, error.icmp_type, error.icmp_code), (IcmpErrorKind::HostUnreachable, 1, 3));
    assert_eq!((error.local.ip(), error.peer.ip(), error.peer.port()), (HOST.into(), DEAD.into(), 40_000));
}

// N11, RFC 4861 7.3.3: five seconds after it is used, three questions to itself; and then it is looked for everywhere.
#[test]
fn a_neighbour_that_fell_silent_is_probed_and_given_up() {
    let mut world = started(&options(port()));
    live(&mut world, PEER);
    world.run_for(Duration::from_secs(60));
    assert_eq!(state(&mut world, PEER).as_deref(), Some("stale"));
    assert!(ndp(&world.take_sent(0)).iter().all(|f| asked(f).is_none_or(|(_, to, _)| to != PEER)));
    let used_at = world.now();
    assert_eq!(udp(&world.exchange(0, &request(PEER, b"x").frame())).len(), 1, "used as it is");
    assert_eq!(state(&mut world, PEER).as_deref(), Some("delay"));
    world.run_for(Duration::from_secs(12));
    let to_peer: Vec<_> = world
        .take_sent_at(0)
        .into_iter()
        .flat_map(|(at, frame)| ndp(&[frame]).into_iter().map(move |f| (at, f)))
        .filter_map(|(at, f)| asked(&f).filter(|(_, to, _)| *to == PEER).map(|(_, _, mac)| (at, mac)))
        .collect();
    let after: Vec<_> = to_peer.iter().map(|(at, mac)| (at.since(used_at).as_secs(), *mac)).collect();
    let (it, all) = (station_mac6(PEER), group_mac(PEER));
    assert_eq!(after, [(5, it), (6, it), (7, it), (8, all), (9, all), (10, all)]);
    assert_eq!(state(&mut world, PEER).as_deref(), Some("failed"));
}

// N09, RFC 4861 7.2.5: a hostile neighbour makes no entry, and what it makes of one is found out when it is used.
#[test]
fn a_hostile_advertisement_creates_nothing_and_is_found_out() {
    let mut world = started(&options(port()));
    let claim = |overrides| NdpFrame {
        message: solicited(PEER, false, overrides),
        ..NdpFrame::announcement(HOSTILE, PEER)
    };
    world.inject(0, &claim(true).frame());
    world.run_for(Duration::from_millis(1));
    assert_eq!(neighbor(&mut world, PEER), None);
    assert_eq!(drops(&mut world, DropReason::NdpUnsolicited), 1);
    live(&mut world, PEER);
    // Without the O flag it raises a doubt, no more.
    world.inject(0, &claim(false).frame());
    world.run_for(Duration::from_millis(1));
    let peer = neighbor(&mut world, PEER).unwrap();
    assert_eq!((peer.state.as_str(), peer.mac), ("stale", Some(station_mac6(PEER))));
    // With it, it is believed until the next use is not confirmed; and then the peer is looked for everywhere.
    world.inject(0, &claim(true).frame());
    world.run_for(Duration::from_millis(1));
    assert_eq!(neighbor(&mut world, PEER).unwrap().mac, Some(HOSTILE));
    world.inject(0, &request(PEER, b"x").frame());
    world.run_for(Duration::from_millis(8_100));
    world.inject(0, &answer(PEER, station_mac6(PEER)).frame());
    world.run_for(Duration::from_millis(1));
    let peer = neighbor(&mut world, PEER).unwrap();
    assert_eq!((peer.state.as_str(), peer.mac), ("reachable", Some(station_mac6(PEER))));
}

// N16, RFC 6583: a scan of a /64, from outside and by spoofed questions, pushes out nobody who is in use.
#[test]
fn a_scan_of_a_prefix_evicts_no_live_peer() {
    let mut world = started(&options(PortOptions { neighbors_max: 64, ..port() }));
    let peers: Vec<_> = (0x100..0x110u16).map(|n| Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 1, n)).collect();
    peers.iter().for_each(|peer| live(&mut world, *peer));
    for n in 0..4000u16 {
        let stranger = Ipv6Addr::new(0xfd88, 0, 0, 0, n, 0, 2, n);
        if n % 2 == 0 {
            world.inject(0, &request(stranger, b"x").frame());
        } else {
            world.inject(0, &NdpFrame::solicitation(stranger, HOST).frame());
        }
        world.run_for(Duration::from_micros(500));
    }
    world.take_sent(0);
    for peer in &peers {
        assert_eq!(neighbor(&mut world, *peer).unwrap().mac, Some(station_mac6(*peer)));
        let [echo] = <[_; 1]>::try_from(udp(&world.exchange(0, &request(*peer, b"x").frame()))).unwrap();
        assert_eq!(echo.destination_mac, station_mac6(*peer));
    }
    let Answer::Neighbors(all) = world.execute(&Command::Neighbors) else { panic!() };
    assert!(all.len() <= 65, "{}", all.len());
}

/// The worker has these, and control is away; what leaves the device.
fn without_control(world: &mut World, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    for frame in frames {
        world.device(0).receive(frame);
    }
    while world.turn_worker(0) > 0 {}
    std::iter::from_fn(|| world.device(0).transmit()).collect()
}

// N16, N03: a flood of questions is answered by the workers, once control has no time for it; and leaves room for what
// neighbours and routers say.
#[test]
fn a_flood_of_questions_starves_neither_answers_nor_routers() {
    let mut world = started(&options(port()));
    world.inject(0, &request(PEER, b"x").frame());
    world.run_for(Duration::from_millis(1));
    world.take_sent(0);
    let asker = |n: u16| Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 3, n);
    let questions: Vec<_> = (0..500).map(|n| NdpFrame::solicitation(asker(n), HOST).frame()).collect();
    let sent = ndp(&without_control(&mut world, &questions));
    assert_eq!(sent.len(), 500 - PUNT_LEN / 2);
    assert!(sent.iter().all(|f| f.message == solicited(HOST, true, true)));
    let last = sent.last().unwrap();
    assert_eq!((last.destination, last.destination_mac), (asker(499), station_mac6(asker(499))));
    assert_eq!(world.count(Counter::NdpAnswered), sent.len() as u64);
    // What answers our own question still finds its place, and then what routers say.
    let claims: Vec<_> = (0..500).map(|n| NdpFrame::announcement(HOSTILE, asker(n)).frame()).collect();
    let answer = answer(PEER, station_mac6(PEER)).frame();
    assert!(without_control(&mut world, &[&[answer][..], &claims].concat()).is_empty());
    assert!(world.drops(DropReason::PuntQueueFull) > 0);
    let advertisement = NdpFrame::router_advertisement(ROUTER, &[]).frame();
    assert!(without_control(&mut world, &[advertisement]).is_empty());
    world.settle();
    assert_eq!(state(&mut world, PEER).as_deref(), Some("reachable"));
    assert_eq!(drops(&mut world, DropReason::NdpRouterAdvertisementOff), 1, "control saw it");
    assert_eq!(udp(&world.take_sent(0)).len(), 1, "what waited for the answer");
    assert_eq!(world.pool().outstanding(), 0);
}

// N05, N04: nothing else is answered without control.
#[test]
fn a_worker_alone_answers_no_other_question() {
    let mut world = started(&options(port()));
    let fill = NdpFrame::solicitation(PEER, HOST).frame();
    without_control(&mut world, &vec![fill; PUNT_LEN]);
    let to_group = |target| {
        let message = NdpMessage::NeighborSolicitation { target };
        NdpFrame { message, ..NdpFrame::solicitation(PEER, HOST) }.frame()
    };
    assert!(without_control(&mut world, &[to_group(DEAD), to_group(PEER)]).is_empty());
    let probe = NdpFrame::probe(HOSTILE, HOST, None).frame();
    let [answer] = <[_; 1]>::try_from(ndp(&without_control(&mut world, &[probe]))).unwrap();
    assert_eq!((answer.destination, answer.message), (ALL_NODES, solicited(HOST, false, true)));
}

/// Both routers are known by their Ethernet addresses.
fn with_routers(options: &WorldOptions) -> World {
    let mut world = World::new(17, options);
    for _ in 0..80 {
        world.run_for(Duration::from_millis(100));
        for frame in ndp(&world.take_sent(0)) {
            if let Some((source, target, _)) = asked(&frame)
                && [ROUTER, BETTER].contains(&target)
            {
                let question = NdpFrame { source_mac: host_mac(), ..NdpFrame::solicitation(source, target) };
                let mut answer = question.advertisement(station_mac6(target));
                if let NdpMessage::NeighborAdvertisement { router, .. } = &mut answer.message {
                    *router = true;
                }
                world.inject(0, &answer.frame());
            }
        }
    }
    world.run_for(Duration::from_millis(1));
    world.take_sent(0);
    world
}

fn redirect(from: Ipv6Addr) -> NdpFrame {
    let message = NdpMessage::Redirect { target: BETTER, destination: FAR };
    let options = vec![NdpOption::TargetLinkLayer(station_mac6(BETTER))];
    NdpFrame { options, ..NdpFrame::between(from, HOST, message) }.to_mac(host_mac())
}

/// Where the host's answer to FAR goes.
fn next_hop(world: &mut World) -> MacAddr {
    world.inject(0, &request(FAR, b"x").frame());
    world.run_for(Duration::from_millis(1));
    let [echo] = <[_; 1]>::try_from(udp(&world.take_sent(0))).unwrap();
    echo.destination_mac
}

// N15, RFC 4861 8.1, 8.3: the gateway is kept resolved; it, and nobody else, names a better first hop.
#[test]
fn a_redirect_of_the_first_hop_is_followed_for_a_while() {
    let mut world = with_routers(&options(port()));
    let router = neighbor(&mut world, ROUTER).expect("the gateway is kept resolved");
    assert_eq!((router.state.as_str(), router.is_router), ("reachable", true));
    assert_eq!(next_hop(&mut world), station_mac6(ROUTER));
    world.inject(0, &redirect(PEER_ROUTER).frame());
    world.run_for(Duration::from_millis(200));
    assert_eq!(drops(&mut world, DropReason::NdpRedirectInvalid), 1);
    assert_eq!(next_hop(&mut world), station_mac6(ROUTER));
    world.inject(0, &redirect(ROUTER).frame());
    world.run_for(Duration::from_millis(200));
    assert_eq!(next_hop(&mut world), station_mac6(BETTER));
    let better = neighbor(&mut world, BETTER).unwrap();
    assert!(better.is_router, "{better:?}");
}

/// Another host that would like to be a router.
const PEER_ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xbad);
