//! A service that sends by several ports, by VLANs, and in both IP versions: each datagram leaves where its address, its source
//! or its options say, and nowhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pollcast::addr::{Cidr, Ipv4Cidr, Unicast, Vid};
use pollcast::io::{Addressing6, InterfaceId};
use pollcast::service::{Cx, Datagram, SendError, SendOptions, Service};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::frames::fragment::join;
use pollcast::sim::frames::fragment6::join6;
use pollcast::sim::frames::{ArpFrame, NdpFrame, NdpMessage, UdpFrame, UdpFrame6, station_mac, station_mac6};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::membership::SourceFilter;

const PORTS: usize = 2;
/// Untagged on the first port.
const PLAIN: InterfaceId = InterfaceId(0);
/// The second port's own VLAN.
const RED: InterfaceId = InterfaceId(1);
/// Its further one.
const BLUE: InterfaceId = InterfaceId(2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// A payload, where it goes, and how.
type Order = (Vec<u8>, SocketAddr, SendOptions);
/// A datagram as it was heard: the interface, from, to, payload.
type Heard = (InterfaceId, SocketAddr, SocketAddr, Vec<u8>);

#[derive(Default)]
struct Log {
    orders: Vec<Order>,
    results: Vec<Result<(), SendError>>,
    heard: Vec<Heard>,
}

type Shared = Arc<Mutex<Log>>;

/// Carries its orders out when it hears "go"; answers what begins with "later" from its timer; writes all else down.
struct Agent {
    log: Shared,
    kept: Vec<pollcast::service::Kept<SimBuf>>,
}

impl Service<SimBuf> for Agent {
    fn datagrams(&mut self, cx: &mut Cx<'_, SimBuf>, burst: &mut [Datagram<SimBuf>]) {
        let mut log = self.log.lock().unwrap();
        for datagram in burst {
            let payload = datagram.payload().to_vec();
            if payload == b"go" {
                for (payload, to, options) in std::mem::take(&mut log.orders) {
                    let sent = cx.message_of(&payload).and_then(|message| cx.send(message, to, &options));
                    log.results.push(sent);
                }
            } else if payload.starts_with(b"later") {
                self.kept.extend(datagram.keep());
                cx.set_timer(cx.now);
            } else {
                log.heard.push((datagram.interface(), datagram.source(), datagram.destination(), payload));
            }
        }
    }

    fn timer(&mut self, cx: &mut Cx<'_, SimBuf>) {
        for kept in self.kept.drain(..) {
            cx.reply(kept).unwrap();
        }
    }
}

fn agent(udp_port: u16) -> (ServiceOptions, Shared) {
    let log = Shared::default();
    let its = Arc::clone(&log);
    let options = ServiceOptions {
        name: udp_port.to_string(),
        factory: Box::new(move || Box::new(Agent { log: Arc::clone(&its), kept: Vec::new() })),
        listen: vec![(Ipv4Addr::UNSPECIFIED, udp_port).into()],
        multicast_all: false,
        ..ServiceOptions::echo()
    };
    (options.dual_stack(), log)
}

fn cidrs(addr: &str) -> Vec<Ipv4Cidr> {
    Unicast::new(addr.parse().unwrap()).and_then(|a| Ipv4Cidr::new(a, 24)).into_iter().collect()
}

fn addressing6(addr: &str) -> Option<Addressing6> {
    let own = Cidr::new(Unicast::new(addr.parse::<Ipv6Addr>().unwrap()).unwrap(), 64).unwrap();
    Some(Addressing6 { statics: vec![own], router_discovery: false, ..Addressing6::default() })
}

/// A NIC with and without what there is to take from its host.
#[derive(Clone, Copy, Debug)]
struct Way {
    workers: u16,
    offloads: bool,
}

const WAYS: [Way; 4] = [
    Way { workers: 1, offloads: false },
    Way { workers: 1, offloads: true },
    Way { workers: 3, offloads: false },
    Way { workers: 3, offloads: true },
];

/// 198.18.0.2 and 2001:db8::2 untagged; 198.18.1.2 and 2001:db8:1::2 on VLAN 100 of the other port, and 198.19.0.2 on its VLAN 200.
fn world(way: Way, services: Vec<ServiceOptions>) -> World {
    let with = |port: PortOptions| {
        let Way { offloads, .. } = way;
        let nic = NicOptions {
            vlan_strip: offloads,
            vlan_insert: offloads,
            tx_checksum: offloads,
            ..port.nic.clone()
        };
        PortOptions { nic, ..port }
    };
    let blue = VlanOptions { vid: Vid::new(200).unwrap(), addresses: cidrs("198.19.0.2"), gateway4: None };
    let first = PortOptions { addressing6: addressing6("2001:db8::2"), ..PortOptions::new(0) };
    let second = PortOptions {
        addressing6: addressing6("2001:db8:1::2"),
        vlan: Vid::new(100),
        vlans: vec![blue],
        ..PortOptions::new(1)
    };
    let options = WorldOptions {
        ports: vec![with(first), with(second)],
        services,
        workers: way.workers,
        large: 16,
        ..WorldOptions::default()
    };
    let mut world = World::new(11, &options);
    world.run_for(Duration::from_secs(10));
    (0..PORTS).for_each(|port| drop(world.take_sent(port)));
    world
}

/// The frame without its tag, and the VLAN of that.
fn untag(mut frame: Vec<u8>) -> (Option<u16>, Vec<u8>) {
    if frame[12..14] != [0x81, 0x00] {
        return (None, frame);
    }
    let vid = u16::from_be_bytes([frame[14], frame[15]]);
    frame.drain(12..16);
    (Some(vid), frame)
}

fn tag(vid: Option<u16>, mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(vid) = vid {
        frame.splice(12..12, [[0x81, 0x00], vid.to_be_bytes()].concat());
    }
    frame
}

/// What whoever is asked for answers.
fn neighbor(frame: &[u8]) -> Option<Vec<u8>> {
    if let Ok(request) = ArpFrame::read(frame) {
        return (request.operation == 1).then(|| request.reply(station_mac(request.target)).frame());
    }
    let question = NdpFrame::read(frame).ok().flatten()?;
    let NdpMessage::NeighborSolicitation { target } = question.message else { return None };
    Some(question.advertisement(station_mac6(target)).frame())
}

/// A datagram on the wire: port, VLAN, from, to, hops, payload.
type OnWire = (usize, Option<u16>, SocketAddr, SocketAddr, u8, Vec<u8>);

/// What leaves, fragments put together; neighbours answer.
fn sent(world: &mut World) -> Vec<OnWire> {
    let mut all: Vec<OnWire> = Vec::new();
    let mut pieces: Vec<(usize, Option<u16>, Vec<u8>)> = Vec::new();
    for _ in 0..10 {
        world.run_for(Duration::from_millis(20));
        for port in 0..PORTS {
            for frame in world.take_sent(port) {
                let (vid, frame) = untag(frame);
                if let Some(answer) = neighbor(&frame) {
                    world.inject(port, &tag(vid, answer));
                } else if let Some((from, to, hops, payload)) = udp(&frame) {
                    all.push((port, vid, from, to, hops, payload));
                } else {
                    pieces.push((port, vid, frame));
                }
            }
        }
    }
    for (port, vid) in [(0, None), (1, Some(100)), (1, Some(200))] {
        let its = |version: u8| -> Vec<Vec<u8>> {
            let mine = pieces.iter().filter(|(p, v, frame)| (*p, *v, frame[14] >> 4) == (port, vid, version));
            mine.map(|(_, _, frame)| frame.clone()).collect()
        };
        for whole in [join(&its(4)).ok(), join6(&its(6)).ok()].into_iter().flatten() {
            let (from, to, hops, payload) = udp(&whole).expect("UDP in fragments");
            all.push((port, vid, from, to, hops, payload));
        }
    }
    all.sort();
    all
}

fn udp(frame: &[u8]) -> Option<(SocketAddr, SocketAddr, u8, Vec<u8>)> {
    if let Ok(f) = UdpFrame::read(frame) {
        return Some((f.source.into(), f.destination.into(), f.ttl, f.payload));
    }
    let f = UdpFrame6::read(frame).ok()?;
    Some((f.source.into(), f.destination.into(), f.hop_limit, f.payload))
}

/// The service carries `orders` out. What came of each, and what was on the wire.
fn carry_out(world: &mut World, log: &Shared, orders: &[Order]) -> (Vec<Result<(), SendError>>, Vec<OnWire>) {
    log.lock().unwrap().orders = orders.to_vec();
    world.inject(0, &UdpFrame::new("198.18.0.1:4000", "198.18.0.2:5000", b"go").frame());
    let sent = sent(world);
    (std::mem::take(&mut log.lock().unwrap().results), sent)
}

fn by(interface: InterfaceId) -> SendOptions {
    SendOptions { interface: Some(interface), ..SendOptions::default() }
}

fn order(payload: &[u8], to: &str, options: SendOptions) -> Order {
    (payload.to_vec(), to.parse().unwrap(), options)
}

// E12, U21, U27, RFC 1122 3.3.1.2, RFC 6724: by the route to a host, with its interface's address and tag; to a group by the
// interface that is named, or has the source that is.
#[test]
fn each_datagram_leaves_by_its_own_way() {
    let from = |ip: &str| SendOptions { source: Some(ip.parse().unwrap()), ..SendOptions::default() };
    let default = SendOptions::default();
    let long: Vec<u8> = (0..3000u32).map(|n| n.to_le_bytes()[0]).collect();
    // The order; then port, VLAN, source and hops that are expected of it.
    #[rustfmt::skip]
    let cases = [
        (order(b"plain", "198.18.0.9:6000", default), 0, None, "198.18.0.2", 64),
        (order(b"red", "198.18.1.9:6000", default), 1, Some(100), "198.18.1.2", 64),
        (order(b"blue", "198.19.0.9:6000", default), 1, Some(200), "198.19.0.2", 64),
        (order(b"plain 6", "[2001:db8::9]:6000", default), 0, None, "2001:db8::2", 64),
        (order(b"red 6", "[2001:db8:1::9]:6000", default), 1, Some(100), "2001:db8:1::2", 64),
        (order(b"hops", "[2001:db8:1::9]:6001", SendOptions { ttl: Some(3), ..default }), 1, Some(100), "2001:db8:1::2", 3),
        (order(&long, "198.19.0.9:6000", default), 1, Some(200), "198.19.0.2", 64),
        (order(&long, "[2001:db8:1::9]:6000", default), 1, Some(100), "2001:db8:1::2", 64),
        (order(&long, "[2001:db8::9]:6000", default), 0, None, "2001:db8::2", 64),
        (order(b"everyone", "198.19.0.255:6000", default), 1, Some(200), "198.19.0.2", 64),
        (order(b"group plain", "239.9.9.9:6000", by(PLAIN)), 0, None, "198.18.0.2", 1),
        (order(b"group red", "239.9.9.9:6000", by(RED)), 1, Some(100), "198.18.1.2", 1),
        (order(b"group blue", "239.9.9.9:6000", by(BLUE)), 1, Some(200), "198.19.0.2", 1),
        (order(b"group of a source", "239.9.9.9:6001", from("198.19.0.2")), 1, Some(200), "198.19.0.2", 1),
        (order(b"group plain 6", "[ff0e::9]:6000", by(PLAIN)), 0, None, "2001:db8::2", 1),
        (order(b"group red 6", "[ff0e::9]:6000", by(RED)), 1, Some(100), "2001:db8:1::2", 1),
        (order(b"group of a source 6", "[ff0e::9]:6001", from("2001:db8:1::2")), 1, Some(100), "2001:db8:1::2", 1),
    ];
    for way in WAYS {
        let (service, log) = agent(5000);
        let mut world = world(way, vec![service]);
        let orders: Vec<_> = cases.iter().map(|case| case.0.clone()).collect();
        let (results, sent) = carry_out(&mut world, &log, &orders);
        assert_eq!(results, vec![Ok(()); cases.len()], "{way:?}");
        let mut want: Vec<OnWire> = cases
            .iter()
            .map(|((payload, to, _), port, vid, source, hops)| {
                let source = SocketAddr::new(source.parse::<IpAddr>().unwrap(), 5000);
                (*port, *vid, source, *to, *hops, payload.clone())
            })
            .collect();
        want.sort();
        let brief = |all: &[OnWire]| -> Vec<String> {
            all.iter().map(|w| format!("{} {:?} {} {} {} {}", w.0, w.1, w.2, w.3, w.4, w.5.len())).collect()
        };
        assert!(sent == want, "{way:?}\n{:#?}\n{:#?}", brief(&sent), brief(&want));
    }
}

// P12, RFC 4007 6: an address of one link means nothing without its link. Of IPv4 any address of ours may be the source on any
// interface, as on Linux.
#[test]
fn an_address_of_a_link_needs_its_link() {
    for way in WAYS {
        let (service, log) = agent(5000);
        let mut world = world(way, vec![service]);
        let elsewhere = SendOptions { source: Some("198.18.0.2".parse().unwrap()), ..by(BLUE) };
        let orders = [
            order(b"nowhere", "[fe80::9]:6000", SendOptions::default()),
            order(b"here", "[fe80::9]:6000", by(RED)),
            order(b"scoped", &format!("[fe80::9%{}]:6000", BLUE.scope_id()), SendOptions::default()),
            order(b"torn", &format!("[fe80::9%{}]:6000", BLUE.scope_id()), by(RED)),
            order(b"any of ours", "239.9.9.9:6000", elsewhere),
            order(b"no route", "198.20.0.9:6000", SendOptions::default()),
        ];
        let (results, sent) = carry_out(&mut world, &log, &orders);
        let want = [
            Err(SendError::Scope),
            Ok(()),
            Ok(()),
            Err(SendError::Scope),
            Ok(()),
            Err(SendError::NetworkUnreachable),
        ];
        assert_eq!(results, want, "{way:?}");
        let ways: Vec<_> =
            sent.iter().map(|(port, vid, from, _, _, p)| (*port, *vid, from.ip(), &p[..])).collect();
        let local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        for (port, vid, payload) in [(1, Some(100), &b"here"[..]), (1, Some(200), b"scoped")] {
            let found = ways.iter().any(|(p, v, ip, of)| (*p, *v, *of) == (port, vid, payload) && local(*ip));
            assert!(found, "{payload:?} in {ways:?}");
        }
        assert!(ways.contains(&(1, Some(200), "198.18.0.2".parse().unwrap(), b"any of ours")), "{ways:?}");
    }
}

// E12, U21: what is answered later goes back by the interface that it came in by, in both IP versions.
#[test]
fn what_was_kept_goes_back_by_its_vlan() {
    for way in WAYS {
        let (service, _) = agent(5000);
        let mut world = world(way, vec![service]);
        let v4 =
            |from: &str, to: &str, payload: &[u8], mac| UdpFrame::new(from, to, payload).to_mac(mac).frame();
        let mac = PortOptions::new(1).nic.mac;
        world.inject(1, &tag(Some(200), v4("198.19.0.9:4000", "198.19.0.2:5000", b"later blue", mac)));
        world.inject(1, &tag(Some(100), v4("198.18.1.9:4000", "198.18.1.2:5000", b"later red", mac)));
        let six = UdpFrame6::new("[2001:db8:1::9]:4000", "[2001:db8:1::2]:5000", b"later six").to_mac(mac);
        world.inject(1, &tag(Some(100), six.frame()));
        let got = sent(&mut world);
        let want: Vec<OnWire> = [
            (Some(100), "198.18.1.2:5000", "198.18.1.9:4000", &b"later red"[..]),
            (Some(100), "[2001:db8:1::2]:5000", "[2001:db8:1::9]:4000", b"later six"),
            (Some(200), "198.19.0.2:5000", "198.19.0.9:4000", b"later blue"),
        ]
        .map(|(vid, from, to, payload)| {
            (1, vid, from.parse().unwrap(), to.parse().unwrap(), 64, payload.to_vec())
        })
        .to_vec();
        assert_eq!(got, want, "{way:?}");
    }
}

// U28, RFC 1112 7.1, 6.1: members on the interface that it leaves by hear it, and those on others do not; an address of ours is
// here on whichever interface it is.
#[test]
fn members_here_hear_it_on_the_interface_that_it_leaves_by() {
    for way in WAYS {
        let (sender, log) = agent(5000);
        let (member, heard) = agent(6000);
        let member = member.wanting(BLUE, GROUP, SourceFilter::ANY);
        let mut world = world(way, vec![sender, member]);
        let to = format!("{GROUP}:6000");
        let orders = [
            order(b"plain", &to, by(PLAIN)),
            order(b"red", &to, by(RED)),
            order(b"blue", &to, by(BLUE)),
            order(b"own", "198.19.0.2:6000", SendOptions::default()),
            order(b"own 6", "[2001:db8:1::2]:6000", SendOptions::default()),
        ];
        let (results, sent) = carry_out(&mut world, &log, &orders);
        assert_eq!(results, [Ok(()); 5], "{way:?}");
        assert_eq!(sent.iter().map(|s| &s.5[..]).collect::<Vec<_>>(), [&b"plain"[..], b"red", b"blue"]);
        let mut heard = std::mem::take(&mut heard.lock().unwrap().heard);
        heard.sort();
        let own = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 5000);
        let at = |addr: &str| addr.parse::<SocketAddr>().unwrap();
        let mut want = vec![
            (RED, own("2001:db8:1::2"), at("[2001:db8:1::2]:6000"), b"own 6".to_vec()),
            (BLUE, own("198.19.0.2"), at("198.19.0.2:6000"), b"own".to_vec()),
            (BLUE, own("198.19.0.2"), at(&to), b"blue".to_vec()),
        ];
        want.sort();
        assert_eq!(heard, want, "{way:?}");
    }
}
