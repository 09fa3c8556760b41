//! Several sends that make one datagram: `UDP_CORK` and `MSG_MORE`.

use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::UdpSocket;
use super::way::Planned;
use crate::socket::failure::SendError;
use crate::socket::message::{SendControl, SendFlags};
use crate::socket::packet::Packet;

/// What was gathered so far. How it leaves, the first piece said.
#[derive(Debug)]
pub(super) struct Corked {
    planned: Planned,
    packet: Box<Packet>,
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
        if corked.is_none() {
            let planned = self.plan(to, control, payload.len())?;
            self.check_len(payload.len(), &planned)?;
            let packet = self.endpoint.packets().take(payload.len()).ok_or(SendError::NoBuffers)?;
            *corked = Some(Corked { planned, packet });
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

    /// Drops what waits.
    pub(super) fn forget_corked(&self) {
        self.drop_corked(&mut self.corked());
    }

    fn append(&self, corked: &mut Option<Corked>, payload: &[u8]) -> Result<(), SendError> {
        let Some(Corked { planned, packet }) = corked else { return Ok(()) };
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
        let Some(Corked { planned, packet }) = corked.take() else { return Ok(()) };
        self.hand_over_packet(&planned.departure, packet, dont_wait)
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
