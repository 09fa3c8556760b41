//! RFC 4861 7.2.5 and appendix C, row by row: what each event does to a neighbour in each state.

use super::*;

const SAME: Option<MacAddr> = Some(MAC);
const OTHER: Option<MacAddr> = Some(OTHER_MAC);

const STATES: [State; 5] = [State::Incomplete, State::Reachable, State::Stale, State::Delay, State::Probe];

fn peer() -> Ipv6Addr {
    super::peer::<V6>()
}

/// A cache whose peer is in this state, at 100 s.
fn in_state(wanted: State) -> NeighborCache<V6> {
    let mut cache = cache::<V6>();
    if wanted == State::Incomplete {
        assert_eq!(cache.want(s(100), peer()), Want::Wait);
        ask(&mut cache, s(100));
    } else if wanted == State::Reachable {
        live(&mut cache, s(100), peer());
    } else {
        live(&mut cache, s(60), peer());
        ask(&mut cache, s(90));
        match wanted {
            State::Stale => {}
            State::Delay => cache.used(s(99), peer()),
            _ => {
                cache.used(s(94), peer());
                assert_eq!(ask(&mut cache, s(99)), [to_it(peer())]);
            }
        }
    }
    assert_eq!(state(&cache, peer()), Some(wanted));
    cache
}

fn row(cache: &NeighborCache<V6>) -> (State, Option<MacAddr>, bool) {
    let row = cache.rows().find(|row| row.addr == peer()).unwrap();
    (row.state, row.mac, row.is_router)
}

// N09, RFC 4861 7.2.5, appendix C: state, S, O, Ethernet address; then state, Ethernet address, whether IsRouter follows.
#[test]
fn an_advertisement_does_to_each_state_what_the_rfc_says() {
    use State::{Incomplete, Reachable, Stale};
    for before in STATES {
        for (solicited, override_flag, mac) in flags_with(&[None, SAME, OTHER]) {
            let (after, after_mac, heard) = match (before, solicited, override_flag, mac) {
                // Nothing is known, and nothing is learned.
                (Incomplete, _, _, None) => (Incomplete, None, false),
                (Incomplete, true, _, mac) => (Reachable, mac, true),
                (Incomplete, false, _, mac) => (Stale, mac, true),
                // I. O=0 and another Ethernet address.
                (Reachable, _, false, OTHER) => (Stale, SAME, false),
                (before, _, false, OTHER) => (before, SAME, false),
                // II. O=1, or the same Ethernet address, or none.
                (_, true, _, mac) => (Reachable, mac.or(SAME), true),
                (_, false, true, OTHER) => (Stale, OTHER, true),
                (before, false, _, _) => (before, SAME, true),
            };
            for router in [false, true] {
                let mut cache = in_state(before);
                assert!(cache.advertised(
                    s(100),
                    peer(),
                    mac,
                    Advertised { solicited, override_flag, router }
                ));
                let is_router = heard && router;
                assert_eq!(
                    row(&cache),
                    (after, after_mac, is_router),
                    "{before:?} S={solicited} O={override_flag} {mac:?}"
                );
                assert_consistent(&cache);
            }
        }
    }
}

/// Every pair of flags, with each of these addresses.
fn flags_with(macs: &[Option<MacAddr>]) -> Vec<(bool, bool, Option<MacAddr>)> {
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    flags.iter().flat_map(|(s, o)| macs.iter().map(|mac| (*s, *o, *mac))).collect()
}

// N09, RFC 4861 7.2.5: of a neighbour that nobody asked for, and of one that did not answer.
#[test]
fn an_advertisement_creates_no_entry() {
    let all = Advertised { solicited: true, override_flag: true, router: true };
    let mut cache = cache::<V6>();
    assert!(!cache.advertised(s(0), peer(), SAME, all));
    assert_eq!(cache.rows().count(), 0);
    cache.want(s(0), peer());
    (0..4).for_each(|t| drop(ask(&mut cache, s(t))));
    assert_eq!(state(&cache, peer()), Some(State::Failed));
    assert!(!cache.advertised(s(4), peer(), SAME, all));
    assert_eq!(row(&cache), (State::Failed, None, false));
}

// A gateway that comes back and says so need not wait for the next question.
#[test]
fn a_gateway_that_did_not_answer_is_heard() {
    let mut cache = cache::<V6>();
    cache.keep(s(0), peer());
    (0..4).for_each(|t| drop(ask(&mut cache, s(t))));
    assert_eq!(state(&cache, peer()), Some(State::Failed));
    let said = Advertised { solicited: false, override_flag: true, router: true };
    assert!(cache.advertised(s(4), peer(), SAME, said));
    assert_eq!(row(&cache), (State::Probe, SAME, true));
    assert_eq!(ask(&mut cache, s(4)), [to_it(peer())]);
}

// N10, RFC 4861 7.2.3, 6.2.6, 6.3.4, 8.3: an Ethernet address in a solicitation, a router's advertisement or a redirect.
#[test]
fn a_source_link_layer_address_makes_an_entry_stale_and_never_reachable() {
    for before in STATES {
        for mac in [MAC, OTHER_MAC] {
            let mut cache = in_state(before);
            assert!(cache.heard(s(100), peer(), mac, Evidence::Asked));
            let differs = before == State::Incomplete || mac != MAC;
            let after = if differs { State::Stale } else { before };
            assert_eq!(row(&cache), (after, Some(mac), false), "{before:?} {mac}");
        }
    }
    let mut cache = cache::<V6>();
    assert!(cache.heard(s(0), peer(), MAC, Evidence::Asked));
    assert_eq!(row(&cache), (State::Stale, SAME, false));
    assert_eq!(cache.poll_timeout(), None, "nobody uses it, nobody asks");
}

// N11, RFC 4861 7.3.3: also of one that never answered; and appendix C: what waited goes out when it is heard of.
#[test]
fn a_stale_neighbour_in_use_is_probed_after_five_seconds() {
    for first_wanted in [false, true] {
        let mut cache = cache::<V6>();
        if first_wanted {
            assert_eq!(cache.want(s(0), peer()), Want::Wait);
            assert_eq!(ask(&mut cache, s(0)), [to_all(peer())]);
        }
        cache.heard(s(1), peer(), MAC, Evidence::Asked);
        assert_eq!(cache.want(s(1), peer()), Want::Known(MAC));
        assert_eq!((row(&cache).0, cache.poll_timeout()), (State::Delay, Some(s(6))));
        for t in 6..9 {
            assert_eq!(ask(&mut cache, s(t)), [to_it(peer())], "MAX_UNICAST_SOLICIT, RetransTimer apart");
            assert_eq!(row(&cache).0, State::Probe);
        }
        // RFC 7048 3: then it is looked for everywhere, before it is given up.
        for t in 9..12 {
            assert_eq!(ask(&mut cache, s(t)), [to_all(peer())]);
        }
        assert_eq!(ask(&mut cache, s(12)), []);
        assert_eq!(state(&cache, peer()), Some(State::Failed));
    }
}

// N08, RFC 4861 6.3.4: RetransTimer and ReachableTime are what the routers say.
#[test]
fn questions_are_as_far_apart_as_routers_say() {
    let mut cache = cache::<V6>();
    let (reachable, retransmit) = (Duration::from_secs(7), Duration::from_millis(250));
    cache.set_timing(Timing { reachable, retransmit, ..Timing::NDP });
    cache.want(s(0), peer());
    let asked: Vec<_> = (0..1000).filter(|t| !ask(&mut cache, ms(*t)).is_empty()).collect();
    assert_eq!(asked, [0, 250, 500]);
    let mut cache = NeighborCache::<V6>::new(8);
    cache.set_timing(Timing { reachable, retransmit, ..Timing::NDP });
    live(&mut cache, s(0), peer());
    assert_eq!(cache.poll_timeout(), Some(s(7)));
}

// RFC 4861 5.1, 6.2.6, 8.3: IsRouter.
#[test]
fn what_is_said_of_a_known_neighbour_being_a_router_is_kept() {
    let mut cache = cache::<V6>();
    cache.set_router(peer(), true);
    assert!(!cache.is_router(peer()) && cache.rows().count() == 0);
    cache.heard(s(0), peer(), MAC, Evidence::Asked);
    cache.set_router(peer(), true);
    assert!(cache.is_router(peer()));
    let said = Advertised { solicited: false, override_flag: false, router: false };
    cache.advertised(s(1), peer(), None, said);
    assert!(!cache.is_router(peer()));
}
