//! The IPv6 addresses and routes of one interface at work: what is asked before an address is used, what routers say, and who
//! is told of it.
//!
//! The machines are those of [`nd`](crate::stack::nd); here their questions leave, and what comes of them reaches the workers,
//! the multicast filter and MLD. The order for a new address: NIC filter and admission of its solicited-node group, MLD
//! report, question, use.

use core::net::Ipv6Addr;
use core::time::Duration;
use std::collections::BTreeSet;

use super::Outlet;
use super::interface::Interface;
use super::port::{Base, Port};
use crate::addr::{Group, MacAddr, V6};
use crate::engine::message::PathNews;
use crate::io::{Addressing6, Nic, Occasion};
use crate::rng::Rng;
use crate::stack::groups::HOST;
use crate::stack::nd::RouterAdvertisement;
use crate::stack::nd::addresses::{Addresses, Event, Origin};
use crate::stack::nd::dad::Heard;
use crate::stack::nd::discovery::Discovery;
use crate::stack::nd::output::Outgoing;
use crate::stack::nd::timing::LinkTiming;
use crate::stack::neighbor::Standing;
use crate::stack::route::Route;
use crate::time::{Instant, earliest};

/// How often at most it is said that another host claims an address that is in use.
const CLAIMS_SAID: Duration = Duration::from_secs(10);

/// The machines of one interface that speaks IPv6.
#[derive(Debug)]
pub(super) struct Autoconf {
    pub(super) addresses: Addresses,
    pub(super) discovery: Discovery,
    /// The routes that the configuration names.
    fixed: Vec<Route<V6>>,
    rng: Rng,
    /// The groups that are joined for the addresses.
    joined: BTreeSet<Group<V6>>,
    /// Addresses or routes are others than workers know.
    is_news: bool,
    timing: LinkTiming,
    /// Default routers whose Ethernet addresses are kept.
    kept: BTreeSet<Ipv6Addr>,
    claim_said_at: Option<Instant>,
}

impl Autoconf {
    pub(super) fn new(config: Addressing6, mac: MacAddr, fixed: Vec<Route<V6>>, mut rng: Rng) -> Self {
        Self {
            timing: LinkTiming::new(Instant::ZERO, &mut rng),
            addresses: Addresses::new(config, mac),
            discovery: Discovery::default(),
            fixed,
            rng,
            joined: BTreeSet::new(),
            is_news: true,
            kept: BTreeSet::new(),
            claim_said_at: None,
        }
    }

    /// There is a link, which may be another one.
    fn start(&mut self, now: Instant) {
        self.addresses.start(now, &mut self.rng);
        if self.addresses.config().router_discovery {
            self.discovery.start();
        }
        self.is_news = true;
    }

    /// The next question or change; `is_reporting` of the former none.
    fn next_deadline(&self, is_reporting: bool) -> Option<Instant> {
        let timing = Some(self.timing.poll_timeout());
        let asked = if is_reporting { None } else { self.addresses.poll_timeout() };
        [timing, asked].into_iter().fold(self.discovery.poll_timeout(), earliest)
    }
}

impl Interface {
    /// Begins to ask for its IPv6 addresses, or begins anew, if there is a link.
    // N05, N12.
    pub(super) fn start6(&mut self, now: Instant) {
        if let Some(auto) = &mut self.autoconf {
            auto.start(now);
        }
    }

    /// Asks what is due, and has everyone follow what came of it.
    // N06, RFC 4862 5.4.2: nothing is asked while the report of its group waits for workers: they must hear the answer.
    pub(super) fn autoconfigure<N: Nic>(&mut self, now: Instant, base: &mut Base, out: &Outlet<N>) {
        if !self.v6.admission.is_reporting() {
            while let Some(event) = self.autoconf.as_mut().and_then(|a| a.addresses.poll(now, &mut a.rng)) {
                self.address_event(event, base, out);
            }
            self.solicit_routers(now, base, out);
        }
        let Some(auto) = &mut self.autoconf else { return };
        auto.is_news |= auto.discovery.expire(now);
        if auto.timing.poll(now, &mut auto.rng) {
            self.v6.neighbors.set_timing(auto.timing.timing());
        }
        if core::mem::take(&mut auto.is_news) {
            self.apply_addresses6(now, base, out);
        }
    }

    /// When [`autoconfigure`](Self::autoconfigure) has something to do.
    pub(super) fn autoconf_deadline(&self) -> Option<Instant> {
        self.autoconf.as_ref().and_then(|auto| auto.next_deadline(self.v6.admission.is_reporting()))
    }

    fn address_event<N: Nic>(&mut self, event: Event, base: &mut Base, out: &Outlet<N>) {
        let name = &self.name;
        match event {
            // N06, N07, RFC 4862 5.4.2: from `::`, without our Ethernet address.
            Event::Ask(target, nonce) => {
                return self.send_ndp(&Outgoing::probe(target, nonce), base, out);
            }
            Event::Ours(addr, Origin::Auto) => tracing::info!(
                "port {name}: nobody else has {addr}, made of an advertised prefix: it is used from now on"
            ),
            Event::Ours(addr, _) => {
                tracing::info!("port {name}: nobody else has {addr}: it is used from now on");
            }
            Event::Deprecated(addr) => {
                tracing::info!(
                    "port {name}: {addr} is deprecated: it is answered for, and not chosen any more"
                );
            }
            Event::Gone(addr) => tracing::info!("port {name}: {addr} is over, as no router advertises it"),
            Event::Instead(addr) => tracing::info!("port {name}: {addr} is tried instead"),
        }
        if let Some(auto) = &mut self.autoconf {
            auto.is_news = true;
        }
    }

    /// N12, RFC 4861 6.3.7: from the link-local address, and then with our Ethernet address; or from `::`.
    fn solicit_routers<N: Nic>(&mut self, now: Instant, base: &mut Base, out: &Outlet<N>) {
        let Some(Autoconf { addresses, discovery, rng, .. }) = &mut self.autoconf else { return };
        if discovery.poll_solicitation(now, rng, addresses) {
            let question = Outgoing::router_solicitation(addresses.link_local(), &self.replica);
            self.send_ndp(&question, base, out);
        }
    }

    /// Has everyone use the addresses and routes that there are now.
    fn apply_addresses6<N: Nic>(&mut self, now: Instant, base: &Base, out: &Outlet<N>) {
        let Some(auto) = &mut self.autoconf else { return };
        let routes = auto.discovery.routes(&auto.addresses, &auto.fixed);
        // A10, N11: gateways are resolved from the start and kept so, which is how one that is gone is found out.
        let mut kept: BTreeSet<_> = routes.routes().iter().map(|route| route.via.addr()).collect();
        kept.extend(auto.discovery.routers().iter().map(|router| router.addr));
        if routes.addresses().is_empty() {
            kept.clear();
        }
        auto.kept.difference(&kept).for_each(|addr| self.v6.neighbors.release(*addr));
        kept.difference(&auto.kept).for_each(|addr| self.v6.neighbors.keep(now, *addr));
        auto.kept = kept;
        if routes != *self.replica.v6.routes {
            self.renew_routes::<V6, N>(now, routes, &base.workers, out);
        }
    }

    /// Someone without an address asked for `target`: a Neighbor Solicitation from `::`, with this nonce, from the station `mac`.
    // N05, RFC 4862 5.4.3.
    pub(super) fn heard_solicitation6(
        &mut self,
        now: Instant,
        target: Ipv6Addr,
        nonce: Option<&[u8]>,
        mac: MacAddr,
    ) -> Heard {
        let Some(auto) = &mut self.autoconf else { return Heard::Nothing };
        let heard = auto.addresses.heard_solicitation(now, target, nonce);
        self.heard_of_own(now, heard, target, mac);
        heard
    }

    /// The station `mac` says that it has `target`, in a Neighbor Advertisement.
    // N05, RFC 4862 5.4.4.
    pub(super) fn heard_advertisement6(&mut self, now: Instant, target: Ipv6Addr, mac: MacAddr) -> Heard {
        let Some(auto) = &mut self.autoconf else { return Heard::Nothing };
        let heard = auto.addresses.heard_advertisement(now, target);
        // N07: what we said of an address in use comes back on some links.
        if heard == Heard::Claimed && mac == self.replica.mac {
            return Heard::Loop;
        }
        self.heard_of_own(now, heard, target, mac);
        heard
    }

    fn heard_of_own(&mut self, now: Instant, heard: Heard, target: Ipv6Addr, mac: MacAddr) {
        let (Some(auto), name) = (&mut self.autoconf, &self.name) else { return };
        match heard {
            Heard::Nothing => return,
            Heard::Loop => {
                tracing::debug!("port {name}: the question for {target} came back: the link loops");
                return;
            }
            Heard::Duplicate if auto.addresses.tries_another(target) => {
                tracing::warn!("port {name}: {mac} has {target}: another address is made");
            }
            Heard::Duplicate => tracing::error!(
                "port {name}: {mac} has {target}: it is not used, and asked for again when the link comes up again; change one \
                 of the two addresses"
            ),
            Heard::Claimed => {
                if auto.claim_said_at.is_some_and(|at| now.since(at) < CLAIMS_SAID) {
                    return;
                }
                auto.claim_said_at = Some(now);
                tracing::warn!(
                    "port {name}: {mac} also claims our address {target}: two hosts have it, change one"
                );
            }
        }
        auto.is_news = true;
    }

    /// A Router Advertisement of `router`.
    // N13, N14, RFC 4861 6.3.4.
    pub(super) fn router_advertised<N: Nic>(
        &mut self,
        now: Instant,
        router: Ipv6Addr,
        said: &RouterAdvertisement<'_>,
        base: &Base,
        out: &Outlet<N>,
    ) {
        let mtu_max = self.replica.mtu;
        let Some(Autoconf { addresses, discovery, rng, timing, is_news, .. }) = &mut self.autoconf else {
            return;
        };
        if addresses.config().router_discovery {
            let before = discovery.link().hop_limit;
            *is_news |= discovery.advertised(now, rng, router, said, mtu_max, addresses);
            *is_news |= discovery.link().hop_limit != before;
            if timing.advertised(now, rng, said.reachable_time, said.retrans_timer) {
                addresses.set_retransmit(timing.retransmit());
                self.v6.neighbors.set_timing(timing.timing());
            }
            self.heed_link(now, base, out);
        }
    }

    /// Follows what routers say of the link's MTU, or what the link itself has.
    // N14, RFC 4861 6.3.4: less than the link carries, never more.
    pub(super) fn heed_link<N: Nic>(&mut self, now: Instant, base: &Base, out: &Outlet<N>) {
        let Some(auto) = &self.autoconf else { return };
        let mtu = auto.discovery.link().mtu.map_or(self.replica.mtu, |said| said.min(self.replica.mtu));
        if mtu != self.replica.v6.paths.link_mtu() {
            self.replica.v6.paths.set_link_mtu(mtu);
            self.tell_paths::<V6, N>(now, PathNews::LinkMtu(mtu), &base.workers, out);
        }
    }

    /// N15, RFC 4861 8.3: packets to `destination` go to `target` from now on.
    pub(super) fn redirected6(&mut self, now: Instant, destination: Ipv6Addr, target: Ipv6Addr) {
        if let Some(auto) = &mut self.autoconf {
            auto.is_news |= auto.discovery.redirected(now, destination, target);
        }
    }

    /// Whether `addr` is one of ours that may not be used, yet or at all.
    // N05, RFC 4862 5.4: it is not answered for.
    pub(super) fn is_tentative6(&self, addr: Ipv6Addr) -> bool {
        self.autoconf.as_ref().is_some_and(|auto| auto.addresses.is_unusable(addr))
    }

    /// Whether routers are believed.
    pub(super) fn heeds_routers6(&self) -> bool {
        self.autoconf.as_ref().is_some_and(|auto| auto.addresses.config().router_discovery)
    }

    /// N09, RFC 4861 7.2.5: a neighbour that was a router is none any more.
    pub(super) fn is_no_router6(&mut self, addr: Ipv6Addr) {
        if let Some(auto) = &mut self.autoconf {
            auto.is_news |= auto.discovery.is_no_router(addr);
        }
    }

    /// N11, RFC 4861 7.3.3: a neighbour was found to be there, or not to be.
    pub(super) fn neighbor6_stands(&mut self, addr: Ipv6Addr, now: Standing) {
        let answers = match now {
            Standing::Known { .. } => true,
            Standing::Gone => false,
            Standing::Asked => return,
        };
        if let Some(auto) = &mut self.autoconf {
            auto.is_news |= auto.discovery.found(addr, answers);
        }
    }
}

impl Port {
    /// Has device, workers and routers follow the solicited-node groups of the addresses.
    // N06, E05, E06: filter, admission, report; and the other way round for a group that is not needed any more.
    pub(super) fn follow_addresses6<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        for index in 0..self.interfaces.len() {
            let Some(interface) = self.interfaces.get_mut(index) else { return };
            let (joined, left) = interface.follow_groups6();
            if !joined.is_empty() {
                self.apply_filter(now, Occasion::Change);
            }
            let Self { base, interfaces } = self;
            let Some(interface) = interfaces.get_mut(index) else { return };
            if !joined.is_empty() {
                interface.apply_admission(now, &joined, &base.workers, out);
                interface.report_when_adopted(now, joined, None);
                interface.settle_admission::<V6, N>(now, rng, base, out);
            }
            if !left.is_empty() {
                interface.report::<V6, N>(now, &left, rng, base, out);
                interface.apply_admission(now, &left, &base.workers, out);
                self.apply_filter(now, Occasion::Change);
            }
        }
    }
}

impl Interface {
    /// Joins and leaves for the host itself. Returns the groups that it joined, and those that it left.
    fn follow_groups6(&mut self) -> (Vec<Group<V6>>, Vec<Group<V6>>) {
        let Some(auto) = &mut self.autoconf else { return (Vec::new(), Vec::new()) };
        let wanted = auto.addresses.groups();
        let joined: Vec<_> = wanted.difference(&auto.joined).copied().collect();
        let left: Vec<_> = auto.joined.difference(&wanted).copied().collect();
        auto.joined = wanted;
        for group in &joined {
            self.v6.memberships.join_always(HOST, *group);
        }
        for group in &left {
            self.v6.memberships.leave_always(&HOST, *group);
        }
        (joined, left)
    }
}
