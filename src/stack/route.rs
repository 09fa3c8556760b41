//! The routes of one interface: to whom on the link a packet goes, and from which address of ours.
//!
//! Each interface has its own (the strong host model: what came in by one goes out by the same one), so a route names
//! no interface: prefixes on the link, routes through gateways, and what redirects said of single destinations.

use core::cmp::Reverse;

use crate::addr::{Cidr, Family, MacAddr, Prefix, Unicast};

/// A way to the addresses of a prefix through a gateway on the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route<F: Family> {
    /// To where.
    pub to: Prefix<F>,
    /// Through whom.
    pub via: Unicast<F>,
}

impl<F: Family> Route<F> {
    /// The default route, through `via`.
    #[must_use]
    pub fn default_via(via: Unicast<F>) -> Self {
        Self { to: Prefix::of(F::UNSPECIFIED, 0), via }
    }
}

/// The next step towards an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextHop<A> {
    /// It is on the link itself.
    OnLink,
    /// By this gateway.
    Via(A),
    /// No route leads there.
    Unreachable,
}

/// To which Ethernet address a packet goes, so far as its destination alone says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Towards<A> {
    /// To this one: the destination is a group, or everyone.
    Mac(MacAddr),
    /// To that of this neighbour.
    Neighbor(A),
    /// Nowhere: it is ours, no host's, or no route leads there.
    Nowhere,
}

/// The routes of one interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routes<F: Family> {
    addresses: Vec<Cidr<F>>,
    /// The same without their prefixes, in order: to be asked for each packet, however many there are.
    own: Vec<F::Addr>,
    /// The address of everyone on the link of each, in order and once.
    broadcasts: Vec<F::Addr>,
    /// Those of them that are not chosen for anything new.
    deprecated: Vec<F::Addr>,
    /// What is on the link, the longest prefix first.
    on_link: Vec<Prefix<F>>,
    /// The longest prefix first; of equals, the one named first.
    routes: Vec<Route<F>>,
    /// Destinations with a next hop of their own, by destination.
    redirects: Vec<(F::Addr, F::Addr)>,
    /// The hop limit of what is sent, where a router said one.
    hop_limit: Option<u8>,
}

impl<F: Family> Routes<F> {
    /// The routes of an interface that has `addresses`, the first of them the primary one. What shares the prefix of one
    /// is on the link. Of two routes to one prefix the first counts.
    #[must_use]
    pub fn new(addresses: Vec<Cidr<F>>, mut routes: Vec<Route<F>>) -> Self {
        let on_link = addresses.iter().map(|a| Prefix::of(a.addr(), a.prefix())).collect();
        routes.sort_by_key(|r| Reverse(r.to.len()));
        let own = in_order(addresses.iter().map(|a| a.addr()));
        let broadcasts = in_order(addresses.iter().filter_map(|a| a.broadcast()));
        let (deprecated, redirects) = (Vec::new(), Vec::new());
        let hop_limit = None;
        Self { addresses, own, broadcasts, deprecated, on_link: Vec::new(), routes, redirects, hop_limit }
            .with_on_link(on_link)
    }

    /// The same, but that these prefixes are on the link, whatever the addresses' own are; and the link-local one, which always
    /// is.
    // N17, RFC 5942 4: an address of /64 alone says nothing of others in that /64.
    #[must_use]
    pub fn with_on_link(mut self, mut on_link: Vec<Prefix<F>>) -> Self {
        on_link.extend(F::LINK_LOCAL.map(|(network, len)| Prefix::of(network, len)));
        on_link.sort_by_key(|prefix| (Reverse(prefix.len()), prefix.network()));
        on_link.dedup();
        self.on_link = on_link;
        self
    }

    /// The same, but that these addresses are not chosen for anything new.
    #[must_use]
    pub fn with_deprecated(mut self, deprecated: Vec<F::Addr>) -> Self {
        self.deprecated = deprecated;
        self
    }

    /// The same, but that each of these destinations has a next hop of its own: itself, if it is on the link.
    // N15, RFC 4861 5.2, 8.3: the destination cache goes before routes.
    #[must_use]
    pub fn with_redirects(mut self, mut redirects: Vec<(F::Addr, F::Addr)>) -> Self {
        redirects.sort_unstable();
        self.redirects = redirects;
        self
    }

    /// The same, but that what is sent has this hop limit, if a router said one. N14, RFC 4861 6.3.4.
    #[must_use]
    pub const fn with_hop_limit(mut self, hop_limit: Option<u8>) -> Self {
        self.hop_limit = hop_limit;
        self
    }

    /// The hop limit of what is sent, where a router said one.
    #[must_use]
    pub const fn hop_limit(&self) -> Option<u8> {
        self.hop_limit
    }

    /// The addresses, the primary one first.
    #[inline]
    #[must_use]
    pub fn addresses(&self) -> &[Cidr<F>] {
        &self.addresses
    }

    /// Whether `addr` is one of the addresses.
    #[inline]
    #[must_use]
    pub fn is_own(&self, addr: F::Addr) -> bool {
        is_among(&self.own, addr)
    }

    /// Whether `addr` is that of everyone on the link of one of the addresses.
    #[inline]
    #[must_use]
    pub fn is_broadcast(&self, addr: F::Addr) -> bool {
        is_among(&self.broadcasts, addr)
    }

    /// The prefixes on the link, the longest first.
    #[must_use]
    pub fn on_link(&self) -> &[Prefix<F>] {
        &self.on_link
    }

    /// The routes through gateways, the longest prefix first.
    #[must_use]
    pub fn routes(&self) -> &[Route<F>] {
        &self.routes
    }

    /// Destinations with a next hop of their own.
    #[must_use]
    pub fn redirects(&self) -> &[(F::Addr, F::Addr)] {
        &self.redirects
    }

    /// Whether `addr` is on the link, so far as prefixes say.
    #[must_use]
    pub fn is_on_link(&self, addr: F::Addr) -> bool {
        self.on_link.iter().any(|prefix| prefix.contains(addr))
    }

    /// The next step towards `dst`, a host: the longest prefix that holds it. RFC 1122 3.3.1.1: what is on the link is
    /// sent there, all else goes to a gateway. N17, RFC 4861 5.2, RFC 5942 3: with no gateway, what is not known to be on the
    /// link is reached by no one.
    #[must_use]
    pub fn next_hop(&self, dst: F::Addr) -> NextHop<F::Addr> {
        if let Ok(place) = self.redirects.binary_search_by_key(&dst, |(to, _)| *to)
            && let Some((_, via)) = self.redirects.get(place)
        {
            return if *via == dst { NextHop::OnLink } else { NextHop::Via(*via) };
        }
        let connected = self.on_link.iter().find(|prefix| prefix.contains(dst)).map(|prefix| prefix.len());
        match self.routes.iter().find(|r| r.to.contains(dst)) {
            Some(route) if connected.is_none_or(|bits| bits < route.to.len()) => {
                NextHop::Via(route.via.addr())
            }
            _ if connected.is_some() => NextHop::OnLink,
            _ => NextHop::Unreachable,
        }
    }

    /// How many bits the longest prefix has by which `dst`, a host or a group, is reached; `None` if it is not.
    // RFC 1122 3.3.1.2: what is compared where several interfaces lead there. RFC 4861 5.2: a redirect is of one address.
    #[must_use]
    pub fn reach(&self, dst: F::Addr) -> Option<u8> {
        if self.redirects.binary_search_by_key(&dst, |(to, _)| *to).is_ok() {
            return Some(F::BITS);
        }
        let on_link = self.on_link.iter().find(|prefix| prefix.contains(dst)).map(|prefix| prefix.len());
        let via = self.routes.iter().find(|route| route.to.contains(dst)).map(|route| route.to.len());
        on_link.max(via)
    }

    /// Where a frame for `dst` goes.
    // A13, RFC 1112 6.4: for groups and broadcasts nobody is asked, the address says it. For our own, nobody is either.
    // E03, RFC 2464 7: so with IPv6's groups, of which every host is a neighbour.
    #[must_use]
    pub fn towards(&self, dst: F::Addr) -> Towards<F::Addr> {
        if F::is_multicast(dst) {
            return Towards::Mac(F::group_mac(dst));
        }
        if F::is_limited_broadcast(dst) || self.is_broadcast(dst) {
            return Towards::Mac(MacAddr::BROADCAST);
        }
        if !F::is_unicast(dst) || self.is_own(dst) {
            return Towards::Nowhere;
        }
        match self.next_hop(dst) {
            NextHop::OnLink => Towards::Neighbor(dst),
            NextHop::Via(gateway) => Towards::Neighbor(gateway),
            NextHop::Unreachable => Towards::Nowhere,
        }
    }

    /// The address of ours from which a packet to `dst` is sent; of several that fit equally, the primary one. `None` if there
    /// is no address.
    // I21, U21, RFC 1122 3.3.4.3: one of our own on the link of `dst`, or of the gateway to it, and never a group or broadcast
    // address. N13, N17, RFC 6724 5: the rules for one interface: 1 the same address, 2 a scope that reaches as far and no
    // farther, 3 no deprecated one, 6 the same label, 8 the longest prefix in common.
    #[must_use]
    pub fn source_towards(&self, dst: F::Addr) -> Option<F::Addr> {
        if let [only] = self.addresses.as_slice() {
            return Some(only.addr());
        }
        let hop = match self.next_hop(dst) {
            NextHop::Via(gateway) => gateway,
            NextHop::OnLink | NextHop::Unreachable => dst,
        };
        let (scope, label) = (F::scope(dst), F::label(dst));
        let rank = |a: Cidr<F>| {
            let addr = a.addr();
            let own = F::scope(addr);
            let reach = if own >= scope { (true, u8::MAX - own) } else { (false, own) };
            let is_preferred = !self.deprecated.contains(&addr);
            let fit = F::source_fit(addr, a.prefix(), dst, hop);
            (addr == dst, reach, is_preferred, F::label(addr) == label, fit)
        };
        let all = self.addresses.iter().copied();
        // The first of equals: `max_by_key` would take the last.
        all.rev().max_by_key(|a| rank(*a)).map(Cidr::addr)
    }

    /// Of the networks that have `own`, one of our addresses, the first address of ours; `None` if it is not ours.
    // Linux: the preferred source of the route to an own address, that of IPv4's first of several in one network.
    #[must_use]
    pub fn first_beside(&self, own: F::Addr) -> Option<F::Addr> {
        let mut addresses = self.addresses.iter();
        let is_ours = self.is_own(own);
        addresses.find(|a| is_ours && a.contains(own)).map(|first| first.addr())
    }
}

/// Whether `addr` is in `list`, which is in order. Most hosts have one address, and are asked for each packet.
#[inline]
fn is_among<A: Ord>(list: &[A], addr: A) -> bool {
    match list {
        [one] => *one == addr,
        some => some.binary_search(&addr).is_ok(),
    }
}

/// Each once, in order.
fn in_order<A: Ord>(all: impl Iterator<Item = A>) -> Vec<A> {
    let mut all: Vec<A> = all.collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{V4, V6};
    use core::net::{Ipv4Addr, Ipv6Addr};

    fn v4(s: &str) -> Ipv4Addr {
        s.parse().unwrap()
    }

    fn cidr(s: &str, prefix: u8) -> Cidr<V4> {
        Cidr::new(Unicast::new(v4(s)).unwrap(), prefix).unwrap()
    }

    fn route(to: &str, len: u8, via: &str) -> Route<V4> {
        Route { to: Prefix::new(v4(to), len).unwrap(), via: Unicast::new(v4(via)).unwrap() }
    }

    fn routes() -> Routes<V4> {
        let addresses = vec![cidr("198.18.0.2", 24), cidr("198.18.7.2", 24), cidr("198.18.7.130", 25)];
        let default = Route::default_via(Unicast::new(v4("198.18.0.1")).unwrap());
        let to_others = [
            default,
            route("198.19.0.0", 16, "198.18.7.1"),
            route("198.19.5.0", 24, "198.18.7.200"),
            route("198.18.0.64", 26, "198.18.7.9"),
        ];
        Routes::new(addresses, to_others.to_vec())
    }

    // RFC 1122 3.3.1.1, RFC 1812 5.2.4.3: the longest prefix.
    #[test]
    fn the_longest_prefix_that_holds_the_destination_leads_there() {
        for (dst, want) in [
            ("198.18.0.9", NextHop::OnLink),
            ("198.18.7.9", NextHop::OnLink),
            ("203.0.113.1", NextHop::Via(v4("198.18.0.1"))),
            ("198.19.9.9", NextHop::Via(v4("198.18.7.1"))),
            ("198.19.5.9", NextHop::Via(v4("198.18.7.200"))),
            ("198.18.0.65", NextHop::Via(v4("198.18.7.9"))),
        ] {
            assert_eq!(routes().next_hop(v4(dst)), want, "{dst}");
        }
        let alone = Routes::new(vec![cidr("198.18.0.2", 24)], Vec::new());
        assert_eq!(alone.next_hop(v4("203.0.113.1")), NextHop::Unreachable);
        assert_eq!(alone.towards(v4("203.0.113.1")), Towards::Nowhere);
    }

    // A13, RFC 1112 6.4.
    #[test]
    fn groups_and_broadcasts_have_an_address_by_themselves_and_nobody_is_asked_for_our_own() {
        for (dst, want) in [
            ("224.0.0.22", Towards::Mac(MacAddr([0x01, 0, 0x5e, 0, 0, 0x16]))),
            ("239.129.1.1", Towards::Mac(MacAddr([0x01, 0, 0x5e, 1, 1, 1]))),
            ("255.255.255.255", Towards::Mac(MacAddr::BROADCAST)),
            ("198.18.0.255", Towards::Mac(MacAddr::BROADCAST)),
            ("198.18.0.2", Towards::Nowhere),
            ("198.18.7.130", Towards::Nowhere),
            ("0.0.0.0", Towards::Nowhere),
            ("127.0.0.1", Towards::Nowhere),
            ("240.0.0.1", Towards::Nowhere),
            ("198.18.0.9", Towards::Neighbor(v4("198.18.0.9"))),
            ("203.0.113.1", Towards::Neighbor(v4("198.18.0.1"))),
        ] {
            assert_eq!(routes().towards(v4(dst)), want, "{dst}");
        }
    }

    // In whatever order they are given, and however many.
    #[test]
    fn own_addresses_and_broadcasts_are_found_among_many() {
        let third = |n: u32| Ipv4Addr::from_bits(v4("198.18.0.2").to_bits() + (n * 7 % 100) * 256);
        let own = (0..100).map(|n| Cidr::new(Unicast::new(third(n)).unwrap(), 24).unwrap()).collect();
        let routes = Routes::<V4>::new(own, Vec::new());
        for n in 0..100 {
            let [a, b, c, _] = third(n).octets();
            assert_eq!(routes.towards(third(n)), Towards::Nowhere, "{n}");
            assert_eq!(routes.towards(Ipv4Addr::new(a, b, c, 255)), Towards::Mac(MacAddr::BROADCAST), "{n}");
            let neighbor = Ipv4Addr::new(a, b, c, 3);
            assert_eq!(routes.towards(neighbor), Towards::Neighbor(neighbor), "{n}");
        }
        assert_eq!(routes.towards(v4("198.19.0.255")), Towards::Nowhere);
    }

    // I21, U21, RFC 1122 3.3.4.3.
    #[test]
    fn the_source_is_the_address_on_the_link_of_the_next_hop() {
        for (dst, want) in [
            ("198.18.0.9", "198.18.0.2"),
            ("198.18.7.9", "198.18.7.2"),
            ("198.18.7.201", "198.18.7.130"),
            ("203.0.113.1", "198.18.0.2"),
            ("198.19.9.9", "198.18.7.2"),
            ("198.19.5.9", "198.18.7.130"),
        ] {
            assert_eq!(routes().source_towards(v4(dst)), Some(v4(want)), "{dst}");
        }
        let alone = Routes::new(vec![cidr("198.18.0.2", 24)], Vec::new());
        assert_eq!(alone.source_towards(v4("203.0.113.1")), Some(v4("198.18.0.2")), "the primary one");
        assert_eq!(Routes::<V4>::new(Vec::new(), Vec::new()).source_towards(v4("203.0.113.1")), None);
    }

    #[test]
    fn of_two_routes_to_one_prefix_the_first_counts() {
        let twice = [route("198.19.0.0", 16, "198.18.0.7"), route("198.19.0.0", 16, "198.18.0.8")];
        let routes = Routes::new(vec![cidr("198.18.0.2", 24)], twice.to_vec());
        assert_eq!(routes.next_hop(v4("198.19.0.1")), NextHop::Via(v4("198.18.0.7")));
    }

    fn v6(s: &str) -> Ipv6Addr {
        s.parse().unwrap()
    }

    fn cidrs6(all: &[&str]) -> Vec<Cidr<V6>> {
        let cidr = |s: &&str| {
            let (addr, len) = s.split_once('/').unwrap();
            Cidr::new(Unicast::new(v6(addr)).unwrap(), len.parse().unwrap()).unwrap()
        };
        all.iter().map(cidr).collect()
    }

    // N17, RFC 5942 3, 4: the prefix list says what is on the link; the link-local prefix always is.
    #[test]
    fn an_address_alone_does_not_say_what_is_on_the_link() {
        let own = cidrs6(&["2001:db8::2/64", "fe80::2/64"]);
        let router = Route::default_via(Unicast::new(v6("fe80::1")).unwrap());
        let advertised = Prefix::new(v6("2001:db8:1::"), 64).unwrap();
        let routes = Routes::new(own, vec![router]).with_on_link(vec![advertised]);
        for (dst, want) in [
            ("2001:db8::9", Towards::Neighbor(v6("fe80::1"))),
            ("2001:db8:1::9", Towards::Neighbor(v6("2001:db8:1::9"))),
            ("2001:db8:2::9", Towards::Neighbor(v6("fe80::1"))),
            ("fe80::9", Towards::Neighbor(v6("fe80::9"))),
        ] {
            assert_eq!(routes.towards(v6(dst)), want, "{dst}");
        }
        // RFC 4943, RFC 5942 3: without a router, nobody is taken to be on the link for want of a better idea.
        let alone = Routes::new(cidrs6(&["2001:db8::2/64"]), Vec::new()).with_on_link(Vec::new());
        assert_eq!(alone.towards(v6("2001:db8::9")), Towards::Nowhere);
        assert!(alone.is_on_link(v6("fe80::9")) && !alone.is_on_link(v6("2001:db8::9")));
    }

    // N15, RFC 4861 8.3: the target of a redirect, for its destination alone; the same as that: on the link.
    #[test]
    fn a_redirect_goes_before_every_route() {
        let router = Route::default_via(Unicast::new(v6("fe80::1")).unwrap());
        let redirects = [("2001:db8:9::2", "2001:db8:9::2"), ("2001:db8:9::1", "fe80::7")];
        let redirects = redirects.map(|(to, via)| (v6(to), v6(via))).to_vec();
        let routes = Routes::new(cidrs6(&["2001:db8::2/64"]), vec![router]).with_redirects(redirects);
        for (dst, want) in [
            ("2001:db8:9::1", NextHop::Via(v6("fe80::7"))),
            ("2001:db8:9::2", NextHop::OnLink),
            ("2001:db8:9::3", NextHop::Via(v6("fe80::1"))),
            ("2001:db8::3", NextHop::OnLink),
        ] {
            assert_eq!(routes.next_hop(v6(dst)), want, "{dst}");
        }
    }

    // RFC 6724 5, 10.1: its examples so far as one interface has them, and one for each rule.
    #[test]
    fn a_source_is_chosen_by_the_rules() {
        for (rule, own, deprecated, dst, want) in [
            ("1", &["2001:db8::2/64", "2001:db8::3/64"][..], "", "2001:db8::3", "2001:db8::3"),
            ("2, up", &["fe80::2/64", "2001:db8:a::2/64"], "", "2001:db8:b::1", "2001:db8:a::2"),
            ("2, link-local", &["2001:db8::2/64", "fe80::2/64"], "", "fe80::1", "fe80::2"),
            ("2, group of the link", &["2001:db8::2/64", "fe80::2/64"], "", "ff02::1", "fe80::2"),
            ("2, group of all", &["fe80::2/64", "2001:db8::2/64"], "", "ff0e::1:2:3", "2001:db8::2"),
            ("2, group of the site", &["fe80::2/64", "2001:db8::2/64"], "", "ff05::1", "2001:db8::2"),
            ("2, none reaches", &["fe80::2/64"], "", "2001:db8::1", "fe80::2"),
            (
                "3",
                &["2001:db8:a::2/64", "2001:db8:b::2/64"],
                "2001:db8:a::2",
                "2001:db8:a::1",
                "2001:db8:b::2",
            ),
            (
                "3, only one",
                &["2001:db8:a::2/64", "fe80::2/64"],
                "2001:db8:a::2",
                "2001:db8:b::1",
                "2001:db8:a::2",
            ),
            ("6, unique local", &["2001:db8::2/64", "fd00::2/64"], "", "fd00:1::1", "fd00::2"),
            (
                "6, 6to4",
                &["2001:db8::2/64", "2002:c633:6401::2/64"],
                "",
                "2002:836b:4179::1",
                "2002:c633:6401::2",
            ),
            ("8", &["2001:db8:1::2/64", "2001:db8:3ffe::2/64"], "", "2001:db8:3fff::1", "2001:db8:3ffe::2"),
            (
                "8, no farther than its prefix",
                &["2001:db8::5/64", "2001:db8::2/64"],
                "",
                "2001:db8::3",
                "2001:db8::5",
            ),
            ("the first", &["2001:db8:1::2/64", "2001:db8:1::3/64"], "", "2001:db8:9::1", "2001:db8:1::2"),
        ] {
            let old = deprecated.parse::<Ipv6Addr>().into_iter().collect();
            let routes = Routes::new(cidrs6(own), Vec::new()).with_deprecated(old);
            assert_eq!(routes.source_towards(v6(dst)), Some(v6(want)), "rule {rule}");
        }
        assert_eq!(Routes::<V6>::new(Vec::new(), Vec::new()).source_towards(v6("2001:db8::1")), None);
    }

    #[test]
    fn ipv6_has_the_same_routes_and_no_broadcast() {
        let addr = |s: &str| s.parse::<Ipv6Addr>().unwrap();
        let own = Cidr::<V6>::new(Unicast::new(addr("2001:db8::2")).unwrap(), 64).unwrap();
        let default = Route::default_via(Unicast::new(addr("fe80::1")).unwrap());
        let routes = Routes::new(vec![own], vec![default]);
        assert_eq!(routes.towards(addr("2001:db8::9")), Towards::Neighbor(addr("2001:db8::9")));
        assert_eq!(routes.towards(addr("2001:db8:1::9")), Towards::Neighbor(addr("fe80::1")));
        assert_eq!(routes.towards(addr("ff02::1")), Towards::Mac(MacAddr([0x33, 0x33, 0, 0, 0, 1])));
    }
}
