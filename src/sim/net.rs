//! The link: what one station sends, every other station hears, later, perhaps twice, or not at all.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;

use crate::rng::Rng;
use crate::time::Instant;

/// How a link treats the frames on it. Each copy to each station is treated for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkOptions {
    /// How long a frame takes.
    pub delay: Duration,
    /// How much longer it may take. The order is kept.
    pub jitter: Duration,
    /// How many of a thousand frames are lost.
    pub loss_per_mille: u16,
    /// How many of a thousand arrive twice.
    pub duplicate_per_mille: u16,
    /// How many of a thousand are held back by up to [`reorder_delay`](Self::reorder_delay), so that later ones pass them.
    pub reorder_per_mille: u16,
    /// The longest that a frame is held back.
    pub reorder_delay: Duration,
}

impl LinkOptions {
    /// A link that loses nothing and takes ten microseconds.
    pub const PERFECT: Self = Self {
        delay: Duration::from_micros(10),
        jitter: Duration::ZERO,
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        reorder_per_mille: 0,
        reorder_delay: Duration::ZERO,
    };

    /// A link that loses, doubles and reorders a tenth each.
    pub const BAD: Self = Self {
        delay: Duration::from_micros(100),
        jitter: Duration::from_micros(400),
        loss_per_mille: 100,
        duplicate_per_mille: 100,
        reorder_per_mille: 100,
        reorder_delay: Duration::from_millis(20),
    };
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self::PERFECT
    }
}

/// One station on the link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StationId(usize);

/// What the link did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkStats {
    /// Copies that should have arrived: one for every other station, for every frame.
    pub sent: u64,
    /// Copies that never will.
    pub lost: u64,
    /// Copies that arrive once more.
    pub duplicated: u64,
    /// Copies that were held back.
    pub held_back: u64,
    /// Copies that have arrived.
    pub delivered: u64,
}

/// A copy of a frame on its way: the earliest first, those of one moment in the order of sending.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct InFlight {
    at: Instant,
    seq: u64,
    to: StationId,
    frame: Vec<u8>,
}

/// The link.
#[derive(Debug)]
pub struct Net {
    options: LinkOptions,
    rng: Rng,
    /// The latest arrival of an orderly copy, a station.
    stations: Vec<Instant>,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    seq: u64,
    stats: LinkStats,
}

impl Net {
    /// A link without stations. What it does to frames follows from `rng`.
    #[must_use]
    pub fn new(options: LinkOptions, rng: Rng) -> Self {
        let stats = LinkStats::default();
        Self { options, rng, stations: Vec::new(), in_flight: BinaryHeap::new(), seq: 0, stats }
    }

    /// Connects one more station.
    pub fn attach(&mut self) -> StationId {
        self.stations.push(Instant::ZERO);
        StationId(self.stations.len() - 1)
    }

    /// Treats frames differently from now on; those on their way are not touched.
    pub fn set_options(&mut self, options: LinkOptions) {
        self.options = options;
    }

    /// A station sends a frame to all others.
    pub fn send(&mut self, now: Instant, from: StationId, frame: &[u8]) {
        for to in (0..self.stations.len()).map(StationId).filter(|&to| to != from) {
            self.stats.sent += 1;
            if self.chance(self.options.loss_per_mille) {
                self.stats.lost += 1;
                continue;
            }
            self.launch(now, to, frame);
            if self.chance(self.options.duplicate_per_mille) {
                self.stats.duplicated += 1;
                self.launch(now, to, frame);
            }
        }
    }

    fn chance(&mut self, per_mille: u16) -> bool {
        self.rng.below(1000) < u64::from(per_mille)
    }

    fn launch(&mut self, now: Instant, to: StationId, frame: &[u8]) {
        let mut at = now + self.options.delay + self.rng.delay(self.options.jitter);
        let held_back = self.chance(self.options.reorder_per_mille);
        let Some(latest) = self.stations.get_mut(to.0) else { return };
        if held_back {
            self.stats.held_back += 1;
            at += self.rng.delay(self.options.reorder_delay);
        } else {
            at = at.max(*latest);
            *latest = at;
        }
        self.seq += 1;
        self.in_flight.push(Reverse(InFlight { at, seq: self.seq, to, frame: frame.to_vec() }));
    }

    /// When the next frame arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(next)| next.at)
    }

    /// The next frame that has arrived by `now`, and where.
    pub fn arrive(&mut self, now: Instant) -> Option<(StationId, Vec<u8>)> {
        self.next_arrival().filter(|&at| at <= now)?;
        let Reverse(InFlight { to, frame, .. }) = self.in_flight.pop()?;
        self.stats.delivered += 1;
        Some((to, frame))
    }

    /// Frames on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What the link did.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Instant = Instant::from_ns(u64::MAX);

    /// The numbers of the frames as they arrive at the second of two stations, of `n` sent a microsecond apart.
    fn arrivals(options: LinkOptions, seed: u64, n: u8) -> (Vec<u8>, LinkStats) {
        let mut net = Net::new(options, Rng::new(seed));
        let (a, b) = (net.attach(), net.attach());
        for i in 0..n {
            net.send(Instant::from_ns(u64::from(i) * 1000), a, &[i]);
        }
        let mut arrived = Vec::new();
        while let Some((to, frame)) = net.arrive(LATER) {
            assert_eq!(to, b);
            arrived.extend(frame);
        }
        (arrived, net.stats())
    }

    #[test]
    fn a_perfect_link_delivers_all_in_order_after_its_delay() {
        let mut net = Net::new(LinkOptions::PERFECT, Rng::new(1));
        let [a, b, c] = [(); 3].map(|()| net.attach());
        net.send(Instant::ZERO, b, b"hello");
        assert_eq!(net.next_arrival(), Some(Instant::from_ns(10_000)));
        assert_eq!(net.arrive(Instant::from_ns(9_999)), None);
        assert_eq!(net.arrive(Instant::from_ns(10_000)), Some((a, b"hello".to_vec())));
        assert_eq!(net.arrive(LATER), Some((c, b"hello".to_vec())));
        assert_eq!((net.arrive(LATER), net.in_flight()), (None, 0));
        assert_eq!(arrivals(LinkOptions::PERFECT, 2, 100).0, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn jitter_alone_keeps_the_order() {
        let options = LinkOptions { jitter: Duration::from_millis(1), ..LinkOptions::PERFECT };
        assert!(arrivals(options, 3, 200).0.is_sorted());
    }

    #[test]
    fn a_bad_link_loses_doubles_and_reorders_what_it_says() {
        let (arrived, stats) = arrivals(LinkOptions::BAD, 4, 250);
        assert_eq!(stats.sent, 250);
        assert_eq!(stats.delivered, stats.sent - stats.lost + stats.duplicated);
        assert_eq!(stats.delivered, arrived.len() as u64);
        for count in [stats.lost, stats.duplicated, stats.held_back] {
            assert!((5..60).contains(&count), "{stats:?}");
        }
        assert!(!arrived.is_sorted());
    }

    #[test]
    fn all_follows_from_the_seed() {
        assert_eq!(arrivals(LinkOptions::BAD, 5, 200), arrivals(LinkOptions::BAD, 5, 200));
        assert_ne!(arrivals(LinkOptions::BAD, 5, 200).0, arrivals(LinkOptions::BAD, 6, 200).0);
    }
}
