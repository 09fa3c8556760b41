//! How datagrams reach their services: those that live here, in bursts, and those that live on other workers.

use arrayvec::ArrayVec;

use super::copies::make_private;
use super::fan_out::{Copy, FanOut};
use super::outlet::Outlet;
use super::{Manner, Worker, local};
use crate::addr::{V4, V6};
use crate::engine::batch::Batch;
use crate::engine::counters::{Counter, SocketPages};
use crate::engine::depart::Depart;
use crate::engine::message::ToService;
use crate::engine::port_io::PortIo;
use crate::fastpath::{self, Answers, Level, Near, Request, View};
use crate::io::{BURST_MAX, DropReason, Nic, PacketBuf, Parts, PortId, ReplyPath};
use crate::service::{Action, Datagram};
use crate::stack::audience::{self, ForMany};
use crate::stack::egress::{Emit, Way};
use crate::stack::groups::ServiceId;
use crate::stack::icmp::received::Report;
use crate::stack::interface::Interfaces;
use crate::stack::port_table::{Flow, PortTable, SocketId};
use crate::time::Instant;

/// Datagrams that a turn takes from other workers at most.
const TO_SERVICES_BUDGET: usize = 2 * BURST_MAX;

impl<N: Nic> Worker<N> {
    /// Lets every socket have its datagrams.
    #[inline]
    pub(super) fn serve(&mut self, now: Instant, index: usize) {
        if self.delivered.len() == 0 {
            return;
        }
        if self.table.is_large() {
            let fetch = |d: &Datagram<N::Buf>| self.socket_pages.fetch(d.socket(), &Near);
            self.delivered.as_slice().iter().for_each(fetch);
        }
        let here = |d: &Datagram<N::Buf>| !d.parts().has_others() && self.homes.is_here(d.parts().socket());
        if self.plain || self.delivered.as_slice().iter().all(here) {
            self.serve_here(now, index);
        } else {
            self.serve_everywhere(now, index);
        }
    }

    /// Lets each service have its datagrams, in one call, and carries its decisions out. Each datagram is for one socket,
    /// whose service lives here.
    pub(super) fn serve_here(&mut self, now: Instant, index: usize) {
        // What is left then is for services.
        if self.sockets.are_open() {
            self.deliver_to_threads(index);
        }
        while let Some(first) = self.delivered.first() {
            let service = service_of(&self.table, first.socket());
            let mine = |d: &Datagram<N::Buf>| service_of(&self.table, d.socket()) == service;
            let batch = if self.services.len() == 1
                || self.delivered.socket().is_some()
                || self.delivered.as_slice().iter().all(mine)
            {
                &mut self.delivered
            } else {
                self.delivered.split_to(&mut self.batch, mine);
                &mut self.batch
            };
            let Some(port) = self.ports.get_mut(index) else { return };
            let mut manner = Manner::default();
            if let Some(s) = self.services.iter_mut().find(|s| Some(s.id) == service) {
                if !self.plain && s.service.writes_payloads() {
                    make_private(batch, &self.pool, &mut port.tally);
                }
                port.tally.add(Counter::Delivered, batch.len() as u64);
                let Self { ports, pool, table, local, .. } = self;
                let (view, pages) = (&self.view, &self.socket_pages);
                let outlet = Outlet { depart: Depart { now, ports, pool, table, local }, view, pages };
                s.call(outlet, |service, cx| service.datagrams(cx, batch.as_mut_slice()));
                manner = s.manner;
                if self.serving_local {
                    let depart = Depart { now, ports, pool, table, local };
                    local::carry_out(depart, index, (pages, manner), batch);
                    continue;
                }
            }
            let Some(port) = self.ports.get_mut(index) else { return };
            carry_out(now, port, &self.socket_pages, (self.level, manner), batch, &self.pool);
        }
    }

    /// The same for a burst of which some are for several sockets, or for services that live on other workers.
    // U13, RFC 1122 4.1.3.1.
    #[inline(never)]
    fn serve_everywhere(&mut self, now: Instant, index: usize) {
        self.find_sockets(index);
        while let Some(service) = self.fan_out.next_service() {
            while let Some(copy) = self.fan_out.next_copy(service) {
                let Some(port) = self.ports.get_mut(index) else { return };
                port.tally.add(Counter::Shared, u64::from(copy.shared));
                if !self.homes.is_here(copy.parts.socket()) {
                    self.hand_over(now, index, copy);
                    continue;
                }
                // NOTE(push): it was emptied, and whenever it was full it was served.
                self.delivered.push(Datagram::new(copy.buf, copy.parts, now));
                if self.delivered.is_full() {
                    self.serve_here(now, index);
                }
            }
            self.serve_here(now, index);
        }
        self.fan_out.clear();
    }

    /// Moves the burst to `fan_out`, with the sockets that each datagram is for.
    fn find_sockets(&mut self, index: usize) {
        let is_from_link = !self.serving_local;
        let Self { delivered, fan_out, table, ports, .. } = self;
        let Some(port) = ports.get_mut(index) else { return };
        let PortIo { interfaces, tally, .. } = port;
        for datagram in delivered.drain() {
            let parts = datagram.parts();
            let added = if !parts.has_others() {
                let (buf, parts, _) = datagram.into_parts();
                // Nothing is kept before a service was asked.
                let Some(buf) = buf else { continue };
                let socket = parts.socket();
                fan_out.add(
                    buf,
                    parts,
                    service_of(table, socket).map(|service| (service, socket)).into_iter(),
                )
            } else if parts.is_ipv6() {
                add_everyone::<V6, _>(fan_out, datagram, interfaces, table, is_from_link)
            } else {
                add_everyone::<V4, _>(fan_out, datagram, interfaces, table, is_from_link)
            };
            if added.is_err() {
                tally.drop(DropReason::UdpNoListener);
            }
        }
    }

    /// Hands a datagram to the worker on which its service lives.
    // U23: its queue is full, and that is all that it is: nobody waits, and no other copy is touched.
    fn hand_over(&mut self, now: Instant, index: usize, copy: Copy<N::Buf>) {
        let Some(port) = self.ports.get_mut(index) else { return };
        let Copy { buf, parts, .. } = copy;
        let way = if parts.is_ipv6() {
            self.homes.way(parts.socket(), flow::<V6, _>(&buf, parts))
        } else {
            self.homes.way(parts.socket(), flow::<V4, _>(&buf, parts))
        };
        let message =
            ToService::Datagram { port: port.id, buf, parts, received_at: now, local: self.serving_local };
        if way.is_some_and(|way| way.try_send(message).is_ok()) {
            port.tally.add(Counter::HandedOut, 1);
        } else {
            port.tally.drop(DropReason::HandOverQueueFull);
        }
    }

    /// Takes what other workers received for the services here. Returns how much there was.
    pub(super) fn take_for_services(&mut self, now: Instant) -> usize {
        if !self.homes.are_some_elsewhere() {
            return 0;
        }
        let (mut taken, mut of_port) = (0, 0);
        let mut of_local = false;
        while taken < TO_SERVICES_BUDGET
            && let Ok(message) = self.to_services.try_recv()
        {
            taken += 1;
            match message {
                ToService::Error(report) => self.tell_service(now, report),
                ToService::Datagram { port, buf, parts, received_at, local } => {
                    let Some(index) = self.index_of(port) else { continue };
                    if (index, local) != (of_port, of_local) || self.delivered.is_full() {
                        self.serving_local = of_local;
                        self.serve_here(now, of_port);
                        (of_port, of_local) = (index, local);
                    }
                    if let Some(port) = self.ports.get_mut(index) {
                        port.tally.add(Counter::HandedIn, 1);
                        self.delivered.push(Datagram::new(buf, parts, received_at));
                    }
                }
            }
        }
        if taken > 0 {
            self.serving_local = of_local;
            self.serve_here(now, of_port);
            self.serving_local = false;
            // The transmit burst is empty when a received one is sorted.
            self.ports.iter_mut().for_each(PortIo::flush);
        }
        taken
    }

    /// The last turn: what other workers received is served no more.
    pub(super) fn give_up_for_services(&mut self) {
        while let Ok(message) = self.to_services.try_recv() {
            if let ToService::Datagram { port, .. } = message
                && let Some(port) = self.index_of(port).and_then(|index| self.ports.get_mut(index))
            {
                port.tally.add(Counter::HandedIn, 1);
                port.tally.drop(DropReason::Stopping);
            }
        }
    }

    /// C15, RFC 1122 4.1.3.3: each service hears of the errors about its own datagrams.
    #[inline]
    pub(super) fn tell_services(&mut self, now: Instant) {
        if !self.reports.is_empty() {
            self.tell_of_reports(now);
        }
    }

    #[cold]
    fn tell_of_reports(&mut self, now: Instant) {
        let mut reports = core::mem::take(&mut self.reports);
        for report in reports.drain(..) {
            match self.homes.way(report.socket, (report.error.local, report.error.peer)) {
                // Of an error, the packet is accounted for; a service that cannot keep up does without.
                Some(way) => drop(way.try_send(ToService::Error(report))),
                None => self.tell_service(now, report),
            }
        }
        self.reports = reports;
    }

    fn tell_service(&mut self, now: Instant, report: Report) {
        if let Some(endpoint) = self.sockets.get(report.socket) {
            endpoint.hear(&report.error);
            return;
        }
        let service = service_of(&self.table, report.socket);
        if let Some(s) = self.services.iter_mut().find(|s| Some(s.id) == service) {
            let Self { ports, pool, table, local, .. } = self;
            let depart = Depart { now, ports, pool, table, local };
            let outlet = Outlet { depart, view: &self.view, pages: &self.socket_pages };
            s.call(outlet, |service, cx| service.icmp_error(cx, &report.error));
        }
    }

    fn index_of(&self, port: PortId) -> Option<usize> {
        self.ports.iter().position(|p| p.id == port)
    }
}

fn service_of(table: &PortTable, socket: SocketId) -> Option<ServiceId> {
    table.service(socket)
}

/// Adds `datagram`, which several sockets hear, with all of them.
fn add_everyone<F: Emit, B: PacketBuf>(
    fan_out: &mut FanOut<B>,
    datagram: Datagram<B>,
    interfaces: &Interfaces,
    table: &PortTable,
    is_from_link: bool,
) -> Result<(), B> {
    let for_many = for_many::<F, B>(&datagram);
    let is_unsummed = is_from_link && is_unsummed(&datagram);
    let (buf, parts, _) = datagram.into_parts();
    // Nothing is kept before a service was asked.
    let Some(buf) = buf else { return Ok(()) };
    let groups = interfaces.get(parts.interface()).map(|interface| &F::inet(interface).groups);
    let everyone = for_many.iter().zip(groups).flat_map(|(d, groups)| audience::all(d, groups, table));
    // U06: who does not take what has no checksum is passed over.
    let everyone = everyone.filter(|socket| !is_unsummed || table.takes_unsummed(*socket));
    let with_service = |socket| service_of(table, socket).map(|service| (service, socket));
    fan_out.add(buf, parts, everyone.filter_map(with_service))
}

/// Whether it came over IPv6 without a checksum. What this host sent itself never has one.
fn is_unsummed<B: PacketBuf>(datagram: &Datagram<B>) -> bool {
    let parts = datagram.parts();
    let in_packet = |buf: &B| {
        let udp = if parts.is_in_body() { buf.body().unwrap_or_default() } else { buf.data() };
        udp.get(parts.l4() + 6..).and_then(|field| field.first_chunk::<2>()).is_some_and(|sum| *sum == [0, 0])
    };
    parts.is_ipv6() && datagram.buf().is_some_and(in_packet)
}

/// What decides who hears `datagram`.
fn for_many<F: Emit, B: PacketBuf>(datagram: &Datagram<B>) -> Option<ForMany<F>> {
    let flow = flow_of(datagram.buf()?, datagram.parts())?;
    Some(ForMany { interface: datagram.interface(), flow, cast: datagram.cast() })
}

/// Who sent the datagram at `parts` of `buf`, and to whom.
pub(super) fn flow_of<F: Emit, B: PacketBuf>(buf: &B, parts: Parts) -> Option<Flow<F>> {
    let (Some((src, dst)), [s0, s1, d0, d1]) = flow::<F, B>(buf, parts) else { return None };
    Some(Flow { src, sport: u16::from_be_bytes([s0, s1]), dst, dport: u16::from_be_bytes([d0, d1]) })
}

/// Two addresses, and two ports.
type Ends<A> = (Option<(A, A)>, [u8; 4]);

/// What the datagrams of one flow have in common: addresses and ports.
fn flow<F: Emit, B: PacketBuf>(buf: &B, parts: Parts) -> Ends<F::Addr> {
    let addresses = buf.data().get(parts.l3()..).and_then(F::addresses);
    let udp = if parts.is_in_body() { buf.body().unwrap_or_default() } else { buf.data() };
    let ports = udp.get(parts.l4()..).and_then(|b| b.first_chunk());
    (addresses, ports.copied().unwrap_or_default())
}

/// Does what the service decided, and counts it for the sockets.
// Apart, so that what composes answers keeps its values in registers.
#[inline(never)]
fn carry_out<N: Nic>(
    now: Instant,
    port: &mut PortIo<N>,
    pages: &SocketPages,
    (level, manner): (Level, Manner),
    batch: &mut Batch<N::Buf>,
    pool: &N::Pool,
) {
    let (socket, len) = (batch.socket(), batch.len() as u64);
    let each = socket.is_none().then_some(pages);
    let mut decided = Decided { now, port, manner, pool, each, consumed: 0, unanswered: 0 };
    // T01: what may never have DF is not of the shape that the fast path answers.
    if manner.is_plain() {
        fastpath::reply_burst(level, batch.as_mut_slice(), &mut decided);
    } else {
        batch.as_mut_slice().iter_mut().for_each(|datagram| decided.left(datagram));
    }
    batch.emptied();
    let Decided { consumed, unanswered, .. } = decided;
    if let Some(socket) = socket {
        pages.add(socket, len, len - unanswered.min(len));
    }
    port.tally.add(Counter::Consumed, consumed);
}

/// What the service decided, and what has become of it.
struct Decided<'a, N: Nic> {
    now: Instant,
    port: &'a mut PortIo<N>,
    manner: Manner,
    pool: &'a N::Pool,
    /// The sockets' counters, if each datagram is counted for its own.
    each: Option<&'a SocketPages>,
    consumed: u64,
    unanswered: u64,
}

impl<N: Nic> Decided<'_, N> {
    /// Sends answers, at most [`BURST_MAX`], to where routes and neighbours say: all are asked for their way first, so that what is read of
    /// many neighbours is waited for together.
    #[inline(never)]
    fn send_by_route(&mut self, answers: &mut [Datagram<N::Buf>]) {
        // Filled where it is: what is collected is moved.
        let mut ways = ArrayVec::<Way, BURST_MAX>::new();
        for answer in &*answers {
            // NOTE(push): there is room for as many.
            let _ = ways.try_push(self.port.way(answer.buf(), answer.interface()));
        }
        for (answer, way) in answers.iter_mut().zip(&ways) {
            let id = answer.interface();
            let sent = answer.slot().take().is_some_and(|buf| self.port.send_by_way(buf, id, way));
            self.count(answer, sent);
        }
    }

    /// Counts `datagram`, which was answered or not.
    #[inline(always)]
    fn count(&mut self, datagram: &Datagram<N::Buf>, is_answered: bool) {
        self.unanswered += u64::from(!is_answered);
        if let Some(pages) = self.each {
            pages.add(datagram.socket(), 1, is_answered.into());
        }
    }
}

impl<B: PacketBuf> Request<B> for Datagram<B> {
    #[inline(always)]
    fn asked(&self) -> Option<Parts> {
        matches!(self.action(), Action::Reply).then(|| self.parts())
    }

    #[inline(always)]
    fn buf(&mut self) -> Option<&mut B> {
        self.buf_mut()
    }
}

impl<N: Nic> Answers<Datagram<N::Buf>> for Decided<'_, N> {
    #[inline(always)]
    fn view(&self) -> (&View, &Interfaces) {
        (&self.port.view, &self.port.interfaces)
    }

    #[inline(always)]
    fn turned(&mut self, answers: &mut [Datagram<N::Buf>], bytes: u64) {
        if self.manner.reply == ReplyPath::Reflect {
            if self.each.is_some() {
                answers.iter().for_each(|answer| self.count(answer, true));
            }
            self.port.send_all(answers.iter_mut().map(Datagram::slot), bytes);
            return;
        }
        answers.chunks_mut(BURST_MAX).for_each(|answers| self.send_by_route(answers));
    }

    // Apart: most are turned.
    #[inline(never)]
    fn left(&mut self, request: &mut Datagram<N::Buf>) {
        let (parts, action) = (request.parts(), request.action());
        let answered = match (action, request.slot().take()) {
            (Action::Reply, Some(buf)) => self.port.answer(self.now, buf, parts, self.manner, self.pool),
            (Action::Refuse(why), _) => {
                self.port.tally.drop(why);
                false
            }
            (Action::Consume | Action::Reply, _) => {
                self.consumed += 1;
                false
            }
        };
        self.count(request, answered);
    }
}
