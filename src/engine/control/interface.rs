//! The truth about one interface: its addresses, neighbours and groups.

use std::sync::Arc;

use super::Outlet;
use super::addresses6::Autoconf;
use super::neighbors::Frames;
use super::port::Base;
use super::side::{Managed, Side};
use crate::addr::{Ipv4Cidr, Unicast, V4, V6};
use crate::engine::counters::Counter;
use crate::io::{Addressing6, ConflictDetection, DropReason, IgmpPolicy, MldPolicy, Nic};
use crate::rng::Rng;
use crate::stack::acd::{Acd, Conflict};
use crate::stack::arp::{self, FRAME_LEN, Outcome, Packet};
use crate::stack::gmp::Gmp;
use crate::stack::groups::GroupTable;
use crate::stack::membership::Limits;
use crate::stack::route::Routes;
use crate::stack::{ingress, interface};
use crate::time::{Instant, earliest};

/// What control is told of an interface.
#[derive(Debug)]
pub struct ControlInterfaceParts {
    /// Its name: the port's, or the port's and a VLAN.
    pub name: String,
    /// Its addresses and routes; its groups are made from the memberships.
    pub interface: interface::Interface,
    /// The default gateway, as it is shown; its routes say it, too.
    pub gateway4: Option<Unicast<V4>>,
    /// When its IPv4 addresses are used first.
    pub conflict_detection: ConflictDetection,
    /// How it gets IPv6 addresses; its static IPv6 routes are those of `interface`. None: it speaks no IPv6.
    pub addressing6: Option<Addressing6>,
    /// The most neighbours that are remembered.
    pub neighbors_max: usize,
    /// What its group management is to be like in IPv4.
    pub igmp: IgmpPolicy,
    /// And in IPv6.
    pub mld: MldPolicy,
    /// The most groups that are joined, and sources that are named.
    pub membership_limits: Limits,
}

impl ControlInterfaceParts {
    /// What a worker has of it at the start: addresses that are to be probed for are not used yet.
    #[must_use]
    pub fn replica(&self) -> interface::Interface {
        let mut replica = self.interface.clone();
        if self.conflict_detection == ConflictDetection::Probe {
            let routes = replica.v4.routes.routes().to_vec();
            replica.v4.routes = Arc::new(Routes::new(Vec::new(), routes));
        }
        replica.v6.is_on = self.addressing6.is_some();
        let routes = replica.v6.routes.routes().to_vec();
        replica.v6.routes = Arc::new(Routes::new(Vec::new(), routes));
        replica
    }
}

/// One interface.
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) replica: interface::Interface,
    pub(super) gateway4: Option<Unicast<V4>>,
    pub(super) v4: Side<V4>,
    pub(super) v6: Side<V6>,
    /// Its IPv6 addresses, and what routers said; none if it speaks no IPv6.
    pub(super) autoconf: Option<Autoconf>,
    /// Its IPv4 addresses, used or to be used.
    pub(super) addresses: Vec<Ipv4Cidr>,
    pub(super) conflict_detection: ConflictDetection,
    /// A machine for each address, from the start on.
    pub(super) claims: Vec<Acd>,
}

impl Interface {
    pub(super) fn new(parts: ControlInterfaceParts, rng: &mut Rng) -> Self {
        let mut replica = parts.replica();
        let ControlInterfaceParts { neighbors_max, membership_limits, conflict_detection, .. } = parts;
        let ControlInterfaceParts { name, interface, gateway4, addressing6, igmp, mld, .. } = parts;
        let fixed = interface.v6.routes.routes().to_vec();
        let autoconf = addressing6.map(|config| Autoconf::new(config, interface.mac, fixed, rng.fork()));
        let igmp = Gmp::new(interface.mtu, igmp, rng.u64());
        let mld = Gmp::new(interface.mtu, mld, rng.u64());
        // A seed of chance keeps an outsider from choosing groups that collide in it.
        replica.v4.groups = Arc::new(GroupTable::new(rng.u64(), core::iter::empty()));
        replica.v6.groups = Arc::new(GroupTable::new(rng.u64(), core::iter::empty()));
        Self {
            name,
            autoconf,
            replica,
            gateway4,
            v4: Side::new(membership_limits, neighbors_max, igmp),
            v6: Side::new(membership_limits, neighbors_max, mld),
            addresses: interface.v4.addresses().to_vec(),
            conflict_detection,
            claims: Vec::new(),
        }
    }

    /// An ARP packet, whose sender ingress has found to be one host.
    pub(super) fn arp_input<N: Nic>(&mut self, now: Instant, frame: &[u8], base: &mut Base, out: &Outlet<N>) {
        base.ledger.tally.add(Counter::HandedIn, 1);
        let Some(packet) = ingress::arp_packet(frame) else {
            base.ledger.tally.drop(DropReason::ArpMalformed);
            return;
        };
        match self.conflict(now, &packet, base, out) {
            Conflict::None => {}
            Conflict::Defend => {
                base.ledger.tally.add(Counter::Consumed, 1);
                let defence = Packet::announcement(self.replica.mac, packet.sender_addr);
                return self.send_arp(&defence, base, out);
            }
            Conflict::Lost | Conflict::Ignore => {
                return base.ledger.tally.drop(DropReason::ArpConflict);
            }
        }
        let tally = &mut base.ledger.tally;
        match arp::input(now, &packet, &self.replica, &mut self.v4.neighbors) {
            Outcome::Answer(answer) => {
                tally.add(Counter::Consumed, 1);
                self.send_arp(&answer, base, out);
            }
            Outcome::Learned => tally.add(Counter::Consumed, 1),
            Outcome::Ignored(why) => tally.drop(why),
        }
    }

    /// G44, A12: the switch behind the link may be another one, and knows nothing of us.
    pub(super) fn link_came_up<N: Nic>(&mut self, now: Instant, rng: &mut Rng, base: &Base, out: &Outlet<N>) {
        self.v4.reports.gmp.announce_all(now);
        self.v6.reports.gmp.announce_all(now);
        self.v4.neighbors.link_came_up(now);
        self.v6.neighbors.link_came_up(now);
        self.claim_again(now, rng, base, out);
        self.start6(now);
    }

    /// Sends what is due: probes and announcements, ARP requests, reports.
    pub(super) fn fire_timers<N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        waiting: &mut Frames<N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        self.claim(now, rng, base, out);
        self.autoconfigure(now, base, out);
        self.fire_timers_of::<V4, N>(now, rng, waiting, base, out);
        self.fire_timers_of::<V6, N>(now, rng, waiting, base, out);
    }

    /// Sends what is due of what both IP versions have.
    fn fire_timers_of<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        waiting: &mut Frames<N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        self.expire_paths::<F, N>(now, base, out);
        self.settle_routes::<F, N>(now, out);
        self.settle_admission::<F, N>(now, rng, base, out);
        self.ask::<F, N>(now, waiting, base, out);
        self.settle_neighbors::<F, N>(now, waiting, base, out);
        self.send_reports::<F, N>(now, rng, base, out);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.claim_deadline(),
            self.autoconf_deadline(),
            self.v4.next_deadline(),
            self.v6.next_deadline(),
            self.replica.v4.paths.poll_timeout(),
            self.replica.v6.paths.poll_timeout(),
        ];
        deadlines.into_iter().fold(None, earliest)
    }

    pub(super) fn send_arp<N: Nic>(&self, packet: &Packet, base: &mut Base, out: &Outlet<N>) {
        let mut frame = [0; FRAME_LEN];
        if packet.emit(&mut frame).is_some() {
            out.send(&mut base.ledger, &self.replica, &frame);
        }
    }
}
