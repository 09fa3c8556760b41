//! How much one source may be sent: a bucket of tokens for each, in a table of fixed size.
//!
//! Nothing is allocated after the start, and a lookup reads one set of [`WAYS`] places. Who is forgotten, and when, is
//! chosen so that a flood of made-up sources spends only what is set aside for strangers:
//!
//! - a source is *known* once it has come back after [`ACQUAINTANCE`], and keeps its place until it has been silent
//!   for [`SILENCE`];
//! - a stranger's place is given away only when its bucket is full again, since a new bucket then says the same;
//! - where no place is free, strangers share one bucket, so that no source is ever sent more than the limit.

use core::net::IpAddr;
use core::time::Duration;

use crate::time::Instant;

/// Places of one set: the sources whose hash leads there share them.
const WAYS: usize = 8;

/// Places of a set that known sources may hold: the others remain for strangers.
const KNOWN_WAYS: usize = 6;

/// Sets of a table; a power of two.
const SETS: usize = 512;

/// A source that comes back after so long is known.
const ACQUAINTANCE: Duration = Duration::from_secs(1);

/// A known source that was silent for so long may be forgotten.
const SILENCE: Duration = Duration::from_secs(60);

/// A bucket holds what one second adds to it.
const DEPTH: Duration = Duration::from_secs(1);

/// A bucket of tokens, as the moment at which it will be full again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Bucket {
    full_at: Instant,
}

impl Bucket {
    fn is_full(self, now: Instant) -> bool {
        self.full_at <= now
    }

    /// Takes a token, of which one is added every `interval`. False if there is none.
    fn take(&mut self, now: Instant, interval: Duration) -> bool {
        let full_at = self.full_at.max(now) + interval;
        let enough = full_at <= now + DEPTH;
        if enough {
            self.full_at = full_at;
        }
        enough
    }
}

/// One remembered source.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The hash of its address, all 64 bits of it: two IPv4 addresses never have one.
    who: u64,
    bucket: Bucket,
    since: Instant,
    seen: Instant,
}

impl Place {
    fn new(who: u64, now: Instant) -> Self {
        Self { who, bucket: Bucket::default(), since: now, seen: now }
    }

    /// Whether it has come back.
    fn is_known(&self) -> bool {
        self.seen.since(self.since) >= ACQUAINTANCE
    }

    /// Whether nothing is lost if it is forgotten.
    fn is_free(&self, now: Instant) -> bool {
        let silent_enough = !self.is_known() || now.since(self.seen) >= SILENCE;
        silent_enough && self.bucket.is_full(now)
    }
}

/// The sources whose hash leads to one place of the table.
#[derive(Clone, Debug, Default)]
struct Set {
    places: [Option<Place>; WAYS],
    strangers: Bucket,
}

impl Set {
    /// The bucket of the source `who`, to whose place this visit is noted.
    fn bucket(&mut self, now: Instant, who: u64) -> &mut Bucket {
        let known = self.places.iter().flatten().filter(|place| place.is_known()).count();
        let here = self.places.iter().position(|place| place.is_some_and(|place| place.who == who));
        let free = || self.places.iter().position(|place| place.is_none_or(|place| place.is_free(now)));
        let Some(place) = here.or_else(free).and_then(|at| self.places.get_mut(at)) else {
            return &mut self.strangers;
        };
        let newcomer = place.filter(|place| place.who == who).unwrap_or_else(|| Place::new(who, now));
        let place = place.insert(newcomer);
        // A set full of known sources makes no more: a stranger stays one, and starts anew.
        if !place.is_known() && known >= KNOWN_WAYS {
            place.since = now;
        }
        place.seen = now;
        &mut place.bucket
    }
}

/// A limit for each source.
#[derive(Clone, Debug)]
pub(super) struct SourceLimit {
    interval: Duration,
    seed: u64,
    sets: Box<[Set]>,
}

impl SourceLimit {
    /// At most `per_second` to each source, which is not 0; that many at once to one that was silent for a second.
    /// With a `seed` that nobody knows, nobody can choose whose place he takes.
    pub(super) fn new(per_second: u32, seed: u64) -> Self {
        let interval = Duration::from_nanos(1_000_000_000_u64.div_ceil(u64::from(per_second.max(1))));
        Self { interval, seed: seed | 1, sets: vec![Set::default(); SETS].into() }
    }

    /// Whether `source` may be sent one more now, which is counted then.
    // X05, RFC 8085 3: a token bucket a source, in bounded memory.
    pub(super) fn allows(&mut self, now: Instant, source: IpAddr) -> bool {
        let who = self.hash(source);
        let at = usize::try_from(who >> 32).unwrap_or_default() % SETS;
        let interval = self.interval;
        self.sets.get_mut(at).is_some_and(|set| set.bucket(now, who).take(now, interval))
    }

    /// One to one for IPv4 addresses: each step can be undone.
    fn hash(&self, source: IpAddr) -> u64 {
        let mix = |bits: u64| {
            let bits = (bits ^ bits >> 32).wrapping_mul(self.seed).rotate_left(29);
            (bits ^ bits >> 32).wrapping_mul(self.seed)
        };
        match source {
            IpAddr::V4(addr) => mix(u64::from(addr.to_bits()).wrapping_add(self.seed)),
            IpAddr::V6(addr) => {
                let [high, low] = [0, 1].map(|half| {
                    let bytes = addr.octets().chunks(8).nth(half).and_then(|b| b.try_into().ok());
                    u64::from_be_bytes(bytes.unwrap_or_default())
                });
                mix(mix(high.wrapping_add(self.seed)) ^ low)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use core::net::Ipv4Addr;
    use std::collections::HashSet;

    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

    fn ms(ms: u64) -> Instant {
        Instant::from_ns(ms * 1_000_000)
    }

    fn source(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0xc612_0000 | n))
    }

    fn made_up(rng: &mut Rng) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(rng.below(1 << 32)).unwrap()))
    }

    // X05, RFC 8085 3.
    #[test]
    fn a_source_gets_a_seconds_worth_at_once_and_then_its_rate() {
        let mut limit = SourceLimit::new(10, SEED);
        let mut sent = |range: core::ops::Range<u64>| {
            range.flat_map(|t| [ms(t); 3]).filter(|&now| limit.allows(now, source(1))).count()
        };
        assert_eq!(sent(5_000..5_001), 3);
        assert_eq!(sent(5_001..5_010), 7);
        assert_eq!(sent(5_010..15_010), 100);
    }

    // X05: what one source spends is nobody else's.
    #[test]
    fn sources_do_not_share() {
        let mut limit = SourceLimit::new(2, SEED);
        assert_eq!((0..100).filter(|_| limit.allows(ms(0), source(1))).count(), 2);
        assert!(limit.allows(ms(0), source(2)));
        assert!(limit.allows(ms(0), IpAddr::V6("2001:db8::1".parse().unwrap())));
        assert!(limit.allows(ms(0), IpAddr::V6("2001:db8::2".parse().unwrap())));
    }

    // X05: a million made-up sources, each once, while known ones go on.
    #[test]
    fn a_flood_of_strangers_does_not_starve_the_known() {
        let mut limit = SourceLimit::new(10, SEED);
        let mut rng = Rng::new(1);
        let known = 500;
        for n in 0..known {
            assert!(limit.allows(ms(0), source(n)) && limit.allows(ms(1_500), source(n)));
        }
        // Five seconds of flood, in which each known source speaks five times a second.
        for t in (2_000..7_000).step_by(200) {
            (0..40_000).for_each(|_| {
                limit.allows(ms(t), made_up(&mut rng));
            });
            for n in 0..known {
                assert!(limit.allows(ms(t), source(n)), "source {n} is refused at {t} ms");
            }
        }
    }

    // X05: nor does a flood that comes back again and again, and is known itself before long.
    #[test]
    fn a_flood_that_returns_does_not_displace_the_known() {
        let mut limit = SourceLimit::new(10, SEED);
        for n in 0..500 {
            assert!(limit.allows(ms(0), source(n)) && limit.allows(ms(1_500), source(n)));
        }
        for t in (2_000..32_000).step_by(1_000) {
            (1_000..40_000).for_each(|n| {
                limit.allows(ms(t), source(n));
            });
        }
        assert!((0..500).all(|n| limit.allows(ms(32_000), source(n))));
    }

    // X05: one victim, whose address is spoofed between those of a crowd that is to displace its bucket.
    #[test]
    fn a_crowd_does_not_refill_a_spent_bucket() {
        let mut limit = SourceLimit::new(10, SEED);
        let mut rng = Rng::new(2);
        let sent = (0..10_000u64)
            .filter(|t| {
                (0..100).for_each(|_| {
                    limit.allows(ms(*t), made_up(&mut rng));
                });
                limit.allows(ms(*t), source(7))
            })
            .count();
        assert!((90..=110).contains(&sent), "{sent}");
    }

    /// Strangers are served while there is room, and after a flood again.
    #[test]
    fn strangers_find_room_after_a_flood() {
        let mut limit = SourceLimit::new(10, SEED);
        (0..1_000_000).for_each(|n| {
            limit.allows(ms(n / 1_000), source(u32::try_from(n).unwrap()));
        });
        let served = (0..1_000).filter(|n| limit.allows(ms(3_000), source(0x10_0000 + n))).count();
        assert_eq!(served, 1_000);
    }

    /// Known sources that fell silent give way.
    #[test]
    fn a_silent_source_is_forgotten() {
        let mut limit = SourceLimit::new(10, SEED);
        for t in [0, 1_500] {
            (0..100_000).for_each(|n| {
                limit.allows(ms(t), source(n));
            });
        }
        let known = |limit: &SourceLimit| {
            let places = limit.sets.iter().flat_map(|set| set.places.iter().flatten());
            places.filter(|place| place.is_known()).map(|place| place.who).collect::<HashSet<_>>()
        };
        let before = known(&limit);
        assert!(before.len() > 100 && before.len() <= SETS * KNOWN_WAYS, "{}", before.len());
        for t in [70_000, 71_500] {
            (200_000..300_000).for_each(|n| {
                limit.allows(ms(t), source(n));
            });
        }
        assert!(known(&limit).len() > 100 && known(&limit).is_disjoint(&before));
    }

    #[test]
    fn addresses_that_differ_have_hashes_that_differ() {
        let limit = SourceLimit::new(1, SEED);
        let hashes: HashSet<u64> = (0..100_000).map(|n| limit.hash(source(n))).collect();
        assert_eq!(hashes.len(), 100_000);
    }
}
