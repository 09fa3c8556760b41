//! No heap allocation per packet: a worker's turn asks the allocator for nothing once it is warm.
#![cfg(feature = "sim")]
#![expect(clippy::cast_possible_truncation, reason = "random bytes, and small numbers of the test's own")]

mod alloc_common;

use std::hint::black_box;
use std::net::Ipv4Addr;

use alloc_common::{allocations, assert_none, assert_none_of, releases};
use pollcast::addr::{Prefix, Unicast};
use pollcast::engine::Counter;
use pollcast::engine::command::{Command, Membership};
use pollcast::engine::worker::Manner;
use pollcast::fastpath::Level;
use pollcast::io::{DropReason, ReplyPath};
use pollcast::rng::Rng;
use pollcast::service::{Cx, Datagram, EchoOptions, Kept, Relay, RelayOptions, SendOptions, Service};
use pollcast::sim::buf::SimBuf;
use pollcast::sim::frames::{
    ArpFrame, Carrier, IcmpFrame, IgmpQuery, UdpFrame, UdpSum, UoaFrame, fragment, station_mac,
};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::uoa::{TableLimits, Trusted};

const PEER: &str = "198.18.0.1:40000";
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

fn world(seed: u64, nic: NicOptions) -> World {
    world_with(seed, nic, EchoOptions::default())
}

fn world_with(seed: u64, nic: NicOptions, echo: EchoOptions) -> World {
    world_of(seed, nic, echo, None)
}

fn world_of(seed: u64, nic: NicOptions, echo: EchoOptions, uoa: Option<(Trusted, TableLimits)>) -> World {
    let port = PortOptions::new(0);
    let nic = NicOptions { name: port.nic.name.clone(), mac: port.nic.mac, ..nic };
    let mut world = World::new(
        seed,
        &WorldOptions {
            ports: vec![PortOptions { nic, ..port }],
            services: vec![ServiceOptions::echo_with(echo).joining(GROUP, &[])],
            level: Level::detect(),
            uoa,
            ..WorldOptions::default()
        },
    );
    world.run_for(std::time::Duration::from_secs(5));
    world
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Vec::<u8>::with_capacity(7)))), 1);
    assert_eq!(allocations(|| drop(black_box(Vec::<u8>::new()))), 0);
    assert_eq!(releases(|| drop(black_box(Vec::<u8>::with_capacity(7)))), 1);
}

#[test]
fn unicast_echo() {
    let frames = (0..=1472).step_by(7).map(|n| UdpFrame::new(PEER, "198.18.0.2:7", &vec![9; n]).frame());
    let frames: Vec<_> = frames.collect();
    let mut world = world(1, NicOptions::default());
    assert_eq!(assert_none(&mut world, &frames), 39 * frames.len());
}

#[test]
fn unicast_echo_by_every_way_of_summing() {
    for rx_checksum in [RxChecksum::Computed, RxChecksum::None, RxChecksum::AlwaysBad] {
        for (tx_checksum, sum) in [(false, UdpSum::Right), (true, UdpSum::Absent)] {
            let mut world = world(2, NicOptions { rx_checksum, tx_checksum, ..NicOptions::default() });
            let frames = [0, 1, 18, 500]
                .map(|n| UdpFrame::new(PEER, "198.18.0.2:7", &vec![9; n]).with_sum(sum).frame());
            assert_eq!(assert_none(&mut world, &frames), 39 * frames.len());
        }
    }
}

// F11: whole datagrams, ones that never become whole, overlaps, and more of them than are held.
#[test]
fn fragments() {
    let mut frames = Vec::new();
    for (id, len) in (0..).zip([100, 1800, 3000, 9000]) {
        let frame = UdpFrame::new(PEER, "198.18.0.2:7", &vec![9; len]).frame();
        frames.extend(fragment::cut_evenly(&frame, id, 8 * (1 + len / 20)));
        let ping =
            IcmpFrame::echo([198, 18, 0, 1].into(), [198, 18, 0, 2].into(), 1, 1, &vec![9; len]).frame();
        frames.extend(fragment::cut_evenly(&ping, id, 8 * (1 + len / 20)));
    }
    for id in 100..300u16 {
        let source = format!("198.18.0.{}:40000", 20 + id % 50);
        let lost = UdpFrame::new(&source, "198.18.0.2:7", &[9; 100]).frame();
        frames.push(fragment::cut(&lost, id, &[64])[0].clone());
        if id % 3 == 0 {
            frames.push(fragment::cut(&lost, id, &[56, 72])[1].clone());
        }
    }
    let mut world = world(30, NicOptions::default());
    assert!(assert_none(&mut world, &frames) > 39 * 8);
    assert!(world.drops(DropReason::FragmentsOfSource) + world.drops(DropReason::FragmentOverlap) > 0);
}

#[test]
fn multicast_echo() {
    let frames: Vec<_> = (0..200u8).map(|i| UdpFrame::new(PEER, "239.1.2.3:7", &[i; 40]).frame()).collect();
    let mut world = world(3, NicOptions::default());
    assert_eq!(assert_none(&mut world, &frames), 39 * frames.len());
}

/// Two workers and three echoes, of which the second lives on the other worker alone.
fn shared_world(seed: u64, answering: bool) -> World {
    let echo = |name: &str, workers: &[usize]| {
        let options = EchoOptions { answer_groups: answering, ..EchoOptions::default() };
        let of =
            ServiceOptions { name: name.into(), reuse_address: true, ..ServiceOptions::echo_with(options) };
        ServiceOptions { workers: workers.to_vec(), ..of }.joining(GROUP, &[])
    };
    let services = vec![echo("a", &[]), echo("b", &[1]), echo("c", &[0])];
    let options = WorldOptions { services, workers: 2, level: Level::detect(), ..WorldOptions::default() };
    let mut world = World::new(seed, &options);
    world.run_for(std::time::Duration::from_secs(5));
    world
}

// U13: copies by reference, private copies for answers, and what is handed over to where its service lives.
#[test]
fn copies_for_several_sockets_on_several_workers() {
    for answering in [true, false] {
        let mut world = shared_world(14, answering);
        let frame = |i: u16| UdpFrame::new(&format!("198.18.0.1:{}", 20_000 + i), "239.1.2.3:7", &[1; 300]);
        let frames: Vec<_> = (0..100).map(|i| frame(i).frame()).collect();
        let (mut asked, mut sent, mut out) = (0, 0, Vec::with_capacity(2048));
        for round in 0..40 {
            frames.iter().for_each(|frame| _ = world.inject(0, frame));
            let in_turns = allocations(|| while world.turn_worker(0) + world.turn_worker(1) > 0 {});
            asked += if round > 0 { in_turns } else { 0 };
            while world.device(0).transmit_into(&mut out) {
                sent += 1;
            }
        }
        assert_eq!(asked, 0, "heap allocations");
        assert_eq!(world.count(Counter::Delivered), 3 * 40 * 100, "{:?}", world.all_drops());
        assert_eq!(sent, if answering { 3 * 40 * 100 } else { 0 });
        assert!(world.count(Counter::HandedIn) > 0);
        assert_eq!(world.count(Counter::Copied) > 0, answering);
    }
}

/// Sends, by the first byte of what it hears: 0: to a host, 1: to a group that is joined here, 2: to this host itself, 3: what is longer
/// than a packet; 4: keeps it and answers from its timer; all else it answers.
struct Agent(Vec<Kept<SimBuf>>);

impl Service<SimBuf> for Agent {
    fn datagrams(&mut self, cx: &mut Cx<'_, SimBuf>, burst: &mut [Datagram<SimBuf>]) {
        const LONG: &[u8] = &[255; 4000];
        for datagram in burst {
            let kind = datagram.payload().first().copied();
            let (payload, to) = match kind {
                Some(0) => (&b"to a host"[..], "198.18.0.9:6000"),
                Some(1) => (&b"to a group"[..], "239.1.2.3:5000"),
                Some(2) => (&b"to this host"[..], "198.18.0.2:5000"),
                Some(3) => (LONG, "198.18.0.9:6000"),
                Some(4) => {
                    self.0.extend(datagram.keep());
                    cx.set_timer(cx.now);
                    continue;
                }
                // Its own, and such as have come round.
                _ if datagram.source().port() == 5000 => continue,
                _ => {
                    datagram.reply();
                    continue;
                }
            };
            let message = cx.message_of(payload).expect("a buffer");
            cx.send(message, to.parse().unwrap(), &SendOptions::default()).expect("sent");
        }
    }

    fn timer(&mut self, cx: &mut Cx<'_, SimBuf>) {
        for kept in self.0.drain(..) {
            cx.reply(kept).expect("sent");
        }
    }
}

/// A world with `make`'s service on UDP port 5000, which knows its neighbours, and has a member of the group.
fn world_with_service(make: impl Fn() -> Box<dyn Service<SimBuf>> + 'static, workers: u16) -> World {
    let service = ServiceOptions {
        factory: Box::new(make),
        listen: vec!["0.0.0.0:5000".parse().unwrap()],
        ..ServiceOptions::echo()
    };
    let port = PortOptions {
        stations: [1, 9].map(|n| Ipv4Addr::new(198, 18, 0, n)).to_vec(),
        ..PortOptions::new(0)
    };
    let options = WorldOptions {
        ports: vec![port],
        services: vec![service.joining(GROUP, &[])],
        workers,
        large: 64,
        level: Level::detect(),
        ..WorldOptions::default()
    };
    let mut world = World::new(15, &options);
    world.run_for(std::time::Duration::from_secs(5));
    // Neighbours are asked for, and answer.
    for kind in 0..=4 {
        world.inject(0, &UdpFrame::new(PEER, "198.18.0.2:5000", &[kind]).frame());
        world.run_for(std::time::Duration::from_millis(100));
    }
    world.take_sent(0);
    world
}

// A service that answers, sends to hosts, groups and this host, in one packet or in fragments, and keeps what it was given: nothing
// of all that is from the heap.
#[test]
fn services_that_send_and_keep() {
    for workers in [1, 2] {
        let mut world = world_with_service(|| Box::new(Agent(Vec::with_capacity(1024))), workers);
        let frames: Vec<_> = (0..6)
            .flat_map(|kind| (0..20).map(move |n| (kind, n)))
            .map(|(kind, n)| {
                UdpFrame::new(&format!("198.18.0.1:{}", 20_000 + n), "198.18.0.2:5000", &[kind; 40]).frame()
            })
            .collect();
        let sent = assert_none_of(workers.into(), &mut world, &frames);
        // Of each six: one to a host, one to the group, three fragments, the answer to what was kept, and one at once.
        assert_eq!(sent, 39 * 20 * (1 + 1 + 3 + 1 + 1), "{:?}", world.all_drops());
        assert!(world.all_drops().is_empty(), "{:?}", world.all_drops());
    }
}

#[test]
fn a_relay_to_hosts_and_groups() {
    let make = || -> Box<dyn Service<SimBuf>> {
        let destinations =
            ["198.18.0.9:7000", "198.18.0.1:7000", "239.7.7.7:7000"].map(|to| to.parse().unwrap());
        Box::new(Relay::new(RelayOptions { destinations: destinations.to_vec(), ttl: Some(5) }))
    };
    for workers in [1, 2] {
        let mut world = world_with_service(make, workers);
        let frames: Vec<_> = (0..=1472)
            .step_by(50)
            .flat_map(|len| {
                ["239.1.2.3:5000", "198.18.0.2:5000"].map(|to| UdpFrame::new(PEER, to, &vec![9; len]).frame())
            })
            .collect();
        let sent = assert_none_of(workers.into(), &mut world, &frames);
        assert_eq!(sent, 39 * 3 * frames.len(), "{:?}", world.all_drops());
        // What comes in fragments goes out in fragments, from large buffers.
        let long = UdpFrame::new(PEER, "239.1.2.3:5000", &[9; 5000]).frame();
        let sent = assert_none_of(workers.into(), &mut world, &fragment::cut_evenly(&long, 7, 1480));
        assert_eq!(sent, 39 * 3 * 4, "{:?}", world.all_drops());
    }
}

#[test]
fn icmp_echo() {
    let (peer, host) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2));
    let frames: Vec<_> =
        (0..200u16).map(|i| IcmpFrame::echo(peer, host, 7, i, &vec![1; usize::from(i)]).frame()).collect();
    let mut world = world(4, NicOptions::default());
    assert_eq!(assert_none(&mut world, &frames), 39 * frames.len());
}

// C16, I17, C10, I14: questions with options, complaints, reports of routers, and answers cut to what they report.
#[test]
fn icmp_of_every_kind_and_answers_by_the_path_mtu() {
    let (peer, host) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2));
    let mut ping = IcmpFrame::echo(peer, host, 7, 1, b"where?");
    ping.ip.options = [&[7, 39, 4][..], &[0; 37]].concat();
    let mut frames = vec![ping.frame(), IcmpFrame::between(peer, host, 13, &[0; 16]).frame()];
    frames.push(UdpFrame { options: vec![7, 0, 0, 0], ..UdpFrame::new(PEER, "198.18.0.2:7", b"x") }.frame());
    for n in 1..60 {
        let far = format!("198.19.0.{n}:40000");
        let ours = UdpFrame { fragment: 0x4000, ..UdpFrame::new("198.18.0.2:7", &far, &[1; 1400]) }.frame();
        let report = [&[0, 0, 0x05, 0x14][..], &ours[14..42]].concat();
        frames.push(IcmpFrame { code: 4, ..IcmpFrame::between(peer, host, 3, &report) }.frame());
        let asked =
            UdpFrame { source_mac: station_mac(peer), ..UdpFrame::new(&far, "198.18.0.2:7", &[1; 1400]) };
        frames.push(asked.frame());
    }
    let mut world = world(13, NicOptions::default());
    let sent = assert_none(&mut world, &frames);
    assert_eq!(world.count(Counter::IcmpReports), 40 * 59);
    // Every answer is in two pieces once its path is known.
    assert!(sent >= 39 * (2 + 2 * 59), "{sent} sent");
}

// C05, RFC 1812 4.3.2.8: errors are limited; what is withheld costs no more than what is sent.
#[test]
fn a_storm_at_closed_ports_from_many_sources() {
    let frame = |i: u16| {
        let [high, low] = i.to_be_bytes();
        UdpFrame::new(
            &format!("198.18.{}.{}:4000", high + 1, low.max(1)),
            &format!("198.18.0.2:{}", 1000 + i),
            b"scan",
        )
        .frame()
    };
    let frames: Vec<_> = (0..600).map(frame).collect();
    let mut world = world(5, NicOptions::default());
    assert_none(&mut world, &frames);
    assert_eq!(world.drops(DropReason::UdpNoPort), 40 * 600);
    let (sent, withheld) = (world.count(Counter::IcmpErrors), world.count(Counter::IcmpWithheld));
    assert_eq!(sent + withheld, 40 * 600);
    assert!(sent > 0 && withheld > sent);
}

// X05, RFC 8085 3: a bucket for each source, known or not, and none of it from the heap.
#[test]
fn a_flood_of_sources_each_with_its_cap() {
    let frame = |i: u16| {
        let [high, low] = i.to_be_bytes();
        UdpFrame::new(&format!("10.1.{high}.{low}:40000"), "198.18.0.2:7", b"flood").frame()
    };
    let frames: Vec<_> = (0..6000).map(frame).collect();
    let echo = EchoOptions { replies_per_second_per_source: 3, ..EchoOptions::default() };
    let mut world = world_with(12, NicOptions::default(), echo);
    let sent = assert_none(&mut world, &frames) as u64;
    let refused = world.drops(DropReason::EchoSourceRate);
    // All at one moment: no source is sent more than its cap, and nothing is sent twice.
    assert!(sent > 0 && sent <= 3 * 6000, "{sent}");
    assert!(sent + refused <= 40 * 6000 && refused >= 37 * 6000, "{sent} sent, {refused} refused");
}

// O09: more flows than the table has room for, each named, looked up, and named again by another client: the table is made once. The
// text in which an echo names them is not of the heap either.
#[test]
fn a_flood_of_clients_behind_a_balancer() {
    let frames: Vec<_> = (0..300u16)
        .flat_map(|i| {
            let source = format!("198.18.0.1:{}", 20_000 + i);
            let carrier = if i % 2 == 0 { Carrier::Header } else { Carrier::Protocol };
            let named =
                UoaFrame::new(carrier, &format!("203.0.113.9:{i}"), &source, "198.18.0.2:7", b"flood");
            [named.frame(), UdpFrame::new(&source, "198.18.0.2:7", b"flood").frame()]
        })
        .collect();
    for describe_sender in [false, true] {
        let balancer = Prefix::new(Ipv4Addr::new(198, 18, 0, 1), 32).unwrap();
        let limits = TableLimits { flows: 100, timeout: std::time::Duration::from_secs(360) };
        let uoa = Some((Trusted::new(vec![balancer], Vec::new()), limits));
        let echo = EchoOptions { describe_sender, ..EchoOptions::default() };
        let mut world = world_of(13, NicOptions::default(), echo, uoa);
        assert_eq!(assert_none(&mut world, &frames), 39 * 600);
        assert_eq!(world.count(Counter::UoaFound), 40 * 300);
        assert!(world.count(Counter::UoaEvicted) >= 39 * 300);
    }
}

#[test]
fn drops_of_many_kinds() {
    let right = UdpFrame::new(PEER, "198.18.0.2:7", b"hello");
    let mut frames = vec![
        right.clone().with_sum(UdpSum::Wrong).frame(),
        UdpFrame::new(PEER, "239.129.2.3:7", b"alias").frame(),
        UdpFrame::new("198.18.0.255:40000", "198.18.0.2:7", b"martian").frame(),
        UdpFrame::new("198.18.0.2:40000", "198.18.0.2:7", b"land").frame(),
        UdpFrame::new("198.18.0.1:19", "198.18.0.2:7", b"reflector").frame(),
        UdpFrame::new(PEER, "255.255.255.255:7", b"broadcast").frame(),
        UdpFrame { tci: Some(5), ..right.clone() }.frame(),
        UdpFrame { fragment: 0x2000, ..right.clone() }.frame(),
        UdpFrame { options: vec![0x83, 4, 4, 1], ..right.clone() }.frame(),
    ];
    let whole = right.frame();
    frames.extend((6..whole.len()).map(|end| whole[..end].to_vec()));
    let mut world = world(6, NicOptions::default());
    let sent = assert_none(&mut world, &frames);
    // Frames of 47 to 59 bytes lost their padding alone.
    assert_eq!(sent, 39 * 13, "{:?}", world.all_drops());
}

// A flood of what is punted: the queues fill, the rest is dropped; the worker asks the heap for nothing either way.
#[test]
fn what_goes_to_control() {
    let (peer, host) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2));
    let mut frames = vec![ArpFrame::request(peer, host).frame(); 400];
    frames.extend(vec![ArpFrame::request(peer, Ipv4Addr::new(198, 18, 0, 77)).frame(); 400]);
    let router = Ipv4Addr::new(198, 18, 0, 254);
    frames.extend(vec![IgmpQuery::general(router).frame(); 400]);
    // G47: more lists of sources than there is room for, of a group that is joined; they are made one question.
    let lists =
        (0..400u32).map(|n| IgmpQuery::specific(router, GROUP, &[Ipv4Addr::from(0x0a00_0001 + n)]).frame());
    frames.extend(lists);
    let mut world = world(7, NicOptions::default());
    assert_none(&mut world, &frames);
    assert!(world.drops(DropReason::PuntQueueFull) > 0, "of ARP that is not for us");
    assert!(world.drops(DropReason::IgmpRepeated) > 40 * 500);
}

// By route to a host of the link, to one beyond a gateway, and to many that are not there: neighbours come and go.
#[test]
fn answers_by_route() {
    let (peer, gateway) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 254));
    let from = |addr: &str| UdpFrame::new(&format!("{addr}:40000"), "198.18.0.2:7", b"by route").frame();
    let mut frames = [vec![from("198.18.0.1"); 100], vec![from("203.0.113.9"); 100]].concat();
    frames.extend((3..100).map(|n| from(&format!("198.18.0.{n}"))));
    let port = PortOptions {
        stations: [vec![peer, gateway], (60..80).map(|n| Ipv4Addr::new(198, 18, 0, n)).collect()].concat(),
        gateway4: Unicast::new(gateway),
        neighbors_max: 16,
        ..PortOptions::new(0)
    };
    let manner = Manner { reply: ReplyPath::Route, ..Manner::default() };
    let services = vec![ServiceOptions { manner, ..ServiceOptions::echo() }];
    let options = WorldOptions { ports: vec![port], services, ..WorldOptions::default() };
    let mut world = World::new(10, &options);
    world.run_for(std::time::Duration::from_secs(5));
    world.exchange(0, &from("198.18.0.1"));
    world.run_for(std::time::Duration::from_secs(2));
    let sent = assert_none(&mut world, &frames);
    assert!(sent >= 39 * 200, "{sent}");
    assert!(world.count(Counter::Punted) > 0);
}

#[test]
fn a_mixture_with_rings_too_small() {
    let mut rng = Rng::new(8);
    let frames: Vec<_> = (0..500)
        .map(|i| match rng.below(4) {
            0 => UdpFrame::new(PEER, "239.1.2.3:7", &vec![1; i]).frame(),
            1 => UdpFrame::new(PEER, "198.18.0.2:9", &vec![2; i]).frame(),
            2 => (0..60 + rng.below(900)).map(|_| rng.u64() as u8).collect(),
            _ => UdpFrame::new(PEER, "198.18.0.2:7", &vec![3; i]).frame(),
        })
        .collect();
    let nic = NicOptions { tx_descriptors: 8, rx_descriptors: 60, ..NicOptions::default() };
    let mut world = world(8, nic);
    assert_none(&mut world, &frames);
    assert!(world.count(Counter::TxRefused) > 0 && world.device(0).stats().imissed > 0);
}

// A table of ten thousand groups is tens of thousands of pieces of memory: to give them back takes a worker longer than
// its ring can wait. Control, which made the table, also takes it down.
#[test]
fn another_table_of_groups_costs_a_worker_nothing() {
    let group = |n: u32| Ipv4Addr::from_bits(u32::from(GROUP) + n);
    let echo = (0..10_000).fold(ServiceOptions::echo(), |echo, n| echo.joining(group(n), &[]));
    let mut world = World::new(9, &WorldOptions { services: vec![echo], ..WorldOptions::default() });
    world.run_for(std::time::Duration::from_secs(5));
    for n in 10_000..10_003 {
        world.command(&Command::Join(Membership::of(group(n))));
        let (mut asked, mut freed) = (0, 0);
        asked += allocations(|| freed = releases(|| while world.turn_worker(0) > 0 {}));
        assert_eq!((asked, freed), (0, 0), "calls to the heap, after the join of {}", group(n));
        let request = UdpFrame::new(PEER, &format!("{}:7", group(n)), b"to the newest group");
        world.take_sent(0);
        assert_eq!(world.exchange(0, &request.frame()).len(), 1 + 1, "the report, and the answer");
    }
}
