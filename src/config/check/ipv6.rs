//! What IPv6 alone has on an interface: link-local addresses, routers' advertisements, duplicate address detection.

use core::net::Ipv6Addr;

use super::Limits;
use super::addresses::Addresses;
use super::family::is_link_local;
use crate::addr::{Prefix, Unicast, V6};
use crate::config::error::{At, Problems};
use crate::config::raw::RawChoices;
use crate::io::{Addressing6, LinkLocal, StableSecret};

/// RFC 8200 5: every link of IPv6 carries 1280 bytes. Drivers of jumbo frames end at 9216.
const MTU: Limits = Limits::new(1280, 9216);

/// RFC 4862 5.1: 0 asks nobody, and 1 is the default.
const DAD_TRANSMITS: Limits = Limits::new(0, Addressing6::DAD_TRANSMITS_MAX as i64);

/// How the IPv6 addresses of an interface come about; `None` if it has no IPv6.
pub(super) fn check(
    choices: &RawChoices,
    addresses: &Addresses,
    problems: &mut Problems,
) -> Option<Addressing6> {
    let default = Addressing6::new();
    // What is wrong with a key is told whether it comes to bear or not.
    let link_local = choices.link_local.as_ref().and_then(|at| link_local(at, problems));
    let dad_transmits = DAD_TRANSMITS.check(choices.dad_transmits.as_ref(), default.dad_transmits, problems);
    addresses.has_v6().then(|| Addressing6 {
        link_local: link_local.unwrap_or(default.link_local),
        statics: addresses.v6.clone(),
        auto: addresses.auto,
        router_discovery: choices.router_discovery.as_ref().map_or(default.router_discovery, |at| at.value),
        dad_transmits,
        ..default
    })
}

/// An interface with IPv6 is on a port whose MTU is written at `at`, or the default.
pub(super) fn check_mtu(at: Option<&At<i64>>, problems: &mut Problems) {
    if let Some(At { value, place }) = at.filter(|at| at.value < MTU.min) {
        // What no version can have is told elsewhere.
        if *value >= super::ports::MTU.min {
            let problem = format!("{value} is too small for IPv6 (RFC 8200 5)");
            let remedy = format!("use {} to {}, or take what is IPv6 out of addresses", MTU.min, MTU.max);
            problems.add(place, problem, remedy);
        }
    }
}

/// The key `link_local`.
fn link_local(At { value, place }: &At<String>, problems: &mut Problems) -> Option<LinkLocal> {
    const REMEDY: &str = "use \"eui64\", \"stable\" or an address, as in \"fe80::2\"";
    let addr = match value.as_str() {
        "eui64" => return Some(LinkLocal::Eui64),
        "stable" => return Some(LinkLocal::Stable),
        other => other.parse::<Ipv6Addr>().ok(),
    };
    let Some(addr) = addr else {
        let bare = value.split(['/', '%']).next().unwrap_or(value);
        let problem = format!("{value:?} is not one of its values");
        let remedy = match bare.parse::<Ipv6Addr>() {
            Ok(addr) if is_link_local(addr.into()) => format!("write the address alone: \"{addr}\""),
            Ok(_) | Err(_) => REMEDY.to_owned(),
        };
        problems.add(place, problem, remedy);
        return None;
    };
    // RFC 4291 2.5.6: the 54 bits behind the first ten are zeros; 2.6.1: and the last 64 are not.
    let network = Prefix::<V6>::of(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64);
    let unicast = Unicast::<V6>::new(addr).filter(|_| network.contains(addr) && addr != network.network());
    if unicast.is_none() {
        problems.add(place, format!("{addr} is no link-local address of a host"), REMEDY);
    }
    unicast.map(LinkLocal::Addr)
}

/// The key `stable_secret`.
pub(super) fn secret(at: Option<&At<String>>, problems: &mut Problems) -> Option<StableSecret> {
    let At { value, place } = at?;
    let hex = value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = u128::from_str_radix(value, 16).ok().filter(|_| hex);
    if bits.is_none() {
        // It is not repeated: errors are shown to whoever asks for help.
        let problem =
            format!("this is no 32 hexadecimal digits: it has {} characters", value.chars().count());
        problems.add(place, problem, "write what `openssl rand -hex 16` prints");
    }
    bits.map(|bits| StableSecret::new(bits.to_be_bytes()))
}
