//! Addresses: those of an interface, and what is written as one.

use core::net::{IpAddr, Ipv4Addr};

use crate::addr::{Ipv4Cidr, Unicast, V4};
use crate::config::error::{At, Place, Problems};
use crate::config::plan::InterfacePlan;

const REMEDY: &str = "give it one, as in addresses = [\"198.18.0.2/24\"]";

/// The addresses of an interface whose table is at `table`; `before` are the interfaces that the file has before it.
pub(super) fn check(
    at: Option<&At<Vec<At<String>>>>,
    table: &Place,
    before: &[InterfacePlan],
    problems: &mut Problems,
) -> Vec<Ipv4Cidr> {
    let Some(addresses) = at else {
        problems.add_missing(table, "addresses", REMEDY);
        return Vec::new();
    };
    if addresses.value.is_empty() {
        problems.add(&addresses.place, "this port has no address", REMEDY);
    }
    let mut checked: Vec<Ipv4Cidr> = Vec::new();
    for at in &addresses.value {
        let Some(cidr) = check_cidr(at, problems) else { continue };
        if checked.iter().any(|other| other.addr() == cidr.addr()) {
            problems.add(&at.place, format!("{} is listed twice", cidr.addr()), "list each address once");
        } else if !is_taken(cidr, &at.place, before, problems) {
            checked.push(cidr);
        }
    }
    checked
}

/// Whether another interface has the address. It may have the network in common: an answer leaves by the interface that
/// was asked.
fn is_taken(cidr: Ipv4Cidr, place: &Place, before: &[InterfacePlan], problems: &mut Problems) -> bool {
    let owner = before.iter().find(|one| one.addresses.iter().any(|theirs| theirs.addr() == cidr.addr()));
    if let Some(owner) = owner {
        let problem = format!("{} is an address of port {}", cidr.addr(), owner.name);
        problems.add(place, problem, "give each port addresses of its own");
    }
    owner.is_some()
}

fn check_cidr(At { value, place }: &At<String>, problems: &mut Problems) -> Option<Ipv4Cidr> {
    let (addr, prefix) = value.split_once('/').map_or((value.as_str(), None), |(a, p)| (a, Some(p)));
    let addr = ipv4(addr, place, problems)?;
    let Some(unicast) = Unicast::<V4>::new(addr) else {
        let remedy = "use a unicast address, as in \"198.18.0.2/24\"";
        problems.add(place, format!("no host may have the address {addr}"), remedy);
        return None;
    };
    let Some(prefix) = prefix else {
        problems.add(
            place,
            format!("{value:?} has no prefix length"),
            format!("write one, as in \"{addr}/24\""),
        );
        return None;
    };
    let prefix = prefix_len(prefix, 1, place, problems)?;
    let cidr = Ipv4Cidr::new(unicast, prefix);
    if cidr.is_none() {
        let problem = format!("{addr} is the network's or the broadcast address of its /{prefix}");
        problems.add(place, problem, "use one of the addresses between them");
    }
    cidr
}

/// The length of a prefix that `text` is, from `least` on, or a problem.
pub(super) fn prefix_len(text: &str, least: u8, place: &Place, problems: &mut Problems) -> Option<u8> {
    // Digits only: `parse` would take a plus sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let len = text.parse::<u8>().ok().filter(|len| digits && (least..=32).contains(len));
    if len.is_none() {
        problems.add(place, format!("{text:?} is no prefix length"), format!("use {least} to 32"));
    }
    len
}

/// The router that `at` names, on the link of one of `addresses`. `otherwise` is what to do without one.
pub(super) fn router(
    At { value, place }: &At<String>,
    addresses: &[Ipv4Cidr],
    otherwise: &str,
    problems: &mut Problems,
) -> Option<Unicast<V4>> {
    let addr = ipv4(value, place, problems)?;
    let Some(router) = Unicast::<V4>::new(addr) else {
        problems.add(place, format!("no host may have the address {addr}"), "use a router's unicast address");
        return None;
    };
    // Nothing can be said of it if no address of the port is known.
    if addresses.is_empty() {
        return Some(router);
    }
    let on_link: Vec<&Ipv4Cidr> = addresses.iter().filter(|cidr| cidr.contains(addr)).collect();
    let prefixes = || addresses.iter().map(Ipv4Cidr::to_string).collect::<Vec<_>>().join(", ");
    if on_link.is_empty() {
        let problem = format!("{addr} is on none of the port's prefixes");
        problems.add(place, problem, format!("use a router's address within {}", prefixes()));
    } else if addresses.iter().any(|cidr| cidr.addr() == addr) {
        let problem = format!("{addr} is this port's own address");
        problems.add(place, problem, format!("use the router's address, or {otherwise}"));
    } else if on_link.iter().all(|cidr| Ipv4Cidr::new(router, cidr.prefix()).is_none()) {
        let problem = format!("{addr} is the network's or the broadcast address of a prefix");
        problems.add(place, problem, "use the router's address");
    } else {
        return Some(router);
    }
    None
}

/// The IPv4 address that `text` is, or a problem.
pub(super) fn ipv4(text: &str, place: &Place, problems: &mut Problems) -> Option<Ipv4Addr> {
    match text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V4(addr)) if addr.to_string() == text => return Some(addr),
        Ok(IpAddr::V6(addr)) => {
            problems.add(
                place,
                format!("{addr} is an IPv6 address"),
                "this version serves IPv4 only: use IPv4",
            );
        }
        Ok(IpAddr::V4(_)) | Err(_) => {
            let remedy = "write four numbers with dots, as in \"198.18.0.2\"";
            problems.add(place, format!("{text:?} is no IPv4 address"), remedy);
        }
    }
    None
}
