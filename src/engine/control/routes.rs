//! Addresses and routes, for showing: of both IP versions, with how each stands and for how long.

use core::net::{IpAddr, Ipv4Addr};

use super::interface::Interface;
use super::side::Managed;
use crate::addr::{Cidr, Family, Prefix, V4, V6};
use crate::engine::command::{AddressAnswer, RouteAnswer};
use crate::stack::nd::discovery::Discovery;
use crate::stack::nd::prefixes::Expiry;
use crate::stack::nd::routers::Router;
use crate::stack::route::Routes;
use crate::time::Instant;

impl Interface {
    /// Its addresses, those that are not used too.
    pub(super) fn addresses_shown(&self, now: Instant) -> Vec<AddressAnswer> {
        let v4 = self.addresses.iter().map(|cidr| AddressAnswer {
            port: self.name.clone(),
            addr: cidr.to_string(),
            origin: "static".to_owned(),
            state: self.state_of_v4(cidr.addr()).to_owned(),
            preferred_s: None,
            valid_s: None,
        });
        let rows = self.autoconf.iter().flat_map(|auto| auto.addresses.rows());
        let v6 = rows.map(|row| AddressAnswer {
            port: self.name.clone(),
            addr: row.cidr.to_string(),
            origin: row.origin.name().to_owned(),
            state: row.state.name().to_owned(),
            preferred_s: left(now, row.preferred),
            valid_s: left(now, row.valid),
        });
        v4.chain(v6).collect()
    }

    /// As IPv6 has it: conflict detection is the same thing with another name.
    fn state_of_v4(&self, addr: Ipv4Addr) -> &'static str {
        match self.claims.iter().find(|claim| claim.addr() == addr) {
            Some(claim) if claim.is_lost() => "duplicate",
            Some(claim) if claim.is_ours() => "preferred",
            _ => "tentative",
        }
    }

    /// Its routes, as workers have them, and what is known beside them: other default routers, and what redirects taught.
    pub(super) fn routes_shown(&self, now: Instant) -> Vec<RouteAnswer> {
        let mut rows = self.routes_in_use::<V4>();
        if let Some(auto) = &self.autoconf {
            let mut v6 = self.routes_in_use::<V6>();
            v6.iter_mut().for_each(|row| mark_advertised(now, &auto.discovery, row));
            let is_used = |router: &Router| v6.iter().any(|row| row.via == Some(router.addr.into()));
            let others: Vec<_> = auto.discovery.routers().iter().filter(|router| !is_used(router)).collect();
            rows.append(&mut v6);
            rows.extend(others.iter().map(|router| {
                let mut row = self.route_by("router", Prefix::<V6>::of(V6::UNSPECIFIED, 0), router.addr);
                mark_advertised(now, &auto.discovery, &mut row);
                row
            }));
            let redirects = auto.discovery.redirects().iter();
            rows.extend(redirects.map(|(to, via)| self.route_by("redirect", Prefix::<V6>::of(to, 128), via)));
        }
        rows
    }

    /// The prefixes on the link, then the routes by gateways, the longest prefix first.
    fn routes_in_use<F: Managed>(&self) -> Vec<RouteAnswer> {
        let routes: &Routes<F> = &F::inet(&self.replica).routes;
        let mut rows = Vec::new();
        for prefix in routes.on_link() {
            let is_in = |a: &&Cidr<F>| Prefix::of(a.addr(), a.prefix()) == *prefix;
            let mut own: Vec<_> =
                routes.addresses().iter().filter(is_in).map(|a| Some(a.addr().into())).collect();
            if own.is_empty() {
                own.push(routes.source_towards(prefix.network()).map(Into::into));
            }
            rows.extend(own.into_iter().map(|source| self.route("connected", *prefix, None, source)));
        }
        rows.extend(routes.routes().iter().map(|route| {
            let kind = if route.to.len() == 0 { "default" } else { "static" };
            self.route_by(kind, route.to, route.via.addr())
        }));
        rows
    }

    fn route_by<F: Managed>(&self, kind: &str, to: Prefix<F>, via: F::Addr) -> RouteAnswer {
        let source =
            F::inet(&self.replica).routes.source_towards(if to.len() == 0 { via } else { to.network() });
        self.route(kind, to, Some(via.into()), source.map(Into::into))
    }

    fn route<F: Managed>(
        &self,
        kind: &str,
        to: Prefix<F>,
        via: Option<IpAddr>,
        source: Option<IpAddr>,
    ) -> RouteAnswer {
        let (port, kind, to) = (self.name.clone(), kind.to_owned(), to.to_string());
        RouteAnswer { port, kind, to, via, source, expires_s: None, preference: None }
    }
}

/// Says of `row`, of IPv6, for how long routers said it, and how much they want to be used.
fn mark_advertised(now: Instant, discovery: &Discovery, row: &mut RouteAnswer) {
    if let Some(via) = row.via {
        let router = discovery.routers().iter().find(|router| via == router.addr && row.to == "::/0");
        row.expires_s = router.map(|router| router.until.since(now).as_secs());
        row.preference = router.map(|router| router.preference.name().to_owned());
    } else {
        let mut prefixes = discovery.prefixes().iter();
        row.expires_s =
            prefixes.find(|one| one.prefix.to_string() == row.to).and_then(|one| left(now, one.valid));
    }
}

/// Seconds until it ends; `None`: not by itself.
fn left(now: Instant, expiry: Expiry) -> Option<u64> {
    expiry.end().map(|at| at.since(now).as_secs())
}
