//! Fragments on the way out: RFC 791 3.1 and 3.2, RFC 8200 4.5.
//!
//! A datagram that is longer than its path carries is cut into packets of their own, in fresh buffers. Here: what each
//! fragment's headers say ([`Cut`]), and identifications ([`Ids`]). Not here: how large a packet may be, which
//! [`pmtu`](super::pmtu) knows, nor what the whole datagram says, which is made before it is cut: its checksums cover all
//! of it, and are the same whatever becomes of it on the way.

mod ids;
mod v4;
mod v6;

pub use ids::{IdSpace, Ids};

use arrayvec::ArrayVec;

use super::egress::frame_min;
use super::interface::Interface;
use crate::addr::Vid;
use crate::io::{BufPool, PacketBuf};
use crate::wire::{ipv4, ipv6};

/// The most bytes of an IPv4 header, and more than IPv6's with a fragment header.
const HEADER_MAX: usize = 60;

/// The most bytes of the headers of link and IP: two addresses, a type, two tags.
pub const HEAD_MAX: usize = 14 + 2 * 4 + HEADER_MAX;

/// Where the payload of a datagram lies in its buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payload {
    /// Whether it is in the body, and not in the frame.
    pub in_body: bool,
    /// Offset of its first byte there.
    pub offset: u16,
    /// Its length in bytes.
    pub len: u16,
}

impl Payload {
    /// Its bytes in `buf`.
    #[must_use]
    pub fn of<B: PacketBuf>(self, buf: &B) -> Option<&[u8]> {
        let bytes = if self.in_body { buf.body()? } else { buf.data() };
        bytes.get(self.range())
    }

    /// Its bytes in `buf`, writable: only if nobody shares them.
    #[must_use]
    pub fn of_mut<B: PacketBuf>(self, buf: &mut B) -> Option<&mut [u8]> {
        let bytes = if self.in_body { buf.body_mut()? } else { buf.unique()? };
        bytes.get_mut(self.range())
    }

    fn range(self) -> core::ops::Range<usize> {
        let start = usize::from(self.offset);
        start..start + usize::from(self.len)
    }
}

/// A datagram that is to be cut: the headers that the whole would have, and where its payload lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// The link's header and IP's.
    head: ArrayVec<u8, HEAD_MAX>,
    /// Offset of the IP header in `head`.
    l3: u8,
    /// The payload.
    pub payload: Payload,
    /// The most bytes of each fragment, its IP header included.
    pub mtu: u16,
    /// The identification of IPv6's fragments; IPv4's is in `head`.
    id: Option<u32>,
}

impl Outgoing {
    /// The IPv4 datagram whose link and IP headers, options included, are at the front of `head`; IP's begins at `l3`, and
    /// says everything but lengths, flags and checksum. `None`: that is no header, or `mtu` carries nothing behind it.
    #[must_use]
    pub fn new(head: &[u8], l3: usize, payload: Payload, mtu: u16) -> Option<Self> {
        let version_ihl = *head.get(l3)?;
        let header_len = 4 * usize::from(version_ihl & 0x0f);
        let is_header = version_ihl >> 4 == 4 && header_len >= ipv4::HEADER_LEN;
        let out = Self::of(head.get(..l3 + header_len).filter(|_| is_header)?, l3, payload, mtu, None)?;
        (v4::room(mtu, header_len) > 0).then_some(out)
    }

    /// The IPv6 datagram whose link and IP headers are at the front of `head`, with no extension headers in them; IP's
    /// begins at `l3`, and says everything but its length. Its fragments, if there are to be any, have the identification
    /// `id`. `None`: that is no header.
    // W13, RFC 8200 5, RFC 8201 4: every path carries 1280 bytes, whatever was said of it.
    #[must_use]
    pub fn new6(head: &[u8], l3: usize, payload: Payload, mtu: u16, id: u32) -> Option<Self> {
        let is_header = *head.get(l3)? >> 4 == 6;
        let head = head.get(..l3 + ipv6::HEADER_LEN).filter(|_| is_header)?;
        Self::of(head, l3, payload, mtu.max(ipv6::MTU_MIN), Some(id))
    }

    fn of(head: &[u8], l3: usize, payload: Payload, mtu: u16, id: Option<u32>) -> Option<Self> {
        let head = ArrayVec::try_from(head).ok()?;
        Some(Self { head, l3: u8::try_from(l3).ok()?, payload, mtu, id })
    }

    /// The IP header of the whole.
    fn header(&self) -> &[u8] {
        self.head.get(usize::from(self.l3)..).unwrap_or_default()
    }
}

/// What a piece has of its datagram's payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    offset: usize,
    len: usize,
    last: bool,
}

/// The IP header of a piece, and others behind it.
type Header = ArrayVec<u8, HEADER_MAX>;

/// A fragment could not be made: no buffer was free, or none is large enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoBuffer;

/// A datagram being cut.
#[derive(Debug)]
pub struct Cut<'a> {
    out: &'a Outgoing,
    /// The least bytes of a frame, and the tag that the device is to insert.
    frame_min: usize,
    tag: Option<u16>,
    payload: &'a [u8],
    /// The options of every IPv4 fragment but the first.
    copied: ArrayVec<u8, HEADER_MAX>,
    offset: usize,
    done: bool,
}

impl<'a> Cut<'a> {
    /// Begins to cut `out`, whose payload is `payload`, to leave by `interface`.
    #[must_use]
    pub fn new(out: &'a Outgoing, payload: &'a [u8], interface: &Interface) -> Self {
        let copied = if out.id.is_none() { v4::copied_options(out.header()) } else { ArrayVec::new() };
        let tag = interface.vlan.filter(|_| interface.tx_vlan_insert).map(Vid::get);
        Self { out, frame_min: frame_min(interface), tag, payload, copied, offset: 0, done: false }
    }

    /// The next fragment as a frame; `None` after the last one, and after one that could not be made.
    pub fn next<P: BufPool>(&mut self, pool: &P) -> Option<Result<P::Buf, NoBuffer>> {
        if self.done {
            return None;
        }
        let made = self.make(pool);
        self.done |= made.is_none();
        Some(made.ok_or(NoBuffer))
    }

    fn make<P: BufPool>(&mut self, pool: &P) -> Option<P::Buf> {
        let l3 = usize::from(self.out.l3);
        let (header, Place { len, last, .. }) = self.headers()?;
        let bytes = self.payload.get(self.offset..self.offset + len)?;
        let end = l3 + header.len() + len;

        let mut buf = pool.alloc()?;
        if !buf.set_len(end.max(self.frame_min)) {
            return None;
        }
        let (link, packet) = buf.unique()?.split_at_mut_checked(l3)?;
        link.copy_from_slice(self.out.head.get(..l3)?);
        let (front, behind) = packet.split_at_mut_checked(header.len())?;
        front.copy_from_slice(&header);
        behind.get_mut(..len)?.copy_from_slice(bytes);
        self.offset += len;
        self.done = last;
        // E12, 802.1Q: each is a frame of its own.
        (self.tag.is_none() || buf.set_tx_vlan(self.tag)).then_some(buf)
    }

    /// The headers of the next piece, and what it has.
    fn headers(&self) -> Option<(Header, Place)> {
        let (offset, rest) = (self.offset, self.payload.len().checked_sub(self.offset)?);
        let whole = self.out.header();
        match self.out.id {
            None => v4::headers(whole, &self.copied, (offset, rest), self.out.mtu),
            Some(id) => v6::headers(whole, id, (offset, rest), self.out.mtu),
        }
    }
}

impl Place {
    /// What the piece from `offset` on has, of which `rest` bytes are left, if a packet has room for so many: `room` of one
    /// that others follow, `room_of_last` else.
    fn of((offset, rest): (usize, usize), room: usize, room_of_last: usize) -> Self {
        let last = rest <= room_of_last;
        Self { offset, len: if last { rest } else { room }, last }
    }
}

#[cfg(test)]
mod tests;
