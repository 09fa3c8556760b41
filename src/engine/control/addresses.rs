//! The addresses of one interface: when each may be used, what is announced, and who claims it, too.

use core::time::Duration;
use std::sync::Arc;

use super::Outlet;
use super::admission::TELL_INTERVAL;
use super::interface::Interface;
use super::port::Base;
use super::side::Managed;
use crate::addr::V4;
use crate::engine::message::News;
use crate::io::Nic;
use crate::rng::Rng;
use crate::stack::acd::{Acd, Conflict, Message};
use crate::stack::arp::Packet;
use crate::stack::route::Routes;
use crate::time::{Instant, earliest};

impl Interface {
    /// Begins to use its addresses, or to probe for them.
    pub(super) fn start<N: Nic>(&mut self, now: Instant, rng: &mut Rng, base: &Base, out: &Outlet<N>) {
        let probes = self.conflict_detection == crate::io::ConflictDetection::Probe;
        self.claims = self.addresses.iter().map(|a| Acd::new(now, rng, a.addr(), probes)).collect();
        self.apply_addresses(now, base, out);
    }

    /// A12, RFC 5227 2.1, 2.3: the hosts on the link may be others now.
    pub(super) fn claim_again<N: Nic>(&mut self, now: Instant, rng: &mut Rng, base: &Base, out: &Outlet<N>) {
        self.claims.iter_mut().for_each(|claim| claim.restart(now, rng));
        self.apply_addresses(now, base, out);
    }

    /// Sends the probes and announcements that are due.
    pub(super) fn claim<N: Nic>(&mut self, now: Instant, rng: &mut Rng, base: &mut Base, out: &Outlet<N>) {
        for index in 0..self.claims.len() {
            let Some(claim) = self.claims.get_mut(index) else { return };
            let was_ours = claim.is_ours();
            let Some(message) = claim.poll(now, rng) else { continue };
            let (addr, mac) = (claim.addr(), self.replica.mac);
            if claim.is_ours() && !was_ours {
                tracing::info!("port {}: nobody else has {addr}: it is used from now on", self.name);
                // Who learns of it by the announcement finds workers that use it.
                self.apply_addresses(now, base, out);
            }
            let packet = match message {
                Message::Probe => Packet::probe(mac, addr),
                Message::Announcement => Packet::announcement(mac, addr),
            };
            self.send_arp(&packet, base, out);
        }
    }

    /// What `packet` means for our addresses: an announcement that defends one, or that it is a conflict and nothing is
    /// to be said.
    pub(super) fn conflict<N: Nic>(
        &mut self,
        now: Instant,
        packet: &Packet,
        base: &Base,
        out: &Outlet<N>,
    ) -> Conflict {
        for index in 0..self.claims.len() {
            let Some(claim) = self.claims.get_mut(index) else { break };
            let conflict = claim.input(now, packet, self.replica.mac);
            let addr = claim.addr();
            match conflict {
                Conflict::None => continue,
                // A06, RFC 5227 2.4: said as often as it is defended.
                Conflict::Defend => tracing::warn!(
                    "port {}: {} also claims our address {addr}: two hosts have it, change one",
                    self.name,
                    packet.sender_mac
                ),
                Conflict::Lost => {
                    tracing::error!(
                        "port {}: {} has {addr}: it is not used, and asked for again in a minute; change one of the two \
                         addresses",
                        self.name,
                        packet.sender_mac
                    );
                    self.apply_addresses(now, base, out);
                }
                Conflict::Ignore => {}
            }
            return conflict;
        }
        Conflict::None
    }

    /// The next probe or announcement.
    pub(super) fn claim_deadline(&self) -> Option<Instant> {
        self.claims.iter().map(Acd::poll_timeout).fold(None, earliest)
    }

    /// Has everyone use the addresses that are ours, and no others.
    fn apply_addresses<N: Nic>(&mut self, now: Instant, base: &Base, out: &Outlet<N>) {
        let ours = |addr| self.claims.iter().any(|claim| claim.addr() == addr && claim.is_ours());
        let addresses: Vec<_> = self.addresses.iter().copied().filter(|a| ours(a.addr())).collect();
        if !addresses.is_empty() {
            self.keep_gateways(now);
        }
        if addresses == self.replica.v4.addresses() {
            return;
        }
        // G44, RFC 9776 4.2.13: who heard a report from 0.0.0.0, or from an address that is not ours any more, hears it from
        // the address that we have now. Reports are sent from the first.
        let first = addresses.first().copied();
        if first.is_some() && first != self.replica.v4.addresses().first().copied() {
            self.v4.reports.gmp.announce_all(now);
        }
        let routes = Routes::new(addresses, self.replica.v4.routes.routes().to_vec());
        self.renew_routes::<V4, N>(now, routes, &base.workers, out);
    }

    /// Has everyone use these addresses and routes from now on.
    pub(super) fn renew_routes<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        routes: Routes<F>,
        workers: &[usize],
        out: &Outlet<N>,
    ) {
        let (replica, side) = F::split(self);
        // The old ones stay until no worker has them any more: to give memory back is control's work.
        let old = F::inet_mut(replica).set_routes(Arc::new(routes));
        side.replaced_routes.push(old);
        side.without_routes.clear();
        side.without_routes.extend_from_slice(workers);
        self.tell_routes::<F, N>(now, out);
    }

    /// A10: gateways are resolved from the start, and kept so.
    fn keep_gateways(&mut self, now: Instant) {
        for route in self.replica.v4.routes.routes() {
            self.v4.neighbors.keep(now, route.via.addr());
        }
    }

    /// Gives addresses and routes to the workers that do not have them yet.
    fn tell_routes<F: Managed, N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let (replica, side) = F::split(self);
        let (id, routes) = (replica.id, &F::inet(replica).routes);
        side.without_routes.retain(|worker| {
            let message = F::told(id, News::Routes(Arc::clone(routes)));
            out.workers.get(*worker).is_some_and(|inbox| inbox.try_send(message).is_err())
        });
        side.replaced_routes.retain(|routes| Arc::strong_count(routes) > 1);
        let again = !side.without_routes.is_empty() || !side.replaced_routes.is_empty();
        let pause = if side.without_routes.is_empty() { Duration::from_secs(1) } else { TELL_INTERVAL };
        side.tell_routes_at = again.then(|| now + pause);
    }

    /// Tells the workers of addresses and routes that they have not been told of, if it is time.
    pub(super) fn settle_routes<F: Managed, N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        if F::side(self).tell_routes_at.is_some_and(|at| at <= now) {
            self.tell_routes::<F, N>(now, out);
        }
    }
}
