//! The groups that one port admits: a worker's replica of the memberships, which control makes anew at every change. What did
//! not change is shared with the one before, so that one group among ten thousand costs what it costs among ten.

use super::membership::SourceFilter;
use super::parts::Parts;
use super::port_table::SocketId;
use crate::addr::{Family, Group, MacAddr};

/// Who joins groups: a service, by its place in the configuration, or from [`SOCKET_BASE`] on a thread's socket.
pub type ServiceId = u32;

/// The host itself, which joins groups that no service asked for: those in which its addresses are asked for.
pub const HOST: ServiceId = ServiceId::MAX;

/// From here on, ids are those of threads' sockets: each is a member of groups of its own, whatever others join.
pub const SOCKET_BASE: ServiceId = 1 << 16;

/// As whom the thread's socket `id` joins groups.
#[inline]
#[must_use]
pub const fn socket_member(id: SocketId) -> ServiceId {
    SOCKET_BASE.saturating_add(id)
}

/// The thread's socket that joins groups as `member`; `None`: a service of the configuration does, or the host.
#[inline]
#[must_use]
pub const fn socket_of(member: ServiceId) -> Option<SocketId> {
    if member == HOST { None } else { member.checked_sub(SOCKET_BASE) }
}

/// The groups joined on a port, with the filter of each service.
#[derive(Clone, Debug)]
pub struct GroupTable<F: Family> {
    groups: Parts<F::Addr, Members<F>>,
    /// How many of the groups map to each, that of all hosts among them.
    macs: Parts<MacAddr, u32>,
}

/// The services that joined one group, in the order of their ids.
#[derive(Clone, Debug)]
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

    /// Whether any of them wants something of it.
    fn are_listening(&self) -> bool {
        self.0.iter().any(|(_, filter)| !filter.is_none())
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
        let mut table = Self { groups: Parts::new(seed), macs: Parts::new(seed) };
        // E06, G04, RFC 1112 7.2: the group of all hosts is always received, whoever asked.
        table.macs.set(F::group_mac(F::ALL_HOSTS), Some(1));
        for (group, service, filter) in memberships {
            let mut members = table.groups.get(&group.addr()).cloned().unwrap_or(Members(Vec::new()));
            members.set(service, filter);
            table.put(group, members);
        }
        table
    }

    /// From now on these are the members of `group`; none: it is not joined.
    pub fn set(&mut self, group: Group<F>, members: impl IntoIterator<Item = (ServiceId, SourceFilter<F>)>) {
        let mut all = Members(Vec::new());
        members.into_iter().for_each(|(service, filter)| all.set(service, filter));
        self.put(group, all);
    }

    fn put(&mut self, group: Group<F>, members: Members<F>) {
        let (was, is) = (self.is_listened_to(group.addr()), members.are_listening());
        self.groups.set(group.addr(), Some(members).filter(|members| !members.0.is_empty()));
        // E04, E05: another group may map to the same address.
        let count = self.macs.get(&group.mac()).copied().unwrap_or_default();
        match (was, is) {
            (false, true) => self.macs.set(group.mac(), Some(count + 1)),
            (true, false) => self.macs.set(group.mac(), count.checked_sub(1).filter(|count| *count > 0)),
            (false, false) | (true, true) => {}
        }
    }

    /// Whether any service joined `group`; always for the group of all hosts.
    #[inline]
    #[must_use]
    pub fn is_joined(&self, group: F::Addr) -> bool {
        group == F::ALL_HOSTS || self.is_listened_to(group)
    }

    fn is_listened_to(&self, group: F::Addr) -> bool {
        self.groups.get(&group).is_some_and(Members::are_listening)
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
        self.macs.get(&mac).is_some()
    }

    /// How many groups are joined.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether no group is joined.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.groups.len() == 0
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

    // U16: a thread's socket is a member of its own, and never taken for a service or the host.
    #[test]
    fn a_socket_joins_as_itself() {
        for id in [0, 1, 70_000] {
            assert_eq!(socket_of(socket_member(id)), Some(id));
        }
        assert_eq!([0, SOCKET_BASE - 1, HOST].map(socket_of), [None; 3]);
    }

    // E04, RFC 1112 6.4: the MAC is shared by 32 groups, the group is not.
    #[test]
    fn two_groups_with_one_mac_are_told_apart() {
        let t = table(&[("239.1.2.3", 0, SourceFilter::ANY)]);
        assert!(t.is_joined(v4("239.1.2.3")));
        assert!(!t.is_joined(v4("239.129.2.3")));
        assert!(t.is_wanted(Group::<V4>::new(v4("239.129.2.3")).unwrap().mac()));
    }

    // E05: 32 groups share a MAC, and it stays until the last of them is left; whatever came before, the table is as if it had
    // been made anew.
    #[test]
    fn a_table_that_was_changed_is_the_one_that_would_be_made() {
        let (mut t, mut rng) = (GroupTable::<V4>::default(), crate::rng::Rng::new(1));
        let mut model = std::collections::BTreeMap::new();
        // Few MACs, and 224.0.0.1's among them.
        let group = |n: u64| {
            let [.., high, low] = n.to_be_bytes();
            Group::<V4>::new(Ipv4Addr::new(224 + high % 16, 128 * (low % 2), 0, low % 40)).unwrap()
        };
        for step in 0..20_000 {
            let (group, kept) = (group(rng.u64()), t.clone());
            let members = ServiceId::try_from(rng.below(3)).unwrap();
            t.set(group, (0..members).map(|id| (id, SourceFilter::ANY)));
            model.remove(&group);
            if members > 0 {
                model.insert(group, members);
            }
            if step % 500 == 0 {
                let all = model.iter().flat_map(|(g, n)| (0..*n).map(move |id| (*g, id, SourceFilter::ANY)));
                let anew = GroupTable::new(0, all);
                let macs = (0..=255).map(|low| MacAddr([1, 0, 0x5e, 0, 0, low]));
                assert!(macs.clone().all(|mac| t.is_wanted(mac) == anew.is_wanted(mac)));
                assert!(model.keys().all(|g| t.is_joined(g.addr())) && t.len() == model.len());
            }
            drop(kept);
        }
        assert!(t.is_wanted(MacAddr([1, 0, 0x5e, 0, 0, 1])));
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
