//! The echo over a simulated NIC: every length, every cast, every checksum status, and every shortage.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.
#![expect(clippy::cast_possible_truncation, reason = "random bytes, and small numbers of the test's own")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use pollcast::addr::MacAddr;
use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command, FilterAnswer, Membership};
use pollcast::engine::message::INBOX_LEN;
use pollcast::fastpath::Level;
use pollcast::io::{BURST_MAX, DropReason, Rung};
use pollcast::service::EchoOptions;
use pollcast::sim::filter::{Abilities, Effect};
use pollcast::sim::frames::{ArpFrame, Ethernet, IcmpFrame, UdpFrame, UdpSum, fragment, station_mac};
use pollcast::sim::nic::{NicOptions, Reception};
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;

const PEER: &str = "198.18.0.1:40000";
const HOST: &str = "198.18.0.2:7";
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const TO_GROUP: &str = "239.1.2.3:7";

fn with_nic(nic: NicOptions) -> WorldOptions {
    let port = PortOptions::new(0);
    let nic = NicOptions { name: port.nic.name.clone(), mac: port.nic.mac, ..nic };
    WorldOptions { ports: vec![PortOptions { nic, ..port }], ..WorldOptions::default() }
}

/// A world that has said what a host says at its start, and has been heard.
fn started(seed: u64, options: &WorldOptions) -> World {
    let mut world = World::new(seed, options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

fn joined(options: WorldOptions) -> WorldOptions {
    WorldOptions { services: vec![ServiceOptions::echo().joining(GROUP, &[])], ..options }
}

/// The answer that `request` must get: addresses and ports swapped, the payload as it was.
fn answer(request: &UdpFrame, host: Ipv4Addr) -> UdpFrame {
    // X01, RFC 862; U21, RFC 1122 4.1.3.5: from the port's own address if a group was asked. I22: TTL 64.
    UdpFrame {
        destination_mac: request.source_mac,
        source_mac: station_mac(host),
        fragment: 0x4000,
        sum: UdpSum::Right,
        ..UdpFrame::between(
            SocketAddrV4::new(host, request.destination.port()),
            request.source,
            &request.payload,
        )
    }
}

fn host() -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, 2)
}

fn read_all(sent: &[Vec<u8>]) -> Vec<UdpFrame> {
    sent.iter()
        .map(|frame| UdpFrame::read(frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}")))
        .collect()
}

/// Sends one request, which must get exactly its answer.
#[track_caller]
fn assert_echo(world: &mut World, request: &UdpFrame) {
    let sent = world.exchange(0, &request.frame());
    assert_eq!(read_all(&sent), [answer(request, host())]);
}

/// Sends one request, which must be dropped for `why`.
#[track_caller]
fn assert_dropped(world: &mut World, frame: &[u8], why: DropReason) {
    let before = world.drops(why);
    let sent = world.exchange(0, frame);
    assert!(sent.is_empty(), "answered: {sent:02x?}");
    assert_eq!(world.drops(why), before + 1, "{:?}", world.all_drops());
}

// X01, RFC 862; U11: an empty datagram is a datagram; E09: short answers are padded with zeros (the reader checks).
#[test]
fn every_length_comes_back() {
    for level in [Level::BASELINE, Level::detect()] {
        let mut world = started(1, &WorldOptions { level, ..WorldOptions::default() });
        for len in 0..=1472usize {
            let payload: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
            assert_echo(&mut world, &UdpFrame::new(PEER, HOST, &payload));
        }
        assert_eq!(world.count(Counter::FastPath), 1473);
    }
}

// U05, RFC 768: an answer whose sum comes to 0 carries 0xffff.
#[test]
fn a_sum_of_zero_is_sent_as_all_ones() {
    let mut world = started(2, &joined(WorldOptions::default()));
    let mut found = 0;
    for word in 0..=u16::MAX {
        let request = UdpFrame::new(PEER, TO_GROUP, &word.to_be_bytes());
        let expected = answer(&request, host()).frame();
        if expected[40..42] == [0xff, 0xff] {
            found += 1;
            assert_eq!(world.exchange(0, &request.frame()), [expected]);
            // Without a sum in the request there is one in the answer all the same.
            let request = UdpFrame::new(PEER, HOST, &word.to_be_bytes()).with_sum(UdpSum::Absent);
            assert_echo(&mut world, &request);
        }
    }
    assert_eq!(found, 1, "exactly one word makes the sum zero");
}

#[test]
fn a_burst_of_every_size_is_answered_in_order() {
    let mut world = started(3, &WorldOptions { burst: BURST_MAX, ..WorldOptions::default() });
    for size in 1..=BURST_MAX + 9 {
        let requests: Vec<_> = (0..size).map(|i| UdpFrame::new(PEER, HOST, &[i as u8, size as u8])).collect();
        requests.iter().for_each(|r| assert_eq!(world.inject(0, &r.frame()), Reception::Queued(0)));
        world.settle();
        let expected: Vec<_> = requests.iter().map(|r| answer(r, host())).collect();
        assert_eq!(read_all(&world.take_sent(0)), expected);
    }
}

// E10, RFC 1122 2.3.2: what lies behind the packet is not the packet's, and does not come back.
#[test]
fn a_trailer_does_not_come_back() {
    let mut world = started(4, &WorldOptions::default());
    let request = UdpFrame::new(PEER, HOST, b"hello");
    let mut frame = request.frame();
    frame[50..].fill(0xee);
    frame.extend([0xee; 20]);
    assert_eq!(read_all(&world.exchange(0, &frame)), [answer(&request, host())]);
}

// E11, 802.1Q 6.9: VLAN 0 is no VLAN, in the frame or taken off by the device; any other was not configured.
#[test]
fn priority_tags_are_untagged_and_other_vlans_are_not_ours() {
    for vlan_strip in [false, true] {
        let mut world = started(5, &with_nic(NicOptions { vlan_strip, ..NicOptions::default() }));
        let tagged = |tci| UdpFrame { tci: Some(tci), ..UdpFrame::new(PEER, HOST, b"tagged") };
        let sent = world.exchange(0, &tagged(0xe000).frame());
        assert_eq!(read_all(&sent), [answer(&UdpFrame::new(PEER, HOST, b"tagged"), host())]);
        assert_dropped(&mut world, &tagged(5).frame(), DropReason::VlanUnknown);
    }
}

// E01, RFC 1112 6.4: what a promiscuous device passes is still not ours.
#[test]
fn frames_to_others_are_refused_whatever_the_device_passes() {
    let mut world = started(6, &with_nic(NicOptions { filter: Abilities::none(), ..NicOptions::default() }));
    let request = UdpFrame::new(PEER, HOST, b"x");
    let other = request.clone().to_mac(MacAddr([2, 0, 0, 0, 0, 99]));
    assert_dropped(&mut world, &other.frame(), DropReason::EthernetNotForUs);
    let group = request.to_mac(MacAddr([1, 0, 0x5e, 9, 9, 9]));
    assert_dropped(&mut world, &group.frame(), DropReason::EthernetGroupNotJoined);
}

// E02, E06, RFC 1112 6.4 and 7.2: a joined group and that of all hosts are programmed, and only then arrive.
#[test]
fn a_group_is_answered_because_the_filter_was_programmed() {
    let request = UdpFrame::new(PEER, TO_GROUP, b"to the group");
    let mac = MacAddr([1, 0, 0x5e, 1, 2, 3]);
    let filters = [
        (Abilities::exact(8), Rung::AddrList),
        (Abilities::hash12(8), Rung::AddrList),
        (Abilities::mac_table(8), Rung::MacTable),
        (Abilities::exact(1), Rung::AllMulticast),
        (Abilities::promiscuous_only(), Rung::Promiscuous),
        (Abilities::none(), Rung::Unfiltered),
        (Abilities::exact(8).with_effect(Effect::PassesAll), Rung::AddrList),
    ];
    for (filter, rung) in filters {
        let mut world = started(7, &joined(with_nic(NicOptions { filter, ..NicOptions::default() })));
        assert_echo(&mut world, &request);
        let answer = filter_answer(&mut world);
        assert_eq!(answer.state.rung, rung);
        assert_eq!(answer.state.macs, [MacAddr([1, 0, 0x5e, 0, 0, 1]), mac]);
    }
    // The same host on a device that programs nothing: the datagram never reaches it.
    let filter = Abilities::exact(8).with_effect(Effect::NeverProgrammed);
    let mut world = started(7, &joined(with_nic(NicOptions { filter, ..NicOptions::default() })));
    assert_eq!(world.inject(0, &request.frame()), Reception::Filtered);
    world.settle();
    assert!(world.take_sent(0).is_empty());
    // And on one that filters, before the group was joined, while it is, and after it was left.
    let mut world = started(8, &WorldOptions::default());
    assert_eq!(world.inject(0, &request.frame()), Reception::Filtered);
    world.join(GROUP, None);
    world.take_sent(0);
    assert_echo(&mut world, &request);
    world.leave(GROUP, None);
    assert_eq!(world.inject(0, &request.frame()), Reception::Filtered);
}

fn filter_answer(world: &mut World) -> FilterAnswer {
    match world.execute(&Command::Filter) {
        Answer::Filter(mut answers) => answers.remove(0),
        other => panic!("{other:?}"),
    }
}

// E04, RFC 1112 6.4: 32 groups share a MAC, and some devices let more through; the address decides.
#[test]
fn an_alias_of_a_joined_group_is_refused() {
    let mut world =
        started(9, &joined(with_nic(NicOptions { filter: Abilities::hash12(8), ..NicOptions::default() })));
    for alias in ["238.129.2.3:7", "239.129.2.3:7", "224.1.2.3:7"] {
        let request = UdpFrame::new(PEER, alias, b"alias");
        assert_dropped(&mut world, &request.frame(), DropReason::Ipv4GroupNotJoined);
    }
    // The same 12 bits of hash, another MAC.
    let collision = UdpFrame::new(PEER, "239.1.9.3:7", b"collision");
    assert_dropped(&mut world, &collision.frame(), DropReason::EthernetGroupNotJoined);
    let answer = filter_answer(&mut world);
    assert_eq!((answer.aliases, answer.not_in_set), (3, 1));
}

// E05: a MAC stays in the filter while any joined group maps to it.
#[test]
fn leaving_one_of_two_groups_with_one_mac_keeps_the_other() {
    let alias = Ipv4Addr::new(238, 129, 2, 3);
    let mut world = started(10, &WorldOptions::default());
    world.join(GROUP, None);
    world.join(alias, None);
    world.leave(alias, None);
    world.take_sent(0);
    assert_echo(&mut world, &UdpFrame::new(PEER, TO_GROUP, b"still joined"));
    let request = UdpFrame::new(PEER, "238.129.2.3:7", b"left");
    assert_dropped(&mut world, &request.frame(), DropReason::Ipv4GroupNotJoined);
}

// E07, DESIGN 6: more groups than the device holds are all received, and the filter closes again when there is room.
#[test]
fn a_full_filter_loses_no_group() {
    let mut world =
        started(11, &with_nic(NicOptions { filter: Abilities::exact(4), ..NicOptions::default() }));
    let group = |i: u8| Ipv4Addr::new(239, 9, 9, i);
    for joined in 1..=8 {
        world.join(group(joined), None);
        world.take_sent(0);
        for i in 1..=joined {
            assert_echo(&mut world, &UdpFrame::new(PEER, &format!("{}:7", group(i)), &[i]));
        }
    }
    assert_eq!(filter_answer(&mut world).state.rung, Rung::AllMulticast);
    for left in 4..=8 {
        world.leave(group(left), None);
    }
    let state = filter_answer(&mut world).state;
    assert_eq!((state.rung, state.all_multicast, state.macs.len()), (Rung::AddrList, false, 4));
    let request = UdpFrame::new(PEER, "239.9.9.8:7", b"left");
    assert_eq!(world.inject(0, &request.frame()), Reception::Filtered);
}

// U16, RFC 9776 3.2: a group joined for one source is not received from another.
#[test]
fn a_source_that_was_not_asked_for_is_refused() {
    let group = Ipv4Addr::new(232, 1, 2, 3);
    let wanted = Ipv4Addr::new(198, 18, 0, 1);
    let services = vec![ServiceOptions::echo().joining(group, &[wanted])];
    let mut world = started(12, &WorldOptions { services, ..WorldOptions::default() });
    assert_echo(&mut world, &UdpFrame::new(PEER, "232.1.2.3:7", b"from whom we want"));
    let other = UdpFrame::new("198.18.0.9:40000", "232.1.2.3:7", b"from another");
    assert_dropped(&mut world, &other.frame(), DropReason::GroupSourceFiltered);
}

// I13, RFC 1122 3.3.6: broadcast reaches the socket. X04: the echo answers it only if told to, from its own address.
#[test]
fn broadcast_is_answered_only_if_configured() {
    for to in ["255.255.255.255:7", "198.18.0.255:7"] {
        let request = UdpFrame::new(PEER, to, b"to all").to_mac(MacAddr::BROADCAST);
        let mut world = started(13, &WorldOptions::default());
        assert_dropped(&mut world, &request.frame(), DropReason::EchoGroupOff);
        let options = EchoOptions { answer_broadcast: true, ..EchoOptions::default() };
        let services = vec![ServiceOptions::echo_with(options)];
        let mut world = started(13, &WorldOptions { services, ..WorldOptions::default() });
        assert_echo(&mut world, &request);
    }
}

// X02, CERT CA-1996-01; U10: reflectors, our own port among them, and port 0 are not answered.
#[test]
fn reflectors_are_not_answered() {
    let mut world = started(14, &WorldOptions::default());
    for port in [0, 7, 13, 17, 19, 53, 123, 1900, 11211] {
        let request = UdpFrame::new(&format!("198.18.0.1:{port}"), HOST, b"loop?");
        assert_dropped(&mut world, &request.frame(), DropReason::EchoReflectorPort);
    }
}

// U04, RFC 768, RFC 1122 4.1.3.4; C01, I02: a wrong sum is dropped silently, whatever the device said of it; no sum is
// accepted. Where the field holds none (`None`), it is not looked at, and an answer has its own.
#[test]
fn each_sum_in_each_checksum_status() {
    use {RxChecksum as R, UdpSum as S};
    for mode in [R::Unknown, R::Computed, R::None, R::AlwaysBad] {
        for tx_checksum in [false, true] {
            let nic = NicOptions { rx_checksum: mode, tx_checksum, ..NicOptions::default() };
            let mut world = started(15, &joined(with_nic(nic)));
            for to in [HOST, TO_GROUP] {
                for len in [0, 1, 2, 17, 18, 19, 64, 1471, 1472] {
                    let request = UdpFrame::new(PEER, to, &vec![0xc3; len]);
                    for sum in [S::Right, S::Absent, S::Wrong, S::Partial] {
                        let request = request.clone().with_sum(sum);
                        if mode == R::None || matches!(sum, S::Right | S::Absent) {
                            assert_echo(&mut world, &request);
                        } else {
                            assert_dropped(&mut world, &request.frame(), DropReason::UdpChecksum);
                        }
                    }
                }
            }
            let closed = UdpFrame::new(PEER, "198.18.0.2:9", b"closed").with_sum(S::Wrong);
            if mode != R::None {
                assert_dropped(&mut world, &closed.frame(), DropReason::UdpChecksum);
            }
        }
    }
}

// I02, RFC 1122 3.2.1.2: "unknown" is not "good", and "bad" is summed as well.
#[test]
fn a_wrong_header_checksum_in_each_status() {
    use RxChecksum as R;
    for mode in [R::Unknown, R::Computed, R::None, R::AlwaysBad] {
        let mut world = started(16, &with_nic(NicOptions { rx_checksum: mode, ..NicOptions::default() }));
        let request = UdpFrame::new(PEER, HOST, b"hello");
        let mut frame = request.frame();
        frame[25] ^= 1;
        if mode == R::None {
            assert_eq!(read_all(&world.exchange(0, &frame)), [answer(&request, host())]);
        } else {
            assert_dropped(&mut world, &frame, DropReason::Ipv4Checksum);
        }
    }
}

#[test]
fn what_a_full_transmit_ring_refuses_is_counted_and_freed() {
    let nic = NicOptions { tx_descriptors: 16, rx_descriptors: 256, ..NicOptions::default() };
    let mut world = started(17, &with_nic(nic));
    let (tx, refused) = (world.count(Counter::Tx), world.count(Counter::TxRefused));
    world.device(0).stall_tx(true);
    for i in 0..100 {
        world.inject(0, &UdpFrame::new(PEER, HOST, &[i]).frame());
    }
    world.settle();
    assert_eq!(world.count(Counter::Tx) - tx, 16);
    assert_eq!(world.count(Counter::TxRefused) - refused, 84);
    assert_eq!(world.pool().outstanding(), 16);
    world.device(0).stall_tx(false);
    world.settle();
    let payloads: Vec<_> = read_all(&world.take_sent(0)).into_iter().map(|f| f.payload).collect();
    assert_eq!(payloads, (0..16).map(|i| vec![i]).collect::<Vec<_>>());
    assert_eq!(world.pool().outstanding(), 0);
    assert_echo(&mut world, &UdpFrame::new(PEER, HOST, b"again"));
}

#[test]
fn what_a_full_receive_ring_misses_is_the_devices_to_count() {
    let mut world = started(18, &with_nic(NicOptions { rx_descriptors: 64, ..NicOptions::default() }));
    let rx = world.count(Counter::Rx);
    let received = (0..100u8).map(|i| world.inject(0, &UdpFrame::new(PEER, HOST, &[i]).frame()));
    assert_eq!(received.filter(|r| *r == Reception::Missed).count(), 36);
    world.settle();
    assert_eq!(world.take_sent(0).len(), 64);
    assert_eq!((world.count(Counter::Rx) - rx, world.device(0).stats().imissed), (64, 36));
}

#[test]
fn an_empty_pool_costs_answers_and_nothing_else() {
    let mut world = started(19, &WorldOptions::default());
    world.leave_buffers(3);
    for i in 0..10 {
        world.inject(0, &UdpFrame::new(PEER, HOST, &[i]).frame());
    }
    world.settle();
    assert_eq!(world.take_sent(0).len(), 3, "an echo goes out in the buffer that it came in");
    assert_eq!(world.device(0).stats().rx_nombuf, 7);
    // A port unreachable needs a buffer of its own; there is none, and the request is dropped all the same.
    world.leave_buffers(1);
    let errors = world.count(Counter::IcmpErrors);
    assert_dropped(
        &mut world,
        &UdpFrame::new(PEER, "198.18.0.2:9", b"closed").frame(),
        DropReason::UdpNoPort,
    );
    assert_eq!(world.count(Counter::IcmpErrors), errors);
    world.leave_buffers(0);
    assert_eq!(world.inject(0, &UdpFrame::new(PEER, HOST, b"x").frame()), Reception::NoBuffer);
    // Control has no buffer for its report; it repeats it when there is one (G24).
    world.join(GROUP, None);
    world.return_buffers();
    world.run_for(Duration::from_secs(2));
    assert!(!world.take_sent(0).is_empty(), "the report is repeated");
    assert_echo(&mut world, &UdpFrame::new(PEER, HOST, b"again"));
}

// What control could not send for want of a buffer is seen among the drops; but a report, which a router would miss, waits.
#[test]
fn a_frame_of_controls_own_that_finds_no_buffer_is_counted() {
    let mut world = started(25, &WorldOptions::default());
    world.leave_buffers(0);
    world.join(GROUP, None);
    world.return_buffers();
    world.run_for(Duration::from_millis(10));
    assert_eq!(world.take_sent(0).len(), 1, "the report of the join");
    // The request has the only buffer there is.
    world.leave_buffers(1);
    let request = ArpFrame::request(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2));
    assert!(world.exchange(0, &request.frame()).is_empty());
    world.return_buffers();
    let Answer::Drops(drops) = world.execute(&Command::Drops) else { panic!("not drops") };
    let no_buffer = drops.iter().find(|drop| drop.reason == DropReason::NoBuffer.name()).unwrap();
    assert_eq!(no_buffer.packets, 1, "the answer");
}

// A worker that was away for so long that its inbox filled is told of its groups when it is back.
#[test]
fn a_worker_that_was_away_learns_its_groups_afterwards() {
    let mut world = started(26, &WorldOptions { buffers: 4096, ..WorldOptions::default() });
    let group = |n: u32| Ipv4Addr::from_bits(u32::from(GROUP) + n);
    let join = |n| Command::Join(Membership::of(group(n)));
    // One message each: the table. The reports wait for the worker.
    let joins = u32::try_from(INBOX_LEN).unwrap();
    for n in 0..=joins {
        assert!(matches!(world.command(&join(n)), Answer::Done(_)));
    }
    world.run_for(Duration::from_millis(100));
    world.take_sent(0);
    for n in [0, joins] {
        assert_echo(&mut world, &UdpFrame::new(PEER, &format!("{}:7", group(n)), b"welcome back"));
    }
}

// E17: a frame in several buffers is as good as one in one, wherever it is cut.
#[test]
fn a_frame_in_segments_is_made_one() {
    let mut world = started(20, &WorldOptions::default());
    let request = UdpFrame::new(PEER, HOST, &[7; 300]);
    let frame = request.frame();
    let before = world.count(Counter::RxBytes);
    let cuts = [1, 13, 14, 33, 34, 41, 42, 64, 128, 341];
    for segment in cuts {
        let meta = world.device(0).meta_of(&frame);
        world.device(0).receive_as(&frame, meta, Some(segment));
        world.settle();
        let sent = world.take_sent(0);
        assert_eq!(sent.len(), 1, "{segment}: {:?}", world.all_drops());
        assert_eq!(UdpFrame::read(&sent[0]), Ok(answer(&request, Ipv4Addr::new(198, 18, 0, 2))));
    }
    assert_eq!(world.count(Counter::RxBytes) - before, (cuts.len() * frame.len()) as u64);
}

// F18, RFC 791 3.1: what the link does not carry in one piece.
#[test]
fn an_answer_larger_than_the_link_leaves_in_fragments() {
    let nic = NicOptions { mtu: 600, ..NicOptions::default() };
    let mut world = started(21, &joined(with_nic(nic)));
    for to in [HOST, TO_GROUP] {
        assert_echo(&mut world, &UdpFrame::new(PEER, to, &[1; 572]));
        let request = UdpFrame::new(PEER, to, &[1; 573]);
        let sent = world.exchange(0, &request.frame());
        assert_eq!(sent.iter().map(|frame| frame.len() - 14).collect::<Vec<_>>(), [596, 46]);
        let whole = UdpFrame::read(&fragment::join(&sent).unwrap()).unwrap();
        assert_eq!(whole, UdpFrame { fragment: 0, ..answer(&request, Ipv4Addr::new(198, 18, 0, 2)) });
    }
}

// C02, RFC 792: an error quotes less where the link carries less than 576 bytes, and at least header and 8 bytes.
#[test]
fn an_error_is_no_larger_than_the_link() {
    for (mtu, error_len) in [(68, 68), (400, 400), (576, 576), (1500, 576)] {
        let nic = NicOptions { mtu, ..NicOptions::default() };
        let mut world = started(24, &with_nic(nic));
        let request = UdpFrame::new(PEER, "198.18.0.2:9", &vec![1; usize::from(mtu) - 28]).frame();
        let sent = world.exchange(0, &request);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].len(), 14 + error_len);
        let error = IcmpFrame::read(&sent[0]).unwrap();
        assert_eq!((error.kind, error.code), (3, 3));
        assert_eq!(error.body[4..], request[14..][..error_len - 28]);
    }
}

// U18, RFC 9776 2: a group is joined on one port, and not on the other; answers leave by the port of the request.
#[test]
fn two_ports_are_two_links() {
    let ports = vec![PortOptions::new(0), PortOptions::new(1)];
    let services = vec![ServiceOptions::echo().joining(GROUP, &[])];
    let mut world = started(22, &WorldOptions { ports, services, ..WorldOptions::default() });
    world.take_sent(1);
    assert_echo(&mut world, &UdpFrame::new(PEER, TO_GROUP, b"on the first"));
    let on_second = UdpFrame::new("198.18.1.1:40000", "198.18.1.2:7", b"on the second");
    let expected = answer(&on_second, Ipv4Addr::new(198, 18, 1, 2));
    assert_eq!(read_all(&world.exchange(1, &on_second.frame())), [expected]);
    let group = UdpFrame::new("198.18.1.1:40000", TO_GROUP, b"on the second");
    assert_eq!(world.inject(1, &group.frame()), Reception::Filtered);
    // The first port's address is not the second's.
    let wrong_port =
        UdpFrame::new("198.18.1.1:40000", HOST, b"x").to_mac(station_mac(Ipv4Addr::new(198, 18, 1, 2)));
    let sent = world.exchange(1, &wrong_port.frame());
    assert!(sent.is_empty());
    assert_eq!(world.drops(DropReason::Ipv4NotForUs), 1);
    assert!(world.take_sent(0).is_empty());
}

// E13: an 802.3 length is no EtherType.
#[test]
fn a_length_is_no_ethertype() {
    let mut world = started(23, &WorldOptions::default());
    let (destination, source) = (station_mac(host()), MacAddr([2; 6]));
    let frame = Ethernet { destination, source, tci: None, ethertype: 46 }.frame(&[0xaa; 46]);
    assert_dropped(&mut world, &frame, DropReason::EtherTypeUnknown);
}
