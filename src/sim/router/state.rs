//! What a router believes of one group, and how reports change it: RFC 9776 6.4.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::sim::frames::RecordKind;
use crate::time::{Instant, earliest};

/// A set of sources.
pub type Sources = BTreeSet<Ipv4Addr>;

/// What members of a group want, as a router sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum View {
    /// These sources only. Of none: nobody wants the group.
    Include(Sources),
    /// Every source but these.
    Exclude(Sources),
}

/// What a report leaves the router to ask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Questions {
    /// Does anybody still want the group?
    pub(super) group: bool,
    /// Does anybody still want these sources of it?
    pub(super) sources: Sources,
}

/// What the router believes of one group: its filter mode and timers, RFC 9776 6.2.
///
/// A source whose timer runs is wanted. One whose timer is zero exists in EXCLUDE mode only: nobody wants it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct GroupState {
    /// When the group timer ends; `Some` is EXCLUDE mode.
    pub(super) group_timer: Option<Instant>,
    /// When the source timers end; `None` is a timer that is zero.
    pub(super) sources: BTreeMap<Ipv4Addr, Option<Instant>>,
}

impl GroupState {
    /// Whether nobody wants anything of the group.
    pub(super) fn is_empty(&self) -> bool {
        self.group_timer.is_none() && self.sources.is_empty()
    }

    pub(super) fn wants(&self, source: Ipv4Addr) -> bool {
        match (self.group_timer, self.sources.get(&source)) {
            (_, Some(timer)) => timer.is_some(),
            (group_timer, None) => group_timer.is_some(),
        }
    }

    pub(super) fn view(&self) -> View {
        match self.group_timer {
            None => View::Include(self.running()),
            Some(_) => View::Exclude(self.zero()),
        }
    }

    /// The sources whose timers run: A of INCLUDE (A), X of EXCLUDE (X,Y).
    fn running(&self) -> Sources {
        self.sources.iter().filter(|(_, timer)| timer.is_some()).map(|(s, _)| *s).collect()
    }

    /// The sources whose timers are zero: Y of EXCLUDE (X,Y).
    fn zero(&self) -> Sources {
        self.sources.iter().filter(|(_, timer)| timer.is_none()).map(|(s, _)| *s).collect()
    }

    /// The next moment at which a timer ends.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.sources.values().flatten().copied().fold(self.group_timer, |a, b| earliest(a, Some(b)))
    }

    /// Ends the timers that are over. RFC 9776 6.3 and 6.5.
    pub(super) fn expire(&mut self, now: Instant) {
        for timer in self.sources.values_mut() {
            *timer = timer.filter(|&at| at > now);
        }
        self.group_timer = self.group_timer.filter(|&at| at > now);
        if self.group_timer.is_none() {
            self.sources.retain(|_, timer| timer.is_some());
        }
    }

    /// A record (`kind`, `list`) arrived. `gmi` is the group membership interval.
    pub(super) fn report(
        &mut self,
        now: Instant,
        gmi: Duration,
        kind: RecordKind,
        list: &Sources,
    ) -> Questions {
        let until = now + gmi;
        match (self.group_timer, kind) {
            (_, RecordKind::IsIn | RecordKind::Allow) => self.want(list, until),
            (None, RecordKind::ToIn) => {
                let asked = &self.running() - list;
                self.want(list, until);
                return Questions { group: false, sources: asked };
            }
            (Some(_), RecordKind::ToIn) => {
                let asked = &self.running() - list;
                self.want(list, until);
                return Questions { group: true, sources: asked };
            }
            (None, RecordKind::Block) => return Questions { group: false, sources: &self.running() & list },
            (Some(timer), RecordKind::Block) => {
                self.want(&(list - &self.known()), timer);
                return Questions { group: false, sources: list - &self.zero() };
            }
            (None, RecordKind::IsEx | RecordKind::ToEx) => {
                let asked = &self.running() & list;
                self.sources.retain(|source, _| list.contains(source));
                for source in list {
                    self.sources.entry(*source).or_insert(None);
                }
                self.group_timer = Some(until);
                if kind == RecordKind::ToEx {
                    return Questions { group: false, sources: asked };
                }
            }
            (Some(timer), RecordKind::IsEx | RecordKind::ToEx) => {
                let asked = list - &self.zero();
                let fresh = list - &self.known();
                self.sources.retain(|source, _| list.contains(source));
                self.want(&fresh, if kind == RecordKind::ToEx { timer } else { until });
                self.group_timer = Some(until);
                if kind == RecordKind::ToEx {
                    return Questions { group: false, sources: asked };
                }
            }
        }
        Questions::default()
    }

    fn known(&self) -> Sources {
        self.sources.keys().copied().collect()
    }

    fn want(&mut self, list: &Sources, until: Instant) {
        self.sources.extend(list.iter().map(|source| (*source, Some(until))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RecordKind::{Allow, Block, IsEx, IsIn, ToEx, ToIn};

    const NOW: Instant = Instant::from_ns(1_000);
    const GMI: Duration = Duration::from_nanos(260);
    /// When timers end that were running before the report.
    const OLD: Instant = Instant::from_ns(1_100);
    /// When the group timer ends that was running before the report.
    const OLD_GROUP: Instant = Instant::from_ns(1_150);

    fn s(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 0, last)
    }

    fn set(list: &[u8]) -> Sources {
        list.iter().map(|&n| s(n)).collect()
    }

    fn include(a: &[u8]) -> GroupState {
        GroupState { group_timer: None, sources: a.iter().map(|&n| (s(n), Some(OLD))).collect() }
    }

    fn exclude(x: &[u8], y: &[u8]) -> GroupState {
        let mut state = include(x);
        state.sources.extend(y.iter().map(|&n| (s(n), None)));
        state.group_timer = Some(OLD_GROUP);
        state
    }

    /// Reports `kind` of `list` to `state`; the new one, split into X and Y, and the questions.
    fn after(
        mut state: GroupState,
        kind: RecordKind,
        list: &[u8],
    ) -> (GroupState, Sources, Sources, Questions) {
        let questions = state.report(NOW, GMI, kind, &set(list));
        let (x, y) = (state.running(), state.zero());
        (state, x, y, questions)
    }

    fn asks(group: bool, sources: &[u8]) -> Questions {
        Questions { group, sources: set(sources) }
    }

    // RFC 9776 6.4.1, first row: INCLUDE (A), IS_IN (B) -> INCLUDE (A+B), (B)=GMI.
    #[test]
    fn include_is_in() {
        let (state, x, _, q) = after(include(&[1, 2]), IsIn, &[2, 3]);
        assert_eq!((x, q, state.group_timer), (set(&[1, 2, 3]), asks(false, &[]), None));
        assert_eq!(state.sources[&s(1)], Some(OLD));
        assert_eq!(state.sources[&s(2)], Some(NOW + GMI));
    }

    // Second row: INCLUDE (A), IS_EX (B) -> EXCLUDE (A*B, B-A), (B-A)=0, delete (A-B), group timer = GMI.
    #[test]
    fn include_is_ex() {
        let (state, x, y, q) = after(include(&[1, 2]), IsEx, &[2, 3]);
        assert_eq!((x, y, q), (set(&[2]), set(&[3]), asks(false, &[])));
        assert_eq!((state.group_timer, state.sources[&s(2)]), (Some(NOW + GMI), Some(OLD)));
    }

    // Third row: EXCLUDE (X,Y), IS_IN (A) -> EXCLUDE (X+A, Y-A), (A)=GMI.
    #[test]
    fn exclude_is_in() {
        let (state, x, y, q) = after(exclude(&[1], &[2, 3]), IsIn, &[3, 4]);
        assert_eq!((x, y, q), (set(&[1, 3, 4]), set(&[2]), asks(false, &[])));
        assert_eq!((state.group_timer, state.sources[&s(3)]), (Some(OLD_GROUP), Some(NOW + GMI)));
    }

    // Fourth row: EXCLUDE (X,Y), IS_EX (A) -> EXCLUDE (A-Y, Y*A), (A-X-Y)=GMI, delete (X-A), (Y-A), group timer = GMI.
    #[test]
    fn exclude_is_ex() {
        let (state, x, y, q) = after(exclude(&[1, 2], &[3, 4]), IsEx, &[2, 4, 5]);
        assert_eq!((x, y, q), (set(&[2, 5]), set(&[4]), asks(false, &[])));
        assert_eq!(state.group_timer, Some(NOW + GMI));
        assert_eq!((state.sources[&s(2)], state.sources[&s(5)]), (Some(OLD), Some(NOW + GMI)));
    }

    // RFC 9776 6.4.2: INCLUDE (A).
    #[test]
    fn changes_in_include_mode() {
        let (_, x, _, q) = after(include(&[1, 2]), Allow, &[3]);
        assert_eq!((x, q), (set(&[1, 2, 3]), asks(false, &[])));
        let (state, x, _, q) = after(include(&[1, 2]), Block, &[2, 3]);
        assert_eq!((x, q, state), (set(&[1, 2]), asks(false, &[2]), include(&[1, 2])));
        let (_, x, y, q) = after(include(&[1, 2]), ToEx, &[2, 3]);
        assert_eq!((x, y, q), (set(&[2]), set(&[3]), asks(false, &[2])));
        let (_, x, _, q) = after(include(&[1, 2]), ToIn, &[2, 3]);
        assert_eq!((x, q), (set(&[1, 2, 3]), asks(false, &[1])));
    }

    // RFC 9776 6.4.2: EXCLUDE (X,Y).
    #[test]
    fn changes_in_exclude_mode() {
        let (_, x, y, q) = after(exclude(&[1], &[2, 3]), Allow, &[3, 4]);
        assert_eq!((x, y, q), (set(&[1, 3, 4]), set(&[2]), asks(false, &[])));
        let (state, x, y, q) = after(exclude(&[1], &[2]), Block, &[1, 2, 3]);
        assert_eq!((x, y, q), (set(&[1, 3]), set(&[2]), asks(false, &[1, 3])));
        assert_eq!(
            state.sources[&s(3)],
            Some(OLD_GROUP),
            "a source that was never heard of has the group's time"
        );
        let (state, x, y, q) = after(exclude(&[1, 2], &[3, 4]), ToEx, &[2, 4, 5]);
        assert_eq!((x, y, q), (set(&[2, 5]), set(&[4]), asks(false, &[2, 5])));
        assert_eq!((state.group_timer, state.sources[&s(5)]), (Some(NOW + GMI), Some(OLD_GROUP)));
        let (_, x, y, q) = after(exclude(&[1, 2], &[3]), ToIn, &[2, 3]);
        assert_eq!((x, y, q), (set(&[1, 2, 3]), set(&[]), asks(true, &[1])));
    }

    // RFC 9776 6.3 and 6.5: what the end of each timer means.
    #[test]
    fn timers_end() {
        let mut state = exclude(&[1], &[2]);
        assert_eq!(state.next_expiry(), Some(OLD));
        assert!(state.wants(s(1)) && !state.wants(s(2)) && state.wants(s(9)));
        state.expire(OLD);
        assert_eq!(state.view(), View::Exclude(set(&[1, 2])));
        state.want(&set(&[1]), OLD_GROUP + GMI);
        state.expire(OLD_GROUP);
        assert_eq!(state.view(), View::Include(set(&[1])));
        assert!(state.wants(s(1)) && !state.wants(s(9)));
        state.expire(OLD_GROUP + GMI);
        assert!(state.is_empty() && state.next_expiry().is_none());
    }
}
