//! pollcast on one end of a veth pair, by net_af_packet: unlike a tap, the other end is there before it starts, and hears
//! its first words.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::common::RecordKind::*;
use crate::common::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// A namespace with a veth pair whose ends are `ve0`, for pollcast, and `ve1`, which a raw socket has.
fn veth() -> (Netns, RawPeer) {
    let netns = Netns::new();
    netns.ip("link add ve0 type veth peer name ve1");
    for end in ["ve0", "ve1"] {
        netns.run("ethtool", &["-K", end, "tx", "off", "gso", "off", "gro", "off"]);
        netns.ip(&format!("link set {end} up"));
    }
    let raw = RawPeer::new(&netns, "ve1");
    (netns, raw)
}

#[test]
fn its_first_words_are_who_it_is_and_what_it_joined() {
    if !may_run() {
        return;
    }
    let (netns, raw) = veth();
    let mut pollcast = Pollcast::start(&netns, &Config::new("net_af_packet0,iface=ve0", ECHO));
    let frames = raw.frames(Duration::from_millis(1500));
    assert!(frames.iter().all(|frame| frame.src() == HOST.mac), "{frames:?}");

    // A12, RFC 5227 2.3: every address of ours is announced.
    let announced: BTreeSet<Ipv4Addr> = frames
        .iter()
        .filter(|frame| frame.is_arp())
        .map(Frame::arp)
        .filter(|arp| arp.sender.ip == arp.target.ip && arp.sender.mac == HOST.mac)
        .map(|arp| arp.sender.ip)
        .collect();
    assert_eq!(announced, [HOST.ip, HOST_SECOND.ip].into());

    // G24, RFC 9776 5.1: both groups at once, in one report, and once more.
    let reports: Vec<Report> = frames.iter().filter_map(Frame::report).collect();
    assert_eq!(reports.len(), 2, "{reports:?}");
    for report in &reports {
        let records: BTreeSet<Record> = report.records.iter().cloned().collect();
        let expected = [Record::new(ToExclude, GROUP, &[]), Record::new(AllowNew, SOURCE_GROUP, &[SOURCE])];
        assert_eq!(records, expected.into());
    }
    let gap = reports[1].at.duration_since(reports[0].at);
    assert!(gap < Duration::from_millis(1150), "repeated after {gap:?}");

    // G45: and its last words.
    raw.drain();
    pollcast.stop();
    let last: BTreeSet<Record> = raw
        .frames(Duration::from_millis(100))
        .iter()
        .filter_map(Frame::report)
        .flat_map(|r| r.records)
        .collect();
    let expected = [Record::new(ToInclude, GROUP, &[]), Record::new(BlockOld, SOURCE_GROUP, &[SOURCE])];
    assert_eq!(last, expected.into());
}

// DESIGN.md 6: af_packet answers -ENOTSUP to the list, and has no filter for groups but promiscuous.
#[test]
fn a_device_without_a_list_of_groups_says_why_it_is_on_a_lower_rung() {
    if !may_run() {
        return;
    }
    let (netns, raw) = veth();
    let mut pollcast = Pollcast::start(&netns, &Config::new("net_af_packet0,iface=ve0", ECHO));
    let filter = pollcast.ctl(&["filter"])[0].clone();
    assert_eq!(filter["driver"], "net_af_packet");
    assert_eq!(filter["rung"], "promiscuous", "{filter}");
    assert_eq!(filter["promiscuous"], true, "{filter}");
    let refused = filter["refused"].to_string();
    for word in ["addr_list", "all_multicast", "ENOTSUP"] {
        assert!(refused.contains(word), "{filter}");
    }
    // E01, E04: the software filters in any case.
    let lab = Lab { pollcast, wire: Wire::new(raw), netns };
    let echo = |to: Ipv4Addr| udp_frame(PEER, 4000, HOST.with_ip(to), 7, b"hello");
    assert_eq!(lab.answer(&echo(HOST.ip)).udp().payload, b"hello");
    assert_eq!(lab.answer(&echo(GROUP)).udp().ip.src, HOST.ip);
    lab.assert_dropped(&echo(Ipv4Addr::new(239, 129, 2, 3)), "ipv4_group_not_joined");
    lab.assert_dropped(&echo(Ipv4Addr::new(239, 9, 9, 9)), "ethernet_group_not_joined");
    let mut other = echo(HOST.ip);
    other[5] = 0x99;
    lab.assert_dropped(&other, "ethernet_not_for_us");
    // The interface is the kernel's, and stays behind: promiscuous no longer than we need it.
    let is_promiscuous = |netns: &Netns| netns.ip("-d link show ve0").contains("PROMISC");
    assert!(is_promiscuous(&lab.netns));
    pollcast = lab.pollcast;
    pollcast.stop();
    assert!(!is_promiscuous(&lab.netns), "pollcast left the interface promiscuous");
}
