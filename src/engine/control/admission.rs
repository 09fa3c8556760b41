//! What workers admit: a table for each interface, made whole at every change, and the reports that wait for it.
//!
//! A report asks the network for packets, so it leaves when every worker takes them (DESIGN 5). That a worker has the
//! new table shows by its having let go of the one before: control is then the last to hold that. Control never waits for
//! it; it looks again, soon and then less soon, and after a second reports anyway: a worker that is stuck is no reason to
//! keep the others from their packets.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use super::Outlet;
use super::interface::Interface;
use super::port::Base;
use crate::addr::{Group, V4};
use crate::io::Nic;
use crate::rng::Rng;
use crate::stack::groups::GroupTable;
use crate::time::{Instant, earliest};

/// The time between two attempts to reach a worker that made none.
pub(super) const TELL_INTERVAL: Duration = Duration::from_millis(10);

/// How long a report waits for workers to adopt the table that it is about.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

/// The first look whether they have, and the longest time between two.
const LOOK_MIN: Duration = Duration::from_micros(50);
const LOOK_MAX: Duration = Duration::from_millis(5);

/// How long a table that workers have let go of may wait for control to give it back.
const LET_GO_INTERVAL: Duration = Duration::from_secs(1);

/// A table, by the number of the change that it came with.
type Numbered = (u64, Arc<GroupTable<V4>>);

/// Reports that wait.
#[derive(Debug)]
struct Report {
    /// The change that workers must have adopted.
    change: u64,
    groups: Vec<Group<V4>>,
    /// Give up waiting.
    deadline: Instant,
    /// Who is told when they have left.
    ticket: Option<u64>,
}

/// Which table workers have, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// The number of the latest change.
    change: u64,
    /// Tables that workers may still have.
    replaced: Vec<Numbered>,
    /// Workers that were not told of the latest table, and when to try again.
    behind: Vec<usize>,
    tell_at: Option<Instant>,
    waiting: VecDeque<Report>,
    /// When to look whether they may leave, and how long that was put off.
    look_at: Option<Instant>,
    pause: Duration,
    /// Tickets whose reports have left, and how many those were.
    reported: Vec<(u64, u32)>,
}

impl Admission {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        earliest(self.tell_at, self.look_at)
    }

    /// Tickets whose reports have left since this was last asked, and how many those were.
    pub(super) fn take_reported(&mut self) -> Vec<(u64, u32)> {
        core::mem::take(&mut self.reported)
    }

    /// What was not reported yet never is.
    pub(super) fn forget_reports(&mut self) {
        self.reported
            .extend(self.waiting.drain(..).filter_map(|report| report.ticket.map(|ticket| (ticket, 0))));
        self.look_at = None;
    }

    /// Lets go of tables that no worker has any more. A table is many pieces of memory, and giving those back would keep a
    /// worker from its ring: the last owner is always control.
    fn let_go(&mut self) {
        self.replaced.retain(|(_, table)| Arc::strong_count(table) > 1);
    }

    /// The next report that may leave: every worker has adopted its change, or time is up.
    fn next_report(&mut self, now: Instant) -> Option<Report> {
        let Report { change, deadline, .. } = self.waiting.front()?;
        let adopted = self.replaced.iter().all(|(number, _)| number >= change);
        if !adopted && now < *deadline {
            return None;
        }
        if !adopted {
            tracing::warn!(
                "a worker has not taken over its new groups for a second; they are reported all the same"
            );
        }
        self.waiting.pop_front()
    }
}

impl Interface {
    /// One table for all workers, with what is wanted of `groups` now: the one that it takes the place of stays until no worker
    /// has it any more.
    pub(super) fn apply_admission<N: Nic>(
        &mut self,
        now: Instant,
        groups: &[Group<V4>],
        workers: &[usize],
        out: &Outlet<N>,
    ) {
        // What did not change, the two share.
        let mut table = GroupTable::clone(&self.replica.v4.groups);
        for &group in groups {
            let members = self.memberships.members(group);
            table.set(group, members.map(|(service, filter)| (*service, filter.clone())));
        }
        let table = Arc::new(table);
        let old = core::mem::replace(&mut self.replica.v4.groups, table);
        let admission = &mut self.admission;
        admission.replaced.push((admission.change, old));
        admission.change += 1;
        admission.behind.clear();
        admission.behind.extend_from_slice(workers);
        self.admission.look_at.get_or_insert(now + LET_GO_INTERVAL);
        self.tell_admission(now, out);
        self.admission.let_go();
    }

    /// Gives the table to the workers that do not have it yet.
    fn tell_admission<N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let (id, table) = (self.replica.id, &self.replica.v4.groups);
        let admission = &mut self.admission;
        admission.behind.retain(|worker| !out.renew_groups(id, *worker, Arc::clone(table)));
        admission.tell_at = (!admission.behind.is_empty()).then(|| now + TELL_INTERVAL);
    }

    /// Has what the interface wants of `groups` reported as soon as every worker has the latest table.
    pub(super) fn report_when_adopted(&mut self, now: Instant, groups: Vec<Group<V4>>, ticket: Option<u64>) {
        let admission = &mut self.admission;
        let (change, deadline) = (admission.change, now + REPORT_PATIENCE);
        admission.waiting.push_back(Report { change, groups, deadline, ticket });
        (admission.pause, admission.look_at) = (LOOK_MIN, Some(now));
    }

    /// Tells workers that were not told, and reports what they all have adopted.
    pub(super) fn settle_admission<N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        if self.admission.tell_at.is_some_and(|at| at <= now) {
            self.tell_admission(now, out);
        }
        if self.admission.look_at.is_none() {
            return;
        }
        self.admission.let_go();
        while let Some(Report { groups, ticket, .. }) = self.admission.next_report(now) {
            let reports = self.report(now, &groups, rng, base, out);
            self.admission.reported.extend(ticket.map(|ticket| (ticket, reports)));
        }
        let admission = &mut self.admission;
        // However often control turns meanwhile, it is woken for this ever less often.
        if admission.look_at.is_some_and(|at| at <= now) {
            admission.look_at = Some(now + admission.pause);
            admission.pause = (admission.pause * 2).min(LOOK_MAX);
        }
        if admission.waiting.is_empty() {
            admission.look_at = (!admission.replaced.is_empty()).then(|| now + LET_GO_INTERVAL);
        }
    }
}
