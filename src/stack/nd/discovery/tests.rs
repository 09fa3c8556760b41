//! What routers say, read from messages as they are on the wire.

use super::*;
use crate::addr::{Cidr, MacAddr};
use crate::io::Addressing6;
use crate::sim::frames::ndp::{self, NdpFrame, NdpMessage, NdpOption as Option6};
use crate::stack::nd::addresses::Origin;
use crate::stack::route::{NextHop, Towards};
use crate::wire::ndisc::{Envelope, Message};

const MAC: MacAddr = MacAddr([2, 0, 0, 0x12, 0x34, 0x56]);
const MTU: u16 = 1500;

fn s(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn addr(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn prefix(network: &str) -> ndp::Prefix {
    ndp::Prefix::new(addr(network), 64)
}

struct Host {
    discovery: Discovery,
    addresses: Addresses,
    rng: Rng,
}

impl Host {
    fn new(config: Addressing6) -> Self {
        let (mut addresses, mut rng) = (Addresses::new(config, MAC), Rng::new(1));
        addresses.start(s(0), &mut rng);
        let mut discovery = Discovery::default();
        discovery.start();
        Self { discovery, addresses, rng }
    }

    /// One that makes addresses of prefixes and asks for none of them.
    fn quick() -> Self {
        Self::new(Addressing6 { auto: true, dad_transmits: 0, ..Addressing6::new() })
    }

    fn hear(&mut self, now: Instant, frame: &NdpFrame) -> bool {
        let message = frame.icmp().message();
        let envelope = Envelope { src: frame.source, dst: frame.destination, hop_limit: frame.hop_limit };
        let Ok(Message::RouterAdvertisement(said)) = Message::parse(envelope, &message) else {
            panic!("it is no advertisement: {frame:?}")
        };
        self.discovery.advertised(now, &mut self.rng, frame.source, &said, MTU, &mut self.addresses)
    }

    fn routes(&self) -> Routes<V6> {
        self.discovery.routes(&self.addresses, &[])
    }

    fn auto(&self) -> usize {
        self.addresses.rows().filter(|row| row.origin == Origin::Auto).count()
    }
}

fn advertisement(router: &str, prefixes: &[ndp::Prefix]) -> NdpFrame {
    NdpFrame::router_advertisement(addr(router), prefixes)
}

fn with(mut frame: NdpFrame, change: impl FnOnce(&mut ndp::RouterAdvertisement)) -> NdpFrame {
    let NdpMessage::RouterAdvertisement(said) = &mut frame.message else { panic!("{frame:?}") };
    change(said);
    frame
}

// N13, N17, RFC 4861 6.3.4: L and A each say what they say, and a router with a lifetime is a default one.
#[test]
fn an_advertisement_makes_routes_and_addresses_as_its_flags_say() {
    for (on_link, autonomous) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut host = Host::quick();
        let prefix = ndp::Prefix { on_link, autonomous, ..prefix("2001:db8::") };
        assert!(host.hear(s(1), &advertisement("fe80::1", &[prefix])));
        let there = addr("2001:db8::9");
        let hop = if on_link { NextHop::OnLink } else { NextHop::Via(addr("fe80::1")) };
        assert_eq!(host.routes().next_hop(there), hop, "L {on_link}");
        assert_eq!(host.auto(), usize::from(autonomous), "A {autonomous}");
        assert_eq!(host.routes().addresses().len(), 1 + usize::from(autonomous));
        assert_eq!(host.routes().towards(addr("2001:db8:9::9")), Towards::Neighbor(addr("fe80::1")));
    }
}

// N13, RFC 4861 6.3.4: one that is no default router may say what is on the link.
#[test]
fn a_router_without_a_lifetime_is_no_default_router() {
    let mut host = Host::quick();
    let said = with(advertisement("fe80::1", &[prefix("2001:db8::")]), |said| said.lifetime_s = 0);
    assert!(host.hear(s(1), &said));
    assert_eq!(host.routes().next_hop(addr("2001:db8::9")), NextHop::OnLink);
    assert_eq!(host.routes().next_hop(addr("2001:db8:9::9")), NextHop::Unreachable);
    assert!(host.hear(s(2), &advertisement("fe80::1", &[])));
    assert!(host.hear(s(3), &said));
    assert_eq!(host.routes().next_hop(addr("2001:db8:9::9")), NextHop::Unreachable, "it is none any more");
}

// N14, RFC 4861 6.3.4: 1280 to what the link carries; anything else says nothing, and takes nothing back.
#[test]
fn an_mtu_is_believed_within_bounds() {
    let mut host = Host::quick();
    let mtu = |mtu| {
        let mut frame = advertisement("fe80::1", &[]);
        frame.options.push(Option6::Mtu(mtu));
        frame
    };
    for (said, want) in [
        (1279, None),
        (1501, None),
        (u32::MAX, None),
        (1280, Some(1280)),
        (1492, Some(1492)),
        (68, Some(1492)),
        (1500, Some(1500)),
    ] {
        host.hear(s(1), &mtu(said));
        assert_eq!(host.discovery.link().mtu, want, "{said}");
    }
}

// N14, RFC 4861 6.3.4: a hop limit of zero is unspecified, and what was said before stays.
#[test]
fn a_hop_limit_of_zero_says_nothing() {
    let mut host = Host::quick();
    for (said, want) in [(0, None), (32, Some(32)), (0, Some(32)), (255, Some(255))] {
        host.hear(s(1), &with(advertisement("fe80::1", &[]), |ra| ra.hop_limit = said));
        assert_eq!(host.discovery.link().hop_limit, want);
    }
}

// N12, RFC 4861 6.3.7: as soon as the link-local address is ours; three times, four seconds apart; not after an answer.
#[test]
fn routers_are_asked_when_the_link_local_address_is_settled() {
    let mut host = Host::new(Addressing6::new());
    let mut asked = Vec::new();
    for ms in 0..20_000 {
        let now = Instant::ZERO + Duration::from_millis(ms);
        while host.addresses.poll(now, &mut host.rng).is_some() {}
        let ask = host.discovery.poll_solicitation(now, &mut host.rng, &host.addresses);
        assert!(!ask || host.addresses.link_local().is_some());
        asked.extend(ask.then_some(now));
    }
    assert_eq!(asked.len(), 3);
    assert!(asked.windows(2).all(|pair| pair[1].since(pair[0]) == Duration::from_secs(4)));
    assert!(asked[0] > s(1) && asked[0] <= s(3), "a wait by chance, the question, and a second");

    let mut host = Host::quick();
    let first = (0..=1000).find(|ms| {
        let now = Instant::ZERO + Duration::from_millis(*ms);
        host.discovery.poll_solicitation(now, &mut host.rng, &host.addresses)
    });
    assert!(first.is_some(), "without a question for the address, a wait of its own, of a second at most");
    host.hear(s(2), &with(advertisement("fe80::1", &[]), |said| said.lifetime_s = 0));
    assert!(host.discovery.solicitor.poll_timeout().is_some(), "that is no answer");
    host.hear(s(2), &advertisement("fe80::1", &[]));
    assert_eq!(host.discovery.solicitor.poll_timeout(), None);
}

// N13, RFC 4862 5.5.3, 5.5.4: a site gets another prefix. The old one is deprecated and not chosen any more, then gone.
#[test]
fn a_change_of_prefix_is_followed() {
    let mut host = Host::quick();
    host.hear(s(1), &advertisement("fe80::1", &[prefix("2001:db8:a::")]));
    let old = host.routes().source_towards(addr("2001:db8:f::1")).unwrap();
    let ended = ndp::Prefix { valid_s: 7200, preferred_s: 0, ..prefix("2001:db8:a::") };
    assert!(host.hear(s(10), &advertisement("fe80::1", &[ended, prefix("2001:db8:b::")])));
    let new = host.routes().source_towards(addr("2001:db8:f::1")).unwrap();
    assert!(old.to_string().starts_with("2001:db8:a:") && new.to_string().starts_with("2001:db8:b:"));
    assert!(host.routes().addresses().iter().any(|own| own.addr() == old), "still answered for");
    while host.addresses.poll(s(10 + 7200), &mut host.rng).is_some() {}
    assert!(host.discovery.expire(s(10 + 7200)));
    assert!(host.routes().addresses().iter().all(|own| own.addr() != old));
    assert!(
        !host.routes().is_on_link(addr("2001:db8:a::1")) && host.routes().is_on_link(addr("2001:db8:b::1"))
    );
}

// N17, RFC 5942 4: the prefix of a configured address was configured, too; its routes go before a router's.
#[test]
fn configured_addresses_and_routes_stand_beside_what_routers_say() {
    let own = Cidr::new(Unicast::new(addr("2001:db8:5::2")).unwrap(), 64).unwrap();
    let mut host = Host::new(Addressing6 { statics: vec![own], dad_transmits: 0, ..Addressing6::new() });
    host.hear(s(1), &advertisement("fe80::1", &[prefix("2001:db8:a::")]));
    assert_eq!(host.auto(), 0, "no \"auto\"");
    let fixed = [Route::default_via(Unicast::new(addr("fe80::7")).unwrap())];
    let routes = host.discovery.routes(&host.addresses, &fixed);
    assert!(routes.is_on_link(addr("2001:db8:5::9")) && routes.is_on_link(addr("2001:db8:a::9")));
    assert_eq!(routes.next_hop(addr("2001:db8:f::1")), NextHop::Via(addr("fe80::7")));
}

// N09, N11, RFC 4861 7.2.5, 7.3.3: who does not answer is passed over, and who is no router any more is none.
#[test]
fn a_router_that_is_gone_is_passed_over() {
    let mut host = Host::quick();
    host.hear(s(1), &advertisement("fe80::1", &[]));
    host.hear(s(1), &advertisement("fe80::2", &[]));
    let there = addr("2001:db8:f::1");
    assert!(host.discovery.found(addr("fe80::1"), false));
    assert_eq!(host.routes().next_hop(there), NextHop::Via(addr("fe80::2")));
    assert!(host.discovery.is_no_router(addr("fe80::2")));
    assert_eq!(host.routes().next_hop(there), NextHop::Via(addr("fe80::1")), "better than nobody");
    assert!(host.discovery.found(addr("fe80::1"), true) && !host.discovery.found(addr("fe80::1"), true));
}
