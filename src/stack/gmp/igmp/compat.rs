//! Which version a host speaks among older routers: RFC 9776 7.2.1.

use core::time::Duration;

use crate::time::{Instant, earliest};
use crate::wire::igmp::Version;

/// The timers that say for how long queriers of older versions are taken to be on the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OlderQueriers {
    /// A querier of version 1, until then.
    pub v1_until: Option<Instant>,
    /// A querier of version 2, until then.
    pub v2_until: Option<Instant>,
}

/// For how long after a query of an older version its querier is taken to be there.
// G38, RFC 9776 8.12: the robustness variable times the query interval, and ten times the Max Resp Time of that query. Both
// variables are the host's own: a query of an older version does not name its querier's, and what another querier names is
// of no use here.
pub(super) fn present_for(robustness: u8, query_interval: Duration, max_response: Duration) -> Duration {
    query_interval * u32::from(robustness) + max_response * 10
}

impl OlderQueriers {
    /// A General Query of `version` was heard, whose querier is taken to be there until `until`.
    // G36, RFC 9776 7.2.1: by General Queries alone; of version 3 nothing is remembered.
    pub(super) fn heard(&mut self, version: Version, until: Instant) {
        match version {
            Version::V1 => self.v1_until = Some(until),
            Version::V2 => self.v2_until = Some(until),
            Version::V3 => {}
        }
    }

    /// Forgets what is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.v1_until.take_if(|until| *until <= now);
        self.v2_until.take_if(|until| *until <= now);
    }

    /// The version that the oldest of the queriers speaks.
    // G37, RFC 9776 7.2.1: version 1 while its timer runs, else 2 while that one runs, else 3; no query of a newer
    // version ends either.
    pub(super) const fn version(&self) -> Version {
        match (self.v1_until, self.v2_until) {
            (Some(_), _) => Version::V1,
            (None, Some(_)) => Version::V2,
            (None, None) => Version::V3,
        }
    }

    /// When the next of them is over.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.v1_until, self.v2_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(s: u64) -> Instant {
        Instant::from_ns(s * 1_000_000_000)
    }

    // G38, RFC 9776 8.12: 2 x 125 s + 10 x 10 s.
    #[test]
    fn the_older_version_querier_present_timeout_is_350_seconds() {
        let secs = Duration::from_secs;
        assert_eq!(present_for(2, secs(125), secs(10)), secs(350));
        assert_eq!(present_for(3, secs(60), secs(1)), secs(190));
    }

    // G37, RFC 9776 7.2.1.
    #[test]
    fn the_oldest_querier_decides() {
        let mut queriers = OlderQueriers::default();
        assert_eq!(queriers.version(), Version::V3);
        queriers.heard(Version::V2, at(350));
        assert_eq!((queriers.version(), queriers.poll_timeout()), (Version::V2, Some(at(350))));
        queriers.heard(Version::V1, at(360));
        assert_eq!((queriers.version(), queriers.poll_timeout()), (Version::V1, Some(at(350))));
        queriers.heard(Version::V3, at(999));
        queriers.expire(at(350));
        assert_eq!((queriers.version(), queriers.poll_timeout()), (Version::V1, Some(at(360))));
        queriers.heard(Version::V2, at(400));
        queriers.expire(at(360));
        assert_eq!(queriers.version(), Version::V2);
        queriers.expire(at(400));
        assert_eq!((queriers.version(), queriers.poll_timeout()), (Version::V3, None));
    }
}
