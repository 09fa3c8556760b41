//! Who hears a datagram that is for many: every socket on its port that is bound to its destination or to any address,
//! and whose filter wants its source.
//!
//! [`first`] is asked once a datagram and says whether there are more; [`all`] names every one. Both are the same walk.

use super::groups::{GroupTable, Members};
use super::port_table::{Flow, Hearer, PortTable, SocketId};
use crate::addr::{Family, V4};
use crate::io::{Cast, DropReason, InterfaceId};

/// A datagram to a group or to everyone on the link, as far as it decides who hears it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ForMany<F: Family> {
    /// The interface that it came in by.
    pub interface: InterfaceId,
    /// Who sent it, and to which group or broadcast address.
    pub flow: Flow<F>,
    /// Which of the two.
    pub cast: Cast,
}

/// The first of an audience.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct First {
    /// Of several, any one.
    pub socket: SocketId,
    /// Whether there are others.
    pub others: bool,
}

/// The first socket that hears `datagram`, and whether it is the only one.
///
/// # Errors
/// Why nobody does: the interface does not admit it, no socket is open that could, or none wants the source.
// U13, RFC 1122 4.1.3.1: every one of them has a copy.
#[inline(always)]
pub fn first<F: Family>(
    datagram: &ForMany<F>,
    groups: &GroupTable<F>,
    table: &PortTable,
) -> Result<First, DropReason> {
    // The common case at the price of its two look-ups: one socket on the port, whose service joined the group. What its
    // filter wants the interface's does, too.
    if datagram.cast == Cast::Multicast
        && let Some(only) = table.only_hearer::<F>(datagram.interface, &datagram.flow)
        && let Some(filter) = groups.members(datagram.flow.dst).and_then(|m| m.filter(only.service))
        && filter.allows(datagram.flow.src)
    {
        return Ok(First { socket: only.socket, others: false });
    }
    first_of_all(datagram, groups, table)
}

#[inline(never)]
fn first_of_all<F: Family>(
    datagram: &ForMany<F>,
    groups: &GroupTable<F>,
    table: &PortTable,
) -> Result<First, DropReason> {
    first_of(datagram, groups, table, |_| true)
}

/// The same of a datagram that came without the checksum that IPv6 wants: among those who take such.
///
/// # Errors
/// As of [`first`]; that it has no checksum, if nobody takes such.
// U06, RFC 6936 4, Linux `__udp6_lib_mcast_deliver`: who does not is passed over.
pub fn first_unsummed<F: Family>(
    datagram: &ForMany<F>,
    groups: &GroupTable<F>,
    table: &PortTable,
) -> Result<First, DropReason> {
    let found = first_of(datagram, groups, table, |socket| table.takes_unsummed(socket));
    found.map_err(|why| if why == DropReason::UdpNoListener { DropReason::UdpChecksum } else { why })
}

fn first_of<F: Family>(
    datagram: &ForMany<F>,
    groups: &GroupTable<F>,
    table: &PortTable,
    takes: impl Fn(SocketId) -> bool,
) -> Result<First, DropReason> {
    let members = admitting(datagram, groups)?;
    let mut filtered = false;
    let mut audience = walk(datagram, members, table).filter_map(|(socket, hears)| match hears {
        Hears::Yes => takes(socket).then_some(socket),
        Hears::NotThisSource => {
            filtered = true;
            None
        }
        Hears::No => None,
    });
    let found = audience.next().map(|socket| First { socket, others: audience.next().is_some() });
    let why = if filtered { DropReason::UdpSourceFiltered } else { DropReason::UdpNoListener };
    found.ok_or(why)
}

/// Every socket that hears `datagram`, in no order.
#[inline]
pub fn all<'a, F: Family>(
    datagram: &'a ForMany<F>,
    groups: &'a GroupTable<F>,
    table: &'a PortTable,
) -> impl Iterator<Item = SocketId> + 'a {
    let admitted = admitting(datagram, groups).ok().into_iter();
    let everyone = admitted.flat_map(move |members| walk(datagram, members, table));
    everyone.filter_map(|(socket, hears)| (hears == Hears::Yes).then_some(socket))
}

/// The members of the group that `datagram` is for, if it has any, or why its interface does not admit it.
// U16, RFC 9776 3.2: the interface's filter is the merge of all of them. E04: not joined is not heard.
#[inline]
fn admitting<'a, F: Family>(
    datagram: &ForMany<F>,
    groups: &'a GroupTable<F>,
) -> Result<Option<&'a Members<F>>, DropReason> {
    let ForMany { flow: Flow { src: source, dst: destination, .. }, cast, .. } = *datagram;
    if cast != Cast::Multicast {
        return Ok(None);
    }
    match groups.members(destination) {
        Some(members) if members.allow(source) => Ok(Some(members)),
        members if destination == F::ALL_HOSTS => Ok(members),
        Some(_) => Err(DropReason::GroupSourceFiltered),
        None if F::VERSION == V4::VERSION => Err(DropReason::Ipv4GroupNotJoined),
        None => Err(DropReason::Ipv6GroupNotJoined),
    }
}

/// Whether a socket hears a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hears {
    Yes,
    /// It would, from another source.
    NotThisSource,
    No,
}

/// Every socket on the port that could hear `datagram`, and whether it does.
#[inline]
fn walk<'a, F: Family>(
    datagram: &'a ForMany<F>,
    members: Option<&'a Members<F>>,
    table: &'a PortTable,
) -> impl Iterator<Item = (SocketId, Hears)> + 'a {
    let ForMany { interface, flow, cast } = datagram;
    let is_group = *cast == Cast::Multicast;
    table.hearers::<F>(*interface, flow).map(move |hearer| {
        // I13: a broadcast is for every socket that is bound to no address, or to that one.
        let hears = if is_group { hears::<F>(hearer, members, flow.src) } else { Hears::Yes };
        (hearer.socket, hears)
    })
}

/// Whether `hearer` hears what `source` sends to a group that has these members, if any.
// U16, RFC 3678 3: a socket with a membership is ruled by its own filter. U17, P07, ip(7) IP_MULTICAST_ALL: one without hears
// what others joined the group for, unless it does not want to. U18: the members are those of one interface.
#[inline]
fn hears<F: Family>(hearer: Hearer, members: Option<&Members<F>>, source: F::Addr) -> Hears {
    match members.and_then(|members| members.filter(hearer.service)) {
        Some(filter) if filter.allows(source) => Hears::Yes,
        Some(_) => Hears::NotThisSource,
        None if hearer.multicast_all => Hears::Yes,
        None => Hears::No,
    }
}

#[cfg(test)]
mod tests;
