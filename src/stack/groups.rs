//! The groups that one port admits: a worker's replica of the memberships, made whole by control at every change.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::membership::SourceFilter;
use crate::addr::{Family, Group, MacAddr};

/// Which service, by its place in the configuration.
pub type ServiceId = u16;

/// What became of a datagram's claim to a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// The service joined the group, for this source.
    Admitted,
    /// The service joined the group, not for this source.
    SourceFiltered,
    /// The service did not join the group.
    NotJoined,
}

/// The groups joined on a port, with the filter of each service.
#[derive(Clone, Debug)]
pub struct GroupTable<F: Family> {
    groups: HashMap<F::Addr, Members<F>, FixedState>,
    macs: HashSet<MacAddr, FixedState>,
}

/// The services that joined one group, in the order of their ids.
type Members<F> = Vec<(ServiceId, SourceFilter<F>)>;

impl<F: Family> Default for GroupTable<F> {
    fn default() -> Self {
        Self::new(0, core::iter::empty())
    }
}

impl<F: Family> GroupTable<F> {
    /// The table of `memberships`. `seed` keeps an outsider from choosing groups that collide.
    pub fn new(seed: u64, memberships: impl Iterator<Item = (Group<F>, ServiceId, SourceFilter<F>)>) -> Self {
        let mut groups: HashMap<F::Addr, Members<F>, FixedState> =
            HashMap::with_hasher(FixedState::with_seed(seed));
        let mut macs = HashSet::with_hasher(FixedState::with_seed(seed));
        // E06, G04, RFC 1112 7.2: the group of all hosts is always received, whoever asked.
        macs.insert(F::group_mac(F::ALL_HOSTS));
        for (group, service, filter) in memberships {
            macs.insert(group.mac());
            groups.entry(group.addr()).or_default().push((service, filter));
        }
        Self { groups, macs }
    }

    /// Whether any service joined `group`; always for the group of all hosts.
    #[inline]
    #[must_use]
    pub fn is_joined(&self, group: F::Addr) -> bool {
        group == F::ALL_HOSTS || self.groups.contains_key(&group)
    }

    /// Whether frames to `mac` are wanted: some joined group maps to it.
    #[inline]
    #[must_use]
    pub fn is_wanted(&self, mac: MacAddr) -> bool {
        self.macs.contains(&mac)
    }

    /// Whether `service` gets what `source` sends to `group`.
    #[inline]
    #[must_use]
    pub fn admission(&self, group: F::Addr, source: F::Addr, service: ServiceId) -> Admission {
        let member = self.groups.get(&group).and_then(|m| m.iter().find(|(id, _)| *id == service));
        match member {
            None => Admission::NotJoined,
            Some((_, filter)) if filter.allows(source) => Admission::Admitted,
            Some(_) => Admission::SourceFiltered,
        }
    }

    /// How many groups are joined.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether no group is joined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::V4;
    use core::net::Ipv4Addr;
    use std::collections::BTreeSet;

    fn v4(s: &str) -> Ipv4Addr {
        s.parse().unwrap()
    }

    fn table(entries: &[(&str, ServiceId, SourceFilter<V4>)]) -> GroupTable<V4> {
        let entries = entries.iter().map(|(g, s, f)| (Group::new(v4(g)).unwrap(), *s, f.clone()));
        GroupTable::new(7, entries)
    }

    // E04, RFC 1112 6.4: the MAC is shared by 32 groups, the group is not.
    #[test]
    fn two_groups_with_one_mac_are_told_apart() {
        let t = table(&[("239.1.2.3", 0, SourceFilter::ANY)]);
        assert!(t.is_joined(v4("239.1.2.3")));
        assert!(!t.is_joined(v4("239.129.2.3")));
        assert!(t.is_wanted(Group::<V4>::new(v4("239.129.2.3")).unwrap().mac()));
    }

    // E06, RFC 1112 7.2.
    #[test]
    fn the_group_of_all_hosts_is_always_wanted() {
        let t = GroupTable::<V4>::default();
        assert!(t.is_joined(v4("224.0.0.1")));
        assert!(t.is_wanted(MacAddr([1, 0, 0x5e, 0, 0, 1])));
        assert!(!t.is_wanted(MacAddr([1, 0, 0x5e, 0, 0, 2])));
    }

    #[test]
    fn each_service_has_its_own_sources() {
        let only = SourceFilter::Include(BTreeSet::from([v4("198.18.0.1")]));
        let t = table(&[("232.1.2.3", 0, only), ("232.1.2.3", 1, SourceFilter::ANY)]);
        let ask = |source, service| t.admission(v4("232.1.2.3"), v4(source), service);
        assert_eq!(ask("198.18.0.1", 0), Admission::Admitted);
        assert_eq!(ask("198.18.0.9", 0), Admission::SourceFiltered);
        assert_eq!(ask("198.18.0.9", 1), Admission::Admitted);
        assert_eq!(ask("198.18.0.9", 2), Admission::NotJoined);
    }
}
