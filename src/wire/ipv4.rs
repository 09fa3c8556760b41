//! The IPv4 header (RFC 791): a view of a received packet, its options, and the header of one to send.

mod options;

use core::net::Ipv4Addr;

use super::checksum::Sum;
pub use options::{
    BadOption, EchoedOptions, Ipv4Option, OPTION_END, OPTION_LSRR, OPTION_NOP, OPTION_RECORD_ROUTE,
    OPTION_ROUTER_ALERT, OPTION_SSRR, OPTION_TIMESTAMP, OPTIONS_MAX, OptionScan, Options, Stamp,
};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;

/// Offset of the destination address in a header.
pub const DESTINATION_OFFSET: usize = 16;

/// Protocol: ICMP.
pub const PROTOCOL_ICMP: u8 = 1;
/// Protocol: IGMP.
pub const PROTOCOL_IGMP: u8 = 2;
/// Protocol: UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// The time to live of what is sent to one host. I22, RFC 1122 3.2.1.7.
pub const TTL_UNICAST: u8 = 64;
/// The time to live of what is sent to a group. I22, RFC 1112 6.1: it stays on the link unless told otherwise.
pub const TTL_GROUP: u8 = 1;

/// The Router Alert option as it is sent: G01, RFC 9776 4 and RFC 2113 2.1.
const ROUTER_ALERT: [u8; 4] = [OPTION_ROUTER_ALERT, 4, 0, 0];

/// Flag bits of the word that ends in the fragment offset.
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// Why these bytes are no IPv4 packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ipv4Error {
    /// The header is cut short, of another version, or has a length (its own or the total one) that cannot be.
    HeaderInvalid,
    /// The total length is more than what the link brought.
    Truncated,
    /// The header checksum is wrong. Only [`Ipv4::verify`] says so.
    Checksum,
}

/// An IPv4 packet whose lengths are right.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    header: &'a [u8; HEADER_LEN],
    options: &'a [u8],
    payload: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// The packet at the front of `l3`, what follows the Ethernet header and tags.
    ///
    /// # Errors
    /// [`HeaderInvalid`](Ipv4Error::HeaderInvalid) or [`Truncated`](Ipv4Error::Truncated); the checksum is not looked at.
    #[inline]
    pub fn parse(l3: &'a [u8]) -> Result<Self, Ipv4Error> {
        let front = Self::parse_front(l3)?;
        // I03, RFC 791 3.1: the total length covers no more than what came.
        if usize::from(front.total_len()) > l3.len() { Err(Ipv4Error::Truncated) } else { Ok(front) }
    }

    /// The packet whose front is `l3`, and maybe all of it: its payload is what there is.
    ///
    /// # Errors
    /// [`HeaderInvalid`](Ipv4Error::HeaderInvalid).
    #[inline]
    pub fn parse_front(l3: &'a [u8]) -> Result<Self, Ipv4Error> {
        let header = l3.first_chunk::<HEADER_LEN>().ok_or(Ipv4Error::HeaderInvalid)?;
        // I01, RFC 1122 3.2.1.1: version 4, at least five words, and all of them here.
        let header_len = 4 * usize::from(header[0] & 0x0f);
        if header[0] >> 4 != 4 || header_len < HEADER_LEN || header_len > l3.len() {
            return Err(Ipv4Error::HeaderInvalid);
        }
        // I03, RFC 791 3.1: the total length covers the header.
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if total_len < header_len {
            return Err(Ipv4Error::HeaderInvalid);
        }
        // I03, E10, RFC 791 3.1: what the link brought beyond it is padding.
        let bytes = l3.get(..total_len).unwrap_or(l3);
        let (all, payload) = bytes.split_at_checked(header_len).ok_or(Ipv4Error::HeaderInvalid)?;
        let options = all.get(HEADER_LEN..).ok_or(Ipv4Error::HeaderInvalid)?;
        Ok(Self { header, options, payload, bytes })
    }

    /// The packet whose header is at the front of `l3`, and whose payload is `body`, elsewhere in memory.
    ///
    /// # Errors
    /// [`HeaderInvalid`](Ipv4Error::HeaderInvalid), also if the lengths do not agree; the checksum is not looked at.
    pub fn in_pieces(l3: &'a [u8], body: &'a [u8]) -> Result<Self, Ipv4Error> {
        let header = l3.first_chunk::<HEADER_LEN>().ok_or(Ipv4Error::HeaderInvalid)?;
        let header_len = 4 * usize::from(header[0] & 0x0f);
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] >> 4 != 4 || header_len < HEADER_LEN || total_len != header_len + body.len() {
            return Err(Ipv4Error::HeaderInvalid);
        }
        let bytes = l3.get(..header_len).ok_or(Ipv4Error::HeaderInvalid)?;
        let options = bytes.get(HEADER_LEN..).ok_or(Ipv4Error::HeaderInvalid)?;
        Ok(Self { header, options, payload: body, bytes })
    }

    /// Verifies the header checksum, options included.
    ///
    /// # Errors
    /// [`Ipv4Error::Checksum`].
    // I02, RFC 1122 3.2.1.2: every header is verified; apart, so that a device that has done it is believed.
    #[inline]
    pub fn verify(&self) -> Result<(), Ipv4Error> {
        let sum = Sum::of(self.header).add_bytes(self.options);
        if sum.is_whole() { Ok(()) } else { Err(Ipv4Error::Checksum) }
    }

    /// Bytes of the header, options included: 20 to 60.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// Type of service: differentiated services and congestion notification.
    #[inline]
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.header[1]
    }

    /// Bytes of header and payload.
    #[inline]
    #[must_use]
    pub const fn total_len(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// Identification: which fragments belong together.
    #[inline]
    #[must_use]
    pub const fn id(&self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    /// Flags and fragment offset.
    #[inline]
    const fn fragment_word(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    /// Whether no one may fragment it.
    #[inline]
    #[must_use]
    pub const fn dont_fragment(&self) -> bool {
        self.fragment_word() & DONT_FRAGMENT != 0
    }

    /// Whether fragments follow.
    #[inline]
    #[must_use]
    pub const fn more_fragments(&self) -> bool {
        self.fragment_word() & MORE_FRAGMENTS != 0
    }

    /// Where its payload lies in the whole datagram's, in bytes.
    #[inline]
    #[must_use]
    pub const fn fragment_offset(&self) -> u16 {
        (self.fragment_word() & OFFSET_MASK) << 3
    }

    /// Whether it is a fragment: the first, a middle or the last one.
    // F20: "don't fragment" does not matter. I05, RFC 791 3.1: nor does the reserved bit.
    #[inline]
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.fragment_word() & (MORE_FRAGMENTS | OFFSET_MASK) != 0
    }

    /// Time to live, in hops.
    #[inline]
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.header[8]
    }

    /// What it carries.
    #[inline]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.header[9]
    }

    /// From whom.
    #[inline]
    #[must_use]
    pub const fn src(&self) -> Ipv4Addr {
        let h = self.header;
        Ipv4Addr::new(h[12], h[13], h[14], h[15])
    }

    /// To whom.
    #[inline]
    #[must_use]
    pub const fn dst(&self) -> Ipv4Addr {
        let h = self.header;
        Ipv4Addr::new(h[16], h[17], h[18], h[19])
    }

    /// The options' bytes, 0 to 40.
    #[inline]
    #[must_use]
    pub const fn option_bytes(&self) -> &'a [u8] {
        self.options
    }

    /// Its options, one by one.
    #[inline]
    #[must_use]
    pub const fn options(&self) -> Options<'a> {
        Options::of(self.options)
    }

    /// Walks the options once, for what a host must know of them.
    ///
    /// # Errors
    /// The first option that cannot be.
    #[inline]
    pub fn scan_options(&self) -> Result<OptionScan, BadOption> {
        if self.options.is_empty() { Ok(OptionScan::default()) } else { options::scan(self.options()) }
    }

    /// What it carries, without the link's padding.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The whole packet, header first, without the link's padding; of one [in pieces](Self::in_pieces), its header.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its header, options included.
    #[must_use]
    pub fn header_bytes(&self) -> &'a [u8] {
        self.bytes.get(..self.header_len()).unwrap_or(self.bytes)
    }
}

/// Writes the right checksum into `header`, which is a header from its first byte to its last, options included. Nothing
/// happens if it is shorter than one.
pub fn fill_checksum(header: &mut [u8]) {
    let Some(field) = header.get_mut(10..12) else { return };
    field.copy_from_slice(&[0, 0]);
    let checksum = Sum::of(header).finish();
    if let Some(field) = header.get_mut(10..12) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The header of a packet to send. Never a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repr {
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Whether no one may fragment it.
    pub dont_fragment: bool,
    /// Time to live, in hops.
    pub ttl: u8,
    /// What it carries.
    pub protocol: u8,
    /// From whom.
    pub src: Ipv4Addr,
    /// To whom.
    pub dst: Ipv4Addr,
    /// Bytes that follow the header.
    pub payload_len: u16,
    /// Whether the Router Alert option (RFC 2113) is in the header.
    pub router_alert: bool,
}

impl Repr {
    /// Bytes of the header: 20, or 24 with Router Alert.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        if self.router_alert { HEADER_LEN + ROUTER_ALERT.len() } else { HEADER_LEN }
    }

    /// Writes the header with its checksum to the front of `out` and returns what follows. `None`: `out` is too short for
    /// the header, or the payload too long for the total length.
    #[inline]
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        if !self.router_alert {
            let (header, rest) = out.split_first_chunk_mut::<HEADER_LEN>()?;
            *header = self.fixed(0x45, 20, Sum::ZERO)?;
            return Some(rest);
        }
        // G01, RFC 9776 4: six words, and the checksum covers the option too.
        let (header, rest) = out.split_first_chunk_mut::<{ HEADER_LEN + ROUTER_ALERT.len() }>()?;
        let fixed = self.fixed(0x46, 24, Sum::ZERO.add_u32(u32::from_be_bytes(ROUTER_ALERT)))?;
        header[..HEADER_LEN].copy_from_slice(&fixed);
        header[HEADER_LEN..].copy_from_slice(&ROUTER_ALERT);
        Some(rest)
    }

    /// As [`emit`](Self::emit), with `options` instead of the Router Alert: whole words, at most 40 bytes.
    #[must_use]
    pub fn emit_with_options<'a>(&self, options: &[u8], out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        if !options.len().is_multiple_of(4) || options.len() > OPTIONS_MAX {
            return None;
        }
        let header_len = HEADER_LEN + options.len();
        let (header, rest) = out.split_at_mut_checked(header_len)?;
        let version_ihl = 0x40 | u8::try_from(header_len / 4).ok()?;
        let fixed = self.fixed(version_ihl, u16::try_from(header_len).ok()?, Sum::of(options))?;
        let (front, behind) = header.split_first_chunk_mut::<HEADER_LEN>()?;
        *front = fixed;
        behind.copy_from_slice(options);
        Some(rest)
    }

    /// The fixed part, with a checksum that covers also `options`. Summed from the fields, not from the bytes: wide loads
    /// of bytes just stored would wait for the stores.
    #[inline]
    fn fixed(&self, version_ihl: u8, header_len: u16, options: Sum) -> Option<[u8; HEADER_LEN]> {
        let total_len = header_len.checked_add(self.payload_len)?;
        let fragment_word = if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        let checksum = options
            .add_u16(u16::from_be_bytes([version_ihl, self.tos]))
            .add_u16(total_len)
            .add_u16(self.id)
            .add_u16(fragment_word)
            .add_u16(u16::from_be_bytes([self.ttl, self.protocol]))
            .add_u32(self.src.to_bits())
            .add_u32(self.dst.to_bits())
            .finish();
        let [l0, l1] = total_len.to_be_bytes();
        let [i0, i1] = self.id.to_be_bytes();
        let [f0, f1] = fragment_word.to_be_bytes();
        let [c0, c1] = checksum.to_be_bytes();
        let [s0, s1, s2, s3] = self.src.octets();
        let [d0, d1, d2, d3] = self.dst.octets();
        #[rustfmt::skip]
        let header = [
            version_ihl, self.tos, l0, l1,
            i0, i1, f0, f1,
            self.ttl, self.protocol, c0, c1,
            s0, s1, s2, s3,
            d0, d1, d2, d3,
        ];
        Some(header)
    }
}

#[cfg(test)]
mod tests;
