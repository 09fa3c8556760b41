//! A real switch agrees: the Linux bridge snoops on what pollcast reports, and forwards to it what it joined, and no more.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use common::switch::{PORT, Switch, Timing, ctl, is};
use common::*;
use nix::sys::signal::Signal;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const SSM: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
/// The only one that SSM is joined for by the configuration.
const SOURCE: Host = Host::number(1);
const OTHER: Host = Host::number(5);
const MEMBER: Host = Host::number(6);
const NO_SOURCES: &[Ipv4Addr] = &[];
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// A report takes effect at once; a busy machine may take its time, and the table is read by a program.
const AT_ONCE: Duration = Duration::from_secs(1);
/// What that may add to a time of the switch's.
const SLACK: Duration = Duration::from_millis(600);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tap(services: &str) -> Config {
    Config::new(&format!("net_tap0,iface={PORT}"), services)
}

fn to_group(group: Ipv4Addr) -> Host {
    Host { mac: [0; 6], ip: group }
}

/// A datagram to `group`, for the echo on port 7, from a port that nobody uses twice.
fn datagram(from: Host, group: Ipv4Addr, sport: u16) -> Vec<u8> {
    udp_frame(from, sport, to_group(group), 7, b"to the group")
}

/// How many of `count` datagrams from `from` to `group` the switch sends by pollcast's port, beside what it sends anyway.
fn forwarded(switch: &Switch, sender: &RawPeer, from: Host, group: Ipv4Addr, count: u16) -> u64 {
    let before = switch.sent(PORT);
    for n in 0..count {
        sender.send(&datagram(from, group, 40_000 + n));
    }
    thread::sleep(ms(100));
    switch.sent(PORT) - before
}

/// One of the drop counters.
fn drops(pollcast: &Pollcast, reason: &str) -> u64 {
    let answer = pollcast.ctl(&["drops"]);
    let row = answer.as_array().unwrap().iter().find(|row| row["reason"] == reason);
    row.unwrap_or_else(|| panic!("no {reason}"))["packets"].as_u64().unwrap()
}

/// Datagrams that the echo service was given.
fn delivered(pollcast: &Pollcast) -> u64 {
    pollcast.ctl(&["sockets"]).as_array().unwrap().iter().map(|row| row["rx"].as_u64().unwrap()).sum()
}

/// A switch that is past its start, with two senders, and pollcast.
struct Lab {
    // In the order of their end.
    pollcast: Pollcast,
    source: RawPeer,
    other: RawPeer,
    _far: [Netns; 2],
    switch: Switch,
}

fn lab(version: u8, timing: Timing) -> Lab {
    let switch = Switch::new(version, timing);
    let far = [switch.cable("src", SOURCE, true), switch.cable("oth", OTHER, true)];
    let [source, other] = [&far[0], &far[1]].map(|netns| RawPeer::new(netns, "eth0"));
    let pollcast = switch.host(&tap(ECHO));
    switch.wait_until_it_withholds(&source, SOURCE);
    Lab { pollcast, source, other, _far: far, switch }
}

// G02, G24, G25, G26, G48, RFC 4604 2.2.1, RFC 4541 2.1: groups, modes and sources, from the configuration and by command.
#[test]
fn the_switch_knows_each_group_within_a_second_and_forgets_it_after_the_last_member_time() {
    if !may_run() {
        return;
    }
    let timing = Timing::RARE;
    let Lab { mut pollcast, switch, .. } = lab(3, timing);
    switch.wait(GROUP, AT_ONCE, is("exclude", NO_SOURCES));
    switch.wait(SSM, AT_ONCE, is("include", &[SOURCE.ip]));

    let (joined, one_source) = (Ipv4Addr::new(239, 7, 0, 1), Ipv4Addr::new(232, 7, 0, 1));
    ctl(&pollcast, "join", joined, None);
    switch.wait(joined, AT_ONCE, is("exclude", NO_SOURCES));
    ctl(&pollcast, "join", one_source, Some(SOURCE.ip));
    switch.wait(one_source, AT_ONCE, is("include", &[SOURCE.ip]));
    ctl(&pollcast, "join", one_source, Some(OTHER.ip));
    switch.wait(one_source, AT_ONCE, is("include", &[SOURCE.ip, OTHER.ip]));
    // INCLUDE outside 232/8.
    let asm = Ipv4Addr::new(239, 7, 0, 2);
    ctl(&pollcast, "join", asm, Some(OTHER.ip));
    switch.wait(asm, AT_ONCE, is("include", &[OTHER.ip]));

    // EXCLUDE with sources, and from there to other lists and modes (G25).
    let [source, other, asm_text] = [SOURCE.ip, OTHER.ip, asm].map(|addr| addr.to_string());
    pollcast.ctl(&["sources", &asm_text, "--exclude", &source]);
    switch.wait(asm, AT_ONCE, is("exclude", &[SOURCE.ip]));
    pollcast.ctl(&["sources", &asm_text, "--exclude", &other]);
    switch.wait(asm, timing.last_member_time() + SLACK, is("exclude", &[OTHER.ip]));
    pollcast.ctl(&["sources", &asm_text, "--include", &source]);
    switch.wait(asm, timing.last_member_time() + SLACK, is("include", &[SOURCE.ip]));

    // G26: each leave is a change that the switch asks after twice, and then believes.
    let time = timing.last_member_time();
    ctl(&pollcast, "leave", one_source, Some(SOURCE.ip));
    switch.wait(one_source, time + SLACK, is("include", &[OTHER.ip]));
    ctl(&pollcast, "leave", one_source, Some(OTHER.ip));
    switch.wait(one_source, time + SLACK, |entry| entry.is_none());
    ctl(&pollcast, "leave", joined, None);
    let took = switch.wait(joined, time + SLACK, |entry| entry.is_none());
    assert!(took > time / 4, "not asked: gone after {took:?}");
    assert!(switch.entry(PORT, GROUP).is_some(), "the others stay");

    // G45: a clean end leaves them all.
    pollcast.signal(Signal::SIGTERM);
    assert_eq!(pollcast.wait().code(), Some(0));
}

// E04, G25, RFC 4541 2.1.2: the switch withholds what is not joined, and sources that are not wanted; pollcast gets the rest.
#[test]
fn what_is_not_joined_does_not_arrive() {
    if !may_run() {
        return;
    }
    let Lab { pollcast, source, other, switch, .. } = &lab(3, Timing::RARE);
    switch.wait(GROUP, AT_ONCE, is("exclude", NO_SOURCES));
    switch.wait(SSM, AT_ONCE, is("include", &[SOURCE.ip]));
    let not_joined = Ipv4Addr::new(239, 9, 9, 9);
    // Of what the switch sends by itself there is little: the count is of fifty.
    let count = |sender: &RawPeer, from, group| forwarded(switch, sender, from, group, 50);
    let few = |sent: u64| sent < 20;
    let before = (delivered(pollcast), drops(pollcast, "ethernet_group_not_joined"));
    assert!(few(count(source, SOURCE, not_joined)));
    assert!(count(source, SOURCE, GROUP) >= 50);
    assert!(count(other, OTHER, GROUP) >= 50);
    assert!(count(source, SOURCE, SSM) >= 50);
    assert!(few(count(other, OTHER, SSM)), "the source is blocked");
    // A join opens the door, a leave closes it.
    ctl(pollcast, "join", not_joined, None);
    switch.wait(not_joined, AT_ONCE, is("exclude", NO_SOURCES));
    assert!(count(source, SOURCE, not_joined) >= 50);
    ctl(pollcast, "leave", not_joined, None);
    switch.wait(not_joined, Timing::RARE.last_member_time() + SLACK, |entry| entry.is_none());
    assert!(few(count(source, SOURCE, not_joined)));
    ctl(pollcast, "join", SSM, Some(OTHER.ip));
    switch.wait(SSM, AT_ONCE, is("include", &[SOURCE.ip, OTHER.ip]));
    assert!(count(other, OTHER, SSM) >= 50);
    // A source that is excluded is blocked, and no other.
    let excluding = Ipv4Addr::new(239, 9, 9, 8);
    pollcast.ctl(&["sources", &excluding.to_string(), "--exclude", &OTHER.ip.to_string()]);
    switch.wait(excluding, AT_ONCE, is("exclude", &[OTHER.ip]));
    assert!(count(source, SOURCE, excluding) >= 50);
    assert!(few(count(other, OTHER, excluding)), "the source is excluded");
    let after = (delivered(pollcast), drops(pollcast, "ethernet_group_not_joined"));
    assert_eq!(after.0 - before.0, 300, "all that was joined, and nothing else");
    assert!(few(after.1 - before.1), "what came for nothing is the switch's own");
}

/// One IGMPv3 report, and silence ever after.
fn report_once(wire: &RawPeer, group: Ipv4Addr) {
    let record = [&[4, 0, 0, 0][..], &group.octets()].concat();
    let message = igmp([&[0x22, 0, 0, 0, 0, 0, 0, 1][..], &record].concat());
    wire.send(&igmp_frame(MEMBER, Ipv4Addr::new(224, 0, 0, 22), &message));
}

// G15, G16, G21, RFC 9776 5.2: an entry lives as long as queries are answered; one that nobody answers for dies.
#[test]
fn entries_stay_alive_over_three_query_intervals_and_those_of_a_host_that_is_silent_do_not() {
    if !may_run() {
        return;
    }
    let timing = Timing::OFTEN;
    let switch = Switch::new(3, timing);
    let silent = switch.cable("mem", MEMBER, true);
    let pollcast = switch.host(&tap(ECHO));
    switch.wait(GROUP, AT_ONCE, is("exclude", NO_SOURCES));
    report_once(&RawPeer::new(&silent, "eth0"), GROUP);
    switch.wait_at("mem", GROUP, AT_ONCE, |entry| entry.is_some());
    let start = Instant::now();
    let interval = ms(u64::from(timing.query_interval) * 10);
    let mut silent_until = None;
    while start.elapsed() < 3 * interval + ms(1000) {
        assert!(switch.entry(PORT, GROUP).is_some(), "gone after {:?}", start.elapsed());
        assert!(switch.entry(PORT, SSM).is_some(), "gone after {:?}", start.elapsed());
        if silent_until.is_none() && switch.entry("mem", GROUP).is_none() {
            silent_until = Some(start.elapsed());
        }
        thread::sleep(ms(100));
    }
    let silent_until = silent_until.expect("the host that never answers has lost its entry");
    assert!(silent_until > ms(u64::from(timing.membership_interval) * 10) - SLACK, "{silent_until:?}");
    drop(pollcast);
}

// G44, RFC 4541 2.1.1: a port of the switch that was down has forgotten everything.
#[test]
fn after_the_link_was_down_the_entries_are_back_without_a_query() {
    if !may_run() {
        return;
    }
    let Lab { pollcast, switch, .. } = &lab(3, Timing::RARE);
    switch.wait(GROUP, AT_ONCE, is("exclude", NO_SOURCES));
    switch.take_down(pollcast);
    switch.wait(GROUP, AT_ONCE, |entry| entry.is_none());
    switch.netns.ip(&format!("link set {PORT} up"));
    switch.wait(GROUP, ms(3000), is("exclude", NO_SOURCES));
    switch.wait(SSM, AT_ONCE, is("include", &[SOURCE.ip]));
}

// G45, RFC 9776 6.2.2: who ends cleanly says so; who crashes is believed to be there until its time is over.
#[test]
fn a_clean_end_leaves_at_once_and_a_crash_ages_out() {
    if !may_run() {
        return;
    }
    let timing = Timing::OFTEN;
    let on_cable = |switch: &Switch| switch.host_on_cable(&Config::new("net_af_packet0,iface=eth0", ECHO));
    let (clean, crash) = (Switch::new(3, timing), Switch::new(3, timing));
    let ((_one, mut ends), (_other, crashes)) = (on_cable(&clean), on_cable(&crash));
    for switch in [&clean, &crash] {
        switch.wait(GROUP, Duration::from_secs(5), is("exclude", NO_SOURCES));
        switch.wait(SSM, AT_ONCE, is("include", &[SOURCE.ip]));
    }
    let killed = Instant::now();
    crashes.signal(Signal::SIGKILL);
    ends.stop();
    for group in [GROUP, SSM] {
        clean.wait(group, timing.last_member_time() + SLACK, |entry| entry.is_none());
    }
    assert!(crash.entry(PORT, GROUP).is_some(), "nobody told the switch");
    let membership = ms(u64::from(timing.membership_interval) * 10);
    crash.wait(GROUP, membership + SLACK, |entry| entry.is_none());
    // It may have answered a query just before.
    let took = killed.elapsed();
    assert!(took > membership - ms(u64::from(timing.query_interval) * 10) - SLACK, "after {took:?}");
}

// G09, G12, RFC 4541 2.1.1: snooping switches ask as 0.0.0.0, others from elsewhere, and to the group or to all hosts.
#[test]
fn a_querier_without_an_address_and_one_from_elsewhere_are_answered() {
    if !may_run() {
        return;
    }
    let Lab { pollcast: _pollcast, switch, .. } = &lab(3, Timing::RARE);
    switch.wait(GROUP, AT_ONCE, is("exclude", NO_SOURCES));
    let wire = RawPeer::new(&switch.netns, PORT);
    while wire.find(ms(1300), |frame| frame.report()).is_some() {}
    for from in [ANY, Ipv4Addr::new(192, 0, 2, 9)] {
        for (group, to) in [(ANY, ALL_HOSTS), (GROUP, ALL_HOSTS), (GROUP, GROUP)] {
            let query = igmp_frame(OTHER.with_ip(from), to, &igmp_query(2, group, &[]));
            wire.send(&query);
            let told = wire.find(ms(200) + SLACK, |frame| {
                frame.report().filter(|report| report.records.iter().any(|record| record.group == GROUP))
            });
            assert!(told.is_some(), "a query of {group} from {from} to {to}");
        }
    }
}

/// The older version's timer is short: twice a second, and ten times the response time (RFC 9776 8.12).
fn tap_with_short_timer(services: &str) -> Config {
    let mut config = tap(services);
    config.ports.push_str("igmp_query_interval_s = 1\n");
    config
}

/// A message of version 1 or 2 from pollcast: its type and group, if that is what a frame is.
fn older(frame: &Frame) -> Option<(u8, Ipv4Addr, Ipv4Addr)> {
    if !frame.carries(IGMP) || frame.src() != HOST.mac {
        return None;
    }
    let ip = frame.ipv4();
    // G01, RFC 2236 2: as every IGMP message is sent.
    assert_eq!((ip.ttl, ip.tos, &ip.options[..]), (1, 0xc0, &ROUTER_ALERT[..]), "{frame:?}");
    assert_eq!(frame.dst(), group_mac(ip.dst), "{frame:?}");
    let message = ip.payload;
    assert_eq!(checksum(&[&message]), 0, "{frame:?}");
    let group = <[u8; 4]>::try_from(&message[4..8]).unwrap().into();
    (message.len() == 8).then_some((message[0], group, ip.dst))
}

/// A message of version 1 or 2.
fn message(kind: u8, code: u8, group: Ipv4Addr) -> Vec<u8> {
    igmp([&[kind, code, 0, 0][..], &group.octets()].concat())
}

fn version(pollcast: &Pollcast) -> u64 {
    pollcast.ctl(&["igmp"])[0]["version"].as_u64().unwrap()
}

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE_V2: u8 = 0x17;
const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);

/// Queries every three seconds, to be answered within two tenths of one.
const QUICK: Timing = Timing { query_response_interval: 20, ..Timing::OFTEN };

// G03, G09, G36, G37, G38, G42, G48, RFC 2236 3, RFC 9776 7.2.1: down with the switch, and up again.
#[test]
fn with_a_switch_of_version_2_we_fall_back_and_answer_and_leave_and_come_back() {
    if !may_run() {
        return;
    }
    let switch = Switch::new(2, QUICK);
    // Behind one port of the switch, on a segment that does not snoop, pollcast and another member.
    switch.netns.ip("link add hub type bridge mcast_snooping 0");
    switch.netns.ip("link add up0 type veth peer name up1");
    switch.netns.ip("link set hub up");
    switch.plug("up0");
    switch.netns.ip("link set up1 master hub up");
    let member = switch.cable("mem", MEMBER, true);
    switch.netns.ip("link set mem master hub");
    let pollcast = switch.host(&tap_with_short_timer(ECHO));
    switch.netns.ip(&format!("link set {PORT} master hub"));
    let member = RawPeer::new(&member, "eth0");
    let wire = RawPeer::new(&switch.netns, PORT);

    // Down: a report of each group, to the group.
    let told = wire.find(ms(5000), older).expect("a report of an older version");
    assert_eq!(told, (REPORT_V2, GROUP, GROUP));
    switch.wait_at("up0", GROUP, AT_ONCE, |entry| entry.is_some());
    assert_eq!(version(&pollcast), 2);

    let joined = Ipv4Addr::new(239, 7, 0, 1);
    ctl(&pollcast, "join", joined, None);
    switch.wait_at("up0", joined, AT_ONCE, |entry| entry.is_some());

    // G42: another member leaves; the switch asks at 224.0.0.1 who is left, twice in a second, and hears us.
    member.send(&igmp_frame(MEMBER, joined, &message(REPORT_V2, 0, joined)));
    wire.drain();
    let asked = Instant::now();
    member.send(&igmp_frame(MEMBER, ALL_ROUTERS, &message(LEAVE_V2, 0, joined)));
    let answer =
        wire.find(QUICK.last_member_time() + SLACK, |frame| older(frame).filter(|told| told.1 == joined));
    assert_eq!(answer, Some((REPORT_V2, joined, joined)));
    thread::sleep((QUICK.last_member_time() + ms(200)).saturating_sub(asked.elapsed()));
    assert!(switch.entry("up0", joined).is_some(), "the switch did not hear that we are left");

    // G03: and our own leave.
    wire.drain();
    ctl(&pollcast, "leave", joined, None);
    let left = wire.find(AT_ONCE, |frame| older(frame).filter(|told| told.1 == joined));
    assert_eq!(left, Some((LEAVE_V2, joined, ALL_ROUTERS)));
    switch.wait_at("up0", joined, QUICK.last_member_time() + SLACK, |entry| entry.is_none());

    // Entries live on over more than their interval.
    let start = Instant::now();
    while start.elapsed() < ms(u64::from(QUICK.membership_interval) * 10 + 1500) {
        assert!(switch.entry("up0", GROUP).is_some(), "gone after {:?}", start.elapsed());
        thread::sleep(ms(100));
    }

    // G48, RFC 4604 2.2.1: version 2 has no words for sources. What was said in version 3, before the switch spoke, is past.
    assert_eq!(switch.entry("up0", SSM), None);

    // Up: the timer of the older querier has run out, and all is told anew.
    switch.netns.ip("link set br0 type bridge mcast_igmp_version 3");
    let told = wire.find(Duration::from_secs(10), |frame| frame.report()).expect("a report of version 3");
    assert!(told.records.iter().any(|record| record.group == SSM), "{told:?}");
    assert_eq!(version(&pollcast), 3);
    switch.wait_at("up0", SSM, ms(4000), is("include", &[SOURCE.ip]));
}

// G03, G14, G37, G40, RFC 1112 appendix I, RFC 2236 3: by injected frames, as a bridge forwards no reports of others.
#[test]
fn version_1_is_answered_in_its_words_and_another_hosts_report_is_enough_in_version_2() {
    if !may_run() {
        return;
    }
    let Lab { pollcast, switch, .. } = &lab(3, Timing::RARE);
    let wire = RawPeer::new(&switch.netns, PORT);
    while wire.find(ms(1300), |frame| frame.report()).is_some() {}
    let query = |code| wire.send(&igmp_frame(OTHER, ALL_HOSTS, &message(QUERY, code, ANY)));
    // G40: heard from another host before our own time has come, it is said.
    query(10);
    let told = wire.find(ms(1000) + SLACK, older);
    assert_eq!(told, Some((REPORT_V2, GROUP, GROUP)));
    for _ in 0..3 {
        thread::sleep(ms(300));
        query(10);
        wire.send(&igmp_frame(MEMBER, GROUP, &message(REPORT_V2, 0, GROUP)));
        let told = wire.find(ms(1000) + SLACK, older);
        assert_eq!(told, None, "said twice");
    }
    // Of version 1: within ten seconds, by its own report; and no leave.
    query(0);
    let told = wire.find(ms(10_000) + SLACK, older);
    assert_eq!(told, Some((REPORT_V1, GROUP, GROUP)));
    assert_eq!(version(pollcast), 1);
    ctl(pollcast, "leave", GROUP, None);
    assert_eq!(wire.find(ms(500), older), None, "version 1 has no leave");
}
