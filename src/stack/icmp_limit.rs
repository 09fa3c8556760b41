//! How many ICMP errors may leave: a bucket for each destination, and two for all of them.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;

/// How fast a bucket of tokens fills, and how much it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Billionths of a token a second.
    per_second: u64,
    /// Tokens that it holds at most.
    burst: u32,
}

/// A token, in billionths.
const TOKEN: u64 = 1_000_000_000;

impl Rate {
    /// `per_second` tokens a second, and `burst` at once.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second as u64 * TOKEN, burst }
    }

    /// One of `of` equal parts, the one with number `index`: together they are no more than the whole.
    fn part(self, index: u32, of: u32) -> Self {
        let of = of.max(1);
        let burst = self.burst / of + u32::from(index < self.burst % of);
        Self { per_second: self.per_second / u64::from(of), burst }
    }

    /// What is left of `self` behind `other`, a part of it.
    const fn minus(self, other: Self) -> Self {
        Self { per_second: self.per_second - other.per_second, burst: self.burst - other.burst }
    }
}

/// A bucket of tokens, filled at a fixed rate.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// In billionths of a token.
    nano_tokens: u64,
    filled_at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub const fn full(now: Instant, rate: Rate) -> Self {
        Self { nano_tokens: rate.burst as u64 * TOKEN, filled_at: now }
    }

    /// Fills it at `rate`, and tells whether there is a token in it.
    fn has(&mut self, now: Instant, rate: Rate) -> bool {
        let elapsed = u128::from(now.ns().saturating_sub(self.filled_at.ns()));
        let gained = elapsed * u128::from(rate.per_second) / u128::from(TOKEN);
        let gained = u64::try_from(gained).unwrap_or(u64::MAX);
        // What is too little for a billionth of a token is not lost: it is waited for.
        if gained > 0 {
            self.nano_tokens = self.nano_tokens.saturating_add(gained);
            self.filled_at = now;
        }
        self.nano_tokens = self.nano_tokens.min(u64::from(rate.burst) * TOKEN);
        self.nano_tokens >= TOKEN
    }

    /// Takes a token from a bucket that fills at `rate`. False if there is none.
    pub fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let enough = self.has(now, rate);
        if enough {
            self.nano_tokens -= TOKEN;
        }
        enough
    }
}

/// On whose account an error to `peer` goes: the address, or the /64 that it is in.
// K04, RFC 4443 2.4(f): whoever has an IPv6 prefix behind a router has every address in it, and would have as many buckets.
// On our own link each host has one: there a /64 is all of our neighbours, and the limit for all of them is what holds made-up
// ones. (Linux has one bucket for each address, and more tokens for wider routes.)
#[must_use]
pub const fn account(peer: IpAddr, is_on_link: bool) -> IpAddr {
    match peer {
        IpAddr::V6(addr) if !is_on_link => IpAddr::V6(Ipv6Addr::from_bits(addr.to_bits() >> 64 << 64)),
        _ => peer,
    }
}

/// How many errors may leave. The default is Linux's: `icmp_msgs_per_sec`, `icmp_msgs_burst`, `icmp_ratelimit`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpRates {
    /// To all destinations together.
    pub global: Rate,
    /// To one destination.
    pub peer: Rate,
}

impl Default for IcmpRates {
    fn default() -> Self {
        Self { global: Rate::new(1000, 50), peer: Rate::new(1, 6) }
    }
}

impl IcmpRates {
    /// The part of worker number `index` of `of`. Together they send no more than a host with these rates would, to all
    /// and to each. One error at once to a destination is granted to every worker: which of them meets a packet is the
    /// device's choice.
    #[must_use]
    pub fn share(self, index: u32, of: u32) -> Self {
        let mut peer = self.peer.part(index, of);
        peer.burst = peer.burst.max(self.peer.burst.min(1));
        Self { global: self.global.part(index, of), peer }
    }
}

/// Places for destinations in one set: a destination has one of these or none.
const WAYS: usize = 4;

/// Sets.
const SETS: usize = 128;

/// How long a destination that asks for nothing keeps its place.
const IDLE: Duration = Duration::from_secs(10);

/// How long a destination must have had its place to be known.
const ACQUAINTANCE: Duration = Duration::from_secs(1);

/// A destination with a bucket of its own.
#[derive(Clone, Copy, Debug)]
struct Peer {
    addr: IpAddr,
    bucket: TokenBucket,
    since: Instant,
    last: Instant,
}

/// Destinations that hash alike.
#[derive(Clone, Copy, Debug)]
struct Set {
    peers: [Option<Peer>; WAYS],
    /// The bucket of those that found no place, together.
    crowd: TokenBucket,
}

/// Whether a destination was there before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Known,
    Stranger,
}

/// The limiter of ICMP errors, of both IP versions together, as Linux's. C05, RFC 1812 4.3.2.8; K04, RFC 4443 2.4(f): token
/// buckets.
///
/// A destination's own bucket is asked first, so that one host which provokes errors spends its own share and not
/// everyone's. Half of what all may have together is set aside for destinations that asked before and have kept their
/// place since: a crowd of made-up addresses spends the other half, however large it is. A place is lost by silence, never
/// to a newcomer.
///
/// The shared buckets lose a token at random moments (CVE-2020-25705): whoever counts what is left in them to learn which
/// ports are open counts noise.
#[derive(Clone, Debug)]
pub struct IcmpLimit {
    peer_rate: Rate,
    common_rate: Rate,
    reserve_rate: Rate,
    common: TokenBucket,
    reserve: TokenBucket,
    sets: Box<[Set; SETS]>,
    seed: u64,
}

impl IcmpLimit {
    /// A limiter with full buckets.
    #[must_use]
    pub fn new(now: Instant, rng: &mut Rng, rates: IcmpRates) -> Self {
        let IcmpRates { global, peer } = rates;
        let reserve_rate = global.part(1, 2);
        let common_rate = global.minus(reserve_rate);
        let set = Set { peers: [None; WAYS], crowd: TokenBucket::full(now, peer) };
        Self {
            peer_rate: peer,
            common_rate,
            reserve_rate,
            common: TokenBucket::full(now, common_rate),
            reserve: TokenBucket::full(now, reserve_rate),
            sets: Box::new([set; SETS]),
            seed: rng.u64() | 1,
        }
    }

    /// Whether an error may go to `dst`, an [`account`], now. A token is taken from its own bucket and a shared one, or from neither.
    pub fn allows(&mut self, now: Instant, rng: &mut Rng, dst: IpAddr) -> bool {
        let Self { peer_rate, common_rate, reserve_rate, common, reserve, sets, seed } = self;
        let Some(set) = sets.get_mut(set_of(dst, *seed)) else { return false };
        let (bucket, standing) = set.bucket_of(now, dst, *peer_rate);
        let granted = bucket.has(now, *peer_rate)
            && (take_blurred(common, now, *common_rate, rng)
                || standing == Standing::Known && take_blurred(reserve, now, *reserve_rate, rng));
        granted && bucket.take(now, *peer_rate)
    }
}

impl Set {
    /// The bucket of `dst`, or of those without a place.
    fn bucket_of(&mut self, now: Instant, dst: IpAddr, rate: Rate) -> (&mut TokenBucket, Standing) {
        let Self { peers, crowd } = self;
        let taken = peers.iter().position(|p| p.is_some_and(|p| p.addr == dst));
        let free = || peers.iter().position(|p| p.is_none_or(|p| now.since(p.last) >= IDLE));
        let Some(place) = taken.or_else(free).and_then(|at| peers.get_mut(at)) else {
            return (crowd, Standing::Stranger);
        };
        let newcomer = Peer { addr: dst, bucket: TokenBucket::full(now, rate), since: now, last: now };
        if taken.is_none() {
            *place = None;
        }
        let peer = place.get_or_insert(newcomer);
        peer.last = now;
        let known = now.since(peer.since) >= ACQUAINTANCE;
        (&mut peer.bucket, if known { Standing::Known } else { Standing::Stranger })
    }
}

/// Takes a token, and now and then one more.
fn take_blurred(bucket: &mut TokenBucket, now: Instant, rate: Rate, rng: &mut Rng) -> bool {
    if rng.one_in(8) {
        bucket.take(now, rate);
    }
    bucket.take(now, rate)
}

/// The set of `dst`, which an outsider cannot foretell.
fn set_of(dst: IpAddr, seed: u64) -> usize {
    let halves = match dst {
        IpAddr::V4(addr) => [0, u64::from(addr.to_bits())],
        IpAddr::V6(addr) => [addr.to_bits() >> 64, addr.to_bits() & u128::from(u64::MAX)]
            .map(|half| u64::try_from(half).unwrap_or_default()),
    };
    let mix = |mixed: u64| (mixed ^ mixed >> 32).wrapping_mul(seed);
    let mixed =
        halves.into_iter().fold(seed, |mixed, half| mix((mixed ^ half).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    usize::try_from(mixed >> 32).unwrap_or_default() % SETS
}

#[cfg(test)]
mod tests;
