//! Which interface, and from which address: against what Linux does for the same addresses and routes.

use super::*;
use crate::addr::{Cidr, Prefix, Unicast};
use crate::stack::route::Route;

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn routes<F: Family>(addresses: &[(&str, u8)], via: &[(&str, u8, &str)]) -> Arc<Routes<F>> {
    let addr = |s: &str| F::of_ip(ip(s)).unwrap();
    let cidr = |(a, p): &(&str, u8)| Cidr::new(Unicast::new(addr(a)).unwrap(), *p).unwrap();
    let route = |(to, len, via): &(&str, u8, &str)| Route {
        to: Prefix::of(addr(to), *len),
        via: Unicast::new(addr(via)).unwrap(),
    };
    Arc::new(Routes::new(addresses.iter().map(cidr).collect(), via.iter().map(route).collect()))
}

/// Two interfaces: the default routes lead by the first, and 203.0.113/24 by the second.
fn view() -> NetView {
    let interface = |id, name: &str, v4, v6| ViewInterface {
        id: InterfaceId(id),
        name: name.to_owned(),
        mtu: 1500,
        mac: MacAddr([2, 0, 0, 0, 0, 2]),
        v4,
        v6,
        v4_paths: Narrow::default(),
        v6_paths: Narrow::default(),
        v4_on: true,
        v6_on: true,
    };
    let first = interface(
        0,
        "lan0",
        routes(&[("198.18.0.2", 24), ("198.18.7.2", 24)], &[("0.0.0.0", 0, "198.18.0.1")]),
        routes(&[("2001:db8::2", 64), ("fe80::2", 64)], &[("::", 0, "fe80::1")]),
    );
    let second = interface(
        1,
        "lan1",
        routes(&[("198.19.0.2", 24)], &[("203.0.113.0", 24, "198.19.0.1")]),
        routes(&[("2001:db8:1::2", 64), ("fe80::3", 64)], &[]),
    );
    NetView { interfaces: vec![first, second] }
}

fn way(dst: &str, constraints: Constraints) -> Result<(u16, String), ChooseError> {
    view().choose(ip(dst), constraints).map(|way| (way.interface.0, way.src.to_string()))
}

fn free(dst: &str) -> Result<(u16, String), ChooseError> {
    way(dst, Constraints::default())
}

fn ok(interface: u16, src: &str) -> Result<(u16, String), ChooseError> {
    Ok((interface, src.to_owned()))
}

fn by(interface: u16) -> Constraints {
    Constraints { interface: Some(InterfaceId(interface)), ..Constraints::default() }
}

fn from(src: &str) -> Constraints {
    Constraints { src: Some(ip(src)), ..Constraints::default() }
}

// RFC 1122 3.3.1.2, 3.3.4.3: the longest prefix over all interfaces, and the address on the link of its next hop.
#[test]
fn the_longest_prefix_of_all_interfaces_says_by_which() {
    assert_eq!(free("198.18.0.9"), ok(0, "198.18.0.2"));
    assert_eq!(free("198.18.7.9"), ok(0, "198.18.7.2"));
    assert_eq!(free("198.19.0.9"), ok(1, "198.19.0.2"));
    assert_eq!(free("203.0.113.9"), ok(1, "198.19.0.2"));
    assert_eq!(free("192.0.2.1"), ok(0, "198.18.0.2"));
    assert_eq!(free("2001:db8:1::9"), ok(1, "2001:db8:1::2"));
    assert_eq!(free("2001:db8:9::9"), ok(0, "2001:db8::2"));
}

#[test]
fn nothing_leads_nowhere_and_there_is_no_loopback_interface() {
    for dst in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
        assert_eq!(free(dst), Err(ChooseError::NetworkUnreachable), "{dst}");
    }
    assert_eq!(way("192.0.2.1", by(1)), Err(ChooseError::NetworkUnreachable), "no default route there");
    assert_eq!(way("192.0.2.1", by(2)), Err(ChooseError::NoInterface));
    let mut view = view();
    view.interfaces[1].v6_on = false;
    let at = |view: &NetView, c| view.choose(ip("2001:db8:1::9"), c).map(|way| way.interface.0);
    assert_eq!(at(&view, by(1)), Err(ChooseError::NetworkUnreachable), "IPv6 is off");
    assert_eq!(at(&view, Constraints::default()), Ok(0), "by the default route then");
}

// Linux's local table: our own address is reached from itself.
#[test]
fn our_own_address_is_reached_on_its_interface_from_itself() {
    assert_eq!(free("198.19.0.2"), ok(1, "198.19.0.2"));
    assert_eq!(free("fe80::3"), ok(1, "fe80::3"));
    assert_eq!(way("198.19.0.2", from("198.18.0.2")).map(|w| w.1), Ok("198.18.0.2".to_owned()));
}

// IP_PKTINFO, bind: a source must be ours; its interface is preferred, and of groups says the interface.
#[test]
fn a_source_is_ours_and_its_own_interface_comes_first() {
    assert_eq!(way("198.18.0.9", from("198.18.0.77")), Err(ChooseError::AddressNotAvailable));
    assert_eq!(way("198.18.0.9", from("2001:db8::2")), Err(ChooseError::AddressNotAvailable));
    assert_eq!(way("198.18.0.9", from("198.18.7.2")), ok(0, "198.18.7.2"));
    assert_eq!(way("203.0.113.9", from("198.18.0.2")), ok(0, "198.18.0.2"), "by its own default route");
    assert_eq!(way("192.0.2.9", from("198.19.0.2")), ok(0, "198.19.0.2"), "its own leads nowhere");
    assert_eq!(way("192.0.2.9", from("0.0.0.0")), ok(0, "198.18.0.2"));
    assert_eq!(way("239.1.2.3", from("198.19.0.2")), ok(1, "198.19.0.2"));
    assert_eq!(way("255.255.255.255", from("198.19.0.2")), ok(1, "198.19.0.2"));
}

// U27, ip(7) IP_MULTICAST_IF: the option, then the default route; a bound device comes before it.
#[test]
fn a_group_leaves_by_the_interface_that_was_chosen_or_by_the_route() {
    let chosen = |id| Constraints { mc_interface: Some(InterfaceId(id)), ..Constraints::default() };
    assert_eq!(free("239.1.2.3"), ok(0, "198.18.0.2"));
    assert_eq!(way("239.1.2.3", chosen(1)), ok(1, "198.19.0.2"));
    assert_eq!(
        way("239.1.2.3", Constraints { interface: Some(InterfaceId(0)), ..chosen(1) }),
        ok(0, "198.18.0.2")
    );
    assert_eq!(way("239.1.2.3", chosen(7)), Err(ChooseError::NoInterface));
    assert_eq!(way("198.18.0.9", chosen(1)), ok(0, "198.18.0.2"), "of groups alone");
    assert_eq!(way("ff0e::9", chosen(1)), ok(1, "2001:db8:1::2"));
    assert_eq!(free("ff02::9").map(|way| way.0), Ok(0), "every link has them: the first");
    let mut view = view();
    view.interfaces[0].v4 = routes(&[("198.18.0.2", 24)], &[]);
    let group = view.choose(ip("239.1.2.3"), Constraints::default());
    assert_eq!(group, Err(ChooseError::NetworkUnreachable), "Linux: without a route, nowhere");
}

// P12, RFC 4007 6: an address of one link is whole with its scope only.
#[test]
fn an_address_of_one_link_needs_its_scope() {
    let scoped = |scope_id| Constraints { scope_id, ..Constraints::default() };
    assert_eq!(free("fe80::9"), Err(ChooseError::Scope));
    assert_eq!(way("fe80::9", scoped(2)), ok(1, "fe80::3"));
    assert_eq!(way("fe80::9", by(0)), ok(0, "fe80::2"));
    assert_eq!(way("fe80::9", Constraints { scope_id: 2, ..by(0) }), Err(ChooseError::Scope));
    assert_eq!(way("fe80::9", scoped(9)), Err(ChooseError::NoInterface));
    assert_eq!(way("ff02::9", scoped(2)), ok(1, "fe80::3"));
    assert_eq!(way("2001:db8::9", scoped(2)), ok(0, "2001:db8::2"), "it means nothing there");
}

#[test]
fn an_interface_without_addresses_sends_nothing() {
    let mut view = view();
    view.interfaces[1].v4 = routes(&[], &[]);
    let group = |c| view.choose(ip("239.1.2.3"), c);
    assert_eq!(group(by(1)), Err(ChooseError::AddressNotAvailable));
}
