//! Several datagrams in one call: recvmmsg(2) and sendmmsg(2).

use core::net::SocketAddr;

use super::UdpSocket;
use crate::socket::failure::{RecvError, SendError};
use crate::socket::message::{Received, RecvFlags, SendControl, SendFlags};

/// Room for a datagram that is to be received.
#[derive(Debug)]
pub struct RecvMessage<'a> {
    /// Where its payload goes.
    pub buf: &'a mut [u8],
    /// What was received there, after the call.
    pub received: Option<Received>,
}

impl<'a> RecvMessage<'a> {
    /// With nothing received yet.
    #[must_use]
    pub fn new(buf: &'a mut [u8]) -> Self {
        Self { buf, received: None }
    }

    /// The payload that was received.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let len = self.received.map_or(0, |received| received.len);
        self.buf.get(..len).unwrap_or_default()
    }
}

/// A datagram that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct SendMessage<'a> {
    /// Its payload.
    pub payload: &'a [u8],
    /// Where it goes; `None`: to the socket's peer.
    pub to: Option<SocketAddr>,
    /// What else is to be said of it.
    pub control: SendControl,
}

impl<'a> SendMessage<'a> {
    /// A datagram to `to`, or (`None`) to the socket's peer, of which nothing else is to be said.
    #[must_use]
    pub fn new(payload: &'a [u8], to: impl Into<Option<SocketAddr>>) -> Self {
        Self { payload, to: to.into(), control: SendControl::default() }
    }
}

impl UdpSocket {
    /// Receives as many datagrams as are there and as there is room for, and waits for the first, unless the socket does not
    /// block. Returns how many. recvmmsg(2) with `MSG_WAITFORONE`.
    ///
    /// # Errors
    /// As [`recv_msg`](Self::recv_msg), if there was none. What comes after the first is told by the next call.
    pub fn recv_batch(&self, messages: &mut [RecvMessage<'_>], flags: RecvFlags) -> Result<usize, RecvError> {
        messages.iter_mut().for_each(|message| message.received = None);
        let Some((first, rest)) = messages.split_first_mut() else { return Ok(0) };
        first.received = Some(self.recv_msg(first.buf, flags)?);
        if flags.peek {
            // It stays where it is: there is no second to look at.
            return Ok(1);
        }
        let mut count = 1;
        for message in rest {
            if self.endpoint.errors().has_pending() {
                break;
            }
            // An error that is reported now stays for the next call.
            let Some(received) = self.take_into(message.buf) else { break };
            message.received = Some(received);
            count += 1;
        }
        Ok(count)
    }

    /// Sends datagrams in order, and returns how many: those after the first that failed are not sent. sendmmsg(2).
    ///
    /// # Errors
    /// As [`send_msg`](Self::send_msg), if the first was not sent. What a later one failed with, it will fail with again, or it will
    /// be sent then.
    pub fn send_batch(&self, messages: &[SendMessage<'_>], flags: SendFlags) -> Result<usize, SendError> {
        for (sent, message) in messages.iter().enumerate() {
            let SendMessage { payload, to, control } = message;
            match self.send_msg(payload, *to, control, flags) {
                Ok(_) => {}
                Err(why) if sent == 0 => return Err(why),
                Err(_) => return Ok(sent),
            }
        }
        Ok(messages.len())
    }
}
