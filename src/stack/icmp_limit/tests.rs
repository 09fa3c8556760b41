//! The limiter: from RFC 1812 4.3.2.8, Linux's numbers, and what an attacker may try.

use super::*;
use core::net::Ipv4Addr;
use std::collections::BTreeSet;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1));

fn ms(ms: u64) -> Instant {
    Instant::from_ns(ms * 1_000_000)
}

fn limiter(seed: u64) -> (IcmpLimit, Rng) {
    let mut rng = Rng::new(seed);
    let limit = IcmpLimit::new(ms(0), &mut rng, IcmpRates::default());
    (limit, rng)
}

fn stranger(number: u64) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 | u32::try_from(number % (1 << 24)).unwrap()).into()
}

// C05, RFC 1812 4.3.2.8.
#[test]
fn one_destination_gets_six_at_once_and_then_one_a_second() {
    let (mut limit, mut rng) = limiter(1);
    let sent = (0..10_000).filter(|_| limit.allows(ms(0), &mut rng, PEER)).count();
    assert_eq!(sent, 6);
    let sent = (0..10_000u64).filter(|i| limit.allows(ms(i + 1), &mut rng, PEER)).count();
    assert_eq!(sent, 10);
}

// C05: who provokes errors spends its own share.
#[test]
fn one_host_cannot_starve_another() {
    let (mut limit, mut rng) = limiter(2);
    for _ in 0..10_000 {
        limit.allows(ms(0), &mut rng, PEER);
    }
    assert!(limit.allows(ms(0), &mut rng, Ipv4Addr::new(198, 18, 0, 77).into()));
}

// C05: many hosts together are held to the rate for all.
#[test]
fn all_destinations_together_are_limited() {
    let (mut limit, mut rng) = limiter(3);
    let burst = (0..100_000).filter(|i| limit.allows(ms(0), &mut rng, stranger(*i))).count();
    assert!((10..=50).contains(&burst), "{burst}");
    let (mut limit, mut rng) = limiter(3);
    let sent = (0..1_000_000).filter(|i| limit.allows(ms(i / 100), &mut rng, stranger(*i))).count();
    assert!((1_200..=10_050).contains(&sent), "{sent} in ten seconds");
}

/// How many of its 30 questions, one a second, an honest host gets answered, while `flood` a millisecond come from as many
/// sources as there are `sources`. The flood begins three seconds after the honest host.
fn honest_share(flood: u64, sources: u64) -> (usize, usize) {
    let (mut limit, mut rng) = limiter(4);
    let (mut honest, mut total) = (0, 0);
    let mut number = 0u64;
    for t in 0..30_000u64 {
        if t % 1000 == 500 {
            honest += usize::from(limit.allows(ms(t), &mut rng, PEER));
        }
        if t >= 3_000 {
            for _ in 0..flood {
                number += 1;
                let spoofed = number.wrapping_mul(0x9e37_79b9) % sources;
                total += usize::from(limit.allows(ms(t), &mut rng, stranger(spoofed)));
            }
        }
    }
    (honest, total)
}

// C05: a crowd of made-up sources cannot starve a host that was there before it, whether they come back or not.
#[test]
fn spoofed_sources_cannot_starve_an_honest_host() {
    for (flood, sources) in [(100, 1 << 24), (100, 100_000), (100, 2_000), (100, 500), (10, 50)] {
        let (honest, total) = honest_share(flood, sources);
        assert!(honest >= 24, "{honest} of 30 with {sources} sources");
        assert!(total <= 27_000 + 50, "{total}: the limit for all holds");
    }
}

// CVE-2020-25705: the shared bucket must not count exactly.
#[test]
fn what_is_left_for_all_is_not_a_fixed_number() {
    let count = |seed| {
        let (mut limit, mut rng) = limiter(seed);
        (0..1000).filter(|i| limit.allows(ms(0), &mut rng, stranger(*i))).count()
    };
    let counts: BTreeSet<usize> = (0..20).map(count).collect();
    assert!(counts.len() > 3, "{counts:?}");
}

/// Errors that `workers` send together in ten seconds, to `destinations` that ask at random workers.
fn together(workers: u32, destinations: u64) -> usize {
    let mut rng = Rng::new(u64::from(workers));
    let share = |index| IcmpLimit::new(ms(0), &mut Rng::new(9), IcmpRates::default().share(index, workers));
    let mut limits: Vec<IcmpLimit> = (0..workers).map(share).collect();
    (0..100_000u64)
        .filter(|i| {
            let worker = usize::try_from(rng.below(u64::from(workers))).unwrap();
            limits[worker].allows(ms(i / 10), &mut rng, stranger(i % destinations))
        })
        .count()
}

// C05: the limit is the host's: its workers share it.
#[test]
fn many_workers_together_send_no_more_than_one() {
    for workers in [1, 2, 3, 4, 7, 16] {
        let all = together(workers, 1 << 20);
        assert!(all <= 10_050, "{all} with {workers} workers");
        assert!(all >= 1_200, "{all} with {workers} workers");
        let one = together(workers, 1);
        assert!(one <= 16.max(10 + usize::try_from(workers).unwrap()), "{one} to one with {workers} workers");
        assert!(one >= 10, "{one} to one with {workers} workers");
    }
}

#[test]
fn the_parts_of_a_rate_are_the_whole() {
    for of in 1..70 {
        let parts = (0..of).map(|i| Rate::new(1000, 50).part(i, of));
        let (rate, burst) = parts.fold((0, 0), |(r, b), p| (r + p.per_second, b + p.burst));
        assert_eq!(burst, 50);
        assert!(rate <= 1000 * TOKEN && rate > 999 * TOKEN, "{of}: {rate}");
    }
    assert_eq!(Rate::new(5, 5).part(0, 0), Rate::new(5, 5));
}

// C05: a limit of nothing sends nothing, and a bucket asked very often gains all the same.
#[test]
fn rates_of_nothing_and_of_little_are_kept() {
    let mut rng = Rng::new(5);
    let none = IcmpRates { global: Rate::new(0, 0), peer: Rate::new(0, 0) };
    let mut limit = IcmpLimit::new(ms(0), &mut rng, none.share(0, 4));
    assert!(!(0..1000).any(|i| limit.allows(ms(i * 1000), &mut rng, stranger(i))));
    let slow = Rate::new(1, 1).part(0, 7);
    let mut bucket = TokenBucket::full(Instant::ZERO, slow);
    let taken = (0..10_000_000u64).filter(|i| bucket.take(Instant::from_ns(i * 7_000), slow)).count();
    assert_eq!(taken, 10, "one at once, and one in seven of the seventy seconds, the last not quite over");
}

fn v6(bits: u128) -> IpAddr {
    Ipv6Addr::from_bits((0x2001_0db8 << 96) + bits).into()
}

/// Errors that the hosts with these numbers get in ten seconds, asking a hundred times a second each.
fn sent_to(hosts: impl Fn(u64) -> IpAddr) -> usize {
    let (mut limit, mut rng) = limiter(6);
    (0..10_000).filter(|i| limit.allows(ms(*i), &mut rng, hosts(i % 10))).count()
}

// K04, RFC 4443 2.4(f): one bucket to a prefix behind a router, one to a host on the link.
#[test]
fn who_has_a_prefix_has_one_bucket() {
    let one = sent_to(|_| account(v6(1), false));
    assert_eq!(one, 6 + 9);
    assert_eq!(sent_to(|i| account(v6(u128::from(i)), false)), one, "ten addresses in one /64");
    assert!(sent_to(|i| account(v6(u128::from(i) << 64), false)) > 9 * one, "ten prefixes");
    assert!(sent_to(|i| account(v6(u128::from(i)), true)) > 9 * one, "ten hosts on the link");
    assert_eq!(account(PEER, false), PEER, "IPv4: by address");
}

// K04: whichever bits of an address differ, its neighbours are spread over all sets.
#[test]
fn addresses_of_ipv6_do_not_fall_into_one_set() {
    for shift in [0, 8, 32, 60, 64, 80] {
        let sets: BTreeSet<usize> =
            (0..1000u128).map(|i| set_of(v6(i << shift), 0x1234_5678_9abc_def1)).collect();
        assert!(sets.len() > SETS * 9 / 10, "{}: differing from bit {shift}", sets.len());
    }
}
