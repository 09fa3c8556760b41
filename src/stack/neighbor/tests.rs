//! What an entry goes through, and what a scan cannot do: in ARP's hands and in neighbour discovery's.

mod ndp;

use super::*;
use crate::addr::{V4, V6};
use core::net::{Ipv4Addr, Ipv6Addr};

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

/// An IP version, and hosts of it.
trait Hosts: Family {
    fn host(n: u32) -> Self::Addr;
}

impl Hosts for V4 {
    fn host(n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a00_0000 + n)
    }
}

impl Hosts for V6 {
    fn host(n: u32) -> Ipv6Addr {
        Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(n))
    }
}

fn peer<F: Hosts>() -> F::Addr {
    F::host(0x00c0_0001)
}

const fn to_all<A>(addr: A) -> Request<A> {
    Request { addr, mac: None }
}

const fn to_it<A>(addr: A) -> Request<A> {
    Request { addr, mac: Some(MAC) }
}

/// Each of these tests, of IPv4 and of IPv6.
macro_rules! of_both {
    ($($test:ident)+) => {
        mod v4 { $(#[test] fn $test() { super::$test::<super::V4>(); })+ }
        mod v6 { $(#[test] fn $test() { super::$test::<super::V6>(); })+ }
    };
}

fn s(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn ms(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

fn cache<F: Family>() -> NeighborCache<F> {
    NeighborCache::new(ENTRIES_DEFAULT)
}

fn ask<F: Family>(cache: &mut NeighborCache<F>, now: Instant) -> Vec<Request<F::Addr>> {
    core::iter::from_fn(|| cache.poll_request(now)).collect()
}

fn state<F: Family>(cache: &NeighborCache<F>, addr: F::Addr) -> Option<State> {
    cache.rows().find(|r| r.addr == addr).map(|r| r.state)
}

/// `addr` is used, asked and answers, all at `now`.
fn live<F: Family>(cache: &mut NeighborCache<F>, now: Instant, addr: F::Addr) {
    assert_eq!(cache.want(now, addr), Want::Wait);
    ask(cache, now);
    cache.heard(now, addr, MAC, Evidence::Answered);
    assert_eq!(state(cache, addr), Some(State::Reachable));
}

of_both! {
    a_silent_neighbour_is_asked_three_times_a_second_apart_and_then_left_alone
    a_failed_neighbour_is_forgotten_after_the_hold_down_and_a_kept_one_asked_again
    a_packet_for_a_gateway_that_failed_has_it_asked_for_again
    a_kept_neighbour_is_confirmed_by_unicast
    a_stale_neighbour_in_use_is_polled_by_unicast_and_then_looked_for_everywhere
    only_a_question_to_us_creates_an_entry_and_any_packet_updates_one
    an_answer_that_nobody_asked_for_confirms_nothing
    a_scan_of_spoofed_questions_evicts_no_live_peer
    an_outgoing_scan_evicts_no_live_peer_and_asks_each_once_a_second
    who_never_answered_makes_room_for_who_asks_and_not_the_live
    the_idle_peer_used_longest_ago_makes_room_last_of_all
    a_change_is_told_of_neighbours_in_use_alone_and_once
    a_link_that_came_up_may_be_another_one
    an_evicted_neighbour_in_use_is_told_of
}

// A08, A11, RFC 1122 2.3.2.1: a thousand packets to a dead host make a question a second, three of them, and then it is
// left alone.
fn a_silent_neighbour_is_asked_three_times_a_second_apart_and_then_left_alone<F: Hosts>() {
    let mut cache = cache::<F>();
    let mut asked = Vec::new();
    for t in (0..3000).step_by(3) {
        assert_eq!(cache.want(ms(t), peer::<F>()), Want::Wait);
        asked.extend(ask(&mut cache, ms(t)).into_iter().map(|r| (t, r)));
    }
    assert_eq!(asked, [(0, to_all(peer::<F>())), (1002, to_all(peer::<F>())), (2004, to_all(peer::<F>()))]);
    assert_eq!(ask(&mut cache, ms(3004)), []);
    assert_eq!(state(&cache, peer::<F>()), Some(State::Failed));
    assert_eq!(cache.want(ms(3100), peer::<F>()), Want::Unreachable);
    assert_eq!(ask(&mut cache, s(8)), []);
    assert_eq!(cache.want(ms(8004), peer::<F>()), Want::Wait, "after the hold-down it is asked again");
    assert_eq!(ask(&mut cache, ms(8004)), [to_all(peer::<F>())]);
}

fn a_failed_neighbour_is_forgotten_after_the_hold_down_and_a_kept_one_asked_again<F: Hosts>() {
    for kept in [false, true] {
        let mut cache = cache::<F>();
        cache.want(s(0), peer::<F>());
        if kept {
            cache.keep(s(0), peer::<F>());
        }
        (0..4).for_each(|t| drop(ask(&mut cache, s(t))));
        assert_eq!(state(&cache, peer::<F>()), Some(State::Failed));
        assert_eq!(ask(&mut cache, s(8)), if kept { vec![to_all(peer::<F>())] } else { vec![] });
        assert_eq!(state(&cache, peer::<F>()), kept.then_some(State::Incomplete));
    }
}

fn a_packet_for_a_gateway_that_failed_has_it_asked_for_again<F: Hosts>() {
    let mut cache = cache::<F>();
    cache.keep(s(0), peer::<F>());
    (0..4).for_each(|t| drop(ask(&mut cache, s(t))));
    assert_eq!(state(&cache, peer::<F>()), Some(State::Failed));
    assert_eq!(cache.want(s(3), peer::<F>()), Want::Wait);
    assert_eq!(ask(&mut cache, s(3)), [to_all(peer::<F>())]);
}

// A10, RFC 1122 2.3.2.1.
fn a_kept_neighbour_is_confirmed_by_unicast<F: Hosts>() {
    let mut cache = cache::<F>();
    cache.keep(s(0), peer::<F>());
    assert_eq!(ask(&mut cache, s(0)), [to_all(peer::<F>())]);
    cache.heard(s(0), peer::<F>(), MAC, Evidence::Answered);
    assert_eq!(cache.lookup(peer::<F>()), Some(MAC));
    assert_eq!(ask(&mut cache, s(29)), []);
    assert_eq!(ask(&mut cache, s(30)), [to_it(peer::<F>())]);
    assert_eq!(cache.lookup(peer::<F>()), Some(MAC), "used while it is being confirmed");
}

// A10, RFC 1122 2.3.2.1(2), RFC 4861 7.3.3.
fn a_stale_neighbour_in_use_is_polled_by_unicast_and_then_looked_for_everywhere<F: Hosts>() {
    let mut cache = cache::<F>();
    live(&mut cache, s(0), peer::<F>());
    assert_eq!(ask(&mut cache, s(31)), []);
    assert_eq!(state(&cache, peer::<F>()), Some(State::Stale));
    assert_eq!(cache.poll_timeout(), None, "nobody uses it, nobody asks");
    assert_eq!(cache.want(s(40), peer::<F>()), Want::Known(MAC));
    assert_eq!(state(&cache, peer::<F>()), Some(State::Delay));
    assert_eq!(ask(&mut cache, s(44)), []);
    for t in 45..48 {
        assert_eq!(ask(&mut cache, s(t)), [to_it(peer::<F>())]);
        assert_eq!(cache.want(s(t), peer::<F>()), Want::Known(MAC));
    }
    assert_eq!(ask(&mut cache, s(48)), [to_all(peer::<F>())]);
    assert_eq!(cache.want(s(48), peer::<F>()), Want::Wait);
    cache.heard(s(48), peer::<F>(), OTHER_MAC, Evidence::Answered);
    assert_eq!(cache.want(s(49), peer::<F>()), Want::Known(OTHER_MAC), "it moved, and was found");
}

// A04, RFC 826.
fn only_a_question_to_us_creates_an_entry_and_any_packet_updates_one<F: Hosts>() {
    let mut cache = cache::<F>();
    assert!(!cache.heard(s(0), peer::<F>(), MAC, Evidence::Overheard));
    assert!(!cache.heard(s(0), peer::<F>(), MAC, Evidence::Answered));
    assert_eq!(cache.lookup(peer::<F>()), None);
    assert!(cache.heard(s(0), peer::<F>(), MAC, Evidence::Asked));
    assert_eq!(state(&cache, peer::<F>()), Some(State::Stale), "that it hears us is not known");
    assert!(cache.heard(s(1), peer::<F>(), OTHER_MAC, Evidence::Overheard));
    assert_eq!(cache.lookup(peer::<F>()), Some(OTHER_MAC));
}

fn an_answer_that_nobody_asked_for_confirms_nothing<F: Hosts>() {
    let mut cache = cache::<F>();
    cache.heard(s(0), peer::<F>(), MAC, Evidence::Asked);
    cache.heard(s(0), peer::<F>(), MAC, Evidence::Answered);
    assert_eq!(state(&cache, peer::<F>()), Some(State::Stale));
    live(&mut cache, s(0), F::host(1));
    cache.heard(s(1), F::host(1), OTHER_MAC, Evidence::Answered);
    assert_eq!(state(&cache, F::host(1)), Some(State::Stale));
}

// A08: however often a neighbour in use is said to have moved, it is asked once a second.
#[test]
fn a_neighbour_that_seems_to_move_all_the_time_is_asked_once_a_second() {
    type F = V4;
    let mut cache = cache::<F>();
    live(&mut cache, s(0), peer::<F>());
    let mut asked = 0;
    for t in 0..5000u32 {
        let [.., high, low] = t.to_be_bytes();
        let now = ms(10_000 + u64::from(t));
        cache.heard(now, peer::<F>(), MacAddr([2, 0, 0, 7, high, low]), Evidence::Overheard);
        cache.want(now, peer::<F>());
        asked += ask(&mut cache, now).len();
    }
    assert_eq!(asked, 5);
}

#[test]
fn who_asks_us_while_it_is_asked_for_is_used_at_once_and_confirmed() {
    type F = V4;
    let mut cache = cache::<F>();
    assert_eq!(cache.want(s(0), peer::<F>()), Want::Wait);
    assert_eq!(ask(&mut cache, s(0)), [to_all(peer::<F>())]);
    cache.heard(ms(10), peer::<F>(), MAC, Evidence::Asked);
    assert_eq!(cache.want(ms(10), peer::<F>()), Want::Known(MAC));
    assert_eq!(ask(&mut cache, ms(10)), [], "a second after the last question");
    assert_eq!(ask(&mut cache, s(1)), [to_it(peer::<F>())]);
}

// A14: a /16 of spoofed questions a tenth of a millisecond apart does not push out who is in use, nor who is kept.
fn a_scan_of_spoofed_questions_evicts_no_live_peer<F: Hosts>() {
    let mut cache = NeighborCache::<F>::new(64);
    cache.keep(s(0), F::host(0));
    ask(&mut cache, s(0));
    (1..40).for_each(|n| live(&mut cache, s(1), F::host(n)));
    for n in 0..0x1_0000u32 {
        let now = s(2) + Duration::from_micros(u64::from(n) * 100);
        cache.heard(now, F::host(0x10_0000 + n), OTHER_MAC, Evidence::Asked);
        assert!(cache.rows().count() <= 64);
    }
    assert!((1..40).all(|n| cache.lookup(F::host(n)) == Some(MAC)));
    assert!(state(&cache, F::host(0)).is_some(), "the kept one, though it never answered");
    assert!(state(&cache, F::host(0x10_ffff)).is_some(), "the latest of the others is there");
}

// A14: nor does a scan of our own, of a /16 of dead hosts; and A08 holds for each of them.
fn an_outgoing_scan_evicts_no_live_peer_and_asks_each_once_a_second<F: Hosts>() {
    let mut cache = NeighborCache::<F>::new(64);
    (1..=60).for_each(|n| live(&mut cache, s(0), F::host(n)));
    let mut last = BTreeMap::new();
    for n in 0..0x1_0000u32 {
        let now = s(1) + Duration::from_micros(u64::from(n) * 300);
        // Each address several times over: one that was given up may come again at once.
        cache.want(now, F::host(0x10_0000 + n / 7 % 100));
        while let Some(request) = cache.poll_request(now) {
            if let Some(before) = last.insert(request.addr, now) {
                assert!(now.since(before) >= Duration::from_secs(1), "{request:?}");
            }
        }
        assert!(cache.rows().count() <= 64);
        assert!(cache.unresolved <= 16);
    }
    assert!(last.len() > 50, "many had their turn: {}", last.len());
    assert!((1..=60).all(|n| cache.lookup(F::host(n)) == Some(MAC)));
}

// A14: spoofed questions, each followed by a spoofed datagram that is answered by route: in use, but never confirmed.
fn who_never_answered_makes_room_for_who_asks_and_not_the_live<F: Hosts>() {
    let mut cache = NeighborCache::<F>::new(64);
    (1..40).for_each(|n| live(&mut cache, s(0), F::host(n)));
    for n in 0..5000 {
        let (now, addr) = (ms(1000 + n), F::host(0x10_0000 + u32::try_from(n).unwrap()));
        cache.heard(now, addr, OTHER_MAC, Evidence::Asked);
        cache.want(now, addr);
        ask(&mut cache, now);
    }
    assert!((1..40).all(|n| cache.lookup(F::host(n)) == Some(MAC)));
    assert!(cache.rows().count() <= 64);
}

// A14: in a cache full of peers in use there is no room for a stranger, until one of them is not in use any more.
fn the_idle_peer_used_longest_ago_makes_room_last_of_all<F: Hosts>() {
    let mut cache = NeighborCache::<F>::new(8);
    for n in 0..8 {
        live(&mut cache, s(n), F::host(u32::try_from(n).unwrap()));
    }
    assert!(!cache.heard(s(10), F::host(99), OTHER_MAC, Evidence::Asked));
    assert_eq!(cache.want(s(10), F::host(98)), Want::Full);
    assert_eq!(ask(&mut cache, s(33)), []);
    cache.heard(s(33), F::host(99), OTHER_MAC, Evidence::Asked);
    assert_eq!(cache.lookup(F::host(0)), None);
    cache.heard(s(33), F::host(97), OTHER_MAC, Evidence::Asked);
    assert_eq!(
        (cache.lookup(F::host(99)), cache.lookup(F::host(1))),
        (None, Some(MAC)),
        "the unused one goes first"
    );
}

fn a_change_is_told_of_neighbours_in_use_alone_and_once<F: Hosts>() {
    let mut cache = cache::<F>();
    cache.heard(s(0), peer::<F>(), MAC, Evidence::Asked);
    assert_eq!(cache.next_change(), None, "nobody sent to it");
    cache.want(s(0), peer::<F>());
    let known = |mac, stale| Standing::Known { mac, stale };
    let change = |before, now| Some(Change { addr: peer::<F>(), before, now });
    assert_eq!(cache.next_change(), change(Standing::Gone, known(MAC, false)));
    assert_eq!(cache.next_change(), None);
    assert_eq!(ask(&mut cache, s(6)), [to_it(peer::<F>())]);
    cache.heard(s(6), peer::<F>(), MAC, Evidence::Answered);
    assert_eq!(cache.next_change(), None, "to a sender it is all the same");
    ask(&mut cache, s(36));
    assert_eq!(cache.next_change(), change(known(MAC, false), known(MAC, true)));
    cache.heard(s(37), peer::<F>(), OTHER_MAC, Evidence::Overheard);
    assert_eq!(cache.next_change(), change(known(MAC, true), known(OTHER_MAC, true)));
}

fn a_link_that_came_up_may_be_another_one<F: Hosts>() {
    let mut cache = cache::<F>();
    cache.keep(s(0), peer::<F>());
    ask(&mut cache, s(0));
    cache.heard(s(0), peer::<F>(), MAC, Evidence::Answered);
    live(&mut cache, s(0), F::host(1));
    assert_eq!(cache.want(s(5), F::host(2)), Want::Wait);
    while cache.next_change().is_some() {}
    cache.link_came_up(s(5));
    let gone = core::iter::from_fn(|| cache.next_change()).map(|c| (c.addr, c.now)).collect::<Vec<_>>();
    assert_eq!(gone, [(F::host(1), Standing::Gone), (peer::<F>(), Standing::Asked)]);
    assert_eq!(state(&cache, F::host(2)), Some(State::Incomplete), "still asked for");
    assert!(ask(&mut cache, s(5)).contains(&to_all(peer::<F>())));
    assert_consistent(&cache);
}

fn an_evicted_neighbour_in_use_is_told_of<F: Hosts>() {
    let mut cache = NeighborCache::<F>::new(1);
    cache.heard(s(0), peer::<F>(), MAC, Evidence::Asked);
    cache.want(s(0), peer::<F>());
    cache.next_change();
    cache.heard(s(0), F::host(1), MAC, Evidence::Asked);
    let gone = cache.next_change().unwrap();
    assert_eq!((gone.addr, gone.now), (peer::<F>(), Standing::Gone));
}

/// What must hold of the indices whatever happened.
fn assert_consistent<F: Family>(cache: &NeighborCache<F>) {
    let deadlines = cache.entries.iter().filter_map(|(a, e)| Some((e.deadline()?, *a)));
    assert_eq!(cache.deadlines, deadlines.collect());
    let victims = cache.entries.iter().filter_map(|(a, e)| e.rank().map(|(r, at)| (r, at, *a)));
    assert_eq!(cache.victims, victims.collect());
    assert_eq!(cache.unresolved, cache.entries.values().filter(|e| e.is_unresolved()).count());
}

/// Something that happens to a cache: what, to which host, with which Ethernet address, after how many milliseconds.
type Event = (u8, u32, u8, u64);

fn survive<F: Hosts>(size: usize, events: &[Event]) -> Result<(), proptest::test_runner::TestCaseError> {
    let mut cache = NeighborCache::<F>::new(size * 4);
    let (mut now, mut last) = (Instant::ZERO, BTreeMap::<F::Addr, Instant>::new());
    for (event, n, mac, pause) in events.iter().copied() {
        now += Duration::from_millis(pause);
        let (addr, mac) = (F::host(n), MacAddr([2, 0, 0, 0, 0, mac]));
        let said = |bits: u8| Advertised {
            solicited: bits & 1 != 0,
            override_flag: bits & 2 != 0,
            router: bits & 4 != 0,
        };
        match event {
            0 | 1 => drop(cache.want(now, addr)),
            2 => drop(cache.heard(now, addr, mac, Evidence::Asked)),
            3 => drop(cache.heard(now, addr, mac, Evidence::Answered)),
            4 => drop(cache.heard(now, addr, mac, Evidence::Overheard)),
            5 => cache.used(now, addr),
            6 if n == 0 => cache.keep(now, addr),
            7 if n == 0 => cache.release(addr),
            8..16 => drop(cache.advertised(now, addr, (pause % 2 == 0).then_some(mac), said(event))),
            _ => {}
        }
        for request in ask(&mut cache, now) {
            // A08, RFC 1122 2.3.2.1; with no eviction, of which nothing is remembered.
            if let Some(before) = last.insert(request.addr, now)
                && size * 4 > 12
            {
                proptest::prop_assert!(now.since(before) >= Duration::from_secs(1));
            }
        }
        while cache.next_change().is_some() {}
        assert_consistent(&cache);
        proptest::prop_assert!(cache.entries.len() <= size * 4 + 1);
        proptest::prop_assert!(cache.poll_timeout().is_none_or(|at| at > now));
    }
    Ok(())
}

proptest::proptest! {
    #[test]
    fn the_indices_agree_with_the_entries_whatever_happens(
        size in 1usize..5,
        events in proptest::collection::vec((0u8..16, 0u32..12, 0u8..3, 0u64..4000), 1..200)
    ) {
        survive::<V4>(size, &events)?;
        survive::<V6>(size, &events)?;
    }
}
