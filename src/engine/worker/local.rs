//! What this host sent to itself: its own addresses, and groups that it is a member of.
//!
//! It never was on a wire, so no filter of ingress looks at it: I09 would drop what comes from our own address.

use core::net::{IpAddr, SocketAddr};

use super::serve::flow_of;
use super::{Manner, Worker};
use crate::addr::{V4, V6};
use crate::engine::batch::Batch;
use crate::engine::counters::{Counter, SocketPages};
use crate::engine::depart::{Depart, DepartError, Looped};
use crate::engine::port_io::PortIo;
use crate::io::{BURST_MAX, Cast, Departure, DropReason, IcmpError, IcmpErrorKind, Nic, PacketBuf, Parts};
use crate::service::{Action, Datagram};
use crate::stack::audience::{self, ForMany};
use crate::stack::egress::Emit;
use crate::stack::fragmentation::Payload;
use crate::stack::icmp::received::Report;
use crate::stack::interface::Interface;
use crate::stack::port_table::{Flow, PortTable};
use crate::time::Instant;

/// Datagrams to itself that a turn delivers at most.
const LOCAL_BUDGET: usize = 4 * BURST_MAX;

impl<N: Nic> Worker<N> {
    /// Sends a copy of `payload`, of a thread's socket, as `departure` says.
    ///
    /// # Errors
    /// Why it was not sent.
    pub fn depart(&mut self, now: Instant, payload: &[u8], departure: &Departure) -> Result<(), DepartError> {
        self.departing(now).send_copy(payload, departure)
    }

    fn departing(&mut self, now: Instant) -> Depart<'_, N> {
        let Self { ports, pool, table, local, .. } = self;
        Depart { now, ports, pool, table, local }
    }

    /// Lets this host have what it sent itself. Returns how much there was.
    #[inline]
    pub(super) fn take_local(&mut self, now: Instant) -> usize {
        if self.local.len() == 0 { 0 } else { self.deliver_local(now) }
    }

    // What is sent meanwhile waits for the next turn: two services that answer one another take turns with the network.
    #[inline(never)]
    fn deliver_local(&mut self, now: Instant) -> usize {
        let mut of_port = 0;
        let count = self.local.len().min(LOCAL_BUDGET);
        self.serving_local = true;
        for _ in 0..count {
            let Some(Looped { port: index, buf, parts }) = self.local.pop() else { break };
            if index != of_port || self.delivered.is_full() {
                self.serve(now, of_port);
                of_port = index;
            }
            let Some(port) = self.ports.get_mut(index) else { continue };
            // It counts from here on: what waits to be delivered at the end of a turn is nobody's yet.
            port.tally.add(Counter::Allocated, 1);
            let Some(interface) = port.interfaces.get(parts.interface()) else { continue };
            let found = if parts.is_ipv6() {
                find::<V6, _>(&buf, parts, interface, &self.table)
            } else {
                find::<V4, _>(&buf, parts, interface, &self.table)
            };
            match found {
                // NOTE(push): it was emptied when it was full.
                Ok(parts) => _ = self.delivered.push(Datagram::new(buf, parts, now)),
                Err((why, report)) => {
                    port.tally.drop(why);
                    // Of what is too much at once, each socket hears something.
                    let _ = report.and_then(|report| self.reports.try_push(report).ok());
                }
            }
        }
        self.serve(now, of_port);
        self.serving_local = false;
        self.tell_services(now);
        self.ports.iter_mut().for_each(PortIo::flush);
        count
    }
}

/// Does what a service decided of datagrams from this host itself: its answers go there, too.
pub(super) fn carry_out<N: Nic>(
    mut depart: Depart<'_, N>,
    index: usize,
    (pages, manner): (&SocketPages, Manner),
    batch: &mut Batch<N::Buf>,
) {
    for datagram in batch.drain() {
        let answer = answer(&datagram, depart.ports.get(index), manner);
        let (buf, parts, action) = datagram.into_parts();
        let answered = match (action, buf, answer) {
            (Action::Reply, Some(buf), Some(answer)) => {
                let len = parts.udp_len();
                let place = u16::try_from(parts.l4()).map(|offset| (parts.is_in_body(), offset));
                place.is_ok_and(|(in_body, offset)| {
                    depart.send(buf, Payload { in_body, offset, len }, &answer).is_ok()
                })
            }
            _ => false,
        };
        pages.add(parts.socket(), 1, u64::from(answered));
        let Some(port) = depart.ports.get_mut(index) else { continue };
        match action {
            Action::Refuse(why) => port.tally.drop(why),
            Action::Reply if !answered => port.tally.drop(DropReason::ReplyImpossible),
            // What is answered is a packet of its own.
            Action::Reply | Action::Consume => port.tally.add(Counter::Consumed, 1),
        }
    }
}

/// How the answer to `datagram` leaves: from the address that was asked (U21).
fn answer<N: Nic>(
    datagram: &Datagram<N::Buf>,
    port: Option<&PortIo<N>>,
    manner: Manner,
) -> Option<Departure> {
    let (asking, asked) = (datagram.source(), datagram.destination());
    let interface = port?.interfaces.get(datagram.interface())?;
    let own = match (datagram.cast(), asking.ip()) {
        (Cast::Unicast, _) => asked.ip(),
        (_, IpAddr::V4(asking)) => interface.v4.address_towards(asking)?.into(),
        (_, IpAddr::V6(asking)) => interface.v6.address_towards(asking)?.into(),
    };
    let departure = Departure::new(interface.id, SocketAddr::new(own, asked.port()), asking);
    Some(Departure { discovery: manner.path_mtu_discovery, ..departure })
}

/// The socket that a datagram of ours is for, or why there is none, and who is to be told.
#[expect(clippy::result_large_err, reason = "moved once, and never boxed: the packet path allocates nothing")]
fn find<F: Emit, B: PacketBuf>(
    buf: &B,
    parts: Parts,
    interface: &Interface,
    table: &PortTable,
) -> Result<Parts, (DropReason, Option<Report>)> {
    let none = (DropReason::UdpNoPort, None);
    let flow = flow_of::<F, B>(buf, parts).ok_or(none)?;
    if parts.cast() == Cast::Unicast {
        let found = table.unicast::<F>(interface.id, &flow);
        return found
            .map(|found| parts.for_socket(found.socket))
            .ok_or_else(|| (DropReason::UdpNoPort, refused(&flow, interface, table)));
    }
    let for_many = ForMany::<F> { interface: interface.id, flow, cast: parts.cast() };
    let first = audience::first(&for_many, &F::inet(interface).groups, table).map_err(|why| (why, None))?;
    Ok(parts.for_socket(first.socket).with_others(first.others))
}

/// C15: whoever sent to a port of this host that nobody has is told as by another host.
fn refused<F: Emit>(flow: &Flow<F>, interface: &Interface, table: &PortTable) -> Option<Report> {
    let Flow { src, sport, dst, dport } = *flow;
    let back = Flow::<F> { src: dst, sport: dport, dst: src, dport: sport };
    let socket = table.sender::<F>(interface.id, &back)?;
    // RFC 792, RFC 4443 3.1: port unreachable.
    let (icmp_type, icmp_code) = if F::VERSION == 4 { (3, 3) } else { (1, 4) };
    let error = IcmpError {
        kind: IcmpErrorKind::PortUnreachable,
        reporter: dst.into(),
        local: SocketAddr::new(src.into(), sport),
        peer: SocketAddr::new(dst.into(), dport),
        interface: interface.id,
        icmp_type,
        icmp_code,
    };
    Some(Report { socket, error, too_big: None })
}
