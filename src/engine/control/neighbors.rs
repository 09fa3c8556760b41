//! The neighbours of one interface at work: questions, what waits for their answers, and the workers' copies.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeSet;

use super::Outlet;
use super::interface::Interface;
use super::port::{Base, Ledger};
use super::side::{Managed, Side};
use crate::addr::Family;
use crate::engine::counters::Counter;
use crate::engine::message::News;
use crate::io::{DropReason, InterfaceId, Nic};
use crate::stack::arp::Packet;
use crate::stack::egress;
use crate::stack::hops::Hop;
use crate::stack::neighbor::{Request, Standing, Want};
use crate::stack::waiting::Waiting;
use crate::time::Instant;

use super::admission::TELL_INTERVAL;

/// The frames that wait, each for a neighbour on an interface.
pub(super) type Frames<B> = Waiting<(InterfaceId, IpAddr), B>;

/// What one worker has not been told of its neighbours, as its inbox was full.
#[derive(Debug)]
pub(super) struct Untold<F: Family> {
    worker: usize,
    /// That it knows none any more, before all else.
    all: bool,
    /// Whom it knows no more: told first, so that its copy never holds more than the cache.
    gone: BTreeSet<F::Addr>,
    known: BTreeSet<F::Addr>,
}

impl<F: Family> Untold<F> {
    const fn new(worker: usize) -> Self {
        Self { worker, all: false, gone: BTreeSet::new(), known: BTreeSet::new() }
    }

    fn is_empty(&self) -> bool {
        !self.all && self.gone.is_empty() && self.known.is_empty()
    }

    fn note(&mut self, addr: F::Addr, is_known: bool) {
        let (to, from) =
            if is_known { (&mut self.known, &mut self.gone) } else { (&mut self.gone, &mut self.known) };
        from.remove(&addr);
        to.insert(addr);
    }
}

impl Interface {
    /// A frame of ours for `next_hop`, whose Ethernet address a worker does not know.
    pub(super) fn resolve<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        next_hop: F::Addr,
        frame: N::Buf,
        waiting: &mut Frames<N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        let ledger = &mut base.ledger;
        ledger.tally.add(Counter::HandedIn, 1);
        match F::side_mut(self).neighbors.want(now, next_hop) {
            Want::Known(mac) => {
                forward(ledger, frame, mac, out);
            }
            Want::Wait => {
                // A09, RFC 1122 2.3.2.2: the latest wait.
                ledger.tally.add(Counter::Held, 1);
                if waiting.push((self.replica.id, next_hop.into()), frame).is_some() {
                    ledger.tally.add(Counter::Released, 1);
                    ledger.tally.drop(DropReason::NeighborQueueFull);
                }
            }
            // A11, RFC 1122 2.3.2.1.
            Want::Unreachable => out.unresolved(ledger, self.replica.id, frame),
            Want::Full => ledger.tally.drop(DropReason::NeighborTableFull),
        }
    }

    /// Sends the questions that are due.
    pub(super) fn ask<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        waiting: &Frames<N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        while let Some(request) = F::side_mut(self).neighbors.poll_request(now) {
            let waits = waiting.latest((self.replica.id, request.addr.into()));
            F::ask(self, request, waits, base, out);
        }
    }

    pub(super) fn ask_by_arp<N: Nic>(&self, request: Request<Ipv4Addr>, base: &mut Base, out: &Outlet<N>) {
        // I21, RFC 5227 2.1.1: without an address of our own there is nobody to answer to, and a question from 0.0.0.0
        // would be a probe.
        let Some(own) = self.replica.v4.address_towards(request.addr) else { return };
        let mut packet = Packet::request(self.replica.mac, own, request.addr);
        // A10, RFC 1122 2.3.2.1: a poll goes to the address that is to be confirmed.
        packet.target_mac = request.mac.unwrap_or_default();
        self.send_arp(&packet, base, out);
    }

    /// Acts on what changed: lets go what waited, and tells the workers.
    pub(super) fn settle_neighbors<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        waiting: &mut Frames<N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        let mut news = F::side(self).tell_neighbors_at.is_some_and(|at| at <= now);
        while let Some(change) = F::side_mut(self).neighbors.next_change() {
            let place = (self.replica.id, change.addr.into());
            match change.now {
                Standing::Known { mac, .. } => {
                    while let Some(frame) = waiting.pop(place) {
                        base.ledger.tally.add(Counter::Released, 1);
                        forward(&mut base.ledger, frame, mac, out);
                        // N11, RFC 4861 7.3.3: it is in use, however it was heard of.
                        F::side_mut(self).neighbors.used(now, change.addr);
                    }
                }
                // A11: nothing is held for who does not answer.
                Standing::Gone => {
                    while let Some(frame) = waiting.pop(place) {
                        base.ledger.tally.add(Counter::Released, 1);
                        out.unresolved(&mut base.ledger, self.replica.id, frame);
                    }
                }
                Standing::Asked => {}
            }
            F::stands(self, change.addr, change.now);
            let is_known = |standing| matches!(standing, Standing::Known { .. });
            if is_known(change.before) || is_known(change.now) {
                F::side_mut(self).note_untold(change.addr, is_known(change.now), &base.workers);
                news = true;
            }
        }
        if news {
            self.tell_neighbors::<F, N>(now, out);
        }
    }
}

impl<F: Managed> Side<F> {
    fn note_untold(&mut self, addr: F::Addr, is_known: bool, workers: &[usize]) {
        for worker in workers {
            if self.untold.iter().all(|untold| untold.worker != *worker) {
                self.untold.push(Untold::new(*worker));
            }
        }
        self.untold.retain(|untold| workers.contains(&untold.worker));
        let limit = self.neighbors.entries_max().saturating_mul(2);
        for untold in &mut self.untold {
            untold.note(addr, is_known);
            // A worker that reads nothing for so long is told all anew, which is less.
            if untold.gone.len() > limit {
                let rows = self.neighbors.rows().map(|row| row.addr);
                let known = rows.filter(|a| matches!(self.neighbors.standing(*a), Standing::Known { .. }));
                *untold = Untold { all: true, known: known.collect(), ..Untold::new(untold.worker) };
            }
        }
    }
}

impl Interface {
    /// Tells the workers what they have not been told; those whose inbox is full, a little later.
    fn tell_neighbors<F: Managed, N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let (replica, side) = F::split(self);
        let id = replica.id;
        for untold in &mut side.untold {
            let Some(inbox) = out.workers.get(untold.worker) else { continue };
            let send = |message| inbox.try_send(message).is_ok();
            if untold.all && !send(F::told(id, News::NoNeighbors)) {
                continue;
            }
            untold.all = false;
            while let Some(addr) = untold.gone.first().copied()
                && send(F::told(id, News::Neighbor(addr, None)))
            {
                untold.gone.remove(&addr);
            }
            while untold.gone.is_empty()
                && let Some(addr) = untold.known.first().copied()
                && send(F::told(id, News::Neighbor(addr, hop(side.neighbors.standing(addr)))))
            {
                untold.known.remove(&addr);
            }
        }
        side.tell_neighbors_at =
            side.untold.iter().any(|untold| !untold.is_empty()).then(|| now + TELL_INTERVAL);
    }
}

const fn hop(standing: Standing) -> Option<Hop> {
    match standing {
        Standing::Known { mac, stale } => Some(Hop { mac, stale }),
        Standing::Gone | Standing::Asked => None,
    }
}

/// Has a frame sent to `mac`.
fn forward<N: Nic>(ledger: &mut Ledger, mut frame: N::Buf, mac: crate::addr::MacAddr, out: &Outlet<N>) {
    if egress::set_destination(&mut frame, mac) {
        out.hand_out(ledger, frame);
    } else {
        ledger.tally.drop(DropReason::ReplyImpossible);
    }
}
