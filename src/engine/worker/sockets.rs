//! The sockets of threads as a worker has them: what it is told of them, and what it delivers to them.
//!
//! A thread has a copy of what arrives, in a packet of its own: the buffer goes home at once, however slow the thread is.

use core::net::IpAddr;
use std::sync::Arc;

use super::Worker;
use crate::addr::{V4, V6};
use crate::engine::control::Taken;
use crate::engine::counters::Counter;
use crate::engine::message::SocketNews;
use crate::io::{DropReason, Nic, PacketBuf};
use crate::service::Datagram;
use crate::socket::{Arrived, Endpoint, SendQueue};
use crate::stack::icmp::received::Report;
use crate::stack::interface::{Interfaces, Ip};
use crate::stack::port_table::SocketId;

/// The sockets of threads, as a worker knows them.
#[derive(Debug, Default)]
pub struct WorkerSockets {
    /// Who receives, by [`SocketId`]; with room for all that may be open, so that nothing is asked of the heap here.
    endpoints: Vec<Option<Arc<Endpoint>>>,
    /// How many there are.
    open: usize,
    /// Where it says how far it has followed.
    taken: Taken,
    /// What threads have for it to send.
    outgoing: Arc<SendQueue>,
}

impl WorkerSockets {
    /// Of a worker that says by [`Taken`] how far it has followed, and sends what is in the queue. The ids of sockets are below
    /// `end`.
    #[must_use]
    pub fn new(end: usize, (taken, outgoing): (Taken, Arc<SendQueue>)) -> Self {
        let mut endpoints = Vec::new();
        endpoints.resize_with(end, || None);
        Self { endpoints, open: 0, taken, outgoing }
    }

    /// What threads have for it to send.
    #[inline]
    #[must_use]
    pub const fn outgoing(&self) -> &Arc<SendQueue> {
        &self.outgoing
    }

    /// Whether what `report` says of a path is to be believed. A service has no say in it.
    #[must_use]
    pub(in crate::engine) fn believes_routers(&self, report: &Report) -> bool {
        let is_v6 = report.error.peer.is_ipv6();
        self.get(report.socket).is_none_or(|endpoint| endpoint.believes_routers(is_v6))
    }

    /// Whether there are any.
    #[inline]
    pub(super) const fn are_open(&self) -> bool {
        self.open > 0
    }

    /// From now on this receives for the socket `id`.
    fn set(&mut self, id: SocketId, endpoint: Option<&Arc<Endpoint>>) {
        if let Some(place) = self.endpoints.get_mut(id as usize) {
            // What was there before, control has until every worker has taken the news.
            let was = core::mem::replace(place, endpoint.cloned());
            self.open = self.open + usize::from(endpoint.is_some()) - usize::from(was.is_some());
        }
    }

    /// What receives for the socket `id`.
    #[inline]
    #[must_use]
    pub fn get(&self, id: SocketId) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(id as usize)?.as_ref()
    }
}

impl<N: Nic> Worker<N> {
    /// A thread's socket is another one now, or is none any more.
    pub(super) fn hear_socket(&mut self, news: Arc<SocketNews>) {
        let SocketNews { change, id, now, ref endpoint } = *news;
        self.table.set(id, now);
        self.sockets.set(id, endpoint.as_ref());
        let audience_max = self.table.audience_max();
        self.fan_out.make_room(audience_max);
        self.plain = audience_max == 1 && self.homes.are_all_here();
        drop(news);
        self.sockets.taken.set(change);
    }
}

impl<N: Nic> Worker<N> {
    /// Lets threads' sockets have what was delivered for them, a run of one socket at a time; the rest stays.
    // U23: what finds no room in its queue is dropped, the newest first, and nobody is told. U11: an empty datagram is one, too.
    #[inline(never)]
    pub(super) fn deliver_to_threads(&mut self, index: usize) {
        let Self { delivered, ports, sockets, .. } = self;
        let Some(port) = ports.get_mut(index) else { return };
        let (mut run, mut count, mut consumed) = (Run::default(), 0, 0);
        delivered.retain(|datagram| {
            let Some(endpoint) = sockets.get(datagram.socket()) else { return true };
            run.is_of(endpoint);
            count += 1;
            match deliver(datagram, endpoint, &port.interfaces) {
                Ok(()) => (run.taken, consumed) = (run.taken + 1, consumed + 1),
                Err(why) => port.tally.drop(why),
            }
            false
        });
        run.end();
        port.tally.add(Counter::Delivered, count);
        port.tally.add(Counter::Consumed, consumed);
    }
}

/// What one socket was delivered in a row: it is counted, and who waits is woken, at once.
#[derive(Default)]
struct Run<'a> {
    of: Option<&'a Arc<Endpoint>>,
    taken: u64,
}

impl<'a> Run<'a> {
    /// What follows is of `endpoint`.
    #[inline]
    fn is_of(&mut self, endpoint: &'a Arc<Endpoint>) {
        if self.of.is_none_or(|of| !Arc::ptr_eq(of, endpoint)) {
            self.end();
            self.of = Some(endpoint);
        }
    }

    #[inline]
    fn end(&mut self) {
        if let Some(of) = self.of {
            of.count(self.taken, 0);
            of.notify();
        }
        self.taken = 0;
    }
}

fn deliver<B: PacketBuf>(
    datagram: &Datagram<B>,
    endpoint: &Endpoint,
    interfaces: &Interfaces,
) -> Result<(), DropReason> {
    let packets = endpoint.packets();
    let mut packet = packets.copy(datagram.payload()).ok_or(DropReason::SocketNoPacket)?;
    packet.arrived = Arrived {
        source: datagram.source(),
        destination: datagram.destination(),
        local: local_of(datagram, interfaces),
        interface: datagram.interface(),
        ttl: datagram.ttl(),
        tos: datagram.tos(),
        vlan: interfaces.get(datagram.interface()).and_then(|i| i.vlan).map(crate::addr::Vid::get),
        received_at: datagram.received_at(),
        real_client: datagram.real_client(),
        cast: datagram.cast(),
    };
    endpoint.deliver(packet).map_err(|packet| {
        packets.give(packet);
        DropReason::SocketQueueFull
    })
}

/// From which address an answer would leave: U21, U29, ip(7) `ipi_spec_dst`.
fn local_of<B: PacketBuf>(datagram: &Datagram<B>, interfaces: &Interfaces) -> IpAddr {
    match (datagram.source().ip(), datagram.destination().ip()) {
        (_, to) if datagram.cast() == crate::io::Cast::Unicast => to,
        (IpAddr::V4(source), to) => source_towards::<V4>(source, datagram, interfaces).map_or(to, IpAddr::V4),
        (IpAddr::V6(source), to) => source_towards::<V6>(source, datagram, interfaces).map_or(to, IpAddr::V6),
    }
}

fn source_towards<F: Ip>(
    source: F::Addr,
    datagram: &Datagram<impl PacketBuf>,
    interfaces: &Interfaces,
) -> Option<F::Addr> {
    let routes = &F::inet(interfaces.get(datagram.interface())?).routes;
    // Linux `fib_compute_spec_dst`: of our own address, the first of its network.
    routes.first_beside(source).or_else(|| routes.source_towards(source))
}
