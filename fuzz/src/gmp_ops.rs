//! The body: operations on the group management of one interface, in IGMP and in MLD.
//!
//! Bytes are read as operations: joins, leaves, filters, queries of every version and scope, reports of others, time, the
//! link, the operator's choices. Whatever they are: nothing panics; what is said is said in the version that is spoken, as
//! a host must say it, and of groups that are wanted (or, as a leave, of others); nothing is said of the group of all hosts; and
//! in the end it falls silent and answers a query for exactly what is wanted.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use pollcast::addr::{Family, Group, MacAddr, Unicast, V4, V6};
use pollcast::io::{IgmpPolicy, IgmpVersion, MldPolicy, MldVersion, Robustness};
use pollcast::rng::Rng;
use pollcast::sim::frames::{IgmpMessage, IgmpQuery, MldMessage, MldQuery, RecordKind, mld_frame, sealed};
use pollcast::stack::gmp::{Format, Gmp, Packet, Version};
use pollcast::stack::membership::SourceFilter;
use pollcast::time::Instant;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// What a host said.
#[derive(Debug)]
enum Said<F: Family> {
    /// A report in an older version.
    Report(Version, F::Addr),
    /// A leave in an older version.
    Leave(Version, F::Addr),
    /// The records of a report in the newest version.
    Records(Vec<(RecordKind, F::Addr)>),
}

/// What operations, and who judges what they lead to, have to know of a protocol.
trait Protocol: Format {
    /// The groups that operations speak of: two plain ones with one MAC, one of the link, one of the source-specific range, that
    /// of all hosts, and, if there is such a thing, one that does not leave the host.
    const GROUPS: &'static [Self::Addr];

    /// Its versions, the newest first.
    const VERSIONS: &'static [Version];

    /// The types of what others say.
    const OF_OTHERS: [u8; 4];

    /// The largest packet of the link.
    const MTU: u16;

    /// Who asks.
    const QUERIER: Self::Addr;

    fn source(n: u8) -> Self::Addr;

    fn own() -> Option<Unicast<Self>>;

    /// The operator's choice; `None`: as queriers speak.
    fn policy(version: Option<Version>, robustness: Robustness, is_strict: bool) -> Self::Policy;

    /// A query as the payload of its packet: of one group, or all.
    fn query(
        version: Version,
        group: Option<Self::Addr>,
        sources: Vec<Self::Addr>,
        within: Duration,
    ) -> Vec<u8>;

    /// A message of this type about `group`, with a checksum that is right.
    fn message(kind: u8, group: Self::Addr) -> Vec<u8>;

    /// Anything at all to `dst`, with a checksum that is right.
    fn anything(bytes: [u8; 10], dst: Self::Addr) -> Vec<u8>;

    /// What the frame says, if it says it as a host must.
    fn said(frame: &[u8]) -> Result<Option<Said<Self>>, &'static str>;
}

impl Protocol for V4 {
    const GROUPS: &'static [Ipv4Addr] = &[
        Ipv4Addr::new(239, 1, 2, 3),
        Ipv4Addr::new(239, 129, 2, 3),
        Ipv4Addr::new(224, 0, 0, 251),
        Ipv4Addr::new(232, 1, 2, 3),
        Ipv4Addr::new(224, 0, 0, 1),
    ];
    const VERSIONS: &'static [Version] = &[Version::V3, Version::V2, Version::V1];
    const OF_OTHERS: [u8; 4] = [0x12, 0x16, 0x17, 0x22];
    const MTU: u16 = 576;
    const QUERIER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

    fn source(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 1, n)
    }

    fn own() -> Option<Unicast<Self>> {
        Unicast::new(Ipv4Addr::new(198, 18, 0, 2))
    }

    fn policy(version: Option<Version>, robustness: Robustness, is_strict: bool) -> IgmpPolicy {
        let version = match version {
            None => IgmpVersion::Auto,
            Some(Version::V1) => IgmpVersion::V1,
            Some(Version::V2) => IgmpVersion::V2,
            Some(Version::V3) => IgmpVersion::V3,
        };
        IgmpPolicy { version, robustness, strict_queries: is_strict, ..IgmpPolicy::default() }
    }

    fn query(version: Version, group: Option<Ipv4Addr>, sources: Vec<Ipv4Addr>, within: Duration) -> Vec<u8> {
        let version = version.number();
        let group = group.unwrap_or(Ipv4Addr::UNSPECIFIED);
        IgmpQuery { version, group, sources, max_response: within, ..IgmpQuery::general(Self::QUERIER) }
            .message()
    }

    fn message(kind: u8, group: Ipv4Addr) -> Vec<u8> {
        sealed([&[kind, 0, 0, 0][..], &group.octets()].concat())
    }

    fn anything(bytes: [u8; 10], _dst: Ipv4Addr) -> Vec<u8> {
        sealed(bytes.to_vec())
    }

    fn said(frame: &[u8]) -> Result<Option<Said<Self>>, &'static str> {
        let said = IgmpMessage::read(frame)?.map(|message| match message {
            IgmpMessage::ReportV1(group) => Said::Report(Version::V1, group),
            IgmpMessage::ReportV2(group) => Said::Report(Version::V2, group),
            IgmpMessage::Leave(group) => Said::Leave(Version::V2, group),
            IgmpMessage::ReportV3(report) => Said::records(report.records.iter().map(|r| (r.kind, r.group))),
        });
        Ok(said)
    }
}

impl Protocol for V6 {
    const GROUPS: &'static [Ipv6Addr] = &[
        Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 1, 2, 3),
        Ipv6Addr::new(0xff05, 0, 0, 0, 0, 1, 2, 3),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb),
        Ipv6Addr::new(0xff3e, 0, 0, 0, 0, 0, 0x8000, 3),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0xff01, 0, 0, 0, 0, 1, 2, 3),
    ];
    const VERSIONS: &'static [Version] = &[Version::V2, Version::V1];
    const OF_OTHERS: [u8; 4] = [131, 132, 143, 130];
    const MTU: u16 = 1280;
    const QUERIER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    fn source(n: u8) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n.into())
    }

    fn own() -> Option<Unicast<Self>> {
        Unicast::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2))
    }

    fn policy(version: Option<Version>, robustness: Robustness, _is_strict: bool) -> MldPolicy {
        let version = match version {
            None => MldVersion::Auto,
            Some(Version::V1) => MldVersion::V1,
            Some(_) => MldVersion::V2,
        };
        MldPolicy { version, robustness, ..MldPolicy::default() }
    }

    fn query(version: Version, group: Option<Ipv6Addr>, sources: Vec<Ipv6Addr>, within: Duration) -> Vec<u8> {
        let version = version.number();
        let destination = group.unwrap_or(Self::ALL_HOSTS);
        let group = group.unwrap_or(Ipv6Addr::UNSPECIFIED);
        let general = MldQuery::general(Self::QUERIER);
        payload(&MldQuery { version, destination, group, sources, max_response: within, ..general }.frame())
    }

    fn message(kind: u8, group: Ipv6Addr) -> Vec<u8> {
        payload(&mld_frame(Self::QUERIER, group, kind, &[&[0; 4], &group.octets()[..]].concat()).frame())
    }

    fn anything([kind, code, _, _, body @ ..]: [u8; 10], dst: Ipv6Addr) -> Vec<u8> {
        let mut icmp = mld_frame(Self::QUERIER, dst, kind, &body);
        icmp.code = code;
        payload(&icmp.frame())
    }

    fn said(frame: &[u8]) -> Result<Option<Said<Self>>, &'static str> {
        let said = MldMessage::read(frame)?.map(|message| match message {
            MldMessage::ReportV1(group) => Said::Report(Version::V1, group),
            MldMessage::Done(group) => Said::Leave(Version::V1, group),
            MldMessage::ReportV2(report) => Said::records(report.records.iter().map(|r| (r.kind, r.group))),
        });
        Ok(said)
    }
}

/// What is behind Ethernet, IPv6 and eight bytes of options.
fn payload(frame: &[u8]) -> Vec<u8> {
    frame[14 + 40 + 8..].to_vec()
}

impl<F: Family> Said<F> {
    fn records(records: impl Iterator<Item = (RecordKind, F::Addr)>) -> Self {
        Self::Records(records.collect())
    }

    /// The groups that it reports.
    fn reported(&self) -> Vec<F::Addr> {
        match self {
            Self::Report(_, group) => vec![*group],
            Self::Leave(..) => Vec::new(),
            Self::Records(records) => records.iter().map(|(_, group)| *group).collect(),
        }
    }
}

fn group<F: Protocol>(n: u8) -> Group<F> {
    Group::new(F::GROUPS[usize::from(n) % F::GROUPS.len()]).expect("all of them are groups")
}

/// Up to four sources, one for each bit.
fn sources<F: Protocol>(bits: u8) -> BTreeSet<F::Addr> {
    (0..4).filter(|n| bits >> n & 1 == 1).map(F::source).collect()
}

/// An interface and what it is to want.
struct World<F: Protocol> {
    gmp: Gmp<F>,
    now: Instant,
    rng: Rng,
    wanted: BTreeMap<F::Addr, SourceFilter<F>>,
    said: Vec<Said<F>>,
}

/// Carries out the operations that `data` stands for, in either protocol.
pub fn fuzz_gmp_ops(data: &[u8]) {
    World::<V4>::play(data);
    World::<V6>::play(data);
}

impl<F: Protocol> World<F> {
    fn play(data: &[u8]) {
        let gmp = Gmp::new(F::MTU, F::Policy::default(), 7);
        let mut world =
            Self { gmp, now: Instant::ZERO, rng: Rng::new(7), wanted: BTreeMap::new(), said: Vec::new() };
        for op in data.chunks_exact(4) {
            let [kind, a, b, c] = [op[0], op[1], op[2], op[3]];
            world.operate(kind, a, b, c);
            world.speak();
        }
        world.is_well();
    }

    fn operate(&mut self, kind: u8, a: u8, b: u8, c: u8) {
        match kind % 10 {
            0 | 1 => self.set(
                group(a),
                if b & 16 == 0 {
                    SourceFilter::Exclude(sources::<F>(b))
                } else {
                    SourceFilter::Include(sources::<F>(b))
                },
            ),
            2 => self.set(group(a), SourceFilter::NONE),
            3 => {
                let version = F::VERSIONS[usize::from(a % 4) % F::VERSIONS.len()];
                let asked = (a & 64 != 0).then(|| group::<F>(b).addr());
                let sources = sources::<F>(if a & 128 == 0 || asked.is_none() { 0 } else { b >> 4 });
                let query = F::query(
                    version,
                    asked,
                    sources.into_iter().collect(),
                    Duration::from_millis(u64::from(c) * 100),
                );
                self.hear(asked.unwrap_or(F::ALL_HOSTS), &query);
            }
            4 => {
                let dst = group::<F>(b).addr();
                self.hear(dst, &F::message(F::OF_OTHERS[usize::from(a % 4)], dst));
            }
            // From a nanosecond to 255 s.
            5 | 6 => self.advance(
                Duration::from_nanos(1) + Duration::from_millis(u64::from(b)) * 10u32.pow(u32::from(a % 4)),
            ),
            7 => self.gmp.announce_all(self.now),
            8 => {
                let version = F::VERSIONS.get(usize::from(a % 4)).copied();
                let robustness =
                    if b.is_multiple_of(8) { Robustness::Auto } else { Robustness::Pinned(b % 8) };
                self.gmp.set_policy(self.now, F::policy(version, robustness, a & 16 != 0));
            }
            _ => {
                let dst = group::<F>(a).addr();
                self.hear(dst, &F::anything([a, b, 0, 0, c, b, a, c, b, c], dst));
            }
        }
    }

    fn set(&mut self, group: Group<F>, filter: SourceFilter<F>) {
        let means_nothing = F::is_ssm(group.addr()) && matches!(filter, SourceFilter::Exclude(_));
        if filter.is_none() || means_nothing || !group.is_reported() {
            self.wanted.remove(&group.addr());
        } else {
            self.wanted.insert(group.addr(), filter.clone());
        }
        self.gmp.set_filter(self.now, group, filter);
    }

    /// What another says, with Router Alert or without.
    fn hear(&mut self, dst: F::Addr, payload: &[u8]) {
        let router_alert = self.rng.one_in(2);
        self.receive(Packet { src: F::QUERIER, dst, hop_limit: 1, router_alert, payload });
    }

    fn receive(&mut self, packet: Packet<'_, F>) {
        // What it is of no use for is the packet path's to count.
        let _ = self.gmp.receive(self.now, &mut self.rng, &packet);
    }

    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.gmp.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.speak();
        }
        self.now = end;
    }

    /// What is due now is said, as it must be.
    fn speak(&mut self) {
        let (mut frame, mut frames) = (Vec::new(), 0);
        while self.gmp.next_frame(self.now, &mut self.rng, MAC, F::own(), &mut frame) {
            frames += 1;
            assert!(frames <= 64, "no end of frames at one moment");
            assert!(frame.len() <= usize::from(F::MTU) + 14, "a frame of {} octets", frame.len());
            let said = F::said(&frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
            let said = said.expect("group management");
            self.judge(&said);
            self.said.push(said);
        }
    }

    fn judge(&self, said: &Said<F>) {
        let wants = |group: &F::Addr| self.wanted.contains_key(group);
        let spoken = self.gmp.status(self.now).version;
        let right = match said {
            Said::Report(version, group) => spoken == *version && wants(group),
            Said::Leave(version, group) => spoken == *version && !wants(group),
            Said::Records(records) => {
                spoken == F::NEWEST
                    && records.iter().all(|(kind, group)| match kind {
                        RecordKind::IsIn | RecordKind::Allow => wants(group),
                        RecordKind::IsEx | RecordKind::ToEx => wants(group) && !F::is_ssm(*group),
                        RecordKind::ToIn | RecordKind::Block => true,
                    })
            }
        };
        assert!(right, "{said:?} in version {spoken:?}, of what is wanted {:?}", self.wanted);
    }

    /// It falls silent, and then answers for exactly what is wanted, in whatever version.
    fn is_well(&mut self) {
        self.advance(Duration::from_secs(600));
        let at = self.gmp.poll_timeout();
        assert!(at.is_none_or(|at| at > self.now), "no end of what is to be said");
        for version in F::VERSIONS {
            self.gmp.set_policy(self.now, F::policy(Some(*version), Robustness::Auto, false));
            self.advance(Duration::from_secs(60));
            self.said.clear();
            // L01, RFC 9777 6.2: in MLD, none is heard without Router Alert.
            let query = F::query(F::NEWEST, None, Vec::new(), Duration::from_secs(10));
            self.receive(Packet {
                src: F::QUERIER,
                dst: F::ALL_HOSTS,
                hop_limit: 1,
                router_alert: true,
                payload: &query,
            });
            let asked = self.now;
            self.advance(Duration::from_secs(10));
            let told: BTreeSet<_> = self.said.iter().flat_map(Said::reported).collect();
            let is_newest = *version == F::NEWEST;
            let expected = self.wanted.keys().copied().filter(|group| is_newest || !F::is_ssm(*group));
            assert_eq!(told, expected.collect(), "asked at {asked:?} in version {version:?}");
        }
    }
}
