//! What a router of RFC 2236 comes to believe, and what holds whatever happens.

use proptest::prelude::{Just, ProptestConfig, Strategy, prop, prop_assert_eq, prop_oneof, proptest};

use super::super::router::Router;
use super::*;
use crate::addr::{V4, V6};

/// What happens in a world of host, router and another host.
#[derive(Clone, Debug)]
enum Op {
    Join(u8),
    Leave(u8),
    /// Some router asks.
    Query {
        group: Option<u8>,
        max_response_ms: u64,
    },
    /// The other host reports a group.
    Heard(u8),
    Advance {
        ms: u64,
    },
    AnnounceAll,
    Cancel,
}

const GROUPS: u8 = 4;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0..GROUPS).prop_map(Op::Join),
        4 => (0..GROUPS).prop_map(Op::Leave),
        4 => (prop::option::of(0..GROUPS), prop::sample::select(vec![0u64, 100, 1000, 10_000]))
            .prop_map(|(group, max_response_ms)| Op::Query { group, max_response_ms }),
        2 => (0..GROUPS).prop_map(Op::Heard),
        6 => prop_oneof![0u64..50, 0u64..1500, 0u64..12_000].prop_map(|ms| Op::Advance { ms }),
        1 => Just(Op::AnnounceAll),
        1 => Just(Op::Cancel),
    ]
}

/// Host and router, and what the host owes.
struct Link<F: Family> {
    w: World<F>,
    router: Router<F>,
    wanted: BTreeSet<Group<F>>,
    /// By when each group must have been reported.
    owed: BTreeMap<Group<F>, Instant>,
    reports: usize,
    /// What may have been the reason for a report.
    reasons: usize,
}

impl<F: TestFamily> Link<F> {
    fn new(seed: u64) -> Self {
        let (w, router) = (World::new(seed), Router::new(Instant::ZERO, 2));
        Self { w, router, wanted: BTreeSet::new(), owed: BTreeMap::new(), reports: 0, reasons: 0 }
    }

    fn ask(&mut self, scope: &Scope<F>, max_response: Duration) {
        self.w.host.query(self.w.now, &mut self.w.rng, scope, max_response);
        let by = self.w.now + max_response.max(MAX_RESPONSE_MIN);
        for group in &self.wanted {
            if matches!(scope, Scope::Group(g) if g != group) {
                continue;
            }
            self.reasons += 1;
            let owed = self.owed.entry(*group).or_insert(by);
            *owed = by.min(*owed);
        }
    }

    fn apply(&mut self, op: &Op) {
        let group = |n: u8| F::group(n.into());
        match *op {
            Op::Join(n) => {
                self.w.host.join(self.w.now, group(n), 2);
                self.wanted.insert(group(n));
                self.reasons += 2;
            }
            Op::Leave(n) => {
                self.w.host.leave(group(n));
                self.wanted.remove(&group(n));
                self.owed.remove(&group(n));
            }
            Op::Query { group: n, max_response_ms } => {
                let scope = n.map_or(Scope::General, |n| Scope::Group(group(n)));
                self.ask(&scope, Duration::from_millis(max_response_ms));
            }
            Op::Heard(n) => {
                self.w.host.report_heard(group(n));
                self.router.receive(self.w.now, Message::Report(group(n)));
                self.owed.remove(&group(n));
            }
            Op::AnnounceAll => {
                self.w.host.announce_all(self.w.now, 2);
                self.reasons += 2 * self.wanted.len();
            }
            Op::Cancel => {
                self.w.host.cancel_pending();
                self.owed.clear();
            }
            Op::Advance { ms } => self.run(Duration::from_millis(ms)),
        }
    }

    /// Time passes, and both do what they do.
    fn run(&mut self, time: Duration) {
        let end = self.w.now + time;
        loop {
            for message in self.w.said() {
                self.hear(message);
            }
            let late: Vec<_> = self.owed.iter().filter(|(_, by)| **by < self.w.now).collect();
            assert!(late.is_empty(), "not answered in time: {late:?} at {:?}", self.w.now);
            for (scope, max_response) in self.router.turn(self.w.now) {
                self.ask(&scope, max_response);
            }
            match earliest(self.w.host.poll_timeout(), self.router.poll_timeout()) {
                Some(at) if at <= end => self.w.now = self.w.now.max(at),
                Some(_) | None => break,
            }
        }
        self.w.now = end;
    }

    fn hear(&mut self, message: Message<F>) {
        match message {
            Message::Report(group) => {
                assert!(self.wanted.contains(&group), "a report of {group}, which was left");
                self.owed.remove(&group);
                self.reports += 1;
            }
            Message::Leave(group) => {
                assert!(!self.wanted.contains(&group), "a leave of {group}, which is joined")
            }
        }
        self.router.receive(self.w.now, message);
    }
}

/// Runs `ops`, then lets it be quiet for as long as a router remembers what nobody repeats.
fn world<F: TestFamily>(seed: u64, ops: &[Op]) -> (BTreeSet<Group<F>>, BTreeSet<Group<F>>) {
    let mut link = Link::<F>::new(seed);
    ops.iter().for_each(|op| link.apply(op));
    link.run(link.router.group_membership_interval() + TEN_SECONDS);
    assert!(link.reports <= link.reasons, "{} reports for {} reasons", link.reports, link.reasons);
    assert_eq!(link.w.host.groups().collect::<BTreeSet<_>>(), link.wanted);
    let timers: BTreeSet<_> =
        link.w.host.members.iter().filter_map(|(place, m)| m.timer.map(|at| (at, *place))).collect();
    assert_eq!(timers, link.w.host.timers, "one timer a group");
    (link.wanted, link.router.groups())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// G16, G17, G20, G40, G41, G42, G47, RFC 2236 3: each answer comes in time, nothing is said of what was left, no report
    /// is without a reason; and after quiet time the router's view is the host's state.
    #[test]
    fn the_router_learns_what_is_wanted(seed: u64, ops in prop::collection::vec(op(), 0..60)) {
        let (want, view) = world::<V4>(seed, &ops);
        prop_assert_eq!(view, want);
        let (want, view) = world::<V6>(seed, &ops);
        prop_assert_eq!(view, want);
    }
}
