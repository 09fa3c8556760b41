//! Frames of every kind, whole, cut, mutated and made up: the host never panics, loses or doubles a packet, and never
//! sends anything but a right frame to one host.
//!
//! The world asserts conservation after every turn and prints its seed when a test fails; `random(SEED)` repeats it.
#![expect(clippy::cast_possible_truncation, reason = "random bytes, and small numbers of the test's own")]

use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::addr::MacAddr;
use pollcast::engine::command::{Command, Membership};
use pollcast::fastpath::Level;
use pollcast::io::RxMeta;
use pollcast::rng::Rng;
use pollcast::service::EchoOptions;
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::{
    ArpFrame, Ethernet, IcmpFrame, IgmpMessage, IgmpQuery, Ipv4, UdpFrame, UdpSum, igmp_frame, sealed,
    station_mac,
};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;

const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const GROUPS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::new(239, 129, 2, 3), Ipv4Addr::new(232, 1, 2, 3)];

fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize].clone()
}

/// Mostly an address that means something here, sometimes any.
fn address(rng: &mut Rng) -> Ipv4Addr {
    let telling = [
        HOST,
        Ipv4Addr::new(198, 18, 0, 1),
        Ipv4Addr::new(198, 18, 0, 1),
        Ipv4Addr::new(198, 18, 0, 3),
        Ipv4Addr::new(198, 18, 0, 255),
        Ipv4Addr::new(192, 0, 2, 1),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(240, 0, 0, 1),
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(224, 0, 0, 22),
        GROUPS[0],
        GROUPS[1],
        GROUPS[2],
    ];
    if rng.one_in(20) { Ipv4Addr::from(rng.u64() as u32) } else { pick(rng, &telling) }
}

/// Where a frame can go that is meant for `addr`.
fn destination(rng: &mut Rng, addr: Ipv4Addr) -> MacAddr {
    match rng.below(12) {
        0 => MacAddr::BROADCAST,
        1 => MacAddr([1, 0, 0x5e, 1, 2, 3]),
        2 => MacAddr([2, 0, 0, 0, 0, 99]),
        3 => station_mac(HOST),
        _ => pollcast::sim::frames::mac_for(addr, station_mac(HOST)),
    }
}

fn bytes(rng: &mut Rng, len: u64) -> Vec<u8> {
    (0..len).map(|_| rng.u64() as u8).collect()
}

fn options(rng: &mut Rng) -> Vec<u8> {
    let known: [&[u8]; 7] = [
        &[],
        &[0x94, 4, 0, 0],
        &[1, 1, 1, 0],
        &[0x83, 3, 4, 0],
        &[7, 7, 4, 0, 0, 0, 0, 0],
        &[0x9e, 0, 0, 0],
        &[0x44, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    if rng.one_in(6) {
        let words = rng.below(11) * 4;
        bytes(rng, words)
    } else {
        pick(rng, &known).to_vec()
    }
}

fn udp(rng: &mut Rng) -> Vec<u8> {
    let (from, to) = (address(rng), address(rng));
    let (from, to) = if rng.one_in(2) { (Ipv4Addr::new(198, 18, 0, 1), to) } else { (from, to) };
    let port = |rng: &mut Rng| pick(rng, &[7, 7, 7, 9, 0, 19, 53, 40_000, 65_535]);
    let len = pick(rng, &[0, 1, 17, 18, 19, 200, 1471, 1472]);
    UdpFrame {
        destination_mac: destination(rng, to),
        tci: rng.one_in(8).then(|| pick(rng, &[0, 0xe000, 5])),
        tos: rng.u64() as u8,
        ttl: pick(rng, &[0, 1, 64, 255]),
        fragment: if rng.one_in(8) { rng.u64() as u16 } else { pick(rng, &[0, 0x4000, 0x8000]) },
        options: if rng.one_in(4) { options(rng) } else { Vec::new() },
        sum: pick(
            rng,
            &[UdpSum::Right, UdpSum::Right, UdpSum::Right, UdpSum::Absent, UdpSum::Wrong, UdpSum::Partial],
        ),
        payload: bytes(rng, len),
        ..UdpFrame::between((from, port(rng)).to_v4(), (to, port(rng)).to_v4(), &[])
    }
    .frame()
}

trait ToV4 {
    fn to_v4(self) -> std::net::SocketAddrV4;
}

impl ToV4 for (Ipv4Addr, u16) {
    fn to_v4(self) -> std::net::SocketAddrV4 {
        std::net::SocketAddrV4::new(self.0, self.1)
    }
}

fn arp(rng: &mut Rng) -> Vec<u8> {
    let request = ArpFrame::request(address(rng), address(rng));
    let target = request.target;
    let arp = if rng.one_in(2) { request.reply(station_mac(target)) } else { request };
    let operation = if rng.one_in(10) { rng.u64() as u16 } else { arp.operation };
    let sender_mac = if rng.one_in(10) { MacAddr([3; 6]) } else { arp.sender_mac };
    let destination_mac = if rng.one_in(2) { MacAddr::BROADCAST } else { station_mac(HOST) };
    ArpFrame { operation, sender_mac, destination_mac, ..arp }.frame()
}

fn icmp(rng: &mut Rng) -> Vec<u8> {
    let (from, to, len) = (address(rng), address(rng), rng.below(600));
    let kind = if rng.one_in(3) { rng.u64() as u8 } else { pick(rng, &[8, 8, 8, 0, 3, 11, 12, 13]) };
    let mut icmp = IcmpFrame::between(from, to, kind, &bytes(rng, len));
    icmp.destination_mac = destination(rng, to);
    icmp.ip.options = if rng.one_in(6) { options(rng) } else { Vec::new() };
    icmp.frame()
}

fn igmp(rng: &mut Rng) -> Vec<u8> {
    let (from, group) = (address(rng), pick(rng, &GROUPS));
    let sources: Vec<_> = (0..rng.below(5)).map(|_| address(rng)).collect();
    let query = match rng.below(3) {
        0 => IgmpQuery::general(from),
        1 => IgmpQuery::specific(from, group, &[]),
        _ => IgmpQuery::specific(from, group, &sources),
    };
    match rng.below(4) {
        0 => {
            let (to, len) = (address(rng), rng.below(40));
            igmp_frame(from, to, &sealed([&[rng.u64() as u8, 0, 0, 0][..], &bytes(rng, len)].concat()))
        }
        _ => IgmpQuery { robustness: rng.u64() as u8 & 7, ..query }.frame(),
    }
}

fn other(rng: &mut Rng) -> Vec<u8> {
    let (to, len) = (address(rng), rng.below(100));
    let payload = bytes(rng, len);
    let packet = Ipv4::new(address(rng), to, rng.u64() as u8).packet(&payload);
    let ethertype = pick(rng, &[0x0800, 0x0800, 0x86dd, 0x8100, 0x88a8, 46, 0x0806, 0x88cc]);
    let source = pick(rng, &[MacAddr([2; 6]), station_mac(HOST), MacAddr([1; 6])]);
    let ethernet = Ethernet { destination: destination(rng, to), source, tci: None, ethertype };
    if rng.one_in(10) {
        let len = rng.below(1600);
        return bytes(rng, len);
    }
    ethernet.frame(if rng.one_in(2) { &packet } else { &payload })
}

fn frame(rng: &mut Rng) -> Vec<u8> {
    let mut frame = match rng.below(8) {
        0 => arp(rng),
        1 => icmp(rng),
        2 => igmp(rng),
        3 => other(rng),
        _ => udp(rng),
    };
    // A third is damaged: single bits, whole bytes, or its end, here and there several of these.
    if rng.one_in(3) {
        for _ in 0..=rng.below(3) {
            mutate(rng, &mut frame);
        }
    }
    frame
}

fn mutate(rng: &mut Rng, frame: &mut Vec<u8>) {
    if frame.is_empty() {
        return;
    }
    // Headers are where mistakes hurt.
    let reach = if rng.one_in(3) { frame.len() } else { frame.len().min(50) };
    let at = rng.below(reach as u64) as usize;
    match rng.below(4) {
        0 => frame[at] ^= 1 << rng.below(8),
        1 => frame[at] = rng.u64() as u8,
        2 => frame.truncate(at),
        _ => {
            let len = rng.below(80);
            frame.extend(bytes(rng, len));
        }
    }
}

/// Whatever the host sends is right, from its own address, and to one host; or a report, or ARP to all.
#[track_caller]
fn assert_right(frame: &[u8]) {
    let (ethernet, _) = Ethernet::read(frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
    assert_eq!(ethernet.source, station_mac(HOST));
    let to_one = ethernet.destination.is_unicast();
    if let Ok(udp) = UdpFrame::read(frame) {
        assert!(to_one && *udp.source.ip() == HOST, "{udp:?}");
        assert!(udp.destination.port() != 0 && is_host(*udp.destination.ip()), "{udp:?}");
        // X02: an echo that answers an echo never ends. I22: TTL 64.
        assert!(udp.source.port() == 7 && udp.destination.port() != 7 && udp.ttl == 64, "{udp:?}");
    } else if let Ok(icmp) = IcmpFrame::read(frame) {
        assert!(to_one && icmp.ip.source == HOST && is_host(icmp.ip.destination), "{icmp:?}");
        assert!(
            matches!((icmp.kind, icmp.code), (0, _) | (3, 2 | 3) | (11, 1) | (12, 0) | (14, 0)),
            "{icmp:?}"
        );
    } else if let Ok(arp) = ArpFrame::read(frame) {
        assert!(arp.sender == HOST && arp.sender_mac == station_mac(HOST), "{arp:?}");
        assert!(matches!(arp.operation, 1 | 2) && (arp.operation == 1 || to_one), "{arp:?}");
    } else {
        assert!(matches!(IgmpMessage::read(frame), Ok(Some(_))), "not a frame of ours: {frame:02x?}");
    }
}

fn is_host(addr: Ipv4Addr) -> bool {
    let first = addr.octets()[0];
    first != 0 && first != 127 && first < 224 && addr != HOST && addr != Ipv4Addr::new(198, 18, 0, 255)
}

fn world(seed: u64, rng: &mut Rng) -> World {
    let port = PortOptions::new(0);
    let nic = NicOptions {
        name: port.nic.name.clone(),
        mac: port.nic.mac,
        rx_descriptors: pick(rng, &[4, 64, 256]),
        tx_descriptors: pick(rng, &[4, 64, 256]),
        rx_checksum: pick(
            rng,
            &[RxChecksum::Unknown, RxChecksum::Computed, RxChecksum::None, RxChecksum::AlwaysBad],
        ),
        tx_checksum: rng.one_in(2),
        vlan_strip: rng.one_in(2),
        filter: pick(rng, &[Abilities::exact(2), Abilities::hash12(64), Abilities::none()]),
        ..NicOptions::default()
    };
    let echo = EchoOptions { answer_broadcast: rng.one_in(2), ..EchoOptions::default() };
    World::new(
        seed,
        &WorldOptions {
            ports: vec![PortOptions { nic, ..port }],
            services: vec![ServiceOptions::echo_with(echo).joining(GROUPS[0], &[])],
            workers: pick(rng, &[1, 1, 3]),
            burst: pick(rng, &[1, 3, 32, 64]),
            buffers: pick(rng, &[40, 400]),
            level: pick(rng, &[Level::BASELINE, Level::detect()]),
            ..WorldOptions::default()
        },
    )
}

/// What happens between two frames, now and then.
fn disturb(rng: &mut Rng, world: &mut World) {
    match rng.below(12) {
        0 => world.device(0).stall_tx(true),
        1 => world.device(0).stall_tx(false),
        2 => {
            let left = rng.below(20) as usize;
            world.leave_buffers(left);
        }
        3 => world.return_buffers(),
        4 => world.pool().fail_nth(1 + rng.below(4)),
        5 | 6 => {
            let source = rng.one_in(2).then(|| Ipv4Addr::new(198, 18, 0, 1));
            let membership = Membership::of(pick(rng, &GROUPS)).from_source(source);
            let join = rng.one_in(2);
            // Not every one of these can be done.
            let _ = world.execute(&if join { Command::Join(membership) } else { Command::Leave(membership) });
        }
        7 => world.run_for(Duration::from_millis(rng.below(3_000))),
        8 => world.device(0).set_rx_checksum(pick(rng, &[RxChecksum::Computed, RxChecksum::None])),
        9 => world.device(0).set_link_up(rng.one_in(2)),
        _ => world.settle(),
    }
}

fn random(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut world = world(seed, &mut rng);
    let mut seen = 0;
    for _ in 0..8_000 {
        let frame = frame(&mut rng);
        if rng.one_in(20) {
            let segment = rng.below(100) as usize;
            let meta = world.device(0).meta_of(&frame);
            world.device(0).receive_as(&frame, meta, Some(segment));
        } else {
            world.inject(0, &frame);
        }
        if rng.one_in(4) {
            disturb(&mut rng, &mut world);
        }
        for frame in world.take_sent(0) {
            seen += 1;
            assert_right(&frame);
        }
    }
    world.device(0).stall_tx(false);
    world.return_buffers();
    world.shut_down();
    world.take_sent(0).iter().for_each(|frame| assert_right(frame));
    assert_eq!(world.pool().outstanding(), 0);
    assert!(seen > 100, "{seen} frames sent: this tests little");
}

#[test]
fn random_frames_of_fixed_seeds() {
    for seed in 0..12 {
        random(seed);
    }
}

#[test]
fn random_frames_of_a_fresh_seed() {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = since.as_nanos() as u64;
    println!("seed {seed:#x}");
    random(seed);
}

/// One right frame of each kind that the host takes note of.
fn right_frames() -> Vec<Vec<u8>> {
    let peer = Ipv4Addr::new(198, 18, 0, 1);
    let udp = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", b"unicast");
    vec![
        udp.frame(),
        UdpFrame { tci: Some(0), options: vec![1, 1, 1, 0], payload: vec![5; 100], ..udp }.frame(),
        UdpFrame::new("198.18.0.1:40000", "239.1.2.3:7", &[6; 64]).frame(),
        UdpFrame::new("198.18.0.1:40000", "198.18.0.2:9", b"closed").frame(),
        IcmpFrame::echo(peer, HOST, 1, 2, &[7; 70]).frame(),
        ArpFrame::request(peer, HOST).frame(),
        IgmpQuery::specific(Ipv4Addr::new(198, 18, 0, 254), GROUPS[0], &[peer]).frame(),
    ]
}

// E17: cut short at any byte, a frame is dropped or its rest is padding; nothing is read beyond its end.
#[test]
fn right_frames_cut_at_every_byte() {
    for (seed, rx_checksum) in
        [RxChecksum::Unknown, RxChecksum::Computed, RxChecksum::None].into_iter().enumerate()
    {
        let mut rng = Rng::new(seed as u64);
        let mut world = world(seed as u64, &mut rng);
        world.device(0).set_rx_checksum(rx_checksum);
        for whole in right_frames() {
            for end in 6..=whole.len() {
                for frame in world.exchange(0, &whole[..end]) {
                    assert_right(&frame);
                }
                world.run_for(Duration::from_millis(700));
            }
        }
        world.take_sent(0).iter().for_each(|frame| assert_right(frame));
    }
}

// Every single bit of a right frame flipped: still nothing but right answers.
#[test]
fn right_frames_with_every_bit_flipped() {
    let mut world = world(99, &mut Rng::new(99));
    world.device(0).set_rx_checksum(RxChecksum::Unknown);
    for whole in right_frames() {
        for bit in 48..whole.len() * 8 {
            let mut frame = whole.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            for answer in world.exchange(0, &frame) {
                assert_right(&answer);
            }
        }
        world.run_for(Duration::from_secs(2));
    }
    world.take_sent(0).iter().for_each(|frame| assert_right(frame));
}

// Whatever the device claims, nothing is lost and nothing panics; answers to lies may be wrong.
#[test]
fn devices_that_lie() {
    use pollcast::io::ChecksumStatus as C;
    let mut rng = Rng::new(7);
    let mut world = world(7, &mut rng);
    for _ in 0..10_000 {
        let status = |rng: &mut Rng| pick(rng, &[C::Unknown, C::Good, C::Bad, C::None]);
        let meta = RxMeta {
            ip_checksum: status(&mut rng),
            l4_checksum: status(&mut rng),
            stripped_tci: rng.one_in(4).then(|| rng.u64() as u16),
            rss_hash: rng.one_in(2).then(|| rng.u64() as u32),
        };
        world.device(0).receive_as(&frame(&mut rng), meta, None);
        if rng.one_in(3) {
            world.settle();
        }
    }
    // Fragments that never became whole have their time.
    world.run_for(Duration::from_secs(31));
    world.take_sent(0);
    assert_eq!(world.pool().outstanding(), 0);
}
