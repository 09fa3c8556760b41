//! Several sends that make one datagram: `UDP_CORK` and `MSG_MORE`.

use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::UdpSocket;
use super::send::IP_MAX;
use super::way::Planned;
use crate::io::Departure;
use crate::socket::failure::SendError;
use crate::socket::message::{SendControl, SendFlags, unmapped};
use crate::socket::packet::Packet;

/// What was gathered so far. How it leaves, the first piece said.
#[derive(Debug)]
pub(super) struct Corked {
    planned: Planned,
    packet: Box<Packet>,
    /// Whether a control message says its TTL.
    has_ttl: bool,
}

impl UdpSocket {
    /// Whether what is sent waits for more. `UDP_CORK`.
    #[must_use]
    pub fn is_corking(&self) -> bool {
        self.endpoint.options().cork.load(Ordering::Relaxed)
    }

    /// Lets what is sent from now on wait for more, or sends what waits. `UDP_CORK`.
    ///
    /// # Errors
    /// What waits could not be sent; it is gone then, as on Linux.
    pub fn set_corking(&self, corking: bool) -> Result<(), SendError> {
        self.endpoint.options().cork.store(corking, Ordering::Relaxed);
        if corking { Ok(()) } else { self.push_corked(&mut self.corked(), false) }
    }

    /// Adds `payload` to what waits, and sends that unless more is to come.
    // udp(7), Linux `udp_sendmsg`: where it goes, the first piece says; a piece that makes it too long ends it all.
    pub(super) fn send_corked(
        &self,
        payload: &[u8],
        to: Option<SocketAddr>,
        control: &SendControl,
        flags: SendFlags,
    ) -> Result<usize, SendError> {
        let mut corked = self.corked();
        if let Some(begun) = corked.as_ref() {
            // Who has lost the port meanwhile gets one: Linux `inet_send_prepare`.
            drop(self.bound()?);
            self.check_goes_on(begun, payload.len(), to)?;
        } else {
            let planned = self.plan(to, control, payload.len())?;
            self.check_len(payload.len(), &planned)?;
            self.tell_pending()?;
            let packet = self.endpoint.packets().take(payload.len()).ok_or(SendError::NoBuffers)?;
            *corked = Some(Corked { planned, packet, has_ttl: control.ttl.is_some() });
            self.has_corked.store(true, Ordering::Release);
        }
        if let Err(why) = self.append(&mut corked, payload) {
            self.drop_corked(&mut corked);
            return Err(why);
        }
        if !(flags.more || self.is_corking()) {
            self.push_corked(&mut corked, flags.dont_wait)?;
        }
        Ok(payload.len())
    }

    /// Whether this can be said of more of what waits, which stays if not. Where it goes does not matter, but its IP version.
    // Linux `udp_sendmsg`, `udpv6_sendmsg`: what is told from a pending datagram's.
    fn check_goes_on(&self, begun: &Corked, len: usize, to: Option<SocketAddr>) -> Result<(), SendError> {
        let is_v6 = begun.planned.departure.dst.is_ipv6();
        let names_v4 = self.is_v6 && to.is_some_and(|to| unmapped(to).is_ipv4());
        if names_v4 && self.state().place.v6only {
            return Err(SendError::OtherVersion);
        }
        if (names_v4 || !is_v6) && len > IP_MAX {
            return Err(SendError::TooLong);
        }
        if names_v4 && is_v6 {
            return Err(SendError::BegunOtherwise);
        }
        Ok(())
    }

    /// Drops what waits.
    pub(super) fn forget_corked(&self) {
        self.drop_corked(&mut self.corked());
    }

    fn append(&self, corked: &mut Option<Corked>, payload: &[u8]) -> Result<(), SendError> {
        let Some(Corked { planned, packet, .. }) = corked else { return Ok(()) };
        let len = packet.payload().len() + payload.len();
        self.check_len(len, planned)?;
        if packet.append(payload) {
            return Ok(());
        }
        let packets = self.endpoint.packets();
        let mut larger = packets.take(len).ok_or(SendError::NoBuffers)?;
        // NOTE(append): it was taken for both.
        let _ = larger.append(packet.payload()) && larger.append(payload);
        packets.give(core::mem::replace(packet, larger));
        Ok(())
    }

    fn push_corked(&self, corked: &mut Option<Corked>, dont_wait: bool) -> Result<(), SendError> {
        self.has_corked.store(false, Ordering::Release);
        let Some(begun) = corked.take() else { return Ok(()) };
        self.hand_over_packet(&self.as_set_now(&begun), begun.packet, dont_wait)
    }

    /// How what was begun leaves: of some options, and over IPv4 of the port, what they are by now counts.
    // Linux `udp_send_skb`, `__ip_make_skb`, `__ip6_make_skb`: IPv6's headers are decided when the first piece is said.
    fn as_set_now(&self, begun: &Corked) -> Departure {
        let Corked { planned, packet, has_ttl } = begun;
        let options = self.endpoint.options();
        let is_v6 = planned.departure.dst.is_ipv6();
        let ip = options.ip(is_v6);
        let mut departure = planned.departure;
        departure.checksum = !options.leaves_checksum_out(is_v6);
        departure.loopback = ip.multicast_loop.load(Ordering::Relaxed);
        if is_v6 {
            return departure;
        }
        // Nothing leaves from port 0.
        let port = self.state().place.local.port();
        departure.src.set_port(if port == 0 { departure.src.port() } else { port });
        if !has_ttl {
            departure.ttl = options.ttl(departure.dst.ip());
        }
        // What is to be cut stays so.
        if planned.fits(packet.payload().len()) {
            departure.discovery = ip.discovery.get();
        }
        departure
    }

    fn drop_corked(&self, corked: &mut Option<Corked>) {
        self.has_corked.store(false, Ordering::Release);
        if let Some(Corked { packet, .. }) = corked.take() {
            self.endpoint.packets().give(packet);
        }
    }

    fn corked(&self) -> MutexGuard<'_, Option<Corked>> {
        // Nothing that holds it can leave it half changed.
        self.corked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
