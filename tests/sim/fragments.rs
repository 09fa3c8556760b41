//! Fragments through the whole host: in by several queues, put together by one worker, answered in fragments.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.

use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::addr::{Ipv4Cidr, Unicast, Vid};
use pollcast::engine::Counter;
use pollcast::engine::fragments::LIMITS;
use pollcast::io::{ChecksumStatus, DropReason, RxMeta};
use pollcast::rng::Rng;
use pollcast::sim::frames::fragment::{cut, cut_evenly, join};
use pollcast::sim::frames::{Ethernet, IcmpFrame, Ipv4, UdpFrame, UdpSum, station_mac};
use pollcast::sim::nic::{NicOptions, Reception};
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::reassembly::Limits;

const PEER: &str = "198.18.0.1:40000";
const HOST: &str = "198.18.0.2:7";
const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const ASKER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

fn options() -> WorldOptions {
    WorldOptions { services: vec![ServiceOptions::echo().joining(GROUP, &[])], ..WorldOptions::default() }
}

fn with_nic(nic: NicOptions) -> WorldOptions {
    let port = PortOptions::new(0);
    let nic = NicOptions { name: port.nic.name.clone(), mac: port.nic.mac, ..nic };
    WorldOptions { ports: vec![PortOptions { nic, ..port }], ..options() }
}

/// Several workers, and a device that spreads first fragments by their ports.
fn spread(workers: u16) -> WorldOptions {
    let nic = NicOptions { rss_first_fragments: true, rx_descriptors: 1024, ..NicOptions::default() };
    WorldOptions { workers, buffers: 4096, ..with_nic(nic) }
}

fn started(seed: u64, options: &WorldOptions) -> World {
    let mut world = World::new(seed, options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 13 % 251).unwrap()).collect()
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
fn answer(world: &mut World, frames: &[Vec<u8>]) -> UdpFrame {
    let sent = exchange(world, frames);
    let whole =
        if sent.len() == 1 { sent[0].clone() } else { join(&sent).expect("fragments of one datagram") };
    UdpFrame::read(&whole).expect("a datagram")
}

// F10, F18, RFC 1122 3.3.2: all that IPv4 carries, both ways. 65,507 bytes are 45 fragments.
#[test]
fn the_largest_datagram_is_echoed() {
    let mut world = started(1, &options());
    let request = UdpFrame::new(PEER, HOST, &bytes(65_507));
    let fragments = cut_evenly(&request.frame(), 9, 1480);
    assert_eq!(fragments.len(), 45);
    let sent = exchange(&mut world, &fragments);
    assert_eq!(sent.len(), 45);
    assert!(sent.iter().all(|frame| frame.len() <= 1514));
    let reply = UdpFrame::read(&join(&sent).unwrap()).unwrap();
    assert_eq!((reply.payload, reply.sum), (request.payload, UdpSum::Right));
    assert_eq!((reply.source.to_string().as_str(), reply.destination.to_string().as_str()), (HOST, PEER));
    assert_eq!((world.count(Counter::Reassembled), world.count(Counter::Fragmented)), (1, 1));
}

// F02: every size from the smallest, in reverse order and with duplicates.
#[test]
fn datagrams_of_every_size_in_any_order_are_echoed_once() {
    let mut world = started(2, &options());
    for (id, len) in (0..).zip([1, 17, 100, 1400, 1472, 1473, 1960, 2006, 2007, 2048, 3000, 9000, 30_001]) {
        let request = UdpFrame::new(PEER, HOST, &bytes(len));
        let mut fragments = cut_evenly(
            &request.frame(),
            id,
            if len < 100 { 8 } else { (104 * len.div_ceil(1500)).min(1480) },
        );
        fragments.reverse();
        fragments.insert(1, fragments[0].clone());
        let reply = answer(&mut world, &fragments);
        assert_eq!(reply.payload, request.payload, "{len} bytes");
    }
    assert_eq!(world.count(Counter::Reassembled), 13);
    assert_eq!(world.drops(DropReason::FragmentDuplicate), 13);
}

// F17: queues by ports for first fragments, and by addresses for the others: four workers put a thousand flows together.
#[test]
fn a_thousand_flows_over_four_workers_are_all_complete() {
    let mut world = started(3, &spread(4));
    let mut rng = Rng::new(5);
    let mut done = 0;
    for batch in 0..50u16 {
        let mut frames = Vec::new();
        for flow in 0..20u16 {
            let n = batch * 20 + flow;
            let from = format!("198.18.0.{}:{}", 10 + n % 200, 20_000 + n);
            let request = UdpFrame::new(&from, HOST, &[bytes(1000), n.to_be_bytes().to_vec()].concat());
            frames.extend(cut_evenly(&request.frame(), n, 400));
        }
        for i in (1..frames.len()).rev() {
            frames.swap(i, usize::try_from(rng.below(i as u64 + 1)).unwrap());
        }
        for frame in &frames {
            world.inject(0, frame);
        }
        world.settle();
        for sent in world.take_sent(0) {
            let reply = UdpFrame::read(&sent).unwrap();
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

// F13, RFC 768: what the device says of a fragment's checksum is not of the datagram's.
#[test]
fn a_byte_that_was_changed_in_the_second_fragment_is_found() {
    for said in [ChecksumStatus::Good, ChecksumStatus::Unknown, ChecksumStatus::None] {
        let mut world =
            started(4, &with_nic(NicOptions { rx_checksum: RxChecksum::Computed, ..NicOptions::default() }));
        let request = UdpFrame::new(PEER, HOST, &bytes(2000));
        let mut fragments = cut(&request.frame(), 9, &[1480]);
        let at = fragments[1].len() - 100;
        fragments[1][at] ^= 1;
        for fragment in &fragments {
            let meta = RxMeta { l4_checksum: said, ..RxMeta::default() };
            world.device(0).receive_as(fragment, meta, None);
        }
        world.settle();
        assert!(world.take_sent(0).is_empty());
        assert_eq!(world.all_drops().last().map(|d| d.0), Some(DropReason::UdpChecksum), "{said:?}");
    }
}

/// What the ICMP error in `sent` says: type, code, and the packet that it quotes.
fn error_in(sent: &[Vec<u8>]) -> (u8, u8, Vec<u8>) {
    assert_eq!(sent.len(), 1);
    let error = IcmpFrame::read(&sent[0]).unwrap();
    assert_eq!((error.ip.source, error.ip.destination), (OWN, ASKER));
    (error.kind, error.code, error.body[4..].to_vec())
}

// F09, F12, RFC 1122 3.3.2, RFC 792: 30 seconds after the first arrival, quoting the first fragment; else in silence.
#[test]
fn a_datagram_that_stays_in_pieces_is_told_of_if_its_first_came() {
    let mut world = started(5, &options());
    let fragments = cut(&UdpFrame::new(PEER, HOST, &bytes(3000)).frame(), 9, &[1480, 2960]);
    world.inject(0, &fragments[1]);
    world.run_for(Duration::from_secs(20));
    world.inject(0, &fragments[0]);
    world.run_for(Duration::from_millis(9_900));
    assert!(world.take_sent(0).is_empty());
    world.run_for(Duration::from_millis(200));
    let (kind, code, quoted) = error_in(&world.take_sent(0));
    assert_eq!((kind, code), (11, 1));
    assert_eq!(quoted, fragments[0][14..][..548]);
    assert_eq!(world.drops(DropReason::FragmentTimeout), 2);
    // The last one comes too late: it begins another, whose end is silent.
    world.inject(0, &fragments[2]);
    world.run_for(Duration::from_secs(40));
    assert!(world.take_sent(0).is_empty());
    assert_eq!(world.drops(DropReason::FragmentTimeout), 3);
    // C03: nor is anything said of what went to many.
    let to_group = UdpFrame::new(PEER, "239.1.2.3:7", &bytes(3000)).frame();
    world.inject(0, &cut(&to_group, 10, &[1480])[0]);
    world.run_for(Duration::from_secs(40));
    assert!(world.take_sent(0).is_empty());
}

// F16, C01, RFC 1122 3.2.2: one error for the whole, which it quotes; whether that is in one buffer or has a body.
#[test]
fn a_closed_port_is_told_once_quoting_the_datagram() {
    for len in [1500, 5000] {
        let mut world = started(6, &options());
        let request = UdpFrame { ttl: 9, ..UdpFrame::new(PEER, "198.18.0.2:9", &bytes(len)) };
        let sent = exchange(&mut world, &cut_evenly(&request.frame(), 9, 1480));
        let (kind, code, quoted) = error_in(&sent);
        assert_eq!((kind, code, quoted.len()), (3, 3, 548));
        // The header is the first fragment's, mended: whole, and with the same identification.
        let mut whole = request.frame()[14..][..548].to_vec();
        whole[4..6].copy_from_slice(&9u16.to_be_bytes());
        assert_eq!((&quoted[..10], &quoted[12..]), (&whole[..10], &whole[12..]));
        assert_eq!(world.drops(DropReason::UdpNoPort), 1);
    }
}

// F12, RFC 1122 3.2.2: an unknown protocol, a bad option: nothing is said of a fragment that is not the first.
#[test]
fn no_error_is_sent_about_a_later_fragment() {
    let mut world = started(7, &options());
    let link =
        Ethernet { destination: station_mac(OWN), source: station_mac(ASKER), tci: None, ethertype: 0x0800 };
    let unknown = Ipv4 { fragment: 0x0004, ..Ipv4::new(ASKER, OWN, 253) };
    world.inject(0, &link.frame(&unknown.packet(&[0; 32])));
    let option = Ipv4 { fragment: 0x0004, options: vec![0x83, 0, 0, 0], ..Ipv4::new(ASKER, OWN, 17) };
    world.inject(0, &link.frame(&option.packet(&[0; 32])));
    world.run_for(Duration::from_secs(40));
    assert!(world.take_sent(0).is_empty());
    assert_eq!(world.drops(DropReason::Ipv4OptionInvalid), 1);
    // Of the first one of the same, it is.
    let option = Ipv4 { fragment: 0x2000, ..option };
    assert_eq!(error_in(&exchange(&mut world, &[link.frame(&option.packet(&[0; 32]))])).0, 12);
}

// C06, F10: an echo request of any size has its reply.
#[test]
fn a_long_ping_is_answered_in_fragments() {
    let mut world = started(8, &options());
    for len in [1472, 1473, 1990, 20_000, 65_507] {
        let mut ping = IcmpFrame::echo(ASKER, OWN, 7, 1, &bytes(len));
        ping.ip.tos = 0x28;
        let sent = exchange(&mut world, &cut_evenly(&ping.frame(), 9, 1480));
        let whole = if sent.len() == 1 { sent[0].clone() } else { join(&sent).unwrap() };
        let reply = IcmpFrame::read(&whole).unwrap();
        assert_eq!((reply.kind, &reply.body, reply.ip.tos), (0, &ping.body, 0x28), "{len} bytes");
        assert_eq!(sent.len(), (len + 8).div_ceil(1480));
    }
    assert_eq!(world.count(Counter::IcmpEcho), 5);
}

// X01, U21: a group's long request is answered from our own address, with a checksum of its own.
#[test]
fn a_long_request_to_a_group_is_answered_by_us() {
    let mut world = started(9, &options());
    for sum in [UdpSum::Right, UdpSum::Absent] {
        let request = UdpFrame::new(PEER, "239.1.2.3:7", &bytes(4000)).with_sum(sum);
        let reply = answer(&mut world, &cut_evenly(&request.frame(), 9, 1480));
        assert_eq!((*reply.source.ip(), reply.payload, reply.sum), (OWN, request.payload, UdpSum::Right));
    }
}

// F03, F05 to F08, F15: what is refused is refused through the whole host, and counted as what it was.
#[test]
fn what_no_honest_sender_sends_ends_in_its_counter() {
    let frame = UdpFrame::new(PEER, HOST, &bytes(1000)).frame();
    let honest = cut(&frame, 9, &[160, 320]);
    let raw = |fragment: u16, len: usize| {
        let link = Ethernet {
            destination: station_mac(OWN),
            source: station_mac(ASKER),
            tci: None,
            ethertype: 0x0800,
        };
        link.frame(&Ipv4 { id: 9, fragment, ..Ipv4::new(ASKER, OWN, 17) }.packet(&vec![0; len]))
    };
    for (evil, why, packets) in [
        (cut(&frame, 9, &[152, 168])[1].clone(), DropReason::FragmentOverlap, 4),
        (raw(0x2000 | 20, 20), DropReason::FragmentMisaligned, 1),
        (raw(0x1fff, 64), DropReason::FragmentTooFar, 1),
        (raw(60, 8), DropReason::FragmentEndConflict, 4),
        (raw(20, 0), DropReason::FragmentEmpty, 4),
    ] {
        let mut world = started(10, &options());
        let mut frames = honest.clone();
        frames.insert(2, evil);
        frames.swap(1, 3);
        let sent = exchange(&mut world, &frames);
        assert_eq!(world.drops(why), packets, "{:?}", world.all_drops());
        assert_eq!(sent.len(), usize::from(packets == 1), "{why}");
        world.run_for(Duration::from_secs(31));
        assert!(world.take_sent(0).is_empty(), "nobody is told of {why}");
    }
    let mut world = started(10, &options());
    let marked = UdpFrame { tos: 3, ..UdpFrame::read(&frame).unwrap() }.frame();
    exchange(&mut world, &[honest[0].clone(), cut(&marked, 9, &[160, 320])[1].clone(), honest[2].clone()]);
    assert_eq!(world.drops(DropReason::FragmentEcn), 3);
}

// E12, 802.1Q: fragments of a VLAN's, whoever takes its tags off and puts them on, are answered there.
#[test]
fn a_vlans_fragments_are_answered_with_its_tag() {
    for (vlan_strip, vlan_insert) in [(false, false), (true, false), (true, true)] {
        let port = PortOptions::new(0);
        let nic = NicOptions { vlan_strip, vlan_insert, ..port.nic.clone() };
        let addresses = vec![Ipv4Cidr::new(Unicast::new([198, 18, 7, 2].into()).unwrap(), 24).unwrap()];
        let vlans = vec![VlanOptions { vid: Vid::new(100).unwrap(), addresses, gateway4: None }];
        let ports = vec![PortOptions { nic, vlans, ..port }];
        let mut world = started(11, &WorldOptions { ports, ..options() });
        let request = UdpFrame {
            tci: Some(100),
            destination_mac: station_mac(OWN),
            ..UdpFrame::new("198.18.7.1:40000", "198.18.7.2:7", &bytes(6000))
        };
        let fragments = cut_evenly(&request.frame(), 9, 1480);
        // F01: the same from elsewhere is another's.
        let untagged: Vec<_> = fragments.iter().map(|f| [&f[..12], &f[16..]].concat()).collect();
        assert!(exchange(&mut world, &untagged[..2]).is_empty());
        let reply = answer(&mut world, &fragments);
        assert_eq!((reply.tci, reply.payload), (Some(100), request.payload), "{vlan_strip} {vlan_insert}");
    }
}

// E17, T01: frames of 9,000 bytes, in as many segments as the device likes, each way.
#[test]
fn jumbo_frames_are_served_whole_and_in_segments() {
    let options = WorldOptions { room: 9216, ..with_nic(NicOptions { mtu: 9000, ..NicOptions::default() }) };
    let mut world = started(12, &options);
    for len in [1473, 8000, 8972, 8973, 20_000] {
        let request = UdpFrame::new(PEER, HOST, &bytes(len));
        let frames = cut_evenly(&request.frame(), 9, 8976);
        let frames = if len <= 8972 { vec![request.frame()] } else { frames };
        for segment in [None, Some(50), Some(2048)] {
            for frame in &frames {
                let segment = segment.filter(|at| *at < frame.len());
                world.device(0).receive_as(frame, RxMeta::default(), segment);
            }
            world.settle();
            let sent = world.take_sent(0);
            assert_eq!(sent.len(), frames.len(), "{len} {segment:?} {:?}", world.all_drops());
            let whole = if sent.len() == 1 { sent[0].clone() } else { join(&sent).unwrap() };
            assert_eq!(UdpFrame::read(&whole).unwrap().payload, request.payload);
        }
    }
}

/// The path MTU to the peer becomes `mtu`: a router says so of an answer to `request`.
fn learn_path_mtu(world: &mut World, request: &UdpFrame, mtu: u16) {
    let sent = world.exchange(0, &request.frame());
    let too_big = [&[0, 0][..], &mtu.to_be_bytes(), &sent[0][14..][..48]].concat();
    let error = IcmpFrame { code: 4, ..IcmpFrame::between([198, 18, 0, 9].into(), OWN, 3, &too_big) };
    world.exchange(0, &error.frame());
}

// T01, C16, F18: what the path does not carry leaves in fragments of its size.
#[test]
fn answers_are_cut_to_the_path_mtu() {
    let mut world = started(13, &options());
    let request = UdpFrame::new(PEER, HOST, &bytes(1400));
    learn_path_mtu(&mut world, &request, 600);
    let sent = world.exchange(0, &request.frame());
    assert_eq!(sent.iter().map(|frame| frame.len() - 14).collect::<Vec<_>>(), [596, 596, 276]);
    assert_eq!(UdpFrame::read(&join(&sent).unwrap()).unwrap().payload, request.payload);
    // So do answers to pings.
    let ping = IcmpFrame::echo(ASKER, OWN, 7, 1, &bytes(1000));
    let sent = world.exchange(0, &ping.frame());
    assert_eq!(IcmpFrame::read(&join(&sent).unwrap()).unwrap().body, ping.body);
    assert!(sent.iter().all(|frame| frame.len() <= 614));
}

// I20, RFC 6864 4: two fragmented answers to one host have two identifications.
#[test]
fn identifications_do_not_come_again() {
    let mut world = started(14, &spread(3));
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..600u16 {
        let request = UdpFrame::new(&format!("198.18.0.1:{}", 2000 + n), HOST, &bytes(1500));
        let sent = exchange(&mut world, &cut_evenly(&request.frame(), n, 800));
        assert_eq!(sent.len(), 2);
        assert!(seen.insert([sent[0][18], sent[0][19]]), "after {n}");
    }
}

// F11, CVE-2018-5391: a flood of first fragments holds what it may, and others are served all the while.
#[test]
fn a_flood_of_first_fragments_costs_others_nothing() {
    let limits = Limits { fragments: 512, fragments_per_source: 64, ..LIMITS };
    let mut world = started(15, &WorldOptions { fragments: limits, ..options() });
    let plain = UdpFrame::new(PEER, HOST, &bytes(100));
    let long = cut_evenly(&UdpFrame::new(PEER, HOST, &bytes(2000)).frame(), 9, 1480);
    let mut rng = Rng::new(9);
    for n in 0..20_000u32 {
        let source = Ipv4Addr::from_bits(0x0a00_0000 | u32::try_from(rng.below(1 << 16)).unwrap());
        let source = if n % 2 == 0 { Ipv4Addr::new(10, 9, 9, 9) } else { source };
        let frame =
            UdpFrame::between(std::net::SocketAddrV4::new(source, 5), HOST.parse().unwrap(), &bytes(1400));
        world.inject(0, &cut(&frame.frame(), u16::try_from(rng.below(1 << 16)).unwrap(), &[1400])[0]);
        if n % 100 == 0 {
            world.settle();
            assert_eq!(world.exchange(0, &plain.frame()).len(), 1);
            assert_eq!(exchange(&mut world, &long).len(), 2);
        }
    }
    world.settle();
    let held = world.count(Counter::Held) - world.count(Counter::Released);
    assert!(held <= 512, "{held}");
    assert!(
        world.drops(DropReason::FragmentsOfSource) > 9000 && world.drops(DropReason::FragmentsTooMany) > 8000
    );
    // C05: their ends are told within the limit of errors, and then nothing is held.
    world.run_for(Duration::from_secs(40));
    assert_eq!(world.count(Counter::Held), world.count(Counter::Released));
}

// Whatever comes, in whatever order, whatever is short: no packet is lost from the books, and no buffer from the pool.
#[test]
fn anything_at_all_is_accounted_for() {
    for seed in 0..6 {
        let limits =
            Limits { fragments: 40, fragments_per_source: 25, timeout: Duration::from_secs(2), ..LIMITS };
        let mut world =
            started(seed, &WorldOptions { fragments: limits, large: 1, buffers: 300, ..spread(3) });
        let mut rng = Rng::new(seed);
        let below = |rng: &mut Rng, n: u64| usize::try_from(rng.below(n)).unwrap();
        for _ in 0..400 {
            let len = [60, 700, 3000, 9000][below(&mut rng, 4)];
            let from = format!("198.18.0.{}:{}", 10 + below(&mut rng, 3), 1024 + below(&mut rng, 50));
            let to = ["198.18.0.2:7", "198.18.0.2:9", "239.1.2.3:7"][below(&mut rng, 3)];
            let frame = UdpFrame::new(&from, to, &bytes(len)).frame();
            let mut frames = cut_evenly(
                &frame,
                u16::try_from(below(&mut rng, 6)).unwrap(),
                8 * (1 + below(&mut rng, 180)),
            );
            while frames.len() > 1 && rng.one_in(2) {
                let (a, b) = (below(&mut rng, frames.len() as u64), below(&mut rng, frames.len() as u64));
                frames.swap(a, b);
                if rng.one_in(3) {
                    frames.remove(a);
                }
            }
            for frame in frames {
                if rng.one_in(40) {
                    world.pool().fail_nth(1 + rng.below(3));
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
        assert_eq!(
            world.count(Counter::Held),
            world.count(Counter::Released),
            "nothing is held by who has stopped"
        );
    }
}

// F17: a worker that is away has its own fragments missing, and is told by control of what it must know all the same.
#[test]
fn a_queue_full_of_fragments_is_counted_and_holds_up_nothing_else() {
    let limits = Limits { fragments: 4096, fragments_per_source: 4096, ..LIMITS };
    let mut world = started(16, &WorldOptions { fragments: limits, ..spread(2) });
    for id in 0..3000 {
        let first = cut(&UdpFrame::new(PEER, HOST, &bytes(100)).frame(), id, &[64])[0].clone();
        // All are of one flow, and so of one queue: the other worker does not turn.
        match world.inject(0, &first) {
            Reception::Queued(queue) => assert!(world.turn_worker(usize::from(queue)) > 0),
            other => panic!("{other:?}"),
        }
    }
    assert!(world.drops(DropReason::FragmentQueueFull) > 0, "{:?}", world.all_drops());
    world.join(Ipv4Addr::new(239, 9, 9, 9), None);
    world.take_sent(0);
    let request = UdpFrame::new(PEER, "239.9.9.9:7", b"still there?");
    assert_eq!(world.exchange(0, &request.frame()).len(), 1);
    world.run_for(Duration::from_secs(40));
    assert_eq!(world.count(Counter::Held), world.count(Counter::Released));
}

// U03, C10, F10: of a datagram that takes more than one buffer, the UDP length rules as it does in a packet, and of a
// timestamp request its front: the answers fit into one packet.
#[test]
fn short_answers_to_what_takes_several_buffers() {
    let mut world = started(21, &options());
    let mut request = UdpFrame::new(PEER, HOST, &bytes(3000)).frame();
    // A length of 20, and no checksum.
    request[38..42].copy_from_slice(&[0, 20, 0, 0]);
    let reply = answer(&mut world, &cut_evenly(&request, 9, 1480));
    assert_eq!((reply.payload, reply.sum), (bytes(12), UdpSum::Right), "{:?}", world.all_drops());
    let request = IcmpFrame::between(ASKER, OWN, 13, &bytes(3000));
    let sent = exchange(&mut world, &cut_evenly(&request.frame(), 10, 1480));
    assert_eq!(sent.len(), 1, "{:?}", world.all_drops());
    assert_eq!(IcmpFrame::read(&sent[0]).unwrap().kind, 14);
}
