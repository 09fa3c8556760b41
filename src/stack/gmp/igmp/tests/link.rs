//! What holds of IGMP as a whole whatever happens, and what routers of both generations come to believe.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, proptest};

use super::*;
use crate::stack::gmp::test_family::exclude;
use crate::stack::gmp::v1::router::Router as OldRouter;
use crate::stack::gmp::v2::router::Router;

/// What happens.
#[derive(Clone, Debug)]
enum Op {
    SetFilter { group: u8, exclude: bool, sources: Vec<u8> },
    Query { version: Version, group: Option<u8>, sources: Vec<u8>, code: u8 },
    Heard { kind: u8, group: u8 },
    Advance { ms: u64 },
    LinkUp,
    Pin(IgmpVersion),
    Robustness(Robustness),
}

/// Groups 0 to 3, of which 3 is of the source-specific range.
const GROUPS: u8 = 4;

fn numbered(n: u8) -> Group<V4> {
    if n == 3 { V4::ssm_group(n) } else { V4::group(n.into()) }
}

fn op() -> impl Strategy<Value = Op> {
    let sources = || prop::collection::vec(0u8..4, 0..3);
    let version = prop::sample::select(vec![Version::V1, Version::V2, Version::V3, Version::V3]);
    let pins = vec![IgmpVersion::Auto, IgmpVersion::Auto, IgmpVersion::V1, IgmpVersion::V2, IgmpVersion::V3];
    let robustness = vec![Robustness::Auto, Robustness::Pinned(1), Robustness::Pinned(3)];
    prop::strategy::Union::new_weighted(vec![
        (
            6,
            (0..GROUPS, any::<bool>(), sources())
                .prop_map(|(group, exclude, sources)| Op::SetFilter { group, exclude, sources })
                .boxed(),
        ),
        (
            4,
            (version, prop::option::of(0..GROUPS), sources(), prop::sample::select(vec![1u8, 10, 100]))
                .prop_map(|(version, group, sources, code)| Op::Query { version, group, sources, code })
                .boxed(),
        ),
        (
            2,
            (prop::sample::select(vec![0x12u8, 0x16]), 0..GROUPS)
                .prop_map(|(kind, group)| Op::Heard { kind, group })
                .boxed(),
        ),
        (
            6,
            prop::sample::select(vec![1u64, 40, 700, 5000, 12_000, 200_000, 400_000])
                .prop_map(|ms| Op::Advance { ms })
                .boxed(),
        ),
        (1, Just(Op::LinkUp).boxed()),
        (1, prop::sample::select(pins).prop_map(Op::Pin).boxed()),
        (1, prop::sample::select(robustness).prop_map(Op::Robustness).boxed()),
    ])
}

/// The bytes of a query.
fn query_bytes(version: Version, group: Option<u8>, sources: &[u8], code: u8) -> Vec<u8> {
    let group = group.map_or(Ipv4Addr::UNSPECIFIED, |n| numbered(n).addr()).to_string();
    match version {
        Version::V1 => query(0, "0.0.0.0", &[]),
        Version::V2 => query(code, &group, &[]),
        Version::V3 => {
            let sources = if group == "0.0.0.0" { &[] } else { sources };
            let mut rest = vec![2, 125, 0, u8::try_from(sources.len()).unwrap()];
            rest.extend(sources.iter().flat_map(|n| V4::source(*n).octets()));
            query(code, &group, &rest)
        }
    }
}

/// An interface, a router of each generation that hears all it says and asks as the other tests want, and what is owed.
struct Link {
    igmp: Igmp,
    now: Instant,
    rng: Rng,
    wanted: BTreeMap<Group<V4>, SourceFilter<V4>>,
    /// By when each group must have been spoken of.
    owed: BTreeMap<Group<V4>, Instant>,
    router: Router<V4>,
    old_router: OldRouter<V4>,
    frames: usize,
}

impl Link {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let igmp = Igmp::new(1500, IgmpPolicy::default(), rng.u64());
        let (router, old_router) = (Router::new(2), OldRouter::new(Instant::ZERO, 2));
        let (wanted, owed) = (BTreeMap::new(), BTreeMap::new());
        Self { igmp, now: Instant::ZERO, rng, wanted, owed, router, old_router, frames: 0 }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::SetFilter { group, exclude: excludes, sources } => {
                let filter = if *excludes { exclude(sources) } else { include(sources) };
                self.set(numbered(*group), filter);
            }
            Op::Query { version, group, sources, code } => {
                self.ask(*version, *group, sources, *code);
            }
            Op::Heard { kind, group } => {
                let payload = short(*kind, 0, numbered(*group));
                let packet = Packet { dst: numbered(*group).addr(), ..packet(&payload) };
                let heard = self.igmp.receive(self.now, &mut self.rng, &packet).is_ok();
                assert_eq!(heard, self.version() != Version::V3);
                if heard {
                    self.owed.remove(&numbered(*group));
                }
            }
            Op::Advance { ms } => self.run(Duration::from_millis(*ms)),
            Op::LinkUp => self.igmp.announce_all(self.now),
            Op::Pin(version) => self.change(|policy| policy.version = *version),
            Op::Robustness(robustness) => self.change(|policy| policy.robustness = *robustness),
        }
        self.take();
    }

    /// A change of the version cancels what is owed.
    fn change(&mut self, change: impl FnOnce(&mut IgmpPolicy)) {
        let (before, mut policy) = (self.version(), *self.igmp.policy());
        change(&mut policy);
        self.igmp.set_policy(self.now, policy);
        if self.version() != before {
            self.owed.clear();
        }
    }

    fn version(&self) -> Version {
        self.igmp.status(self.now).version
    }

    fn set(&mut self, group: Group<V4>, filter: SourceFilter<V4>) {
        self.igmp.set_filter(self.now, group, filter.clone());
        // G48: EXCLUDE mode means nothing to routers in the source-specific range.
        let means_nothing = V4::is_ssm(group.addr()) && matches!(filter, SourceFilter::Exclude(_));
        if filter.is_none() || means_nothing {
            self.wanted.remove(&group);
        } else {
            self.wanted.insert(group, filter);
        }
        // What is told of sources changes with them.
        self.owed.remove(&group);
    }

    fn ask(&mut self, version: Version, group: Option<u8>, sources: &[u8], code: u8) {
        let before = self.version();
        let payload = query_bytes(version, group, sources, code);
        self.igmp.receive(self.now, &mut self.rng, &packet(&payload)).unwrap();
        let spoken = self.version();
        if spoken != before {
            self.owed.clear();
        }
        let group = group.filter(|_| version != Version::V1);
        let sources = if version == Version::V3 && group.is_some() { sources } else { &[] };
        let code = if version == Version::V1 { 100 } else { code };
        let mut by = self.now + Duration::from_millis(u64::from(code) * 100);
        if spoken == Version::V3 {
            // G47: the least distance between two answers of version 3.
            by += Duration::from_millis(250);
        }
        for (member, filter) in &self.wanted {
            let asked = group.is_none_or(|n| numbered(n) == *member);
            let has_an_answer = match spoken {
                Version::V3 => sources.is_empty() || sources.iter().any(|n| filter.allows(V4::source(*n))),
                Version::V1 | Version::V2 => !V4::is_ssm(member.addr()),
            };
            if asked && has_an_answer {
                let owed = self.owed.entry(*member).or_insert(by);
                *owed = by.min(*owed);
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.take();
            let late: Vec<_> = self.owed.iter().filter(|(_, by)| **by < self.now).collect();
            assert!(late.is_empty(), "not answered in time: {late:?} at {:?}", self.now);
            let _ = (self.router.turn(self.now), self.old_router.turn(self.now));
            let routers = earliest(self.router.poll_timeout(), self.old_router.poll_timeout());
            let before = self.version();
            match earliest(self.igmp.poll_timeout(), routers) {
                Some(at) if at <= end => self.now = self.now.max(at),
                Some(_) | None => break,
            }
            if self.version() != before {
                self.owed.clear();
            }
        }
        self.now = end;
    }

    /// What is due now is said, and heard by both routers.
    fn take(&mut self) {
        let before = self.version();
        for frame in frames(&mut self.igmp, self.now, &mut self.rng) {
            self.frames += 1;
            match (said(&frame), self.version()) {
                (Said::V1(group), Version::V1) | (Said::V2(group), Version::V2) => {
                    assert!(self.wanted.contains_key(&group) && !V4::is_ssm(group.addr()), "{group}");
                    self.owed.remove(&group);
                    self.old_router.receive(self.now, v1::Message::Report(group));
                }
                (Said::Leave(group), Version::V2) => {
                    assert!(!self.wanted.contains_key(&group), "{group}");
                    self.old_router.receive(self.now, v1::Message::Leave(group));
                }
                (Said::V3(records), Version::V3) => self.hear_v3(&records),
                (said, version) => panic!("{said:?} in {version:?}"),
            }
        }
        if self.version() != before {
            self.owed.clear();
        }
    }

    fn hear_v3(&mut self, records: &[(RecordKind, Group<V4>, Vec<Ipv4Addr>)]) {
        for (kind, group, sources) in records {
            assert!(group.is_reported());
            let excludes = matches!(kind, RecordKind::ModeIsExclude | RecordKind::ChangeToExclude);
            assert!(!(excludes && V4::is_ssm(group.addr())), "{kind:?} of {group}");
            let answers = matches!(kind, RecordKind::ModeIsExclude | RecordKind::ModeIsInclude);
            assert!(!answers || self.wanted.contains_key(group), "an answer of {group}, which was left");
            self.owed.remove(group);
            let record = crate::stack::gmp::Record { kind: *kind, group: *group, sources: sources.clone() };
            self.router.receive(self.now, &record);
        }
    }

    /// A querier of `version` alone is there, for as long as it takes others to be forgotten; it asks every 125 s.
    fn quiet(&mut self, version: Version) {
        self.change(|policy| policy.version = IgmpVersion::Auto);
        for _ in 0..8 {
            self.ask(version, None, &[], 100);
            self.run(Duration::from_secs(125));
        }
        assert_eq!(self.version(), version);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// G04, G20, G36, G37, G39, G42, G47, G48, RFC 9776 7.2.1: whatever happens, only the version that is spoken is spoken,
    /// nothing is said of what was left, each query is answered in time; and among queriers of one version, after quiet
    /// time, its router's view is the host's state.
    #[test]
    fn routers_of_every_version_learn_what_is_wanted(seed: u64, ops in prop::collection::vec(op(), 0..60)) {
        let mut link = Link::new(seed);
        ops.iter().for_each(|op| link.apply(op));
        for version in [Version::V3, Version::V2, Version::V1, Version::V3] {
            link.quiet(version);
            if version == Version::V3 {
                for n in 0..GROUPS {
                    let wanted = link.wanted.get(&numbered(n)).cloned().unwrap_or(SourceFilter::NONE);
                    assert_eq!(link.router.view(numbered(n)), wanted, "{}", numbered(n));
                }
            } else {
                let told: BTreeSet<_> =
                    link.wanted.keys().copied().filter(|group| !V4::is_ssm(group.addr())).collect();
                assert_eq!(link.old_router.groups(), told);
            }
        }
        assert!(link.frames <= 60 * 60 * 4 + 1000, "{} frames", link.frames);
    }
}
