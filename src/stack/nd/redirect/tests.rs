//! What RFC 4861 8.1 and 8.3 say of redirects.

use super::*;
use core::net::Ipv6Addr;
use core::time::Duration;

use crate::addr::{Cidr, MacAddr, Unicast};
use crate::io::InterfaceId;
use crate::stack::hops::Hops;
use crate::stack::interface::Inet;
use crate::stack::neighbor::State;
use crate::stack::route::{Route, Routes};
use crate::wire::ndisc::{Envelope, Message};

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
const FAR: &str = "2001:db8::9";

fn v6(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn s(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

struct Host {
    interface: Interface,
    cache: NeighborCache<V6>,
}

impl Host {
    /// A host whose default router is fe80::1.
    fn new() -> Self {
        let mut interface = Interface::new(InterfaceId(0), MacAddr([2, 0, 0, 0, 0, 2]), 1500, Vec::new());
        let cidr = |s: &str| Cidr::<V6>::new(Unicast::new(v6(s)).unwrap(), 64).unwrap();
        let default = Route::default_via(Unicast::new(v6("fe80::1")).unwrap());
        let routes = Routes::new(vec![cidr("fd88::2"), cidr("fe80::2")], vec![default]);
        interface.v6 = Inet::with_routes(routes, Hops::new(0, 0));
        Self { interface, cache: NeighborCache::new(8) }
    }

    fn redirect(
        &mut self,
        now: Instant,
        (src, dst): (&str, &str),
        (destination, target): (&str, &str),
    ) -> Result<(), DropReason> {
        let (target, destination) = (v6(target), v6(destination));
        let redirect = Redirect { target, destination, target_mac: Some(MAC), redirected: None };
        let envelope = Envelope { src: v6(src), dst: v6(dst), hop_limit: 255 };
        let received = Received { envelope, source_mac: MAC, message: Message::Redirect(redirect) };
        input(now, &received, &redirect, &self.interface, &mut self.cache)
    }
}

const ROUTER: (&str, &str) = ("fe80::1", "fd88::2");

// N15, RFC 4861 8.3; N10: the target is a stale neighbour, and a router unless it is the destination.
#[test]
fn the_first_hop_names_a_better_one() {
    for (target, is_router) in [("fe80::7", true), (FAR, false)] {
        let mut host = Host::new();
        assert_eq!(host.redirect(s(0), ROUTER, (FAR, target)), Ok(()));
        let row = host.cache.rows().next().unwrap();
        assert_eq!((row.addr, row.state, row.mac), (v6(target), State::Stale, Some(MAC)));
        assert_eq!(row.is_router, is_router);
    }
}

// N15, RFC 4861 8.1: from the current first hop for the destination.
#[test]
fn nobody_else_redirects() {
    for (from_to, way) in [
        (("fe80::9", "fd88::2"), (FAR, "fe80::7")),       // another router
        (("fe80::1", "ff02::1"), (FAR, "fe80::7")),       // to everyone
        (("fe80::1", "fd88::2"), ("fd88::5", "fe80::7")), // a neighbour's packets go through nobody
        (("fe80::1", "fd88::2"), ("fd88::2", "fe80::7")), // our own
        (("fe80::1", "fd88::2"), (FAR, "fe80::2")),       // through us
    ] {
        let mut host = Host::new();
        assert_eq!(
            host.redirect(s(0), from_to, way),
            Err(DropReason::NdpRedirectInvalid),
            "{from_to:?} {way:?}"
        );
        assert_eq!(host.cache.rows().count(), 0);
    }
}

// As Linux's `accept_redirects`.
#[test]
fn redirects_are_a_matter_of_policy() {
    let mut host = Host::new();
    host.interface.policy.accept_redirects6 = false;
    assert_eq!(host.redirect(s(0), ROUTER, (FAR, "fe80::7")), Err(DropReason::NdpRedirectOff));
    assert_eq!(host.cache.rows().count(), 0);
}
