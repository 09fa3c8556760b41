//! The key `routes` of an interface.

use super::addresses::{ipv4, prefix_len, router};
use crate::addr::{Ipv4Cidr, Prefix, V4};
use crate::config::error::{At, Problems};
use crate::config::plan::RoutePlan;
use crate::config::raw::RawRoute;

/// The static routes of an interface with `addresses`.
pub(super) fn check(raw: &[RawRoute], addresses: &[Ipv4Cidr], problems: &mut Problems) -> Vec<RoutePlan> {
    let mut routes: Vec<RoutePlan> = Vec::new();
    for RawRoute { place, to, via } in raw {
        if to.is_none() {
            problems.add_missing(place, "to", "say where it leads, as in to = \"10.0.0.0/8\"");
        }
        if via.is_none() {
            problems.add_missing(place, "via", "name a router, as in via = \"198.18.0.1\"");
        }
        let prefix = to.as_ref().and_then(|at| check_prefix(at, problems));
        let to = to.as_ref().zip(prefix).filter(|(at, to)| is_new(*to, at, addresses, &routes, problems));
        let via = via.as_ref().and_then(|at| router(at, addresses, "take the route out", problems));
        if let (Some((_, to)), Some(via)) = (to, via) {
            routes.push(RoutePlan { to, via });
        }
    }
    routes
}

fn check_prefix(At { value, place }: &At<String>, problems: &mut Problems) -> Option<Prefix<V4>> {
    let (addr, len) = value.split_once('/').map_or((value.as_str(), None), |(a, len)| (a, Some(len)));
    let addr = ipv4(addr, place, problems)?;
    let Some(len) = len else {
        let remedy = format!("write one, as in \"10.0.0.0/8\", or \"{addr}/32\" for one host");
        problems.add(place, format!("{value:?} has no prefix length"), remedy);
        return None;
    };
    let len = prefix_len(len, 0, place, problems)?;
    let prefix = Prefix::of(addr, len);
    if len == 0 {
        let remedy = "name the router of all else in the key gateway4 instead";
        problems.add(place, "this is the default route", remedy);
    } else if Prefix::<V4>::new(addr, len).is_none() {
        let problem = format!("{addr} has bits behind the first {len}");
        problems.add(place, problem, format!("use \"{prefix}\", or \"{addr}/32\" for one host"));
    } else if let Some(what) = unroutable(prefix) {
        let problem = format!("{prefix} is {what}: nothing is sent there by a router");
        problems.add(place, problem, "take the route out");
    } else {
        return Some(prefix);
    }
    None
}

/// What the addresses of `prefix` are, if none of them is a host's elsewhere.
fn unroutable(prefix: Prefix<V4>) -> Option<&'static str> {
    let [first, ..] = prefix.network().octets();
    let within = |net: u8, len: u8| prefix.len() >= len && first >> (8 - len) == net >> (8 - len);
    [
        (within(0, 8), "\"this network\""),
        (within(127, 8), "loopback"),
        (within(224, 4), "multicast"),
        (within(240, 4), "reserved"),
    ]
    .into_iter()
    .find_map(|(within, what)| within.then_some(what))
}

/// Whether nothing else leads to just `to`: neither a link nor a route before this one.
fn is_new(
    to: Prefix<V4>,
    At { place, .. }: &At<String>,
    addresses: &[Ipv4Cidr],
    before: &[RoutePlan],
    problems: &mut Problems,
) -> bool {
    let link = addresses.iter().find(|cidr| Prefix::of(cidr.addr(), cidr.prefix()) == to);
    let same = before.iter().find(|route| route.to == to);
    if let Some(link) = link {
        let problem = format!("{to} is the link of the port's address {link}");
        problems.add(place, problem, "take the route out: hosts there are neighbours");
    } else if let Some(same) = same {
        let problem = format!("there is a route to {to} already, via {}", same.via);
        problems.add(place, problem, "list each destination once");
    }
    link.is_none() && same.is_none()
}
