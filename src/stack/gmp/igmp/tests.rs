//! Frames, and what goes with all versions; the choice of version is in [`versions`].

mod versions;

use super::format::room;
use core::net::Ipv4Addr;

use super::*;
use crate::addr::{Group, Unicast};
use crate::io::Robustness;
use crate::rng::Rng;
use crate::stack::gmp::RecordKind;
use crate::stack::gmp::link_tests::{self, MAC, TestFormat};
use crate::stack::gmp::test_family::{TestFamily, include};
use crate::stack::source_filter::SourceFilter;
use crate::time::Instant;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::Header;
use crate::wire::ipv4::Ipv4;

const ALL_HOSTS: &str = "224.0.0.1";

fn group(s: &str) -> Group<V4> {
    Group::new(s.parse().unwrap()).unwrap()
}

fn source() -> Option<Unicast<V4>> {
    Unicast::new(Ipv4Addr::new(198, 18, 0, 2))
}

fn igmp() -> Igmp {
    Igmp::new(1500, IgmpPolicy::default(), 1)
}

fn with(policy: IgmpPolicy) -> Igmp {
    Igmp::new(1500, policy, 1)
}

/// `payload` as a querier at 198.18.0.1 sends it to all hosts.
fn packet(payload: &[u8]) -> Packet<'_> {
    Packet {
        src: Ipv4Addr::new(198, 18, 0, 1),
        dst: V4::ALL_HOSTS,
        hop_limit: 1,
        router_alert: true,
        payload,
    }
}

/// A message of an older version, sealed.
fn short(kind: u8, code: u8, group: Group<V4>) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(group.addr().octets());
    let checksum = Sum::of(&bytes).finish();
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// A General Query of `version`, to be answered within ten seconds.
fn general(version: Version) -> Vec<u8> {
    match version {
        Version::V1 => query(0, "0.0.0.0", &[]),
        Version::V2 => query(100, "0.0.0.0", &[]),
        Version::V3 => query(100, "0.0.0.0", &[2, 125, 0, 0]),
    }
}

/// What a frame says.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    V1(Group<V4>),
    V2(Group<V4>),
    Leave(Group<V4>),
    V3(Vec<(RecordKind, Group<V4>, Vec<Ipv4Addr>)>),
}

/// What `frame` says, if it says it as it should.
// G01, RFC 9776 4; G02, G03: each message goes where its version wants it, and is marked as all are.
#[track_caller]
fn said(frame: &[u8]) -> Said {
    let (ethernet, l3) = Header::parse(frame).unwrap();
    let ip = Ipv4::parse(l3).unwrap();
    assert_eq!((ip.ttl(), ip.tos(), ip.protocol()), (1, 0xc0, 2));
    assert!(ip.verify().is_ok() && ip.scan_options().unwrap().router_alert && ip.header_len() == 24);
    assert_eq!(ethernet.dst, Group::<V4>::new(ip.dst()).unwrap().mac());
    assert!(frame.len() >= 60 && ip.payload().len() >= 8);
    let (said, dst) = match Message::parse(ip.payload()).unwrap() {
        Message::ReportV1(group) => (Said::V1(group), group.addr()),
        Message::ReportV2(group) => (Said::V2(group), group.addr()),
        Message::LeaveV2(group) => (Said::Leave(group), Ipv4Addr::new(224, 0, 0, 2)),
        Message::ReportV3(report) => {
            let records = report.records().map(|r| (r.kind, r.group, r.sources.iter().collect()));
            (Said::V3(records.collect()), Ipv4Addr::new(224, 0, 0, 22))
        }
        Message::Query(query) => panic!("{query:?}"),
    };
    assert_eq!(ip.dst(), dst);
    said
}

impl TestFormat for V4 {
    const VERSIONS: &'static [Version] = &[Version::V3, Version::V2, Version::V1];

    fn policy(version: Option<Version>, robustness: Robustness) -> IgmpPolicy {
        let version = match version {
            None => IgmpVersion::Auto,
            Some(Version::V1) => IgmpVersion::V1,
            Some(Version::V2) => IgmpVersion::V2,
            Some(Version::V3) => IgmpVersion::V3,
        };
        IgmpPolicy { version, robustness, ..IgmpPolicy::default() }
    }

    fn query(version: Version, of: Option<Group<Self>>, sources: &[Ipv4Addr], within: Duration) -> Vec<u8> {
        let code = u8::try_from(within.as_millis() / 100).unwrap();
        let group = of.map_or(Ipv4Addr::UNSPECIFIED, Group::addr).to_string();
        match version {
            Version::V1 => query(0, "0.0.0.0", &[]),
            Version::V2 => query(code, &group, &[]),
            Version::V3 => {
                let mut rest = vec![2, 125, 0, u8::try_from(sources.len()).unwrap()];
                rest.extend(sources.iter().flat_map(|source| source.octets()));
                query(code, &group, &rest)
            }
        }
    }

    fn report(group: Group<Self>, version: Version) -> Vec<u8> {
        short(if version == Version::V1 { 0x12 } else { 0x16 }, 0, group)
    }

    fn neighbor() -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 0, 1)
    }

    fn own() -> Unicast<Self> {
        source().unwrap()
    }

    fn said(frame: &[u8]) -> link_tests::Said<Self> {
        match said(frame) {
            Said::V1(group) => link_tests::Said::Report(Version::V1, group),
            Said::V2(group) => link_tests::Said::Report(Version::V2, group),
            Said::Leave(group) => link_tests::Said::Leave(group),
            Said::V3(records) => link_tests::Said::Records(records),
        }
    }
}

/// Everything that will be said before `end`, and when.
fn all_until(igmp: &mut Igmp, now: Instant, rng: &mut Rng, end: Instant) -> Vec<(Instant, Said)> {
    let (mut all, mut now) = (Vec::new(), now);
    loop {
        all.extend(frames(igmp, now, rng).iter().map(|frame| (now, said(frame))));
        match igmp.poll_timeout() {
            Some(at) if at < end => now = now.max(at),
            Some(_) | None => return all,
        }
    }
}

/// The frames that are due `now`.
fn frames(igmp: &mut Igmp, now: Instant, rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut out = vec![0xee; 9];
    let mut frames = Vec::new();
    while igmp.next_frame(now, rng, MAC, source(), &mut out) {
        frames.push(out.clone());
    }
    frames
}

/// The records of a frame.
fn records(frame: &[u8]) -> Vec<(RecordKind, Group<V4>, usize)> {
    let (_, l3) = Header::parse(frame).unwrap();
    let ip = Ipv4::parse(l3).unwrap();
    let Ok(Message::ReportV3(report)) = Message::parse(ip.payload()) else { panic!("{frame:x?}") };
    report.records().map(|r| (r.kind, r.group, r.sources.len())).collect()
}

/// A message of type 0x11, sealed.
fn query(code: u8, group: &str, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x11, code, 0, 0];
    bytes.extend(group.parse::<Ipv4Addr>().unwrap().octets());
    bytes.extend(rest);
    let checksum = Sum::of(&bytes).finish();
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// An interface with 239.1.2.3 joined and all that was to be said of it said.
fn joined(rng: &mut Rng) -> (Igmp, Instant) {
    let (mut igmp, mut now) = (igmp(), Instant::ZERO);
    igmp.set_filter(now, group("239.1.2.3"), SourceFilter::ANY);
    while let Some(at) = igmp.poll_timeout() {
        now = now.max(at);
        frames(&mut igmp, now, rng);
    }
    (igmp, now)
}

// G01, RFC 9776 4; G02, 4.2.14; E02, RFC 1112 6.4; E09, RFC 894: the join of 239.1.2.3, byte by byte.
#[test]
fn a_join_is_this_frame() {
    let mut igmp = igmp();
    igmp.set_filter(Instant::ZERO, group("239.1.2.3"), SourceFilter::ANY);
    #[rustfmt::skip]
    let expected = [
        0x01, 0x00, 0x5e, 0x00, 0x00, 0x16, 0x02, 0, 0, 0, 0, 0x02, 0x08, 0x00,
        // Version 4, six words, TOS 0xc0, 40 bytes, id 0, DF, TTL 1, IGMP, checksum, addresses, Router Alert.
        0x46, 0xc0, 0, 40, 0, 0, 0x40, 0, 1, 2, 0x3d, 0xe5, 198, 18, 0, 2, 224, 0, 0, 22, 0x94, 0x04, 0, 0,
        // One record: TO_EX {} of 239.1.2.3.
        0x22, 0, 0xe8, 0xf9, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 2, 3,
        0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(frames(&mut igmp, Instant::ZERO, &mut Rng::new(1)), [expected]);
}

// G35, RFC 9776 4.2.13.
#[test]
fn a_report_is_not_held_back_for_want_of_an_address() {
    let mut igmp = igmp();
    igmp.set_filter(Instant::ZERO, group("239.1.2.3"), SourceFilter::ANY);
    let mut out = Vec::new();
    assert!(igmp.next_frame(Instant::ZERO, &mut Rng::new(1), MAC, None, &mut out));
    let ip = Ipv4::parse(&out[14..]).unwrap();
    assert_eq!(ip.src(), Ipv4Addr::UNSPECIFIED);
    assert!(ip.verify().is_ok());
}

// G33, G46, RFC 9776 4.2.15: 300 groups; and 400 sources (G32), over a small MTU and a large one.
#[test]
fn no_frame_exceeds_the_mtu_and_no_group_is_lost() {
    for mtu in [68, 576, 1500, 9000] {
        let (mut igmp, now) = (Igmp::new(mtu, IgmpPolicy::default(), 1), Instant::ZERO);
        let sources: Vec<u8> = (0..40).collect();
        (0..300).for_each(|n| igmp.set_filter(now, V4::group(n), SourceFilter::ANY));
        igmp.set_filter(now, V4::group(300), include(&sources));
        let frames = frames(&mut igmp, now, &mut Rng::new(1));
        assert!(frames.iter().all(|f| f.len() <= usize::from(mtu) + 14), "{mtu}");
        let told: Vec<_> = frames.iter().flat_map(|f| records(f)).collect();
        assert_eq!(told.iter().filter(|(kind, ..)| *kind == RecordKind::ChangeToExclude).count(), 300);
        assert_eq!(told.iter().map(|(.., sources)| sources).sum::<usize>(), 40);
        let least = (8 * 300 + 8 + 4 * 40_usize).div_ceil(room(mtu));
        assert!(frames.len() <= least + least / 4 + 1, "{} frames of {mtu}", frames.len());
    }
}

// G09, RFC 9776 4.1.12; G13, G14, 4.1.1: each version's general query is answered within its time.
#[test]
fn queries_of_every_version_are_answered_in_time() {
    let general_v3 = |code| query(code, "0.0.0.0", &[2, 125, 0, 0]);
    let cases = [
        (query(0, "0.0.0.0", &[]), 10_000, Version::V1),
        (query(255, "0.0.0.0", &[]), 25_500, Version::V2),
        (query(10, "239.1.2.3", &[]), 1_000, Version::V3),
        (general_v3(100), 10_000, Version::V3),
        (general_v3(0x80), 12_800, Version::V3),
        // "Now", which is soon.
        (general_v3(0), 10, Version::V3),
        (query(10, "239.1.2.3", &[2, 125, 0, 0]), 1_000, Version::V3),
        (query(10, "239.1.2.3", &[2, 125, 0, 1, 198, 18, 0, 1]), 1_000, Version::V3),
    ];
    for (message, within_ms, version) in cases {
        let mut rng = Rng::new(2);
        let (mut igmp, now) = joined(&mut rng);
        assert_eq!(igmp.receive(now, &mut rng, &packet(&message)), Ok(()));
        assert_eq!(frames(&mut igmp, now, &mut rng), Vec::<Vec<u8>>::new(), "not at once");
        let within = now + Duration::from_millis(within_ms);
        let answers = all_until(&mut igmp, now, &mut rng, within + Duration::from_secs(60));
        let [(at, answer)] = &answers[..] else { panic!("{message:x?}: {answers:?}") };
        assert!(*at > now && *at <= within, "{message:x?}: {:?}", at.since(now));
        let ours = group("239.1.2.3");
        let matches = match (version, answer) {
            (Version::V1, Said::V1(g)) | (Version::V2, Said::V2(g)) => *g == ours,
            (Version::V3, Said::V3(records)) => {
                matches!(&records[..],
                [(RecordKind::ModeIsExclude, g, sources)] if *g == ours && sources.is_empty())
                    || matches!(&records[..],
                [(RecordKind::ModeIsInclude, g, sources)] if *g == ours && sources.len() == 1)
            }
            _ => false,
        };
        assert!(matches, "{message:x?}: {answer:?}");
    }
}

// G06, G07, G08, G22: silence, and a reason each. G04: a query of 224.0.0.1 is whole, and there is nothing to say.
#[test]
fn what_is_no_query_is_not_answered() {
    let mut rng = Rng::new(3);
    let (mut igmp, now) = joined(&mut rng);
    let mut bad_checksum = query(10, "0.0.0.0", &[2, 125, 0, 0]);
    bad_checksum[2] ^= 1;
    let mut report = query(0, "239.1.2.3", &[]);
    report[0] = 0x16;
    report[2] = report[2].wrapping_sub(5);
    let mut unknown = query(0, "239.1.2.3", &[]);
    unknown[0] = 0x30;
    unknown[2] = unknown[2].wrapping_sub(0x1f);
    let cases = [
        (bad_checksum, Err(DropReason::IgmpChecksum)),
        (query(10, "0.0.0.0", &[2, 125]), Err(DropReason::IgmpTruncated)),
        (query(10, "0.0.0.0", &[2, 125, 0, 1, 198, 18, 0, 1]), Err(DropReason::IgmpQueryInvalid)),
        (report, Err(DropReason::IgmpUnwanted)),
        (unknown, Err(DropReason::IgmpUnwanted)),
        (query(10, ALL_HOSTS, &[2, 125, 0, 0]), Ok(())),
        (query(10, "239.1.2.4", &[2, 125, 0, 0]), Ok(())),
    ];
    for (message, outcome) in cases {
        assert_eq!(igmp.receive(now, &mut rng, &packet(&message)), outcome, "{message:x?}");
        assert_eq!(igmp.poll_timeout(), None, "{message:x?}");
    }
}

// G45: one report tells of both.
#[test]
fn a_shutdown_leaves_every_group_at_once() {
    let mut rng = Rng::new(4);
    let (mut igmp, now) = joined(&mut rng);
    igmp.set_filter(now, group("232.1.2.3"), include(&[1]));
    frames(&mut igmp, now, &mut rng);
    igmp.leave_all(now);
    let frames = frames(&mut igmp, now, &mut rng);
    assert_eq!(frames.len(), 1);
    let expected = [
        (RecordKind::BlockOldSources, group("232.1.2.3"), 1),
        (RecordKind::ChangeToInclude, group("239.1.2.3"), 0),
    ];
    assert_eq!(records(&frames[0]), expected);
}
