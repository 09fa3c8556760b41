//! The groups that one port admits: a worker's replica of the memberships, made whole by control at every change.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::membership::SourceFilter;
use crate::addr::{Family, Group, MacAddr};

/// Which service, by its place in the configuration.
pub type ServiceId = u16;

/// The groups joined on a port, with the filter of each service.
#[derive(Clone, Debug)]
pub struct GroupTable<F: Family> {
    groups: HashMap<F::Addr, Members<F>, FixedState>,
    macs: HashSet<MacAddr, FixedState>,
}

/// The services that joined one group, in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Members<F: Family>(Vec<(ServiceId, SourceFilter<F>)>);

impl<F: Family> Members<F> {
    /// What `service` wants of the group; `None`: it did not join.
    #[inline]
    #[must_use]
    pub fn filter(&self, service: ServiceId) -> Option<&SourceFilter<F>> {
        if let [(only, filter)] = self.0.as_slice() {
            return (*only == service).then_some(filter);
        }
        let place = self.0.binary_search_by_key(&service, |(id, _)| *id).ok()?;
        self.0.get(place).map(|(_, filter)| filter)
    }

    /// Whether the interface receives what `source` sends to the group.
    // RFC 9776 3.2: the merge of all filters lets pass what any of them does.
    #[inline]
    #[must_use]
    pub fn allow(&self, source: F::Addr) -> bool {
        self.0.iter().any(|(_, filter)| filter.allows(source))
    }

    fn set(&mut self, service: ServiceId, filter: SourceFilter<F>) {
        match self.0.binary_search_by_key(&service, |(id, _)| *id) {
            Ok(place) => self.0[place].1 = filter,
            Err(place) => self.0.insert(place, (service, filter)),
        }
    }
}

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
            groups.entry(group.addr()).or_insert_with(|| Members(Vec::new())).set(service, filter);
        }
        Self { groups, macs }
    }

    /// Whether any service joined `group`; always for the group of all hosts.
    #[inline]
    #[must_use]
    pub fn is_joined(&self, group: F::Addr) -> bool {
        group == F::ALL_HOSTS || self.groups.contains_key(&group)
    }

    /// Whether the interface receives what `source` sends to `group`; from anyone to the group of all hosts.
    // U16, RFC 9776 3.2: the interface's own filter, before that of any socket.
    #[inline]
    #[must_use]
    pub fn allows(&self, group: F::Addr, source: F::Addr) -> bool {
        group == F::ALL_HOSTS || self.groups.get(&group).is_some_and(|members| members.allow(source))
    }

    /// The services that joined `group`; `None` if there are none.
    #[inline]
    #[must_use]
    pub fn members(&self, group: F::Addr) -> Option<&Members<F>> {
        self.groups.get(&group)
    }

    /// Whether frames to `mac` are wanted: some joined group maps to it.
    #[inline]
    #[must_use]
    pub fn is_wanted(&self, mac: MacAddr) -> bool {
        self.macs.contains(&mac)
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
        assert!(t.is_joined(v4("224.0.0.1")) && t.allows(v4("224.0.0.1"), v4("198.18.0.9")));
        assert!(t.is_wanted(MacAddr([1, 0, 0x5e, 0, 0, 1])));
        assert!(!t.is_wanted(MacAddr([1, 0, 0x5e, 0, 0, 2])));
        // Whoever lists it for some sources rules itself, and not the interface.
        let t = table(&[("224.0.0.1", 0, SourceFilter::Include(BTreeSet::from([v4("198.18.0.1")])))]);
        assert!(t.allows(v4("224.0.0.1"), v4("198.18.0.9")));
    }

    // U16, RFC 9776 3.2.
    #[test]
    fn each_service_has_its_own_sources_and_the_interface_those_of_all() {
        let only = |s| SourceFilter::Include(BTreeSet::from([v4(s)]));
        let but = |s| SourceFilter::Exclude(BTreeSet::from([v4(s)]));
        // Not in the order of the services: the table is.
        let t = table(&[
            ("232.1.2.3", 4, only("198.18.0.4")),
            ("232.1.2.3", 0, only("198.18.0.1")),
            ("239.1.2.3", 1, but("198.18.0.9")),
        ]);
        let members = t.members(v4("232.1.2.3")).unwrap();
        assert_eq!(members.filter(0), Some(&only("198.18.0.1")));
        assert_eq!(members.filter(4), Some(&only("198.18.0.4")));
        assert_eq!(members.filter(1), None);
        let allowed = |group, sources: [&str; 3]| sources.map(|s| t.allows(v4(group), v4(s)));
        assert_eq!(allowed("232.1.2.3", ["198.18.0.1", "198.18.0.4", "198.18.0.9"]), [true, true, false]);
        assert_eq!(allowed("239.1.2.3", ["198.18.0.1", "198.18.0.4", "198.18.0.9"]), [true, true, false]);
        assert_eq!(allowed("239.1.2.4", ["198.18.0.1", "198.18.0.4", "198.18.0.9"]), [false; 3]);
    }
}
