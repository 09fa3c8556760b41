//! The answer to a General Query in generation 1: a report a group, spread over the Max Resp Time.
//!
//! RFC 2236 3 has a timer started for each group. Drawing ten thousand of them at every query is what a flood of queries
//! would like. Instead the Max Resp Time is cut into as many slots as there are groups, and the groups are reported in
//! turn, each at a random time within its slot, from a random group on. The delay of each group alone is then uniform
//! over the Max Resp Time, as the RFC wants it, and a query costs a few sums.
//!
//! A query that comes during the walk asks of every group again. Those that are still to be passed have less time left,
//! as RFC 2236 3 has a running timer expire unless the new time is shorter; those that have been passed have the whole
//! new Max Resp Time. So there are two paces: one to the end of the first round, and one for the rest.

use core::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;

/// A walk around the groups, of which `P` is the place of one.
#[derive(Clone, Debug)]
pub(super) struct Sweep<P> {
    /// The last group that was passed.
    after: Option<P>,
    /// When the next one is.
    at: Instant,
    /// When the slot after that one's begins.
    next_slot: Instant,
    first: Pace,
    rest: Pace,
}

/// Groups to be passed, and the time for each.
#[derive(Clone, Copy, Default, Debug)]
struct Pace {
    groups: u32,
    slot: Duration,
}

impl<P: Copy> Sweep<P> {
    /// A query came `now`, when there were `groups`, at least one. The first is the one after `after`.
    // G15, RFC 2236 3: each delay is from (0, Max Resp Time].
    pub(super) fn new(
        now: Instant,
        rng: &mut Rng,
        max_response: Duration,
        groups: u32,
        after: Option<P>,
    ) -> Self {
        let slot = max_response / groups.max(1);
        let first = Pace { groups, slot };
        Self { after, at: now + rng.delay(slot), next_slot: now + slot, first, rest: Pace::default() }
    }

    /// When the next group is passed.
    pub(super) const fn at(&self) -> Instant {
        self.at
    }

    /// The last group that was passed.
    pub(super) const fn after(&self) -> Option<P> {
        self.after
    }

    /// A further query came: another round from here on. Nothing that is due already is put off.
    pub(super) fn asked_again(&mut self, now: Instant, rng: &mut Rng, max_response: Duration, groups: u32) {
        let slot = max_response / groups.max(1);
        // G47: the next slots begin no later than in a new walk, and are no shorter than in one: so a flood at most
        // doubles the pace, and never piles anything up.
        self.next_slot = self.next_slot.min(now + slot);
        if self.first.slot > slot {
            self.first = Pace { groups, slot };
            self.rest = Pace::default();
        } else {
            let passed = groups.saturating_sub(self.first.groups);
            let first_ends = self.next_slot + self.first.slot * self.first.groups.saturating_sub(1);
            let each = (now + max_response).since(first_ends) / passed.max(1);
            let slot = if self.rest.groups == 0 { each } else { self.rest.slot.min(each) };
            self.rest = Pace { groups: passed, slot };
        }
        if self.at > self.next_slot {
            self.at = now + rng.delay(self.next_slot.since(now));
        }
    }

    /// A group was added somewhere. Whoever was to be passed still is, in the same time.
    pub(super) fn grow(&mut self) {
        let Pace { groups, slot } = &mut self.first;
        let following = groups.saturating_sub(1);
        *slot = slot.saturating_mul(following) / (*groups).max(1);
        *groups = groups.saturating_add(1);
    }

    /// The group at `place` is passed. False if it was the last.
    pub(super) fn pass(&mut self, rng: &mut Rng, place: P) -> bool {
        self.after = Some(place);
        self.first.groups = self.first.groups.saturating_sub(1);
        if self.first.groups == 0 {
            self.first = core::mem::take(&mut self.rest);
        }
        if self.first.groups == 0 {
            return false;
        }
        self.at = self.next_slot + rng.delay(self.first.slot);
        self.next_slot += self.first.slot;
        true
    }
}
