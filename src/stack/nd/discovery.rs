//! Router discovery (RFC 4861 6.3): what the routers on one link say of it, and what follows for the host.

use core::net::Ipv6Addr;
use core::time::Duration;

use super::addresses::Addresses;
use super::prefixes::Prefixes;
use super::redirects::Redirects;
use super::routers::{Routers, Solicitor};
use crate::addr::{Family, Prefix, Unicast, V6};
use crate::rng::Rng;
use crate::stack::route::{Route, Routes};
use crate::time::{Instant, earliest};
use crate::wire::ndisc::{NdOption, PrefixInformation, RouterAdvertisement};

/// The longest wait before routers are asked. RFC 4861 10: MAX_RTR_SOLICITATION_DELAY.
const SOLICITATION_DELAY_MAX: Duration = Duration::from_secs(1);

/// What routers said of the link; what none said is absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// The largest IPv6 packet, in bytes.
    pub mtu: Option<u16>,
    /// The hop limit of packets.
    pub hop_limit: Option<u8>,
}

/// What the routers on one link said.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    routers: Routers,
    prefixes: Prefixes,
    redirects: Redirects,
    solicitor: Solicitor,
    /// There is a link, and routers are asked as soon as the link-local address is settled.
    is_awaiting: bool,
    link: Link,
}

impl Discovery {
    /// There is a link, which may be another one.
    // N12, RFC 4861 6.3.7: routers are asked when an interface is enabled, or attached to a link again.
    pub fn start(&mut self) {
        self.is_awaiting = true;
        self.redirects.clear();
    }

    /// A Router Advertisement of `router`, on a link whose MTU is at most `mtu_max`. True if addresses or routes are others
    /// now; what it says of the link is in [`link`](Self::link).
    // N13, N14, RFC 4861 6.3.4.
    pub fn advertised(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        router: Ipv6Addr,
        said: &RouterAdvertisement<'_>,
        mtu_max: u16,
        addresses: &mut Addresses,
    ) -> bool {
        let mut changed = self.routers.advertised(now, router, said.router_lifetime, said.preference);
        if said.router_lifetime.is_zero() {
            self.redirects.forget(router);
        } else {
            self.solicitor.answered();
        }
        // N14, RFC 4861 6.3.4: zero is unspecified, and what was said before stays.
        self.link.hop_limit = said.hop_limit.or(self.link.hop_limit);
        for option in said.options.iter() {
            match option {
                NdOption::Prefix(prefix) => changed |= self.prefix(now, rng, &prefix, addresses),
                // N14, RFC 4861 6.3.4: no less than IPv6 needs, and no more than the link carries.
                NdOption::Mtu(mtu) if (V6::MTU_MIN.into()..=u32::from(mtu_max)).contains(&mtu) => {
                    self.link.mtu = u16::try_from(mtu).ok();
                }
                _ => {}
            }
        }
        changed | self.redirects.take_changed()
    }

    fn prefix(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        said: &PrefixInformation,
        addresses: &mut Addresses,
    ) -> bool {
        let PrefixInformation { prefix, on_link, autonomous, valid, preferred } = *said;
        let mut changed = false;
        // N17, RFC 4861 6.3.4: without the L flag it says nothing of what is on the link, not even that it is not.
        if on_link {
            changed |= self.prefixes.advertised(now, prefix, valid.secs());
        }
        if autonomous {
            changed |= addresses.advertised(now, rng, prefix, preferred.secs(), valid.secs());
        }
        changed
    }

    /// N15, RFC 4861 8.3: packets to `destination` go to `target` from now on. True if that is news.
    pub fn redirected(&mut self, now: Instant, destination: Ipv6Addr, target: Ipv6Addr) -> bool {
        self.redirects.redirected(now, destination, target);
        self.redirects.take_changed()
    }

    /// A neighbour advertisement of `addr` says that it is no router. True if that changes routes.
    // N09, RFC 4861 7.2.5.
    pub fn is_no_router(&mut self, addr: Ipv6Addr) -> bool {
        self.redirects.forget(addr);
        self.routers.remove(addr) | self.redirects.take_changed()
    }

    /// Neighbour unreachability detection found that `addr` answers, or that it does not. True if that changes routes.
    // N11, RFC 4861 7.3.3.
    pub fn found(&mut self, addr: Ipv6Addr, answers: bool) -> bool {
        if !answers {
            self.redirects.forget(addr);
        }
        self.routers.found(addr, answers) | self.redirects.take_changed()
    }

    /// What routers said of the link.
    #[must_use]
    pub const fn link(&self) -> Link {
        self.link
    }

    /// The default routers.
    #[must_use]
    pub const fn routers(&self) -> &Routers {
        &self.routers
    }

    /// The prefixes on the link.
    #[must_use]
    pub const fn prefixes(&self) -> &Prefixes {
        &self.prefixes
    }

    /// What redirects taught.
    #[must_use]
    pub const fn redirects(&self) -> &Redirects {
        &self.redirects
    }

    /// Forgets what is over. True if addresses or routes are others now.
    pub fn expire(&mut self, now: Instant) -> bool {
        self.redirects.expire(now);
        let routers = self.routers.expire(now);
        self.prefixes.expire(now) | routers | self.redirects.take_changed()
    }

    /// Whether to ask the routers now: a Router Solicitation to `ff02::2`.
    // N12, RFC 4861 6.3.7: who has waited by chance for its address already need not do so again. Asked from the link-local
    // address, if there is one: the answer can then be sent to us alone, as Linux has it.
    pub fn poll_solicitation(&mut self, now: Instant, rng: &mut Rng, addresses: &Addresses) -> bool {
        if self.is_awaiting && !addresses.awaits_link_local() {
            self.is_awaiting = false;
            let has_waited = addresses.config().dad_transmits > 0;
            self.solicitor.start(if has_waited { now } else { now + rng.delay(SOLICITATION_DELAY_MAX) });
        }
        self.solicitor.poll(now)
    }

    /// When there is something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timeouts =
            [self.prefixes.poll_timeout(), self.redirects.poll_timeout(), self.solicitor.poll_timeout()];
        timeouts.into_iter().fold(self.routers.poll_timeout(), earliest)
    }

    /// The routes that follow, for a host that has `addresses` and whose configuration names `fixed` routes.
    // N17, RFC 5942 4: on the link are the prefixes that routers say to be, and those of configured addresses.
    #[must_use]
    pub fn routes(&self, addresses: &Addresses, fixed: &[Route<V6>]) -> Routes<V6> {
        let usable = addresses.usable();
        let cidrs = usable.iter().map(|one| one.cidr).collect();
        let deprecated = usable.iter().filter(|one| one.deprecated).map(|one| one.cidr.addr()).collect();
        let configured = addresses.config().statics.iter();
        let configured = configured.filter(|own| usable.iter().any(|one| one.cidr == **own));
        let on_link = configured
            .map(|own| Prefix::of(own.addr(), own.prefix()))
            .chain(self.prefixes.iter().map(|one| one.prefix))
            .collect();
        let router = self.routers.best().and_then(|router| Unicast::new(router.addr));
        let routes = fixed.iter().copied().chain(router.map(Route::default_via)).collect();
        Routes::new(cidrs, routes)
            .with_on_link(on_link)
            .with_deprecated(deprecated)
            .with_redirects(self.redirects.iter().collect())
            .with_hop_limit(self.link.hop_limit)
    }
}

#[cfg(test)]
mod tests;
