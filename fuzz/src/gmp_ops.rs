//! The body: operations on the group management of one interface.
//!
//! Bytes are read as operations: joins, leaves, filters, queries of every version and scope, reports of others, time, the
//! link, the operator's choices. Whatever they are: nothing panics; what is said is said in the version that is spoken, as
//! a host must say it, and of groups that are wanted (or, as a leave, of others); nothing is said of 224.0.0.1; and in the
//! end it falls silent and answers a query for exactly what is wanted.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use pollcast::addr::{Group, MacAddr, Unicast, V4};
use pollcast::io::{IgmpPolicy, IgmpVersion, Robustness};
use pollcast::rng::Rng;
use pollcast::sim::frames::{IgmpMessage, IgmpQuery, RecordKind, sealed};
use pollcast::stack::gmp::igmp::{Igmp, Packet};
use pollcast::stack::membership::SourceFilter;
use pollcast::time::Instant;
use pollcast::wire::igmp::Version;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const QUERIER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// The groups that operations speak of: two plain ones, one of the link, one of the source-specific range, all hosts'.
const GROUPS: [Ipv4Addr; 5] = [
    Ipv4Addr::new(239, 1, 2, 3),
    Ipv4Addr::new(239, 129, 2, 3),
    Ipv4Addr::new(224, 0, 0, 251),
    Ipv4Addr::new(232, 1, 2, 3),
    Ipv4Addr::new(224, 0, 0, 1),
];

fn group(n: u8) -> Group<V4> {
    Group::new(GROUPS[usize::from(n) % GROUPS.len()]).expect("all of them are groups")
}

/// Up to four sources, one for each bit.
fn sources(bits: u8) -> BTreeSet<Ipv4Addr> {
    (0..4).filter(|n| bits >> n & 1 == 1).map(|n| Ipv4Addr::new(198, 18, 1, n)).collect()
}

fn is_ssm(group: Ipv4Addr) -> bool {
    group.octets()[0] == 232
}

/// An interface and what it is to want.
struct World {
    igmp: Igmp,
    now: Instant,
    rng: Rng,
    wanted: BTreeMap<Ipv4Addr, SourceFilter<V4>>,
    said: Vec<IgmpMessage>,
}

/// Carries out the operations that `data` stands for.
pub fn fuzz_gmp_ops(data: &[u8]) {
    let igmp = Igmp::new(576, IgmpPolicy::default(), 7);
    let mut world =
        World { igmp, now: Instant::ZERO, rng: Rng::new(7), wanted: BTreeMap::new(), said: Vec::new() };
    for op in data.chunks_exact(4) {
        let [kind, a, b, c] = [op[0], op[1], op[2], op[3]];
        world.operate(kind, a, b, c);
        world.speak();
    }
    world.is_well();
}

impl World {
    fn operate(&mut self, kind: u8, a: u8, b: u8, c: u8) {
        match kind % 10 {
            0 | 1 => self.set(
                group(a),
                if b & 16 == 0 {
                    SourceFilter::Exclude(sources(b))
                } else {
                    SourceFilter::Include(sources(b))
                },
            ),
            2 => self.set(group(a), SourceFilter::NONE),
            3 => self.query(
                a % 3 + 1,
                (a & 64 != 0).then(|| group(b)),
                sources(if a & 128 == 0 { 0 } else { b >> 4 }),
                c,
            ),
            4 => {
                let kind = [0x12, 0x16, 0x17, 0x22][usize::from(a % 4)];
                let dst = group(b).addr();
                self.hear(QUERIER, dst, &sealed([&[kind, 0, 0, 0][..], &dst.octets()].concat()));
            }
            // From a nanosecond to 255 s.
            5 | 6 => self.advance(
                Duration::from_nanos(1) + Duration::from_millis(u64::from(b)) * 10u32.pow(u32::from(a % 4)),
            ),
            7 => self.igmp.announce_all(self.now),
            8 => self.choose(a, b),
            // Anything at all as a message, once with a checksum that is right.
            _ => self.hear(QUERIER, group(a).addr(), &sealed(vec![a, b, 0, 0, c, b, a, c, b, c])),
        }
    }

    fn set(&mut self, group: Group<V4>, filter: SourceFilter<V4>) {
        let means_nothing = is_ssm(group.addr()) && matches!(filter, SourceFilter::Exclude(_));
        if filter.is_none() || means_nothing || !group.is_reported() {
            self.wanted.remove(&group.addr());
        } else {
            self.wanted.insert(group.addr(), filter.clone());
        }
        self.igmp.set_filter(self.now, group, filter);
    }

    fn query(&mut self, version: u8, group: Option<Group<V4>>, sources: BTreeSet<Ipv4Addr>, tenths: u8) {
        let max_response = Duration::from_millis(u64::from(tenths) * 100);
        let general = IgmpQuery { version, max_response, ..IgmpQuery::general(QUERIER) };
        let query = match group {
            None => general,
            Some(group) => IgmpQuery {
                destination: group.addr(),
                group: group.addr(),
                sources: sources.into_iter().collect(),
                ..general
            },
        };
        self.hear(QUERIER, query.destination, &query.message());
    }

    fn hear(&mut self, src: Ipv4Addr, dst: Ipv4Addr, payload: &[u8]) {
        let packet = Packet { src, dst, hop_limit: 1, router_alert: self.rng.one_in(2), payload };
        // What it is of no use for is the packet path's to count.
        let _ = self.igmp.receive(self.now, &mut self.rng, &packet);
    }

    fn choose(&mut self, a: u8, b: u8) {
        let versions = [IgmpVersion::Auto, IgmpVersion::V1, IgmpVersion::V2, IgmpVersion::V3];
        let policy = IgmpPolicy {
            version: versions[usize::from(a % 4)],
            robustness: if b.is_multiple_of(8) { Robustness::Auto } else { Robustness::Pinned(b % 8) },
            query_interval: Duration::from_secs(125),
            strict_queries: a & 16 != 0,
        };
        self.igmp.set_policy(self.now, policy);
    }

    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.igmp.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.speak();
        }
        self.now = end;
    }

    /// What is due now is said, as it must be.
    fn speak(&mut self) {
        let (mut frame, mut frames) = (Vec::new(), 0);
        let source = Unicast::new(Ipv4Addr::new(198, 18, 0, 2));
        while self.igmp.next_frame(self.now, &mut self.rng, MAC, source, &mut frame) {
            frames += 1;
            assert!(frames <= 64, "no end of frames at one moment");
            assert!(frame.len() <= 576 + 14, "a frame of {} octets", frame.len());
            let message = IgmpMessage::read(&frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
            let message = message.expect("IGMP");
            self.judge(&message);
            self.said.push(message);
        }
    }

    fn judge(&self, message: &IgmpMessage) {
        let wants = |group: &Ipv4Addr| self.wanted.contains_key(group);
        let version = self.igmp.status(self.now).version;
        let right = match message {
            IgmpMessage::ReportV1(group) => version == Version::V1 && wants(group),
            IgmpMessage::ReportV2(group) => version == Version::V2 && wants(group),
            IgmpMessage::Leave(group) => version == Version::V2 && !wants(group),
            IgmpMessage::ReportV3(report) => {
                version == Version::V3
                    && report.records.iter().all(|record| match record.kind {
                        RecordKind::IsIn | RecordKind::Allow => wants(&record.group),
                        RecordKind::IsEx | RecordKind::ToEx => wants(&record.group) && !is_ssm(record.group),
                        RecordKind::ToIn | RecordKind::Block => true,
                    })
            }
        };
        assert!(right, "{message:?} in version {version:?}, of what is wanted {:?}", self.wanted);
    }

    /// It falls silent, and then answers for exactly what is wanted, in whatever version.
    fn is_well(&mut self) {
        self.advance(Duration::from_secs(600));
        let at = self.igmp.poll_timeout();
        assert!(at.is_none_or(|at| at > self.now), "no end of what is to be said");
        for version in [IgmpVersion::V3, IgmpVersion::V2, IgmpVersion::V1] {
            self.igmp.set_policy(self.now, IgmpPolicy { version, ..IgmpPolicy::default() });
            self.advance(Duration::from_secs(60));
            self.said.clear();
            self.query(3, None, BTreeSet::new(), 100);
            let asked = self.now;
            self.advance(Duration::from_secs(10));
            let told: BTreeSet<_> = self.said.iter().flat_map(IgmpMessage::reported).collect();
            let newest = version == IgmpVersion::V3;
            let expected = self.wanted.keys().copied().filter(|group| newest || !is_ssm(*group)).collect();
            assert_eq!(told, expected, "asked at {asked:?} in version {version}");
        }
    }
}
