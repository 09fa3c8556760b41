//! A whole host over IPv6: who hears a datagram, on whichever worker it lives, and what leaves in answer. The simulator
//! asserts after every turn that no packet is lost or counted twice.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use pollcast::addr::{Cidr, Unicast};
use pollcast::engine::counters::Counter;
use pollcast::engine::worker::Manner;
use pollcast::io::{Addressing6, DropReason, LinkLocal, PacketBuf, PmtuDiscovery};
use pollcast::service::{Cx, Datagram, Service};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::UdpFrame;
use pollcast::sim::frames::fragment6::{cut6_evenly, join6};
use pollcast::sim::frames::ipv6::{Extension, HeaderOption, Ipv6, mac_for6};
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;

const OWN: &str = "[2001:db8::2]:5000";
const ALL_NODES: &str = "[ff02::1]:5000";

/// What the instances of a service saw: the worker that each was made for, from whom, and the payload.
type Seen = Arc<Mutex<Vec<(usize, SocketAddr, Vec<u8>)>>>;

/// Remembers what it sees, and answers with it.
struct Recorder {
    seen: Seen,
    instance: usize,
}

impl<B: PacketBuf> Service<B> for Recorder {
    fn writes_payloads(&self) -> bool {
        false
    }

    fn datagrams(&mut self, _cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        for datagram in burst {
            let saw = (self.instance, datagram.source(), datagram.payload().to_vec());
            self.seen.lock().unwrap().push(saw);
            datagram.reply();
        }
    }
}

/// A service on these workers that listens there.
fn service(listen: &[&str], workers: &[usize]) -> (ServiceOptions, Seen) {
    let seen = Seen::default();
    let (saw, made) = (Arc::clone(&seen), Mutex::new(0));
    let factory = move || -> Box<dyn Service<SimBuf>> {
        let mut made = made.lock().unwrap();
        *made += 1;
        Box::new(Recorder { seen: Arc::clone(&saw), instance: *made - 1 })
    };
    let options = ServiceOptions {
        name: listen.concat(),
        factory: Box::new(factory),
        listen: listen.iter().map(|s| s.parse().unwrap()).collect(),
        reuse_address: true,
        workers: workers.to_vec(),
        ..ServiceOptions::echo()
    };
    (options, seen)
}

/// A host at 2001:db8::2/64 and fe80::2, and 198.18.0.2/24, past duplicate address detection.
fn world(seed: u64, workers: u16, services: Vec<ServiceOptions>) -> World {
    let unicast = |addr: &str| Unicast::new(addr.parse().unwrap()).unwrap();
    let addressing = Addressing6 {
        link_local: LinkLocal::Addr(unicast("fe80::2")),
        statics: vec![Cidr::new(unicast("2001:db8::2"), 64).unwrap()],
        router_discovery: false,
        ..Addressing6::new()
    };
    let port = PortOptions::new(0);
    // Who hears a datagram is asked of the host here: the device lets everything in.
    let filter = Abilities::none();
    let nic = NicOptions { rx_descriptors: 1024, tx_descriptors: 1024, filter, ..port.nic.clone() };
    let options = WorldOptions {
        ports: vec![PortOptions { nic, addressing6: Some(addressing), ..port }],
        services,
        workers,
        buffers: 4096,
        ..WorldOptions::default()
    };
    let mut world = World::new(seed, &options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

/// A datagram for the host or a group.
fn udp(from: &str, to: &str, payload: &[u8]) -> UdpFrame6 {
    let frame = UdpFrame6::new(from, to, payload);
    let mac = mac_for6(*frame.destination.ip(), PortOptions::new(0).nic.mac);
    frame.to_mac(mac)
}

fn answers(frames: &[Vec<u8>]) -> Vec<UdpFrame6> {
    frames.iter().map(|frame| UdpFrame6::read(frame).expect("an answer")).collect()
}

// X01, U21, V13: the whole way, in and out; with the extension headers that a host may send.
#[test]
fn a_request_over_ipv6_is_answered() {
    let (echo, seen) = service(&["[::]:5000"], &[]);
    let mut world = world(1, 1, vec![echo]);
    let alert = [Extension::HopByHop(vec![HeaderOption::router_alert()])];
    for request in [
        udp("[2001:db8::1]:4000", OWN, b"hello"),
        udp("[2001:db8::1]:4000", OWN, b"hello").with(&alert),
        udp("[fe80::1]:4000", "[fe80::2]:5000", &[7; 1400]),
    ] {
        let sent = answers(&world.exchange(0, &request.frame()));
        let [answer] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((answer.source, answer.destination), (request.destination, request.source));
        assert_eq!(answer.payload, request.payload);
        assert!(answer.flow_label != 0 && answer.hop_limit == 64 && answer.extensions.is_empty());
    }
    // P12, RFC 4007 6: the peer on the link is one on this link.
    let last = seen.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last.1, "[fe80::1%1]:4000".parse().unwrap());
}

// U13, U17: every socket that hears a group has its copy, whichever workers they live on; answers come from each.
#[test]
fn every_socket_on_every_worker_hears_a_group() {
    for seed in 0..4 {
        let all = [&[0][..], &[1], &[2], &[0, 1, 2]];
        let (services, seen): (Vec<_>, Vec<_>) = all.iter().map(|on| service(&["[::]:5000"], on)).unzip();
        let (other, silent) = service(&["0.0.0.0:5000"], &[]);
        let mut world = world(seed, 3, services.into_iter().chain([other]).collect());
        let mut sent = Vec::new();
        for flow in 0..40u16 {
            let from = format!("[fe80::1]:{}", 4000 + flow);
            sent.extend(world.exchange(0, &udp(&from, ALL_NODES, &flow.to_be_bytes()).frame()));
        }
        for (on, seen) in all.iter().zip(&seen) {
            let seen = seen.lock().unwrap();
            let flows: BTreeSet<Vec<u8>> = seen.iter().map(|(_, _, payload)| payload.clone()).collect();
            assert_eq!((seen.len(), flows.len()), (40, 40), "on {on:?}");
        }
        assert!(silent.lock().unwrap().is_empty(), "a socket of IPv4");
        let answers = answers(&sent);
        assert_eq!(answers.len(), 160);
        assert!(answers.iter().all(|a| a.source.ip().to_string() == "fe80::2"));
        assert!(
            world.count(Counter::HandedOut) > 0 && world.all_drops().is_empty(),
            "{:?}",
            world.all_drops()
        );
    }
}

// U14: a flow stays with one instance, whichever worker receives it; V13, RFC 6437 3: its answers have one label, whichever
// worker sends them.
#[test]
fn a_flow_has_one_home_and_one_label_on_every_worker() {
    let (here, seen) = service(&["[::]:5000"], &[1, 2]);
    let mut world = world(7, 4, vec![here]);
    let mut labels = BTreeMap::<u16, BTreeSet<u32>>::new();
    for _ in 0..3 {
        for flow in 0..40u16 {
            let plain = udp(&format!("[2001:db8::1]:{}", 4000 + flow), OWN, b"plain");
            // Behind an extension header, a device does not see the ports: another worker may receive it.
            let hidden = UdpFrame6 { payload: b"hidden".to_vec(), ..plain.clone() };
            let hidden = hidden.with(&[Extension::Destination(Vec::new())]);
            for request in [plain, hidden] {
                for answer in answers(&world.exchange(0, &request.frame())) {
                    labels.entry(answer.destination.port()).or_default().insert(answer.flow_label);
                }
            }
        }
    }
    let seen = seen.lock().unwrap();
    let mut homes = BTreeMap::<(SocketAddr, &[u8]), BTreeSet<usize>>::new();
    for (instance, from, payload) in seen.iter() {
        homes.entry((*from, payload)).or_default().insert(*instance);
    }
    assert_eq!((homes.len(), seen.len()), (80, 240));
    assert!(homes.values().all(|instances| instances.len() == 1), "{homes:?}");
    let plain = homes.iter().filter(|((_, payload), _)| *payload == b"plain");
    let used: BTreeSet<_> = plain.flat_map(|(_, instances)| instances).collect();
    assert_eq!(used.len(), 2, "flows are spread");
    assert!(world.count(Counter::HandedOut) > 0);
    assert!(labels.len() == 40 && labels.values().all(|labels| labels.len() == 1), "{labels:?}");
}

// P10, RFC 3493 5.3: one service for both versions; its datagrams say which one brought them.
#[test]
fn a_dual_stack_service_hears_both_versions() {
    let (both, seen) = service(&["0.0.0.0:5000", "[::]:5000"], &[]);
    let mut world = world(3, 2, vec![both]);
    let v4 = UdpFrame::new("198.18.0.1:4000", "198.18.0.2:5000", b"four").to_mac(PortOptions::new(0).nic.mac);
    let [four] = world.exchange(0, &v4.frame()).try_into().unwrap();
    assert_eq!(UdpFrame::read(&four).unwrap().payload, b"four");
    let [six] = world.exchange(0, &udp("[2001:db8::1]:4000", OWN, b"six").frame()).try_into().unwrap();
    assert_eq!(UdpFrame6::read(&six).unwrap().payload, b"six");
    let from: Vec<IpAddr> = seen.lock().unwrap().iter().map(|(_, from, _)| from.ip()).collect();
    assert_eq!(from, ["198.18.0.1".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
}

// F10, F17, F18, W11, W13: what comes in fragments, even to several workers, is one datagram for its service, wherever that
// lives; its answer leaves in fragments.
#[test]
fn a_long_datagram_in_fragments_is_answered_in_fragments() {
    let payload: Vec<u8> = (0..9000u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    for (len, options) in [(3000, false), (9000, false), (9000, true)] {
        let (there, seen) = service(&["[::]:5000"], &[1]);
        let mut world = world(11, 3, vec![there]);
        let chain: &[Extension] = &[
            Extension::HopByHop(vec![HeaderOption::router_alert()]),
            Extension::Destination(vec![HeaderOption::new(0x1e, &[1, 2, 3])]),
        ];
        let request = udp("[2001:db8::1]:4000", OWN, &payload[..len]).with(if options { chain } else { &[] });
        let mut pieces = cut6_evenly(&request.frame(), 77, 1400);
        pieces.rotate_left(1);
        for piece in &pieces {
            world.inject(0, piece);
        }
        world.settle();
        let sent = world.take_sent(0);
        assert!(sent.iter().all(|frame| frame.len() <= 1514) && sent.len() > 2);
        let whole = join6(&sent).expect("all pieces of one answer");
        let (ip, datagram, _) = Ipv6::read(&whole[14..]).unwrap();
        assert!(ip.extensions.is_empty() && datagram[8..] == payload[..len]);
        assert_eq!(seen.lock().unwrap().len(), 1);
        assert!(world.all_drops().is_empty(), "{:?}", world.all_drops());
    }
}

// T01: what a service does not want cut is refused, and counted.
#[test]
fn an_answer_that_may_not_be_cut_is_refused() {
    let (mut strict, seen) = service(&["[::]:5000"], &[]);
    strict.manner = Manner { path_mtu_discovery: PmtuDiscovery::Do, ..Manner::default() };
    let mut world = world(13, 1, vec![strict]);
    for piece in cut6_evenly(&udp("[2001:db8::1]:4000", OWN, &[5; 3000]).frame(), 1, 1400) {
        world.inject(0, &piece);
    }
    world.settle();
    assert!(world.take_sent(0).is_empty() && seen.lock().unwrap().len() == 1);
    assert_eq!(world.drops(DropReason::ReplyTooBig), 1);
}
