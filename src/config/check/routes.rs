//! The key `routes` of an interface: both IP versions in one list.

use core::net::IpAddr;

use super::addresses::{Links, RouterOf, prefix_len, router};
use super::family::{Version, ip};
use crate::addr::{Cidr, Prefix, V4, V6};
use crate::config::error::{At, Problems};
use crate::config::plan::RoutePlan;
use crate::config::raw::RawRoute;

/// The static routes of an interface with these links.
pub(super) fn check(
    raw: &[RawRoute],
    (v4, v6): (Links<'_, V4>, Links<'_, V6>),
    problems: &mut Problems,
) -> (Vec<RoutePlan<V4>>, Vec<RoutePlan<V6>>) {
    let (mut routes4, mut routes6) = (Vec::new(), Vec::new());
    for RawRoute { place, to, via } in raw {
        if to.is_none() {
            problems.add_missing(place, "to", "say where it leads, as in to = \"10.0.0.0/8\"");
        }
        if via.is_none() {
            problems.add_missing(place, "via", "name a router, as in via = \"198.18.0.1\"");
        }
        // Of which version it is, the destination says; without one, the router.
        let Some(first) = to.as_ref().or(via.as_ref()) else { continue };
        let (addr, len) =
            first.value.split_once('/').map_or((first.value.as_str(), None), |(a, len)| (a, Some(len)));
        let Some(addr) = ip(addr, &first.place, problems) else { continue };
        let leads = Leads { to: to.as_ref().map(|to| (to, len)), via: via.as_ref() };
        match addr {
            IpAddr::V4(addr) => leads.check(addr, v4, &mut routes4, problems),
            IpAddr::V6(addr) => leads.check(addr, v6, &mut routes6, problems),
        }
    }
    (routes4, routes6)
}

/// One route: where it leads, with the length of the prefix, and by whom.
struct Leads<'a> {
    to: Option<(&'a At<String>, Option<&'a str>)>,
    via: Option<&'a At<String>>,
}

impl Leads<'_> {
    /// Adds the route to `addr` to `routes`, if it is right.
    fn check<F: Version>(
        self,
        addr: F::Addr,
        links: Links<'_, F>,
        routes: &mut Vec<RoutePlan<F>>,
        problems: &mut Problems,
    ) {
        let to = self.to.and_then(|(at, len)| {
            check_prefix::<F>(addr, len, at, problems)
                .filter(|to| is_new(*to, at, links.addresses, routes, problems))
        });
        let via = self.via.and_then(|at| router(at, links, RouterOf::Route, problems));
        if let (Some(to), Some(via)) = (to, via) {
            routes.push(RoutePlan { to, via });
        }
    }
}

fn check_prefix<F: Version>(
    addr: F::Addr,
    len: Option<&str>,
    At { value, place }: &At<String>,
    problems: &mut Problems,
) -> Option<Prefix<F>> {
    let host = F::BITS;
    let Some(len) = len else {
        let remedy = format!("write one, as in \"{}\", or \"{addr}/{host}\" for one host", F::NETWORK);
        problems.add(place, format!("{value:?} has no prefix length"), remedy);
        return None;
    };
    let len = prefix_len::<F>(len, 0, place, problems)?;
    let prefix = Prefix::of(addr, len);
    if len == 0 {
        let remedy = format!("name the router of all else in the key {} instead", F::GATEWAY);
        problems.add(place, "this is the default route", remedy);
    } else if Prefix::<F>::new(addr, len).is_none() {
        let problem = format!("{addr} has bits behind the first {len}");
        problems.add(place, problem, format!("use \"{prefix}\", or \"{addr}/{host}\" for one host"));
    } else if let Some((_, what)) =
        F::unroutable().into_iter().find(|(net, _)| prefix.len() >= net.len() && net.contains(addr))
    {
        let problem = format!("{prefix} is {what}: nothing is sent there by a router");
        problems.add(place, problem, "take the route out");
    } else {
        return Some(prefix);
    }
    None
}

/// Whether nothing else leads to just `to`: neither a link nor a route before this one.
fn is_new<F: Version>(
    to: Prefix<F>,
    At { place, .. }: &At<String>,
    addresses: &[Cidr<F>],
    before: &[RoutePlan<F>],
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
