//! The routes of one interface: to whom on the link a packet goes, and from which address of ours.
//!
//! Each interface has its own (the strong host model: what came in by one goes out by the same one), so a route names
//! no interface: connected prefixes, static routes and the default one.

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
    /// The longest prefix first; of equals, the one named first.
    routes: Vec<Route<F>>,
}

impl<F: Family> Routes<F> {
    /// The routes of an interface that has `addresses`, the first of them the primary one. Of two routes to one prefix
    /// the first counts.
    #[must_use]
    pub fn new(addresses: Vec<Cidr<F>>, mut routes: Vec<Route<F>>) -> Self {
        routes.sort_by_key(|r| core::cmp::Reverse(r.to.len()));
        Self { addresses, routes }
    }

    /// The addresses, the primary one first.
    #[inline]
    #[must_use]
    pub fn addresses(&self) -> &[Cidr<F>] {
        &self.addresses
    }

    /// The routes through gateways, the longest prefix first.
    #[must_use]
    pub fn routes(&self) -> &[Route<F>] {
        &self.routes
    }

    /// The next step towards `dst`, a host: the longest prefix that holds it. RFC 1122 3.3.1.1: what is on the link is
    /// sent there, all else goes to a gateway.
    #[must_use]
    pub fn next_hop(&self, dst: F::Addr) -> NextHop<F::Addr> {
        let connected = self.connected(dst).map(Cidr::prefix);
        match self.routes.iter().find(|r| r.to.contains(dst)) {
            Some(route) if connected.is_none_or(|bits| bits < route.to.len()) => {
                NextHop::Via(route.via.addr())
            }
            _ if connected.is_some() => NextHop::OnLink,
            _ => NextHop::Unreachable,
        }
    }

    /// Where a frame for `dst` goes.
    // A13, RFC 1112 6.4: for groups and broadcasts nobody is asked, the address says it. For our own, nobody is either.
    #[must_use]
    pub fn towards(&self, dst: F::Addr) -> Towards<F::Addr> {
        if F::is_multicast(dst) {
            return Towards::Mac(F::group_mac(dst));
        }
        if F::is_limited_broadcast(dst) || self.addresses.iter().any(|a| a.broadcast() == Some(dst)) {
            return Towards::Mac(MacAddr::BROADCAST);
        }
        if !F::is_unicast(dst) || self.addresses.iter().any(|a| a.addr() == dst) {
            return Towards::Nowhere;
        }
        match self.next_hop(dst) {
            NextHop::OnLink => Towards::Neighbor(dst),
            NextHop::Via(gateway) => Towards::Neighbor(gateway),
            NextHop::Unreachable => Towards::Nowhere,
        }
    }

    /// The address of ours from which a packet to `dst` is sent: the one on the link of `dst`, or of the gateway to it,
    /// else the primary one. `None` if there is no address.
    // I21, U21, RFC 1122 3.3.4.3: one of our own on that link, and never a group or broadcast address.
    #[must_use]
    pub fn source_towards(&self, dst: F::Addr) -> Option<F::Addr> {
        let hop = match self.next_hop(dst) {
            NextHop::Via(gateway) => gateway,
            NextHop::OnLink | NextHop::Unreachable => dst,
        };
        self.connected(hop).or_else(|| self.addresses.first().copied()).map(Cidr::addr)
    }

    /// The address of ours with the longest prefix that holds `addr`; of equals, the first.
    fn connected(&self, addr: F::Addr) -> Option<Cidr<F>> {
        let holding = self.addresses.iter().filter(|a| a.contains(addr));
        holding.copied().min_by_key(|a| core::cmp::Reverse(a.prefix()))
    }
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
