//! Fragments on the way out: RFC 791 3.1 and 3.2.
//!
//! A datagram that is longer than its path carries is cut into packets of their own, in fresh buffers. Here: what each
//! fragment's header says ([`Cut`]), and identifications ([`Ids`]). Not here: how large a packet may be, which
//! [`pmtu`](super::pmtu) knows, nor what the whole datagram says, which is made before it is cut: its checksums cover all
//! of it, and are the same whatever becomes of it on the way.

mod ids;

pub use ids::{IdSpace, Ids};

use arrayvec::ArrayVec;

use super::egress::frame_min;
use super::interface::Interface;
use crate::addr::Vid;
use crate::io::{BufPool, PacketBuf};
use crate::wire::ipv4::{self, Ipv4, OPTION_END};

/// The most bytes of an IPv4 header.
const HEADER_MAX: usize = 60;

/// The most bytes of the headers of link and IP: two addresses, a type, two tags.
pub const HEAD_MAX: usize = 14 + 2 * 4 + HEADER_MAX;

/// A bit of an option's type: it is in every fragment, and not in the first alone.
const COPIED: u8 = 0x80;

/// Bits of the word that ends in the fragment offset.
const MORE_FRAGMENTS: u16 = 0x2000;

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
}

impl Outgoing {
    /// The datagram whose link and IP headers, options included, are at the front of `head`; IP's begins at `l3`, and says
    /// everything but lengths, flags and checksum. `None`: that is no header, or `mtu` carries nothing behind it.
    #[must_use]
    pub fn new(head: &[u8], l3: usize, payload: Payload, mtu: u16) -> Option<Self> {
        let version_ihl = *head.get(l3)?;
        let end = l3 + 4 * usize::from(version_ihl & 0x0f);
        let is_header = version_ihl >> 4 == 4 && end >= l3 + ipv4::HEADER_LEN;
        let head = ArrayVec::try_from(head.get(..end).filter(|_| is_header)?).ok()?;
        let out = Self { head, l3: u8::try_from(l3).ok()?, payload, mtu };
        (out.room(out.header().len()) > 0).then_some(out)
    }

    /// The IP header of the whole, which is the first fragment's.
    fn header(&self) -> &[u8] {
        self.head.get(usize::from(self.l3)..).unwrap_or_default()
    }

    /// Bytes of payload of a fragment that is not the last, behind a header of `header_len`. F18: a multiple of eight.
    fn room(&self, header_len: usize) -> usize {
        usize::from(self.mtu).saturating_sub(header_len) & !7
    }
}

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
    /// The options of every fragment but the first.
    copied: ArrayVec<u8, HEADER_MAX>,
    offset: usize,
    done: bool,
}

impl<'a> Cut<'a> {
    /// Begins to cut `out`, whose payload is `payload`, to leave by `interface`.
    #[must_use]
    pub fn new(out: &'a Outgoing, payload: &'a [u8], interface: &Interface) -> Self {
        let copied = copied_options(out.header());
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
        let whole = self.out.header();
        // F18, RFC 791 3.1: options without the copied bit are in the first fragment only.
        let options = if self.offset == 0 { whole.get(ipv4::HEADER_LEN..)? } else { &self.copied };
        let header_len = ipv4::HEADER_LEN + options.len();
        let rest = self.payload.get(self.offset..)?;
        let last = header_len + rest.len() <= usize::from(self.out.mtu);
        let bytes = if last { rest } else { rest.get(..self.out.room(header_len))? };
        let end = l3 + header_len + bytes.len();

        let mut buf = pool.alloc()?;
        if !buf.set_len(end.max(self.frame_min)) {
            return None;
        }
        let (link, packet) = buf.unique()?.split_at_mut_checked(l3)?;
        link.copy_from_slice(self.out.head.get(..l3)?);
        let (header, behind) = packet.split_at_mut_checked(header_len)?;
        let (fixed, to) = header.split_at_mut_checked(ipv4::HEADER_LEN)?;
        fixed.copy_from_slice(whole.get(..ipv4::HEADER_LEN)?);
        to.copy_from_slice(options);
        self.describe(header, bytes.len(), last)?;
        behind.get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.offset += bytes.len();
        self.done = last;
        // E12, 802.1Q: each is a frame of its own.
        (self.tag.is_none() || buf.set_tx_vlan(self.tag)).then_some(buf)
    }

    /// Lengths, place and checksum of the fragment with this header.
    // F18, RFC 791 3.1: offsets count eights, all but the last have MF, and DF is clear: it would be a lie.
    fn describe(&self, header: &mut [u8], len: usize, last: bool) -> Option<()> {
        let words = u8::try_from(header.len() / 4).ok()?;
        let total_len = u16::try_from(header.len() + len).ok()?;
        let place = u16::try_from(self.offset / 8).ok()? | if last { 0 } else { MORE_FRAGMENTS };
        let fixed = header.first_chunk_mut::<{ ipv4::HEADER_LEN }>()?;
        fixed[0] = 0x40 | words;
        fixed[2..4].copy_from_slice(&total_len.to_be_bytes());
        // What fits into one packet is none, and keeps what it says.
        if place != 0 {
            fixed[6..8].copy_from_slice(&place.to_be_bytes());
        }
        ipv4::fill_checksum(header);
        Some(())
    }
}

/// The options of `header` that every fragment has, in whole words. None if the header is none.
// F18, RFC 791 3.1: those with the copied bit; what filled the gaps between the others is not.
fn copied_options(header: &[u8]) -> ArrayVec<u8, HEADER_MAX> {
    let mut copied = ArrayVec::new();
    let Ok(ip) = Ipv4::parse_front(header) else { return copied };
    for option in ip.options() {
        // Behind one that cannot be, nobody knows where the next one begins.
        let Ok(option) = option else { break };
        if option.kind & COPIED == 0 {
            continue;
        }
        // NOTE(push): they fit into the header that they are from.
        let len = u8::try_from(option.data.len() + 2).unwrap_or_default();
        let _ = copied.try_extend_from_slice(&[option.kind, len]);
        let _ = copied.try_extend_from_slice(option.data);
    }
    while copied.len() % 4 != 0 && copied.try_push(OPTION_END).is_ok() {}
    copied
}

#[cfg(test)]
mod tests;
