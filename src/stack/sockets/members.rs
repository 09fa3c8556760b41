//! The groups that a socket joins, and the sources that it wants of each: RFC 3678, as Linux does it.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::{Domain, MemberError, Sockets};
use crate::io::InterfaceId;
use crate::stack::net_view::{Constraints, NetView};
use crate::stack::port_table::SocketId;

/// RFC 3678 3: how a list of sources is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FilterMode {
    /// `MCAST_INCLUDE`: from these alone.
    Include,
    /// `MCAST_EXCLUDE`: from all but these.
    Exclude,
}

/// What changes of a membership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberChange {
    /// `MCAST_JOIN_GROUP`, `IP_ADD_MEMBERSHIP`: from any source.
    Join,
    /// `MCAST_LEAVE_GROUP`, `IP_DROP_MEMBERSHIP`.
    Leave,
    /// `MCAST_JOIN_SOURCE_GROUP`, `IP_ADD_SOURCE_MEMBERSHIP`: from this source, too.
    JoinSource(IpAddr),
    /// `MCAST_LEAVE_SOURCE_GROUP`, `IP_DROP_SOURCE_MEMBERSHIP`: from it no more.
    LeaveSource(IpAddr),
    /// `MCAST_BLOCK_SOURCE`: of a group joined for any source, not from this one.
    Block(IpAddr),
    /// `MCAST_UNBLOCK_SOURCE`: from it again.
    Unblock(IpAddr),
    /// `MCAST_MSFILTER`, `IP_MSFILTER`: of a group that is joined, exactly this.
    SetFilter(FilterMode, Vec<IpAddr>),
}

/// Which sources of a group are wanted; to include none is to hear nothing.
pub type Wanted = (FilterMode, BTreeSet<IpAddr>);

/// What a socket wants of a group on an interface from now on; `None`: it is no member any more.
pub type GroupChange = (InterfaceId, IpAddr, Option<Wanted>);

/// A group that a socket joined on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Membership {
    group: IpAddr,
    interface: InterfaceId,
    mode: FilterMode,
    /// In the order in which they were named (P06); None: none ever was, and the mode may still change (P02).
    sources: Option<Vec<IpAddr>>,
}

impl Membership {
    pub(super) const fn group(&self) -> IpAddr {
        self.group
    }

    fn wanted(&self) -> GroupChange {
        let sources = self.sources.iter().flatten().copied().collect();
        (self.interface, self.group, Some((self.mode, sources)))
    }

    /// That the group is left.
    pub(super) const fn left(&self) -> GroupChange {
        (self.interface, self.group, None)
    }

    const fn is(&self, group: &Self) -> bool {
        let same = match (self.group, group.group) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a.to_bits() == b.to_bits(),
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() == b.to_bits(),
            _ => false,
        };
        same && self.interface.0 == group.interface.0
    }
}

/// A change that is possible: to be noted when whoever else must take part has done so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposed {
    /// What is wanted of the group from then on; None: as before.
    pub wanted: Option<GroupChange>,
    /// What the call comes to all the same: Linux changes the mode of a membership without sources before it looks for the source.
    pub result: Result<(), MemberError>,
    after: Membership,
    is_left: bool,
}

impl Proposed {
    fn put(after: Membership) -> Self {
        Self { wanted: Some(after.wanted()), result: Ok(()), after, is_left: false }
    }

    fn leave(which: &Membership) -> Self {
        Self { wanted: Some(which.left()), result: Ok(()), after: which.clone(), is_left: true }
    }

    fn fails(after: Membership, why: MemberError, has_changed: bool) -> Self {
        Self { wanted: has_changed.then(|| after.wanted()), result: Err(why), after, is_left: false }
    }
}

/// What a change is about.
struct Ask<'a> {
    members: &'a [Membership],
    group: IpAddr,
    /// As the caller named it.
    named: Option<InterfaceId>,
    view: &'a NetView,
    memberships_max: usize,
    sources_max: usize,
}

impl Sockets {
    /// What `change` makes of a membership: to be told to [`note`](Self::note) when it is done. `interface` None: by the route to the
    /// group; of an IPv6 group that is joined already, wherever that is.
    ///
    /// # Errors
    /// As Linux has them: RFC 3678 4.1.3.
    // P01-P04.
    pub fn member(
        &self,
        id: SocketId,
        (group, interface): (IpAddr, Option<InterfaceId>),
        change: &MemberChange,
        view: &NetView,
    ) -> Result<Proposed, MemberError> {
        let own = self.open.get(&id).ok_or(MemberError::Closed)?;
        if group.is_ipv6() && own.domain == Domain::V4 {
            return Err(MemberError::NoSuchOption);
        }
        let sources_max = if group.is_ipv4() { self.limits.sources } else { self.limits.sources6 };
        let memberships_max = self.limits.memberships;
        let ask = Ask { members: &own.members, group, named: interface, view, memberships_max, sources_max };
        match change {
            MemberChange::Join => ask.join(FilterMode::Exclude).map(Proposed::put),
            MemberChange::Leave => ask.leave(),
            MemberChange::JoinSource(source) => ask.join_source(*source),
            MemberChange::LeaveSource(source) => ask.source(false, FilterMode::Include, *source, None),
            MemberChange::Block(source) => ask.source(true, FilterMode::Exclude, *source, None),
            MemberChange::Unblock(source) => ask.source(false, FilterMode::Exclude, *source, None),
            MemberChange::SetFilter(mode, sources) => ask.set_filter(*mode, sources),
        }
    }

    /// What [`member`](Self::member) proposed is so from now on.
    pub fn note(&mut self, id: SocketId, proposed: Proposed) {
        let Some(own) = self.open.get_mut(&id) else { return };
        let Proposed { after, is_left, .. } = proposed;
        let place = own.members.iter().position(|member| member.is(&after));
        match (place, is_left) {
            (Some(place), true) => drop(own.members.remove(place)),
            (Some(place), false) => own.members[place] = after,
            (None, true) => {}
            (None, false) => own.members.insert(0, after),
        }
    }

    /// getsockopt(2) `MCAST_MSFILTER`, `IP_MSFILTER`: the sources in the order in which they were named.
    ///
    /// # Errors
    /// The group is not joined there, or is none.
    // P06, Linux `ip_mc_msfget`, `ip6_mc_msfget`.
    pub fn filter(
        &self,
        id: SocketId,
        (group, interface): (IpAddr, Option<InterfaceId>),
        view: &NetView,
    ) -> Result<(FilterMode, Vec<IpAddr>), MemberError> {
        let own = self.open.get(&id).ok_or(MemberError::Closed)?;
        if group.is_ipv6() && own.domain == Domain::V4 {
            return Err(MemberError::NotSupported);
        }
        if !group.is_multicast() {
            return Err(MemberError::NotAGroup);
        }
        let interface = match interface {
            Some(named) => named,
            None => by_route(group, view)?,
        };
        let found = own.members.iter().find(|m| (m.group, m.interface) == (group, interface));
        let found = found.ok_or(MemberError::NotJoined)?;
        Ok((found.mode, found.sources.clone().unwrap_or_default()))
    }
}

/// P04: the interface by which the group is reached.
fn by_route(group: IpAddr, view: &NetView) -> Result<InterfaceId, MemberError> {
    let way = view.choose(group, Constraints::default());
    way.map(|way| way.interface).map_err(|_| MemberError::NoInterface)
}

impl Ask<'_> {
    fn is_group(&self) -> Result<(), MemberError> {
        if self.group.is_multicast() { Ok(()) } else { Err(MemberError::NotAGroup) }
    }

    /// Linux `ip_mc_find_dev`, `ip6_mc_find_dev`.
    fn interface(&self) -> Result<InterfaceId, MemberError> {
        match self.named {
            Some(named) => self.view.get(named).map(|i| i.id).ok_or(MemberError::NoInterface),
            None => by_route(self.group, self.view),
        }
    }

    fn on(&self, interface: InterfaceId) -> Option<&Membership> {
        self.members.iter().find(|m| (m.group, m.interface) == (self.group, interface))
    }

    /// The newest, wherever it is.
    fn anywhere(&self) -> Option<&Membership> {
        self.members.iter().find(|m| m.group == self.group)
    }

    /// The membership that is meant. IPv6's need no interface to be named, wherever the route leads.
    fn meant(&self, interface: InterfaceId) -> Option<&Membership> {
        match self.named {
            None if self.group.is_ipv6() => self.anywhere(),
            _ => self.on(interface),
        }
    }

    /// P01, P03, Linux `ip_mc_join_group`, `ipv6_sock_mc_join`.
    fn join(&self, mode: FilterMode) -> Result<Membership, MemberError> {
        self.is_group()?;
        if self.group.is_ipv6() && self.named.is_none() && self.anywhere().is_some() {
            return Err(MemberError::AlreadyJoined);
        }
        let interface = self.interface()?;
        if self.on(interface).is_some() {
            return Err(MemberError::AlreadyJoined);
        }
        let count = self.members.iter().filter(|member| member.group.is_ipv4()).count();
        if self.group.is_ipv4() && count >= self.memberships_max {
            return Err(MemberError::TooManyMemberships);
        }
        Ok(Membership { group: self.group, interface, mode, sources: None })
    }

    /// P01, Linux `ip_mc_leave_group`, `ipv6_sock_mc_drop`.
    fn leave(&self) -> Result<Proposed, MemberError> {
        let found = match (self.named, self.group) {
            (_, IpAddr::V6(_)) => {
                self.is_group()?;
                self.named.map_or_else(|| self.anywhere(), |named| self.on(named))
            }
            (Some(named), IpAddr::V4(_)) => self.on(named),
            (None, IpAddr::V4(_)) => self.on(self.interface()?),
        };
        found.map(Proposed::leave).ok_or(MemberError::NotJoined)
    }

    /// P02: joins first, if it is not a member.
    fn join_source(&self, source: IpAddr) -> Result<Proposed, MemberError> {
        if source.is_ipv4() != self.group.is_ipv4() {
            return Err(MemberError::SourceFamily);
        }
        let joined = match self.join(FilterMode::Include) {
            Ok(joined) => Some(joined),
            Err(MemberError::AlreadyJoined) => None,
            Err(why) => return Err(why),
        };
        self.source(true, FilterMode::Include, source, joined)
    }

    /// P02, P03, Linux `ip_mc_source`, `ip6_mc_source`: the checks, in their order.
    fn source(
        &self,
        is_added: bool,
        mode: FilterMode,
        source: IpAddr,
        joined: Option<Membership>,
    ) -> Result<Proposed, MemberError> {
        if source.is_ipv4() != self.group.is_ipv4() {
            return Err(MemberError::SourceFamily);
        }
        self.is_group()?;
        let interface = self.interface()?;
        let meant = || self.meant(interface).cloned().ok_or(MemberError::NoSources);
        let mut member = joined.map_or_else(meant, Ok)?;
        let switches = member.mode != mode;
        if switches && member.sources.is_some() {
            return Err(MemberError::OtherMode);
        }
        member.mode = mode;
        if is_added {
            let mut all = member.sources.clone().unwrap_or_default();
            if all.len() >= self.sources_max {
                return Ok(Proposed::fails(member, MemberError::TooManySources, switches));
            }
            if all.contains(&source) {
                return Ok(Proposed::fails(member, MemberError::SourceNamed, switches));
            }
            all.push(source);
            member.sources = Some(all);
            return Ok(Proposed::put(member));
        }
        let Some(place) = member.sources.iter().flatten().position(|named| *named == source) else {
            return Ok(Proposed::fails(member, MemberError::SourceNotNamed, switches));
        };
        // RFC 3678 4.1.3: without the last source it is none.
        if mode == FilterMode::Include && member.sources.as_ref().is_some_and(|all| all.len() == 1) {
            return self.leave();
        }
        member.sources.as_mut().map(|all| all.remove(place));
        Ok(Proposed::put(member))
    }

    /// P06, Linux `ip_mc_msfilter`, `ip6_mc_msfilter`: it is for whoever has joined.
    fn set_filter(&self, mode: FilterMode, sources: &[IpAddr]) -> Result<Proposed, MemberError> {
        if sources.len() > self.sources_max {
            return Err(MemberError::TooManySources);
        }
        if sources.iter().any(|source| source.is_ipv4() != self.group.is_ipv4()) {
            return Err(MemberError::SourceFamily);
        }
        self.is_group()?;
        let interface = self.interface()?;
        if mode == FilterMode::Include && sources.is_empty() {
            return self.leave();
        }
        // IPv6's must name the interface.
        let is_named = self.named.is_some() || self.group.is_ipv4();
        let found = self.on(interface).filter(|_| is_named).ok_or(MemberError::NoSources)?;
        let sources = Some(sources.to_vec()).filter(|all| !all.is_empty());
        Ok(Proposed::put(Membership { mode, sources, ..found.clone() }))
    }
}
