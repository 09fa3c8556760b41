//! Which queries are still to be answered, and when.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::addr::{Family, Group};
use crate::rng::Rng;
use crate::time::{Instant, earliest};

/// The shortest time within which an answer is spread, whatever the query says.
// G14, RFC 9776 4.1.1: a code of 0 means "now"; G15, 5.2: and even then not all hosts at once.
const MAX_RESPONSE_MIN: Duration = Duration::from_millis(10);

/// Queries that come faster than the answers to them are answered no more often than this.
// G47, RFC 9776 5.2, deviation: "the earlier of the two" under a flood of queries would be at once, so an answer also
// keeps this distance from the last (or the Max Resp Time, if that is shorter), which is within the time allowed.
const DISTANCE_MAX: Duration = Duration::from_millis(250);

/// As [`DISTANCE_MAX`], for queries that want their answer sooner: the shortest time that a query can name, but for 0.
const DISTANCE_MIN: Duration = Duration::from_millis(100);

/// With more groups than this to be told of, a report that leaves takes along those whose time has not come yet.
// G47: so a flood of queries of many groups is answered in as few reports as can be; G15: a few groups stay apart.
const ALONE_MAX: usize = 16;

/// More queried sources of one group than this are answered with the group's whole state instead of being kept.
pub(super) const QUERIED_SOURCES_MAX: usize = 1024;

/// When to answer a query that came `now`, after an answer of the same kind at `last`: within `max_response`.
// G15, RFC 9776 5.2: chosen from (0, Max Resp Time].
fn answer_at(now: Instant, rng: &mut Rng, max_response: Duration, last: Option<Instant>) -> Instant {
    let at = now + rng.delay(max_response.max(MAX_RESPONSE_MIN));
    last.map_or(at, |last| at.max(last + max_response.clamp(DISTANCE_MIN, DISTANCE_MAX)))
}

/// The answers that are due some time.
#[derive(Clone, Debug)]
pub(super) struct PendingAnswers<F: Family> {
    general: Option<GeneralAnswer<F>>,
    general_answered: Option<Instant>,
    groups: BTreeMap<Group<F>, GroupAnswer<F>>,
    /// The same, by time.
    by_time: BTreeSet<(Instant, Group<F>)>,
}

/// The answer to a General Query: perhaps in several reports, spread over the time allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct GeneralAnswer<F: Family> {
    /// When the next report is due.
    pub(super) at: Instant,
    /// When the last report is due.
    pub(super) by: Instant,
    /// How many reports there will be, as far as can be foreseen.
    pub(super) reports: u32,
    /// The last group that was told of.
    pub(super) after: Option<Group<F>>,
    /// Where it ends.
    pub(super) end: End<F>,
}

/// Where the answer to a General Query ends. Groups are told of in order, as on a ring: a query that comes meanwhile
/// makes the answer go round once more from where it stands, so that no flood of queries keeps it near the start.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<F: Family> {
    /// With the highest group.
    Highest,
    /// With this group, after the highest and the lowest.
    Around(Group<F>),
    /// With this group.
    At(Group<F>),
}

/// The answer to queries of one group.
#[derive(Clone, Debug)]
struct GroupAnswer<F: Family> {
    at: Instant,
    /// The sources that were asked for; none: the group as a whole.
    sources: BTreeSet<F::Addr>,
}

impl<F: Family> PendingAnswers<F> {
    /// Nothing to answer.
    pub(super) const fn none() -> Self {
        Self { general: None, general_answered: None, groups: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// When the next answer is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.general.as_ref().map(|g| g.at), self.by_time.first().map(|(at, _)| *at))
    }

    /// When the next report of the answer to a General Query is due, and how many answers of single groups are.
    pub(super) fn pending(&self) -> (Option<Instant>, usize) {
        (self.general.map(|general| general.at), self.groups.len())
    }

    /// A General Query came, whose answer will take about `reports` reports.
    // G16, RFC 9776 5.2, rules 1 and 2: one pending answer; the sooner one stays.
    pub(super) fn general_query(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        max_response: Duration,
        reports: u32,
    ) {
        // G21: the first of several is due in the first of as many parts of the time.
        let at = answer_at(now, rng, max_response / reports.max(1), self.general_answered);
        let by = now + max_response.max(MAX_RESPONSE_MIN);
        let new = match self.general {
            None => GeneralAnswer { at, by, reports, after: None, end: End::Highest },
            Some(old) => GeneralAnswer {
                at: at.min(old.at),
                by: by.min(old.by),
                reports,
                after: old.after,
                end: old.after.map_or(End::Highest, End::Around),
            },
        };
        self.general = Some(new);
    }

    /// A query of `group` came, for `sources` or for the group as a whole if there are none. `last` is when it was last
    /// told of.
    pub(super) fn group_query(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        max_response: Duration,
        (group, sources): (Group<F>, &BTreeSet<F::Addr>),
        last: Option<Instant>,
    ) {
        let at = answer_at(now, rng, max_response, last);
        // RFC 9776 5.2, rule 1: a General Query will be answered sooner, and with more. Not if its answer takes several
        // reports: the one with this group may be later.
        if self.general.is_some_and(|g| g.reports <= 1 && g.after.is_none() && g.at <= at) {
            return;
        }
        let (at, sources) = match self.groups.remove(&group) {
            // Rule 3.
            None => (at, sources.clone()),
            Some(pending) => {
                self.by_time.remove(&(pending.at, group));
                let at = at.min(pending.at);
                if sources.is_empty() || pending.sources.is_empty() {
                    // G17, G18, rule 4: the group as a whole, at the earlier time.
                    (at, BTreeSet::new())
                } else {
                    // G18, rule 5: both lists, at the earlier time.
                    (at, &pending.sources | sources)
                }
            }
        };
        let sources = if sources.len() > QUERIED_SOURCES_MAX { BTreeSet::new() } else { sources };
        self.by_time.insert((at, group));
        self.groups.insert(group, GroupAnswer { at, sources });
    }

    /// A group of which an answer is due, with the sources that were asked for (none: the group as a whole). If a report is
    /// `leaving` that has room, one that is due later will do, if there are many.
    pub(super) fn pop_group(&mut self, now: Instant, leaving: bool) -> Option<(Group<F>, BTreeSet<F::Addr>)> {
        let (at, group) = *self.by_time.first()?;
        if at > now && !(leaving && self.by_time.len() > ALONE_MAX) {
            return None;
        }
        self.by_time.pop_first();
        self.groups.remove(&group).map(|answer| (group, answer.sources))
    }

    /// The answer to a General Query, if a report of it is due.
    pub(super) fn take_general(&mut self, now: Instant) -> Option<GeneralAnswer<F>> {
        self.general.take_if(|general| general.at <= now)
    }

    /// A report of the answer was made; `rest` is what is left of it.
    // G21, RFC 9776 5.2: spread over the time allowed.
    pub(super) fn put_back(&mut self, now: Instant, rng: &mut Rng, rest: Option<GeneralAnswer<F>>) {
        self.general_answered = Some(now);
        self.general = rest.map(|mut general| {
            general.reports = general.reports.saturating_sub(1).max(1);
            general.at = now + rng.delay(general.by.since(now) / general.reports);
            general
        });
    }
}
