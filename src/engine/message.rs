//! What travels between threads: bounded, and never waited for by a worker.

use std::sync::Arc;

use core::net::Ipv4Addr;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use crate::addr::V4;
use crate::io::{InterfaceId, PortId};
use crate::stack::groups::GroupTable;
use crate::stack::ingress::Punted;
use crate::stack::pmtu::TooBig;
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

/// Packets that each punt queue holds.
pub const PUNT_LEN: usize = 256;

/// The workers' ends of the punt queues.
#[derive(Debug)]
pub struct PuntSenders<B> {
    arp: Sender<Punt<B>>,
    igmp: Sender<Punt<B>>,
    paths: Sender<PathReport>,
}

impl<B> Clone for PuntSenders<B> {
    fn clone(&self) -> Self {
        Self { arp: self.arp.clone(), igmp: self.igmp.clone(), paths: self.paths.clone() }
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
}

/// The queues from workers to control.
#[must_use]
pub fn punt_queues<B>() -> (PuntSenders<B>, PuntReceivers<B>) {
    let (arp, arp_rx) = bounded(PUNT_LEN);
    let (igmp, igmp_rx) = bounded(PUNT_LEN);
    let (paths, paths_rx) = bounded(PUNT_LEN);
    (PuntSenders { arp, igmp, paths }, PuntReceivers { arp: arp_rx, igmp: igmp_rx, paths: paths_rx })
}

/// A worker's inbox.
#[must_use]
pub fn inbox<B>() -> (Sender<ToWorker<B>>, Receiver<ToWorker<B>>) {
    bounded(INBOX_LEN)
}
