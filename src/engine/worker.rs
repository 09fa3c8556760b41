//! A worker: one lcore's packets, from its receive queues to its transmit queues.
//!
//! Shared nothing: it owns a queue pair on every port that it serves, its replicas of interfaces and sockets, its
//! services and its counters. Others change it through its inbox only.

pub(super) mod copies;
mod fan_out;
mod local;
mod outlet;
mod serve;
mod short_way;
mod sockets;
mod threads;

use arrayvec::ArrayVec;
use crossbeam::channel::Receiver;

pub use super::answer::Manner;
use super::batch::Batch;
use super::counters::{Counter, CounterPage, SocketPages, Tally};
use super::depart::Local;
use super::fragments::{self, Fragments, Owners};
use super::homes::Homes;
use super::message::{HandedOver, PuntSenders, ToService, ToWorker};
use super::port_io::PortIo;
use super::rps::{Exit, Intake};
use super::sort::{Long, Sorter};
use super::uoa::{Clients, UoaParts};
use crate::addr::{V4, V6};
use crate::fastpath::{self, Level};
use crate::io::{BURST_MAX, Burst, DropReason, InterfaceId, Nic, PacketBuf, PortId, ReplyPath};
use crate::rng::Rng;
use crate::service::Service;
use crate::stack::fragmentation::Ids;
use crate::stack::groups::ServiceId;
use crate::stack::icmp::received::{self, Report};
use crate::stack::ingress::{Ingress, IngressOptions};
use crate::stack::interface::Interfaces;
use crate::stack::net_view::NetView;
use crate::stack::port_table::PortTable;
use crate::stack::reassembly::Limits;
use crate::time::Instant;
use fan_out::FanOut;
use outlet::Hosted;
pub(super) use short_way::ShortWay;
pub use sockets::WorkerSockets;

/// Messages that a turn takes from the inbox at most.
const INBOX_BUDGET: usize = 64;

/// Fragments from other workers that a turn takes at most.
const HAND_OVER_BUDGET: usize = 64;

/// Unfinished datagrams whose end a turn sees to at most.
const EXPIRY_BUDGET: usize = 64;

/// One port of a worker.
#[derive(Debug)]
pub struct WorkerPort<N: Nic> {
    /// Which port.
    pub id: PortId,
    /// From where it receives.
    pub rx: Intake<N>,
    /// To where it sends.
    pub tx: Exit<N>,
    /// What IP has on it: addresses and groups.
    pub interfaces: Interfaces,
    /// Who puts fragments together that come in by it.
    pub owners: Owners<N::Buf>,
    /// Where its counters are published.
    pub page: CounterPage,
}

/// A service that lives on a worker.
pub struct WorkerService<B> {
    /// Which service of the configuration.
    pub id: ServiceId,
    /// How its answers leave.
    pub manner: Manner,
    /// The worker's own instance of it.
    pub service: Box<dyn Service<B>>,
}

impl<B> core::fmt::Debug for WorkerService<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WorkerService").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a worker is made of.
#[derive(Debug)]
pub struct WorkerParts<N: Nic> {
    /// Its ports.
    pub ports: Vec<WorkerPort<N>>,
    /// Where packets of our own come from.
    pub pool: N::Pool,
    /// Its sockets.
    pub table: PortTable,
    /// The counters of its sockets.
    pub socket_pages: SocketPages,
    /// Its services.
    pub services: Vec<WorkerService<N::Buf>>,
    /// Where each socket's service lives.
    pub homes: Homes<N::Buf>,
    /// The sockets of threads.
    pub sockets: WorkerSockets,
    /// Its inbox.
    pub inbox: Receiver<ToWorker<N::Buf>>,
    /// What other workers received for its services.
    pub to_services: Receiver<ToService<N::Buf>>,
    /// Fragments that other workers received and this one puts together.
    pub handed_over: Receiver<HandedOver<N::Buf>>,
    /// The way to control.
    pub punt: PuntSenders<N::Buf>,
    /// How many fragments it holds, and how long.
    pub reassembly: Limits,
    /// The most packets in a burst, at most [`BURST_MAX`].
    pub burst: usize,
    /// The level of CPU that the fast path may use.
    pub level: Level,
    /// What ingress is told at the start.
    pub ingress: IngressOptions,
    /// The clients behind balancers; `None`: no balancer is trusted.
    pub uoa: Option<UoaParts>,
    /// Its own chance.
    pub rng: Rng,
}

/// One lcore's share of the engine.
#[derive(Debug)]
pub struct Worker<N: Nic> {
    ports: Vec<PortIo<N>>,
    pool: N::Pool,
    table: PortTable,
    socket_pages: SocketPages,
    services: Vec<Hosted<N::Buf>>,
    homes: Homes<N::Buf>,
    sockets: WorkerSockets,
    /// Whether every datagram is for one socket, whose service lives here.
    plain: bool,
    ingress: Ingress,
    fragments: Fragments<N::Buf>,
    clients: Option<Clients>,
    inbox: Receiver<ToWorker<N::Buf>>,
    handed_over: Receiver<HandedOver<N::Buf>>,
    to_services: Receiver<ToService<N::Buf>>,
    punt: PuntSenders<N::Buf>,
    burst: usize,
    level: Level,
    rx_burst: Burst<N::Buf>,
    delivered: Batch<N::Buf>,
    long: ArrayVec<Long<N::Buf>, BURST_MAX>,
    reports: ArrayVec<Report, BURST_MAX>,
    batch: Batch<N::Buf>,
    found: fastpath::Found,
    fan_out: FanOut<N::Buf>,
    /// The addresses and routes of its interfaces.
    view: NetView,
    /// What it sent to this host itself.
    local: Local<N::Buf>,
    /// Whether what is being served came from this host itself, and its answers go there.
    serving_local: bool,
}

impl<N: Nic> Worker<N> {
    /// A worker that has not turned yet.
    #[must_use]
    pub fn new(now: Instant, parts: WorkerParts<N>) -> Self {
        let WorkerParts { ports, pool, table, socket_pages, services, sockets, inbox, punt, .. } = parts;
        let WorkerParts {
            handed_over,
            to_services,
            homes,
            reassembly,
            burst,
            level,
            ingress,
            uoa,
            mut rng,
            ..
        } = parts;
        let mut ids = || Ids::new(ingress.ids, &mut rng);
        let open = |mut port: WorkerPort<N>| {
            // Another secret than that of identifications, which says nothing of it.
            port.interfaces.set_flow_secret(!ingress.ids.secret.rotate_left(32));
            PortIo::new(port, PuntSenders::clone(&punt), ids())
        };
        let ports: Vec<_> = ports.into_iter().map(open).collect();
        let fragments = Fragments::new(reassembly, ingress.ids.secret, &mut rng);
        let trusted = uoa.as_ref().map(|uoa| uoa.trusted.clone()).unwrap_or_default();
        let ingress = Ingress::new(now, &mut rng, ingress).trusting(trusted);
        let clients = uoa.map(|uoa| Clients::new(uoa, rng.u64()));
        let burst = burst.clamp(1, BURST_MAX);
        let fan_out = FanOut::new(table.audience_max());
        let view = outlet::view_of(&ports);
        let services = services.into_iter().map(|service| Hosted::new(service, &table)).collect();
        let plain = table.audience_max() == 1 && homes.are_all_here();
        let mut worker = Self {
            ports,
            pool,
            table,
            socket_pages,
            services,
            homes,
            sockets,
            plain,
            ingress,
            fragments,
            clients,
            inbox,
            handed_over,
            to_services,
            punt,
            burst,
            level,
            rx_burst: Burst::new(),
            delivered: Batch::new(),
            long: ArrayVec::new(),
            reports: ArrayVec::new(),
            batch: Batch::new(),
            found: fastpath::Found::default(),
            fan_out,
            view,
            local: Local::default(),
            serving_local: false,
        };
        worker.call_all(now, |service, cx| service.started(cx));
        worker
    }

    /// One turn: the inbox, and every port's burst. Returns how many packets and messages there were.
    pub fn turn(&mut self, now: Instant) -> usize {
        // The inbox first: what control was told of, as a join, holds for every packet that is received after it.
        let mut work = self.read_inbox();
        if work > 0 {
            // The transmit burst is empty when a received one is sorted: it may need all of it.
            self.ports.iter_mut().for_each(PortIo::flush);
            self.tell_services(now);
        }
        if let Some(clients) = &mut self.clients {
            work += clients.hear(now);
        }
        work += self.take_handed_over(now);
        work += self.take_for_services(now);
        work += self.fire_timers(now);
        work += self.take_local(now);
        for index in 0..self.ports.len() {
            work += self.poll_port(now, index);
        }
        work += self.send_for_threads(now);
        work += self.expire(now);
        for port in &mut self.ports {
            work += port.forward();
            port.flush();
            port.publish();
        }
        work
    }

    /// The last turn: what is in the inbox goes out, the services are told.
    pub fn stop(&mut self, now: Instant) {
        while self.read_inbox() > 0 {
            self.ports.iter_mut().for_each(PortIo::flush);
        }
        while let Ok(HandedOver { port, .. }) = self.handed_over.try_recv() {
            if let Some(port) = self.port_mut(port) {
                port.tally.add(Counter::HandedIn, 1);
                port.tally.drop(DropReason::Stopping);
            }
        }
        self.give_up_for_services();
        self.give_up_for_threads();
        while let Some(given_up) = self.fragments.give_up() {
            if let Some(port) = self.port_of(given_up.interface) {
                fragments::count(&given_up.account, &mut port.tally);
            }
        }
        self.call_all(now, |service, cx| service.stopped(cx));
        self.ports.iter_mut().for_each(PortIo::finish);
    }

    /// When [`turn`](Self::turn) has something to do, if nothing arrives before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.local.len() > 0 {
            // What this host sent itself is there.
            return Some(Instant::ZERO);
        }
        let timers = self.services.iter().filter_map(|s| s.timer);
        timers.chain(self.fragments.poll_timeout()).min()
    }

    /// Has every port end this worker's sleep when something arrives. False if one of them cannot.
    pub fn arm(&mut self) -> bool {
        self.ports.iter_mut().fold(true, |all, port| port.rx.arm() & all)
    }

    /// The end of that: it turns without rest again.
    pub fn disarm(&mut self) {
        self.ports.iter_mut().for_each(|port| port.rx.disarm());
    }

    /// The sum of its counters over all ports.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.ports.iter().for_each(|p| sum.merge(&p.tally));
        sum
    }

    /// Packets in its rings, of all ports: what other workers received for it, or would have it send (RPS).
    #[must_use]
    pub fn handed_over(&self) -> usize {
        self.ports.iter().map(PortIo::handed_over).sum()
    }

    fn poll_port(&mut self, now: Instant, index: usize) -> usize {
        let Some(port) = self.ports.get_mut(index) else { return 0 };
        let received = port.rx.rx_burst(&mut self.rx_burst, self.burst, &mut port.tally);
        if received == 0 {
            return 0;
        }
        self.sort(now, index, false);
        self.tell_services(now);
        self.serve(now, index);
        received
    }

    /// Takes in fragments that other workers handed over, each like a burst of one packet. Returns how many.
    #[inline]
    fn take_handed_over(&mut self, now: Instant) -> usize {
        if self.handed_over.is_empty() { 0 } else { self.take_fragments(now) }
    }

    #[inline(never)]
    fn take_fragments(&mut self, now: Instant) -> usize {
        for taken in 0..HAND_OVER_BUDGET {
            let Ok(HandedOver { port, buf }) = self.handed_over.try_recv() else { return taken };
            let Some(index) = self.ports.iter().position(|p| p.id == port) else { continue };
            let Some(port) = self.ports.get_mut(index) else { continue };
            port.tally.add(Counter::HandedIn, 1);
            // NOTE(push): nothing is in it between two bursts.
            let _ = self.rx_burst.push(buf);
            self.sort(now, index, true);
            self.tell_services(now);
            self.serve(now, index);
            // The transmit burst is empty when the next is sorted.
            self.ports.iter_mut().for_each(PortIo::flush);
        }
        HAND_OVER_BUDGET
    }

    /// F09: sees to datagrams whose time is over. Returns how many there were.
    fn expire(&mut self, now: Instant) -> usize {
        for done in 0..EXPIRY_BUDGET {
            let Some(expired) = self.fragments.expire(now) else { return done };
            let Self { ports, ingress, pool, .. } = self;
            let of_interface = |p: &&mut PortIo<N>| p.interfaces.get(expired.interface).is_some();
            let Some(port) = ports.iter_mut().find(of_interface) else { continue };
            fragments::count(&expired.account, &mut port.tally);
            let Some(first) = expired.first else { continue };
            let of = (expired.interface, expired.l3);
            match ingress.reassembly_time_exceeded(now, &first, of, &port.interfaces, pool) {
                Some(error) => {
                    port.tally.add(Counter::Allocated, 1);
                    port.tally.add(Counter::IcmpErrors, 1);
                    port.send(error);
                }
                None => port.tally.add(Counter::IcmpWithheld, 1),
            }
        }
        EXPIRY_BUDGET
    }

    /// Sorts the burst: datagrams to `delivered`, answers of the stack to the transmit burst, the rest to its counters.
    fn sort(&mut self, now: Instant, index: usize, handed_in: bool) {
        // The transmit burst is empty when a received one is sorted.
        if self.local.take_sent() {
            self.ports.iter_mut().for_each(PortIo::flush);
        }
        // Nobody else has a say in what a service here hears.
        let is_short = self.homes.are_all_here() && !self.sockets.are_open() && self.clients.is_none();
        let Some(port) = self.ports.get_mut(index) else { return };
        let PortIo { id, interfaces, view, tx_burst, tx_bytes, tally, owners, .. } = port;
        let mut sorter = Sorter {
            now,
            interfaces,
            table: &self.table,
            ingress: &mut self.ingress,
            pool: &self.pool,
            punt: &self.punt,
            tx_burst,
            tx_bytes,
            tally,
            delivered: &mut self.delivered,
            long: &mut self.long,
            port: *id,
            fragments: &mut self.fragments,
            owners,
            handed_in,
            reports: &mut self.reports,
            sockets: &self.sockets,
            slowly: 0,
            short_way: ShortWay::new(is_short, &mut self.services, &self.socket_pages),
        };
        let within = fastpath::Port { view, interfaces, table: &self.table };
        let bytes =
            fastpath::ingress_burst(self.level, &mut self.rx_burst, within, &mut self.found, &mut sorter);
        // What another worker handed over, that one has counted.
        sorter.finish(if handed_in { 0 } else { bytes });
        if let Some(clients) = &mut self.clients {
            clients.see(now, self.delivered.as_mut_slice(), self.ingress.take_seen(), tally);
        }
        for Long { interface, buf, out } in self.long.drain(..) {
            port.send_in_fragments(&buf, &out, (interface, ReplyPath::Reflect), &self.pool);
        }
    }

    /// Takes what others sent. Returns how many messages.
    #[inline]
    fn read_inbox(&mut self) -> usize {
        // To ask costs less than to try: that takes a fence, and most turns find nothing.
        if self.inbox.is_empty() { 0 } else { self.read_messages() }
    }

    #[inline(never)]
    fn read_messages(&mut self) -> usize {
        let mut messages = 0;
        while messages < INBOX_BUDGET
            && let Ok(message) = self.inbox.try_recv()
        {
            messages += 1;
            match message {
                ToWorker::Transmit(port, buf) => {
                    if let Some(port) = self.port_mut(port) {
                        port.tally.add(Counter::HandedIn, 1);
                        port.send(buf);
                    }
                }
                ToWorker::V4(id, news) => {
                    if let Some(port) = self.port_of(id) {
                        port.hear::<V4>(id, news);
                        self.see_routes(id);
                    }
                }
                ToWorker::V6(id, news) => {
                    if let Some(port) = self.port_of(id) {
                        port.hear::<V6>(id, news);
                        self.see_routes(id);
                    }
                }
                ToWorker::Unresolved(id, buf) => self.hear_unresolved(id, &buf),
                ToWorker::Socket(news) => self.hear_socket(news),
                ToWorker::Pause(id) => {
                    if let Some(port) = self.port_mut(id) {
                        port.pause();
                    }
                }
                ToWorker::Resume(id) => {
                    if let Some(port) = self.port_mut(id) {
                        port.resume();
                    }
                }
            }
        }
        messages
    }

    /// A11, N08: no neighbour took what a service here, or on another worker, sent.
    #[cold]
    fn hear_unresolved(&mut self, id: InterfaceId, buf: &N::Buf) {
        let Self { ports, table, reports, .. } = self;
        let Some(port) = ports.iter_mut().find(|p| p.interfaces.get(id).is_some()) else { return };
        port.tally.add(Counter::HandedIn, 1);
        port.tally.drop(DropReason::NeighborUnreachable);
        let interface = port.interfaces.get(id);
        if let Some(report) = interface.and_then(|i| received::unresolved(buf.data(), i, table)) {
            // Of what is too much at once, each service hears something.
            let _ = reports.try_push(report);
        }
    }

    fn port_mut(&mut self, id: PortId) -> Option<&mut PortIo<N>> {
        self.ports.iter_mut().find(|p| p.id == id)
    }

    fn port_of(&mut self, id: InterfaceId) -> Option<&mut PortIo<N>> {
        self.ports.iter_mut().find(|p| p.interfaces.get(id).is_some())
    }
}
