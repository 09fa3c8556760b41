//! What the two IP versions are called, written like, and may not hold: for checks that are written once for both.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::addr::{Family, Prefix, V4, V6};
use crate::config::error::{Place, Problems};
use crate::config::plan::{InetPlan, InterfacePlan};

/// An IP version, as configurations speak of it.
pub(super) trait Version: Family {
    /// `IPv4`.
    const NAME: &'static str;
    /// The key of its default gateway.
    const GATEWAY: &'static str;
    /// How an address of it is written, in words.
    const WRITTEN: &'static str;
    /// An address of a host, and its prefix length.
    const HOST: (&'static str, u8);
    /// The key of the other one's.
    const OTHER_GATEWAY: &'static str;
    /// Any address, as a socket has it before its port.
    const ANY: &'static str;
    /// A sender's address.
    const SENDER: &'static str;
    /// A router, where no prefix is known; and what comes between that and the prefixes, where some are.
    const ROUTER: &'static str;
    const OR_ONE: &'static str;
    /// A prefix that a route may lead to.
    const NETWORK: &'static str;
    /// Which addresses are groups that may be joined.
    const GROUPS: &'static str;
    /// The range of source-specific multicast.
    const SSM: &'static str;

    /// What the configuration names of it on `interface`.
    fn plan(interface: &InterfacePlan) -> &InetPlan<Self>;

    /// Whether `interface` has it at all.
    fn is_on(interface: &InterfacePlan) -> bool;

    /// Whether `interface` may have addresses of it that the configuration does not name.
    fn makes_addresses(interface: &InterfacePlan) -> bool;

    /// Prefixes that no route can lead to, and what their addresses are.
    fn unroutable() -> [(Prefix<Self>, &'static str); 4];
}

impl Version for V4 {
    const NAME: &'static str = "IPv4";
    const GATEWAY: &'static str = "gateway4";
    const WRITTEN: &'static str = "four numbers with dots";
    const HOST: (&'static str, u8) = ("198.18.0.2", 24);
    const OTHER_GATEWAY: &'static str = "gateway6";
    const ANY: &'static str = "0.0.0.0";
    const SENDER: &'static str = "198.18.0.1";
    const ROUTER: &'static str = "a router's address";
    const OR_ONE: &'static str = "";
    const NETWORK: &'static str = "10.0.0.0/8";
    const GROUPS: &'static str = "224.0.0.1 to 239.255.255.255";
    const SSM: &'static str = "232.0.0.0/8";

    fn plan(interface: &InterfacePlan) -> &InetPlan<Self> {
        &interface.v4
    }

    fn is_on(interface: &InterfacePlan) -> bool {
        !interface.v4.addresses.is_empty()
    }

    fn makes_addresses(_interface: &InterfacePlan) -> bool {
        false
    }

    fn unroutable() -> [(Prefix<Self>, &'static str); 4] {
        let of = |first, len| Prefix::of(Ipv4Addr::new(first, 0, 0, 0), len);
        [
            (of(0, 8), "\"this network\""),
            (of(127, 8), "loopback"),
            (of(224, 4), "multicast"),
            (of(240, 4), "reserved"),
        ]
    }
}

impl Version for V6 {
    const NAME: &'static str = "IPv6";
    const GATEWAY: &'static str = "gateway6";
    const WRITTEN: &'static str = "groups of hexadecimal digits with colons";
    const HOST: (&'static str, u8) = ("2001:db8::2", 64);
    const OTHER_GATEWAY: &'static str = "gateway4";
    const ANY: &'static str = "[::]";
    const SENDER: &'static str = "2001:db8::1";
    const ROUTER: &'static str = "a router's link-local address";
    const OR_ONE: &'static str = ", or one";
    const NETWORK: &'static str = "2001:db8:1::/48";
    const GROUPS: &'static str = "one such as ff0e::1:2:3, whose first byte is ff";
    const SSM: &'static str = "ff3x::/32";

    fn plan(interface: &InterfacePlan) -> &InetPlan<Self> {
        &interface.v6
    }

    fn is_on(interface: &InterfacePlan) -> bool {
        interface.addressing6.is_some()
    }

    fn makes_addresses(interface: &InterfacePlan) -> bool {
        interface.addressing6.as_ref().is_some_and(|with| with.auto)
    }

    fn unroutable() -> [(Prefix<Self>, &'static str); 4] {
        let of = |addr: Ipv6Addr, len| Prefix::of(addr, len);
        [
            (of(Ipv6Addr::LOCALHOST, 128), "loopback"),
            (of(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96), "IPv4 within a host"),
            (link_local(), "link-local"),
            (of(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8), "multicast"),
        ]
    }
}

/// The addresses that each link has of its own. RFC 4291 2.4.
pub(super) fn link_local() -> Prefix<V6> {
    Prefix::of(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)
}

/// Whether `addr` is link-local; nothing is in IPv4, as far as configurations are concerned.
pub(super) fn is_link_local(addr: IpAddr) -> bool {
    V6::of_ip(addr).is_some_and(|addr| link_local().contains(addr))
}

/// The address that `text` is, or a problem.
pub(super) fn ip(text: &str, place: &Place, problems: &mut Problems) -> Option<IpAddr> {
    match text.parse::<IpAddr>() {
        Ok(addr) => return Some(addr),
        Err(_) => no_address(text, place, problems),
    }
    None
}

/// Says how an address is written, of the IP version that `text` may have been meant to be.
fn no_address(text: &str, place: &Place, problems: &mut Problems) {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    let bare = inner.split('%').next().unwrap_or(inner);
    match bare.parse::<IpAddr>() {
        Ok(addr) if inner.contains('%') => {
            let remedy = format!("write {:?}: which port it is on is known", addr.to_string());
            problems.add(place, format!("{text:?} names a port"), remedy);
        }
        Ok(addr) => {
            let remedy = format!("write {:?}", addr.to_string());
            problems.add(place, format!("{text:?} has brackets, or one of two"), remedy);
        }
        Err(_) if text.contains(':') => no_address_of::<V6>(text, place, problems),
        Err(_) => no_address_of::<V4>(text, place, problems),
    }
}

fn no_address_of<F: Version>(text: &str, place: &Place, problems: &mut Problems) {
    let remedy = format!("write {}, as in {:?}", F::WRITTEN, F::HOST.0);
    problems.add(place, format!("{text:?} is no {} address", F::NAME), remedy);
}

/// The address of the version `F` that `text` is, or a problem. `otherwise` says where one of the other version goes.
pub(super) fn address<F: Version>(
    text: &str,
    place: &Place,
    otherwise: &str,
    problems: &mut Problems,
) -> Option<F::Addr> {
    let addr = ip(text, place, problems)?;
    let ours = F::of_ip(addr);
    if ours.is_none() {
        let other = if addr.is_ipv4() { V4::NAME } else { V6::NAME };
        problems.add(place, format!("{addr} is an {other} address"), otherwise);
    }
    ours
}
