//! Neighbour discovery on one interface at work: what comes in, who is told of it, and what is asked.
//!
//! What addresses there are and what routers say is [`addresses6`](super::addresses6)'s.

use core::net::Ipv6Addr;

use super::Outlet;
use super::interface::Interface;
use super::port::Base;
use crate::engine::counters::Counter;
use crate::io::{DropReason, Nic, PacketBuf};
use crate::stack::nd::Message;
use crate::stack::nd::input::{self, Outcome, Received};
use crate::stack::nd::output::{FRAME_MAX, Outgoing};
use crate::stack::nd::redirect;
use crate::stack::neighbor::Request;
use crate::time::Instant;

impl Interface {
    /// A message of neighbour discovery.
    pub(super) fn ndp_input<N: Nic>(&mut self, now: Instant, frame: &[u8], base: &mut Base, out: &Outlet<N>) {
        base.ledger.tally.add(Counter::HandedIn, 1);
        let outcome = match input::read(frame) {
            Ok(received) => self.ndp_received(now, &received, base, out),
            Err(why) => Outcome::Ignored(why),
        };
        let tally = &mut base.ledger.tally;
        match outcome {
            Outcome::Answer(answer) => {
                tally.add(Counter::Consumed, 1);
                self.send_ndp(&answer, base, out);
            }
            Outcome::Learned => tally.add(Counter::Consumed, 1),
            Outcome::NoRouter(addr) => {
                tally.add(Counter::Consumed, 1);
                self.is_no_router6(addr);
            }
            Outcome::Ignored(why) => tally.drop(why),
        }
    }

    /// Has each machine hear what concerns it.
    fn ndp_received<N: Nic>(
        &mut self,
        now: Instant,
        received: &Received<'_>,
        base: &Base,
        out: &Outlet<N>,
    ) -> Outcome {
        let (envelope, mac) = (received.envelope, received.source_mac);
        match &received.message {
            // N05, RFC 4862 5.4.3: of an address that is not ours yet nothing is said; another that asks whether it is free is
            // about to take it.
            Message::NeighborSolicitation(ns) if self.is_tentative6(ns.target) => {
                if envelope.src.is_unspecified() {
                    self.heard_solicitation6(now, ns.target, ns.nonce, mac);
                }
                Outcome::Ignored(DropReason::NdpTentative)
            }
            // N05, RFC 4862 5.4.4: who says that it has an address of ours, used or not.
            Message::NeighborAdvertisement(na)
                if self.is_tentative6(na.target) || self.replica.v6.is_own(na.target) =>
            {
                self.heard_advertisement6(now, na.target, mac);
                Outcome::Ignored(DropReason::NdpConflict)
            }
            Message::RouterAdvertisement(_) if !self.heeds_routers6() => {
                Outcome::Ignored(DropReason::NdpRouterAdvertisementOff)
            }
            Message::RouterAdvertisement(ra) => {
                let outcome = input::input(now, received, &self.replica, &mut self.v6.neighbors);
                if outcome == Outcome::Learned {
                    self.router_advertised(now, envelope.src, ra, base, out);
                }
                outcome
            }
            Message::Redirect(said) => {
                let Self { replica, v6, .. } = self;
                match redirect::input(now, received, said, replica, &mut v6.neighbors) {
                    Ok(()) => {
                        self.redirected6(now, said.destination, said.target);
                        Outcome::Learned
                    }
                    Err(why) => Outcome::Ignored(why),
                }
            }
            _ => input::input(now, received, &self.replica, &mut self.v6.neighbors),
        }
    }

    /// Asks for a neighbour, or whether it is still there; `waits` is what was to go to it last.
    // N08, RFC 4861 7.2.2: from the address that the packet is from, if that is ours; else from one that suits the neighbour.
    // Without an address of our own nobody is asked: a question from `::` would be one of duplicate address detection.
    pub(super) fn ask_by_ndp<N: Nic>(
        &self,
        request: Request<Ipv6Addr>,
        waits: Option<&N::Buf>,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        let of_packet = waits.and_then(|buf| input::source_of(buf.data()));
        let own = of_packet.filter(|addr| self.replica.v6.is_own(*addr));
        let Some(own) = own.or_else(|| self.replica.v6.address_towards(request.addr)) else { return };
        self.send_ndp(&Outgoing::solicitation(own, request, &self.replica), base, out);
    }

    /// Sends a message of neighbour discovery.
    pub(super) fn send_ndp<N: Nic>(&self, outgoing: &Outgoing, base: &mut Base, out: &Outlet<N>) {
        let mut buf = [0; FRAME_MAX];
        let len = outgoing.emit(&self.replica, &mut buf);
        if let Some(frame) = len.and_then(|len| buf.get(..len)) {
            out.send(&mut base.ledger, &self.replica, frame);
        }
    }
}
