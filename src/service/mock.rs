//! An engine for tests of services: it sends nothing, and remembers what it was asked for.

use core::net::SocketAddr;

use super::{Cx, Engine, LocalSocket, Message, SendError, SendOptions};
use crate::io::BufPool;
use crate::time::Instant;

/// An engine for tests of services: a pool, and a list of what was sent.
///
/// ```
/// # #[cfg(feature = "sim")] {
/// use pollcast::service::{Mock, SendOptions};
/// use pollcast::sim::buf::{ROOM, SimPool};
/// use pollcast::time::Instant;
///
/// let mut mock = Mock::new(SimPool::new(8, ROOM));
/// let mut cx = mock.cx(Instant::ZERO);
/// // What a service under test would do in `datagrams` or `timer`:
/// let message = cx.message_of(b"hello").unwrap();
/// cx.send(message, "198.18.0.1:7".parse().unwrap(), &SendOptions::default()).unwrap();
/// assert_eq!(mock.sent[0].payload, b"hello");
/// # }
/// ```
#[derive(Debug)]
pub struct Mock<P> {
    /// Where its buffers come from.
    pub pool: P,
    /// What the service is told of its sockets.
    pub sockets: Vec<LocalSocket>,
    /// What it sent.
    pub sent: Vec<Sent>,
    /// Its deadline.
    pub timer: Option<Instant>,
    /// What every attempt to send fails with.
    pub refuses: Option<SendError>,
}

/// What a service sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The payload.
    pub payload: Vec<u8>,
    /// To where.
    pub to: SocketAddr,
    /// In which manner.
    pub options: SendOptions,
}

impl<P: BufPool> Mock<P> {
    /// One with buffers of `pool`, and no socket.
    #[must_use]
    pub const fn new(pool: P) -> Self {
        Self { pool, sockets: Vec::new(), sent: Vec::new(), timer: None, refuses: None }
    }

    /// The moment `now`, for a call of the service under test.
    #[must_use]
    pub fn cx(&mut self, now: Instant) -> Cx<'_, P::Buf> {
        Cx::new(now, self)
    }
}

impl<P: BufPool> Engine<P::Buf> for Mock<P> {
    fn sockets(&self) -> &[LocalSocket] {
        &self.sockets
    }

    fn alloc(&mut self) -> Option<P::Buf> {
        self.pool.alloc()
    }

    fn alloc_large(&mut self) -> Option<P::Buf> {
        self.pool.alloc_large()
    }

    fn send(
        &mut self,
        message: Message<P::Buf>,
        to: SocketAddr,
        options: &SendOptions,
    ) -> Result<(), SendError> {
        if let Some(why) = self.refuses {
            return Err(why);
        }
        self.sent.push(Sent { payload: message.payload().to_vec(), to, options: *options });
        Ok(())
    }

    fn set_timer(&mut self, at: Option<Instant>) {
        self.timer = at;
    }
}
