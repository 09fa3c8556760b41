//! A real switch agrees: the Linux bridge snoops on what pollcast reports by MLD, of either version.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::thread;
use std::time::{Duration, Instant};

use common::switch::{Entry, PORT, Switch, Timing, ctl, is};
use common::*;
use nix::sys::signal::Signal;

const OTHER: Host6 = Host6::number(5);
const NO_SOURCES: &[Ipv6Addr] = &[];
/// Of [`HOST6`] and [`HOST6_LOCAL`], which end alike, and of [`HOST6_SECOND`] (RFC 4291 2.7.1).
const SOLICITED_NODE: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 3)];
/// Joined and left by command.
const JOINED: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 7, 0, 1);
const JOINED_SSM: Ipv6Addr = Ipv6Addr::new(0xff3e, 0, 0, 0, 0, 7, 0, 2);

/// A report takes effect at once; a busy machine may take its time, and the table is read by a program.
const AT_ONCE: Duration = Duration::from_secs(1);
/// What that may add to a time of the switch's.
const SLACK: Duration = Duration::from_millis(600);
/// A start, with all that is reported and asked then.
const START: Duration = Duration::from_secs(5);

fn tap() -> Config {
    Config::dual(&format!("net_tap0,iface={PORT}"), ECHO6)
}

fn version(pollcast: &Pollcast) -> u64 {
    pollcast.ctl(&["mld"])[0]["version"].as_u64().unwrap()
}

/// Waits until pollcast speaks it.
#[track_caller]
fn wait_for_version(pollcast: &Pollcast, wanted: u64) {
    let deadline = Instant::now() + START;
    while version(pollcast) != wanted {
        assert!(Instant::now() < deadline, "not in version {wanted}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a group is had from every source. A switch of version 1 does not say how.
fn from_all(entry: Option<&Entry>) -> bool {
    entry.is_some_and(|entry| entry.filter_mode != "include" && entry.sources.is_empty())
}

/// The group of a report of version 1, behind its router alert, if that is what a frame is (RFC 2710 3).
fn report_of_version_1(frame: &Frame) -> Option<Ipv6Addr> {
    let bytes = &frame.bytes;
    let group = bytes.get(70..86).filter(|_| is_unasked6(frame) && bytes[62] == 131)?;
    Some(<[u8; 16]>::try_from(group).unwrap().into())
}

/// Waits until the switch has every group without sources that the configuration makes pollcast join.
#[track_caller]
fn wait_for_groups(switch: &Switch) {
    for group in [GROUP6, SOLICITED_NODE[0], SOLICITED_NODE[1]] {
        switch.wait(group, START, from_all);
    }
}

// L02, L05, L09, L16, RFC 9777 6.1, RFC 4541 3: groups, modes and sources, of the configuration, of addresses and by command.
#[test]
fn the_switch_knows_each_group_and_source_and_forgets_what_is_left() {
    if !may_run() {
        return;
    }
    let timing = Timing::RARE;
    let switch = Switch::mld(2, timing);
    let pollcast = switch.host(&tap());
    wait_for_groups(&switch);
    switch.wait(GROUP6, AT_ONCE, is("exclude", NO_SOURCES));
    switch.wait(SOURCE_GROUP6, AT_ONCE, is("include", &[SOURCE6.ip]));
    assert_eq!(version(&pollcast), 2);
    // L04: of all nodes nobody speaks.
    assert_eq!(switch.entry(PORT, ALL_NODES), None);

    ctl(&pollcast, "join", JOINED, None);
    switch.wait(JOINED, AT_ONCE, is("exclude", NO_SOURCES));
    ctl(&pollcast, "join", JOINED_SSM, Some(SOURCE6.ip));
    switch.wait(JOINED_SSM, AT_ONCE, is("include", &[SOURCE6.ip]));
    ctl(&pollcast, "join", JOINED_SSM, Some(OTHER.ip));
    switch.wait(JOINED_SSM, AT_ONCE, is("include", &[SOURCE6.ip, OTHER.ip]));

    // From EXCLUDE with a source to another one, and to INCLUDE.
    let left = timing.last_member_time() + SLACK;
    let any_source = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 7, 0, 3);
    for (mode, source) in [("exclude", SOURCE6.ip), ("exclude", OTHER.ip), ("include", SOURCE6.ip)] {
        pollcast.ctl(&["sources", &any_source.to_string(), &format!("--{mode}"), &source.to_string()]);
        switch.wait(any_source, left, is(mode, &[source]));
    }

    // Each leave is a change that the switch asks after twice, and then believes.
    ctl(&pollcast, "leave", JOINED_SSM, Some(SOURCE6.ip));
    switch.wait(JOINED_SSM, left, is("include", &[OTHER.ip]));
    ctl(&pollcast, "leave", JOINED_SSM, Some(OTHER.ip));
    switch.wait(JOINED_SSM, left, |entry| entry.is_none());
    ctl(&pollcast, "leave", JOINED, None);
    switch.wait(JOINED, left, |entry| entry.is_none());
    wait_for_groups(&switch);
}

// L02, L11, L16, RFC 9777 8.2, RFC 2710 4: a switch that asks in version 1 is answered in it, or we were told to begin so.
#[test]
fn version_1_by_the_switch_or_by_configuration_has_groups_and_no_sources() {
    if !may_run() {
        return;
    }
    let timing = Timing::RARE;
    let mut told = tap();
    told.ports.push_str("mld_version = 1\n");
    for (asks, config) in [(1, tap()), (2, told)] {
        let switch = Switch::mld(asks, timing);
        let pollcast = switch.host(&config);
        wait_for_version(&pollcast, 1);
        wait_for_groups(&switch);
        // Version 1 has no words for sources: what is joined later is known, and this is not.
        ctl(&pollcast, "join", JOINED_SSM, Some(SOURCE6.ip));
        ctl(&pollcast, "join", JOINED, None);
        switch.wait(JOINED, AT_ONCE, from_all);
        assert_eq!(switch.entry(PORT, JOINED_SSM), None, "with a switch of version {asks}");
        ctl(&pollcast, "leave", JOINED, None);
        switch.wait(JOINED, timing.last_member_time() + SLACK, |entry| entry.is_none());
        wait_for_groups(&switch);
    }
}

// L09, RFC 9777 6.1, RFC 2710 4: a clean end leaves every group, as G45, in the words of either version.
#[test]
fn a_clean_end_leaves_every_group() {
    if !may_run() {
        return;
    }
    // Asked often, so that pollcast, which is there later than its cable, learns the version; forgotten by a leave alone.
    let timing = Timing { membership_interval: 26_000, ..Timing::OFTEN };
    for asks in [2, 1] {
        let switch = Switch::mld(asks, timing);
        let (_netns, mut pollcast) = switch.host_on_cable(&Config::dual("net_af_packet0,iface=eth0", ECHO6));
        wait_for_groups(&switch);
        wait_for_version(&pollcast, asks.into());
        if asks == 1 {
            // L02, RFC 2710 4: who leaves says so if it was the last to report the group in this version.
            let wire = RawPeer::new(&switch.netns, PORT);
            let mut silent = BTreeSet::from([GROUP6, SOLICITED_NODE[0], SOLICITED_NODE[1]]);
            while !silent.is_empty() {
                let told = wire.find(START, report_of_version_1);
                silent.remove(&told.unwrap_or_else(|| panic!("no report of {silent:?}")));
            }
        }
        pollcast.signal(Signal::SIGTERM);
        assert_eq!(pollcast.wait().code(), Some(0));
        for group in [GROUP6, SOLICITED_NODE[0], SOLICITED_NODE[1]] {
            switch.wait(group, timing.last_member_time() + SLACK, |entry| entry.is_none());
        }
        if asks == 2 {
            switch.wait(SOURCE_GROUP6, timing.last_member_time() + SLACK, |entry| entry.is_none());
        }
    }
}

// L09, RFC 4541 2.1.1: a port of the switch that was down has forgotten everything, and is told again unasked, as G44.
#[test]
fn after_the_link_was_down_the_entries_are_back_without_a_query() {
    if !may_run() {
        return;
    }
    let switch = Switch::mld(2, Timing::RARE);
    let pollcast = switch.host(&tap());
    wait_for_groups(&switch);
    switch.take_down(&pollcast);
    switch.wait(GROUP6, AT_ONCE, |entry| entry.is_none());
    switch.netns.ip(&format!("link set {PORT} up"));
    wait_for_groups(&switch);
    switch.wait(SOURCE_GROUP6, AT_ONCE, is("include", &[SOURCE6.ip]));
}
