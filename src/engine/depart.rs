//! A datagram of ours leaves a worker: of a service's, or of a thread's.
//!
//! To a host by routes and neighbours, to groups and to everyone on a link; to this host itself without touching the device:
//! its own addresses as Linux's `lo` does, and a copy of what goes to a group that it is a member of.

use std::collections::VecDeque;

use super::counters::Counter;
use super::port_io::PortIo;
use crate::addr::{Family, V4, V6};
use crate::io::{BufPool, Cast, Departure, DropReason, InterfaceId, Nic, PacketBuf, Parts, ReplyPath};
use crate::stack::audience::{self, ForMany};
use crate::stack::egress::send::{self, Ready, Unsendable};
use crate::stack::egress::{Emit, link_len};
use crate::stack::fragmentation::Payload;
use crate::stack::interface::Interface;
use crate::stack::port_table::{Flow, PortTable};
use crate::stack::route::Towards;
use crate::time::Instant;

/// Datagrams from this host to itself that wait for the worker's next turn at most: as Linux's `netdev_max_backlog`.
const LOCAL_LEN: usize = 1024;

/// Bytes of a UDP header.
const UDP_HEADER: u16 = 8;

/// Why a datagram was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DepartError {
    /// This worker does not serve the port of that interface. ENODEV.
    NoInterface,
    /// No route leads there. ENETUNREACH.
    NetworkUnreachable,
    /// From port 0, addresses of two IP versions, or no time to live to a host of IPv4. EINVAL.
    Invalid,
    /// Longer than a datagram can be, or than the path carries and may not be fragmented. EMSGSIZE.
    TooBig {
        /// The longest payload that could be sent there, in bytes.
        max: u16,
    },
    /// No buffer was free. ENOBUFS.
    NoBuffer,
    /// The queue to the neighbours' addresses, or to this host itself, is full. ENOBUFS.
    QueueFull,
}

impl From<Unsendable> for DepartError {
    fn from(why: Unsendable) -> Self {
        match why {
            Unsendable::Invalid => Self::Invalid,
            Unsendable::TooBig { max } => Self::TooBig { max },
        }
    }
}

/// A datagram from this host to itself.
#[derive(Debug)]
pub(super) struct Looped<B> {
    /// The index of the port of its interface.
    pub(super) port: usize,
    pub(super) buf: B,
    pub(super) parts: Parts,
}

/// What a worker's services and threads sent to this host itself, or by other ports than the one whose burst is being served.
#[derive(Debug)]
pub(super) struct Local<B> {
    queue: VecDeque<Looped<B>>,
    /// Whether anything was sent since [`take_sent`](Self::take_sent) was asked.
    sent: bool,
}

impl<B> Default for Local<B> {
    fn default() -> Self {
        Self { queue: VecDeque::with_capacity(LOCAL_LEN), sent: false }
    }
}

impl<B> Local<B> {
    pub(super) fn pop(&mut self) -> Option<Looped<B>> {
        self.queue.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether transmit bursts may hold something that was sent since this was last asked.
    #[inline]
    pub(super) const fn take_sent(&mut self) -> bool {
        core::mem::replace(&mut self.sent, false)
    }
}

/// The parts of a worker by which a datagram of ours leaves.
pub(super) struct Depart<'a, N: Nic> {
    pub(super) now: Instant,
    pub(super) ports: &'a mut [PortIo<N>],
    pub(super) pool: &'a N::Pool,
    pub(super) table: &'a PortTable,
    pub(super) local: &'a mut Local<N::Buf>,
}

impl<N: Nic> Depart<'_, N> {
    /// Sends a copy of `payload`.
    ///
    /// # Errors
    /// Why it was not sent.
    pub(super) fn send_copy(&mut self, payload: &[u8], departure: &Departure) -> Result<(), DepartError> {
        let port = self.port_of(departure.interface)?;
        let interface = self.ports.get(port).and_then(|p| p.interfaces.get(departure.interface));
        let headers = interface.map_or(0, |i| {
            link_len(i) + if departure.dst.is_ipv6() { V6::HEADER_LEN } else { V4::HEADER_LEN }
        });
        let udp_len = payload.len() + usize::from(UDP_HEADER);
        let max = if departure.dst.is_ipv6() { send::payload_max::<V6>() } else { send::payload_max::<V4>() };
        let len = u16::try_from(udp_len)
            .ok()
            .filter(|_| payload.len() <= usize::from(max))
            .ok_or(DepartError::TooBig { max })?;
        // Behind the headers, so that it is written once.
        let header = usize::from(UDP_HEADER);
        let (mut buf, offset) = self.buffer(headers, udp_len)?;
        let room = buf.unique().and_then(|b| b.get_mut(usize::from(offset) + header..));
        room.ok_or(DepartError::NoBuffer)?.copy_from_slice(payload);
        self.send(buf, Payload { in_body: false, offset, len }, departure)
    }

    /// Sends the datagram that lies at `udp` in `buf`, of which the payload alone need be written.
    ///
    /// # Errors
    /// Why it was not sent. Its buffer has gone home then.
    pub(super) fn send(
        &mut self,
        buf: N::Buf,
        udp: Payload,
        departure: &Departure,
    ) -> Result<(), DepartError> {
        if departure.dst.is_ipv6() {
            self.send_over::<V6>(buf, udp, departure)
        } else {
            self.send_over::<V4>(buf, udp, departure)
        }
    }

    fn send_over<F: Emit>(
        &mut self,
        buf: N::Buf,
        udp: Payload,
        departure: &Departure,
    ) -> Result<(), DepartError> {
        let (_, dst) = send::ends::<F>(departure).ok_or(DepartError::Invalid)?;
        let index = self.port_of(departure.interface)?;
        let max = send::payload_max::<F>();
        if udp.len > max.saturating_add(UDP_HEADER) {
            return Err(DepartError::TooBig { max });
        }
        let to_itself = self.interface(index, departure.interface)?;
        let cast = send::hears_itself::<F>(dst, to_itself);
        match cast {
            Some(Cast::Unicast) => return self.loop_back::<F>(index, (&buf, udp), Cast::Unicast, departure),
            // U28, RFC 1112 7.1: its copy is lost if there is no room for it, as a frame would be.
            Some(cast) if cast == Cast::Broadcast || departure.loopback => {
                let copied = if self.is_heard::<F>(index, cast, departure) {
                    self.loop_back::<F>(index, (&buf, udp), cast, departure)
                } else {
                    Ok(())
                };
                if copied.is_err()
                    && let Some(port) = self.ports.get_mut(index)
                {
                    // A handle that would have been: what it was lost for is counted.
                    port.tally.add(Counter::Allocated, 1);
                    port.tally.drop(DropReason::NoBuffer);
                }
            }
            _ => {}
        }
        // U27, RFC 1112 6.1, RFC 1122 3.2.1.7: what has no time to live never leaves this host. RFC 8200 3: a hop limit of 0 is enough for a
        // neighbour.
        match (departure.ttl, cast) {
            (Some(0), Some(_)) => return Ok(()),
            (Some(0), None) if F::VERSION == V4::VERSION => return Err(DepartError::Invalid),
            _ => {}
        }
        self.leave::<F>(index, buf, udp, departure, dst)
    }

    /// It leaves by the device.
    fn leave<F: Emit>(
        &mut self,
        index: usize,
        mut buf: N::Buf,
        mut udp: Payload,
        departure: &Departure,
        dst: F::Addr,
    ) -> Result<(), DepartError> {
        // U13: what others read is not written to.
        if !buf.is_private() {
            (buf, udp) = self.private(&buf, udp)?;
        }
        let Some(port) = self.ports.get_mut(index) else { return Err(DepartError::NoInterface) };
        let PortIo { interfaces, ids, .. } = port;
        let interface = interfaces.get(departure.interface).ok_or(DepartError::NoInterface)?;
        if F::inet(interface).routes.towards(dst) == Towards::Nowhere {
            return Err(DepartError::NetworkUnreachable);
        }
        let ready = send::prepare::<F, _>(self.now, (&mut buf, udp), departure, ids, interface)?;
        self.local.sent = true;
        port.tally.add(Counter::Allocated, 1);
        match ready {
            Ready::Whole => {
                let sent = port.send_by_route(buf, departure.interface);
                if sent { Ok(()) } else { Err(DepartError::QueueFull) }
            }
            Ready::Cut(out) => {
                let way = (departure.interface, ReplyPath::Route);
                let sent = port.send_in_fragments(&buf, &out, way, self.pool);
                if sent { Ok(()) } else { Err(DepartError::NoBuffer) }
            }
        }
    }

    /// A buffer for `len` bytes at `offset`, and where they begin in it: what no ordinary buffer has room for leaves in fragments,
    /// and begins where a large one does.
    fn buffer(&self, offset: usize, len: usize) -> Result<(N::Buf, u16), DepartError> {
        let mut buf = self.pool.alloc().ok_or(DepartError::NoBuffer)?;
        if buf.set_len(offset + len) {
            return Ok((buf, u16::try_from(offset).map_err(|_| DepartError::Invalid)?));
        }
        let mut large = self.pool.alloc_large().ok_or(DepartError::NoBuffer)?;
        if large.set_len(len) { Ok((large, 0)) } else { Err(DepartError::NoBuffer) }
    }

    /// A copy that nobody shares.
    fn private(&self, buf: &N::Buf, udp: Payload) -> Result<(N::Buf, Payload), DepartError> {
        let bytes = udp.of(buf).ok_or(DepartError::Invalid)?;
        // As far in as any header reaches.
        let (mut copy, offset) = self.buffer(64, bytes.len())?;
        let room = copy.unique().and_then(|b| b.get_mut(usize::from(offset)..));
        room.ok_or(DepartError::NoBuffer)?.copy_from_slice(bytes);
        Ok((copy, Payload { in_body: false, offset, len: udp.len }))
    }

    /// Whether any socket of this host hears it.
    // U28, RFC 1112 7.1: on the interface that it leaves by, and with our own address as its source.
    fn is_heard<F: Emit>(&self, index: usize, cast: Cast, departure: &Departure) -> bool {
        let Ok(interface) = self.interface(index, departure.interface) else { return false };
        let Some(flow) = flow::<F>(departure) else { return false };
        let for_many = ForMany::<F> { interface: interface.id, flow, cast };
        audience::first(&for_many, &F::inet(interface).groups, self.table).is_ok()
    }

    /// A copy of it waits for this worker's next look at what it sent itself.
    fn loop_back<F: Emit>(
        &mut self,
        index: usize,
        (buf, udp): (&N::Buf, Payload),
        cast: Cast,
        departure: &Departure,
    ) -> Result<(), DepartError> {
        if self.local.queue.len() >= LOCAL_LEN {
            return Err(DepartError::QueueFull);
        }
        let payload = udp.of(buf).and_then(|bytes| bytes.get(usize::from(UDP_HEADER)..));
        let payload = payload.ok_or(DepartError::Invalid)?;
        let interface = self.interface(index, departure.interface)?;
        let copy = send::local_copy::<F, _>(payload, departure, cast, interface, self.pool);
        let (buf, parts) = copy.ok_or(DepartError::NoBuffer)?;
        self.local.queue.push_back(Looped { port: index, buf, parts });
        Ok(())
    }

    fn port_of(&self, id: InterfaceId) -> Result<usize, DepartError> {
        let found = self.ports.iter().position(|p| p.interfaces.get(id).is_some());
        found.ok_or(DepartError::NoInterface)
    }

    fn interface(&self, port: usize, id: InterfaceId) -> Result<&Interface, DepartError> {
        self.ports.get(port).and_then(|p| p.interfaces.get(id)).ok_or(DepartError::NoInterface)
    }
}

fn flow<F: Family>(departure: &Departure) -> Option<Flow<F>> {
    let (src, dst) = send::ends::<F>(departure)?;
    Some(Flow { src, sport: departure.src.port(), dst, dport: departure.dst.port() })
}
