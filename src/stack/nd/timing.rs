//! How long a neighbour that answered is believed, and how often one is asked, by what routers say. RFC 4861 6.3.2, 6.3.4.

use core::time::Duration;

use crate::rng::Rng;
use crate::stack::neighbor::Timing;
use crate::time::Instant;

/// ReachableTime is chosen anew after so long, though nothing else was said. RFC 4861 6.3.4: at least every few hours.
const REDRAW: Duration = Duration::from_secs(2 * 60 * 60);

/// BaseReachableTime at most. RFC 4861 6.2.1: MAX_REACHABLE_TIME.
const BASE_REACHABLE_MAX: Duration = Duration::from_secs(60 * 60);

/// RetransTimer at least and at most: with less, a forged advertisement would make every question a flood, and with more no
/// neighbour could be found. Linux takes no less than 10 ms either.
const RETRANS_MIN: Duration = Duration::from_millis(10);
const RETRANS_MAX: Duration = Duration::from_secs(60);

/// The times of one link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkTiming {
    base_reachable: Duration,
    reachable: Duration,
    retransmit: Duration,
    redraw_at: Instant,
}

impl LinkTiming {
    /// The defaults of RFC 4861 10.
    #[must_use]
    pub fn new(now: Instant, rng: &mut Rng) -> Self {
        let Timing { reachable, retransmit, .. } = Timing::NDP;
        let mut timing = Self { base_reachable: reachable, reachable, retransmit, redraw_at: now };
        timing.draw(now, rng);
        timing
    }

    /// A router said these times; `None`: nothing of one. True if that changes anything.
    // RFC 4861 6.3.4: ReachableTime is chosen anew if the base has changed, not at every advertisement.
    pub fn advertised(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        reachable: Option<Duration>,
        retransmit: Option<Duration>,
    ) -> bool {
        let before = *self;
        if let Some(retransmit) = retransmit {
            self.retransmit = retransmit.clamp(RETRANS_MIN, RETRANS_MAX);
        }
        if let Some(base) = reachable.map(|base| base.min(BASE_REACHABLE_MAX))
            && base != self.base_reachable
        {
            self.base_reachable = base;
            self.draw(now, rng);
        }
        *self != before
    }

    /// Chooses ReachableTime anew if that is due. True if so.
    pub fn poll(&mut self, now: Instant, rng: &mut Rng) -> bool {
        let due = self.redraw_at <= now;
        if due {
            self.draw(now, rng);
        }
        due
    }

    /// When [`poll`](Self::poll) has something to do.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.redraw_at
    }

    /// The time between two questions. RFC 4861 6.3.2: RetransTimer.
    #[must_use]
    pub const fn retransmit(&self) -> Duration {
        self.retransmit
    }

    /// What the neighbour cache goes by.
    #[must_use]
    pub fn timing(&self) -> Timing {
        Timing { reachable: self.reachable, retransmit: self.retransmit, ..Timing::NDP }
    }

    /// RFC 4861 6.3.2, 10: uniformly between MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR, 0.5 and 1.5, of the base.
    fn draw(&mut self, now: Instant, rng: &mut Rng) {
        self.reachable = self.base_reachable / 2 + rng.delay(self.base_reachable);
        self.redraw_at = now + REDRAW;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    // RFC 4861 6.3.2, 6.3.4.
    #[test]
    fn reachable_time_is_chosen_around_what_routers_say() {
        let mut rng = Rng::new(1);
        let draws: Vec<_> = (0..1000).map(|_| LinkTiming::new(s(0), &mut rng).timing().reachable).collect();
        let (least, most) = (*draws.iter().min().unwrap(), *draws.iter().max().unwrap());
        assert!(least >= Duration::from_secs(15) && least < Duration::from_secs(16), "{least:?}");
        assert!(most <= Duration::from_secs(45) && most > Duration::from_secs(44), "{most:?}");

        let mut timing = LinkTiming::new(s(0), &mut rng);
        let ten = Some(Duration::from_secs(10));
        assert!(timing.advertised(s(1), &mut rng, ten, None));
        let chosen = timing.timing().reachable;
        assert!(chosen >= Duration::from_secs(5) && chosen <= Duration::from_secs(15));
        assert!(!timing.advertised(s(2), &mut rng, ten, None) && timing.timing().reachable == chosen);
        assert!(!timing.advertised(s(2), &mut rng, None, None), "0 says nothing");
        // "at least once every few hours"
        assert!(!timing.poll(s(3600), &mut rng));
        assert_eq!(timing.poll_timeout(), s(7201));
        assert!(timing.poll(s(7201), &mut rng) && timing.timing().reachable != chosen);
    }

    // RFC 4861 6.3.4: RetransTimer; within reason.
    #[test]
    fn retrans_timer_is_what_routers_say_within_reason() {
        let mut rng = Rng::new(1);
        let mut timing = LinkTiming::new(s(0), &mut rng);
        assert_eq!(timing.retransmit(), Duration::from_secs(1));
        for (said_ms, ms) in [(250, 250), (1, 10), (u64::from(u32::MAX), 60_000), (2000, 2000)] {
            assert!(timing.advertised(s(0), &mut rng, None, Some(Duration::from_millis(said_ms))));
            assert_eq!(timing.timing().retransmit, Duration::from_millis(ms));
        }
        timing.advertised(s(0), &mut rng, Some(Duration::from_secs(7200)), None);
        assert!(timing.timing().reachable <= Duration::from_secs(5400), "MAX_REACHABLE_TIME");
    }
}
