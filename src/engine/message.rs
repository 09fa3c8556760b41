//! What travels between threads: bounded, and never waited for by a worker.

use core::net::IpAddr;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use super::gmp_gate::{GmpGate, Ticket, share};
use super::way::Way;
use crate::addr::{Family, V4, V6};
use crate::io::{DropReason, InterfaceId, PacketBuf, Parts, PortId, Waker};
use crate::socket::Endpoint;
use crate::stack::gmp::Format;
use crate::stack::gmp_claim::{self, Subject};
use crate::stack::groups::GroupTable;
use crate::stack::hops::Hop;
use crate::stack::icmp::received::Report;
use crate::stack::interface::Ip;
use crate::stack::nd;
use crate::stack::pmtu::TooBig;
use crate::stack::port_table::{Socket, SocketId};
use crate::stack::route::Routes;
use crate::time::Instant;

/// To a worker.
#[derive(Debug)]
pub enum ToWorker<B> {
    /// Send this frame on this port.
    Transmit(PortId, B),
    /// What is new on the IPv4 side of this interface.
    V4(InterfaceId, News<V4>),
    /// What is new on the IPv6 side of this interface.
    V6(InterfaceId, News<V6>),
    /// This frame of ours was to leave by this interface, and its next hop did not answer: whoever sent it is to know.
    Unresolved(InterfaceId, B),
    /// Let go of the queues of this port: it is to be stopped.
    Pause(PortId),
    /// Take them again: it has been started.
    Resume(PortId),
    /// A thread's socket is another one now, or is none any more.
    Socket(Arc<SocketNews>),
}

/// What is new of a thread's socket.
#[derive(Debug)]
pub struct SocketNews {
    /// The number of the change, one more than that of the change before: see [`Taken`](super::control::Taken).
    pub change: u64,
    /// Which.
    pub id: SocketId,
    /// Where it is now; `None`: nowhere.
    pub now: Option<Socket>,
    /// What receives for it; `None`: nothing any more.
    pub endpoint: Option<Arc<Endpoint>>,
}

/// What is new on one side of an interface.
#[derive(Debug)]
pub enum News<F: Family> {
    /// From now on these are its groups.
    Groups(Arc<GroupTable<F>>),
    /// At this moment, this became known of the paths from it.
    PathMtu(Instant, PathNews<F::Addr>),
    /// From now on these are its addresses and routes.
    Routes(Arc<Routes<F>>),
    /// A neighbour is there; `None`: not known any more.
    Neighbor(F::Addr, Option<Hop>),
    /// No neighbour is known any more.
    NoNeighbors,
}

/// A side of an interface of which workers can be told.
pub trait Told: Ip {
    /// The message that tells it.
    fn told<B>(id: InterfaceId, news: News<Self>) -> ToWorker<B>;
}

impl Told for V4 {
    fn told<B>(id: InterfaceId, news: News<Self>) -> ToWorker<B> {
        ToWorker::V4(id, news)
    }
}

impl Told for V6 {
    fn told<B>(id: InterfaceId, news: News<Self>) -> ToWorker<B> {
        ToWorker::V6(id, news)
    }
}

/// What became known of the paths from an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathNews<A> {
    /// A packet was too long for one.
    TooBig(TooBig<A>),
    /// What was learned too long ago is forgotten.
    Expired,
    /// The link carries packets of so many bytes now.
    LinkMtu(u16),
}

/// To control: a packet of ours was too long for its path, says a router, of an interface's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathReport {
    /// The interface that it came in by.
    pub interface: InterfaceId,
    /// What it says.
    pub too_big: TooBig<IpAddr>,
}

/// From one worker to another: a fragment of a datagram that the other puts together.
#[derive(Debug)]
pub struct HandedOver<B> {
    /// The port on which it was received.
    pub port: PortId,
    /// The frame, as it was received.
    pub buf: B,
}

/// From one worker to another: something for a service that does not live on the one.
#[derive(Debug)]
pub enum ToService<B> {
    /// A datagram, which the sender has received and found to be right.
    Datagram {
        /// The port on which it was received, and by which its answer leaves.
        port: PortId,
        /// The packet.
        buf: B,
        /// Where its parts lie, and which socket it is for.
        parts: Parts,
        /// When it was received.
        received_at: Instant,
        /// Whether this host sent it itself, and never a device had it.
        local: bool,
    },
    /// An ICMP error about a datagram that the service may have sent.
    Error(Report),
}

/// To control: a frame of ours whose next hop's Ethernet address its worker does not know.
#[derive(Debug)]
pub struct Unresolved<B> {
    /// The interface that it is to leave by.
    pub interface: InterfaceId,
    /// The neighbour that it goes to.
    pub next_hop: IpAddr,
    /// The frame, whole but for its destination.
    pub buf: B,
}

/// To control: packets go to a neighbour of which control wants to know that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// On which interface.
    pub interface: InterfaceId,
    /// The neighbour.
    pub neighbor: IpAddr,
}

/// To control: a packet that only control can deal with.
#[derive(Debug)]
pub struct Punt<B> {
    /// The interface that it came in by.
    pub interface: InterfaceId,
    /// The frame.
    pub buf: B,
    /// Of IGMP and MLD: its place among what waits, which is to be freed.
    ticket: Option<Ticket>,
}

/// Messages that a worker's inbox holds.
pub const INBOX_LEN: usize = 1024;

/// Fragments that other workers have on their way to one. A queue apart from its inbox, for fragments may be a flood and
/// control must be heard.
pub const HAND_OVER_LEN: usize = 512;

/// Datagrams that are on their way to the services of one worker from all others: as many as a receive queue has
/// descriptors, for that is what it is to them. A queue apart from its inbox, as for fragments.
pub const TO_SERVICES_LEN: usize = 1024;

/// Packets that each punt queue holds.
pub const PUNT_LEN: usize = 256;

/// The workers' ends of the punt queues.
#[derive(Debug)]
pub struct PuntSenders<B> {
    arp: Sender<Punt<B>>,
    ndp: Sender<Punt<B>>,
    igmp: Sender<Punt<B>>,
    mld: Sender<Punt<B>>,
    gate: Arc<GmpGate>,
    paths: Sender<PathReport>,
    unresolved: Sender<Unresolved<B>>,
    used: Sender<Used>,
}

impl<B> Clone for PuntSenders<B> {
    fn clone(&self) -> Self {
        let Self { arp, ndp, igmp, mld, gate, paths, unresolved, used } = self;
        Self {
            arp: arp.clone(),
            ndp: ndp.clone(),
            igmp: igmp.clone(),
            mld: mld.clone(),
            gate: Arc::clone(gate),
            paths: paths.clone(),
            unresolved: unresolved.clone(),
            used: used.clone(),
        }
    }
}

impl<B> PuntSenders<B> {
    /// Hands an ARP packet to control; gives it back if the queue is full. Each kind of packet has its own queue, so that a
    /// flood of one cannot starve another.
    pub fn arp(&self, interface: InterfaceId, buf: B) -> Result<(), B> {
        send(&self.arp, Punt { interface, buf, ticket: None })
    }

    /// Hands a message of neighbour discovery to control; gives it back if the share of its class is full.
    // N16: a flood of questions leaves room for what neighbours answer, and both for what routers say.
    pub fn ndp(&self, interface: InterfaceId, buf: B) -> Result<(), B>
    where
        B: PacketBuf,
    {
        if self.ndp.len() >= ndp_share(nd::input::class(buf.data())) {
            return Err(buf);
        }
        send(&self.ndp, Punt { interface, buf, ticket: None })
    }

    /// Hands a frame to control that has to wait for an Ethernet address; gives it back if the queue is full.
    pub fn resolve(&self, frame: Unresolved<B>) -> Result<(), B> {
        self.unresolved.try_send(frame).map_err(|e| match e {
            TrySendError::Full(frame) | TrySendError::Disconnected(frame) => frame.buf,
        })
    }

    /// Tells control that a neighbour is used. False if the queue is full.
    #[must_use]
    pub fn used(&self, used: Used) -> bool {
        self.used.try_send(used).is_ok()
    }
}

/// How full the queue of neighbour discovery may be for one more of this class.
const fn ndp_share(class: nd::input::Class) -> usize {
    match class {
        nd::input::Class::Solicitation => PUNT_LEN / 2,
        nd::input::Class::Neighbor => PUNT_LEN / 4 * 3,
        nd::input::Class::Router => PUNT_LEN,
    }
}

fn send<B>(queue: &Sender<Punt<B>>, punt: Punt<B>) -> Result<(), B> {
    queue.try_send(punt).map_err(|e| match e {
        TrySendError::Full(punt) | TrySendError::Disconnected(punt) => punt.buf,
    })
}

impl<B: PacketBuf> PuntSenders<B> {
    /// Hands a message of IGMP or MLD to control that came in `now` by `interface`, which has these groups.
    ///
    /// # Errors
    /// Why it is dropped: it means nothing to a host, adds nothing to what waits, or its kind's share of the queue is full.
    // G47: what a flood may cost; see `gmp_gate`.
    pub fn gmp<F: Format>(
        &self,
        now: Instant,
        interface: InterfaceId,
        groups: &GroupTable<F>,
        mut buf: B,
    ) -> Result<(), DropReason> {
        let queue = if F::VERSION == V4::VERSION { &self.igmp } else { &self.mld };
        let mut claim = gmp_claim::read(buf.data(), groups, self.gate.secret())?;
        let is_full = |subject| queue.len() >= share::<F>(subject, PUNT_LEN);
        if matches!(claim.subject, Subject::Sources(..)) && is_full(claim.subject) {
            // Too many lists are asked for: whoever asks is told of the whole group, which is one answer for all of them.
            let widened = buf.unique().is_some_and(gmp_claim::widen::<F>);
            claim = gmp_claim::read(buf.data(), groups, self.gate.secret())
                .ok()
                .filter(|_| widened)
                .unwrap_or(claim);
        }
        let ticket = self.gate.enter(now, interface, claim).ok_or(F::REPEATED)?;
        let queued =
            !is_full(claim.subject) && send(queue, Punt { interface, buf, ticket: Some(ticket) }).is_ok();
        if !queued {
            self.gate.free(ticket);
        }
        queued.then_some(()).ok_or(DropReason::PuntQueueFull)
    }
}

impl<B> PuntSenders<B> {
    /// Tells control of a path. False if the queue is full: then the router will tell it again.
    #[must_use]
    pub fn report(&self, report: PathReport) -> bool {
        self.paths.try_send(report).is_ok()
    }
}

/// Control's ends of the punt queues.
#[derive(Debug)]
pub struct PuntReceivers<B> {
    /// ARP.
    pub arp: Receiver<Punt<B>>,
    /// Neighbour discovery.
    pub ndp: Receiver<Punt<B>>,
    /// IGMP. To be taken by [`next_gmp`](Self::next_gmp).
    pub igmp: Receiver<Punt<B>>,
    /// MLD. To be taken by [`next_gmp`](Self::next_gmp).
    pub mld: Receiver<Punt<B>>,
    gate: Arc<GmpGate>,
    /// What routers say of paths.
    pub paths: Receiver<PathReport>,
    /// Frames of ours that have to wait for an Ethernet address.
    pub unresolved: Receiver<Unresolved<B>>,
    /// Neighbours that packets go to.
    pub used: Receiver<Used>,
}

impl<B> PuntReceivers<B> {
    /// The next message of IGMP, or of MLD. What says the same may come after it from now on.
    #[must_use]
    pub fn next_gmp<F: Family>(&self) -> Option<Punt<B>> {
        let queue = if F::VERSION == V4::VERSION { &self.igmp } else { &self.mld };
        let punt = queue.try_recv().ok()?;
        if let Some(ticket) = punt.ticket {
            self.gate.free(ticket);
        }
        Some(punt)
    }
}

/// The queues from workers to control. `secret` is to be chance, and nobody else's.
#[must_use]
pub fn punt_queues<B>(secret: u64) -> (PuntSenders<B>, PuntReceivers<B>) {
    let (arp, arp_rx) = bounded(PUNT_LEN);
    let (ndp, ndp_rx) = bounded(PUNT_LEN);
    let (mld, mld_rx) = bounded(PUNT_LEN);
    let (igmp, igmp_rx) = bounded(PUNT_LEN);
    let (paths, paths_rx) = bounded(PUNT_LEN);
    let (unresolved, unresolved_rx) = bounded(PUNT_LEN);
    let (used, used_rx) = bounded(PUNT_LEN);
    let gate = Arc::new(GmpGate::new(secret));
    let receivers = PuntReceivers {
        arp: arp_rx,
        ndp: ndp_rx,
        mld: mld_rx,
        igmp: igmp_rx,
        gate: Arc::clone(&gate),
        paths: paths_rx,
        unresolved: unresolved_rx,
        used: used_rx,
    };
    (PuntSenders { arp, ndp, igmp, mld, gate, paths, unresolved, used }, receivers)
}

/// The way of fragments to the worker that `waker` wakes.
#[must_use]
pub fn hand_over<B>(waker: &Waker) -> (Way<HandedOver<B>>, Receiver<HandedOver<B>>) {
    Way::bounded(HAND_OVER_LEN, waker)
}

/// The way to the services of the worker that `waker` wakes.
#[must_use]
pub fn to_services<B>(waker: &Waker) -> (Way<ToService<B>>, Receiver<ToService<B>>) {
    Way::bounded(TO_SERVICES_LEN, waker)
}

/// The inbox of the worker that `waker` wakes.
#[must_use]
pub fn inbox<B>(waker: &Waker) -> (Way<ToWorker<B>>, Receiver<ToWorker<B>>) {
    Way::bounded(INBOX_LEN, waker)
}
