//! Frames, strictness and addresses of MLD. Version 1 is in [`versions`], what routers come to believe in `link_tests`.

mod versions;

use core::net::Ipv6Addr;

use super::format::room;
use super::*;
use crate::addr::{Family, Group, MacAddr, Unicast};
use crate::io::Robustness;
use crate::rng::Rng;
use crate::stack::gmp::link_tests::{MAC, Said, TestFormat};
use crate::stack::gmp::test_family::{TestFamily, exclude, include};
use crate::stack::gmp::{HeardQuerier, RecordKind};
use crate::stack::source_filter::SourceFilter;
use crate::time::Instant;
use crate::wire::ethernet::Header;
use crate::wire::ipv6::Ipv6;

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);
const OURS: &str = "ff0e::1:2:3";
const OTHER: &str = "ff0e::1:2:4";
const SSM: &str = "ff3e::1:2:3";

fn v6(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn group(s: &str) -> Group<V6> {
    Group::new(v6(s)).unwrap()
}

fn link_local() -> Unicast<V6> {
    Unicast::new(v6("fe80::2")).unwrap()
}

/// The checksum of an ICMPv6 message, word by word.
fn sealed(src: Ipv6Addr, dst: Ipv6Addr, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[2..4].fill(0);
    let len = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let whole = [&src.octets()[..], &dst.octets(), &len, &[0, 0, 0, 58], &bytes].concat();
    let mut sum: u32 =
        whole.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[2..4].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    bytes
}

/// A message of 24 bytes from fe80::1, sealed for `dst`.
fn short_to(dst: Ipv6Addr, kind: u8, code: u16, of: Ipv6Addr) -> Vec<u8> {
    let head = [&[kind, 0, 0, 0][..], &code.to_be_bytes(), &[0, 0]].concat();
    sealed(V6::neighbor(), dst, [&head[..], &of.octets()].concat())
}

/// The rest of a version 2 query: robustness 2, 125 s, these sources.
fn rest(sources: &[Ipv6Addr]) -> Vec<u8> {
    let mut rest = vec![2, 125];
    rest.extend(u16::try_from(sources.len()).unwrap().to_be_bytes());
    rest.extend(sources.iter().flat_map(|s| s.octets()));
    rest
}

/// A query from fe80::1 to `dst`; of version 1 if there is no rest.
fn query_to(dst: Ipv6Addr, code: u16, of: Ipv6Addr, rest: &[u8]) -> Vec<u8> {
    sealed(V6::neighbor(), dst, [short_to(dst, 130, code, of), rest.to_vec()].concat())
}

/// A General Query to ff02::1, to be answered within ten seconds.
fn general(version: Version) -> Vec<u8> {
    <V6 as TestFormat>::query(version, None, &[], SECOND * 10)
}

fn packet(payload: &[u8]) -> Packet<'_> {
    Packet { src: V6::neighbor(), dst: V6::ALL_HOSTS, hop_limit: 1, router_alert: true, payload }
}

impl TestFormat for V6 {
    const VERSIONS: &'static [Version] = &[Version::V2, Version::V1];

    fn policy(version: Option<Version>, robustness: Robustness) -> MldPolicy {
        let version = match version {
            None => MldVersion::Auto,
            Some(Version::V1) => MldVersion::V1,
            Some(_) => MldVersion::V2,
        };
        MldPolicy { version, robustness, ..MldPolicy::default() }
    }

    fn query(version: Version, of: Option<Group<Self>>, sources: &[Ipv6Addr], within: Duration) -> Vec<u8> {
        let code = u16::try_from(within.as_millis()).unwrap();
        let of = of.map_or(Ipv6Addr::UNSPECIFIED, Group::addr);
        let rest = if version == Version::V1 { vec![] } else { rest(sources) };
        query_to(Self::ALL_HOSTS, code, of, &rest)
    }

    fn report(group: Group<Self>, _version: Version) -> Vec<u8> {
        short_to(group.addr(), 131, 0, group.addr())
    }

    fn neighbor() -> Ipv6Addr {
        v6("fe80::1")
    }

    fn own() -> Unicast<Self> {
        link_local()
    }

    // L01, RFC 9777 5; L02, RFC 2710 5, RFC 9777 5.2.14: each message goes where its version wants it, and is marked as all
    // are.
    fn said(frame: &[u8]) -> Said<Self> {
        said_from(frame, v6("fe80::2"))
    }
}

/// What `frame` says, if it is from `src` and says it as it should.
#[track_caller]
fn said_from(frame: &[u8], src: Ipv6Addr) -> Said<V6> {
    let (ethernet, l3) = Header::parse(frame).unwrap();
    let ip = Ipv6::parse(l3).unwrap();
    assert_eq!((ip.src(), ip.hop_limit(), ip.next_header()), (src, 1, 0));
    let (options, message) = ip.payload().split_at(8);
    assert_eq!(options, [0x3a, 0, 5, 2, 0, 0, 1, 0]);
    // E03, RFC 2464 7.
    let o = ip.dst().octets();
    assert_eq!((ethernet.dst, ethernet.src), (MacAddr([0x33, 0x33, o[12], o[13], o[14], o[15]]), MAC));
    assert_eq!(message, sealed(src, ip.dst(), message.to_vec()), "the checksum");
    let (said, dst) = match Message::parse(src, ip.dst(), message).unwrap() {
        Message::ReportV1(group) => (Said::Report(Version::V1, group), group.addr()),
        Message::DoneV1(group) => (Said::Leave(group), v6("ff02::2")),
        Message::ReportV2(report) => {
            let records = report.records().map(|r| (r.kind, r.group, r.sources.iter().collect()));
            (Said::Records(records.collect()), v6("ff02::16"))
        }
        Message::Query(query) => panic!("{query:?}"),
    };
    assert_eq!(ip.dst(), dst);
    said
}

/// An interface in some state, its clock and its chance.
struct World {
    mld: Mld,
    now: Instant,
    rng: Rng,
    source: Option<Unicast<V6>>,
}

impl World {
    /// An interface that wants nothing.
    fn empty(policy: MldPolicy) -> Self {
        Self {
            mld: Mld::new(1500, policy, 1),
            now: Instant::ZERO,
            rng: Rng::new(7),
            source: Some(link_local()),
        }
    }

    /// One group is joined from any source, another from one, one of the source-specific range from one; all that was to be
    /// said is said.
    fn new(policy: MldPolicy) -> Self {
        let mut w = Self::empty(policy);
        w.set(OURS, SourceFilter::ANY);
        w.set(OTHER, include(&[4]));
        w.set(SSM, include(&[1]));
        w.pass(SECOND * 60);
        w
    }

    fn set(&mut self, g: &str, filter: SourceFilter<V6>) {
        self.mld.set_filter(self.now, group(g), filter);
    }

    fn receive(&mut self, packet: &Packet<'_>) -> Result<(), DropReason> {
        self.mld.receive(self.now, &mut self.rng, packet)
    }

    #[track_caller]
    fn hear(&mut self, payload: &[u8]) {
        assert_eq!(self.receive(&packet(payload)), Ok(()));
    }

    fn frames(&mut self) -> Vec<Vec<u8>> {
        let (mut out, mut frames) = (vec![0xee; 9], Vec::new());
        while self.mld.next_frame(self.now, &mut self.rng, MAC, self.source, &mut out) {
            frames.push(out.clone());
        }
        frames
    }

    /// What is said while `time` passes, and when.
    #[track_caller]
    fn pass_at(&mut self, time: Duration) -> Vec<(Instant, Said<V6>)> {
        let (end, mut all) = (self.now + time, Vec::new());
        let src = self.source.map_or(Ipv6Addr::UNSPECIFIED, Unicast::addr);
        loop {
            all.extend(self.frames().iter().map(|frame| (self.now, said_from(frame, src))));
            match self.mld.poll_timeout() {
                Some(at) if at < end => self.now = self.now.max(at),
                Some(_) | None => break,
            }
        }
        self.now = end;
        all
    }

    #[track_caller]
    fn pass(&mut self, time: Duration) -> Vec<Said<V6>> {
        self.pass_at(time).into_iter().map(|(_, said)| said).collect()
    }

    fn version(&self) -> Version {
        self.mld.status(self.now).version
    }
}

fn record(kind: RecordKind, g: &str, sources: &[u8]) -> (RecordKind, Group<V6>, Vec<Ipv6Addr>) {
    (kind, group(g), sources.iter().map(|n| V6::source(*n)).collect())
}

/// One report of these.
fn records(kind: RecordKind, g: &str, sources: &[u8]) -> Said<V6> {
    Said::Records(vec![record(kind, g, sources)])
}

/// The whole state, as an answer tells it.
fn state() -> Said<V6> {
    use RecordKind::{ModeIsExclude, ModeIsInclude};
    Said::Records(vec![
        record(ModeIsExclude, OURS, &[]),
        record(ModeIsInclude, OTHER, &[4]),
        record(ModeIsInclude, SSM, &[1]),
    ])
}

fn reports(groups: &[&str]) -> Vec<Said<V6>> {
    groups.iter().map(|g| Said::Report(Version::V1, group(g))).collect()
}

fn sorted(mut said: Vec<Said<V6>>) -> Vec<Said<V6>> {
    said.sort_by_key(|said| format!("{said:?}"));
    said
}

fn pinned(version: MldVersion) -> MldPolicy {
    MldPolicy { version, ..MldPolicy::default() }
}

// L01, L02, E03, RFC 9777 5, 5.2: the join of ff0e::1:2:3, byte by byte.
#[test]
fn a_join_is_this_frame() {
    let mut w = World::empty(MldPolicy::default());
    w.set(OURS, SourceFilter::ANY);
    let message = [
        &[143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0xff, 0x0e, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[0, 1, 0, 2, 0, 3],
    ]
    .concat();
    let expected = [
        &[0x33, 0x33, 0, 0, 0, 0x16, 0x02, 0, 0, 0, 0, 0x02, 0x86, 0xdd][..],
        // Version 6, no class nor label, 36 bytes, Hop-by-Hop Options next, hop limit 1.
        &[0x60, 0, 0, 0, 0, 36, 0, 1],
        &v6("fe80::2").octets(),
        &v6("ff02::16").octets(),
        // ICMPv6 next, eight bytes: Router Alert 0 (MLD), PadN 0.
        &[0x3a, 0, 5, 2, 0, 0, 1, 0],
        &sealed(v6("fe80::2"), v6("ff02::16"), message),
    ];
    assert_eq!(w.frames(), [expected.concat()]);
}

// L03, RFC 9777 6.2; RFC 2710 3: source link-local, hop limit 1, Router Alert; each of them, of either version.
#[test]
fn what_is_not_of_this_link_is_not_heard() {
    let from = |src: &str, payload: Vec<u8>| (v6(src), sealed(v6(src), V6::ALL_HOSTS, payload));
    for version in [Version::V1, Version::V2] {
        let cases = [
            (from("2001:db8::1", general(version)), 1, true),
            (from("::", general(version)), 1, true),
            (from("fec0::1", general(version)), 1, true),
            (from("fe80::1", general(version)), 2, true),
            (from("fe80::1", general(version)), 255, true),
            (from("fe80::1", general(version)), 0, true),
            (from("fe80::1", general(version)), 1, false),
        ];
        for ((src, payload), hop_limit, router_alert) in cases {
            let mut w = World::new(MldPolicy::default());
            let packet = Packet { src, dst: V6::ALL_HOSTS, hop_limit, router_alert, payload: &payload };
            assert_eq!(w.receive(&packet), Err(DropReason::MldNotOfLink), "{packet:?}");
            assert_eq!((w.pass(SECOND * 30), w.version()), (vec![], Version::V2), "{packet:?}");
        }
        let mut w = World::new(MldPolicy::default());
        w.hear(&general(version));
        assert!(!w.pass(SECOND * 30).is_empty());
    }
}

// L03: another's report may spare us ours only if the router took it.
#[test]
fn a_report_that_no_router_takes_suppresses_nothing() {
    for (src, hop_limit, router_alert) in
        [("::", 1, true), ("2001:db8::9", 1, true), ("fe80::9", 2, true), ("fe80::9", 1, false)]
    {
        let mut w = World::new(pinned(MldVersion::V1));
        w.hear(&general(Version::V1));
        let dst = v6(OURS);
        let payload = sealed(v6(src), dst, short_to(dst, 131, 0, dst));
        let packet = Packet { src: v6(src), dst, hop_limit, router_alert, payload: &payload };
        assert_eq!(w.receive(&packet), Err(DropReason::MldNotOfLink), "{packet:?}");
        assert_eq!(sorted(w.pass(SECOND * 11)), reports(&[OURS, OTHER]));
    }
}

// L04, RFC 9777 6: never a word about ff02::1, nor of what stays on the host; L05, RFC 9777 6, RFC 4541 3: the other groups
// of the link are told, solicited-node ones among them.
#[test]
fn groups_of_the_link_are_told_but_for_all_nodes() {
    for version in [MldVersion::V1, MldVersion::V2] {
        for silent in ["ff02::1", "ff01::5", "ff00::5", "ff11::7"] {
            let mut w = World::empty(pinned(version));
            w.set(silent, SourceFilter::ANY);
            for dst in [V6::ALL_HOSTS, v6(silent)] {
                let payload = query_to(dst, 1000, v6(silent), &rest(&[]));
                w.receive(&Packet { dst, ..packet(&payload) }).unwrap();
            }
            w.hear(&general(Version::V2));
            w.set(silent, SourceFilter::NONE);
            w.mld.announce_all(w.now);
            assert_eq!(w.pass(SECOND * 60), [], "{silent}");
        }
        for told in ["ff02::1:ff00:2", "ff02::2", "ff02::fb"] {
            let mut w = World::empty(pinned(version));
            w.set(told, SourceFilter::ANY);
            let expected = match version {
                MldVersion::V1 => Said::Report(Version::V1, group(told)),
                _ => records(RecordKind::ChangeToExclude, told, &[]),
            };
            assert_eq!(w.pass(NANO), [expected]);
        }
    }
}

// L06, L13, L14: silence, and a reason each.
#[test]
fn what_is_no_query_is_not_answered() {
    let all = V6::ALL_HOSTS;
    let mut bad_checksum = general(Version::V2);
    bad_checksum[2] ^= 1;
    let whole = query_to(all, 1000, v6(OURS), &rest(&[V6::source(1)]));
    let cut = |len: usize| sealed(V6::neighbor(), all, whole[..len].to_vec());
    let cases = [
        (bad_checksum, DropReason::MldChecksum),
        (cut(23), DropReason::MldTruncated),
        (cut(25), DropReason::MldTruncated),
        (cut(27), DropReason::MldTruncated),
        // "Number two, one included": here one, and less than one.
        (cut(43), DropReason::MldQueryInvalid),
        (query_to(all, 1000, Ipv6Addr::UNSPECIFIED, &rest(&[V6::source(1)])), DropReason::MldQueryInvalid),
        (query_to(all, 1000, v6("2001:db8::1"), &rest(&[])), DropReason::MldQueryInvalid),
        (short_to(all, 99, 0, v6(OURS)), DropReason::MldUnwanted),
    ];
    for (payload, why) in cases {
        let mut w = World::new(MldPolicy::default());
        assert_eq!(w.receive(&packet(&payload)), Err(why), "{payload:x?}");
        assert_eq!(w.pass(SECOND * 30), [], "{payload:x?}");
    }
}

// L14, TAHI 2.16: "number two, one included" is ignored; "zero, but one included" asks of the group as a whole.
#[test]
fn the_two_wrong_source_lists_of_tahi() {
    let all = V6::ALL_HOSTS;
    let mut two = rest(&[V6::source(4)]);
    two[3] = 2;
    let mut w = World::new(MldPolicy::default());
    let payload = query_to(all, 1000, v6(OURS), &two);
    assert_eq!(w.receive(&packet(&payload)), Err(DropReason::MldQueryInvalid));
    assert_eq!(w.pass(SECOND * 30), []);
    let mut zero = rest(&[V6::source(4)]);
    zero[3] = 0;
    w.hear(&query_to(all, 1000, v6(OURS), &zero));
    assert_eq!(w.pass(SECOND * 2), [records(RecordKind::ModeIsExclude, OURS, &[])]);
}

// L07, L10, RFC 9777 6.2, 6.3: each query within its time, in milliseconds, at any of our addresses; of a group and sources
// what is wanted of them, in EXCLUDE mode IS_IN (B-A), and an empty list is no answer.
#[test]
fn queries_are_answered_in_time_with_what_is_wanted() {
    use RecordKind::{ModeIsExclude, ModeIsInclude};
    let unspecified = Ipv6Addr::UNSPECIFIED;
    let sources = |list: &[u8]| rest(&list.iter().map(|n| V6::source(*n)).collect::<Vec<_>>());
    let cases = [
        (query_to(V6::ALL_HOSTS, 10_000, unspecified, &rest(&[])), 10_000, Some(state())),
        (query_to(V6::ALL_HOSTS, 0x8000, unspecified, &rest(&[])), 32_768, Some(state())),
        // "Now", which is soon.
        (query_to(V6::ALL_HOSTS, 0, unspecified, &rest(&[])), 10, Some(state())),
        (query_to(V6::ALL_HOSTS, 300, v6(OURS), &rest(&[])), 300, Some(records(ModeIsExclude, OURS, &[]))),
        (query_to(V6::ALL_HOSTS, 300, v6(OURS), &[]), 300, Some(records(ModeIsExclude, OURS, &[]))),
        (
            query_to(V6::ALL_HOSTS, 300, v6(OURS), &sources(&[1, 2])),
            300,
            Some(records(ModeIsInclude, OURS, &[1, 2])),
        ),
        (
            query_to(V6::ALL_HOSTS, 300, v6(OTHER), &sources(&[3, 4])),
            300,
            Some(records(ModeIsInclude, OTHER, &[4])),
        ),
        (query_to(V6::ALL_HOSTS, 300, v6(OTHER), &sources(&[3])), 300, None),
        (query_to(V6::ALL_HOSTS, 300, v6("ff0e::9"), &rest(&[])), 300, None),
    ];
    for (payload, within_ms, expected) in cases {
        let mut w = World::new(MldPolicy::default());
        w.hear(&payload);
        assert_eq!(w.frames(), Vec::<Vec<u8>>::new(), "not at once");
        let asked = w.now;
        let said = w.pass_at(SECOND * 120);
        assert!(said.iter().all(|(at, _)| at.since(asked) <= Duration::from_millis(within_ms)), "{said:?}");
        assert_eq!(said.into_iter().map(|(_, said)| said).collect::<Vec<_>>(), Vec::from_iter(expected));
    }
    // In EXCLUDE mode what is not excluded; and RFC 9777 5.1.15: to the group, or to us alone.
    for dst in [v6(OURS), v6("fe80::2"), v6("2001:db8::2")] {
        let mut w = World::new(MldPolicy::default());
        w.set(OURS, exclude(&[1]));
        w.pass(SECOND * 5);
        let payload = query_to(dst, 300, v6(OURS), &sources(&[1, 2]));
        assert_eq!(w.receive(&Packet { dst, ..packet(&payload) }), Ok(()));
        assert_eq!(w.pass(SECOND), [records(ModeIsInclude, OURS, &[2])]);
    }
}

// L08, RFC 3590 4, RFC 9777 5.2.13: from `::` while there is no link-local address; L15: nothing is lost: as soon as there is
// one, everything is told again from it, as often as if it had just been joined.
#[test]
fn what_was_told_before_the_link_local_address_is_told_again_from_it() {
    for version in [MldVersion::V2, MldVersion::V1] {
        let mut w = World::empty(pinned(version));
        w.source = None;
        w.set("ff02::1:ff00:2", SourceFilter::ANY);
        w.set(OURS, SourceFilter::ANY);
        let early = w.pass(SECOND * 30);
        assert!(!early.is_empty(), "not held back");
        assert_eq!(w.mld.message_timeout(), None);
        w.source = Some(link_local());
        let told = w.pass(SECOND * 30);
        let expected = match version {
            MldVersion::V1 => reports(&[OURS, "ff02::1:ff00:2", OURS, "ff02::1:ff00:2"]),
            _ => {
                use RecordKind::ChangeToExclude;
                let both =
                    [record(ChangeToExclude, "ff02::1:ff00:2", &[]), record(ChangeToExclude, OURS, &[])];
                vec![Said::Records(both.to_vec()); 2]
            }
        };
        assert_eq!(sorted(told), sorted(expected));
        assert_eq!(w.pass(SECOND * 300), [], "and no more");
    }
}

// L15, RFC 3590: a group that is joined and left before there is an address is not told of later.
#[test]
fn what_was_left_before_there_was_an_address_is_not_told_again() {
    let mut w = World::empty(MldPolicy::default());
    w.source = None;
    w.set(OURS, SourceFilter::ANY);
    w.pass(SECOND * 5);
    w.set(OURS, SourceFilter::NONE);
    w.pass(SECOND * 5);
    w.source = Some(link_local());
    assert_eq!(w.pass(SECOND * 60), []);
}

// L09, RFC 9777 6.1: changes as in IGMPv3: told at once, merged, as often as the robustness variable says, within a second.
#[test]
fn changes_are_told_as_in_igmp() {
    use RecordKind::{AllowNewSources, BlockOldSources, ChangeToExclude, ChangeToInclude};
    let mut w = World::empty(MldPolicy { robustness: Robustness::Pinned(3), ..MldPolicy::default() });
    w.set(OURS, include(&[1, 2]));
    assert_eq!(w.pass(SECOND * 5), vec![records(AllowNewSources, OURS, &[1, 2]); 3]);
    w.set(OURS, include(&[2, 3]));
    let both = Said::Records(vec![record(AllowNewSources, OURS, &[3]), record(BlockOldSources, OURS, &[1])]);
    assert_eq!(w.pass(SECOND * 5), vec![both; 3]);
    w.set(OURS, exclude(&[4]));
    assert_eq!(w.pass(NANO), [records(ChangeToExclude, OURS, &[4])]);
    w.set(OURS, exclude(&[4, 5]));
    // At once, and merged: the change of mode is told three times in all, the change of sources, too.
    let to_exclude = records(ChangeToExclude, OURS, &[4, 5]);
    let merged = [to_exclude.clone(), to_exclude, records(BlockOldSources, OURS, &[5])];
    assert_eq!(w.pass(SECOND * 5), merged);
    w.set(OURS, SourceFilter::NONE);
    assert_eq!(w.pass(SECOND * 5), vec![records(ChangeToInclude, OURS, &[]); 3]);
}

// L09 (the twin of G32, G33, G46), RFC 9777 5.2.15: no report exceeds the MTU, no group is lost.
#[test]
fn no_frame_exceeds_the_mtu_and_no_group_is_lost() {
    for mtu in [1280, 1500, 9000] {
        let mut w = World::empty(MldPolicy::default());
        w.mld.set_mtu(mtu);
        let sources: Vec<u8> = (0..40).collect();
        (0..300).for_each(|n| w.mld.set_filter(w.now, V6::group(n), SourceFilter::ANY));
        w.mld.set_filter(w.now, V6::group(300), include(&sources));
        let frames = w.frames();
        assert!(frames.iter().all(|f| f.len() <= usize::from(mtu) + 14), "{mtu}");
        let mut told = (0, 0);
        for frame in &frames {
            let Said::Records(records) = V6::said(frame) else { panic!() };
            told.0 += records.len();
            told.1 += records.iter().map(|(.., sources)| sources.len()).sum::<usize>();
        }
        assert_eq!(told, (301, 40));
        let least = (20 * 301 + 16 * 40_usize).div_ceil(room(mtu));
        assert!(frames.len() <= least + least / 4 + 1, "{} frames of {mtu}", frames.len());
    }
}

#[test]
fn the_querier_is_who_asked_last_of_all_groups() {
    let mut w = World::new(MldPolicy::default());
    assert_eq!(w.mld.status(w.now).querier, None);
    w.hear(&general(Version::V2));
    let querier = HeardQuerier { addr: v6("fe80::1"), version: Version::V2, at: w.now };
    w.pass(SECOND * 11);
    w.hear(&query_to(V6::ALL_HOSTS, 1000, v6(OURS), &[]));
    assert_eq!(w.mld.status(w.now).querier, Some(querier));
}
