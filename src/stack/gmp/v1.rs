//! The host's side of generation 1: IGMPv1 (RFC 1112, appendix I), IGMPv2 (RFC 2236) and MLDv1 (RFC 2710), for one
//! interface.
//!
//! The owner says which groups the interface is in ([`Host::join`], [`Host::leave`]), what routers ask ([`Host::query`])
//! and what other hosts report ([`Host::report_heard`]), and after any of these, and at [`Host::poll_timeout`], takes the
//! messages that are due ([`Host::poll_transmit`]) until there are none. Sources are unknown to this generation.
//!
//! A group has one timer, for whatever is to be said of it next. A General Query starts no timer at all: it starts a walk
//! around the groups (`sweep`), so that a flood of queries costs the same however many groups there are.
//!
//! ```
//! use pollcast::addr::{Group, V4};
//! use pollcast::rng::Rng;
//! use pollcast::stack::gmp::v1::{Host, Message};
//! use pollcast::time::Instant;
//!
//! let (mut host, mut rng, now) = (Host::<V4>::new(7, true), Rng::new(1), Instant::ZERO);
//! let group = Group::new("239.1.2.3".parse().unwrap()).unwrap();
//! host.join(now, group, 2);
//! assert_eq!(host.poll_transmit(now, &mut rng), Some(Message::Report(group)));
//! host.leave(group);
//! assert_eq!(host.poll_transmit(now, &mut rng), Some(Message::Leave(group)));
//! ```

#[cfg(test)]
pub(super) mod router;
mod sweep;
#[cfg(test)]
mod tests;

use core::hash::{Hash, Hasher};
use core::ops::Bound::{Excluded, Unbounded};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::DefaultHasher;

use sweep::Sweep;

use super::{Pending, Scope};
use crate::addr::{Family, Group};
use crate::rng::Rng;
use crate::time::{Instant, earliest};

/// The longest time between a report that nobody asked for and its repeat. RFC 2236 8.10, RFC 2710 7.10.
// L12, RFC 2710 7.10.
pub const UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The shortest time within which an answer is spread: the shortest that a query of this generation can name.
// G14, G47: a query of generation 2 may say "now", which would make a flood of it a flood of answers.
const MAX_RESPONSE_MIN: Duration = Duration::from_millis(100);

/// What one interface says of its groups.
#[derive(Clone, Debug)]
pub struct Host<F: Family> {
    /// The groups that are reported, in an order that differs from host to host.
    members: BTreeMap<Place<F>, Member>,
    /// Their timers, by time.
    timers: BTreeSet<(Instant, Place<F>)>,
    /// The answer to a General Query.
    sweep: Option<Sweep<Place<F>>>,
    /// Leaves to be sent at once.
    leaves: BTreeSet<Group<F>>,
    /// Whether the format has leaves: IGMPv1 has none.
    says_leave: bool,
    /// How many General Queries there were: a group that was reported since the last has nothing to answer.
    queries: u32,
    /// What the order of groups follows from.
    seed: u64,
}

/// Where a group stands in the order.
type Place<F> = (u32, Group<F>);

/// One group: RFC 2236 6, "Delaying Member" while its timer runs, else "Idle Member".
#[derive(Clone, Copy, Debug)]
struct Member {
    /// When its timer expires.
    timer: Option<Instant>,
    /// How many reports are still to be sent unasked.
    unsolicited: u8,
    /// Whether this host was the last to report the group, as far as it has heard.
    last_reporter: bool,
    /// The General Query after which it was last reported, by this host or another.
    reported_after: u32,
}

/// What is sent of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<F: Family> {
    /// The interface is in the group.
    Report(Group<F>),
    /// The interface has left the group.
    Leave(Group<F>),
}

impl<F: Family> Host<F> {
    /// An interface that is in no group. `seed` is its own, so that hosts answer in different orders; `says_leave` is
    /// whether its format has leaves.
    #[must_use]
    pub const fn new(seed: u64, says_leave: bool) -> Self {
        Self {
            members: BTreeMap::new(),
            timers: BTreeSet::new(),
            sweep: None,
            leaves: BTreeSet::new(),
            says_leave,
            queries: 0,
            seed,
        }
    }

    /// Whether the format has leaves from now on.
    pub const fn set_says_leave(&mut self, says_leave: bool) {
        self.says_leave = says_leave;
    }

    /// The groups that are reported, in no useful order.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = Group<F>> + '_ {
        self.members.keys().map(|(_, group)| *group)
    }

    /// Whether routers are told of `group` in this generation.
    // G04, RFC 2236 6: never of the group of all hosts. G48, RFC 4604 2.2.1: what is reported without sources would ask
    // for every source, which a group of the source-specific range never means.
    #[must_use]
    pub fn speaks_of(group: Group<F>) -> bool {
        group.is_reported() && !F::is_ssm(group.addr())
    }

    /// The interface is in `group` from now on. Routers are told at once and `robustness` times in all.
    // G24, RFC 2236 3 and 8.10: a report at once, then repeats after a time chosen from (0, 10 s] each.
    pub fn join(&mut self, now: Instant, group: Group<F>, robustness: u8) {
        let place = self.place(group);
        if !Self::speaks_of(group) || self.members.contains_key(&place) {
            return;
        }
        // Left and joined again before anything could be said: the last word only.
        let last_reporter = self.leaves.remove(&group);
        self.add(place, last_reporter);
        self.announce(now, place, robustness);
        if let Some(sweep) = &mut self.sweep {
            sweep.grow();
        }
    }

    /// The interface is in `group`, of which nobody is told.
    pub(super) fn add_silently(&mut self, group: Group<F>) {
        if Self::speaks_of(group) {
            self.add(self.place(group), false);
        }
    }

    fn add(&mut self, place: Place<F>, last_reporter: bool) {
        let reported_after = self.queries;
        let member = Member { timer: None, unsolicited: 0, last_reporter, reported_after };
        self.members.insert(place, member);
    }

    /// The interface is not in `group` any more. Routers are told if this host was the last to report it.
    // G41, RFC 2236 3 and Linux: another host that reported it later will answer the router's question, or leave itself.
    // G20: nothing is said of the group afterwards, whatever was asked.
    pub fn leave(&mut self, group: Group<F>) {
        let place = self.place(group);
        let Some(member) = self.members.remove(&place) else { return };
        if let Some(at) = member.timer {
            self.timers.remove(&(at, place));
        }
        if member.last_reporter && self.says_leave {
            self.leaves.insert(group);
        }
    }

    /// The interface is in no group any more.
    // G45: a clean end says so, rather than let routers wait for it to age.
    pub fn leave_all(&mut self) {
        let groups: Vec<_> = self.groups().collect();
        groups.into_iter().for_each(|group| self.leave(group));
    }

    /// Tells routers of every group anew, as if all had just been joined: the link came up, or the address changed.
    // G44, RFC 4541 2.1.1.
    pub fn announce_all(&mut self, now: Instant, robustness: u8) {
        let places: Vec<_> = self.members.keys().copied().collect();
        places.into_iter().for_each(|place| self.announce(now, place, robustness));
    }

    fn announce(&mut self, now: Instant, place: Place<F>, robustness: u8) {
        if let Some(member) = self.members.get_mut(&place) {
            member.unsolicited = robustness.max(1);
        }
        self.set_timer(place, Some(now));
    }

    /// A router asks. The answer comes within the query's Max Resp Time; of sources this generation knows nothing.
    pub fn query(&mut self, now: Instant, rng: &mut Rng, scope: &Scope<F>, max_response: Duration) {
        let max_response = max_response.max(MAX_RESPONSE_MIN);
        match scope {
            Scope::General => self.general_query(now, rng, max_response),
            Scope::Group(group) | Scope::GroupAndSources(group, _) => {
                let place = self.place(*group);
                let Some(member) = self.members.get(&place) else { return };
                // G42, RFC 2236 3: a member that stays answers in time for the router that asks the last of them.
                // G17, RFC 2236 3: a running timer is set anew only if less time is allowed than it has left.
                if member.timer.is_none_or(|at| at > now + max_response) {
                    self.set_timer(place, Some(now + rng.delay(max_response)));
                }
            }
        }
    }

    /// G16, G21, G47: one walk at a time, whose start and course are drawn here and nothing else.
    fn general_query(&mut self, now: Instant, rng: &mut Rng, max_response: Duration) {
        let Ok(members) = u32::try_from(self.members.len()) else { return };
        if members == 0 {
            return;
        }
        self.queries = self.queries.wrapping_add(1);
        match &mut self.sweep {
            Some(sweep) => sweep.asked_again(now, rng, max_response, members),
            none @ None => {
                let after = Self::start(&self.members, rng);
                *none = Some(Sweep::new(now, rng, max_response, members, after));
            }
        }
    }

    /// A member to begin behind, each as likely as any other.
    fn start(members: &BTreeMap<Place<F>, Member>, rng: &mut Rng) -> Option<Place<F>> {
        /// Of more than this, a random place in the order will do: none is then likely to be the first.
        const FEW: usize = 256;
        if members.len() <= FEW {
            let nth = usize::try_from(rng.below(members.len() as u64)).unwrap_or_default();
            return members.keys().nth(nth).copied();
        }
        let (_, any_group) = members.keys().next()?;
        let [a, b, c, d, ..] = rng.u64().to_be_bytes();
        let from = (u32::from_be_bytes([a, b, c, d]), *any_group);
        members.range(..from).next_back().map(|(place, _)| *place)
    }

    /// Another host's report of `group` was heard: what would be said of it has been said.
    // G40, RFC 2236 3: the timer is stopped, repeats of a join among it, as Linux does; and the other host will see to it
    // that the group is left.
    pub fn report_heard(&mut self, group: Group<F>) {
        let place = self.place(group);
        self.set_timer(place, None);
        if let Some(member) = self.members.get_mut(&place) {
            member.unsolicited = 0;
            member.last_reporter = false;
            member.reported_after = self.queries;
        }
    }

    /// Forgets every answer and repeat that is due, as a change to another version demands; the memberships stay.
    // G39, RFC 9776 7.2.1.
    pub fn cancel_pending(&mut self) {
        self.timers.clear();
        self.sweep = None;
        self.leaves.clear();
        for member in self.members.values_mut() {
            (member.timer, member.unsolicited) = (None, 0);
        }
    }

    /// When [`poll_transmit`](Self::poll_transmit) will next have something, or wants to be called to find that out.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.leaves.is_empty() {
            return Some(Instant::ZERO);
        }
        earliest(self.timers.first().map(|(at, _)| *at), self.sweep.as_ref().map(Sweep::at))
    }

    /// A message that is due `now`; to be asked until there is none.
    pub fn poll_transmit(&mut self, now: Instant, rng: &mut Rng) -> Option<Message<F>> {
        if let Some(group) = self.leaves.pop_first() {
            return Some(Message::Leave(group));
        }
        if let Some((at, place)) = self.timers.first().copied()
            && at <= now
        {
            return Some(self.report(now, rng, place));
        }
        while let Some(place) = self.next_of_sweep(now, rng) {
            let unanswered = |member: &Member| member.reported_after != self.queries;
            if self.members.get(&place).is_some_and(unanswered) {
                return Some(self.report(now, rng, place));
            }
        }
        None
    }

    /// The next group that the walk comes to, if it is time.
    fn next_of_sweep(&mut self, now: Instant, rng: &mut Rng) -> Option<Place<F>> {
        let sweep = self.sweep.as_mut().filter(|sweep| sweep.at() <= now)?;
        let place = following(&self.members, sweep.after());
        match place {
            Some(place) if sweep.pass(rng, place) => {}
            _ => self.sweep = None,
        }
        place
    }

    /// Reports a group, which answers whatever was asked of it, and counts as one of the unasked reports, too.
    fn report(&mut self, now: Instant, rng: &mut Rng, place: Place<F>) -> Message<F> {
        let mut again = None;
        if let Some(member) = self.members.get_mut(&place) {
            member.last_reporter = true;
            member.reported_after = self.queries;
            member.unsolicited = member.unsolicited.saturating_sub(1);
            again = (member.unsolicited > 0).then(|| now + rng.delay(UNSOLICITED_REPORT_INTERVAL));
        }
        self.set_timer(place, again);
        Message::Report(place.1)
    }

    fn set_timer(&mut self, place: Place<F>, timer: Option<Instant>) {
        let Some(member) = self.members.get_mut(&place) else { return };
        if let Some(old) = core::mem::replace(&mut member.timer, timer) {
            self.timers.remove(&(old, place));
        }
        if let Some(at) = timer {
            self.timers.insert((at, place));
        }
    }

    /// The order is as good as random, and another one on each host: the answers of many hosts to one query meet at no
    /// group.
    fn place(&self, group: Group<F>) -> Place<F> {
        let mut hasher = DefaultHasher::new();
        (self.seed, group).hash(&mut hasher);
        let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
        (u32::from_be_bytes([a, b, c, d]), group)
    }

    /// What is still to be said. For people to see: it counts.
    #[must_use]
    pub fn pending(&self) -> Pending {
        let changes = self.members.values().filter(|member| member.unsolicited > 0).count();
        let groups = self.members.values().filter(|m| m.timer.is_some() && m.unsolicited == 0).count();
        Pending { general: self.sweep.as_ref().map(Sweep::at), groups, changes: changes + self.leaves.len() }
    }
}

/// The member after `place`, or the first one after the last; none if there are no members.
fn following<F: Family>(members: &BTreeMap<Place<F>, Member>, place: Option<Place<F>>) -> Option<Place<F>> {
    let behind = place.and_then(|place| members.range((Excluded(place), Unbounded)).next());
    behind.or_else(|| members.iter().next()).map(|(place, _)| *place)
}
