//! What a router comes to believe, over a link that loses reports or does not.

use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::super::router::{QUERY_RESPONSE_INTERVAL, Router};
use super::*;
use crate::addr::{V4, V6};

/// Longer than all repeats and the last member query time of the largest robustness variable below.
const QUIET: Duration = Duration::from_secs(20);

/// What a report says of one group, and whether by State-Change Records.
type Said<F> = (Group<F>, bool);

/// Host and router live on a link for `time`, on which `delivered` says what the router hears.
fn run<F: TestFamily>(
    w: &mut World<F>,
    router: &mut Router<F>,
    time: Duration,
    delivered: &mut impl FnMut(Said<F>) -> bool,
) {
    let end = w.now + time;
    loop {
        for report in w.reports() {
            // ALLOW and BLOCK of one group share a report, and its fate.
            let mut fates: BTreeMap<Said<F>, bool> = BTreeMap::new();
            for record in &report.records {
                let said = (record.group, !matches!(record.kind, ModeIsInclude | ModeIsExclude));
                if *fates.entry(said).or_insert_with(|| delivered(said)) {
                    router.receive(w.now, record);
                }
            }
        }
        for query in router.turn(w.now) {
            w.host.query(w.now, &mut w.rng, &query);
        }
        match earliest(w.host.poll_timeout(), router.poll_timeout()) {
            Some(at) if at <= end => w.now = w.now.max(at),
            Some(_) | None => break,
        }
    }
    w.now = end;
}

/// What happens in a world of host and router.
#[derive(Clone, Debug)]
enum Op {
    /// The interface wants something else of a group.
    SetFilter { group: u8, exclude: bool, sources: Vec<u8> },
    /// Some router asks: of a group if given, of sources if there are any.
    Query { group: Option<u8>, sources: Vec<u8>, max_response_ms: u64 },
    /// Time passes.
    Advance { ms: u64 },
    /// The link came up.
    AnnounceAll,
}

fn op() -> impl Strategy<Value = Op> {
    let sources = || prop::collection::vec(0u8..5, 0..4);
    prop_oneof![
        6 => (0u8..3, any::<bool>(), sources())
            .prop_map(|(group, exclude, sources)| Op::SetFilter { group, exclude, sources }),
        3 => (prop::option::of(0u8..3), sources(), prop::sample::select(vec![0u64, 100, 1000, 10_000]))
            .prop_map(|(group, sources, max_response_ms)| Op::Query { group, sources, max_response_ms }),
        5 => prop_oneof![0u64..50, 0u64..1500, 0u64..6000].prop_map(|ms| Op::Advance { ms }),
        1 => Just(Op::AnnounceAll),
    ]
}

/// Runs `ops` over a link that loses up to RV-1 of the reports of each group in a row, of changes and of answers, and
/// returns what the host wants and what the router believes in the end.
fn world<F: TestFamily>(
    seed: u64,
    robustness: u8,
    lossy: bool,
    ops: &[Op],
) -> (Vec<SourceFilter<F>>, Vec<SourceFilter<F>>) {
    let (mut w, mut router) = (World::<F>::new(seed), Router::<F>::new(robustness));
    let querier = Some(router.querier());
    w.host.query(w.now, &mut w.rng, &Query { scope: Scope::General, max_response: TEN_SECONDS, querier });
    let mut want = vec![SourceFilter::NONE; 3];
    let mut lost: BTreeMap<Said<F>, u8> = BTreeMap::new();
    let mut chance = w.rng.fork();
    for op in ops.iter().cloned().chain([Op::Advance { ms: 20_000 }]) {
        match op {
            Op::SetFilter { group, exclude: excludes, sources } => {
                let filter = if excludes { exclude(&sources) } else { include(&sources) };
                want[usize::from(group)] = filter.clone();
                w.set(group.into(), filter);
            }
            Op::Query { group, sources, max_response_ms } => {
                let sources: BTreeSet<_> = sources.iter().map(|n| F::source(*n)).collect();
                let scope = match group.map(|n| F::group(n.into())) {
                    None => Scope::General,
                    Some(group) if sources.is_empty() => Scope::Group(group),
                    Some(group) => Scope::GroupAndSources(group, sources),
                };
                let max_response = Duration::from_millis(max_response_ms);
                w.host.query(w.now, &mut w.rng, &Query { scope, max_response, querier });
            }
            Op::AnnounceAll => w.host.announce_all(w.now),
            Op::Advance { ms } => {
                run(&mut w, &mut router, Duration::from_millis(ms), &mut |said| {
                    let in_a_row = lost.entry(said).or_default();
                    let lose = lossy && *in_a_row + 1 < robustness && chance.one_in(2);
                    *in_a_row = if lose { *in_a_row + 1 } else { 0 };
                    !lose
                });
            }
        }
    }
    let view = (0..3).map(|n| router.view(F::group(n))).collect();
    (want, view)
}

// G32, RFC 9776 4.2.15: the router learns of every included source, and of those excluded that fit.
fn long_source_lists_reach_the_router<F: TestFamily>() {
    let many: BTreeSet<_> = (0..1000).map(F::wide_source).collect();
    let (mut w, mut router) = (World::<F>::new(1), Router::new(2));
    w.set(1, SourceFilter::Include(many.clone()));
    run(&mut w, &mut router, QUIET, &mut |_| true);
    assert_eq!(router.view(F::group(1)), SourceFilter::Include(many.clone()));
    w.set(1, SourceFilter::Exclude(many.clone()));
    run(&mut w, &mut router, QUIET, &mut |_| true);
    let SourceFilter::Exclude(blocked) = router.view(F::group(1)) else { panic!() };
    assert!(!blocked.is_empty() && blocked.is_subset(&many));
    w.set(1, SourceFilter::Include(many.clone()));
    run(&mut w, &mut router, QUIET, &mut |_| true);
    assert_eq!(router.view(F::group(1)), SourceFilter::Include(many));
}

for_both_families!(long_source_lists_reach_the_router);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// After quiet time the router's view is the host's state.
    #[test]
    fn the_router_learns_what_is_wanted(seed: u64, robustness in 1u8..=4, ops in prop::collection::vec(op(), 0..40)) {
        let (want, view) = world::<V4>(seed, robustness, false, &ops);
        prop_assert_eq!(view, want);
        let (want, view) = world::<V6>(seed, robustness, false, &ops);
        prop_assert_eq!(view, want);
    }

    /// G24, G28, G29, RFC 9776 5.1: and also if RV-1 reports of each group in a row are lost.
    #[test]
    fn the_router_learns_what_is_wanted_over_a_lossy_link(seed: u64, robustness in 2u8..=4, ops in prop::collection::vec(op(), 0..40)) {
        let (want, view) = world::<V4>(seed, robustness, true, &ops);
        prop_assert_eq!(view, want);
    }

    /// Whatever happens, the host falls silent, keeps nothing of what it left, and its sums are right.
    #[test]
    fn the_host_falls_silent(seed: u64, ops in prop::collection::vec(op(), 0..60)) {
        let mut w = World::<V4>::new(seed);
        for op in &ops {
            match op {
                Op::SetFilter { group, exclude: true, sources } => w.set((*group).into(), exclude(sources)),
                Op::SetFilter { group, exclude: false, sources } => w.set((*group).into(), include(sources)),
                Op::Query { group: None, .. } => w.query(Scope::General, QUERY_RESPONSE_INTERVAL),
                Op::Query { group: Some(group), sources, .. } => w.query_sources((*group).into(), sources, QUERY_RESPONSE_INTERVAL),
                Op::AnnounceAll => w.host.announce_all(w.now),
                Op::Advance { ms } => {
                    w.now += Duration::from_millis(*ms);
                    w.records();
                    prop_assert!(w.host.poll_timeout().is_none_or(|at| at > w.now));
                }
            }
        }
        let mut steps = 0;
        while w.step().is_some() {
            steps += 1;
            prop_assert!(steps < 20);
        }
        prop_assert!(w.host.groups.values().all(|entry| !entry.filter.is_none() && entry.change.is_none()));
        prop_assert!(w.host.unsettled.is_empty() && w.host.changed.is_empty());
        prop_assert_eq!(w.host.state_len, w.host.groups.values().map(Entry::state_len).sum::<usize>());
    }
}
