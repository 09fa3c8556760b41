//! What control knows of one IP version on an interface, whichever it is.
//!
//! The truth of memberships and neighbours, and what workers have not been told yet. Addresses
//! differ: those of IPv4 are in [`addresses`](super::addresses).

use core::net::Ipv6Addr;
use std::sync::Arc;

use super::Outlet;
use super::admission::Admission;
use super::interface::Interface;
use super::neighbors::Untold;
use super::port::Base;
use super::reports::Reports;
use crate::addr::{Unicast, V4, V6};
use crate::engine::message::{PathNews, Told};
use crate::io::Nic;
use crate::stack::gmp::{Format, Gmp};
use crate::stack::groups::ServiceId;
use crate::stack::interface;
use crate::stack::membership::{Limits, Memberships};
use crate::stack::neighbor::{NeighborCache, Request, Standing};
use crate::stack::route::Routes;
use crate::time::{Instant, earliest};

/// One IP version of an interface.
#[derive(Debug)]
pub(super) struct Side<F: Managed> {
    pub(super) memberships: Memberships<F, ServiceId>,
    /// What routers are told.
    pub(super) reports: Reports<F>,
    pub(super) neighbors: NeighborCache<F>,
    /// Which groups workers have.
    pub(super) admission: Admission<F>,
    /// Workers that were not told of the latest addresses, what they may still have, and when to look again.
    pub(super) without_routes: Vec<usize>,
    pub(super) replaced_routes: Vec<Arc<Routes<F>>>,
    pub(super) tell_routes_at: Option<Instant>,
    /// What workers were not told of neighbours, and when to try again.
    pub(super) untold: Vec<Untold<F>>,
    pub(super) tell_neighbors_at: Option<Instant>,
    /// What workers were not told of paths and would not learn by themselves, and when to try again.
    pub(super) untold_paths: Vec<(usize, PathNews<F::Addr>)>,
    pub(super) tell_paths_at: Option<Instant>,
}

impl<F: Managed> Side<F> {
    pub(super) fn new(limits: Limits, neighbors_max: usize, gmp: Gmp<F>) -> Self {
        Self {
            memberships: Memberships::with_limits(limits),
            reports: Reports::new(gmp),
            neighbors: NeighborCache::new(neighbors_max),
            admission: Admission::default(),
            without_routes: Vec::new(),
            replaced_routes: Vec::new(),
            tell_routes_at: None,
            untold: Vec::new(),
            tell_neighbors_at: None,
            untold_paths: Vec::new(),
            tell_paths_at: None,
        }
    }

    /// When there is something to be done, if nothing happens before.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.admission.next_deadline(),
            self.tell_routes_at,
            self.tell_neighbors_at,
            self.tell_paths_at,
            self.neighbors.poll_timeout(),
            self.reports.next_deadline(),
        ];
        deadlines.into_iter().fold(None, earliest)
    }
}

/// An IP version that control manages, and what the two do differently.
pub(super) trait Managed: Told + Format {
    /// Its side of `interface`.
    fn side(interface: &Interface) -> &Side<Self>;

    /// The replica that workers have of `interface`, and its side.
    fn split(interface: &mut Interface) -> (&mut interface::Interface, &mut Side<Self>);

    /// Its side of `interface`, to be changed.
    fn side_mut(interface: &mut Interface) -> &mut Side<Self> {
        Self::split(interface).1
    }

    /// The address that routers are told of groups from, if the interface has one that it may use for that.
    fn report_source(interface: &Interface) -> Option<Unicast<Self>>;

    /// Asks for a neighbour's Ethernet address, or whether it still has it. `waits`: the latest packet for it.
    fn ask<N: Nic>(
        interface: &mut Interface,
        request: Request<Self::Addr>,
        waits: Option<&N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    );

    /// A neighbour that packets go to stands like this now.
    fn stands(interface: &mut Interface, addr: Self::Addr, now: Standing);
}

impl Managed for V4 {
    fn side(interface: &Interface) -> &Side<Self> {
        &interface.v4
    }

    fn split(interface: &mut Interface) -> (&mut interface::Interface, &mut Side<Self>) {
        (&mut interface.replica, &mut interface.v4)
    }

    // G35, RFC 9776 4.2.13: our address, or none yet.
    fn report_source(interface: &Interface) -> Option<Unicast<Self>> {
        interface.replica.v4.addresses().first().and_then(|a| Unicast::new(a.addr()))
    }

    fn ask<N: Nic>(
        interface: &mut Interface,
        request: Request<Self::Addr>,
        _waits: Option<&N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        interface.ask_by_arp(request, base, out);
    }

    fn stands(_interface: &mut Interface, _addr: Self::Addr, _now: Standing) {}
}

impl Managed for V6 {
    fn side(interface: &Interface) -> &Side<Self> {
        &interface.v6
    }

    fn split(interface: &mut Interface) -> (&mut interface::Interface, &mut Side<Self>) {
        (&mut interface.replica, &mut interface.v6)
    }

    // L01, RFC 9777 5.2.13: a link-local one. L08, L15: with none yet, reports leave from `::`, and again when there is one.
    fn report_source(interface: &Interface) -> Option<Unicast<Self>> {
        let mut addresses = interface.replica.v6.addresses().iter().map(|a| a.addr());
        addresses.find(Ipv6Addr::is_unicast_link_local).and_then(Unicast::new)
    }

    fn ask<N: Nic>(
        interface: &mut Interface,
        request: Request<Self::Addr>,
        waits: Option<&N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        interface.ask_by_ndp::<N>(request, waits, base, out);
    }

    fn stands(interface: &mut Interface, addr: Self::Addr, now: Standing) {
        interface.neighbor6_stands(addr, now);
    }
}
