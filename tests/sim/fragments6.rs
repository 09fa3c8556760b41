//! Fragments of IPv6 through the whole host: in by any queue, put together by one worker, answered in fragments.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use pollcast::addr::{Cidr, Unicast, V6};
use pollcast::engine::Counter;
use pollcast::engine::fragments::LIMITS;
use pollcast::io::{Addressing6, DropReason};
use pollcast::rng::Rng;
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::fragment::cut_evenly;
use pollcast::sim::frames::fragment6::{cut6, cut6_evenly, join6};
use pollcast::sim::frames::{
    Extension, HeaderOption, IcmpFrame6, Ipv6, NdpFrame, NdpMessage, UdpFrame, UdpFrame6, station_mac6,
};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::reassembly::Limits;

const OWN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const ASKER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const PEER: &str = "[2001:db8::1]:40000";
const HOST: &str = "[2001:db8::2]:7";

/// The host with an echo over both families, on so many workers.
fn options(workers: u16) -> WorldOptions {
    let port = PortOptions::new(0);
    let filter = Abilities::none();
    let nic = NicOptions { mac: station_mac6(OWN), rx_descriptors: 1024, filter, ..port.nic };
    let own = Cidr::<V6>::new(Unicast::new(OWN).unwrap(), 64).unwrap();
    let addressing6 = Addressing6 { statics: vec![own], router_discovery: false, ..Addressing6::new() };
    WorldOptions {
        ports: vec![PortOptions { nic, addressing6: Some(addressing6), ..port }],
        services: vec![ServiceOptions::echo().dual_stack()],
        workers,
        buffers: 4096,
        ..WorldOptions::default()
    }
}

fn started(seed: u64, options: &WorldOptions) -> World {
    let mut world = World::new(seed, options);
    // Duplicate address detection is over, and groups are reported.
    world.run_for(Duration::from_secs(15));
    world.take_sent(0);
    world
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 13 % 251).unwrap()).collect()
}

fn request(len: usize) -> UdpFrame6 {
    UdpFrame6::new(PEER, HOST, &bytes(len))
}

/// Injects `frames`, settles, and returns what was sent.
fn exchange(world: &mut World, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    for frame in frames {
        world.inject(0, frame);
        world.settle();
    }
    world.take_sent(0)
}

/// The answer, put together by the simulator's own code.
#[track_caller]
fn answer(world: &mut World, frames: &[Vec<u8>]) -> UdpFrame6 {
    let sent = exchange(world, frames);
    let whole =
        if sent.len() == 1 { sent[0].clone() } else { join6(&sent).expect("fragments of one datagram") };
    UdpFrame6::read(&whole).expect("a datagram")
}

/// The one error that `frames` are answered with: type, code, pointer, and what it quotes.
#[track_caller]
fn error(world: &mut World, frames: &[Vec<u8>]) -> (u8, u8, u32, Vec<u8>) {
    // As many errors leave as its limit lets (K04): it has time to recover.
    world.run_for(Duration::from_secs(2));
    let sent = exchange(world, frames);
    assert_eq!(sent.len(), 1, "{sent:02x?}");
    let icmp = IcmpFrame6::read(&sent[0]).expect("an ICMPv6 message");
    assert_eq!((icmp.ip.source, icmp.ip.destination), (OWN, ASKER));
    let told = icmp.as_error().expect("an error");
    (told.kind, told.code, told.word, told.quote)
}

/// A fragment of a datagram to the echo, with these bytes.
fn piece(id: u32, offset: u16, more: bool, next: u8, bytes: &[u8]) -> Vec<u8> {
    let ip = Ipv6::new(ASKER, OWN, next).with(&[Extension::Fragment { offset: offset / 8, more, id }]);
    ip.frame(bytes)
}

// W11, W13, RFC 8200 4.5 and 5: all that IPv6 carries, both ways, by links of 1500 bytes.
#[test]
fn the_largest_datagram_is_echoed() {
    let mut world = started(1, &options(1));
    let request = request(65_527);
    let sent = exchange(&mut world, &cut6_evenly(&request.frame(), 9, 1448));
    assert_eq!(sent.len(), 46);
    assert!(sent.iter().all(|frame| frame.len() <= 1514));
    let reply = UdpFrame6::read(&join6(&sent).unwrap()).unwrap();
    assert_eq!(reply.payload, request.payload);
    assert_eq!((reply.source.to_string().as_str(), reply.destination.to_string().as_str()), (HOST, PEER));
    assert_eq!((world.count(Counter::Reassembled), world.count(Counter::Fragmented)), (1, 1));
}

// W02, W03, W08: every size, in reverse order, and one of them twice; headers before and behind the fragment header.
#[test]
fn datagrams_of_every_size_in_any_order_are_echoed_once() {
    let mut world = started(2, &options(1));
    let option = |len| HeaderOption::new(0x1e, &vec![1; len]);
    let chains = [
        vec![],
        vec![Extension::HopByHop(vec![option(5)])],
        vec![Extension::Destination(vec![option(30)])],
        vec![
            Extension::HopByHop(vec![option(1)]),
            Extension::Routing { kind: 2, segments_left: 0, data: vec![0; 20] },
            Extension::Destination(vec![option(9)]),
        ],
    ];
    let mut asked = 0;
    for (id, len) in (0..).zip([100, 1200, 1452, 1453, 2006, 2048, 3000, 9000, 30_001]) {
        for (n, chain) in (0..).zip(&chains) {
            let request = request(len).with(chain);
            let size = (104 * len.div_ceil(1500)).min(1120);
            let mut fragments = cut6_evenly(&request.frame(), id * 4 + n, size);
            fragments.reverse();
            if fragments.len() > 1 {
                fragments.insert(1, fragments[0].clone());
            }
            assert_eq!(answer(&mut world, &fragments).payload, request.payload, "{len} bytes, {n}");
            asked += 1;
        }
    }
    assert_eq!(
        (world.count(Counter::Reassembled), world.drops(DropReason::FragmentDuplicate)),
        (asked, asked)
    );
}

// F17, W08: queues by addresses alone; four workers put a thousand flows together, each what it owns.
#[test]
fn a_thousand_flows_over_four_workers_are_all_complete() {
    let mut world = started(3, &options(4));
    let mut rng = Rng::new(5);
    let mut done = 0;
    for batch in 0..50u16 {
        let mut frames = Vec::new();
        for flow in 0..20u16 {
            let n = batch * 20 + flow;
            let from = SocketAddrV6::new(
                Ipv6Addr::from_bits(ASKER.to_bits() + 15 + u128::from(n % 200)),
                20_000 + n,
                0,
                0,
            );
            let payload = [bytes(1000), n.to_be_bytes().to_vec()].concat();
            let request = UdpFrame6::between(from, HOST.parse().unwrap(), &payload);
            frames.extend(cut6_evenly(&request.frame(), n.into(), 400));
        }
        for i in (1..frames.len()).rev() {
            frames.swap(i, usize::try_from(rng.below(i as u64 + 1)).unwrap());
        }
        for frame in &frames {
            world.inject(0, frame);
        }
        world.settle();
        for sent in world.take_sent(0) {
            let reply = UdpFrame6::read(&sent).unwrap();
            let n = u16::from_be_bytes(*reply.payload.last_chunk().unwrap());
            assert_eq!((reply.payload.len(), reply.destination.port()), (1002, 20_000 + n));
            done += 1;
        }
    }
    assert_eq!((done, world.count(Counter::Reassembled)), (1000, 1000), "{:?}", world.all_drops());
    assert!(world.count(Counter::HandedOut) > 1000, "{}", world.count(Counter::HandedOut));
    let tallies = world.worker_tallies();
    assert!(tallies.iter().all(|t| t.get(Counter::Reassembled) > 150), "each has its share");
    assert_eq!(world.count(Counter::Held), world.count(Counter::Released));
}

// W01, RFC 6946 4: alone, also among the fragments of another datagram with the same identification, which goes on.
#[test]
fn an_atomic_fragment_is_a_datagram_of_its_own() {
    let mut world = started(4, &options(2));
    let (long, atomic) = (request(1000), request(10));
    let fragments = cut6(&long.frame(), 7, &[512]);
    let alone = piece(7, 0, false, 17, &atomic.datagram());
    assert_eq!(answer(&mut world, std::slice::from_ref(&alone)).payload, atomic.payload);
    assert!(exchange(&mut world, &fragments[..1]).is_empty());
    assert_eq!(answer(&mut world, &[alone]).payload, atomic.payload);
    assert_eq!(answer(&mut world, &fragments[1..]).payload, long.payload);
    assert_eq!(world.count(Counter::Reassembled), 1);
}

// W02, RFC 5722 4, RFC 8200 4.5: silence about an overlap, about all that was held, and all that is to come.
#[test]
fn an_overlap_is_met_with_silence() {
    let mut world = started(5, &options(2));
    let datagram = request(1000).datagram();
    let part = |id, from: usize, to: usize| {
        piece(id, u16::try_from(from).unwrap(), to < datagram.len(), 17, &datagram[from..to])
    };
    for (id, over) in (0..).zip([(504, 520), (0, 8), (100 * 8, 101 * 8), (8, 1008), (0, 1008)]) {
        let mut frames = vec![part(id, 0, 512), part(id, 512, 904)];
        frames.push(part(id, over.0, over.1));
        frames.push(part(id, 904, 1008));
        frames.extend(cut6(&request(1000).frame(), id, &[512]));
        // The whole in one fragment is none of theirs: W01.
        frames.retain(|frame| frame != &part(id, 0, 1008));
        if over != (0, 1008) {
            assert!(exchange(&mut world, &frames).is_empty(), "{over:?}");
        }
    }
    world.run_for(Duration::from_secs(61));
    assert!(world.take_sent(0).is_empty(), "nor is its end told");
    assert_eq!(world.count(Counter::Held), world.count(Counter::Released));
}

// W04, W05, W06, RFC 8200 4.5, RFC 7112 5: what is wrong with a fragment by itself is told, with its place, and its datagram
// goes on.
#[test]
fn a_fragment_that_cannot_be_is_told_with_its_place() {
    let mut world = started(6, &options(2));
    let datagram = request(100).datagram();
    let fragments = cut6(&request(100).frame(), 5, &[64]);
    assert!(exchange(&mut world, &fragments[..1]).is_empty());
    // W04: the payload length is what is wrong.
    let odd = piece(5, 64, true, 17, &datagram[64..77]);
    let (kind, code, pointer, quote) = error(&mut world, std::slice::from_ref(&odd));
    assert_eq!((kind, code, pointer), (4, 0, 4));
    assert_eq!(quote, odd[14..]);
    // W05: the fragment offset, at 42; behind options of eight bytes, at 50.
    let (kind, code, pointer, _) = error(&mut world, &[piece(5, 65_528, false, 17, &[0; 16])]);
    assert_eq!((kind, code, pointer), (4, 0, 42));
    let far = Extension::Fragment { offset: 8191, more: false, id: 5 };
    let far = Ipv6::new(ASKER, OWN, 17).with(&[Extension::HopByHop(Vec::new()), far]).frame(&[0; 7]);
    let (kind, code, pointer, _) = error(&mut world, &[far]);
    assert_eq!((kind, code, pointer), (4, 0, 50));
    // W06: the first fragment ends before the headers do.
    let (kind, code, pointer, _) = error(&mut world, &[piece(6, 0, true, 60, &[17, 1, 1, 4, 0, 0, 0, 0])]);
    assert_eq!((kind, code, pointer), (4, 3, 0));
    let reply = answer(&mut world, &fragments[1..]);
    assert_eq!(reply.payload, bytes(100));
    assert_eq!(world.drops(DropReason::FragmentMisaligned), 1);
    assert_eq!(world.drops(DropReason::FragmentTooFar), 2);
    assert_eq!(world.drops(DropReason::Ipv6FirstFragmentIncomplete), 1);
}

// W07, RFC 8200 4.5: after 60 seconds, 3/1 about the first fragment, and nothing without it. IPv4 has its own 30.
#[test]
fn what_never_becomes_whole_is_told_after_sixty_seconds() {
    let mut world = started(7, &options(2));
    let [first, last]: [Vec<u8>; 2] = cut6(&request(100).frame(), 1, &[64]).try_into().unwrap();
    let other = cut6(&request(100).frame(), 2, &[64]).remove(1);
    assert!(exchange(&mut world, &[first.clone(), other]).is_empty());
    world.run_for(Duration::from_secs(59));
    assert!(world.take_sent(0).is_empty());
    world.run_for(Duration::from_secs(2));
    let sent = world.take_sent(0);
    let [told] = sent.as_slice() else { panic!("{sent:02x?}") };
    let told = IcmpFrame6::read(told).unwrap();
    let error = told.as_error().unwrap();
    assert_eq!((error.kind, error.code, error.word), (3, 1, 0));
    assert_eq!((told.ip.source, told.ip.destination), (OWN, ASKER));
    assert_eq!(error.quote, first[14..]);
    assert_eq!(world.drops(DropReason::FragmentTimeout), 2);
    // Its identification is free: the last fragment alone begins another.
    assert!(exchange(&mut world, &[last]).is_empty());
    let v4 = cut_evenly(&UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", &bytes(100)).frame(), 1, 64);
    let v4: Vec<_> = v4.into_iter().map(|f| [&station_mac6(OWN).0[..], &f[6..]].concat()).collect();
    exchange(&mut world, &v4[..1]);
    world.run_for(Duration::from_secs(31));
    assert_eq!(world.drops(DropReason::FragmentTimeout), 3, "IPv4's alone");
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.drops(DropReason::FragmentTimeout), 4);
}

// W12, RFC 6980 5: neighbour discovery in fragments is not heard, in however many, and wherever it hides.
#[test]
fn fragmented_neighbor_discovery_is_ignored() {
    let mut world = started(8, &options(2));
    let solicitation = NdpFrame::solicitation(ASKER, OWN);
    let with = |extensions: Vec<Extension>| {
        let mut icmp = solicitation.icmp();
        icmp.ip.extensions = extensions;
        icmp.frame()
    };
    let options = || Extension::Destination(Vec::new());
    let atomic = Extension::Fragment { offset: 0, more: false, id: 1 };
    for frames in [
        cut6(&solicitation.frame(), 2, &[16]),
        cut6(&with(vec![options()]), 3, &[24]),
        cut6(&with(vec![Extension::HopByHop(Vec::new())]), 4, &[16]),
        vec![with(vec![atomic.clone()])],
        vec![with(vec![atomic, options()])],
        cut6(&solicitation.frame(), 5, &[16]).into_iter().rev().collect(),
    ] {
        assert!(exchange(&mut world, &frames).is_empty(), "{frames:02x?}");
        world.run_for(Duration::from_secs(1));
        assert!(world.take_sent(0).is_empty());
    }
    assert!(world.drops(DropReason::NdpFragment) >= 6, "{:?}", world.all_drops());
    // In one piece it is answered.
    world.inject(0, &solicitation.frame());
    world.run_for(Duration::from_secs(1));
    let said: Vec<NdpFrame> = world.take_sent(0).iter().filter_map(|f| NdpFrame::read(f).unwrap()).collect();
    assert!(matches!(said[0].message, NdpMessage::NeighborAdvertisement { target: OWN, .. }), "{said:?}");
}

// W08, K02: what comes in fragments is refused like any other, once it is whole.
#[test]
fn what_is_whole_is_judged_like_any_packet() {
    let mut world = started(9, &options(2));
    let closed = UdpFrame6::new(PEER, "[2001:db8::2]:9", &bytes(2000)).frame();
    let (kind, code, _, quote) = error(&mut world, &cut6_evenly(&closed, 1, 1000));
    assert_eq!((kind, code, quote.len()), (1, 4, 1232));
    assert_eq!(quote, closed[14..14 + 1232]);
    let mut damaged = cut6_evenly(&request(2000).frame(), 2, 1000);
    *damaged[1].last_mut().unwrap() ^= 1;
    assert!(exchange(&mut world, &damaged).is_empty());
    let ping = IcmpFrame6::echo(ASKER, OWN, 1, 2, &bytes(3000));
    let sent = exchange(&mut world, &cut6_evenly(&ping.frame(), 3, 1000));
    let reply = IcmpFrame6::read(&join6(&sent).unwrap()).unwrap();
    assert_eq!((reply.kind, &reply.body), (129, &ping.body));
}

// W10, RFC 7739: identifications of answers, of several workers, are none of a sequence.
#[test]
fn identifications_are_not_to_be_guessed() {
    let mut world = started(10, &options(4));
    let mut ids = Vec::new();
    for n in 0..200u32 {
        let from = format!("[2001:db8::1]:{}", 1024 + n);
        let request = UdpFrame6::new(&from, HOST, &bytes(2000));
        let sent = exchange(&mut world, &cut6_evenly(&request.frame(), n, 1000));
        let (_, ip, _) = Ipv6::read_frame(&sent[0]).unwrap();
        let Some(Extension::Fragment { id, .. }) = ip.extensions.last() else { panic!("{ip:?}") };
        ids.push(*id);
    }
    let mut steps: Vec<u32> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    steps.sort_unstable();
    steps.dedup();
    assert!(steps.len() > 195, "{steps:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200);
}

// W02 to W11: whatever comes of both families, in whatever order, whatever is short: no packet is lost from the books, and no
// buffer from the pool.
#[test]
fn anything_at_all_is_accounted_for() {
    for seed in 0..4 {
        let second = Duration::from_secs(1);
        let limits =
            Limits { fragments: 40, fragments_per_source: 25, timeout: 2 * second, timeout6: 3 * second };
        assert_ne!(limits, LIMITS);
        let mut world =
            started(seed, &WorldOptions { fragments: limits, large: 1, buffers: 300, ..options(3) });
        let mut rng = Rng::new(seed);
        let below = |rng: &mut Rng, n: u64| usize::try_from(rng.below(n)).unwrap();
        for _ in 0..300 {
            let len = [60, 700, 3000, 9000][below(&mut rng, 4)];
            let (host, sport) = (10 + below(&mut rng, 3), 1024 + below(&mut rng, 50));
            let dport = [7, 7, 9][below(&mut rng, 3)];
            let (id, size) = (below(&mut rng, 6), 8 * (1 + below(&mut rng, 180)));
            let mut frames = if rng.one_in(3) {
                let (from, to) = (format!("198.18.0.{host}:{sport}"), format!("198.18.0.2:{dport}"));
                let frame = UdpFrame::new(&from, &to, &bytes(len)).to_mac(station_mac6(OWN)).frame();
                cut_evenly(&frame, u16::try_from(id).unwrap(), size)
            } else {
                let (from, to) = (format!("[2001:db8::{host}]:{sport}"), format!("[2001:db8::2]:{dport}"));
                cut6_evenly(
                    &UdpFrame6::new(&from, &to, &bytes(len)).frame(),
                    u32::try_from(id).unwrap(),
                    size,
                )
            };
            while frames.len() > 1 && rng.one_in(2) {
                let (a, b) = (below(&mut rng, frames.len() as u64), below(&mut rng, frames.len() as u64));
                frames.swap(a, b);
                if rng.one_in(3) {
                    frames.remove(a);
                }
                if rng.one_in(5) {
                    frames.push(frames[0].clone());
                }
            }
            for mut frame in frames {
                if rng.one_in(40) {
                    world.pool().fail_nth(1 + rng.below(3));
                }
                if rng.one_in(50) {
                    let at = 14 + below(&mut rng, 50);
                    frame[at] ^= 1 << rng.below(8);
                }
                let segment = rng.one_in(5).then(|| 1 + below(&mut rng, frame.len() as u64 - 1));
                let meta = world.device(0).meta_of(&frame);
                world.device(0).receive_as(&frame, meta, segment);
                if rng.one_in(4) {
                    world.settle();
                }
            }
            world.run_for(Duration::from_millis(rng.below(300)));
            world.take_sent(0);
        }
        assert!(world.count(Counter::Reassembled) > 0);
        if seed % 2 == 0 {
            world.run_for(Duration::from_secs(5));
            assert_eq!(world.count(Counter::Held), world.count(Counter::Released));
        }
        world.shut_down();
        assert_eq!(world.count(Counter::Held), world.count(Counter::Released), "nothing is held in the end");
    }
}
