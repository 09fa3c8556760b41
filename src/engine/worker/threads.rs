//! What threads send: taken from their queue, a bounded part of it in a turn, and sent.
//!
//! The worker waits for no thread. That something could not leave after all, its socket's next call is told.

use std::sync::Arc;

use super::Worker;
use crate::engine::depart::DepartError;
use crate::engine::port_io::PortIo;
use crate::io::{BURST_MAX, Departure, Nic};
use crate::socket::{Endpoint, ErrorOrigin, Outgoing, QueuedError, charge};
use crate::stack::sockets::Errno;
use crate::time::Instant;

/// Datagrams of threads that a turn sends at most.
const SEND_BUDGET: usize = 2 * BURST_MAX;

impl<N: Nic> Worker<N> {
    /// Sends what threads have for this worker. Returns how much that was.
    #[inline]
    pub(super) fn send_for_threads(&mut self, now: Instant) -> usize {
        if self.sockets.outgoing().is_empty() { 0 } else { self.send_queued(now) }
    }

    #[inline(never)]
    fn send_queued(&mut self, now: Instant) -> usize {
        let queue = Arc::clone(self.sockets.outgoing());
        let mut sent = 0;
        let mut run = Run::default();
        while sent < SEND_BUDGET
            && let Some(Outgoing { endpoint, departure, packet }) = queue.pop()
        {
            sent += 1;
            let len = packet.payload().len();
            let left = self.depart(now, packet.payload(), &departure);
            if let Err(why) = left {
                let (errno, detail) = late(why, &departure);
                endpoint.fail_late(errno, detail);
            }
            endpoint.packets().give(packet);
            run.add(endpoint, len, left.is_ok());
        }
        run.end();
        queue.made_room();
        // The transmit burst is empty when a received one is sorted.
        self.ports.iter_mut().for_each(PortIo::flush);
        sent
    }

    /// The last turn: what threads had for this worker is sent no more.
    pub(super) fn give_up_for_threads(&mut self) {
        while let Some(Outgoing { endpoint, packet, .. }) = self.sockets.outgoing().pop() {
            let len = packet.payload().len();
            endpoint.packets().give(packet);
            endpoint.sent(charge(len));
        }
        self.sockets.outgoing().made_room();
    }
}

/// What one socket has sent in a row: it is told, and counted, at once.
#[derive(Default)]
struct Run {
    of: Option<Arc<Endpoint>>,
    charged: usize,
    sent: u64,
}

impl Run {
    /// Another of `len` bytes was dealt with, and perhaps sent.
    fn add(&mut self, endpoint: Arc<Endpoint>, len: usize, is_sent: bool) {
        if self.of.as_ref().is_none_or(|of| !Arc::ptr_eq(of, &endpoint)) {
            self.end();
            self.of = Some(endpoint);
        }
        self.charged += charge(len);
        self.sent += u64::from(is_sent);
    }

    fn end(&mut self) {
        let Self { of, charged, sent } = core::mem::take(self);
        if let Some(of) = of {
            of.count(0, sent);
            of.sent(charged);
        }
    }
}

/// What a socket is told of a datagram that could not leave.
fn late(why: DepartError, departure: &Departure) -> (Errno, QueuedError) {
    let (errno, info) = match why {
        DepartError::NoInterface => (Errno::ENODEV, 0),
        DepartError::NetworkUnreachable => (Errno::ENETUNREACH, 0),
        DepartError::Invalid => (Errno::EINVAL, 0),
        // Linux tells how long the packet may be: with its headers.
        DepartError::TooBig { max } => (Errno::EMSGSIZE, max.saturating_add(headers(departure))),
        DepartError::NoBuffer | DepartError::QueueFull => (Errno::ENOBUFS, 0),
    };
    let detail = QueuedError {
        errno,
        origin: ErrorOrigin::Local,
        icmp_type: 0,
        icmp_code: 0,
        info: u32::from(info),
        offender: None,
        destination: departure.dst,
        interface: departure.interface,
    };
    (errno, detail)
}

/// Bytes of the headers of IP and UDP.
const fn headers(departure: &Departure) -> u16 {
    if departure.dst.is_ipv4() { 20 + 8 } else { 40 + 8 }
}
