//! Everything at once: VLANs whose tags host or device handle, answers by route, fragments both ways, another MTU while
//! packets are held, links that come and go, rings that are full, a pool that is empty, and an end in the midst of it.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.

use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::addr::{Ipv4Cidr, Unicast, Vid};
use pollcast::engine::Counter;
use pollcast::engine::command::{Command, MtuOrder};
use pollcast::engine::fragments::LIMITS;
use pollcast::engine::worker::Manner;
use pollcast::io::{PmtuDiscovery, ReplyPath};
use pollcast::rng::Rng;
use pollcast::sim::frames::fragment::cut_evenly;
use pollcast::sim::frames::{ArpFrame, IcmpFrame, UdpFrame, station_mac};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::reassembly::Limits;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const HOST: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 18, 0, 2), Ipv4Addr::new(198, 19, 0, 2)];

fn below(rng: &mut Rng, n: usize) -> usize {
    usize::try_from(rng.below(n as u64)).unwrap()
}

/// 198.18.0.2/24 untagged and 198.19.0.2/24 on VLAN 100, each with a gateway .9 that may be there.
fn world(seed: u64, rng: &mut Rng) -> World {
    let port = PortOptions::new(0);
    let cidr = Unicast::new(HOST[1]).and_then(|a| Ipv4Cidr::new(a, 24)).into_iter().collect();
    let gateway = |n| Unicast::new(Ipv4Addr::new(198, n, 0, 9));
    let vlan = VlanOptions { vid: Vid::new(100).unwrap(), addresses: cidr, gateway4: gateway(19) };
    let nic = NicOptions {
        vlan_strip: rng.one_in(2),
        vlan_insert: rng.one_in(2),
        tx_checksum: rng.one_in(2),
        tx_descriptors: [8, 64, 512][below(rng, 3)],
        rss_first_fragments: true,
        ..port.nic.clone()
    };
    let stations = vec![Ipv4Addr::new(198, 18, 0, 9), Ipv4Addr::new(198, 18, 0, 1)];
    let port =
        PortOptions { nic, vlans: vec![vlan], gateway4: gateway(18), stations, neighbors_max: 16, ..port };
    let service = |udp_port, path_mtu_discovery, reply| {
        let echo = ServiceOptions::echo().joining(GROUP, &[]);
        let listen = echo.listen.iter().map(|l| std::net::SocketAddr::new(l.ip(), udp_port)).collect();
        ServiceOptions {
            listen,
            name: format!("echo{udp_port}"),
            manner: Manner { reply, path_mtu_discovery },
            ..echo
        }
    };
    let services = vec![
        service(7, PmtuDiscovery::Want, ReplyPath::Reflect),
        service(8, PmtuDiscovery::Want, ReplyPath::Route),
        service(10, PmtuDiscovery::Do, ReplyPath::Route),
        service(11, PmtuDiscovery::Dont, ReplyPath::Reflect),
    ];
    let fragments =
        Limits { fragments: 60, fragments_per_source: 50, timeout: Duration::from_secs(2), ..LIMITS };
    let workers = 1 + u16::try_from(rng.below(3)).unwrap();
    World::new(
        seed,
        &WorldOptions {
            ports: vec![port],
            services,
            workers,
            fragments,
            buffers: 600,
            large: 2,
            ..WorldOptions::default()
        },
    )
}

/// The frames of one datagram, some of them missing, on one of the two networks.
fn frames(rng: &mut Rng) -> Vec<Vec<u8>> {
    let net = below(rng, 2);
    let peer = match rng.below(4) {
        0 => Ipv4Addr::new(203, 0, 113, 7),
        n => Ipv4Addr::new(198, 18 + u8::try_from(net).unwrap(), 0, u8::try_from(n).unwrap() * 3 + 3),
    };
    let to = if rng.one_in(5) { GROUP } else { HOST[net] };
    let payload = vec![7; [0, 1, 60, 1400, 1472, 3000, 9000, 30_000][below(rng, 8)]];
    let from = format!("{peer}:{}", 40_000 + rng.below(20));
    let request = |to: Ipv4Addr, udp_port| UdpFrame::new(&from, &format!("{to}:{udp_port}"), &payload);
    let host_mac = PortOptions::new(0).nic.mac;
    let mut whole = match rng.below(8) {
        0 => ArpFrame::request(peer, HOST[net]).frame(),
        1 => IcmpFrame::between(peer, HOST[net], 8, &[&[0; 4], &payload[..]].concat()).frame(),
        2 => {
            let quoted = UdpFrame {
                fragment: 0x4000,
                ..UdpFrame::new(&format!("{}:7", HOST[net]), &from, &[1; 1400])
            };
            let mtu = [0u32, 68, 400, 600, 1300][below(rng, 5)];
            let body = [&mtu.to_be_bytes()[..], &quoted.frame()[14..]].concat();
            let frame = IcmpFrame::between(peer, HOST[net], 3, &body);
            IcmpFrame { code: 4, ..frame }.frame()
        }
        _ => request(to, [7, 8, 9, 10, 11][below(rng, 5)]).frame(),
    };
    if whole[12..14] == [8, 0] && to != GROUP {
        whole[..6].copy_from_slice(&host_mac.0);
    }
    whole[6..12].copy_from_slice(&station_mac(peer).0);
    let mut frames = if whole[12..14] == [8, 0] && (whole.len() > 1514 || rng.one_in(4)) {
        cut_evenly(&whole, u16::try_from(rng.below(9)).unwrap(), 8 * (60 + below(rng, 120)))
    } else {
        vec![whole]
    };
    if frames.len() > 1 && rng.one_in(4) {
        frames.remove(below(rng, frames.len()));
    }
    if net == 1 {
        frames.iter_mut().for_each(|frame| drop(frame.splice(12..12, [0x81, 0x00, 0, 100])));
    }
    frames
}

fn disturb(rng: &mut Rng, world: &mut World) {
    match rng.below(10) {
        0 => world.device(0).stall_tx(true),
        1 => world.device(0).stall_tx(false),
        2 => world.pool().fail_nth(1 + rng.below(5)),
        3 => world.device(0).set_link_up(!rng.one_in(3)),
        4 | 5 => {
            let mtu = [68, 300, 576, 1280, 1500][below(rng, 5)];
            let _done = world.command(&Command::Mtu(MtuOrder { mtu, port: None }));
        }
        6 => drop(world.turn_worker(0)),
        _ => world.run_for(Duration::from_millis(rng.below(2000))),
    }
}

/// A frame is no longer than the link ever carried, is tagged if its source says so, and has a destination.
fn assert_right(frame: &[u8]) {
    let (tagged, packet) = match frame[12..16] {
        [0x81, 0x00, 0, 100] => (true, &frame[16..]),
        _ => (false, &frame[12..]),
    };
    assert!(frame[..6] != [0; 6] && frame.len() <= 1514 + 4 * usize::from(tagged), "{frame:02x?}");
    let source = match packet[..2] {
        [8, 0] => &packet[14..18],
        [8, 6] => &packet[16..20],
        _ => panic!("{frame:02x?}"),
    };
    assert_eq!(source, HOST[usize::from(tagged)].octets(), "{frame:02x?}");
}

// Q01, E12, A09, F17, F18, T04: whatever meets whatever, the books are right.
#[test]
fn everything_at_once_is_accounted_for() {
    let (mut fragmented, mut reassembled) = (0, 0);
    for seed in 0..24 {
        let mut rng = Rng::new(seed);
        let mut world = world(seed, &mut rng);
        world.run_for(Duration::from_secs(3));
        for _ in 0..600 {
            for frame in frames(&mut rng) {
                world.inject(0, &frame);
                if rng.one_in(20) {
                    world.settle();
                }
            }
            if rng.one_in(6) {
                disturb(&mut rng, &mut world);
            }
            world.take_sent(0).iter().for_each(|frame| assert_right(frame));
        }
        fragmented += world.count(Counter::Fragmented);
        reassembled += world.count(Counter::Reassembled);
        world.device(0).stall_tx(false);
        world.shut_down();
        assert_eq!(world.count(Counter::Held), world.count(Counter::Released));
    }
    assert!(fragmented > 100 && reassembled > 500, "{fragmented} {reassembled}");
}
