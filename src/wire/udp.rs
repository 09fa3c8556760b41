//! UDP (RFC 768): a view of a received datagram, and the header of one to send.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::checksum::Sum;
use super::ipv4::PROTOCOL_UDP;
use super::ipv6::NEXT_HEADER_UDP;
use crate::addr::{Family, V4, V6};

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

/// What an IP version has to say of UDP's checksum.
pub trait Over: Family {
    /// Whether a field of 0 says that there is no checksum: over IPv4 only (RFC 768; RFC 8200 8.1).
    const ZERO_IS_NONE: bool;

    /// The sum of the pseudo-header of a datagram of `len` bytes.
    fn pseudo(src: Self::Addr, dst: Self::Addr, len: u16) -> Sum;
}

impl Over for V4 {
    const ZERO_IS_NONE: bool = true;

    #[inline]
    fn pseudo(src: Ipv4Addr, dst: Ipv4Addr, len: u16) -> Sum {
        Sum::pseudo_v4(src, dst, PROTOCOL_UDP, len)
    }
}

// U06, RFC 8200 8.1: over IPv6 every datagram has a checksum. U08: of the UDP length, not of what IP brought.
impl Over for V6 {
    const ZERO_IS_NONE: bool = false;

    #[inline]
    fn pseudo(src: Ipv6Addr, dst: Ipv6Addr, len: u16) -> Sum {
        Sum::pseudo_v6(src, dst, NEXT_HEADER_UDP, len)
    }
}

/// Why these bytes are no UDP datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UdpError {
    /// The header is cut short, or its length field is less than a header or more than what IP brought.
    LengthInvalid,
    /// The checksum is wrong. Only [`Udp::verify_v4`] says so.
    Checksum,
}

/// A UDP datagram whose lengths are right.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
    length: u16,
}

impl<'a> Udp<'a> {
    /// The datagram at the front of `l4`, the payload of an IP packet.
    ///
    /// # Errors
    /// [`UdpError::LengthInvalid`]; the checksum is not looked at.
    #[inline]
    pub fn parse(l4: &'a [u8]) -> Result<Self, UdpError> {
        let (header, rest) = l4.split_first_chunk::<HEADER_LEN>().ok_or(UdpError::LengthInvalid)?;
        let length = u16::from_be_bytes([header[4], header[5]]);
        // U01, RFC 768: at least the header. U02: no more than IP brought. U03: less is legal, the surplus is not ours.
        let payload_len = usize::from(length).checked_sub(HEADER_LEN).ok_or(UdpError::LengthInvalid)?;
        let payload = rest.get(..payload_len).ok_or(UdpError::LengthInvalid)?;
        Ok(Self { header, payload, length })
    }

    /// The source port; 0: no answer is possible.
    #[inline]
    #[must_use]
    pub const fn src_port(&self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }

    /// The destination port.
    #[inline]
    #[must_use]
    pub const fn dst_port(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// Bytes of header and payload.
    #[inline]
    #[must_use]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// The checksum field; 0: the sender computed none.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    /// What it carries, without what IP brought beyond the UDP length.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether header and payload agree with the checksum field under this pseudo-header, whose length must be
    /// [`length`](Self::length). What a field of 0 means is the family's business: see [`verify_v4`](Self::verify_v4).
    #[inline]
    #[must_use]
    pub fn is_whole(&self, pseudo: Sum) -> bool {
        pseudo.add_bytes(self.header).add_bytes(self.payload).is_whole()
    }

    /// Verifies the checksum as the family has it.
    ///
    /// # Errors
    /// [`UdpError::Checksum`].
    #[inline]
    pub fn verify<F: Over>(&self, src: F::Addr, dst: F::Addr) -> Result<(), UdpError> {
        let is_good = match self.checksum() {
            0 => F::ZERO_IS_NONE,
            _ => self.is_whole(F::pseudo(src, dst, self.length)),
        };
        if is_good { Ok(()) } else { Err(UdpError::Checksum) }
    }

    /// Verifies the checksum as IPv4 has it.
    ///
    /// # Errors
    /// [`UdpError::Checksum`].
    // U04, RFC 1122 4.1.3.4: over IPv4 a field of 0 says that there is no checksum; every other one must be right.
    #[inline]
    pub fn verify_v4(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Result<(), UdpError> {
        self.verify::<V4>(src, dst)
    }
}

/// The header of a datagram to send: its length is proven to fit its field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repr {
    src_port: u16,
    dst_port: u16,
    length: u16,
}

impl Repr {
    /// The header of `payload_len` bytes. `None`: they are more than the length field can say, 65527.
    #[inline]
    #[must_use]
    pub fn new(src_port: u16, dst_port: u16, payload_len: usize) -> Option<Self> {
        let length = u16::try_from(payload_len.checked_add(HEADER_LEN)?).ok()?;
        Some(Self { src_port, dst_port, length })
    }

    /// Bytes of header and payload.
    #[inline]
    #[must_use]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// The sum of the header's fields, the checksum being zero.
    #[inline]
    pub const fn sum(&self) -> Sum {
        Sum::ZERO.add_u16(self.src_port).add_u16(self.dst_port).add_u16(self.length)
    }

    /// The checksum of this header and `payload` between two IPv4 addresses. Never 0 (U05).
    #[inline]
    #[must_use]
    pub fn checksum_v4(&self, src: Ipv4Addr, dst: Ipv4Addr, payload: &[u8]) -> u16 {
        self.checksum::<V4>(src, dst, payload)
    }

    /// The same between two addresses of either family.
    #[inline]
    #[must_use]
    pub fn checksum<F: Over>(&self, src: F::Addr, dst: F::Addr, payload: &[u8]) -> u16 {
        (F::pseudo(src, dst, self.length) + self.sum()).add_bytes(payload).udp_finish()
    }

    /// Writes the header to the front of `out` and returns what follows, where the payload goes (or lies already).
    /// `None`: `out` is too short for the header.
    ///
    /// `checksum` is [`checksum_v4`](Self::checksum_v4), or, when the device completes it, the folded pseudo-header.
    #[inline]
    #[must_use]
    pub fn emit<'a>(&self, checksum: u16, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (header, rest) = out.split_first_chunk_mut::<HEADER_LEN>()?;
        let [s0, s1] = self.src_port.to_be_bytes();
        let [d0, d1] = self.dst_port.to_be_bytes();
        let [l0, l1] = self.length.to_be_bytes();
        let [c0, c1] = checksum.to_be_bytes();
        *header = [s0, s1, d0, d1, l0, l1, c0, c1];
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SRC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    const DST: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

    /// Emits a datagram with its checksum.
    fn datagram(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
        let repr = Repr::new(src_port, dst_port, payload.len()).unwrap();
        let mut out = vec![0xee; usize::from(repr.length())];
        repr.emit(repr.checksum_v4(SRC, DST, payload), &mut out).unwrap().copy_from_slice(payload);
        out
    }

    #[test]
    fn the_fields_lie_where_rfc_768_says() {
        let udp = Udp::parse(&[0x12, 0x34, 0, 7, 0, 9, 0xab, 0xcd, 0x55, 0x66]).unwrap();
        assert_eq!((udp.src_port(), udp.dst_port()), (0x1234, 7));
        assert_eq!((udp.length(), udp.checksum()), (9, 0xabcd));
        assert_eq!(udp.payload(), [0x55]);
    }

    // RFC 768: summed by hand, pseudo-header c612 0001 ef01 0203 0011 000a, header 1000 0007 000a, data 6869.
    #[test]
    fn the_checksum_is_the_one_summed_by_hand() {
        let sum: u32 =
            [0xc612, 0x0001, 0xef01, 0x0203, 0x0011, 0x000a, 0x1000, 0x0007, 0x000a, 0x6869].iter().sum();
        let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        assert_eq!(datagram(0x1000, 7, b"hi")[6..8], (!folded).to_be_bytes());
    }

    // U01, RFC 768: 0 to 7 are less than a header.
    #[test]
    fn a_length_below_the_header_is_refused() {
        for length in 0..8 {
            assert_eq!(
                Udp::parse(&[0, 1, 0, 7, 0, length, 0, 0, 1, 2]).unwrap_err(),
                UdpError::LengthInvalid
            );
        }
    }

    // U02, RFC 768: 14 said, 13 brought.
    #[test]
    fn a_length_beyond_the_ip_payload_is_refused() {
        let bytes = [0, 1, 0, 7, 0, 14, 0, 0, 1, 2, 3, 4, 5];
        assert_eq!(Udp::parse(&bytes).unwrap_err(), UdpError::LengthInvalid);
        assert_eq!(Udp::parse(&[0xff; 40]).unwrap_err(), UdpError::LengthInvalid);
    }

    // U03, RFC 768, RFC 1122 4.1.3: payload and checksum end at the UDP length. U11: 0 bytes are a datagram.
    #[test]
    fn surplus_behind_the_length_is_neither_delivered_nor_summed() {
        let mut bytes = datagram(0x1000, 7, b"");
        bytes.extend(b"surplus");
        let udp = Udp::parse(&bytes).unwrap();
        assert_eq!((udp.length(), udp.payload()), (8, &b""[..]));
        assert_eq!(udp.verify_v4(SRC, DST), Ok(()));
    }

    // U04, RFC 1122 4.1.3.4.
    #[test]
    fn a_checksum_of_zero_is_none_and_a_wrong_one_is_wrong() {
        let mut bytes = datagram(0x1000, 7, b"hello");
        assert_eq!(Udp::parse(&bytes).unwrap().verify_v4(SRC, DST), Ok(()));
        bytes[6] ^= 1;
        assert_eq!(Udp::parse(&bytes).unwrap().verify_v4(SRC, DST), Err(UdpError::Checksum));
        bytes[6..8].fill(0);
        assert_eq!(Udp::parse(&bytes).unwrap().verify_v4(SRC, DST), Ok(()));
        // But where no checksum is no option (U06, RFC 8200 8.1), 0 is a wrong sum.
        assert!(!Udp::parse(&bytes).unwrap().is_whole(Sum::pseudo_v4(SRC, DST, 17, 13)));
    }

    // U05, RFC 768: a payload whose sum comes to zero.
    #[test]
    fn a_computed_zero_is_sent_as_all_ones_and_verifies() {
        let bare = datagram(0x1000, 7, &[0, 0]);
        let checksum = [bare[6], bare[7]];
        let crafted = datagram(0x1000, 7, &checksum);
        assert_eq!(crafted[6..8], [0xff, 0xff]);
        assert_eq!(Udp::parse(&crafted).unwrap().verify_v4(SRC, DST), Ok(()));
    }

    // U05, U06, U08, RFC 8200 8.1: over IPv6 there is no way without a checksum, and it covers the UDP length.
    #[test]
    fn over_ipv6_zero_is_no_checksum_and_the_udp_length_is_summed() {
        let src: Ipv6Addr = "fd88::2".parse().unwrap();
        let dst: Ipv6Addr = "ff0e::1:2:3".parse().unwrap();
        let repr = Repr::new(0x1000, 7, 2).unwrap();
        let mut bytes = vec![0; 10];
        repr.emit(repr.checksum::<V6>(src, dst, b"hi"), &mut bytes).unwrap().copy_from_slice(b"hi");
        assert_eq!(Udp::parse(&bytes).unwrap().verify::<V6>(src, dst), Ok(()));
        let mut zero = bytes.clone();
        zero[6..8].fill(0);
        assert_eq!(Udp::parse(&zero).unwrap().verify::<V6>(src, dst), Err(UdpError::Checksum));
        // A sum over what IP brought, 13 bytes, under a length of 8.
        let mut longer = vec![0x10, 0, 0, 7, 0, 8, 0, 0, 1, 2, 3, 4, 5];
        let pseudo = Sum::pseudo_v6(src, dst, 17, 13);
        let sum = pseudo.add_bytes(&longer).udp_finish();
        longer[6..8].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(Udp::parse(&longer).unwrap().verify::<V6>(src, dst), Err(UdpError::Checksum));
        longer[6..8].fill(0);
        let sum = Sum::pseudo_v6(src, dst, 17, 8).add_bytes(&longer[..8]).udp_finish();
        longer[6..8].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(Udp::parse(&longer).unwrap().verify::<V6>(src, dst), Ok(()));
        // U05: a payload whose sum comes to zero goes out, and comes in, as all ones.
        let bare = repr.checksum::<V6>(src, dst, &[0, 0]);
        assert_eq!(repr.checksum::<V6>(src, dst, &bare.to_be_bytes()), 0xffff);
    }

    // E17: cut at any byte.
    #[test]
    fn a_datagram_cut_at_any_byte_is_refused() {
        let bytes = datagram(0x1000, 7, &[0x5a; 52]);
        for len in 0..60 {
            assert_eq!(Udp::parse(&bytes[..len]).unwrap_err(), UdpError::LengthInvalid, "{len} bytes");
            let mut out = [0xee; 8];
            let room = len.min(7);
            assert!(Repr::new(1, 2, 3).unwrap().emit(0, &mut out[..room]).is_none());
            assert_eq!(out, [0xee; 8]);
        }
        assert!(Udp::parse(&bytes).is_ok());
    }

    #[test]
    fn the_longest_datagram_is_65535_bytes() {
        assert_eq!(Repr::new(1, 2, 65527).unwrap().length(), 65535);
        assert_eq!(Repr::new(1, 2, 65528), None);
        assert_eq!(Repr::new(1, 2, usize::MAX), None);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_within_their_bounds(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
            length in 0u8..90,
            is_plausible: bool,
        ) {
            if is_plausible && bytes.len() > 5 {
                bytes[4..6].copy_from_slice(&[0, length]);
            }
            if let Ok(udp) = Udp::parse(&bytes) {
                prop_assert_eq!(udp.payload(), &bytes[8..usize::from(udp.length())]);
                let _ = udp.verify_v4(SRC, DST);
            }
        }

        #[test]
        fn what_is_emitted_reads_back(
            ports: (u16, u16),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            addrs: ([u8; 4], [u8; 4]),
        ) {
            let (src, dst) = (addrs.0.into(), addrs.1.into());
            let repr = Repr::new(ports.0, ports.1, payload.len()).unwrap();
            let mut out = vec![0; usize::from(repr.length())];
            let checksum = repr.checksum_v4(src, dst, &payload);
            repr.emit(checksum, &mut out).unwrap().copy_from_slice(&payload);
            let udp = Udp::parse(&out).unwrap();
            prop_assert_eq!((udp.src_port(), udp.dst_port(), udp.payload()), (ports.0, ports.1, payload.as_slice()));
            prop_assert!(udp.checksum() != 0 && udp.verify_v4(src, dst).is_ok());
        }
    }
}
