//! A router of RFC 2236 with hosts on its link, as the oracle of the tests: the router's side of that RFC's section 7.
//!
//! It knows nothing of the host but its messages, and it asks before it stops forwarding, as a querier does. What it
//! comes to believe after quiet time must be what the host wants.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::Message;
use crate::addr::{Family, Group};
use crate::stack::gmp::Scope;
use crate::time::{Instant, earliest};

/// RFC 2236 8.2.
const QUERY_INTERVAL: Duration = Duration::from_secs(125);
/// RFC 2236 8.3.
const QUERY_RESPONSE_INTERVAL: Duration = Duration::from_secs(10);
/// RFC 2236 8.8.
const LAST_MEMBER_QUERY_INTERVAL: Duration = Duration::from_secs(1);

/// The router.
#[derive(Debug)]
pub(crate) struct Router<F: Family> {
    robustness: u32,
    /// Until when each group is taken to have members.
    groups: BTreeMap<Group<F>, Instant>,
    next_general: Instant,
    /// Group-Specific Queries that it will still send.
    queries: Vec<(Instant, Group<F>)>,
}

impl<F: Family> Router<F> {
    /// A router that begins to ask at `now`.
    pub(crate) fn new(now: Instant, robustness: u8) -> Self {
        Self {
            robustness: robustness.into(),
            groups: BTreeMap::new(),
            next_general: now,
            queries: Vec::new(),
        }
    }

    /// RFC 2236 8.4: for so long after a report, a group is taken to have members.
    pub(crate) fn group_membership_interval(&self) -> Duration {
        QUERY_INTERVAL * self.robustness + QUERY_RESPONSE_INTERVAL
    }

    /// The groups that it takes to have members.
    pub(crate) fn groups(&self) -> BTreeSet<Group<F>> {
        self.groups.keys().copied().collect()
    }

    /// A host's message arrives.
    pub(crate) fn receive(&mut self, now: Instant, message: Message<F>) {
        match message {
            Message::Report(group) => {
                let until = now + self.group_membership_interval();
                self.groups.insert(group, until);
            }
            // RFC 2236 7, "leave received": the timer is lowered and the last members are asked; 8.9: as often as the
            // robustness variable says.
            Message::Leave(group) => {
                let Some(until) = self.groups.get_mut(&group) else { return };
                *until = (*until).min(now + LAST_MEMBER_QUERY_INTERVAL * self.robustness);
                let times = (0..self.robustness).map(|n| now + LAST_MEMBER_QUERY_INTERVAL * n);
                self.queries.extend(times.map(|at| (at, group)));
            }
        }
    }

    /// When it next does something by itself.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let queries = self.queries.iter().map(|(at, _)| *at).min();
        earliest(earliest(self.groups.values().copied().min(), queries), Some(self.next_general))
    }

    /// Timers run out; returns the queries to be sent now, each with its Max Resp Time.
    pub(crate) fn turn(&mut self, now: Instant) -> Vec<(Scope<F>, Duration)> {
        let mut asks = Vec::new();
        self.queries.retain(|(at, group)| {
            if *at <= now {
                asks.push((Scope::Group(*group), LAST_MEMBER_QUERY_INTERVAL));
            }
            *at > now
        });
        if self.next_general <= now {
            self.next_general = now + QUERY_INTERVAL;
            asks.push((Scope::General, QUERY_RESPONSE_INTERVAL));
        }
        self.groups.retain(|_, until| *until > now);
        asks
    }
}
