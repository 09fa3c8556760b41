//! The default router list (RFC 4861 5.1, 6.3.6; RFC 4191), and when routers are asked to show themselves (6.3.7).

use core::net::Ipv6Addr;
use core::time::Duration;

use crate::time::{Instant, earliest};
use crate::wire::ndisc::Preference;

/// Routers that are remembered at most.
pub const ROUTERS_MAX: usize = 16;

/// RFC 4861 10: RTR_SOLICITATION_INTERVAL, MAX_RTR_SOLICITATIONS.
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
const SOLICITATIONS_MAX: u8 = 3;

/// One default router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Router {
    /// Its link-local address.
    pub addr: Ipv6Addr,
    /// How much it wants to be used.
    pub preference: Preference,
    /// Until when it may be.
    pub until: Instant,
    /// Whether it answers, so far as is known: neighbour unreachability detection has not found otherwise.
    pub answers: bool,
}

/// The default routers that have advertised themselves.
#[derive(Clone, Debug, Default)]
pub struct Routers {
    list: Vec<Router>,
    /// Which one has its turn while none answers.
    turn: usize,
}

impl Routers {
    /// `addr` said that it is a default router for `lifetime`; zero: that it is none. True if that changes which there are.
    // N13, RFC 4861 6.3.4.
    pub fn advertised(
        &mut self,
        now: Instant,
        addr: Ipv6Addr,
        lifetime: Duration,
        preference: Preference,
    ) -> bool {
        let known = self.list.iter().position(|one| one.addr == addr);
        let until = now + lifetime;
        match known {
            Some(index) if lifetime.is_zero() => {
                self.list.remove(index);
                true
            }
            Some(index) => self.list.get_mut(index).is_some_and(|router| {
                let changed = router.preference != preference;
                (router.preference, router.until) = (preference, until);
                changed
            }),
            None if lifetime.is_zero() || self.list.len() >= ROUTERS_MAX => false,
            None => {
                self.list.push(Router { addr, preference, until, answers: true });
                true
            }
        }
    }

    /// `addr` is no router any more: its neighbour advertisements say so. True if it was one.
    // RFC 4861 7.3.3, 7.2.5.
    pub fn remove(&mut self, addr: Ipv6Addr) -> bool {
        let before = self.list.len();
        self.list.retain(|one| one.addr != addr);
        self.list.len() != before
    }

    /// Neighbour unreachability detection found that `addr` answers, or that it does not. True if that is news.
    // N11, RFC 4861 6.3.6, 7.3.3. While none answers, each that was found not to passes the turn on.
    pub fn found(&mut self, addr: Ipv6Addr, answers: bool) -> bool {
        if !answers && self.best().is_some_and(|best| best.addr == addr && !best.answers) {
            self.turn = self.turn.wrapping_add(1);
            return self.list.len() > 1;
        }
        let Some(router) = self.list.iter_mut().find(|one| one.addr == addr) else { return false };
        let changed = router.answers != answers;
        router.answers = answers;
        changed
    }

    /// Whether `addr` is one of them.
    #[must_use]
    pub fn contains(&self, addr: Ipv6Addr) -> bool {
        self.list.iter().any(|one| one.addr == addr)
    }

    /// The one to which packets go.
    // RFC 4861 6.3.6, RFC 4191 3.2: one that answers before one that does not, whatever they prefer; of those, the one that
    // prefers it most, and of equals the one heard of first. If none answers, each has its turn, so that all are asked.
    #[must_use]
    pub fn best(&self) -> Option<Router> {
        let answering = self.list.iter().filter(|one| one.answers);
        // The first of equals: `max_by_key` would take the last.
        let best = answering.rev().max_by_key(|one| one.preference);
        best.or_else(|| self.list.get(self.turn.checked_rem(self.list.len())?)).copied()
    }

    /// Forgets whose time is over. True if there was any.
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.list.len();
        self.list.retain(|one| one.until > now);
        self.list.len() != before
    }

    /// When [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.list.iter().map(|one| Some(one.until)).fold(None, earliest)
    }

    /// All of them, the first heard of first.
    pub fn iter(&self) -> impl Iterator<Item = Router> + '_ {
        self.list.iter().copied()
    }
}

/// When routers are asked to show themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Solicitor {
    asked: u8,
    next: Option<Instant>,
}

impl Solicitor {
    /// Asks from `at` on.
    // N12, RFC 4861 6.3.7: at most three times, four seconds apart.
    pub const fn start(&mut self, at: Instant) {
        (self.asked, self.next) = (0, Some(at));
    }

    /// A default router has shown itself, which is enough.
    // N12, RFC 4861 6.3.7: none more after the answer to the first; but one that comes unasked before it stops nothing, for it
    // may not say all.
    pub const fn answered(&mut self) {
        if self.asked > 0 {
            self.next = None;
        }
    }

    /// When [`poll`](Self::poll) has something to do.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Whether to ask now.
    pub fn poll(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|at| at <= now);
        if due {
            self.asked += 1;
            self.next = (self.asked < SOLICITATIONS_MAX).then(|| now + SOLICITATION_INTERVAL);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn ll(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn routers(preferences: &[(u16, Preference)]) -> Routers {
        let mut routers = Routers::default();
        for (n, preference) in preferences {
            assert!(routers.advertised(s(0), ll(*n), HOUR, *preference));
        }
        routers
    }

    // N13, RFC 4861 6.3.4: refreshed, shortened, and ended by a lifetime of zero or by its end.
    #[test]
    fn a_router_is_one_for_as_long_as_it_says() {
        let mut routers = routers(&[(1, Preference::Medium)]);
        assert!(!routers.advertised(s(10), ll(1), Duration::from_secs(30), Preference::Medium));
        assert_eq!(routers.poll_timeout(), Some(s(40)));
        assert!(!routers.expire(s(39)) && routers.contains(ll(1)));
        assert!(routers.expire(s(40)) && routers.best().is_none());
        assert!(routers.advertised(s(50), ll(1), HOUR, Preference::Medium));
        assert!(routers.advertised(s(51), ll(1), Duration::ZERO, Preference::Medium));
        assert!(!routers.advertised(s(52), ll(1), Duration::ZERO, Preference::Medium));
        assert!(routers.best().is_none() && routers.poll_timeout().is_none());
    }

    // RFC 4191 2.1, 3.2.
    #[test]
    fn the_most_preferred_is_used_and_of_equals_the_first() {
        use Preference::{High, Low, Medium};
        for (preferences, best) in [
            (&[(1, Medium), (2, Medium)][..], 1),
            (&[(1, Low), (2, Medium)], 2),
            (&[(1, Medium), (2, Low), (3, High), (4, High)], 3),
        ] {
            assert_eq!(routers(preferences).best().unwrap().addr, ll(best), "{preferences:?}");
        }
        let mut two = routers(&[(1, Medium), (2, Medium)]);
        assert!(two.advertised(s(1), ll(2), HOUR, High), "a change of preference is one");
        assert_eq!(two.best().unwrap().addr, ll(2));
    }

    // N11, RFC 4861 6.3.6: one that does not answer is passed over, and used again when it does.
    #[test]
    fn a_router_that_does_not_answer_is_passed_over_while_another_does() {
        let mut routers = routers(&[(1, Preference::High), (2, Preference::Low)]);
        assert!(routers.found(ll(1), false));
        assert_eq!(routers.best().unwrap().addr, ll(2));
        assert!(!routers.found(ll(1), false), "that is no news");
        assert!(routers.found(ll(1), true));
        assert_eq!(routers.best().unwrap().addr, ll(1));
        assert!(!routers.found(ll(9), false), "no router");
    }

    // RFC 4861 6.3.6: round robin, so that every one of them is asked in the end.
    #[test]
    fn while_none_answers_each_has_its_turn() {
        let mut routers = routers(&[(1, Preference::High), (2, Preference::Low), (3, Preference::Low)]);
        (1..=3).for_each(|n| assert!(routers.found(ll(n), false)));
        let mut turns = Vec::new();
        for _ in 0..6 {
            let turn = routers.best().unwrap().addr;
            turns.push(turn);
            assert!(routers.found(turn, false), "the next one has its turn");
        }
        assert_eq!(turns[..3], turns[3..]);
        turns.truncate(3);
        turns.sort();
        assert_eq!(turns, [ll(1), ll(2), ll(3)]);
        let mut only = Routers::default();
        only.advertised(s(0), ll(1), HOUR, Preference::Medium);
        only.found(ll(1), false);
        assert_eq!(only.best().unwrap().addr, ll(1), "better one that does not answer than none");
    }

    // N13: rogue routers take so much room and no more, and push none out that was there.
    #[test]
    fn there_is_room_for_so_many() {
        let mut routers = Routers::default();
        for n in 1..1000 {
            routers.advertised(s(0), ll(n), HOUR, Preference::Medium);
        }
        assert_eq!(routers.iter().count(), ROUTERS_MAX);
        assert_eq!(routers.best().unwrap().addr, ll(1));
        assert!(routers.remove(ll(1)) && !routers.remove(ll(1)) && !routers.contains(ll(1)));
    }

    // N12, RFC 4861 6.3.7.
    #[test]
    fn routers_are_asked_three_times_unless_one_answers() {
        let mut solicitor = Solicitor::default();
        assert!(!solicitor.poll(s(0)) && solicitor.poll_timeout().is_none());
        solicitor.start(s(1));
        let mut asked = Vec::new();
        while let Some(at) = solicitor.poll_timeout() {
            assert!(!solicitor.poll(at - Duration::from_nanos(1)));
            assert!(solicitor.poll(at));
            asked.push(at);
        }
        assert_eq!(asked, [s(1), s(5), s(9)]);
        solicitor.start(s(20));
        solicitor.answered();
        assert!(solicitor.poll(s(20)), "one that came unasked stops nothing");
        solicitor.answered();
        assert_eq!(solicitor.poll_timeout(), None);
    }
}
