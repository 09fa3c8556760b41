//! The key `groups` of a service.

use core::net::Ipv4Addr;
use std::collections::{BTreeMap, BTreeSet};

use super::{ipv4, port_by_name};
use crate::addr::{Family, Group, Unicast, V4};
use crate::config::error::{At, Place, Problems};
use crate::config::plan::{GroupPlan, InterfacePlan, ListenPlan};
use crate::config::raw::{RawGroup, RawService};
use crate::io::InterfaceId;

/// The groups of each interface, by all services so far.
pub(super) type Joined = BTreeMap<InterfaceId, BTreeSet<Group<V4>>>;

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
    for raw in &service.groups {
        let group = check_group(raw, problems);
        let sources = check_sources(raw, problems);
        let on = check_ports(raw, listen, all_sockets_known, ports, problems);
        let Some(group) = group else { continue };
        check_ssm(raw, group, problems);
        for port in on {
            if joined.iter().any(|other| (other.group, other.interface) == (group, port)) {
                let name = ports.get(port.index()).map_or("", |port| port.name.as_str());
                let remedy = "list it once, with all its sources";
                problems.add(&raw.place, format!("{group} is listed twice on port {name}"), remedy);
            } else {
                check_limits(raw, group, port, ports, all, problems);
                joined.push(GroupPlan { group, sources: sources.clone(), interface: port });
            }
        }
    }
    joined
}

/// 224.0.0.1 is a group like others here, as in Linux: who lists it is given its datagrams, though membership never
/// ends and is never reported (G04, RFC 9776 5).
fn check_group(raw: &RawGroup, problems: &mut Problems) -> Option<Group<V4>> {
    let Some(At { value, place }) = &raw.group else {
        let remedy = "name it, as in { group = \"239.1.2.3\" }";
        problems.add_missing(&raw.place, "group", remedy);
        return None;
    };
    let addr = ipv4(value, place, problems)?;
    let group = Group::<V4>::new(addr);
    if group.is_none() {
        let remedy = "use 224.0.0.1 to 239.255.255.255";
        problems.add(place, format!("{addr} is not a multicast group"), remedy);
    }
    group
}

/// P03: no more groups on an interface, nor sources of one, than its limits.
fn check_limits(
    raw: &RawGroup,
    group: Group<V4>,
    on: InterfaceId,
    ports: &[InterfacePlan],
    all: &mut Joined,
    problems: &mut Problems,
) {
    let Some(InterfacePlan { name, groups_max, sources_max, .. }) = ports.get(on.index()) else { return };
    let groups = all.entry(on).or_default();
    // Said once: of the first that is too many.
    if groups.insert(group) && groups.len() == groups_max + 1 {
        let problem = format!("this is one group more than the {groups_max} that may be joined on {name}");
        problems.add(&raw.place, problem, "list fewer, or raise the key groups_max there");
    }
    if let Some(At { value, place }) =
        raw.sources.as_ref().filter(|sources| sources.value.len() > *sources_max)
    {
        let problem =
            format!("{} sources are more than the {sources_max} that may be named on {name}", value.len());
        problems.add(place, problem, "list fewer, or raise the key sources_max there");
    }
}

// G48, RFC 4607 4.2: in the range of source-specific multicast there is no joining of a group without its sources.
fn check_ssm(raw: &RawGroup, group: Group<V4>, problems: &mut Problems) {
    if V4::is_ssm(group.addr()) && raw.sources.is_none() {
        let place = raw.group.as_ref().map_or(&raw.place, |at| &at.place);
        let remedy = "name its senders, as in sources = [\"198.18.0.1\"], or use a group outside 232.0.0.0/8";
        problems.add(place, format!("{group} is in the range of source-specific multicast"), remedy);
    }
}

fn check_sources(raw: &RawGroup, problems: &mut Problems) -> Vec<Unicast<V4>> {
    let Some(sources) = &raw.sources else { return Vec::new() };
    if sources.value.is_empty() {
        let remedy = "name one, or leave the key out for any";
        problems.add(&sources.place, "a group without a source receives nothing", remedy);
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

/// The ports to join on: the named one, or every one with a wildcard socket of the service.
fn check_ports(
    raw: &RawGroup,
    listen: &[ListenPlan],
    all_sockets_known: bool,
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Vec<InterfaceId> {
    let wildcard = listen.iter().filter(|socket| socket.addr.is_unspecified());
    let mut able: Vec<InterfaceId> = wildcard.flat_map(|socket| socket.interfaces.iter().copied()).collect();
    able.sort_unstable();
    able.dedup();
    const REMEDY: &str = "add a socket with the address 0.0.0.0 to listen";
    let Some(name) = &raw.port else {
        if able.is_empty() && all_sockets_known {
            problems.add(&raw.place, "no socket of this service receives groups", REMEDY);
        }
        return able;
    };
    let Some(port) = port_by_name(name, ports, problems) else { return Vec::new() };
    able.retain(|id| id.index() == port);
    if able.is_empty() && all_sockets_known {
        let problem = format!("no socket of this service receives groups on port {}", name.value);
        let remedy =
            "add a socket with the address 0.0.0.0 to listen, and the port to ports if that key is there";
        problems.add(&name.place, problem, remedy);
    }
    able
}
