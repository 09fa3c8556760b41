//! What travels between threads: bounded, and never waited for by a worker.

use core::net::Ipv4Addr;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use crate::addr::V4;
use crate::io::{InterfaceId, PortId};
use crate::stack::groups::GroupTable;
use crate::stack::hops::Hop;
use crate::stack::ingress::Punted;
use crate::stack::pmtu::TooBig;
use crate::stack::route::Routes;
use crate::time::Instant;

/// To a worker.
#[derive(Debug)]
pub enum ToWorker<B> {
    /// Send this frame on this port.
    Transmit(PortId, B),
    /// From now on these are the groups of this interface.
    Groups(InterfaceId, Arc<GroupTable<V4>>),
    /// At this moment, this became known of the paths from this interface.
    PathMtu(InterfaceId, Instant, PathNews),
    /// From now on these are the addresses and routes of this interface.
    Routes(InterfaceId, Arc<Routes<V4>>),
    /// A neighbour of this interface is there; `None`: not known any more.
    Neighbor(InterfaceId, Ipv4Addr, Option<Hop>),
    /// No neighbour of this interface is known any more.
    NoNeighbors(InterfaceId),
    /// Let go of the queues of this port: it is to be stopped.
    Pause(PortId),
    /// Take them again: it has been started.
    Resume(PortId),
}

/// What became known of the paths from an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathNews {
    /// A packet was too long for one.
    TooBig(TooBig<Ipv4Addr>),
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
    pub too_big: TooBig<Ipv4Addr>,
}

/// From one worker to another: a fragment of a datagram that the other puts together.
#[derive(Debug)]
pub struct HandedOver<B> {
    /// The port on which it was received.
    pub port: PortId,
    /// The frame, as it was received.
    pub buf: B,
}

/// To control: a frame of ours whose next hop's Ethernet address its worker does not know.
#[derive(Debug)]
pub struct Unresolved<B> {
    /// The interface that it is to leave by.
    pub interface: InterfaceId,
    /// The neighbour that it goes to.
    pub next_hop: Ipv4Addr,
    /// The frame, whole but for its destination.
    pub buf: B,
}

/// To control: packets go to a neighbour of which control wants to know that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// On which interface.
    pub interface: InterfaceId,
    /// The neighbour.
    pub neighbor: Ipv4Addr,
}

/// To control: a packet that only control can deal with.
#[derive(Debug)]
pub struct Punt<B> {
    /// The interface that it came in by.
    pub interface: InterfaceId,
    /// The frame.
    pub buf: B,
}

/// Messages that a worker's inbox holds.
pub const INBOX_LEN: usize = 1024;

/// Fragments that other workers have on their way to one. A queue apart from its inbox, for fragments may be a flood and
/// control must be heard.
pub const HAND_OVER_LEN: usize = 512;

/// Packets that each punt queue holds.
pub const PUNT_LEN: usize = 256;

/// The workers' ends of the punt queues.
#[derive(Debug)]
pub struct PuntSenders<B> {
    arp: Sender<Punt<B>>,
    igmp: Sender<Punt<B>>,
    paths: Sender<PathReport>,
    unresolved: Sender<Unresolved<B>>,
    used: Sender<Used>,
}

impl<B> Clone for PuntSenders<B> {
    fn clone(&self) -> Self {
        let Self { arp, igmp, paths, unresolved, used } = self;
        Self {
            arp: arp.clone(),
            igmp: igmp.clone(),
            paths: paths.clone(),
            unresolved: unresolved.clone(),
            used: used.clone(),
        }
    }
}

impl<B> PuntSenders<B> {
    /// Hands `buf` to control; gives it back if the queue is full. Each kind has its own queue, so that a flood of one
    /// cannot starve another.
    pub fn send(&self, kind: Punted, interface: InterfaceId, buf: B) -> Result<(), B> {
        let queue = match kind {
            Punted::Arp => &self.arp,
            Punted::Igmp => &self.igmp,
        };
        queue.try_send(Punt { interface, buf }).map_err(|e| match e {
            TrySendError::Full(punt) | TrySendError::Disconnected(punt) => punt.buf,
        })
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
    /// IGMP.
    pub igmp: Receiver<Punt<B>>,
    /// What routers say of paths.
    pub paths: Receiver<PathReport>,
    /// Frames of ours that have to wait for an Ethernet address.
    pub unresolved: Receiver<Unresolved<B>>,
    /// Neighbours that packets go to.
    pub used: Receiver<Used>,
}

/// The queues from workers to control.
#[must_use]
pub fn punt_queues<B>() -> (PuntSenders<B>, PuntReceivers<B>) {
    let (arp, arp_rx) = bounded(PUNT_LEN);
    let (igmp, igmp_rx) = bounded(PUNT_LEN);
    let (paths, paths_rx) = bounded(PUNT_LEN);
    let (unresolved, unresolved_rx) = bounded(PUNT_LEN);
    let (used, used_rx) = bounded(PUNT_LEN);
    let receivers = PuntReceivers {
        arp: arp_rx,
        igmp: igmp_rx,
        paths: paths_rx,
        unresolved: unresolved_rx,
        used: used_rx,
    };
    (PuntSenders { arp, igmp, paths, unresolved, used }, receivers)
}

/// The way of fragments to a worker.
#[must_use]
pub fn hand_over<B>() -> (Sender<HandedOver<B>>, Receiver<HandedOver<B>>) {
    bounded(HAND_OVER_LEN)
}

/// A worker's inbox.
#[must_use]
pub fn inbox<B>() -> (Sender<ToWorker<B>>, Receiver<ToWorker<B>>) {
    bounded(INBOX_LEN)
}
