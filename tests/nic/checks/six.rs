//! The same over IPv6: the Ethernet addresses of its groups get into the device's filter, and others do not.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::{Duration, Instant};

use ::pollcast::addr::MacAddr;
use ::pollcast::sim::frames::fragment6::{cut6_evenly, join6};
use ::pollcast::sim::frames::icmp6::kinds;
use ::pollcast::sim::frames::{
    Extension, IcmpFrame6, Ipv6, MldMessage, NdpFrame, RecordKind, UdpFrame6, mac_for6,
};

use super::super::common::*;
use super::{MANY, drops, pass};

/// Not joined; a device that hashes the last two bytes of its Ethernet address takes it for that of [`GROUP6`].
pub(super) const COLLISION6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0x44, 3);
/// Not joined, and nothing like any that is.
pub(super) const UNJOINED6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0x8555, 0x4433);
/// An address of nobody, asked for by a group that is nothing like those of the host.
const NOBODY: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x85, 0x4433);

/// A word to the echo.
pub(super) fn udp6(from: Host6, to: Host6, payload: &[u8]) -> UdpFrame6 {
    let between = |ip, port| SocketAddrV6::new(ip, port, 0, 0);
    let frame = UdpFrame6::between(between(from.ip, 4000), between(to.ip, 7), payload);
    let destination_mac = mac_for6(to.ip, MacAddr(to.mac));
    UdpFrame6 { destination_mac, source_mac: MacAddr(from.mac), ..frame }
}

pub(super) fn to_group6(group: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    udp6(PEER6, PEER6.with_ip(group), payload).frame()
}

fn ping6(from: Host6, to: Host6) -> IcmpFrame6 {
    let frame = IcmpFrame6::echo(from.ip, to.ip, 1, 2, b"hello").to_mac(mac_for6(to.ip, MacAddr(to.mac)));
    IcmpFrame6 { source_mac: MacAddr(from.mac), ..frame }
}

/// `host` asks all that may have `target`.
fn solicitation(host: Host6, target: Ipv6Addr) -> NdpFrame {
    let mut frame = NdpFrame::solicitation(host.ip, target);
    frame.source_mac = MacAddr(host.mac);
    frame.options.clear();
    frame.with_source_link_layer()
}

/// The datagram of an answer. Panics if a length or the checksum is wrong, or there is no checksum.
#[track_caller]
pub(super) fn echoed6(answer: &Frame) -> UdpFrame6 {
    UdpFrame6::read(&answer.bytes).unwrap_or_else(|why| panic!("{why}: {answer:?}"))
}

/// Asserts that `to` echoes `payload` to `from`, by the address of `by`.
#[track_caller]
fn assert_echo(guest: &Guest, from: Host6, to: Host6, by: Host6, payload: &[u8]) {
    let answer = echoed6(&guest.answer(&udp6(from, to, payload).frame()));
    assert_eq!((answer.source_mac.0, answer.destination_mac.0), (by.mac, from.mac));
    let ends = (answer.source, answer.destination);
    assert_eq!(ends, (SocketAddrV6::new(by.ip, 7, 0, 0), SocketAddrV6::new(from.ip, 4000, 0, 0)));
    assert!(answer.payload == payload, "{} bytes for {}", answer.payload.len(), payload.len());
}

#[track_caller]
pub(super) fn assert_group6_is_echoed(guest: &Guest, group: Ipv6Addr) {
    assert_echo(guest, PEER6, PEER6.with_ip(group), HOST6, b"to the group");
}

/// Asserts that what is sent to `group` does not even get to software.
#[track_caller]
pub(super) fn assert_group6_is_kept_away(guest: &Guest, group: Ipv6Addr) {
    assert_kept_away(guest, &to_group6(group, b"not for us"));
}

/// The same of this frame.
#[track_caller]
fn assert_kept_away(guest: &Guest, frame: &[u8]) {
    let passage = pass(guest, &vec![frame.to_vec(); MANY], MANY);
    assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[])));
}

/// Whether `frame` reports this of `group`, and of no source.
pub(super) fn reports6(frame: &Frame, kind: RecordKind, group: Ipv6Addr) -> bool {
    let read = MldMessage::read(&frame.bytes).unwrap_or_else(|why| panic!("{why}: {frame:?}"));
    let Some(MldMessage::ReportV2(report)) = read else { return false };
    report.records.iter().any(|r| r.kind == kind && r.group == group && r.sources.is_empty())
}

// E03, E06, RFC 4861 7.2.1: a question by a group of solicited nodes gets in, and is answered; then an echo and a ping.
pub fn one_host_is_asked_and_answers_over_ipv6(guest: &Guest) {
    let asked = [(PEER6, HOST6), (PEER6, HOST6_SECOND), (Host6::local(0x10), HOST6_LOCAL)];
    for (from, host) in asked {
        let question = solicitation(from, host.ip);
        assert_eq!(question.destination_mac.0[..3], [0x33, 0x33, 0xff]);
        let answer = guest.answer(&question.frame());
        let expected = question.advertisement(MacAddr(host.mac));
        assert_eq!(NdpFrame::read(&answer.bytes), Ok(Some(expected)));
        for len in [0, 1, 18, 100, 1451, 1452] {
            assert_echo(guest, from, host, host, &vec![0x42; len]);
        }
        let pong = IcmpFrame6::read(&guest.answer(&ping6(from, host).frame()).bytes).unwrap();
        assert_eq!((pong.kind, pong.ip.source, &pong.body[4..]), (kinds::ECHO_REPLY, host.ip, &b"hello"[..]));
    }
}

// U18, U21, RFC 4607 4.1; E06: and what is sent to all nodes gets in, whether a socket wants it or not.
pub fn ipv6_groups_are_asked_and_answer(guest: &Guest) {
    for len in [0, 100, 1452] {
        assert_echo(guest, PEER6, PEER6.with_ip(GROUP6), HOST6, &vec![7; len]);
    }
    assert_echo(guest, SOURCE6, SOURCE6.with_ip(SOURCE_GROUP6), HOST6, b"wanted");
    let unwanted = pass(guest, &vec![to_group6(SOURCE_GROUP6, b"unwanted"); MANY], 0);
    assert_eq!((unwanted.answers, unwanted.drops), (Vec::new(), drops(&[("group_source_filtered", MANY)])));
    // Fewer than are answered in a second.
    let few = 8;
    let all = pass(guest, &vec![ping6(PEER6, PEER6.with_ip(ALL_NODES)).frame(); few], 0);
    let pongs = all.answers.iter().map(|frame| IcmpFrame6::read(&frame.bytes).unwrap());
    let answered = pongs.filter(|pong| (pong.kind, pong.ip.source) == (kinds::ECHO_REPLY, HOST6.ip)).count();
    assert_eq!((answered, all.drops), (few, drops(&[])));
}

// E03, E05, E06: of 33:33 and of 33:33:ff, only what the host's own groups map to gets in.
pub fn what_was_not_joined_over_ipv6_is_kept_away(guest: &Guest) {
    let other_host = Host6 { mac: [0x52, 0x54, 0, 0x99, 0x88, 0x77], ip: HOST6.ip };
    assert_kept_away(guest, &udp6(PEER6, other_host, b"another's").frame());
    let group = to_group6(UNJOINED6, b"not for us");
    let question = solicitation(PEER6, NOBODY).frame();
    let frames = [vec![group; MANY], vec![question; MANY]].concat();
    let not_in_set = || guest.filter()["not_in_set"].as_u64().unwrap();
    let before = not_in_set();
    let (kept_away, passed) =
        if guest.model.filter == Filter::AllMulticast { (0, 2 * MANY) } else { (2 * MANY, 0) };
    let passage = pass(guest, &frames, kept_away);
    let expected = drops(if passed == 0 { &[] } else { &[("ethernet_group_not_joined", 2 * MANY)] });
    assert_eq!((passage.answers, passage.drops), (Vec::new(), expected));
    assert_eq!(not_in_set() - before, u64::try_from(passed).unwrap());
}

// E03, E04, RFC 2464 7: groups with the same last 32 bits have one Ethernet address; software tells them apart, and counts.
pub fn ipv6_groups_of_one_ethernet_address_are_told_apart(guest: &Guest) {
    let aliases = || guest.filter()["aliases"].as_u64().unwrap();
    let before = aliases();
    let alias = to_group6(ALIAS6, b"an alias");
    assert_eq!(alias[..6], to_group6(GROUP6, b"")[..6]);
    let passage = pass(guest, &vec![alias; MANY], 0);
    assert_eq!((passage.answers, passage.drops), (Vec::new(), drops(&[("ipv6_group_not_joined", MANY)])));
    assert_eq!(aliases() - before, u64::try_from(MANY).unwrap());
    assert_group6_is_echoed(guest, GROUP6);
}

// E03, E05: a join is effective when it is answered, and so is a leave; both are reported.
pub fn ipv6_groups_are_joined_and_left_while_it_runs(guest: &Guest) {
    const LATER: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0x77, 8, 9);
    let assert_not_joined = || match guest.model.filter {
        Filter::AllMulticast => {
            let passage = pass(guest, &[to_group6(LATER, b"not joined")], 0);
            assert_eq!(passage.drops, drops(&[("ethernet_group_not_joined", 1)]));
        }
        _ => assert_group6_is_kept_away(guest, LATER),
    };
    assert_not_joined();
    for (verb, kind) in [("join", RecordKind::ToEx), ("leave", RecordKind::ToIn)] {
        guest.ctl(&[verb, &LATER.to_string()]);
        let found =
            guest.wire.raw.find(Duration::from_secs(5), |frame| reports6(frame, kind, LATER).then_some(()));
        assert!(found.is_some(), "no report of {kind:?}");
        if verb == "join" {
            assert_group6_is_echoed(guest, LATER);
        }
        assert_group6_is_echoed(guest, GROUP6);
    }
    assert_not_joined();
}

// W11, W13, RFC 8200 4.5 and 5: what is too long for a frame comes and goes in several, whichever queue each of them comes by.
pub fn ipv6_fragments_are_put_together_and_sent(guest: &Guest) {
    let payload: Vec<u8> = (0..3000_u16).map(|n| n.to_le_bytes()[0]).collect();
    let askers: Vec<_> = (0x20..0x28).map(Host6::number).collect();
    let cut = |from: &Host6| cut6_evenly(&udp6(*from, HOST6, &payload).frame(), 7, 1448);
    let frames: Vec<_> = askers.iter().flat_map(cut).collect();
    assert_eq!(frames.len(), 3 * askers.len());
    let mut pieces = BTreeMap::<Ipv6Addr, BTreeMap<u16, Vec<u8>>>::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut next = &frames[..];
    while pieces.values().map(BTreeMap::len).sum::<usize>() < frames.len() && Instant::now() < deadline {
        for frame in guest.wire.exchange(next, Duration::from_millis(200)) {
            let (_, ip, _) = Ipv6::read_frame(&frame.bytes).unwrap_or_else(|why| panic!("{why}: {frame:?}"));
            let Some(Extension::Fragment { offset, .. }) = ip.extensions.last() else {
                panic!("not a fragment: {frame:?}")
            };
            pieces.entry(ip.destination).or_default().insert(*offset, frame.bytes);
        }
        next = &[];
    }
    for asker in askers {
        let own: Vec<_> = pieces.remove(&asker.ip).into_iter().flatten().map(|(_, bytes)| bytes).collect();
        let whole = join6(&own).unwrap_or_else(|why| panic!("to {}: {why}: {own:?}", asker.ip));
        let echoed = UdpFrame6::read(&whole).unwrap();
        assert_eq!((own.len(), echoed.source.ip(), echoed.payload), (3, &HOST6.ip, payload.clone()));
    }
}

/// Sends a datagram of each of many flows.
pub(super) fn many_flows6(guest: &Guest) {
    let from = (0x100..0x164).map(Host6::number);
    let frames: Vec<_> = from.map(|from| udp6(from, HOST6, b"one of many flows").frame()).collect();
    guest.wire.exchange(&frames, Duration::from_millis(10));
}
