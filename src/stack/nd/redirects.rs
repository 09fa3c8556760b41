//! Redirects (RFC 4861 8): single destinations to which a router named a better first hop.
//!
//! What is believed is a hint, and never more than so many, nor for longer than ten minutes: routers repeat one that is
//! right whenever a packet takes the long way.

use core::net::Ipv6Addr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::input::Received;
use crate::addr::V6;
use crate::io::DropReason;
use crate::stack::interface::Interface;
use crate::stack::neighbor::{Evidence, NeighborCache};
use crate::stack::route::NextHop;
use crate::time::Instant;
use crate::wire::ndisc::Redirect;

/// Destinations that are remembered at most.
pub const REDIRECTS_MAX: usize = 256;

/// How long one is believed. RFC 4861 names no time; that of a path MTU (RFC 8201 5.3) serves.
pub const LIFETIME: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    first_hop: Ipv6Addr,
    /// Who said so.
    router: Ipv6Addr,
    until: Instant,
}

/// What redirects taught of one interface.
#[derive(Clone, Debug, Default)]
pub struct Redirects {
    entries: BTreeMap<Ipv6Addr, Entry>,
    changed: bool,
}

impl Redirects {
    /// Deals with `redirect`, which came as `received`.
    ///
    /// # Errors
    /// Why it is dropped.
    // N15, RFC 4861 8.1, 8.3: from the current first hop towards the destination, and nobody else; and sent to us, not to a
    // group.
    pub fn input(
        &mut self,
        now: Instant,
        received: &Received<'_>,
        redirect: &Redirect<'_>,
        interface: &Interface,
        cache: &mut NeighborCache<V6>,
    ) -> Result<(), DropReason> {
        let router = received.envelope.src;
        if !interface.policy.accept_redirects6 {
            return Err(DropReason::NdpRedirectOff);
        }
        let Redirect { target, destination, .. } = *redirect;
        let own = |addr| interface.v6.is_own(addr);
        let from_first_hop = interface.v6.routes.next_hop(destination) == NextHop::Via(router);
        if !from_first_hop || !own(received.envelope.dst) || own(destination) || own(target) {
            return Err(DropReason::NdpRedirectInvalid);
        }
        // N10, RFC 4861 8.3: the target is a neighbour; and a router, unless it is the destination itself.
        if let Some(mac) = redirect.target_mac {
            cache.heard(now, target, mac, Evidence::Asked);
        }
        if target != destination {
            cache.set_router(target, true);
        }
        self.remember(destination, Entry { first_hop: target, router, until: now + LIFETIME });
        Ok(())
    }

    fn remember(&mut self, destination: Ipv6Addr, entry: Entry) {
        if !self.entries.contains_key(&destination)
            && self.entries.len() >= REDIRECTS_MAX
            && let Some((oldest, _)) = self.entries.iter().min_by_key(|(_, e)| e.until)
        {
            let oldest = *oldest;
            self.entries.remove(&oldest);
        }
        let before = self.entries.insert(destination, entry);
        self.changed |= before.is_none_or(|before| before.first_hop != entry.first_hop);
    }

    /// `gone` is no router any more, or does not answer: what it said, and what was to go through it, is forgotten.
    // RFC 4861 7.2.5, 7.3.3: the next packet chooses its first hop anew.
    pub fn forget(&mut self, gone: Ipv6Addr) {
        self.retain(|_, e| e.router != gone && e.first_hop != gone);
    }

    /// Forgets all: the link may be another one.
    pub fn clear(&mut self) {
        self.retain(|_, _| false);
    }

    /// Forgets what was said too long ago.
    pub fn expire(&mut self, now: Instant) {
        self.retain(|_, e| e.until > now);
    }

    fn retain(&mut self, keep: impl Fn(&Ipv6Addr, &Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(|destination, entry| keep(destination, entry));
        self.changed |= self.entries.len() != before;
    }

    /// When [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.values().map(|e| e.until).min()
    }

    /// Whether anything changed since this was last asked.
    pub const fn take_changed(&mut self) -> bool {
        core::mem::replace(&mut self.changed, false)
    }

    /// Each destination and its first hop, which is itself if it is on the link.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv6Addr, Ipv6Addr)> + '_ {
        self.entries.iter().map(|(destination, entry)| (*destination, entry.first_hop))
    }
}

#[cfg(test)]
mod tests;
