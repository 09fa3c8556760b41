//! Which version a host speaks among older routers: RFC 9776 7.2.1, RFC 9777 8.2.

use crate::time::{Instant, earliest};
use crate::wire::gmp::Version;

/// The timers that say for how long queriers of older versions are taken to be on the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OlderQueriers {
    /// A querier of version 1, until then.
    pub v1_until: Option<Instant>,
    /// A querier of version 2, until then; never one of MLD, whose newest version that is.
    pub v2_until: Option<Instant>,
}

impl OlderQueriers {
    /// A General Query of `version` was heard, whose querier is taken to be there until `until`. `newest` is the
    /// protocol's newest version.
    // G36, RFC 9776 7.2.1; L11, RFC 9777 8.2.1: by General Queries alone; of the newest version nothing is remembered.
    pub(super) fn heard(&mut self, version: Version, newest: Version, until: Instant) {
        match version {
            _ if version >= newest => {}
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

    /// The version that the oldest of the queriers speaks, `newest` if there is no older one.
    // G37, RFC 9776 7.2.1; L11, RFC 9777 8.2.1: version 1 while its timer runs, else 2 while that one runs, else the newest;
    // no query of a newer version ends either.
    pub(super) const fn version(&self, newest: Version) -> Version {
        match (self.v1_until, self.v2_until) {
            (Some(_), _) => Version::V1,
            (None, Some(_)) => Version::V2,
            (None, None) => newest,
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

    // G37, RFC 9776 7.2.1.
    #[test]
    fn the_oldest_querier_decides() {
        let (mut queriers, newest) = (OlderQueriers::default(), Version::V3);
        assert_eq!(queriers.version(newest), Version::V3);
        queriers.heard(Version::V2, newest, at(350));
        assert_eq!((queriers.version(newest), queriers.poll_timeout()), (Version::V2, Some(at(350))));
        queriers.heard(Version::V1, newest, at(360));
        assert_eq!((queriers.version(newest), queriers.poll_timeout()), (Version::V1, Some(at(350))));
        queriers.heard(Version::V3, newest, at(999));
        queriers.expire(at(350));
        assert_eq!((queriers.version(newest), queriers.poll_timeout()), (Version::V1, Some(at(360))));
        queriers.heard(Version::V2, newest, at(400));
        queriers.expire(at(360));
        assert_eq!(queriers.version(newest), Version::V2);
        queriers.expire(at(400));
        assert_eq!((queriers.version(newest), queriers.poll_timeout()), (Version::V3, None));
    }

    // L11, RFC 9777 8.2.1: of MLD, version 2 is the newest.
    #[test]
    fn mld_has_one_older_version() {
        let (mut queriers, newest) = (OlderQueriers::default(), Version::V2);
        queriers.heard(Version::V2, newest, at(999));
        assert_eq!((queriers.version(newest), queriers.poll_timeout()), (Version::V2, None));
        queriers.heard(Version::V1, newest, at(260));
        assert_eq!((queriers.version(newest), queriers.poll_timeout()), (Version::V1, Some(at(260))));
        queriers.expire(at(260));
        assert_eq!(queriers.version(newest), Version::V2);
    }
}
