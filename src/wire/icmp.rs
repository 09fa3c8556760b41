//! What messages of ICMP (RFC 792) and ICMPv6 (RFC 4443) have in common: a header of eight bytes, and what follows it.

/// Bytes of the header: type, code, checksum, and four whose meaning depends on the type.
pub const HEADER_LEN: usize = 8;

/// Why these bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpError {
    /// Shorter than a header.
    Truncated,
    /// The checksum is wrong. Only what verifies it says so.
    Checksum,
}

/// A message of either version.
#[derive(Clone, Copy, Debug)]
pub struct Icmp<'a> {
    header: &'a [u8; HEADER_LEN],
    data: &'a [u8],
}

impl<'a> Icmp<'a> {
    /// The message that `l4`, what an IP packet carries, is: at least a header.
    // C07, RFC 792; K01, RFC 4443 2.1: every message that there is has at least these eight bytes.
    #[inline]
    pub(super) fn split(l4: &'a [u8]) -> Result<Self, IcmpError> {
        let (header, data) = l4.split_first_chunk::<HEADER_LEN>().ok_or(IcmpError::Truncated)?;
        Ok(Self { header, data })
    }

    /// Its header.
    #[inline]
    pub(super) const fn header(&self) -> &'a [u8; HEADER_LEN] {
        self.header
    }

    /// Its type.
    #[inline]
    #[must_use]
    pub const fn icmp_type(&self) -> u8 {
        self.header[0]
    }

    /// Its code.
    #[inline]
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.header[1]
    }

    /// The checksum field.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// The last four bytes of the header, whose meaning depends on the type: the identifier and sequence number of an echo;
    /// of ICMPv6, the MTU in bytes of the next hop of "packet too big", and the byte of the quoted packet that a parameter
    /// problem points at.
    #[inline]
    #[must_use]
    pub const fn rest(&self) -> u32 {
        let h = self.header;
        u32::from_be_bytes([h[4], h[5], h[6], h[7]])
    }

    /// What follows the header: the data of an echo, the packet that an error quotes.
    #[inline]
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }
}
