//! Addresses: those of an interface, and what is written as one.

use core::net::{IpAddr, Ipv6Addr};

use super::family::{self, Version, ip, is_link_local};
use crate::addr::{Cidr, Unicast, V4, V6};
use crate::config::error::{At, Place, Problems};
use crate::config::plan::InterfacePlan;

const REMEDY: &str = "give it one, as in addresses = [\"198.18.0.2/24\"]";

/// The word for addresses that are made of routers' prefixes. RFC 4862.
const AUTO: &str = "auto";

/// Each asks whether it is somebody else's, and is looked for in every packet.
const ADDRESSES_MAX: usize = 256;

/// The addresses of an interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    pub(super) v4: Vec<Cidr<V4>>,
    pub(super) v6: Vec<Cidr<V6>>,
    /// Whether there are those that routers' prefixes make, too.
    pub(super) auto: bool,
    /// Whether there are others that have an error: what is missing may be one of them.
    pub(super) unknown: bool,
}

impl Addresses {
    /// Whether the interface has IPv6.
    pub(super) fn has_v6(&self) -> bool {
        self.auto || !self.v6.is_empty()
    }

    fn has(&self, addr: IpAddr) -> bool {
        has(&self.v4, addr) || has(&self.v6, addr)
    }
}

fn has<F: Version>(addresses: &[Cidr<F>], addr: IpAddr) -> bool {
    addresses.iter().any(|cidr| cidr.addr().into() == addr)
}

/// The addresses of an interface whose table is at `table`; `before` are the interfaces that the file has before it.
pub(super) fn check(
    at: Option<&At<Vec<At<String>>>>,
    table: &Place,
    before: &[InterfacePlan],
    problems: &mut Problems,
) -> Addresses {
    let mut checked = Addresses::default();
    let Some(addresses) = at else {
        problems.add_missing(table, "addresses", REMEDY);
        return Addresses { unknown: true, ..checked };
    };
    if addresses.value.is_empty() {
        problems.add(&addresses.place, "this port has no address", REMEDY);
        checked.unknown = true;
    }
    if let Some(at) = addresses.value.get(ADDRESSES_MAX) {
        let problem = format!("{} addresses are too many for one port", addresses.value.len());
        problems.add(&at.place, problem, format!("list at most {ADDRESSES_MAX}"));
    }
    for at in addresses.value.iter().take(ADDRESSES_MAX) {
        check_one(at, before, &mut checked, problems);
    }
    checked
}

/// One element of the list, which goes to `checked`.
fn check_one(at: &At<String>, before: &[InterfacePlan], checked: &mut Addresses, problems: &mut Problems) {
    let At { value, place } = at;
    if value == AUTO {
        if checked.auto {
            problems.add(place, format!("{AUTO:?} is listed twice"), "list it once");
        }
        checked.auto = true;
        return;
    }
    let (text, len) = value.split_once('/').map_or((value.as_str(), None), |(a, len)| (a, Some(len)));
    let Some(addr) = ip(text, place, problems) else {
        checked.unknown = true;
        return;
    };
    let twice = checked.has(addr);
    let found = match addr {
        IpAddr::V4(addr) => cidr(addr, (value, len), place, problems)
            .filter(|_| is_free(addr.into(), twice, place, before, problems))
            .map(|cidr| checked.v4.push(cidr)),
        IpAddr::V6(addr) => check_v6(addr, place, problems)
            .and_then(|()| cidr(addr, (value, len), place, problems))
            .filter(|cidr| is_no_anycast(*cidr, place, problems))
            .filter(|_| is_free(addr.into(), twice, place, before, problems))
            .map(|cidr| checked.v6.push(cidr)),
    };
    checked.unknown |= found.is_none();
}

/// Whether nobody has the address: neither this interface nor another one. That may have the network in common: an answer
/// leaves by the interface that was asked.
fn is_free(
    addr: IpAddr,
    twice: bool,
    place: &Place,
    before: &[InterfacePlan],
    problems: &mut Problems,
) -> bool {
    let owner = before.iter().find(|i| has(&i.v4.addresses, addr) || has(&i.v6.addresses, addr));
    if twice {
        problems.add(place, format!("{addr} is listed twice"), "list each address once");
    } else if let Some(owner) = owner {
        let problem = format!("{addr} is an address of port {}", owner.name);
        problems.add(place, problem, "give each port addresses of its own");
    }
    !twice && owner.is_none()
}

/// What may be no address of a configuration, though one host may have it.
fn check_v6(addr: Ipv6Addr, place: &Place, problems: &mut Problems) -> Option<()> {
    let (problem, remedy) = if is_link_local(addr.into()) {
        // RFC 4862 5.3: every interface with IPv6 has just one.
        let remedy = format!("every port with IPv6 has one: for this, write link_local = \"{addr}\"");
        (format!("{addr} is link-local"), remedy)
    } else if let Some(v4) = addr.to_ipv4_mapped() {
        // V05, RFC 4291 2.5.5.2.
        let remedy = format!("write the IPv4 address, as in \"{v4}/24\"");
        (format!("{addr} stands for {v4} within a host, and is on no link"), remedy)
    } else {
        return Some(());
    };
    problems.add(place, problem, remedy);
    None
}

/// The address with its prefix, as it was `written`, in two parts.
fn cidr<F: Version>(
    addr: F::Addr,
    (value, len): (&str, Option<&str>),
    place: &Place,
    problems: &mut Problems,
) -> Option<Cidr<F>> {
    let (host, host_len) = F::HOST;
    let Some(unicast) = Unicast::<F>::new(addr) else {
        let remedy = format!("use a unicast address, as in \"{host}/{host_len}\"");
        problems.add(place, format!("no host may have the address {addr}"), remedy);
        return None;
    };
    let Some(len) = len else {
        let remedy = format!("write one, as in \"{addr}/{host_len}\"");
        problems.add(place, format!("{value:?} has no prefix length"), remedy);
        return None;
    };
    let len = prefix_len::<F>(len, 1, place, problems)?;
    let cidr = Cidr::new(unicast, len);
    if cidr.is_none() {
        let problem = format!("{addr} is the network's or the broadcast address of its /{len}");
        problems.add(place, problem, "use one of the addresses between them");
    }
    cidr
}

/// RFC 4291 2.6.1: the first address of a prefix is everyone's who routes there; RFC 6164: but for /127 and /128.
fn is_no_anycast(cidr: Cidr<V6>, place: &Place, problems: &mut Problems) -> bool {
    let network = crate::addr::Prefix::<V6>::of(cidr.addr(), cidr.prefix()).network();
    let anycast = cidr.prefix() < 127 && cidr.addr() == network;
    if anycast {
        let problem = format!("{network} is the routers' address of its /{} (RFC 4291 2.6.1)", cidr.prefix());
        problems.add(place, problem, "use another address of that prefix");
    }
    !anycast
}

/// The length of a prefix that `text` is, from `least` on, or a problem.
pub(super) fn prefix_len<F: Version>(
    text: &str,
    least: u8,
    place: &Place,
    problems: &mut Problems,
) -> Option<u8> {
    // Digits only: `parse` would take a plus sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let len = text.parse::<u8>().ok().filter(|len| digits && (least..=F::BITS).contains(len));
    if len.is_none() {
        problems.add(place, format!("{text:?} is no prefix length"), format!("use {least} to {}", F::BITS));
    }
    len
}

/// The addresses of the version `F` of an interface, of which a router may be a neighbour.
#[derive(Clone, Copy)]
pub(super) struct Links<'a, F: Version> {
    pub(super) addresses: &'a [Cidr<F>],
    /// Its link-local address, if that is known.
    pub(super) link_local: Option<IpAddr>,
    /// Whether it has that version at all, or may have it.
    pub(super) on: bool,
    /// Whether nothing can be said of what is not on these.
    pub(super) unknown: bool,
}

/// What a router is named for.
#[derive(Clone, Copy)]
pub(super) enum RouterOf {
    /// For all that no route is for.
    Else,
    /// For a route.
    Route,
}

impl RouterOf {
    /// What to do with one of another IP version than `F`.
    fn of_other_version<F: Version>(self) -> String {
        match self {
            Self::Else => format!("write it as the key {}", F::OTHER_GATEWAY),
            Self::Route => format!("name a router of {}, as to is", F::NAME),
        }
    }

    /// What to do without any.
    const fn otherwise(self) -> &'static str {
        match self {
            Self::Else => "leave the key out",
            Self::Route => "take the route out",
        }
    }
}

/// The router that `at` names, on one of `links`.
pub(super) fn router<F: Version>(
    At { value, place }: &At<String>,
    links: Links<'_, F>,
    what: RouterOf,
    problems: &mut Problems,
) -> Option<Unicast<F>> {
    let otherwise = what.otherwise();
    let addr = family::address::<F>(value, place, &what.of_other_version::<F>(), problems)?;
    let Some(router) = Unicast::<F>::new(addr) else {
        problems.add(place, format!("no host may have the address {addr}"), "use a router's unicast address");
        return None;
    };
    let Links { addresses, link_local, on, unknown } = links;
    let on_link: Vec<&Cidr<F>> = addresses.iter().filter(|cidr| cidr.contains(addr)).collect();
    let is_neighbour = is_link_local(addr.into());
    let prefixes = || addresses.iter().map(Cidr::to_string).collect::<Vec<_>>().join(", ");
    if addresses.iter().any(|cidr| cidr.addr() == addr) || link_local == Some(addr.into()) {
        let problem = format!("{addr} is this port's own address");
        problems.add(place, problem, format!("use the router's address, or {otherwise}"));
    } else if is_neighbour && (on || unknown) || (unknown && on_link.is_empty()) {
        return Some(router);
    } else if !on {
        let problem = format!("this port has no {} address", F::NAME);
        let (host, len) = F::HOST;
        problems.add(place, problem, format!("add one to addresses, as in \"{host}/{len}\", or {otherwise}"));
    } else if on_link.is_empty() {
        let problem = format!("{addr} is on none of the port's prefixes");
        let remedy = match addresses {
            [] => format!("use {}", F::ROUTER),
            _ => format!("use {}{} within {}", F::ROUTER, F::OR_ONE, prefixes()),
        };
        problems.add(place, problem, remedy);
    } else if on_link.iter().all(|cidr| Cidr::new(router, cidr.prefix()).is_none()) {
        let problem = format!("{addr} is the network's or the broadcast address of a prefix");
        problems.add(place, problem, "use the router's address");
    } else {
        return Some(router);
    }
    None
}
