//! A datagram that is not whole yet, and what is held of it.

use super::fragment::{Fragment, Front, Key};
use super::slab::{Links, NIL};
use crate::io::{DropReason, PacketBuf};
use crate::time::Instant;

/// A fragment that is held.
#[derive(Debug)]
pub(super) struct Piece<B> {
    pub(super) buf: B,
    /// Offset of the IP header in `buf`.
    pub(super) l3: u8,
    pub(super) front: Front,
    /// Where its bytes belong, and how many there are.
    pub(super) offset: u16,
    pub(super) len: u16,
    /// Another piece of the same datagram.
    pub(super) next: u32,
}

/// A datagram that is not whole.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) key: Key,
    pub(super) born: Instant,
    /// Its pieces, in no order, and how many.
    pub(super) pieces: u32,
    pub(super) count: u32,
    /// The piece with the first byte.
    pub(super) first: u32,
    /// Bytes of the whole, once the last fragment is there.
    pub(super) end: Option<u16>,
    /// Where what has arrived ends, so far.
    pub(super) high: u16,
    /// Bytes that have arrived.
    pub(super) received: u16,
    /// Codepoints of congestion notification that were seen.
    pub(super) ecn: u8,
    /// Why nothing of it is wanted any more.
    pub(super) refused: Option<DropReason>,
    /// Its neighbours among all, by age.
    pub(super) age: Links,
    /// Its neighbours among those of its source, by age.
    pub(super) kin: Links,
}

impl Pending {
    pub(super) fn new(now: Instant, key: Key) -> Self {
        Self {
            key,
            born: now,
            pieces: NIL,
            count: 0,
            first: NIL,
            end: None,
            high: 0,
            received: 0,
            ecn: 0,
            refused: None,
            age: Links::default(),
            kin: Links::default(),
        }
    }

    pub(super) fn age(&mut self) -> &mut Links {
        &mut self.age
    }

    pub(super) fn kin(&mut self) -> &mut Links {
        &mut self.kin
    }

    /// What it counts for.
    pub(super) fn load(&self) -> u32 {
        self.count.max(1)
    }

    /// Whether a fragment that ends at `end` can be part of it.
    pub(super) fn agrees(&self, fragment: &Fragment, end: u16) -> Result<(), DropReason> {
        // F08: bytes that are none would never bring it further.
        if fragment.len == 0 {
            return Err(DropReason::FragmentEmpty);
        }
        // F07: it ends once, and where everything else does.
        let contradicts = match self.end {
            Some(known) if fragment.more => end > known,
            Some(known) => end != known,
            None => !fragment.more && end < self.high,
        };
        if contradicts { Err(DropReason::FragmentEndConflict) } else { Ok(()) }
    }

    /// Whether the fragment, whose bytes are there and end at `end`, says of the datagram's end what is known of it.
    pub(super) fn ends_alike(&self, fragment: &Fragment, end: u16) -> bool {
        fragment.more == (self.end != Some(end))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.end == Some(self.received)
    }
}

impl<B: PacketBuf> Piece<B> {
    /// The bytes of the datagram's payload in it.
    pub(super) fn payload(&self) -> Option<&[u8]> {
        let start = usize::from(self.l3) + usize::from(self.front.payload_at());
        self.buf.data().get(start..start + usize::from(self.len))
    }
}
