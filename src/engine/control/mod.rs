//! The control thread's work: it alone owns the truth, and it alone changes anything.
//!
//! Memberships, group management, neighbours and the NIC's multicast filter live here; workers hold replicas that
//! control renews by message. Nothing here sleeps or reads a clock: the loop that does is [`super::run`], and in the
//! simulator the world itself turns it.

mod addresses;
mod addresses6;
mod admission;
mod commands;
mod filter;
mod followers;
mod gmp;
mod interface;
mod membership;
mod ndp;
mod neighbors;
mod paths;
mod port;
mod reports;
mod restart;
mod routes;
mod side;
mod sockets;
mod spread;
mod view;
mod workers;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::command::{Answer, DoneAnswer, PoolStats};
use super::counters::{Counter, SocketPages};
use super::message::{INBOX_LEN, PUNT_LEN, Punt, PuntReceivers, ToWorker, Unresolved, Used};
use super::way::Way;
use crate::addr::{Group, V4, V6};
use crate::io::{DropReason, InterfaceId, Nic, PacketBuf};
use crate::rng::Rng;
use crate::stack::egress;
use crate::stack::groups::ServiceId;
use crate::stack::icmp_limit::{Rate, TokenBucket};
use crate::stack::membership::SourceFilter;
use crate::stack::port_table::Socket;
use crate::time::{Instant, earliest};

pub use followers::Taken;
use interface::Interface;
use membership::choose;
use neighbors::Frames;
use port::{Base, Port};
pub use port::{ControlInterfaceParts, ControlPortParts};
use side::Managed;
use sockets::Threads;
pub use sockets::{Called, ControlSocketsParts, SocketLimits};
pub use workers::{ControlQueue, ControlRest, ControlWorker};

/// Packets of each class that a turn takes at most.
const PUNT_BUDGET: usize = 128;

/// Reports of paths that are believed. Each is looked for in a table and told to every worker, and anyone may have sent
/// it; a router repeats one that was right.
const PATH_REPORTS: Rate = Rate::new(1000, 256);

/// How often control looks at its queues of IGMP and MLD. Between two looks what is asked again and again is kept back by the
/// workers, so a flood costs no more than this many times what fits the queues.
// G47; G43: a pause is short beside the shortest time that a query can name, a tenth of a second.
const GMP_LOOKS: Rate = Rate::new(200, 64);

/// The pause after as many looks as that.
const GMP_PAUSE: Duration = Duration::from_millis(5);

/// How often last words are repeated at most.
const LAST_WORDS_MAX: u32 = 300;

/// How often links are looked at: more often than a link that went down is up again, so that no such time is missed. Not
/// every driver can interrupt for it, and one that should and does not would be believed to be down for ever.
const LINK_INTERVAL: Duration = Duration::from_millis(100);

/// A socket as control shows it.
#[derive(Debug)]
pub struct ControlSocket {
    /// Where it is, and whose.
    pub socket: Socket,
    /// The CPUs of the workers on which its service lives and that serve its port.
    pub cpus: Vec<usize>,
}

/// A group that a service joins from the start.
#[derive(Clone, Debug)]
pub struct InitialMembership {
    /// On which interface.
    pub interface: InterfaceId,
    /// Which service.
    pub service: ServiceId,
    /// Which group, and from which sources.
    pub wanted: Wanted,
}

/// A group, and the sources from which it is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Of IPv4.
    V4(Group<V4>, SourceFilter<V4>),
    /// Of IPv6.
    V6(Group<V6>, SourceFilter<V6>),
}

/// What control is made of.
pub struct ControlParts<N: Nic> {
    /// The ports, by [`PortId`](crate::io::PortId).
    pub ports: Vec<ControlPortParts>,
    /// The names of the services, by [`ServiceId`].
    pub services: Vec<String>,
    /// The sockets, by their ids.
    pub sockets: Vec<ControlSocket>,
    /// Their counters on each worker.
    pub socket_pages: Vec<SocketPages>,
    /// Those of threads, if there may be any.
    pub threads: Option<ControlSocketsParts>,
    /// Where frames of our own come from.
    pub pool: N::Pool,
    /// How full the pool is.
    pub pool_stats: Box<dyn Fn() -> PoolStats + Send>,
    /// The workers' inboxes, by worker.
    pub workers: Vec<Way<ToWorker<N::Buf>>>,
    /// The same, to be shown.
    pub lcores: Vec<ControlWorker>,
    /// What workers hand over.
    pub punts: PuntReceivers<N::Buf>,
    /// Its own chance.
    pub rng: Rng,
}

impl<N: Nic> core::fmt::Debug for ControlParts<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ControlParts").field("services", &self.services).finish_non_exhaustive()
    }
}

/// The owner of the truth.
pub struct Control<N: Nic> {
    ports: Vec<Port>,
    services: Vec<String>,
    sockets: Vec<ControlSocket>,
    socket_pages: Vec<SocketPages>,
    lcores: Vec<ControlWorker>,
    threads: Option<Threads>,
    punts: PuntReceivers<N::Buf>,
    pool_stats: Box<dyn Fn() -> PoolStats + Send>,
    out: Outlet<N>,
    /// Frames of ours that wait for an Ethernet address.
    waiting: Frames<N::Buf>,
    rng: Rng,
    /// How many reports of paths may still be believed.
    path_reports: TokenBucket,
    /// How often it may still look at what waits of IGMP and MLD, and when it will again.
    gmp_looks: TokenBucket,
    gmp_pause: Option<Instant>,
    /// How often it repeated its last words.
    last_words: u32,
    started_at: Instant,
    next_link_check: Instant,
    tickets: Tickets,
    /// Answers that are not whole yet, by their tickets.
    unfinished: BTreeMap<u64, Answer>,
    finished: Vec<(Ticket, Answer)>,
}

/// The number of an answer that comes later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticket(u64);

/// What becomes of a command.
#[derive(Debug)]
pub enum Submitted {
    /// It is done.
    Answered(Answer),
    /// It has begun; [`Control::take_finished`] will have its answer.
    Later(Ticket),
}

/// The answer is whole when this is done.
struct Waiting(u64);

/// Numbers for answers.
#[derive(Debug, Default)]
struct Tickets(u64);

impl Tickets {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl<N: Nic> core::fmt::Debug for Control<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Control").field("services", &self.services).finish_non_exhaustive()
    }
}

/// The way out: control has no queue of its own, a worker sends for it.
struct Outlet<N: Nic> {
    pool: N::Pool,
    workers: Vec<Way<ToWorker<N::Buf>>>,
}

impl<N: Nic> Control<N> {
    /// Control of ports that are started and workers that are about to turn.
    #[must_use]
    pub fn new(now: Instant, parts: ControlParts<N>) -> Self {
        let ControlParts { ports, services, sockets, threads, pool, pool_stats, .. } = parts;
        let ControlParts { workers, lcores, punts, socket_pages, mut rng, .. } = parts;
        let ports = ports.into_iter().map(|p| Port::new(p, &mut rng)).collect();
        let fixed = || sockets.iter().map(|s| s.socket).collect();
        let threads = threads.map(|parts| Threads::new(parts, fixed(), rng.fork()));
        let out = Outlet { pool, workers };
        let next_link_check = now + LINK_INTERVAL;
        Self {
            ports,
            services,
            sockets,
            socket_pages,
            lcores,
            threads,
            punts,
            pool_stats,
            out,
            waiting: Frames::default(),
            rng,
            path_reports: TokenBucket::full(now, PATH_REPORTS),
            gmp_looks: TokenBucket::full(now, GMP_LOOKS),
            gmp_pause: None,
            last_words: 0,
            started_at: now,
            next_link_check,
            tickets: Tickets::default(),
            unfinished: BTreeMap::new(),
            finished: Vec::new(),
        }
    }

    /// Joins what services join from the start, and announces our addresses.
    pub fn start(&mut self, now: Instant, memberships: Vec<InitialMembership>) {
        for InitialMembership { interface, service, wanted } in memberships {
            let Some((_, interface)) = find(&mut self.ports, interface) else { continue };
            match wanted {
                Wanted::V4(group, filter) => interface.want(service, group, filter),
                Wanted::V6(group, filter) => interface.want(service, group, filter),
            }
        }
        for port in &mut self.ports {
            port.apply_all(now, &mut self.rng, &self.out);
            let Port { base, interfaces } = port;
            interfaces.iter_mut().for_each(|i| i.start(now, &mut self.rng, base, &self.out));
            if port.base.link_up {
                port.interfaces.iter_mut().for_each(|i| i.start6(now));
            }
            port.follow_addresses6(now, &mut self.rng, &self.out);
        }
    }

    /// One turn: what workers handed over, and the timers that are due. Returns how many packets there were.
    pub fn turn(&mut self, now: Instant) -> usize {
        let mut work = 0;
        // G43: group management first: it has deadlines, and ARP may be a flood.
        work += self.take_gmp(now);
        for _ in 0..PUNT_BUDGET {
            let Ok(Punt { interface, buf, .. }) = self.punts.arp.try_recv() else { break };
            self.arp(now, interface, buf);
            work += 1;
        }
        for _ in 0..PUNT_BUDGET {
            let Ok(Punt { interface, buf, .. }) = self.punts.ndp.try_recv() else { break };
            if let Some((base, interface)) = find(&mut self.ports, interface) {
                interface.ndp_input(now, buf.data(), base, &self.out);
            }
            work += 1;
        }
        for _ in 0..PUNT_BUDGET {
            let Ok(report) = self.punts.paths.try_recv() else { break };
            self.path_report(now, report);
            work += 1;
        }
        for _ in 0..PUNT_BUDGET {
            let Ok(Used { interface, neighbor }) = self.punts.used.try_recv() else { break };
            if let Some((_, interface)) = find(&mut self.ports, interface) {
                match neighbor {
                    IpAddr::V4(addr) => interface.v4.neighbors.used(now, addr),
                    IpAddr::V6(addr) => interface.v6.neighbors.used(now, addr),
                }
            }
            work += 1;
        }
        for _ in 0..PUNT_BUDGET {
            let Ok(frame) = self.punts.unresolved.try_recv() else { break };
            self.resolve(now, frame);
            work += 1;
        }
        self.check_links(now);
        for port in &mut self.ports {
            let Port { base, interfaces } = port;
            for interface in interfaces {
                interface.fire_timers(now, &mut self.rng, &mut self.waiting, base, &self.out);
                let Interface { v4, v6, .. } = interface;
                let reports = [v4.admission.take_reported(), v6.admission.take_reported()];
                for (ticket, reports) in reports.into_iter().flatten() {
                    if let Some(threads) = &mut self.threads {
                        threads.reported(ticket);
                    }
                    reported(&mut self.unfinished, &mut self.finished, ticket, reports);
                }
            }
            port.follow_addresses6(now, &mut self.rng, &self.out);
            port.retry_filter(now);
            if let Some((ticket, answer)) = port.go_on_restarting(now, &mut self.rng, &self.out)
                && self.unfinished.remove(&ticket).is_some()
            {
                self.finished.push((Ticket(ticket), answer));
            }
            port.assert_balance();
        }
        self.settle_sockets(now);
        self.publish_view();
        work
    }

    /// Takes in all IGMP and MLD that waits, unless it did so too often. Returns how many messages there were.
    fn take_gmp(&mut self, now: Instant) -> usize {
        if self.gmp_pause.is_some_and(|until| now < until) {
            return 0;
        }
        self.gmp_pause = None;
        if self.punts.igmp.is_empty() && self.punts.mld.is_empty() {
            return 0;
        }
        if !self.gmp_looks.take(now, GMP_LOOKS) {
            self.gmp_pause = Some(now + GMP_PAUSE);
            return 0;
        }
        self.take_gmp_of::<V4>(now) + self.take_gmp_of::<V6>(now)
    }

    /// The same of one IP version. A queue is never longer than it is.
    fn take_gmp_of<F: Managed>(&mut self, now: Instant) -> usize {
        for taken in 0..PUNT_LEN {
            let Some(Punt { interface, buf, .. }) = self.punts.next_gmp::<F>() else { return taken };
            if let Some((base, interface)) = find(&mut self.ports, interface) {
                interface.gmp_input::<F>(now, &mut self.rng, buf.data(), base);
                interface.send_reports::<F, N>(now, &mut self.rng, base, &self.out);
            }
        }
        PUNT_LEN
    }

    /// When [`turn`](Self::turn) has something to do, if nothing arrives before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let ports = self.ports.iter().map(Port::next_deadline);
        let sockets = self.threads.as_ref().and_then(Threads::next_deadline);
        ports.fold([Some(self.next_link_check), self.gmp_pause].into_iter().fold(sockets, earliest), earliest)
    }

    /// Whether IGMP and MLD wait until [`next_deadline`](Self::next_deadline), however much of them comes.
    #[must_use]
    pub(super) const fn is_gmp_paused(&self) -> bool {
        self.gmp_pause.is_some()
    }

    /// A worker is gone: where it sent for control, another one of the port does from now on.
    pub fn worker_lost(&mut self, lost: usize) {
        if let Some(threads) = &mut self.threads {
            threads.worker_lost(lost);
        }
        for port in &mut self.ports {
            let Base { workers, ledger, .. } = &mut port.base;
            workers.retain(|worker| *worker != lost);
            if let Some(first) = workers.first() {
                ledger.worker = *first;
            }
        }
    }

    /// Leaves every group, telling routers. G45: a clean end says so; a crash ages out.
    pub fn shut_down(&mut self, now: Instant) {
        if let Some(threads) = &mut self.threads {
            threads.end();
        }
        self.drop_waiting();
        for port in &mut self.ports {
            port.leave_all(now, &mut self.rng, &self.out);
            port.assert_balance();
        }
    }

    /// Repeats what [`shut_down`](Self::shut_down) said, which a router may not have heard. To be called, a little later
    /// each time, until it is false: then everything has been said.
    // RFC 9776 5.1: as often as the robustness variable says, after a time of at most the Unsolicited Report Interval, of
    // which a program that is to end takes little.
    pub fn repeat_last_words(&mut self, now: Instant) -> bool {
        let mut more = false;
        self.last_words += 1;
        if self.last_words > LAST_WORDS_MAX {
            // A worker that does not turn any more holds up no end.
            return false;
        }
        for port in &mut self.ports {
            let Port { base, interfaces } = port;
            for interface in interfaces {
                more |= interface.repeat_reports::<V4, N>(now, &mut self.rng, base, &self.out);
                more |= interface.repeat_reports::<V6, N>(now, &mut self.rng, base, &self.out);
            }
            port.assert_balance();
        }
        more
    }

    /// The queues on which the loop waits.
    pub(super) const fn punts(&self) -> &PuntReceivers<N::Buf> {
        &self.punts
    }

    fn arp(&mut self, now: Instant, id: InterfaceId, buf: N::Buf) {
        if let Some((base, interface)) = find(&mut self.ports, id) {
            interface.arp_input(now, buf.data(), base, &self.out);
        }
    }

    fn resolve(&mut self, now: Instant, frame: Unresolved<N::Buf>) {
        let Unresolved { interface, next_hop, buf } = frame;
        if let Some((base, interface)) = find(&mut self.ports, interface) {
            let (waiting, out) = (&mut self.waiting, &self.out);
            match next_hop {
                IpAddr::V4(addr) => interface.resolve::<V4, N>(now, addr, buf, waiting, base, out),
                IpAddr::V6(addr) => interface.resolve::<V6, N>(now, addr, buf, waiting, base, out),
            }
        }
    }

    /// Frames that wait: for an Ethernet address, or for control's next look at IGMP and MLD.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let gmp = if self.is_gmp_paused() { self.punts.igmp.len() + self.punts.mld.len() } else { 0 };
        self.waiting.len() + gmp
    }

    /// Nothing is waited for any more.
    fn drop_waiting(&mut self) {
        while let Some(((id, _), _)) = self.waiting.pop_any() {
            if let Some((base, _)) = find(&mut self.ports, id) {
                base.ledger.tally.add(Counter::Released, 1);
                base.ledger.tally.drop(DropReason::Stopping);
            }
        }
    }

    /// G44, RFC 4541 2.1.1: after a link came up, the switch behind it may be another one, and knows nothing of us.
    fn check_links(&mut self, now: Instant) {
        if self.next_link_check <= now {
            self.look_at_links(now);
        }
    }

    /// The same at once.
    fn look_at_links(&mut self, now: Instant) {
        self.next_link_check = now + LINK_INTERVAL;
        // One that is being restarted looks itself.
        for port in self.ports.iter_mut().filter(|port| port.base.restart.is_none()) {
            port.check_link(now, &mut self.rng, &self.out);
            port.check_spread();
            port.reset_if_wanted(now, &self.out);
        }
    }
}

/// The reports that an answer waited for have left.
fn reported(
    unfinished: &mut BTreeMap<u64, Answer>,
    finished: &mut Vec<(Ticket, Answer)>,
    ticket: u64,
    reports: u32,
) {
    if let Some(mut answer) = unfinished.remove(&ticket) {
        if let Answer::Done(DoneAnswer { reports: told, .. }) = &mut answer {
            *told = Some(reports);
        }
        finished.push((Ticket(ticket), answer));
    }
}

/// The port at `index`.
fn find_port(ports: &mut [Port], index: usize) -> Result<&mut Port, String> {
    ports.get_mut(index).ok_or_else(|| "no such port".to_owned())
}

/// The interface `id`, and what it shares with its port's others.
fn find(ports: &mut [Port], id: InterfaceId) -> Option<(&mut Base, &mut Interface)> {
    ports.iter_mut().find_map(|port| {
        let Port { base, interfaces } = port;
        interfaces.iter_mut().find(|i| i.replica.id == id).map(|interface| (base, interface))
    })
}

impl<N: Nic> Outlet<N> {
    /// Has `frame`, which has no tag yet, sent on `interface`. What cannot be is a counted drop: whoever needs it repeats
    /// it.
    fn send(&self, port: &mut port::Ledger, interface: &crate::stack::interface::Interface, frame: &[u8]) {
        port.tally.add(Counter::Allocated, 1);
        let Some(buf) = egress::tagged_copy(frame, interface, &self.pool) else {
            // It came as far as the pool, and the balance holds: one asked for, one dropped.
            port.tally.drop(DropReason::NoBuffer);
            return;
        };
        self.hand_out(port, buf);
    }

    /// The same, unless there is no buffer or little room on the way: false then, and nothing done. For what must not be lost
    /// and is made in thousands.
    fn send_if_room(
        &self,
        port: &mut port::Ledger,
        interface: &crate::stack::interface::Interface,
        frame: &[u8],
    ) -> bool {
        // Half of it is for what cannot wait.
        if self.workers.get(port.worker).is_some_and(|worker| worker.len() >= INBOX_LEN / 2) {
            return false;
        }
        let Some(buf) = egress::tagged_copy(frame, interface, &self.pool) else { return false };
        port.tally.add(Counter::Allocated, 1);
        self.hand_out(port, buf);
        true
    }

    /// Has whoever sent `frame`, a frame of ours whose next hop did not answer, know of that; or nobody, if the worker has much
    /// to read.
    // A11, N08: one that cannot be told now is not told later. What control alone knows may not wait behind this.
    fn unresolved(&self, port: &mut port::Ledger, interface: InterfaceId, frame: N::Buf) {
        let worker = self.workers.get(port.worker).filter(|worker| worker.len() < INBOX_LEN / 2);
        if worker.is_some_and(|w| w.try_send(ToWorker::Unresolved(interface, frame)).is_ok()) {
            port.tally.add(Counter::HandedOut, 1);
        } else {
            port.tally.drop(DropReason::NeighborUnreachable);
        }
    }

    /// Has the whole frame in `buf` sent on a port.
    fn hand_out(&self, port: &mut port::Ledger, buf: N::Buf) {
        let sent = self
            .workers
            .get(port.worker)
            .is_some_and(|worker| worker.try_send(ToWorker::Transmit(port.id, buf)).is_ok());
        if sent {
            port.tally.add(Counter::HandedOut, 1);
        } else {
            port.tally.drop(DropReason::InboxFull);
        }
    }

    /// Tells one of the workers. False if its inbox has no room.
    fn tell(&self, worker: usize, message: ToWorker<N::Buf>) -> bool {
        self.workers.get(worker).is_some_and(|inbox| inbox.try_send(message).is_ok())
    }
}
