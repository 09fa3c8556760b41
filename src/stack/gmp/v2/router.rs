//! A router with one host on its link, as the oracle of the tests: RFC 9776 6 and 7 of the router's side.
//!
//! It knows nothing of the host but its reports, and it asks before it stops forwarding, as a querier does. What it
//! comes to believe after quiet time must be what the host wants.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::addr::{Family, Group};
use crate::stack::gmp::{Querier, Query, Record, RecordKind, Scope};
use crate::stack::source_filter::SourceFilter;
use crate::time::{Instant, earliest};

/// RFC 9776 8.8.
const LAST_MEMBER_QUERY_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 9776 8.3.
pub(crate) const QUERY_RESPONSE_INTERVAL: Duration = Duration::from_secs(10);

/// The router.
#[derive(Debug)]
pub(crate) struct Router<F: Family> {
    robustness: u8,
    groups: BTreeMap<Group<F>, State<F>>,
    /// Queries that it will still send.
    queries: Vec<(Instant, Scope<F>)>,
}

/// What it believes of one group: the filter mode is EXCLUDE while the group timer runs. RFC 9776 6.2.
#[derive(Clone, Debug)]
struct State<F: Family> {
    group_timer: Option<Instant>,
    /// Source timers: forwarded until then; `None` is a timer at zero, blocked in EXCLUDE mode.
    sources: BTreeMap<F::Addr, Option<Instant>>,
}

impl<F: Family> Router<F> {
    pub(crate) fn new(robustness: u8) -> Self {
        Self { robustness, groups: BTreeMap::new(), queries: Vec::new() }
    }

    /// What it says of itself.
    pub(crate) fn querier(&self) -> Querier {
        Querier { robustness: self.robustness, interval: super::QUERY_INTERVAL }
    }

    /// Its view of `group`.
    pub(crate) fn view(&self, group: Group<F>) -> SourceFilter<F> {
        let Some(State { group_timer, sources }) = self.groups.get(&group) else { return SourceFilter::NONE };
        let with = |forwarded: bool| {
            sources.iter().filter(|(_, t)| t.is_some() == forwarded).map(|(s, _)| *s).collect::<BTreeSet<_>>()
        };
        match group_timer {
            None => SourceFilter::Include(with(true)),
            Some(_) => SourceFilter::Exclude(with(false)),
        }
    }

    /// When it next does something by itself.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let timers =
            self.groups.values().flat_map(|s| s.sources.values().copied().chain([s.group_timer])).flatten();
        earliest(timers.min(), self.queries.iter().map(|(at, _)| *at).min())
    }

    /// Timers run out; returns the queries to be sent now.
    pub(crate) fn turn(&mut self, now: Instant) -> Vec<Query<F>> {
        let expired = |timer: &Option<Instant>| timer.is_some_and(|at| at <= now);
        self.groups.retain(|_, state| {
            // RFC 9776 6.5: the group timer is looked at after the source timers of EXCLUDE mode have moved.
            for timer in state.sources.values_mut().filter(|t| expired(t)) {
                *timer = None;
            }
            if expired(&state.group_timer) {
                state.group_timer = None;
            }
            // RFC 9776 6.3 and 6.5: INCLUDE mode has no blocked sources, and no group without sources.
            if state.group_timer.is_none() {
                state.sources.retain(|_, timer| timer.is_some());
            }
            state.group_timer.is_some() || !state.sources.is_empty()
        });
        let querier = self.querier();
        let due: Vec<_> = self.queries.extract_if(.., |(at, _)| *at <= now).collect();
        due.into_iter()
            .map(|(_, scope)| Query {
                scope,
                max_response: LAST_MEMBER_QUERY_INTERVAL,
                querier: Some(querier),
            })
            .collect()
    }

    /// A record came in: the tables of RFC 9776 6.4.1 and 6.4.2.
    pub(crate) fn receive(&mut self, now: Instant, record: &Record<F>) {
        use RecordKind::*;
        let gmi = now + super::QUERY_INTERVAL * self.robustness.into() + QUERY_RESPONSE_INTERVAL;
        let group = record.group;
        let heard: BTreeSet<F::Addr> = record.sources.iter().copied().collect();
        let state =
            self.groups.entry(group).or_insert_with(|| State { group_timer: None, sources: BTreeMap::new() });
        let (x, y): (BTreeSet<_>, BTreeSet<_>) =
            state.sources.keys().copied().partition(|s| state.sources[s].is_some());
        let refresh = |state: &mut State<F>, sources: &BTreeSet<F::Addr>, timer: Option<Instant>| {
            state.sources.extend(sources.iter().map(|s| (*s, timer)));
        };
        let (mut ask_sources, mut ask_group) = (BTreeSet::new(), false);
        match (state.group_timer, record.kind) {
            // INCLUDE (A) + IS_IN (B) or ALLOW (B) -> INCLUDE (A+B), (B)=GMI
            // EXCLUDE (X,Y) + IS_IN (A) or ALLOW (A) -> EXCLUDE (X+A,Y-A), (A)=GMI
            (_, ModeIsInclude | AllowNewSources) => refresh(state, &heard, Some(gmi)),
            // INCLUDE (A) + IS_EX (B) or TO_EX (B) -> EXCLUDE (A*B,B-A), (B-A)=0, Delete (A-B), [Send Q(G,A*B),]
            // Group Timer=GMI
            (None, ModeIsExclude | ChangeToExclude) => {
                refresh(state, &(&heard - &x), None);
                state.sources.retain(|s, _| heard.contains(s));
                state.group_timer = Some(gmi);
                if record.kind == ChangeToExclude {
                    ask_sources = &x & &heard;
                }
            }
            // EXCLUDE (X,Y) + IS_EX (A) -> EXCLUDE (A-Y,Y*A), (A-X-Y)=GMI, Delete (X-A), Delete (Y-A), Group Timer=GMI
            (Some(_), ModeIsExclude) => {
                refresh(state, &(&(&heard - &x) - &y), Some(gmi));
                state.sources.retain(|s, _| heard.contains(s));
                state.group_timer = Some(gmi);
            }
            // EXCLUDE (X,Y) + TO_EX (A) -> EXCLUDE (A-Y,Y*A), (A-X-Y)=Group Timer, Delete (X-A), Delete (Y-A),
            // Send Q(G,A-Y), Group Timer=GMI
            (Some(timer), ChangeToExclude) => {
                refresh(state, &(&(&heard - &x) - &y), Some(timer));
                state.sources.retain(|s, _| heard.contains(s));
                state.group_timer = Some(gmi);
                ask_sources = &heard - &y;
            }
            // INCLUDE (A) + BLOCK (B) -> INCLUDE (A), Send Q(G,A*B)
            (None, BlockOldSources) => ask_sources = &x & &heard,
            // EXCLUDE (X,Y) + BLOCK (A) -> EXCLUDE (X+(A-Y),Y), (A-X-Y)=Group Timer, Send Q(G,A-Y)
            (Some(timer), BlockOldSources) => {
                refresh(state, &(&(&heard - &x) - &y), Some(timer));
                ask_sources = &heard - &y;
            }
            // INCLUDE (A) + TO_IN (B) -> INCLUDE (A+B), (B)=GMI, Send Q(G,A-B)
            // EXCLUDE (X,Y) + TO_IN (A) -> EXCLUDE (X+A,Y-A), (A)=GMI, Send Q(G,X-A), Send Q(G)
            (mode, ChangeToInclude) => {
                refresh(state, &heard, Some(gmi));
                ask_sources = &x - &heard;
                ask_group = mode.is_some();
            }
        }
        self.ask(now, group, ask_sources, ask_group);
    }

    /// Lowers the timers to the Last Member Query Time and asks as often as the robustness variable says: RFC 9776 6.6.3.
    fn ask(&mut self, now: Instant, group: Group<F>, sources: BTreeSet<F::Addr>, whole: bool) {
        let until = now + LAST_MEMBER_QUERY_INTERVAL * self.robustness.into();
        let Some(state) = self.groups.get_mut(&group) else { return };
        let times = (0..u32::from(self.robustness)).map(|n| now + LAST_MEMBER_QUERY_INTERVAL * n);
        if whole {
            state.group_timer = state.group_timer.map(|timer| timer.min(until));
            self.queries.extend(times.clone().map(|at| (at, Scope::Group(group))));
        }
        if !sources.is_empty() {
            for (_, timer) in state.sources.iter_mut().filter(|(source, _)| sources.contains(source)) {
                *timer = timer.map(|timer| timer.min(until));
            }
            self.queries.extend(times.map(|at| (at, Scope::GroupAndSources(group, sources.clone()))));
        }
    }
}
