//! How many ICMP errors may leave: one bucket for all, and one for each destination.

use core::net::Ipv4Addr;
use core::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;

/// A bucket of tokens, filled at a fixed rate.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// In billionths of a token.
    nano_tokens: u64,
    filled_at: Instant,
}

/// A token, in billionths.
const TOKEN: u64 = 1_000_000_000;

impl TokenBucket {
    /// A bucket that holds `burst` tokens.
    #[must_use]
    pub const fn full(now: Instant, burst: u32) -> Self {
        Self { nano_tokens: burst as u64 * TOKEN, filled_at: now }
    }

    /// Takes a token from a bucket that gains `rate` tokens a second and holds at most `burst`. False if there is none.
    pub fn take(&mut self, now: Instant, rate: u32, burst: u32) -> bool {
        let elapsed = now.ns().saturating_sub(self.filled_at.ns());
        let gained = elapsed.saturating_mul(u64::from(rate));
        self.nano_tokens = self.nano_tokens.saturating_add(gained).min(u64::from(burst) * TOKEN);
        self.filled_at = now;
        let enough = self.nano_tokens >= TOKEN;
        if enough {
            self.nano_tokens -= TOKEN;
        }
        enough
    }
}

/// All destinations together: errors a second, and in a burst. As Linux.
const GLOBAL_RATE: u32 = 1000;
const GLOBAL_BURST: u32 = 50;

/// One destination: errors a second, and in a burst. As Linux.
const PEER_RATE: u32 = 1;
const PEER_BURST: u32 = 6;

/// Destinations remembered at once.
const PEERS: usize = 256;

/// A bucket for each of the last destinations that hashed to it.
#[derive(Clone, Copy, Debug)]
struct Peer {
    addr: Ipv4Addr,
    bucket: TokenBucket,
}

/// The limiter of ICMP errors. C05, RFC 1812 4.3.2.8.
///
/// A destination's own bucket is asked first, so that one host which provokes errors spends its own share and not
/// everyone's. The shared bucket takes back a token at random moments (CVE-2020-25705): whoever counts what is left in
/// it to learn which ports are open counts noise.
#[derive(Clone, Debug)]
pub struct IcmpLimit {
    global: TokenBucket,
    peers: Box<[Option<Peer>; PEERS]>,
    seed: u64,
}

impl IcmpLimit {
    /// A limiter with full buckets.
    #[must_use]
    pub fn new(now: Instant, rng: &mut Rng) -> Self {
        Self {
            global: TokenBucket::full(now, GLOBAL_BURST),
            peers: Box::new([None; PEERS]),
            seed: rng.u64() | 1,
        }
    }

    /// Whether an error may go to `dst` now.
    pub fn allows(&mut self, now: Instant, rng: &mut Rng, dst: Ipv4Addr) -> bool {
        if !self.peer(now, dst).take(now, PEER_RATE, PEER_BURST) {
            return false;
        }
        if rng.one_in(8) {
            self.global.take(now, GLOBAL_RATE, GLOBAL_BURST);
        }
        self.global.take(now, GLOBAL_RATE, GLOBAL_BURST)
    }

    /// The bucket of `dst`. A newcomer takes the place of whoever hashed there before, unless that one has spoken
    /// within the last second: then they share, and a spoofed crowd cannot refill a spent bucket.
    fn peer(&mut self, now: Instant, dst: Ipv4Addr) -> &mut TokenBucket {
        let hash = u64::from(dst.to_bits()).wrapping_mul(self.seed).rotate_left(20).wrapping_mul(self.seed);
        let slot = usize::try_from(hash >> 56).unwrap_or_default() % PEERS;
        // NOTE(index): slot is taken modulo the length of the table.
        let place = &mut self.peers[slot];
        let newcomer = Peer { addr: dst, bucket: TokenBucket::full(now, PEER_BURST) };
        let peer = place.get_or_insert(newcomer);
        if peer.addr != dst && now.since(peer.bucket.filled_at) >= Duration::from_secs(1) {
            *peer = newcomer;
        }
        &mut peer.bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

    fn ms(ms: u64) -> Instant {
        Instant::from_ns(ms * 1_000_000)
    }

    // C05, RFC 1812 4.3.2.8.
    #[test]
    fn one_destination_gets_six_at_once_and_then_one_a_second() {
        let mut rng = Rng::new(1);
        let mut limit = IcmpLimit::new(ms(0), &mut rng);
        let sent = (0..10_000).filter(|_| limit.allows(ms(0), &mut rng, PEER)).count();
        assert_eq!(sent, 6);
        let sent = (0..10_000u64).filter(|i| limit.allows(ms(i + 1), &mut rng, PEER)).count();
        assert_eq!(sent, 10);
    }

    // C05: who provokes errors spends its own share.
    #[test]
    fn one_host_cannot_starve_another() {
        let mut rng = Rng::new(2);
        let mut limit = IcmpLimit::new(ms(0), &mut rng);
        for _ in 0..10_000 {
            limit.allows(ms(0), &mut rng, PEER);
        }
        assert!(limit.allows(ms(0), &mut rng, Ipv4Addr::new(198, 18, 0, 77)));
    }

    // C05: many hosts together are held to the rate for all.
    #[test]
    fn all_destinations_together_are_limited() {
        let mut rng = Rng::new(3);
        let mut limit = IcmpLimit::new(ms(0), &mut rng);
        let sent = (0..100_000u32)
            .filter(|i| limit.allows(ms(0), &mut rng, Ipv4Addr::from_bits(0x0a00_0000 + i)))
            .count();
        assert!((20..=50).contains(&sent), "{sent}");
    }

    // CVE-2020-25705: the shared bucket must not count exactly.
    #[test]
    fn what_is_left_for_all_is_not_a_fixed_number() {
        let count = |seed| {
            let mut rng = Rng::new(seed);
            let mut limit = IcmpLimit::new(ms(0), &mut rng);
            (0..1000u32)
                .filter(|i| limit.allows(ms(0), &mut rng, Ipv4Addr::from_bits(0x0a00_0000 + i)))
                .count()
        };
        let counts: std::collections::BTreeSet<usize> = (0..20).map(count).collect();
        assert!(counts.len() > 3, "{counts:?}");
    }
}
