//! Receiving.

use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use std::time::Instant;

use super::UdpSocket;
use crate::socket::failure::RecvError;
use crate::socket::message::{Received, RecvFlags};
use crate::socket::packet::Packet;

impl UdpSocket {
    /// Receives a datagram: how many bytes of it are in `buf` now, and who sent it. Waits for one, unless the socket does not block.
    ///
    /// # Errors
    /// As [`recv_msg`](Self::recv_msg).
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), RecvError> {
        self.recv_msg(buf, RecvFlags::default()).map(|received| (received.len, received.source()))
    }

    /// Receives a datagram: how many bytes of it are in `buf` now.
    ///
    /// # Errors
    /// As [`recv_msg`](Self::recv_msg).
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, RecvError> {
        self.recv_msg(buf, RecvFlags::default()).map(|received| received.len)
    }

    /// Looks at the next datagram, which stays where it is. `MSG_PEEK`.
    ///
    /// # Errors
    /// As [`recv_msg`](Self::recv_msg).
    pub fn peek_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), RecvError> {
        let flags = RecvFlags { peek: true, ..RecvFlags::default() };
        self.recv_msg(buf, flags).map(|received| (received.len, received.source()))
    }

    /// Looks at the next datagram, which stays where it is. `MSG_PEEK`.
    ///
    /// # Errors
    /// As [`recv_msg`](Self::recv_msg).
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize, RecvError> {
        self.peek_from(buf).map(|(len, _)| len)
    }

    /// Receives a datagram, with all that is known of it. What `buf` has no room for is lost; [`Received`] says so, and how long it
    /// is. An empty datagram is a datagram. recvmsg(2).
    ///
    /// # Errors
    /// Nothing is there and the socket does not block, or not for longer (`EAGAIN`); an error is pending; the host has stopped
    /// (`ENETDOWN`).
    // U11, U29.
    pub fn recv_msg(&self, buf: &mut [u8], flags: RecvFlags) -> Result<Received, RecvError> {
        self.recv_in_time(flags.dont_wait, |socket| socket.recv_now(buf, flags.peek))
    }

    /// Bytes of the next datagram; 0 if there is none. ioctl(2) `FIONREAD`.
    #[must_use]
    pub fn next_len(&self) -> usize {
        self.endpoint.receive().next_len()
    }

    /// Does `now` until there is something, or as long as the socket may wait.
    pub(super) fn recv_in_time<R>(
        &self,
        dont_wait: bool,
        mut now: impl FnMut(&Self) -> Result<R, RecvError>,
    ) -> Result<R, RecvError> {
        let options = self.endpoint.options();
        let blocks = !dont_wait && !options.nonblocking.load(Ordering::Relaxed);
        let mut until = None;
        loop {
            match now(self) {
                Err(RecvError::WouldBlock) if blocks => {}
                done => return done,
            }
            if until.is_none() {
                until = options.receive_timeout.get().and_then(|limit| Instant::now().checked_add(limit));
            }
            if !self.endpoint.wait_readable(until) {
                return Err(RecvError::WouldBlock);
            }
        }
    }

    /// Receives what is there.
    // Linux `__skb_try_recv_datagram`: an error that is pending is told first.
    pub(super) fn recv_now(&self, buf: &mut [u8], peek: bool) -> Result<Received, RecvError> {
        if let Some(errno) = self.endpoint.take_pending() {
            return Err(RecvError::Reported(errno));
        }
        if peek {
            let seen = self.endpoint.peek(|packet| self.copy(packet, buf));
            return seen.ok_or_else(|| self.nothing());
        }
        self.take_into(buf).ok_or_else(|| self.nothing())
    }

    /// Takes the datagram that is next, if there is one, whatever error is pending.
    pub(super) fn take_into(&self, buf: &mut [u8]) -> Option<Received> {
        let packet = self.endpoint.take()?;
        let received = self.copy(&packet, buf);
        self.endpoint.packets().give(packet);
        Some(received)
    }

    fn nothing(&self) -> RecvError {
        if self.endpoint.has_ended() { RecvError::Down } else { RecvError::WouldBlock }
    }

    // U29: what there is no room for is cut off, and that is said.
    fn copy(&self, packet: &Packet, buf: &mut [u8]) -> Received {
        let payload = packet.payload();
        let len = payload.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), payload.get(..len)) {
            to.copy_from_slice(from);
        }
        Received::new(len, payload.len(), packet.arrived, self.is_v6)
    }
}
