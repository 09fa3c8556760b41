//! What must be true of pollcast on every NIC, whatever its model and driver do and leave to software.
#![allow(dead_code, unreachable_pub, reason = "a file of the tests that name it")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::common::*;

/// Joined by [`ECHO`], from any source.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// Joined by [`ECHO`], from 198.18.0.1 alone. Its Ethernet address is that of [`GROUP`].
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
/// Not joined; of the same Ethernet address again.
const ALIAS: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
/// Not joined, and of another Ethernet address; a device that hashes the last two bytes takes it for that of [`GROUP`].
const COLLISION: Ipv4Addr = Ipv4Addr::new(239, 127, 2, 3);
/// Nothing like any of them.
const UNJOINED: Ipv4Addr = Ipv4Addr::new(239, 85, 68, 51);
/// Enough of them that one stray frame is not taken for all.
const MANY: usize = 20;

/// What is true of every NIC, and of this one beside it, as tests of the guest `$nic`.
#[macro_export]
macro_rules! nic_tests {
    (@each $nic:expr; $($check:ident),+) => {
        $(
            #[test]
            fn $check() {
                if let Some(guest) = $nic.lock() {
                    nic_checks::$check(&guest);
                }
            }
        )+
    };
    ($nic:expr; $($beside:ident),* $(,)?) => {
        nic_tests!(
            @each $nic;
            one_host_is_asked_and_answers,
            groups_are_asked_and_answer,
            fragments_are_put_together_and_sent,
            what_was_not_joined_is_kept_away,
            groups_of_one_ethernet_address_are_told_apart,
            groups_are_joined_and_left_while_it_runs,
            more_groups_than_the_table_holds_are_received,
            the_filter_survives_a_restart_of_the_port,
            the_filter_survives_a_cable_that_was_unplugged,
            checksums_are_verified_and_right
            $(, $beside)*
        );
    };
}

fn to_group(group: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    udp_frame(PEER, 4000, PEER.with_ip(group), 7, payload)
}

fn drops(of: &[(&str, usize)]) -> BTreeMap<String, u64> {
    of.iter().map(|(why, n)| ((*why).to_owned(), u64::try_from(*n).unwrap())).collect()
}

/// Sends `frames`, of which the device must keep `kept_away` away.
#[track_caller]
fn pass(guest: &Guest, frames: &[Vec<u8>], kept_away: usize) -> Passage {
    let kept_away = u64::try_from(kept_away).unwrap();
    let passage = guest.pass(frames, kept_away);
    assert_eq!(passage.kept_away, kept_away, "kept away by the device; the rest: {:?}", passage.drops);
    passage
}

/// Asserts that a datagram to `group` is echoed from the host's first address.
#[track_caller]
fn assert_group_is_echoed(guest: &Guest, group: Ipv4Addr) {
    let answer = guest.answer(&to_group(group, b"to the group")).udp();
    assert_eq!((answer.ip.src, &answer.payload[..]), (HOST.ip, &b"to the group"[..]));
}

/// Asserts that what is sent to `group` does not even get to software.
#[track_caller]
fn assert_group_is_kept_away(guest: &Guest, group: Ipv4Addr) {
    let passage = pass(guest, &vec![to_group(group, b"not for us"); MANY], MANY);
    assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[])));
}

// A03, C05, U04, U21.
pub fn one_host_is_asked_and_answers(guest: &Guest) {
    for host in [HOST, HOST_SECOND] {
        let reply = guest.answer(&Arp::request(PEER, host.ip).frame_to(BROADCAST)).arp();
        assert_eq!((reply.operation, reply.sender, reply.target), (2, host, PEER));
        for len in [0, 1, 18, 100, 1471, 1472] {
            let payload = vec![0x42; len];
            let answer = guest.answer(&udp_frame(PEER, 4000, host, 7, &payload));
            assert_eq!((answer.src(), answer.dst()), (HOST.mac, PEER.mac));
            let udp = answer.udp();
            assert_eq!((udp.ip.src, udp.ip.dst), (host.ip, PEER.ip));
            assert_eq!((udp.sport, udp.dport, udp.payload), (7, 4000, payload));
            assert_ne!(udp.checksum, 0);
        }
    }
    let pong = guest.answer(&ping_frame(PEER, HOST, 1, 2, b"hello")).icmp();
    assert_eq!((pong.kind, &pong.data[..]), (0, &b"hello"[..]));
}

// U18, U21, RFC 4607 4.1: a group is answered from the port's own address; a source that is not wanted, not at all.
pub fn groups_are_asked_and_answer(guest: &Guest) {
    for len in [0, 100, 1472] {
        let payload = vec![7; len];
        let answer = guest.answer(&to_group(GROUP, &payload)).udp();
        assert_eq!((answer.ip.src, answer.ip.dst, answer.payload), (HOST.ip, PEER.ip, payload));
    }
    let wanted = udp_frame(KERNEL, 4000, PEER.with_ip(SOURCE_GROUP), 7, b"wanted");
    assert_eq!(guest.answer(&wanted).udp().payload, b"wanted");
    let unwanted = pass(guest, &vec![to_group(SOURCE_GROUP, b"unwanted"); MANY], 0);
    assert_eq!((unwanted.answers, unwanted.drops), (Vec::new(), drops(&[("group_source_filtered", MANY)])));
}

/// A datagram of 3,000 bytes from `from`, in the frames that an MTU of 1500 makes of it.
fn in_fragments(from: Host, payload: &[u8]) -> Vec<Vec<u8>> {
    let datagram = Udp::new(4000, 7).datagram(from.ip, HOST.ip, payload);
    let pieces = datagram.chunks(1480).enumerate().map(|(n, piece)| {
        let more = if (n + 1) * 1480 < datagram.len() { 0x2000 } else { 0 };
        let fragment = more | u16::try_from(n * 1480 / 8).unwrap();
        frame(from, HOST, &Ipv4 { fragment, ..Ipv4::new(from.ip, HOST.ip, UDP) }.packet(piece))
    });
    pieces.collect()
}

// F18, RFC 791 3.2: what is too long for a frame comes and goes in several, whichever queue each of them comes by.
pub fn fragments_are_put_together_and_sent(guest: &Guest) {
    let payload: Vec<u8> = (0..3000_u16).map(|n| n.to_le_bytes()[0]).collect();
    let askers: Vec<_> = (20..28).map(Host::number).collect();
    let frames: Vec<_> = askers.iter().flat_map(|from| in_fragments(*from, &payload)).collect();
    let mut pieces = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut next = &frames[..];
    while pieces.len() < frames.len() && Instant::now() < deadline {
        pieces.extend(guest.wire.exchange(next, Duration::from_millis(200)).iter().map(Frame::ipv4));
        next = &[];
    }
    pieces.sort_by_key(|ip| ip.fragment & 0x1fff);
    for asker in askers {
        let own: Vec<_> = pieces.iter().filter(|ip| ip.dst == asker.ip).collect();
        assert_eq!(own.len(), 3, "to {}: {own:?}", asker.ip);
        let mut echoed = own.iter().flat_map(|ip| ip.payload.clone()).collect::<Vec<u8>>();
        assert_eq!(echoed[8..], payload);
        let sum: Vec<u8> = echoed.splice(6..8, [0, 0]).collect();
        assert_eq!(sum, udp_checksum(HOST.ip, asker.ip, &echoed).to_be_bytes());
    }
}

/// Sends datagrams of many flows, and tells how many packets came by each queue.
fn many_flows(guest: &Guest, rounds: u16) -> Vec<u64> {
    for round in 0..rounds {
        let frames: Vec<_> = (0..100)
            .map(|n| udp_frame(Host::number(10 + n), 4000 + round, HOST, 7, b"one of many flows"))
            .collect();
        guest.wire.exchange(&frames, Duration::from_millis(10));
    }
    let stats = guest.ctl(&["stats"]);
    serde_json::from_value(stats["ports"][0]["rx_by_queue"].clone()).unwrap()
}

// A device with receive-side scaling gives every worker its part.
pub fn flows_are_spread_over_the_queues(guest: &Guest) {
    let by_queue = many_flows(guest, 2);
    assert!(by_queue.len() == 2 && by_queue.iter().all(|packets| *packets > 40), "{by_queue:?}");
    assert!(!guest.log().contains("does not spread flows"), "{}", guest.log());
}

// A driver that takes two queues of which its device fills one is told of by what was counted.
pub fn a_queue_that_is_never_filled_is_told_of(guest: &Guest) {
    let mut model = guest.model;
    model.workers = 2;
    guest.run(&model.config(ECHO));
    let by_queue = many_flows(guest, 11);
    assert!(by_queue.len() == 2 && by_queue.contains(&0), "it does fill both: {by_queue:?}");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !guest.log().contains("does not spread flows") {
        assert!(Instant::now() < deadline, "{}", guest.log());
    }
}

// More workers than the device has queues: a sentence that says what to do.
pub fn more_workers_than_queues_are_refused(guest: &Guest) {
    let mut model = guest.model;
    model.workers = 2;
    let said = guest.refusal(&model.config(ECHO));
    assert!(said.contains("2 workers want a queue pair each") && said.contains("its key `cpus`"), "{said}");
}

// E05: the device keeps away what was not joined and what is another host's, before software sees it.
pub fn what_was_not_joined_is_kept_away(guest: &Guest) {
    let other_host = Host { mac: [0x52, 0x54, 0, 0x99, 0x88, 0x77], ip: HOST.ip };
    let others = udp_frame(PEER, 4000, other_host, 7, b"another's");
    let ipv6 = ethernet([0x33, 0x33, 0, 0, 0, 0xfb], PEER.mac, 0x86dd, &[0x60; 60]);
    let passage = pass(guest, &vec![others; MANY], MANY);
    assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[])));
    let groups = [vec![to_group(UNJOINED, b"not for us"); MANY], vec![ipv6; MANY]].concat();
    let not_in_set = || guest.filter()["not_in_set"].as_u64().unwrap();
    let before = not_in_set();
    if guest.model.filter == Filter::AllMulticast {
        let passage = pass(guest, &groups, 0);
        assert_eq!(passage.drops, drops(&[("ethernet_group_not_joined", 2 * MANY)]));
        assert_eq!(not_in_set() - before, u64::try_from(2 * MANY).unwrap());
    } else {
        let passage = pass(guest, &groups, 2 * MANY);
        assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[])));
        assert_eq!(not_in_set(), before);
    }
}

// E06, RFC 1112 6.4: 32 groups have one Ethernet address; software tells them apart, and counts.
pub fn groups_of_one_ethernet_address_are_told_apart(guest: &Guest) {
    let aliases = || guest.filter()["aliases"].as_u64().unwrap();
    let before = aliases();
    let passage = pass(guest, &vec![to_group(ALIAS, b"an alias"); MANY], 0);
    assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[("ipv4_group_not_joined", MANY)])));
    assert_eq!(aliases() - before, u64::try_from(MANY).unwrap());
    assert_group_is_echoed(guest, GROUP);
}

// E05, E06: a join is effective when it is answered, and so is a leave; both are reported.
pub fn groups_are_joined_and_left_while_it_runs(guest: &Guest) {
    const LATER: Ipv4Addr = Ipv4Addr::new(239, 77, 8, 9);
    let reported = |kind| {
        let record = Record::new(kind, LATER, &[]);
        let found = guest.wire.raw.find(Duration::from_secs(5), |frame| {
            frame.report().filter(|report| report.records.contains(&record))
        });
        assert!(found.is_some(), "no report of {record:?}");
    };
    let filters = guest.model.filter != Filter::AllMulticast;
    if filters {
        assert_group_is_kept_away(guest, LATER);
    }
    guest.ctl(&["join", "239.77.8.9"]);
    reported(RecordKind::ToExclude);
    assert_group_is_echoed(guest, LATER);
    assert_group_is_echoed(guest, GROUP);
    guest.ctl(&["leave", "239.77.8.9"]);
    reported(RecordKind::ToInclude);
    if filters {
        assert_group_is_kept_away(guest, LATER);
    } else {
        let passage = pass(guest, &[to_group(LATER, b"left")], 0);
        assert_eq!(passage.drops, drops(&[("ethernet_group_not_joined", 1)]));
    }
    assert_group_is_echoed(guest, GROUP);
}

/// Asserts that the filter is as it should be with the groups of [`ECHO`].
#[track_caller]
fn assert_filter_is_effective(guest: &Guest) {
    assert_group_is_echoed(guest, GROUP);
    if guest.model.filter != Filter::AllMulticast {
        assert_group_is_kept_away(guest, UNJOINED);
    }
}

// E08, G44: a link that was down comes back with its filter, and the groups are reported again.
pub fn the_filter_survives_a_cable_that_was_unplugged(guest: &Guest) {
    assert_filter_is_effective(guest);
    guest.set_link(false);
    guest.wire.raw.send(&to_group(GROUP, b"into the void"));
    guest.set_link(true);
    let record = Record::new(RecordKind::ToExclude, GROUP, &[]);
    let found = guest.wire.raw.find(Duration::from_secs(10), |frame| {
        frame.report().filter(|report| report.records.contains(&record))
    });
    assert!(found.is_some(), "the groups were not reported again");
    assert_filter_is_effective(guest);
}

// E08: what a driver forgets at a start it is told again.
pub fn the_filter_survives_a_restart_of_the_port(guest: &Guest) {
    guest.ctl(&["restart"]);
    guest.wait_for_link(true);
    assert_filter_is_effective(guest);
    let filter = guest.filter();
    assert_eq!(filter["all_multicast"], guest.model.filter == Filter::AllMulticast, "{filter}");
}

/// What `ctl filter` says: the rung, and those that were passed over, each with a reason.
fn rungs(guest: &Guest) -> (String, Vec<(String, String)>) {
    let filter = guest.filter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let rows = filter["refused"].as_array().unwrap();
    (text(&filter["rung"]), rows.iter().map(|row| (text(&row["rung"]), text(&row["why"]))).collect())
}

/// Asserts that the filter is done by `rung`, and that of the others passed over each says why in such words.
#[track_caller]
fn assert_rungs(guest: &Guest, rung: &str, passed_over: &[(&str, &str)]) {
    let (is, refused) = rungs(guest);
    assert_eq!(is, rung, "refused: {refused:?}");
    assert_eq!(refused.len(), passed_over.len(), "refused: {refused:?}");
    for ((rung, why), (wanted, words)) in refused.iter().zip(passed_over) {
        assert!(rung == wanted && why.contains(words), "refused: {refused:?}; wanted {wanted}: {words}");
    }
}

/// The `n`th of many groups.
fn one_of_many(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(239, 9, 0, n)
}

/// Has pollcast join or leave the first `n` of many groups.
fn change_many(guest: &Guest, verb: &str, n: u8) {
    guest.ctl(&[verb, &format!("{}-{}", one_of_many(1), one_of_many(n))]);
}

// E05, E07: the filter is done by the best rung that has room, which is told with its reason; more groups than the exact
// table holds are all received; the filter climbs again when there is room.
pub fn more_groups_than_the_table_holds_are_received(guest: &Guest) {
    const NO_LIST: (&str, &str) = ("addr_list", "Operation not supported (-ENOTSUP)");
    let few = |guest: &Guest| match guest.model.filter {
        Filter::ListAndTable(_) => assert_rungs(guest, "mac_table", &[]),
        Filter::Table(_) => assert_rungs(guest, "mac_table", &[NO_LIST]),
        Filter::AllMulticast => assert_rungs(guest, "all_multicast", &[NO_LIST, ("mac_table", "room for 0")]),
    };
    few(guest);
    let room = match guest.model.filter {
        Filter::ListAndTable(room) | Filter::Table(room) => u8::try_from(room).unwrap(),
        Filter::AllMulticast => 20,
    };
    // With that of all hosts and the two of the configuration, which share one.
    let more = room + 1;
    change_many(guest, "join", more);
    let full = ("mac_table", "are wanted");
    match guest.model.filter {
        Filter::ListAndTable(_) => assert_rungs(guest, "addr_list", &[full]),
        Filter::Table(_) => assert_rungs(guest, "all_multicast", &[NO_LIST, full]),
        Filter::AllMulticast => few(guest),
    }
    let requests: Vec<_> = (1..=more).map(|n| to_group(one_of_many(n), &[n])).collect();
    let answers = guest.wire.exchange(&requests, Duration::from_millis(200));
    let mut echoed: Vec<_> = answers.iter().flat_map(|answer| answer.udp().payload).collect();
    // Several queues keep no order among flows.
    echoed.sort_unstable();
    assert_eq!(echoed, (1..=more).collect::<Vec<u8>>());
    if guest.model.filter == Filter::ListAndTable(room.into()) {
        // A device that keeps hashes lets more pass: software refuses it, and counts.
        let passage = pass(guest, &vec![to_group(COLLISION, b"the same hash"); MANY], 0);
        assert_eq!(
            (passage.answers, passage.drops),
            (Vec::new(), drops(&[("ethernet_group_not_joined", MANY)]))
        );
        assert_group_is_kept_away(guest, UNJOINED);
    }
    change_many(guest, "leave", more);
    few(guest);
    assert_filter_is_effective(guest);
    if guest.model.filter != Filter::AllMulticast {
        assert_group_is_kept_away(guest, COLLISION);
        assert_group_is_kept_away(guest, one_of_many(more));
    }
}

// C01, U04: bad checksums are dropped and counted, right ones sent, whoever computes them.
pub fn checksums_are_verified_and_right(guest: &Guest) {
    let auto = guest.model.config(ECHO);
    let mut software = auto.clone();
    software.ports += "checksum = \"software\"\n";
    for (config, offloads) in [(auto, guest.model.offloads), (software, &[][..])] {
        guest.run(&config);
        let port = guest.ctl(&["ports"])[0].take();
        assert_eq!(port["offloads"], serde_json::json!(offloads), "{port}");
        wrong_checksums_are_dropped(guest);
        right_checksums_are_sent(guest);
    }
}

fn wrong_checksums_are_dropped(guest: &Guest) {
    let packet =
        |udp: Udp, ip: Ipv4| frame(PEER, HOST, &ip.packet(&udp.datagram(PEER.ip, HOST.ip, b"hello")));
    let (udp, ip) = (Udp::new(4000, 7), Ipv4::new(PEER.ip, HOST.ip, UDP));
    let bad_udp = packet(Udp { checksum: Some(0xbad), ..udp.clone() }, ip.clone());
    let bad_ip = packet(udp.clone(), Ipv4 { checksum: Some(0xbad), ..ip.clone() });
    for (bad, why) in [(bad_udp, "udp_checksum"), (bad_ip, "ipv4_checksum")] {
        let passage = pass(guest, &vec![bad; MANY], 0);
        assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[(why, MANY)])));
    }
    // RFC 768: the sender computed none.
    let none = guest.answer(&packet(Udp { checksum: Some(0), ..udp }, ip)).udp();
    assert_eq!(none.payload, b"hello");
}

fn right_checksums_are_sent(guest: &Guest) {
    // Even and odd, and one whose sum comes to 0, which is sent as 0xffff.
    let mut payloads: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n ^ 0xa5; usize::from(n) * 31]).collect();
    let mut to_zero = vec![0; 100];
    let sum = udp_checksum(
        HOST.ip,
        PEER.ip,
        &Udp { checksum: Some(0), ..Udp::new(7, 4000) }.datagram(HOST.ip, PEER.ip, &to_zero),
    );
    to_zero[..2].copy_from_slice(&sum.to_be_bytes());
    payloads.push(to_zero);
    // The sum of what one host asked is that of the answer; that of what a group was asked is made anew.
    for to in [HOST, PEER.with_ip(GROUP)] {
        let requests: Vec<_> = payloads.iter().map(|p| udp_frame(PEER, 4000, to, 7, p)).collect();
        let answers = guest.wire.exchange(&requests, Duration::from_millis(200));
        // `Frame::udp` judges both sums.
        let echoed: Vec<_> = answers.iter().map(Frame::udp).collect();
        assert!(echoed.iter().all(|udp| udp.checksum != 0), "UDP without a checksum");
        assert_eq!(echoed.last().map(|udp| udp.checksum), Some(0xffff), "U05");
        assert_eq!(echoed.into_iter().map(|udp| udp.payload).collect::<Vec<_>>(), payloads);
    }
}

// The file that users begin with, unchanged: the lab's NIC is where it says.
pub fn the_file_for_a_nic_runs_as_it_is(guest: &Guest) {
    guest.start(include_str!("../../config/pci-nic.toml"));
    guest.wait_for_link(true);
    let host = Host { mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56], ip: HOST.ip };
    for (to, port) in [(host, 7), (PEER.with_ip(GROUP), 7777)] {
        guest.wire.raw.drain();
        guest.wire.raw.send(&udp_frame(PEER, 4000, to, port, b"hello"));
        let echo =
            guest.wire.raw.find(Duration::from_secs(10), |frame| frame.carries(UDP).then(|| frame.clone()));
        let echo = echo.unwrap_or_else(|| panic!("no echo from {}", to.ip));
        assert_eq!((echo.src(), echo.udp().sport, echo.udp().payload), (host.mac, port, b"hello".to_vec()));
    }
}

// C01, virtio 1.2 5.1.6.4: the kernel sends what has no checksum yet, says so, and is answered right; the frame that comes to
// it may have none either.
pub fn checksums_are_left_to_the_kernel_and_by_it(guest: &Guest) {
    let client = guest.wire.raw.bridge().enter(|| {
        let socket = std::net::UdpSocket::bind((BRIDGE.ip, 0)).unwrap();
        socket2::SockRef::from(&socket).set_multicast_if_v4(&BRIDGE.ip).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    });
    // Counters from 0.
    guest.stop();
    guest.run(&guest.model.config(ECHO));
    for to in [HOST.ip, HOST_SECOND.ip, GROUP] {
        for len in [0, 1, 18, 100, 1472] {
            let payload = vec![0x42; len];
            client.send_to(&payload, (to, 7)).unwrap();
            let mut buf = [0; 2000];
            let (len, from) = client.recv_from(&mut buf).unwrap_or_else(|e| panic!("no echo from {to}: {e}"));
            assert_eq!(buf[..len], payload);
            assert_eq!(from, (if to.is_multicast() { HOST.ip } else { to }, 7).into());
        }
    }
    let reasons = guest.ctl(&["drops"]);
    let wrong = reasons.as_array().unwrap().iter().filter(|row| row["reason"] == "udp_checksum");
    assert!(wrong.into_iter().all(|row| row["packets"] == 0), "{reasons}");
}
