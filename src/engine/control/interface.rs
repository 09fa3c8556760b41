//! The truth about one interface: its addresses, neighbours and groups.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::sync::Arc;

use super::Outlet;
use super::port::Base;
use crate::addr::{Unicast, V4};
use crate::engine::counters::Counter;
use crate::io::{DropReason, Nic};
use crate::rng::Rng;
use crate::stack::arp::{self, Defence, FRAME_LEN, Outcome, Packet};
use crate::stack::gmp::igmp::Igmp;
use crate::stack::groups::{GroupTable, ServiceId};
use crate::stack::membership::Memberships;
use crate::stack::neighbor::NeighborCache;
use crate::stack::{ingress, interface};
use crate::time::{Instant, earliest};

/// Announcements of each address after the start, and the time between them. A12, RFC 5227 2.3: ANNOUNCE_NUM and
/// ANNOUNCE_INTERVAL.
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// What control is told of an interface.
#[derive(Debug)]
pub struct ControlInterfaceParts {
    /// Its name: the port's, or the port's and a VLAN.
    pub name: String,
    /// Its addresses; its groups are made from the memberships.
    pub interface: interface::Interface,
    /// The default gateway: resolved from the start and kept so.
    pub gateway4: Option<Unicast<V4>>,
}

/// One interface.
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) replica: interface::Interface,
    pub(super) gateway4: Option<Unicast<V4>>,
    pub(super) memberships: Memberships<V4, ServiceId>,
    pub(super) igmp: Igmp,
    pub(super) neighbors: NeighborCache<V4>,
    /// Keeps an outsider from choosing groups that collide in the workers' tables.
    pub(super) hash_seed: u64,
    /// Tables of groups that workers may still have.
    pub(super) replaced: Vec<Arc<GroupTable<V4>>>,
    /// Workers that were not told of the latest table, and when to try again.
    pub(super) behind: Vec<usize>,
    pub(super) tell_at: Option<Instant>,
    defence: Defence,
    announcements: u8,
    announce_at: Option<Instant>,
    frame: Vec<u8>,
}

impl Interface {
    pub(super) fn new(parts: ControlInterfaceParts, rng: &mut Rng) -> Self {
        let ControlInterfaceParts { name, interface, gateway4 } = parts;
        Self {
            name,
            igmp: Igmp::new(interface.mtu),
            replica: interface,
            gateway4,
            memberships: Memberships::new(),
            neighbors: NeighborCache::new(crate::stack::neighbor::ENTRIES_DEFAULT),
            hash_seed: rng.u64(),
            replaced: Vec::new(),
            behind: Vec::new(),
            tell_at: None,
            defence: Defence::default(),
            announcements: 0,
            announce_at: None,
            frame: Vec::new(),
        }
    }

    /// An ARP packet, whose sender ingress has found to be one host.
    pub(super) fn arp_input<N: Nic>(&mut self, now: Instant, frame: &[u8], base: &mut Base, out: &Outlet<N>) {
        let tally = &mut base.ledger.tally;
        tally.add(Counter::HandedIn, 1);
        let Some(packet) = ingress::arp_packet(frame) else {
            tally.drop(DropReason::ArpMalformed);
            return;
        };
        match arp::input(now, &packet, &self.replica, &mut self.neighbors, &mut self.defence) {
            Outcome::Answer(answer) => {
                if self.replica.v4.is_own(packet.sender_addr) {
                    tracing::warn!(
                        "port {}: {} also claims our address {}: two hosts have it, change one",
                        self.name,
                        packet.sender_mac,
                        packet.sender_addr
                    );
                }
                tally.add(Counter::Consumed, 1);
                self.send_arp(&answer, base, out);
            }
            Outcome::Learned => tally.add(Counter::Consumed, 1),
            Outcome::Ignored(why) => tally.drop(why),
        }
    }

    /// An IGMP message, in an IPv4 packet that ingress has found to be whole.
    pub(super) fn igmp_input(&mut self, now: Instant, rng: &mut Rng, frame: &[u8], base: &mut Base) {
        let tally = &mut base.ledger.tally;
        tally.add(Counter::HandedIn, 1);
        let outcome = match ingress::ipv4_payload(frame) {
            Some(message) => self.igmp.receive(now, rng, message),
            None => Err(DropReason::IgmpTruncated),
        };
        match outcome {
            Ok(()) => tally.add(Counter::Consumed, 1),
            Err(why) => tally.drop(why),
        }
    }

    /// Sends the reports that are due.
    pub(super) fn send_reports<N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        // G35, RFC 9776 4.2.13: from our address, or 0.0.0.0 while there is none.
        let src = self.replica.v4.addresses().first().and_then(|a| Unicast::new(a.addr()));
        while self.igmp.next_frame(now, rng, self.replica.mac, src, &mut self.frame) {
            out.send(&mut base.ledger, &self.replica, &self.frame);
        }
    }

    /// Sends the reports that are due next, though it is too early for them. False if there are none.
    pub(super) fn repeat_reports<N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) -> bool {
        let Some(at) = self.igmp.poll_timeout() else { return false };
        self.send_reports(at.max(now), rng, base, out);
        true
    }

    /// Announces our addresses, and asks for the gateway.
    pub(super) fn start_announcing(&mut self, now: Instant) {
        self.announcements = ANNOUNCE_NUM;
        self.announce_at = Some(now);
        if let Some(gateway) = self.gateway4 {
            self.neighbors.keep(now, gateway.addr());
        }
    }

    /// G44, A12: the switch behind the link may be another one, and knows nothing of us.
    pub(super) fn link_came_up(&mut self, now: Instant) {
        self.igmp.announce_all(now);
        self.start_announcing(now);
    }

    /// Sends what is due: announcements, ARP requests, reports.
    pub(super) fn fire_timers<N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce(now, base, out);
        }
        self.expire_paths(now, base, out);
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_admission(now, Duration::ZERO, out);
        }
        while let Some(request) = self.neighbors.poll_request(now) {
            let own = self.replica.v4.address_towards(request.addr).unwrap_or(Ipv4Addr::UNSPECIFIED);
            let mut packet = Packet::request(self.replica.mac, own, request.addr);
            // A10, RFC 1122 2.3.2.1: a poll goes to the address that is to be confirmed.
            packet.target_mac = request.mac.unwrap_or_default();
            self.send_arp(&packet, base, out);
        }
        self.send_reports(now, rng, base, out);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.announce_at, self.tell_at, self.neighbors.poll_timeout(), self.igmp.poll_timeout()];
        deadlines.into_iter().fold(self.replica.paths.poll_timeout(), earliest)
    }

    fn announce<N: Nic>(&mut self, now: Instant, base: &mut Base, out: &Outlet<N>) {
        let addresses: Vec<Ipv4Addr> = self.replica.v4.addresses().iter().map(|a| a.addr()).collect();
        for addr in addresses {
            self.send_arp(&Packet::announcement(self.replica.mac, addr), base, out);
        }
        self.announcements = self.announcements.saturating_sub(1);
        self.announce_at = (self.announcements > 0).then(|| now + ANNOUNCE_INTERVAL);
    }

    fn send_arp<N: Nic>(&self, packet: &Packet, base: &mut Base, out: &Outlet<N>) {
        let mut frame = [0; FRAME_LEN];
        if packet.emit(&mut frame).is_some() {
            out.send(&mut base.ledger, &self.replica, &frame);
        }
    }
}
