//! What redirects taught (RFC 4861 8): single destinations with a better first hop.
//!
//! Whether one is to be believed is [asked apart](super::redirect). What is believed is a hint, and never more than so many, nor
//! for longer than ten minutes: routers repeat one that is right whenever a packet takes the long way.

use core::net::Ipv6Addr;
use core::time::Duration;
use std::collections::BTreeMap;

use crate::time::Instant;

/// Destinations that are remembered at most. N15: a router that redirects without end takes no more room; the oldest makes way.
pub const REDIRECTS_MAX: usize = 256;

/// How long one is believed. RFC 4861 names no time; that of a path MTU (RFC 8201 5.3) serves.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// The destinations that routers redirected.
#[derive(Clone, Debug, Default)]
pub struct Redirects {
    /// First hop and end of each.
    by_destination: BTreeMap<Ipv6Addr, (Ipv6Addr, Instant)>,
    changed: bool,
}

impl Redirects {
    /// Packets to `destination` go to `target`, which is itself if it is on the link.
    // N15, RFC 4861 8.3.
    pub fn redirected(&mut self, now: Instant, destination: Ipv6Addr, target: Ipv6Addr) {
        let is_new = !self.by_destination.contains_key(&destination);
        if is_new && self.by_destination.len() >= REDIRECTS_MAX {
            let oldest = self.by_destination.iter().min_by_key(|(_, (_, until))| *until).map(|(to, _)| *to);
            oldest.map(|to| self.by_destination.remove(&to));
        }
        let before = self.by_destination.insert(destination, (target, now + LIFETIME));
        self.changed |= before.is_none_or(|(was, _)| was != target);
    }

    /// `hop` does not answer, or is no router any more: what went to it goes by the routes again.
    // N11, RFC 4861 7.3.3, 7.2.5: next-hop determination is done anew.
    pub fn forget(&mut self, hop: Ipv6Addr) {
        self.retain(|target, _| target != hop);
    }

    /// Forgets all: the link may be another one.
    pub fn clear(&mut self) {
        self.retain(|_, _| false);
    }

    /// Forgets what was said too long ago.
    pub fn expire(&mut self, now: Instant) {
        self.retain(|_, until| until > now);
    }

    fn retain(&mut self, keep: impl Fn(Ipv6Addr, Instant) -> bool) {
        let before = self.by_destination.len();
        self.by_destination.retain(|_, (target, until)| keep(*target, *until));
        self.changed |= self.by_destination.len() != before;
    }

    /// When [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.by_destination.values().map(|(_, until)| *until).min()
    }

    /// Whether anything changed since this was last asked.
    pub const fn take_changed(&mut self) -> bool {
        core::mem::replace(&mut self.changed, false)
    }

    /// Destination and first hop of each, by destination.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv6Addr, Ipv6Addr)> + '_ {
        self.by_destination.iter().map(|(to, (via, _))| (*to, *via))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)
    }

    fn router(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n)
    }

    fn s(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    // N15, RFC 4861 8.3.
    #[test]
    fn the_last_redirect_of_a_destination_counts_for_ten_minutes() {
        let mut redirects = Redirects::default();
        redirects.redirected(s(1), host(1), router(1));
        assert!(redirects.take_changed() && !redirects.take_changed());
        redirects.redirected(s(2), host(1), router(1));
        assert!(!redirects.take_changed(), "no news");
        redirects.redirected(s(3), host(1), router(2));
        assert!(redirects.take_changed());
        assert_eq!(redirects.iter().collect::<Vec<_>>(), [(host(1), router(2))]);
        redirects.expire(s(602));
        assert!(!redirects.take_changed());
        assert_eq!(redirects.poll_timeout(), Some(s(603)));
        redirects.expire(s(603));
        assert!(redirects.take_changed() && redirects.iter().count() == 0);
    }

    // N11, RFC 4861 7.3.3.
    #[test]
    fn what_went_to_a_hop_that_is_gone_goes_by_the_routes_again() {
        let mut redirects = Redirects::default();
        redirects.redirected(s(1), host(1), router(1));
        redirects.redirected(s(1), host(2), router(2));
        redirects.forget(router(1));
        assert_eq!(redirects.iter().collect::<Vec<_>>(), [(host(2), router(2))]);
        redirects.clear();
        assert!(redirects.take_changed() && redirects.iter().count() == 0);
        redirects.clear();
        assert!(!redirects.take_changed());
    }

    // N15, N16.
    #[test]
    fn of_too_many_the_oldest_makes_way() {
        let mut redirects = Redirects::default();
        for n in 0..1000u16 {
            redirects.redirected(s(n.into()), host(n), router(1));
        }
        assert_eq!(redirects.iter().count(), REDIRECTS_MAX);
        assert_eq!(redirects.iter().next(), Some((host(744), router(1))));
    }
}
