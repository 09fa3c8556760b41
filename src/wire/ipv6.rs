//! The IPv6 header (RFC 8200): a view of a received packet, and the header of one to send.

pub mod ext;

use core::net::Ipv6Addr;

use crate::addr::{Family, V6};

/// Bytes of the header, which is always this long: what else there is are extension headers, in the payload.
pub const HEADER_LEN: usize = 40;

/// Offset of the payload length in a header.
pub const PAYLOAD_LEN_OFFSET: usize = 4;
/// Offset in a header of the field that names what follows it.
pub const NEXT_HEADER_OFFSET: usize = 6;
/// Offset of the source address in a header.
pub const SOURCE_OFFSET: usize = 8;
/// Offset of the destination address in a header.
pub const DESTINATION_OFFSET: usize = 24;

/// Next header: Hop-by-Hop Options (RFC 8200 4.3).
pub const NEXT_HEADER_HOP_BY_HOP: u8 = 0;
/// Next header: UDP.
pub const NEXT_HEADER_UDP: u8 = 17;
/// Next header: Routing (RFC 8200 4.4).
pub const NEXT_HEADER_ROUTING: u8 = 43;
/// Next header: Fragment (RFC 8200 4.5).
pub const NEXT_HEADER_FRAGMENT: u8 = 44;
/// Next header: ICMPv6, neighbour discovery and MLD among it.
pub const NEXT_HEADER_ICMPV6: u8 = 58;
/// Next header: none; nothing follows (RFC 8200 4.7).
pub const NEXT_HEADER_NONE: u8 = 59;
/// Next header: Destination Options (RFC 8200 4.6).
pub const NEXT_HEADER_DESTINATION: u8 = 60;

/// The hop limit of what is sent to one host, unless a router says otherwise. V13, RFC 4861 6.3.2 and RFC 1700.
pub const HOP_LIMIT_UNICAST: u8 = 64;
/// The hop limit of what is sent to a group. V13, RFC 3493 5.2: it stays on the link unless told otherwise.
pub const HOP_LIMIT_GROUP: u8 = 1;
/// The hop limit of neighbour discovery, which no router passes on. N01, RFC 4861 7.1.
pub const HOP_LIMIT_NDP: u8 = 255;

/// The least that every link carries, in bytes of a packet (RFC 8200 5).
pub const MTU_MIN: u16 = V6::MTU_MIN;

/// The 20 bits of a flow label.
pub const FLOW_LABEL_MASK: u32 = 0x000f_ffff;

/// Why these bytes are no IPv6 packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ipv6Error {
    /// The header is cut short or of another version; or the packet's pieces do not fit together.
    HeaderInvalid,
    /// The payload length is more than what the link brought.
    Truncated,
}

/// An IPv6 packet whose lengths are right.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    header: &'a [u8; HEADER_LEN],
    /// The header and, of a packet in pieces, the extension headers that lie with it.
    header_bytes: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv6<'a> {
    /// The packet at the front of `l3`, what follows the Ethernet header and tags.
    ///
    /// # Errors
    /// [`HeaderInvalid`](Ipv6Error::HeaderInvalid) or [`Truncated`](Ipv6Error::Truncated).
    #[inline]
    pub fn parse(l3: &'a [u8]) -> Result<Self, Ipv6Error> {
        let front = Self::parse_front(l3)?;
        // V01, RFC 8200 3: the payload length covers no more than what came.
        if usize::from(front.payload_len()) > front.payload.len() {
            Err(Ipv6Error::Truncated)
        } else {
            Ok(front)
        }
    }

    /// The packet whose front is `l3`, and maybe all of it: its payload is what there is.
    ///
    /// # Errors
    /// [`HeaderInvalid`](Ipv6Error::HeaderInvalid).
    #[inline]
    pub fn parse_front(l3: &'a [u8]) -> Result<Self, Ipv6Error> {
        let (header, rest) = split_header(l3)?;
        // V01, E10, RFC 8200 3: what the link brought beyond it is padding.
        let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        Ok(Self { header, header_bytes: header, payload: rest.get(..payload_len).unwrap_or(rest) })
    }

    /// The packet whose header is at the front of `l3`, and the end of whose payload is `body`, elsewhere in memory. What
    /// its payload length counts beyond that are extension headers, which lie behind its header.
    ///
    /// # Errors
    /// [`HeaderInvalid`](Ipv6Error::HeaderInvalid), also if the lengths do not agree.
    pub fn in_pieces(l3: &'a [u8], body: &'a [u8]) -> Result<Self, Ipv6Error> {
        let (header, _) = split_header(l3)?;
        let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let extensions = payload_len.checked_sub(body.len()).ok_or(Ipv6Error::HeaderInvalid)?;
        let header_bytes = l3.get(..HEADER_LEN + extensions).ok_or(Ipv6Error::HeaderInvalid)?;
        Ok(Self { header, header_bytes, payload: body })
    }

    /// Traffic class: differentiated services and congestion notification.
    #[inline]
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        self.header[0] << 4 | self.header[1] >> 4
    }

    /// Flow label, of 20 bits; 0: none.
    #[inline]
    #[must_use]
    pub const fn flow_label(&self) -> u32 {
        u32::from_be_bytes([0, self.header[1], self.header[2], self.header[3]]) & FLOW_LABEL_MASK
    }

    /// Bytes that follow the header, extension headers among them.
    #[inline]
    #[must_use]
    pub const fn payload_len(&self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    /// What follows the header: an extension header or what the packet carries.
    #[inline]
    #[must_use]
    pub const fn next_header(&self) -> u8 {
        self.header[NEXT_HEADER_OFFSET]
    }

    /// Hop limit.
    #[inline]
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.header[7]
    }

    /// From whom.
    #[inline]
    #[must_use]
    pub const fn src(&self) -> Ipv6Addr {
        addr_at(self.header, SOURCE_OFFSET)
    }

    /// To whom.
    #[inline]
    #[must_use]
    pub const fn dst(&self) -> Ipv6Addr {
        addr_at(self.header, DESTINATION_OFFSET)
    }

    /// What follows [`header_bytes`](Self::header_bytes), without the link's padding: extension headers among it, and of a
    /// packet [in pieces](Self::in_pieces) its body.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Its header; of a packet [in pieces](Self::in_pieces), with the extension headers that lie there too.
    #[inline]
    #[must_use]
    pub const fn header_bytes(&self) -> &'a [u8] {
        self.header_bytes
    }
}

/// The header at the front of `l3`, and what follows it.
// V01, RFC 8200 3: version 6, and all 40 bytes of it here.
#[inline]
fn split_header(l3: &[u8]) -> Result<(&[u8; HEADER_LEN], &[u8]), Ipv6Error> {
    match l3.split_first_chunk::<HEADER_LEN>() {
        Some((header, rest)) if header[0] >> 4 == 6 => Ok((header, rest)),
        _ => Err(Ipv6Error::HeaderInvalid),
    }
}

/// An offset in a packet, in the width in which offsets are kept: all of them fit.
#[inline]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "what does not fit was replaced")]
pub const fn offset16(at: usize) -> u16 {
    if at > u16::MAX as usize { u16::MAX } else { at as u16 }
}

/// The address at `at`, which is 8 or 24.
#[inline]
const fn addr_at(header: &[u8; HEADER_LEN], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    let mut i = 0;
    while i < 16 {
        octets[i] = header[at + i];
        i += 1;
    }
    Ipv6Addr::from_bits(u128::from_be_bytes(octets))
}

/// The header of a packet to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repr {
    /// Traffic class.
    pub traffic_class: u8,
    /// Flow label, of 20 bits; what is above them is not sent. 0: none.
    pub flow_label: u32,
    /// Bytes that follow the header, extension headers among them.
    pub payload_len: u16,
    /// What follows it.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// From whom.
    pub src: Ipv6Addr,
    /// To whom.
    pub dst: Ipv6Addr,
}

impl Repr {
    /// Writes the header to the front of `out` and returns what follows. `None`: `out` is too short for it.
    #[inline]
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (header, rest) = out.split_first_chunk_mut::<HEADER_LEN>()?;
        let word = 6 << 28 | u32::from(self.traffic_class) << 20 | (self.flow_label & FLOW_LABEL_MASK);
        header[..4].copy_from_slice(&word.to_be_bytes());
        header[4..6].copy_from_slice(&self.payload_len.to_be_bytes());
        header[6] = self.next_header;
        header[7] = self.hop_limit;
        header[8..24].copy_from_slice(&self.src.octets());
        header[24..].copy_from_slice(&self.dst.octets());
        Some(rest)
    }
}

#[cfg(test)]
mod tests;
