//! A datagram, in place in the packet that carried it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::Kept;
use crate::addr::Vid;
use crate::io::{Cast, DropReason, InterfaceId, PacketBuf, Parts, PayloadSum};
use crate::time::Instant;

/// What a service decided.
// What is decided most is told by one byte, not by what no reason of a refusal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Action {
    /// Taken note of; the buffer goes home.
    Consume,
    /// The payload goes back to where it came from.
    Reply,
    /// Not served, for a reason that is counted.
    Refuse(DropReason),
}

/// A UDP datagram for a service: its payload in place, and what the packet says of it.
#[derive(Debug)]
pub struct Datagram<B> {
    /// `None` once it is kept.
    buf: Option<B>,
    parts: Parts,
    received_at: Instant,
    action: Action,
}

/// Bytes of a UDP header.
const UDP_HEADER: usize = 8;

impl<B: PacketBuf> Datagram<B> {
    /// The datagram at `parts` of `buf`, which was received at that moment. For the engine, and for tests of services.
    #[inline]
    #[must_use]
    pub const fn new(buf: B, parts: Parts, received_at: Instant) -> Self {
        Self { buf: Some(buf), parts, received_at, action: Action::Consume }
    }

    /// What holds no packet.
    pub(crate) const fn nothing() -> Self {
        Self { buf: None, parts: Parts::new(0, 0, 0), received_at: Instant::ZERO, action: Action::Consume }
    }

    /// Makes what holds no packet the datagram at `parts` of `buf`.
    #[inline(always)]
    pub(crate) fn fill(&mut self, buf: Option<B>, parts: Parts, received_at: Instant) {
        debug_assert!(self.buf.is_none(), "a packet is lost");
        let new = Self { buf, parts, received_at, action: Action::Consume };
        // An assignment would look whether there is something to drop.
        core::mem::forget(core::mem::replace(self, new));
    }

    /// What the service decided, or nothing yet.
    #[inline]
    pub(crate) const fn action(&self) -> Action {
        self.action
    }

    /// The packet that carried it, to be taken out or changed. For the engine.
    #[inline]
    pub(crate) const fn slot(&mut self) -> &mut Option<B> {
        &mut self.buf
    }

    /// The pieces, for the engine to carry the decision out; no buffer if it was kept.
    #[inline]
    #[must_use]
    pub fn into_parts(self) -> (Option<B>, Parts, Action) {
        (self.buf, self.parts, self.action)
    }

    /// The packet that carried it; `None` once it is [kept](Self::keep).
    #[inline]
    #[must_use]
    pub const fn buf(&self) -> Option<&B> {
        self.buf.as_ref()
    }

    /// The packet that carried it, to be changed. For the engine.
    #[inline]
    #[must_use]
    pub(crate) const fn buf_mut(&mut self) -> Option<&mut B> {
        self.buf.as_mut()
    }

    /// Where its parts lie.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> Parts {
        self.parts
    }

    /// The payload. May be empty (U11): an empty datagram is a datagram.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let (start, end) = self.payload_range();
        self.bytes().get(start..end).unwrap_or_default()
    }

    /// The payload, to be changed in place before a [`reply`](Self::reply). `None` if another socket shares it, which no
    /// service meets that [writes payloads](super::Service::writes_payloads).
    #[inline]
    #[must_use]
    pub fn payload_mut(&mut self) -> Option<&mut [u8]> {
        let (start, end) = self.payload_range();
        let (in_body, buf) = (self.parts.is_in_body(), self.buf.as_mut()?);
        let bytes = if in_body { buf.body_mut()? } else { buf.unique()? }.get_mut(start..end)?;
        self.parts = self.parts.with_sum(PayloadSum::Absent);
        Some(bytes)
    }

    /// Puts `payload` in the place of its payload, before a [`reply`](Self::reply), whatever the length of both. False, and
    /// nothing changed, if another socket shares it, or its buffer has no room.
    pub fn set_payload(&mut self, payload: &[u8]) -> bool {
        let start = self.payload_range().0;
        let (end, in_body) = (start + payload.len(), self.parts.is_in_body());
        let Ok(udp_len) = u16::try_from(UDP_HEADER + payload.len()) else { return false };
        let Some(buf) = &mut self.buf else { return false };
        if !in_body && !buf.set_len(end) {
            return false;
        }
        let bytes = if in_body { buf.body_mut() } else { buf.unique() };
        let Some(datagram) = bytes.and_then(|bytes| bytes.get_mut(self.parts.l4()..end)) else {
            return false;
        };
        let Some((header, behind)) = datagram.split_first_chunk_mut::<UDP_HEADER>() else { return false };
        behind.copy_from_slice(payload);
        let [l0, l1] = udp_len.to_be_bytes();
        (header[4], header[5]) = (l0, l1);
        self.parts = self.parts.with_len(udp_len).with_sum(PayloadSum::Absent);
        true
    }

    /// Whether it came over IPv6.
    #[inline]
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.parts.is_ipv6()
    }

    /// Who sent it. An address that means something on one link only has the [scope](InterfaceId::scope_id) of its interface.
    #[inline]
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        self.socket_addr((12, 8), self.source_port())
    }

    /// The client that sent it, if its [`source`](Self::source) is a balancer that said so (DPVS's UOA, from the prefixes of
    /// `uoa.trusted`), of either IP version, whatever the packet is of. To be told to people, and looked at by policies: an
    /// answer goes to the source, who knows the way on.
    #[must_use]
    pub fn real_client(&self) -> Option<SocketAddr> {
        if self.parts.has_real_client() { self.buf.as_ref()?.real_client() } else { None }
    }

    /// Notes who the real client is. False if there is no room for that. For the engine.
    #[inline]
    pub(crate) fn set_real_client(&mut self, client: SocketAddr) -> bool {
        let noted = self.buf.as_mut().is_some_and(|buf| buf.set_real_client(client));
        self.parts = self.parts.with_real_client(noted);
        noted
    }

    /// The address and port that it was sent to: ours, a group, or broadcast; with its scope, as of the [`source`](Self::source).
    #[inline]
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.socket_addr((16, 24), self.ports().1)
    }

    /// The UDP port that it was sent from.
    #[inline]
    #[must_use]
    pub fn source_port(&self) -> u16 {
        self.ports().0
    }

    /// The UDP ports that it was sent from and to.
    #[inline]
    #[must_use]
    pub fn ports(&self) -> (u16, u16) {
        self.parts.ports().unwrap_or_else(|| self.ports_in_packet())
    }

    #[inline(never)]
    fn ports_in_packet(&self) -> (u16, u16) {
        let l4 = self.parts.l4();
        let [a, b, c, d] =
            self.bytes().get(l4..l4 + 4).and_then(|b| b.first_chunk()).copied().unwrap_or_default();
        (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    }

    /// To whom it was addressed.
    #[inline]
    #[must_use]
    pub fn cast(&self) -> Cast {
        self.parts.cast()
    }

    /// The interface that it came in by.
    #[inline]
    #[must_use]
    pub fn interface(&self) -> InterfaceId {
        self.parts.interface()
    }

    /// The socket of the service that it is for, by its number.
    #[inline]
    #[must_use]
    pub fn socket(&self) -> u32 {
        self.parts.socket()
    }

    /// The VLAN that it came in by; `None`: the interface has none.
    // E12, 802.1Q: in the frame, or taken off by the device.
    #[must_use]
    pub fn vlan(&self) -> Option<Vid> {
        const VID: u16 = 0x0fff;
        if !self.parts.is_tagged() {
            return None;
        }
        let stripped = self.buf.as_ref().and_then(|buf| buf.rx_meta().stripped_tci);
        // Of tags in the frame, the last one before the packet: behind it is the packet's type.
        let before_l3 = self.parts.l3().checked_sub(4).filter(|at| *at >= 12);
        let tag = || self.data().get(before_l3?..)?.first_chunk().map(|b| u16::from_be_bytes(*b));
        Vid::new(stripped.or_else(tag)? & VID)
    }

    /// When it was received: the moment of the turn of the worker that took it from the device.
    #[inline]
    #[must_use]
    pub const fn received_at(&self) -> Instant {
        self.received_at
    }

    /// Whether its payload is longer than what is here of it. What the host delivers never is: what no buffer has room for is
    /// dropped, and counted.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.bytes().len() < self.payload_range().1
    }

    /// Its congestion mark (RFC 3168): the low two bits of [`tos`](Self::tos).
    #[must_use]
    pub fn ecn(&self) -> u8 {
        self.tos() & 0x3
    }

    /// Its time to live, or hop limit, on arrival.
    // P11, RFC 3542 6.3: both families under one name.
    #[must_use]
    pub fn ttl(&self) -> u8 {
        self.byte(self.parts.l3() + if self.is_ipv6() { 7 } else { 8 })
    }

    /// Its type of service, or traffic class: DSCP and ECN.
    // P11, RFC 3542 6.5.
    #[must_use]
    pub fn tos(&self) -> u8 {
        let l3 = self.parts.l3();
        if self.is_ipv6() { self.byte(l3) << 4 | self.byte(l3 + 1) >> 4 } else { self.byte(l3 + 1) }
    }

    /// Sends the payload, as it is then, back to where it came from: from the address that it was sent to, or from
    /// the port's own if that was a group or broadcast address (U21).
    #[inline]
    pub fn reply(&mut self) {
        self.action = Action::Reply;
    }

    /// Keeps it for later, with all that came with it; to the burst it counts as consumed. `None` if it is kept already.
    #[must_use = "what is kept and dropped is consumed"]
    pub fn keep(&mut self) -> Option<Kept<B>> {
        let Self { parts, received_at, .. } = *self;
        self.action = Action::Consume;
        self.buf.take().map(|buf| Kept::new(Self::new(buf, parts, received_at)))
    }

    /// Drops it for `reason`, which is counted.
    #[inline]
    pub fn refuse(&mut self, reason: DropReason) {
        self.action = Action::Refuse(reason);
    }

    /// What the UDP header and the payload lie in.
    #[inline]
    fn bytes(&self) -> &[u8] {
        match &self.buf {
            Some(buf) if self.parts.is_in_body() => buf.body().unwrap_or_default(),
            Some(buf) => buf.data(),
            None => &[],
        }
    }

    /// What the link and IP headers lie in.
    #[inline]
    fn data(&self) -> &[u8] {
        self.buf.as_ref().map_or(&[], PacketBuf::data)
    }

    #[inline]
    fn payload_range(&self) -> (usize, usize) {
        let l4 = self.parts.l4();
        (l4 + UDP_HEADER, l4 + usize::from(self.parts.udp_len()))
    }

    fn byte(&self, at: usize) -> u8 {
        self.data().get(at).copied().unwrap_or_default()
    }

    /// The address at one of these offsets of an IPv4 or IPv6 header, and `port`.
    #[inline]
    fn socket_addr(&self, (v4, v6): (usize, usize), port: u16) -> SocketAddr {
        if self.is_ipv6() {
            let addr = Ipv6Addr::from(self.octets_at::<16>(v6));
            // P12, RFC 4007 6, RFC 3493 3.3: which link it is on is a part of what such an address says.
            let is_of_link =
                addr.is_unicast_link_local() || addr.is_multicast() && addr.octets()[1] & 0xf == 2;
            let scope_id = if is_of_link { self.interface().scope_id() } else { 0 };
            return SocketAddr::V6(SocketAddrV6::new(addr, port, 0, scope_id));
        }
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from(self.octets_at::<4>(v4))), port)
    }

    #[inline]
    fn octets_at<const N: usize>(&self, offset: usize) -> [u8; N] {
        let bytes = self.data().get(self.parts.l3() + offset..);
        bytes.and_then(|b| b.first_chunk()).copied().unwrap_or([0; N])
    }
}
