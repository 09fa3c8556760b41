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
use super::side::Managed;
use crate::addr::{Family, Group};
use crate::engine::message::News;
use crate::io::Nic;
use crate::rng::Rng;
use crate::stack::groups::GroupTable;
use crate::time::{Instant, earliest};

/// The time between two attempts to reach a worker that made none.
pub(super) const TELL_INTERVAL: Duration = Duration::from_millis(10);

/// How long a report waits for workers to adopt the table that it is about.
pub(super) const REPORT_PATIENCE: Duration = Duration::from_secs(1);

/// The first look whether they have, and the longest time between two.
pub(super) const LOOK_MIN: Duration = Duration::from_micros(50);
pub(super) const LOOK_MAX: Duration = Duration::from_millis(5);

/// How long a table that workers have let go of may wait for control to give it back.
const LET_GO_INTERVAL: Duration = Duration::from_secs(1);

/// A table, by the number of the change that it came with.
type Numbered<F> = (u64, Arc<GroupTable<F>>);

/// Reports that wait.
#[derive(Debug)]
struct Report<F: Family> {
    /// The change that workers must have adopted.
    change: u64,
    groups: Vec<Group<F>>,
    /// Give up waiting.
    deadline: Instant,
    /// Who is told when they have left.
    ticket: Option<u64>,
}

/// Which table workers have, and what waits for them.
#[derive(Debug)]
pub(super) struct Admission<F: Family> {
    /// The number of the latest change.
    change: u64,
    /// Tables that workers may still have.
    replaced: Vec<Numbered<F>>,
    /// Workers that were not told of the latest table, and when to try again.
    behind: Vec<usize>,
    tell_at: Option<Instant>,
    waiting: VecDeque<Report<F>>,
    /// When to look whether they may leave, and how long that was put off.
    look_at: Option<Instant>,
    pause: Duration,
    /// Tickets whose reports have left, and how many those were.
    reported: Vec<(u64, u32)>,
}

impl<F: Family> Default for Admission<F> {
    fn default() -> Self {
        Self {
            change: 0,
            replaced: Vec::new(),
            behind: Vec::new(),
            tell_at: None,
            waiting: VecDeque::new(),
            look_at: None,
            pause: Duration::ZERO,
            reported: Vec::new(),
        }
    }
}

impl<F: Family> Admission<F> {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        earliest(self.tell_at, self.look_at)
    }

    /// Tickets whose reports have left since this was last asked, and how many those were.
    pub(super) fn take_reported(&mut self) -> Vec<(u64, u32)> {
        core::mem::take(&mut self.reported)
    }

    /// Whether reports wait for workers.
    pub(super) fn is_reporting(&self) -> bool {
        !self.waiting.is_empty()
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
    fn next_report(&mut self, now: Instant) -> Option<Report<F>> {
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
    pub(super) fn apply_admission<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        groups: &[Group<F>],
        workers: &[usize],
        out: &Outlet<N>,
    ) {
        // What did not change, the two share.
        let (replica, side) = F::split(self);
        let current = &mut F::inet_mut(replica).groups;
        let mut table = GroupTable::clone(current);
        for &group in groups {
            let members = side.memberships.members(group);
            table.set(group, members.map(|(service, filter)| (*service, filter.clone())));
        }
        let table = Arc::new(table);
        let old = core::mem::replace(current, table);
        let admission = &mut side.admission;
        admission.replaced.push((admission.change, old));
        admission.change += 1;
        admission.behind.clear();
        admission.behind.extend_from_slice(workers);
        admission.look_at.get_or_insert(now + LET_GO_INTERVAL);
        self.tell_admission::<F, N>(now, out);
        F::side_mut(self).admission.let_go();
    }

    /// Gives the table to the workers that do not have it yet.
    fn tell_admission<F: Managed, N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let (replica, side) = F::split(self);
        let (id, table) = (replica.id, &F::inet(replica).groups);
        let admission = &mut side.admission;
        admission.behind.retain(|worker| !out.tell(*worker, F::told(id, News::Groups(Arc::clone(table)))));
        admission.tell_at = (!admission.behind.is_empty()).then(|| now + TELL_INTERVAL);
    }

    /// Has what the interface wants of `groups` reported as soon as every worker has the latest table.
    pub(super) fn report_when_adopted<F: Managed>(
        &mut self,
        now: Instant,
        groups: Vec<Group<F>>,
        ticket: Option<u64>,
    ) {
        let admission = &mut F::side_mut(self).admission;
        let (change, deadline) = (admission.change, now + REPORT_PATIENCE);
        admission.waiting.push_back(Report { change, groups, deadline, ticket });
        (admission.pause, admission.look_at) = (LOOK_MIN, Some(now));
    }

    /// Tells workers that were not told, and reports what they all have adopted.
    pub(super) fn settle_admission<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        if F::side(self).admission.tell_at.is_some_and(|at| at <= now) {
            self.tell_admission::<F, N>(now, out);
        }
        if F::side(self).admission.look_at.is_none() {
            return;
        }
        F::side_mut(self).admission.let_go();
        while let Some(Report { groups, ticket, .. }) = F::side_mut(self).admission.next_report(now) {
            let reports = self.report::<F, N>(now, &groups, rng, base, out);
            F::side_mut(self).admission.reported.extend(ticket.map(|ticket| (ticket, reports)));
        }
        let admission = &mut F::side_mut(self).admission;
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
