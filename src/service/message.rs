//! A datagram that is being written, with room before it for the headers that it will have.

use super::Kept;
use crate::io::PacketBuf;

/// Where the payload of a message begins in an ordinary buffer: behind the longest headers that we write, of Ethernet with a
/// tag, IPv6 and UDP.
const START: usize = 14 + 4 + 40 + UDP_HEADER;

/// Bytes of a UDP header.
const UDP_HEADER: usize = 8;

/// A datagram that is being written: its payload lies where it will be sent from, and is written once.
///
/// From [`Cx::message`](super::Cx::message), or from a datagram that was [kept](super::Datagram::keep). Dropped, it is not
/// sent, and its buffer goes home.
#[derive(Debug)]
pub struct Message<B> {
    /// `None` of what was no datagram any more: it cannot be sent.
    buf: Option<B>,
    place: Place,
}

/// Where the payload of a message lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Whether it is in the packet's body, and not in its frame.
    pub in_body: bool,
    /// Offset of its first byte there; at least a UDP header is before it.
    pub start: usize,
    /// Its length in bytes.
    pub len: usize,
}

impl<B: PacketBuf> Message<B> {
    /// The longest payload of any datagram: that of IPv6. Over IPv4 it is 20 less.
    pub const LEN_MAX: u16 = u16::MAX - 8;

    /// The message whose payload lies there in `buf`. For the engine, and for tests.
    #[must_use]
    pub const fn at(buf: B, place: Place) -> Self {
        Self { buf: Some(buf), place }
    }

    /// An empty one in `buf`, which is empty. `None`: that is too small.
    #[must_use]
    pub(crate) fn in_buffer(buf: B) -> Option<Self> {
        Self::beginning_at(START, buf)
    }

    /// The same in a large buffer, which the longest payload just fits into behind a UDP header.
    #[must_use]
    pub(crate) fn in_large_buffer(buf: B) -> Option<Self> {
        Self::beginning_at(UDP_HEADER, buf)
    }

    fn beginning_at(start: usize, mut buf: B) -> Option<Self> {
        let place = Place { in_body: false, start, len: 0 };
        buf.set_len(start).then(|| Self::at(buf, place))
    }

    /// The pieces, for whoever sends it.
    #[must_use]
    pub fn into_parts(self) -> Option<(B, Place)> {
        self.buf.map(|buf| (buf, self.place))
    }

    /// The payload as it is.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let Some(buf) = &self.buf else { return &[] };
        let bytes = if self.place.in_body { buf.body().unwrap_or_default() } else { buf.data() };
        bytes.get(self.range()).unwrap_or_default()
    }

    /// The payload, to be changed in place. Empty if others share the buffer, as they may one that was kept: who wants to
    /// change that sends a copy.
    #[must_use]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let range = self.range();
        let Some(buf) = &mut self.buf else { return &mut [] };
        let bytes = if self.place.in_body { buf.body_mut() } else { buf.unique() };
        bytes.and_then(|bytes| bytes.get_mut(range)).unwrap_or_default()
    }

    /// Appends `bytes` to the payload. False, and nothing changed, if they do not fit or others share the buffer.
    pub fn extend(&mut self, bytes: &[u8]) -> bool {
        let old = self.place.len;
        if !self.set_len(old + bytes.len()) {
            return false;
        }
        match self.payload_mut().get_mut(old..) {
            Some(room) => room.copy_from_slice(bytes),
            None => return false,
        }
        true
    }

    /// Makes the payload `len` bytes long, cutting its end or appending zeros. False, and nothing changed, if that does not
    /// fit or others share the buffer.
    pub fn set_len(&mut self, len: usize) -> bool {
        let Place { in_body, start, len: old } = self.place;
        let Some(buf) = &mut self.buf else { return false };
        // What follows a payload that was kept is none of it, and goes first: what is appended is zeros.
        let fits = len <= old
            || !in_body
                && len <= usize::from(Self::LEN_MAX)
                && buf.set_len(start + old)
                && buf.set_len(start + len);
        if fits {
            self.place.len = len;
        }
        fits
    }

    const fn range(&self) -> core::ops::Range<usize> {
        self.place.start..self.place.start + self.place.len
    }
}

/// What was kept is sent as it is then.
impl<B: PacketBuf> From<Kept<B>> for Message<B> {
    fn from(kept: Kept<B>) -> Self {
        let (buf, parts, _) = kept.into_datagram().into_parts();
        let place = Place {
            in_body: parts.is_in_body(),
            start: parts.l4() + UDP_HEADER,
            len: usize::from(parts.udp_len()).saturating_sub(UDP_HEADER),
        };
        Self { buf, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::BufPool;
    use crate::sim::buf::{ROOM, SimBuf, SimPool};

    fn message(pool: &SimPool) -> Message<SimBuf> {
        Message::in_buffer(pool.alloc().unwrap()).unwrap()
    }

    #[test]
    fn a_message_grows_up_to_its_buffer_and_has_zeros_where_nothing_was_written() {
        let pool = SimPool::with_large(1, ROOM, 1);
        let mut m = message(&pool);
        assert!(m.payload().is_empty() && m.extend(b"hello") && m.extend(b" you"));
        assert_eq!(m.payload(), b"hello you");
        assert!(m.set_len(5) && m.set_len(7));
        assert_eq!(m.payload(), b"hello\0\0", "E09: nothing of what was cut");
        assert!(!m.set_len(ROOM) && !m.extend(&[1; ROOM]));
        assert_eq!(m.payload().len(), 7);
        m.payload_mut()[..5].make_ascii_uppercase();
        assert_eq!(m.payload(), b"HELLO\0\0");
        let mut large = Message::in_large_buffer(pool.alloc_large().unwrap()).unwrap();
        assert!(large.set_len(65_527) && !large.set_len(65_528), "U24: a datagram is no longer");
    }

    #[test]
    fn what_others_share_is_not_written() {
        let pool = SimPool::new(1, ROOM);
        let mut m = message(&pool);
        assert!(m.extend(b"hello"));
        let (buf, place) = m.into_parts().unwrap();
        let shared = buf.share();
        let mut m = Message::at(buf, place);
        assert!(m.payload_mut().is_empty() && !m.extend(b"x"));
        drop(shared);
        assert!(m.extend(b"x") && m.payload() == b"hellox");
    }
}
