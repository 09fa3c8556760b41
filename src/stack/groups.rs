//! The groups that one port admits: a worker's replica of the memberships, which control makes anew at every change. What did
//! not change is shared with the one before, so that one group among ten thousand costs what it costs among ten.

use std::collections::BTreeMap;

use super::admitted::Admitted;
use super::membership::SourceFilter;
use super::open_table::Keyed;
use super::parts::Parts;
use super::port_table::{Fetch, SocketId};
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
    groups: Parts<Joined<F>>,
    /// How many of the groups map to each, that of all hosts among them.
    macs: Parts<Mapped>,
    /// Groups of which more is read than their entry.
    long: usize,
}

/// Groups from which on a table is large: what is read for as many fills much of a core's own cache.
const LARGE: usize = 1024;

/// A group, on a cache line of its own: of most, that is all that is read.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Joined<F: Family> {
    group: F::Addr,
    members: Members<F>,
}

impl<F: Family> Keyed for Joined<F> {
    type Key = F::Addr;

    #[inline]
    fn key(&self) -> &F::Addr {
        &self.group
    }
}

/// How many groups map to a MAC.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    mac: MacAddr,
    groups: u32,
}

impl Keyed for Mapped {
    type Key = MacAddr;

    #[inline]
    fn key(&self) -> &MacAddr {
        &self.mac
    }
}

/// The services that joined one group, in the order of their ids.
#[derive(Clone, Debug)]
pub struct Members<F: Family>(Who<F>);

/// One service alone needs no memory of its own.
#[derive(Clone, Debug)]
enum Who<F: Family> {
    One(ServiceId, Admitted<F>),
    Several(Box<[(ServiceId, Admitted<F>)]>),
}

impl<F: Family> Members<F> {
    fn new(mut all: Vec<(ServiceId, Admitted<F>)>) -> Option<Self> {
        all.sort_by_key(|(service, _)| *service);
        if all.len() > 1 {
            Some(Self(Who::Several(all.into())))
        } else {
            all.pop().map(|(id, of)| Self(Who::One(id, of)))
        }
    }

    /// What `service` wants of the group; `None`: it did not join.
    #[inline]
    #[must_use]
    pub fn filter(&self, service: ServiceId) -> Option<&Admitted<F>> {
        match &self.0 {
            Who::One(only, filter) => (*only == service).then_some(filter),
            Who::Several(all) => {
                let place = all.binary_search_by_key(&service, |(id, _)| *id).ok()?;
                all.get(place).map(|(_, filter)| filter)
            }
        }
    }

    /// Whether the interface receives what `source` sends to the group.
    // RFC 9776 3.2: the merge of all filters lets pass what any of them does.
    #[inline]
    #[must_use]
    pub fn allow(&self, source: F::Addr) -> bool {
        match &self.0 {
            Who::One(_, filter) => filter.allows(source),
            Who::Several(all) => all.iter().any(|(_, filter)| filter.allows(source)),
        }
    }

    /// Whether any of them wants something of it.
    fn are_listening(&self) -> bool {
        match &self.0 {
            Who::One(_, filter) => !filter.is_none(),
            Who::Several(all) => all.iter().any(|(_, filter)| !filter.is_none()),
        }
    }

    /// What is read of them beyond the entry: the first of the services, or the middle of the sources.
    fn fetch(&self, near: &impl Fetch) {
        match &self.0 {
            Who::One(_, filter) => filter.middle().into_iter().for_each(|source| near.fetch(source)),
            Who::Several(all) => all.first().into_iter().for_each(|first| near.fetch(first)),
        }
    }

    /// Whether there is such.
    fn are_long(&self) -> bool {
        match &self.0 {
            Who::One(_, filter) => filter.middle().is_some(),
            Who::Several(_) => true,
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
        let mut table = Self { groups: Parts::new(seed), macs: Parts::new(seed), long: 0 };
        // E06, G04, RFC 1112 7.2: the group of all hosts is always received, whoever asked.
        table.macs.insert(Mapped { mac: F::group_mac(F::ALL_HOSTS), groups: 1 });
        let mut all = BTreeMap::<_, Vec<_>>::new();
        memberships
            .for_each(|(group, service, filter)| all.entry(group).or_default().push((service, filter)));
        all.into_iter().for_each(|(group, members)| table.set(group, members));
        table
    }

    /// From now on these are the members of `group`, each named once; none: it is not joined.
    pub fn set(&mut self, group: Group<F>, members: impl IntoIterator<Item = (ServiceId, SourceFilter<F>)>) {
        let members = members.into_iter().map(|(service, filter)| (service, Admitted::from(&filter)));
        let (addr, members) = (group.addr(), Members::new(members.collect()));
        let (was, is) = (self.is_listened_to(addr), members.as_ref().is_some_and(Members::are_listening));
        self.long -= usize::from(self.members(addr).is_some_and(Members::are_long));
        self.long += usize::from(members.as_ref().is_some_and(Members::are_long));
        match members {
            Some(members) => self.groups.insert(Joined { group: addr, members }),
            None => self.groups.remove(&addr),
        }
        // E04, E05: another group may map to the same address.
        let (mac, groups) = (group.mac(), self.macs.get(&group.mac()).map_or(0, |mapped| mapped.groups));
        match (was, is) {
            (false, true) => self.macs.insert(Mapped { mac, groups: groups + 1 }),
            (true, false) if groups > 1 => self.macs.insert(Mapped { mac, groups: groups - 1 }),
            (true, false) => self.macs.remove(&mac),
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
        self.members(group).is_some_and(Members::are_listening)
    }

    /// Whether the interface receives what `source` sends to `group`; from anyone to the group of all hosts.
    // U16, RFC 9776 3.2: the interface's own filter, before that of any socket.
    #[inline]
    #[must_use]
    pub fn allows(&self, group: F::Addr, source: F::Addr) -> bool {
        group == F::ALL_HOSTS || self.members(group).is_some_and(|members| members.allow(source))
    }

    /// The services that joined `group`; `None` if there are none.
    #[inline]
    #[must_use]
    pub fn members(&self, group: F::Addr) -> Option<&Members<F>> {
        self.groups.get(&group).map(|joined| &joined.members)
    }

    /// Whether it is so large that fetching what is read of a group ([`fetch`](Self::fetch)) is worth its price.
    #[inline]
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.len() > LARGE
    }

    /// Has what a look-up of `group` reads first come near.
    #[inline]
    pub fn fetch(&self, group: F::Addr, near: &impl Fetch) {
        self.groups.home(&group).into_iter().for_each(|home| near.fetch(home));
    }

    /// Whether there are groups of which [`fetch_more`](Self::fetch_more) fetches something.
    #[inline]
    #[must_use]
    pub const fn has_more_to_fetch(&self) -> bool {
        self.long > 0
    }

    /// The same of what it reads then: of a group with several members, or with a list of sources.
    #[inline]
    pub fn fetch_more(&self, group: F::Addr, near: &impl Fetch) {
        self.members(group).into_iter().for_each(|members| members.fetch(near));
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
    use crate::addr::{V4, V6};
    use core::cell::RefCell;
    use core::net::Ipv4Addr;
    use core::ptr::from_ref;
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

    #[test]
    fn a_group_with_its_only_member_is_one_cache_line() {
        assert_eq!((size_of::<Option<Joined<V4>>>(), size_of::<Option<Joined<V6>>>()), (64, 64));
    }

    /// Notes the lines that it is asked for.
    #[derive(Default)]
    struct Noted(RefCell<BTreeSet<usize>>);

    impl Fetch for Noted {
        fn fetch<T>(&self, it: &T) {
            self.0.borrow_mut().insert(from_ref(it).addr() / 64);
        }
    }

    // U16: of every kind of members, whatever is read first and then was fetched.
    #[test]
    fn in_a_large_table_what_is_read_of_a_group_was_fetched() {
        let many: BTreeSet<_> = (0..4).map(|n| Ipv4Addr::new(198, 18, 0, n)).collect();
        let group = |n: u32| Group::<V4>::new(Ipv4Addr::from_bits(0xef01_0000 + n)).unwrap();
        let mut t = GroupTable::<V4>::default();
        for n in 0..3000 {
            assert_eq!(t.is_large(), n > 1024);
            t.set(group(n), [(3, SourceFilter::ANY)]);
        }
        assert!(!t.has_more_to_fetch());
        t.set(group(7), [(3, SourceFilter::Include(many.clone()))]);
        t.set(group(9), [(5, SourceFilter::ANY), (3, SourceFilter::ANY)]);
        assert!(t.has_more_to_fetch());
        let line = |of: usize| of / 64;
        let mut at_home = 0;
        for n in 0..3000 {
            let (first, then) = (Noted::default(), Noted::default());
            t.fetch(group(n).addr(), &first);
            t.fetch_more(group(n).addr(), &then);
            let members = t.members(group(n).addr()).unwrap();
            at_home += usize::from(first.0.borrow().contains(&line(from_ref(members).addr())));
            let more = match &members.0 {
                Who::One(_, filter) => filter.middle().map(|source| from_ref(source).addr()),
                Who::Several(all) => Some(from_ref(&all[0]).addr()),
            };
            assert_eq!(then.0.into_inner(), more.map(line).into_iter().collect());
        }
        // Some are behind the place where they are looked for first.
        assert!(at_home > 2000, "{at_home}");
        [7, 9].into_iter().for_each(|n| t.set(group(n), [(3, SourceFilter::ANY)]));
        assert!(!t.has_more_to_fetch());
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
        let mut model = BTreeMap::new();
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
        assert_eq!(members.filter(0), Some(&Admitted::from(&only("198.18.0.1"))));
        assert_eq!(members.filter(4), Some(&Admitted::from(&only("198.18.0.4"))));
        assert_eq!(members.filter(1), None);
        let allowed = |group, sources: [&str; 3]| sources.map(|s| t.allows(v4(group), v4(s)));
        assert_eq!(allowed("232.1.2.3", ["198.18.0.1", "198.18.0.4", "198.18.0.9"]), [true, true, false]);
        assert_eq!(allowed("239.1.2.3", ["198.18.0.1", "198.18.0.4", "198.18.0.9"]), [true, true, false]);
        assert_eq!(allowed("239.1.2.4", ["198.18.0.1", "198.18.0.4", "198.18.0.9"]), [false; 3]);
    }
}
