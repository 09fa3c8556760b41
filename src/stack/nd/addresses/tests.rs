//! Addresses from the first question to their end.

use super::*;
use crate::io::StableSecret;

const MAC: MacAddr = MacAddr([0x02, 0, 0, 0x12, 0x34, 0x56]);

fn s(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn addr(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn prefix(s: &str, len: u8) -> Prefix<V6> {
    Prefix::new(addr(s), len).unwrap()
}

fn config() -> Addressing6 {
    let fixed = Cidr::new(Unicast::new(addr("2001:db8::2")).unwrap(), 64).unwrap();
    let secret = StableSecret::new([7; 16]);
    Addressing6 { statics: vec![fixed], auto: true, secret, ..Addressing6::new() }
}

struct Host {
    addresses: Addresses,
    rng: Rng,
    events: Vec<(Instant, Event)>,
}

impl Host {
    fn new(config: Addressing6) -> Self {
        let (mut addresses, mut rng) = (Addresses::new(config, MAC), Rng::new(1));
        addresses.start(s(0), &mut rng);
        Self { addresses, rng, events: Vec::new() }
    }

    /// Does all that is due until `end`.
    fn run(&mut self, end: Instant) -> &mut Self {
        while let Some(at) = self.addresses.poll_timeout().filter(|at| *at <= end) {
            while let Some(event) = self.addresses.poll(at, &mut self.rng) {
                self.events.push((at, event));
            }
        }
        self
    }

    /// A router advertises `2001:db8:1::/64` with these lifetimes.
    fn advertise(&mut self, at: Instant, preferred: u32, valid: u32) -> bool {
        self.run(at);
        self.addresses.advertised(at, &mut self.rng, prefix("2001:db8:1::", 64), preferred, valid)
    }

    fn auto(&self) -> Option<Row> {
        self.addresses.rows().find(|row| row.origin == Origin::Auto)
    }

    fn state(&self, of: Ipv6Addr) -> Option<State> {
        self.addresses.rows().find(|row| row.cidr.addr() == of).map(|row| row.state)
    }

    fn asked(&self, of: Ipv6Addr) -> usize {
        self.events.iter().filter(|(_, e)| matches!(e, Event::Ask(addr, _) if *addr == of)).count()
    }
}

const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe12, 0x3456);

// N05, N06, RFC 4862 5.4: tentative, asked for once, and used when nobody answers; listening from the start.
#[test]
fn link_local_and_configured_addresses_are_asked_for_and_then_used() {
    let mut host = Host::new(config());
    let own = addr("2001:db8::2");
    assert!(host.addresses.usable().is_empty() && host.addresses.awaits_link_local());
    assert!(host.addresses.is_unusable(own) && !host.addresses.is_unusable(addr("2001:db8::3")));
    let groups: Vec<_> = host.addresses.groups().iter().map(ToString::to_string).collect();
    assert_eq!(groups, ["ff02::1:ff00:2", "ff02::1:ff12:3456"]);
    host.run(s(3));
    assert_eq!((host.asked(LINK_LOCAL), host.asked(own)), (1, 1));
    let usable: Vec<_> = host.addresses.usable().iter().map(|u| u.cidr.to_string()).collect();
    assert_eq!(usable, ["2001:db8::2/64", "fe80::ff:fe12:3456/64"]);
    assert_eq!(host.addresses.link_local(), Some(LINK_LOCAL));
    assert!(!host.addresses.is_unusable(own) && !host.addresses.awaits_link_local());
}

// N06, RFC 4862 5.1: DupAddrDetectTransmits 0.
#[test]
fn without_detection_addresses_are_used_at_once() {
    let mut host = Host::new(Addressing6 { dad_transmits: 0, ..config() });
    assert_eq!(host.addresses.usable().len(), 2);
    assert!(host.run(s(9)).events.is_empty());
}

// N05: a duplicate link-local address leaves the others alone, is said once, and is tried again when the link comes up again.
#[test]
fn a_duplicate_link_local_address_leaves_the_others_in_use() {
    let mut host = Host::new(config());
    assert_eq!(host.addresses.heard_solicitation(s(0), LINK_LOCAL, None), Heard::Duplicate);
    assert_eq!(host.addresses.heard_solicitation(s(0), LINK_LOCAL, None), Heard::Nothing);
    host.run(s(30));
    assert_eq!(host.state(LINK_LOCAL), Some(State::Duplicate));
    assert_eq!(host.addresses.link_local(), None);
    assert!(!host.addresses.awaits_link_local(), "there is none to wait for");
    assert!(!host.addresses.groups().contains(&Group::solicited_node(LINK_LOCAL)));
    assert_eq!(host.addresses.usable().len(), 1);
    host.addresses.start(s(40), &mut host.rng);
    assert_eq!(host.state(addr("2001:db8::2")), Some(State::Tentative));
    host.run(s(50));
    assert_eq!(host.addresses.usable().len(), 2);
}

// RFC 7217 6: a stable identifier that another host has is replaced, after a second, three times at most.
#[test]
fn a_stable_address_that_another_host_has_is_replaced() {
    let mut host = Host::new(Addressing6 { link_local: LinkLocal::Stable, statics: Vec::new(), ..config() });
    let mut seen = BTreeSet::new();
    for (n, second) in [1, 10, 20, 30].into_iter().enumerate() {
        let own = host.addresses.rows().next().unwrap().cidr.addr();
        assert!(seen.insert(own) && own.is_unicast_link_local());
        assert_eq!(host.addresses.heard_advertisement(s(second - 1), own), Heard::Duplicate);
        assert_eq!(host.addresses.tries_another(own), n < 3);
        host.run(s(second) - Duration::from_millis(1));
        assert_eq!(host.state(own), Some(State::Duplicate));
        let at = s(second);
        while let Some(event) = host.addresses.poll(at, &mut host.rng) {
            host.events.push((at, event));
        }
    }
    let another = host.events.iter().filter(|(_, e)| matches!(e, Event::Instead(_))).count();
    assert_eq!((another, host.addresses.usable().len()), (3, 0));
    assert_eq!(host.addresses.poll_timeout(), None);
}

// N13, RFC 4862 5.5.3, RFC 7217: a prefix of 64 bits makes an address, which is asked for; again it makes none.
#[test]
fn an_advertised_prefix_makes_an_address() {
    let mut host = Host::new(config());
    assert!(host.advertise(s(5), 1800, 3600));
    let made = host.auto().unwrap();
    assert!(prefix("2001:db8:1::", 64).contains(made.cidr.addr()));
    assert_eq!((made.cidr.prefix(), made.state), (64, State::Tentative));
    assert_eq!((made.preferred, made.valid), (Expiry::At(s(1805)), Expiry::At(s(3605))));
    assert!(!host.advertise(s(10), 1800, 3600));
    assert_eq!(host.addresses.rows().filter(|row| row.origin == Origin::Auto).count(), 1);
    assert_eq!(host.asked(made.cidr.addr()), 1);
    assert_eq!(host.auto().unwrap().state, State::Preferred);
}

// N13, RFC 4862 5.5.3 (b)-(d).
#[test]
fn an_unfit_prefix_makes_none() {
    let mut host = Host::new(config());
    for (network, len, preferred, valid) in [
        ("fe80::", 64, 100, 100),
        ("ff02::", 64, 100, 100),
        ("2001:db8:1::", 48, 100, 100),
        ("2001:db8:1::", 65, 100, 100),
        ("2001:db8:1::", 128, 100, 100),
        ("2001:db8:1::", 64, 101, 100),
        ("2001:db8:1::", 64, u32::MAX, 100),
        ("2001:db8:1::", 64, 0, 0),
        ("::", 64, 100, 100),
    ] {
        let made = host.addresses.advertised(s(1), &mut host.rng, prefix(network, len), preferred, valid);
        assert!(!made && host.auto().is_none(), "{network}/{len} {preferred} {valid}");
    }
    let mut fixed = Host::new(Addressing6 { auto: false, ..config() });
    assert!(!fixed.advertise(s(1), 100, 100), "it was not asked to");
}

// N13, RFC 4862 5.5.4: preferred, deprecated, gone.
#[test]
fn an_address_is_deprecated_before_it_is_gone() {
    let mut host = Host::new(config());
    host.advertise(s(5), 100, 200);
    let own = host.run(s(10)).auto().unwrap().cidr.addr();
    host.run(s(105));
    assert_eq!(host.events.last(), Some(&(s(105), Event::Deprecated(own))));
    assert!(host.addresses.usable().contains(&Usable { cidr: host.auto().unwrap().cidr, deprecated: true }));
    // Advertised anew it is preferred again.
    assert!(host.advertise(s(110), 10, 300));
    assert_eq!(host.auto().unwrap().state, State::Preferred);
    host.run(s(500));
    assert_eq!(host.events.last(), Some(&(s(410), Event::Gone(own))));
    assert!(host.auto().is_none());
}

// N13, RFC 4862 5.5.3(e): the two-hour rule, case by case.
#[test]
fn no_advertisement_leaves_an_address_less_than_two_hours() {
    let hours = |n: u64| n * 3600;
    for (left, advertised, want) in [
        // More than two hours, or more than is left: believed.
        (hours(10), 3 * 3600, hours(3)),
        (hours(1), 3601, 3601),
        (hours(1), u32::MAX, u64::MAX),
        // Less, of which more than two hours are left: two hours.
        (hours(10), 60, hours(2)),
        (hours(10), 0, hours(2)),
        (hours(10), 7200, hours(2)),
        (u64::MAX, 0, hours(2)),
        // Less, of which less is left: no change.
        (hours(1), 60, hours(1)),
        (hours(1), 0, hours(1)),
        (hours(2), 0, hours(2)),
    ] {
        let mut host = Host::new(config());
        let first = u32::try_from(left).unwrap_or(u32::MAX);
        host.advertise(s(0), first, first);
        host.advertise(s(0), 0, advertised);
        let row = host.auto().unwrap();
        let valid = row.valid.end().map_or(u64::MAX, |at| at.since(s(0)).as_secs());
        assert_eq!(valid, want, "{left} left, {advertised} advertised");
        assert_eq!(row.preferred, Expiry::At(s(0)), "the preferred lifetime is always believed");
        host.run(s(3));
        assert_eq!(host.auto().unwrap().state, State::Deprecated);
    }
}

// N13: whoever advertises prefixes without end makes no more than so many addresses, and ends none.
#[test]
fn there_is_room_for_so_many_addresses() {
    let mut host = Host::new(config());
    for n in 0..1000u16 {
        let prefix = prefix(&format!("2001:db8:{n:x}::"), 64);
        host.addresses.advertised(s(1), &mut host.rng, prefix, 100, 100);
    }
    assert_eq!(host.addresses.rows().filter(|row| row.origin == Origin::Auto).count(), AUTO_MAX);
    assert_eq!(host.state(addr("2001:db8::2")), Some(State::Tentative));
}

// N05, RFC 4862 5.4.5, RFC 7217 6: of an advertised prefix, too.
#[test]
fn a_duplicate_made_of_a_prefix_is_replaced_within_its_prefix_and_lifetime() {
    let mut host = Host::new(config());
    host.advertise(s(5), 1000, 2000);
    let first = host.auto().unwrap().cidr.addr();
    assert_eq!(host.addresses.heard_advertisement(s(5), first), Heard::Duplicate);
    let second = host.run(s(10)).auto().unwrap();
    assert!(second.cidr.addr() != first && prefix("2001:db8:1::", 64).contains(second.cidr.addr()));
    assert_eq!((second.state, second.valid), (State::Preferred, Expiry::At(s(2005))));
    assert!(!host.advertise(s(11), 1000, 2000), "it is the address of that prefix");
}
