//! A multicast router and snooping switch in one: an IGMPv3 querier after RFC 9776 6, and what it lets through. It speaks
//! versions 1 and 2, too.
//!
//! The oracle for the host: once everything has been quiet for long enough, [`Router::view`] of every group must equal
//! what the host wants. It reads reports strictly and shares no code with the host.

mod state;

pub use state::{Sources, View};

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use self::state::GroupState;
use super::frames::{IgmpMessage, IgmpQuery, IgmpReport, Malformed, Record, RecordKind};
use crate::time::{Instant, earliest};

/// What a router is like. RFC 9776 8 names these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouterOptions {
    /// The version of IGMP that it speaks: 1, 2 or 3. Of a newer one it understands nothing.
    pub version: u8,
    /// Its address.
    pub addr: Ipv4Addr,
    /// How many losses in a row are survived.
    pub robustness: u8,
    /// Between general queries.
    pub query_interval: Duration,
    /// How long answers to a general query may take.
    pub query_response_interval: Duration,
    /// How long answers to a specific query may take, and between its repetitions.
    pub last_member_query_interval: Duration,
}

impl RouterOptions {
    /// RFC 9776's defaults, at `addr`.
    #[must_use]
    pub const fn new(addr: Ipv4Addr) -> Self {
        Self {
            version: 3,
            addr,
            robustness: 2,
            query_interval: Duration::from_secs(125),
            query_response_interval: Duration::from_secs(10),
            last_member_query_interval: Duration::from_secs(1),
        }
    }

    /// After this long without a report, nobody wants a group. RFC 9776 8.4.
    #[must_use]
    pub fn group_membership_interval(&self) -> Duration {
        self.query_interval * u32::from(self.robustness) + self.query_response_interval
    }

    /// After this long without an answer to a specific query, nobody wants what it asked for. RFC 9776 8.9 and 8.10:
    /// the last member query count is the robustness variable.
    #[must_use]
    pub fn last_member_query_time(&self) -> Duration {
        self.last_member_query_interval * u32::from(self.robustness)
    }
}

/// Queries about one group that are still to be sent.
#[derive(Clone, Debug, Default)]
struct Pending {
    at: Option<Instant>,
    group: u8,
    sources: BTreeMap<Ipv4Addr, u8>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    state: GroupState,
    pending: Pending,
}

/// A querier and what it knows.
#[derive(Debug)]
pub struct Router {
    options: RouterOptions,
    groups: BTreeMap<Ipv4Addr, Entry>,
    /// No group has a deadline before.
    quiet_until: Option<Instant>,
    next_general: Instant,
    /// General queries of the start that are still to come, a quarter of the interval apart. RFC 9776 8.6 and 8.7.
    startup_left: u8,
    silent: bool,
    outbox: VecDeque<Vec<u8>>,
    reports: Vec<(Instant, IgmpReport)>,
    older: Vec<(Instant, IgmpMessage)>,
    malformed: Vec<(Malformed, Vec<u8>)>,
}

impl Router {
    /// A router that starts at `now`.
    #[must_use]
    pub fn new(options: RouterOptions, now: Instant) -> Self {
        Self {
            options,
            groups: BTreeMap::new(),
            quiet_until: None,
            next_general: now,
            startup_left: options.robustness,
            silent: false,
            outbox: VecDeque::new(),
            reports: Vec::new(),
            older: Vec::new(),
            malformed: Vec::new(),
        }
    }

    /// Sends no more queries, and lets timers run: a switch without a querier, or one that went away.
    pub fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Speaks another version from now on, and says so at once: another querier took over.
    pub fn set_version(&mut self, now: Instant, version: u8) {
        self.options.version = version;
        (self.next_general, self.startup_left) = (now, self.options.robustness);
    }

    /// Options.
    #[must_use]
    pub fn options(&self) -> &RouterOptions {
        &self.options
    }

    /// A frame arrived at the router.
    pub fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        self.handle_timeout(now);
        match IgmpMessage::read(frame) {
            Ok(None) => {}
            Ok(Some(IgmpMessage::ReportV3(report))) => {
                if self.options.version == 3 {
                    report.records.iter().for_each(|record| self.record(now, record));
                }
                self.reports.push((now, report));
            }
            Ok(Some(message)) => {
                self.older(now, &message);
                self.older.push((now, message));
            }
            Err(why) => self.malformed.push((why, frame.to_vec())),
        }
    }

    /// RFC 9776 7.3.2: a report of an older version is IS_EX ({}), and a leave TO_IN ({}). So it is to older routers, too,
    /// who know of no sources; a router of version 1 knows of no leave (RFC 1112, appendix I).
    fn older(&mut self, now: Instant, message: &IgmpMessage) {
        let (kind, group) = match *message {
            IgmpMessage::ReportV2(_) | IgmpMessage::Leave(_) if self.options.version == 1 => return,
            IgmpMessage::ReportV1(group) | IgmpMessage::ReportV2(group) => (RecordKind::IsEx, group),
            IgmpMessage::Leave(group) => (RecordKind::ToIn, group),
            IgmpMessage::ReportV3(_) => return,
        };
        self.record(now, &Record { kind, group, sources: Sources::new() });
    }

    fn record(&mut self, now: Instant, record: &Record) {
        let gmi = self.options.group_membership_interval();
        let lmqt = now + self.options.last_member_query_time();
        let count = self.options.robustness;
        let Entry { state, pending } = self.groups.entry(record.group).or_default();
        let questions = state.report(now, gmi, record.kind, &record.sources);
        // RFC 9776 6.6.3.1: the group's timer is lowered to the last member query time.
        if questions.group {
            state.group_timer = state.group_timer.map(|at| at.min(lmqt));
            pending.group = count;
            pending.at = Some(now);
        }
        // RFC 9776 6.6.3.2: so are those of the sources that had more time.
        for source in &questions.sources {
            if let Some(Some(timer)) = state.sources.get_mut(source).filter(|t| t.is_some_and(|at| at > lmqt))
            {
                *timer = lmqt;
                pending.sources.insert(*source, count);
                pending.at = Some(now);
            }
        }
        // All others have been seen to when the frame arrived.
        self.see_to(now, record.group);
    }

    /// What is due of one group.
    fn see_to(&mut self, now: Instant, group: Ipv4Addr) {
        let Some(Entry { state, pending }) = self.groups.get_mut(&group) else { return };
        state.expire(now);
        if pending.at.is_some_and(|at| at <= now) {
            pending.at = None;
            for query in specific_queries(&self.options, now, group, state, pending) {
                if !self.silent {
                    self.outbox.push_back(query.frame());
                }
            }
        }
        match earliest(state.next_expiry(), pending.at) {
            Some(at) => self.quiet_until = earliest(self.quiet_until, Some(at)),
            None => drop(self.groups.remove(&group)),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadline = |e: &Entry| earliest(e.state.next_expiry(), e.pending.at);
        self.groups.values().map(deadline).fold(Some(self.next_general), earliest)
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.next_general <= now {
            self.general_query();
        }
        // With thousands of groups most calls come for nothing.
        if self.quiet_until.is_none_or(|at| at > now) {
            return;
        }
        self.quiet_until = None;
        let groups: Vec<_> = self.groups.keys().copied().collect();
        groups.into_iter().for_each(|group| self.see_to(now, group));
    }

    fn general_query(&mut self) {
        if !self.silent {
            let query =
                IgmpQuery { max_response: self.options.query_response_interval, ..base_query(&self.options) };
            self.outbox.push_back(query.frame());
        }
        self.startup_left = self.startup_left.saturating_sub(1);
        let interval = self.options.query_interval;
        self.next_general += if self.startup_left > 0 { interval / 4 } else { interval };
    }

    /// The next frame that the router sends.
    pub fn transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// What the router believes of `group`.
    #[must_use]
    pub fn view(&self, group: Ipv4Addr) -> View {
        self.groups.get(&group).map_or_else(|| View::Include(Sources::new()), |e| e.state.view())
    }

    /// What the router believes of every group of which somebody wants anything.
    #[must_use]
    pub fn views(&self) -> BTreeMap<Ipv4Addr, View> {
        let wanted = self.groups.iter().filter(|(_, e)| !e.state.is_empty());
        wanted.map(|(group, e)| (*group, e.state.view())).collect()
    }

    /// Whether a frame is let through to the link: what is not multicast, the link's own groups (RFC 4541 2.1.2), and
    /// the sources of groups that somebody wants.
    #[must_use]
    pub fn lets_through(&self, frame: &[u8]) -> bool {
        let Some((ethertype, packet)) = super::rss::network_layer(frame) else { return true };
        let address =
            |at: usize| packet.get(at..at + 4).and_then(|b| b.first_chunk::<4>()).map(|b| Ipv4Addr::from(*b));
        match (ethertype, address(12), address(16)) {
            (0x0800, Some(source), Some(group)) if group.is_multicast() => {
                group.octets()[..3] == [224, 0, 0]
                    || self.groups.get(&group).is_some_and(|e| e.state.wants(source))
            }
            _ => true,
        }
    }

    /// Every report heard, and when.
    #[must_use]
    pub fn reports(&self) -> &[(Instant, IgmpReport)] {
        &self.reports
    }

    /// Every message of an older version heard, and when.
    #[must_use]
    pub fn older_messages(&self) -> &[(Instant, IgmpMessage)] {
        &self.older
    }

    /// Forgets the reports heard so far.
    pub fn clear_reports(&mut self) {
        self.reports.clear();
        self.older.clear();
    }

    /// Frames that no correct host would send, and why. Must be empty.
    #[must_use]
    pub fn malformed(&self) -> &[(Malformed, Vec<u8>)] {
        &self.malformed
    }
}

fn base_query(options: &RouterOptions) -> IgmpQuery {
    IgmpQuery {
        version: options.version,
        robustness: options.robustness,
        query_interval: options.query_interval,
        ..IgmpQuery::general(options.addr)
    }
}

/// The queries about `group` that are due, and what is left of them. RFC 9776 6.6.3: sources that have more time than
/// the last member query time are asked for with the flag that keeps other routers from lowering it.
fn specific_queries(
    options: &RouterOptions,
    now: Instant,
    group: Ipv4Addr,
    state: &GroupState,
    pending: &mut Pending,
) -> Vec<IgmpQuery> {
    let lmqt = now + options.last_member_query_time();
    let specific = IgmpQuery {
        destination: group,
        group,
        max_response: options.last_member_query_interval,
        ..base_query(options)
    };
    let mut queries = Vec::new();
    let asked_group = pending.group > 0;
    if asked_group {
        pending.group -= 1;
        queries
            .push(IgmpQuery { suppress: state.group_timer.is_some_and(|at| at > lmqt), ..specific.clone() });
    }
    let asked: Vec<Ipv4Addr> = pending.sources.keys().copied().collect();
    let has_more_time =
        |source: &Ipv4Addr| state.sources.get(source).is_some_and(|t| t.is_some_and(|at| at > lmqt));
    let (more, less): (Vec<_>, Vec<_>) = asked.into_iter().partition(has_more_time);
    for (suppress, sources) in [(true, more), (false, less)] {
        let told_by_the_group_query = suppress && asked_group;
        if !sources.is_empty() && !told_by_the_group_query {
            queries.push(IgmpQuery { suppress, sources, ..specific.clone() });
        }
    }
    pending.sources.retain(|_, left| {
        *left -= 1;
        *left > 0
    });
    if pending.group > 0 || !pending.sources.is_empty() {
        pending.at = Some(now + options.last_member_query_interval);
    }
    queries
}

#[cfg(test)]
mod tests;
