//! What the host says of itself when something changes; the answers are in [`queries`], the router's view in [`link`].

mod link;
mod queries;

use super::*;
use crate::stack::gmp::RecordKind::{
    AllowNewSources, BlockOldSources, ChangeToExclude, ChangeToInclude, ModeIsExclude, ModeIsInclude,
};
use crate::stack::gmp::test_family::{TestFamily, exclude, for_both_families, include};

/// Room for what IGMPv3 has over an MTU of 1500.
const ROOM: usize = 1468;

const TEN_SECONDS: Duration = Duration::from_secs(10);

/// A host, its clock and its chance.
struct World<F: Family> {
    host: Host<F>,
    rng: Rng,
    now: Instant,
}

impl<F: TestFamily> World<F> {
    fn new(seed: u64) -> Self {
        Self { host: Host::new(ROOM), rng: Rng::new(seed), now: Instant::ZERO }
    }

    fn set(&mut self, group: u16, filter: SourceFilter<F>) {
        self.host.set_filter(self.now, F::group(group), filter);
    }

    fn query(&mut self, scope: Scope<F>, max_response: Duration) {
        self.host.query(self.now, &mut self.rng, &Query { scope, max_response, querier: None });
    }

    fn query_sources(&mut self, group: u16, sources: &[u8], max_response: Duration) {
        let sources = sources.iter().map(|n| F::source(*n)).collect();
        self.query(Scope::GroupAndSources(F::group(group), sources), max_response);
    }

    /// The reports that are due now.
    fn reports(&mut self) -> Vec<Report<F>> {
        std::iter::from_fn(|| self.host.poll_transmit(self.now, &mut self.rng)).collect()
    }

    /// The records that are due now.
    fn records(&mut self) -> Vec<Record<F>> {
        self.reports().into_iter().flat_map(|report| report.records).collect()
    }

    /// Goes to the next deadline and returns how long that was and the records of it; none if there is no deadline.
    fn step(&mut self) -> Option<(Duration, Vec<Record<F>>)> {
        let at = self.host.poll_timeout()?.max(self.now);
        let waited = at.since(self.now);
        self.now = at;
        Some((waited, self.records()))
    }

    /// Says everything that is to be said.
    fn settle(&mut self) {
        while self.step().is_some() {}
    }

    /// Everything that will be said, by record.
    fn all_records(&mut self) -> Vec<Record<F>> {
        let mut all = self.records();
        while let Some((_, records)) = self.step() {
            all.extend(records);
        }
        all
    }
}

fn record<F: TestFamily>(kind: RecordKind, group: u16, sources: &[u8]) -> Record<F> {
    Record::new(kind, F::group(group), sources.iter().map(|n| F::source(*n)))
}

// G24, RFC 9776 5.1, 8.11: at once, then RV-1 times after a time from (0, 1 s].
fn a_join_is_reported_at_once_and_repeated_within_a_second<F: TestFamily>() {
    let mut waits = Vec::new();
    for seed in 0..1000 {
        let mut w = World::<F>::new(seed);
        w.set(1, SourceFilter::ANY);
        assert_eq!(w.records(), [record(ChangeToExclude, 1, &[])]);
        let (waited, records) = w.step().unwrap();
        assert_eq!(records, [record(ChangeToExclude, 1, &[])]);
        waits.push(waited);
        assert_eq!(w.step(), None);
    }
    assert_uniform(waits, Duration::from_secs(1));
}

/// Asserts that `delays` look like draws from (0, max]: within it, and a tenth of them (give or take) in each tenth.
#[track_caller]
fn assert_uniform(delays: Vec<Duration>, max: Duration) {
    assert!(delays.iter().all(|d| *d > Duration::ZERO && *d <= max));
    let mut tenths = [0usize; 10];
    for delay in &delays {
        tenths[usize::try_from((delay.as_nanos() - 1) * 10 / max.as_nanos()).unwrap()] += 1;
    }
    // Of 1000 draws 100 fall in each tenth, with a standard deviation of 9.5: five of them either way.
    assert!(tenths.iter().all(|n| (52..=148).contains(n)), "{tenths:?}");
}

// G26, RFC 9776 5.1: no state is INCLUDE {}.
fn a_leave_is_reported_robustness_variable_times<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.set(1, SourceFilter::ANY);
    w.set(2, include(&[7]));
    w.settle();
    w.set(1, SourceFilter::NONE);
    w.set(2, SourceFilter::NONE);
    let leaves = [record(ChangeToInclude, 1, &[]), record(BlockOldSources, 2, &[7])];
    assert_eq!(w.records(), leaves);
    assert_eq!(w.step().unwrap().1, leaves);
    assert_eq!(w.step(), None);
    assert_eq!(w.host.groups.len(), 0, "nothing is kept of what was left");
}

// G31, RFC 9776 5.1. G04, RFC 9776 5; L04, RFC 9777 6.
fn no_news_is_not_reported<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.set(1, include(&[1]));
    w.settle();
    w.set(1, include(&[1]));
    w.set(2, SourceFilter::NONE);
    w.host.set_filter(w.now, Group::new(F::ALL_HOSTS).unwrap(), SourceFilter::ANY);
    assert_eq!(w.host.poll_timeout(), None);
    w.query(Scope::Group(Group::new(F::ALL_HOSTS).unwrap()), TEN_SECONDS);
    assert_eq!(w.host.poll_timeout(), None);
    w.query(Scope::General, TEN_SECONDS);
    assert_eq!(w.all_records(), [record(ModeIsInclude, 1, &[1])]);
}

// G28, RFC 9776 5.1: the difference is merged with what is pending; each source is told RV times.
fn a_second_change_is_merged_with_the_first<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    adopt(&mut w, 3);
    w.set(1, include(&[1, 2]));
    assert_eq!(w.records(), [record(AllowNewSources, 1, &[1, 2])]);
    w.set(1, include(&[2, 3]));
    assert_eq!(w.records(), [record(AllowNewSources, 1, &[2, 3]), record(BlockOldSources, 1, &[1])]);
    let next = w.step().unwrap().1;
    assert_eq!(next, [record(AllowNewSources, 1, &[2, 3]), record(BlockOldSources, 1, &[1])]);
    // Source 2 has been told three times, the others twice.
    let next = w.step().unwrap().1;
    assert_eq!(next, [record(AllowNewSources, 1, &[3]), record(BlockOldSources, 1, &[1])]);
    assert_eq!(w.step(), None);
}

// G29, RFC 9776 5.1: the current list rides in RV reports of the new mode; what came later is told on its own after.
fn source_changes_ride_in_the_reports_of_a_changed_mode<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    adopt(&mut w, 3);
    w.set(1, exclude(&[1]));
    assert_eq!(w.records(), [record(ChangeToExclude, 1, &[1])]);
    assert_eq!(w.step().unwrap().1, [record(ChangeToExclude, 1, &[1])]);
    w.set(1, exclude(&[2]));
    assert_eq!(w.records(), [record(ChangeToExclude, 1, &[2])]);
    let rest = [record(AllowNewSources, 1, &[1]), record(BlockOldSources, 1, &[2])];
    assert_eq!(w.step().unwrap().1, rest);
    assert_eq!(w.step().unwrap().1, rest);
    assert_eq!(w.step(), None);
}

// G29, RFC 9776 5.1: no TO_EX follows the TO_IN of a quick leave, nor the other way round.
fn a_quick_leave_and_join_do_not_contradict_each_other<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.set(1, SourceFilter::ANY);
    w.settle();
    w.set(1, SourceFilter::NONE);
    assert_eq!(w.records(), [record(ChangeToInclude, 1, &[])]);
    w.set(1, SourceFilter::ANY);
    assert_eq!(w.all_records(), [record(ChangeToExclude, 1, &[]), record(ChangeToExclude, 1, &[])]);
    // Left and joined again before anything could be said: the last word only.
    w.set(1, SourceFilter::NONE);
    w.set(1, SourceFilter::ANY);
    assert_eq!(w.all_records(), [record(ChangeToExclude, 1, &[]), record(ChangeToExclude, 1, &[])]);
}

// G28, RFC 9776 5.1: the report of one group's change neither delays nor hastens the repeats of another's.
fn repeats_of_groups_share_a_timer_and_lose_none<F: TestFamily>() {
    let mut w = World::<F>::new(5);
    w.set(1, SourceFilter::ANY);
    assert_eq!(w.records().len(), 1);
    let repeat = w.host.poll_timeout();
    for group in 2..=500 {
        w.set(group, SourceFilter::ANY);
    }
    assert_eq!(w.records().len(), 499, "group 1 is not told again with them");
    assert_eq!(w.host.poll_timeout(), repeat);
    let (_, records) = w.step().unwrap();
    assert_eq!(records.len(), 500);
    assert_eq!(w.step(), None);
}

/// The querier says that its robustness variable is `robustness`.
fn adopt<F: TestFamily>(w: &mut World<F>, robustness: u8) {
    let querier = Some(Querier { robustness, interval: Duration::from_secs(20) });
    let query = Query { scope: Scope::General, max_response: TEN_SECONDS, querier };
    w.host.query(w.now, &mut w.rng, &query);
    w.settle();
}

// G23, RFC 9776 4.1.6, 4.1.7.
fn the_querier_sets_the_robustness_variable<F: TestFamily>() {
    for (qrv, reports) in [(7, 7), (1, 1), (0, 2)] {
        let mut w = World::<F>::new(1);
        adopt(&mut w, qrv);
        assert_eq!(w.host.query_interval(), Duration::from_secs(20));
        w.set(1, SourceFilter::ANY);
        assert_eq!(w.all_records().len(), reports, "QRV {qrv}");
    }
    let mut w = World::<F>::new(1);
    let querier = Some(Querier { robustness: 3, interval: Duration::ZERO });
    w.host.query(w.now, &mut w.rng, &Query { scope: Scope::General, max_response: TEN_SECONDS, querier });
    assert_eq!((w.host.robustness_variable(), w.host.query_interval()), (3, QUERY_INTERVAL));
    // A query of generation 1 says nothing of either.
    w.query(Scope::General, TEN_SECONDS);
    assert_eq!(w.host.robustness_variable(), 3);
}

// G45.
fn leaving_all_is_said_in_as_few_reports_as_can_be<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    for group in 0..50 {
        w.set(group, SourceFilter::ANY);
    }
    w.set(50, include(&[1]));
    w.settle();
    w.host.leave_all(w.now);
    let reports = w.reports();
    assert_eq!(reports.len(), 1);
    let (last, others) = reports[0].records.split_last().unwrap();
    assert!(others.iter().all(|r| r.kind == ChangeToInclude && r.sources.is_empty()) && others.len() == 50);
    assert_eq!(*last, record(BlockOldSources, 50, &[1]));
    w.settle();
    assert_eq!((w.host.groups().count(), w.host.state_len), (0, 0));
}

// G44, RFC 4541 2.1.1.
fn a_link_that_comes_up_is_told_everything_anew<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.set(1, exclude(&[1]));
    w.set(2, include(&[2]));
    w.settle();
    w.host.announce_all(w.now);
    let all = [record(ChangeToExclude, 1, &[1]), record(AllowNewSources, 2, &[2])];
    assert_eq!(w.records(), all);
    assert_eq!(w.step().unwrap().1, all);
    assert_eq!(w.step(), None);
}

// G39, RFC 9776 7.2.1.
fn cancelling_forgets_what_is_pending_and_keeps_what_is_wanted<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.set(1, SourceFilter::ANY);
    w.set(2, SourceFilter::ANY);
    w.records();
    w.set(2, SourceFilter::NONE);
    w.query(Scope::General, TEN_SECONDS);
    w.query(Scope::Group(F::group(1)), TEN_SECONDS);
    w.host.cancel_pending();
    assert_eq!(w.host.poll_timeout(), None);
    assert_eq!(w.records(), []);
    assert_eq!(w.host.groups().collect::<Vec<_>>(), [(F::group(1), &SourceFilter::ANY)]);
    w.query(Scope::General, TEN_SECONDS);
    assert_eq!(w.all_records(), [record(ModeIsExclude, 1, &[])]);
}

for_both_families!(
    a_join_is_reported_at_once_and_repeated_within_a_second,
    a_leave_is_reported_robustness_variable_times,
    no_news_is_not_reported,
    a_second_change_is_merged_with_the_first,
    source_changes_ride_in_the_reports_of_a_changed_mode,
    a_quick_leave_and_join_do_not_contradict_each_other,
    repeats_of_groups_share_a_timer_and_lose_none,
    the_querier_sets_the_robustness_variable,
    leaving_all_is_said_in_as_few_reports_as_can_be,
    a_link_that_comes_up_is_told_everything_anew,
    cancelling_forgets_what_is_pending_and_keeps_what_is_wanted
);
