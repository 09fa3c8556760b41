//! IGMP, from the wire: what pollcast says of its groups, when, and to whom.
//!
//! The other side of the wire is what a router or a snooping switch would see.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::common::RecordKind::*;
use crate::common::*;
use nix::sys::signal::Signal;

static LAB: Shared = Shared::new(settled_lab);

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ROUTER: Host = Host::number(99);

/// RFC 9776 8.11: within it a change is repeated.
const UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// What a busy machine may add to any time.
const SLACK: Duration = Duration::from_millis(150);
/// A response time of 100 ms.
const SOON: u8 = 1;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Every test leaves it quiet for the next.
fn settled_lab() -> Lab {
    let lab = Lab::mute(ECHO);
    settle(&lab);
    lab
}

/// Waits until what changes have set off is over.
fn settle(lab: &Lab) {
    while lab.next_report(UNSOLICITED_REPORT_INTERVAL + SLACK, |_| true).is_some() {}
}

fn query(to: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    igmp_frame(ROUTER, to, message)
}

fn general_query(max_resp_code: u8) -> Vec<u8> {
    query(ALL_HOSTS, &igmp_query(max_resp_code, ANY, &[]))
}

/// What the two groups of the configuration are reported as to a general query.
fn current_state() -> BTreeSet<Record> {
    [Record::new(IsInclude, SOURCE_GROUP, &[SOURCE]), Record::new(IsExclude, GROUP, &[])].into()
}

fn records(reports: &[Report]) -> Vec<Record> {
    reports.iter().flat_map(|report| report.records.clone()).collect()
}

// G01, G02, I22, RFC 9776 4, 4.2.14.
#[test]
fn a_report_goes_to_all_version_3_routers_as_every_igmp_message_goes() {
    let Some(lab) = LAB.lock() else { return };
    lab.wire.raw.send(&general_query(SOON));
    let frame = lab.wire.raw.find(ms(1000), |frame| frame.report().map(|_| frame.clone())).expect("a report");
    assert_eq!((frame.dst(), frame.src()), ([0x01, 0x00, 0x5e, 0, 0, 0x16], HOST.mac));
    let ip = frame.ipv4();
    assert_eq!((ip.src, ip.dst), (HOST.ip, Ipv4Addr::new(224, 0, 0, 22)));
    assert_eq!((ip.ttl, ip.tos, ip.protocol), (1, 0xc0, IGMP));
    assert_eq!(ip.options, ROUTER_ALERT);
    assert!(ip.trailer.iter().all(|&byte| byte == 0));
}

// G24, RFC 9776 5.1, 8.11: at once, and once more (robustness 2) at a random time within a second.
#[test]
fn a_join_is_reported_at_once_and_repeated_once_within_a_second() {
    let Some(lab) = LAB.lock() else { return };
    let group = Ipv4Addr::new(239, 7, 0, 1);
    let asked = Instant::now();
    lab.pollcast.ctl(&["join", &group.to_string()]);
    let reports = lab.reports(UNSOLICITED_REPORT_INTERVAL + ms(500));
    lab.pollcast.ctl(&["leave", &group.to_string()]);
    settle(&lab);
    assert_eq!(records(&reports), vec![Record::new(ToExclude, group, &[]); 2]);
    assert!(reports[0].at.duration_since(asked) < ms(500), "not at once");
    let gap = reports[1].at.duration_since(reports[0].at);
    assert!(gap > Duration::ZERO && gap < UNSOLICITED_REPORT_INTERVAL + SLACK, "repeated after {gap:?}");
}

// G26, RFC 9776 5.1: no state is INCLUDE {}.
#[test]
fn a_leave_is_reported_as_a_change_to_include_nothing() {
    let Some(lab) = LAB.lock() else { return };
    let group = Ipv4Addr::new(239, 7, 0, 2);
    lab.pollcast.ctl(&["join", &group.to_string()]);
    settle(&lab);
    lab.pollcast.ctl(&["leave", &group.to_string()]);
    let reports = lab.reports(UNSOLICITED_REPORT_INTERVAL + ms(500));
    assert_eq!(records(&reports), vec![Record::new(ToInclude, group, &[]); 2]);
}

// G26, RFC 9776 5.1.
#[test]
fn joining_and_leaving_one_source_is_reported_by_allow_and_block() {
    let Some(lab) = LAB.lock() else { return };
    let (group, source) = (Ipv4Addr::new(232, 7, 0, 3), Ipv4Addr::new(198, 18, 0, 77));
    let args = |verb| [verb, "232.7.0.3", "--source", "198.18.0.77"];
    lab.pollcast.ctl(&args("join"));
    let joined = records(&lab.reports(UNSOLICITED_REPORT_INTERVAL + ms(500)));
    assert_eq!(joined, vec![Record::new(AllowNew, group, &[source]); 2]);
    lab.pollcast.ctl(&args("leave"));
    let left = records(&lab.reports(UNSOLICITED_REPORT_INTERVAL + ms(500)));
    assert_eq!(left, vec![Record::new(BlockOld, group, &[source]); 2]);
}

// G04, RFC 9776 5.
#[test]
fn nothing_is_ever_said_of_the_group_of_all_hosts() {
    let Some(lab) = LAB.lock() else { return };
    lab.wire.raw.send(&query(ALL_HOSTS, &igmp_query(SOON, ALL_HOSTS, &[])));
    assert_eq!(lab.reports(ms(400)), []);
    let refused = lab.pollcast.try_ctl(&["join", "224.0.0.1"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(lab.reports(ms(200)), []);
}

// E06, G09, RFC 9776 5.2: whatever sockets want, a general query is heard, and answered for every group in one report.
#[test]
fn a_general_query_is_answered_for_every_group_within_its_time() {
    let Some(lab) = LAB.lock() else { return };
    for to in [ALL_HOSTS, HOST.ip] {
        let mut frame = query(to, &igmp_query(5, ANY, &[]));
        if to == HOST.ip {
            frame[..6].copy_from_slice(&HOST.mac);
        }
        let asked = Instant::now();
        lab.wire.raw.send(&frame);
        let reports = lab.reports(ms(500) + SLACK);
        assert_eq!(reports.len(), 1, "to {to}: {reports:?}");
        assert_eq!(reports[0].records.iter().cloned().collect::<BTreeSet<_>>(), current_state());
        assert!(reports[0].at.duration_since(asked) < ms(500) + SLACK);
    }
}

// G20, RFC 9776 5.2: of the group that was asked for, if there is anything to say.
#[test]
fn a_group_query_is_answered_for_that_group_if_it_is_joined() {
    let Some(lab) = LAB.lock() else { return };
    lab.wire.raw.send(&query(GROUP, &igmp_query(SOON, GROUP, &[])));
    assert_eq!(records(&lab.reports(ms(400))), [Record::new(IsExclude, GROUP, &[])]);
    let other = Ipv4Addr::new(239, 9, 9, 9);
    lab.wire.raw.send(&query(ALL_HOSTS, &igmp_query(SOON, other, &[])));
    assert_eq!(lab.reports(ms(400)), []);
}

// G06, RFC 9776 4.1.2, 4.1.10: over the whole payload, octets behind the message among it.
#[test]
fn a_query_with_a_wrong_checksum_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let before = lab.drops();
    let mut damaged = igmp_query(SOON, ANY, &[]);
    damaged[3] ^= 1;
    lab.wire.raw.send(&query(ALL_HOSTS, &damaged));
    // The sum of the first 12 bytes alone is right.
    let trailing = [&igmp_query(SOON, ANY, &[])[..], &[0, 0, 0, 1]].concat();
    lab.wire.raw.send(&query(ALL_HOSTS, &trailing));
    assert_eq!(lab.reports(ms(400)), []);
    assert_eq!(lab.drops_since(&before), [("igmp_checksum".to_owned(), 2)].into());

    let mut whole = trailing;
    whole[2..4].fill(0);
    lab.wire.raw.send(&query(ALL_HOSTS, &igmp(whole)));
    assert_eq!(lab.reports(ms(400)).len(), 1);
}

// G07, RFC 9776 7.1: no version has such lengths.
#[test]
fn a_query_of_a_length_between_the_versions_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let before = lab.drops();
    for len in [1, 4, 7, 9, 10, 11] {
        let mut message = igmp_query(SOON, ANY, &[])[..len].to_vec();
        if len >= 4 {
            message[2..4].fill(0);
            message = igmp(message);
        }
        lab.wire.raw.send(&query(ALL_HOSTS, &message));
    }
    assert_eq!(lab.reports(ms(400)), []);
    assert_eq!(lab.drops_since(&before), [("igmp_truncated".to_owned(), 6)].into());
}

// G07, G14, RFC 9776 7.1, 7.2.1: 8 bytes are a query of version 2, whose code is linear (COMPH-21), or with code 0 of
// version 1, which means ten seconds and not at once.
#[test]
fn queries_of_older_versions_are_answered_in_their_time() {
    if !may_run() {
        return;
    }
    // Of its own: it remembers older queriers for minutes.
    let lab = Lab::mute(ECHO);
    settle(&lab);
    // G36, RFC 9776 7.2.1: from then on, in that version.
    let igmp_from = |frame: &Frame| {
        let ours = frame.carries(IGMP) && frame.src() == HOST.mac;
        (ours && matches!(frame.ipv4().payload[0], 0x12 | 0x16)).then_some(frame.at)
    };
    for (code, time, version) in [(3, ms(300), 2), (0, ms(10_000), 1)] {
        let asked = Instant::now();
        lab.wire.raw.send(&query(ALL_HOSTS, &igmp(vec![0x11, code, 0, 0, 0, 0, 0, 0])));
        let answered = lab.wire.raw.find(time + SLACK, igmp_from);
        assert!(answered.is_some(), "no answer within {time:?}");
        let took = answered.unwrap().duration_since(asked);
        assert!(took < time + SLACK, "after {took:?}");
        let shown = &lab.pollcast.ctl(&["igmp"])[0];
        assert_eq!((&shown["version"], &shown["silent_groups"]), (&version.into(), &1.into()), "{shown}");
    }
    // An operator who knows better.
    let done = lab.pollcast.ctl(&["igmp", "--version", "3"]);
    assert!(done["done"].as_str().is_some_and(|done| done.contains("2 groups are told anew")), "{done}");
    let told = records(&lab.reports(ms(1500))).into_iter().collect::<BTreeSet<_>>();
    let expected = [Record::new(AllowNew, SOURCE_GROUP, &[SOURCE]), Record::new(ToExclude, GROUP, &[])];
    assert_eq!(told, expected.into());
}

// G13, RFC 9776 4.1.1: from 128 on the code is a floating point number, and 0xff says 3174.4 seconds. That an answer comes
// within the first of them twice in a row happens once in ten million times.
#[test]
fn a_query_that_leaves_much_time_is_not_answered_soon() {
    let Some(lab) = LAB.lock() else { return };
    let silent = || {
        lab.wire.raw.send(&general_query(0xff));
        lab.reports(ms(1000)).is_empty()
    };
    assert!(silent() || silent());
    // G16, RFC 9776 5.2: a query that leaves less is answered in its own time.
    lab.wire.raw.send(&general_query(SOON));
    assert_eq!(lab.reports(ms(400)).len(), 1);
}

// G14, RFC 9776 4.1.1: no time at all, and not never.
#[test]
fn a_response_time_of_zero_is_answered_now() {
    let Some(lab) = LAB.lock() else { return };
    lab.wire.raw.send(&general_query(0));
    let reports = lab.reports(SLACK + ms(100));
    assert_eq!(records(&reports).into_iter().collect::<BTreeSet<_>>(), current_state());
}

// G15, RFC 9776 5.2: hosts that all answered at once would defeat the purpose.
#[test]
fn answers_are_spread_over_the_response_time() {
    let Some(lab) = LAB.lock() else { return };
    let time = ms(200);
    let delays: Vec<Duration> = (0..20)
        .map(|_| {
            // G47: answers keep a distance from each other, so that a flood of queries makes no flood of reports.
            lab.reports(time + ms(20));
            let asked = Instant::now();
            lab.wire.raw.send(&general_query(2));
            let report = lab.next_report(time + SLACK, |record| record.group == GROUP).expect("an answer");
            report.at.duration_since(asked)
        })
        .collect();
    assert!(delays.iter().all(|delay| *delay < time + SLACK), "{delays:?}");
    // Of 20 uniform delays, all fall into one half once in 500 000 runs, and eight or more into the first twentieth once
    // in 400 000.
    let early = delays.iter().filter(|delay| **delay < time / 2).count();
    assert!((1..20).contains(&early), "{delays:?}");
    assert!(delays.iter().filter(|delay| **delay < time / 20).count() < 8, "answered at once: {delays:?}");
}

// G45, G26, RFC 9776 5.1: a clean end says so, for every group, by either signal; and exits with 0.
#[test]
fn a_clean_end_leaves_every_group() {
    if !may_run() {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut lab = Lab::mute(ECHO);
        lab.pollcast.ctl(&["join", "239.7.0.9"]);
        settle(&lab);
        lab.pollcast.signal(signal);
        let status = lab.pollcast.wait();
        assert_eq!(status.code(), Some(0), "{signal}: {status}\n{}", lab.pollcast.stderr());
        let left: BTreeSet<Record> = records(&lab.reports(ms(100))).into_iter().collect();
        let expected = [
            Record::new(ToInclude, GROUP, &[]),
            Record::new(ToInclude, Ipv4Addr::new(239, 7, 0, 9), &[]),
            Record::new(BlockOld, SOURCE_GROUP, &[SOURCE]),
        ];
        assert_eq!(left, expected.into(), "{signal}");
        assert!(!lab.pollcast.socket().exists(), "the control socket is still there");
    }
}
