//! The host's side of generation 2: IGMPv3 (RFC 9776 5) and MLDv2 (RFC 9777 6), for one interface.
//!
//! The owner says what the interface wants ([`Host::set_filter`]) and what routers ask ([`Host::query`]), and after
//! either, and at [`Host::poll_timeout`], takes the reports that are due ([`Host::poll_transmit`]) until there are none.
//!
//! Changes made before the owner asks for reports share them: a hundred joins in one go are a handful of packets. The
//! repeats of all groups share one timer, so that a hundred groups are not a hundred timers either; the interval before
//! a group's first repeat is then what is left of it, which is as random.

mod answer;
mod change;
#[cfg(test)]
pub(super) mod router;
#[cfg(test)]
mod tests;

use core::ops::Bound::{Excluded, Unbounded};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use answer::{End, GeneralAnswer, PendingAnswers};
use change::PendingChange;

use super::report::record_len;
use super::{Packer, Pending, Querier, Query, Record, RecordKind, Report, Scope};
use crate::addr::{Family, Group};
use crate::rng::Rng;
use crate::stack::source_filter::SourceFilter;
use crate::time::{Instant, earliest};

/// How often a change is told, until a querier says otherwise. RFC 9776 8.1.
pub const ROBUSTNESS_VARIABLE: u8 = 2;

/// The time between General Queries, until a querier says otherwise. RFC 9776 8.2.
pub const QUERY_INTERVAL: Duration = Duration::from_secs(125);

/// The longest time between a report of a change and its repeat. RFC 9776 8.11, RFC 9777 9.11.
// L12, RFC 9777 9.11.
pub const UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What one interface wants of each group, and what routers are still to be told of it.
#[derive(Clone, Debug)]
pub struct Host<F: Family> {
    /// The groups that are wanted, and those that are not any more as long as that is still to be told.
    groups: BTreeMap<Group<F>, Entry<F>>,
    /// Changed since the last report: to be reported at once, which is since when.
    changed: BTreeSet<Group<F>>,
    changed_at: Option<Instant>,
    /// Reported too few times: to be reported again, all at the same time.
    unsettled: BTreeSet<Group<F>>,
    repeat_at: Option<Instant>,
    answers: PendingAnswers<F>,
    /// Reports made and not yet taken.
    outbox: VecDeque<Report<F>>,
    /// Bytes of records that one report may hold.
    room: usize,
    /// Bytes of the Current-State Records of all groups.
    state_len: usize,
    robustness_variable: u8,
    /// What it is, whatever a querier says.
    robustness_pinned: Option<u8>,
    query_interval: Duration,
    /// What it is while no querier names one.
    query_interval_default: Duration,
}

/// One group.
#[derive(Clone, Debug)]
struct Entry<F: Family> {
    filter: SourceFilter<F>,
    change: PendingChange<F>,
    /// When a query of this group was last answered.
    answered: Option<Instant>,
}

impl<F: Family> Host<F> {
    /// An interface that wants nothing. `room` is how many bytes of records one report may hold.
    #[must_use]
    pub const fn new(room: usize) -> Self {
        Self {
            groups: BTreeMap::new(),
            changed: BTreeSet::new(),
            changed_at: None,
            unsettled: BTreeSet::new(),
            repeat_at: None,
            answers: PendingAnswers::none(),
            outbox: VecDeque::new(),
            room,
            state_len: 0,
            robustness_variable: ROBUSTNESS_VARIABLE,
            robustness_pinned: None,
            query_interval: QUERY_INTERVAL,
            query_interval_default: QUERY_INTERVAL,
        }
    }

    /// Changes how many bytes of records one report may hold.
    pub const fn set_room(&mut self, room: usize) {
        self.room = room;
    }

    /// The groups that are wanted and reported, in order.
    pub fn groups(&self) -> impl Iterator<Item = (Group<F>, &SourceFilter<F>)> + '_ {
        self.groups
            .iter()
            .filter(|(_, entry)| !entry.filter.is_none())
            .map(|(group, entry)| (*group, &entry.filter))
    }

    /// How often a change is told.
    #[must_use]
    pub const fn robustness_variable(&self) -> u8 {
        match self.robustness_pinned {
            Some(pinned) => pinned,
            None => self.robustness_variable,
        }
    }

    /// A change is told `pinned` times (at least once) from now on, whatever a querier says; `None`: as often as that
    /// says.
    pub fn pin_robustness(&mut self, pinned: Option<u8>) {
        self.robustness_pinned = pinned.map(|pinned| pinned.max(1));
    }

    /// The time between General Queries is taken for `interval` until a querier says otherwise.
    pub const fn set_default_query_interval(&mut self, interval: Duration) {
        self.query_interval_default = interval;
        self.query_interval = interval;
    }

    /// The time between General Queries, as far as is known.
    #[must_use]
    pub const fn query_interval(&self) -> Duration {
        self.query_interval
    }

    /// The interface wants `filter` of `group` from now on. Routers are told if that is news.
    // G24, RFC 9776 5.1: at once; G31: of nothing, if nothing changed; G04: never of the group of all hosts.
    pub fn set_filter(&mut self, now: Instant, group: Group<F>, filter: SourceFilter<F>) {
        let filter = reportable(group, filter);
        if !group.is_reported() || (filter.is_none() && !self.groups.contains_key(&group)) {
            return;
        }
        let robustness = self.robustness_variable();
        let entry = self.groups.entry(group).or_insert_with(Entry::new);
        if entry.change.merge(group, &entry.filter, &filter, robustness) {
            self.changed.insert(group);
            self.changed_at.get_or_insert(now);
        }
        self.state_len -= entry.state_len();
        entry.filter = filter;
        self.state_len += entry.state_len();
    }

    /// As [`set_filter`](Self::set_filter), but nobody is told: for as long as another generation speaks for the
    /// interface, and after [`cancel_pending`](Self::cancel_pending).
    pub fn set_filter_silently(&mut self, group: Group<F>, filter: SourceFilter<F>) {
        let filter = reportable(group, filter);
        if let Some(entry) = self.groups.remove(&group) {
            self.state_len -= entry.state_len();
        }
        if group.is_reported() && !filter.is_none() {
            let entry = Entry { filter, ..Entry::new() };
            self.state_len += entry.state_len();
            self.groups.insert(group, entry);
        }
    }

    /// The interface wants nothing any more. Routers are told, of all groups in as few reports as can be.
    // G45: a clean end says so, rather than let routers wait for it to age.
    pub fn leave_all(&mut self, now: Instant) {
        let groups: Vec<_> = self.groups().map(|(group, _)| group).collect();
        for group in groups {
            self.set_filter(now, group, SourceFilter::NONE);
        }
    }

    /// Tells routers of every group anew, as if all had just been joined: the link came up, or moved to another switch.
    // G44, RFC 4541 2.1.1: a switch that has forgotten us should not wait for the next query.
    pub fn announce_all(&mut self, now: Instant) {
        let robustness = self.robustness_variable();
        for (group, entry) in &mut self.groups {
            if entry.change.merge(*group, &SourceFilter::NONE, &entry.filter, robustness) {
                self.changed.insert(*group);
                self.changed_at.get_or_insert(now);
            }
        }
    }

    /// A router asks. The answer comes within the query's Max Resp Time.
    pub fn query(&mut self, now: Instant, rng: &mut Rng, query: &Query<F>) {
        let Query { scope, max_response, querier } = query;
        if let Some(querier) = querier {
            self.adopt(querier);
        }
        match scope {
            // RFC 9776 5.2: only "provided the system has state to report".
            Scope::General if self.state_len == 0 => {}
            Scope::General => {
                let reports = self.state_len.div_ceil(self.room.max(1));
                let reports = u32::try_from(reports).unwrap_or(u32::MAX);
                self.answers.general_query(now, rng, *max_response, reports);
            }
            Scope::Group(group) => self.group_query(now, rng, *max_response, *group, &BTreeSet::new()),
            Scope::GroupAndSources(group, sources) => {
                self.group_query(now, rng, *max_response, *group, sources);
            }
        }
    }

    /// A router asks of `group`, and of `sources` only unless there are none.
    fn group_query(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        max_response: Duration,
        group: Group<F>,
        sources: &BTreeSet<F::Addr>,
    ) {
        if let Some(entry) = self.groups.get(&group).filter(|entry| !entry.filter.is_none()) {
            self.answers.group_query(now, rng, max_response, (group, sources), entry.answered);
        }
    }

    /// Takes over what the querier says.
    // G23, RFC 9776 4.1.6 and 4.1.7: the most recent query's values, or the defaults if it names none.
    const fn adopt(&mut self, querier: &Querier) {
        self.robustness_variable =
            if querier.robustness == 0 { ROBUSTNESS_VARIABLE } else { querier.robustness };
        self.query_interval =
            if querier.interval.is_zero() { self.query_interval_default } else { querier.interval };
    }

    /// Forgets every answer and report that is due, as a change to another generation demands; the filters stay.
    // G39, RFC 9776 7.2.1.
    pub fn cancel_pending(&mut self) {
        self.answers = PendingAnswers::none();
        self.changed.clear();
        self.changed_at = None;
        self.unsettled.clear();
        self.repeat_at = None;
        self.outbox.clear();
        self.groups.retain(|_, entry| {
            entry.change = PendingChange::none();
            !entry.filter.is_none()
        });
    }

    /// What is still to be said.
    #[must_use]
    pub fn pending(&self) -> Pending {
        let (general, groups) = self.answers.pending();
        Pending { general, groups, changes: self.changed.union(&self.unsettled).count() }
    }

    /// When [`poll_transmit`](Self::poll_transmit) will next have something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.outbox.is_empty() {
            return Some(Instant::ZERO);
        }
        earliest(earliest(self.changed_at, self.repeat_at), self.answers.poll_timeout())
    }

    /// A report that is due `now`; to be asked until there is none.
    pub fn poll_transmit(&mut self, now: Instant, rng: &mut Rng) -> Option<Report<F>> {
        while self.outbox.is_empty() && self.poll_timeout().is_some_and(|at| at <= now) {
            self.report_changes(now, rng);
            self.answer_group_queries(now);
            self.answer_general_query(now, rng);
        }
        self.outbox.pop_front()
    }

    /// Reports what changed, and what is to be repeated if its time has come.
    fn report_changes(&mut self, now: Instant, rng: &mut Rng) {
        self.changed_at = None;
        let mut due = core::mem::take(&mut self.changed);
        if self.repeat_at.take_if(|at| *at <= now).is_some() {
            due.append(&mut self.unsettled);
        }
        let mut packer = Packer::new(self.room);
        for group in due {
            let Some(entry) = self.groups.get_mut(&group) else { continue };
            for record in entry.change.next_records(group, &entry.filter) {
                packer.push(record);
            }
            if !entry.change.is_none() {
                self.unsettled.insert(group);
            } else {
                self.unsettled.remove(&group);
                if entry.filter.is_none() {
                    self.groups.remove(&group);
                }
            }
        }
        self.outbox.append(&mut packer.finish());
        // G24, RFC 9776 5.1: repeated after a time chosen from (0, Unsolicited Report Interval].
        if self.unsettled.is_empty() {
            self.repeat_at = None;
        } else {
            self.repeat_at.get_or_insert_with(|| now + rng.delay(UNSOLICITED_REPORT_INTERVAL));
        }
    }

    /// Answers the queries of single groups whose time has come.
    fn answer_group_queries(&mut self, now: Instant) {
        let mut packer = Packer::new(self.room);
        while let Some((group, queried)) = self.answers.pop_group(now, packer.is_open()) {
            // G20, RFC 9776 5.2: "if and only if the interface has reception state" by now.
            let Some(entry) = self.groups.get_mut(&group).filter(|entry| !entry.filter.is_none()) else {
                continue;
            };
            if let Some(record) = entry.answer(group, &queried) {
                entry.answered = Some(now);
                packer.push(record);
            }
        }
        self.outbox.append(&mut packer.finish());
    }

    /// Makes the next report of the answer to a General Query, if its time has come.
    // G21, RFC 9776 5.2: a record a group, packed into few reports, which are spread over the Max Resp Time.
    fn answer_general_query(&mut self, now: Instant, rng: &mut Rng) {
        let Some(mut general) = self.answers.take_general(now) else { return };
        let mut packer = Packer::new(self.room);
        let rest = loop {
            let Some((group, filter)) = self.next_to_answer(&mut general) else { break None };
            if packer.would_overflow(filter.sources().len()) {
                break Some(general);
            }
            packer.push(Record::current_state(group, filter));
            general.after = Some(group);
        };
        self.outbox.append(&mut packer.finish());
        self.answers.put_back(now, rng, rest);
    }

    /// The next group that the answer to a General Query tells of.
    fn next_to_answer(&self, general: &mut GeneralAnswer<F>) -> Option<(Group<F>, &SourceFilter<F>)> {
        loop {
            let from = general.after.map_or(Unbounded, Excluded);
            let next = self.groups.range((from, Unbounded)).find(|(_, entry)| !entry.filter.is_none());
            match (next, general.end) {
                (Some((group, _)), End::At(last)) if *group > last => return None,
                (Some((group, entry)), _) => return Some((*group, &entry.filter)),
                (None, End::Around(last)) => {
                    general.after = None;
                    general.end = End::At(last);
                }
                (None, End::Highest | End::At(_)) => return None,
            }
        }
    }
}

/// What routers are told of a `filter` of `group`.
// G48, L16, RFC 4604 2.2.1: EXCLUDE mode means nothing in the source-specific range, and routers are to ignore what says it.
fn reportable<F: Family>(group: Group<F>, filter: SourceFilter<F>) -> SourceFilter<F> {
    match filter {
        SourceFilter::Exclude(_) if F::is_ssm(group.addr()) => SourceFilter::NONE,
        filter => filter,
    }
}

impl<F: Family> Entry<F> {
    /// A group that is not wanted.
    const fn new() -> Self {
        Self { filter: SourceFilter::NONE, change: PendingChange::none(), answered: None }
    }

    /// The bytes of its Current-State Record; none if it is not wanted.
    fn state_len(&self) -> usize {
        if self.filter.is_none() { 0 } else { record_len::<F>(self.filter.sources().len()) }
    }

    /// The answer to a query of `queried` sources, or of the group as a whole if there are none.
    // L10, RFC 9777 6.2, 6.3; G19, RFC 9776 5.2, table 5: INCLUDE (A) answers IS_IN (A*B), EXCLUDE (A) answers IS_IN (B-A), and an empty list is
    // no answer.
    fn answer(&self, group: Group<F>, queried: &BTreeSet<F::Addr>) -> Option<Record<F>> {
        if queried.is_empty() {
            return Some(Record::current_state(group, &self.filter));
        }
        let wanted = queried.iter().copied().filter(|source| self.filter.allows(*source));
        let record = Record::new(RecordKind::ModeIsInclude, group, wanted);
        (!record.sources.is_empty()).then_some(record)
    }
}
