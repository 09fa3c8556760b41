//! The key `groups` of a service.

use core::net::Ipv4Addr;
use std::collections::{BTreeMap, BTreeSet};

use super::{addresses, ipv4, port_by_name};
use crate::addr::{Family, Group, Prefix, Unicast, V4};
use crate::config::error::{At, Place, Problems};
use crate::config::plan::{GroupPlan, GroupSources, InterfacePlan, ListenPlan};
use crate::config::raw::{RawGroup, RawService};
use crate::io::InterfaceId;

/// The groups of each interface, by all services so far.
pub(super) type Joined = BTreeMap<InterfaceId, BTreeSet<Group<V4>>>;

/// The most groups that one service joins: more than a NIC, a switch or a router keeps apart.
const GROUPS_MAX: u64 = 65_536;

/// The memberships of `service`, which has the sockets `listen`.
pub(super) fn check(
    service: &RawService,
    listen: &[ListenPlan],
    ports: &[InterfacePlan],
    all: &mut Joined,
    problems: &mut Problems,
) -> Vec<GroupPlan> {
    // A socket that was refused may be the one that is missed here, and has an error of its own.
    let all_sockets_known = service.listen.as_ref().is_some_and(|at| at.value.len() == listen.len());
    let mut joined: Vec<GroupPlan> = Vec::new();
    let mut count = 0;
    for raw in &service.groups {
        let prefix = check_group(raw, problems);
        let from = check_from(raw, problems);
        let hearing = Hearing { listen, all_sockets_known, prefix };
        let on = check_ports(raw, hearing, ports, problems);
        let Some(prefix) = prefix else { continue };
        check_ssm(raw, prefix, problems);
        let groups = 1u64 << (32 - prefix.len());
        if count + groups > GROUPS_MAX {
            let place = raw.group.as_ref().map_or(&raw.place, |at| &at.place);
            let problem = format!("{} groups are too many for one service", count + groups);
            let remedy = format!(
                "join at most {GROUPS_MAX} in all, as a prefix of 16 bits or more, or share them out"
            );
            problems.add(place, problem, remedy);
            break;
        }
        count += groups;
        for interface in on {
            let new = GroupPlan { prefix, from: from.clone(), interface };
            match joined.iter().find(|other| other.interface == interface && overlap(prefix, other.prefix)) {
                Some(other) => {
                    let name = ports.get(interface.index()).map_or("", |port| port.name.as_str());
                    let problem = if other.prefix == prefix {
                        format!("{} is listed twice on port {name}", new.written())
                    } else {
                        format!(
                            "{} and {} have groups in common on port {name}",
                            other.written(),
                            new.written()
                        )
                    };
                    problems.add(&raw.place, problem, "list it once, with all its sources");
                }
                None => {
                    check_limits(raw, prefix, interface, ports, all, problems);
                    joined.push(new);
                }
            }
        }
    }
    joined
}

fn overlap(one: Prefix<V4>, other: Prefix<V4>) -> bool {
    one.contains(other.network()) || other.contains(one.network())
}

/// 224.0.0.1 is a group like others here, as in Linux: who lists it is given its datagrams, though membership never
/// ends and is never reported (G04, RFC 9776 5).
fn check_group(raw: &RawGroup, problems: &mut Problems) -> Option<Prefix<V4>> {
    let Some(At { value, place }) = &raw.group else {
        let remedy = "name it, as in { group = \"239.1.2.3\" }";
        problems.add_missing(&raw.place, "group", remedy);
        return None;
    };
    let (addr, len) = value.split_once('/').map_or((value.as_str(), None), |(addr, len)| (addr, Some(len)));
    let addr = ipv4(addr, place, problems)?;
    let len = len.map_or(Some(32), |len| addresses::prefix_len(len, 4, place, problems))?;
    if Group::<V4>::new(addr).is_none() {
        let remedy = "use 224.0.0.1 to 239.255.255.255";
        problems.add(place, format!("{addr} is not a multicast group"), remedy);
        return None;
    }
    let prefix = Prefix::new(addr, len);
    if prefix.is_none() {
        let remedy = format!("write {}", Prefix::<V4>::of(addr, len));
        problems.add(place, format!("{addr} has bits beyond the first {len}"), remedy);
    }
    prefix
}

/// P03: no more groups on an interface, nor sources of one, than its limits.
fn check_limits(
    raw: &RawGroup,
    groups: Prefix<V4>,
    on: InterfaceId,
    ports: &[InterfacePlan],
    all: &mut Joined,
    problems: &mut Problems,
) {
    let Some(InterfacePlan { name, groups_max, sources_max, .. }) = ports.get(on.index()) else { return };
    let joined = all.entry(on).or_default();
    let before = joined.len();
    let first = groups.network().to_bits();
    let last = first | u32::MAX.checked_shr(groups.len().into()).unwrap_or(0);
    joined.extend((first..=last).filter_map(|bits| Group::<V4>::new(Ipv4Addr::from_bits(bits))));
    // Said once: of the first that are too many.
    if before <= *groups_max && joined.len() > *groups_max {
        let place = raw.group.as_ref().map_or(&raw.place, |at| &at.place);
        let more = joined.len() - groups_max;
        let more = if more == 1 { "one group".to_owned() } else { format!("{more} groups") };
        let problem = format!("this is {more} more than the {groups_max} that may be joined on {name}");
        problems.add(place, problem, "list fewer, or raise the key groups_max there");
    }
    for At { value, place } in [&raw.sources, &raw.exclude].into_iter().flatten() {
        if value.len() > *sources_max {
            let problem = format!(
                "{} sources are more than the {sources_max} that may be named on {name}",
                value.len()
            );
            problems.add(place, problem, "list fewer, or raise the key sources_max there");
        }
    }
}

// G48, RFC 4607 4.2: in the range of source-specific multicast there is no joining of a group without its sources, nor
// (RFC 4604 2.2.1) with all but some.
fn check_ssm(raw: &RawGroup, groups: Prefix<V4>, problems: &mut Problems) {
    if !V4::is_ssm(groups.network()) || raw.sources.is_some() {
        return;
    }
    let group = raw.group.as_ref();
    let written = group.map_or("this", |at| at.value.as_str());
    let remedy = "name its senders, as in sources = [\"198.18.0.1\"], or use a group outside 232.0.0.0/8";
    match &raw.exclude {
        Some(exclude) => {
            let problem =
                format!("{written} is in the range of source-specific multicast, where none are excluded");
            problems.add(&exclude.place, problem, remedy);
        }
        None => {
            let place = group.map_or(&raw.place, |at| &at.place);
            problems.add(place, format!("{written} is in the range of source-specific multicast"), remedy);
        }
    }
}

/// The keys `sources` and `exclude`.
fn check_from(raw: &RawGroup, problems: &mut Problems) -> GroupSources {
    match (&raw.sources, &raw.exclude) {
        (None, None) => GroupSources::Any,
        (Some(sources), None) => {
            GroupSources::Only(check_sources(sources, "a group without a source receives nothing", problems))
        }
        (None, Some(exclude)) => {
            GroupSources::Except(check_sources(exclude, "this excludes nobody", problems))
        }
        (Some(_), Some(exclude)) => {
            let remedy = "name the senders that are wanted in sources, or those that are not in exclude";
            let problem = "sources says already who is wanted: a filter has one mode (RFC 9776 3.1)";
            problems.add(&exclude.place, problem, remedy);
            GroupSources::Any
        }
    }
}

/// A list of senders; an empty one has the problem `empty`.
fn check_sources(sources: &At<Vec<At<String>>>, empty: &str, problems: &mut Problems) -> Vec<Unicast<V4>> {
    if sources.value.is_empty() {
        problems.add(&sources.place, empty, "name one, or leave the key out for any");
    }
    let mut checked: Vec<Unicast<V4>> = Vec::new();
    for At { value, place } in &sources.value {
        let Some(addr) = ipv4(value, place, problems) else { continue };
        match Unicast::<V4>::new(addr) {
            None => no_source(addr, place, problems),
            Some(source) if checked.contains(&source) => {
                problems.add(place, format!("{source} is listed twice"), "list each source once");
            }
            Some(source) => checked.push(source),
        }
    }
    checked.sort_unstable();
    checked
}

fn no_source(addr: Ipv4Addr, place: &Place, problems: &mut Problems) {
    problems.add(place, format!("{addr} cannot be a source"), "use a sender's unicast address");
}

/// The sockets of a service, and the groups that they are to hear.
#[derive(Clone, Copy)]
struct Hearing<'a> {
    listen: &'a [ListenPlan],
    all_sockets_known: bool,
    prefix: Option<Prefix<V4>>,
}

impl Hearing<'_> {
    /// The interfaces on which each of the groups has a socket that could hear it.
    // U19: one that is bound to any address, or to the group.
    fn interfaces(self) -> Vec<InterfaceId> {
        let mut all: Vec<InterfaceId> =
            self.listen.iter().flat_map(|l| l.interfaces.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|interface| self.is_heard_on(*interface));
        all
    }

    fn is_heard_on(self, interface: InterfaceId) -> bool {
        let here = || self.listen.iter().filter(|listen| listen.interfaces.contains(&interface));
        if here().any(|listen| listen.addr.is_unspecified()) {
            return true;
        }
        let Some(prefix) = self.prefix else { return here().any(|listen| listen.addr.is_multicast()) };
        let mut bound: Vec<Ipv4Addr> =
            here().map(|listen| listen.addr).filter(|a| prefix.contains(*a)).collect();
        bound.sort_unstable();
        bound.dedup();
        bound.len() as u64 == 1 << (32 - prefix.len())
    }
}

/// The ports to join on: the named one, or every one with a socket of the service that could hear the group.
fn check_ports(
    raw: &RawGroup,
    hearing: Hearing<'_>,
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Vec<InterfaceId> {
    let mut able = hearing.interfaces();
    let what = raw.group.as_ref().map_or("groups", |at| at.value.as_str());
    const REMEDY: &str = "add a socket with the address 0.0.0.0 or the group's to listen";
    let Some(name) = &raw.port else {
        if able.is_empty() && hearing.all_sockets_known {
            problems.add(&raw.place, format!("no socket of this service could hear {what}"), REMEDY);
        }
        return able;
    };
    let Some(port) = port_by_name(name, ports, problems) else { return Vec::new() };
    able.retain(|id| id.index() == port);
    if able.is_empty() && hearing.all_sockets_known {
        let problem = format!("no socket of this service could hear {what} on port {}", name.value);
        let remedy = format!("{REMEDY}, and the port to ports if that key is there");
        problems.add(&name.place, problem, remedy);
    }
    able
}
