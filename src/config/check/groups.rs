//! The key `groups` of a service: both IP versions in one list.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::family::{self, Version, ip};
use super::{addresses, port_by_name};
use crate::addr::{Group, Prefix, Unicast, V4, V6};
use crate::config::error::{At, Place, Problems};
use crate::config::plan::{GroupPlan, GroupSources, InterfacePlan, ListenPlan};
use crate::config::raw::{RawGroup, RawService};
use crate::io::InterfaceId;

/// The groups of each interface, by all services so far.
type Of<F> = BTreeMap<InterfaceId, BTreeSet<Group<F>>>;

/// Those of both IP versions.
#[derive(Default)]
pub(super) struct Joined {
    v4: Of<V4>,
    v6: Of<V6>,
}

/// The most groups that one service joins: more than a NIC, a switch or a router keeps apart.
const GROUPS_MAX: u32 = 65_536;

/// So many bits of a prefix may be anything.
const FREE_BITS: u8 = 16;

/// The memberships of `service`, which has the sockets `listen`.
pub(super) fn check(
    service: &RawService,
    listen: &[ListenPlan],
    ports: &[InterfacePlan],
    all: &mut Joined,
    problems: &mut Problems,
) -> (Vec<GroupPlan<V4>>, Vec<GroupPlan<V6>>) {
    // A socket that was refused may be the one that is missed here, and has an error of its own.
    let all_sockets_known = service.listen.as_ref().is_some_and(|at| at.value.len() == listen.len());
    let sockets = Sockets { listen, all_sockets_known };
    let (mut joined4, mut joined6) = (Vec::new(), Vec::new());
    let mut count = 0;
    for raw in &service.groups {
        let Some(at) = &raw.group else {
            let remedy = "name it, as in { group = \"239.1.2.3\" }";
            problems.add_missing(&raw.place, "group", remedy);
            continue;
        };
        let (addr, len) = at.value.split_once('/').map_or((at.value.as_str(), None), |(a, l)| (a, Some(l)));
        let Some(addr) = ip(addr, &at.place, problems) else { continue };
        let one = One { raw, at, len, sockets, ports };
        let enough = match addr {
            IpAddr::V4(addr) => one.check(addr, &mut count, (&mut joined4, &mut all.v4), problems),
            IpAddr::V6(addr) => one.check(addr, &mut count, (&mut joined6, &mut all.v6), problems),
        };
        if enough {
            break;
        }
    }
    (joined4, joined6)
}

/// One element of the list.
struct One<'a> {
    raw: &'a RawGroup,
    at: &'a At<String>,
    /// The length of the prefix as it is written.
    len: Option<&'a str>,
    sockets: Sockets<'a>,
    ports: &'a [InterfacePlan],
}

impl One<'_> {
    /// Adds the groups at `addr` to those of the service and to `all`. Whether these are too many, and it is of no use to
    /// look at more.
    fn check<F: Version>(
        &self,
        addr: F::Addr,
        count: &mut u32,
        (joined, all): (&mut Vec<GroupPlan<F>>, &mut Of<F>),
        problems: &mut Problems,
    ) -> bool {
        let Self { raw, at, sockets, ports, .. } = self;
        let prefix = self.prefix::<F>(addr, problems);
        let from = check_from::<F>(raw, problems);
        let on = check_ports(self, prefix, sockets, problems);
        let Some(prefix) = prefix else { return false };
        check_ssm(raw, at, prefix, problems);
        *count = count.saturating_add(prefix.size());
        if *count > GROUPS_MAX {
            let problem = match prefix.size() {
                u32::MAX => "these are too many groups for one service".to_owned(),
                _ => format!("{count} groups are too many for one service"),
            };
            let least = F::BITS - FREE_BITS;
            let remedy = format!(
                "join at most {GROUPS_MAX} in all, as a prefix of {least} bits or more, or share them out"
            );
            problems.add(&at.place, problem, remedy);
            return true;
        }
        for interface in on {
            let new = GroupPlan { prefix, from: from.clone(), interface };
            let other = joined.iter().find(|o| o.interface == interface && overlap(prefix, o.prefix));
            if let Some(other) = other {
                twice(&new, other, &raw.place, ports, problems);
            } else {
                check_limits(self, prefix, interface, all, problems);
                joined.push(new);
            }
        }
        false
    }

    /// 224.0.0.1 and ff02::1 are groups like others here, as in Linux: who lists one is given its datagrams, though
    /// membership never ends and is never reported (G04, RFC 9776 5; L04, RFC 9777 6).
    fn prefix<F: Version>(&self, addr: F::Addr, problems: &mut Problems) -> Option<Prefix<F>> {
        let At { place, .. } = self.at;
        let len =
            self.len.map_or(Some(F::BITS), |len| addresses::prefix_len::<F>(len, 4, place, problems))?;
        if Group::<F>::new(addr).is_none() {
            let remedy = format!("use {}", F::GROUPS);
            problems.add(place, format!("{addr} is not a multicast group"), remedy);
            return None;
        }
        let prefix = Prefix::new(addr, len);
        if prefix.is_none() {
            let remedy = format!("write {}", Prefix::<F>::of(addr, len));
            problems.add(place, format!("{addr} has bits beyond the first {len}"), remedy);
        }
        // V03, RFC 4291 2.7: scope 0 is reserved, and what has scope 1 is never on a link.
        let scope = match addr.into() {
            IpAddr::V6(addr) => Some(addr.octets()[1] & 0x0f),
            IpAddr::V4(_) => None,
        };
        if let Some(scope @ (0 | 1)) = scope {
            let what = if scope == 0 { "of a reserved scope" } else { "heard within one host only" };
            let remedy = "use a wider scope: ff02:: on the link, ff05:: on the site, ff0e:: everywhere";
            problems.add(place, format!("{addr} is {what}, and on no link"), remedy);
            return None;
        }
        prefix
    }
}

/// Notes that a service lists `new` though it has `other`.
fn twice<F: Version>(
    new: &GroupPlan<F>,
    other: &GroupPlan<F>,
    place: &Place,
    ports: &[InterfacePlan],
    problems: &mut Problems,
) {
    let name = ports.get(new.interface.index()).map_or("", |port| port.name.as_str());
    let problem = if other.prefix == new.prefix {
        format!("{} is listed twice on port {name}", new.written())
    } else {
        format!("{} and {} have groups in common on port {name}", other.written(), new.written())
    };
    problems.add(place, problem, "list it once, with all its sources");
}

fn overlap<F: Version>(one: Prefix<F>, other: Prefix<F>) -> bool {
    one.contains(other.network()) || other.contains(one.network())
}

/// P03: no more groups on an interface, nor sources of one, than its limits.
fn check_limits<F: Version>(
    One { raw, at, ports, .. }: &One<'_>,
    groups: Prefix<F>,
    on: InterfaceId,
    all: &mut Of<F>,
    problems: &mut Problems,
) {
    let Some(InterfacePlan { name, groups_max, sources_max, .. }) = ports.get(on.index()) else { return };
    let joined = all.entry(on).or_default();
    let before = joined.len();
    joined.extend((0..groups.size()).filter_map(|n| Group::<F>::new(groups.nth(n)?)));
    // Said once: of the first that are too many.
    if before <= *groups_max && joined.len() > *groups_max {
        let more = joined.len() - groups_max;
        let more = if more == 1 { "one group".to_owned() } else { format!("{more} groups") };
        let problem = format!("this is {more} more than the {groups_max} that may be joined on {name}");
        problems.add(&at.place, problem, "list fewer, or raise the key groups_max there");
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

// G48, L16, RFC 4607 4.2: in the range of source-specific multicast there is no joining of a group without its sources, nor
// (RFC 4604 2.2.1) with all but some.
fn check_ssm<F: Version>(raw: &RawGroup, at: &At<String>, groups: Prefix<F>, problems: &mut Problems) {
    if !F::is_ssm(groups.network()) || raw.sources.is_some() {
        return;
    }
    let At { value: written, place } = at;
    let (sender, range) = (F::SENDER, F::SSM);
    let remedy = format!("name its senders, as in sources = [\"{sender}\"], or use a group outside {range}");
    match &raw.exclude {
        Some(exclude) => {
            let problem =
                format!("{written} is in the range of source-specific multicast, where none are excluded");
            problems.add(&exclude.place, problem, remedy);
        }
        None => {
            problems.add(place, format!("{written} is in the range of source-specific multicast"), remedy);
        }
    }
}

/// The keys `sources` and `exclude`.
fn check_from<F: Version>(raw: &RawGroup, problems: &mut Problems) -> GroupSources<F> {
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
fn check_sources<F: Version>(
    sources: &At<Vec<At<String>>>,
    empty: &str,
    problems: &mut Problems,
) -> Vec<Unicast<F>> {
    if sources.value.is_empty() {
        problems.add(&sources.place, empty, "name one, or leave the key out for any");
    }
    let otherwise = format!("name senders of {}, as the group is", F::NAME);
    let mut checked: Vec<Unicast<F>> = Vec::new();
    for At { value, place } in &sources.value {
        let Some(addr) = family::address::<F>(value, place, &otherwise, problems) else { continue };
        let mapped = matches!(addr.into(), IpAddr::V6(addr) if addr.to_ipv4_mapped().is_some());
        match Unicast::<F>::new(addr).filter(|_| !mapped) {
            None => {
                let problem = format!("{addr} cannot be a source");
                problems.add(place, problem, "use a sender's unicast address");
            }
            Some(source) if checked.contains(&source) => {
                problems.add(place, format!("{source} is listed twice"), "list each source once");
            }
            Some(source) => checked.push(source),
        }
    }
    checked.sort_unstable();
    checked
}

/// The sockets of a service.
#[derive(Clone, Copy)]
struct Sockets<'a> {
    listen: &'a [ListenPlan],
    all_sockets_known: bool,
}

impl Sockets<'_> {
    /// The interfaces on which each of the groups has a socket that could hear it; of no known groups, any group.
    // U19: one that is bound to any address, or to the group.
    fn hearing<F: Version>(self, groups: Option<Prefix<F>>, ports: &[InterfacePlan]) -> Vec<InterfaceId> {
        let mut all: Vec<InterfaceId> =
            self.listen.iter().flat_map(|l| l.interfaces.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|id| ports.get(id.index()).is_some_and(F::is_on) && self.is_heard_on(groups, *id));
        all
    }

    fn is_heard_on<F: Version>(self, groups: Option<Prefix<F>>, interface: InterfaceId) -> bool {
        let here = self.listen.iter().filter(|listen| listen.interfaces.contains(&interface));
        let mut places: Vec<F::Addr> = here.flat_map(ListenPlan::places).filter_map(F::of_ip).collect();
        if places.contains(&F::UNSPECIFIED) {
            return true;
        }
        places.retain(|addr| groups.map_or_else(|| F::is_multicast(*addr), |groups| groups.contains(*addr)));
        places.sort_unstable();
        places.dedup();
        match groups {
            Some(groups) => u32::try_from(places.len()) == Ok(groups.size()),
            None => !places.is_empty(),
        }
    }
}

/// The ports to join on: the named one, or every one with a socket of the service that could hear the groups.
fn check_ports<F: Version>(
    One { raw, at, ports, .. }: &One<'_>,
    groups: Option<Prefix<F>>,
    sockets: &Sockets<'_>,
    problems: &mut Problems,
) -> Vec<InterfaceId> {
    let mut able = sockets.hearing(groups, ports);
    let what = &at.value;
    let remedy = format!("add a socket with the address {} or the group's to listen", F::ANY);
    let Some(name) = &raw.port else {
        if able.is_empty() && sockets.all_sockets_known {
            problems.add(&raw.place, format!("no socket of this service could hear {what}"), remedy);
        }
        return able;
    };
    let Some(port) = port_by_name(name, ports, problems) else { return Vec::new() };
    able.retain(|id| id.index() == port);
    if able.is_empty() && sockets.all_sockets_known {
        let problem = format!("no socket of this service could hear {what} on port {}", name.value);
        let remedy = if ports.get(port).is_some_and(F::is_on) {
            format!("{remedy}, and the port to ports if that key is there")
        } else {
            format!("give the port an {} address", F::NAME)
        };
        problems.add(&name.place, problem, remedy);
    }
    able
}
