//! What holds of group management as a whole whatever happens, and what routers of both generations come to believe.
//!
//! One body for both protocols: what differs is said by their [`TestFormat`].

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, proptest};

use super::test_family::{TestFamily, exclude, include};
use super::v1::router::Router as OldRouter;
use super::v2::router::Router;
use super::{Format, Gmp, Packet, Record, RecordKind, Version, v1};
use crate::addr::{Family, Group, MacAddr, Unicast, V4, V6};
use crate::io::Robustness;
use crate::rng::Rng;
use crate::stack::source_filter::SourceFilter;
use crate::time::{Instant, earliest};

/// A protocol as the tests write and read it, independently of the code under test but for its parser of headers.
pub(super) trait TestFormat: TestFamily + Format {
    /// Its versions, the newest first.
    const VERSIONS: &'static [Version];

    /// These choices.
    fn policy(version: Option<Version>, robustness: Robustness) -> Self::Policy;

    /// A query of `version`, to be answered within `within`, as a querier of the link sends it to all hosts; of a version
    /// that knows no sources without them.
    fn query(version: Version, group: Option<Group<Self>>, sources: &[Self::Addr], within: Duration)
    -> Heard;

    /// Another host's report of `group` in an older version.
    fn report(group: Group<Self>, version: Version) -> Heard;

    /// Whom all this is from.
    fn neighbor() -> Self::Addr;

    /// An address that an interface may speak from.
    fn own() -> Unicast<Self>;

    /// What `frame` says, if it says it as it should.
    fn said(frame: &[u8]) -> Said<Self>;
}

/// The bytes of a message.
pub(super) type Heard = Vec<u8>;

/// A record: what is said, the group, the sources.
pub(super) type Told<F> = (RecordKind, Group<F>, Vec<<F as Family>::Addr>);

/// What a frame says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said<F: Family> {
    /// A report of one group in an older version.
    Report(Version, Group<F>),
    /// A leave in an older version.
    Leave(Group<F>),
    /// A report of the newest version.
    Records(Vec<Told<F>>),
}

/// The time in which a version that names none wants its answer.
const WITHIN_V1: Duration = Duration::from_secs(10);

/// What happens.
#[derive(Clone, Debug)]
enum Op {
    SetFilter { group: u8, exclude: bool, sources: Vec<u8> },
    Query { version: Version, group: Option<u8>, sources: Vec<u8>, within_ms: u64 },
    Heard { version: Version, group: u8 },
    Advance { ms: u64 },
    LinkUp,
    Pin(Option<Version>),
    Robustness(Robustness),
}

/// Groups 0 to 3, of which 3 is of the source-specific range.
const GROUPS: u8 = 4;

fn numbered<F: TestFamily>(n: u8) -> Group<F> {
    if n == 3 { F::ssm_group(n) } else { F::group(n.into()) }
}

fn op<F: TestFormat>() -> impl Strategy<Value = Op> {
    let sources = || prop::collection::vec(0u8..4, 0..3);
    let version = prop::sample::select([F::VERSIONS, &[F::NEWEST]].concat());
    let older = prop::sample::select(F::VERSIONS[1..].to_vec());
    let pins: Vec<_> = [None, None].into_iter().chain(F::VERSIONS.iter().copied().map(Some)).collect();
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
            (
                version,
                prop::option::of(0..GROUPS),
                sources(),
                prop::sample::select(vec![100u64, 1000, 10_000]),
            )
                .prop_map(|(version, group, sources, within_ms)| Op::Query {
                    version,
                    group,
                    sources,
                    within_ms,
                })
                .boxed(),
        ),
        (2, (older, 0..GROUPS).prop_map(|(version, group)| Op::Heard { version, group }).boxed()),
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

/// An interface, a router of each generation that hears all it says and asks as the other tests want, and what is owed.
struct Link<F: TestFormat> {
    gmp: Gmp<F>,
    /// What is chosen.
    version: Option<Version>,
    robustness: Robustness,
    now: Instant,
    rng: Rng,
    wanted: BTreeMap<Group<F>, SourceFilter<F>>,
    /// By when each group must have been spoken of.
    owed: BTreeMap<Group<F>, Instant>,
    router: Router<F>,
    old_router: OldRouter<F>,
    frames: usize,
}

impl<F: TestFormat> Link<F> {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let gmp = Gmp::new(1500, F::Policy::default(), rng.u64());
        let (version, robustness) = (None, Robustness::Auto);
        let (router, old_router) = (Router::new(2), OldRouter::new(Instant::ZERO, 2));
        let (wanted, owed) = (BTreeMap::new(), BTreeMap::new());
        Self {
            gmp,
            version,
            robustness,
            now: Instant::ZERO,
            rng,
            wanted,
            owed,
            router,
            old_router,
            frames: 0,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::SetFilter { group, exclude: excludes, sources } => {
                let filter = if *excludes { exclude(sources) } else { include(sources) };
                self.set(numbered(*group), filter);
            }
            Op::Query { version, group, sources, within_ms } => {
                self.ask(*version, *group, sources, Duration::from_millis(*within_ms));
            }
            Op::Heard { version, group } => {
                let group = numbered(*group);
                let payload = F::report(group, *version);
                let heard = self.hear(group.addr(), &payload);
                assert_eq!(heard, self.version() != F::NEWEST);
                if heard {
                    self.owed.remove(&group);
                }
            }
            Op::Advance { ms } => self.run(Duration::from_millis(*ms)),
            Op::LinkUp => self.gmp.announce_all(self.now),
            Op::Pin(version) => self.choose(*version, self.robustness),
            Op::Robustness(robustness) => self.choose(self.version, *robustness),
        }
        self.take();
    }

    /// Whether the message `payload` to `dst` was of use.
    fn hear(&mut self, dst: F::Addr, payload: &[u8]) -> bool {
        let packet = Packet { src: F::neighbor(), dst, hop_limit: 1, router_alert: true, payload };
        self.gmp.receive(self.now, &mut self.rng, &packet).is_ok()
    }

    /// A change of the version cancels what is owed.
    fn choose(&mut self, version: Option<Version>, robustness: Robustness) {
        let before = self.version();
        (self.version, self.robustness) = (version, robustness);
        self.gmp.set_policy(self.now, F::policy(version, robustness));
        if self.version() != before {
            self.owed.clear();
        }
    }

    fn version(&self) -> Version {
        self.gmp.status(self.now).version
    }

    fn set(&mut self, group: Group<F>, filter: SourceFilter<F>) {
        self.gmp.set_filter(self.now, group, filter.clone());
        // G48: EXCLUDE mode means nothing to routers in the source-specific range.
        let means_nothing = F::is_ssm(group.addr()) && matches!(filter, SourceFilter::Exclude(_));
        if filter.is_none() || means_nothing {
            self.wanted.remove(&group);
        } else {
            self.wanted.insert(group, filter);
        }
        // What is told of sources changes with them.
        self.owed.remove(&group);
    }

    fn ask(&mut self, version: Version, group: Option<u8>, sources: &[u8], within: Duration) {
        let before = self.version();
        // G14, RFC 9776 7.2.1: version 1 of IGMP names neither a group nor a time.
        let names_none = version == Version::V1 && F::NEWEST == Version::V3;
        let (group, within) = if names_none { (None, WITHIN_V1) } else { (group, within) };
        let knows_sources = version == F::NEWEST && group.is_some();
        let sources = if knows_sources { sources } else { &[] };
        let addrs: Vec<_> = sources.iter().map(|n| F::source(*n)).collect();
        let payload = F::query(version, group.map(numbered), &addrs, within);
        assert!(self.hear(F::ALL_HOSTS, &payload));
        let spoken = self.version();
        if spoken != before {
            self.owed.clear();
        }
        let mut by = self.now + within;
        if spoken == F::NEWEST {
            // G47: the least distance between two answers of the newest version.
            by += Duration::from_millis(250);
        }
        for (member, filter) in &self.wanted {
            let asked = group.is_none_or(|n| numbered::<F>(n) == *member);
            let has_an_answer = match () {
                _ if spoken != F::NEWEST => !F::is_ssm(member.addr()),
                _ => sources.is_empty() || addrs.iter().any(|source| filter.allows(*source)),
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
            match earliest(self.gmp.poll_timeout(), routers) {
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
        for frame in self.frames_now() {
            self.frames += 1;
            match F::said(&frame) {
                Said::Report(version, group) if version == self.version() => {
                    assert!(self.wanted.contains_key(&group) && !F::is_ssm(group.addr()), "{group}");
                    self.owed.remove(&group);
                    self.old_router.receive(self.now, v1::Message::Report(group));
                }
                Said::Leave(group) if F::says_leave(self.version()) && self.version() != F::NEWEST => {
                    assert!(!self.wanted.contains_key(&group), "{group}");
                    self.old_router.receive(self.now, v1::Message::Leave(group));
                }
                Said::Records(records) if self.version() == F::NEWEST => self.hear_records(&records),
                said => panic!("{said:?} in {:?}", self.version()),
            }
        }
        if self.version() != before {
            self.owed.clear();
        }
    }

    /// The frames that are due now.
    fn frames_now(&mut self) -> Vec<Vec<u8>> {
        let (mut out, mut frames) = (Vec::new(), Vec::new());
        while self.gmp.next_frame(self.now, &mut self.rng, MAC, Some(F::own()), &mut out) {
            frames.push(out.clone());
        }
        frames
    }

    fn hear_records(&mut self, records: &[Told<F>]) {
        for (kind, group, sources) in records {
            assert!(group.is_reported());
            let excludes = matches!(kind, RecordKind::ModeIsExclude | RecordKind::ChangeToExclude);
            assert!(!(excludes && F::is_ssm(group.addr())), "{kind:?} of {group}");
            let answers = matches!(kind, RecordKind::ModeIsExclude | RecordKind::ModeIsInclude);
            assert!(!answers || self.wanted.contains_key(group), "an answer of {group}, which was left");
            self.owed.remove(group);
            let record = Record { kind: *kind, group: *group, sources: sources.clone() };
            self.router.receive(self.now, &record);
        }
    }

    /// A querier of `version` alone is there, for as long as it takes others to be forgotten; it asks every 125 s.
    fn quiet(&mut self, version: Version) {
        self.choose(None, self.robustness);
        for _ in 0..8 {
            self.ask(version, None, &[], WITHIN_V1);
            self.run(Duration::from_secs(125));
        }
        assert_eq!(self.version(), version);
    }
}

/// The Ethernet address of the interface.
pub(super) const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// Whatever happens, only the version that is spoken is spoken, nothing is said of what was left, each query is answered in
/// time; and among queriers of one version, after quiet time, its router's view is the host's state.
fn routers_learn_what_is_wanted<F: TestFormat>(seed: u64, ops: &[Op]) {
    let mut link = Link::<F>::new(seed);
    ops.iter().for_each(|op| link.apply(op));
    for version in F::VERSIONS.iter().chain([&F::NEWEST]) {
        link.quiet(*version);
        if *version == F::NEWEST {
            for n in 0..GROUPS {
                let wanted = link.wanted.get(&numbered(n)).cloned().unwrap_or(SourceFilter::NONE);
                assert_eq!(link.router.view(numbered(n)), wanted, "{}", numbered::<F>(n));
            }
        } else {
            let told: BTreeSet<_> =
                link.wanted.keys().copied().filter(|group| !F::is_ssm(group.addr())).collect();
            assert_eq!(link.old_router.groups(), told);
        }
    }
    assert!(link.frames <= 60 * 60 * 4 + 1000, "{} frames", link.frames);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// G04, G20, G36, G37, G39, G42, G47, G48, RFC 9776 7.2.1.
    #[test]
    fn routers_of_every_version_learn_what_is_wanted(seed: u64, ops in prop::collection::vec(op::<V4>(), 0..60)) {
        routers_learn_what_is_wanted::<V4>(seed, &ops);
    }

    /// L09, L10, L11, L16, RFC 9777 6, 7 and 8.2.
    #[test]
    fn mld_routers_of_both_versions_learn_what_is_wanted(seed: u64, ops in prop::collection::vec(op::<V6>(), 0..60)) {
        routers_learn_what_is_wanted::<V6>(seed, &ops);
    }
}
