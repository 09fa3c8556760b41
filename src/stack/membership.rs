//! Which member wants which group, and from which sources.
//!
//! A member is whoever may join: a service on a port, later a socket. What the interface must receive follows by
//! [`SourceFilter::merge`]; what the NIC must let through follows from the groups each time ([`Memberships::macs`]),
//! so that there are no reference counts to get wrong. Not here: telling routers ([`gmp`](super::gmp)).
//!
//! ```
//! use pollcast::addr::{Group, V4};
//! use pollcast::stack::membership::{JoinOutcome, Memberships};
//!
//! let mut memberships = Memberships::<V4, &str>::new();
//! let group = Group::new("239.1.2.3".parse().unwrap()).unwrap();
//! assert_eq!(memberships.join("echo", group), Ok(JoinOutcome::Joined));
//! assert!(memberships.filter(group).allows("198.18.0.1".parse().unwrap()));
//! assert_eq!(memberships.macs().len(), 2, "its own, and that of all hosts");
//! ```

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::addr::{Family, Group, MacAddr, Unicast};

pub use super::source_filter::SourceFilter;

/// What a join did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinOutcome {
    /// The member wants more than before.
    Joined,
    /// It had it already.
    AlreadyMember,
}

/// Why a group cannot be joined in this way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JoinError {
    /// G48, RFC 4604 2.2.1: a group of the source-specific range is never joined for any source.
    #[error("the group is in the source-specific range (RFC 4607): name the sources that you want")]
    SourceRequired,
    /// RFC 3678 4.1.3: single sources are added to a membership for single sources only.
    #[error("the member has joined the group for any source: leave it before joining single sources")]
    JoinedForAnySource,
    /// RFC 3678 4.1.3: as above, the other way round.
    #[error("the member has joined single sources of the group: leave it before joining for any source")]
    JoinedForSources,
    /// P03: the interface has as many groups as it may.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// P03: a limit is reached. Linux answers ENOBUFS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TooMany {
    /// Of groups on the interface.
    #[error("the interface has joined {0} groups, and may join no more: the key groups_max is the limit")]
    Groups(usize),
    /// Of sources that one member names of one group.
    #[error("more than {0} sources of one group for one service: the key sources_max is the limit")]
    Sources(usize),
}

/// P03: how much may be joined on one interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Groups.
    pub groups: usize,
    /// Sources that one member names of one group, in either mode.
    pub sources: usize,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self { groups: usize::MAX, sources: usize::MAX };
}

impl Default for Limits {
    /// Far more than Linux, whose defaults are 20 groups a socket and 10 sources (`igmp_max_memberships`, `igmp_max_msf`).
    fn default() -> Self {
        Self { groups: 16_384, sources: 512 }
    }
}

/// What a leave did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveOutcome {
    /// The member wants less than before.
    Left,
    /// There was nothing to leave.
    NotMember,
}

/// Why a source cannot be left in this way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LeaveError {
    /// RFC 3678 4.1.3: single sources are taken from a membership for single sources only.
    #[error("the member has joined the group for any source, not for single ones: leave the group itself")]
    JoinedForAnySource,
}

/// Why a filter cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SetFilterError {
    /// G48, RFC 4604 2.2.1: EXCLUDE mode does not exist in the source-specific range.
    #[error("the group is in the source-specific range (RFC 4607): name the sources that you want")]
    SourceRequired,
    /// P03: a limit is reached.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// The memberships on one interface.
#[derive(Clone, Debug)]
pub struct Memberships<F: Family, M: Ord> {
    /// No group without a member. [`SourceFilter::NONE`] is the filter of a thread's socket alone, that keeps a membership and wants nothing.
    groups: BTreeMap<Group<F>, BTreeMap<M, SourceFilter<F>>>,
    limits: Limits,
    /// Those that were joined whatever the limits are, and do not count.
    always: BTreeSet<Group<F>>,
}

impl<F: Family, M: Ord> Memberships<F, M> {
    /// No memberships, and no limits.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limits(Limits::NONE)
    }

    /// No memberships yet, and no more than `limits` ever.
    #[must_use]
    pub const fn with_limits(limits: Limits) -> Self {
        Self { groups: BTreeMap::new(), limits, always: BTreeSet::new() }
    }

    /// P03: whether there is room for `group`, and for a member of it that names `sources` sources.
    fn room(&self, group: Group<F>, sources: usize) -> Result<(), TooMany> {
        let Limits { groups, sources: sources_max } = self.limits;
        if self.groups.len() - self.always.len() >= groups && !self.groups.contains_key(&group) {
            Err(TooMany::Groups(groups))
        } else if sources > sources_max {
            Err(TooMany::Sources(sources_max))
        } else {
            Ok(())
        }
    }

    /// Whether `member` has joined `group`, be it for no source.
    #[must_use]
    pub fn is_member(&self, member: &M, group: Group<F>) -> bool {
        self.groups.get(&group).is_some_and(|members| members.contains_key(member))
    }

    /// What `member` wants of `group`.
    #[must_use]
    pub fn wanted_by(&self, member: &M, group: Group<F>) -> SourceFilter<F> {
        self.groups.get(&group).and_then(|members| members.get(member)).cloned().unwrap_or_default()
    }

    /// `member` wants `group` from any source.
    ///
    /// # Errors
    ///
    /// Refused in the source-specific range, if `member` has joined single sources of the group, and beyond the limits.
    pub fn join(&mut self, member: M, group: Group<F>) -> Result<JoinOutcome, JoinError> {
        if F::is_ssm(group.addr()) {
            return Err(JoinError::SourceRequired);
        }
        self.room(group, 0)?;
        match self.groups.entry(group).or_default().entry(member) {
            Entry::Vacant(new) => {
                new.insert(SourceFilter::ANY);
                Ok(JoinOutcome::Joined)
            }
            Entry::Occupied(old) => match old.get() {
                SourceFilter::Exclude(_) => Ok(JoinOutcome::AlreadyMember),
                SourceFilter::Include(_) => Err(JoinError::JoinedForSources),
            },
        }
    }

    /// `member` wants `group` from any source, and is none of those for whom there are limits: the host itself.
    pub fn join_always(&mut self, member: M, group: Group<F>) {
        self.groups.entry(group).or_default().insert(member, SourceFilter::ANY);
        self.always.insert(group);
    }

    /// `member` wants `group` from `source`, and from the sources that it joined before.
    ///
    /// # Errors
    ///
    /// Refused if `member` has joined the group for any source, and beyond the limits.
    pub fn join_source(
        &mut self,
        member: M,
        group: Group<F>,
        source: Unicast<F>,
    ) -> Result<JoinOutcome, JoinError> {
        let had = self.wanted_by(&member, group);
        self.room(group, had.sources().len() + usize::from(!had.sources().contains(&source.addr())))?;
        match self.groups.entry(group).or_default().entry(member).or_default() {
            SourceFilter::Exclude(_) => Err(JoinError::JoinedForAnySource),
            SourceFilter::Include(wanted) => {
                let new = wanted.insert(source.addr());
                Ok(if new { JoinOutcome::Joined } else { JoinOutcome::AlreadyMember })
            }
        }
    }

    /// `member` wants nothing more of `group`.
    pub fn leave(&mut self, member: &M, group: Group<F>) -> LeaveOutcome {
        let Entry::Occupied(mut members) = self.groups.entry(group) else { return LeaveOutcome::NotMember };
        if members.get_mut().remove(member).is_none() {
            return LeaveOutcome::NotMember;
        }
        if members.get().is_empty() {
            members.remove();
            self.always.remove(&group);
        }
        LeaveOutcome::Left
    }

    /// What [`join_always`](Self::join_always) did is undone.
    pub fn leave_always(&mut self, member: &M, group: Group<F>) {
        self.always.remove(&group);
        self.leave(member, group);
    }

    /// `member` wants nothing more of `group` from `source`.
    ///
    /// # Errors
    ///
    /// Refused if `member` has joined the group for any source.
    pub fn leave_source(
        &mut self,
        member: &M,
        group: Group<F>,
        source: Unicast<F>,
    ) -> Result<LeaveOutcome, LeaveError> {
        let Some(filter) = self.groups.get_mut(&group).and_then(|members| members.get_mut(member)) else {
            return Ok(LeaveOutcome::NotMember);
        };
        match filter {
            SourceFilter::Exclude(_) => Err(LeaveError::JoinedForAnySource),
            SourceFilter::Include(wanted) => {
                if !wanted.remove(&source.addr()) {
                    return Ok(LeaveOutcome::NotMember);
                }
                if wanted.is_empty() {
                    self.leave(member, group);
                }
                Ok(LeaveOutcome::Left)
            }
        }
    }

    /// `member` wants exactly `filter` of `group`: RFC 9776 2, `IPMulticastListen`.
    ///
    /// # Errors
    ///
    /// Refused for EXCLUDE in the source-specific range, and beyond the limits.
    pub fn set_filter(
        &mut self,
        member: M,
        group: Group<F>,
        filter: SourceFilter<F>,
    ) -> Result<(), SetFilterError> {
        if filter.is_none() {
            self.leave(&member, group);
            return Ok(());
        }
        if F::is_ssm(group.addr()) && matches!(filter, SourceFilter::Exclude(_)) {
            return Err(SetFilterError::SourceRequired);
        }
        self.room(group, filter.sources().len())?;
        self.groups.entry(group).or_default().insert(member, filter);
        Ok(())
    }

    /// A thread's socket wants `filter` of `group`; `None`: it leaves it. It may do what Linux lets it do.
    ///
    /// # Errors
    ///
    /// Refused beyond the limits.
    // P01: it joins a group of the source-specific range for any source, too; G48: which routers are not told. P02: joined for no source,
    // it hears nothing, as who has not joined might.
    pub fn set_of_socket(
        &mut self,
        member: M,
        group: Group<F>,
        filter: Option<SourceFilter<F>>,
    ) -> Result<(), TooMany> {
        let Some(filter) = filter else {
            self.leave(&member, group);
            return Ok(());
        };
        self.room(group, filter.sources().len())?;
        self.groups.entry(group).or_default().insert(member, filter);
        Ok(())
    }

    /// `member` wants nothing more at all. Returns the groups that it was in.
    pub fn leave_all(&mut self, member: &M) -> Vec<Group<F>> {
        let joined: Vec<_> =
            self.groups.iter().filter(|(_, members)| members.contains_key(member)).map(|(g, _)| *g).collect();
        for &group in &joined {
            self.leave(member, group);
        }
        joined
    }

    /// What the interface must receive of `group`.
    #[must_use]
    pub fn filter(&self, group: Group<F>) -> SourceFilter<F> {
        self.groups.get(&group).map_or(SourceFilter::NONE, |members| SourceFilter::merge(members.values()))
    }

    /// What routers are to be told that the interface wants of `group`.
    // G48, L16, RFC 4604 2.2.1: of the source-specific range, what is wanted from any source is not told; single sources are.
    #[must_use]
    pub fn told(&self, group: Group<F>) -> SourceFilter<F> {
        let is_told = |filter: &&SourceFilter<F>| {
            !(F::is_ssm(group.addr()) && matches!(filter, SourceFilter::Exclude(_)))
        };
        let members = self.groups.get(&group).into_iter().flatten();
        SourceFilter::merge(members.map(|(_, filter)| filter).filter(is_told))
    }

    /// The groups that have members, each with what the interface must receive of it, in order.
    pub fn groups(&self) -> impl Iterator<Item = (Group<F>, SourceFilter<F>)> + '_ {
        self.groups.iter().map(|(group, members)| (*group, SourceFilter::merge(members.values())))
    }

    /// The members of `group`, each with what it wants, in order.
    pub fn members(&self, group: Group<F>) -> impl Iterator<Item = (&M, &SourceFilter<F>)> + '_ {
        self.groups.get(&group).into_iter().flatten()
    }

    /// The Ethernet addresses that the NIC must let through: sorted, without duplicates, always with that of all hosts.
    ///
    // E05: derived from the groups, so a MAC stays as long as any group maps to it.
    // E06, RFC 1112 7.2: without all hosts' no query would be heard.
    #[must_use]
    pub fn macs(&self) -> Vec<MacAddr> {
        let mut macs = vec![F::group_mac(F::ALL_HOSTS)];
        let is_wanted = |members: &BTreeMap<M, SourceFilter<F>>| members.values().any(|f| !f.is_none());
        macs.extend(self.groups.iter().filter(|(_, m)| is_wanted(m)).map(|(group, _)| group.mac()));
        macs.sort_unstable();
        macs.dedup();
        macs
    }
}

impl<F: Family, M: Ord> Default for Memberships<F, M> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::V4;
    use crate::stack::gmp::test_family::{TestFamily, exclude, for_both_families, include};

    fn unicast<F: TestFamily>(n: u8) -> Unicast<F> {
        Unicast::new(F::source(n)).unwrap()
    }

    fn group4(s: &str) -> Group<V4> {
        Group::new(s.parse().unwrap()).unwrap()
    }

    // G31, RFC 9776 3.2: the second of two members changes nothing for the interface.
    fn the_interface_wants_a_group_as_long_as_a_member_does<F: TestFamily>() {
        let (mut m, group) = (Memberships::<F, u32>::new(), F::group(1));
        assert_eq!(m.join(1, group), Ok(JoinOutcome::Joined));
        assert_eq!(m.join(1, group), Ok(JoinOutcome::AlreadyMember));
        assert_eq!(m.join(2, group), Ok(JoinOutcome::Joined));
        assert_eq!(m.filter(group), SourceFilter::ANY);
        assert_eq!(m.leave(&1, group), LeaveOutcome::Left);
        assert_eq!(m.leave(&1, group), LeaveOutcome::NotMember);
        assert_eq!(m.filter(group), SourceFilter::ANY);
        assert_eq!(m.leave(&2, group), LeaveOutcome::Left);
        assert_eq!(m.filter(group), SourceFilter::NONE);
        assert_eq!(m.groups().count(), 0);
    }

    fn sources_are_joined_and_left_one_by_one<F: TestFamily>() {
        let (mut m, group) = (Memberships::<F, u32>::new(), F::group(1));
        assert_eq!(m.join_source(1, group, unicast(1)), Ok(JoinOutcome::Joined));
        assert_eq!(m.join_source(1, group, unicast(1)), Ok(JoinOutcome::AlreadyMember));
        assert_eq!(m.join_source(2, group, unicast(2)), Ok(JoinOutcome::Joined));
        assert_eq!(m.filter(group), include(&[1, 2]));
        assert_eq!(m.members(group).collect::<Vec<_>>(), [(&1, &include(&[1])), (&2, &include(&[2]))]);
        assert_eq!(m.leave_source(&1, group, unicast(2)), Ok(LeaveOutcome::NotMember));
        assert_eq!(m.leave_source(&1, group, unicast(1)), Ok(LeaveOutcome::Left));
        assert_eq!(m.leave_source(&1, group, unicast(1)), Ok(LeaveOutcome::NotMember));
        assert_eq!(m.groups().collect::<Vec<_>>(), [(group, include(&[2]))]);
        assert_eq!(m.leave_source(&2, group, unicast(2)), Ok(LeaveOutcome::Left));
        assert_eq!(m.groups().count(), 0, "a member without sources is none");
    }

    // RFC 3678 4.1.3: an application uses one mode a group.
    fn single_sources_and_any_source_do_not_mix<F: TestFamily>() {
        let (mut m, group) = (Memberships::<F, u32>::new(), F::group(1));
        m.join(1, group).unwrap();
        assert_eq!(m.join_source(1, group, unicast(1)), Err(JoinError::JoinedForAnySource));
        assert_eq!(m.leave_source(&1, group, unicast(1)), Err(LeaveError::JoinedForAnySource));
        assert_eq!(m.filter(group), SourceFilter::ANY);
        m.join_source(2, group, unicast(1)).unwrap();
        assert_eq!(m.join(2, group), Err(JoinError::JoinedForSources));
    }

    fn a_filter_replaces_what_was_there<F: TestFamily>() {
        let (mut m, group) = (Memberships::<F, u32>::new(), F::group(1));
        m.set_filter(1, group, exclude(&[1, 2])).unwrap();
        assert_eq!(m.filter(group), exclude(&[1, 2]));
        m.set_filter(1, group, include(&[3])).unwrap();
        assert_eq!(m.filter(group), include(&[3]));
        m.set_filter(1, group, SourceFilter::NONE).unwrap();
        assert_eq!(m.groups().count(), 0);
    }

    fn a_member_leaves_all_its_groups_and_only_its_own<F: TestFamily>() {
        let mut m = Memberships::<F, u32>::new();
        m.join(1, F::group(1)).unwrap();
        m.join(1, F::group(2)).unwrap();
        m.join(2, F::group(2)).unwrap();
        assert_eq!(m.leave_all(&1), [F::group(1), F::group(2)]);
        assert_eq!(m.groups().map(|(g, _)| g).collect::<Vec<_>>(), [F::group(2)]);
    }

    // P01, G48, RFC 4604 2.2.1: routers hear of the sources that others name, and of nothing else.
    fn a_socket_joins_the_source_specific_range_and_routers_do_not_hear_of_it<F: TestFamily>() {
        let (mut m, group) = (Memberships::<F, u32>::new(), F::ssm_group(1));
        m.set_of_socket(1, group, Some(SourceFilter::ANY)).unwrap();
        assert_eq!((m.filter(group), m.told(group)), (SourceFilter::ANY, SourceFilter::NONE));
        m.join_source(2, group, unicast(1)).unwrap();
        m.set_of_socket(1, group, Some(exclude(&[1, 2]))).unwrap();
        assert_eq!((m.filter(group), m.told(group)), (exclude(&[2]), include(&[1])));
        m.set_of_socket(1, group, None).unwrap();
        assert_eq!((m.filter(group), m.told(group)), (include(&[1]), include(&[1])));
    }

    // P02: as Linux's, a socket that has joined for no source is a member that hears nothing.
    fn a_socket_stays_a_member_that_wants_no_source<F: TestFamily>() {
        let (mut m, group) = (Memberships::<F, u32>::new(), F::group(1));
        m.set_of_socket(1, group, Some(SourceFilter::NONE)).unwrap();
        assert_eq!(m.members(group).collect::<Vec<_>>(), [(&1, &SourceFilter::NONE)]);
        assert_eq!((m.filter(group), m.macs().len()), (SourceFilter::NONE, 1));
        m.set_of_socket(1, group, None).unwrap();
        assert_eq!(m.groups().count(), 0);
    }

    for_both_families!(
        a_socket_joins_the_source_specific_range_and_routers_do_not_hear_of_it,
        a_socket_stays_a_member_that_wants_no_source,
        the_interface_wants_a_group_as_long_as_a_member_does,
        sources_are_joined_and_left_one_by_one,
        single_sources_and_any_source_do_not_mix,
        a_filter_replaces_what_was_there,
        a_member_leaves_all_its_groups_and_only_its_own
    );

    // G48, RFC 4604 2.2.1, RFC 4607 1.
    #[test]
    fn the_source_specific_range_knows_no_exclude_mode() {
        let (mut m, group) = (Memberships::<V4, u32>::new(), group4("232.1.2.3"));
        assert_eq!(m.join(1, group), Err(JoinError::SourceRequired));
        assert_eq!(m.set_filter(1, group, SourceFilter::ANY), Err(SetFilterError::SourceRequired));
        assert_eq!(m.groups().count(), 0);
        assert_eq!(m.join_source(1, group, unicast(1)), Ok(JoinOutcome::Joined));
    }

    // P03, igmp_max_memberships and igmp_max_msf: one more is refused, and what there is stays and can be changed.
    #[test]
    fn a_limit_is_told_and_nothing_changes_beyond_it() {
        let mut m = Memberships::<V4, u32>::with_limits(Limits { groups: 2, sources: 3 });
        let (a, b, c) = (group4("239.1.1.1"), group4("239.1.1.2"), group4("239.1.1.3"));
        m.join(1, a).unwrap();
        m.set_filter(1, b, include(&[1, 2])).unwrap();
        assert_eq!(m.join(1, c), Err(JoinError::TooMany(TooMany::Groups(2))));
        assert_eq!(m.join_source(1, c, unicast(1)), Err(JoinError::TooMany(TooMany::Groups(2))));
        assert_eq!(m.set_filter(1, c, SourceFilter::ANY), Err(SetFilterError::TooMany(TooMany::Groups(2))));
        assert_eq!(m.groups().count(), 2);
        assert_eq!(m.join(2, a), Ok(JoinOutcome::Joined), "another member of the same group");
        assert_eq!(m.join_source(1, b, unicast(3)), Ok(JoinOutcome::Joined));
        assert_eq!(m.join_source(1, b, unicast(3)), Ok(JoinOutcome::AlreadyMember), "no new one");
        assert_eq!(m.join_source(1, b, unicast(4)), Err(JoinError::TooMany(TooMany::Sources(3))));
        assert_eq!(
            m.set_filter(1, a, exclude(&[1, 2, 3, 4])),
            Err(SetFilterError::TooMany(TooMany::Sources(3)))
        );
        assert_eq!((m.filter(a), m.filter(b)), (SourceFilter::ANY, include(&[1, 2, 3])));
        m.leave(&1, b);
        assert_eq!(m.join(1, c), Ok(JoinOutcome::Joined), "there is room again");
        let told = TooMany::Groups(2).to_string();
        assert!(told.contains('2') && told.contains("groups_max"), "{told}");
    }

    // P03, L05: what the host itself needs is joined whatever the limits are, and takes no room from anyone.
    #[test]
    fn the_host_itself_knows_no_limits() {
        let mut m = Memberships::<V4, u32>::with_limits(Limits { groups: 1, sources: 3 });
        let (a, b, c) = (group4("239.1.1.1"), group4("239.1.1.2"), group4("239.1.1.3"));
        m.join(1, a).unwrap();
        m.join_always(9, b);
        assert_eq!((m.filter(b), m.groups().count()), (SourceFilter::ANY, 2));
        assert_eq!(m.join(1, b), Ok(JoinOutcome::Joined), "which is joined already");
        assert_eq!(m.join(1, c), Err(JoinError::TooMany(TooMany::Groups(1))));
        m.leave_always(&9, b);
        assert_eq!(m.filter(b), SourceFilter::ANY, "another member stays");
        m.leave(&1, a);
        assert_eq!(m.join(1, c), Err(JoinError::TooMany(TooMany::Groups(1))), "and counts now");
        m.leave(&1, b);
        assert_eq!(m.join(1, c), Ok(JoinOutcome::Joined));
    }

    // E05: 239.1.1.1 and 238.129.1.1 share 01:00:5e:01:01:01. E06, RFC 1112 7.2: all hosts' MAC is always there.
    #[test]
    fn a_shared_mac_stays_until_the_last_of_its_groups_is_left() {
        let mut m = Memberships::<V4, u32>::new();
        let all_hosts = MacAddr([1, 0, 0x5e, 0, 0, 1]);
        let shared = MacAddr([1, 0, 0x5e, 1, 1, 1]);
        assert_eq!(m.macs(), [all_hosts]);
        m.join(1, group4("239.1.1.1")).unwrap();
        m.join(1, group4("238.129.1.1")).unwrap();
        m.join(1, group4("224.0.0.1")).unwrap();
        assert_eq!(m.macs(), [all_hosts, shared]);
        m.leave(&1, group4("239.1.1.1"));
        m.leave(&1, group4("224.0.0.1"));
        assert_eq!(m.macs(), [all_hosts, shared]);
        m.leave(&1, group4("238.129.1.1"));
        assert_eq!(m.macs(), [all_hosts]);
    }
}
