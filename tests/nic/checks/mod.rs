//! What must be true of pollcast on every NIC, whatever its model and driver do and leave to software.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "a file of the tests that name it")]

mod checksums;
mod idle;
mod offloads;
mod six;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ::pollcast::sim::frames::RecordKind as Kind6;

use super::common::*;
pub use checksums::*;
pub use idle::*;
pub use offloads::*;
pub use six::*;

/// Joined by [`ECHO6`], from any source.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// Joined by [`ECHO6`], from 198.18.0.1 alone. Its Ethernet address is that of [`GROUP`].
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
                    $crate::checks::$check(&guest);
                }
            }
        )+
    };
    ($nic:expr; $($beside:ident),* $(,)?) => {
        $crate::nic_tests!(
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
            checksums_are_verified_and_right,
            an_idle_worker_sleeps_until_its_interrupt,
            one_host_is_asked_and_answers_over_ipv6,
            ipv6_groups_are_asked_and_answer,
            ipv6_fragments_are_put_together_and_sent,
            what_was_not_joined_over_ipv6_is_kept_away,
            ipv6_groups_of_one_ethernet_address_are_told_apart,
            ipv6_groups_are_joined_and_left_while_it_runs
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

/// Sends datagrams of many flows.
fn many_flows(guest: &Guest, rounds: u16) {
    for round in 0..rounds {
        let frames: Vec<_> = (0..100)
            .map(|n| udp_frame(Host::number(10 + n), 4000 + round, HOST, 7, b"one of many flows"))
            .collect();
        guest.wire.exchange(&frames, Duration::from_millis(10));
    }
}

/// How many packets came by each queue.
fn by_queue(guest: &Guest) -> Vec<u64> {
    let stats = guest.ctl(&["stats"]);
    serde_json::from_value(stats["ports"][0]["rx_by_queue"].clone()).unwrap()
}

// A device with receive-side scaling gives every worker its part.
pub fn flows_are_spread_over_the_queues(guest: &Guest) {
    for of_one_version in [|guest: &Guest| many_flows(guest, 2), many_flows6] {
        let before = by_queue(guest);
        of_one_version(guest);
        let by_queue: Vec<_> = by_queue(guest).iter().zip(&before).map(|(now, then)| now - then).collect();
        assert!(by_queue.len() == 2 && by_queue.iter().all(|packets| *packets > 20), "{by_queue:?}");
    }
    // As the device tells it.
    let rss = guest.ctl(&["ports"])[0]["rss"].take();
    let functions = rss["functions"].as_array().unwrap();
    assert!(functions.iter().any(|name| name == "ipv4-udp" || name == "ipv4"), "{rss}");
    assert!(rss["symmetric"] == true && rss["key"].as_str().unwrap().len() == 2 * 40, "{rss}");
    let entries: Vec<u64> = serde_json::from_value(rss["reta"]["entries_by_queue"].clone()).unwrap();
    let half = rss["reta"]["size"].as_u64().unwrap() / 2;
    assert!(half > 0 && entries == [half, half] && rss.get("problems").is_none(), "{rss}");
    assert!(!guest.log().contains("does not spread flows"), "{}", guest.log());
}

// A driver that takes two queues of which its device fills one is told of by what was counted.
pub fn a_queue_that_is_never_filled_is_told_of(guest: &Guest) {
    let mut model = guest.model;
    model.workers = 2;
    guest.run(&model.config(ECHO6));
    many_flows(guest, 11);
    let by_queue = by_queue(guest);
    assert!(by_queue.len() == 2 && by_queue.contains(&0), "it does fill both: {by_queue:?}");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !guest.log().contains("does not spread flows") {
        assert!(Instant::now() < deadline, "{}", guest.log());
    }
}

// More workers than the device has queues: software spreads the flows, and says so.
pub fn more_workers_than_queues_have_flows_handed_over(guest: &Guest) {
    let mut model = guest.model;
    model.workers = 2;
    guest.run(&model.config(ECHO6));
    let port = guest.ctl(&["ports"])[0].take();
    assert_eq!((&port["rx_queues"], port.get("rss")), (&1.into(), None), "{port}");
    let told = guest.sh("pollcast ctl ports");
    assert!(told.contains("flows are handed to workers on CPU 1"), "{told}");
    let woken = || guest.ctl(&["workers"])[1]["woken"].as_u64().unwrap();
    let before = woken();
    let frames: Vec<_> = (0..100).map(|n| udp_frame(Host::number(10 + n), 4000, HOST, 7, &[n; 20])).collect();
    let mut echoed = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut next = &frames[..];
    while echoed.len() < frames.len() && Instant::now() < deadline {
        let answers = guest.wire.exchange(next, Duration::from_millis(200));
        echoed.extend(answers.iter().map(|answer| answer.udp().payload));
        next = &[];
    }
    echoed.sort_unstable();
    assert_eq!(echoed, (0..100).map(|n| vec![n; 20]).collect::<Vec<_>>());
    assert!(woken() > before, "the worker without a queue was handed nothing");
}

// More workers than the device has queues, and no spreading in software: a sentence that says what to do.
pub fn more_workers_than_queues_are_refused(guest: &Guest) {
    let mut model = guest.model;
    model.workers = 2;
    let mut config = model.config(ECHO6);
    // Its last table may be a VLAN's, which has no such key.
    config.ports = config.ports.replacen("[[port]]", "[[port]]\nrps = \"off\"", 1);
    let said = guest.refusal(&config);
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

/// Asserts that the filter is as it should be with the groups of [`ECHO6`].
#[track_caller]
fn assert_filter_is_effective(guest: &Guest) {
    assert_group_is_echoed(guest, GROUP);
    assert_group6_is_echoed(guest, GROUP6);
    if guest.model.filter != Filter::AllMulticast {
        assert_unjoined_is_kept_away(guest);
    }
}

/// Asserts that the groups of neither version that are nothing like what is joined get to software.
#[track_caller]
fn assert_unjoined_is_kept_away(guest: &Guest) {
    let frames = [to_group(UNJOINED, b"not for us"), to_group6(UNJOINED6, b"not for us")];
    let passage = pass(guest, &vec![frames; MANY].concat(), 2 * MANY);
    assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[])));
}

// E03, E08, G44: a link that was down comes back with its filter, and the groups are reported again.
pub fn the_filter_survives_a_cable_that_was_unplugged(guest: &Guest) {
    assert_filter_is_effective(guest);
    guest.set_link(false);
    guest.wire.raw.send(&to_group(GROUP, b"into the void"));
    guest.set_link(true);
    let record = Record::new(RecordKind::ToExclude, GROUP, &[]);
    let (v4, v6) = (Cell::new(false), Cell::new(false));
    guest.wire.raw.find(Duration::from_secs(10), |frame| {
        let reported = frame.report().is_some_and(|report| report.records.contains(&record));
        v4.set(v4.get() || reported);
        v6.set(v6.get() || reports6(frame, Kind6::ToEx, GROUP6));
        (v4.get() && v6.get()).then_some(())
    });
    assert_eq!((v4.get(), v6.get()), (true, true), "the groups of IPv4 and of IPv6 were reported again");
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

/// The `n`th of many groups, from 1 on.
fn one_of_many(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(239, 9, 0, n)
}

/// The same of IPv6.
fn one_of_many6(n: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 9, n.into())
}

/// Has pollcast join or leave `n` groups, half of them of each version.
fn change_many(guest: &Guest, verb: &str, n: u8) {
    let (v4, v6) = (n / 2, n - n / 2);
    guest.ctl(&[verb, &format!("{}-{}", one_of_many(1), one_of_many(v4))]);
    guest.ctl(&[verb, &format!("{}-{}", one_of_many6(1), one_of_many6(v6))]);
}

// E03, E05, E07: the filter is done by the best rung that has room, which is told with its reason; more groups of both
// versions than the exact table holds are all received; the filter climbs again when there is room.
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
    // Beside that of all hosts and the others that are always there.
    let more = room + 1;
    change_many(guest, "join", more);
    let full = ("mac_table", "are wanted");
    match guest.model.filter {
        Filter::ListAndTable(_) => assert_rungs(guest, "addr_list", &[full]),
        Filter::Table(_) => assert_rungs(guest, "all_multicast", &[NO_LIST, full]),
        Filter::AllMulticast => few(guest),
    }
    let (v4, v6) = (more / 2, more - more / 2);
    let to_v4 = (1..=v4).map(|n| to_group(one_of_many(n), &[4, n]));
    let requests: Vec<_> = to_v4.chain((1..=v6).map(|n| to_group6(one_of_many6(n), &[6, n]))).collect();
    let answers = guest.wire.exchange(&requests, Duration::from_millis(200));
    let is_v4 = |answer: &Frame| answer.ethertype() == ETHERTYPE_IPV4;
    let payload = |answer| if is_v4(answer) { answer.udp().payload } else { echoed6(answer).payload };
    let mut echoed: Vec<_> = answers.iter().map(payload).collect();
    // Several queues keep no order among flows.
    echoed.sort_unstable();
    let all = (1..=v4).map(|n| vec![4, n]).chain((1..=v6).map(|n| vec![6, n]));
    assert_eq!(echoed, all.collect::<Vec<_>>());
    if guest.model.filter == Filter::ListAndTable(room.into()) {
        // A device that keeps hashes lets more pass: software refuses it, and counts.
        let frames = [to_group(COLLISION, b"the same hash"), to_group6(COLLISION6, b"the same hash")];
        let passage = pass(guest, &vec![frames; MANY].concat(), 0);
        assert_eq!(
            (passage.answers, passage.drops),
            (Vec::new(), drops(&[("ethernet_group_not_joined", 2 * MANY)]))
        );
        assert_unjoined_is_kept_away(guest);
    }
    change_many(guest, "leave", more);
    few(guest);
    assert_filter_is_effective(guest);
    if guest.model.filter != Filter::AllMulticast {
        let left = [
            to_group(COLLISION, b"the same hash"),
            to_group6(COLLISION6, b"the same hash"),
            to_group(one_of_many(v4), b"left"),
            to_group6(one_of_many6(v6), b"left"),
        ];
        let passage = pass(guest, &vec![left; MANY].concat(), 4 * MANY);
        assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[])));
    }
}

// The file that users begin with, unchanged: the lab's NIC is where it says.
pub fn the_file_for_a_nic_runs_as_it_is(guest: &Guest) {
    guest.start(include_str!("../../../config/pci-nic.toml"));
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
