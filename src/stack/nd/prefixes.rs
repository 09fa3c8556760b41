//! The prefix list (RFC 4861 5.1, RFC 5942): what is on the link, as routers say and for as long as they say.

use crate::addr::{Prefix, V6};
use crate::time::{Instant, earliest};

/// Prefixes that are remembered at most: whoever invents some takes no more room than that.
pub const PREFIXES_MAX: usize = 64;

/// When something ends, that a router said to be valid for some time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Expiry {
    /// Then.
    At(Instant),
    /// Not by itself.
    Never,
}

impl Expiry {
    /// The end of a lifetime of `seconds` from `now` on. RFC 4861 4.6.2: all ones mean for ever.
    #[must_use]
    pub fn of(now: Instant, seconds: u32) -> Self {
        if seconds == u32::MAX {
            Self::Never
        } else {
            Self::At(now + core::time::Duration::from_secs(seconds.into()))
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self, now: Instant) -> bool {
        matches!(self, Self::At(at) if at <= now)
    }

    /// When it ends.
    #[must_use]
    pub const fn end(self) -> Option<Instant> {
        match self {
            Self::At(at) => Some(at),
            Self::Never => None,
        }
    }
}

/// One prefix on the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnLink {
    /// Which.
    pub prefix: Prefix<V6>,
    /// For how long.
    pub valid: Expiry,
}

/// The prefixes that routers said to be on the link.
#[derive(Clone, Debug, Default)]
pub struct Prefixes {
    list: Vec<OnLink>,
}

impl Prefixes {
    /// A router said, by the L flag, that `prefix` is on the link for `seconds`. True if that changes what is on the link.
    // N13, N17, RFC 4861 6.3.4: a lifetime of 0 ends it at once; the link-local prefix is always on the link, and none of a
    // router's business.
    pub fn advertised(&mut self, now: Instant, prefix: Prefix<V6>, seconds: u32) -> bool {
        if prefix.network().is_unicast_link_local() || prefix.network().is_multicast() {
            return false;
        }
        let known = self.list.iter().position(|one| one.prefix == prefix);
        let valid = Expiry::of(now, seconds);
        match known {
            Some(index) if seconds == 0 => {
                self.list.remove(index);
                true
            }
            Some(index) => {
                if let Some(one) = self.list.get_mut(index) {
                    one.valid = valid;
                }
                false
            }
            None if seconds == 0 || self.list.len() >= PREFIXES_MAX => false,
            None => {
                self.list.push(OnLink { prefix, valid });
                true
            }
        }
    }

    /// Forgets what is over. True if anything was.
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.list.len();
        self.list.retain(|one| !one.valid.is_over(now));
        self.list.len() != before
    }

    /// When [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.list.iter().map(|one| one.valid.end()).fold(None, earliest)
    }

    /// All of them, the first heard of first.
    pub fn iter(&self) -> impl Iterator<Item = OnLink> + '_ {
        self.list.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn s(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn prefix(s: &str, len: u8) -> Prefix<V6> {
        Prefix::new(s.parse().unwrap(), len).unwrap()
    }

    // N17, RFC 5942, RFC 4861 6.3.4.
    #[test]
    fn a_prefix_is_on_the_link_for_as_long_as_the_last_advertisement_said() {
        let mut prefixes = Prefixes::default();
        let own = prefix("2001:db8::", 64);
        assert!(prefixes.advertised(s(0), own, 100));
        assert!(!prefixes.advertised(s(50), own, 100), "known already");
        assert_eq!(prefixes.poll_timeout(), Some(s(150)));
        assert!(!prefixes.expire(s(149)) && prefixes.iter().count() == 1);
        assert!(prefixes.expire(s(150)) && prefixes.iter().count() == 0);
    }

    // RFC 4861 4.6.2: all ones are infinity; 6.3.4: zero is the end, and shorter is believed.
    #[test]
    fn infinity_zero_and_less_than_before_are_all_believed() {
        let mut prefixes = Prefixes::default();
        let own = prefix("2001:db8:1::", 48);
        assert!(prefixes.advertised(s(0), own, u32::MAX));
        assert_eq!(prefixes.poll_timeout(), None);
        assert!(!prefixes.expire(s(1_000_000_000)));
        assert!(!prefixes.advertised(s(1), own, 5));
        assert_eq!(prefixes.poll_timeout(), Some(s(6)));
        assert!(prefixes.advertised(s(2), own, 0));
        assert!(!prefixes.advertised(s(2), own, 0), "it was none any more");
        assert_eq!(prefixes.iter().count(), 0);
    }

    // N13, RFC 4861 6.3.4.
    #[test]
    fn the_link_local_prefix_and_groups_are_no_routers_business() {
        let mut prefixes = Prefixes::default();
        for (network, len) in [("fe80::", 64), ("fe80::", 10), ("ff02::", 16)] {
            assert!(!prefixes.advertised(s(0), prefix(network, len), 100), "{network}/{len}");
        }
        assert_eq!(prefixes.iter().count(), 0);
    }

    // N13: an attacker's prefixes take so much room and no more, and push none out that was there.
    #[test]
    fn there_is_room_for_so_many() {
        let mut prefixes = Prefixes::default();
        let nth = |n: u16| prefix(&format!("2001:db8:{n:x}::"), 64);
        for n in 0..1000 {
            prefixes.advertised(s(0), nth(n), 1000);
        }
        assert_eq!(prefixes.iter().count(), PREFIXES_MAX);
        assert_eq!(prefixes.iter().next().map(|one| one.prefix), Some(nth(0)));
    }
}
