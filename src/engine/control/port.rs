//! The truth about one port: its addresses, neighbours, groups and filter.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::sync::Arc;

use super::Outlet;
use crate::addr::{Unicast, V4};
use crate::engine::counters::{Counter, CounterPage, Tally};
use crate::io::{DropReason, Nic, PortControl, PortId};
use crate::rng::Rng;
use crate::stack::arp::{self, Defence, FRAME_LEN, Outcome, Packet};
use crate::stack::gmp::igmp::Igmp;
use crate::stack::groups::{GroupTable, ServiceId};
use crate::stack::ingress;
use crate::stack::interface::Interface;
use crate::stack::membership::Memberships;
use crate::stack::neighbor::NeighborCache;
use crate::time::{Instant, earliest};

/// Announcements of each address after the start, and the time between them. A12, RFC 5227 2.3: ANNOUNCE_NUM and
/// ANNOUNCE_INTERVAL.
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// What control is told of a port.
pub struct ControlPortParts {
    /// The device.
    pub device: Box<dyn PortControl>,
    /// Its addresses; its groups are made from the memberships.
    pub interface: Interface,
    /// The default gateway: resolved from the start and kept so.
    pub gateway4: Option<Unicast<V4>>,
    /// The workers that serve it; the first sends for control.
    pub workers: Vec<usize>,
    /// Their CPUs.
    pub cpus: Vec<usize>,
    /// The counters that they publish.
    pub pages: Vec<CounterPage>,
}

impl core::fmt::Debug for ControlPortParts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ControlPortParts").field("interface", &self.interface).finish_non_exhaustive()
    }
}

/// Control's own counting on a port, and who sends there for it.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) id: PortId,
    pub(super) worker: usize,
    pub(super) tally: Tally,
}

/// One port.
pub(super) struct Port {
    pub(super) device: Box<dyn PortControl>,
    pub(super) interface: Interface,
    pub(super) gateway4: Option<Unicast<V4>>,
    pub(super) workers: Vec<usize>,
    pub(super) cpus: Vec<usize>,
    pub(super) pages: Vec<CounterPage>,
    pub(super) ledger: Ledger,
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
    /// Whether the filter was ever applied: only then is another rung news.
    pub(super) filter_applied: bool,
    defence: Defence,
    announcements: u8,
    announce_at: Option<Instant>,
    link_up: bool,
    frame: Vec<u8>,
}

impl Port {
    pub(super) fn new(parts: ControlPortParts, rng: &mut Rng) -> Self {
        let ControlPortParts { device, interface, gateway4, workers, cpus, pages } = parts;
        let ledger = Ledger {
            id: interface.port,
            worker: workers.first().copied().unwrap_or_default(),
            tally: Tally::default(),
        };
        // G44: what was sent while there was no link is sent again when there is one, at the start too.
        let link_up = device.link_is_up();
        Self {
            igmp: Igmp::new(interface.mtu),
            device,
            interface,
            gateway4,
            workers,
            cpus,
            pages,
            ledger,
            memberships: Memberships::new(),
            neighbors: NeighborCache::new(crate::stack::neighbor::ENTRIES_DEFAULT),
            hash_seed: rng.u64(),
            replaced: Vec::new(),
            behind: Vec::new(),
            tell_at: None,
            filter_applied: false,
            defence: Defence::default(),
            announcements: 0,
            announce_at: None,
            link_up,
            frame: Vec::new(),
        }
    }

    /// What the workers counted on this port, together.
    pub(super) fn workers_tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.pages.iter().for_each(|page| sum.merge(&page.read()));
        sum
    }

    /// All drops on this port, control's own among them.
    pub(super) fn all_tally(&self) -> Tally {
        let mut sum = self.workers_tally();
        sum.merge(&self.ledger.tally);
        sum
    }

    /// DESIGN 3: whatever control was handed or has made, it has used, sent or dropped.
    pub(super) fn assert_balance(&self) {
        let (came, went) = self.ledger.tally.balance();
        debug_assert_eq!(came, went, "control lost a packet");
    }

    /// An ARP packet, whose sender ingress has found to be one host.
    pub(super) fn arp_input<N: Nic>(&mut self, now: Instant, frame: &[u8], out: &Outlet<N>) {
        self.ledger.tally.add(Counter::HandedIn, 1);
        let Some(packet) = ingress::arp_packet(frame) else {
            self.ledger.tally.drop(DropReason::ArpMalformed);
            return;
        };
        match arp::input(now, &packet, &self.interface, &mut self.neighbors, &mut self.defence) {
            Outcome::Answer(answer) => {
                if self.interface.v4.is_own(packet.sender_addr) {
                    tracing::warn!(
                        "port {}: {} also claims our address {}: two hosts have it, change one",
                        self.device.info().name,
                        packet.sender_mac,
                        packet.sender_addr
                    );
                }
                self.ledger.tally.add(Counter::Consumed, 1);
                self.send_arp(&answer, out);
            }
            Outcome::Learned => self.ledger.tally.add(Counter::Consumed, 1),
            Outcome::Ignored(why) => self.ledger.tally.drop(why),
        }
    }

    /// An IGMP message, in an IPv4 packet that ingress has found to be whole.
    pub(super) fn igmp_input(&mut self, now: Instant, rng: &mut Rng, frame: &[u8]) {
        self.ledger.tally.add(Counter::HandedIn, 1);
        let outcome = match ingress::ipv4_payload(frame) {
            Some(message) => self.igmp.receive(now, rng, message),
            None => Err(DropReason::IgmpTruncated),
        };
        match outcome {
            Ok(()) => self.ledger.tally.add(Counter::Consumed, 1),
            Err(why) => self.ledger.tally.drop(why),
        }
    }

    /// Sends the reports that are due.
    pub(super) fn send_reports<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        // G35, RFC 9776 4.2.13: from our address, or 0.0.0.0 while there is none.
        let src = self.interface.v4.addresses().first().and_then(|a| Unicast::new(a.addr()));
        while self.igmp.next_frame(now, rng, self.interface.mac, src, &mut self.frame) {
            out.send(&mut self.ledger, &self.frame);
        }
    }

    /// Sends the reports that are due next, though it is too early for them. False if there are none.
    pub(super) fn repeat_reports<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) -> bool {
        let Some(at) = self.igmp.poll_timeout() else { return false };
        self.send_reports(at.max(now), rng, out);
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

    /// Notices that the link came up again: what was announced and reported must be so again.
    pub(super) fn check_link(&mut self, now: Instant) {
        let up = self.device.link_is_up();
        let came_up = up && !self.link_up;
        if up != self.link_up {
            tracing::info!("port {}: link {}", self.device.info().name, if up { "up" } else { "down" });
        }
        self.link_up = up;
        if came_up {
            let macs = self.memberships.macs();
            self.device.mc_filter().apply(&macs);
            self.igmp.announce_all(now);
            self.start_announcing(now);
        }
    }

    /// Sends what is due: announcements, ARP requests, reports.
    pub(super) fn fire_timers<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce(now, out);
        }
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_admission(now, Duration::ZERO, out);
        }
        while let Some(request) = self.neighbors.poll_request(now) {
            let own = self.interface.v4.address_towards(request.addr).unwrap_or(Ipv4Addr::UNSPECIFIED);
            let mut packet = Packet::request(self.interface.mac, own, request.addr);
            // A10, RFC 1122 2.3.2.1: a poll goes to the address that is to be confirmed.
            packet.target_mac = request.mac.unwrap_or_default();
            self.send_arp(&packet, out);
        }
        self.send_reports(now, rng, out);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.announce_at, self.tell_at, self.neighbors.poll_timeout(), self.igmp.poll_timeout()];
        deadlines.into_iter().fold(None, earliest)
    }

    fn announce<N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let addresses: Vec<Ipv4Addr> = self.interface.v4.addresses().iter().map(|a| a.addr()).collect();
        for addr in addresses {
            self.send_arp(&Packet::announcement(self.interface.mac, addr), out);
        }
        self.announcements = self.announcements.saturating_sub(1);
        self.announce_at = (self.announcements > 0).then(|| now + ANNOUNCE_INTERVAL);
    }

    fn send_arp<N: Nic>(&mut self, packet: &Packet, out: &Outlet<N>) {
        let mut frame = [0; FRAME_LEN];
        if packet.emit(&mut frame).is_some() {
            out.send(&mut self.ledger, &frame);
        }
    }
}
